"""L9. PyTorch's names around a GPU, as they behave on a machine without one: asked politely they say no, used they refuse."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any, NoReturn

from danlu.engine import flush
from danlu.errors import DataError


class NoDevice(DataError):
    """There is no GPU: danlu runs on the CPU."""


def _no(*_: Any, **__: Any) -> bool:
    return False


def _zero(*_: Any, **__: Any) -> int:
    return 0


def _nothing(*_: Any, **__: Any) -> None:
    """A call that has no effect here."""


def _refuse(*_: Any, **__: Any) -> NoReturn:
    raise NoDevice(
        "there is no GPU: danlu runs on the CPU, on all its cores. Ask torch.cuda.is_available() first, or leave the line out"
    )


def _synchronize(device: Any = None) -> None:
    """Runs what is pending, so that a clock that is read afterwards has seen it."""
    flush()


@contextlib.contextmanager
def _switches(**_: Any) -> Iterator[None]:
    """Switches that nothing reads."""
    yield


cuda = SimpleNamespace(
    __doc__="torch.cuda on a machine without a GPU.",
    is_available=_no, is_initialized=_no, is_bf16_supported=_no, is_current_stream_capturing=_no,
    device_count=_zero, memory_allocated=_zero, max_memory_allocated=_zero, memory_reserved=_zero, max_memory_reserved=_zero,
    manual_seed=_nothing, manual_seed_all=_nothing, seed=_nothing, seed_all=_nothing, empty_cache=_nothing, init=_nothing, ipc_collect=_nothing,
    reset_peak_memory_stats=_nothing, reset_max_memory_allocated=_nothing, synchronize=_synchronize,
    current_device=_refuse, get_device_name=_refuse, get_device_properties=_refuse, get_device_capability=_refuse, set_device=_refuse,
    mem_get_info=_refuse, current_stream=_refuse, Stream=_refuse, Event=_refuse, stream=_refuse, device=_refuse,
)  # fmt: skip
mps = SimpleNamespace(
    __doc__="torch.mps where there is none.",
    is_available=_no,
    device_count=_zero,
    manual_seed=_nothing,
    empty_cache=_nothing,
    synchronize=_synchronize,
)
accelerator = SimpleNamespace(
    __doc__="torch.accelerator where there is none.", is_available=_no, device_count=_zero, current_accelerator=_nothing,
    synchronize=_synchronize, current_device_index=_refuse, set_device_index=_refuse,
)  # fmt: skip
absent = SimpleNamespace(__doc__="A backend that is not there.", is_available=_no, is_built=_no, enabled=False)
cudnn = SimpleNamespace(
    __doc__="Switches that nothing reads.",
    is_available=_no, version=_nothing, enabled=False, benchmark=False, deterministic=True, allow_tf32=False, flags=_switches,
)  # fmt: skip
cuda_backend = SimpleNamespace(
    __doc__="Switches that nothing reads.", is_built=_no, matmul=SimpleNamespace(allow_tf32=False), enable_flash_sdp=_nothing,
    enable_mem_efficient_sdp=_nothing, enable_math_sdp=_nothing,
)  # fmt: skip


class autocast(contextlib.ContextDecorator):
    """Nothing: float32 stays float32, as PyTorch has it where no GPU is.

    >>> with autocast("cuda"):
    ...     pass
    """

    def __init__(self, *_: Any, **__: Any) -> None:
        pass

    def __enter__(self) -> autocast:
        return self

    def __exit__(self, *error: object) -> None:
        pass


class GradScaler:
    """Scales by 1, as PyTorch's does where no GPU is: `scaler.step(optimizer)` is `optimizer.step()`."""

    def __init__(self, *_: Any, **__: Any) -> None:
        pass

    def scale(self, outputs: Any) -> Any:
        """The outputs as they are."""
        return outputs

    def step(self, optimizer: Any, *args: Any, **kwargs: Any) -> Any:
        """The optimizer's step."""
        return optimizer.step(*args, **kwargs)

    def unscale_(self, optimizer: Any) -> None:
        """Nothing."""

    def update(self, new_scale: Any = None) -> None:
        """Nothing."""

    def get_scale(self) -> float:
        """1."""
        return 1.0

    def is_enabled(self) -> bool:
        """False."""
        return False

    def state_dict(self) -> dict[str, Any]:
        """Nothing to keep."""
        return {}

    def load_state_dict(self, state_dict: Any) -> None:
        """Nothing to take."""


amp = SimpleNamespace(__doc__="Mixed precision, which is a matter of GPUs.", autocast=autocast, GradScaler=GradScaler)
