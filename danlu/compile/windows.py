"""L3. Operands of a contraction that are seen through windows: which of them are read in place, and how.

    y[n, f, p, q] = Σ_{c, i, j} w[f, c, i, j] · x[n, c, p + i - 1, q + j - 1]

An axis of memory on which a variable of the result meets a summed one (p + i - 1), or that is left (padding), is a window, unless no
place is read twice. The
convolution and both its derivatives have this form, with other roles: in the first two the positions p, q belong to the result,
in the gradient of the weight they are summed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import prod

from danlu.compile.index import Index, Var, i, is_linear
from danlu.graph import GATHER, MOVEMENT, SOURCE, Node, is_memory

SHORT = 16  # positions below which no vector is filled: then the windows are copied, and the product is one of matrices

Places = tuple[tuple[Index, int], ...]  # for each axis of the memory: the place along it and its size


@dataclass(frozen=True)
class Window:
    """The roles of the variables of a contraction one operand of which is seen through windows.

    `inner`: the positions belong to the result; `positions` from the outermost to the innermost, each with the variable `inside` the
    window that meets it (or None); `carried`: further ones that every window spans (channels); `unit`: those that are fixed
    for a box; `other`: that of the other operand alone.
    """

    inner: bool
    positions: tuple[Var, ...]
    inside: tuple[Var | None, ...]
    carried: tuple[Var, ...]
    unit: tuple[Var, ...]
    other: Var


def memory_under(node: Node, point: tuple[Index, ...], known: Callable[[Node], bool]) -> tuple[Node, Places] | None:
    """The memory under movements of `node` and the places of the element at `point`; None where zeros elsewhere and linear
    indices do not describe them. `known`: whether a movement is memory itself."""
    conditions: list[tuple] = []
    while node.op.family == MOVEMENT and not known(node):
        fill = node.op.folds
        if len(node.inputs) != 1 or (fill is not None and fill(**node.named_attrs) != 0):
            return None
        [(_, point, guard)] = node.op.emit(i, point, [node.inputs[0].shape], **node.named_attrs)  # type: ignore[misc]
        conditions += guard
        node = node.inputs[0]
    if (node.op.family == GATHER and not known(node)) or (node.op.family == SOURCE and not is_memory(node)):
        return None
    places = tuple(zip(point, node.shape, strict=True))
    linear = all(is_linear(ix) for ix, _ in places)
    if not linear or any(kind != "within" or (ix, n) not in places for kind, ix, n in conditions):
        return None
    return node, places


def is_guarded(place: Index, size: int) -> bool:
    """Whether places outside the memory occur."""
    low, high = place.bounds()
    return low < 0 or high >= size


def is_read_again(place: Index, span: Sequence[Var]) -> bool:
    """Whether two different points of the variables may meet at one place; where not, they are digits of it: a reshaped matrix."""
    reach = 0
    for step, extent in sorted((abs(place.coefficient(v)), v.extent) for v in span):
        if extent > 1:
            if step <= reach:
                return True
            reach += step * (extent - 1)
    return False


def variables(places: Places) -> list[Var]:
    """Those of all places, in the order of the axes."""
    return [a for ix, _ in places for a, _ in ix.terms if isinstance(a, Var)]


def window(places: Places, other: Sequence[Var], axes: Sequence[Var]) -> Window | None:
    """The roles, where the operand at `places` is seen through windows that can be read in place; `other`: the variables of the
    other operand, `axes`: those of the result."""
    mine = variables(places)
    own, summed = {v for v in mine if v in axes and v not in other}, {v for v in mine if v not in axes}
    spans = [variables((place,)) for place in places]
    opened = [
        t
        for t, (place, span) in enumerate(zip(places, spans, strict=True))
        if is_guarded(*place) or (own & {*span} and summed & {*span} and is_read_again(place[0], span))
    ]
    theirs = [v for v in axes if v not in mine and v.extent > 1]
    if not opened or len(set(mine)) < len(mine) or len(theirs) > 1 or any(v not in axes and v not in mine for v in other):
        return None
    long, short = (prod(v.extent for t in opened for v in spans[t] if v in kind) for kind in (own, summed))
    inner = long >= short
    at, within = (own, summed) if inner else (summed, own)
    pairs = [_pair(ix, span, at, within) for (ix, n), span in zip(places, spans, strict=True) if span][_first(spans, opened[0]) :]
    if None in pairs or not pairs:
        return None
    positions, inside = zip(*pairs)  # type: ignore[arg-type]
    if prod(v.extent for v in positions) < SHORT:
        return None
    before = [v for span in spans[: opened[0]] for v in span]
    carried = tuple(v for v in before if v in within)
    unit = tuple(v for v in before if v not in within)
    return Window(inner, positions, inside, carried, unit, theirs[0] if theirs else Var("single", 1))


def _first(spans: list[list[Var]], axis: int) -> int:
    """How many axes before `axis` have variables."""
    return sum(bool(span) for span in spans[:axis])


def _pair(place: Index, span: list[Var], at: set[Var], within: set[Var]) -> tuple[Var, Var | None] | None:
    """The position of an axis and what meets it inside the window; None where there is anything else."""
    positions = [v for v in span if v in at]
    others = [v for v in span if v not in at]
    if len(positions) != 1 or len(others) > 1 or place.coefficient(positions[0]) < 1 or any(v not in within for v in others):
        return None
    return positions[0], others[0] if others else None


def reading(node: Node, known: Callable[[Node], bool] = lambda x: False) -> tuple[int, Node, Places] | None:
    """Which operand of a contraction is read through windows in place, its memory, and the places of its elements."""
    first, second, out = node.attrs[0]
    by_label = labelled(node)
    for side, (word, others) in enumerate(((first, second), (second, first))):
        found = memory_under(node.inputs[side], tuple(i.var(by_label[c]) for c in word), known)
        if found is None or node.inputs[side].op.family != MOVEMENT or known(node.inputs[side]):
            continue
        if window(found[1], [by_label[c] for c in others if by_label[c].extent > 1], [by_label[c] for c in out]) is not None:
            return side, *found
    return None


def labelled(node: Node) -> dict[str, Var]:
    """A variable for each label of a contraction: d0, d1 … for the axes of the result, k… for summed ones."""
    first, second, out = node.attrs[0]
    by_label = {label: Var(f"d{k}", n) for k, (label, n) in enumerate(zip(out, node.shape, strict=True))}
    for word, x in zip((first, second), node.inputs):
        for label, n in zip(word, x.shape):
            by_label.setdefault(label, Var(f"k{label}", n))
    return by_label
