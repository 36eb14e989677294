"""L2. The updates of optimizers: each is one composite over all parameters of a group, so that a step is one fused program.

Inputs: numbers that may change every step, then lists of tensors one after another: all parameters p, all gradients g, all of
each state. Results: the new p, then the new states. Numbers such as 1 − β are computed in Python's float64 and passed ready,
since 1 − 0.999 in float32 is wrong in the fifth digit. The learning rate `lr` stands alone: it may be a tensor. No number
meets a number here: between two of them float32 would be the dtype, whatever that of the parameters.
"""

from __future__ import annotations

from collections.abc import Callable
from math import prod, sqrt

from danlu.dtype import bfloat16, float32
from danlu.graph import Node
from danlu.ops.composite import toward
from danlu.ops.source import CONST
from danlu.ops.table import composite


def _lists(tensors: tuple[Node, ...], count: int) -> list[tuple[Node, ...]]:
    """`tensors` cut into `count` lists of one length."""
    n = len(tensors) // count
    return [tensors[k * n : (k + 1) * n] for k in range(count)]


def _together(results: list[tuple[Node, ...]]) -> tuple[Node, ...]:
    """[(p₁, m₁), (p₂, m₂)] → (p₁, p₂, m₁, m₂)."""
    return tuple(x for kind in zip(*results) for x in kind)


def _each(o, one: Callable[..., tuple[Node, ...]], tensors: tuple[Node, ...], count: int) -> tuple[Node, ...]:
    """`one` of every parameter with its gradient and states; the two parts of a complex one are parameters of their own."""

    def whole(*row: Node) -> tuple[Node, ...]:
        if not row[0].dtype.is_complex:
            return one(*row)
        parts = (one(*map(part, row)) for part in (o.real, o.imag))
        return tuple(o.complex(re, im) for re, im in zip(*parts))

    return _together([whole(*row) for row in zip(*_lists(tensors, count))])


def _is_zero(x: Node) -> bool:
    """Whether a number is the constant 0. What it multiplies is left out: an infinite p times 0 would be no number."""
    return x.op is CONST and x.attrs[0] == 0


def _penalized(o, g: Node, p: Node, decay: Node) -> Node:
    """g + λ p."""
    return g if _is_zero(decay) else o.add(g, o.mul(p, decay))


def _shrunk(o, p: Node, decay: Node, lr: Node) -> Node:
    """p − η λ p."""
    return p if _is_zero(decay) else o.sub(p, o.mul(o.mul(p, decay), lr))


@composite(attrs=("maximize",))
def sgd(o, lr: Node, weight_decay: Node, *tensors: Node, maximize: bool) -> tuple[Node, ...]:
    """p ← p − η (g + λ p). Lists: p, g."""
    results = []
    for p, g in zip(*_lists(tensors, 2)):
        g = o.neg(g) if maximize else g
        results.append((o.sub(p, o.mul(_penalized(o, g, p, weight_decay), lr)),))
    return _together(results)


@composite(attrs=("nesterov", "maximize"))
def sgd_momentum(
    o, lr: Node, weight_decay: Node, momentum: Node, rate: Node, *tensors: Node, nesterov: bool, maximize: bool
) -> tuple[Node, ...]:
    """g ← g + λ p; v ← μ v + rate g; p ← p − η v, or p − η (g + μ v) for Nesterov's. Lists: p, g, v.

    rate is 1 − dampening, and 1 in the first step, when v is 0 (Sutskever et al. 2013, in PyTorch's form: the learning rate
    multiplies the velocity).
    """
    results = []
    for p, g, v in zip(*_lists(tensors, 3)):
        g = _penalized(o, o.neg(g) if maximize else g, p, weight_decay)
        v = o.add(o.mul(v, momentum), o.mul(g, rate))
        direction = o.add(g, o.mul(v, momentum)) if nesterov else v
        results.append((o.sub(p, o.mul(direction, lr)), v))
    return _together(results)


