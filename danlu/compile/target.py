"""L3. Targets as data: vector width, registers and caches of the machines that danlu makes code for."""

from __future__ import annotations

import ctypes
import functools
import sys
from dataclasses import dataclass, replace
from pathlib import Path

from danlu.compile.llvm import Machine, host_machine
from danlu.dtype import DType

KIB, MIB = 1 << 10, 1 << 20


@dataclass(frozen=True)
class Target(Machine):
    """A machine and what a kernel's shape depends on: sizes in bytes, the number of vector registers, whether it has fma."""

    name: str
    vector_bytes: int
    registers: int
    fma: bool
    l1: int = 32 * KIB
    l2: int = 512 * KIB
    l3: int = 8 * MIB

    @property
    def arch(self) -> str:
        """The architecture in LLVM's word: `x86_64`, `aarch64`."""
        return _arch(self.triple)

    @property
    def clock(self) -> str:
        """The IR that reads a counter of time, without its result's name."""
        return (
            'call i64 asm sideeffect "mrs $0, cntvct_el0", "=r"()'
            if self.arch == "aarch64"
            else "call i64 @llvm.readcyclecounter()"
        )

    def lanes(self, dtype: DType) -> int:
        """How many values of a dtype one vector register holds; float16 counts as float32, which it is in registers.

        >>> from danlu.dtype import float32
        >>> TARGETS[0].lanes(float32)
        16
        """
        return self.vector_bytes // (4 if dtype.name == "float16" else dtype.itemsize)

    def describe(self) -> str:
        """One line for people."""
        caches = ", ".join(_size(n) for n in (self.l1, self.l2, self.l3) if n)
        width = f"vectors of {8 * self.vector_bytes} bits, {self.registers} registers"
        return f"{self.cpu} ({self.arch}, {self.name}): {width}, {'fma' if self.fma else 'no fma'}; caches {caches}"


# From the widest to the narrowest; a host takes the first row of its architecture whose features it has.
TARGETS = (
    Target("x86_64-unknown-linux-gnu", "x86-64-v4", "-prefer-256-bit", "AVX-512", 64, 32, True, l2=1 * MIB, l3=32 * MIB),
    Target("x86_64-unknown-linux-gnu", "x86-64-v3", "", "AVX2", 32, 16, True),
    Target("x86_64-unknown-linux-gnu", "x86-64-v2", "", "SSE4", 16, 16, False),
    Target("aarch64-unknown-linux-gnu", "generic", "+neon", "NEON", 16, 32, True, l1=64 * KIB, l2=1 * MIB),
)
_NEEDS = {
    "AVX-512": ("avx512f", "avx512vl", "avx512dq", "avx512bw", "fma"),
    "AVX2": ("avx2", "fma"),
    "SSE4": ("sse4.1",),
    "NEON": (),
}
_UNKNOWN = Target("", "", "", "no vector unit known", 16, 16, False)


def _arch(triple: str) -> str:
    arch = triple.split("-")[0]
    return {"arm64": "aarch64", "amd64": "x86_64"}.get(arch, arch)


def _size(count: int) -> str:
    return f"{count // MIB} MiB" if count >= MIB and count % MIB == 0 else f"{count // KIB} KiB"


def match(machine: Machine) -> Target:
    """The target of a machine: the widest row of the table that it can run, with its own name, features and no caches read.

    >>> match(Machine("x86_64-pc-windows-msvc", "haswell", "+sse4.1,+avx2,+fma")).name
    'AVX2'
    """
    features = set(machine.features.split(","))
    for row in TARGETS:
        if row.arch == _arch(machine.triple) and all(f"+{need}" in features for need in _NEEDS[row.name]):
            return replace(row, triple=machine.triple, cpu=machine.cpu, features=machine.features)
    return replace(_UNKNOWN, triple=machine.triple, cpu=machine.cpu, features=machine.features)


@functools.cache
def host() -> Target:
    """The target of this computer, with its caches where the operating system tells them."""
    return replace(match(host_machine()), **_caches())


def _caches() -> dict[str, int]:
    """Cache sizes {l1, l2, l3} of the first core, as far as they can be read."""
    if sys.platform == "darwin":
        return _caches_sysctl()
    return read_caches(Path("/sys/devices/system/cpu/cpu0/cache"))


def read_caches(folder: Path) -> dict[str, int]:
    """Cache sizes {l1, l2, l3} from Linux's folder of one core; instruction caches do not count."""
    found = {}
    for index in sorted(folder.glob("index*")):
        try:
            level, kind, size = ((index / name).read_text().strip() for name in ("level", "type", "size"))
        except OSError:  # virtual machines leave some of them out
            continue
        unit = {"K": KIB, "M": MIB}.get(size[-1:])
        if kind != "Instruction" and unit and size[:-1].isdigit() and level in ("1", "2", "3"):
            found[f"l{level}"] = int(size[:-1]) * unit
    return found


def _caches_sysctl() -> dict[str, int]:
    """Cache sizes {l1, l2, l3} from macOS; the performance cores' where there are two kinds."""
    library = ctypes.CDLL(None)
    found = {}
    for level, names in {"l1": ("l1dcachesize",), "l2": ("l2cachesize",), "l3": ("l3cachesize",)}.items():
        for name in (f"hw.perflevel0.{names[0]}", f"hw.{names[0]}"):
            value, size = ctypes.c_uint64(0), ctypes.c_size_t(8)
            if library.sysctlbyname(name.encode(), ctypes.byref(value), ctypes.byref(size), None, 0) == 0 and value.value:
                found.setdefault(level, value.value)
    return found


def describe() -> str:
    """One line about this computer for `danlu info`."""
    return host().describe()
