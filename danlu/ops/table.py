"""L2. The op table: where records are registered, and `o`, the language in which derivatives and composites are written.

`o.mul(g, y)` builds a node. On elementwise ops `o` does what users expect of arithmetic: Python numbers become constants,
dtypes are promoted as PyTorch does, shapes are broadcast; and it writes each of these steps down as an op of its own
(`cast`, `expand`), so that the compiler and the derivatives meet only operands of one shape and one dtype.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from danlu import dtype as dt
from danlu.dtype import DType
from danlu.errors import DTypeError, ShapeError
from danlu.graph import COMPOSITE, ELEMENTWISE, Node, Op, Spec, toposort
from danlu.messages import both, message

TABLE: dict[str, Op] = {}


def register(op: Op) -> Op:
    """Puts a record into the table; a name is taken once."""
    if op.name in TABLE:
        raise ValueError(message("op {name!r} is registered twice", name=op.name))
    TABLE[op.name] = op
    return op


# ---- shapes and dtypes of elementwise operations ----------------------------------------------------------------------


def broadcast_shapes(name: str, shapes: list[tuple[int, ...]]) -> tuple[int, ...]:
    """The common shape by the rules of broadcasting: axes are matched from the right; a 1 stretches."""
    ndim = max(map(len, shapes), default=0)
    out = [1] * ndim
    for shape in shapes:
        for i, n in enumerate(reversed(shape)):
            axis = ndim - 1 - i
            if n != 1 and out[axis] == 1:
                out[axis] = n
            elif n not in (1, out[axis]):
                _raise_broadcast(name, shapes, axis)
    return tuple(out)


def _raise_broadcast(name: str, shapes: list[tuple[int, ...]], axis: int) -> None:
    given = " and ".join(map(str, shapes))
    sizes = sorted({s[axis - max(map(len, shapes))] for s in shapes if len(s) >= max(map(len, shapes)) - axis} - {1})
    raise ShapeError(
        "{name}: shapes {shapes} cannot be broadcast together: axis {axis} has sizes {sizes}. Axes are matched from the "
        "right, and sizes must be equal or 1; use reshape, unsqueeze or transpose to line them up",
        name=name,
        shapes=given,
        axis=axis,
        sizes=both(map(str, sizes)),
    )


def promote_specs(specs: list[Spec]) -> DType:
    """PyTorch's promotion: tensors with axes decide; 0-d tensors, then Python numbers, only if they are of a higher kind."""
    levels = (
        [s for s in specs if not s.weak and s.shape],
        [s for s in specs if not s.weak and not s.shape],
        [s for s in specs if s.weak],
    )
    result: DType | None = None
    for level in levels:
        for_level: DType | None = None
        for s in level:
            for_level = s.dtype if for_level is None else dt.promote(for_level, s.dtype)
        if for_level is not None and (result is None or _category(for_level) > _category(result)):
            complex_float = for_level.is_complex and result is not None and result.is_floating_point
            result = dt.to_complex(result) if complex_float else for_level  # type: ignore[arg-type]
    return result or dt.default()


def _category(dtype: DType) -> int:
    return {"b": 0, "u": 1, "i": 1, "f": 2, "c": 3}[dtype.kind]


def elementwise_infer(name: str, result: str) -> Callable[..., Spec]:
    """The shape rule of an elementwise op. `result`: "same" as the promoted inputs, "float" (integers become the default dtype), "bool"."""

    def infer(*specs: Spec, **attrs: Any) -> Spec:
        shape = broadcast_shapes(name, [s.shape for s in specs])
        dtype = promote_specs(list(specs))
        if result == "bool":
            dtype = dt.bool_
        elif result == "float" and not dtype.differentiable:
            dtype = dt.default()
        return Spec(shape, dtype, all(s.weak for s in specs))

    return infer


Partial = Callable[..., Any]


