"""Memory in two hands: NumPy, PyTorch, pandas and images on one side, tensors on the other; what either writes, both have."""

from __future__ import annotations

import gc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import danlu
from danlu.tensor.exchange import CopyNeeded
from danlu.tensor.storage import SMALL, Shared, Storage

SIZES = [6, SMALL]  # elements of float32: compared with a copy, and read where they lie


def shares(x, array) -> bool:
    return np.shares_memory(x.detach().numpy(), array)


@pytest.mark.parametrize("n", SIZES)
def test_from_numpy_writes_reach_the_array_and_back(n):
    array = np.ones(n, np.float32)
    x = danlu.from_numpy(array)
    assert shares(x, array)
    x.add_(1)
    assert (array == 2).all()
    array[0] = 7
    assert x[0].item() == 7 and (x * 2).tolist()[0] == 14
    x[1] = -1
    assert array[1] == -1
    danlu.relu(x).sum().item()
    x.relu_()
    assert array[:3].tolist() == [7, 0, 2]


@pytest.mark.parametrize("n", SIZES)
def test_numpy_shows_what_is_written_in_place(n):
    x = danlu.zeros(n) + 1
    array = x.numpy()
    x.mul_(3)
    assert (array == 3).all()
    array[2] = 5
    assert x[:4].tolist() == [3, 3, 5, 3]
    x.view(2, -1)[0, 0] = 9
    assert array[0] == 9
    assert shares(x, array)


@pytest.mark.parametrize("n", SIZES)
def test_work_that_waits_keeps_what_it_read(n):
    array = np.ones(n, np.float32)
    x = danlu.from_numpy(array)
    y, part = x * 2, x[1:3] + 1
    array[:] = 100
    assert y[:2].tolist() == [2, 2] and part.tolist() == [2, 2] and x[0].item() == 100


@pytest.mark.parametrize("n", SIZES)
def test_a_gradient_keeps_what_its_forward_read(n):
    array = np.full(n, 3, np.float32)
    x, w = danlu.from_numpy(array), danlu.ones(n, requires_grad=True)
    loss = (x * w + x.view(2, -1).view(-1) * w).sum()
    loss.item()
    x.add_(1)
    assert array[0] == 4
    loss.backward()
    assert w.grad[:2].tolist() == [6, 6]


@pytest.mark.parametrize("n", SIZES)
def test_a_parameter_in_numpys_hands_is_trained(n):
    w = danlu.zeros(n, requires_grad=True)
    array = w.detach().numpy()
    for step in range(3):
        w.grad = None
        ((w - 1) ** 2).sum().backward()
        with danlu.no_grad():
            w -= 0.5 * w.grad
        assert array[0] == 1, step
    array[:] = 4
    (w * w).sum().backward()
    assert w.grad[0].item() == 8 and w.is_leaf


def test_a_write_between_forward_and_backward_is_no_part_of_the_gradient():
    w = danlu.ones(2, requires_grad=True)
    loss = (w * w).sum()
    w.detach().numpy()[:] = 10
    loss.backward()
    assert (w.grad.tolist(), w.tolist()) == ([2, 2], [10, 10])


def test_a_leaf_is_still_the_same_leaf_after_numpy_has_seen_it():
    w = danlu.ones(2, requires_grad=True)
    y = w * 3
    w.detach().numpy()
    (g,) = danlu.autograd.grad(y.sum(), [w])
    assert g.tolist() == [3, 3]


@pytest.mark.parametrize("n", SIZES)
def test_the_optimizer_updates_a_parameter_in_numpys_hands(n):
    p, q = (danlu.ones(n, requires_grad=True) for _ in range(2))
    array = p.detach().numpy()
    optimizer = danlu.optim.Adam([p, q], lr=0.1, weight_decay=0.1)
    for _ in range(3):
        optimizer.zero_grad()
        (p * p + q * q).sum().backward()
        optimizer.step()
    assert np.array_equal(array, q.detach().numpy()) and array[0] < 0.8


def test_a_storage_is_ordinary_again_when_the_array_is_gone():
    x = danlu.ones(4)
    array = x.numpy()
    assert type(x._storage) is Shared
    array[0] = 5
    del array
    assert x.tolist() == [5, 1, 1, 1] and type(x._storage) is Storage
    y = danlu.from_numpy(np.arange(3.0))
    y.add_(1)
    assert type(y._storage) is Storage and y.tolist() == [1, 2, 3]


