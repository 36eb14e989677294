"""`out=`: results written into tensors that are there, as PyTorch does; and the small things beside it that a PyTorch user writes."""

from __future__ import annotations

import copy

import numpy as np
import pytest

import danlu
from danlu.errors import DataError, DTypeError, GradientError, ShapeError

X = [[1.0, 2.0], [3.0, 4.0]]
MAKERS = {
    "zeros": (2,), "ones": (2, 3), "full": ((2,), 3.0), "empty": (2,), "arange": (5,), "linspace": (0, 1, 3), "logspace": (0, 1, 3),
    "eye": (2,), "rand": (2, 2), "randn": (2,), "randint": (0, 5, (2,)),
}  # fmt: skip
JOINED = {
    "cat": lambda x, out: danlu.cat([x, x], out=out),
    "stack": lambda x, out: danlu.stack([x, x], out=out),
    "vstack": lambda x, out: danlu.vstack([x, x], out=out),
    "hstack": lambda x, out: danlu.hstack([x, x], out=out),
    "where": lambda x, out: danlu.where(x > 2, x, -x, out=out),
    "exp": lambda x, out: danlu.exp(x, out=out),
    "matmul": lambda x, out: danlu.matmul(x, x, out=out),
    "sum": lambda x, out: danlu.sum(x, 1, out=out),
}


@pytest.mark.parametrize("name", JOINED)
def test_a_tensor_without_elements_takes_any_shape(name):
    x, out = danlu.tensor(X), danlu.empty(0)
    result = JOINED[name](x, out)
    assert result is out
    np.testing.assert_array_equal(out.numpy(), JOINED[name](x, None).numpy())
    again = JOINED[name](x + 1, out)
    assert again is out
    np.testing.assert_array_equal(out.numpy(), JOINED[name](x + 1, None).numpy())


@pytest.mark.parametrize("name", MAKERS)
@pytest.mark.parametrize("dtype", [danlu.float64, danlu.int64])
def test_out_says_the_dtype_of_what_is_made(name, dtype):
    if dtype is danlu.int64 and name.startswith("rand") and name != "randint":
        pytest.skip("random floats are floats")
    out = danlu.empty(0, dtype=dtype)
    assert getattr(danlu, name)(*MAKERS[name], out=out) is out
    wanted = getattr(danlu, name)(*MAKERS[name], dtype=dtype)
    assert (out.shape, out.dtype) == (wanted.shape, dtype)
    if not name.startswith("rand"):
        assert danlu.equal(out, wanted)


def test_several_results():
    x, values, indices = danlu.tensor(X), danlu.empty(0), danlu.empty(0, dtype=danlu.int64)
    result = danlu.max(x, dim=1, out=(values, indices))
    assert result[0] is values and result.indices is indices
    assert (values.tolist(), indices.tolist()) == ([2.0, 4.0], [1, 1])


def test_a_view_is_written_through():
    whole = danlu.zeros(2, 2)
    danlu.add(danlu.ones(2), 1, out=whole[0])
    assert whole.tolist() == [[2.0, 2.0], [0.0, 0.0]]


def test_out_of_another_shape_or_of_a_lower_kind_is_refused():
    with pytest.raises(ShapeError) as error:
        danlu.exp(danlu.ones(3), out=danlu.empty(2, 3))
    assert str(error.value) == (
        "out= has shape (2, 3), and the result (3,); give one of that shape, or danlu.empty(0), which takes any"
    )
    with pytest.raises(DTypeError, match=r"out= is a tensor of int64, and the result is float32; give one of danlu.float32"):
        danlu.exp(danlu.ones(3), out=danlu.empty(3, dtype=danlu.int64))


def test_the_state_of_the_random_numbers_is_a_tensor():
    danlu.manual_seed(4)
    assert danlu.initial_seed() == 4
    state = danlu.get_rng_state()
    first = danlu.rand(3)
    danlu.set_rng_state(state)
    assert danlu.equal(first, danlu.rand(3))
    assert danlu.seed() == danlu.initial_seed()
    with pytest.raises(DataError) as error:
        danlu.set_rng_state(danlu.zeros(3))
    assert str(error.value) == (
        "set_rng_state: the state has shape (3,) and dtype float32; expected what get_rng_state() gave, 16 of uint8"
    )
    with pytest.raises(DataError, match=r"normal: std is -1.0; expected 0 or more"):
        danlu.normal(0.0, -1.0, (2,))


def test_detach_in_place():
    x = danlu.ones(2, requires_grad=True)
    state = x * 2
    assert state.detach_() is state and not state.requires_grad and state.is_leaf and state.grad_fn is None
    (state * x).sum().backward()
    assert x.grad.tolist() == [2.0, 2.0]
    state.add_(1)
    assert state.tolist() == [3.0, 3.0]
    assert not x.detach_().requires_grad
    with pytest.raises(GradientError) as error:
        (danlu.ones(2, requires_grad=True) * 2)[0].detach_()
    assert str(error.value) == "detach_ of a view, whose history is that of the tensor it looks at; write x = x.detach()"


def test_which_tensors_retain_their_gradient():
    x = danlu.ones(2, requires_grad=True)
    y = x * 2
    assert not x.retains_grad and not y.retains_grad
    y.retain_grad()
    assert y.retains_grad and not (y * 1).retains_grad


def test_a_shallow_copy_has_the_memory_and_the_history():
    x = danlu.ones(2, requires_grad=True)
    y = x * 2
    twin = copy.copy(y)
    twin.sum().backward()
    assert twin is not y and x.grad.tolist() == [2.0, 2.0]
    leaf = copy.copy(x)
    (leaf * 3).sum().backward()
    assert leaf.grad.tolist() == [3.0, 3.0] and x.grad.tolist() == [2.0, 2.0]


def test_lists_of_numpy_keep_its_dtype():
    assert danlu.tensor([np.ones(2), np.zeros(2)]).dtype is danlu.float64
    assert danlu.tensor([np.float64(1.5), 2.0]).dtype is danlu.float64
    assert danlu.tensor([1.5, 2.0]).dtype is danlu.float32
