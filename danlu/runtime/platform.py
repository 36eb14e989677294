"""L4. What depends on the platform: how a thread sleeps until it is woken, yields and pauses, and where workers run.

A thread pool needs a counting semaphore that native code can use without Python. Each is LLVM IR on memory that the pool
owns: `@semaphore_wait(ptr)` sleeps until it can take a token, `@semaphore_post(ptr, i32)` gives tokens.

- `futex`: Linux; the tokens are a word in memory, the kernel is called only to sleep and to wake.
- `pipe`: everywhere else; a token is a byte in a pipe. 1 µs more to post, and needs nothing but read() and write().

`@spread(ptr threads, i64 count, ptr last)` keeps those threads off the core that the caller runs on, if it is not `last`.
"""

from __future__ import annotations

import os
import platform
import sys
from dataclasses import dataclass

_FUTEX_NUMBER = {"x86_64": 202, "aarch64": 98}  # the system call's number on 64-bit Linux

_FUTEX = """
declare i64 @syscall(i64, ...)

define internal void @semaphore_wait(ptr %semaphore) nounwind {{
entry:
  br label %look
look:
  %tokens = load atomic i32, ptr %semaphore monotonic, align 4
  %none = icmp eq i32 %tokens, 0
  br i1 %none, label %sleep, label %take
take:
  %fewer = sub i32 %tokens, 1
  %pair = cmpxchg ptr %semaphore, i32 %tokens, i32 %fewer acquire monotonic
  %taken = extractvalue {{i32, i1}} %pair, 1
  br i1 %taken, label %done, label %look
sleep:
  %ignored = call i64 (i64, ...) @syscall(i64 {number}, ptr %semaphore, i64 128, i64 0, ptr null, ptr null, i64 0)
  br label %look
done:
  ret void
}}

define internal void @semaphore_post(ptr %semaphore, i32 %count) nounwind {{
  %old = atomicrmw add ptr %semaphore, i32 %count release
  %wide = zext i32 %count to i64
  %ignored = call i64 (i64, ...) @syscall(i64 {number}, ptr %semaphore, i64 129, i64 %wide, ptr null, ptr null, i64 0)
  ret void
}}
"""

_PIPE = """
declare {size} @{read}(i32, ptr, {size})
declare {size} @{write}(i32, ptr, {size})

define internal void @semaphore_wait(ptr %semaphore) nounwind {{
entry:
  %byte = alloca i8
  %end = load i32, ptr %semaphore
  br label %look
look:
  %count = call {size} @{read}(i32 %end, ptr %byte, {size} 1)
  %taken = icmp eq {size} %count, 1
  br i1 %taken, label %done, label %again
again:
  call void @yield_processor()
  br label %look
done:
  ret void
}}

define internal void @semaphore_post(ptr %semaphore, i32 %count) nounwind {{
entry:
  %byte = alloca i8
  store i8 0, ptr %byte
  %place = getelementptr i32, ptr %semaphore, i64 1
  %end = load i32, ptr %place
  br label %look
look:
  %left = phi i32 [%count, %entry], [%left, %look], [%fewer, %sent]
  %written = call {size} @{write}(i32 %end, ptr %byte, {size} 1)
  %given = icmp eq {size} %written, 1
  br i1 %given, label %sent, label %look
sent:
  %fewer = sub i32 %left, 1
  %more = icmp ne i32 %fewer, 0
  br i1 %more, label %look, label %done
done:
  ret void
}}
"""

# A virtual machine's idle core looks busy to Linux, which then wakes a worker on the caller's own core, where it waits until
# the caller is done: 400 µs of work took 430 µs after a pause, and 285 µs with the workers kept off that core.
_SPREAD = """
declare i32 @sched_getcpu()
declare i32 @sched_getaffinity(i32, i64, ptr)
declare i32 @sched_setaffinity(i32, i64, ptr)

define internal void @spread(ptr %threads, i64 %count, ptr %last) nounwind {
entry:
  %mask = alloca [128 x i8], align 8
  %core = call i32 @sched_getcpu()
  %before = load i32, ptr %last
  %stayed = icmp eq i32 %core, %before
  br i1 %stayed, label %done, label %moved
moved:
  store i32 %core, ptr %last
  %known = icmp ult i32 %core, 1024
  br i1 %known, label %read, label %done
read:
  %status = call i32 @sched_getaffinity(i32 0, i64 128, ptr %mask)
  %valid = icmp eq i32 %status, 0
  br i1 %valid, label %clear, label %done
clear:
  %index = lshr i32 %core, 3
  %place = getelementptr i8, ptr %mask, i32 %index
  %byte = load i8, ptr %place
  %low = and i32 %core, 7
  %short = trunc i32 %low to i8
  %bit = shl i8 1, %short
  %others = xor i8 %bit, -1
  %without = and i8 %byte, %others
  store i8 %without, ptr %place
  br label %next
next:
  %number = phi i64 [0, %clear], [%following, %set]
  %more = icmp ult i64 %number, %count
  br i1 %more, label %set, label %done
set:
  %entry_at = getelementptr i32, ptr %threads, i64 %number
  %thread = load i32, ptr %entry_at
  %ignored = call i32 @sched_setaffinity(i32 %thread, i64 128, ptr %mask)  ; refused where no core is left
  %following = add i64 %number, 1
  br label %next
done:
  ret void
}
"""
_NO_SPREAD = """
define internal void @spread(ptr %threads, i64 %count, ptr %last) nounwind {
  ret void
}
"""

