"""L5. How a tensor is differentiated: `backward`, the gradients of leaves, hooks."""

from __future__ import annotations

import weakref
from collections.abc import Sequence
from operator import methodcaller
from typing import Any

from danlu import backward, engine
from danlu.engine import Value, record, state
from danlu.errors import GradientError
from danlu.graph import Spec
from danlu.ops import TABLE
from danlu.tensor.core import FULL, HOLD, TensorCore, wrap
from danlu.tensor.modes import set_grad_enabled
from danlu.tensor.storage import Storage

_value, _leaf = methodcaller("_value"), methodcaller("leaf")


# What PyTorch calls operations that have another name here.
_NAMES = {"CrossEntropy": "NllLoss", "BceWithLogits": "BinaryCrossEntropyWithLogits", "VectorNorm": "LinalgVectorNorm"}


class GradFn:
    """A step of the computation that a derivative goes back through: its name, and the steps before it. `danlu.explain` shows more.

    >>> import danlu
    >>> step = (danlu.ones(1, requires_grad=True).exp() * 2).grad_fn
    >>> step, step.name(), step.next_functions[0][0]
    (<MulBackward0>, 'MulBackward0', <ExpBackward0>)
    """

    __slots__ = ("_made", "_value")

    def __init__(self, value: Value, made: bool = False) -> None:
        self._value, self._made = value, made  # made: no leaf, also where the history was let go

    def name(self) -> str:
        """The operation's name, as PyTorch writes it; of an `autograd.Function` that of its class."""
        value = self._value
        if value.note is not None and value.note.gate is not None:
            return f"{value.note.gate[0].name}Backward"
        if not value.inputs and not self._made:
            return "AccumulateGrad"
        name = value.op.name.title().replace("_", "")
        return f"{_NAMES.get(name, name)}Backward0"

    def __repr__(self) -> str:
        return f"<{self.name()}>"

    @property
    def next_functions(self) -> tuple[tuple[GradFn | None, int], ...]:
        """(the step that made it, which of its results it is) for each tensor that the operation read; None without a derivative.
        A step whose history was let go has none."""
        return tuple((GradFn(x) if x.grad else None, x.index) for x in backward.sources(self._value) if type(x) is Value)


