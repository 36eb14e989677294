"""L0. The exceptions of danlu. A message says what came, what was expected and what to write instead."""


class DanluError(Exception):
    """Base of every error that danlu raises on purpose."""


class ShapeError(DanluError, RuntimeError):
    """Shapes, ranks or axes do not fit (a RuntimeError, as in PyTorch)."""


class DTypeError(DanluError, TypeError, RuntimeError):
    """A dtype that the operation does not take."""


class AxisError(DanluError, IndexError):
    """An axis or an index that does not exist."""


class GradientError(DanluError, RuntimeError):
    """A derivative that cannot be asked for, and how to ask for it."""


class NumericError(DanluError, ArithmeticError):
    """A value became NaN or infinite where training cannot go on."""


class DataError(DanluError, ValueError):
    """A file, a column or an option of the user's that cannot be used; the command line prints it and exits with 2."""
