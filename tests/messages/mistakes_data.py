"""Elements, indices, files and numbers: a part of the table of mistakes (mistakes.py)."""

from __future__ import annotations

from mistake import Mistake

DTYPES = (
    Mistake("embedding_of_floats", 3, "DTypeError", ("float32", "input.long()"),
        "indices of an integer dtype", "整数类型的索引",
        "RuntimeError: Expected tensor for argument #1 'indices' to have one of the following scalar types: Long, Int; but got", """
        embedding = nn.Embedding(100, 16)
        words = danlu.tensor([3.0, 7.0])
        y = embedding(words)
    """),
    Mistake("embedding_out_of_range", 3, "AxisError", ("0 … 99", "num_embeddings"),
        "index 100 is out of range", "下标 100 越界",
        "IndexError: index out of range in self", """
        embedding = nn.Embedding(100, 16)
        words = danlu.tensor([3, 100])
        y = embedding(words)
        print(y.sum().item())
    """),
    Mistake("matmul_of_mixed_dtypes", 3, "DTypeError", ("float64", "x.to(danlu.float32)"),
        "expected one dtype for both", "两者应相同",
        "RuntimeError: mat1 and mat2 must have the same dtype, but got Double and Float", """
        features = danlu.from_numpy(np.ones((4, 3)))
        layer = nn.Linear(3, 2)
        y = layer(features)
    """),
    Mistake("linear_of_integers", 3, "DTypeError", ("int64", "x.float()"),
        "expected a floating-point dtype", "应为浮点类型",
        "RuntimeError: mat1 and mat2 must have the same dtype, but got Long and Float", """
        layer = nn.Linear(3, 2)
        x = danlu.tensor([[1, 2, 3]])
        y = layer(x)
    """),
    Mistake("conv_of_bytes", 3, "DTypeError", ("uint8", "x.float()"),
        "expected a floating-point dtype", "应为浮点类型",
        "RuntimeError: Input type (unsigned char) and bias type (float) should be the same", """
        conv = nn.Conv2d(1, 4, 3)
        pixels = danlu.zeros(1, 1, 8, 8, dtype=danlu.uint8)
        y = conv(pixels)
    """),
    Mistake("mean_of_integers", 2, "DTypeError", ("int64", "x.float().mean()"),
        "could not infer output dtype", "不能推断结果的数据类型",
        "RuntimeError: mean(): could not infer output dtype. Input dtype must be either a floating point or complex dtype. Got: Long", """
        x = danlu.tensor([1, 2, 3])
        m = x.mean()
    """),
    Mistake("softmax_of_integers", 2, "DTypeError", ("int64", "x.float()"),
        "expected a floating dtype", "应为浮点类型",
        "NotImplementedError: \"softmax_lastdim_kernel_impl\" not implemented for 'Long'", """
        scores = danlu.tensor([[1, 2, 3]])
        p = scores.softmax(dim=1)
    """),
    Mistake("integer_requires_grad", 1, "GradientError", ("int64", "x.float()"),
        "only floating and complex dtypes can require gradients", "只有浮点类型和复数类型才能需要梯度",
        "RuntimeError: Only Tensors of floating point and complex dtype can require gradients", """
        w = danlu.tensor([1, 2, 3], requires_grad=True)
    """),
    Mistake("float_index", 3, "AxisError", ("float", "`...`"),
        "an index may be an integer", "下标可以是整数",
        "IndexError: only integers, slices (`:`), ellipsis (`...`), None and long or byte Variables are valid indices (got float)", """
        x = danlu.rand(10)
        middle = len(x) / 2
        y = x[middle]
    """),
    Mistake("index_with_float_tensor", 3, "AxisError", ("float32", "index.long()"),
        "indices are integers or bools", "索引应为整数或 bool",
        "IndexError: tensors used as indices must be long, int, byte or bool tensors", """
        x = danlu.rand(10)
        places = danlu.tensor([0.0, 2.0])
        y = x[places]
    """),
    Mistake("index_out_of_range", 2, "AxisError", ("-3 … 2",),
        "index 3 is out of range", "下标 3 越界",
        "IndexError: index 3 is out of bounds for dimension 0 with size 3", """
        x = danlu.rand(3)
        y = x[3]
    """),
    Mistake("index_list_out_of_range", 3, "AxisError", ("-3 … 2",),
        "index 5 is out of range", "下标 5 越界",
        "IndexError: index 5 is out of bounds for dimension 0 with size 3", """
        x = danlu.rand(3, 2)
        places = danlu.tensor([0, 5])
        y = x[places]
        print(y)
    """),
    Mistake("too_many_indices", 2, "AxisError", ("2",),
        "too many indices", "下标过多",
        "IndexError: too many indices for tensor of dimension 1", """
        x = danlu.rand(3)
        y = x[0, 1]
    """),
    Mistake("mask_of_other_shape", 3, "AxisError", ("(2,)", "(3,)"),
        "the mask has shape", "掩码的形状为",
        "IndexError: The shape of the mask [2] at index 0 does not match the shape of the indexed tensor [3, 4] at index 0", """
        x = danlu.rand(3, 4)
        mask = danlu.tensor([True, False])
        y = x[mask]
    """),
    Mistake("integer_in_place_division", 2, "DTypeError", ("float32", "int64", "x = x.float()"),
        "can't be cast", "不能转换",
        "RuntimeError: result type Float can't be cast to the desired output type Long", """
        counts = danlu.tensor([4, 2])
        counts /= 2
    """),
    Mistake("float_into_integer_tensor", 2, "DTypeError", ("float32", "int64", "x = x.float()"),
        "can't be cast", "不能转换",
        "RuntimeError: result type Float can't be cast to the desired output type Long", """
        counts = danlu.tensor([4, 2])
        counts += 0.5
    """),
    Mistake("tensor_of_ragged_lists", 2, "ShapeError", (),
        "ragged", "参差不齐",
        "ValueError: expected sequence of length 2 at dim 1 (got 1)", """
        rows = [[1.0, 2.0], [3.0]]
        x = danlu.tensor(rows)
    """),
    Mistake("tensor_of_strings", 2, "DTypeError", ("<U3", "names.index(text)"),
        "expected numbers", "应为数",
        "ValueError: too many dimensions 'str'", """
        labels = ["cat", "dog"]
        y = danlu.tensor(labels)
    """),
    Mistake("tensor_of_none", 2, "DTypeError", ("float('nan')",),
        "None is no number", "None 不是数",
        "RuntimeError: Could not infer dtype of NoneType", """
        values = [1.0, None, 3.0]
        x = danlu.tensor(values)
    """),
    Mistake("tensor_of_tensors", 2, "result", ("Size([2, 3])",),
        "", "",
        "ValueError: only one element tensors can be converted to Python scalars", """
        losses = [danlu.rand(3), danlu.rand(3)]
        x = danlu.tensor(losses)
        print(x.shape)
    """),
    Mistake("numpy_object_array", 2, "DTypeError", ("array.astype('float32')",),
        "has no dtype for NumPy's object", "没有与 NumPy 的 object 对应的数据类型",
        "TypeError: can't convert np.ndarray of type numpy.object_. The only supported types are: float64, float32, float16,", """
        table = np.array([[1, "a"], [2, "b"]], dtype=object)
        x = danlu.from_numpy(table)
    """),
    Mistake("list_given_to_model", 2, "DTypeError", ("list", "danlu.tensor(...)"),
        "expected a tensor or a number", "应为张量或数",
        "TypeError: linear(): argument 'input' (position 1) must be Tensor, not list", """
        model = nn.Linear(2, 1)
        y = model([1.0, 2.0])
    """),
    Mistake("numpy_given_to_model", 3, "result", ("Size([4, 1])",),
        "", "",
        "TypeError: linear(): argument 'input' (position 1) must be Tensor, not numpy.ndarray", """
        model = nn.Linear(2, 1)
        x = np.ones((4, 2), dtype=np.float32)
        y = model(x)
        print(y.shape)
    """),
    Mistake("dtype_as_string", 1, "DTypeError", ("'float32'", "danlu.float32"),
        "expected a dtype of danlu", "应为 danlu 的数据类型",
        "TypeError: zeros(): argument 'dtype' must be torch.dtype, not str", """
        x = danlu.zeros(3, dtype="float32")
    """),
    Mistake("copy_of_a_tensor", 2, "UserWarning", ("x.clone()", "x.detach().clone()"),
        "no gradient reaches x", "梯度传不到 x",
        "UserWarning: To copy construct from a tensor, it is recommended to use sourceTensor.detach().clone() or", """
        w = danlu.ones(3, requires_grad=True)
        loss = danlu.tensor((w * w).sum())
    """),
    Mistake("device_cuda", 2, "DTypeError", ("'cuda'", "device='cpu'"),
        "is not available", "不可用",
        "AssertionError: Torch not compiled with CUDA enabled", """
        x = danlu.rand(3)
        y = x.to("cuda")
    """),
    Mistake("device_gpu", 1, "DTypeError", ("'gpu'", "device='cpu'"),
        "is not available", "不可用",
        "RuntimeError: Expected one of cpu, cuda, ipu, xpu, mkldnn, opengl, opencl, ideep, hip, ve, fpga, maia, xla, lazy, vulkan,", """
        x = danlu.zeros(3, device="gpu")
    """),
    Mistake("randint_order", 1, "DataError", ("low",),
        "expected low < high", "应满足 low < high",
        "RuntimeError: random_ expects 'from' to be less than 'to', but got from=10 >= to=0", """
        x = danlu.randint(10, 0, (3,))
    """),
    Mistake("randint_without_tuple", 1, "DTypeError", ("(3,)",),
        "expected a tuple of sizes", "应为由大小组成的元组",
        "TypeError: randint() received an invalid combination of arguments - got (int, int, int), but expected one of:", """
        x = danlu.randint(0, 10, 3)
    """),
    Mistake("rand_of_float_size", 2, "DTypeError", ("(5.0,)", "n // 2"),
        "expected integers", "应为整数",
        "TypeError: rand(): argument 'size' (position 1) must be tuple of ints, not float", """
        n = 10 / 2
        x = danlu.rand(n)
    """),
)  # fmt: skip