def elementwise(
    name: str,
    doc: str,
    *,
    numpy: Callable[..., Any],
    emit: Callable[..., Any],
    partials: tuple[Partial | None, ...] | None = None,
    vjp: Callable[..., Any] | None = None,
    jvp: Callable[..., Any] | None = None,
    result: str = "same",
    attrs: tuple[str, ...] = (),
    infer: Callable[..., Any] | None = None,
    operands: Callable[..., Any] | None = None,
    neutral: tuple[Any, Any] | None = None,
    rewrite: Callable[..., Any] | None = None,
    sample: Any = None,
    planes: Callable[..., Any] | None = None,
    wirtinger: bool = False,
) -> Op:
    """Registers an elementwise op. `partials[i](o, y, *xs, **attrs)` is ∂y/∂xᵢ: one formula gives both directions of
    differentiation; None says that the derivative is zero everywhere. Give `vjp` and `jvp` where a product is not the way
    (`where` must select, not multiply: 0 · ∞ is NaN). `operands(specs, out)` gives the dtype in which each input is computed
    with where that is not the common one (None: as it is)."""
    if partials is not None:
        vjp, jvp = _from_partials(partials)
    record = Op(name, ELEMENTWISE, doc, infer=infer or elementwise_infer(name, result), attrs=attrs, numpy=numpy, emit=emit,
                vjp=vjp, jvp=jvp, sample=sample, neutral=neutral, rewrite=rewrite, folds=operands or result, planes=planes,
                wirtinger=wirtinger)  # fmt: skip
    return register(record)


def _from_partials(partials: tuple[Partial | None, ...]) -> tuple[Callable[..., Any], Callable[..., Any]]:
    def vjp(o, g, y, *xs, **attrs):
        return tuple(None if p is None else o.mul(g, p(o, y, *xs, **attrs)) for p in partials)

    def jvp(o, y, xs, dxs, **attrs):
        total = None
        for p, d in zip(partials, dxs):
            if p is not None and d is not None:
                term = o.mul(d, p(o, y, *xs, **attrs))
                total = term if total is None else o.add(total, term)
        return total

    return vjp, jvp


def composite(
    expand: Callable[..., Any] | None = None, *, attrs: tuple[str, ...] = (), name: str | None = None, explain: Any = None
) -> Any:
    """Registers a named function of other ops: `@composite def linear(o, x, w, b): ...`. Its shape rule is a dry run of itself,
    its derivative that of its parts; it is one node while recording and is expanded when a program is compiled. Of bfloat16 it is
    computed in float32, and rounded once at the end."""

    def decorate(function: Callable[..., Any]) -> Op:
        title = name or function.__name__.rstrip("_")

        def infer(*specs: Spec, **given: Any) -> Any:
            out = function(o, *[Node(PLACEHOLDER, (), (), s) for s in specs], **given)
            op.blamed = op.blamed or any(n.op.blamed for n in toposort(out if isinstance(out, tuple) else (out,)))
            return tuple(x.spec for x in out) if isinstance(out, tuple) else out.spec

        doc = (function.__doc__ or title).strip().splitlines()[0]

        @functools.wraps(function)
        def expanded(o, *xs: Node, **given: Any) -> Any:
            if all(x.dtype is not dt.bfloat16 for x in xs):
                return function(o, *xs, **given)
            out = function(o, *(widened(x) for x in xs), **given)
            return narrowed(out, op.result(tuple(x.spec for x in xs), tuple(given[a] for a in attrs)))

        op = register(Op(title, COMPOSITE, doc, infer=infer, attrs=attrs, expand=expanded, explain=explain))
        return op

    return decorate if expand is None else decorate(expand)


def widened(x: Any) -> Any:
    """A bfloat16 node as float32, a tuple of nodes each so; anything else as it is."""
    if isinstance(x, tuple):
        return tuple(map(widened, x))
    return o.cast(x, dtype=dt.float32) if isinstance(x, Node) and x.dtype is dt.bfloat16 else x


def narrowed(out: Any, spec: Any) -> Any:
    """What was computed in float32 rounded where the spec says bfloat16."""
    if isinstance(out, tuple):
        return tuple(map(narrowed, out, spec))
    return o.cast(out, dtype=dt.bfloat16) if spec.dtype is dt.bfloat16 and out.dtype is not dt.bfloat16 else out


PLACEHOLDER = Op("placeholder", "source", "An input of a dry run: a spec without a value.", infer=lambda: None)

# ---- the language `o` ---------------------------------------------------------------------------------------------------