@composite(attrs=("decoupled", "amsgrad", "maximize"))
def adam(
    o, lr: Node, alpha: Node, rate1: Node, rate2: Node, scale: Node, eps: Node, decay: Node, *tensors: Node,
    decoupled: bool, amsgrad: bool, maximize: bool,
) -> tuple[Node, ...]:  # fmt: skip
    """m ← β₁ m + (1 − β₁) g; v ← β₂ v + (1 − β₂) g²; p ← p − η m̂ / (√v̂ + ε). Lists: p, g, m, v (, largest v).

    m̂ = m / (1 − β₁ᵗ), v̂ = v / (1 − β₂ᵗ), so p − lr α m / (scale √v + ε) with scale = 1 / √(1 − β₂ᵗ) (Kingma & Ba 2015,
    algorithm 1). A learning rate that is a number is part of α = η / (1 − β₁ᵗ), and lr is 1. rate = 1 − β. Weight decay adds λ p to
    g; decoupled, p shrinks by the factor 1 − η λ instead (Loshchilov & Hutter 2019, algorithm 2): `decay` is λ or η λ. AMSGrad
    divides by the largest v so far (Reddi et al. 2018).
    """

    def one(p: Node, g: Node, m: Node, v: Node, *largest: Node) -> tuple[Node, ...]:
        g = o.neg(g) if maximize else g
        if decoupled:
            p = _shrunk(o, p, decay, lr)
        else:
            g = _penalized(o, g, p, decay)
        m = toward(o, m, g, rate1)
        v = toward(o, v, o.mul(g, g), rate2)
        largest = tuple(o.maximum(x, v) for x in largest)
        root = o.sqrt(largest[0] if largest else v)
        p = o.sub(p, o.div(o.mul(o.mul(m, alpha), lr), o.add(o.mul(root, scale), eps)))
        return p, m, v, *largest

    return _each(o, one, tensors, 5 if amsgrad else 4)


# ---- relatives of Adam ----------------------------------------------------------------------------------------------------------


def _decayed(o, p: Node, g: Node, decay: Node, lr: Node, decoupled: bool, maximize: bool) -> tuple[Node, Node]:
    """p and g after weight decay: g + λ p, or p (1 − η λ) where it is decoupled."""
    g = o.neg(g) if maximize else g
    return (_shrunk(o, p, decay, lr), g) if decoupled else (p, _penalized(o, g, p, decay))


@composite(attrs=("maximize",))
def adamax(
    o, lr: Node, correction: Node, rate1: Node, beta2: Node, eps: Node, decay: Node, *tensors: Node, maximize: bool
) -> tuple[Node, ...]:
    """m ← β₁ m + (1 − β₁) g; u ← max(β₂ u, |g| + ε); p ← p − η / (1 − β₁ᵗ) m / u. Lists: p, g, m, u.

    correction = 1 / (1 − β₁ᵗ) (Kingma & Ba 2015, algorithm 2; ε as in PyTorch, so that u is never 0).
    """

    def one(p: Node, g: Node, m: Node, u: Node) -> tuple[Node, ...]:
        p, g = _decayed(o, p, g, decay, lr, False, maximize)
        m = toward(o, m, g, rate1)
        u = o.maximum(o.mul(u, beta2), o.add(o.abs(g), eps))
        return o.sub(p, o.div(o.mul(o.mul(m, correction), lr), u)), m, u

    return _each(o, one, tensors, 4)


@composite(attrs=("decoupled", "maximize"))
def nadam(
    o, lr: Node, of_g: Node, of_m: Node, rate1: Node, rate2: Node, scale: Node, eps: Node, decay: Node, *tensors: Node,
    decoupled: bool, maximize: bool,
) -> tuple[Node, ...]:  # fmt: skip
    """m, v as Adam's; p ← p − η (of_g g + of_m m) / (scale √v + ε). Lists: p, g, m, v.

    of_g = (1 − μₜ) / (1 − Π μ), of_m = μₜ₊₁ / (1 − μₜ₊₁ Π μ), scale = 1 / √(1 − β₂ᵗ) (Dozat 2016, algorithm 2).
    """

    def one(p: Node, g: Node, m: Node, v: Node) -> tuple[Node, ...]:
        p, g = _decayed(o, p, g, decay, lr, decoupled, maximize)
        m = toward(o, m, g, rate1)
        v = toward(o, v, o.mul(g, g), rate2)
        direction = o.mul(o.add(o.mul(g, of_g), o.mul(m, of_m)), lr)
        return o.sub(p, o.div(direction, o.add(o.mul(o.sqrt(v), scale), eps))), m, v

    return _each(o, one, tensors, 4)


