"""Beside the ladder. A graph worked out by the NumPy references of its ops, one node after another: what compiled code is compared with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from danlu import dtype as dt
from danlu.errors import ShapeError
from danlu.graph import SOURCE, Node, Spec, is_memory, toposort
from danlu.ops.source import BUFFER


def inputs_of(arrays: Sequence[np.ndarray]) -> list[Node]:
    """Nodes that stand for arrays: input k of a graph has the shape and the dtype of arrays[k].

    Shapes: arrays (*) → nodes (*).

    >>> from danlu.testing import inputs_of
    >>> import numpy as np
    >>> inputs_of([np.zeros(3)])
    [buffer[0, float64[3]]: float64[3]]
    """
    specs = [Spec(a.shape, dt.from_numpy(a.dtype)) for a in arrays]
    return [Node(BUFFER, (), (k, spec), spec) for k, spec in enumerate(specs)]


def evaluate(
    roots: Sequence[Node],
    arrays: Sequence[np.ndarray],
    numbers: Sequence[float | int] = (),
    known: Mapping[int, Any] | None = None,
) -> list[np.ndarray]:
    """The values of the roots of a graph, by NumPy: input k is arrays[k], Python number k is numbers[k].

    `known`: values of nodes, by id, that need not be worked out. Every other value is checked against the shape and the dtype that the
    graph says it has.

    Shapes: input k has the shape of arrays[k]; one array for each root.

    Raises ShapeError where a reference and a shape rule disagree.

    >>> from danlu.testing import evaluate, inputs_of
    >>> import numpy as np
    >>> from danlu.ops import o
    >>> arrays = [np.asarray([1.0, 2.0, 3.0])]
    >>> (x,) = inputs_of(arrays)
    >>> evaluate([o.mul(x, 2.0), o.sum(x, dims=(0,), keepdim=False)], arrays)
    [array([2., 4., 6.]), array(6.)]
    """
    values: dict[int, Any] = dict(known or {})
    with np.errstate(all="ignore"):
        for node in toposort(roots, lambda n: id(n) in values):
            if id(node) not in values:
                values[id(node)] = _checked(node, _value(node, values, arrays, numbers))
    return [values[id(root)] for root in roots]


def _checked(node: Node, value: Any) -> Any:
    if isinstance(node.spec, tuple):  # several results, which `pick` takes apart
        return value
    value = np.asarray(value)
    if value.shape != node.shape or value.dtype != node.dtype.numpy:
        raise ShapeError(
            "{op}: the reference gives {dtype}{shape}, the shape rule says {spec}",
            op=node.op.name,
            dtype=value.dtype,
            shape=list(value.shape),
            spec=node.spec,
        )
    return value


def _value(node: Node, values: dict[int, Any], arrays: Sequence[np.ndarray], numbers: Sequence[float | int]) -> Any:
    if is_memory(node):
        return arrays[node.attrs[0]]
    if node.op.family == SOURCE and node.op.attrs[0] == "slot":
        return np.asarray(numbers[node.attrs[0]]).astype(node.dtype.numpy)
    return node.op.numpy(*[values[id(x)] for x in node.inputs], **node.named_attrs)  # type: ignore[misc]
