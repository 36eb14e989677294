"""L4. The machine code of kernels, each made once for all programs that have it, and the native loop over the steps of a program.

A kernel is known by its text: its code is in memory as long as a program lives that runs it, else on disk, else LLVM makes it.
A program in memory is a row of 64-bit words: how many addresses its largest step needs, where the counters of a profiled
program are (or 0), then for each step its function (or what it is instead), chunks, kernel, number of places, and of each place
the entry of the table and the offset. Walking them costs 1 ns an address. A step that runs others slice after slice has as its first
place the words of those, which stand behind the end: how many addresses the largest needs, slices of a chunk and in all, how many
functions; of each the address, the number of places, and of each place its number in the step and the bytes from chunk to chunk.
"""

from __future__ import annotations

import functools
import hashlib
import sys
import time
import weakref
from array import array
from collections.abc import Sequence

from danlu.compile import llvm, target
from danlu.compile.body import ATTRIBUTES, CALLBACK, STEPS, Place
from danlu.compile.program import Step
from danlu.config import config
from danlu.runtime import cache

_END, _CALL, _CHECK = 0, 1, 2  # what stands in the place of a function's address
_modules: weakref.WeakValueDictionary[str, llvm.Module] = weakref.WeakValueDictionary()


def key_of(text: str) -> str:
    """What a text is known by."""
    return hashlib.blake2b(text.encode(), digest_size=20).hexdigest()


def known(key: str) -> llvm.Module | None:
    """The code of a text that this process, or one before it, has made."""
    module = _modules.get(key)
    if module is None:
        code = cache.get(key)
        if code is None:
            return None
        module = _modules[key] = llvm.load(code)
    return module


def modules(texts: Sequence[str]) -> list[llvm.Module]:
    """The code of texts, made now where nobody has made it."""
    began, found = time.perf_counter(), [known(key_of(text)) for text in texts]
    made = [module or _made(text) for module, text in zip(found, texts)]
    if "compile" in config.log:
        seconds = time.perf_counter() - began
        print(f"danlu: {found.count(None)} of {len(texts)} functions compiled in {seconds * 1e3:.0f} ms", file=sys.stderr)
    return made


def _made(text: str) -> llvm.Module:
    key, code = key_of(text), llvm.compile_text(text)
    cache.put(key, code)
    module = _modules[key] = llvm.load(code)
    return module


def encoded(steps: Sequence[Step], functions: Sequence[llvm.Module], counters: int) -> array:
    """The words of a program."""
    addresses = [f.address("kernel") for f in functions]
    words = array("Q", [max((len(s.places) + 1 for s in steps), default=0), counters])
    behind = 2 + sum(4 + 2 * (len(s.places) + (s.kind == "slices")) for s in steps) + 1
    turns = array("Q")
    for s in steps:
        places = [*s.places]
        if s.kind == "slices":
            places.insert(0, Place(STEPS, 8 * (behind + len(turns))))
            turns.extend((max(len(t.places) for t in s.turns), s.each, s.count, len(s.turns)))
            for t in s.turns:
                turns.extend((addresses[t.number], len(t.places), *(x for place in t.places for x in place)))
        head = _CALL if s.kind == "call" else _CHECK
        if s.kind in ("run", "slices"):
            head = addresses[s.number] if s.kind == "run" else slicer().address("kernel")
        words.extend((head, s.number if s.kind == "call" else s.chunks, s.label, len(places)))
        words.extend(x for place in places for x in (place.entry, place.offset))
    words.append(_END)
    return words + turns


@functools.cache
def slicer() -> llvm.Module:
    """The code that runs functions slice after slice."""
    (module,) = modules([_SLICES + ATTRIBUTES])
    return module


@functools.cache
def runner() -> llvm.Module:
    """The code of `main` and `loop`."""
    (module,) = modules([_TEXT.format(clock=target.host().clock, steps=STEPS, callback=CALLBACK, attributes=ATTRIBUTES)])
    return module


# The addresses that a step of slices is given: its words, then its places.
_SLICES = """
define void @kernel(ptr %args, i64 %begin, i64 %end) #0 {
entry:
  %words = load ptr, ptr %args
  %most = load i64, ptr %words
  %each_at = getelementptr i64, ptr %words, i64 1
  %each = load i64, ptr %each_at
  %count_at = getelementptr i64, ptr %words, i64 2
  %count = load i64, ptr %count_at
  %turns_at = getelementptr i64, ptr %words, i64 3
  %turns = load i64, ptr %turns_at
  %first_turn = getelementptr i64, ptr %words, i64 4
  %places = getelementptr i64, ptr %args, i64 1
  %given = alloca i64, i64 %most, align 64
  %first = mul i64 %begin, %each
  %wanted = mul i64 %end, %each
  %less = icmp ult i64 %wanted, %count
  %last = select i1 %less, i64 %wanted, i64 %count
  br label %slice
slice:
  %k = phi i64 [ %first, %entry ], [ %next_slice, %sliced ]
  %next_slice = add i64 %k, 1
  %more_slices = icmp ult i64 %k, %last
  br i1 %more_slices, label %turn, label %done
turn:
  %t = phi i64 [ 0, %slice ], [ %next_turn, %run ]
  %at = phi ptr [ %first_turn, %slice ], [ %place_at, %run ]
  %next_turn = add i64 %t, 1
  %more_turns = icmp ult i64 %t, %turns
  br i1 %more_turns, label %fill, label %sliced
sliced:
  br label %slice
fill:
  %function = load ptr, ptr %at
  %size_at = getelementptr i64, ptr %at, i64 1
  %size = load i64, ptr %size_at
  %listed = getelementptr i64, ptr %at, i64 2
  br label %next
next:
  %n = phi i64 [ 0, %fill ], [ %following, %place ]
  %place_at = getelementptr [2 x i64], ptr %listed, i64 %n
  %more = icmp ult i64 %n, %size
  br i1 %more, label %place, label %run
place:
  %number = load i64, ptr %place_at
  %stride_at = getelementptr i64, ptr %place_at, i64 1
  %stride = load i64, ptr %stride_at
  %base_at = getelementptr i64, ptr %places, i64 %number
  %base = load i64, ptr %base_at
  %offset = mul i64 %stride, %begin
  %address = add i64 %base, %offset
  %goal = getelementptr i64, ptr %given, i64 %n
  store i64 %address, ptr %goal
  %following = add i64 %n, 1
  br label %next
run:
  call void %function(ptr %given, i64 %k, i64 %next_slice)
  br label %turn
done:
  ret void
}
"""