class Differentiation(TensorCore):
    """Gradients and hooks."""

    __slots__ = ()

    @property
    def grad_fn(self) -> GradFn | None:
        """The operation that made the tensor, None for a leaf.

        Shapes: any tensor.

        >>> import danlu
        >>> danlu.ones(1).grad_fn is None
        True
        """
        if self.is_leaf:
            return None
        return GradFn(self._value(), True)

    def retain_grad(self) -> None:
        """Collects `.grad` also in this tensor, which is not a leaf.

        Shapes: any tensor.

        >>> import danlu
        >>> x = danlu.ones(1, requires_grad=True)
        >>> y = x * 2
        >>> y.retain_grad()
        >>> (y * 3).backward()
        >>> y.grad
        tensor([3.])
        """
        value = self._value()
        if not value.grad:
            raise GradientError(
                "retain_grad on a tensor that does not require grad; set requires_grad=True on the tensors it is computed from"
            )
        value.step_out()
        if value.leaf is None:
            value.leaf = weakref.ref(self)

    @property
    def retains_grad(self) -> bool:
        """True where `retain_grad` was called on the tensor.

        Shapes: any tensor → a Python bool.

        >>> import danlu
        >>> danlu.ones(1).retains_grad
        False
        """
        leaf = None if self.is_leaf else self._value().leaf
        return leaf is not None and leaf() is self

    def detach_(self) -> Any:
        """Lets go of the history: the tensor is a leaf from now on, on the same memory.

        y = x, ∂y/∂x = 0

        Shapes: (*) → the tensor itself.

        Raises GradientError for a view, whose history is that of the tensor it looks at.

        >>> import danlu
        >>> (danlu.ones(1, requires_grad=True) * 2).detach_().requires_grad
        False
        """
        if self._base is not None:
            raise GradientError("detach_ of a view, whose history is that of the tensor it looks at; write x = x.detach()")
        engine.changed()
        self._cut, self._leaf, self._seen = True, False, None
        return self

    @property
    def data(self) -> Any:
        """The same storage without history.

        Shapes: (*) → (*), on the same memory.

        >>> import danlu
        >>> danlu.ones(1, requires_grad=True).data
        tensor([1.])
        """
        return self.detach()

    @data.setter
    def data(self, other: TensorCore) -> None:
        value = other.detach()._value()
        if self._base is not None:
            raise GradientError("x.data = … on a view; assign to the tensor it looks at")
        engine.changed()
        self._storage = Storage(value)

    def backward(
        self, gradient: Any = None, retain_graph: bool | None = None, create_graph: bool = False, inputs: Any = None
    ) -> None:
        """Adds the gradient of this tensor with respect to every leaf to the leaf's `.grad` (reverse mode).

        x.grad ← x.grad + (∂y/∂x)ᵀ gradient for every leaf x

        gradient: ∂(what is differentiated)/∂(this tensor), of the same shape; may be left out for one element, where it is 1.

        Shapes: gradient (*), the shape of the tensor; () may be left out.

        Raises GradientError where there is nothing to differentiate or the graph was used up by an earlier call.

        >>> import danlu
        >>> x = danlu.tensor([1.0, 2.0], requires_grad=True)
        >>> (x ** 2).sum().backward()
        >>> x.grad
        tensor([2., 4.])
        """
        backward_([self], [gradient], inputs, retain_graph, create_graph)

    def register_hook(self, hook: Any) -> Any:
        """`hook(grad)` runs whenever the gradient of this tensor is known; what it returns, if not None, takes its place.

        Returns a handle: `handle.remove()` takes the hook away.

        Shapes: any tensor; the gradient has its shape.

        >>> import danlu
        >>> x = danlu.ones(2, requires_grad=True)
        >>> handle = x.register_hook(lambda g: g * 10)
        >>> x.sum().backward()
        >>> x.grad
        tensor([10., 10.])
        """
        if not self.requires_grad:
            raise GradientError(
                "register_hook on a tensor that does not require grad: no gradient would come. Set requires_grad=True"
            )
        with set_grad_enabled(True):
            note = self._value().noted()
        if note.hooks is None:
            note.hooks = {}
        if self._leaf:
            self._hooks = note.hooks  # the next value of the leaf takes them over
        return Handle(note.hooks, lambda g: _call_hook(hook, g))

    def register_post_accumulate_grad_hook(self, hook: Any) -> Any:
        """`hook(tensor)` runs after a backward pass has added to this leaf's `.grad`.

        Shapes: any leaf; the gradient has its shape.

        >>> import danlu
        >>> x = danlu.ones(1, requires_grad=True)
        >>> handle = x.register_post_accumulate_grad_hook(lambda x: print(x.grad))
        >>> (x * 3).backward()
        tensor([3.])
        """
        if not self._leaf:
            raise GradientError(
                "post accumulate grad hooks cannot be registered on tensors that are no leaves: only leaves collect .grad"
            )
        if self._after is None:
            self._after = {}
        return Handle(self._after, hook)


class Handle:
    """Removes a hook: `handle.remove()`, or at the end of a `with` block."""

    count = 0

    def __init__(self, hooks: dict[int, Any], hook: Any) -> None:
        Handle.count += 1
        engine.changed()
        self._hooks, self.id = hooks, Handle.count
        hooks[self.id] = hook

    def remove(self) -> None:
        """Takes the hook away; a second call does nothing."""
        engine.changed()
        self._hooks.pop(self.id, None)

    def __enter__(self) -> Handle:
        return self

    def __exit__(self, *error: object) -> None:
        self.remove()


def _call_hook(hook: Any, g: Value) -> Value:
    result = hook(wrap(g))
    if result is None:
        return g
    if not isinstance(result, TensorCore):
        raise GradientError(
            "a hook of a tensor returned {kind}; expected the new gradient as a tensor, or None", kind=type(result).__name__
        )
    if result._spec.shape != g.spec.shape:
        raise GradientError(
            "a hook of a tensor returned a gradient of shape {shape}; expected {expected}",
            shape=result._spec.shape,
            expected=g.spec.shape,
        )
    return result._value()


