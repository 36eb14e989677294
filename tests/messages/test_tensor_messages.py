"""Every `raise` of the tensor files: its text, and that the user's own line is the one to blame."""

from __future__ import annotations

import ast
import copy
import operator
import pickle
import traceback
from pathlib import Path

import numpy as np
import pytest
from test_surface_messages import REFUSALS

import danlu
from danlu import AxisError, DanluError, DataError, DTypeError, ExchangeError, GradientError, ShapeError
from danlu.config import config
from danlu.tensor.exchange import CopyNeeded

PACKAGE = Path(danlu.__file__).parent
FILES = [
    # the messages of products.py have their cases in tests/linalg/test_messages.py
    *sorted(path for path in (PACKAGE / "tensor").glob("*.py") if path.name != "products.py"),
    *(PACKAGE / f"{name}.py" for name in ("random", "functions")),
]

m = danlu.ones(2, 3)
v = danlu.arange(3)
s = danlu.tensor(1.0)
w = danlu.ones(2, requires_grad=True)
h = w * 2


class Elsewhere:
    """An array on a GPU, as DLPack sees it."""

    def __dlpack__(self, **given):
        """Never called."""

    def __dlpack_device__(self):
        return 2, 0


def twice():
    x = danlu.ones(2, requires_grad=True)
    loss = (x * x).sum()
    loss.backward()
    loss.backward()


# (call, exception, text): each call stands on a line of its own.
def hooked(returned):
    """A backward pass through a tensor whose hook returns this."""
    x = danlu.ones(2, requires_grad=True)
    x.register_hook(lambda g: returned)
    return (x * 2).sum()


