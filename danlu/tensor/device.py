"""L5. Devices: the names of PyTorch's, of which only the CPU holds tensors; and the methods that ask where a tensor lies."""

from __future__ import annotations

from typing import Any

from danlu.tensor.arithmetic import check_device
from danlu.tensor.core import TensorCore

KNOWN = ("cpu", "cuda", "mps", "xpu", "meta")  # devices that may be named


class Device:
    """The name of a device, as "cuda:1" or ("cuda", 1). Tensors lie on the CPU; another device is refused where it is used.

    Raises DTypeError for a name that is no device.

    >>> import danlu
    >>> danlu.zeros(2).to(danlu.device("cpu")).device
    device(type='cpu')
    >>> danlu.device("cuda:1").index
    1
    """

    def __init__(self, type: Any = "cpu", index: int | None = None) -> None:
        name, colon, number = str(type).partition(":")
        if name not in KNOWN or (colon and not number.isdecimal()):
            check_device(type if name not in KNOWN else f"{name!r}, {number!r}")
        self.type, self.index = name, int(number) if colon else index

    def __repr__(self) -> str:
        return f"device(type={self.type!r})" if self.index is None else f"device(type={self.type!r}, index={self.index})"

    def __str__(self) -> str:
        return self.type if self.index is None else f"{self.type}:{self.index}"

    def __eq__(self, other: object) -> bool:
        return str(other) == str(self)

    def __hash__(self) -> int:
        return hash(str(self))

    def __enter__(self) -> Device:
        check_device(self)
        return self

    def __exit__(self, *error: object) -> None:
        pass


CPU = Device()


class Placement(TensorCore):
    """Where a tensor lies: in memory, on the CPU."""

    __slots__ = ()
    is_cuda = False

    @property
    def device(self) -> Device:
        """Where the tensor lies.

        Shapes: any tensor → danlu.device.

        >>> import danlu
        >>> danlu.ones(1).device
        device(type='cpu')
        """
        return CPU

    def get_device(self) -> int:
        """The number of the GPU that holds the tensor; -1 on the CPU.

        Shapes: any tensor → a Python int.

        >>> import danlu
        >>> danlu.ones(1).get_device()
        -1
        """
        return -1

    def cpu(self) -> Any:
        """The tensor itself.

        Shapes: (*) → the tensor itself.

        >>> import danlu
        >>> danlu.ones(1).cpu()
        tensor([1.])
        """
        return self

    def cuda(self, device: Any = None) -> Any:
        """Refused: there is no GPU.

        Shapes: (*) → nothing: there is no GPU.

        >>> import danlu
        >>> danlu.ones(1).cuda()  # doctest: +IGNORE_EXCEPTION_DETAIL
        Traceback (most recent call last):
        DTypeError: device 'cuda' is not available: danlu runs on the CPU. Leave device out, or write device='cpu'
        """
        check_device("cuda")
        return self

    def to_device(self, device: Any, /, *, stream: Any = None) -> Any:
        """The tensor itself: the only device is the CPU.

        Shapes: (*) → the tensor itself.

        >>> import danlu
        >>> danlu.ones(1).to_device("cpu")
        tensor([1.])
        """
        check_device(device)
        return self

    def pin_memory(self, device: Any = None) -> Any:
        """The tensor itself: pages are pinned for copies to a GPU alone.

        Shapes: (*) → the tensor itself.

        >>> import danlu
        >>> danlu.ones(1).pin_memory()
        tensor([1.])
        """
        return self

    def is_pinned(self, device: Any = None) -> bool:
        """False, see `pin_memory`.

        Shapes: any tensor → a Python bool.

        >>> import danlu
        >>> danlu.ones(1).is_pinned()
        False
        """
        return False

    def share_memory_(self) -> Any:
        """The tensor itself: a forked process has a copy of it. What several processes write goes through multiprocessing.shared_memory.

        Shapes: (*) → the tensor itself.

        >>> import danlu
        >>> danlu.ones(1).share_memory_()
        tensor([1.])
        """
        return self


__all__ = ["CPU", "Device", "Placement"]
