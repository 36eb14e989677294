"""Contractions against NumPy in float64: shapes, strides, dtypes, epilogues, every variant, any grouping of chunks."""

from __future__ import annotations

import ctypes
import random
from dataclasses import replace

import numpy as np
import pytest
from gemm_runner import Program, compile_plan, module_text, strides_of
from hypothesis import given, settings
from hypothesis import strategies as st

from danlu import dtype as dt
from danlu.compile import gemm, llvm, micro, tiling
from danlu.compile.emit import Emitter, Value
from danlu.compile.target import TARGETS, Target, host
from danlu.errors import DTypeError, ShapeError

TOLERANCE = {np.float16: 2e-3, np.float32: 1e-6, np.float64: 2e-15}  # of Σ |a| · |b|


def operands(batch, m, n, k, ta=False, tb=False, dtype=np.float32, seed=0):
    """Random A (batch, m, k) and B (batch, k, n), stored the other way round where ta, tb say so."""
    source = np.random.default_rng(seed)
    a = source.standard_normal((*batch, k, m) if ta else (*batch, m, k)).astype(dtype)
    b = source.standard_normal((*batch, n, k) if tb else (*batch, k, n)).astype(dtype)
    return (a.swapaxes(-1, -2) if ta else a), (b.swapaxes(-1, -2) if tb else b)


def contraction(a: np.ndarray, b: np.ndarray) -> gemm.Contraction:
    """The contraction of two arrays (batch..., m, k) and (batch..., k, n) by their strides."""
    *batch, m, k = a.shape
    return gemm.Contraction(tuple(batch), m, b.shape[-1], k, strides_of(a), strides_of(b), dtype=dt.from_numpy(a.dtype))


def program(a, b, strides, axis="n", bias=False, target: Target | None = None, **forced) -> Program:
    """The compiled plan of a product of a and b."""
    return compile_plan(gemm.plan(contraction(a, b), target or host(), axis, **forced), strides, bias, target)


def close(found: np.ndarray, a: np.ndarray, b: np.ndarray) -> None:
    """found = a @ b up to the rounding of sums of products."""
    a, b = a.astype(np.float64), b.astype(np.float64)
    bound = TOLERANCE[found.dtype.type] * (np.abs(a) @ np.abs(b) + 1e-30)
    worse = np.abs(found.astype(np.float64) - a @ b) > bound
    assert not worse.any(), f"{worse.sum()} of {worse.size} elements are wrong, the first at {np.argwhere(worse)[0]}"


def product(a, b, axis="n", order=None, target: Target | None = None, **forced) -> np.ndarray:
    """danlu's a @ b; C lies so that `axis` has stride 1."""
    shape = (*a.shape[:-1], b.shape[-1]) if axis == "n" else (*a.shape[:-2], b.shape[-1], a.shape[-2])
    c = np.full(shape, 99, a.dtype)
    c = c if axis == "n" else c.swapaxes(-1, -2)
    program(a, b, strides_of(c), axis, target=target, **forced).run(a, b, c, order=order)
    return c


def avx2() -> Target:
    """This machine as if it had 256-bit vectors and 16 registers."""
    if "+avx2" not in host().features:
        pytest.skip("needs a CPU with AVX2")
    kept = (f.replace("+", "-") if "avx512" in f else f for f in host().features.split(",") if f != "-prefer-256-bit")
    return replace(host(), features=",".join(kept), vector_bytes=32, registers=16)


SIZES = st.sampled_from([1, 2, 3, 4, 5, 7, 8, 10, 15, 16, 17, 31, 33, 48, 50, 64, 65])
BATCHES = st.sampled_from([(), (), (1,), (3,), (2, 3)])


@settings(max_examples=60, deadline=None)
@given(BATCHES, SIZES, SIZES, st.sampled_from([0, 1, 2, 3, 8, 16, 17, 40, 100]), st.booleans(), st.booleans(),
       st.sampled_from([np.float32, np.float64, np.float16]), st.sampled_from("mn"))  # fmt: skip
def test_any_shape_and_transpose(batch, m, n, k, ta, tb, dtype, axis):
    a, b = operands(batch, m, n, k, ta, tb, dtype)
    close(product(a, b, axis), a, b)


def test_units_go_down_the_rows_where_the_panels_of_all_columns_are_too_large():
    """A unit is the same, and so is what it gives; the order is another one."""
    a, b = operands((), 1100, 70, 256, ta=True)
    assert gemm.plan(contraction(a, b), host(), "m").down
    assert not gemm.plan(contraction(a[:500], b), host(), "m").down
    close(product(a, b, "m"), a, b)


@settings(max_examples=40, deadline=None)
@given(st.sampled_from(["columns", "k"]), st.tuples(st.booleans(), st.booleans()), SIZES, SIZES, st.sampled_from([5, 16, 33, 70]),
       st.booleans(), st.booleans(), st.sampled_from([(1, 1), (3, 2), (4, 4)]), st.sampled_from([None, 16, 24]))  # fmt: skip
def test_every_variant(variant, pack, m, n, k, ta, tb, tile, k_block):
    a, b = operands((2,), m, n, k, ta, tb)
    forced = {"variant": variant, "pack": pack, "tile": tile, "k_block": k_block}
    close(product(a, b, **forced), a, b)


