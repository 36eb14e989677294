"""L3. Pass over the whole program: a product writes its result where a copy would put it.

before: t0[d0, d1] = contract …  { b2[32*d0 + d1] = t0 }      serial d0 < 64 { serial d1 < 32 { b4[96*d0 + d1 + 64] = b2[32*d0 + d1] } }
after:  t0[d0, d1] = contract …  { b4[96*d0 + d1 + 64] = t0 }

So what is put together of products (the gradient of queries, keys and values that one product made) is never copied.
Needs: serial loops. Guarantees: what was copied has no other reader; a slot may be written by several kernels, each a part of it.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from math import prod
from typing import Any

from danlu.compile.index import Index, Var, is_linear
from danlu.compile.kernel import Call, Contract, Kernel, Load, Loop, Store, all_expressions, expressions

Digits = list[tuple[int, int, int]]  # (step in the one memory, extent, step in the other)


def place(kernels: list[Kernel], results: set[int]) -> list[Kernel]:
    """The kernels without copies of products that nobody else reads; `results` are slots that are read after the program."""
    makers = {s.slot: k for k, kernel in enumerate(kernels) for s in _stores(kernel) if s.slot not in results}
    found = [[copy for s in kernel.body if (copy := _copy(s)) is not None] for kernel in kernels]
    copying = {k: copies for k, copies in enumerate(found) if len(copies) == len(kernels[k].body)}
    if not any(copy.value.slot in makers for copies in copying.values() for copy in copies):
        return kernels
    uses = Counter(slot for kernel in kernels for s in kernel.body for slot in _read(kernel, s))
    made = list(kernels)
    for k, copies in copying.items():
        kernel, kept = kernels[k], []
        for s, copy in zip(kernel.body, copies):
            maker = makers.get(copy.value.slot) if uses[copy.value.slot] == 1 else None
            moved = None if maker is None else _moved(made[maker], copy, _variables(s))
            if maker is None or moved is None:
                kept.append(s)
            else:
                made[maker] = moved
        if len(kept) < len(kernel.body):
            made[k] = replace(kernel, body=kept)
    return [k for k in made if k.body]


def _read(kernel: Kernel, s: Any) -> set[int]:
    """The slots that a statement of a kernel reads."""
    found = {e.slot for e in (expressions([s]) if len(kernel.body) > 1 else all_expressions(kernel)) if isinstance(e, Load)}
    if isinstance(s, Call):
        return {slot for slot, _ in s.inputs}
    return found | {s.a.slot, s.b.slot} if isinstance(s, Contract) else found


def _stores(kernel: Kernel) -> list[Store]:
    """What a product stores."""
    first = kernel.body[0]
    return [s for s in first.body if isinstance(s, Store)] if isinstance(first, Contract) else []


def _variables(s: Any) -> list[Var]:
    found = []
    while isinstance(s, Loop):
        found.append(s.var)
        s = s.body[0]
    return found


def _copy(s: Any) -> Store | None:
    """The store of loops that do nothing but move one piece of memory."""
    while isinstance(s, Loop) and len(s.body) == 1:
        s = s.body[0]
    if not isinstance(s, Store) or not isinstance(s.value, Load) or s.mode != "set":
        return None
    return s if s.dtype is s.value.dtype and not s.value.guard else None


def _moved(kernel: Kernel, copy: Store, variables: list[Var]) -> Kernel | None:
    """The product that writes to where the copy does; None where strides do not say where that is, or do not let it write vectors."""
    digits = _digits(copy, variables)
    contract: Contract = kernel.body[0]
    at = next(k for k, s in enumerate(contract.body) if isinstance(s, Store) and s.slot == copy.value.slot)
    store = contract.body[at]
    terms = None if digits is None else _terms(store.index, digits)
    if not terms or all(c != 1 for _, c in terms):
        return None
    store = Store(copy.slot, Index(terms, copy.index.const), store.value, store.dtype)
    return replace(kernel, body=[replace(contract, body=[*contract.body[:at], store, *contract.body[at + 1 :]])])


def _digits(copy: Store, variables: list[Var]) -> Digits | None:
    """The number of an element of the memory that is read, digit by digit from the last; None where loops and strides do not make it one."""
    source, goal = copy.value.index, copy.index
    if source.const or not (is_linear(source) and is_linear(goal)):
        return None
    found: Digits = []
    size = 1
    for step, v in sorted(((source.coefficient(v), v) for v in variables), key=lambda pair: pair[0]):
        far = goal.coefficient(v)
        if step != size:
            return None
        if found and far == found[-1][1] * found[-1][2]:  # both walk on together
            near, extent, first = found.pop()
            found.append((near, extent * v.extent, first))
        else:
            found.append((step, v.extent, far))
        size *= v.extent
    return found


def _terms(index: Index, digits: Digits) -> list[tuple[Var, int]] | None:
    """The index in the other memory of an element whose number is `index`."""
    terms = []
    if index.const or prod(v.extent for v, _ in index.terms) != prod(n for _, n, _ in digits):
        return None
    ends = [0] * len(digits)
    for v, c in index.terms:
        if not isinstance(v, Var):
            return None
        k = max(k for k, (step, _, _) in enumerate(digits) if step <= c)
        step, extent, far = digits[k]
        ends[k] += c // step * (v.extent - 1)
        if c % step or ends[k] >= extent:
            return None
        terms.append((v, c // step * far))
    return terms
