"""L6. Function: a step whose derivative is written by the user (docs/decisions/0007-custom-functions.md)."""

from __future__ import annotations

import functools
from typing import Any

from danlu import engine
from danlu.backward import USED_UP, Gate
from danlu.engine import Value
from danlu.errors import GradientError
from danlu.messages import message
from danlu.ops import TABLE
from danlu.tensor import Tensor, is_grad_enabled, no_grad, set_grad_enabled
from danlu.tensor.core import wrap


class FunctionCtx:
    """What a Function's forward leaves for its backward; `apply` makes it.

    >>> import danlu
    >>> danlu.autograd.FunctionCtx((True, False)).needs_input_grad
    (True, False)
    """

    def __init__(self, needs_input_grad: tuple[bool, ...]) -> None:
        self.needs_input_grad = needs_input_grad
        self._saved: tuple[Any, ...] | None = ()
        self._for_forward: tuple[Any, ...] = ()
        self._plain: set[int] = set()
        self._dirty: set[int] = set()
        self._materialize = True

    def save_for_backward(self, *tensors: Any) -> None:
        """Keeps tensors (inputs, results, others) as they are now; `ctx.saved_tensors` gives them back."""
        for t in tensors:
            if t is not None and not isinstance(t, Tensor):
                raise GradientError(
                    "save_for_backward takes tensors and None, got {kind}; write ctx.name = value for others",
                    kind=type(t).__name__,
                )
        self._saved = tensors

    def save_for_forward(self, *tensors: Any) -> None:
        """Keeps tensors for `jvp`."""
        self._for_forward = tensors
        self._saved = self._saved or tensors

    @property
    def saved_tensors(self) -> tuple[Any, ...]:
        """What `save_for_backward` kept."""
        if self._saved is None:
            raise GradientError(USED_UP)
        return self._saved

    saved_for_forward = saved_tensors

    def mark_non_differentiable(self, *tensors: Tensor) -> None:
        """These results of forward have no derivative (indices, masks)."""
        self._plain |= {id(t) for t in tensors}

    def mark_dirty(self, *tensors: Tensor) -> None:
        """These inputs were changed in place by forward, which returns them."""
        self._dirty |= {id(t) for t in tensors}

    def set_materialize_grads(self, value: bool) -> None:
        """False: backward gets None for results that have no gradient, instead of zeros."""
        self._materialize = bool(value)


class Function:
    """A step with a derivative of one's own: subclass it, write static methods `forward` and `backward`, call `apply`.

    `forward(ctx, *args)`, or `forward(*args)` with `setup_context(ctx, inputs, output)`; `backward(ctx, *grads)` returns one gradient
    (or None) for each argument of forward; `jvp(ctx, *tangents)` is the forward derivative. Where backward is written in operations on
    tensors, it can be differentiated again.

    Shapes: forward and backward decide: the gradients have the shapes of the inputs.

    >>> import danlu
    >>> class Cube(danlu.autograd.Function):
    ...     @staticmethod
    ...     def forward(ctx, x):
    ...         ctx.save_for_backward(x)
    ...         return x ** 3
    ...     @staticmethod
    ...     def backward(ctx, g):
    ...         (x,) = ctx.saved_tensors
    ...         return g * 3 * x ** 2
    >>> x = danlu.tensor(2.0, requires_grad=True)
    >>> Cube.apply(x).backward()
    >>> x.grad
    tensor(12.)
    """

    def __init__(self) -> None:
        raise GradientError("{name} is not instantiated; write {name}.apply(...)", name=type(self).__name__)

    @staticmethod
    def forward(*args: Any, **kwargs: Any) -> Any:
        """The values."""
        raise NotImplementedError(message("a Function needs a static method forward(ctx, *args)"))

    @staticmethod
    def setup_context(ctx: FunctionCtx, inputs: tuple[Any, ...], output: Any) -> None:
        """Where forward takes no ctx: what backward will need."""
        raise NotImplementedError(
            message("a Function whose forward takes no ctx needs a static method setup_context(ctx, inputs, output)")
        )

    @staticmethod
    def backward(ctx: FunctionCtx, *grads: Any) -> Any:
        """The gradients of the arguments from those of the results."""
        raise NotImplementedError(message("a Function that is differentiated needs a static method backward(ctx, *grads)"))

    jvp: Any = None

    @classmethod
    def apply(cls, *args: Any) -> Any:
        """Runs forward and puts its results into the graph."""
        needs = tuple(isinstance(a, Tensor) and a.requires_grad for a in args)
        ctx = FunctionCtx(needs)
        before = [a._value() if isinstance(a, Tensor) else None for a in args]
        with no_grad():
            if cls.setup_context is Function.setup_context:
                output = cls.forward(ctx, *args)
            else:
                output = cls.forward(*args)
                cls.setup_context(ctx, args, output)
        if not (is_grad_enabled() and any(needs)):
            return output
        return _Step(cls, ctx, args, before).results(output)


