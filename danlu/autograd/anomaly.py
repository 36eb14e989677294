"""L6. Finding the line that made a NaN: while it is looked for, every recorded value knows the line of the user's that made it."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from typing import Any

import numpy as np

from danlu import engine
from danlu.autodiff import GRADIENT
from danlu.backward import history, is_station
from danlu.dtype import readable
from danlu.engine import Value, realize
from danlu.errors import NumericError
from danlu.guidance import quoted, user_line
from danlu.messages import Phrase
from danlu.tensor.differentiation import checks


class detect_anomaly(contextlib.ContextDecorator):
    """Where a backward pass makes a NaN, raises NumericError that names the operation and the line of the forward pass.

    Slow: for searching, not for training. The forward pass must run inside as well.

    Raises NumericError (in the backward pass) where a derivative is NaN.

    >>> import danlu
    >>> x = danlu.tensor(0.0, requires_grad=True)
    >>> with danlu.autograd.detect_anomaly():
    ...     (x.sqrt() * 0).backward()
    Traceback (most recent call last):
        ...
    danlu.errors.NumericError: the derivative of sqrt gave nan ...
    """

    def __init__(self, check_nan: bool = True) -> None:
        self.check_nan = check_nan
        self._open: list[contextlib.ExitStack] = []

    def __enter__(self) -> detect_anomaly:
        stack = contextlib.ExitStack()
        stack.enter_context(engine.watch(_note_line))
        if self.check_nan:
            checks.append(_check)
            stack.callback(checks.remove, _check)
        self._open.append(stack)
        return self

    def __exit__(self, *error: object) -> None:
        self._open.pop().close()


class set_detect_anomaly(detect_anomaly):
    """`detect_anomaly` switched on or off at once, or as a context.

    >>> import danlu
    >>> with danlu.autograd.set_detect_anomaly(False):
    ...     danlu.autograd.is_anomaly_enabled()
    False
    """

    _on: list[detect_anomaly] = []  # noqa: RUF012 one switch for the process

    def __init__(self, mode: bool, check_nan: bool = True) -> None:
        super().__init__(check_nan)
        self._before = bool(self._on)
        self._switch(mode)

    def _switch(self, mode: bool) -> None:
        if mode and not self._on:
            detect_anomaly.__enter__(self)
            self._on.append(self)
        elif not mode and self._on:
            detect_anomaly.__exit__(self._on.pop())

    def __enter__(self) -> set_detect_anomaly:
        return self

    def __exit__(self, *error: object) -> None:
        self._switch(self._before)


def is_anomaly_enabled() -> bool:
    """True while NaN is looked for.

    >>> import danlu
    >>> danlu.autograd.is_anomaly_enabled()
    False
    """
    return bool(checks)


def _note_line(inputs: Sequence[Any], result: Any) -> None:
    line = user_line()
    for value in result if type(result) is tuple else (result,):
        value.noted().line = line


def _check(roots: Sequence[Value], seeds: Sequence[Value]) -> None:
    """Follows the gradient from value to value; the first operation that turns numbers into NaN is named."""
    order = history(roots)
    grads = _all_gradients(order, roots, seeds)
    for v in reversed(order):
        g = grads.get(id(v))
        if g is None or _has_nan(g):
            continue
        inputs = [x for x in v.inputs if type(x) is Value and id(x) in grads]
        for k, x in enumerate(inputs):
            if _has_nan(grads[id(x)]) and _has_nan(_own(v, g, x)):
                raise NumericError(
                    "the derivative of {op} gave nan for its input {number}{where}{forward}",
                    op=v.op.name,
                    number=k,
                    where=_where(v),
                    forward=_forward(order),
                )


def _all_gradients(order: list[Value], roots: Sequence[Value], seeds: Sequence[Value]) -> dict[int, Value]:
    cuts = [v for v in order if v.note is not None and is_station(v)]
    xs = [*cuts, *[v for v in order if not (v.note is not None and is_station(v))]]
    found = engine.record(GRADIENT, (*roots, *seeds, *xs), (len(roots), len(cuts)), False)
    return {id(x): g for x, g in zip(xs, found)}


def _own(v: Value, g: Value, x: Value) -> Value:
    """What v alone adds to the gradient of x."""
    return engine.record(GRADIENT, (v, g, x), (1, 1), False)[0]


def _has_nan(v: Value) -> bool:
    v.handles += 1
    try:
        array = readable(realize(v).as_numpy(v.spec.shape, v.spec.dtype.numpy))
    finally:
        v.handles -= 1
    return bool(np.isnan(array).any())


def _where(v: Value) -> Phrase:
    line = v.note.line if v.note is not None else None
    if line is None:
        return Phrase("; it was recorded outside detect_anomaly: run the forward pass inside to see its line")
    return Phrase(", recorded at{line}", line=quoted(line))


def _forward(order: list[Value]) -> Phrase | str:
    """Where the forward pass itself had a NaN first."""
    for v in order:
        if v.inputs and _has_nan(v):
            return Phrase("\nIn the forward pass {op} is the first whose result has nan{where}", op=v.op.name, where=_where(v))
    return ""


__all__ = ["detect_anomaly", "is_anomaly_enabled", "set_detect_anomaly"]
