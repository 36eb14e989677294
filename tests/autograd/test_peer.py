"""Programs of differentiation run by danlu and by PyTorch: the same numbers, the same Nones, the same order of calls."""

from __future__ import annotations

import numpy as np
import pytest
from both import agree

import danlu

torch = pytest.importorskip("torch")
pytestmark = [pytest.mark.oracle, pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore:Full backward hook")]

A = np.random.default_rng(0).normal(size=(3, 4))
B = np.random.default_rng(1).normal(size=(4, 3))
V = np.random.default_rng(2).uniform(0.5, 2.0, size=5)


def leaf(lib, x):
    return lib.tensor(x, requires_grad=True)


def accumulate(lib):
    x = leaf(lib, A)
    (x * x).sum().backward()
    (x.sin()).sum().backward()
    return x.grad


def twice(lib):
    x = leaf(lib, A)
    y = (x**3).sum()
    y.backward(retain_graph=True)
    y.backward()
    return x.grad


def third(lib):
    x = leaf(lib, V)
    g = x.pow(4).sin().sum()
    found = []
    for _ in range(3):
        (g,) = lib.autograd.grad(g.sum(), x, create_graph=True)
        found.append(g)
    return found


def some_inputs(lib):
    x, w, unused = leaf(lib, A), leaf(lib, B), leaf(lib, V)
    h = x @ w
    y = h.tanh().sum()
    return [
        lib.autograd.grad(y, [x, h, unused], retain_graph=True, allow_unused=True),
        lib.autograd.grad(y, [w, unused], materialize_grads=True),
    ]


def several_outputs(lib):
    x, w = leaf(lib, A), leaf(lib, B)
    h = x @ w
    return lib.autograd.grad([h, (h * h).sum(), x], [x, w, h], [lib.ones(3, 3, dtype=lib.float64), None, x * 2])


def backward_inputs(lib):
    x, w = leaf(lib, A), leaf(lib, B)
    h = x @ w
    h.sum().backward(inputs=[w, h])
    return [x.grad, w.grad, h.grad]


def retained(lib):
    x = leaf(lib, A)
    h = x.exp()
    h.retain_grad()
    (h * h).sum().backward()
    return [x.grad, h.grad]


def hooks(lib):
    x, calls = leaf(lib, A), []
    y = x * 2
    y.register_hook(lambda g: calls.append(g) or g * 3)
    y.register_hook(lambda g: calls.append(g) or None)
    z = y.sin()
    z.register_hook(lambda g: g + 1)
    x.register_hook(lambda g: calls.append(g) or g.clamp(min=-1.0))
    (z * y).sum().backward()
    return [x.grad, calls]


def hook_on_loss(lib):
    x = leaf(lib, A)
    loss = (x * x).sum()
    loss.register_hook(lambda g: g * 5)
    loss.backward()
    return x.grad


def hooks_with_retain(lib):
    x = leaf(lib, A)
    h = x.exp()
    h.retain_grad()
    h.register_hook(lambda g: g * 2)
    h.sin().sum().backward()
    return [x.grad, h.grad]


def hook_in_second_order(lib):
    x = leaf(lib, V)
    y = x**2
    y.register_hook(lambda g: g * y)
    (g,) = lib.autograd.grad(y.sin().sum(), x, create_graph=True)
    return [g, lib.autograd.grad(g.sum(), x)]


def hook_removed(lib):
    x = leaf(lib, V)
    handle = x.register_hook(lambda g: g * 100)
    handle.remove()
    kept = x.register_hook(lambda g: g * 2)
    x.sum().backward()
    with kept:
        pass
    x.sum().backward()
    return x.grad


def after_accumulation(lib):
    x, seen = leaf(lib, V), []
    x.register_post_accumulate_grad_hook(lambda p: seen.append(p.grad.clone()))
    (x * x).sum().backward()
    x.sum().backward()
    return [x.grad, seen]


def hook_on_two_paths(lib):
    x = leaf(lib, A)
    a, b = x.sin(), x.cos()
    a.register_hook(lambda g: g * 2)
    c = a * b
    c.register_hook(lambda g: g * b)
    d = c + a * 3 + b
    return lib.autograd.grad(d.sum(), [x, b])


def in_place(lib):
    x = leaf(lib, A)
    y = x * 2
    y[1] = y[0] + y[2]
    y[:, 1:3] += x[:, :2]
    y += 1
    y.register_hook(lambda g: g * 2)
    z = y * 3
    z[0, 0] = 7.0
    (z * z).sum().backward()
    return x.grad


def module_hooks(lib):
    lib.manual_seed(0)
    layer = lib.nn.Linear(4, 3).double()
    with lib.no_grad():
        layer.weight.copy_(lib.tensor(B.T.copy()))
        layer.bias.zero_()
    seen = []
    layer.register_full_backward_pre_hook(lambda m, go: (go[0] * 2,))
    layer.register_full_backward_hook(lambda m, gi, go: seen.append((gi, go)) or (gi[0] * 10,))
    x = leaf(lib, A)
    layer(x * 1).sin().sum().backward()
    return [x.grad, layer.weight.grad, layer.bias.grad, seen]


def module_hooks_without_input(lib):
    layer = lib.nn.Linear(4, 3).double()
    with lib.no_grad():
        layer.weight.copy_(lib.tensor(B.T.copy()))
    seen = []
    layer.register_full_backward_hook(lambda m, gi, go: seen.append((gi, go)))
    layer(lib.tensor(A)).sum().backward()
    return [layer.weight.grad, seen]


def exp_function(lib, style):
    class Exp(lib.autograd.Function):
        if style == "ctx":

            @staticmethod
            def forward(ctx, x, scale):
                y = (x * scale).exp()
                ctx.save_for_backward(y)
                ctx.scale = scale
                return y

        else:

            @staticmethod
            def forward(x, scale):
                return (x * scale).exp()

            @staticmethod
            def setup_context(ctx, inputs, output):
                ctx.save_for_backward(output)
                ctx.scale = inputs[1]

        @staticmethod
        def backward(ctx, g):
            assert ctx.needs_input_grad == (True, False)
            (y,) = ctx.saved_tensors
            return g * y * ctx.scale, None

    return Exp


@pytest.mark.parametrize("style", ["ctx", "setup"])
def test_function_of_three_orders(style):
    def run(lib):
        x = leaf(lib, V)
        f = exp_function(lib, style)
        y = f.apply(x * x, 0.5).sin() * f.apply(x, 2.0)
        found = [y]
        for _ in range(3):
            (g,) = lib.autograd.grad(found[-1].sum(), x, create_graph=True)
            found.append(g)
        return found

    agree(run(danlu), run(torch))


def two_results(lib):
    class Polar(lib.autograd.Function):
        @staticmethod
        def forward(ctx, x, y):
            r = (x * x + y * y).sqrt()
            big = r > 1.5
            ctx.mark_non_differentiable(big)
            ctx.save_for_backward(x, y, r)
            return r, x / r, big

        @staticmethod
        def backward(ctx, gr, gc, gbig):
            x, y, r = ctx.saved_tensors
            return gr * x / r + gc * y * y / r**3, gr * y / r - gc * x * y / r**3

    x, y = leaf(lib, V), leaf(lib, V[::-1].copy())
    r, c, big = Polar.apply(x * 2, y)
    first = lib.autograd.grad((r * c).sum() + r.sum(), [x, y], create_graph=True)
    return [r, c, big, first, lib.autograd.grad((first[0] * first[1]).sum(), [x, y])]


def unmaterialized(lib):
    seen = []

    class Two(lib.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.set_materialize_grads(False)
            return x * 2, x * 3

        @staticmethod
        def backward(ctx, a, b):
            seen.append((a, b))
            return a * 2

    x = leaf(lib, V)
    Two.apply(x)[0].sum().backward()
    return [x.grad, seen]


def straight_through(lib):
    class Round(lib.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x.round()

        @staticmethod
        def backward(ctx, g):
            return g

    x = leaf(lib, V)
    y = x + (x.round() - x).detach()
    (Round.apply(x) ** 2 + y**3).sum().backward()
    return x.grad


def returns_input(lib):
    class Same(lib.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x

        @staticmethod
        def backward(ctx, g):
            return g * 3

    x = leaf(lib, V)
    (Same.apply(x) * x).sum().backward()
    return x.grad


def dirty(lib):
    class Double(lib.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            x.mul_(2)
            ctx.mark_dirty(x)
            return x

        @staticmethod
        def backward(ctx, g):
            return g * 2

    x = leaf(lib, V)
    y = x.sin()
    out = Double.apply(y)
    (y * out).sum().backward()
    return [x.grad, y]


def chained_functions(lib):
    f = exp_function(lib, "ctx")
    x = leaf(lib, V * 0.3)
    y = x
    for k in range(4):
        y = f.apply(y.sin() + x, 0.5) + (f.apply(x, 0.5) if k % 2 else y)
    y.register_hook(lambda g: g * 2)
    (y * y).sum().backward()
    return x.grad


def reentrant(lib):
    class Inner(lib.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            return x.detach() ** 2

        @staticmethod
        def backward(ctx, g):
            (x,) = ctx.saved_tensors
            with lib.enable_grad():
                x = x.detach().requires_grad_()
                y = x**2
                return lib.autograd.grad(y, x, g)[0]

    x = leaf(lib, V)
    Inner.apply(x * 2).sum().backward()
    return x.grad


PROGRAMS = [
    accumulate, twice, third, some_inputs, several_outputs, backward_inputs, retained, hooks, hook_on_loss, hooks_with_retain,
    hook_in_second_order, hook_removed, after_accumulation, hook_on_two_paths, in_place, module_hooks, module_hooks_without_input, two_results,
    unmaterialized, straight_through, returns_input, dirty, chained_functions, reentrant,
]  # fmt: skip


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda p: p.__name__)
def test_the_same_as_torch(program):
    agree(program(danlu), program(torch))


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda p: p.__name__)
def test_the_same_with_values_read_in_between(program, monkeypatch):
    """Programs end in other places; no number may change."""
    monkeypatch.setattr(danlu.engine, "MAX_PENDING", 7)
    agree(program(danlu), program(torch))


# ---- functions of functions -----------------------------------------------------------------------------------------------------


def mix(lib, x, w):
    return (x @ w).tanh().sum(0) * w.sum(0).exp()


TRANSFORMS = {
    "grad": lambda lib, f, x, w: f.grad(lambda a, b: mix(lib, a, b).sum(), (0, 1))(x, w),
    "grad_and_value": lambda lib, f, x, w: f.grad_and_value(lambda a, b: (mix(lib, a, b).sum(), a * 2), has_aux=True)(x, w),
    "grad_dict": lambda lib, f, x, w: f.grad(lambda p: mix(lib, p["x"], p["w"]).sum())({"x": x, "w": w}),
    "third": lambda lib, f, x, w: f.grad(lambda a: f.grad(lambda b: f.grad(lambda c: (c**5).sum())(b).sum())(a).sum())(x),
    "vjp": lambda lib, f, x, w: f.vjp(lambda a, b: mix(lib, a, b), x, w)[1](lib.ones(3, dtype=lib.float64)),
    "jvp": lambda lib, f, x, w: f.jvp(lambda a, b: mix(lib, a, b), (x, w), (x * 2, w.sin())),
    "jacrev": lambda lib, f, x, w: f.jacrev(lambda a, b: mix(lib, a, b), (0, 1))(x, w),
    "jacfwd": lambda lib, f, x, w: f.jacfwd(lambda a, b: mix(lib, a, b), 1)(x, w),
    "jacrev_tree": lambda lib, f, x, w: f.jacrev(lambda a: {"s": a.sin(), "p": (a.sum(), a[0])})(w[0]),
    "hessian": lambda lib, f, x, w: f.hessian(lambda a: (a @ w).tanh().pow(2).sum())(x),
    "hessian_pair": lambda lib, f, x, w: f.hessian(lambda a, b: mix(lib, a, b).sum(), (0, 1))(x, w),
    "vmap": lambda lib, f, x, w: f.vmap(lambda a: (a @ w).softmax(-1))(x),
    "vmap_dims": lambda lib, f, x, w: f.vmap(lambda a, b: (a * b, b.sum()), in_dims=(1, 0), out_dims=(1, 0))(x, w),
    "vmap_none": lambda lib, f, x, w: f.vmap(lambda a, b: a @ b, in_dims=(0, None))(x, w),
    "vmap_vmap": lambda lib, f, x, w: f.vmap(f.vmap(lambda a, b: a * b.sum(), (0, None)), (None, 1))(x[0], w),
    "per_sample_grad": lambda lib, f, x, w: f.vmap(f.grad(lambda w, a: (a @ w).tanh().sum()), (None, 0))(w, x),
    "grad_of_vmap": lambda lib, f, x, w: f.grad(lambda w: f.vmap(lambda a: (a @ w).tanh())(x).sum())(w),
    "vmap_jacrev": lambda lib, f, x, w: f.vmap(f.jacrev(lambda a: (a @ w).sin()))(x),
    "vmap_hessian": lambda lib, f, x, w: f.vmap(f.hessian(lambda a: (a @ w).sin().sum()))(x),
    "vmap_index": lambda lib, f, x, w: f.vmap(lambda a: a[1:].flip(0) + a[[0, 2, 1]] * a[-1])(x),
    "vmap_take": lambda lib, f, x, w: f.vmap(lambda k: w[k])(lib.tensor([2, 0, 1])),
    "vmap_take_both": lambda lib, f, x, w: f.vmap(lambda a, k: a.index_select(0, k))(x, lib.tensor([[2], [0], [1]])),
    "vmap_gather": lambda lib, f, x, w: f.vmap(lambda a, k: a.gather(0, k))(x, lib.tensor([[2, 1], [0, 0], [1, 3]])),
    "vmap_cat": lambda lib, f, x, w: f.vmap(lambda a: lib.cat([a, w[0], a * 2]).reshape(-1, 1).expand(-1, 2))(x),
    "vmap_where": lambda lib, f, x, w: f.vmap(lambda a: lib.where(a > 0, a, a.exp() - 1).mean())(x),
    "vmap_in_place": lambda lib, f, x, w: f.vmap(lambda a: _written(a))(x),
    "jvp_of_grad": lambda lib, f, x, w: f.jvp(f.grad(lambda a: a.sin().prod()), (x[0],), (x[1],)),
    "vjp_of_jvp": lambda lib, f, x, w: f.grad(lambda a: f.jvp(lambda b: b.sin().prod(), (a,), (x[1],))[1])(x[0]),
}


def _written(a):
    b = a * 2
    b[0] = b[1]
    b[1:] += a[1:]
    return b


@pytest.mark.parametrize("name", TRANSFORMS)
def test_transforms(name):
    agree(*[TRANSFORMS[name](lib, lib.func, lib.tensor(A), lib.tensor(B)) for lib in (danlu, torch)])


def test_transforms_are_differentiated_from_outside():
    def run(lib):
        x, w = leaf(lib, A), leaf(lib, B)
        y = lib.func.grad(lambda a: mix(lib, a, w).sum())(x).pow(2).sum()
        z = lib.func.vmap(lambda a: (a @ w).sin())(x).sum()
        return lib.autograd.grad(y + z, [x, w])

    agree(run(danlu), run(torch))


FUNCTIONAL = {
    "jacobian": lambda F, f, x, y: F.jacobian(f, (x, y)),
    "jacobian_one": lambda F, f, x, y: F.jacobian(lambda a: a.sin() * a.sum(), x),
    "jacobian_pair": lambda F, f, x, y: F.jacobian(lambda a, b: (a * b, b.sum()), (x, y)),
    "hessian": lambda F, f, x, y: F.hessian(lambda a, b: f(a, b).sum(), (x, y)),
    "hessian_one": lambda F, f, x, y: F.hessian(lambda a: a.pow(3).sum(), x),
    "vjp": lambda F, f, x, y: F.vjp(f, (x, y), x),
    "jvp": lambda F, f, x, y: F.jvp(f, (x, y), (y, x)),
    "hvp": lambda F, f, x, y: F.hvp(lambda a, b: f(a, b).sum(), (x, y), (y, x)),
    "vhp": lambda F, f, x, y: F.vhp(lambda a, b: f(a, b).sum(), (x, y), (y, x)),
}


@pytest.mark.parametrize("name", FUNCTIONAL)
def test_functional(name):
    def run(lib):
        return FUNCTIONAL[name](
            lib.autograd.functional, lambda a, b: (a * b).sin() * b, lib.tensor(V), lib.tensor(V[::-1].copy())
        )

    agree(run(danlu), run(torch))
