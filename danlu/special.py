"""L6. danlu.special: special functions under PyTorch's names. What they mean stands in the op's record; they have derivatives of every order."""

from __future__ import annotations

from typing import Any

from danlu.errors import DTypeError, GradientError
from danlu.functions import polygamma
from danlu.ops import TABLE
from danlu.tensor import Tensor, apply
from danlu.tensor.creation import tensor
from danlu.tensor.results import written


def _first(name: str, inputs: tuple) -> list[Any]:
    """The operands; a number beside a tensor becomes one of its dtype, so that it keeps its digits."""
    given = [x for x in inputs if isinstance(x, Tensor)]
    if not given:
        raise DTypeError(
            "special.{name} takes a tensor, got {kind}; write danlu.tensor(...) around it",
            name=name,
            kind=type(inputs[0]).__name__,
        )
    dtype = given[0].dtype if given[0].dtype.is_floating_point else None
    return [x if isinstance(x, Tensor) else tensor(x, dtype) for x in inputs]


def _function(name: str, op: str, example: str, shown: str, *, fixed: bool = False, doc: str = "", **attrs: Any) -> Any:
    """`special.name(x, …)`: one op of the table. fixed: no derivative with respect to the first operand."""

    def function(input: Any, *others: Any, out: Any = None) -> Any:
        inputs = _first(name, (input, *others))
        if fixed and inputs[0].requires_grad:
            raise GradientError(
                "special.{name} has no derivative with respect to its first argument; write x.detach() for it", name=name
            )
        result = apply(op, *inputs, **attrs)
        return result if out is None else written(out, result)

    function.__name__ = function.__qualname__ = name
    function.__doc__ = f"{doc or TABLE[op].doc}\n\n>>> import danlu\n>>> danlu.special.{name}({example})\n{shown}\n"
    return function


def _method(name: str, method: str, example: str, shown: str) -> Any:
    """`special.name(x, …)`: a method of the Tensor under another name."""

    def function(input: Tensor, *args: Any, out: Any = None, **given: Any) -> Any:
        if not isinstance(input, Tensor):
            raise DTypeError(
                "special.{name} takes a tensor first, got {kind}; write danlu.tensor(...) around it",
                name=name,
                kind=type(input).__name__,
            )
        result = getattr(input, method)(*args, **given)
        return result if out is None else written(out, result)

    function.__name__ = function.__qualname__ = name
    doc = getattr(Tensor, method).__doc__
    function.__doc__ = f"{doc}\n\n>>> import danlu\n>>> danlu.special.{name}({example})\n{shown}\n"
    return function


_HALF = "danlu.tensor([0.0, 0.5])"

erf = _function("erf", "erf", _HALF, "tensor([0.0000, 0.5205])")
erfc = _function("erfc", "erfc", _HALF, "tensor([1.0000, 0.4795])")
erfcx = _function("erfcx", "erfcx", _HALF, "tensor([1.0000, 0.6157])")
erfinv = _function("erfinv", "erfinv", _HALF, "tensor([0.0000, 0.4769])")
exp2 = _function("exp2", "exp2", _HALF, "tensor([1.0000, 1.4142])")
expit = _function("expit", "sigmoid", _HALF, "tensor([0.5000, 0.6225])")
expm1 = _function("expm1", "expm1", _HALF, "tensor([0.0000, 0.6487])")
log1p = _function("log1p", "log1p", _HALF, "tensor([0.0000, 0.4055])")
sinc = _function("sinc", "sinc", _HALF, "tensor([1.0000, 0.6366])")
gammaln = _function("gammaln", "lgamma", "danlu.tensor([0.5, 3.0])", "tensor([0.5724, 0.6931])")
digamma = psi = _function(
    "digamma", "polygamma", "danlu.tensor([1.0, 2.0])", "tensor([-0.5772,  0.4228])", doc="Γ'(x) / Γ(x)", n=0
)
gammainc = _function("gammainc", "igamma", "danlu.tensor([1.0]), danlu.tensor([1.0])", "tensor([0.6321])")
gammaincc = _function("gammaincc", "igammac", "danlu.tensor([1.0]), danlu.tensor([1.0])", "tensor([0.3679])")
zeta = _function("zeta", "zeta", "danlu.tensor([2.0]), danlu.tensor([1.0])", "tensor([1.6449])", fixed=True)
i0 = _function("i0", "i0", _HALF, "tensor([1.0000, 1.0635])")
i0e = _function("i0e", "i0e", _HALF, "tensor([1.0000, 0.6450])")
i1 = _function("i1", "i1", _HALF, "tensor([0.0000, 0.2579])")
i1e = _function("i1e", "i1e", _HALF, "tensor([0.0000, 0.1564])")
bessel_j0 = _function("bessel_j0", "bessel_j0", _HALF, "tensor([1.0000, 0.9385])")
bessel_j1 = _function("bessel_j1", "bessel_j1", _HALF, "tensor([0.0000, 0.2423])")
ndtr = _function("ndtr", "ndtr", "danlu.tensor([0.0, 1.0])", "tensor([0.5000, 0.8413])")
log_ndtr = _function("log_ndtr", "log_ndtr", "danlu.tensor([0.0, -10.0])", "tensor([ -0.6931, -53.2313])")
ndtri = _function("ndtri", "ndtri", "danlu.tensor([0.25, 0.975])", "tensor([-0.6745,  1.9600])")
entr = _function("entr", "entr", _HALF, "tensor([0.0000, 0.3466])")
xlogy = _function("xlogy", "xlogy", "danlu.tensor([0.0, 2.0]), danlu.tensor([0.0, 1.0])", "tensor([0., 0.])")
xlog1py = _function("xlog1py", "xlog1py", "danlu.tensor([0.0, 1.0]), danlu.tensor([-1.0, 1.0])", "tensor([0.0000, 0.6931])")
logit = _method("logit", "logit", "danlu.tensor([0.5, 0.75])", "tensor([0.0000, 1.0986])")
round = _method("round", "round", "danlu.tensor([0.5, 1.5])", "tensor([0., 2.])")
multigammaln = _method("multigammaln", "mvlgamma", "danlu.tensor([2.0]), 2", "tensor([0.4516])")
logsumexp = _method("logsumexp", "logsumexp", "danlu.zeros(2), 0", "tensor(0.6931)")
softmax = _method("softmax", "softmax", "danlu.zeros(2), 0", "tensor([0.5000, 0.5000])")
log_softmax = _method("log_softmax", "log_softmax", "danlu.zeros(2), 0", "tensor([-0.6931, -0.6931])")

__all__ = [
    "bessel_j0", "bessel_j1", "digamma", "entr", "erf", "erfc", "erfcx", "erfinv", "exp2", "expit", "expm1", "gammainc", "gammaincc",
    "gammaln", "i0", "i0e", "i1", "i1e", "log1p", "log_ndtr", "log_softmax", "logit", "logsumexp", "multigammaln", "ndtr", "ndtri",
    "polygamma", "psi", "round", "sinc", "softmax", "xlog1py", "xlogy", "zeta",
]  # fmt: skip