CASES = [
    (
        lambda: danlu.set_printoptions(profile="long"),
        DataError,
        "set_printoptions: profile is 'long'; expected 'default', 'short' or",
    ),
    (lambda: (danlu.ones(2, requires_grad=True) * 2)[0].detach_(), GradientError, "detach_ of a view, whose history is that of"),
    (
        lambda: danlu.set_rng_state(danlu.zeros(3)),
        DataError,
        "set_rng_state: the state has shape (3,) and dtype float32; expected what",
    ),
    (lambda: danlu.normal(0.0, -1.0, (2,)), DataError, "normal: std is -1.0; expected 0 or more"),
    (
        lambda: danlu.exp(danlu.ones(3), out=danlu.empty(2, 3)),
        ShapeError,
        "out= has shape (2, 3), and the result (3,); give one of that",
    ),
    (lambda: danlu.Tensor("one"), DTypeError, "Tensor(str): expected sizes or numbers; write danlu.tensor(data)"),
    (lambda: danlu.Tensor([1], 2), DTypeError, "Tensor(list, …): give sizes, or data alone; danlu.tensor(data, dtype=...)"),
    (
        lambda: danlu.ones(1, 2, requires_grad=True).t_(),
        GradientError,
        "the shape of a leaf tensor that requires grad is changed in place",
    ),
    (
        lambda: m.__array__(np.float64, False),
        DTypeError,
        "a view of a float32 tensor as NumPy's float64 needs a copy; leave copy=False out",
    ),
    (
        lambda: m.bfloat16().__dlpack__(),
        ExchangeError,
        "__dlpack__ of a bfloat16 tensor: it goes through NumPy, which has no such dtype; write x.float()",
    ),
    (
        lambda: m.bfloat16().numpy(),
        DTypeError,
        "numpy() of a bfloat16 tensor: NumPy has no such dtype; write x.float().numpy()",
    ),
    (lambda: w.__dlpack__(), ExchangeError, "a tensor that requires grad is not handed to another library; write x.detach()"),
    (
        lambda: m.__dlpack__(stream=1),
        ExchangeError,
        "__dlpack__ with stream=1, dl_device=None: the memory is the CPU's; leave both out",
    ),
    (
        lambda: m.__array_namespace__(api_version="1.0"),
        ExchangeError,
        "api_version='1.0' of the array API standard; danlu has 2024.12",
    ),
    (lambda: danlu.asarray([1], copy=False), CopyNeeded, "asarray with copy=False of a list needs a copy; leave copy=False out"),
    (
        lambda: danlu.asarray(np.array(["a"])),
        DTypeError,
        "ndarray holds NumPy's dtype <U1; expected numbers: select columns, or convert them",
    ),
    (
        lambda: danlu.from_dlpack([1]),
        ExchangeError,
        "from_dlpack of list, which has no __dlpack__; write danlu.tensor(...) or danlu.asarray(...)",
    ),
    (
        lambda: danlu.from_dlpack(Elsewhere()),
        ExchangeError,
        "from_dlpack: the array is not in the memory of the CPU; move it there first",
    ),
    (lambda: danlu.ones(1).imag, DTypeError, "imag of a tensor of dtype float32; only complex tensors have an imaginary part"),
    (lambda: danlu.ones(1, 1, 1).cfloat().H, ShapeError, "x.H of shape (1, 1, 1): expected a matrix; write x.mH"),
    (
        lambda: danlu.tensor([1j], requires_grad=True).sum().backward(),
        GradientError,
        "backward of a complex64 without a gradient: only a real number can be differentiated by itself",
    ),
    (
        lambda: danlu.polar(danlu.ones(1), danlu.ones(1).double()),
        DTypeError,
        "polar: the parts are float32 and float64; expected two of float32 or two of float64: write x.float()",
    ),
    (lambda: danlu.empty(2).exponential_(0.0), DataError, "exponential_: lambd=0.0; expected a rate above 0"),
    (lambda: danlu.empty(2).geometric_(1.0), DataError, "geometric_: p=1.0; expected a probability between 0 and 1"),
    (lambda: danlu.empty(2).cauchy_(0.0, -1.0), DataError, "cauchy_: sigma=-1.0; expected a width above 0"),
    (lambda: danlu.empty(2).log_normal_(0.0, 0.0), DataError, "log_normal_: std=0.0; expected a standard deviation above 0"),
    (
        lambda: danlu.empty(2).random_(3, 3),
        DataError,
        "random_: from 3 to 3; expected random_(), random_(to) or random_(from, to)",
    ),
    (lambda: danlu.empty(2).random_(2**40), DataError, "random_: from 0 to 1099511627776; expected at most 2**32 numbers"),
    (
        lambda: m.register_hook(print),
        GradientError,
        "register_hook on a tensor that does not require grad: no gradient would come.",
    ),
    (lambda: m.register_post_accumulate_grad_hook(print), GradientError, "post accumulate grad hooks cannot be registered"),
    (
        lambda: hooked(1).backward(),
        GradientError,
        "a hook of a tensor returned int; expected the new gradient as a tensor, or None",
    ),
    (
        lambda: hooked(danlu.ones(3)).backward(),
        GradientError,
        "a hook of a tensor returned a gradient of shape (3,); expected (2,)",
    ),
    (lambda: w.sum().backward(inputs=[]), GradientError, "backward: inputs= is empty; leave it out for all leaves"),
    (lambda: w.numpy(), GradientError, "numpy() on a tensor that requires grad would lose its history; write x.detach().numpy()"),
    (
        lambda: np.asarray(w),
        GradientError,
        "numpy() on a tensor that requires grad would lose its history; write x.detach().numpy()",
    ),
    (
        lambda: m.item(),
        ShapeError,
        "item() of a tensor of shape (2, 3): only one element becomes a Python number. Write x.tolist()",
    ),
    (lambda: operator.index(s), DTypeError, "a tensor of dtype float32 is used as an index; only integers can be: write int(x)"),
    (lambda: bool(m), ShapeError, "the truth of a tensor of shape (2, 3) is ambiguous; write x.any() or x.all()"),
    (lambda: len(s), DTypeError, "len() of a 0-d tensor; it has no axis"),
    (lambda: list(s), DTypeError, "iteration over a 0-d tensor; it has no axis"),
    (
        lambda: pickle.dumps(m),
        DanluError,
        "a tensor is not pickled: reading a pickle can run any code. Write danlu.save(x, 'x.safetensors')",
    ),
    (lambda: copy.deepcopy(h), GradientError, "only leaves are deep-copied: a copy of this tensor would lose its history"),
    (lambda: danlu.tensor([[1], [2, 3]]), ShapeError, "the nested lists are ragged: lists on one level have different lengths"),
    (lambda: danlu.tensor("abc"), DTypeError, "danlu.tensor of str gives NumPy dtype <U3; expected numbers"),
    (lambda: m.div(2, rounding_mode="up"), DTypeError, "div: rounding_mode='up'; expected None, 'trunc' or 'floor'"),
    (lambda: m.clamp(), DTypeError, "clamp without bounds; give min, max or both"),
    (lambda: m.masked_fill(m > 0, m), ShapeError, "masked_fill: value has shape (2, 3); expected a number or a 0-d tensor"),
    (
        lambda: m.clone().fill_(m),
        ShapeError,
        "fill_: value has shape (2, 3); expected a number or a 0-d tensor. Write x.copy_(value)",
    ),
    (
        lambda: danlu.zeros(2, device="cuda"),
        DTypeError,
        "device 'cuda' is not available: danlu runs on the CPU. Leave device out",
    ),
    (
        lambda: w.add_(1),
        GradientError,
        "a leaf tensor that requires grad is changed in place: its own gradient would be lost. Write it inside",
    ),
    (
        lambda: m.expand(4, 2, 3).zero_(),
        ShapeError,
        "an expanded tensor is written in place: several of its elements are one place",
    ),
    (
        lambda: h.requires_grad_(False),
        GradientError,
        "requires_grad=False on a tensor that was computed from others; only leaves",
    ),
    (
        lambda: v.requires_grad_(),
        GradientError,
        "only floating and complex dtypes can require gradients; this tensor is int64. Write x.float() first",
    ),
    (lambda: m.retain_grad(), GradientError, "retain_grad on a tensor that does not require grad; set requires_grad=True on"),
    (lambda: setattr(m[0], "data", m[1]), GradientError, "x.data = … on a view; assign to the tensor it looks at"),
    (
        lambda: v.clone().add_(0.5),
        DTypeError,
        "result type float32 can't be cast to the desired output type int64; write x = x.float() first",
    ),
    (
        lambda: h.backward(),
        GradientError,
        "backward of a tensor of shape (2,) without a gradient: only one element can be differentiated",
    ),
    (lambda: h.backward(danlu.ones(3)), GradientError, "gradient= has shape (3,); expected that of the tensor, (2,)"),
    (
        lambda: s.backward(),
        GradientError,
        "backward of a tensor that does not require grad: no tensor that it was computed from has",
    ),
    (
        lambda: twice(),
        GradientError,
        "backward through the same graph a second time: what it needs was let go after the first. Compute",
    ),
    (lambda: m.add("one"), DTypeError, "add takes tensors and numbers, got str; write danlu.tensor(...) around it"),
    (lambda: m[0, 0, 0], AxisError, "too many indices: 3 for a tensor with 2 axes"),
    (lambda: m[..., ...], AxisError, "an index may hold one `...` only"),
    (lambda: m[m[0]], AxisError, "an index tensor has dtype float32; indices are integers or bools: write index.long()"),
    (
        lambda: m[v.byte()],
        DTypeError,
        "an index tensor has dtype uint8, which is a mask to some and a position to others: write x.bool()",
    ),
    (lambda: m["one"], AxisError, "an index may be an integer, a slice, `...`, None or a tensor; got str"),
    (lambda: m[::-1], AxisError, "a slice with a negative step is not supported, as in PyTorch; write x.flip(dim)"),
    (lambda: m[2], AxisError, "index 2 is out of range for an axis of size 2; expected -2 … 1 (axis 0 of shape (2, 3))"),
    (lambda: m[v > 0], AxisError, "the mask has shape (3,); the axes it indexes, from axis 0 on, have (2,). They must be equal"),
    (
        lambda: m.reshape(-1, -1),
        ShapeError,
        "reshape: shape (-1, -1) is not possible: one size may be -1, the others must not be negative",
    ),
    (lambda: m.reshape(4, -1), ShapeError, "reshape: 6 elements do not fill shape (4, -1): 6 is no multiple of 4"),
    (lambda: m.view(danlu.int32), DTypeError, "view(dtype) is not supported; x.to(dtype) converts the values"),
    (
        lambda: m[None].t(),
        ShapeError,
        "t() takes at most 2 axes, the tensor has shape (1, 2, 3); write x.mT or x.transpose(dim0, dim1)",
    ),
    (lambda: v.mT, ShapeError, "mT needs at least 2 axes, the tensor has shape (3,)"),
    (lambda: m.expand(3), ShapeError, "expand: 1 sizes (3,) for a tensor of 2 axes, shape (2, 3); give at least as many"),
    (lambda: m.flatten(1, 0), ShapeError, "flatten: start_dim 1 comes after end_dim 0 of shape (2, 3); exchange them"),
    (lambda: m.repeat(2), ShapeError, "repeat: (2,) for a tensor of shape (2, 3); expected a count of 0 or more"),
    (lambda: v.repeat(-1), ShapeError, "repeat: (-1,) for a tensor of shape (3,); expected a count of 0 or more"),
    (lambda: m.narrow(0, 1, 2), ShapeError, "narrow: 1 … 3 is not inside axis 0 of size 2"),
    (lambda: v.split(0), ShapeError, "split: pieces of size 0 do not fill axis 0 of size 3; expected 1 or more"),
    (lambda: v.split([1, 1]), ShapeError, "split: sizes [1, 1] add up to 2; axis 0 has 3"),
    (lambda: v.chunk(0), ShapeError, "chunk: 0 pieces of a tensor of shape (3,); expected 1 or more, and an axis"),
    (lambda: v.tril(), ShapeError, "tril needs at least 2 axes, the tensor has shape (3,)"),
    (lambda: v.diagonal(), ShapeError, "diagonal needs at least 2 axes, the tensor has shape (3,)"),
    (
        lambda: v.mean(),
        DTypeError,
        "mean(): could not infer output dtype: the tensor is int64, a mean is a float. Write x.float().mean()",
    ),
    (
        lambda: v.norm(),
        DTypeError,
        "norm: the input has dtype int64; a norm is a float: write x.float(), or pass dtype=danlu.float32",
    ),
    (
        lambda: m.mm(m[0]),
        ShapeError,
        "mm: got shapes (2, 3) and (3,); expected two matrices, (n, k) and (k, m); danlu.matmul takes other shapes",
    ),
    (
        lambda: m.dot(m),
        ShapeError,
        "dot: got shapes (2, 3) and (2, 3); expected two vectors of one length; danlu.matmul takes matrices",
    ),
    (
        lambda: danlu.set_default_dtype(danlu.int64),
        DTypeError,
        "set_default_dtype: int64 is not floating; expected float16, bfloat16, float32 or float64",
    ),
    (lambda: danlu.zeros(2, -3), ShapeError, "full: shape (2, -3) has a negative size; sizes are 0 or more"),
    (
        lambda: danlu.arange(0, 5, -1),
        ShapeError,
        "arange: from 0 to 5 in steps of -1 is not possible; the step must lead from the start",
    ),
    (
        lambda: danlu.from_numpy([1]),
        DTypeError,
        "from_numpy expected a NumPy array, got list; danlu.tensor takes lists and numbers",
    ),
    (lambda: danlu.cat([]), ShapeError, "cat of an empty list of tensors; expected at least one"),
    (lambda: danlu.cat([s, s]), ShapeError, "cat: a 0-d tensor has no axis to be joined along; use danlu.stack"),
    (
        lambda: danlu.cat(m, m),
        DTypeError,
        "cat: the first argument is one tensor; expected a list of tensors: write danlu.cat([a, b])",
    ),
    (lambda: danlu.rand(5 / 2), DTypeError, "sizes are (2.5,); expected integers: write int(n), or n // 2 instead of n / 2"),
    (lambda: danlu.randint(0, 9, 3), DTypeError, "randint: size is 3; expected a tuple of sizes: write (3,)"),
    (lambda: danlu.stack([]), ShapeError, "stack of an empty list of tensors; expected at least one"),
    (lambda: danlu.stack([m, m[0]]), ShapeError, "stack: tensor 1 has shape (3,), tensor 0 has (2, 3); all shapes must be equal"),
    (
        lambda: danlu.where(m > 0, 1.0),
        DTypeError,
        "where was given one of two choices; write where(condition, x, y), or where(condition)",
    ),
    (lambda: danlu.rand(2, -1), DataError, "random numbers of shape (2, -1): sizes must not be negative"),
    (lambda: v.clone().normal_(), DTypeError, "normal_ on a tensor of dtype int64; expected a floating dtype"),
    # checked by the records of ops, on the user's line all the same
    (lambda: m + danlu.ones(2), ShapeError, "add: shapes (2, 3) and (2,) cannot be broadcast together: axis 1 has sizes 2 and 3"),
    (lambda: m @ m, ShapeError, "matmul: shapes (2, 3) and (2, 3) cannot be multiplied"),
    (lambda: m.sum(2), AxisError, "sum: Dimension out of range: axis 2 of a 2-d tensor; expected one of -2 … 1"),
    (lambda: m.size(2), AxisError, "size: Dimension out of range: axis 2 of a 2-d tensor; expected one of -2 … 1"),
    (lambda: m.permute(0, 0), ShapeError, "permute: dims (0, 0) are no ordering of the 2 axes of shape (2, 3)"),
    (lambda: m[danlu.tensor([2])].sum().item(), AxisError, "index 2 is out of range for an axis of size 2; expected -2 … 1"),
]


