"""Transforms of functions: batching of every op, what vmap refuses, modules as functions."""

from __future__ import annotations

import itertools
import sys
from pathlib import Path

import numpy as np
import pytest

import danlu
from danlu import GradientError, func, nn
from danlu.batching import batch
from danlu.graph import COMPOSITE, ELEMENTWISE
from danlu.ops import TABLE, o
from danlu.testing import evaluate, inputs_of

sys.path.insert(0, str(Path(__file__).parent.parent / "ops"))
from samples import BOOKKEEPING, SAMPLES, generator, samples

OPS = [op for op in TABLE.values() if op.name not in BOOKKEEPING and (op.family == ELEMENTWISE or op.name in SAMPLES)]
OPS = [op for op in OPS if op.family != COMPOSITE]
CASES = [(op.name, k) for op in OPS for k, (inputs, _) in enumerate(samples(op)) if inputs]


@pytest.mark.parametrize(("name", "number"), CASES, ids=lambda x: str(x))
def test_every_op_has_a_batch(name, number):
    """An op on a batch is the op on each element, whichever of its inputs have the axis of the batch."""
    made, attrs = samples(TABLE[name])[number]
    rng = generator(name)
    rows = [[np.asarray(make(rng, danlu.float64)) for make in made] for _ in range(3)]
    for mapped in itertools.product([False, True], repeat=len(made)):
        if not any(mapped) or len({a.shape for r in rows for a in r[:1]}) > 1:
            continue
        each = [[r[k] if m else rows[0][k] for k, m in enumerate(mapped)] for r in rows]
        nodes = inputs_of(rows[0])
        result = getattr(o, name)(*nodes, **attrs)
        ys = list(result) if isinstance(result, tuple) else [result]
        full = [np.stack([r[k] for r in rows]) if m else rows[0][k] for k, m in enumerate(mapped)]
        fulls = inputs_of(full)
        swapped = batch(ys, [n for n, m in zip(nodes, mapped) if m], [f for f, m in zip(fulls, mapped) if m], 3)
        shared = {id(n): f for n, f, m in zip(nodes, fulls, mapped) if not m}
        assert all(n.attrs[0] == f.attrs[0] for n, f in zip(nodes, fulls)) and len(shared) == mapped.count(False)
        found = evaluate(swapped, full)
        expected = zip(*[evaluate(ys, r) for r in each])
        for a, b in zip(found, expected):
            np.testing.assert_allclose(a, np.stack(b), rtol=1e-12, atol=1e-12)


def test_an_empty_batch():
    assert func.vmap(lambda a: a * 2)(danlu.ones(0, 3)).shape == (0, 3)


def test_a_derivative_through_a_batch_of_softmaxes():
    """Its axis is another one behind the batch."""
    x, w = (danlu.from_numpy(np.random.default_rng(k).normal(size=s)) for k, s in enumerate(((4, 3, 5), (3, 5))))
    batched = func.grad(lambda a: (func.vmap(lambda row: row.softmax(0))(a) * w).sum())(x)
    apart = danlu.stack([func.grad(lambda a: (a.softmax(0) * w).sum())(row) for row in x])
    np.testing.assert_allclose(batched.detach().numpy(), apart.detach().numpy(), rtol=1e-12, atol=1e-15)


def test_one_program():
    """A Hessian for each element of a batch is one program, and its second call makes none."""
    danlu.engine.flush()  # what the module made when it was imported would be part of the first program
    f = func.vmap(func.hessian(lambda a: (a.sin() * a.sum()).sum()))
    first, second = (danlu.from_numpy(np.random.default_rng(k).normal(size=(4, 3))) for k in range(2))
    danlu.engine.flush()  # what other tests left
    f(first).numpy()
    before = danlu.programs.statistics()
    f(second).numpy()
    after = danlu.programs.statistics()
    assert (after["programs"], after["runs"]) == (before["programs"], before["runs"] + 1)


