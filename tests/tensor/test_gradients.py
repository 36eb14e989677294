"""backward(), .grad and the modes, by the rules of PyTorch; the same loops in PyTorch give the same numbers."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest

import danlu
from danlu import GradientError


def leaf(*numbers: float):
    return danlu.tensor(numbers, requires_grad=True)


def test_gradients_accumulate():
    x = leaf(1.0, 2.0)
    for _ in range(3):
        (x * x).sum().backward()
    assert x.grad.tolist() == [6.0, 12.0]
    x.grad = None
    (x * 5).sum().backward()
    assert x.grad.tolist() == [5.0, 5.0]
    x.grad.zero_()
    assert x.grad.tolist() == [0.0, 0.0]


def test_a_graph_is_used_once_unless_it_is_retained():
    x = leaf(3.0)
    y = (x * x).sum()
    y.backward(retain_graph=True)
    y.backward()
    assert x.grad.item() == 12.0
    with pytest.raises(GradientError, match=r"a second time.*write loss.backward\(retain_graph=True\) the first time"):
        y.backward()


def test_second_derivatives():
    x = leaf(2.0, 3.0)
    (x**3).sum().backward(create_graph=True)
    first = x.grad
    assert first.tolist() == [12.0, 27.0]
    x.grad = None
    first.sum().backward()
    assert x.grad.tolist() == [12.0, 18.0]


def test_third_derivative_of_sine():
    x = leaf(0.5)
    y = x.sin()
    for _ in range(2):
        y.sum().backward(create_graph=True)
        y, x.grad = x.grad, None
    y.sum().backward()
    assert x.grad.item() == pytest.approx(-np.cos(0.5), rel=1e-6)


def test_a_gradient_from_above():
    x = leaf(1.0, 2.0)
    (x * x).backward(gradient=danlu.tensor([1.0, 10.0]))
    assert x.grad.tolist() == [2.0, 40.0]


def test_chosen_inputs_only():
    x, y = leaf(1.0), leaf(2.0)
    h = x * 3
    (h * y).sum().backward(inputs=[h, y])
    assert (x.grad, y.grad.item(), h.grad.item()) == (None, 3.0, 2.0)


def test_a_gradient_that_is_kept_on_the_way():
    x = leaf(1.0, 2.0)
    h = x * 3
    h.retain_grad()
    (h * h).sum().backward()
    assert (h.grad.tolist(), x.grad.tolist()) == ([6.0, 12.0], [18.0, 36.0])


def test_a_value_is_read_before_backward():
    x = leaf(1.0, 2.0)
    loss = (x.exp() * x).sum()
    shown = loss.item()
    loss.backward()
    expected = np.exp([1.0, 2.0]) * (1 + np.array([1.0, 2.0]))
    np.testing.assert_allclose(x.grad.numpy(), expected, rtol=1e-6)
    assert shown == pytest.approx(np.e + 2 * np.e**2, rel=1e-6)


def test_shared_and_unused_parts():
    x, unused = leaf(2.0), leaf(1.0)
    h = x * x
    (h + h * h).sum().backward()
    assert (x.grad.item(), unused.grad) == (2 * 2 + 4 * 8, None)


# ---- the modes ------------------------------------------------------------------------------------------------------------


def test_modes_as_contexts():
    x = leaf(1.0)
    with danlu.no_grad():
        assert not danlu.is_grad_enabled()
        assert not (x * 2).requires_grad
        with danlu.enable_grad():
            assert (x * 2).requires_grad
        with danlu.set_grad_enabled(True):
            assert danlu.is_grad_enabled()
        assert not danlu.is_grad_enabled()
    assert danlu.is_grad_enabled()


def test_a_mode_that_is_set_at_once():
    try:
        danlu.set_grad_enabled(False)
        assert not danlu.is_grad_enabled()
    finally:
        danlu.set_grad_enabled(True)
    assert danlu.is_grad_enabled()


def test_a_mode_ends_with_an_error():
    with pytest.raises(ZeroDivisionError), danlu.no_grad():
        _ = 1 / 0
    assert danlu.is_grad_enabled()


@pytest.mark.parametrize("make", [lambda: danlu.no_grad, lambda: danlu.no_grad(), lambda: danlu.set_grad_enabled(False)])
def test_modes_as_decorators(make):
    @make()
    def double(x):
        """Twice."""
        return x * 2

    @make()
    def pieces(x):
        got = yield (x * 2).requires_grad
        yield got, (x * 2).requires_grad
        return 7

    x = leaf(1.0)
    assert danlu.is_grad_enabled()
    assert not double(x).requires_grad
    assert (double.__name__, double.__doc__) == ("double", "Twice.")
    running = pieces(x)
    assert next(running) is False
    assert (x * 2).requires_grad  # between the pieces the mode is the caller's
    assert running.send("sent") == ("sent", False)
    with pytest.raises(StopIteration, match="7"):
        next(running)


# ---- leaves ---------------------------------------------------------------------------------------------------------------


def test_what_is_a_leaf():
    x, plain = leaf(1.0), danlu.ones(1)
    y = x * 2
    assert [t.is_leaf for t in (x, plain, y, y.detach(), plain * 2)] == [True, True, False, True, True]
    assert [t.requires_grad for t in (x, plain, y, y.detach(), x[0], (x > 0))] == [True, False, True, False, True, False]
    assert (x.grad_fn, plain.grad_fn, str(y.grad_fn)) == (None, None, "<MulBackward0>")


def test_requires_grad_can_be_switched():
    x = danlu.ones(2)
    x.requires_grad = True
    (x * 2).sum().backward()
    x.requires_grad_(False)
    assert (x.grad.tolist(), (x * 2).requires_grad, x.is_leaf) == ([2.0, 2.0], False, True)


def test_a_leaf_is_written_under_no_grad_only():
    x = leaf(1.0, 2.0)
    for write in (lambda: x.add_(1), lambda: x.__setitem__(0, 5.0), lambda: x[0].mul_(2), lambda: x.zero_()):
        with pytest.raises(GradientError, match="a leaf tensor that requires grad is changed in place"):
            write()
    with danlu.no_grad():
        x += 1
        x[0] = 7.0
    assert (x.tolist(), x.requires_grad, x.is_leaf) == ([7.0, 3.0], True, True)
    (x * x).sum().backward()
    assert x.grad.tolist() == [14.0, 6.0]


def test_what_is_copied_under_no_grad_has_no_derivative():
    """Also where it is a view whose value is known already."""
    x = leaf(1.0, 2.0)
    y = (x * 3)[:]
    z, constant, weight = y * y, danlu.zeros(2), leaf(0.0, 0.0)
    with danlu.no_grad():
        for to in (z, constant, weight):
            to.copy_(y)
    assert (z.tolist(), constant.tolist(), weight.tolist()) == ([3.0, 6.0],) * 3
    assert (constant.requires_grad, weight.is_leaf) == (False, True)
    z.sum().backward()
    assert x.grad.tolist() == [18.0, 36.0]


def test_deep_copies_have_a_life_of_their_own():
    x = leaf(1.0, 2.0)
    (x * x).sum().backward()
    y = copy.deepcopy(x)
    with danlu.no_grad():
        x.add_(1)
    x.grad.zero_()
    assert (y.tolist(), y.requires_grad, y.grad.tolist()) == ([1.0, 2.0], True, [2.0, 4.0])
    layer = copy.deepcopy(danlu.nn.Linear(2, 1))
    assert isinstance(layer.weight, danlu.nn.Parameter)


def test_a_pickle_is_refused():
    with pytest.raises(danlu.DanluError, match=r"a tensor is not pickled.*Write danlu.save\("):
        pickle.dumps(leaf(1.0))


def test_the_root_of_zero_has_no_infinite_derivative():
    for reduce in (lambda x: x.norm(), lambda x: x.std(), lambda x: x.norm(3)):
        x = danlu.zeros(3, requires_grad=True)
        reduce(x).backward()
        assert x.grad.tolist() == [0.0] * 3


def test_the_bounds_of_a_clamp_let_the_derivative_pass():
    x = leaf(-1.0, 0.0, 0.5, 1.0, 2.0)
    x.clamp(0, 1).sum().backward()
    assert x.grad.tolist() == [0.0, 1.0, 1.0, 1.0, 0.0]


# ---- loops ------------------------------------------------------------------------------------------------------------------


def by_hand(lib, x, y, w, b, steps: int) -> list[float]:
    """Linear regression with an update written out; the same code for both libraries."""
    losses = []
    for step in range(steps):
        loss = ((x @ w + b - y) ** 2).mean()
        loss.backward()
        with lib.no_grad():
            w -= 0.1 / (step + 1) * w.grad
            b -= 0.1 * b.grad
            w.grad.zero_()
            b.grad = None
        losses.append(loss.item())
    return losses


def problem(seed: int = 0):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(20, 3)).astype(np.float32)
    return x, x @ np.array([[1.0], [-2.0], [0.5]], np.float32) + 0.3, rng.normal(size=(3, 1)).astype(np.float32)


def numpy_loop(x, y, w, steps: int) -> list[float]:
    """The same by hand in float64, the gradient written out."""
    w, b, losses = w.astype(np.float64), np.zeros(1), []
    for step in range(steps):
        error = x @ w + b - y
        losses.append(float((error**2).mean()))
        w = w - 0.1 / (step + 1) * 2 * x.T @ error / len(x)
        b = b - 0.1 * 2 * error.mean()
    return losses


def test_a_hand_written_loop():
    x, y, w = problem()
    losses = by_hand(danlu, danlu.tensor(x), danlu.tensor(y), danlu.tensor(w, requires_grad=True), leaf(0.0), 12)
    np.testing.assert_allclose(losses, numpy_loop(x, y, w, 12), rtol=1e-5)


@pytest.mark.oracle
def test_a_hand_written_loop_step_for_step_as_in_pytorch():
    torch = pytest.importorskip("torch")
    x, y, w = problem()
    ours = by_hand(danlu, danlu.tensor(x), danlu.tensor(y), danlu.tensor(w, requires_grad=True), leaf(0.0), 12)
    start = torch.tensor([0.0], requires_grad=True)
    theirs = by_hand(torch, torch.tensor(x), torch.tensor(y), torch.tensor(w, requires_grad=True), start, 12)
    np.testing.assert_allclose(ours, theirs, rtol=1e-5)


def written(lib, x):
    """A program that writes into views of what is differentiated."""
    h = x * 2
    h[0] = h[1].clone() * h[2].clone()  # PyTorch forbids the writes that follow where it has to keep a view
    h[:, 1] += 1
    part = h[1:]
    part.mul_(x[1:])
    h[h > 3] = 0.5
    h.T[0] *= 3
    return (h * h).sum()


@pytest.mark.oracle
def test_gradients_through_writes_as_in_pytorch():
    torch = pytest.importorskip("torch")
    start = np.random.default_rng(3).normal(size=(3, 4)).astype(np.float32)
    grads = []
    for lib in (danlu, torch):
        x = lib.tensor(start, requires_grad=True)
        written(lib, x).backward()
        grads.append(np.asarray(x.grad.tolist()))
    np.testing.assert_allclose(*grads, rtol=1e-5, atol=1e-6)


def test_gradients_through_writes_as_by_differences():
    start = np.random.default_rng(3).normal(size=(3, 4))
    x = danlu.tensor(start, requires_grad=True)
    written(danlu, x).backward()
    for k in np.ndindex(3, 4):
        step = np.zeros((3, 4))
        step[k] = 1e-6
        high, low = (written(danlu, danlu.tensor(start + s)).item() for s in (step, -step))
        assert x.grad[k].item() == pytest.approx((high - low) / 2e-6, rel=1e-4, abs=1e-6)


def test_the_steps_of_a_computation_are_named():
    x = danlu.ones(2, requires_grad=True)
    loss = (danlu.nn.functional.linear(x, danlu.ones(3, 2)).relu() * 2).sum()
    steps, step = [], loss.grad_fn
    while step is not None:
        steps.append(step.name())
        step = step.next_functions[0][0] if step.next_functions else None
    assert steps == ["SumBackward0", "MulBackward0", "ReluBackward0", "LinearBackward0", "AccumulateGrad"]
    assert loss.grad_fn.next_functions[0][0].next_functions[0][1] == 0
    assert (x * danlu.ones(2)).grad_fn.next_functions[1] == (None, 0)


def test_the_step_of_a_function_of_ones_own_has_its_name():
    class Twice(danlu.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x * 2

        @staticmethod
        def backward(ctx, g):
            return g * 2

    x = danlu.ones(2, requires_grad=True)
    assert repr(Twice.apply(x)) == "tensor([2., 2.], grad_fn=<TwiceBackward>)"
    assert Twice.apply(x).grad_fn.next_functions[0][0].name() == "AccumulateGrad"
