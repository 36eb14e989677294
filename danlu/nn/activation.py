"""L7. Activations as layers: each holds the options of its function in danlu.nn.functional."""

from __future__ import annotations

from danlu.functional import activation as G
from danlu.functional import common as F
from danlu.nn.module import Module, as_one_op
from danlu.ops import TABLE, composite
from danlu.tensor import Tensor


class _Inplace(Module):
    """An activation whose only option is to write into its input."""

    def __init__(self, inplace: bool = False) -> None:
        super().__init__()
        self.inplace = inplace

    def extra_repr(self) -> str:
        """`inplace=True` where it is."""
        return "inplace=True" if self.inplace else ""


@as_one_op(TABLE["relu"])
class ReLU(_Inplace):
    """max(x, 0).

    Example:
        >>> import danlu
        >>> from danlu import nn
        >>> nn.ReLU()(danlu.tensor([-1.0, 0.0, 2.0])).tolist()
        [0.0, 0.0, 2.0]
    """

    def forward(self, input: Tensor) -> Tensor:
        """max(x, 0)."""
        return F.relu(input, self.inplace)


class ReLU6(_Inplace):
    """min(max(x, 0), 6).

    Example:
        >>> import danlu
        >>> from danlu import nn
        >>> nn.ReLU6()(danlu.tensor([-1.0, 3.0, 8.0])).tolist()
        [0.0, 3.0, 6.0]
    """

    def forward(self, input: Tensor) -> Tensor:
        """min(max(x, 0), 6)."""
        return F.relu6(input, self.inplace)


@as_one_op(composite.silu)
class SiLU(_Inplace):
    """x · sigmoid(x).

    Example:
        >>> import danlu
        >>> from danlu import nn
        >>> round(nn.SiLU()(danlu.tensor(1.0)).item(), 4)
        0.7311
    """

    def forward(self, input: Tensor) -> Tensor:
        """x · sigmoid(x)."""
        return F.silu(input, self.inplace)


@as_one_op(composite.mish)
class Mish(_Inplace):
    """x · tanh(softplus(x)) (Misra 2019).

    Example:
        >>> import danlu
        >>> from danlu import nn
        >>> round(nn.Mish()(danlu.tensor(1.0)).item(), 4)
        0.8651
    """

    def forward(self, input: Tensor) -> Tensor:
        """x · tanh(softplus(x))."""
        return F.mish(input, self.inplace)


class SELU(_Inplace):
    """λ · elu(x, α) with the constants of self-normalising networks (Klambauer et al. 2017).

    Example:
        >>> import danlu
        >>> from danlu import nn
        >>> round(nn.SELU()(danlu.tensor(1.0)).item(), 4)
        1.0507
    """

    def forward(self, input: Tensor) -> Tensor:
        """λ · elu(x, α)."""
        return F.selu(input, self.inplace)


class Hardswish(_Inplace):
    """x · relu6(x + 3) / 6.

    Example:
        >>> import danlu
        >>> from danlu import nn
        >>> nn.Hardswish()(danlu.tensor([0.0, 3.0])).tolist()
        [0.0, 3.0]
    """

    def forward(self, input: Tensor) -> Tensor:
        """x · relu6(x + 3) / 6."""
        return F.hardswish(input, self.inplace)


class Hardsigmoid(_Inplace):
    """relu6(x + 3) / 6.

    Example:
        >>> import danlu
        >>> from danlu import nn
        >>> nn.Hardsigmoid()(danlu.tensor([-3.0, 0.0, 3.0])).tolist()
        [0.0, 0.5, 1.0]
    """

    def forward(self, input: Tensor) -> Tensor:
        """relu6(x + 3) / 6."""
        return F.hardsigmoid(input, self.inplace)


@as_one_op(TABLE["sigmoid"])
class Sigmoid(Module):
    """1 / (1 + exp(−x)).

    Example:
        >>> import danlu
        >>> from danlu import nn
        >>> nn.Sigmoid()(danlu.tensor([0.0])).tolist()
        [0.5]
    """

    def forward(self, input: Tensor) -> Tensor:
        """1 / (1 + exp(−x))."""
        return F.sigmoid(input)