@composite(attrs=("decoupled", "maximize"))
def radam(
    o, lr: Node, correction: Node, rate1: Node, rate2: Node, rectified: Node, eps: Node, decay: Node, *tensors: Node,
    decoupled: bool, maximize: bool,
) -> tuple[Node, ...]:  # fmt: skip
    """m, v as Adam's; p ← p − η m̂ r / (√v + ε) where the variance can be known, else p − η m̂. Lists: p, g, m, v.

    correction = 1 / (1 − β₁ᵗ); rectified = r √(1 − β₂ᵗ), and 0 in the first steps (Liu et al. 2020, algorithm 2).
    """

    def one(p: Node, g: Node, m: Node, v: Node) -> tuple[Node, ...]:
        p, g = _decayed(o, p, g, decay, lr, decoupled, maximize)
        m = toward(o, m, g, rate1)
        v = toward(o, v, o.mul(g, g), rate2)
        factor = o.where(o.gt(rectified, 0.0), o.div(rectified, o.add(o.sqrt(v), eps)), 1.0)
        return o.sub(p, o.mul(o.mul(o.mul(m, correction), lr), factor)), m, v

    return _each(o, one, tensors, 4)


@composite(attrs=("maximize",))
def sparse_adam(
    o, lr: Node, alpha: Node, rate1: Node, rate2: Node, eps: Node, *tensors: Node, maximize: bool
) -> tuple[Node, ...]:
    """Adam for the rows (axis 0) whose gradient is not all 0; the others keep p, m and v. Lists: p, g, m, v.

    p ← p − η α m / (√v + ε) with α = √(1 − β₂ᵗ) / (1 − β₁ᵗ): ε is not scaled, as in PyTorch.
    """

    def one(p: Node, g: Node, m: Node, v: Node) -> tuple[Node, ...]:
        g = o.neg(g) if maximize else g
        dims = tuple(range(1, len(g.shape)))
        there = o.ne(o.max(o.abs(g), dims=dims, keepdim=True), 0.0) if dims else o.ne(g, 0.0)
        m = o.where(there, toward(o, m, g, rate1), m)
        v = o.where(there, toward(o, v, o.mul(g, g), rate2), v)
        step = o.div(o.mul(o.mul(m, alpha), lr), o.add(o.sqrt(v), eps))
        return o.where(there, o.sub(p, step), p), m, v

    return _each(o, one, tensors, 4)


# ---- steps scaled by the gradients so far -----------------------------------------------------------------------------------------


@composite(attrs=("maximize",))
def adagrad(o, lr: Node, shrink: Node, eps: Node, decay: Node, *tensors: Node, maximize: bool) -> tuple[Node, ...]:
    """s ← s + g²; p ← p − η shrink g / (√s + ε). Lists: p, g, s. shrink = 1 / (1 + (t − 1) lr_decay) (Duchi et al. 2011, eq. 1)."""

    def one(p: Node, g: Node, s: Node) -> tuple[Node, ...]:
        p, g = _decayed(o, p, g, decay, lr, False, maximize)
        s = o.add(s, o.mul(g, g))
        return o.sub(p, o.div(o.mul(o.mul(g, shrink), lr), o.add(o.sqrt(s), eps))), s

    return _each(o, one, tensors, 3)


@composite(attrs=("maximize",))
def adadelta(o, lr: Node, rate: Node, eps: Node, decay: Node, *tensors: Node, maximize: bool) -> tuple[Node, ...]:
    """v ← ρ v + (1 − ρ) g²; Δ = √(u + ε) / √(v + ε) g; u ← ρ u + (1 − ρ) Δ²; p ← p − η Δ. Lists: p, g, v, u.

    rate = 1 − ρ (Zeiler 2012, algorithm 1).
    """

    def one(p: Node, g: Node, v: Node, u: Node) -> tuple[Node, ...]:
        p, g = _decayed(o, p, g, decay, lr, False, maximize)
        v = toward(o, v, o.mul(g, g), rate)
        change = o.mul(o.div(o.sqrt(o.add(u, eps)), o.sqrt(o.add(v, eps))), g)
        return o.sub(p, o.mul(change, lr)), v, toward(o, u, o.mul(change, change), rate)

    return _each(o, one, tensors, 4)