def test_a_slice_of_an_array_keeps_the_memory_shared():
    whole = np.zeros((4, 3), np.float32)
    x = danlu.from_numpy(whole[1:3])
    gc.collect()
    x.add_(1)
    assert whole.sum() == 6
    whole[1] = 5
    assert x[0].tolist() == [5, 5, 5]


def test_a_transposed_array_is_a_transposed_view():
    array = np.arange(6, dtype=np.float32).reshape(2, 3)
    x = danlu.from_numpy(array.T)
    x[0, 1] = 50
    assert x.shape == (3, 2) and array[1, 0] == 50


def test_a_read_only_array_is_not_written():
    array = np.ones(3, np.float32)
    array.flags.writeable = False
    x = danlu.from_numpy(array)
    x.add_(1)
    assert array.tolist() == [1, 1, 1] and x.tolist() == [2, 2, 2]


def test_views_share_one_storage_with_the_array():
    x = danlu.zeros(2, 3)
    part = x[1]
    array = x.numpy()
    part += 1
    assert array.tolist() == [[0, 0, 0], [1, 1, 1]]
    array[1, 2] = 8
    assert part.tolist() == [1, 1, 8] and np.shares_memory(part.numpy(), array)
    assert np.shares_memory(x.T.numpy(), array)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.sampled_from(["add", "row", "numpy", "numpy row", "read", "pend", "detach"]), max_size=12))
def test_any_order_of_writes_and_reads(steps):
    array = np.zeros((3, 2), np.float32)
    x, twin, waiting = danlu.from_numpy(array), np.zeros((3, 2), np.float32), []
    for k, step in enumerate(steps):
        if step == "add":
            x.add_(k)
            twin += k
        elif step == "row":
            x[1] = k
            twin[1] = k
        elif step == "numpy":
            array *= 2
            twin *= 2
        elif step == "numpy row":
            array[2] = -k
            twin[2] = -k
        elif step == "pend":
            waiting.append((x * 3, twin * 3))
        elif step == "detach":
            x.detach().sub_(1)
            twin -= 1
        else:
            assert np.array_equal(x.tolist(), twin)
    assert np.array_equal(array, twin) and np.array_equal(x.tolist(), twin)
    assert all(np.array_equal(a.tolist(), b) for a, b in waiting)


# ---- protocols ------------------------------------------------------------------------------------------------------------------


def test_array_protocol():
    x = danlu.tensor([1.0, 2.0])
    assert np.shares_memory(np.asarray(x), x.numpy())
    assert np.asarray(x, np.float64).dtype == np.float64
    assert not np.shares_memory(x.__array__(copy=True), x.numpy())


def test_numpy_functions_of_tensors_are_tensors():
    x = danlu.tensor([1.0, 4.0])
    root, more, (fraction, power) = np.sqrt(x), np.add(np.ones(2), x), np.frexp(x)
    assert all(isinstance(y, danlu.Tensor) for y in (root, more, fraction, power, np.isnan(x), np.add.reduce(x)))
    assert (root.tolist(), more.tolist(), more.dtype, power.tolist()) == ([1.0, 2.0], [2.0, 5.0], danlu.float64, [1, 3])
    root += 1
    assert (root.tolist(), x.tolist()) == ([2.0, 3.0], [1.0, 4.0])
    assert isinstance(np.asarray(x), np.ndarray)


@pytest.mark.parametrize("dtype", ["bool", "uint8", "int64", "float16", "float32", "float64"])
def test_dlpack_to_numpy_and_back(dtype):
    x = danlu.ones(2, 3).to(getattr(danlu, dtype))
    array = np.from_dlpack(x)
    assert shares(x, array) and array.dtype == dtype
    y = danlu.from_dlpack(array)
    assert y.dtype is x.dtype and np.shares_memory(y.numpy(), array)
    assert x.__dlpack_device__() == (1, 0)


def test_dlpack_copies_when_it_is_told():
    x = danlu.ones(3)
    array = np.ones(3)
    assert not np.shares_memory(danlu.from_dlpack(array, copy=True).numpy(), array)
    assert "dltensor" in repr(x.__dlpack__(copy=True)) and "dltensor" in repr(x.__dlpack__(dl_device=(1, 0)))
    assert "versioned" in repr(x.__dlpack__(max_version=(1, 0)))


