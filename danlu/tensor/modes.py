"""L5. Whether operations are recorded for differentiation: `no_grad`, `enable_grad`, `set_grad_enabled`, for each thread."""

from __future__ import annotations

import contextlib
import functools
import inspect
from collections.abc import Iterator
from typing import Any

from danlu.engine import state


def is_grad_enabled() -> bool:
    """True unless inside `no_grad()`.

    >>> import danlu
    >>> danlu.is_grad_enabled()
    True
    """
    return state().grad


class _Switch(contextlib.ContextDecorator):
    """As a decorator: `@no_grad`, `@no_grad()`, also on generators, whose body runs in pieces."""

    def __call__(self, function: Any) -> Any:
        if not inspect.isgeneratorfunction(function):
            return super().__call__(function)

        @functools.wraps(function)
        def generator(*args: Any, **given: Any) -> Iterator[Any]:
            pieces, sent = function(*args, **given), None
            while True:
                with self._recreate_cm():  # type: ignore[attr-defined]
                    try:
                        piece = pieces.send(sent)
                    except StopIteration as end:
                        return end.value
                sent = yield piece

        return generator


class set_grad_enabled(_Switch):
    """Switches the recording for derivatives on or off: at once, as a context or as a decorator.

    >>> import danlu
    >>> with danlu.set_grad_enabled(False):
    ...     (danlu.ones(1, requires_grad=True) * 2).requires_grad
    False
    """

    def __init__(self, mode: bool) -> None:
        self.mode, self.previous = bool(mode), state().grad
        state().grad = self.mode

    def __call__(self, function: Any) -> Any:
        state().grad = self.previous  # a decorator switches while the function runs, not where it is written
        return super().__call__(function)

    def _recreate_cm(self) -> set_grad_enabled:
        return type(self)(self.mode)

    def __enter__(self) -> set_grad_enabled:
        state().grad = self.mode
        return self

    def __exit__(self, *error: object) -> None:
        state().grad = self.previous


class no_grad(_Switch):
    """No derivative will be asked of what is computed inside: for evaluation and for hand-written updates.

    >>> import danlu
    >>> w = danlu.ones(2, requires_grad=True)
    >>> with danlu.no_grad():
    ...     w -= 0.5
    >>> w
    tensor([0.5000, 0.5000], requires_grad=True)
    """

    mode = False

    def __new__(cls, function: Any = None) -> Any:
        self = object.__new__(cls)
        return self if function is None else self(function)

    def __enter__(self) -> None:
        self.previous = state().grad
        state().grad = self.mode

    def __exit__(self, *error: object) -> None:
        state().grad = self.previous

    def _recreate_cm(self) -> no_grad:
        return type(self)()


class enable_grad(no_grad):
    """The opposite of `no_grad`, inside of it.

    >>> import danlu
    >>> with danlu.no_grad(), danlu.enable_grad():
    ...     (danlu.ones(1, requires_grad=True) * 2).requires_grad
    True
    """

    mode = True


__all__ = ["enable_grad", "is_grad_enabled", "no_grad", "set_grad_enabled"]
