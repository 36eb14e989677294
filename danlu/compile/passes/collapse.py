"""L3. Pass: two loops that walk memory as one become one.

before: serial d0 < 256 { serial d1 < 784 { b0[784*d0 + d1] = … } }
after:  serial d0 < 200704 { b0[d0] = … }

Needs: serial loops. Guarantees: the same elements in the same order.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from danlu.compile.index import ZERO, Index, Var, atoms_of
from danlu.compile.kernel import Kernel, Loop, Rewriter, indices
from danlu.compile.target import Target


def collapse(kernel: Kernel, target: Target) -> Kernel:
    """The kernel with every pair of loops that can be one as one; the loop over rows stays."""
    if len(kernel.groups) > 1:
        (rows,) = kernel.body
        return replace(kernel, body=[replace(rows, body=_body(rows.body))])
    return replace(kernel, body=_body(kernel.body))


def _body(body: list) -> list:
    return [_loop(s) if isinstance(s, Loop) else s for s in body]


def _loop(outer: Loop) -> Loop:
    body = _body(outer.body)
    if len(body) == 1 and isinstance(body[0], Loop) and one_walk(outer.var, body[0].var, indices(body[0].body)):
        inner = body[0]
        var = Var(outer.var.name, outer.var.extent * inner.var.extent)
        return Loop(var, Rewriter({outer.var: ZERO, inner.var: Index(((var, 1),))}).body(inner.body))
    return Loop(outer.var, body)


def one_walk(outer: Var, inner: Var, everywhere: Iterable[Index]) -> bool:
    """Whether every index moves by `extent of inner` times as much with the outer variable as with the inner one."""
    for ix in everywhere:
        if ix.coefficient(outer) != ix.coefficient(inner) * inner.extent:
            return False
        if _hidden(ix, outer, inner):
            return False
    return True


def _hidden(ix: Index, outer: Var, inner: Var) -> bool:
    """Whether a variable also stands inside a quotient or a remainder of the index."""
    return any(a in (outer, inner) for atom, _ in ix.terms if atom.inner() is not None for a in atoms_of(atom.inner()))  # type: ignore[arg-type]
