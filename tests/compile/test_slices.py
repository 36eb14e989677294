"""Products that share a batch run slice after slice: the structure, the same values, the same bits on any number of threads, and the memory."""

from __future__ import annotations

import random

import native_graph
import numpy as np
import pytest
from test_rows import compare, kernels

import danlu
from danlu.autodiff import gradient
from danlu.compile import program
from danlu.compile.kernel import Slices, members
from danlu.compile.passes import slices
from danlu.nn import functional
from danlu.ops import attention as records
from danlu.ops import composite, o  # noqa: F401  (the composites fill the table)
from danlu.runtime import buffers
from danlu.runtime.executable import _pack, _unpack
from danlu.testing import inputs_of

F = np.float32
HEAD = (2, 8, 64, 16)


def attention(q, k, v):
    return o.attention(q, k, v, scale=0.25, causal=True)


def attention_and_gradients(q, k, v, g):
    y = attention(q, k, v)
    return y, *gradient(y, g, [q, k, v])


def heads_side_by_side(x):
    """Queries, keys and values of (N, T, 3, heads, features): no slice of them lies in one piece."""
    q, k, v = (o.permute(o.reshape(o.slice(x, starts=(0, 0, n, 0, 0), stops=(2, 64, n + 1, 8, 16), steps=(1,) * 5), shape=(2, 64, 8, 16)),
                         dims=(0, 2, 1, 3)) for n in range(3))  # fmt: skip
    return o.permute(attention(q, k, v), dims=(0, 2, 1, 3))


def gradient_side_by_side(x, g):
    """The gradient of all three together: nobody reads it here, and each product writes its own part of it."""
    return gradient(heads_side_by_side(x), g, [x])[0]


def next_head(q, k, v):
    """The weights of each head are those of another one."""
    return o.matmul(o.flip(o.attention_weights(q, k, scale=0.25, causal=False), dims=(1,)), v)


def weights_too(q, k, v):
    """The weights are a result, and are stored."""
    w = o.attention_weights(q, k, scale=0.25, causal=False)
    return o.matmul(w, v), w


STRUCTURE = {  # graph, shapes, for each kernel of slices: its members, and how many slots hold one slice
    "attention": (attention, [HEAD] * 3, [(3, 2)]),
    "heads side by side": (heads_side_by_side, [(2, 64, 3, 8, 16)], [(3, 2)]),
    "the gradient of heads side by side": (gradient_side_by_side, [(2, 64, 3, 8, 16), (2, 64, 8, 16)], [(6, 4)]),
    "the weights of another head": (next_head, [HEAD] * 3, [(2, 1)]),
    "weights that are a result": (weights_too, [HEAD] * 3, [(3, 1)]),
    "few heads": (attention, [(1, 4, 128, 16)] * 3, []),
    "little": (attention, [(2, 8, 8, 4)] * 3, []),
}


@pytest.mark.parametrize("name", STRUCTURE)
def test_what_runs_slice_by_slice(name):
    make, shapes, expected = STRUCTURE[name]
    found = [k for k in kernels(make, *shapes) if isinstance(k.body[0], Slices)]
    assert [(len(members(k)), len(k.local)) for k in found] == expected


@pytest.mark.parametrize("name", STRUCTURE)
def test_the_values_of_the_references(name):
    make, shapes, _ = STRUCTURE[name]
    rng = np.random.default_rng(0)
    arrays = [rng.standard_normal(s).astype(F) for s in shapes]
    made = make(*inputs_of(arrays))
    compare(arrays, list(made) if isinstance(made, tuple) else [made], tolerance=1e-5)


def test_no_matrix_of_weights_is_stored(monkeypatch):
    """Forward and backward, with the weights computed again: what lies in memory between kernels is as large as the heads."""
    monkeypatch.setattr(records, "LARGE", 0)
    many = (16, 8, 64, 16)
    made = [k for k in kernels(attention_and_gradients, *[many] * 4) if isinstance(k.body[0], Slices)]
    assert [len(members(k)) for k in made] == [3, 6]
    heads = list(attention_and_gradients(*inputs_of([np.zeros(many, F)] * 4)))
    assert program.build(heads, 4).workspace < 16 * 8 * 64 * 64 * 4


def test_computed_again_it_has_the_same_values(monkeypatch):
    rng = np.random.default_rng(0)
    arrays = [rng.standard_normal(HEAD).astype(F) for _ in range(4)]
    roots = list(attention_and_gradients(*inputs_of(arrays)))
    stored = native_graph.native(roots, arrays)
    monkeypatch.setattr(records, "LARGE", 0)
    roots = list(attention_and_gradients(*inputs_of(arrays)))
    compare(arrays, roots, tolerance=1e-5)
    for a, b in zip(native_graph.native(roots, arrays), stored):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-5)


