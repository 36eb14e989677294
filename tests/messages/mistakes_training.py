"""Gradients, layers and optimizers: a part of the table of mistakes (mistakes.py)."""

from __future__ import annotations

from mistake import Mistake

GRADIENTS = (
    Mistake("backward_of_many", 3, "GradientError", ("(3,)", "loss.sum().backward()", "gradient="),
        "only one element can be differentiated by itself", "只有一个元素才能自己求导",
        "RuntimeError: grad can be implicitly created only for scalar outputs", """
        x = danlu.rand(3, requires_grad=True)
        y = x * 2
        y.backward()
    """),
    Mistake("backward_without_requires_grad", 3, "GradientError", ("requires_grad=True",),
        "does not require grad", "不需要梯度",
        "RuntimeError: element 0 of tensors does not require grad and does not have a grad_fn", """
        x = danlu.rand(3)
        loss = (x * 2).sum()
        loss.backward()
    """),
    Mistake("backward_twice", 4, "GradientError", ("loss.backward(retain_graph=True)",),
        "a second time", "第二次反向传播",
        "RuntimeError: Trying to backward through the graph a second time (or directly access saved tensors after they have already", """
        x = danlu.rand(3, requires_grad=True)
        loss = (x * x).sum()
        loss.backward()
        loss.backward()
    """),
    Mistake("backward_inside_no_grad", 4, "GradientError", ("no_grad()",),
        "computed under no_grad()", "在 no_grad() 之下算出",
        "RuntimeError: element 0 of tensors does not require grad and does not have a grad_fn", """
        model = nn.Linear(2, 1)
        with danlu.no_grad():
            loss = model(danlu.rand(4, 2)).mean()
        loss.backward()
    """),
    Mistake("detached_loss", 3, "GradientError", ("detach",),
        "does not require grad", "不需要梯度",
        "RuntimeError: element 0 of tensors does not require grad and does not have a grad_fn", """
        x = danlu.rand(3, requires_grad=True)
        loss = danlu.tensor((x * x).sum().item())
        loss.backward()
    """),
    Mistake("in_place_on_leaf", 2, "GradientError", ("with danlu.no_grad():", "x = x.clone()"),
        "changed in place", "被原地修改了",
        "RuntimeError: a leaf Variable that requires grad is being used in an in-place operation.", """
        w = danlu.rand(3, requires_grad=True)
        w -= 0.1
    """),
    Mistake("assign_into_leaf", 2, "GradientError", ("with danlu.no_grad():",),
        "changed in place", "被原地修改了",
        "RuntimeError: a view of a leaf Variable that requires grad is being used in an in-place operation.", """
        w = danlu.rand(3, requires_grad=True)
        w[0] = 1.0
    """),
    Mistake("update_makes_new_tensor", 5, "GradientError", ("no_grad()",),
        "does not require grad", "不需要梯度",
        "RuntimeError: element 0 of tensors does not require grad and does not have a grad_fn", """
        w = danlu.rand(3, requires_grad=True)
        (w * w).sum().backward()
        with danlu.no_grad():
            w = w - 0.1 * w.grad
        w.sum().backward()
    """),
    Mistake("grad_of_non_leaf", 4, "result", ("None",),
        "", "",
        "UserWarning: The .grad attribute of a Tensor that is not a leaf Tensor is being accessed. Its .grad attribute won't be", """
        w = danlu.rand(3, requires_grad=True)
        h = w * 2
        h.sum().backward()
        print(h.grad)
    """),
    Mistake("numpy_of_grad", 2, "GradientError", ("x.detach().numpy()",),
        "would lose its history", "会丢失它的历史",
        "RuntimeError: Can't call numpy() on Tensor that requires grad. Use tensor.detach().numpy() instead.", """
        w = danlu.rand(3, requires_grad=True)
        array = w.numpy()
    """),
    Mistake("np_function_of_grad", 2, "GradientError", ("x.detach().numpy()",),
        "would lose its history", "会丢失它的历史",
        "RuntimeError: Can't call numpy() on Tensor that requires grad. Use tensor.detach().numpy() instead.", """
        w = danlu.rand(3, requires_grad=True)
        y = np.exp(w)
    """),
    Mistake("autograd_grad_unused", 3, "GradientError", ("allow_unused=True",),
        "was not used in the graph", "没有用在",
        "RuntimeError: The differentiated Tensor at index 0 appears to not have been used in the graph. Set allow_unused=True if", """
        x = danlu.rand(3, requires_grad=True)
        z = danlu.rand(3, requires_grad=True)
        g = danlu.autograd.grad((x * 2).sum(), [z])
    """),
    Mistake("argmax_is_no_derivative", 3, "GradientError", ("argmax",),
        "what has no derivative", "没有导数的运算",
        "RuntimeError: element 0 of tensors does not require grad and does not have a grad_fn", """
        logits = danlu.rand(4, 3, requires_grad=True)
        loss = logits.argmax(dim=1).float().mean()
        loss.backward()
    """),
    Mistake("forgotten_zero_grad", 4, "result", ("tensor([6.])",),
        "", "",
        "", """
        w = danlu.ones(1, requires_grad=True)
        for step in range(2):
            (3 * w).sum().backward()
        print(w.grad)
    """),
    Mistake("requires_grad_of_result", 3, "GradientError", ("requires_grad=False", "x.detach()"),
        "only leaves change it", "只有叶子张量才能改变它",
        "RuntimeError: you can only change requires_grad flags of leaf variables. If you want to use a computed variable in a", """
        x = danlu.rand(3, requires_grad=True)
        y = x * 2
        y.requires_grad = False
    """),
)  # fmt: skip

