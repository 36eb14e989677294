"""The machine and the versions that a measurement is of."""

from __future__ import annotations

import datetime
import importlib.metadata
import os
import platform
from pathlib import Path

PACKAGES = ("numpy", "llvmlite", "torch", "jax", "jaxlib")


def cores() -> list[int]:
    """The cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return sorted(os.sched_getaffinity(0))
    return list(range(os.cpu_count() or 1))


def cpu_model() -> str:
    """The processor as it calls itself."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text("utf-8").splitlines() if info.exists() else []
    found = {name.strip(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    numbers = f" (family {found['cpu family']}, model {found['model']})" if "cpu family" in found else ""
    return found.get("model name", platform.processor() or platform.machine()) + numbers


def vectors() -> str:
    """The widest vector unit that the processor names."""
    info = Path("/proc/cpuinfo")
    flags = info.read_text("utf-8").split() if info.exists() else []
    return next((name for flag, name in (("avx512f", "AVX-512"), ("avx2", "AVX2"), ("asimd", "NEON")) if flag in flags), "?")


def version(package: str) -> str:
    """An installed version, or "absent"."""
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "absent"


def load() -> str:
    """How many processes wanted a core in the last minute."""
    return f"{os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else "unknown"


def describe(danlu_version: str) -> list[str]:
    """Lines of Markdown: date, machine, versions, load."""
    now = datetime.datetime.now(datetime.timezone.utc)
    packages = ", ".join(f"{name} {version(name)}" for name in PACKAGES)
    return [
        f"- {now:%Y-%m-%d %H:%M} UTC; load average at the start {load()}",
        f"- {cpu_model()}, {vectors()}, {len(cores())} cores usable; {platform.system()} {platform.machine()}",
        f"- Python {platform.python_version()}, danlu {danlu_version}, {packages}",
    ]
