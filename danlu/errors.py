"""L0. The exceptions of danlu. A message says what came, what was expected and what to write instead, in English or Chinese."""

from __future__ import annotations

import warnings
from typing import Any

from danlu.messages import Phrase, message


class DanluError(Exception):
    """Base of every error that danlu raises on purpose: a template, and the values of its holes by name.

    The text is made where the error is raised, in the language of that moment; a `Phrase` may stand for template and values.

    >>> import danlu
    >>> issubclass(danlu.ShapeError, danlu.DanluError)
    True
    >>> danlu.DanluError("{count} classes; expected at least {least}", count=1, least=2)
    DanluError('1 classes; expected at least 2')
    """

    def __init__(self, template: str | Phrase = "", /, **values: Any) -> None:
        super().__init__(str(template) if isinstance(template, Phrase) else message(template, **values))


class ShapeError(DanluError, RuntimeError, ValueError):
    """Shapes, ranks or axes do not fit (PyTorch raises RuntimeError here and ValueError there: this is both).

    >>> import danlu
    >>> issubclass(danlu.ShapeError, RuntimeError)
    True
    """


class DTypeError(DanluError, TypeError, RuntimeError):
    """A dtype that the operation does not take.

    >>> import danlu
    >>> issubclass(danlu.DTypeError, TypeError)
    True
    """


class AxisError(DanluError, IndexError):
    """An axis or an index that does not exist.

    >>> import danlu
    >>> issubclass(danlu.AxisError, IndexError)
    True
    """


class GradientError(DanluError, RuntimeError):
    """A derivative that cannot be asked for, and how to ask for it.

    >>> import danlu
    >>> issubclass(danlu.GradientError, RuntimeError)
    True
    """


class ExchangeError(DanluError, BufferError):
    """Memory that cannot be shared with another library, or not in the way that was asked for.

    >>> import danlu
    >>> issubclass(danlu.ExchangeError, BufferError)
    True
    """


class NumericError(DanluError, ArithmeticError, RuntimeError):
    """A value became NaN or infinite where training cannot go on.

    >>> import danlu
    >>> issubclass(danlu.NumericError, ArithmeticError)
    True
    """


class DataError(DanluError, ValueError, RuntimeError):
    """A value, a file, a column or an option of the user's that cannot be used; the command line prints it and exits with 2.

    >>> import danlu
    >>> issubclass(danlu.DataError, ValueError)
    True
    """


class MissingFileError(DataError, FileNotFoundError):
    """A file that is not there.

    >>> import danlu
    >>> danlu.load("nowhere.safetensors")
    Traceback (most recent call last):
        ...
    danlu.errors.MissingFileError: cannot read nowhere.safetensors: there is no such file in ...
    """


def warn(template: str, category: type[Warning], stacklevel: int, /, **values: Any) -> None:
    """`warnings.warn` with a template; `stacklevel` counts from the caller, as there."""
    warnings.warn(message(template, **values), category, stacklevel + 1)
