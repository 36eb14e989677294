"""Every second element of memory: loads by two vectors and a shuffle, stores of two turns at once."""

import ctypes

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import danlu
from danlu import nn

DTYPES = [np.float32, np.float64, np.float16, np.int8, np.int16, np.int64, np.bool_]


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 5), st.integers(1, 140), st.integers(0, 1), st.sampled_from(DTYPES))
def test_steps_of_two(rows, columns, start, dtype):
    array = np.random.default_rng(rows * columns).integers(0, 100, (rows, columns)).astype(dtype)
    x = danlu.from_numpy(array.copy())
    np.testing.assert_array_equal(
        (x[:, start::2] * danlu.tensor(np.ones((), dtype))).numpy(), array[:, start::2] * np.ones((), dtype)
    )


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 3), st.integers(1, 40), st.integers(1, 40), st.sampled_from([np.float32, np.float64, np.float16, np.int64]))
def test_two_halves_in_turns(rows, n, seed, dtype):
    a, b = np.random.default_rng(seed).integers(-50, 50, (2, rows, n)).astype(dtype)
    found = danlu.stack([danlu.from_numpy(a) + 1, danlu.from_numpy(b)], dim=-1).reshape(rows, 2 * n).numpy()
    np.testing.assert_array_equal(found, np.stack([a + np.ones((), dtype), b], -1).reshape(rows, 2 * n))


@pytest.mark.parametrize("count", [2, 4, 9, 40])
@pytest.mark.parametrize("dtype", DTYPES)
def test_two_numbers_that_are_the_same_in_every_turn(count, dtype):
    pair = np.array([0, 1], dtype)
    np.testing.assert_array_equal(danlu.from_numpy(pair.copy()).repeat(2, count).numpy(), np.tile(pair, (2, count)))


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 3), st.integers(2, 70), st.integers(2, 70))
def test_windows_of_two_by_two_and_back(planes, height, width):
    array = (
        np.random.default_rng(height * width)
        .permutation(planes * height * width)
        .reshape(planes, height, width)
        .astype(np.float32)
    )
    h, w = height // 2, width // 2
    blocks = array[:, : 2 * h, : 2 * w].reshape(planes, h, 2, w, 2)
    x = danlu.from_numpy(array).requires_grad_()
    y = nn.functional.max_pool2d(x, 2)
    weights = np.arange(1, planes * h * w + 1, dtype=np.float32).reshape(planes, h, w)
    (y * danlu.from_numpy(weights)).sum().backward()
    np.testing.assert_array_equal(y.detach().numpy(), blocks.max((2, 4)))
    expected = np.zeros_like(array)
    hit = blocks == blocks.max((2, 4), keepdims=True)
    expected[:, : 2 * h, : 2 * w] = (hit * weights[:, :, None, :, None]).reshape(planes, 2 * h, 2 * w)
    np.testing.assert_array_equal(x.grad.numpy(), expected)


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 3), st.integers(1, 70), st.integers(1, 9), st.sampled_from(DTYPES))
def test_each_element_twice(rows, n, seed, dtype):
    array = np.random.default_rng(seed).integers(0, 100, (rows, n)).astype(dtype)
    x, y = danlu.from_numpy(array.copy()), np.arange(2 * n).astype(dtype)
    twice = x.reshape(rows, n, 1).expand(rows, n, 2).reshape(rows, 2 * n)
    np.testing.assert_array_equal((twice * danlu.from_numpy(y.copy())).numpy(), np.repeat(array, 2, 1) * y)


def test_turns_of_what_is_the_same_in_all_lanes():
    assert danlu.tensor([1, 2]).repeat(2, 3).tolist() == [[1, 2] * 3] * 2
    assert danlu.tensor([1.5, 2.5]).repeat(40).tolist() == [1.5, 2.5] * 40


def test_nothing_behind_the_last_element_is_read():
    """The array ends with its page: a vector that reached over it would end the process."""
    mmap = pytest.importorskip("mmap")
    if not hasattr(mmap, "PROT_NONE") and not hasattr(mmap, "PROT_READ"):
        pytest.skip("needs pages that may not be read")

    libc = ctypes.CDLL(None, use_errno=True)
    if not hasattr(libc, "mprotect"):
        pytest.skip("needs mprotect")
    size = mmap.PAGESIZE
    memory = mmap.mmap(-1, 2 * size)
    address = ctypes.addressof(ctypes.c_char.from_buffer(memory))
    assert libc.mprotect(ctypes.c_void_p(address + size), ctypes.c_size_t(size), 0) == 0
    for count in (16, 31, 32, 33, 64, 65):
        array = np.frombuffer(memory, np.float32, count, size - 4 * count)
        array[:] = np.arange(count)
        for start in (0, 1):
            np.testing.assert_array_equal((danlu.from_numpy(array)[start::2] + 0.5).numpy(), np.arange(count)[start::2] + 0.5)
    assert libc.mprotect(ctypes.c_void_p(address + size), ctypes.c_size_t(size), 3) == 0
