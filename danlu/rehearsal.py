"""L4. What a thread will record, foreseen: a loop records the same calls again and again.

A `Script` is what one trace recorded, without its values. While a later trace follows it, a call costs one comparison with the call
that is foreseen: its op and attributes, which results of earlier calls its inputs are, and what kind of memory or number is new.
Shapes, entries and the key of the program are those of before, so nothing of them is made. Where a call is another one, the trace
`leave`s its script: what was skipped is made up for, and the engine records as if there had never been one. What was foreseen is
never believed: every input is compared, and before the program runs, who holds the results and who else can see memory that it
writes over.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from operator import attrgetter, itemgetter
from sys import getrefcount
from typing import Any

from danlu.autodiff import GRADIENT
from danlu.graph import Op, Spec
from danlu.ops.source import BUFFER, CONST, NUMBER
from danlu.ops.table import PLACEHOLDER, number_spec
from danlu.runtime.buffers import Buffer
from danlu.runtime.executable import both_kinds
from danlu.trace import Runtime, Trace, Value, is_folded, is_free, note_line

Given = Sequence[tuple[int, int]]
Hold = tuple[Callable[[Value], Any], Callable[[list], Any]]  # value → tensor; tensors → their values, if nobody has them
_handles = attrgetter("handles")
_blank = Value.__new__


SCRIPTS = 8  # that begin with the same call
SMALL = 1 << 14  # bytes of a gradient whose tensor and memory wait for the next step,
MANY = 16  # if there are so many in one pass: with 64 it takes 0.88 of a step's time, with 4 it costs 1.05
PATIENCE = 16  # times that a script may be left, more than it is followed to its end, before it is dropped
scripts: dict[
    tuple[Op, tuple, Any], list[Script]
] = {}  # first call, default dtype → what may follow, the last that did at the front


class Call:
    """One call of a script.

    `pick` takes its inputs that are values from those of the trace, `chosen` from what is given. `new`: memory and numbers that the trace
    does not know, as (position, kind, what is expected ...). `refused`: where a derivative depends on it, the mode that was not that of
    before. `results`: (spec, whether it has a derivative) of each. `freed`, `leaves`: of a backward pass, the slots of the values whose
    history goes, and of the leaves that get a gradient. `first`: the slot of the first result; `tensors`: those that were handed out for
    small gradients the last time, if the program computes all of these. `entries`: how many the trace has before it.
    """

    __slots__ = (
        "arity", "attrs", "chosen", "entries", "first", "freed", "leaves", "many", "new", "op", "pick", "refused", "results", "tensors",
    )  # fmt: skip

    def __init__(self, op: Any, attrs: tuple, entries: int) -> None:
        self.op, self.attrs, self.entries, self.arity = op, attrs, entries, 0
        self.new: list[tuple] = []
        self.results: list[tuple[Spec, bool]] = []
        self.pick: Callable[[Any], Any] | None = None
        self.chosen: Callable[[Any], Any] | None = None
        self.refused: bool | None = None
        self.many = False
        self.freed: tuple[int, ...] | None = None
        self.leaves: tuple[int, ...] = ()
        self.first = 0
        self.tensors: list | None = None

    def is_like(self, other: Call) -> bool:
        """Whether a call with the same entries is the same also in what entries do not tell: what has a derivative, what is let go."""
        return (self.new, self.results, self.refused, self.freed) == (other.new, other.results, other.refused, other.freed)


class Script:
    """The calls of a program that was recorded before, and in what state the trace was when it ran."""

    __slots__ = (
        "calls", "entries", "executable", "family", "held", "hits", "kept", "misses", "num_buffers", "overwritten", "replaced", "results", "slots",
    )  # fmt: skip

    def __init__(self, trace: Trace, calls: list[Call], found: tuple[Any, tuple[int, ...]], given: Given) -> None:
        self.calls = [*calls, Call(None, (), len(trace.entries))]
        self.entries, self.num_buffers = trace.entries, len(trace.buffers)
        self.executable, self.slots = found
        slots = [v.slot for v in trace.values if v is not None and v.buffer is None]
        self.results = picker(slots)
        self.held = [trace.values[s].handles > 0 for s in slots]  # type: ignore[union-attr]
        places = dict(given)
        self.replaced = [old.slot for _, old in trace.replaced]
        self.overwritten = [trace.places.get(id(old.buffer)) in places for _, old in trace.replaced]
        self.kept = _kept(trace, calls[-1], self.executable, self.slots)
        made = dict(self.kept.made) if self.kept is not None else {}
        for call in calls if made else ():
            sizes = [spec.size * spec.dtype.itemsize for spec, _ in call.results]
            if (
                call.freed is not None
                and len(sizes) >= MANY
                and max(sizes) <= SMALL
                and all(call.first + k in made for k in range(len(sizes)))
            ):
                call.tensors = []
        self.family: list[Script] = []  # those that begin with the same call
        self.hits = self.misses = 0

    def begins_as(self, other: Script, count: int) -> bool:
        """Whether the first calls are the same as those of another script."""
        entries = other.calls[count].entries
        return (
            count < len(self.calls)
            and self.calls[count].entries == entries
            and self.entries[:entries] == other.entries[:entries]
            and all(a.is_like(b) for a, b in zip(self.calls[:count], other.calls))
        )


def picker(slots: Sequence[int]) -> Callable[[Any], tuple]:
    """The items at some places, as a tuple."""
    if len(slots) == 1:
        (only,) = slots
        return lambda items: (items[only],)
    return itemgetter(*slots) if slots else lambda items: ()


# ---- the scripts that there are ------------------------------------------------------------------------------------------


def begin(trace: Trace, op: Op, attrs: tuple, attempt: Callable[[], Any]) -> Any:
    """What `attempt` finds for the first call of a trace, by a script that it has from now on; None where none begins with it."""
    for script in scripts.get((op, attrs, trace.default), ()):
        trace.script, trace.at = script, 0
        result = attempt()
        if result is not None and result is not False:
            return result
    trace.script = None
    return None


def turn(trace: Trace, attempt: Callable[[], Any]) -> Any:
    """What `attempt` finds by a script that is the same up to here as the one that the trace has; None, and it has none, if no one fits."""
    before = trace.script
    for script in before.family:
        if script is not before and script.begins_as(before, trace.at):
            trace.script = script
            result = attempt()
            if result is not None and result is not False:
                return result
    trace.script = before
    trace.leave()
    return None


def count(trace: Trace) -> None:
    """A trace has followed its script to the end: that comes first from now on."""
    script = trace.script
    script.hits += 1
    if script.family[0] is not script:
        script.family.sort(key=lambda s: s is not script)


def learn(trace: Trace, found: tuple[Any, tuple[int, ...]], given: tuple[tuple[int, int], ...]) -> None:
    """Keeps what was recorded as a script, where it can be told."""
    script = learned(trace, found, given)
    if script is not None:
        found[0].unrehearsed = 0
        first = script.calls[0]
        known = scripts.setdefault((first.op, first.attrs, trace.default), [])
        for dropped in known[SCRIPTS - 1 :]:
            dropped.executable.unrehearsed = 1
        known[:] = [script, *[s for s in known[: SCRIPTS - 1] if s.misses <= s.hits + PATIENCE]]
        script.family = known


# ---- learning ---------------------------------------------------------------------------------------------------------------


def learned(trace: Trace, found: tuple[Any, tuple[int, ...]], given: Given) -> Script | None:
    """The script of a trace that is about to run; None for one that does more than a script can tell."""
    if not trace.entries or trace.unforeseen or any(v is not None and not _is_plain(v) for v in trace.values):
        return None
    if any(old.trace is not trace for _, old in trace.replaced):
        return None
    calls = _calls(trace)
    return Script(trace, calls, found, given) if calls else None


def _is_plain(v: Value) -> bool:
    """Whether all there is to know of a value at the end of its trace is in a script: no history, no hooks."""
    note = v.note
    line_only = note is None or (v.op.blamed and not (note.gate or note.hooks or note.recompute or note.traced))
    if v.buffer is not None:
        return note is None and type(v.buffer) is Buffer and not v.inputs and not (v.grad and (v.leaf is None or v.freed))
    return line_only and v.leaf is None and not (v.grad and v.inputs)


def _calls(trace: Trace) -> list[Call] | None:
    calls: list[Call] = []
    new: list[tuple] = []  # (slot, kind, ...) since the last call
    slot, start = 0, 0
    for k, entry in enumerate(trace.entries):
        head = entry[0]
        if head is BUFFER:
            new.append((slot, BUFFER, entry[1], trace.values[slot].grad, entry[2]))  # type: ignore[union-attr]
        elif head is CONST or head is NUMBER:
            new.append((slot, head, entry[2] if head is CONST else entry[1], entry[1] if head is CONST else None, 0))
        elif type(head) is not Op or head is PLACEHOLDER:
            return None
        else:
            call = _call(trace, entry, start, new, slot)
            if call is None:
                return None
            calls.append(call)
            new, start, slot = [], k + 1, slot + len(call.results)
            continue
        slot += 1
    return None if new else calls


def _call(trace: Trace, entry: tuple, entries: int, new: list[tuple], slot: int) -> Call | None:
    op, attrs, slots, cut = entry
    values = trace.values
    call = Call(op, attrs, entries)
    call.arity = len(slots)
    if any(n[0] not in slots for n in new):
        return None
    call.new = [(slots.index(n[0]), *n[1:]) for n in new]
    numbers = {n[0]: number_spec(n[2](0)) for n in new if n[1] is not BUFFER}
    tensors = [k for k, s in enumerate(slots) if s not in numbers]
    if tensors:
        call.pick = itemgetter(*[slots[k] for k in tensors])
        call.chosen = itemgetter(*tensors) if numbers or len(tensors) == 1 else None
    spec = op.result(tuple([numbers[s] if s in numbers else values[s].spec for s in slots]), attrs)  # type: ignore[union-attr]
    call.many, call.first = type(spec) is tuple, slot
    results: Any = values[slot : slot + (len(spec) if call.many else 1)]
    call.results = [(v.spec, v.grad) for v in results]
    if any(values[slots[k]].grad for k in tensors):  # type: ignore[union-attr]
        call.refused = cut
    if results and results[0] in trace.passes:
        call.op, (call.freed, call.leaves) = None, trace.passes[results[0]]
    return call


class Kept:
    """Of a script that ends with an update in place: the values whose memory it writes over, and which stay what storages hold.

    `pick` takes them from those of the trace, `memory` their memory from that of the trace; `counts`: how many references each has at
    the end, where only its storage and the trace know it. `results`, `held`: what was recorded before the update, and whether somebody
    holds it. `made`: which of these are computed, each with its place among the new results of the program.
    """

    __slots__ = ("call", "counts", "held", "made", "memory", "pick", "results")

    def __init__(self, call: Call, slots: list[int], places: list[int], counts: list[int]) -> None:
        self.call = call
        self.pick, self.memory, self.counts = picker(slots), picker(places), counts
        self.made: list[tuple[int, int]] = []
        self.results = picker(())
        self.held: list[bool] = []


def _kept(trace: Trace, call: Call, executable: Any, slots: Sequence[int]) -> Kept | None:
    """What the last call of a trace writes over, where that is the memory of all values that it replaces."""
    count = len(call.results)
    replaced, results = trace.replaced[-count:], trace.values[-count:]
    outputs = dict(zip(slots, executable.outputs))
    if not count or len(replaced) < count or results[0] in trace.passes:
        return None
    for (reference, old), new in zip(replaced, results):
        heir, place = reference(), trace.places.get(id(old.buffer))
        if heir is None or heir.value is not new or new.handles != 1 or old.slot not in trace.entries[-1][2]:  # type: ignore[union-attr]
            return None
        if new.slot not in outputs or tuple(outputs[new.slot].same or ()) != ("over", place):  # type: ignore[union-attr]
            return None
    histories = {id(v.inputs): v.inputs for v in trace.values if v is not None}.values()
    olds = [old for _, old in replaced]
    counts = [2 + _ASKED + sum(x is old for inputs in histories for x in inputs) for old in olds]
    kept = Kept(call, [old.slot for old in olds], [trace.places[id(old.buffer)] for old in olds], counts)
    return kept if _knows_the_others(kept, trace, executable, slots) else None


def _knows_the_others(kept: Kept, trace: Trace, executable: Any, slots: Sequence[int]) -> bool:
    """Adds the results of earlier calls, if those that are computed have memory of their own."""
    first = len(trace.values) - len(kept.counts)
    earlier = [v for v in trace.values[:first] if v is not None and v.buffer is None]
    kept.results, kept.held = picker([v.slot for v in earlier]), [v.handles > 0 for v in earlier]
    made = [(slot, k) for slot, (is_old, k) in zip(slots, executable.arrangement) if slot < first and not is_old]
    kept.made = made
    return len(made) + len(kept.counts) == len(slots) and not executable.doubled


_ASKED = next(map(getrefcount, (object(),)))  # references that asking for them takes; the storage and the trace have one each
ONCE = {2 + _ASKED}  # what is counted of memory that a value and the trace have


# ---- following --------------------------------------------------------------------------------------------------------------


def follow(trace: Trace, op: Op, inputs: tuple, attrs: tuple, differentiable: bool) -> Any:
    """What the next call records, if it is the one that is foreseen; else None, and nothing has been recorded."""
    call = trace.script.calls[trace.at]
    if call.op is not op or call.attrs != attrs or call.refused is differentiable or call.arity != len(inputs):
        return None
    values = trace.values
    if call.new and not _enter(trace, call.new, inputs):
        return None
    if call.pick is not None and call.pick(values) != (inputs if call.chosen is None else call.chosen(inputs)):
        withdraw(trace)
        return None
    trace.at += 1
    if call.many:
        return tuple(_results(trace, call, op, inputs))
    v = _result(trace, call, op, inputs, 0)
    if op.blamed:
        note_line(op, (v,))
    return v


def _results(trace: Trace, call: Call, op: Op, inputs: tuple) -> list[Value]:
    found = [_result(trace, call, op, inputs, k) for k in range(len(call.results))]
    if op.blamed:
        note_line(op, found)
    return found


def _result(trace: Trace, call: Call, op: Op, inputs: tuple, k: int) -> Value:
    """Result k of a call: what `Value(…)` makes, but that no history is counted as a reader (`Trace.leave` makes up for it)."""
    v = _blank(Value)
    v.op = op
    v.inputs = inputs
    v.attrs = call.attrs
    v.spec, v.grad = call.results[k]
    v.index = k
    v.handles = v.held = 0
    v.freed = False
    v.buffer = v.leaf = v.note = None
    v.trace = trace
    v.slot = len(trace.values)
    trace.values.append(v)
    return v


def _enter(trace: Trace, new: list[tuple], inputs: tuple) -> bool:
    """Takes new memory and numbers into the trace, where they are what is foreseen."""
    values, buffers = trace.values, trace.buffers
    for position, kind, expected, more, place in new:
        x = inputs[position]
        if kind is BUFFER:
            if (
                type(x) is not Value
                or x.spec is not expected
                or x.grad is not more
                or x.inputs
                or x.note is not None
                or x.trace is trace
            ):
                break
            buffer = x.buffer
            if type(buffer) is not Buffer or (more and (x.leaf is None or x.freed)):
                break
            if place == len(buffers):
                buffers.append(buffer)
            elif buffers[place] is not buffer:
                break
            x.slot = len(values)
            values.append(x)
            x.trace = trace  # when it is there: `rewind` finds it, whatever happens
        elif kind is NUMBER and type(x) is Runtime and type(x.value) is expected:
            trace.numbers += both_kinds(x.value)
            values.append(None)
        elif not _enter_number(trace, x, kind is CONST, expected, more):
            break
    else:
        return True
    withdraw(trace)
    return False


def _enter_number(trace: Trace, x: Any, constant: bool, expected: type, value: Any) -> bool:
    changes = type(x) is Runtime
    x = x.value if changes else x
    if type(x) is not expected or (not changes and is_folded(x)) is not constant or (constant and x != value):
        return False
    if not constant:
        trace.numbers += both_kinds(x)
    trace.values.append(None)
    return True


def withdraw(trace: Trace) -> None:
    """Takes out of the trace again what a call brought in that was not the foreseen one."""
    calls = trace.script.calls[: trace.at]
    count = sum(len(c.new) + len(c.results) for c in calls)
    for v in trace.values[count:]:
        if v is not None:
            v.trace = None
    del trace.values[count:]
    del trace.buffers[len({n[4] for c in calls for n in c.new if n[1] is BUFFER}) :]
    del trace.numbers[2 * sum(n[1] is NUMBER for c in calls for n in c.new) :]


def rewind(trace: Trace) -> None:
    """After an exception in the middle of a call: the trace has those that it has the results of."""
    script = trace.script
    if script is not None:
        while sum(len(c.new) + len(c.results) for c in script.calls[: trace.at]) > len(trace.values):
            trace.at -= 1
        withdraw(trace)
        trace.spare, trace.kept = {}, ((), ())


def follow_backward(trace: Trace, ys: tuple, hold: Hold, full: Op | None = None) -> tuple[list[Value], list[Any]] | None:
    """The leaves and their gradients, if a backward pass over `ys` (see `engine.backward`) is what comes next; else None."""
    if full is not None:
        (y,) = ys
        seed = follow(trace, full, (1,), (y.spec.shape, y.spec.dtype), False)
        found = None if seed is None else follow_backward(trace, (y, seed), hold)
        if seed is not None and found is None:
            trace.at -= 1
            withdraw(trace)
        return found
    call = trace.script.calls[trace.at]
    if call.freed is None or len(ys) != 2 * call.attrs[0]:
        return None
    if call.new and (call.new[-1][0] >= len(ys) or not _enter(trace, call.new, ys)):  # a seed that was computed before
        return None
    values = trace.values
    inputs = call.pick(values)  # type: ignore[misc]
    if inputs[: len(ys)] != ys:
        withdraw(trace)
        return None
    trace.at += 1
    found = _handed_out_again(trace, call, inputs, hold) if call.tensors else None
    if found is None:
        found = list(map(hold[0], _results(trace, call, GRADIENT, inputs)))
        call.tensors = found.copy() if call.tensors is not None else None
    for s in call.freed:
        v: Any = values[s]
        v.inputs = ()
        v.freed = True
    return [values[s] for s in call.leaves], found  # type: ignore[misc]


def _handed_out_again(trace: Trace, call: Call, inputs: tuple, hold: Hold) -> list | None:
    """The tensors of the last gradients for those of now, if nobody has one or looks at its memory, which will be written again."""
    values = hold[1](call.tensors or [])
    if values is None:
        return None
    trace.spare = {call.first + k: v.buffer for k, v in enumerate(values)}
    for v in values:
        v.inputs, v.trace, v.slot, v.buffer = inputs, trace, len(trace.values), None
        trace.values.append(v)
    return call.tensors.copy()  # type: ignore[union-attr]


def follow_end(trace: Trace, op: Op, inputs: tuple, attrs: tuple, targets: Sequence[Any], kind: type) -> bool:
    """Whether an update in place of `targets` (their storages are of a `kind`) is what a script ends with, and all that it would write
    over is known to nobody else. Then the values are among the results of the trace, and have no memory until it has run."""
    script = trace.script
    call, kept = script.calls[trace.at], script.kept
    if kept is None or call is not kept.call or call.op is not op or call.attrs != attrs or call.refused is False:
        return False
    if call.arity != len(inputs) or len(targets) != len(kept.counts):
        return False
    if call.new and not _enter(trace, call.new, inputs):
        return False
    values = trace.values
    written = kept.pick(values)
    if (
        call.pick(values) == (inputs if call.chosen is None else call.chosen(inputs))  # type: ignore[misc]
        and list(map(getrefcount, written)) == kept.counts
        and set(map(getrefcount, kept.memory(trace.buffers))) == ONCE
        and _are_their_own(targets, written, kind)
        and is_as_before(trace, kept.results, kept.held, len(script.replaced) - len(written))
    ):
        trace.at += 1
        trace.kept = written, kept.memory(trace.buffers)
        for v in written:
            v.buffer = None
        return True
    withdraw(trace)
    return False


def _are_their_own(targets: Sequence[Any], written: tuple[Value, ...], kind: type) -> bool:
    """Whether each value is that of the storage of its tensor and of no other, and its memory may be written over."""
    for t, v in zip(targets, written):
        storage, buffer = t._storage, v.buffer
        if t._base is not None or storage.value is not v or type(storage) is not kind:
            return False
        if v.handles != 1 or v.held or buffer.shared or buffer.borrowed:  # type: ignore[union-attr]
            return False
    return True


# ---- the end ----------------------------------------------------------------------------------------------------------------


def fulfilled(trace: Trace) -> bool:
    """Whether the trace has come to the end of its script, with the same results held, and the same memory free to be written over."""
    script = trace.script
    at_end = script.calls[trace.at].entries == len(script.entries)
    return at_end and is_as_before(trace, script.results, script.held, len(script.replaced))


def is_as_before(trace: Trace, results: Callable[[Any], tuple], held: list[bool], count: int) -> bool:
    """Whether the same results are held as in the script, and the same memory of the first `count` replaced values is free."""
    script, replaced = trace.script, trace.replaced
    if len(set(trace.buffers)) != script.num_buffers or len(replaced) != count:
        return False
    handles = list(map(_handles, results(trace.values)))
    if handles != held and list(map(bool, handles)) != held:  # mostly one storage holds each: 1 == True
        return False
    for (_, old), slot, over in zip(replaced, script.replaced, script.overwritten):
        if old.trace is not trace or old.slot != slot or (over and not is_free(old)):
            return False
    return True