@pytest.mark.parametrize("variant", ["columns", "k"])
@pytest.mark.parametrize("order", ["sAB", "ABs", "BsA"])
def test_folded_views(variant, order):
    """Steps, a broadcast batch (stride 0), a reversed axis, an offset."""
    base = np.random.default_rng(1).standard_normal(200_000).astype(np.float32)
    shape, strides = {"s": 2, "A": 19, "B": 37}, {}
    place = 1
    for letter in reversed(order):
        strides[letter], place = 2 * place, place * shape[letter] * 2
    view = np.lib.stride_tricks.as_strided
    a = view(base[5:], (2, 19, 37), tuple(4 * strides[x] for x in "sAB"))
    b = view(base[7:], (2, 37, 23), (0, 4 * 3, 4 * 50))
    c = gemm.Contraction((2,), 19, 23, 37, strides_of(a), strides_of(b), 5, 7)
    result = np.full((2, 19, 23), np.nan, np.float32)
    compile_plan(gemm.plan(c, host(), variant=variant), strides_of(result)).run(base, base, result)
    close(result, a, b)


def test_negative_strides():
    a, b = operands((), 20, 30, 40)
    flipped, turned = a[::-1, ::-1], b[:, ::-1]
    c = gemm.Contraction((), 20, 30, 40, strides_of(flipped), strides_of(turned), a.size - 1, 29)
    result = np.full((20, 30), np.nan, np.float32)
    compile_plan(gemm.plan(c, host()), strides_of(result)).run(a, b, result)
    close(result, flipped, turned)


@pytest.mark.parametrize("shape", [(37, 50, 20), (16, 16, 4), (16, 3, 16), (1, 40, 33), (40, 1, 33), (1, 1, 1)])
@pytest.mark.parametrize("axis", ["n", "m"])
def test_epilogue_with_bias_and_relu(shape, axis):
    m, n, k = shape
    a, b = operands((), m, n, k)
    bias = np.random.default_rng(2).standard_normal(n).astype(np.float32)
    c = np.full((m, n), np.nan, np.float32)
    program(a, b, strides_of(c), axis, bias=True).run(a, b, c, bias)
    expected = np.maximum(a.astype(np.float64) @ b + bias, 0)
    np.testing.assert_allclose(c, expected, atol=1e-5)


@pytest.mark.parametrize("axis", ["n", "m"])
@pytest.mark.parametrize("shape", [(45, 70, 33), (7, 5, 20)])
def test_each_element_is_handed_over_once(shape, axis):
    """An epilogue that adds to C: with C = 0 before, C is the product after, if and only if nothing came twice."""
    a, b = operands((2,), *shape)
    c = np.zeros((2, *shape[:2]), np.float32)
    plan = gemm.plan(contraction(a, b), host(), axis)
    text = module_text(plan, strides_of(c), add=True)
    Program(plan, gemm.emit_phases(plan), llvm.load(llvm.compile_text(text, machine=host())), text).run(a, b, c)
    close(c, a, b)


def single(chunks):
    """Every chunk alone, shuffled."""
    return random.Random(0).sample([(i, i + 1) for i in range(chunks)], chunks)


def backwards(chunks):
    """Two uneven ranges, the later one first."""
    cut = chunks // 3
    return [(cut, chunks)] + ([(0, cut)] if cut else [])


@pytest.mark.parametrize(
    ("shape", "forced"),
    [
        (((), 150, 200, 300), {}),
        (((), 150, 200, 300), {"pack": (True, True)}),
        (((3,), 65, 70, 50), {"variant": "k"}),
        (((), 10, 20, 70_000), {}),
        (((), 1, 1, 300_000), {}),
    ],
)
@pytest.mark.parametrize("tb", [False, True])
def test_grouping_of_chunks_leaves_the_bits(shape, forced, tb, monkeypatch):
    monkeypatch.setattr(tiling, "CHUNK_WORK", 1 << 16)
    monkeypatch.setattr(gemm, "PACK_ELEMENTS", 1 << 10)
    a, b = operands(*shape, tb=tb)
    c = np.empty((*a.shape[:-1], b.shape[-1]), np.float32)
    made = program(a, b, strides_of(c), **forced)
    assert max(phase.chunks for phase in made.phases) > 3
    results = []
    for order in (None, single, backwards):
        c[...] = np.nan
        made.run(a, b, c, order=order)
        results.append(c.tobytes())
    close(c, a, b)
    assert results[0] == results[1] == results[2]


def test_empty_k_gives_zeros_in_one_phase():
    a, b = operands((), 5, 20, 0, tb=True)
    assert [phase.name for phase in gemm.emit_phases(gemm.plan(contraction(a, b), host()))] == ["tiles"]
    np.testing.assert_array_equal(product(a, b), np.zeros((5, 20)))


def test_long_k_is_cut_into_parts():
    a, b = operands((), 10, 20, 70_000)
    plan = gemm.plan(contraction(a, b), host())
    assert [phase.name for phase in gemm.emit_phases(plan)][-2:] == ["tiles", "finish"]
    close(product(a, b), a, b)


