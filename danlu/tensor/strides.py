"""L5. Where the elements of a view lie, counted as strides: whether a view may be reshaped without copying, and whether it is in order.

danlu computes with index arithmetic and needs no strides; PyTorch's meaning of `reshape` and `contiguous` (a view where the strides
allow one, else a copy) is told from these.
"""

from __future__ import annotations

from collections.abc import Sequence

from danlu.graph import Spec
from danlu.ops import TABLE

Sizes = tuple[int, ...]


def in_order(shape: Sizes) -> Sizes:
    """The strides of row-major order.

    >>> in_order((2, 3))
    (3, 1)
    """
    strides, step = [], 1
    for n in reversed(shape):
        strides.append(step)
        step *= max(n, 1)
    return tuple(reversed(strides))


def is_in_order(shape: Sizes, strides: Sizes) -> bool:
    """Whether the elements lie in row-major order without gaps."""
    return 0 in shape or all(n == 1 or s == wanted for n, s, wanted in zip(shape, strides, in_order(shape)))


def of_view(spec: Spec, chain: Sequence[tuple[str, tuple]]) -> Sizes:
    """The strides of a tensor in row-major order after movements, each of which is a view of the one before."""
    strides = in_order(spec.shape)
    for name, attrs in chain:
        after = TABLE[name].result((spec,), attrs)
        strides, spec = _MOVED[name](spec.shape, strides, attrs, after.shape), after
    return strides


def reshaped(shape: Sizes, strides: Sizes, new: Sizes) -> Sizes | None:
    """The strides of the same elements under another shape; None where no strides describe them.

    >>> reshaped((2, 3), (3, 1), (6,)), reshaped((3, 2), (1, 3), (6,))
    ((1,), None)
    """
    if 0 in shape:
        return in_order(new)
    found: list[int] = []
    rest = list(new)
    for count, stride in _blocks(shape, strides):  # each block of axes that lie one in another is cut up anew
        taken = 1
        while rest and (taken < count or rest[-1] == 1):
            found.append(taken * stride)
            taken *= rest.pop()
        if taken != count:
            return None
    return tuple(reversed([*found, *[1] * len(rest)]))


def _blocks(shape: Sizes, strides: Sizes) -> list[tuple[int, int]]:
    """(elements, stride of the last axis) of the runs of axes that could be one axis, last run first."""
    blocks: list[tuple[int, int]] = []
    for n, stride in zip(reversed(shape), reversed(strides)):
        if n == 1:
            continue
        if blocks and stride == blocks[-1][0] * blocks[-1][1]:
            blocks[-1] = (blocks[-1][0] * n, blocks[-1][1])
        else:
            blocks.append((n, stride))
    return blocks or [(1, 1)]


def _expand(shape: Sizes, strides: Sizes, attrs: tuple, after: Sizes) -> Sizes:
    lead = len(after) - len(shape)
    return tuple(0 if k < lead or shape[k - lead] != n else strides[k - lead] for k, n in enumerate(after))


def _slide(shape: Sizes, strides: Sizes, attrs: tuple, after: Sizes) -> Sizes:
    steps, dilations = attrs[1], attrs[2]
    lead, axes, inside = strides[: -2 * len(steps)], strides[-2 * len(steps) : -len(steps)], strides[-len(steps) :]
    moved = [a * s for a, s in zip(axes, steps)]
    return (*lead, *moved, *[k + a * d for k, a, d in zip(inside, axes, dilations)])


_MOVED = {
    "reshape": lambda shape, strides, attrs, after: reshaped(shape, strides, after) or in_order(after),
    "permute": lambda shape, strides, attrs, after: tuple(strides[k] for k in attrs[0]),
    "slice": lambda shape, strides, attrs, after: tuple(s * step for s, step in zip(strides, attrs[2])),
    "expand": _expand,
    "slide": _slide,
}