class _Step:
    """One call of a Function that is differentiated."""

    def __init__(self, cls: type[Function], ctx: FunctionCtx, args: tuple, before: list[Value | None]) -> None:
        self.cls, self.ctx, self.args, self.before = cls, ctx, args, before
        self.places = [k for k, needed in enumerate(ctx.needs_input_grad) if needed]

    def results(self, output: Any) -> Any:
        """The results of forward as tensors of the graph."""
        raw = output if isinstance(output, tuple) else (output,)
        inputs = [self.before[k] for k in self.places]
        pull = _Pull(self.cls, self.ctx, self.places, len(self.args))
        self.gate = Gate(self.cls.__name__, inputs, len(raw), pull, self._push(len(raw)))  # type: ignore[arg-type]
        made = [self._result(t, k) for k, t in enumerate(raw)]
        pull.specs = [t._spec if isinstance(t, Tensor) else None for t in made]
        pull.set_saved(self.args, self.before, raw, made)
        return tuple(made) if isinstance(output, tuple) else made[0]

    def _result(self, t: Any, position: int) -> Any:
        if not isinstance(t, Tensor):
            return t
        if id(t) in self.ctx._plain or not t.dtype.differentiable:
            return t.detach()
        value = engine.record(TABLE["stop"], (t.detach()._value(),), (), False)
        value = self.gate.result(value, position)
        if id(t) in self.ctx._dirty:
            if t._leaf:
                raise GradientError("mark_dirty: a leaf that requires grad was changed in place by a Function; give it x.clone()")
            return t._assign(value)
        return wrap(value)

    def _push(self, count: int) -> Any:
        if self.cls.jvp is None:
            return None
        cls, ctx, places, total = self.cls, self.ctx, self.places, len(self.args)

        def push(tangents: list[Value | None]) -> list[Value | None]:
            given: list[Any] = [None] * total
            for k, d in zip(places, tangents):
                given[k] = None if d is None else wrap(d)
            found = cls.jvp(ctx, *given)
            return [None if d is None else d._value() for d in (found if type(found) is tuple else (found,))]

        return push


