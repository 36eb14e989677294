"""L7. L-BFGS: steps along an estimate of Newton's direction, built from the last changes of parameters and gradients.

The vectors are handled by NumPy: dot products decide what is done next, so there is nothing to record; each evaluation of the
closure is a program as ever.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from danlu.engine import capturing
from danlu.errors import DataError, GradientError
from danlu.messages import Phrase
from danlu.optim.optimizer import Group, Optimizer, check_not_negative, check_option
from danlu.tensor import Tensor, enable_grad, from_array, no_grad

_CURVED = 1e-10  # yᵀs must be larger: else the pair says nothing of a minimum
_SUFFICIENT, _FLAT = 1e-4, 0.9  # Wolfe's conditions: c₁ of the decrease, c₂ of the slope


class LBFGS(Optimizer):
    """L-BFGS: Newton's direction estimated from the last changes of parameters s and gradients y; for whole-batch training.

    d = −H g by the recursion over the pairs (s, y), H₀ = (sᵀy / yᵀy) I;   p ← p + t d

    One `step(closure)` makes up to max_iter iterations. t is lr (in the very first iteration at most 1 / Σ|g| times lr), or found
    by a line search under Wolfe's strong conditions (`line_search_fn="strong_wolfe"`). All parameters stand in one group. Source:
    Nocedal & Wright 2006, algorithms 7.4, 7.5 (recursion) and 3.5, 3.6 (line search).

    Shapes: parameters of any shapes, seen as one vector; s and y are such vectors, at most history_size of each.

    Raises:
        DataError: several groups, a negative option, another line search, or step() without a closure.
        GradientError: inside a function of `danlu.compile`, whose Python does not run again.

    Example:
        >>> import danlu
        >>> p = danlu.nn.Parameter(danlu.tensor([2.0, -3.0]))
        >>> optimizer = danlu.optim.LBFGS([p], line_search_fn="strong_wolfe")
        >>> def closure():
        ...     optimizer.zero_grad()
        ...     loss = ((p - 1) ** 2).sum()
        ...     loss.backward()
        ...     return loss
        >>> optimizer.step(closure).item()
        17.0
        >>> [round(x, 4) for x in p.tolist()]
        [1.0, 1.0]
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: float | Tensor = 1.0,
        max_iter: int = 20,
        max_eval: int | None = None,
        tolerance_grad: float = 1e-7,
        tolerance_change: float = 1e-9,
        history_size: int = 100,
        line_search_fn: str | None = None,
    ) -> None:
        limits = {"max_iter": max_iter, "max_eval": max_iter * 5 // 4 if max_eval is None else max_eval}
        tolerances = {"tolerance_grad": tolerance_grad, "tolerance_change": tolerance_change}
        more = {"history_size": history_size, "line_search_fn": line_search_fn}
        super().__init__(params, {"lr": lr} | limits | tolerances | more)

    def add_param_group(self, param_group: Group) -> None:
        """The one group."""
        if self.param_groups:
            raise DataError("LBFGS: got several parameter groups; expected one: write LBFGS(model.parameters())")
        super().add_param_group(param_group)

    def check_group(self, group: Group) -> None:
        """Numbers ≥ 0; a line search that exists."""
        check_not_negative("LBFGS", lr=group["lr"], tolerance_grad=group["tolerance_grad"])
        search = group["line_search_fn"]
        check_option("LBFGS", "line_search_fn", search, search in (None, "strong_wolfe"), Phrase("None or 'strong_wolfe'"))

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Up to max_iter iterations; `closure` clears the gradients, computes the loss, calls backward and returns the loss."""
        if closure is None:
            raise DataError("LBFGS.step: got no closure; expected a function that computes the loss anew: write step(closure)")
        if capturing() is not None:
            raise GradientError(
                "LBFGS.step inside danlu.compile: its decisions are Python, which does not run again; leave the step outside of the "
                "compiled function, or compile the model"
            )
        with no_grad():
            return _Run(self, closure).run()

    # ---- state -------------------------------------------------------------------------------------------------------------

    def state_shape(self, key: str, p: Tensor) -> tuple[int, ...]:
        """All parameters in one line."""
        return (sum(_size(q) for q in self.param_groups[0]["params"]),)

    def _restored(self, number: int, p: Tensor, state: Mapping[str, Any]) -> dict[str, Any]:
        restored = super()._restored(number, p, {k: v for k, v in state.items() if k in ("d", "prev_flat_grad")})
        for key, value in state.items():
            if key in ("old_dirs", "old_stps"):
                restored[key] = [super(LBFGS, self)._restored(number, p, {key: v})[key] for v in value]
            elif key in ("t", "H_diag", "prev_loss"):
                restored[key] = float(value)
            elif key in ("n_iter", "func_evals"):
                restored[key] = int(value)
        return restored


@dataclass
class _Point:
    """A place on the line x + t d: the loss, the gradient and its slope along d."""

    t: float
    loss: float
    gradient: np.ndarray
    slope: float


class _Run:
    """One call of `step`: parameters and gradients as one vector each, the history, and the loop."""

    def __init__(self, optimizer: LBFGS, closure: Callable[[], Any]) -> None:
        self.group, self.closure = optimizer.param_groups[0], closure
        self.params: list[Tensor] = self.group["params"]
        self.state = optimizer.state[self.params[0]]
        self.lr = float(self.group["lr"])
        self.evaluations = 0
        dtype = _real(self.params[0])
        self.vectors: dict[str, list[np.ndarray]] = {
            key: [np.array(v.numpy(), dtype) for v in self.state.get(key, [])] for key in ("old_dirs", "old_stps")
        }
        self.direction, self.previous = (
            np.array(self.state[key].numpy(), dtype) if key in self.state else None for key in ("d", "prev_flat_grad")
        )

    # ---- the parameters as a vector ------------------------------------------------------------------------------------------

    def place(self) -> np.ndarray:
        """All parameters in one line, a copy."""
        return np.concatenate([_line(p.detach().numpy()) for p in self.params])

    def move(self, x: np.ndarray) -> None:
        """Sets all parameters."""
        start = 0
        for p in self.params:
            count = _size(p)
            part = np.array(x[start : start + count], _real(p)).view(p.dtype.numpy)
            p.copy_(from_array(part.reshape(tuple(p.shape))))
            start += count

    def evaluate(self) -> tuple[Any, float, np.ndarray]:
        """What the closure gave, the loss as a number, and the gradient in one line."""
        with enable_grad():
            loss = self.closure()
        self.evaluations += 1
        lines = [np.zeros(_size(p), _real(p)) if p.grad is None else _line(p.grad.numpy()) for p in self.params]
        return loss, float(loss), np.concatenate(lines)

    # ---- the loop ------------------------------------------------------------------------------------------------------------

    def run(self) -> Any:
        """Iterations until one of the limits is reached; gives the first loss."""
        first, loss, gradient = self.evaluate()
        if _largest(gradient) > self.group["tolerance_grad"]:
            self._iterate(loss, gradient)
        self.state["func_evals"] = self.state.get("func_evals", 0) + self.evaluations
        return first

    def _iterate(self, loss: float, gradient: np.ndarray) -> None:
        group, state = self.group, self.state
        for iteration in range(1, group["max_iter"] + 1):
            state["n_iter"] = state.get("n_iter", 0) + 1
            direction = self._newton(gradient)
            begun = min(1.0, 1.0 / float(np.abs(gradient).sum())) if state["n_iter"] == 1 else 1.0
            self.previous, before, t = gradient, loss, begun * self.lr
            state["prev_loss"], state["t"] = loss, t
            slope = float(gradient @ direction)
            if slope > -group["tolerance_change"]:
                break
            x, last = self.place(), iteration == group["max_iter"]
            if group["line_search_fn"]:
                found = self._search(x, direction, _Point(0.0, loss, gradient, slope), t)
                loss, gradient, state["t"] = found.loss, found.gradient, found.t
            self.move(x + direction * direction.dtype.type(state["t"]))
            if not group["line_search_fn"] and not last:
                _, loss, gradient = self.evaluate()
            if last or self._finished(gradient, direction, loss - before):
                break
        self._keep()

    def _finished(self, gradient: np.ndarray, direction: np.ndarray, change: float) -> bool:
        group, moved = self.group, _largest(direction) * abs(self.state["t"])
        flat = _largest(gradient) <= group["tolerance_grad"]
        still = moved <= group["tolerance_change"] or abs(change) < group["tolerance_change"]
        return flat or still or self.evaluations >= group["max_eval"]

    def _newton(self, gradient: np.ndarray) -> np.ndarray:
        """−H g by the two loops over the pairs (algorithm 7.4), the newest pair taken in first."""
        self.direction = -gradient if self.state["n_iter"] == 1 else self._recursion(gradient)
        return self.direction

    def _recursion(self, gradient: np.ndarray) -> np.ndarray:
        changes, steps = self.vectors["old_dirs"], self.vectors["old_stps"]  # y and s
        y = gradient - self.previous
        s = self.direction * gradient.dtype.type(self.state["t"])  # type: ignore[operator]
        curvature = y @ s
        if curvature > _CURVED:
            if len(changes) >= self.group["history_size"]:
                del changes[0], steps[0]
            changes.append(y)
            steps.append(s)
            self.state["H_diag"] = float(curvature / (y @ y))
        scales = [1.0 / (y @ s) for y, s in zip(changes, steps)]
        shares: list[Any] = [0.0] * len(changes)
        q = -gradient
        for k in reversed(range(len(changes))):
            shares[k] = (steps[k] @ q) * scales[k]
            q = q - shares[k] * changes[k]
        r = q * gradient.dtype.type(self.state.get("H_diag", 1.0))
        for k in range(len(changes)):
            r = r + (shares[k] - (changes[k] @ r) * scales[k]) * steps[k]
        return r

    def _keep(self) -> None:
        """Vectors become tensors of the state, so that files and PyTorch's names fit."""
        for key, vectors in self.vectors.items():
            self.state[key] = [from_array(v) for v in vectors]
        self.state["d"], self.state["prev_flat_grad"] = from_array(self.direction), from_array(self.previous)  # type: ignore[arg-type]
        self.state.setdefault("H_diag", 1.0)

    # ---- the line search -----------------------------------------------------------------------------------------------------

    def _at(self, x: np.ndarray, direction: np.ndarray, t: float) -> _Point:
        self.move(x + direction * direction.dtype.type(t))
        _, loss, gradient = self.evaluate()
        return _Point(t, loss, gradient, float(gradient @ direction))

    def _search(self, x: np.ndarray, direction: np.ndarray, start: _Point, t: float) -> _Point:
        """A point that fulfils Wolfe's strong conditions, or the best found: first an interval that holds one, then ever smaller ones."""
        limit = self.group["max_eval"] - self.evaluations
        before, point, used = start, self._at(x, direction, t), 0
        while used < limit:
            rises = point.loss > start.loss + _SUFFICIENT * point.t * start.slope or (used > 1 and point.loss >= before.loss)
            if not rises and abs(point.slope) <= -_FLAT * start.slope:
                return point
            if rises or point.slope >= 0:
                return self._narrow(x, direction, start, [before, point], limit - used)
            low, high = point.t + 0.01 * (point.t - before.t), point.t * 10
            before, point = point, self._at(x, direction, _cubic(before, point, low, high))
            used += 1
        return start if start.loss <= point.loss else point

    def _narrow(self, x: np.ndarray, direction: np.ndarray, start: _Point, ends: list[_Point], limit: int) -> _Point:
        """Algorithm 3.6: `best` is the end with the smaller loss; a point too near an end twice in a row is moved inwards."""
        ends.sort(key=lambda p: p.loss)
        best, other = ends
        width, stuck = _largest(direction), False
        for _ in range(limit):
            if abs(other.t - best.t) * width < self.group["tolerance_change"]:
                break
            t, stuck = _inside(best, other, stuck)
            point = self._at(x, direction, t)
            if point.loss > start.loss + _SUFFICIENT * t * start.slope or point.loss >= best.loss:
                other = point
                if other.loss < best.loss:
                    best, other = other, best
                continue
            if abs(point.slope) <= -_FLAT * start.slope:
                return point
            if point.slope * (other.t - best.t) >= 0:
                other = best
            best = point
        return best


def _real(p: Tensor) -> np.dtype:
    """The dtype of a parameter's line: complex numbers lie there as two each."""
    return np.real(np.empty(0, p.dtype.numpy)).dtype


def _size(p: Tensor) -> int:
    return p.numel() * (2 if p.dtype.is_complex else 1)


def _line(x: np.ndarray) -> np.ndarray:
    return x.ravel().view(np.real(x).dtype)


def _largest(x: np.ndarray) -> float:
    return float(np.abs(x).max(initial=0.0))


def _cubic(a: _Point, b: _Point, low: float, high: float) -> float:
    """The minimum of the cubic through two points and their slopes (Nocedal & Wright, equation 3.59), kept between two numbers."""
    if a.t > b.t:
        a, b = b, a
    d1 = a.slope + b.slope - 3 * (a.loss - b.loss) / (a.t - b.t)
    square = d1 * d1 - a.slope * b.slope
    if square < 0:
        return (low + high) / 2
    d2 = square**0.5
    t = b.t - (b.t - a.t) * ((b.slope + d2 - d1) / (b.slope - a.slope + 2 * d2))
    return min(max(t, low), high)


def _inside(best: _Point, other: _Point, stuck: bool) -> tuple[float, bool]:
    """The next point of an interval, and whether it lies close to one of its ends."""
    low, high = min(best.t, other.t), max(best.t, other.t)
    t, margin = _cubic(best, other, low, high), 0.1 * (high - low)
    if min(high - t, t - low) >= margin:
        return t, False
    if not stuck and low < t < high:
        return t, True
    return (high - margin if abs(t - high) < abs(t - low) else low + margin), False


__all__ = ["LBFGS"]
