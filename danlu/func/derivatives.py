"""L6. Derivatives of functions in both directions: gradients, products with Jacobians, Jacobians and Hessians."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

from danlu import engine
from danlu.engine import Value
from danlu.errors import GradientError
from danlu.func.calls import Run, as_given, batch_of, mark_traced, numbers_of, tensors_of, zeros
from danlu.graph import Spec
from danlu.messages import Phrase
from danlu.ops import TABLE
from danlu.tensor import is_grad_enabled
from danlu.tensor.core import wrap
from danlu.tensor.creation import eye, stack

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
        numbers, single = numbers_of(argnums, len(args))
        run = Run(func, args, kwargs, numbers, has_aux)
        if len(run.ys) != 1 or run.ys[0].spec.shape != ():
            shapes = [y.spec.shape for y in run.ys]
            raise GradientError(
                "grad: the function must return one number (a tensor of shape ()), it returned {shapes}; use jacrev, or .sum()",
                shapes=shapes,
            )
        one = engine.record(TABLE["full"], (1,), ((), run.ys[0].spec.dtype), False)
        found = as_given(run, run.pulled([one], run.outer), single)
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
    run = Run(func, primals, {}, range(len(primals)), has_aux)

    def pull(*cotangents: Any) -> Any:
        given, _ = tensors_of(cotangents[0] if len(cotangents) == 1 else cotangents, Phrase("the cotangent"))
        if [g._spec.shape for g in given] != [y.spec.shape for y in run.ys]:
            shapes, expected = [g._spec.shape for g in given], [y.spec.shape for y in run.ys]
            raise GradientError(
                "vjp: the cotangents have shapes {shapes}; expected those of the outputs, {expected}",
                shapes=shapes,
                expected=expected,
            )
        seeds = [g._value() for g in given]
        return tuple(as_given(run, run.pulled(seeds, is_grad_enabled() and (run.outer or any(s.grad for s in seeds))), False))

    return (run.output, pull, run.aux) if has_aux else (run.output, pull)


# ---- jacobians ------------------------------------------------------------------------------------------------------------------


def _unit_rows(specs: Sequence[Spec], at: int) -> list[Value]:
    """For each spec a batch with one row for each element of specs[at]: unit vectors there, zeros elsewhere."""
    size = specs[at].size
    unit = eye(size, dtype=specs[at].dtype).reshape(size, *specs[at].shape)
    return [unit._value() if k == at else zeros(Spec((size, *s.shape), s.dtype)) for k, s in enumerate(specs)]


def _rows(
    step: Callable[[Sequence[Value]], list[Value]], specs: Sequence[Spec], at: int, one_by_one: bool, outer: bool
) -> list[Value]:
    """`step` for each unit vector of specs[at]; the rows along the first axis."""
    units = _unit_rows(specs, at)
    if one_by_one:
        rows = [step([wrap(u)[k]._value() for u in units]) for k in range(specs[at].size)]
        return [stack([wrap(v) for v in column])._value() for column in zip(*rows)]
    stand_ins = [engine.placeholder(s, False) for s in specs]
    with engine.watch(mark_traced):
        ys = step(stand_ins)
    return list(batch_of(ys, stand_ins, units, outer))


def jacobian_reverse(run: Run) -> list[list[Any]]:
    """table[i][j] = ∂yᵢ/∂xⱼ, of shape yᵢ.shape + xⱼ.shape, one reverse pass for each element of y."""
    specs, special = [y.spec for y in run.ys], run.has_stations()
    table = []
    for i, y in enumerate(run.ys):
        if y.grad and y.spec.size:
            found = _rows(lambda seeds: run.pulled(seeds, run.outer), specs, i, special, run.outer)
        else:
            found = [zeros(Spec((y.spec.size, *x.spec.shape), x.spec.dtype)) for x in run.xs]
        table.append([wrap(v).reshape(*y.spec.shape, *x.spec.shape) for v, x in zip(found, run.xs)])
    return table


def jacobian_forward(run: Run) -> list[list[Any]]:
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
    table: Callable[[Run], list[list[Any]]], func: Callable[..., Any], argnums: Any, has_aux: bool
) -> Callable[..., Any]:
    @functools.wraps(func)
    def derived(*args: Any, **kwargs: Any) -> Any:
        numbers, single = numbers_of(argnums, len(args))
        run = Run(func, args, kwargs, numbers, has_aux)
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
    run = Run(func, primals, {}, range(len(primals)), has_aux)
    if strict and not all(y.grad for y in run.ys):
        raise GradientError("jvp: an output does not depend on the primals (strict=True)")
    change = _change(run, tangents)
    return (run.output, change, run.aux) if has_aux else (run.output, change)


def _change(run: Run, tangents: tuple) -> Any:
    """What the output changes by when the primals change by the tangents."""
    given, _ = tensors_of(list(tangents), Phrase("a tangent"))
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
    run = Run(func, primals, {}, range(len(primals)), False)
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
