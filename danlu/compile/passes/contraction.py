"""L3. Pass: a product of matrices gets its axes, its strides and its plan, or, where no plan fits, plain loops.

before: t0[d0, d1] = contract b0[784*d0 + kk], b1[784*d1 + kk]
after:  the same with a plan: tiles, packing, chunks

Needs: a Contract over labelled axes. Guarantees: axes are (batch …, m, n) and the plan says how they run.
"""

from __future__ import annotations

from dataclasses import replace

from danlu.compile.index import Var, atoms_of, i
from danlu.compile.kernel import PRODUCT, Accumulate, Apply, Begin, Contract, Kernel, Loop
from danlu.compile.target import Target


def contraction(kernel: Kernel, target: Target) -> Kernel:
    """The kernel with its contraction planned."""
    if not (kernel.body and isinstance(kernel.body[0], Contract)):
        return kernel
    return replace(kernel, body=plain(kernel.body[0]))


def summed(c: Contract) -> list[Var]:
    """The variables that are summed over, in the order in which the first operand has them."""
    found: list[Var] = []
    for ix in (c.a.index, c.b.index):
        for atom in atoms_of(ix):
            if isinstance(atom, Var) and atom not in c.axes and atom not in found:
                found.append(atom)
    return found


def plain(c: Contract) -> list:
    """The contraction as loops that multiply and add."""
    product = Apply(PRODUCT, (c.a, c.b), (), c.total.dtype)
    body: list = [Accumulate(c.total, product)]
    for var in reversed(summed(c)):
        body = [Loop(var, body)]
    body = [Begin(c.total), *body, *c.body]
    for axis in reversed(c.axes):
        if axis.extent != 1:
            body = [Loop(axis, body)]
    return body


__all__ = ["contraction", "i", "plain", "summed"]
