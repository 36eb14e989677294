"""L3. Pass: a product of matrices gets its axes, its strides and its plan, or, where no plan fits, plain loops.

before: t0[d0, d1] = contract b0[784*d0 + kk], b1[784*d1 + kk]
after:  t0[m, n] = contract …, with a plan: register tiles, packing, chunks

Every labelled axis is one of rows (m, only in the first operand), columns (n, only in the second), batch (in both and in the result)
or summed (k). Several axes of one kind that walk memory as one are merged; further ones of rows and columns become batch,
and of two summed axes the outer one is summed tile by tile.
The axes of slices stay as they are.
Needs: a Contract over labelled axes. Guarantees: axes are (batch …, m, n) and `plan` says how they run, or no Contract is left.
"""

from __future__ import annotations

from dataclasses import replace

from danlu.compile import gemm
from danlu.compile.index import ZERO, Index, Var, atoms_of, is_linear
from danlu.compile.kernel import (
    PRODUCT,
    Accumulate,
    Apply,
    Begin,
    Choose,
    Constant,
    Contract,
    Kernel,
    Load,
    Loop,
    Rewriter,
    Store,
    indices,
)  # fmt: skip
from danlu.compile.passes.boxes import boxed
from danlu.compile.passes.collapse import one_walk
from danlu.compile.target import Target


def contraction(kernel: Kernel, target: Target) -> Kernel:
    """The kernel with its contraction planned."""
    if not (kernel.body and isinstance(kernel.body[0], Contract)):
        return kernel
    contract = kernel.body[0]
    planned = boxed(contract, target) if contract.total.dtype.is_floating_point and not contract.slices else None
    if planned is not None:
        return replace(kernel, body=[planned])
    planned = _planned(contract, target) if contract.total.dtype.is_floating_point and affine(contract) else None
    return replace(kernel, body=plain(contract) if planned is None else [planned])


def affine(c: Contract) -> bool:
    """Whether both operands are memory that strides alone describe."""
    return all(isinstance(x, Load) and not x.guard and is_linear(x.index) for x in (c.a, c.b))


def summed(c: Contract) -> list[Var]:
    """The variables that are summed over, in the order in which the first operand has them."""
    found: list[Var] = []
    for ix in (c.a.index, c.b.index):
        for atom in atoms_of(ix):
            if isinstance(atom, Var) and atom not in c.axes and atom not in found:
                found.append(atom)
    return found


def _planned(c: Contract, target: Target) -> Contract | None:
    c, k = _merge(c, sorted(summed(c), key=lambda v: -c.a.index.coefficient(v)))
    if len(k) > 2 or any(v.extent == 0 for v in (*c.axes, *k)):
        return None
    axes = [v for v in c.axes if v.extent > 1 and v not in c.slices]
    in_a, in_b = ({a for a, _ in x.index.terms} for x in (c.a, c.b))
    c, rows = _merge(c, [v for v in axes if v in in_a and v not in in_b])
    c, columns = _merge(c, [v for v in axes if v not in in_a])
    c, both = _merge(c, [v for v in axes if v in in_a and v in in_b])
    m, n = (vs.pop() if vs else Var(name, 1) for vs, name in ((rows, "m"), (columns, "n")))
    batch = (*c.slices, *both, *rows, *columns)
    *outer, depth = k or [Var("k", 1)]
    problem = gemm.Contraction(
        tuple(v.extent for v in (*batch, *outer)), m.extent, n.extent, depth.extent,
        tuple(c.a.index.coefficient(v) for v in (*batch, *outer, m, depth)),
        tuple(c.b.index.coefficient(v) for v in (*batch, *outer, depth, n)),
        c.a.index.const, c.b.index.const, c.a.dtype, len(outer), slices=len(c.slices), shared=c.shared,
    )  # fmt: skip
    along = "m" if any(isinstance(s, Store) and s.index.coefficient(m) == 1 for s in c.body) else "n"
    return replace(c, axes=(*batch, m, n), plan=gemm.plan(problem, target, along))


def _merge(c: Contract, variables: list[Var]) -> tuple[Contract, list[Var]]:
    """The variables, outer ones first, with neighbours that walk memory as one made one."""
    merged: list[Var] = []
    for v in variables:
        everywhere = [c.a.index, c.b.index, *indices(c.body)]
        if merged and one_walk(merged[-1], v, everywhere):
            outer = merged.pop()
            both = Var(outer.name, outer.extent * v.extent)
            rewriter = Rewriter({outer: ZERO, v: Index(((both, 1),))})
            c = replace(c, a=rewriter.expression(c.a), b=rewriter.expression(c.b), body=rewriter.body(c.body))
            v = both
        merged.append(v)
    return c, merged


def plain(c: Contract) -> list:
    """The contraction as loops that multiply and add."""
    product = Apply(PRODUCT, (_guarded(c.a), _guarded(c.b)), (), c.total.dtype)
    body: list = [Accumulate(c.total, product)]
    for var in reversed(summed(c)):
        body = [Loop(var, body)]
    body = [Begin(c.total), *body, *c.body]
    for axis in reversed(c.axes):
        if axis.extent != 1:
            body = [Loop(axis, body)]
    return body


def _guarded(e: Load) -> Load | Choose:
    """What an operand is where it does not exist: 0."""
    return Choose(e.guard, e, Constant(0, e.dtype), e.dtype) if e.guard else e
