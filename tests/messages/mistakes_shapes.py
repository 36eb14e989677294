"""Shapes and losses: a part of the table of mistakes (mistakes.py)."""

from __future__ import annotations

from mistake import Mistake

SHAPES = (
    Mistake("matmul_inner_sizes", 3, "ShapeError", ("(32, 784)", "(128, 784)", "a @ b.mT"),
        "cannot be multiplied", "不能相乘",
        "RuntimeError: mat1 and mat2 shapes cannot be multiplied (32x784 and 128x784)", """
        images = danlu.rand(32, 784)
        weight = danlu.rand(128, 784)
        hidden = images @ weight
        print(hidden.shape)
    """),
    Mistake("linear_wrong_features", 3, "ShapeError", ("(28, 28)", "in_features = 784"),
        "expected an input of shape (..., 784)", "输入的形状应为 (..., 784)",
        "RuntimeError: mat1 and mat2 shapes cannot be multiplied (28x28 and 784x128)", """
        layer = nn.Linear(784, 128)
        image = danlu.rand(28, 28)
        print(layer(image))
    """),
    Mistake("linear_swapped", 3, "ShapeError", ("(8, 16)", "(..., 3)", "Linear(in_features=3, out_features=16, bias=True)"),
        "in layer 2", "Sequential 的层 2",
        "RuntimeError: mat1 and mat2 shapes cannot be multiplied (8x16 and 3x16)", """
        model = nn.Sequential(nn.Linear(4, 16), nn.ReLU(), nn.Linear(3, 16))
        x = danlu.rand(8, 4)
        y = model(x)
        print(y)
    """),
    Mistake("conv_then_linear_unflattened", 3, "ShapeError", ("(4, 8, 26, 26)", "x.flatten(1)", "(4, 5408)"),
        "flatten it first", "请先展平",
        "RuntimeError: mat1 and mat2 shapes cannot be multiplied (832x26 and 5408x10)", """
        model = nn.Sequential(nn.Conv2d(1, 8, 3), nn.ReLU(), nn.Linear(8 * 26 * 26, 10))
        x = danlu.rand(4, 1, 28, 28)
        print(model(x).shape)
    """),
    Mistake("broadcast", 3, "ShapeError", ("(3, 4)", "(3,)", "unsqueeze"),
        "cannot be broadcast together", "不能一起广播",
        "RuntimeError: The size of tensor a (4) must match the size of tensor b (3) at non-singleton dimension 1", """
        a = danlu.rand(3, 4)
        b = danlu.rand(3)
        c = a + b
        print(c)
    """),
    Mistake("cat_other_sizes", 3, "ShapeError", ("(2, 4)", "(2, 3)"),
        "all sizes but that of axis 0 must be equal", "除轴 0 外，各轴的大小必须相同",
        "RuntimeError: Sizes of tensors must match except in dimension 0. Expected size 3 but got size 4 for tensor number 1 in the", """
        a = danlu.rand(2, 3)
        b = danlu.rand(2, 4)
        c = danlu.cat([a, b])
        print(c)
    """),
    Mistake("stack_other_shapes", 2, "ShapeError", ("(4,)", "(3,)"),
        "all shapes must be equal", "所有形状必须相同",
        "RuntimeError: stack expects each tensor to be equal size, but got [3] at entry 0 and [4] at entry 1", """
        rows = [danlu.rand(3), danlu.rand(4)]
        batch = danlu.stack(rows)
    """),
    Mistake("cat_without_list", 2, "DTypeError", ("danlu.cat([a, b])",),
        "expected a list of tensors", "应为张量的列表",
        "TypeError: cat(): argument 'tensors' (position 1) must be tuple of Tensors, not Tensor", """
        a, b = danlu.rand(2), danlu.rand(2)
        c = danlu.cat(a, b)
    """),
    Mistake("image_layout", 3, "ShapeError", ("(16, 32, 32, 3)", "(N, C, H, W)", "x.permute(0, 3, 1, 2)"),
        "Its last axis has 3", "它的最后一轴是 3",
        "RuntimeError: Given groups=1, weight of size [8, 3, 3, 3], expected input[16, 32, 32, 3] to have 3 channels, but got 32", """
        conv = nn.Conv2d(3, 8, 3)
        photos = danlu.rand(16, 32, 32, 3)
        y = conv(photos)
    """),
    Mistake("grey_image_without_channel", 3, "ShapeError", ("x.unsqueeze(1)",),
        "images without an axis of channels", "图像若没有通道轴",
        "RuntimeError: Given groups=1, weight of size [8, 1, 3, 3], expected input[1, 16, 28, 28] to have 1 channels, but got 16", """
        conv = nn.Conv2d(1, 8, 3)
        digits = danlu.rand(16, 28, 28)
        y = conv(digits)
    """),
    Mistake("kernel_larger_than_input", 3, "ShapeError", ("(3, 3)", "(5, 5)"),
        "a larger padding or a smaller kernel", "更大的填充或更小的卷积核",
        "RuntimeError: Calculated padded input size per channel: (3 x 3). Kernel size: (5 x 5). Kernel size can't be greater than", """
        conv = nn.Conv2d(1, 8, 5)
        small = danlu.rand(2, 1, 3, 3)
        y = conv(small)
    """),
    Mistake("pooled_away", 3, "ShapeError", ("max_pool2d", "(1, 1)", "(2, 2)"),
        "at least as large as the window", "至少应与窗口一样大",
        "RuntimeError: Given input size: (4x1x1). Calculated output size: (4x0x0). Output size is too small", """
        pool = nn.MaxPool2d(2)
        x = danlu.rand(1, 4, 1, 1)
        y = pool(x)
    """),
    Mistake("view_size", 2, "ShapeError", ("(4, 6)", "(4, 5)", "-1"),
        "cannot become", "不能变为",
        "RuntimeError: shape '[4, 5]' is invalid for input of size 24", """
        x = danlu.rand(4, 6)
        y = x.view(4, 5)
    """),
    Mistake("view_two_unknown", 2, "ShapeError", ("(-1, -1)",),
        "one size may be -1", "可以有一个大小为 -1",
        "RuntimeError: only one dimension can be inferred", """
        x = danlu.rand(4, 6)
        y = x.view(-1, -1)
    """),
    Mistake("view_of_transposed", 2, "result", ("Size([24])",),
        "", "",
        "RuntimeError: view size is not compatible with input tensor's size and stride (at least one dimension spans across two", """
        x = danlu.rand(4, 6)
        y = x.t().view(24)
        print(y.shape)
    """),
    Mistake("axis_out_of_range", 2, "AxisError", ("softmax", "-2 … 1"),
        "axis 2 of a 2-d tensor", "2 维张量没有轴 2",
        "IndexError: Dimension out of range (expected to be in range of [-2, 1], but got 2)", """
        logits = danlu.rand(8, 10)
        y = logits.softmax(dim=2)
        print(y)
    """),
    Mistake("sum_axis", 2, "AxisError", ("sum", "-1 … 0"),
        "axis 1 of a 1-d tensor", "1 维张量没有轴 1",
        "IndexError: Dimension out of range (expected to be in range of [-1, 0], but got 1)", """
        x = danlu.rand(5)
        y = x.sum(dim=1)
    """),
    Mistake("item_of_many", 2, "ShapeError", ("(4,)", "x.tolist()"),
        "only one element becomes a Python number", "只有一个元素才能变成 Python 的数",
        "RuntimeError: a Tensor with 4 elements cannot be converted to Scalar", """
        losses = danlu.rand(4)
        print(losses.item())
    """),
    Mistake("truth_of_many", 2, "ShapeError", ("(3,)", "x.any()", "x.all()"),
        "ambiguous", "不明确",
        "RuntimeError: Boolean value of Tensor with more than one value is ambiguous", """
        x = danlu.rand(3)
        if x > 0:
            print("positive")
    """),
    Mistake("permute_missing_axis", 2, "ShapeError", ("(2, 0, 1)", "(8, 3, 32, 32)"),
        "each axis must occur once", "每个轴必须恰好出现一次",
        "RuntimeError: permute(sparse_coo): number of dimensions in the tensor input does not match the length of the desired", """
        images = danlu.rand(8, 3, 32, 32)
        images = images.permute(2, 0, 1)
    """),
    Mistake("expand_wrong", 2, "ShapeError", ("(3, 4)", "(3, 8)"),
        "only axes of size 1 stretch", "只有大小为 1 的轴可以扩展",
        "RuntimeError: The expanded size of the tensor (8) must match the existing size (4) at non-singleton dimension 1.  Target", """
        x = danlu.rand(3, 4)
        y = x.expand(3, 8)
    """),
    Mistake("transpose_vector_of_batch", 2, "ShapeError", ("(8, 4, 3)", "x.mT", "x.transpose(dim0, dim1)"),
        "at most 2 axes", "至多用于 2 个轴",
        "RuntimeError: t() expects a tensor with <= 2 dimensions, but self is 3D", """
        x = danlu.rand(8, 4, 3)
        y = x.t()
    """),
    Mistake("negative_size", 2, "ShapeError", ("(-2, 2)",),
        "negative size", "负的大小",
        "RuntimeError: zeros: Dimension size must be non-negative.", """
        n = 3 - 5
        x = danlu.zeros(n, 2)
    """),
    Mistake("batchnorm_wrong_features", 3, "ShapeError", ("(8, 32)", "(N, 16)"),
        "expected", "应为",
        "RuntimeError: running_mean should contain 32 elements not 16", """
        norm = nn.BatchNorm1d(16)
        x = danlu.rand(8, 32)
        y = norm(x)
    """),
    Mistake("batchnorm_one_sample", 3, "ShapeError", ("(1, 4)", "DataLoader(drop_last=True)", "model.eval()"),
        "more than 1 value per channel", "多于 1 个值",
        "ValueError: Expected more than 1 value per channel when training, got input size torch.Size([1, 4])", """
        norm = nn.BatchNorm1d(4)
        x = danlu.rand(1, 4)
        y = norm(x)
        print(y)
    """),
    Mistake("layernorm_shape", 3, "ShapeError", ("(8, 32)", "(..., 64)"),
        "expected", "应为",
        "RuntimeError: Given normalized_shape=[64], expected input with shape [*, 64], but got input of size[8, 32]", """
        norm = nn.LayerNorm(64)
        x = danlu.rand(8, 32)
        y = norm(x)
    """),
    Mistake("gather_rank", 3, "ShapeError", ("(4,)", "(4, 10)"),
        "the same number of axes", "轴数应相同",
        "RuntimeError: Index tensor must have the same number of dimensions as input tensor", """
        logits = danlu.rand(4, 10)
        labels = danlu.tensor([1, 2, 3, 4])
        picked = logits.gather(1, labels)
    """),
    Mistake("split_sizes", 2, "ShapeError", ("[8, 1]",),
        "add up to 9; axis 0 has 10", "总和为 9；轴 0 的大小为 10",
        "RuntimeError: split_with_sizes expects split_sizes to sum exactly to 10 (input tensor's size at dimension 0), but got", """
        x = danlu.rand(10, 3)
        a, b = danlu.split(x, [8, 1])
    """),
    Mistake("dot_of_matrices", 2, "ShapeError", ("danlu.matmul",),
        "expected two vectors", "应为两个长度相同的向量",
        "RuntimeError: 1D tensors expected, but got 2D and 2D tensors", """
        a, b = danlu.rand(2, 3), danlu.rand(2, 3)
        c = danlu.dot(a, b)
    """),
    Mistake("einsum_letters", 2, "ShapeError", ("'ij,jk->ik'", "'j'"),
        "has sizes 3 and 4", "大小为 3 和 4",
        "RuntimeError: einsum(): subscript j has size 4 for operand 1 which does not broadcast with previously seen size 3", """
        a, b = danlu.rand(2, 3), danlu.rand(4, 5)
        c = danlu.einsum("ij,jk->ik", a, b)
    """),
    Mistake("squeezed_batch", 2, "result", ("Size([3, 4])",),
        "", "",
        "", """
        batch = danlu.rand(1, 3, 4)
        rows = batch.squeeze()
        print(rows.shape)
    """),
)  # fmt: skip

