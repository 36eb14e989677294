"""autograd.Function: forward mode, what it lets go, what it says."""

from __future__ import annotations

import gc
import weakref

import numpy as np
import pytest

import danlu
from danlu import GradientError
from danlu.autograd import Function, once_differentiable


class Sine(Function):
    """With a derivative in both directions, and values read in the middle of it."""

    @staticmethod
    def forward(ctx, x, factor):
        ctx.save_for_backward(x)
        ctx.factor = factor
        return danlu.from_numpy(np.sin(x.detach().numpy() * factor))

    @staticmethod
    def backward(ctx, g):
        (x,) = ctx.saved_tensors
        return g * (x * ctx.factor).cos() * ctx.factor, None

    @staticmethod
    def jvp(ctx, dx, _):
        (x,) = ctx.saved_tensors
        return dx * (x * ctx.factor).cos() * ctx.factor


AT = np.linspace(-1, 1, 5)


def test_both_directions_agree():
    f = lambda x: Sine.apply(Sine.apply(x * x, 2.0) + x, 0.5) * x  # noqa: E731
    same = lambda x: ((((x * x * 2.0).sin() + x) * 0.5).sin()) * x  # noqa: E731
    x = danlu.tensor(AT)
    np.testing.assert_allclose(danlu.func.jacrev(f)(x).numpy(), danlu.func.jacrev(same)(x).numpy(), atol=1e-12)
    np.testing.assert_allclose(danlu.func.jacfwd(f)(x).numpy(), danlu.func.jacrev(same)(x).numpy(), atol=1e-12)


def test_two_orders_through_numpy():
    x = danlu.tensor(AT, requires_grad=True)
    (g,) = danlu.autograd.grad(Sine.apply(x, 3.0).sum(), x, create_graph=True)
    (h,) = danlu.autograd.grad(g.sum(), x)
    np.testing.assert_allclose(h.numpy(), -9 * np.sin(3 * AT), atol=1e-12)


def test_a_saved_input_is_the_one_of_then():
    x = danlu.tensor(AT, requires_grad=True)
    y = x * 1
    z = Sine.apply(y, 1.0)
    y.zero_()
    z.sum().backward()
    np.testing.assert_allclose(x.grad.numpy(), np.cos(AT))


def test_without_grad_nothing_is_kept():
    x = danlu.tensor(AT, requires_grad=True)
    with danlu.no_grad():
        assert not Sine.apply(x, 1.0).requires_grad
    assert not Sine.apply(danlu.tensor(AT), 1.0).requires_grad


def test_once_differentiable():
    class Cube(Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            return x**3

        @staticmethod
        @once_differentiable
        def backward(ctx, g):
            return g * 3 * ctx.saved_tensors[0] ** 2

    x = danlu.tensor(2.0, requires_grad=True)
    (g,) = danlu.autograd.grad(Cube.apply(x), x, create_graph=True)
    assert g.item() == 12 and g.requires_grad


def test_a_saved_result_makes_no_cycle():
    class Exp(Function):
        @staticmethod
        def forward(ctx, x):
            y = x.exp()
            ctx.save_for_backward(y)
            contexts.append(weakref.ref(ctx))
            return y

        @staticmethod
        def backward(ctx, g):
            return g * ctx.saved_tensors[0]

    contexts: list = []
    x = danlu.tensor(AT, requires_grad=True)
    y = Exp.apply(x)
    y.sum().item()
    gc.collect()
    gc.disable()
    try:
        del y
        assert contexts[0]() is None
    finally:
        gc.enable()


def test_two_threads_of_derivatives_share_a_function():
    x = danlu.tensor(AT, requires_grad=True)
    y = Sine.apply(x, 2.0)
    first = danlu.autograd.grad(y.sum(), x, retain_graph=True)[0]
    second = danlu.autograd.grad((y * y).sum(), x)[0]
    np.testing.assert_allclose(first.numpy(), 2 * np.cos(2 * AT))
    np.testing.assert_allclose(second.numpy(), 4 * np.sin(2 * AT) * np.cos(2 * AT), atol=1e-15)
    with pytest.raises(GradientError, match="a second time"):
        danlu.autograd.grad(y.sum(), x)


def broken(forward=lambda ctx, x: x * 2, backward=lambda ctx, g: g, **more):
    """A Function of these two."""
    return type("Broken", (Function,), {"forward": staticmethod(forward), "backward": staticmethod(backward), **more})


def run(function):
    function.apply(danlu.ones(2, requires_grad=True)).sum().backward()


def dirty_leaf(ctx, x):
    ctx.mark_dirty(x)
    return x.add_(1)


ERRORS = [
    (lambda: Sine(), "is not instantiated; write Sine.apply"),
    (lambda: run(broken(backward=lambda ctx, g: (g, g))), "returned 2 gradients; forward took 1 arguments"),
    (lambda: run(broken(backward=lambda ctx, g: 3.0)), "returned float for argument 0"),
    (
        lambda: run(broken(forward=lambda ctx, x: ctx.save_for_backward(3) or x)),
        "save_for_backward takes tensors and None, got int",
    ),
    (lambda: run(broken(forward=dirty_leaf)), "mark_dirty: a leaf"),
    (lambda: danlu.func.jvp(broken().apply, (danlu.ones(1),), (danlu.ones(1),)), "Broken has no forward derivative"),
]


@pytest.mark.parametrize(("wrong", "said"), ERRORS, ids=[said[:30] for _, said in ERRORS])
def test_errors(wrong, said):
    with pytest.raises(GradientError, match=said):
        wrong()


@pytest.mark.parametrize(("names", "said"), [(("backward",), "forward"), (("forward",), "backward")])
def test_missing_methods(names, said):
    methods = {"forward": staticmethod(lambda ctx, x: x * 2), "backward": staticmethod(lambda ctx, g: g)}
    with pytest.raises(NotImplementedError, match=f"needs a static method {said}"):
        run(type("Half", (Function,), {k: methods[k] for k in names}))


def test_missing_setup_context():
    with pytest.raises(NotImplementedError, match="setup_context"):
        Function.setup_context(None, (), None)


def test_once_differentiable_refuses_a_second_derivative():
    class Cube(danlu.autograd.Function):
        @staticmethod
        def forward(ctx, x, y):
            ctx.save_for_backward(x)
            return x**3 + y

        @staticmethod
        @danlu.autograd.once_differentiable
        def backward(ctx, g):
            return g * danlu.tensor(3 * ctx.saved_tensors[0].detach().numpy() ** 2), g

    x, y = danlu.tensor([2.0], requires_grad=True), danlu.tensor([1.0], requires_grad=True)
    (g, _) = danlu.autograd.grad(Cube.apply(x, y), [x, y], create_graph=True)
    assert (g.tolist(), g.requires_grad) == ([12.0], True)
    with pytest.raises(
        danlu.GradientError, match="a second derivative passes through a backward that is marked @once_differentiable; write that"
    ):
        g.backward()
    (first,) = danlu.autograd.grad(Cube.apply(x, y), x)
    assert (first.tolist(), first.requires_grad) == ([12.0], False)