def backward_(ys: Sequence[TensorCore], gys: Sequence[Any], inputs: Any, retain_graph: bool | None, create_graph: bool) -> None:
    """Adds the gradients of Σ ys · gys to the `.grad` of all leaves, or of the tensors in `inputs`."""
    targets = None if inputs is None else list(inputs) if isinstance(inputs, (list, tuple)) else [inputs]
    if targets == []:
        raise GradientError("backward: inputs= is empty; leave it out for all leaves")
    keep = create_graph if retain_graph is None else retain_graph
    leaves, grads = gradients(ys, gys, targets, keep, create_graph)
    for tensor, g in zip(targets or map(_leaf, leaves), grads):
        if tensor is None or g is None:
            continue
        if tensor.grad is None and not tensor._after:
            tensor.grad = g
            continue
        with set_grad_enabled(create_graph):
            accumulate(tensor, g)
            for hook in list((tensor._after or {}).values()):
                hook(tensor)


def accumulate(tensor: TensorCore, g: TensorCore) -> None:
    """tensor.grad += g"""
    if tensor.grad is None:
        tensor.grad = g
    elif g.requires_grad or tensor.grad.requires_grad:
        tensor.grad = wrap(record(TABLE["add"], (tensor.grad._value(), g._value()), (), True))  # type: ignore[arg-type]
    else:
        tensor.grad._assign(record(TABLE["add"], (tensor.grad._value(), g._value()), (), False))


def gradients(
    ys: Sequence[TensorCore], gys: Sequence[Any], xs: Sequence[TensorCore] | None, keep: bool, create_graph: bool
) -> tuple[list[Value], list[Any]]:
    """The values to differentiate with respect to (all leaves, if `xs` is None) and the gradient of Σ ys · gys for each."""
    here = state()
    previous, here.grad = here.grad, True
    try:
        values = list(map(_value, ys))
        targets = None if xs is None else list(map(_value, xs))
        here.grad = create_graph
        if targets is None and not (keep or create_graph or checks) and len(values) == 1 and gys[0] is None and values[0].grad:
            _check_alone(values[0].spec)
            here.differentiated = (ys[0],)
            foreseen = engine.backward((values[0],), HOLD, FULL)
            if foreseen is not None:
                return foreseen
        seeds = [_seed(y, value, gy) for y, value, gy in zip(ys, values, gys)]
        for check in checks:
            check(values, seeds)
        # A loss that its user has let go is computed all the same: only that finds a target without a class.
        here.differentiated = () if keep else tuple([y for y, value in zip(ys, values) if value.spec.size == 1])
        return backward.gradients(values, seeds, targets, keep, create_graph, HOLD)
    finally:
        here.grad = previous


checks: list[Any] = []  # functions (roots, seeds) that look at a backward pass before it runs (detect_anomaly)


def _check_alone(spec: Spec) -> None:
    """A tensor that is differentiated without a gradient is one real number."""
    if spec.size != 1:
        raise GradientError(
            "backward of a tensor of shape {shape} without a gradient: only one element can be differentiated by itself. "
            "Write loss.sum().backward() or loss.mean().backward(), or pass gradient= of that shape",
            shape=spec.shape,
        )
    if spec.dtype.is_complex:
        raise GradientError(
            "backward of a {dtype} without a gradient: only a real number can be differentiated by itself. Write "
            "y.abs().sum().backward() or another real loss, or pass gradient=",
            dtype=spec.dtype.name,
        )


def _seed(y: TensorCore, value: Value, gy: Any) -> Value:
    """The gradient that comes from above."""
    if gy is None:
        _check_alone(value.spec)
        return record(FULL, (1,), (value.spec.shape, value.spec.dtype), False)  # type: ignore[return-value]
    given = gy._value()
    if given.spec.shape != value.spec.shape:
        raise GradientError(
            "gradient= has shape {given}; expected that of the tensor, {shape}", given=given.spec.shape, shape=value.spec.shape
        )
    return given


__all__ = ["Differentiation", "Handle", "accumulate", "backward_", "checks", "gradients"]