@pytest.mark.oracle
def test_dlpack_with_pytorch():
    torch = pytest.importorskip("torch")
    x = danlu.zeros(3)
    theirs = torch.from_dlpack(x)
    x.add_(1)
    theirs[1] = 5
    assert theirs.tolist() == [1, 5, 1] == x.tolist()
    mine = danlu.from_dlpack(theirs)
    mine.mul_(2)
    assert theirs.tolist() == [2, 10, 2] and x.tolist() == [2, 10, 2]
    parts = torch.zeros(2, 2).T
    danlu.asarray(parts)[0, 1] = 3
    assert parts.tolist() == [[0, 3], [0, 0]]


def test_asarray_follows_copy():
    array = np.ones(3, np.float32)
    assert shares(danlu.asarray(array), array) and shares(danlu.as_tensor(array), array)
    assert not shares(danlu.asarray(array, copy=True), array)
    x = danlu.ones(2)
    assert danlu.asarray(x) is x and danlu.asarray(x, copy=True) is not x
    with pytest.raises(CopyNeeded, match="float32 as float64 needs a copy"):
        danlu.asarray(array, dtype=danlu.float64, copy=False)
    assert danlu.asarray([1, 2.5], requires_grad=True).requires_grad


def test_pandas_values():
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame({"a": [1.0, 2.0], "b": [3.0, 4.0]})
    assert danlu.tensor(frame["a"]).tolist() == [1, 2] == danlu.as_tensor(frame["a"]).tolist()
    assert danlu.tensor(frame).tolist() == [[1, 3], [2, 4]] == danlu.asarray(frame).tolist()
    assert danlu.from_numpy(frame.values).shape == (2, 2)


def test_images():
    image = pytest.importorskip("PIL.Image").new("RGB", (4, 2), (1, 2, 3))
    x = danlu.asarray(image)
    assert x.shape == (2, 4, 3) and x.dtype is danlu.uint8 and x[0, 0].tolist() == [1, 2, 3]
    assert danlu.tensor(image).tolist() == x.tolist()


# ---- the old constructor, shapes in place ---------------------------------------------------------------------------------------


def test_the_constructor_takes_sizes_or_data():
    assert danlu.Tensor(2, 3).shape == (2, 3) and danlu.Tensor(danlu.Size([4])).shape == (4,) and danlu.Tensor().tolist() == []
    for data in ([1, 2], np.array([1, 2]), danlu.tensor([1, 2])):
        x = danlu.Tensor(data)
        assert x.dtype is danlu.float32 and x.tolist() == [1, 2]


def test_shapes_in_place():
    x = danlu.arange(6.0).reshape(2, 3).clone()
    row = x[0]
    assert x.t_() is x and x.shape == (3, 2)
    row.add_(10)
    assert x[:, 0].tolist() == [10, 11, 12]
    x.unsqueeze_(0).squeeze_(0).transpose_(0, 1)
    x[0, 0] = -5
    assert x.shape == (2, 3) and row.tolist() == [-5, 11, 12]


def test_shapes_in_place_keep_the_derivative():
    w = danlu.ones(3, requires_grad=True)
    y = w * 2
    part = y[1:]
    y.unsqueeze_(1)
    (y.sum() + part.sum()).backward()
    assert w.grad.tolist() == [2, 4, 4]


def test_a_compiled_function_respects_shared_memory():
    w = danlu.zeros(3)
    step = danlu.compile(lambda x: w.add_(x).sum())
    x = danlu.ones(3)
    assert [step(x).item() for _ in range(3)] == [3, 6, 9]
    array = w.numpy()
    assert step(x).item() == 12 and array.tolist() == [4, 4, 4]
    array[:] = 0
    assert [step(x).item() for _ in range(3)] == [3, 6, 9] and array.tolist() == [3, 3, 3]
    del array
    assert [step(x).item() for _ in range(3)] == [12, 15, 18]


def test_a_parameter_begins_with_a_copy_of_large_memory():
    array = np.ones(SMALL, np.float32)
    p = danlu.nn.Parameter(danlu.from_numpy(array))
    array[:] = 5
    assert p[0].item() == 1
