"""L6. Derivatives of functions in `autograd.functional`'s form: jacobian, hessian, vjp, jvp, hvp, vhp."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from danlu import func as transforms
from danlu.errors import GradientError
from danlu.func.calls import flatten
from danlu.tensor import Tensor
from danlu.tensor.creation import ones_like
from danlu.tensor.modes import set_grad_enabled

Function = Callable[..., Any]


def _tuple(x: Any) -> tuple[Any, ...]:
    return x if isinstance(x, tuple) else (x,)


def _like(result: Any, inputs: Any) -> Any:
    """A tuple where the user gave one."""
    return _tuple(result) if isinstance(inputs, tuple) else _tuple(result)[0]


def _settled(result: Any, create_graph: bool) -> Any:
    """The result, without history unless it was asked for."""
    if create_graph:
        return result
    leaves, rebuild = flatten(result)
    return rebuild([x.detach() for x in leaves])


def _check_strict(strict: bool, func: Function, inputs: Any) -> None:
    """Raises GradientError where an output depends on no input."""
    if not strict:
        return
    own = [x.detach().clone().requires_grad_() for x in _tuple(inputs)]
    with set_grad_enabled(True):
        outputs = _tuple(func(*own))
    for k, y in enumerate(outputs):
        if not y.requires_grad:
            raise GradientError("output {number} of the function does not depend on the inputs (strict=True)", number=k)


def _vector(v: Any, outputs: Any, name: str) -> Any:
    if v is not None:
        return v
    if isinstance(outputs, tuple) or outputs.numel() != 1:
        raise GradientError(
            "{name}: v may only be left out where the function returns one number; give a vector of the right shape", name=name
        )
    return ones_like(outputs)


def jacobian(
    func: Function,
    inputs: Any,
    create_graph: bool = False,
    strict: bool = False,
    vectorize: bool = False,
    strategy: str = "reverse-mode",
) -> Any:
    """∂func/∂inputs: for each output a tuple with one entry for each input (no tuples where there is one of them alone).

    Shapes: input (*) → output.shape + (*).

    >>> import danlu
    >>> danlu.autograd.functional.jacobian(lambda x: x ** 2, danlu.tensor([1.0, 3.0]))
    tensor([[2., 0.],
            [0., 6.]])
    """
    if strategy not in ("reverse-mode", "forward-mode"):
        raise GradientError("jacobian: strategy={strategy!r}; expected 'reverse-mode' or 'forward-mode'", strategy=strategy)
    _check_strict(strict, func, inputs)
    transform = transforms.jacrev if strategy == "reverse-mode" else transforms.jacfwd
    args = _tuple(inputs)
    argnums = tuple(range(len(args))) if isinstance(inputs, tuple) else 0
    return _settled(transform(func, argnums)(*args), create_graph)


def hessian(
    func: Function,
    inputs: Any,
    create_graph: bool = False,
    strict: bool = False,
    vectorize: bool = False,
    outer_jacobian_strategy: str = "reverse-mode",
) -> Any:
    """The second derivatives of a function that returns one number; a tuple of tuples where the inputs are a tuple.

    H[i, j] = ∂²func/∂xᵢ ∂xⱼ

    Shapes: input (*) → (*) + (*).

    >>> import danlu
    >>> danlu.autograd.functional.hessian(lambda x: (x ** 3).sum(), danlu.tensor([1.0, 2.0]))
    tensor([[ 6.,  0.],
            [ 0., 12.]])
    """
    _check_strict(strict, func, inputs)
    args = _tuple(inputs)
    argnums = tuple(range(len(args))) if isinstance(inputs, tuple) else 0
    outer = transforms.jacrev if outer_jacobian_strategy == "reverse-mode" else transforms.jacfwd
    return _settled(outer(transforms.jacrev(_number(func), argnums), argnums)(*args), create_graph)


def _number(func: Function) -> Function:
    """The function with its one element as a number."""

    def scalar(*args: Any) -> Any:
        y = func(*args)
        if not isinstance(y, Tensor) or y.numel() != 1:
            raise GradientError("the function must return a tensor with one element")
        return y.reshape(())

    return scalar


def vjp(func: Function, inputs: Any, v: Any = None, create_graph: bool = False, strict: bool = False) -> tuple[Any, Any]:
    """(func(inputs), vᵀ · Jacobian).

    Shapes: input (*), v of the shape of the output → output, product (*).

    >>> import danlu
    >>> danlu.autograd.functional.vjp(lambda x: x * 2, danlu.ones(2), danlu.tensor([1.0, 5.0]))
    (tensor([2., 2.]), tensor([ 2., 10.]))
    """
    _check_strict(strict, func, inputs)
    output, pull = transforms.vjp(func, *_tuple(inputs))
    with set_grad_enabled(create_graph):
        found = pull(*_tuple(_vector(v, output, "vjp")))
    return _settled((output, _like(found, inputs)), create_graph)


def jvp(func: Function, inputs: Any, v: Any = None, create_graph: bool = False, strict: bool = False) -> tuple[Any, Any]:
    """(func(inputs), Jacobian · v).

    Shapes: input (*), v (*) → output and product of equal shapes.

    >>> import danlu
    >>> danlu.autograd.functional.jvp(lambda x: x * 2, danlu.ones(2), danlu.tensor([1.0, 5.0]))
    (tensor([2., 2.]), tensor([ 2., 10.]))
    """
    _check_strict(strict, func, inputs)
    return _settled(transforms.jvp(func, _tuple(inputs), _tuple(_vector(v, inputs, "jvp"))), create_graph)


def hvp(func: Function, inputs: Any, v: Any = None, create_graph: bool = False, strict: bool = False) -> tuple[Any, Any]:
    """(func(inputs), Hessian · v) of a function that returns one number.

    Shapes: input (*), v (*) → value (), product (*).

    >>> import danlu
    >>> danlu.autograd.functional.hvp(lambda x: (x ** 2).sum(), danlu.ones(2), danlu.tensor([1.0, 5.0]))
    (tensor(2.), tensor([ 2., 10.]))
    """
    _check_strict(strict, func, inputs)
    args, vectors = _tuple(inputs), _tuple(_vector(v, inputs, "hvp"))
    derived = transforms.grad(_number(func), tuple(range(len(args))))
    found = transforms.jvp(derived, args, vectors)[1]
    with set_grad_enabled(create_graph):
        output = func(*args)
    return _settled((output, _like(found, inputs)), create_graph)


def vhp(func: Function, inputs: Any, v: Any = None, create_graph: bool = False, strict: bool = False) -> tuple[Any, Any]:
    """(func(inputs), vᵀ · Hessian): the same numbers as `hvp` by symmetry, reverse over reverse.

    Shapes: input (*), v (*) → value (), product (*).

    >>> import danlu
    >>> danlu.autograd.functional.vhp(lambda x: (x ** 2).sum(), danlu.ones(2), danlu.tensor([1.0, 5.0]))
    (tensor(2.), tensor([ 2., 10.]))
    """
    _check_strict(strict, func, inputs)
    args = _tuple(inputs)
    derived = transforms.grad(_number(func), tuple(range(len(args))))
    _, pull = transforms.vjp(derived, *args)
    with set_grad_enabled(create_graph):
        found = pull(_tuple(_vector(v, inputs, "vhp")))
        output = func(*args)
    return _settled((output, _like(found, inputs)), create_graph)


__all__ = ["hessian", "hvp", "jacobian", "jvp", "vhp", "vjp"]