@as_one_op(composite.log_sigmoid)
class LogSigmoid(Module):
    """log(1 / (1 + exp(−x))).

    Example:
        >>> import danlu
        >>> from danlu import nn
        >>> round(nn.LogSigmoid()(danlu.tensor(0.0)).item(), 4)
        -0.6931
    """

    def forward(self, input: Tensor) -> Tensor:
        """log(1 / (1 + exp(−x)))."""
        return F.logsigmoid(input)


@as_one_op(TABLE["tanh"])
class Tanh(Module):
    """tanh(x).

    Example:
        >>> import danlu
        >>> from danlu import nn
        >>> nn.Tanh()(danlu.tensor([0.0])).tolist()
        [0.0]
    """

    def forward(self, input: Tensor) -> Tensor:
        """tanh(x)."""
        return F.tanh(input)


class Softsign(Module):
    """x / (1 + |x|).

    Example:
        >>> import danlu
        >>> from danlu import nn
        >>> nn.Softsign()(danlu.tensor([-1.0, 3.0])).tolist()
        [-0.5, 0.75]
    """

    def forward(self, input: Tensor) -> Tensor:
        """x / (1 + |x|)."""
        return F.softsign(input)


class GELU(Module):
    """x Φ(x); approximate="tanh" for the formula with tanh (Hendrycks & Gimpel 2016).

    Example:
        >>> import danlu
        >>> from danlu import nn
        >>> round(nn.GELU()(danlu.tensor(1.0)).item(), 4)
        0.8413
    """

    def __init__(self, approximate: str = "none") -> None:
        super().__init__()
        self.approximate = approximate

    def forward(self, input: Tensor) -> Tensor:
        """x Φ(x)."""
        return F.gelu(input, self.approximate)

    def extra_repr(self) -> str:
        """The approximation."""
        return f"approximate={self.approximate!r}"


class LeakyReLU(Module):
    """x where x > 0, else slope · x.

    Example:
        >>> import danlu
        >>> from danlu import nn
        >>> nn.LeakyReLU(0.5)(danlu.tensor([-2.0, 2.0])).tolist()
        [-1.0, 2.0]
    """

    def __init__(self, negative_slope: float = 0.01, inplace: bool = False) -> None:
        super().__init__()
        self.negative_slope, self.inplace = negative_slope, inplace

    def forward(self, input: Tensor) -> Tensor:
        """x where x > 0, else slope · x."""
        return F.leaky_relu(input, self.negative_slope, self.inplace)

    def extra_repr(self) -> str:
        """The slope."""
        return f"negative_slope={self.negative_slope}" + (", inplace=True" if self.inplace else "")


class ELU(Module):
    """x where x > 0, else α (exp(x) − 1) (Clevert et al. 2016).

    Example:
        >>> import danlu
        >>> from danlu import nn
        >>> round(nn.ELU()(danlu.tensor(-1.0)).item(), 4)
        -0.6321
    """

    def __init__(self, alpha: float = 1.0, inplace: bool = False) -> None:
        super().__init__()
        self.alpha, self.inplace = alpha, inplace

    def forward(self, input: Tensor) -> Tensor:
        """x where x > 0, else α (exp(x) − 1)."""
        return F.elu(input, self.alpha, self.inplace)

    def extra_repr(self) -> str:
        """α."""
        return f"alpha={self.alpha}" + (", inplace=True" if self.inplace else "")


class Hardtanh(Module):
    """x kept between min_val and max_val.

    Example:
        >>> import danlu
        >>> from danlu import nn
        >>> nn.Hardtanh()(danlu.tensor([-3.0, 0.5, 3.0])).tolist()
        [-1.0, 0.5, 1.0]
    """

    def __init__(self, min_val: float = -1.0, max_val: float = 1.0, inplace: bool = False) -> None:
        super().__init__()
        self.min_val, self.max_val, self.inplace = min_val, max_val, inplace

    def forward(self, input: Tensor) -> Tensor:
        """x kept between min_val and max_val."""
        return F.hardtanh(input, self.min_val, self.max_val, self.inplace)

    def extra_repr(self) -> str:
        """The bounds."""
        return f"min_val={self.min_val}, max_val={self.max_val}" + (", inplace=True" if self.inplace else "")