def raised(call) -> BaseException:
    with pytest.raises(DanluError) as caught:
        call()
    return caught.value


@pytest.mark.parametrize("number", range(len(CASES)))
def test_a_message(number):
    call, kind, text = CASES[number]
    error = raised(call)
    assert type(error) is kind
    assert str(error).startswith(text)
    frames = traceback.extract_tb(error.__traceback__)
    own = [f.lineno for f in frames if f.filename == __file__]
    line = twice.__code__.co_firstlineno + 4 if call.__code__.co_names == ("twice",) else call.__code__.co_firstlineno
    assert own[-1] == line  # the last of the user's lines is the call itself


def raise_statements() -> set[tuple[str, int]]:
    """Where the files raise; `raise` alone passes an error on."""
    found = set()
    for path in FILES:
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Raise) and node.exc is not None:
                found.add((path.name, node.lineno))
    return found


def test_every_raise_has_its_text_tested():
    reached = set()
    for call, _, _ in [*CASES, *REFUSALS]:
        last = traceback.extract_tb(raised(call).__traceback__)[-1]
        reached.add((Path(last.filename).name, last.lineno))
    missing = sorted(raise_statements() - reached)
    assert not missing, "add a case to CASES for " + ", ".join(f"{name}:{line}" for name, line in missing)


def test_data_errors_are_found_by_the_references_too(monkeypatch):
    monkeypatch.setattr(config, "optimize", False)
    with pytest.raises(AxisError, match="index 5 is out of range for an axis of size 2"):
        m[danlu.tensor([5])].sum().item()


@pytest.mark.parametrize("call", [lambda: m + "one", lambda: m < None, lambda: {} - m])
def test_operators_leave_strangers_to_python(call):
    with pytest.raises(TypeError, match=r"unsupported operand|not supported between"):
        call()


def test_errors_are_those_that_users_catch():
    assert issubclass(ShapeError, RuntimeError) and issubclass(AxisError, IndexError) and issubclass(DTypeError, TypeError)
    assert (m == "one") is False and (m != None) is True  # noqa: E711 - a stranger is unequal, as in PyTorch