class OpTable:
    """`o.name(x, y, attr=...)` builds a node of the op `name`; see the module's docstring."""

    def __getattr__(self, name: str) -> Callable[..., Any]:
        op = TABLE.get(name)
        if op is None:
            raise AttributeError(message("no op {name!r} in the table", name=name))
        build = _builder(op)
        setattr(self, name, build)  # found once, then an ordinary attribute
        return build

    def number(self, value: float | int | bool, dtype: DType) -> Node:
        """A constant scalar of this dtype."""
        return self.const(value=value, dtype=dtype)

    def like(self, value: float, x: Node) -> Node:
        """A constant with the shape and dtype of x."""
        scalar = self.const(value=value, dtype=x.dtype)
        return scalar if x.shape == () else self.expand(scalar, shape=x.shape)


def _builder(op: Op) -> Callable[..., Any]:
    def build(*inputs: Any, **attrs: Any) -> Any:
        if op.family == COMPOSITE and op.expand is not None:
            return op.expand(o, *_as_nodes(inputs), **attrs)
        values = tuple(attrs[a] for a in op.attrs)
        if op.family == ELEMENTWISE:
            return _build_elementwise(op, inputs, values)
        nodes = _as_nodes(inputs)
        spec = op.result(tuple(x.spec for x in nodes), values)
        node = Node(op, nodes, values, spec)
        return tuple(o.pick(node, index=k) for k in range(len(spec))) if isinstance(spec, tuple) else node

    return build


def _as_nodes(inputs: tuple) -> tuple[Node, ...]:
    for x in inputs:
        if not isinstance(x, Node):
            raise DTypeError("an op was given {kind}; it takes nodes", kind=type(x).__name__)
    return inputs


def _build_elementwise(op: Op, inputs: tuple, values: tuple) -> Node:
    specs = tuple(x.spec if isinstance(x, Node) else number_spec(x) for x in inputs)
    out: Spec = op.result(specs, values)
    operand = operand_dtype(op, specs, out)
    xs = tuple(_fit(x, dtype, out.shape) for x, dtype in zip(inputs, operand))
    return Node(op, xs, values, Spec(out.shape, out.dtype))


def operand_dtype(op: Op, specs: tuple[Spec, ...], out: Spec) -> tuple[DType | None, ...]:
    """The dtype in which each operand is computed with; None leaves it as it is (a condition, the input of a cast)."""
    if callable(op.folds):
        return tuple(op.folds(specs, out))  # type: ignore[arg-type]
    if op.folds == "float" or op.folds == "same":
        return (out.dtype,) * len(specs)
    return (promote_specs(list(specs)),) * len(specs)


def number_spec(value: Any) -> Spec:
    """The weak spec of a Python number."""
    if isinstance(value, bool):
        return Spec((), dt.bool_, True)
    if isinstance(value, int):
        return Spec((), dt.int64, True)
    if isinstance(value, float):
        return Spec((), dt.default(), True)
    if isinstance(value, complex):
        return Spec((), dt.to_complex(dt.default()), True)
    raise DTypeError("expected a tensor or a number, got {kind}", kind=type(value).__name__)


def _fit(x: Any, dtype: DType | None, shape: tuple[int, ...]) -> Node:
    """x as a node of this dtype and shape."""
    if not isinstance(x, Node):
        x = o.const(value=x, dtype=dtype or number_spec(x).dtype)
    elif dtype is not None:
        x = as_dtype(x, dtype)
    return x if x.shape == shape else o.expand(x, shape=shape)


def as_dtype(x: Node, dtype: DType) -> Node:
    """x converted; a weak number takes the dtype of what it meets, with all its digits."""
    if x.spec.weak and x.inputs:  # a complex number, made of two real ones in float64
        x = Node(x.op, x.inputs, x.attrs, Spec((), dt.complex128))
    elif x.spec.weak:
        return Node(x.op, (), (x.attrs[0] if x.attrs else None, dtype), Spec((), dtype))
    return x if x.dtype is dtype else o.cast(x, dtype=dtype)


o: Any = OpTable()


def together(o, name: str, *xs: Node, whole: bool = False) -> list[Node]:
    """The operands with one shape and one dtype; integers become the default dtype unless `whole`."""
    shape, dtype = broadcast_shapes(name, [x.shape for x in xs]), promote_specs([x.spec for x in xs])
    if not whole:
        dtype = dt.as_float(dtype)
    xs = tuple(as_dtype(x, dtype) for x in xs)
    return [x if x.shape == shape else o.expand(x, shape=shape) for x in xs]
