"""Inputs for every op: what the contract suite runs it on. An elementwise op brings its own domain in its record; the others stand in
the table below, keyed by name, and a new op of another family needs a line there.

An input is written `f(2, 3)` (floats), `p(3)` (positive ones), `i(5, (4,))` (positions on an axis of 5, from either end), `b(3)` (truth),
`n(7)` (this whole number), `matrix(4, 3)` (far from singular), `SymmetricInput(1, 2)` (symmetric, with these eigenvalues),
`triangle(3)`, `low_rank(4, 3)`, `apart(2, 5)` (no two alike); a sample is its inputs and its attributes.
`ordered(4)` (ascending), `n(7)` (this whole number); a sample is its inputs and its attributes.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from typing import Any

import numpy as np

from danlu import dtype as dt
from danlu.graph import ELEMENTWISE, Op

Input = Callable[[np.random.Generator, dt.DType], np.ndarray]
Sample = tuple[list[Input], dict[str, Any]]

# What only holds a graph together: it has no value of its own to be checked.
BOOKKEEPING = {"const", "number", "buffer", "pick", "gradient", "tangent", "batch", "library"}
# bfloat16 has a suite of its own: tests/tensor/test_bfloat16.py.
BOOKKEEPING |= {"bfloat16_bits", "bfloat16_values"}
# Its iterations run on bfloat16: compared with PyTorch's in tests/optim.
BOOKKEEPING |= {"muon"}
# Ops of complex numbers have suites of their own: tests/ops/test_complex.py, tests/ops/test_fourier.py, tests/linalg/test_complex_matrices.py.
BOOKKEEPING |= {"complex", "complex_number", "real", "imag", "conj", "polar", "view_as_real", "view_as_complex", "eig", "eigvals"}
BOOKKEEPING |= {"transform", "real_transform", "half_transform", "fourier", "real_fourier", "half_fourier"}


def f(*shape: int, low: float = -2.0, high: float = 2.0) -> Input:
    return lambda rng, dtype: rng.uniform(low, high, shape).astype(dtype.numpy)


def p(*shape: int) -> Input:
    return f(*shape, low=0.1, high=0.9)


def ordered(*shape: int) -> Input:
    """Rows in ascending order."""
    return lambda rng, dtype: np.sort(rng.uniform(-2, 2, shape).astype(dtype.numpy), -1)


def i(size: int, shape: tuple[int, ...], low: int | None = None) -> Input:
    return lambda rng, dtype: rng.integers(-size if low is None else low, size, shape)


def b(*shape: int) -> Input:
    return lambda rng, dtype: rng.integers(0, 2, shape) > 0


def yes(*shape: int) -> Input:
    return lambda rng, dtype: np.ones(shape, bool)


def n(value: int) -> Input:
    return lambda rng, dtype: np.asarray(value)


def given(*rows: list[int]) -> Input:
    return lambda rng, dtype: np.asarray(rows)


def apart(*shape: int) -> Input:
    """Numbers that differ by 0.2 or more: none is near to a tie for the largest one."""
    size = int(np.prod(shape))
    return lambda rng, dtype: ((rng.permutation(size).reshape(shape) - size / 2 + 0.3) * 0.2).astype(dtype.numpy)


def holed(*shape: int) -> Input:
    """Floats among which rows with no zero, one, two and three of them stand."""

    def make(rng: np.random.Generator, dtype: dt.DType) -> np.ndarray:
        x = rng.uniform(0.5, 1.5, shape).astype(dtype.numpy)
        for row in range(shape[0]):
            x[row, rng.permutation(shape[1])[: row % 4]] = 0
        return x

    return make


def _orthogonal(rng: np.random.Generator, *shape: int) -> np.ndarray:
    return np.linalg.qr(rng.normal(size=(*shape, shape[-1])))[0]


def _factors(rng: np.random.Generator, values: np.ndarray, lead: tuple[int, ...], m: int, n: int) -> np.ndarray:
    """U diag(values) Vᵀ with random rotations, (*lead, m, n)."""
    k = len(values)
    return _orthogonal(rng, *lead, m)[..., :k] * values @ _orthogonal(rng, *lead, n)[..., :k, :]


def matrix(*shape: int) -> Input:
    """Singular values 0.6, 1.2, 1.8 …: far from singular, and no two of them near to each other."""
    *lead, m, n = shape
    values = 0.6 * (1 + np.arange(min(m, n)))
    return lambda rng, dtype: _factors(rng, values, tuple(lead), m, n).astype(dtype.numpy)


def low_rank(m: int, n: int) -> Input:
    """Two singular values, 1 and 2; the others are 0."""
    return lambda rng, dtype: _factors(rng, np.array([1.0, 2.0]), (), m, n).astype(dtype.numpy)


def triangle(*shape: int) -> Input:
    """A triangle far from singular; the other triangle is filled too, with what must not be read."""
    return lambda rng, dtype: (rng.uniform(-0.5, 0.5, shape) + 1.5 * np.eye(shape[-1])).astype(dtype.numpy)


class SymmetricInput:
    """A symmetric matrix with these eigenvalues. An op that reads one triangle means the symmetric matrix: in differences both
    elements of a pair must change together, so the contract suite gives it (X + Xᵀ) / 2."""

    def __init__(self, *eigenvalues: float, lead: tuple[int, ...] = ()):
        self.eigenvalues, self.lead = np.array(eigenvalues), lead

    def __call__(self, rng: np.random.Generator, dtype: dt.DType) -> np.ndarray:
        q = _orthogonal(rng, *self.lead, len(self.eigenvalues))
        made = (q * self.eigenvalues @ np.swapaxes(q, -1, -2)).astype(dtype.numpy)
        return (made + np.swapaxes(made, -1, -2)) / 2


def elementwise_inputs(op: Op, dtype: dt.DType, shapes: list[tuple[int, ...]], rng: np.random.Generator) -> list[np.ndarray]:
    """Arrays of these shapes and this dtype from the op's own domain."""
    arrays = []
    for (low, high, kind), shape in zip(op.sample or [(-4.0, 4.0, "real")] * len(shapes), shapes):
        if kind == "bool" or dtype is dt.bool_:
            arrays.append(rng.integers(0, 2, shape) > 0)
        elif kind == "integer" or dtype.kind in "iu":
            least = 1 if kind == "positive" else max(low, 0) if dtype.kind == "u" else low
            made = dtype if dtype.kind in "iu" else dt.int64
            arrays.append(rng.integers(int(least), int(high) + 1, shape).astype(made.numpy))
        else:
            arrays.append(rng.uniform(low, high, shape).astype(dtype.numpy))
    return arrays