@composite(attrs=("centered", "momentum", "maximize"))
def rmsprop(
    o, lr: Node, rate: Node, eps: Node, decay: Node, mu: Node, *tensors: Node, centered: bool, momentum: bool, maximize: bool
) -> tuple[Node, ...]:
    """v ← α v + (1 − α) g²; p ← p − η g / (√v + ε). Lists: p, g, v (, mean of g) (, velocity b).

    rate = 1 − α. Centered: the square of the mean of g is taken from v (Graves 2013, eq. 38 to 40); with momentum:
    b ← μ b + g / (√v + ε), p ← p − η b (Tieleman & Hinton 2012, lecture 6.5).
    """

    def one(p: Node, g: Node, v: Node, *more: Node) -> tuple[Node, ...]:
        p, g = _decayed(o, p, g, decay, lr, False, maximize)
        v = toward(o, v, o.mul(g, g), rate)
        states, variance = [v], v
        if centered:
            states.append(toward(o, more[0], g, rate))
            variance = o.maximum(o.sub(v, o.mul(states[1], states[1])), 0.0)  # rounding may bring it below 0
        direction = o.div(g, o.add(o.sqrt(variance), eps))
        if momentum:
            direction = o.add(o.mul(more[-1], mu), direction)
            states.append(direction)
        return o.sub(p, o.mul(direction, lr)), *states

    return _each(o, one, tensors, 3 + centered + momentum)


@composite(attrs=("maximize",))
def asgd(o, eta: Node, keep: Node, mu: Node, decay: Node, *tensors: Node, maximize: bool) -> tuple[Node, ...]:
    """p ← keep p − η (g + λ p); a ← (1 − μ) a + μ p. Lists: p, g, a (Polyak & Juditsky 1992; keep = 1 − lambd η)."""

    def one(p: Node, g: Node, a: Node) -> tuple[Node, ...]:
        p, g = o.mul(p, keep), _decayed(o, p, g, decay, eta, False, maximize)[1]
        p = o.sub(p, o.mul(g, eta))
        return p, o.where(o.ge(mu, 1.0), p, toward(o, a, p, mu))

    return _each(o, one, tensors, 3)


@composite(attrs=("maximize",))
def rprop(o, down: Node, up: Node, least: Node, most: Node, *tensors: Node, maximize: bool) -> tuple[Node, ...]:
    """s ← s up where g keeps its sign, s down where it turns (and g ← 0); p ← p − sign(g) s. Lists: p, g, g before, s.

    s stays between `least` and `most` (Riedmiller & Braun 1993, the form without weight backtracking).
    """

    def one(p: Node, g: Node, before: Node, s: Node) -> tuple[Node, ...]:
        g = o.neg(g) if maximize else g
        product = o.mul(g, before)
        turned = o.lt(product, 0.0)
        s = o.where(o.gt(product, 0.0), o.mul(s, up), o.where(turned, o.mul(s, down), s))
        s = o.minimum(o.maximum(s, least), most)
        g = o.where(turned, 0.0, g)
        return o.sub(p, o.mul(o.sign(g), s)), g, s

    return _each(o, one, tensors, 4)


def _norm(o, x: Node) -> Node:
    """√Σ x²."""
    return o.sqrt(o.sum(o.mul(x, x), dims=tuple(range(len(x.shape))), keepdim=False))


