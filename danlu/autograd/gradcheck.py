"""L6. Derivatives of a function of tensors against central differences, of the first and of higher order."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from danlu import dtype as dt
from danlu.errors import DTypeError, GradientError
from danlu.func import jvp
from danlu.messages import Phrase
from danlu.tensor import Tensor, tensor
from danlu.tensor.differentiation import gradients

Function = Callable[..., Any]


def gradcheck(
    f: Function,
    inputs: Sequence[Tensor] | Tensor,
    *,
    eps: float = 1e-6,
    atol: float = 1e-5,
    rtol: float = 1e-3,
    raise_exception: bool = True,
    nondet_tol: float = 0.0,
    check_forward_ad: bool = False,
    check_backward_ad: bool = True,
    fast_mode: bool = False,
    order: int = 1,
) -> bool:
    """Checks the derivatives of f with respect to every input that requires grad; True, or an error that names the worst element.

    (s(x + eps) - s(x - eps)) / 2 eps ≈ ∂s/∂x

    (s(x + eps) - s(x - eps)) / 2 eps ≈ ∂s/∂x within atol + rtol · |difference|, where s = Σ w · f(x) and the weights w are fixed
    numbers that differ from element to element (of a complex f the real part of s is taken). The derivative with respect to a complex x
    is ∂s/∂(real x) + i ∂s/∂(imag x). `order` 2 checks the derivative of the derivative as well, and so on. Derivatives taken twice must
    agree within nondet_tol. check_forward_ad: forward mode too, along one direction. raise_exception=False gives False instead of the
    error. fast_mode is taken and changes nothing: every element is checked.

    Shapes: inputs of any shape, of dtype float64 or complex128 where they require grad; f gives one tensor or several, of any shape.

    Raises GradientError where a derivative is wrong or f does not depend on any input; DTypeError for inputs of less than 64 bits.

    >>> import danlu
    >>> x = danlu.tensor([0.5, 1.5], dtype=danlu.float64, requires_grad=True)
    >>> danlu.autograd.gradcheck(lambda x: x.exp().sum(), [x])
    True
    """
    given = [inputs] if isinstance(inputs, Tensor) else list(inputs)
    wanted = _wanted(given)
    arrays = [x.detach().numpy().copy() if isinstance(x, Tensor) else x for x in given]
    try:
        for level in range(1, order + 1):
            if check_backward_ad:
                _check(f, arrays, wanted, level, eps, atol, rtol, nondet_tol)
            if check_forward_ad:
                _check_forward(f, arrays, wanted, level, eps, atol, rtol)
            f = _derivative(f, wanted)
    except GradientError:
        if raise_exception:
            raise
        return False
    return True


def gradgradcheck(
    f: Function,
    inputs: Sequence[Tensor] | Tensor,
    *,
    eps: float = 1e-6,
    atol: float = 1e-5,
    rtol: float = 1e-3,
    raise_exception: bool = True,
    nondet_tol: float = 0.0,
    check_fwd_over_rev: bool = False,
    check_rev_over_rev: bool = True,
    fast_mode: bool = False,
) -> bool:
    """`gradcheck` of the gradient of f: its second derivatives, by reverse mode over reverse mode (and forward over reverse).

    ∂²s/∂x² by differences of ∂s/∂x, as in `gradcheck`

    Shapes: those of `gradcheck`.

    Raises GradientError and DTypeError as `gradcheck` does.

    >>> import danlu
    >>> x = danlu.tensor([0.5, 1.5], dtype=danlu.float64, requires_grad=True)
    >>> danlu.autograd.gradgradcheck(lambda x: (x ** 3).sum(), [x])
    True
    """
    given = [inputs] if isinstance(inputs, Tensor) else list(inputs)
    modes = {"check_forward_ad": check_fwd_over_rev, "check_backward_ad": check_rev_over_rev, "fast_mode": fast_mode}
    limits = {"eps": eps, "atol": atol, "rtol": rtol, "nondet_tol": nondet_tol, "raise_exception": raise_exception}
    return gradcheck(_derivative(f, _wanted(given)), given, **limits, **modes)


def _wanted(given: list[Any]) -> list[int]:
    """The numbers of the inputs that are differentiated."""
    wanted = [k for k, x in enumerate(given) if isinstance(x, Tensor) and x.requires_grad]
    if not wanted:
        raise GradientError(
            "gradcheck: no input requires grad; make one with danlu.tensor(..., dtype=danlu.float64, requires_grad=True)"
        )
    for k in wanted:
        if given[k].dtype not in (dt.float64, dt.complex128):
            raise DTypeError(
                "gradcheck: input {number} is {dtype}; differences need float64 or complex128: write x.double()",
                number=k,
                dtype=given[k].dtype.name,
            )
    return wanted


def _weighted(f: Function, xs: Sequence[Any]) -> Tensor:
    """Σ w · f(xs) over all results, with weights between 0.5 and 1.5."""
    out = f(*xs)
    total = None
    for k, y in enumerate(out if isinstance(out, (tuple, list)) else (out,)):
        if y.dtype.differentiable:
            weights = (1 + 0.5 * np.cos(np.arange(y.numel()) * 1.7 + k)).reshape(tuple(y.shape))
            if y.dtype.is_complex:
                term = (y * tensor(weights * (0.6 + 0.8j))).sum().real
            else:
                term = (y * tensor(weights)).sum()
            total = term if total is None else total + term
    if total is None:
        raise GradientError("gradcheck: the function gives no tensor of floats; there is nothing to differentiate")
    return total


def _derivative(f: Function, wanted: list[int]) -> Function:
    """The function that gives the gradient of Σ w · f with respect to the wanted inputs, itself to be differentiated."""

    def gradient(*xs: Any) -> tuple[Tensor, ...]:
        total = _weighted(f, xs)
        if not total.requires_grad:  # f is linear: its derivative does not depend on x
            return tuple(xs[k] * 0.0 for k in wanted)
        _, grads = gradients([total], [None], [xs[k] for k in wanted], True, True)
        return tuple(x.detach() * 0 if g is None else g for x, g in zip([xs[k] for k in wanted], grads))

    return gradient


def _tensors(arrays: list, wanted: list[int], requires_grad: bool) -> list[Any]:
    xs = [tensor(a) if isinstance(a, np.ndarray) else a for a in arrays]
    return [x.requires_grad_() if requires_grad and k in wanted else x for k, x in enumerate(xs)]


def _check(
    f: Function, arrays: list, wanted: list[int], level: int, eps: float, atol: float, rtol: float, nondet_tol: float
) -> None:
    found, again = (_gradients(f, arrays, wanted, level) for _ in range(2))
    for k, g, same in zip(wanted, found, again):
        _compare(
            g,
            _differences(f, arrays, wanted, k, eps),
            Phrase("order {level}: the derivative with respect to input {number}", level=level, number=k),
            atol,
            rtol,
        )
        if g.size and not np.abs(g - same).max() <= nondet_tol:
            raise GradientError(
                "gradcheck: order {level}: the derivative with respect to input {number} differs by {max:.3g} from call to call; "
                "f must give the same for the same inputs (nondet_tol {nondet_tol:g})",
                level=level,
                number=k,
                max=np.abs(g - same).max(),
                nondet_tol=nondet_tol,
            )


def _gradients(f: Function, arrays: list, wanted: list[int], level: int) -> list[np.ndarray]:
    """∂(Σ w · f)/∂x by reverse mode."""
    xs = _tensors(arrays, wanted, True)
    total = _weighted(f, xs)
    if not total.requires_grad:
        raise GradientError("gradcheck: order {level}: the result does not depend on any input that requires grad", level=level)
    _, grads = gradients([total], [None], [xs[k] for k in wanted], True, False)
    return [(xs[k].detach() * 0 if g is None else g).numpy() for k, g in zip(wanted, grads)]


def _check_forward(f: Function, arrays: list, wanted: list[int], level: int, eps: float, atol: float, rtol: float) -> None:
    """The tangent of Σ w · f along one direction, against the difference along it."""
    steps = {k: np.cos(np.arange(arrays[k].size) * 1.3 + k).reshape(arrays[k].shape) for k in wanted}

    def at(size: float) -> float:
        return _weighted(
            f, _tensors([a + size * steps[k] if k in steps else a for k, a in enumerate(arrays)], wanted, True)
        ).item()

    def total(*moving: Any) -> Tensor:
        given = dict(zip(wanted, moving))
        return _weighted(f, [given.get(k, x) for k, x in enumerate(_tensors(arrays, wanted, False))])

    found = jvp(total, tuple(tensor(arrays[k]) for k in wanted), tuple(tensor(steps[k]) for k in wanted))[1].detach().numpy()
    wanted_ = np.asarray((at(eps) - at(-eps)) / (2 * eps))
    _compare(
        np.asarray(found), wanted_, Phrase("order {level}: the forward derivative along one direction", level=level), atol, rtol
    )


def _compare(found: np.ndarray, differences: np.ndarray, what: Phrase, atol: float, rtol: float) -> None:
    error = np.abs(found - differences) - rtol * np.abs(differences)
    error = np.where(np.isnan(error), np.inf, error)
    if error.size and error.max() > atol:
        at = np.unravel_index(int(error.argmax()), error.shape)
        raise GradientError(
            "gradcheck: {what} at {place} is {found:.6g}; differences give {expected:.6g} (atol {atol:g}, rtol {rtol:g})",
            what=what,
            place=list(map(int, at)),
            found=found[at],
            expected=differences[at],
            atol=atol,
            rtol=rtol,
        )


def _differences(f: Function, arrays: list, wanted: list[int], k: int, eps: float) -> np.ndarray:
    """∂(Σ w · f)/∂ arrays[k], element by element."""
    out = np.zeros_like(arrays[k])
    for at in np.ndindex(out.shape):
        for direction in (1, 1j) if out.dtype.kind == "c" else (1,):
            values = []
            for step in (eps * direction, -eps * direction):
                moved = arrays[k].copy()
                moved[at] += step
                xs = _tensors([*arrays[:k], moved, *arrays[k + 1 :]], wanted, True)
                values.append(_weighted(f, xs).item())
            out[at] += direction * (values[0] - values[1]) / (2 * eps)
    return out