LOSSES = (
    Mistake("mse_column_against_vector", 3, "UserWarning", ("(8, 1)", "(8,)", "(8, 8)", "target.reshape((8, 1))"),
        "rarely meant", "很少是本意",
        "UserWarning: Using a target size (torch.Size([8])) that is different to the input size (torch.Size([8, 1])). This will", """
        prediction = danlu.rand(8, 1, requires_grad=True)
        target = danlu.rand(8)
        loss = F.mse_loss(prediction, target)
        loss.backward()
    """),
    Mistake("l1_column_against_vector", 3, "UserWarning", ("(8, 1)", "(8,)", "(8, 8)"),
        "rarely meant", "很少是本意",
        "UserWarning: Using a target size (torch.Size([8])) that is different to the input size (torch.Size([8, 1])). This will", """
        model = nn.Linear(3, 1)
        x, y = danlu.rand(8, 3), danlu.rand(8)
        loss = nn.L1Loss()(model(x), y)
    """),
    Mistake("bce_shapes", 3, "ShapeError", ("(8, 1)", "target.reshape((8, 1))"),
        "expected equal shapes", "两者应相同",
        "ValueError: Using a target size (torch.Size([8])) that is different to the input size (torch.Size([8, 1])) is deprecated.", """
        prediction = danlu.rand(8, 1)
        target = danlu.ones(8)
        loss = F.binary_cross_entropy(prediction, target)
    """),
    Mistake("float_class_labels", 3, "DTypeError", ("float32", "target.long()"),
        "class indices of an integer dtype", "整数类型的类别下标",
        "RuntimeError: expected target dtype to be Long or Byte, but got Float", """
        logits = danlu.rand(4, 3)
        labels = danlu.tensor([0.0, 1.0, 2.0, 1.0])
        loss = F.cross_entropy(logits, labels)
        print(loss)
    """),
    Mistake("labels_as_column", 3, "ShapeError", ("(4, 1)", "target.squeeze(-1)"),
        "expected class indices of shape (4,)", "应为形状为 (4,) 的类别下标",
        "RuntimeError: 0D or 1D target tensor expected, multi-target not supported", """
        logits = danlu.rand(4, 3)
        labels = danlu.tensor([[0], [1], [2], [1]])
        loss = F.cross_entropy(logits, labels)
    """),
    Mistake("more_labels_than_rows", 3, "ShapeError", ("(4, 3)", "(3,)"),
        "the batch sizes 4", "批量大小 4",
        "ValueError: Expected input batch_size (4) to match target batch_size (3).", """
        logits = danlu.rand(4, 3)
        labels = danlu.tensor([0, 1, 2])
        loss = F.cross_entropy(logits, labels)
    """),
    Mistake("class_out_of_range", 3, "AxisError", ("0 … 2",),
        "class 3 of the target is out of range", "目标中的类别 3 越界",
        "IndexError: Target 3 is out of bounds.", """
        logits = danlu.rand(4, 3)
        labels = danlu.tensor([1, 2, 3, 1])
        loss = F.cross_entropy(logits, labels)
        print(loss.item())
    """),
    Mistake("negative_class", 3, "AxisError", ("0 … 2",),
        "class -1 of the target is out of range", "目标中的类别 -1 越界",
        "IndexError: Target -1 is out of bounds.", """
        logits = danlu.rand(4, 3)
        labels = danlu.tensor([0, -1, 2, 1])
        loss = F.cross_entropy(logits, labels)
        print(loss.item())
    """),
    Mistake("cross_entropy_of_probabilities", 4, "UserWarning", ("softmax",),
        "which this loss applies itself", "这个损失自己会做 softmax",
        "", """
        logits = danlu.randn(4, 3)
        labels = danlu.tensor([0, 1, 2, 1])
        probabilities = danlu.softmax(logits, dim=1)
        loss = nn.CrossEntropyLoss()(probabilities, labels)
    """),
    Mistake("softmax_layer_before_cross_entropy", 3, "UserWarning", ("softmax",),
        "Leave softmax out of the model", "请从模型中去掉 softmax",
        "", """
        model = nn.Sequential(nn.Linear(4, 3), nn.Softmax(dim=1))
        x, labels = danlu.rand(4, 4), danlu.tensor([0, 1, 2, 1])
        loss = nn.CrossEntropyLoss()(model(x), labels)
    """),
    Mistake("sigmoid_before_bce_with_logits", 3, "UserWarning", ("sigmoid", "binary_cross_entropy"),
        "which this loss applies itself", "这个损失自己会做 sigmoid",
        "", """
        model = nn.Sequential(nn.Linear(4, 1), nn.Sigmoid())
        x, y = danlu.rand(8, 4), danlu.ones(8, 1)
        loss = nn.BCEWithLogitsLoss()(model(x), y)
    """),
    Mistake("nll_of_probabilities", 3, "UserWarning", ("log_softmax",),
        "expected logarithms of probabilities", "应为概率的对数",
        "", """
        logits = danlu.randn(4, 3)
        labels = danlu.tensor([0, 1, 2, 1])
        loss = F.nll_loss(danlu.softmax(logits, dim=1), labels)
    """),
    Mistake("integer_targets_of_mse", 3, "result", ("2.5",),
        "", "",
        "", """
        prediction = danlu.ones(4, requires_grad=True)
        target = danlu.tensor([2, 1, 4, 1])
        loss = F.mse_loss(prediction, target)
        print(loss.item())
    """),
    Mistake("integer_targets_of_bce", 3, "result", ("0.6931",),
        "", "",
        "RuntimeError: result type Float can't be cast to the desired output type Long", """
        logits = danlu.zeros(4)
        target = danlu.tensor([1, 0, 1, 0])
        loss = F.binary_cross_entropy_with_logits(logits, target)
        print(loss.item())
    """),
    Mistake("bce_of_logits", 3, "DataError", ("danlu.sigmoid(x)", "binary_cross_entropy_with_logits(x, target)"),
        "elements outside 0 … 1", "0 … 1 之外的元素",
        "RuntimeError: all elements of input should be between 0 and 1", """
        logits = danlu.tensor([2.5, -1.0])
        target = danlu.tensor([1.0, 0.0])
        loss = F.binary_cross_entropy(logits, target)
        print(loss.item())
    """),
    Mistake("wrong_reduction", 1, "DataError", ("MSELoss", "'avg'", "'mean'", "'sum'", "'none'"),
        "expected", "应为",
        "ValueError: avg is not a valid value for reduction", """
        loss = nn.MSELoss(reduction="avg")
        value = loss(danlu.rand(3), danlu.rand(3))
    """),
    Mistake("label_smoothing_range", 2, "DataError", ("label_smoothing", "1.5"),
        "a probability from 0 to 1", "0 到 1 之间的概率",
        "RuntimeError: label_smoothing must be between 0.0 and 1.0. Got: 1.5", """
        loss = nn.CrossEntropyLoss(label_smoothing=1.5)
        value = loss(danlu.rand(4, 3), danlu.tensor([0, 1, 2, 1]))
    """),
    Mistake("loss_made_with_the_data", 2, "DTypeError", ("MSELoss", "nn.MSELoss(...)(x)"),
        "made first and then called with data", "要先创建，再用数据调用",
        "RuntimeError: Boolean value of Tensor with more than one value is ambiguous", """
        prediction, target = danlu.rand(4), danlu.rand(4)
        loss = nn.MSELoss(prediction, target)
        loss.backward()
    """),
    Mistake("class_weights_count", 3, "ShapeError", ("(2,)", "(3,)"),
        "one per class", "每个类别一个",
        "RuntimeError: weight tensor should be defined either for all 3 classes or no classes but got weight tensor of shape: [2]", """
        weights = danlu.ones(2)
        criterion = nn.CrossEntropyLoss(weight=weights)
        loss = criterion(danlu.rand(4, 3), danlu.tensor([0, 1, 2, 1]))
    """),
    Mistake("targets_as_list", 2, "DTypeError", ("list", "danlu.tensor(target)"),
        "expected a tensor", "应为张量",
        "TypeError: cross_entropy_loss(): argument 'target' (position 2) must be Tensor, not list", """
        criterion = nn.CrossEntropyLoss()
        loss = criterion(danlu.rand(2, 3), [0, 2])
    """),
    Mistake("one_hot_too_few", 2, "DataError", ("num_classes=2", "num_classes ≥ 3"),
        "class 2", "类别 2",
        "RuntimeError: Class values must be smaller than num_classes.", """
        labels = danlu.tensor([0, 1, 2])
        y = F.one_hot(labels, num_classes=2)
        print(y)
    """),
    Mistake("one_hot_of_floats", 2, "DTypeError", ("float32", "input.long()"),
        "expected int64", "应为 int64",
        "RuntimeError: one_hot is only applicable to index tensor of type LongTensor.", """
        labels = danlu.tensor([0.0, 1.0, 2.0])
        y = F.one_hot(labels)
    """),
)  # fmt: skip
