"""L5. Complex numbers: their parts, conjugates and angles as methods of the Tensor."""

from __future__ import annotations

from typing import Any

from danlu.dtype import bool_, complex64, complex128
from danlu.errors import DTypeError, ShapeError
from danlu.tensor.core import TensorCore, apply


class Complex(TensorCore):
    """Methods of complex tensors; a real tensor is its own real part and conjugate."""

    __slots__ = ()

    def is_complex(self) -> bool:
        """True for complex64 and complex128.

        Shapes: (*) → one Python bool.
        """
        return self._spec.dtype.is_complex

    @property
    def real(self) -> Any:
        """The real part, on the same memory; a real tensor itself."""
        return self._view("real", ()) if self._spec.dtype.is_complex else self

    @real.setter
    def real(self, value: Any) -> None:
        self.real.copy_(value)

    @property
    def imag(self) -> Any:
        """The imaginary part, on the same memory.

        Raises DTypeError for a real tensor.
        """
        if not self._spec.dtype.is_complex:
            raise DTypeError(
                "imag of a tensor of dtype {dtype}; only complex tensors have an imaginary part", dtype=self._spec.dtype.name
            )
        return self._view("imag", ())

    @imag.setter
    def imag(self, value: Any) -> None:
        self.imag.copy_(value)

    def conj(self) -> Any:
        """The complex conjugate re - i·im; a real tensor itself.

        Shapes: (*) → (*).
        """
        return apply("conj", self) if self._spec.dtype.is_complex else self

    conj_physical = conj

    def conj_physical_(self) -> Any:
        """`conj` in place."""
        return self._assign(self.conj()._value())

    def resolve_conj(self) -> Any:
        """The tensor itself: a conjugate is computed like any other value.

        y = x

        Shapes: (*) → (*).
        """
        return self

    resolve_neg = resolve_conj

    def is_conj(self) -> bool:
        """Always False: a conjugate is computed like any other value.

        Shapes: any tensor → a Python bool.

        >>> import danlu
        >>> danlu.tensor([1j]).conj().is_conj()
        False
        """
        return False

    def view_as_real(self) -> Any:
        """(*) complex → (*, 2) real on the same memory: the real and the imaginary part side by side.

        y[…, 0] = Re x, y[…, 1] = Im x

        Shapes: (*) complex → (*, 2) real. A view.
        """
        return self._view("view_as_real", ())

    def view_as_complex(self) -> Any:
        """(*, 2) real → (*) complex.

        y = x[…, 0] + i · x[…, 1]

        Shapes: (*, 2) of float32 or float64 → (*) of complex64 or complex128.
        """
        return apply("view_as_complex", self)

    def angle(self) -> Any:
        """The angle in the plane of complex numbers, in [-π, π]; of negative real numbers π.

        x = |x| · e^(i y)
        """
        return apply("angle", self)

    def sgn(self) -> Any:
        """x / |x|, and 0 at 0."""
        return apply("sgn", self)

    def sgn_(self) -> Any:
        """`sgn` in place."""
        return self._assign(self.sgn()._value())

    def isreal(self) -> Any:
        """True where the imaginary part is 0.

        y = [Im x = 0]

        Shapes: (*) → (*) of bool.
        """
        if self._spec.dtype.is_complex:
            return apply("eq", apply("imag", self), 0)
        return apply("full", True, shape=self._spec.shape, dtype=bool_)

    @property
    def H(self) -> Any:
        """The conjugate transpose of a matrix (or of a number).

        y[j, i] = conj(x[i, j])

        Shapes: (m, n) → (n, m); () → ().

        >>> import danlu
        >>> danlu.tensor([[1j, 2.0]]).H
        tensor([[0.-1.j],
                [2.-0.j]])
        """
        if self._spec.ndim not in (0, 2):
            raise ShapeError(
                "x.H of shape {shape}: expected a matrix; write x.mH for a batch of matrices", shape=self._spec.shape
            )
        return self.mT.conj() if self._spec.ndim else self.conj()  # type: ignore[attr-defined]

    @property
    def mH(self) -> Any:
        """The conjugate transposes of a batch of matrices: the last two axes exchanged.

        y[…, j, i] = conj(x[…, i, j])

        Shapes: (*, m, n) → (*, n, m).

        >>> import danlu
        >>> danlu.tensor([[1, 2j]]).mH
        tensor([[1.-0.j],
                [0.-2.j]])
        """
        return self.mT.conj()  # type: ignore[attr-defined]

    def adjoint(self) -> Any:
        """The conjugate transposes of a batch of matrices, `mH`.

        y[…, j, i] = conj(x[…, i, j])

        Shapes: (*, m, n) → (*, n, m).
        """
        return self.mH

    def cfloat(self) -> Any:
        """The tensor as complex64.

        Shapes: (*) → (*).

        >>> import danlu
        >>> danlu.tensor([1.0]).cfloat()
        tensor([1.+0.j])
        """
        return self.to(complex64)  # type: ignore[attr-defined]

    def cdouble(self) -> Any:
        """The tensor as complex128.

        Shapes: (*) → (*).

        >>> import danlu
        >>> danlu.tensor([1.0]).cdouble()
        tensor([1.+0.j], dtype=danlu.complex128)
        """
        return self.to(complex128)  # type: ignore[attr-defined]