class _Pull:
    """The derivative of one call: gradients of the results → gradients of the inputs, by the user's backward. It does not hold the
    results themselves: they hold it."""

    def __init__(self, cls: type[Function], ctx: FunctionCtx, places: list[int], total: int) -> None:
        self.cls, self.ctx, self.places, self.total = cls, ctx, places, total
        self.specs: list[Any] = []
        self.own: dict[int, int] = {}  # number of a saved tensor → which result it is

    def set_saved(self, args: tuple, before: list[Value | None], raw: tuple, made: list[Any]) -> None:
        """Saved inputs with the history that they had, saved results as results of this step, the rest as memory."""
        history = {id(a): v for a, v in zip(args, before) if v is not None and id(a) not in self.ctx._dirty}
        saved = list(self.ctx.saved_tensors)
        for k, t in enumerate(saved):
            if t is None:
                continue
            position = next((j for j, r in enumerate(raw) if r is t), None)
            note = None if position is None else made[position]._storage.value.note
            if position is not None and note is not None and note.gate is not None:
                self.own[k] = position
            saved[k] = wrap(history[id(t)]) if id(t) in history and k not in self.own else wrap(t.detach()._value())
        self.ctx._saved = tuple(saved)

    def _restore(self, gate: Gate) -> None:
        """The saved results as results of the step again, so that a derivative of backward passes through them."""
        saved = list(self.ctx.saved_tensors)
        for k, position in self.own.items():
            value = engine.record(TABLE["stop"], (saved[k]._value(),), (), False)
            saved[k] = wrap(gate.result(value, position))
        self.ctx._saved = tuple(saved)

    def __call__(self, gate: Gate, grads: list[Value | None], create_graph: bool) -> list[Value | None]:
        given = [None if g is None else wrap(g) for g in grads]
        if self.ctx._materialize:
            given = [_zeros(spec) if g is None and spec is not None else g for g, spec in zip(given, self.specs)]
        kept = self.ctx.saved_tensors
        with set_grad_enabled(create_graph):
            if create_graph and self.own:
                self._restore(gate)
            found = self.cls.backward(self.ctx, *given)
        self.ctx._saved = kept
        found = found if isinstance(found, tuple) else (found,)
        self._check(found)
        return [None if found[k] is None else found[k]._value() for k in self.places]

    def _check(self, found: tuple) -> None:
        name = self.cls.__name__
        if (len(found) != self.total and any(g is not None for g in found[self.total :])) or len(found) < self.total:
            raise GradientError(
                "{name}.backward returned {count} gradients; forward took {total} arguments: return one for each, None where "
                "there is no derivative",
                name=name,
                count=len(found),
                total=self.total,
            )
        for k in self.places:
            if found[k] is not None and not isinstance(found[k], Tensor):
                raise GradientError(
                    "{name}.backward returned {kind} for argument {number}; expected a tensor or None",
                    name=name,
                    kind=type(found[k]).__name__,
                    number=k,
                )


def _zeros(spec: Any) -> Any:
    return wrap(engine.record(TABLE["full"], (0,), (spec.shape, spec.dtype), False))


def once_differentiable(function: Any) -> Any:
    """Decorates a Function's backward that is not written in operations on tensors: its result cannot be differentiated again.

    Shapes: those of the backward that is decorated.

    Raises GradientError where a second derivative is asked of it.

    >>> import danlu
    >>> class Cube(danlu.autograd.Function):
    ...     @staticmethod
    ...     def forward(ctx, x):
    ...         ctx.save_for_backward(x)
    ...         return x ** 3
    ...     @staticmethod
    ...     @danlu.autograd.once_differentiable
    ...     def backward(ctx, g):
    ...         return g * danlu.tensor(3 * ctx.saved_tensors[0].detach().numpy() ** 2)
    >>> x = danlu.tensor(2.0, requires_grad=True)
    >>> danlu.autograd.grad(Cube.apply(x), x)
    (tensor(12.),)
    """

    @functools.wraps(function)
    def backward(ctx: FunctionCtx, *grads: Any) -> Any:
        again = is_grad_enabled()
        with no_grad():
            found = function(ctx, *grads)
        sources = [t for t in (*grads, *(ctx.saved_tensors or ())) if isinstance(t, Tensor) and t.requires_grad]
        if not (again and sources):
            return found
        gate = Gate("once_differentiable", [t._value() for t in sources], 0, _refuse_second)
        marked = tuple(_marked(g, gate) for g in (found if isinstance(found, tuple) else (found,)))
        return marked if isinstance(found, tuple) else marked[0]

    return backward


def _marked(g: Any, gate: Gate) -> Any:
    """A gradient that says, where it is differentiated, that it cannot be."""
    if not isinstance(g, Tensor) or not g.dtype.is_floating_point:
        return g
    gate.num_results += 1
    return wrap(gate.result(engine.record(TABLE["stop"], (g._value(),), (), False), gate.num_results - 1))


def _refuse_second(gate: Gate, grads: list[Value | None], create_graph: bool) -> list[Value | None]:
    raise GradientError(
        "a second derivative passes through a backward that is marked @once_differentiable; "
        "write that backward in operations on tensors and take the mark away"
    )


__all__ = ["Function", "FunctionCtx", "once_differentiable"]