@composite(attrs=("factored", "eps1", "maximize"))
def adafactor(
    o, lr: Node, rate: Node, most: Node, eps2: Node, d: Node, decay: Node, *tensors: Node,
    factored: bool, eps1: float, maximize: bool,
) -> tuple[Node, ...]:  # fmt: skip
    """Adam without m, with v kept as the means of its rows and columns. Lists: p, g, r, c; of vectors p, g, v.

    r ← (1 − rate) r + rate · mean(g², −1), c the same over −2; v = r c / mean(r); u = g / √v, divided by max(1, rms(u) / d);
    p ← p − α u with α = max(ε₂, rms(p)) min(η, 1/√t). rate = t^decay, most = 1/√t (Shazeer & Stern 2018, algorithms 4 and 5).
    """

    def one(p: Node, g: Node, *state: Node) -> tuple[Node, ...]:
        g, root = o.neg(g) if maximize else g, sqrt(prod(g.shape))
        alpha = o.maximum(o.div(_norm(o, p), root), eps2)
        alpha = o.minimum(o.mul(alpha, most), o.mul(alpha, lr))
        p = _shrunk(o, p, decay, lr)
        square, ndim = o.mul(g, g), len(g.shape)
        if factored:
            means = [o.mean(square, dims=(axis,), keepdim=True) for axis in (ndim - 1, ndim - 2)]
            state = tuple(toward(o, s, m, rate) for s, m in zip(state, means))
            mean = o.maximum(o.mean(state[0], dims=(ndim - 2,), keepdim=True), eps1)
            estimate = o.div(o.mul(state[0], state[1]), mean)
        else:
            state = (toward(o, state[0], square, rate),)
            estimate = state[0]
        u = o.mul(g, o.rsqrt(o.maximum(estimate, eps1 * eps1)))
        factor = o.div(alpha, o.maximum(o.div(o.div(_norm(o, u), root), d), 1.0))
        return o.sub(p, o.mul(u, factor)), *state

    return _each(o, one, tensors, 4 if factored else 3)


def _rounded(o, x: Node) -> Node:
    """The bfloat16 nearest to each element, as float32."""
    return o.cast(o.cast(x, dtype=bfloat16), dtype=float32)


def _orthogonal(o, x: Node, coefficients: tuple[float, float, float], steps: int, eps: float) -> Node:
    """About U Vᵀ where x = U S Vᵀ: `steps` times x ← a x + (b A + c A²) x with A = x xᵀ, each product rounded to bfloat16."""
    a, b, c = coefficients
    tall = x.shape[0] > x.shape[1]
    x = _rounded(o, o.permute(x, dims=(1, 0)) if tall else x)
    x = _rounded(o, o.div(x, o.maximum(_rounded(o, _norm(o, x)), eps)))
    for _ in range(steps):
        gram = _rounded(o, o.mm(x, o.permute(x, dims=(1, 0))))
        update = _rounded(o, o.add(o.mul(gram, b), o.mul(o.mm(gram, gram), c)))
        x = _rounded(o, o.add(o.mul(x, a), o.mm(update, x)))
    return o.permute(x, dims=(1, 0)) if tall else x


@composite(attrs=("nesterov", "coefficients", "steps", "eps", "ratios"))
def muon(
    o, lr: Node, keep: Node, rate: Node, *tensors: Node,
    nesterov: bool, coefficients: tuple[float, float, float], steps: int, eps: float, ratios: tuple[float, ...],
) -> tuple[Node, ...]:  # fmt: skip
    """m ← (1 − rate) m + rate g; p ← keep p − η ratio orthogonal(m, or (1 − rate) m + rate g again). Lists: p, g, m.

    rate = 1 − μ, keep = 1 − η λ (Jordan et al. 2024); the iterations run on bfloat16, as the author's do.
    """
    results = []
    for (p, g, m), ratio in zip(zip(*_lists(tensors, 3)), ratios):
        m = toward(o, m, g, rate)
        direction = _orthogonal(o, toward(o, m, g, rate) if nesterov else m, coefficients, steps, eps)
        step = o.mul(o.mul(o.cast(direction, dtype=p.dtype), ratio), lr)
        results.append((o.sub(o.mul(p, keep), step), m))
    return _together(results)


@composite
def average(o, rate: Node, *tensors: Node) -> tuple[Node, ...]:
    """a ← a + rate (p − a). Lists: a, p."""
    return tuple(toward(o, a, p, rate) for a, p in zip(*_lists(tensors, 2)))