class Softplus(Module):
    """log(1 + exp(β x)) / β.

    Example:
        >>> import danlu
        >>> from danlu import nn
        >>> round(nn.Softplus()(danlu.tensor(0.0)).item(), 4)
        0.6931
    """

    def __init__(self, beta: float = 1.0, threshold: float = 20.0) -> None:
        super().__init__()
        self.beta, self.threshold = beta, threshold

    def forward(self, input: Tensor) -> Tensor:
        """log(1 + exp(β x)) / β."""
        return F.softplus(input, self.beta, self.threshold)

    def extra_repr(self) -> str:
        """β and the threshold."""
        return f"beta={self.beta}, threshold={self.threshold}"


class Softmax(Module):
    """exp(x) / Σ exp(x) along an axis.

    Example:
        >>> import danlu
        >>> from danlu import nn
        >>> nn.Softmax(dim=0)(danlu.zeros(4)).tolist()
        [0.25, 0.25, 0.25, 0.25]
    """

    def __init__(self, dim: int | None = None) -> None:
        super().__init__()
        self.dim = dim

    def forward(self, input: Tensor) -> Tensor:
        """exp(x) / Σ exp(x)."""
        return F.softmax(input, self.dim)

    def extra_repr(self) -> str:
        """The axis."""
        return f"dim={self.dim}"


class LogSoftmax(Module):
    """x − log Σ exp(x) along an axis.

    Example:
        >>> import danlu
        >>> from danlu import nn
        >>> round(nn.LogSoftmax(dim=0)(danlu.zeros(2))[0].item(), 4)
        -0.6931
    """

    def __init__(self, dim: int | None = None) -> None:
        super().__init__()
        self.dim = dim

    def forward(self, input: Tensor) -> Tensor:
        """x − log Σ exp(x)."""
        return F.log_softmax(input, self.dim)

    def extra_repr(self) -> str:
        """The axis."""
        return f"dim={self.dim}"


class GLU(Module):
    """a · sigmoid(b), a and b the halves of an axis (Dauphin et al. 2017).

    Example:
        >>> import danlu
        >>> from danlu import nn
        >>> nn.GLU()(danlu.tensor([4.0, 0.0])).tolist()
        [2.0]
    """

    def __init__(self, dim: int = -1) -> None:
        super().__init__()
        self.dim = dim

    def forward(self, input: Tensor) -> Tensor:
        """a · sigmoid(b)."""
        return G.glu(input, self.dim)

    def extra_repr(self) -> str:
        """The options."""
        return f"dim={self.dim}"


class Softmin(Module):
    """softmax of −x along an axis.

    Example:
        >>> import danlu
        >>> from danlu import nn
        >>> nn.Softmin(dim=0)(danlu.zeros(2)).tolist()
        [0.5, 0.5]
    """

    def __init__(self, dim: int | None = None) -> None:
        super().__init__()
        self.dim = dim

    def forward(self, input: Tensor) -> Tensor:
        """exp(−x) / Σ exp(−x)."""
        return G.softmin(input, self.dim)

    def extra_repr(self) -> str:
        """The options."""
        return f"dim={self.dim}"


class Softmax2d(Module):
    """softmax over the channels of (N, C, H, W) or (C, H, W).

    Example:
        >>> import danlu
        >>> from danlu import nn
        >>> nn.Softmax2d()(danlu.zeros(1, 2, 1, 1)).flatten().tolist()
        [0.5, 0.5]
    """

    def forward(self, input: Tensor) -> Tensor:
        """exp(x) / Σ exp(x) over channels."""
        return F.softmax(input, -3)


__all__ = [
    "ELU",
    "GELU",
    "GLU",
    "SELU",
    "Hardsigmoid",
    "Hardswish",
    "Hardtanh",
    "LeakyReLU",
    "LogSigmoid",
    "LogSoftmax",
    "Mish",
    "ReLU",
    "ReLU6",
    "SiLU",
    "Sigmoid",
    "Softmax",
    "Softmax2d",
    "Softmin",
    "Softplus",
    "Softsign",
    "Tanh",
]