@settings(max_examples=40, deadline=None)
@given(st.sampled_from([(1,), (2,), (7,), (3, 5), (2, 1), (40,)]), SIZES, SIZES, st.sampled_from([1, 3, 16, 40, 200]), st.booleans(), st.booleans(),
       st.sampled_from("mn"))  # fmt: skip
def test_an_outer_axis_is_summed_too(batch, m, n, k, ta, tb, axis):
    a, b = operands(batch, m, n, k, ta=ta, tb=tb)
    c = np.full((*batch[:-1], m, n) if axis == "n" else (*batch[:-1], n, m), 99, np.float32)
    c = c if axis == "n" else c.swapaxes(-1, -2)
    plan = gemm.plan(replace(contraction(a, b), outer=True), host(), axis)
    results = []
    for order in (None, single, backwards):
        c[...] = np.nan
        compile_plan(plan, strides_of(c)).run(a, b, c, order=order)
        results.append(c.tobytes())
    exact = (a.astype(np.float64) @ b.astype(np.float64)).sum(len(batch) - 1)
    bound = 1e-6 * (np.abs(a).astype(np.float64) @ np.abs(b).astype(np.float64)).sum(len(batch) - 1)
    assert (np.abs(c - exact) <= bound + 1e-30).all()
    assert results[0] == results[1] == results[2]


@pytest.mark.parametrize("shape", [(64, 64, 64), (33, 10, 100), (16, 3, 16), (1, 100, 50), (100, 1, 50)])
@pytest.mark.parametrize("tb", [False, True])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_avx2_comes_from_the_same_code(shape, tb, dtype):
    a, b = operands((), *shape, tb=tb, dtype=dtype)
    close(product(a, b, target=avx2()), a, b)


@pytest.mark.parametrize("target", TARGETS, ids=lambda t: t.name)
@pytest.mark.parametrize("tb", [False, True])
def test_every_target_compiles(target, tb):
    a, b = operands((2,), 35, 40, 20, tb=tb)
    text = module_text(gemm.plan(contraction(a, b), target), (35 * 40, 40, 1))
    assembly = llvm.assembly(text, machine=target)
    fused = {"x86_64": "vfmadd", "aarch64": "fmla"}[target.arch]
    assert (fused in assembly) is target.fma
    assert "fmaf" not in assembly  # the C library's


def test_integers_wrap():
    a = np.arange(-300, 300, dtype=np.int32).reshape(20, 30) * 100_003
    b = np.arange(-450, 450, dtype=np.int32).reshape(30, 30) * 99_991
    exact = a.astype(np.int64) @ b.astype(np.int64)
    np.testing.assert_array_equal(product(a, b), (exact & 0xFFFFFFFF).astype(np.uint32).view(np.int32))


@pytest.mark.parametrize("shape", [(16, 16, 4), (16, 3, 16), (10, 17, 3)])
def test_text_of_a_small_kernel_is_short(shape):
    a, b = operands((), *shape)
    assert len(module_text(gemm.plan(contraction(a, b), TARGETS[0]), (shape[1], 1))) < 15_000


def test_sum_lanes_and_transpose_keep_their_order():
    """Lane i belongs to vector i, whatever the powers of two."""
    for lanes in (1, 2, 4, 8):
        for count in [c for c in (1, 2, 4, 8) if c <= lanes]:
            assert _run_lanes(lanes, count, transposed=False) == [sum(range(i * lanes, (i + 1) * lanes)) for i in range(count)]
        square = np.arange(lanes * lanes).reshape(lanes, lanes)
        assert _run_lanes(lanes, lanes, transposed=True) == square.T.ravel().tolist()


def _run_lanes(lanes: int, count: int, transposed: bool) -> list[float]:
    b = Emitter()
    rows = [micro.load(b, micro.at(b, "%begin.p", str(i * lanes), dt.float32), dt.float32, lanes) for i in range(count)]
    results: list[Value] = micro.transpose(b, rows) if transposed else [micro.sum_lanes(b, rows)]
    place = 0
    for x in results:
        micro.store(b, x, micro.at(b, "%end.p", str(place), dt.float32))
        place += x.lanes
    body = "\n".join(b.lines)
    module = llvm.load(llvm.compile_text(f"define void @f(ptr %begin.p, ptr %end.p) {{\n{body}\n  ret void\n}}"))
    source, target = np.arange(lanes * count, dtype=np.float32), np.empty(place, np.float32)
    ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_void_p)(module.address("f"))(source.ctypes.data, target.ctypes.data)
    return target.tolist()


def test_messages():
    with pytest.raises(DTypeError, match=r"a contraction of bool was asked for; it takes numbers. Convert first: x.float\(\)"):
        gemm.plan(gemm.Contraction((), 1, 1, 1, (1, 1), (1, 1), dtype=dt.bool_), host())
    with pytest.raises(ShapeError, match=r"b_strides has 2 entries; expected 3: one per batch axis of \(4,\) and two more"):
        gemm.plan(gemm.Contraction((4,), 1, 1, 1, (1, 1, 1), (1, 1)), host())
