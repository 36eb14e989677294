"""L4. The machine code of kernels, each made once for all programs that have it, and the native loop over the steps of a program.

A kernel is known by its text: its code is in memory as long as a program lives that runs it, else on disk, else LLVM makes it.
A program in memory is a row of 64-bit words: how many addresses its largest step needs, where the counters of a profiled
program are (or 0), then for each step its function (or what it is instead), chunks, kernel, number of places, and of each place
the entry of the table and the offset. Walking them costs 1 ns an address.
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
from danlu.compile.body import ATTRIBUTES, CALLBACK, STEPS
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
    words = array("Q", [max((len(s.places) for s in steps), default=0), counters])
    for s in steps:
        head = addresses[s.number] if s.kind == "run" else _CALL if s.kind == "call" else _CHECK
        words.extend((head, s.chunks if s.kind == "run" else s.number, s.label, len(s.places)))
        words.extend(x for place in s.places for x in (place.entry, place.offset))
    words.append(_END)
    return words


@functools.cache
def runner() -> llvm.Module:
    """The code of `main` and `loop`."""
    (module,) = modules([_TEXT.format(clock=target.host().clock, steps=STEPS, callback=CALLBACK, attributes=ATTRIBUTES)])
    return module


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