def test_the_result_of_a_transform_has_no_history_of_its_own():
    x = danlu.tensor([1.0, 2.0])
    for y in (
        func.grad(lambda a: (a**2).sum())(x),
        func.jacrev(danlu.exp)(x),
        func.vjp(danlu.exp, x)[0],
        func.vmap(danlu.exp)(x),
    ):
        assert not y.requires_grad


def test_randomness():
    x = danlu.zeros(3)
    same = func.vmap(lambda a: a + danlu.rand(2), randomness="same")(x)
    assert danlu.equal(same[0], same[2])
    different = func.vmap(lambda a: a + danlu.rand(2), randomness="different")(x)
    assert not danlu.equal(different[0], different[2]) and different.shape == (3, 2)


@pytest.mark.parametrize("chunk_size", [1, 2, 5, 9])
def test_vmap_in_chunks_gives_the_same(chunk_size):
    x, w, sizes = danlu.rand(3, 5), danlu.rand(3), []

    def f(a, b):
        sizes.append(a.shape)
        return {"dot": (a * b).sum(), "scaled": a * 2}

    whole = func.vmap(f, (1, None), {"dot": 0, "scaled": 1})(x, w)
    sizes.clear()
    pieces = func.vmap(f, (1, None), {"dot": 0, "scaled": 1}, chunk_size=chunk_size)(x, w)
    assert len(sizes) == -(-5 // chunk_size)
    assert all((whole[k] == pieces[k]).all() for k in whole) and pieces["scaled"].shape == (3, 5)
    with pytest.raises(GradientError, match="chunk_size=0; expected 1 or more, or None for all at once"):
        func.vmap(f, chunk_size=0)


def test_a_function_inside_vmap_of_grad():
    class Cube(danlu.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            return x**3

        @staticmethod
        def backward(ctx, g):
            return g * 3 * ctx.saved_tensors[0] ** 2

    x = danlu.tensor([1.0, 2.0])
    assert func.vmap(func.grad(Cube.apply))(x).tolist() == [3.0, 12.0]
    assert func.vmap(Cube.apply)(x).tolist() == [1.0, 8.0]
    with pytest.raises(GradientError, match="not carried through vmap"):
        func.grad(lambda a: func.vmap(Cube.apply)(a).sum())(x)


def test_a_value_that_left_vmap():
    left = []
    func.vmap(lambda a: left.append(a) or a)(danlu.ones(3))
    with pytest.raises(GradientError, match="stands for every element"):
        (left[0] + 1).item()


def test_captured_values_may_be_read_inside():
    w = danlu.randn(3).exp()
    y = func.vmap(lambda a: a * w * float((w + 1).sum()))(danlu.ones(2, 3))
    np.testing.assert_allclose(y.numpy(), np.stack([w.numpy() * float((w + 1).sum())] * 2), rtol=1e-6)


def test_functional_call():
    net = nn.Sequential(nn.Linear(3, 2), nn.Tanh(), nn.Linear(2, 1))
    params = {name: p.detach() * 2 for name, p in net.named_parameters()}
    x = danlu.randn(5, 3)
    found = func.functional_call(net, params, (x,))
    first, last = params["0.weight"], params["2.weight"]
    expected = (x @ first.T + params["0.bias"]).tanh() @ last.T + params["2.bias"]
    np.testing.assert_allclose(found.numpy(), expected.numpy(), rtol=1e-5)
    assert isinstance(net[0].weight, nn.Parameter)
    per_sample = func.vmap(func.grad(lambda p, a: func.functional_call(net, p, (a,)).sum()), (None, 0))(params, x)
    total = func.grad(lambda p: func.functional_call(net, p, (x,)).sum())(params)
    for name, g in total.items():
        np.testing.assert_allclose(per_sample[name].sum(0).numpy(), g.numpy(), rtol=1e-4, atol=1e-6)


def vmapped(f, x=None, **how):
    return lambda: func.vmap(f, **how)(danlu.ones(3) if x is None else x)


def test_a_linearized_function_is_called_once():
    calls = []

    def f(x, z):
        calls.append(1)
        return x.sin() * z, x.sum()

    x, z = danlu.tensor([0.5, 1.0]), danlu.tensor([2.0, 3.0])
    (y, total), push = func.linearize(f, x, z)
    np.testing.assert_allclose(y.numpy(), np.sin(x.numpy()) * z.numpy(), rtol=1e-6)
    for dx, dz in (([1.0, 0.0], [0.0, 0.0]), ([0.5, -1.0], [2.0, 1.0])):
        dy, dtotal = push(danlu.tensor(dx), danlu.tensor(dz))
        wanted = np.cos(x.numpy()) * z.numpy() * dx + np.sin(x.numpy()) * dz
        np.testing.assert_allclose(dy.numpy(), wanted, rtol=1e-6)
        assert dtotal.item() == sum(dx)
    assert (len(calls), total.item()) == (1, 1.5)


NET = nn.Linear(2, 1)
ERRORS = [
    (vmapped(lambda a: a.item()), "is read inside the function"),
    (vmapped(lambda a: a if a > 0 else -a), "Write danlu.where"),
    (vmapped(lambda a: a + danlu.rand(1)), "draws random numbers"),
    (vmapped(lambda a: 3), "has int where a tensor was expected"),
    (vmapped(lambda a: a, in_dims=None), "no argument has an axis"),
    (vmapped(lambda a: a, in_dims=1), "it has 1 axes"),
    (vmapped(lambda a: a, x=3), "for an argument of type int"),
    (vmapped(lambda a: a, in_dims=(0, 0)), "does not fit"),
    (vmapped(lambda a: a, randomness="maybe"), "randomness='maybe'"),
    (vmapped(lambda a: a, x=danlu.ones(0), randomness="different"), "axis of size 0"),
    (lambda: func.vmap(lambda a, b: a)(danlu.ones(2), danlu.ones(3)), r"sizes \[2, 3\]"),
    (lambda: func.grad(lambda a: a)(danlu.ones(2)), "must return one number"),
    (lambda: func.grad(lambda a: a)(danlu.arange(2)), "only floating and complex dtypes have derivatives"),
    (lambda: func.grad(lambda a: a.sum(), 1)(danlu.ones(2)), "argnums 1"),
    (lambda: func.grad(lambda a: a.sum(), has_aux=True)(danlu.ones(2)), "must return a pair"),
    (lambda: func.vjp(danlu.exp, danlu.ones(2))[1](danlu.ones(3)), "the cotangents have shapes"),
    (lambda: func.jvp(danlu.exp, danlu.ones(2), danlu.ones(2)), "are tuples"),
    (lambda: func.linearize(danlu.exp, danlu.ones(2))[1](danlu.ones(3)), "the tangents have shapes"),
    (lambda: func.jvp(danlu.exp, (danlu.ones(2),), (danlu.ones(3),)), "the tangents have shapes"),
    (
        lambda: func.jvp(lambda a: danlu.ones(1), (danlu.ones(2),), (danlu.ones(2),), strict=True),
        "does not depend on the primals",
    ),
    (lambda: func.functional_call(NET, {"b": danlu.ones(1)}, danlu.ones(2)), "no parameter or buffer"),
    (lambda: func.functional_call(NET, {"bias": danlu.ones(1)}, danlu.ones(2), strict=True), "are not given"),
    (lambda: func.functional_call(NET, [{"bias": 1}, {"bias": 2}], danlu.ones(2)), "more than one of the dicts"),
    (lambda: danlu.autograd.functional.jacobian(danlu.exp, danlu.ones(1), strategy="both"), "strategy='both'"),
    (lambda: danlu.autograd.functional.hessian(danlu.exp, danlu.ones(2)), "one element"),
    (lambda: danlu.autograd.functional.vjp(danlu.exp, danlu.ones(2)), "v may only be left out"),
    (lambda: danlu.autograd.functional.jacobian(lambda a: danlu.ones(1), danlu.ones(1), strict=True), "output 0 of the function"),
]


@pytest.mark.parametrize(("wrong", "said"), ERRORS, ids=[said[:30] for _, said in ERRORS])
def test_errors(wrong, said):
    with pytest.raises(GradientError, match=said):
        wrong()
