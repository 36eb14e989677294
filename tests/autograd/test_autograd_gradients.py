"""grad, backward and hooks: what they say when they cannot, and gradients through writes where PyTorch has none."""

from __future__ import annotations

import gc
import weakref

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import danlu
from danlu import GradientError, nn


def leaf(*values):
    return danlu.tensor(values, dtype=danlu.float64, requires_grad=True)


def differences(f, x, h=1e-6):
    """∂f/∂x by central differences; f takes and gives NumPy."""
    out = np.zeros_like(x)
    for k in np.ndindex(*x.shape):
        step = np.zeros_like(x)
        step[k] = h
        out[k] = (f(x + step) - f(x - step)) / (2 * h)
    return out


# ---- in place -------------------------------------------------------------------------------------------------------------------

WRITES = {
    "scale_row": lambda y, x: y[0].mul_(x[1]),
    "own_product": lambda y, x: y.__setitem__(1, y[0] * y[2]),
    "columns": lambda y, x: y[:, 1:].copy_(y[:, :-1].sin()),
    "transposed": lambda y, x: y.T[0].add_(y.T[1] * x[:, 0]),
    "flip": lambda y, x: y.flip(0).mul_(x),
    "steps": lambda y, x: y[::2].mul_(y[1]),
    "reshaped": lambda y, x: y.view(-1)[2:5].copy_(x.reshape(-1)[:3] * y.reshape(-1)[3:6]),
    "square": lambda y, x: y.mul_(y),
}


@settings(max_examples=10)
@given(st.lists(st.sampled_from(sorted(WRITES)), min_size=1, max_size=4), st.booleans())
def test_writes_are_differentiated(names, read):
    """The program with writes is the same function; its gradient is that of differences. PyTorch refuses most of these."""

    def program(x):
        y = x * 1.5
        z = y.exp()  # the derivative of exp needs y, which is written afterwards
        for name in names:
            WRITES[name](y, x)
        return (z * y.tanh()).sum() + (y * y * 0.01).sum()

    at = np.random.default_rng(len(names)).normal(size=(3, 4)) * 0.5
    x = danlu.tensor(at, requires_grad=True)
    loss = program(x)
    if read:
        loss.item()
    loss.backward()
    expected = differences(lambda a: program(danlu.tensor(a)).item(), at)
    np.testing.assert_allclose(x.grad.numpy(), expected, rtol=1e-5, atol=1e-7)


def test_a_hook_stays_with_the_value_it_was_put_on():
    x = leaf(1.0, 2.0)
    y = x * 3
    y.register_hook(lambda g: g * 10)
    z = y.sum()
    y.mul_(2)
    (z + y.sum()).backward()
    assert x.grad.tolist() == [90.0, 90.0]  # both uses pass the hooked value


def test_a_hook_of_a_leaf_outlives_a_step():
    x = leaf(1.0)
    x.register_hook(lambda g: g * 2)
    for _ in range(2):
        x.grad = None
        (x * 3).sum().backward()
        with danlu.no_grad():
            x -= 0.5
    assert x.grad.tolist() == [6.0]


def test_hooks_leave_one_program():
    """A hook in tensor operations stays part of the step: nothing runs before a value is read."""
    x = leaf(1.0, 2.0)
    y = x.exp()
    y.register_hook(lambda g: g * 2)
    before = danlu.programs.statistics()["runs"]
    (y * y).sum().backward()
    assert danlu.programs.statistics()["runs"] == before
    np.testing.assert_allclose(x.grad.numpy(), 4 * np.exp([2.0, 4.0]))
    assert danlu.programs.statistics()["runs"] == before + 1


def test_a_graph_is_let_go():
    x = leaf(1.0)
    hook = HookThatCanBeWatched()
    y = x * 2
    y.register_hook(hook)
    watch = weakref.ref(hook)
    del hook
    y.sum().backward()
    del y
    danlu.engine.flush()
    gc.collect()
    assert watch() is None


class HookThatCanBeWatched:
    def __call__(self, g):
        return g * 2


def test_batched_grads():
    x = leaf(1.0, 2.0)
    (g,) = danlu.autograd.grad(x**2, x, danlu.eye(2, dtype=danlu.float64), is_grads_batched=True)
    assert g.tolist() == [[2.0, 0.0], [0.0, 4.0]]


def test_modes():
    x = leaf(1.0)
    with danlu.inference_mode():
        assert not (x * 2).requires_grad
    with danlu.inference_mode(False):
        assert (x * 2).requires_grad

    @danlu.inference_mode()
    def evaluate():
        return x * 2

    @danlu.inference_mode
    def bare():
        return x * 2

    assert not evaluate().requires_grad and not bare().requires_grad
    with danlu.no_grad(), danlu.autograd.enable_grad():
        assert (x * 2).requires_grad