MODULES = (
    Mistake("no_super_init", 3, "AttributeError", ("'layer'", "super().__init__()"),
        "before Module.__init__() call", "在调用 Module.__init__() 之前",
        "AttributeError: cannot assign module before Module.__init__() call", """
        class Net(nn.Module):
            def __init__(self):
                self.layer = nn.Linear(2, 1)
        model = Net()
    """),
    Mistake("super_init_without_call", 4, "AttributeError", ("'layer'", "super().__init__()"),
        "before Module.__init__() call", "在调用 Module.__init__() 之前",
        "AttributeError: cannot assign module before Module.__init__() call", """
        class Net(nn.Module):
            def __init__(self):
                super().__init__
                self.layer = nn.Linear(2, 1)
        model = Net()
    """),
    Mistake("no_forward", 6, "NotImplementedError", ("Net", "def forward(self, x): ..."),
        "has no forward", "没有 forward",
        "NotImplementedError: Module [Net] is missing the required \"forward\" function", """
        class Net(nn.Module):
            def __init__(self):
                super().__init__()
            def foward(self, x):
                return x
        y = Net()(danlu.rand(2))
    """),
    Mistake("class_instead_of_instance", 1, "DTypeError", ("Sequential",),
        "expected an nn.Module", "应为 nn.Module",
        "TypeError: torch.nn.modules.activation.ReLU is not a Module subclass", """
        model = nn.Sequential(nn.Linear(2, 2), nn.ReLU, nn.Linear(2, 1))
    """),
    Mistake("activation_called_on_data", 2, "DTypeError", ("ReLU", "nn.ReLU(...)(x)"),
        "made first and then called with data", "要先创建，再用数据调用",
        "TypeError: unsupported operand type(s) for +: 'ReLU' and 'int'", """
        x = danlu.rand(3)
        y = nn.ReLU(x)
        print(y + 1)
    """),
    Mistake("function_instead_of_module", 1, "DTypeError", ("function",),
        "a class with forward", "带 forward 的类",
        "TypeError: torch.nn.functional.relu is not a Module subclass", """
        model = nn.Sequential(nn.Linear(2, 2), F.relu)
    """),
    Mistake("list_instead_of_modules", 1, "DTypeError", ("Sequential(*layers)",),
        "for a list", "列表请写",
        "TypeError: list is not a Module subclass", """
        model = nn.Sequential([nn.Linear(2, 2), nn.ReLU()])
    """),
    Mistake("layers_in_plain_list", 7, "UserWarning", ("Net.layers", "self.layers = nn.ModuleList(...)"),
        "neither trained nor saved", "既不会被训练，也不会被保存",
        "", """
        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                self.layers = [nn.Linear(2, 2), nn.Linear(2, 2)]
                self.out = nn.Linear(2, 1)
        model = Net()
        optimizer = danlu.optim.SGD(model.parameters(), lr=0.1)
    """),
    Mistake("tensor_as_parameter", 2, "DTypeError", ("'weight'", "nn.Parameter(value)"),
        "cannot assign Tensor", "不能把 Tensor 赋给",
        "TypeError: cannot assign 'torch.FloatTensor' as parameter 'weight' (torch.nn.Parameter or None expected)", """
        layer = nn.Linear(2, 1)
        layer.weight = danlu.zeros(1, 2)
    """),
    Mistake("integer_parameter", 1, "GradientError", ("int64", "x.float()"),
        "only floating and complex dtypes can require gradients", "只有浮点类型和复数类型才能需要梯度",
        "RuntimeError: Only Tensors of floating point and complex dtype can require gradients", """
        p = nn.Parameter(danlu.tensor([1, 2, 3]))
    """),
    Mistake("missing_attribute", 6, "AttributeError", ("'Net'", "'layer'", "'layer1'"),
        "did you mean", "是不是想写",
        "AttributeError: 'Net' object has no attribute 'layer'", """
        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                self.layer1 = nn.Linear(2, 1)
            def forward(self, x):
                return self.layer(x)
        y = Net()(danlu.rand(2))
    """),
    Mistake("unknown_layer", 1, "AttributeError", ("danlu.nn", "'Liner'", "'Linear'"),
        "did you mean", "是不是想写",
        "AttributeError: module 'torch.nn' has no attribute 'Liner'", """
        layer = nn.Liner(2, 1)
    """),
    Mistake("unknown_function", 1, "AttributeError", ("'sigmod'", "'sigmoid'"),
        "did you mean", "是不是想写",
        "AttributeError: module 'torch' has no attribute 'sigmod'", """
        y = danlu.sigmod(danlu.rand(3))
    """),
    Mistake("unknown_method", 3, "AttributeError", ("'Tensor'", "'sigmod'", "'sigmoid'"),
        "did you mean", "是不是想写",
        "AttributeError: 'Tensor' object has no attribute 'sigmod'", """
        class Net(nn.Module):
            def forward(self, x):
                return x.sigmod()
        y = Net()(danlu.rand(3))
    """),
    Mistake("unknown_functional", 1, "AttributeError", ("'soft_max'", "'softmax'"),
        "did you mean", "是不是想写",
        "AttributeError: module 'torch.nn.functional' has no attribute 'soft_max'", """
        y = F.soft_max(danlu.rand(3), dim=0)
    """),
    Mistake("unknown_optimizer", 1, "AttributeError", ("'Adm'", "'Adam'"),
        "did you mean", "是不是想写",
        "AttributeError: module 'torch.optim' has no attribute 'Adm'", """
        optimizer = danlu.optim.Adm(nn.Linear(2, 1).parameters())
    """),
    Mistake("unknown_keyword", 1, "TypeError", ("Linear", "'in_feature'", "'in_features'"),
        "did you mean", "是不是想写",
        "TypeError: Linear.__init__() got an unexpected keyword argument 'in_feature'", """
        layer = nn.Linear(in_feature=2, out_features=1)
    """),
    Mistake("size_as_float", 2, "DTypeError", ("in_features", "64.0", "n // 2"),
        "expected an integer", "的整数",
        "TypeError: empty(): argument 'size' failed to unpack the object at pos 2 with error \"type must be tuple of ints,but got", """
        hidden = 128 / 2
        layer = nn.Linear(hidden, 10)
    """),
    Mistake("dropout_probability", 1, "DataError", ("Dropout", "50"),
        "a probability from 0 to 1", "0 到 1 之间的概率",
        "ValueError: dropout probability has to be between 0 and 1, but got 50", """
        drop = nn.Dropout(50)
    """),
    Mistake("groups_do_not_divide", 1, "DataError", ("in_channels", "groups"),
        "expected groups that divides in_channels", "groups 应能整除 in_channels",
        "ValueError: in_channels must be divisible by groups", """
        conv = nn.Conv2d(3, 8, 3, groups=2)
    """),
    Mistake("stride_zero", 1, "DataError", ("Conv2d", "stride"),
        "expected an integer ≥ 1", "≥ 1 的整数",
        "RuntimeError: non-positive stride is not supported", """
        conv = nn.Conv2d(1, 8, 3, stride=0)
        y = conv(danlu.rand(1, 1, 8, 8))
    """),
    Mistake("padding_word", 1, "DataError", ("'full'", "'valid'", "'same'"),
        "expected", "应为",
        "ValueError: Invalid padding string 'full', should be one of {'same', 'valid'}", """
        conv = nn.Conv2d(1, 8, 3, padding="full")
    """),
    Mistake("state_of_other_names", 3, "StateError", ("'weight', 'bias'", "'0.weight', '0.bias'", "strict=False"),
        "unexpected keys", "多余的键",
        "RuntimeError: Error(s) in loading state_dict for Linear:", """
        old = nn.Sequential(nn.Linear(2, 2))
        new = nn.Linear(2, 2)
        new.load_state_dict(old.state_dict())
    """),
    Mistake("state_of_other_shapes", 3, "StateError", ("(2, 2)", "(3, 2)"),
        "size mismatch for weight", "weight 的大小不符",
        "RuntimeError: Error(s) in loading state_dict for Linear:", """
        old = nn.Linear(2, 2)
        new = nn.Linear(2, 3)
        new.load_state_dict(old.state_dict())
    """),
    Mistake("load_state_dict_of_path", 2, "DTypeError", ("str",),
        "expects a dict", "的字典",
        "TypeError: Expected state_dict to be dict-like, got <class 'str'>.", """
        model = nn.Linear(2, 2)
        model.load_state_dict("model.pt")
    """),
    Mistake("train_as_text", 2, "DataError", ("'yes'", "True", "False"),
        "expected", "应为",
        "ValueError: training mode is expected to be boolean", """
        model = nn.Linear(2, 2)
        model.train("yes")
    """),
    Mistake("name_with_a_dot", 2, "KeyError", ("'layer.1'",),
        "a name without dots", "不能含有点号",
        "KeyError: 'module name can\\'t contain \".\", got: layer.1'", """
        model = nn.Module()
        model.add_module("layer.1", nn.ReLU())
    """),
    Mistake("eval_without_call", 2, "result", ("True",),
        "", "",
        "", """
        model = nn.Sequential(nn.Linear(2, 2), nn.Dropout(0.5))
        model.eval
        print(model.training)
    """),
)  # fmt: skip