def generator(name: str) -> np.random.Generator:
    """The same numbers for an op whatever is tested before it."""
    return np.random.default_rng(zlib.crc32(name.encode()))


def samples(op: Op) -> list[Sample]:
    """The samples of an op; of an elementwise one those for its derivatives."""
    if op.name in SAMPLES:
        return SAMPLES[op.name]
    if op.family == ELEMENTWISE:
        count = len(op.sample or [None])
        made = lambda k, shape: lambda rng, dtype: elementwise_inputs(op, dtype, [shape] * count, rng)[k]  # noqa: E731
        attrs = {"dtype": dt.float64} if "dtype" in op.attrs else {"word": 1} if "word" in op.attrs else {}
        alike = [([made(k, shape) for k in range(count)], attrs) for shape in ((), (5,), (2, 3))]
        broadcast = [([made(k, ((2, 1), (1, 3), ())[k % 3]) for k in range(count)], attrs)] if count > 1 else []
        return alike + broadcast
    raise KeyError(f"{op.name} has no sample: add a line to SAMPLES in tests/ops/samples.py")


def _dims(*choices: tuple[tuple[int, ...], bool], shapes: tuple[tuple[int, ...], ...] = ((3, 4, 2), (17, 5))) -> list[Sample]:
    return [([f(*s)], {"dims": d, "keepdim": k}) for s in shapes for d, k in choices if all(x < len(s) for x in d)]