_YIELD = """
declare i32 @{function}()

define internal void @yield_processor() nounwind {{
  %ignored = call i32 @{function}()
  ret void
}}
"""

_PAUSE = {
    "x86_64": "declare void @llvm.x86.sse2.pause()\n"
    "define internal void @pause() alwaysinline nounwind {\n  call void @llvm.x86.sse2.pause()\n  ret void\n}\n",
    "aarch64": "declare void @llvm.aarch64.hint(i32)\n"
    "define internal void @pause() alwaysinline nounwind {\n  call void @llvm.aarch64.hint(i32 1)\n  ret void\n}\n",
}
_NO_PAUSE = "define internal void @pause() alwaysinline nounwind {\n  ret void\n}\n"

# Rounding and flush-to-zero are a thread's own; a worker takes over the caller's, else its chunks could differ in bits.
_MODE = {
    "x86_64": """
declare void @llvm.x86.sse.stmxcsr(ptr)
declare void @llvm.x86.sse.ldmxcsr(ptr)

define internal i64 @float_mode() nounwind {
  %word = alloca i32
  call void @llvm.x86.sse.stmxcsr(ptr %word)
  %value = load i32, ptr %word
  %mode = and i32 %value, 65472  ; without the six sticky exception flags
  %wide = zext i32 %mode to i64
  ret i64 %wide
}

define internal void @set_float_mode(i64 %mode) nounwind {
  %word = alloca i32
  %value = trunc i64 %mode to i32
  store i32 %value, ptr %word
  call void @llvm.x86.sse.ldmxcsr(ptr %word)
  ret void
}
""",
    "aarch64": """
declare i64 @llvm.aarch64.get.fpcr()
declare void @llvm.aarch64.set.fpcr(i64)

define internal i64 @float_mode() nounwind {
  %mode = call i64 @llvm.aarch64.get.fpcr()
  ret i64 %mode
}

define internal void @set_float_mode(i64 %mode) nounwind {
  call void @llvm.aarch64.set.fpcr(i64 %mode)
  ret void
}
""",
}
_NO_MODE = """
define internal i64 @float_mode() nounwind {
  ret i64 0
}

define internal void @set_float_mode(i64 %mode) nounwind {
  ret void
}
"""


@dataclass(frozen=True)
class Parking:
    """A way to sleep: its name and the IR of the semaphore, of yielding and of `@spread`."""

    name: str
    text: str

    def open(self) -> tuple[int, int]:
        """The first two words of a new semaphore: no tokens, or the two ends of a pipe."""
        return os.pipe() if self.name == "pipe" else (0, 0)

    def close(self, words: tuple[int, int]) -> None:
        """Lets go of what `open` made."""
        if self.name == "pipe":
            os.close(words[0])
            os.close(words[1])


def cores() -> int:
    """Cores that this process may use now, at least 1."""
    if hasattr(os, "sched_getaffinity"):  # Linux: an affinity mask counts
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def parkings() -> tuple[Parking, ...]:
    """The ways to sleep that this platform has, the best first."""
    windows = sys.platform == "win32"
    calls = {"read": "_read", "write": "_write", "size": "i32"} if windows else {"read": "read", "write": "write", "size": "i64"}
    common = _YIELD.format(function="SwitchToThread" if windows else "sched_yield")
    common += _SPREAD if sys.platform == "linux" else _NO_SPREAD
    found = [Parking("pipe", common + _PIPE.format(**calls))]
    number = _FUTEX_NUMBER.get(platform.machine())
    if sys.platform == "linux" and number and sys.maxsize > 1 << 32:
        found.insert(0, Parking("futex", common + _FUTEX.format(number=number)))
    return tuple(found)


def processor_text(arch: str) -> str:
    """The IR of `@pause()`, `@float_mode()` and `@set_float_mode(i64)` on an architecture, as LLVM names it."""
    return _PAUSE.get(arch, _NO_PAUSE) + _MODE.get(arch, _NO_MODE)
