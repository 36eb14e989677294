"""L6. What the array API namespace says of itself: `__array_namespace_info__`."""

from __future__ import annotations

from typing import Any

from danlu.array_api.types import KINDS, KNOWN
from danlu.dtype import DType, default, int64, to_complex
from danlu.tensor import CPU, Device


class Info:
    """Capabilities, devices and dtypes of the namespace.

    >>> from danlu import array_api as xp
    >>> xp.__array_namespace_info__().default_dtypes()["real floating"]
    danlu.float32
    """

    def capabilities(self) -> dict[str, Any]:
        """What not every library can do."""
        return {"boolean indexing": True, "data-dependent shapes": True, "max dimensions": None}

    def default_device(self) -> Device:
        """The CPU."""
        return CPU

    def devices(self) -> list[Device]:
        """All devices: the CPU."""
        return [CPU]

    def default_dtypes(self, *, device: Any = None) -> dict[str, DType]:
        """The dtypes that results have where nothing else says one."""
        real = default()
        return {"real floating": real, "complex floating": to_complex(real), "integral": int64, "indexing": int64}

    def dtypes(self, *, device: Any = None, kind: Any = None) -> dict[str, DType]:
        """The dtypes by name, all or those of a kind."""
        kinds = tuple(KINDS) if kind is None else kind if isinstance(kind, tuple) else (kind,)
        letters = "".join(KINDS[k] for k in kinds)
        return {name: dtype for name, dtype in KNOWN.items() if dtype.kind in letters}


def __array_namespace_info__() -> Info:
    """What the namespace can do, and its dtypes."""
    return Info()
