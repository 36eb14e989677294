"""L6. Functions of functions: grad, vjp, jvp, jacobians, hessians, vmap; they nest in any order.

A transform calls the function once, on tensors with a value of their own, and then works on what was recorded: the derivative of the
recording, or the recording for a whole batch (danlu/batching.py). So `vmap(grad(f))` and `jacfwd(jacrev(f))` are one program each.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

from danlu import engine
from danlu.backward import gradients, history, is_station, sources, tangents
from danlu.batching import BATCH
from danlu.engine import Value
from danlu.errors import GradientError
from danlu.graph import Spec
from danlu.messages import Phrase
from danlu.ops import TABLE
from danlu.random import get_state
from danlu.tensor import Tensor, enable_grad, is_grad_enabled
from danlu.tensor.core import HOLD, wrap
from danlu.tensor.creation import cat, eye, stack

# ---- nested structures of tensors ---------------------------------------------------------------------------------------------


def flatten(tree: Any) -> tuple[list[Any], Callable[[Sequence[Any]], Any]]:
    """The leaves of nested lists, tuples and dicts, and a function that puts others in their places.

    >>> leaves, rebuild = flatten({"a": 1, "b": (2, 3)})
    >>> leaves, rebuild([x * 10 for x in leaves])
    ([1, 2, 3], {'a': 10, 'b': (20, 30)})
    """
    if isinstance(tree, dict):
        values, rebuild = flatten(list(tree.values()))
        return values, lambda new: type(tree)(zip(tree, rebuild(new)))
    if not isinstance(tree, (list, tuple)):
        return [tree], lambda new: new[0]
    parts = [flatten(branch) for branch in tree]

    def rebuild_all(new: Sequence[Any]) -> Any:
        built, at = [], 0
        for leaves, rebuild in parts:
            built.append(rebuild(new[at : at + len(leaves)]))
            at += len(leaves)
        return type(tree)(*built) if hasattr(tree, "_fields") else type(tree)(built)

    return [x for leaves, _ in parts for x in leaves], rebuild_all


def _tensors(tree: Any, what: Phrase) -> tuple[list[Any], Callable[[Sequence[Any]], Any]]:
    leaves, rebuild = flatten(tree)
    for x in leaves:
        if not isinstance(x, Tensor):
            raise GradientError(
                "{what} has {kind} where a tensor was expected; write danlu.tensor(...) around it",
                what=what,
                kind=type(x).__name__,
            )
    return leaves, rebuild


# ---- one call of the function -------------------------------------------------------------------------------------------------


class _Run:
    """A function called on tensors that have a value of their own, so that derivatives can be asked with respect to it."""

    def __init__(
        self, function: Callable[..., Any], args: Sequence[Any], kwargs: dict, argnums: Sequence[int], has_aux: bool
    ) -> None:
        given, self.rebuild = _tensors([args[k] for k in argnums], Phrase("an argument that is differentiated"))
        self.xs = [_own_value(x) for x in given]
        placed = list(args)
        for k, new in zip(argnums, self.rebuild([wrap(v) for v in self.xs])):
            placed[k] = new
        with enable_grad():
            result = function(*placed, **kwargs)
            if has_aux and not (isinstance(result, tuple) and len(result) == 2):
                raise GradientError("has_aux=True: the function must return a pair (output, auxiliary)")
            output, self.aux = result if has_aux else (result, None)
            self.outputs, self.rebuild_outputs = _tensors(output, Phrase("what the function returned"))
            self.ys = [y._value() for y in self.outputs]
        self.outer = is_grad_enabled() and _depends_on_more(self.ys, self.xs)
        self.aux = self._plain_tree(self.aux)

    def _plain_tree(self, tree: Any) -> Any:
        leaves, rebuild = flatten(tree)
        return rebuild([self._plain(x) if isinstance(x, Tensor) else x for x in leaves])

    def _plain(self, y: Any) -> Any:
        return y if self.outer or not y.requires_grad else wrap(y.detach()._value())

    @property
    def output(self) -> Any:
        """What the function returned, without the derivative that belongs to this transform alone."""
        return self.rebuild_outputs([self._plain(y) for y in self.outputs])

    def pulled(self, seeds: Sequence[Value], create_graph: bool) -> list[Value]:
        """The gradients of Σ ys · seeds with respect to each x."""
        pairs = [(y, g) for y, g in zip(self.ys, seeds) if y.grad]
        if not pairs:
            return [_zeros(x.spec) for x in self.xs]
        _, found = gradients([y for y, _ in pairs], [g for _, g in pairs], self.xs, True, create_graph, HOLD)
        return [_zeros(x.spec) if g is None else g._value() for x, g in zip(self.xs, found)]

    def pushed(self, dxs: Sequence[Value], create_graph: bool) -> list[Value]:
        """The tangents of each y for tangents of each x."""
        found = tangents(self.ys, self.xs, dxs, create_graph)
        return [_zeros(y.spec) if d is None else d for y, d in zip(self.ys, found)]

    def has_stations(self) -> bool:
        """True where Python has a word in the derivative."""
        return any(is_station(v) for v in history([y for y in self.ys if y.grad]))


def _own_value(x: Tensor) -> Value:
    if not x.dtype.differentiable:
        raise GradientError(
            "only floating and complex dtypes have derivatives; an argument is {dtype}. Write x.float(), or leave it out by argnums",
            dtype=x.dtype.name,
        )
    value = x._value()
    own = engine.record(TABLE["carry"], (value, value), (), True)
    return own.track()


def _zeros(spec: Spec) -> Value:
    return engine.record(TABLE["full"], (0,), (spec.shape, spec.dtype), False)


def _depends_on_more(ys: Sequence[Value], xs: Sequence[Value]) -> bool:
    """True where something outside the transform can ask for a derivative too."""
    own = {id(x) for x in xs}
    return any(
        id(v) not in own and not any(type(x) is Value and x.grad for x in sources(v)) for v in history([y for y in ys if y.grad])
    )


def _numbers(argnums: Any, count: int) -> tuple[tuple[int, ...], bool]:
    single = isinstance(argnums, int)
    numbers = (argnums,) if single else tuple(argnums)
    for k in numbers:
        if not -count <= k < count:
            raise GradientError(
                "argnums {number}: the function was given {count} arguments; expected {lowest} … {highest}",
                number=k,
                count=count,
                lowest=-count,
                highest=count - 1,
            )
    return tuple(k % count for k in numbers), single


def _given(run: _Run, found: Sequence[Value], single: bool) -> Any:
    trees = run.rebuild([wrap(v) for v in found])
    return trees[0] if single else tuple(trees)


# ---- reverse mode ---------------------------------------------------------------------------------------------------------------


def grad_and_value(func: Callable[..., Any], argnums: int | tuple[int, ...] = 0, has_aux: bool = False) -> Callable[..., Any]:
    """A function that gives (gradient, value) of `func`; with has_aux (gradient, (value, auxiliary)).

    ∂func/∂x, func(x)

    Shapes: the argument (*) → gradient (*), value ().

    >>> import danlu
    >>> danlu.func.grad_and_value(lambda x: x ** 2)(danlu.tensor(3.0))
    (tensor(6.), tensor(9.))
    """

    @functools.wraps(func)
    def derived(*args: Any, **kwargs: Any) -> Any:
        numbers, single = _numbers(argnums, len(args))
        run = _Run(func, args, kwargs, numbers, has_aux)
        if len(run.ys) != 1 or run.ys[0].spec.shape != ():
            shapes = [y.spec.shape for y in run.ys]
            raise GradientError(
                "grad: the function must return one number (a tensor of shape ()), it returned {shapes}; use jacrev, or .sum()",
                shapes=shapes,
            )
        one = engine.record(TABLE["full"], (1,), ((), run.ys[0].spec.dtype), False)
        found = _given(run, run.pulled([one], run.outer), single)
        return found, (run.output, run.aux) if has_aux else run.output

    return derived


def grad(func: Callable[..., Any], argnums: int | tuple[int, ...] = 0, has_aux: bool = False) -> Callable[..., Any]:
    """A function that gives the gradient of `func`, which returns one number; with has_aux (gradient, auxiliary).

    ∂func/∂x

    Shapes: the argument (*) → (*).

    >>> import danlu
    >>> danlu.func.grad(danlu.func.grad(lambda x: x ** 3))(danlu.tensor(2.0))
    tensor(12.)
    """
    both = grad_and_value(func, argnums, has_aux)

    @functools.wraps(func)
    def derived(*args: Any, **kwargs: Any) -> Any:
        found, value = both(*args, **kwargs)
        return (found, value[1]) if has_aux else found

    return derived


def vjp(func: Callable[..., Any], *primals: Any, has_aux: bool = False) -> Any:
    """(output, function): the function takes ∂/∂output and gives ∂/∂primals (one alone, or a tuple); with has_aux also the auxiliary.

    x̄ = Jᵀ ȳ

    Shapes: the function takes ȳ of the shape of the output and gives x̄ of the shapes of the primals.

    >>> import danlu
    >>> y, pull = danlu.func.vjp(danlu.sin, danlu.tensor([0.0, 1.0]))
    >>> pull(danlu.ones(2))
    (tensor([1.0000, 0.5403]),)
    """
    run = _Run(func, primals, {}, range(len(primals)), has_aux)

    def pull(*cotangents: Any) -> Any:
        given, _ = _tensors(cotangents[0] if len(cotangents) == 1 else cotangents, Phrase("the cotangent"))
        if [g._spec.shape for g in given] != [y.spec.shape for y in run.ys]:
            shapes, expected = [g._spec.shape for g in given], [y.spec.shape for y in run.ys]
            raise GradientError(
                "vjp: the cotangents have shapes {shapes}; expected those of the outputs, {expected}",
                shapes=shapes,
                expected=expected,
            )
        seeds = [g._value() for g in given]
        return tuple(_given(run, run.pulled(seeds, is_grad_enabled() and (run.outer or any(s.grad for s in seeds))), False))

    return (run.output, pull, run.aux) if has_aux else (run.output, pull)


def _batch_of(ys: Sequence[Value], xs: Sequence[Value], fulls: Sequence[Value], differentiable: bool) -> tuple[Value, ...]:
    return engine.record(BATCH, (*ys, *xs, *fulls), (len(ys), fulls[0].spec.shape[0]), differentiable)


# ---- jacobians ------------------------------------------------------------------------------------------------------------------


def _unit_rows(specs: Sequence[Spec], at: int) -> list[Value]:
    """For each spec a batch with one row for each element of specs[at]: unit vectors there, zeros elsewhere."""
    size = specs[at].size
    unit = eye(size, dtype=specs[at].dtype).reshape(size, *specs[at].shape)
    return [unit._value() if k == at else _zeros(Spec((size, *s.shape), s.dtype)) for k, s in enumerate(specs)]


def _rows(
    step: Callable[[Sequence[Value]], list[Value]], specs: Sequence[Spec], at: int, one_by_one: bool, outer: bool
) -> list[Value]:
    """`step` for each unit vector of specs[at]; the rows along the first axis."""
    units = _unit_rows(specs, at)
    if one_by_one:
        rows = [step([wrap(u)[k]._value() for u in units]) for k in range(specs[at].size)]
        return [stack([wrap(v) for v in column])._value() for column in zip(*rows)]
    stand_ins = [engine.placeholder(s, False) for s in specs]
    with engine.watch(_mark_traced):
        ys = step(stand_ins)
    return list(_batch_of(ys, stand_ins, units, outer))


def jacobian_reverse(run: _Run) -> list[list[Any]]:
    """table[i][j] = ∂yᵢ/∂xⱼ, of shape yᵢ.shape + xⱼ.shape, one reverse pass for each element of y."""
    specs, special = [y.spec for y in run.ys], run.has_stations()
    table = []
    for i, y in enumerate(run.ys):
        if y.grad and y.spec.size:
            found = _rows(lambda seeds: run.pulled(seeds, run.outer), specs, i, special, run.outer)
        else:
            found = [_zeros(Spec((y.spec.size, *x.spec.shape), x.spec.dtype)) for x in run.xs]
        table.append([wrap(v).reshape(*y.spec.shape, *x.spec.shape) for v, x in zip(found, run.xs)])
    return table


def jacobian_forward(run: _Run) -> list[list[Any]]:
    """The same table, one forward pass for each element of x."""
    specs, special = [x.spec for x in run.xs], run.has_stations()
    columns = []
    for j, x in enumerate(run.xs):
        found = _rows(lambda dxs: run.pushed(dxs, run.outer), specs, j, special, run.outer)
        columns.append([_last(wrap(v), y.spec.ndim).reshape(*y.spec.shape, *x.spec.shape) for v, y in zip(found, run.ys)])
    return [list(row) for row in zip(*columns)]


def _last(x: Any, ndim: int) -> Any:
    """The first axis moved behind the others."""
    return x.permute(*range(1, ndim + 1), 0)


def _jacobian(
    table: Callable[[_Run], list[list[Any]]], func: Callable[..., Any], argnums: Any, has_aux: bool
) -> Callable[..., Any]:
    @functools.wraps(func)
    def derived(*args: Any, **kwargs: Any) -> Any:
        numbers, single = _numbers(argnums, len(args))
        run = _Run(func, args, kwargs, numbers, has_aux)
        rows = [run.rebuild(row) for row in table(run)]
        result = run.rebuild_outputs([row[0] if single else tuple(row) for row in rows])
        return (result, run.aux) if has_aux else result

    return derived


def jacrev(func: Callable[..., Any], argnums: int | tuple[int, ...] = 0, *, has_aux: bool = False) -> Callable[..., Any]:
    """A function that gives the Jacobian ∂output/∂input, shape output.shape + input.shape, by reverse mode: for few outputs.

    Shapes: the argument (*) → output.shape + (*).

    >>> import danlu
    >>> danlu.func.jacrev(lambda x: x ** 2)(danlu.tensor([1.0, 2.0]))
    tensor([[2., 0.],
            [0., 4.]])
    """
    return _jacobian(jacobian_reverse, func, argnums, has_aux)


def jacfwd(func: Callable[..., Any], argnums: int | tuple[int, ...] = 0, has_aux: bool = False) -> Callable[..., Any]:
    """The same as `jacrev` by forward mode: for few inputs.

    J[i, j] = ∂outputᵢ/∂xⱼ

    Shapes: the argument (*) → output.shape + (*).

    >>> import danlu
    >>> danlu.func.jacfwd(lambda x: x.sum() * x)(danlu.tensor([1.0, 2.0]))
    tensor([[4., 1.],
            [2., 5.]])
    """
    return _jacobian(jacobian_forward, func, argnums, has_aux)


def hessian(func: Callable[..., Any], argnums: int | tuple[int, ...] = 0) -> Callable[..., Any]:
    """The matrix of second derivatives, forward over reverse: jacfwd(jacrev(func)).

    H[i, j] = ∂²func/∂xᵢ ∂xⱼ

    Shapes: the argument (*) → output.shape + (*) + (*).

    >>> import danlu
    >>> danlu.func.hessian(lambda x: x.prod())(danlu.tensor([2.0, 3.0]))
    tensor([[0., 1.],
            [1., 0.]])
    """
    return jacfwd(jacrev(func, argnums), argnums)


# ---- forward mode -----------------------------------------------------------------------------------------------------------------


def jvp(func: Callable[..., Any], primals: tuple, tangents: tuple, *, strict: bool = False, has_aux: bool = False) -> Any:
    """(output, its change when the primals change by the tangents); with has_aux also the auxiliary.

    ẏ = J ẋ

    strict: an output that depends on no primal is an error instead of zero.

    Shapes: primals and tangents of equal shapes → output and its change of equal shapes.

    >>> import danlu
    >>> danlu.func.jvp(lambda x: x ** 2, (danlu.tensor(3.0),), (danlu.tensor(1.0),))
    (tensor(9.), tensor(6.))
    """
    if not isinstance(primals, tuple) or not isinstance(tangents, tuple):
        raise GradientError("jvp: primals and tangents are tuples, one entry for each argument: jvp(f, (x,), (dx,))")
    run = _Run(func, primals, {}, range(len(primals)), has_aux)
    if strict and not all(y.grad for y in run.ys):
        raise GradientError("jvp: an output does not depend on the primals (strict=True)")
    change = _change(run, tangents)
    return (run.output, change, run.aux) if has_aux else (run.output, change)


def _change(run: _Run, tangents: tuple) -> Any:
    """What the output changes by when the primals change by the tangents."""
    given, _ = _tensors(list(tangents), Phrase("a tangent"))
    if [d._spec.shape for d in given] != [x.spec.shape for x in run.xs]:
        shapes, expected = [d._spec.shape for d in given], [x.spec.shape for x in run.xs]
        raise GradientError(
            "jvp: the tangents have shapes {shapes}; expected those of the primals, {expected}", shapes=shapes, expected=expected
        )
    dxs = [d._value() for d in given]
    found = run.pushed(dxs, is_grad_enabled() and (run.outer or any(d.grad for d in dxs)))
    return run.rebuild_outputs([wrap(v) for v in found])


def linearize(func: Callable[..., Any], *primals: Any) -> tuple[Any, Callable[..., Any]]:
    """(output, function): the function takes changes of the primals and gives that of the output; `func` is called once.

    ẏ = J ẋ

    Shapes: the function takes tangents of the shapes of the primals and gives one of the shape of the output.

    Raises GradientError where shapes differ.

    >>> import danlu
    >>> y, push = danlu.func.linearize(lambda x: x ** 2, danlu.tensor([1.0, 2.0]))
    >>> push(danlu.tensor([1.0, 0.0])), push(danlu.tensor([0.0, 1.0]))
    (tensor([2., 0.]), tensor([0., 4.]))
    """
    run = _Run(func, primals, {}, range(len(primals)), False)
    return run.output, lambda *tangents: _change(run, tangents)


def hvp(func: Callable[..., Any], primals: tuple, tangents: tuple) -> Any:
    """The Hessian of `func` (one number) times a vector, without the Hessian: forward over reverse.

    y = H v, H[i, j] = ∂²func/∂xᵢ ∂xⱼ

    Shapes: primals (*), tangents (*) → (*).

    >>> import danlu
    >>> danlu.func.hvp(lambda x: (x ** 3).sum(), (danlu.tensor([1.0, 2.0]),), (danlu.ones(2),))
    tensor([ 6., 12.])
    """
    argnums = 0 if len(primals) == 1 else tuple(range(len(primals)))
    return jvp(grad(func, argnums), primals, tangents)[1]


# ---- many at once -----------------------------------------------------------------------------------------------------------------


def _mark_traced(inputs: Sequence[Any], result: Any) -> None:
    if any(type(x) is Value and x.note is not None and x.note.traced for x in inputs):
        for value in result if type(result) is tuple else (result,):
            value.noted().traced = True
            if not value.grad:
                engine.read_later(inputs)


def vmap(
    func: Callable[..., Any], in_dims: Any = 0, out_dims: Any = 0, randomness: str = "error", *, chunk_size: int | None = None
) -> Callable[..., Any]:
    """A function that maps `func` over an axis of its arguments, all at once; the results are stacked along an axis.

    y[i] = func(x[i]) for every i of the mapped axis

    `func` is called once, on tensors that stand for every element; reading one of them (item(), `if x > 0:`) is an error. in_dims: the
    axis of each argument, None for what is the same for all. randomness: "same" draws once for all, "different" calls `func` once for
    each element, "error" refuses random numbers. chunk_size: so many elements at once, chunk after chunk, for less memory.

    Shapes: arguments with an axis of size n each (in_dims) → results with an axis of size n (out_dims).

    Raises GradientError where func reads a value, ShapeError where the mapped axes differ in size.

    >>> import danlu
    >>> danlu.func.vmap(danlu.dot)(danlu.ones(3, 2), danlu.ones(3, 2))
    tensor([2., 2., 2.])
    """
    if randomness not in ("error", "same", "different"):
        raise GradientError("vmap: randomness={randomness!r}; expected 'error', 'same' or 'different'", randomness=randomness)
    if chunk_size is not None and chunk_size < 1:
        raise GradientError("vmap: chunk_size={size}; expected 1 or more, or None for all at once", size=chunk_size)

    @functools.wraps(func)
    def mapped(*args: Any, **kwargs: Any) -> Any:
        leaves, rebuild, dims = _arguments(args, kwargs, in_dims)
        if chunk_size is not None:
            return _in_chunks(mapped_whole, leaves, rebuild, dims, out_dims, chunk_size)
        if randomness == "different":
            return _each(func, leaves, rebuild, dims, out_dims)
        return _together(func, leaves, rebuild, dims, out_dims, randomness)

    mapped_whole = vmap(func, in_dims, out_dims, randomness) if chunk_size is not None else mapped
    return mapped


def _in_chunks(
    mapped: Callable[..., Any], leaves: list[Any], rebuild: Any, dims: list[int | None], out_dims: Any, chunk_size: int
) -> Any:
    """The mapped function on pieces of the batch, its results joined along the axis on which each of them is stacked."""
    size = next(x.shape[d] for x, d in zip(leaves, dims) if d is not None)
    pieces = []
    for start in range(0, max(size, 1), chunk_size):
        count = min(chunk_size, size - start)
        args, kwargs = rebuild([x if d is None else x.narrow(d, start, count) for x, d in zip(leaves, dims)])
        pieces.append(mapped(*args, **kwargs))
    tables, rebuild_outputs = [flatten(piece)[0] for piece in pieces], flatten(pieces[0])[1]
    axes = _spread(out_dims, pieces[0], "out_dims")
    joined = [column[0] if axis is None else cat(column, axis) for column, axis in zip(map(list, zip(*tables)), axes)]
    return rebuild_outputs(joined)


def _arguments(args: tuple, kwargs: dict, in_dims: Any) -> tuple[list[Any], Callable[[Sequence[Any]], Any], list[int | None]]:
    """The leaves of all arguments and the axis of each."""
    leaves, rebuild = flatten([list(args), kwargs])
    dims = _spread(in_dims, list(args), "in_dims")
    dims += [0 if isinstance(x, Tensor) else None for x in flatten(kwargs)[0]]
    dims = [_axis(x, d) for x, d in zip(leaves, dims)]
    sizes = {x.shape[d] for x, d in zip(leaves, dims) if d is not None}
    if len(sizes) != 1:
        if not sizes:
            raise GradientError("vmap: no argument has an axis to map over; in_dims must not be None for all")
        raise GradientError("vmap: the mapped axes have sizes {sizes}; expected one size", sizes=sorted(sizes))
    return leaves, rebuild, dims


def _axis(x: Any, dim: Any) -> int | None:
    if dim is None:
        return None
    if not isinstance(x, Tensor):
        raise GradientError(
            "vmap: in_dims={dim} for an argument of type {kind}; expected a tensor, or in_dims=None for it",
            dim=dim,
            kind=type(x).__name__,
        )
    if not -x.ndim <= dim < x.ndim:
        raise GradientError(
            "vmap: in_dims={dim} for a tensor of shape {shape}; it has {ndim} axes", dim=dim, shape=tuple(x.shape), ndim=x.ndim
        )
    return dim % x.ndim


def _spread(dims: Any, tree: Any, name: str) -> list[Any]:
    """One entry of dims for each leaf: a number or None holds for everything below it."""
    if dims is None or isinstance(dims, int):
        return [dims] * len(flatten(tree)[0])
    branches = list(tree.values()) if isinstance(tree, dict) else tree
    chosen = list(dims.values()) if isinstance(dims, dict) else dims
    if not isinstance(branches, (list, tuple)) or len(chosen) != len(branches):
        raise GradientError(
            "vmap: {name} {dims!r} does not fit what it stands for; give a number, None, or one entry for each",
            name=name,
            dims=dims,
        )
    return [d for below, branch in zip(chosen, branches) for d in _spread(below, branch, name)]


def _together(func: Any, leaves: list[Any], rebuild: Any, dims: list[int | None], out_dims: Any, randomness: str) -> Any:
    fulls = [x.movedim(d, 0)._value() for x, d in zip(leaves, dims) if d is not None]
    stand_ins = [engine.placeholder(Spec(f.spec.shape[1:], f.spec.dtype), f.grad) for f in fulls]
    waiting = iter(stand_ins)
    args, kwargs = rebuild([x if d is None else wrap(next(waiting)) for x, d in zip(leaves, dims)])
    before = get_state()
    with engine.watch(_mark_traced):
        outputs, rebuild_outputs = _tensors(func(*args, **kwargs), Phrase("what the mapped function returned"))
        ys = [y._value() for y in outputs]
    if randomness == "error" and get_state() != before:
        raise GradientError(
            "vmap: the function draws random numbers; say randomness='different' (for each element) or 'same' (for all)"
        )
    differentiable = is_grad_enabled()
    if differentiable and any(is_station(v) for v in history([y for y in ys if y.grad])):
        raise GradientError(
            "vmap: the function contains an autograd.Function or a hook, and its result requires grad: such derivatives are not carried "
            "through vmap. Differentiate inside: vmap(grad(f)), or stack the results of a loop"
        )
    found = [wrap(v) for v in _batch_of(ys, stand_ins, fulls, differentiable)]
    return rebuild_outputs(_placed(found, rebuild_outputs, out_dims))


def _placed(found: list[Any], rebuild_outputs: Any, out_dims: Any) -> list[Any]:
    tree = rebuild_outputs(found)
    dims = _spread(
        out_dims, tree if isinstance(tree, (list, tuple, dict)) and not isinstance(out_dims, int) else found, "out_dims"
    )
    return [y[0] if d is None else y.movedim(0, d) for y, d in zip(found, dims)]


def _each(func: Any, leaves: list[Any], rebuild: Any, dims: list[int | None], out_dims: Any) -> Any:
    size = next(x.shape[d] for x, d in zip(leaves, dims) if d is not None)
    rows, rebuild_outputs = [], None
    for k in range(size):
        args, kwargs = rebuild([x if d is None else x.movedim(d, 0)[k] for x, d in zip(leaves, dims)])
        outputs, rebuild_outputs = _tensors(func(*args, **kwargs), Phrase("what the mapped function returned"))
        rows.append(outputs)
    if rebuild_outputs is None:
        raise GradientError("vmap: randomness='different' over an axis of size 0; there is no element to call the function for")
    return rebuild_outputs(_placed([stack(column) for column in zip(*rows)], rebuild_outputs, out_dims))


# ---- modules as functions -----------------------------------------------------------------------------------------------------------


def functional_call(
    module: Any,
    parameter_and_buffer_dicts: Any,
    args: Any = None,
    kwargs: dict | None = None,
    *,
    tie_weights: bool = True,
    strict: bool = False,
) -> Any:
    """`module(*args, **kwargs)` with other tensors in the place of its parameters and buffers, by dotted name.

    strict: every parameter and buffer must be given. A tensor that the module has under two names is replaced under both (tie_weights).

    Shapes: whatever the module takes and gives.

    >>> import danlu
    >>> layer = danlu.nn.Linear(2, 1, bias=False)
    >>> danlu.func.functional_call(layer, {"weight": danlu.ones(1, 2)}, (danlu.tensor([[3.0, 4.0]]),))
    tensor([[7.]])
    """
    given = parameter_and_buffer_dicts if isinstance(parameter_and_buffer_dicts, dict) else _merged(parameter_and_buffer_dicts)
    arguments = () if args is None else args if isinstance(args, tuple) else (args,)
    places = _places(module)
    _check_names(given, places, strict)
    replaced: list[tuple[dict, str, Any]] = []
    try:
        for name, new in given.items():
            home, key = places[name]
            old = home[key]
            same = [(h, k) for h, k in places.values() if h[k] is old] if tie_weights else [(home, key)]
            for h, k in same:
                replaced.append((h, k, old))
                h[k] = new
        return module(*arguments, **(kwargs or {}))
    finally:
        for home, key, old in reversed(replaced):
            home[key] = old


def _merged(dicts: Sequence[dict]) -> dict[str, Any]:
    merged: dict[str, Any] = {}
    for d in dicts:
        if twice := merged.keys() & d.keys():
            raise GradientError("functional_call: {twice} are in more than one of the dicts", twice=sorted(twice))
        merged.update(d)
    return merged


def _places(module: Any) -> dict[str, tuple[dict, str]]:
    """Dotted name → the dictionary and key where a module finds the tensor."""
    found = {}
    for path, part in module.named_modules(remove_duplicate=False):
        for name in (*part._parameters, *part._buffers):
            found[f"{path}.{name}" if path else name] = part.__dict__, name
    return found


def _check_names(given: dict, places: dict, strict: bool) -> None:
    unknown, missing = sorted(given.keys() - places.keys()), sorted(places.keys() - given.keys())
    if unknown:
        raise GradientError(
            "functional_call: the module has no parameter or buffer {name}; it has {names}", name=unknown, names=sorted(places)
        )
    if strict and missing:
        raise GradientError("functional_call: strict=True and {missing} are not given", missing=missing)


__all__ = ["functional_call", "grad", "grad_and_value", "hessian", "hvp", "jacfwd", "jacrev", "jvp", "linearize", "vjp", "vmap"]