def test_gradient_reversal():
    layer = nn.GradientReversal(2.0)
    x = leaf(1.0, -3.0)
    y = layer(x)
    assert y.tolist() == x.tolist()
    (y * y).sum().backward()
    assert x.grad.tolist() == [-4.0, 12.0]
    assert repr(layer) == "GradientReversal(alpha=2.0)"


# ---- what is said ---------------------------------------------------------------------------------------------------------------


def module_hook_of_wrong_length():
    layer = nn.Linear(2, 1)
    layer.register_full_backward_hook(lambda m, gi, go: (None, None))
    layer(danlu.ones(1, 2, requires_grad=True)).sum().backward()


def hook_of(result):
    def run():
        x = leaf(1.0, 2.0)
        x.register_hook(lambda g: result)
        x.sum().backward()

    return run


ERRORS = [
    (lambda: danlu.autograd.grad(leaf(1.0).sum(), danlu.ones(1)), "one of the inputs does not require grad"),
    (lambda: danlu.autograd.grad(leaf(1.0).sum(), leaf(1.0)), "input 0 was not used in the graph"),
    (lambda: danlu.autograd.grad(leaf(1.0).sum(), leaf(1.0), allow_unused=False, materialize_grads=True), "Leave one out"),
    (lambda: danlu.autograd.grad([leaf(1.0)], leaf(1.0), [None, None]), "grad_outputs has 2 gradients for 1 tensors"),
    (lambda: danlu.ones(1).backward(), "does not require grad"),
    (lambda: leaf(1.0, 2.0).backward(), "only one element can be differentiated by itself"),
    (lambda: leaf(1.0, 2.0).backward(danlu.ones(3)), "gradient= has shape"),
    (lambda: leaf(1.0).sum().backward(inputs=[]), "inputs= is empty"),
    (lambda: danlu.ones(1).register_hook(print), "register_hook on a tensor that does not require grad"),
    (lambda: (leaf(1.0) * 2).register_post_accumulate_grad_hook(print), "no leaves"),
    (hook_of(3), "a hook of a tensor returned int"),
    (hook_of(danlu.ones(3)), "a hook of a tensor returned a gradient of shape"),
    (module_hook_of_wrong_length, "returned 2 gradients; expected 1"),
]


@pytest.mark.parametrize(("wrong", "said"), ERRORS, ids=[said[:30] for _, said in ERRORS])
def test_errors(wrong, said):
    with pytest.raises(GradientError, match=said.replace("(", r"\(")):
        wrong()


def test_backward_twice():
    x = leaf(1.0)
    y = x.exp()
    y.register_hook(lambda g: g)
    loss = y.sum()
    loss.backward()
    with pytest.raises(GradientError, match="a second time"):
        loss.backward()


def test_a_leaf_that_was_written_since_is_still_that_leaf():
    w = danlu.tensor([1.0, 2.0], requires_grad=True)
    loss = (w * w).sum()
    with danlu.no_grad():
        w.mul_(10)
    (w + 1).sum()  # the leaf is read again
    (g,) = danlu.autograd.grad(loss, w)
    assert g.tolist() == [2.0, 4.0]  # values never change: the gradient at the old numbers


def test_memory_that_is_shared_does_not_hide_a_leaf():
    w = danlu.tensor([1.0, 2.0], requires_grad=True)
    y = (w * 1.0).sum()
    y.item()
    w.detach().numpy()
    assert danlu.autograd.grad(y, w)[0].tolist() == [1.0, 1.0]


def test_retain_grad_follows_a_tensor_that_is_written_in_place():
    w = danlu.tensor([1.0, 2.0], requires_grad=True)
    y = w * 2
    y.retain_grad()
    y.mul_(3)
    y.sum().backward()
    assert (y.grad.tolist(), w.grad.tolist()) == ([1.0, 1.0], [6.0, 6.0])


def test_words_of_old_scripts():
    """The place of only_inputs among the arguments is PyTorch's; it says nothing any more."""
    x, y = danlu.tensor(2.0, requires_grad=True), danlu.tensor(3.0, requires_grad=True)
    (g,) = danlu.autograd.grad(outputs=x**2, inputs=x, create_graph=True, retain_graph=True, only_inputs=True)
    assert g.item() == 4.0 and g.requires_grad
    assert danlu.autograd.grad(x**2, [x, y], None, False, False, True, True)[1] is None