DATA = (
    Mistake("dataset_without_len", 4, "DTypeError", ("Squares", "def __len__(self): ..."),
        "defines no __len__", "没有定义 __len__",
        "TypeError: object of type 'Squares' has no len()", """
        class Squares(Dataset):
            def __getitem__(self, i):
                return i * i
        loader = DataLoader(Squares(), batch_size=4, shuffle=True)
        batches = list(loader)
    """),
    Mistake("dataset_without_getitem", 4, "DTypeError", ("Squares", "def __getitem__(self, place): ..."),
        "defines no __getitem__", "没有定义 __getitem__",
        "NotImplementedError: Subclasses of Dataset should implement __getitem__.", """
        class Squares(Dataset):
            def __len__(self):
                return 4
        for batch in DataLoader(Squares(), batch_size=2):
            print(batch)
    """),
    Mistake("samples_of_other_lengths", 2, "DataError", ("(2,)", "(3,)", "collate_fn"),
        "of different shapes", "形状不同",
        "RuntimeError: stack expects each tensor to be equal size, but got [3] at entry 0 and [2] at entry 1", """
        sentences = [danlu.tensor([1, 2, 3]), danlu.tensor([4, 5])]
        for batch in DataLoader(sentences, batch_size=2):
            print(batch)
    """),
    Mistake("none_in_a_batch", 2, "NotStackable", ("NoneType", "collate_fn"),
        "cannot be stacked", "不能堆叠",
        "RuntimeError: Could not infer dtype of NoneType", """
        samples = [(danlu.rand(2), 1), (danlu.rand(2), None)]
        for batch in DataLoader(samples, batch_size=2):
            print(batch)
    """),
    Mistake("batch_size_zero", 1, "DataError", ("batch_size", "0"),
        "an integer above 0", "大于 0 的整数",
        "ValueError: batch_size should be a positive integer value, but got batch_size=0", """
        loader = DataLoader(range(10), batch_size=0)
    """),
    Mistake("batch_size_float", 1, "DataError", ("batch_size", "5.0"),
        "an integer above 0", "大于 0 的整数",
        "ValueError: batch_size should be a positive integer value, but got batch_size=5.0", """
        loader = DataLoader(range(10), batch_size=10 / 2)
    """),
    Mistake("tensors_of_other_lengths", 2, "DataError", ("(10, 2)", "(9,)"),
        "of one length on axis 0", "第 0 轴长度相同",
        "AssertionError: Size mismatch between tensors", """
        x, y = danlu.rand(10, 2), danlu.rand(9)
        dataset = TensorDataset(x, y)
    """),
    Mistake("shuffle_with_sampler", 1, "DataError", ("sampler", "shuffle"),
        "decides the order", "决定",
        "ValueError: sampler option is mutually exclusive with shuffle", """
        loader = DataLoader(range(4), shuffle=True, sampler=[0, 1])
    """),
    Mistake("split_lengths", 1, "DataError", ("[7, 2]",),
        "the data set has 10 samples", "数据集有 10 个样本",
        "ValueError: Sum of input lengths does not equal the length of the input dataset!", """
        parts = random_split(range(10), [7, 2])
    """),
)  # fmt: skip