REDUCE = [
    *_dims(((0,), False), ((1,), True), ((0, 1), False), ((0, 1, 2), False), ((), False)),
    ([f()], {"dims": (), "keepdim": False}),
    ([f(1, 130)], {"dims": (1,), "keepdim": False}),
]
EMPTY = [([f(3, 0)], {"dims": (1,), "keepdim": False}), ([f(0, 3)], {"dims": (1,), "keepdim": True})]
HOLED_ROWS = [([holed(5, 4)], {"dims": d, "keepdim": k}) for d, k in (((1,), False), ((0,), True), ((0, 1), False))]
TRUTH = [
    ([b(3, 40)], {"dims": (1,), "keepdim": False}),
    ([b(17)], {"dims": (0,), "keepdim": True}),
    ([b(2, 0)], {"dims": (1,), "keepdim": False}),
]
ONE = [([f(4, 3)], {}), ([f()], {}), ([f(0)], {}), ([f(17)], {})]
ALONG = [([f(3, 4)], {"dim": 1}), ([f(3, 4)], {"dim": 0}), ([f(17)], {"dim": 0})]
POSITION = [(inputs, {**attrs, "keepdim": keep}) for inputs, attrs in ALONG for keep in (True, False)]
PUT = [
    ([f(4, 3), i(4, (6,)), f(6, 3)], {"dim": 0}),
    ([f(3, 5), i(5, (2, 2)), f(3, 2, 2)], {"dim": 1}),
    ([f(5), i(5, ()), f()], {"dim": 0}),
]
PUT_ALONG = [
    ([f(4, 3), i(4, (6, 3)), f(6, 3)], {"dim": 0}),
    ([f(4, 3), i(3, (2, 2)), f(2, 2)], {"dim": 1}),
    ([f(4, 3), i(4, (0, 3)), f(0, 3)], {"dim": 0}),
]
LOSS = [([f(4, 3), f(4, 3)], {"reduction": r}) for r in ("none", "sum", "mean")]
SEEDS = [n(3), n(9)]
DRAWN = [(SEEDS, {"shape": s, "dtype": t}) for s, t in (((17,), dt.float32), ((), dt.float64), ((2, 3), dt.float32))]
BETWEEN = [([*SEEDS, f(), f()], {**attrs, "dtype": dt.float64}) for _, attrs in DRAWN]
PARAMETERS = [f(3, 2), f(4)]
POSITIVE, ABOVE_ONE = [p(3, 2), p(4)], [f(3, 2, low=2.0, high=3.0), f(4, low=2.0, high=3.0)]
LINE, PLANE = {"strides": (2,), "dilations": (1,)}, {"strides": (1, 2), "dilations": (2, 1)}
CONVOLVED = [
    ([f(2, 2, 7), f(3, 2, 3), f(3)], {"stride": (2,), "low": (1,), "high": (0,), "dilation": (1,), "groups": 1}),
    ([f(1, 2, 4, 5), f(4, 1, 2, 3)], {"stride": (1, 2), "low": (0, 2), "high": (1, 0), "dilation": (2, 1), "groups": 2}),
    ([f(1, 1, 3, 2, 4), f(2, 1, 2, 1, 2)], {"stride": (1, 1, 2), "low": (0, 0, 0), "high": (0, 1, 0), "dilation": (1, 1, 1), "groups": 1}),
]  # fmt: skip
TRANSPOSED = [
    ([f(2, 2, 3), f(2, 3, 3), f(3)], {"stride": (2,), "padding": (1,), "output_padding": (1,), "dilation": (1,), "groups": 1}),
    ([f(1, 2, 2, 3), f(2, 1, 3, 2)], {"stride": (1, 2), "padding": (1, 0), "output_padding": (0, 0), "dilation": (2, 1), "groups": 2}),
]  # fmt: skip
PATCHES = {"kernel": (2, 3), "stride": (1, 2), "padding": (1, 0), "dilation": (1, 2)}
POOLED = [
    ([apart(2, 7)], {"kernel": (3,), "stride": (2,), "low": (1,), "high": (1,)}),
    ([apart(1, 2, 4, 5)], {"kernel": (2, 2), "stride": (2, 2), "low": (0, 0), "high": (0, 1)}),
    ([apart(3, 4, 4)], {"kernel": (2, 3), "stride": (1, 2), "low": (1, 0), "high": (0, 1)}),
]
SQUARE = [([matrix(3, 3)], {}), ([matrix(2, 2, 2)], {}), ([matrix(1, 1)], {})]
FLAT = [([matrix(*s)], {}) for s in ((3, 3), (4, 3), (2, 4), (2, 3, 2))]
SPECTRA = [SymmetricInput(-1.0, 0.5, 2.0), SymmetricInput(1.0, 3.0, lead=(2,))]
TOLERANCES = [f(low=1e-4, high=1e-3), f(low=1e-4, high=1e-3)]
FACTORS = [f(), f()]
SUBSCRIPTS = (("ij,jk", (2, 3), (3, 4)), ("ii->i", (3, 3)), ("iji->j", (2, 3, 2)), ("...ij,kj->...ik", (2, 2, 3), (4, 3)),
              ("i,j,k->ki", (2,), (3,), (2,)), ("ab,bc,cd->", (2, 3), (3, 2), (2, 3)), ("ij,ij->i", (3, 1), (3, 4)))  # fmt: skip


def _steps(cell: str, **given: bool) -> dict[str, Any]:
    """The attributes of `recurrence`: all options off but those given."""
    return {"cell": cell, "bias": False, "projected": False, "masked": False, "reverse": False, **given}


