"""Views and writes in place: random programs against NumPy arrays that share memory in the same way, and their gradients."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import danlu
from danlu.config import config
from danlu.errors import GradientError

SHAPE = (3, 4, 2)


def _axis(draw, x: np.ndarray) -> int:
    return draw(st.integers(0, x.ndim - 1))


def draw_view(draw, x: np.ndarray):
    """One movement, as a function of NumPy arrays and one of tensors."""
    kinds = ["transpose", "unsqueeze", "swap", "step", "range"] if x.ndim else ["unsqueeze"]
    kind = draw(st.sampled_from(kinds + (["select"] if x.ndim and x.size else [])))
    if kind == "unsqueeze":
        return lambda a: a[None], lambda t: t.unsqueeze(0)
    axis = _axis(draw, x)
    n = x.shape[axis]
    if kind == "transpose":
        return lambda a: a.T, lambda t: t.T
    if kind == "swap":
        return lambda a: a.swapaxes(0, axis), lambda t: t.transpose(0, axis)
    if kind == "select":
        i = draw(st.integers(-n, n - 1)) if n else 0
        index = (*(slice(None),) * axis, i, ...)  # `...`: NumPy gives a view also of a single element
    elif kind == "step":
        index = (slice(None),) * axis + (slice(draw(st.integers(0, n)), None, draw(st.integers(1, 3))),)
    else:
        a, b = sorted((draw(st.integers(0, n)), draw(st.integers(0, n))))
        index = (..., slice(a, b), *(slice(None),) * (x.ndim - 1 - axis))
    return lambda a: a[index], lambda t: t[index]


def draw_write(draw, x: np.ndarray):
    """One write into a view, for both."""
    kind = draw(st.sampled_from(["add", "mul", "fill", "row", "mask", "index", "neg"]))
    number = float(draw(st.integers(-3, 3)))
    if kind == "mask":
        mask = np.random.default_rng(draw(st.integers(0, 9))).random(x.shape) > 0.5
        return lambda a: a.__setitem__(mask, number), lambda t: t.__setitem__(danlu.tensor(mask), number)
    if kind == "index" and x.ndim and x.shape[0]:
        chosen = np.array(draw(st.lists(st.integers(0, x.shape[0] - 1), min_size=1, max_size=3, unique=True)))
        return lambda a: a.__setitem__(chosen, number), lambda t: t.__setitem__(danlu.tensor(chosen), number)
    if kind == "row" and x.ndim:
        row = np.arange(x.shape[-1], dtype=np.float32)
        return lambda a: a.__setitem__(..., row), lambda t: t.__setitem__(..., danlu.tensor(row))
    if kind == "add":
        return lambda a: np.add(a, number, out=a), lambda t: t.add_(number)
    if kind == "mul":
        return lambda a: np.multiply(a, number, out=a), lambda t: t.mul_(number)
    if kind == "neg":
        return lambda a: np.negative(a, out=a), lambda t: t.neg_()
    return lambda a: a.fill(number), lambda t: t.fill_(number)


def play(draw, arrays: list[np.ndarray], tensors: list, steps: int) -> None:
    """Makes views of views and writes into them, in both worlds."""
    for _ in range(steps):
        k = draw(st.integers(0, len(arrays) - 1))
        if draw(st.booleans()):
            for_array, for_tensor = draw_view(draw, arrays[k])
            arrays.append(for_array(arrays[k]))
            tensors.append(for_tensor(tensors[k]))
        else:
            for_array, for_tensor = draw_write(draw, arrays[k])
            for_array(arrays[k])
            for_tensor(tensors[k])
        if draw(st.integers(0, 4)) == 0:  # a read in between: what was pending becomes memory
            j = draw(st.integers(0, len(arrays) - 1))
            np.testing.assert_array_equal(tensors[j].detach().numpy(), arrays[j])


def assert_all_equal(arrays, tensors) -> None:
    for a, t in zip(arrays, tensors):
        assert tuple(t.shape) == a.shape
        np.testing.assert_array_equal(t.detach().numpy(), a)
        np.testing.assert_array_equal((t.detach() + 0).numpy(), a)  # as an input of another operation


def start() -> np.ndarray:
    return np.arange(24, dtype=np.float32).reshape(SHAPE)


@settings(max_examples=150)
@given(st.data())
def test_views_share_memory_as_numpy_arrays_do(data):
    before, config.optimize = config.optimize, False
    try:
        arrays, tensors = [start()], [danlu.tensor(start())]
        play(data.draw, arrays, tensors, 8)
        assert_all_equal(arrays, tensors)
    finally:
        config.optimize = before


@settings(max_examples=6)
@given(st.data())
def test_views_share_memory_in_compiled_programs(data):
    arrays, tensors = [start()], [danlu.tensor(start())]
    play(data.draw, arrays, tensors, 5)
    assert_all_equal(arrays, tensors)


class Recorded:
    """Draws once, and gives the same answers again when played back."""

    def __init__(self, draw) -> None:
        self.draw, self.answers, self.at = draw, [], None

    def __call__(self, strategy):
        if self.at is None:
            self.answers.append(self.draw(strategy))
            return self.answers[-1]
        self.at += 1
        return self.answers[self.at - 1]


@settings(max_examples=40)
@given(st.data())
def test_gradients_pass_through_writes(data):
    """The programs are linear or constant in x, so two values give the whole derivative: f(x + e) - f(x) = ∇f · e."""
    before, config.optimize = config.optimize, False
    try:
        draw = Recorded(data.draw)
        weights = np.random.default_rng(1).integers(-2, 3, SHAPE).astype(np.float32)
        e = np.random.default_rng(2).integers(-3, 4, SHAPE).astype(np.float32)
        results = []
        for x in (start(), start() + e):
            array = x.copy()
            leaf = danlu.tensor(x, requires_grad=True)
            own = leaf * 1.0
            play(draw, [array], [own], 6)
            draw.at = 0
            loss = (own * danlu.tensor(weights)).sum()
            results.append((float(loss), float((array.astype(np.float64) * weights).sum())))
            if len(results) == 1:
                loss.backward()
                gradient = leaf.grad.numpy()
        change = results[1][1] - results[0][1]
        assert np.isclose((gradient.astype(np.float64) * e).sum(), change, atol=1e-3 * max(1.0, abs(change)))
        assert results[0][0] == pytest.approx(results[0][1], rel=1e-5, abs=1e-3)
    finally:
        config.optimize = before


# ---- one by one ---------------------------------------------------------------------------------------------------------


def test_a_clone_of_a_pending_tensor_keeps_its_values():
    x = danlu.ones(3) * 2
    y = x.clone()
    x.add_(1)
    assert (x.tolist(), y.tolist()) == ([3.0] * 3, [2.0] * 3)
    z = x.clone()
    x.mul_(0)
    assert z.tolist() == [3.0] * 3


def test_a_clone_has_a_gradient_of_its_own():
    w = danlu.ones(3, requires_grad=True)
    y = w.clone()
    y.retain_grad()
    (w * y * 2).sum().backward()
    assert (w.grad.tolist(), y.grad.tolist()) == ([4.0] * 3, [2.0] * 3)


def test_an_expanded_tensor_is_not_written():
    x = danlu.ones(1, 3).expand(2, 3)
    with pytest.raises(danlu.ShapeError, match=r"several of its elements are one place in memory. Write x = x.clone\(\) first"):
        x.add_(1)
    y = x.clone().add_(1)
    assert y.tolist() == [[2.0] * 3] * 2


def test_a_write_through_detach_keeps_the_derivative():
    w = danlu.tensor([1.0, 2.0], requires_grad=True)
    h = w * 3
    h.detach()[0] = 10.0
    assert h.tolist() == [10.0, 6.0]
    (h * h).sum().backward()
    assert w.grad.tolist() == [2 * 10 * 3, 2 * 6 * 3]


def test_a_write_through_data_changes_a_leaf():
    w = danlu.tensor([1.0, 2.0], requires_grad=True)
    before = (w * w).sum()
    w.data.mul_(5)
    w.data[0] = 7.0
    assert (w.tolist(), w.is_leaf) == ([7.0, 10.0], True)
    (w * w).sum().backward()
    assert w.grad.tolist() == [14.0, 20.0]
    before.backward()  # values never change: the old loss has the gradient of the old numbers
    assert w.grad.tolist() == [14.0 + 2, 20.0 + 4]


def test_what_is_written_into_a_detached_tensor_is_differentiated_there_only():
    w = danlu.tensor([1.0, 2.0], requires_grad=True)
    x = danlu.zeros(2)
    d = x.detach()
    d[0] = (w * w).sum()
    assert (x.tolist(), x.requires_grad, d.requires_grad) == ([5.0, 0.0], False, True)
    d.sum().backward()
    assert w.grad.tolist() == [2.0, 4.0]


def test_a_tensor_that_is_overwritten_has_derivative_zero():
    w = danlu.ones(2, requires_grad=True)
    h = w * 2
    h.fill_(5)
    assert (h.tolist(), h.requires_grad) == ([5.0, 5.0], True)
    h.sum().backward()
    assert w.grad.tolist() == [0.0, 0.0]


def test_a_detached_tensor_can_become_a_leaf():
    w = danlu.ones(2, requires_grad=True)
    x = w.detach().requires_grad_()
    (x * 3).sum().backward()
    assert (x.grad.tolist(), w.grad) == ([3.0, 3.0], None)


def test_requires_grad_of_a_view_leaves_the_rest_alone():
    x = danlu.arange(4.0)
    x[1:3].requires_grad_(False)
    assert x.tolist() == [0.0, 1.0, 2.0, 3.0]


@pytest.mark.parametrize("write", ["mask", "index", "add", "twice"])
def test_a_write_at_positions_comes_after_what_it_writes_into(write):
    """It may fail, and what it writes into is read by nobody else: that was computed after it."""
    a, mask, rows = np.arange(6.0).reshape(2, 3) / 10, np.array([[True, False], [True, False]]), np.array([1])
    y = np.tanh(a @ a.T) * 2
    x = (danlu.tensor(a) @ danlu.tensor(a).T).tanh()
    x += x
    if write == "mask":
        x[danlu.tensor(mask)] = danlu.tensor(5.0, dtype=danlu.float64)
        y[mask] = 5
    elif write == "index":
        x[danlu.tensor(rows)] = 0.5
        y[rows] = 0.5
    else:
        x.index_add_(0, danlu.tensor(rows), danlu.ones(1, 2, dtype=danlu.float64))
        y[rows] += 1
    if write == "twice":
        x[danlu.tensor(rows - 1)] = -1.0
        y[rows - 1] = -1
    np.testing.assert_allclose(x.numpy(), y)


def test_a_program_serves_every_part_of_a_tensor():
    x = danlu.arange(60.0).reshape(20, 3)
    x.sum().item()
    (x[0:4] * 2).sum().item()
    before = danlu.programs.statistics()["programs"]
    sums = [(x[i : i + 4] * 2).sum().item() for i in range(0, 20, 4)]
    assert danlu.programs.statistics()["programs"] == before
    assert sums == [float(np.arange(60.0).reshape(20, 3)[i : i + 4].sum() * 2) for i in range(0, 20, 4)]


# ---- NumPy's memory -------------------------------------------------------------------------------------------------------


def test_numpy_shares_memory():
    x = danlu.zeros(2, 3)
    x.numpy()[0, 1] = 5
    x[1].numpy()[2] = 7
    assert x.tolist() == [[0.0, 5.0, 0.0], [0.0, 0.0, 7.0]]


def test_a_tensor_shares_the_memory_of_an_array():
    array = np.zeros(3, np.float32)
    x = danlu.from_numpy(array)
    array[1] = 4
    x.numpy()[2] = 6
    assert (x.tolist(), array.tolist()) == ([0.0, 4.0, 6.0], [0.0, 4.0, 6.0])
    y = danlu.tensor(array)
    array[0] = 9
    assert y.tolist() == [0.0, 4.0, 6.0]


def test_writing_through_numpy_changes_no_other_tensor():
    a, b = danlu.zeros(3), danlu.zeros(3)  # one value for the compiler
    c = a.clone()
    a.numpy()[0] = 1
    d = a.clone()
    a.numpy()[1] = 2
    assert [t.tolist() for t in (a, b, c, d)] == [[1.0, 2.0, 0.0], [0.0] * 3, [0.0] * 3, [1.0, 0.0, 0.0]]


def test_work_that_waits_runs_before_numpy_may_write():
    x = danlu.ones(3)
    x.sum().item()
    y = x * 2
    x.numpy()[0] = 100
    assert y.tolist() == [2.0] * 3


def test_an_array_with_gaps_is_copied():
    array = np.arange(12, dtype=np.float32).reshape(3, 4)[:, ::2]
    x = danlu.from_numpy(array)
    array[0, 0] = 50
    assert x.tolist() == [[0.0, 2.0], [4.0, 6.0], [8.0, 10.0]]


def test_an_array_shows_updates_of_its_tensor():
    x = danlu.zeros(1000)
    x.sum().item()
    kept, part = x.numpy(), x[2:5]
    part_before = (part * 1).numpy()
    for _ in range(3):
        x.add_(1)
    assert (kept.sum(), part_before.tolist(), part.tolist()) == (3000.0, [0.0] * 3, [3.0] * 3)


def test_many_places_are_counted_up_one_after_another():
    """x[i] += 1 writes once: written twice, the arithmetic of what is read doubled with each step, and sixty never ended."""
    rows, columns = np.arange(60) % 2, (np.arange(60) % 3) % 2
    counts = danlu.zeros(2, 2, dtype=danlu.int64)
    for i, j in zip(danlu.tensor(rows), danlu.tensor(columns)):
        counts[i, j] += 1
    assert counts.tolist() == np.bincount(rows * 2 + columns, minlength=4).reshape(2, 2).tolist()


def test_adding_to_a_place_keeps_its_derivative_and_its_checks():
    w, x = danlu.ones(2, requires_grad=True), danlu.zeros(2, 2)
    x[0] += w * 3
    x[0] = x[0]
    x[1] = x[0]
    (x * x).sum().backward()
    assert w.grad.tolist() == [36.0, 36.0]
    with pytest.raises(GradientError, match="a leaf tensor that requires grad is changed in place"):
        w[0] = w[0]
    y = danlu.ones(2, requires_grad=True) * 2
    y[0] = y.detach()[0]  # of another history: it cuts
    assert y.sum().item() == 4.0