FILES = (
    Mistake("load_missing", 1, "MissingFileError", ("no_such_model.safetensors",),
        "there is no such file", "没有这个文件",
        "FileNotFoundError: No such file or directory: no_such_model.safetensors", """
        state = danlu.load("no_such_model.safetensors")
    """),
    Mistake("load_misspelt", 2, "MissingFileError", ("'model.safetensors'",),
        "did you mean", "是不是想写",
        "FileNotFoundError: No such file or directory: modle.safetensors", """
        danlu.save({"weight": danlu.rand(3)}, "model.safetensors")
        state = danlu.load("modle.safetensors")
    """),
    Mistake("load_empty", 2, "DataError", ("model.safetensors",),
        "0 bytes are too few", "0 字节不足",
        "SafetensorError: Error while deserializing header: header too small", """
        Path("model.safetensors").write_bytes(b"")
        state = danlu.load("model.safetensors")
    """),
    Mistake("load_cut_off", 4, "DataError", ("model.safetensors", "208", "192"),
        "it is cut off", "被截断了",
        "SafetensorError: Error while deserializing header: header too large", """
        danlu.save({"weight": danlu.rand(100)}, "model.safetensors")
        data = Path("model.safetensors").read_bytes()
        Path("model.safetensors").write_bytes(data[:200])
        state = danlu.load("model.safetensors")
    """),
    Mistake("load_a_pickle", 3, "DataError", ("pickle", "torch.save(model.state_dict(), path)"),
        "would run its code", "会运行其中的代码",
        "UnpicklingError: Weights only load failed. In PyTorch 2.6, we changed the default value of the `weights_only` argument in", """
        import pickle
        Path("model.pt").write_bytes(pickle.dumps({"weight": [1, 2]}))
        state = danlu.load("model.pt")
    """),
    Mistake("save_a_model", 2, "DataError", ("Linear", "danlu.save(x.state_dict(), path)"),
        "cannot save", "不能保存",
        "", """
        model = nn.Linear(2, 1)
        danlu.save(model, "model.safetensors")
    """),
    Mistake("save_a_lambda", 2, "DataError", ("'activation'", "function"),
        "a state holds tensors", "状态由张量",
        "PicklingError: Can't pickle <function <lambda>", """
        state = {"activation": lambda x: x, "step": 3}
        danlu.save(state, "state.safetensors")
    """),
    Mistake("save_to_missing_folder", 1, "DataError", ("no/such/folder/x.safetensors",),
        "choose a folder", "请选择一个可以写入的文件夹",
        "RuntimeError: Parent directory no/such/folder does not exist.", """
        danlu.save(danlu.rand(3), "no/such/folder/x.safetensors")
    """),
    Mistake("pickle_a_tensor", 3, "DanluError", ("danlu.save(x, 'x.safetensors')",),
        "can run any code", "可能运行任意代码",
        "", """
        import pickle
        x = danlu.rand(3)
        text = pickle.dumps(x)
    """),
    Mistake("save_arguments_swapped", 2, "DTypeError", ("danlu.save(state, path)",),
        "the path is Tensor", "路径是 Tensor",
        "AttributeError: expected 'f' to be string, path, or a file-like object with a 'write' attribute", """
        x = danlu.rand(3)
        danlu.save("x.safetensors", x)
    """),
    Mistake("csv_missing", 1, "MissingFileError", ("prices.csv",),
        "there is no such file", "没有这个文件",
        None, """
        table = danlu.data.read_csv("prices.csv")
    """),
    Mistake("csv_of_uneven_rows", 2, "DataError", ("prices.csv",),
        "line 3: 1 fields, expected 2", "应与第一行一样为 2 个",
        None, """
        Path("prices.csv").write_text("rooms,price\\n3,100\\n4\\n")
        table = danlu.data.read_csv("prices.csv")
    """),
    Mistake("csv_empty", 2, "DataError", ("prices.csv",),
        "is empty", "是空的",
        None, """
        Path("prices.csv").write_text("")
        table = danlu.data.read_csv("prices.csv")
    """),
    Mistake("idx_damaged", 2, "DataError", ("images.idx", "00 00 08 03"),
        "is not an IDX file", "不是 IDX 文件",
        None, """
        Path("images.idx").write_bytes(b"<html>404 Not Found</html>")
        images = danlu.data.read_idx("images.idx")
    """),
)  # fmt: skip

