"""L4. An update in place that a program ended with, made once more: it is compared with the last one by what it writes.

The foreseen update (`rehearsal.follow_end`) is handed every tensor that it reads and writes. Where the same optimizer made the last one of
its script too, only what may differ is looked at: the gradients, who holds the values that are written over, and new numbers.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from sys import getrefcount
from typing import Any

from danlu.ops.source import BUFFER, NUMBER
from danlu.rehearsal import ONCE, Script, is_as_before, picker, withdraw
from danlu.runtime.executable import both_kinds
from danlu.trace import Runtime, Trace


class Again:
    """An update in place that a script ended with, as it is made the next time if nobody has touched what it writes.

    `read`: takes what it reads and does not write (gradients) from the values of a trace. `storages`: what it writes, of a `kind`;
    `entered`: those that no call before it reads, whose values `trace` had the last time; `known`: the others. `numbers`: as a program is given them;
    `changing`: which are new each time.
    """

    __slots__ = (
        "blank",
        "changing",
        "counts",
        "entered",
        "kind",
        "known",
        "numbers",
        "place",
        "read",
        "script",
        "storages",
        "trace",
    )

    def __init__(self, trace: Trace, script: Script, inputs: Sequence[Any], targets: Sequence[Any]) -> None:
        self.trace, self.script = trace, script
        kept: Any = script.kept
        new, slots = kept.call.new, script.entries[-1][2]
        written = {id(t) for t in targets}
        self.storages = [t._storage for t in targets]
        self.kind = {type(s) for s in self.storages}
        self.entered = [inputs[n[0]]._storage for n in new if n[1] is BUFFER]
        self.known = [s for s in self.storages if s not in self.entered]
        self.blank = [None] * (len(new) - len(self.entered))
        self.place = script.num_buffers - len(self.entered)
        self.read = picker([s for s, x in zip(slots, inputs) if type(x) not in _PLAIN and id(x) not in written])
        self.counts = [count - 1 for count in kept.counts]  # no tuple of inputs has them
        given = [inputs[n[0]] for n in new if n[1] is NUMBER]
        self.numbers = [y for x in given for y in both_kinds(x.value if type(x) is Runtime else x)]
        self.changing = [k for k, x in enumerate(given) if type(x) is Runtime]

    def renew(self, numbers: Sequence[float]) -> list[float | int]:
        """The numbers of the next update."""
        found = self.numbers
        for k, x in zip(self.changing, numbers):
            found[2 * k], found[2 * k + 1] = both_kinds(x)
        return found


_PLAIN = {float, int, bool, Runtime}


def again(trace: Trace, script: Script, inputs: Sequence[Any], targets: Sequence[Any]) -> Again | None:
    """What remembers the update that a trace has just ended with; None where it does more than that can tell."""
    new = script.kept.call.new  # type: ignore[union-attr]
    entered = [n for n in new if n[1] is BUFFER]
    known = [id(x) for x in inputs]
    if (
        entered == new[len(new) - len(entered) :]
        and [n[4] for n in entered] == list(range(script.num_buffers - len(entered), script.num_buffers))
        and all(known.count(id(t)) == 1 for t in targets)
        and {known[n[0]] for n in entered} <= {id(t) for t in targets}
        and all(type(x.value) is float for x in inputs if type(x) is Runtime)
    ):
        return Again(trace, script, inputs, targets)
    return None


def follow_again(trace: Trace, a: Again, read: tuple, numbers: Callable[[], Sequence[float] | None]) -> bool:
    """`follow_end` for an update that is the one of the last time and reads these values."""
    kept: Any = a.script.kept
    values: Any = trace.values
    if a.script.calls[trace.at] is not kept.call or a.read(values) != read or len(trace.buffers) != a.place:
        return False
    if set(map(type, a.storages)) != a.kind or [s.value.trace for s in a.entered] != [a.trace] * len(a.entered):
        return False
    values += a.blank
    values += [s.value for s in a.entered]
    trace.buffers += [s.value.buffer for s in a.entered]
    written = kept.pick(values)
    if (
        tuple([s.value for s in a.storages]) == written
        and list(map(getrefcount, written)) == a.counts
        and set(map(getrefcount, kept.memory(trace.buffers))) == ONCE
        and True not in [s.value.buffer.shared or s.value.buffer.borrowed for s in a.known]
        and is_as_before(trace, kept.results, kept.held, len(a.script.replaced) - len(written))
    ):
        try:
            found = numbers()
        except BaseException:
            withdraw(trace)
            raise
        if found is not None:
            trace.numbers += a.renew(found)
            trace.at += 1
            trace.kept, a.trace = (written, kept.memory(trace.buffers)), trace
            for v in written:
                v.buffer = None
                v.trace = trace
            return True
    withdraw(trace)
    return False
