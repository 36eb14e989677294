"""L0. The exceptions of danlu. A message says what came, what was expected and what to write instead."""


class DanluError(Exception):
    """Base of every error that danlu raises on purpose.

    >>> import danlu
    >>> issubclass(danlu.ShapeError, danlu.DanluError)
    True
    """


class ShapeError(DanluError, RuntimeError):
    """Shapes, ranks or axes do not fit (a RuntimeError, as in PyTorch).

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


class NumericError(DanluError, ArithmeticError):
    """A value became NaN or infinite where training cannot go on.

    >>> import danlu
    >>> issubclass(danlu.NumericError, ArithmeticError)
    True
    """


class DataError(DanluError, ValueError):
    """A file, a column or an option of the user's that cannot be used; the command line prints it and exits with 2.

    >>> import danlu
    >>> issubclass(danlu.DataError, ValueError)
    True
    """
