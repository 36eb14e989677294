"""L4. The entries of a trace, played back: the graph of a program, and the user's lines that an error in its data may come from."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from danlu import dtype as dt
from danlu.autodiff import gradient
from danlu.errors import DanluError, GradientError
from danlu.graph import Node, Spec, from_line, toposort
from danlu.guidance import quoted
from danlu.messages import message
from danlu.ops.source import BUFFER, CONST, NUMBER, aliased, stopped
from danlu.ops.table import PLACEHOLDER, as_dtype, number_spec, o
from danlu.runtime.executable import Interpreted


def graph_of(
    entries: Sequence[tuple],
    live: Sequence[int],
    kept: Sequence[int],
    again: Sequence[int] = (),
    lines: dict[int, Any] | None = None,
) -> tuple[list[Node], dict[int, Node], list[int]]:
    """The graph of recorded entries: the nodes to compute, the nodes whose value is known as another, the slots of the results.

    `kept` are results of which a derivative may be asked later; what it will need is computed now as well, but for
    the slots in `again`, which are computed again then.
    """
    nodes, known = replay(entries, lines)
    slots = list(live)
    if kept:
        slots += [s for s in residuals(nodes, entries, kept, known, again) if s not in slots]
    if any(n.op is PLACEHOLDER for n in toposort([nodes[s] for s in slots])):
        refuse_traced()
    return [nodes[s] for s in slots], known, slots


def replay(entries: Sequence[tuple], lines: dict[int, Any] | None = None) -> tuple[list[Node], dict[int, Node]]:
    """Entries → the node of each slot, in primitive ops; and which of them (by id) are known already as memory. `lines`: slot → origin."""
    nodes: list[Node] = []
    known: dict[int, Node] = {}
    for entry in entries:
        head = entry[0]
        if lines:
            from_line(lines.get(len(nodes)))
        if head is BUFFER:
            nodes.append(Node(BUFFER, (), (entry[2], entry[1]), entry[1]))
        elif head is CONST:
            dtype = number_spec(entry[1]).dtype
            nodes.append(Node(CONST, (), (entry[1], dtype), Spec((), dtype, True)))
        elif head is NUMBER:
            dtype = dt.float64 if entry[1] is float else dt.int64
            weak = dt.default() if entry[1] is float else dt.bool_ if entry[1] is bool else dt.int64
            nodes.append(Node(NUMBER, (), (entry[2], dtype), Spec((), weak, True)))
        elif head is PLACEHOLDER:
            nodes.append(Node(PLACEHOLDER, (), (), entry[1]))
        elif head == "history":
            nodes.append(_replay_history(entry, nodes, known))
        else:
            op, attrs, slots, cut = entry
            result = getattr(o, op.name)(*[nodes[s] for s in slots], **dict(zip(op.attrs, attrs)))
            results = result if isinstance(result, tuple) else (result,)
            given = {id(nodes[s]) for s in slots}
            nodes.extend(stopped(r) if cut else aliased(r) if id(r) in given else r for r in results)
    from_line(None)
    return nodes, known


def _replay_history(entry: tuple, nodes: list[Node], known: dict[int, Node]) -> Node:
    """A value of an earlier program: its value is memory (or is computed again), its derivative is that of its op."""
    _, op, attrs, slots, index, place, grad, spec = entry
    result = getattr(o, op.name)(*[nodes[s] for s in slots], **dict(zip(op.attrs, attrs)))
    node = result[index] if isinstance(result, tuple) else result
    node = as_dtype(node, spec.dtype)  # another one only where the default dtype has changed since
    node = stopped(node) if not grad else aliased(node) if any(node is nodes[s] for s in slots) else node
    if place >= 0:
        node = Node(node.op, node.inputs, node.attrs, node.spec)  # its own node: an input must not be taken for it
        known[id(node)] = Node(BUFFER, (), (place, spec), spec)
    return node


def residuals(
    nodes: list[Node], entries: Sequence[tuple], kept: Sequence[int], known: dict[int, Node], again: Sequence[int] = ()
) -> list[int]:
    """The slots of the recorded values that the derivatives of the kept results will read: what an eager engine would store."""
    recorded = {
        id(n): s for s, n in enumerate(nodes) if not n.spec.weak and n.op is not BUFFER and id(n) not in known and s not in again
    }
    leaves = [n for n in nodes if n.op is BUFFER and n.dtype.differentiable]
    found: set[int] = set()
    for s in kept:
        grads = [g for g in gradient(nodes[s], o.like(1.0, nodes[s]), leaves) if g is not None]
        reached = toposort(grads, stop=lambda n: id(n) in recorded or id(n) in known)
        found |= {recorded[id(n)] for n in reached if id(n) in recorded}
    return sorted(found)


def refuse_traced() -> None:
    """GradientError for a read inside vmap."""
    raise GradientError(
        "vmap: the value of a tensor is read inside the function (item(), numpy(), print, `if x > 0:` ...), but there the tensor stands for "
        "every element of the batch. Write danlu.where instead of `if`, and return what is to be read"
    )


class Lines:
    """Where the user recorded the ops of a program that may fail on their data; it holds no memory of theirs."""

    __slots__ = ("entries", "noted", "slots")

    def __init__(self, entries: Sequence[tuple], values: Sequence[Any], slots: Sequence[int]) -> None:
        self.entries, self.slots = entries, slots
        self.noted = [(v.slot, v.note.line, v.note.explain) for v in values if v is not None and v.note and v.note.line]

    def blamed(self, error: DanluError, inputs: Sequence[Any], numbers: Sequence[float | int]) -> DanluError:
        """The error with the user's line in its message. Where several went into the program, the NumPy references do the work
        again, and the first that fails gives message and line."""
        nodes, known = replay(self.entries)
        reached = {id(n) for n in toposort([nodes[s] for s in self.slots], stop=lambda n: id(n) in known)}
        noted = [note for note in self.noted if id(nodes[note[0]]) in reached]
        if len({note[1:] for note in noted}) > 1:
            found = Interpreted([nodes[slot] for slot, _, _ in noted], known).failure(inputs, numbers)
            if found is None:
                return error
            error, noted = found[0], [noted[found[1]]]
        if noted:
            _, line, explain = noted[0]
            missing = getattr(error, "missing", None)
            told = explain(*missing) if missing and explain else error
            error = told if isinstance(told, DanluError) else error
            error.args = (message("{told}; recorded at{line}", told=told, line=quoted(line)),)
        return error
