"""Buffers: what lives keeps its memory, what died gives it to the next, and arrays come and go without a copy."""

import gc
import itertools
import threading

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from danlu.errors import ShapeError
from danlu.runtime import buffers
from danlu.runtime.buffers import ALIGNMENT, KEEP_LARGE, SMALL, Buffer, release_free, statistics, workspace


def fill(buffer: Buffer, value: int) -> np.ndarray:
    """All bytes of a buffer, set to a value."""
    view = buffer.as_numpy((buffer.nbytes,), np.uint8)
    view[:] = value
    return view


@given(st.lists(st.one_of(st.integers(0, 5000), st.integers(SMALL - 2, SMALL + 2), st.integers(0, 1 << 21)), max_size=12))
@settings(deadline=None, max_examples=60)
def test_living_buffers_are_aligned_and_never_overlap(sizes):
    living = [Buffer(size) for size in sizes]
    views = [fill(buffer, i) for i, buffer in enumerate(living)]
    assert all(buffer.address % ALIGNMENT == 0 and buffer.nbytes == size for buffer, size in zip(living, sizes, strict=True))
    assert all((view == i).all() for i, view in enumerate(views))
    spans = sorted((buffer.address, buffer.address + buffer.nbytes) for buffer in living)
    assert all(end <= begin for (_, end), (begin, _) in itertools.pairwise(spans))


@given(st.integers(0, 1 << 40))
def test_a_class_holds_its_sizes_and_wastes_at_most_a_quarter(nbytes):
    size = buffers._round(nbytes)
    assert size >= nbytes and size % ALIGNMENT == 0
    assert size <= max(nbytes + 63, nbytes * 1.25, 64)
    assert buffers._round(size) == size


@pytest.mark.parametrize("nbytes", [0, 24, 5000, SMALL - 1, SMALL, 3_000_000])
def test_memory_is_recycled_when_the_last_reference_goes(nbytes):
    first = Buffer(nbytes)
    address, held = first.address, statistics()["held"]
    del first
    again = Buffer(nbytes)
    assert again.address == address
    assert statistics()["held"] == held


def test_a_view_keeps_the_memory_alive():
    buffer = Buffer(4000)
    view = buffer.as_numpy((10, 100), np.float32)
    part, address = view[3:5].T, buffer.address
    view[:] = 7.0
    del buffer, view
    gc.collect()
    others = [Buffer(4000) for _ in range(50)]
    for other in others:
        fill(other, 255)
    assert all(other.address != address for other in others)
    assert (part == 7.0).all() and part.shape == (100, 2)
    del part
    assert Buffer(4000).address == address


def test_two_views_show_the_same_memory():
    buffer = Buffer(16)
    words, halves = buffer.as_numpy((4,), np.int32), buffer.as_numpy((8,), np.int16)
    words[1] = 65536 + 2
    assert halves[2:4].tolist() == [2, 1]
    assert words.flags.writeable and words.flags.c_contiguous


@pytest.mark.parametrize("dtype", ["bool", "uint8", "int64", "float16", "float32", "float64"])
@pytest.mark.parametrize("shape", [(), (0,), (3,), (2, 0, 5), (2, 3, 4)])
def test_an_array_goes_in_and_out_without_a_copy(dtype, shape):
    array = np.ones(shape, dtype)
    out = Buffer.from_numpy(array).as_numpy(shape, dtype)
    assert out.dtype == array.dtype and out.shape == shape
    np.testing.assert_array_equal(out, array)
    array[...] = 0
    np.testing.assert_array_equal(out, array)
    assert array.size == 0 or np.shares_memory(out, array)


def test_a_wrapped_array_lives_as_long_as_its_buffer_and_is_not_recycled():
    before = statistics()
    out = Buffer.from_numpy(np.arange(1000)).as_numpy((1000,), np.int64)
    gc.collect()
    assert out.sum() == 499500
    del out
    assert statistics() == before


def test_a_read_only_array_stays_read_only():
    array = np.arange(4.0)
    array.flags.writeable = False
    out = Buffer.from_numpy(array).as_numpy((4,), np.float64)
    with pytest.raises(ValueError, match="read-only"):
        out[0] = 1


@pytest.mark.parametrize("array", [np.zeros((4, 6)).T, np.zeros((4, 6))[:, ::2], np.zeros(9, np.uint8)[1:].view(np.float64)])
def test_an_array_with_gaps_is_refused(array):
    with pytest.raises(ShapeError, match=r"C-contiguous, aligned .* has shape .* strides .* Write Buffer.from_numpy\(array.copy"):
        Buffer.from_numpy(array)


def test_a_view_larger_than_the_buffer_is_refused():
    with pytest.raises(ShapeError, match=r"shape \(3, 2\) of float32 needs 24 bytes; the buffer has 20"):
        Buffer(20).as_numpy((3, 2), np.float32)


def test_statistics_count_what_is_held():
    release_free()
    before = statistics()
    assert before["free"] == 0 and before["used"] == before["held"]
    buffer = Buffer(1 << 20)
    assert statistics()["used"] == before["used"] + (1 << 20)
    assert statistics()["peak"] >= statistics()["held"]
    del buffer
    assert statistics()["free"] == 1 << 20 and statistics()["used"] == before["used"]
    release_free()
    assert statistics()["held"] == before["held"] and statistics()["free"] == 0


def test_small_memory_that_waits_is_bounded():
    release_free()
    living = [Buffer(100_000) for _ in range(200)]
    held = statistics()["held"]
    assert held >= 200 * 100_000
    living.clear()
    assert 0 < statistics()["free"] <= 2 * buffers.KEEP_SMALL
    release_free()


def test_large_memory_that_waits_is_bounded(monkeypatch):
    release_free()
    assert KEEP_LARGE == 1 << 30
    monkeypatch.setattr(buffers, "KEEP_LARGE", 5 << 20)
    living = [Buffer(1 << 20) for _ in range(8)]
    living.clear()
    assert statistics()["free"] == 5 << 20
    living = [Buffer(1 << 20) for _ in range(3)]
    assert statistics()["free"] == 2 << 20
    living.clear()
    assert statistics()["free"] == 5 << 20
    release_free()


def test_a_workspace_may_be_a_larger_free_block():
    release_free()
    large, small = SMALL * 8, SMALL * 3
    address = Buffer(large).address
    held = statistics()["held"]
    first, second = workspace(small), workspace(small)
    assert first.address == address != second.address and (first.nbytes, second.nbytes) == (small, small)
    assert statistics()["held"] == held + buffers._round(small)
    del first
    assert Buffer(large).address == address


def test_a_workspace_is_no_block_that_is_much_larger_and_no_smaller_one():
    release_free()
    addresses = {Buffer(SMALL * 64).address, Buffer(SMALL).address}
    assert workspace(SMALL * 2).address not in addresses and workspace(100).nbytes == 100


def test_very_many_different_sizes_do_not_grow_the_table():
    for nbytes in range(25_000):
        Buffer(nbytes)
    assert len(buffers._by_nbytes) <= 10_001


def test_threads_never_share_a_block():
    wrong = []

    def work(value: int) -> None:
        for step in range(2000):
            view = fill(Buffer(64 + 64 * (step % 3)), value)
            if not (view == value).all():
                wrong.append(value)

    workers = [threading.Thread(target=work, args=(value,)) for value in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert not wrong


def test_a_buffer_says_what_it_is():
    assert repr(Buffer(8)).startswith("Buffer(8 bytes at 0x")
