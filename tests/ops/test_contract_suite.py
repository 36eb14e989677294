"""The contract of every op: compiled and interpreted values agree, and both derivatives of both orders agree with differences.

An op joins by being registered; `samples.py` says on what it is run.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
from samples import BOOKKEEPING, SAMPLES, SymmetricInput, elementwise_inputs, generator, samples

from danlu import dtype as dt
from danlu.autodiff import gradient, tangent
from danlu.errors import DanluError, DTypeError, ShapeError
from danlu.graph import ELEMENTWISE, Node, is_memory, toposort
from danlu.ops import TABLE, composite, o  # noqa: F401  (the composites fill the table)
from danlu.testing import evaluate, inputs_of

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "compile"))
from native_graph import native

RECORDS = [op for op in TABLE.values() if op.name not in BOOKKEEPING]
ELEMENTWISE_RECORDS = [op for op in RECORDS if op.family == ELEMENTWISE and op.sample]
STEP = 1e-5
names = {"ids": lambda op: op.name}


def results(op, nodes: list[Node], attrs: dict) -> list[Node]:
    out = getattr(o, op.name)(*nodes, **attrs)
    return list(out) if isinstance(out, tuple) else [out]


def assert_close(got, wanted, dtype: dt.DType, what: str) -> None:
    for g, w in zip(got, wanted):
        assert (g.shape, g.dtype) == (w.shape, w.dtype), what
        if w.dtype.kind != "f":
            np.testing.assert_array_equal(g, w, err_msg=what)
        else:
            tolerance = {2: 4e-3, 4: 2e-5, 8: 1e-11 if dtype is dt.float64 else 2e-5}[w.dtype.itemsize]
            scale = np.abs(w[np.isfinite(w)]).max(initial=1e-6)
            np.testing.assert_allclose(g, w, rtol=tolerance, atol=tolerance * scale, err_msg=what)


def test_every_op_has_a_sample():
    for op in RECORDS:
        assert samples(op), op.name
    assert set(SAMPLES) <= set(TABLE), "samples of ops that do not exist"


@pytest.mark.parametrize("op", RECORDS, **names)
@pytest.mark.parametrize("dtype", [dt.float32, dt.float64], ids=lambda d: d.name)
def test_compiled_values_are_those_of_the_reference(op, dtype):
    if op.family == ELEMENTWISE and op.sample:
        pytest.skip("has a larger test below")
    rng, arrays, roots = generator(op.name), [], []
    for inputs, attrs in samples(op):
        made = [make(rng, dtype) for make in inputs]
        nodes = inputs_of([*arrays, *made])[len(arrays) :]
        arrays += made
        roots += results(op, nodes, attrs)
    assert_close(native(roots, arrays), evaluate(roots, arrays), dtype, op.name)


def views(nodes: list[Node]) -> list[tuple[str, list[Node]]]:
    """Inputs of shape (17, 5) seen in other ways than they lie in memory."""
    return [
        ("permuted", [o.permute(x, dims=(1, 0)) for x in nodes]),
        ("flipped", [o.flip(x, dims=(1,)) for x in nodes]),
        ("cut", [o.slice(x, starts=(1, 0), stops=(17, 5), steps=(3, 2)) for x in nodes]),
        ("mixed", [o.expand(o.slice(x, starts=(0, k), stops=(17, k + 1), steps=(1, 1)), shape=(17, 5)) if k else x for k, x in enumerate(nodes)]),
    ]  # fmt: skip


@pytest.mark.parametrize("op", ELEMENTWISE_RECORDS, **names)
def test_compiled_elementwise_values_are_those_of_the_reference(op):
    """Shapes without axes and without elements, around the lane counts, broadcast, as views; in each kind of dtype that the op takes."""
    rng, count = generator(op.name), len(op.sample)
    attrs = {"dtype": dt.int32} if "dtype" in op.attrs else {"word": 1} if "word" in op.attrs else {}
    plan = [(dt.float32, [(17, 5)] * count), (dt.float32, [(4, 1, 5), (3, 1), ()][:count]), (dt.float64, [(65,)] * count),
            (dt.float64, [()] * count), (dt.int64, [(0,)] * count), (dt.int64, [(16,)] * count), (dt.int32, [(1,)] * count),
            (dt.uint8, [(3,)] * count), (dt.bool_, [(15,)] * count), (dt.float16, [(7,)] * count)]  # fmt: skip
    arrays, roots, seen = [], [], set()
    for dtype, shapes in plan:
        made = elementwise_inputs(op, dtype, shapes, rng)
        nodes = inputs_of([*arrays, *made])[len(arrays) :]
        try:
            roots += results(op, nodes, attrs)
        except DTypeError:
            continue
        arrays += made
        seen.add(dtype)
        if shapes[0] == (17, 5):
            roots += [x for _, given in views(nodes) for x in results(op, given, attrs)]
    assert len(seen) >= 2
    got, wanted = native(roots, arrays), evaluate(roots, arrays)
    for root, g, w in zip(roots, got, wanted):
        assert_close([g], [w], root.dtype, f"{op.name} {root}")


@pytest.mark.parametrize("size", [15, 16, 17, 31, 33, 63, 64, 65, 127, 129, 1000, 70_001])
@pytest.mark.parametrize("dtype", [dt.float32, dt.float64, dt.int64, dt.uint8], ids=lambda d: d.name)
def test_sizes_around_the_lane_counts(size, dtype):
    x = (np.arange(size * 2) % 7 - (0 if dtype is dt.uint8 else 3)).astype(dtype.numpy)
    arrays = [x[:size], x[size:]]
    a, b = inputs_of(arrays)
    c = o.mul(a, b)
    roots = [c, o.sum(a, dims=(0,), keepdim=False), o.max(c, dims=(0,), keepdim=True), o.flip(a, dims=(0,)), o.cat(b, a, dim=0)]
    assert_close(native(roots, arrays), evaluate(roots, arrays), dtype, "sizes")


# ---- derivatives ----------------------------------------------------------------------------------------------------------

# How many results have a derivative that differences see: `stop` hides that of others, and draws follow a quantile or jump.
UNSEEN = {
    "stop": 0,
    "carry": 0,
    "shares": 0,
    "standard": 0,
    "batch_norm": 1,
    "log_gamma_draw": 0,
    "poisson_draw": 0,
    "binomial_draw": 0,
}
CASES = [(op, k) for op in RECORDS for k in range(len(samples(op)))]


def symmetric(x: Node) -> Node:
    """(X + Xᵀ) / 2 of the last two axes."""
    ndim = len(x.shape)
    return o.mul(0.5, o.add(x, o.permute(x, dims=(*range(ndim - 2), ndim - 1, ndim - 2))))


def weighted(ys: list[Node]) -> Node:
    """Σ w · y over all results, the weights fixed."""
    total = o.number(0, dt.float64)
    for k, y in enumerate(ys):
        weights = o.add(o.mul(o.sin(o.add(o.mul(o.iota(shape=y.shape, dtype=dt.float64), 1.7), float(k))), 0.5), 1.0)
        total = o.add(total, o.sum(o.mul(o.cast(y, dtype=dt.float64), weights), dims=tuple(range(len(y.shape))), keepdim=False))
    return total


def differences(roots: list[Node], arrays: list[np.ndarray], k: int) -> list[np.ndarray]:
    """∂root / ∂(input k) for each of some scalar roots."""
    out = np.zeros((len(roots), *arrays[k].shape))
    moving: set[int] = set()
    still = []
    for node in toposort(roots):
        if any(id(x) in moving for x in node.inputs) or (is_memory(node) and node.attrs[0] == k):
            moving.add(id(node))
        else:
            still.append(node)
    known = dict(zip(map(id, still), evaluate(still, arrays)))
    moved = [a.copy() if j == k else a for j, a in enumerate(arrays)]
    for at in np.ndindex(arrays[k].shape):
        sides = []
        for step in (STEP, -STEP):
            moved[k][at] = arrays[k][at] + step
            sides.append(np.array(evaluate(roots, moved, known=known)))
        moved[k][at] = arrays[k][at]
        out[(slice(None), *at)] = (sides[0] - sides[1]) / (2 * STEP)
    return list(out)


def agree(found: np.ndarray, wanted: np.ndarray, what: str) -> None:
    np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=2e-6 * max(1.0, np.abs(wanted).max(initial=0)), err_msg=what)


@pytest.mark.parametrize("op, k", CASES, ids=[f"{op.name}-{k}" for op, k in CASES])
def test_derivatives_of_both_directions_and_both_orders_agree_with_differences(op, k):
    inputs, attrs = samples(op)[k]
    rng = generator(op.name)
    arrays = [make(rng, dt.float64) for make in inputs]
    if sum(a.size for a in arrays) > 130:
        pytest.skip("too many elements for differences; the other samples are smaller")
    nodes = inputs_of(arrays)
    seen = [symmetric(x) if isinstance(make, SymmetricInput) else x for x, make in zip(nodes, inputs)]
    ys = [y for y in results(op, seen, attrs)[: UNSEEN.get(op.name)] if y.dtype.is_floating_point]
    xs = [j for j, a in enumerate(arrays) if a.dtype == np.float64 and a.size]
    if not ys or not xs:
        return
    total = weighted(ys)
    grads = [g or o.like(0, nodes[j]) for g, j in zip(gradient(total, o.like(1, total), [nodes[j] for j in xs]), xs)]
    second = weighted(grads)
    curvatures = gradient(second, o.like(1, second), [nodes[j] for j in xs])
    values = evaluate([*grads, *(c or o.like(0, nodes[j]) for c, j in zip(curvatures, xs))], arrays)
    for place, j in enumerate(xs):
        first_order, second_order = differences([total, second], arrays, j)
        agree(values[place], first_order, f"reverse, first order, input {j}")
        agree(values[len(xs) + place], second_order, f"reverse, second order, input {j}")
    forward(ys, nodes, arrays, xs)


# Ops without a derivative that differences could find. Every other one must have a sample above that is differentiated.
HELD = {
    "stop": "its derivative is 0 by definition",
    "carry": "its derivative is that of another value by definition",
    "shares": "its derivative is that of another value by definition: see softmax",
    "standard": "its derivative is that of another value by definition: see layer_norm",
    "log_gamma_draw": "its derivative is that of a quantile: tests/distributions",
    "poisson_draw": "it jumps",
    "binomial_draw": "it jumps",
}


def differentiated(op, inputs: list, attrs: dict) -> bool:
    """Whether the test above has derivatives to compare for a sample."""
    rng = generator(op.name)
    arrays = [make(rng, dt.float64) for make in inputs]
    ys = results(op, inputs_of(arrays), attrs)[: UNSEEN.get(op.name)]
    return (
        any(y.dtype.is_floating_point for y in ys)
        and any(a.dtype == np.float64 and a.size for a in arrays)
        and sum(a.size for a in arrays) <= 130
    )


def test_only_ops_without_a_derivative_are_left_out():
    """Left out are those that take or give no floats (comparisons, bits, indices, random bits) and those of HELD."""
    for op in RECORDS:
        if op.name in HELD or any(differentiated(op, *sample) for sample in samples(op)):
            continue
        made = [inputs_of([make(generator(op.name), dt.float64) for make in inputs]) for inputs, _ in samples(op)]
        gives = any(y.dtype.is_floating_point for nodes, (_, attrs) in zip(made, samples(op)) for y in results(op, nodes, attrs))
        takes = any(x.dtype.is_floating_point for nodes in made for x in nodes)
        assert not (gives and takes), f"{op.name} takes and gives floats, and no sample of it is differentiated"


@pytest.mark.parametrize("op", [op for op in ELEMENTWISE_RECORDS if op.vjp and op.name not in HELD], **names)
def test_derivatives_of_tensors_without_elements(op):
    attrs = samples(op)[0][1]
    arrays = elementwise_inputs(op, dt.float64, [(0, 3), (1, 3), (0, 1)][: len(op.sample)], generator(op.name))
    nodes = inputs_of(arrays)
    ys, xs = results(op, nodes, attrs), [x for x in nodes if x.dtype is dt.float64]
    if ys[0].dtype is dt.float64 and xs:
        grads = gradient(ys[0], o.like(1.0, ys[0]), xs)
        for x, g in zip(xs, evaluate([g or o.like(0, x) for g, x in zip(grads, xs)], arrays)):
            assert g.shape == x.shape and not g.any()


def forward(ys: list[Node], nodes: list[Node], arrays: list[np.ndarray], xs: list[int]) -> None:
    """Tangents in one direction, and the tangents of these."""
    steps = [np.cos(np.arange(arrays[j].size) + j).reshape(arrays[j].shape) for j in xs]
    directions = inputs_of([*arrays, *steps])[len(arrays) :]
    given = [nodes[j] for j in xs]
    first = [t or o.like(0, y) for t, y in zip(tangent(ys, given, directions), ys)]
    second = [t or o.like(0, y) for t, y in zip(tangent(first, given, directions), ys)]
    values = evaluate([*first, *second], [*arrays, *steps])
    sides = []
    for step in (STEP, -STEP):
        moved = list(arrays)
        for j, d in zip(xs, steps):
            moved[j] = arrays[j] + step * d
        sides.append(evaluate([*ys, *first], [*moved, *steps]))
    for k, y in enumerate(ys):
        change = (sides[0][k] - sides[1][k]) / (2 * STEP)
        agree(values[k], change, f"forward, first order, {y}")
        change = (sides[0][len(ys) + k] - sides[1][len(ys) + k]) / (2 * STEP)
        agree(values[len(ys) + k], change, f"forward, second order, {y}")


# ---- what is refused ------------------------------------------------------------------------------------------------------

PAIRS = [op for op in ELEMENTWISE_RECORDS if len(op.sample) > 1]


@pytest.mark.parametrize("op", PAIRS, **names)
def test_shapes_that_cannot_be_broadcast_are_refused_by_name(op):
    kinds = [bool if op.name == "where" and k == 0 else np.int64 for k in range(len(op.sample))]
    nodes = inputs_of([np.zeros((2, 3 + k), kind) for k, kind in enumerate(kinds)])
    with pytest.raises(ShapeError, match=rf"^{op.name}: shapes .* cannot be broadcast together: axis 1 has sizes 3 and 4"):
        results(op, nodes, {"word": 0} if "word" in op.attrs else {})


F, I = np.float64, np.int64
REFUSED = [
    ("reshape", [((2, 3), F)], {"shape": (4, 2)}, "reshape: shape (2, 3) (6 elements) cannot become (4, 2) (8 elements)"),
    ("permute", [((2, 3), F)], {"dims": (0, 0)}, "permute: dims (0, 0) are no ordering of the 2 axes of shape (2, 3)"),
    ("permute", [((2, 3), F)], {"dims": (0,)}, "permute: dims (0,) are no ordering of the 2 axes of shape (2, 3)"),
    ("expand", [((2, 3), F)], {"shape": (4, 3)}, "expand: shape (2, 3) cannot be expanded to (4, 3): only axes of size 1 stretch"),
    ("pad", [((2,), F)], {"low": (-1,), "high": (0,), "value": 0}, "pad: low (-1,) and high (0,) must not be negative"),
    ("cat", [((2, 3), F), ((2, 4), F)], {"dim": 0}, "cat: tensor 1 has shape (2, 4), tensor 0 has (2, 3)"),
    ("cat", [((2, 3), F), ((2,), F)], {"dim": 0}, "cat: tensor 1 has shape (2,), tensor 0 has (2, 3)"),
    ("max", [((0, 3), F)], {"dims": (0,), "keepdim": False}, "max: shape (0, 3) has no element on axes (0,)"),
    ("min", [((0, 3), F)], {"dims": (0,), "keepdim": False}, "min: shape (0, 3) has no element on axes (0,)"),
    ("take", [((3,), F), ((2,), F)], {"dim": 0}, "take: the index has dtype float64; expected an integer dtype: write index.long()"),
    ("take_along", [((3, 2), F), ((2,), I)], {"dim": 0}, "gather: the index has shape (2,), the tensor (3, 2)"),
    ("take_along", [((3, 2), F), ((3, 3), I)], {"dim": 0}, "gather: the index has shape (3, 3), the tensor (3, 2)"),
    ("index_add", [((3, 2), F), ((4,), I), ((4, 3), F)], {"dim": 0}, "index_add: the source has shape (4, 3); expected (4, 2)"),
    ("scatter_add", [((3,), F), ((4,), I), ((3,), F)], {"dim": 0}, "scatter: the source has shape (3,) and the index (4,)"),
    ("contract", [((2, 3), F), ((2, 4), F)], {"labels": ("mk", "kn", "mn")}, "contract mk,kn->mn: axis 'k' has sizes 3 and 2"),
    ("contract", [((2,), F), ((2,), np.float32)], {"labels": ("k", "k", "")}, "expected both operands of one dtype, but found float64 and float32"),
    ("matmul", [((2, 3), F), ((2, 4), F)], {}, "matmul: shapes (2, 3) and (2, 4) cannot be multiplied: the last axis of the first (3) must equal"),
    ("matmul", [((), F), ((2,), F)], {}, "matmul: both operands need at least one axis, got shapes () and (2,)"),
    ("where", [((2,), F), ((2,), F), ((2,), F)], {}, "where: the condition is float64; expected bool. Write where(c != 0, x, y)"),
    ("neg", [((2,), bool)], {}, "neg: the inputs are bool; expected numbers."),
    ("sub", [((2,), bool), ((2,), bool)], {}, "sub: the inputs are bool; expected numbers."),
    ("bitwise_and", [((2,), F), ((2,), I)], {}, "bitwise_and: the inputs are float64 and int64; expected integers or bool."),
    ("shl", [((2,), bool), ((2,), bool)], {}, "shl: the inputs are bool and bool; expected integers."),
    ("philox", [((), F), ((), I), ((), I)], {"word": 0}, "philox: index is float64; expected an integer"),
    ("randint", [((), I), ((), I)], {"low": 3, "high": 3, "shape": (2,), "dtype": dt.int64}, "randint: low is 3 and high is 3; expected low < high"),
    ("uniform", [((), I), ((), I)], {"shape": (2,), "dtype": dt.int64}, "uniform: the dtype is int64; expected a float."),
    ("normal", [((), I), ((), I)], {"shape": (2,), "dtype": dt.int64}, "normal: the dtype is int64; expected a float"),
]  # fmt: skip


@pytest.mark.parametrize("name, inputs, attrs, message", REFUSED, ids=lambda x: x if isinstance(x, str) and len(x) < 15 else "")
def test_a_wrong_rank_or_dtype_is_refused_with_the_way_out(name, inputs, attrs, message):
    with pytest.raises(DanluError) as error:
        results(TABLE[name], inputs_of([np.zeros(shape, dtype) for shape, dtype in inputs]), attrs)
    assert str(error.value).startswith(message)
