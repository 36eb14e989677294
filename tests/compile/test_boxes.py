"""Contractions over windows: against the plain interpreter and against loops, on any number of threads, and when they are read in place."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from native_graph import build, native, run

import danlu
from danlu.autodiff import gradients
from danlu.compile import program, target
from danlu.compile.index import Index, Var, i
from danlu.compile.kernel import Contract, Kernel
from danlu.compile.lower import Lowering
from danlu.compile.passes import optimize
from danlu.compile.schedule import schedule
from danlu.compile.simplify import simplify
from danlu.compile.target import TARGETS
from danlu.compile.windows import is_read_again, variables, window
from danlu.config import config
from danlu.nn import functional as F
from danlu.ops import composite, o  # noqa: F401  (the composites fill the table)
from danlu.testing import inputs_of


@st.composite
def problems(draw):
    """Shapes and attributes of a convolution where at least one window fits."""
    d = draw(st.integers(1, 3))
    groups = draw(st.sampled_from((1, 1, 1, 2, 3)))
    channels, features = groups * draw(st.integers(1, 4)), groups * draw(st.integers(1, 5))
    kernel, stride, padding, dilation = (
        tuple(draw(st.integers(low, high)) for _ in range(d)) for low, high in ((1, 4), (1, 2), (0, 3), (1, 2))
    )
    stride = draw(st.sampled_from(((1,) * d, stride)))
    most = {1: 60, 2: 18, 3: 7}[d]
    sizes = tuple(max(1, e * (k - 1) + 1 - 2 * p) + draw(st.integers(0, most)) for k, p, e in zip(kernel, padding, dilation))
    return draw(st.integers(1, 3)), channels, features, sizes, kernel, stride, padding, dilation, groups


def results(arrays, stride, padding, dilation, groups):
    """A convolution and its three gradients."""
    x, w, b, g = (danlu.tensor(a, requires_grad=k < 3) for k, a in enumerate(arrays))
    y = getattr(F, f"conv{x.ndim - 2}d")(x, w, b, stride=stride, padding=padding, dilation=dilation, groups=groups)
    weight = g[:1] * danlu.arange(1, y.numel() + 1).reshape(y.shape).to(x.dtype).remainder(7.0)
    return [y.detach().numpy(), *(r.numpy() for r in danlu.autograd.grad((y * weight).sum(), [x, w, b]))]


@given(problem=problems(), double=st.booleans())
@settings(max_examples=40, deadline=None)
def test_as_the_interpreter_says(problem, double):
    n, channels, features, sizes, kernel, *attrs, groups = problem
    rng, dtype = np.random.default_rng(0), np.float64 if double else np.float32
    shapes = (n, channels, *sizes), (features, channels // groups, *kernel), (features,), (1,)
    arrays = [rng.integers(-4, 5, shape).astype(dtype) for shape in shapes]  # small integers: sums are exact in any order
    found = results(arrays, *attrs, groups)
    config.optimize = False
    try:
        expected = results(arrays, *attrs, groups)
    finally:
        config.optimize = True
    for a, b in zip(found, expected, strict=True):
        np.testing.assert_array_equal(a, b)


def gradients_of(x, w, g, stride=1):
    """y, dx, dw of a convolution of images 3×3 with padding 1."""
    pair = (stride, stride)
    y = o.convolution(x, w, stride=pair, low=(1, 1), high=(1, 1), dilation=(1, 1), groups=1)
    return [y, *gradients([y], [g], [x, w])]


def contractions(roots, inputs: int) -> list[Contract]:
    """The contractions of the kernels of a graph, for AVX2."""
    _, computed = program._outputs(simplify(roots))
    groups = schedule(computed)
    slots = program._slots(groups, program._inputs(groups), computed, inputs)
    kernels = [optimize(Kernel(f"k{n}", Lowering(g, slots).run()), TARGETS[1], True) for n, g in enumerate(groups)]
    return [k.body[0] for k in kernels if k.body and isinstance(k.body[0], Contract)]


def images(n: int, channels: int, size: int, features: int, stride: int = 1):
    shapes = (n, channels, size, size), (features, channels, 3, 3), (n, features, -(-size // stride), -(-size // stride))
    arrays = [np.random.default_rng(k).standard_normal(shape).astype(np.float32) for k, shape in enumerate(shapes)]
    return arrays, inputs_of(arrays)


def test_a_convolution_and_both_gradients_read_their_windows_in_place():
    _, nodes = images(4, 8, 16, 8)
    made = contractions(gradients_of(*nodes), 3)
    assert [c.plan.contraction.staging.side for c in made] == [1, 1, 0]
    boxes = [c.plan.contraction.staging.box for c in made]
    assert all(box.size < 2 * 4 * 8 * 16 * 16 for box in boxes)  # not nine times an image
    assert [len(c.plan.contraction.members) for c in made] == [0, 0, 2]


def test_where_windows_step_they_are_copied():
    _, nodes = images(4, 8, 16, 8, 2)
    made = contractions(gradients_of(*nodes, stride=2), 3)
    assert len(made) == 3
    assert all(c.plan.contraction.staging is None for c in made)


@pytest.mark.parametrize("shape", [(5, 7, 13, 6), (40, 16, 16, 16)])
def test_the_same_bits_on_any_number_of_threads(shape):
    arrays, nodes = images(*shape)
    roots = gradients_of(*nodes)
    compiled = build(roots, 3)
    alone, *others = (run(compiled, roots, arrays, threads=threads) for threads in (1, 2, 3, 3))
    for other in others:
        assert [a.tobytes() for a in other] == [a.tobytes() for a in alone]


@pytest.mark.parametrize(("vector_bytes", "registers"), [(16, 32), (16, 16), (32, 16), (64, 32)])
def test_vectors_of_any_width(vector_bytes, registers, monkeypatch):
    narrow = replace(target.host(), vector_bytes=vector_bytes, registers=registers)
    monkeypatch.setattr(target, "host", lambda: narrow)
    _, nodes = images(3, 5, 13, 7)
    rng = np.random.default_rng(0)
    x, w, g = (rng.integers(-4, 5, n.shape).astype(np.float32) for n in nodes)  # small integers: sums are exact in any order
    y, dx, dw = native(gradients_of(*nodes), [x, w, g])
    padded = np.pad(x, ((0, 0), (0, 0), (1, 1), (1, 1)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), (2, 3))
    np.testing.assert_array_equal(y, np.einsum("fcij,ncxyij->nfxy", w, windows))
    np.testing.assert_array_equal(dw, np.einsum("nfxy,ncxyij->fcij", g, windows))
    assert (dx * x).sum(dtype=np.float64) == (y * g).sum(dtype=np.float64)  # ⟨dx, x⟩ = ⟨g, W x⟩


def test_a_transposed_convolution_reads_its_windows_in_place():
    x, w = inputs_of([np.zeros((2, 4, 8, 8), np.float32), np.zeros((4, 6, 3, 3), np.float32)])
    attrs = {"stride": (1, 1), "padding": (1, 1), "output_padding": (0, 0), "dilation": (1, 1), "groups": 1}
    (made,) = contractions([o.convolution_transposed(x, w, **attrs)], 2)
    assert made.plan.contraction.staging is not None


def gathered_images(rows: int = 4):
    """The nodes of a convolution of rows that are picked out of images, and its arrays."""
    (x, w, g), _ = images(rows, 8, 16, 8)
    arrays = [x, w, g, np.random.default_rng(5).integers(0, rows, rows)]
    x, w, g, picked = inputs_of(arrays)
    return arrays, gradients_of(o.take(x, picked, dim=0), w, g)


def test_what_is_gathered_is_stored_once_before_windows_read_it():
    _, roots = gathered_images()
    made = contractions(roots, 4)
    assert all(c.plan.contraction.staging is not None for c in made)  # windows in place, and no gather for each of their elements


def test_a_convolution_of_what_is_gathered():
    arrays, roots = gathered_images()
    x, w, g, rows = arrays
    plain = native(gradients_of(*inputs_of([x, w, g])), [x[rows], w, g])
    for found, expected in zip(native(roots, arrays), plain, strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)


P, K, C, N = Var("p", 30), Var("k", 3), Var("c", 4), Var("f", 5)


def places(*rows: tuple[dict, int, int]) -> tuple:
    return tuple((Index(terms.items(), const), size) for terms, const, size in rows)


def test_the_roles_of_a_padded_window():
    found = window(places(({C: 1}, 0, 4), ({P: 1, K: 1}, -1, 30)), [C, K, N], [N, P])
    assert found is not None
    assert (found.inner, found.positions, found.inside, found.carried, found.unit, found.other) == (True, (P,), (K,), (C,), (), N)


def test_the_roles_of_the_gradient_of_a_weight():
    found = window(places(({C: 1}, 0, 4), ({P: 1, K: 1}, -1, 30)), [N, P], [N, C, K])
    assert found is not None
    assert (found.inner, found.positions, found.carried) == (False, (P,), (C,))


@pytest.mark.parametrize(
    ("rows", "other"),
    [
        ((({C: 1}, 0, 4), ({P: 1}, 0, 30)), [C, N]),  # no window
        ((({C: 1, P: 1, K: 1}, 0, 40),), [C, K, N]),  # three variables on an axis
        ((({P: 1, K: 1}, 0, 32), ({P: 1}, 0, 30)), [K, N]),  # a diagonal
        ((({P: 1, K: 1}, 0, 32), ({C: 1}, 0, 4)), [C, K, N]),  # channels last
        ((({C: 1}, 0, 4), ({P: 1, K: 1}, 0, 32)), [C, K, N, Var("q", 2)]),  # the other operand sums more
    ],
)
def test_what_is_not_read_in_place(rows, other):
    assert window(places(*rows), other, [N, P]) is None


@given(st.lists(st.sampled_from((1, 2, 3, 4, 6)), max_size=5), st.data())
@settings(max_examples=60, deadline=None)
def test_a_reshape_in_runs_of_axes_finds_the_same_elements(source, data):
    size = int(np.prod(source, dtype=int))
    target, rest = [], size
    while rest > 1 or data.draw(st.booleans()):
        n = data.draw(st.sampled_from([n for n in range(1, rest + 1) if rest % n == 0]))
        target.append(n)
        rest //= n
        if len(target) > 6:
            target.append(rest)
            break
    x = np.arange(size).reshape(source)
    (node,) = inputs_of([x])
    reshaped = o.reshape(node, shape=tuple(target))
    expected = x.reshape(target)
    for at in list(np.ndindex(*target))[:50]:
        point = tuple(Index((), k) for k in at)
        [(_, found, _)] = reshaped.op.emit(  # type: ignore[misc]
            i, point, [tuple(source)], shape=tuple(target)
        )
        assert x[tuple(ix.const for ix in found)] == expected[at]


def test_rows_of_a_flat_array_are_no_windows():
    """Their two variables walk one axis of memory and never meet at one place: an ordinary product."""
    place = i.add(i.affine(i.var(Var("d0", 10)), 100, 0), i.var(Var("k", 100)))
    assert not is_read_again(place, variables(((place, 1000),)))
    place = i.add(i.affine(i.var(Var("d0", 10)), 99, 0), i.var(Var("k", 100)))
    assert is_read_again(place, variables(((place, 1000),)))
