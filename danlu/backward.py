"""L5. The backward pass over what was recorded: from values to the gradients of their leaves.

Mostly it is one `gradient` composite. Where Python has a word in it (a hook, an autograd.Function, a checkpoint), the graph is cut
at these places, the stations: each part between stations is one composite, and what arrives at a station is handed to Python.
Nothing is computed here; a station may read values, and then what was recorded so far runs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from danlu.autodiff import GRADIENT, TANGENT
from danlu.engine import Hold, Value, backward, passed, record
from danlu.errors import GradientError
from danlu.messages import Phrase
from danlu.ops import TABLE

Pull = Callable[[Any, list[Any], bool], list[Any]]


class Gate:
    """A step whose derivative is written in Python.

    `inputs`: the values that its gradients go to. `pull(gate, grads of the results, create_graph)` gives theirs (None is zero);
    `push(tangents of the inputs)` those of the results. `release()` lets go of what they need.
    """

    __slots__ = ("freed", "inputs", "name", "num_results", "pull", "push")

    def __init__(self, name: str, inputs: Sequence[Value], num_results: int, pull: Pull, push: Any = None) -> None:
        self.name, self.inputs, self.num_results = name, list(inputs), num_results
        self.pull, self.push, self.freed = pull, push, False
        for x in self.inputs:
            x.handles += 1  # where they are computed, they are kept

    def result(self, value: Value, position: int) -> Value:
        """Says that a value, which has no derivative of its own, is a result of this step."""
        value.track().noted().gate = self, position
        return value

    def release(self) -> None:
        """After a backward pass that keeps nothing."""
        self.freed, self.pull, self.push = True, _used_up, None

    def __del__(self) -> None:
        for x in self.inputs:
            x.handles -= 1


def _used_up(gate: Gate, grads: list[Any], create_graph: bool) -> list[Any]:
    raise GradientError(USED_UP)


USED_UP = Phrase(
    "backward through the same graph a second time: what it needs was let go after the first. "
    "Compute the loss again, or write loss.backward(retain_graph=True) the first time"
)


def sources(v: Value) -> Sequence[Any]:
    """What a recorded value was computed from, as its derivative sees it."""
    if v.note is not None and v.note.gate is not None:
        return v.note.gate[0].inputs
    return v.inputs


def is_station(v: Value) -> bool:
    """True where Python has a word in the gradient. (The hooks of a leaf come at the very end.)"""
    return v.note is not None and (v.note.gate is not None or (bool(v.note.hooks) and bool(v.inputs)))


def history(roots: Sequence[Value]) -> list[Value]:
    """Every value that a derivative of the roots passes, inputs before what is computed from them."""
    order: list[Value] = []
    done: set[int] = set()
    stack = [(v, False) for v in reversed(roots)]
    while stack:
        v, expanded = stack.pop()
        if expanded:
            order.append(v)
            continue
        if id(v) in done:
            continue
        done.add(id(v))
        if v.freed:
            raise GradientError(USED_UP)
        stack.append((v, True))
        for x in v.inputs if v.note is None else sources(v):
            if type(x) is Value and x.grad and id(x) not in done:
                if x.inputs or x.note is not None or x.freed:
                    stack.append((x, False))
                else:  # a leaf: nothing comes before it
                    done.add(id(x))
                    order.append(x)
    return order


def gradients(
    roots: Sequence[Value],
    seeds: Sequence[Value],
    targets: Sequence[Value] | None,
    keep: bool,
    create_graph: bool,
    hold: Hold,
) -> tuple[list[Value], list[Any]]:
    """The values to differentiate with respect to (all leaves, if `targets` is None) and the gradient of Σ roots · seeds for each;
    None where no root depends on it. `hold[0]` makes of each gradient what keeps it in memory once it is computed (a tensor)."""
    for v in roots:
        if not v.grad:
            raise GradientError(
                "backward of a tensor that does not require grad: no tensor that it was computed from has requires_grad=True, "
                "or it was computed under no_grad(), detached, or by what has no derivative (argmax, comparisons, whole numbers)"
            )
    if targets is None and not keep and not create_graph:
        foreseen = backward((*roots, *seeds), hold)
        if foreseen is not None:
            return foreseen
    order = history(roots)
    leaves = [v for v in order if v.leaf is not None] if targets is None else list(targets)
    stations = {id(v) for v in order if v.note is not None and is_station(v)}
    earlier = _earlier(order, leaves) if targets is not None else {}
    passing = _Pass(order, stations, [*leaves, *earlier.values()], create_graph)
    try:
        if stations:
            passing.run(roots, seeds)
        else:
            passing.at_once(roots, seeds)
        for now, before in earlier.items():
            passing.merge(now, before)
        found = [passing.grads.get(id(v)) for v in leaves]
        found = [_hooked(v, g) if id(v) not in stations else g for v, g in zip(leaves, found)]
        result = [None if g is None else hold[0](g) for g in found]
    finally:
        passing.release()
    if not keep:
        plain = targets is None and not stations and not create_graph and None not in found
        passed(order, leaves if plain else (), found)  # type: ignore[arg-type]
        _free(order)
    return leaves, result


def _earlier(order: list[Value], targets: list[Value]) -> dict[Value, Value]:
    """Targets that are leaves written in place since the history was recorded: what they are now → what the history knows them as."""
    met = {id(v) for v in order}
    missing = {v.leaf(): v for v in targets if v.leaf is not None and not v.inputs and id(v) not in met}
    found = {}
    for v in order if missing else ():
        now = missing.get(v.leaf()) if v.leaf is not None and not v.inputs else None
        if now is not None:
            found[now] = v
    return found


def _free(order: list[Value]) -> None:
    for v in order:
        if v.note is not None and v.note.gate is not None:
            v.note.gate[0].release()
            v.freed = True
        elif v.inputs:
            v.forget()
            v.freed = True


def _hooked(v: Value, g: Value | None) -> Value | None:
    """The gradient after the hooks of its value."""
    if g is not None and v.note is not None and v.note.hooks:
        for hook in list(v.note.hooks.values()):
            g = hook(g)
    return g


class _Pass:
    """One backward pass: the gradients known so far, kept in memory while Python may read values."""

    def __init__(self, order: list[Value], stations: set[int], targets: list[Value], create_graph: bool) -> None:
        self.order, self.stations, self.create_graph = order, stations, create_graph
        self.targets = {id(v): v for v in targets}
        self.grads: dict[int, Value] = {}
        self.held: list[Value] = []

    def at_once(self, roots: Sequence[Value], seeds: Sequence[Value]) -> None:
        """Without stations: one composite."""
        reached = {id(v) for v in self.order}
        xs = [v for key, v in self.targets.items() if key in reached]
        if xs:
            for x, g in zip(xs, record(GRADIENT, (*roots, *seeds, *xs), (len(roots), 0), self.create_graph)):
                self._keep(x, g)

    def run(self, roots: Sequence[Value], seeds: Sequence[Value]) -> None:
        """Roots, then station after station: when one is reached, everything that uses it is done."""
        waiting = _results_in(self.order)
        self._deliver(list(zip(roots, seeds)))
        for v in reversed(self.order):
            if id(v) not in self.stations:
                continue
            g = self._arrived(v)
            if v.note.gate is None:  # type: ignore[union-attr]
                if g is not None:
                    self._segment([(v, g)], v.inputs)
                continue
            gate = v.note.gate[0]  # type: ignore[union-attr]
            waiting[id(gate)] -= 1
            if not waiting[id(gate)]:
                self._through(gate)

    def release(self) -> None:
        """The end: what has not become a result is let go."""
        for g in self.held:
            g.handles -= 1
        self.held.clear()

    def merge(self, now: Value, before: Value) -> None:
        """The gradient of a value belongs to another one."""
        g = self.grads.get(id(before))
        if g is not None:
            self.grads[id(now)] = g

    def _arrived(self, v: Value) -> Value | None:
        g = _hooked(v, self.grads.get(id(v)))
        if g is not None:
            self._keep(v, g)
        return g

    def _keep(self, v: Value, g: Value) -> None:
        g.handles += 1  # a station may read values: what is known by then is not computed twice
        self.held.append(g)
        self.grads[id(v)] = g

    def _sum(self, a: Value | None, b: Value | None) -> Value | None:
        return a if b is None else b if a is None else record(TABLE["add"], (a, b), (), self.create_graph)  # type: ignore[return-value]

    def _add(self, v: Value, g: Value) -> None:
        self._keep(v, self._sum(self.grads.get(id(v)), g))  # type: ignore[arg-type]

    def _through(self, gate: Gate) -> None:
        given: list[Value | None] = [None] * gate.num_results
        for v in self.order:
            if v.note is not None and v.note.gate is not None and v.note.gate[0] is gate:
                given[v.note.gate[1]] = self._sum(given[v.note.gate[1]], self.grads.get(id(v)))
        if any(g is not None for g in given):
            found = gate.pull(gate, given, self.create_graph)
            self._deliver([(x, g) for x, g in zip(gate.inputs, found) if g is not None and x.grad])

    def _deliver(self, pairs: list[tuple[Value, Value]]) -> None:
        """Gradients to where they belong: a station keeps its own until its turn; from the others they flow on."""
        flowing = []
        for v, g in pairs:
            if id(v) in self.stations:
                self._add(v, g)
            else:
                flowing.append((v, g))
        below = [x for v, _ in flowing for x in v.inputs]
        passed = self._segment(flowing, below) if flowing else ()
        for v, g in flowing:
            if id(v) in self.targets and id(v) not in passed:
                self._add(v, g)

    def _segment(self, pairs: list[tuple[Value, Value]], below: Sequence[Any]) -> set[int]:
        """The part of the graph from some values down to the next stations, as one composite; what it gave a gradient."""
        xs, cuts = self._reach(below)
        if xs:
            ys, gys = [v for v, _ in pairs], [g for _, g in pairs]
            found = record(GRADIENT, (*ys, *gys, *xs), (len(ys), cuts), self.create_graph)
            for x, g in zip(xs, found):
                self._add(x, g)
        return {id(x) for x in xs}

    def _reach(self, below: Sequence[Any]) -> tuple[list[Value], int]:
        """The stations and then the targets that lie below, and how many of them are stations."""
        cuts, passed, seen = [], [], set()
        stack = [x for x in below if type(x) is Value and x.grad]
        while stack:
            v = stack.pop()
            if id(v) in seen:
                continue
            seen.add(id(v))
            if id(v) in self.stations:
                cuts.append(v)
                continue
            if id(v) in self.targets:
                passed.append(v)
            stack.extend(x for x in v.inputs if type(x) is Value and x.grad)
        return cuts + passed, len(cuts)


def _results_in(order: list[Value]) -> dict[int, int]:
    """How many results of each gate the pass will meet."""
    count: dict[int, int] = {}
    for v in order:
        if v.note is not None and v.note.gate is not None:
            gate = id(v.note.gate[0])
            count[gate] = count.get(gate, 0) + 1
    return count


def tangents(ys: Sequence[Value], xs: Sequence[Value], dxs: Sequence[Value], create_graph: bool) -> list[Value | None]:
    """Forward mode: the change of each y when each x changes by dx; None where it does not depend on any. Gates are passed one by one."""
    known = {id(x): (x, dx) for x, dx in zip(xs, dxs)}
    done: set[int] = set()
    order = history([y for y in ys if y.grad])
    for v in order:
        gate = v.note.gate[0] if v.note is not None and v.note.gate is not None else None
        if gate is None or id(gate) in done:
            continue
        done.add(id(gate))
        given = _push_to(gate.inputs, known, create_graph)
        if all(d is None for d in given):
            continue
        if gate.push is None:
            raise GradientError(
                "{name} has no forward derivative; write a static method jvp(ctx, *tangents) in it", name=gate.name
            )
        results = gate.push(given)
        for w in order:
            if w.note is not None and w.note.gate is not None and w.note.gate[0] is gate and results[w.note.gate[1]] is not None:
                known[id(w)] = w, results[w.note.gate[1]]
    return _push_to(ys, known, create_graph)


def _push_to(ys: Sequence[Value], known: dict[int, tuple[Value, Value]], create_graph: bool) -> list[Value | None]:
    """The tangents of ys by one composite, from what is known."""
    depends = dict.fromkeys(known, True)
    for v in history([y for y in ys if y.grad]):
        depends.setdefault(id(v), any(depends.get(id(x), False) for x in v.inputs))
    wanted = [y for y in ys if depends.get(id(y), False)]
    if not wanted:
        return [None] * len(ys)
    xs, dxs = [x for x, _ in known.values()], [d for _, d in known.values()]
    found = record(TANGENT, (*wanted, *xs, *dxs), (len(wanted),), create_graph)
    by_id = {id(y): d for y, d in zip(wanted, found)}
    return [by_id.get(id(y)) for y in ys]


@contextmanager
def kept(values: Sequence[Value]) -> Iterator[None]:
    """Inside, these values stay in memory once they are computed."""
    for v in values:
        v.handles += 1
    try:
        yield
    finally:
        for v in values:
            v.handles -= 1