def test_long_sequences_need_memory_for_a_few_heads_only():
    """128 heads of 512²: 128 MiB of weights, which at no time are there."""
    q, k, v = (danlu.rand(16, 8, 512, 16, requires_grad=True) for _ in range(3))
    danlu.engine.flush()
    buffers.release_free()
    before = buffers.statistics()["used"]
    buffers.reset_peak()
    functional.scaled_dot_product_attention(q, k, v, is_causal=True).sum().backward()
    danlu.engine.flush()
    peak = buffers.statistics()["peak"] - before
    assert q.grad.shape == q.shape and peak < 100 << 20


def test_dropout_of_the_weights_drops_the_same_when_they_are_computed_again(monkeypatch):
    rng = np.random.default_rng(0)
    arrays = [
        *(rng.standard_normal(HEAD).astype(F) for _ in range(4)),
        np.array(7),
        np.array(9),
        np.array(0.3, F),
        np.array(1 / 0.7, F),
    ]

    def made():
        q, k, v, g, *key = inputs_of(arrays)
        y = o.attention_dropped(q, k, v, *key, scale=0.25, causal=False)
        return [y, *gradient(y, g, [q, k, v])]

    stored = native_graph.native(made(), arrays)
    monkeypatch.setattr(records, "LARGE", 0)
    compare(arrays, made(), tolerance=1e-5)
    for a, b in zip(native_graph.native(made(), arrays), stored):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-5)


# ---- random graphs ----------------------------------------------------------------------------------------------------------


def random_slices(choose, batch, n, count):
    """A graph of products of square matrices, their transposes, elementwise work, rows normalised, and what mixes slices."""
    rng = np.random.default_rng(choose(list(range(5))))
    arrays = [rng.uniform(-1, 1, s).astype(F) for s in ((*batch, n, n), (*batch, n, n), (n, n))]
    x, y, shared = inputs_of(arrays)
    pool, last = [x, y, o.expand(o.reshape(shared, shape=(1,) * len(batch) + (n, n)), shape=(*batch, n, n))], len(batch) + 1
    for _ in range(count):
        a, b = choose(pool[-4:]), choose(pool)
        kind = choose(["matmul", "matmul", "matmul", "softmax", "tanh", "add", "transpose", "flip", "sum", "batch"])
        if kind == "matmul":
            made = o.mul(o.matmul(a, b), 1 / n)
        elif kind == "softmax":
            made = o.softmax(a, dim=last)
        elif kind == "transpose":
            made = o.permute(a, dims=(*range(last - 1), last, last - 1))
        elif kind == "flip":
            made = o.flip(a, dims=(choose(list(range(last + 1))),))
        elif kind == "sum":
            made = o.sub(a, o.mul(o.sum(a, dims=(choose([last - 1, last]),), keepdim=True), 1 / n))
        elif kind == "batch":
            made = o.add(a, o.mul(o.sum(b, dims=(0,), keepdim=True), 1 / batch[0]))
        else:
            made = o.tanh(a) if kind == "tanh" else o.add(a, b)
        pool.append(made)
    return arrays, [pool[-1], *(choose(pool[3:]) for _ in range(choose([0, 0, 1, 2])))]


@pytest.mark.parametrize("seed", range(30))
def test_random_graphs(seed, monkeypatch):
    monkeypatch.setattr(slices, "LARGE", 0)
    draw = random.Random(seed)
    batch, n = draw.choice([(8,), (2, 4), (3, 5), (16,), (2, 2, 4)]), draw.choice([3, 16, 33])
    arrays, roots = random_slices(draw.choice, batch, n, draw.choice([4, 8, 14]))
    compare(arrays, roots, tolerance=1e-4)


def test_random_graphs_have_slices(monkeypatch):
    """The graphs above try what they should."""
    monkeypatch.setattr(slices, "LARGE", 0)
    found = 0
    for seed in range(30):
        draw = random.Random(seed)
        batch, n = draw.choice([(8,), (2, 4), (3, 5), (16,), (2, 2, 4)]), draw.choice([3, 16, 33])
        arrays, roots = random_slices(draw.choice, batch, n, draw.choice([4, 8, 14]))
        found += any(s.kind == "slices" for s in program.build(roots, len(arrays)).steps)
    assert found >= 12


def test_a_program_with_slices_is_read_back_from_bytes():
    made = program.build([attention(*inputs_of([np.zeros(HEAD, F)] * 3))], 3)
    found, _, extra = _unpack(_pack(made, {"a": 1}))
    assert found.steps == made.steps and extra == {"a": 1} and any(s.turns for s in made.steps)