SAMPLES: dict[str, list[Sample]] = {
    "stop": ONE,
    "rounded": ONE,
    "carry": [([f(3), f(3)], {})],
    "shares": [([f(3, 5), f(3, 5)], {"dim": -1})],
    "standard": [([f(3, 5), f(3, 5), f(3, 5), f(3, 5)], {"dims": (-1,)})],
    "iota": [([], {"shape": s, "dtype": t}) for s, t in (((), dt.int64), ((3, 5), dt.float32), ((0,), dt.int64),
        ((130,), dt.int32))],
    "reshape": [([f(4, 6)], {"shape": s}) for s in ((24,), (2, 2, 6), (3, 8), (4, 6, 1))] + [([f()], {"shape": (1, 1)}),
        ([f(0, 3)], {"shape": (2, 0)})],
    "again": ONE,
    "permute": [([f(2, 3, 4)], {"dims": d}) for d in ((2, 1, 0), (1, 0, 2), (0, 1, 2))] + [([f()], {"dims": ()}),
        ([f(17, 33)], {"dims": (1, 0)})],
    "expand": [([f(1, 3)], {"shape": s}) for s in ((4, 3), (2, 5, 3), (1, 3), (0, 3))] + [([f()], {"shape": (2, 3)})],
    "slice": [([f(7, 5)], {"starts": (1, 0), "stops": (6, 5), "steps": (2, 3)}),
        ([f(7)], {"starts": (3,), "stops": (3,), "steps": (1,)})],
    "dilate": [([f(3, 4)], {"steps": (2, 3)}), ([f(0, 2)], {"steps": (2, 1)}), ([f(5)], {"steps": (1,)})],
    "pad": [([f(3, 4)], {"low": (1, 0), "high": (0, 2), "value": v})
        for v in (0, 1.5)] + [([f()], {"low": (), "high": (), "value": 0})],
    "flip": [([f(3, 4)], {"dims": d}) for d in ((0,), (1,), (0, 1), ())] + [([f(33)], {"dims": (0,)})],
    "cat": [([f(2, 3), f(4, 3), f(0, 3)], {"dim": 0}), ([f(2, 3), f(2, 1)], {"dim": 1}), ([f(3)], {"dim": 0})],
    "slice_update": [([f(7, 4), f(3, 2)], {"starts": (1, 0), "steps": (2, 3)}), ([f(5), f(0)], {"starts": (2,), "steps": (1,)})],
    "sum": REDUCE + EMPTY, "prod": REDUCE + EMPTY + HOLED_ROWS, "max": REDUCE, "min": REDUCE, "any": TRUTH, "all": TRUTH,
    "take": [([f(4, 3), i(4, (5,))], {"dim": 0}), ([f(4, 3), i(3, (2, 2))], {"dim": 1}), ([f(6), i(6, ())], {"dim": 0}),
        ([f(6), i(6, (0,))], {"dim": 0})],
    "take_along": [([f(4, 3), i(4, (6, 3))], {"dim": 0}), ([f(4, 3), i(3, (2, 2))], {"dim": 1}),
        ([f(17), i(17, (40,))], {"dim": 0})],
    "index_add": PUT, "index_set": PUT, "scatter_add": PUT_ALONG, "scatter_set": PUT_ALONG,
    "sort": [(inputs, {**attrs, "descending": d}) for inputs, attrs in ALONG for d in (False, True)],
    "contract": [([f(3, 4), f(4, 5)], {"labels": ("mk", "kn", "mn")}),
        ([f(2, 3, 4), f(2, 5, 4)], {"labels": ("amk", "ank", "anm")}),
                 ([f(4), f(4)], {"labels": ("k", "k", "")}), ([f(3), f(2)], {"labels": ("m", "n", "nm")}),
        ([f(3, 0), f(0, 2)], {"labels": ("mk", "kn", "mn")})],
    "matmul": [([f(*a), f(*c)], {}) for a, c in (((3, 4), (4, 5)), ((4,), (4,)), ((4,), (4, 3)), ((2, 3, 4), (4,)),
        ((2, 1, 3, 4), (5, 4, 2)), ((17, 33), (33, 19)))],
    "full": [([f()], {"shape": s, "dtype": dt.float64}) for s in ((), (3, 4), (0,))],
    "uniform": DRAWN, "normal": DRAWN, "uniform_between": BETWEEN, "normal_around": BETWEEN,
    "bernoulli_mask": [([*SEEDS, p()], {"shape": (40,)})],
    "randint": [(SEEDS, {"low": -3, "high": 12, "shape": (33,), "dtype": dt.int64})],
    "argmax": POSITION, "argmin": POSITION,
    "mean": REDUCE,
    "var": [([f(5, 4)], {"dims": d, "keepdim": k, "correction": c}) for d, k, c in (((0,), False, 1), ((1,), True, 0),
        ((0, 1), False, 1))],
    "std": [([f(5, 4)], {"dims": (1,), "keepdim": False, "correction": 1})],
    "linear": [([f(5, 4), f(3, 4)], {}), ([f(5, 4), f(3, 4), f(3)], {}), ([f(2, 5, 4), f(3, 4), f(3)], {})],
    "softmax": ALONG, "log_softmax": ALONG, "logsumexp": [([f(3, 4)], {"dims": (1,), "keepdim": False}),
        ([f(3, 4)], {"dims": (0, 1), "keepdim": True})],
    "softplus": ONE, "log_sigmoid": ONE, "silu": ONE, "mish": ONE, "softsign": ONE,
    "gelu": [([f(7)], {"approximate": a}) for a in ("none", "tanh")],
    "leaky_relu": [([f(7)], {"negative_slope": 0.1})], "elu": [([f(7)], {"alpha": 1.5, "scale": 1.1})], "hardtanh": [([f(7)], {"low": -1.0, "high": 1.0})],  # noqa: E501
    "dropout": [([f(40), *SEEDS, n(0), n(1)], {}), ([f(3, 4), *SEEDS, p(), p()], {})],
    "mse_loss": LOSS, "l1_loss": LOSS,
    "huber_loss": [(inputs, {"delta": 0.7, "scale": 1.0, **attrs}) for inputs, attrs in LOSS],
    "projected_heads": [([f(2, 3, 4), f(12, 4), f(12)], {"heads": 2, "parts": 3, "turned": True}),
                        ([f(2, 3, 4), f(4, 4)], {"heads": 2, "parts": 1, "turned": False})],
    "joined_heads": [([f(2, 2, 3, 2), f(5, 4), f(5)], {"turned": True}), ([f(2, 2, 3, 2), f(4, 4)], {"turned": False})],
    "named_rows": [([f(5, 4), i(5, (3,), 0)], {"name": "embedding"}), ([f(5, 4), i(5, (2, 3), 0)], {"name": "embedding"})],
    "binary_cross_entropy": [([p(4, 3), p(4, 3)], {"reduction": "mean"}), ([p(4, 3), p(4, 3), p(3)], {"reduction": "none"})],
    "bce_with_logits": [([f(4), p(4)], {"weighted": False, "positive": False, "reduction": "mean"}),
                        ([f(4), p(4), p(4), p(4)], {"weighted": True, "positive": True, "reduction": "sum"})],
    "nll_loss": [([f(4, 3), i(3, (4,), 0)], {"ignore_index": -100, "reduction": r}) for r in ("none", "sum", "mean")]
                + [([f(4, 3), i(3, (4,), 0), p(3)], {"ignore_index": 1, "reduction": "sum"})],
    "cross_entropy": [([f(4, 3), i(3, (4,), 0)], {"ignore_index": -100, "label_smoothing": e, "reduction": "mean"})
        for e in (0.0, 0.1)],
    "cross_entropy_soft": [([f(4, 3), p(4, 3)], {"label_smoothing": 0.1, "reduction": "mean"})],
    "layer_norm": [([f(4, 5)], {"ndim": 1, "eps": 1e-5}), ([f(3, 4, 5), f(4, 5), f(4, 5)], {"ndim": 2, "eps": 1e-5})],
    "batch_norm": [([f(6, 3)], {"eps": 1e-5}), ([f(4, 3, 5), f(3), f(3)], {"eps": 1e-5})],
    "batch_norm_inference": [([f(6, 3), f(3), p(3), f(3), f(3)], {"eps": 1e-5})],
    "running_statistics": [([f(3), p(3), f(3), p(3), p()], {"count": 6})],
    "sgd": [([p(), p(), *PARAMETERS, *PARAMETERS], {"maximize": m}) for m in (False, True)],
    "sgd_momentum": [([p(), p(), p(), p(), *PARAMETERS * 3], {"nesterov": m, "maximize": False}) for m in (False, True)],
    "adam": [([p() for _ in range(7)] + [*PARAMETERS * 3, *POSITIVE], {"decoupled": m, "amsgrad": False, "maximize": False}) for m in (False, True)],
    "clip_norm": [([p(), *PARAMETERS], {})],
    "average": [([p(), *PARAMETERS * 2], {})],
    "adamax": [([p() for _ in range(6)] + [*PARAMETERS * 3, *POSITIVE], {"maximize": False})],
    "nadam": [([p() for _ in range(8)] + [*PARAMETERS * 3, *POSITIVE], {"decoupled": m, "maximize": m}) for m in (False, True)],
    "radam": [([p() for _ in range(7)] + [*PARAMETERS * 3, *POSITIVE], {"decoupled": m, "maximize": m}) for m in (False, True)],
    "sparse_adam": [([p() for _ in range(5)] + [*PARAMETERS * 3, *POSITIVE], {"maximize": False})],
    "adagrad": [([p() for _ in range(4)] + [*PARAMETERS * 2, *POSITIVE], {"maximize": True})],
    "adadelta": [([p() for _ in range(4)] + [*PARAMETERS * 2, *POSITIVE * 2], {"maximize": True})],
    "rmsprop": [([p() for _ in range(5)] + [*PARAMETERS * 2, *POSITIVE], {"centered": False, "momentum": False, "maximize": True}),
        ([p() for _ in range(5)] + [*PARAMETERS * 2, *ABOVE_ONE, *POSITIVE, *PARAMETERS], {"centered": True, "momentum": True, "maximize": False})],
    "asgd": [([p() for _ in range(4)] + [*PARAMETERS * 3], {"maximize": False})],
    "rprop": [([p(), p(), f(low=0.01, high=0.02), f(low=5, high=9), *PARAMETERS, *ABOVE_ONE * 2, *POSITIVE], {"maximize": False})],
    "adafactor": [([p() for _ in range(6)] + [f(3, 2), f(3, 2), p(3, 1), p(1, 2)], {"factored": True, "eps1": 1e-3, "maximize": False}),
        ([p() for _ in range(6)] + [f(4), f(4), p(4)], {"factored": False, "eps1": 1e-3, "maximize": True})],
    "slide": [([f(2, 7, 3)], {"counts": (3,), **LINE}), ([f(5, 6, 2, 3)], {"counts": (3, 2), **PLANE})],
    "unslide": [([f(2, 3, 3)], {"sizes": (7,), **LINE}), ([f(3, 2, 2, 3)], {"sizes": (5, 6), **PLANE})],
    "window": [([f(2, 7)], {"kernel": (3,), **LINE}), ([f(5, 6)], {"kernel": (2, 3), **PLANE}),
        ([f(2, 5, 4)], {"kernel": (2, 2), "strides": (2, 2), "dilations": (1, 1)})],
    "unwindow": [([f(2, 3, 3)], {"sizes": (7,), **LINE}), ([f(3, 2, 2, 3)], {"sizes": (5, 6), **PLANE})],
    "convolution": CONVOLVED, "convolution_transposed": TRANSPOSED,
    "unfold": [([f(1, 2, 3, 6)], PATCHES)], "fold": [([f(1, 12, 4)], {"output": (3, 6), **PATCHES})],
    "max_pool": [(inputs, {**attrs, "dilation": (1,) * len(attrs["kernel"])}) for inputs, attrs in POOLED]
        + [([apart(2, 5, 4)], {"kernel": (2, 2), "stride": (1, 1), "low": (0, 0), "high": (0, 0), "dilation": (2, 1)})],
    "sum_pool": POOLED,
    "adaptive_max_pool": [([apart(2, 5), given([0, 1], [1, 2], [3, 4])], {"sizes": (5,)}),
        ([apart(4, 5), given([0, 1], [2, 3]), given([0, 1], [1, 2], [3, 4])], {"sizes": (4, 5)})],
    "attention_weights": [
        ([f(3, 4), f(5, 4)], {"scale": 0.5, "causal": False}),
        ([f(2, 3, 4), f(2, 5, 4), b(3, 5)], {"scale": 1.0, "causal": False}),
        ([f(4, 4), f(4, 4), f(4, 4)], {"scale": 0.5, "causal": True}),
    ],
    "attention": [([f(2, 3, 4), f(2, 3, 4), f(2, 3, 2)], {"scale": 0.5, "causal": True})],
    "attention_dropped": [([f(2, 3, 4), f(2, 3, 4), f(2, 3, 2), *SEEDS, p(), p()], {"scale": 0.5, "causal": True})],
    "unstack": [([f(3, 2)], {}), ([f(2, 3, 4)], {})],
    "recurrent_cell": [
        ([f(2, 3), f(2, 4), f(4, 3), f(4, 4)], {"cell": "tanh", "bias": False}),
        ([f(2, 3), f(2, 2), f(2, 2), f(8, 3), f(8, 2), f(8), f(8)], {"cell": "lstm", "bias": True}),
        ([f(2, 3), f(2, 2), f(6, 3), f(6, 2), f(6), f(6)], {"cell": "gru", "bias": True}),
    ],
    "recurrence": [
        ([f(3, 2, 3), f(2, 2), f(6, 3), f(6, 2), f(6), f(6)], _steps("gru", bias=True)),
        ([f(2, 2, 3), f(2, 1), f(2, 2), f(8, 3), f(8, 1), f(1, 2)], _steps("lstm", projected=True)),
        ([f(3, 2, 2), f(2, 2), f(2, 2), f(2, 2), b(3, 2)], _steps("tanh", masked=True, reverse=True)),
    ],
    "group_norm": [([f(2, 4, 3)], {"groups": 2, "eps": 1e-5}), ([f(3, 4), f(4), f(4)], {"groups": 1, "eps": 1e-5})],
    "rms_norm": [([f(4, 5)], {"ndim": 1, "eps": 1e-5}), ([f(2, 3, 4), f(3, 4)], {"ndim": 2, "eps": 1e-5})],
    "inv": SQUARE, "det": SQUARE, "cofactor": SQUARE, "slogdet": SQUARE, "logdet": [([SymmetricInput(0.5, 1.0, 2.0)], {})], "matrix_exp": SQUARE,
    "solve_matrices": [([matrix(3, 3), f(3, 2)], {}), ([matrix(2, 2, 2), f(2, 2, 1)], {})],
    "solve": [([matrix(3, 3), f(3, 2)], {"left": True}), ([matrix(2, 3, 3), f(2, 3)], {"left": True}),
        ([matrix(2, 2), f(2)], {"left": False}), ([matrix(3, 3), f(2, 2, 3)], {"left": False})],
    "solve_triangular": [([triangle(3, 3), f(3, 2)], {"upper_": upper, "left": True, "unitriangular": ones})
        for upper in (False, True) for ones in (False, True)]
        + [([triangle(2, 2, 2), f(3, 2)], {"upper_": True, "left": False, "unitriangular": False})],
    "cholesky": [([SymmetricInput(0.5, 1.0, 2.0)], {}), ([SymmetricInput(1.0, 3.0, lead=(2,))], {})],
    "tall_qr": [([matrix(*s)], {"complete": c}) for s, c in (((3, 3), True), ((4, 2), False), ((2, 3, 2), False))],
    "qr": [([matrix(*s)], {"complete": c}) for s, c in (((3, 2), False), ((2, 3), True), ((2, 2, 4), False))],
    "matrix_power": [([matrix(3, 3)], {"n": k}) for k in (0, 1, 5, -2)],
    "householder_product": [([f(4, 3), f(2)], {}), ([f(2, 3, 2), f(2, 2)], {})],
    "eigh": [([x], {"lower": k}) for x in SPECTRA for k in (True, False)],
    "eigvalsh": [([x], {"lower": k}) for x in SPECTRA for k in (True, False)],
    "svd": [(inputs, {"full": False}) for inputs, _ in FLAT] + [([matrix(3, 3)], {"full": True})], "svdvals": FLAT,
    "rank_above": [([low_rank(4, 3), *TOLERANCES], {"hermitian": False}),
        ([SymmetricInput(-1.0, 0.0, 2.0), *TOLERANCES], {"hermitian": True})],
    "pseudo_inverse": [([make, *TOLERANCES], {"hermitian": False}) for make in (matrix(4, 3), matrix(2, 2, 3), low_rank(3, 4))]
        + [([SymmetricInput(-1.0, 0.0, 2.0), *TOLERANCES], {"hermitian": True})],
    "pinv": [([matrix(3, 2)], {"given": "", "hermitian": False}),
        ([low_rank(4, 3), *TOLERANCES], {"given": "atol rtol", "hermitian": False})],
    "matrix_rank": [([matrix(3, 2)], {"given": "", "hermitian": False}),
        ([low_rank(4, 3), *TOLERANCES[:1]], {"given": "rtol", "hermitian": False})],
    "einsum": [([f(*s) for s in shapes], {"equation": equation}) for equation, *shapes in SUBSCRIPTS],
    "mm": [([f(3, 4), f(4, 2)], {})], "bmm": [([f(2, 3, 4), f(2, 4, 2)], {})], "mv": [([f(3, 4), f(4)], {})],
    "vdot": [([f(4), f(4)], {})],
    "dot": [([f(4), f(4)], {})], "outer": [([f(3), f(4)], {})], "inner": [([f(3, 4), f(2, 2, 4)], {}), ([f(3), f(3)], {}), ([f(3), f()], {})],
    "matrix_trace": [([f(3, 3)], {}), ([f(2, 4)], {})],
    "matrix_diagonal": [([f(*s)], {"offset": k, "dim1": 0, "dim2": 1})
        for s, k in (((3, 4), 0), ((3, 4), 1), ((3, 4), -1), ((2, 3), 3), ((3, 3, 2), 0))],
    "addmm": [([f(3, 2), f(3, 4), f(4, 2), *FACTORS], {"ignore": k}) for k in (False, True)]
        + [([f(2), f(3, 4), f(4, 2), *FACTORS], {"ignore": False})],
    "addmv": [([f(3), f(3, 4), f(4), *FACTORS], {"ignore": False})], "addr": [([f(3, 2), f(3), f(2), *FACTORS], {"ignore": False})],
    "baddbmm": [([f(2, 3, 2), f(2, 3, 4), f(2, 4, 2), *FACTORS], {"ignore": False})],
    "addbmm": [([f(3, 2), f(2, 3, 4), f(2, 4, 2), *FACTORS], {"ignore": False})],
    "kron": [([f(2, 3), f(3, 2)], {}), ([f(2), f(2, 2)], {})], "cross": [([f(2, 3), f(1, 3)], {"dim": -1}), ([f(3, 2), f(3, 2)], {"dim": -2})],
    "vector_norm": [([apart(3, 4)], {"p": k, "dims": (1,), "keepdim": False}) for k in (0, 1, 2, 3, 0.5, -1, np.inf, -np.inf)]
        + [([apart(5)], {"p": 2, "dims": (0,), "keepdim": True}), ([apart(2)], {"p": 3, "dims": (), "keepdim": False})],
    "cdist": [([f(3, 2), f(2, 2)], {"p": k}) for k in (1, 2, 3, np.inf)] + [([f(2, 2, 3), f(1, 3, 3)], {"p": 2})],
    "cumsum": ALONG, "cumprod": [*ALONG, ([holed(4, 5)], {"dim": 1}), ([holed(2, 3)], {"dim": 0})],
    "cummax": ALONG, "cummin": ALONG, "logcumsumexp": ALONG, "mode": ALONG,
    "searchsorted": [([ordered(7), f(3, 4)], {"right": r}) for r in (False, True)] + [([ordered(3, 5), f(3, 2)], {"right": False})],
    "scatter_reduce": [(inputs, {**attrs, "reduce": r}) for inputs, attrs in PUT_ALONG for r in ("prod", "amax", "amin")],
    "lgamma": [([p(3, 4)], {}), ([f(17, low=-0.9, high=-0.1)], {}), ([f(5, low=3.0, high=30.0)], {})],
    "polygamma": [([p(3, 4)], {"n": k}) for k in (0, 1, 2)] + [([f(5, low=-0.9, high=-0.1)], {"n": 0})],
    "gamma_tail": [([p(3, 4), f(3, 4)], {"k": k}) for k in (0, 1, 2)] + [([f(9, low=2.0, high=30.0), f(9, low=-1.0, high=4.0)], {"k": 0})],
    **{n: [([p(3, 4), p(4)], {}), ([f(9, low=2.0, high=30.0), f(9, low=0.1, high=40.0)], {})] for n in ("igamma", "igammac")},
    "log_gamma_draw": [([*SEEDS, p(3, 4)], {}), ([*SEEDS, f(17, low=1.0, high=30.0)], {})],
    "poisson_draw": [([*SEEDS, p(3, 4)], {})], "binomial_draw": [([*SEEDS, f(4, low=0.0, high=9.0), p(3, 1)], {})],
    "frac": ONE, "sinc": ONE, "deg2rad": ONE, "rad2deg": ONE, "signbit": ONE, "sgn": ONE, "angle": ONE,
    "logit": [([p(3, 4)], {"eps": e}) for e in (None, 0.25)],
    "clamp_min": [([f(3, 4), f(4)], {})], "clamp_max": [([f(3, 4), f(4)], {})],
    "nan_to_num": [([f(3, 4)], {"nan": None, "posinf": None, "neginf": 1.0})],
    "round_decimals": [([f(3, 4)], {"decimals": d}) for d in (2, -1)],
    "div_trunc": [([f(3, 4), p(4)], {})], "ldexp": [([f(3, 4), f(4)], {})],
    "i0": [([f(3, 4)], {})], "i1": [([f(3, 4)], {})],
    **{name: [([f(3, 4)], {}), ([f(5, low=26.0, high=30.0)], {})] for name in ("i0e", "i1e", "bessel_j0", "bessel_j1")},
    "hurwitz_zeta": [([f(1, 3, low=0.3, high=12.0), given([2, 3, 5])], {})], "zeta": [([given([2, 3, 5]), f(2, 3, low=0.3, high=12.0)], {})],
    "ndtr": ONE, "log_ndtr": [*ONE, ([f(5, low=-40.0, high=-5.0)], {})], "ndtri": [([p(3, 4)], {})], "entr": [([p(3, 4)], {})],
    "xlog1py": [([f(3, 4), p(4)], {})], "logaddexp2": [([f(3, 4), f(4)], {})], "heaviside": [([f(3, 4), f(4)], {})],
    "mvlgamma": [([f(3, 4, low=2.0, high=5.0)], {"p": k}) for k in (1, 3)],
    **{name: [([i(20, (3, 4)), i(20, (3, 4))], {})] for name in ("common_divisor", "common_multiple")},
    "gcd": [([i(20, (3, 4)), i(20, (4,))], {})], "lcm": [([i(20, (3, 4)), i(20, (4,))], {})],
    "lerp": [([f(3, 4), f(4), f(3, 1)], {})], "addcmul": [([f(3, 4), f(4), f(3, 1), f()], {})], "addcdiv": [([f(3, 4), f(4), p(3, 1), f()], {})],
    "next_float": [([f(5), f(5)], {})], "nextafter": [([f(3, 4), f(4)], {})], "frexp": [([p(3, 4)], {})],
    "pivoted_rows": FLAT, "order_of_pivots": [([given([2, 2, 3], [3, 3, 3])], {"m": 4})], "lu_factor": FLAT,
    "packed_lu": [([triangle(3, 3)], {}), ([triangle(2, 2, 2)], {})],
    "cholesky_failure": [([x], {}) for x in SPECTRA], "zero_pivot": SQUARE,
    "cholesky_checked": [([SymmetricInput(0.5, 1.0, 2.0)], {})], "inv_checked": SQUARE,
    "solve_checked": [([matrix(3, 3), f(3, 2)], {"left": True}), ([matrix(2, 2), f(3, 2)], {"left": False})],
    "banded_scan": [([f(4, 2, 3)] * 4, {})], "log_alignment": [([f(4, 2, 3), yes(4, 2, 3), b(4, 2, 3), b(4, 2, 3)], {})],
    "ctc_loss": [
        ([f(n, m, 3), i(3, (n, m, k), 0), yes(m, k), yes(n, m, k), b(n, m, k), b(n, m, k), yes(n, m, k)], {})
        for n, m, k in ((4, 2, 5), (3, 1, 3))
    ],
    "isclose": [([f(9), f(9)], {"rtol": 0.1, "atol": 0.1, "equal_nan": e}) for e in (False, True)],
}  # fmt: skip