# main runs the steps of one table of addresses; loop runs main on `count` tables, one after the other, stops at the first error and
# returns how many ran without one.
_TEXT = """
declare i64 @llvm.readcyclecounter()

define void @main(ptr %args, ptr %pool) #0 {{
entry:
  %steps_at = getelementptr ptr, ptr %args, i64 {steps}
  %steps = load ptr, ptr %steps_at
  %most = load i64, ptr %steps
  %counters_at = getelementptr ptr, ptr %steps, i64 1
  %counters = load ptr, ptr %counters_at
  %counted = icmp ne ptr %counters, null
  %first = getelementptr i64, ptr %steps, i64 2
  %given = alloca i64, i64 %most, align 64
  %begun = {clock}
  br label %step
step:
  %at = phi ptr [ %first, %entry ], [ %next, %done ], [ %next, %count ]
  %before = phi i64 [ %begun, %entry ], [ %before, %done ], [ %now, %count ]
  %chunks_at = getelementptr i64, ptr %at, i64 1
  %label_at = getelementptr i64, ptr %at, i64 2
  %size_at = getelementptr i64, ptr %at, i64 3
  %places = getelementptr i64, ptr %at, i64 4
  %kind = load i64, ptr %at
  switch i64 %kind, label %kernel [ i64 0, label %end i64 1, label %library i64 2, label %check ]
kernel:
  %chunks = load i64, ptr %chunks_at
  %size = load i64, ptr %size_at
  br label %fill
fill:
  %n = phi i64 [ 0, %kernel ], [ %following, %place ]
  %place_at = getelementptr [2 x i64], ptr %places, i64 %n
  %more = icmp ult i64 %n, %size
  br i1 %more, label %place, label %run
place:
  %entry_number = load i64, ptr %place_at
  %offset_at = getelementptr i64, ptr %place_at, i64 1
  %offset = load i64, ptr %offset_at
  %base_at = getelementptr i64, ptr %args, i64 %entry_number
  %base = load i64, ptr %base_at
  %address = add i64 %base, %offset
  %goal = getelementptr i64, ptr %given, i64 %n
  store i64 %address, ptr %goal
  %following = add i64 %n, 1
  br label %fill
run:
  %function = inttoptr i64 %kind to ptr
  %few = icmp ule i64 %chunks, 1
  %poolless = icmp eq ptr %pool, null
  %alone = or i1 %few, %poolless
  br i1 %alone, label %serial, label %parallel
serial:
  call void %function(ptr %given, i64 0, i64 %chunks)
  br label %done
parallel:
  %share = load ptr, ptr %pool
  call void %share(ptr %pool, ptr %function, ptr %given, i64 %chunks)
  br label %done
library:
  %number = load i64, ptr %chunks_at
  %callback_at = getelementptr ptr, ptr %args, i64 {callback}
  %callback = load ptr, ptr %callback_at
  call void %callback(ptr %args, i64 %number)
  br label %done
check:
  %report = load ptr, ptr %args
  %word = load i64, ptr %report
  %failed = icmp ne i64 %word, 0
  br i1 %failed, label %end, label %done
done:
  %next = phi ptr [ %place_at, %serial ], [ %place_at, %parallel ], [ %places, %library ], [ %places, %check ]
  br i1 %counted, label %count, label %step
count:
  %now = {clock}
  %spent = sub i64 %now, %before
  %label = load i64, ptr %label_at
  %counter = getelementptr i64, ptr %counters, i64 %label
  %sum = load i64, ptr %counter
  %total = add i64 %sum, %spent
  store i64 %total, ptr %counter
  br label %step
end:
  ret void
}}

define i64 @loop(ptr %tables, i64 %count, i64 %stride, ptr %pool) {{
entry:
  br label %step
step:
  %n = phi i64 [ 0, %entry ], [ %following, %going ]
  %offset = mul i64 %n, %stride
  %args = getelementptr i8, ptr %tables, i64 %offset
  call void @main(ptr %args, ptr %pool)
  %report = load ptr, ptr %args
  %unchecked = icmp eq ptr %report, null
  br i1 %unchecked, label %going, label %checked
checked:
  %word = load i64, ptr %report
  %failed = icmp ne i64 %word, 0
  br i1 %failed, label %done, label %going
going:
  %following = add i64 %n, 1
  %more = icmp ult i64 %following, %count
  br i1 %more, label %step, label %done
done:
  %ran = phi i64 [ %n, %checked ], [ %following, %going ]
  ret i64 %ran
}}
{attributes}"""
