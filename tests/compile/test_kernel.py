"""The kernel IR: what the verifier refuses, and how the IR is printed."""

from __future__ import annotations

from dataclasses import replace

import pytest

from danlu import dtype as dt
from danlu.compile.index import Index, Position, Var, i
from danlu.compile.kernel import (
    LOCATE,
    Accumulate,
    Apply,
    Begin,
    Choose,
    Constant,
    Count,
    Fold,
    Kernel,
    Load,
    Loop,
    MalformedKernel,
    Number,
    Store,
    Total,
    render,
    verify,
    verify_order,
)
from danlu.ops import TABLE

D, R = Var("d0", 10), Var("r0", 4)
F = dt.float32
SUM = Total("t0", TABLE["sum"], F)


def load(index: Index, slot: int = 0, guard=()) -> Load:
    return Load(slot, index, F, guard)


def store(value, index: Index | None = None) -> Store:
    return Store(1, i.var(D) if index is None else index, value, F)


def kernel(*body) -> Kernel:
    return Kernel("k0", list(body))


def total(*, begin=True, lanes=1, fold=False) -> Kernel:
    inner = [Begin(SUM, lanes)] * begin + [Loop(R, [Accumulate(SUM, load(i.ravel((i.var(D), i.var(R)), (10, 4))))])]
    return kernel(Loop(D, [*inner, *[Fold(SUM)] * fold, store(SUM)]))


def test_sound_kernels_pass():
    verify(kernel(Loop(D, [store(load(i.var(D)))])))
    verify(total())
    verify(total(lanes=8, fold=True))


D5 = i.var(Var("d5", 3))
MALFORMED = [
    (kernel(Loop(D, [store(load(D5))])), "k0: d5 is not in scope"),
    (kernel(Loop(D, [store(load(i.var(D)), D5)])), "k0: d5 is not in scope"),
    (kernel(Loop(D, [store(Count(i.floordiv(D5, 2), F))])), "k0: d5 is not in scope"),
    (kernel(Loop(D, [store(load(i.var(D), guard=(i.within(D5, 2),)))])), "k0: d5 is not in scope"),
    (kernel(Loop(D, [store(Choose((i.divides(2, D5),), load(i.var(D)), Constant(0, F), F))])), "k0: d5 is not in scope"),
    (kernel(Loop(D, [store(load(Index(((Position(load(D5), 7), 1),))))])), "k0: d5 is not in scope"),
    (kernel(store(load(i.zero)), Loop(D, [store(load(i.var(D)))])), "k0: d0 is not in scope"),
    (kernel(Loop(D, [Loop(D, [store(load(i.var(D)))])])), "k0: loop d0 is inside a loop of the same name"),
    (total(begin=False), "k0: t0 is used before it begins"),
    (kernel(Loop(D, [Fold(SUM)])), "k0: t0 is used before it begins"),
    (kernel(Loop(D, [store(SUM), Begin(SUM)])), "k0: t0 is used before it begins"),
    (kernel(Loop(D, [store(Apply(TABLE["neg"], (SUM,), (), F))])), "k0: t0 is used before it begins"),
    (kernel(Loop(D, [store(load(i.var(D)))], "spiral")), "k0: loop d0 of kind 'spiral' does not belong here"),
    (kernel(Loop(D, [Loop(R, [store(load(i.var(D)))], "vector", 8)], "vector", 8)), "k0: loop r0 of kind 'vector' does not belong here"),
    (kernel(Loop(D, [Loop(R, [store(load(i.var(R)))], chunk=2)])), "k0: loop r0 has chunks and is not the outermost"),
    (kernel(Loop(D, [store(load(i.var(D), guard=(("near", i.var(D), 3),)))])), "k0: a condition of kind 'near' is unknown"),
    (kernel(Loop(D, [store("x")])), "k0: 'x' is no expression"),
    (kernel(Loop(D, ["x"])), "k0: 'x' is no statement"),
    (kernel(Loop(D, [replace(store(load(i.var(D))), mode="xor")])), "k0: a store of mode 'xor' is unknown"),
]  # fmt: skip


@pytest.mark.parametrize("k", range(len(MALFORMED)))
def test_malformed_kernels_are_refused(k):
    broken, message = MALFORMED[k]
    with pytest.raises(MalformedKernel) as error:
        verify(broken)
    assert str(error.value).startswith(message)


def test_kernels_are_printed_as_they_are_read():
    position = Position(Apply(LOCATE, (load(i.var(D), 2), Constant(True, dt.bool_)), (7,), dt.int64), 7)
    value = Choose(
        (i.within(i.affine(i.var(D), 1, -2), 5), i.divides(2, i.var(D))), load(Index(((position, 3),), 1)), Number(0, F), F
    )
    text = render(
        kernel(
            Begin(SUM, 8),
            Loop(R, [Accumulate(SUM, Count(i.var(R), F))], "vector", 8),
            Fold(SUM),
            Loop(D, [store(value)], chunk=4),
        )
    )
    assert (
        text
        == """\
kernel k0 chunks=1
  t0 = begin sum float32 lanes=8
  vector r0 < 4 lanes=8
    t0 <- count(r0)
  t0 = fold t0
  serial d0 < 10 chunk=4
    b1[d0] = choose(d0 + -2 in 0..5 and 2 | d0: b0[3*[locate(b2[d0], True, 7)] + 1], number0)"""
    )


def test_memory_is_read_only_after_it_was_written():
    first = kernel(Loop(D, [store(load(i.var(D)))]))
    second = kernel(Loop(D, [Store(2, i.var(D), load(i.var(D), 1), F)]))
    verify_order([first, second], {0})
    verify_order([second], {0, 1})
    with pytest.raises(MalformedKernel, match="k0: b1 is read before a kernel has written it"):
        verify_order([second, first], {0})