NUMBERS = (
    Mistake("loss_is_nan", 5, "NumericError", ("sqrt", "nan", "line 3"),
        "the derivative of sqrt gave nan", "sqrt 的导数",
        "RuntimeError: Function 'SqrtBackward0' returned nan values in its 0th output.", """
        x = danlu.zeros(1, requires_grad=True)
        with danlu.autograd.detect_anomaly():
            y = danlu.sqrt(x)
            loss = (y * 0).sum()
            loss.backward()
    """),
    Mistake("compared_with_nan", 2, "UserWarning", ("x.isnan()",),
        "nothing equals nan", "没有任何数等于 nan",
        "", """
        loss = danlu.tensor(float("nan"))
        if loss == float("nan"):
            print("stop")
    """),
    Mistake("singular_matrix", 2, "LinAlgError", ("danlu.linalg.lstsq",),
        "No inverse exists", "逆矩阵不存在",
        "_LinAlgError: linalg.inv: The diagonal element 2 is zero, the inversion could not be completed because the input matrix is", """
        a = danlu.ones(3, 3)
        b = danlu.linalg.inv(a)
        print(b)
    """),
    Mistake("not_positive_definite", 2, "LinAlgError", ("danlu.linalg.eigvalsh(A)",),
        "not positive definite", "不是正定的",
        "_LinAlgError: linalg.cholesky: The factorization could not be completed because the input is not positive-definite (the", """
        a = danlu.tensor([[1.0, 2.0], [2.0, 1.0]])
        b = danlu.linalg.cholesky(a)
        print(b)
    """),
    Mistake("multinomial_negative", 2, "DataError", ("multinomial",),
        "must be finite and not negative", "必须是有限的非负数",
        "RuntimeError: probability tensor contains either `inf`, `nan` or element < 0", """
        p = danlu.tensor([0.5, -0.5, 1.0])
        i = danlu.multinomial(p, 1)
        print(i)
    """),
)  # fmt: skip