TRAINING = (
    Mistake("optimizer_without_parameters", 2, "DataError", ("model.parameters()",),
        "an empty parameter list", "参数列表是空的",
        "ValueError: optimizer got an empty parameter list", """
        model = nn.ReLU()
        optimizer = danlu.optim.SGD(model.parameters(), lr=0.1)
    """),
    Mistake("generator_used_up", 4, "DataError", ("model.parameters()",),
        "A generator can be read once only", "生成器只能读一次",
        "ValueError: optimizer got an empty parameter list", """
        model = nn.Linear(2, 1)
        parameters = model.parameters()
        print(len(list(parameters)))
        optimizer = danlu.optim.Adam(parameters)
    """),
    Mistake("parameters_without_call", 2, "DTypeError", ("model.parameters()",),
        "params is a method", "params 是 一个方法",
        "TypeError: 'method' object is not iterable", """
        model = nn.Linear(2, 1)
        optimizer = danlu.optim.SGD(model.parameters, lr=0.1)
    """),
    Mistake("model_given_to_optimizer", 2, "DTypeError", ("Linear", "model.parameters()"),
        "expected the tensors to train", "应为要训练的张量",
        "TypeError: 'Linear' object is not iterable", """
        model = nn.Linear(2, 1)
        optimizer = danlu.optim.SGD(model, lr=0.1)
    """),
    Mistake("named_parameters", 2, "DTypeError", ("model.parameters()",),
        "params is a dict", "params 是一个字典",
        "TypeError: optimizer can only optimize Tensors, but one of the params is str", """
        model = nn.Linear(2, 1)
        optimizer = danlu.optim.SGD(dict(model.named_parameters()), lr=0.1)
    """),
    Mistake("learning_rate_keyword", 2, "TypeError", ("'learning_rate'", "'lr'"),
        "did you mean", "是不是想写",
        "TypeError: SGD.__init__() got an unexpected keyword argument 'learning_rate'", """
        model = nn.Linear(2, 1)
        optimizer = danlu.optim.SGD(model.parameters(), learning_rate=0.1)
    """),
    Mistake("learning_rate_as_text", 2, "DTypeError", ("lr", "'0.1'", "str"),
        "expected a number ≥ 0", "应为 ≥ 0 的数",
        "TypeError: '<' not supported between instances of 'str' and 'float'", """
        model = nn.Linear(2, 1)
        optimizer = danlu.optim.SGD(model.parameters(), lr="0.1")
    """),
    Mistake("learning_rate_none", 2, "DTypeError", ("lr", "None"),
        "expected a number ≥ 0", "应为 ≥ 0 的数",
        "TypeError: '<=' not supported between instances of 'float' and 'NoneType'", """
        model = nn.Linear(2, 1)
        optimizer = danlu.optim.Adam(model.parameters(), lr=None)
    """),
    Mistake("learning_rate_negative", 2, "DataError", ("lr", "-0.1"),
        "expected a number ≥ 0", "≥ 0 的数",
        "ValueError: Invalid learning rate: -0.1", """
        model = nn.Linear(2, 1)
        optimizer = danlu.optim.SGD(model.parameters(), lr=-0.1)
    """),
    Mistake("step_before_backward", 4, "UserWarning", ("loss.backward()",),
        "no parameter has a gradient", "没有一个参数有梯度",
        "", """
        model = nn.Linear(2, 1)
        optimizer = danlu.optim.SGD(model.parameters(), lr=0.1)
        loss = model(danlu.rand(4, 2)).mean()
        optimizer.step()
    """),
    Mistake("scheduler_before_optimizer", 4, "result", ("0.1",),
        "", "",
        "UserWarning: Detected call of `lr_scheduler.step()` before `optimizer.step()`. In PyTorch 1.1.0 and later, you should call", """
        model = nn.Linear(2, 1)
        optimizer = danlu.optim.SGD(model.parameters(), lr=0.1)
        scheduler = danlu.optim.lr_scheduler.StepLR(optimizer, 10)
        scheduler.step()
        print(scheduler.get_last_lr())
    """),
    Mistake("scheduler_of_model", 2, "DTypeError", ("StepLR", "Linear", "Optimizer"),
        "expected an Optimizer", "应为 Optimizer",
        "TypeError: Linear is not an Optimizer", """
        model = nn.Linear(2, 1)
        scheduler = danlu.optim.lr_scheduler.StepLR(model, 10)
    """),
    Mistake("result_given_to_optimizer", 2, "NonLeafError", ("(3,)",),
        "can't optimize a non-leaf Tensor", "不能优化",
        "ValueError: can't optimize a non-leaf Tensor", """
        w = danlu.rand(3, requires_grad=True) * 0.1
        optimizer = danlu.optim.SGD([w], lr=0.1)
    """),
    Mistake("betas", 2, "DataError", ("(0.9, 1.0)",),
        "not including 1", "不含 1",
        "ValueError: Invalid beta parameter at index 1: 1.0", """
        model = nn.Linear(2, 1)
        optimizer = danlu.optim.Adam(model.parameters(), betas=(0.9, 1.0))
    """),
)  # fmt: skip
