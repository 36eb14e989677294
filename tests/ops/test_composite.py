"""Composites against formulas in NumPy's float64, and their derivatives against differences of those formulas."""

from __future__ import annotations

import numpy as np
import pytest

from danlu import dtype as dt
from danlu.autodiff import gradient
from danlu.errors import AxisError, DTypeError, ShapeError
from danlu.graph import Node, Spec, toposort
from danlu.ops import composite  # noqa: F401  (fills the table)
from danlu.ops.source import BUFFER
from danlu.ops.table import TABLE, o
from danlu.testing import inputs_of

rng = np.random.default_rng(0)


def evaluate(roots: list[Node], known: dict[int, np.ndarray]) -> list[np.ndarray]:
    """Values of nodes, op by op through the NumPy references; shapes and dtypes must be what the graph says."""
    values = dict(known)
    for node in toposort(roots):
        if id(node) not in values:
            with np.errstate(all="ignore"):
                value = np.asarray(node.op.numpy(*[values[id(x)] for x in node.inputs], **node.named_attrs))
            assert (value.shape, value.dtype) == (node.shape, node.dtype.numpy), node
            values[id(node)] = value
    return [values[id(node)] for node in roots]


def run(name: str, *arrays, wrt: tuple[int, ...] = (), **attrs):
    """The results of a composite, then the gradients of its first one with respect to some inputs (for a gradient of ones)."""
    arrays = [np.asarray(a) for a in arrays]
    nodes = [Node(BUFFER, (), (k, None), Spec(a.shape, dt.from_numpy(a.dtype))) for k, a in enumerate(arrays)]
    spec = TABLE[name].result(tuple(n.spec for n in nodes), tuple(attrs[a] for a in TABLE[name].attrs))
    result = getattr(o, name)(*nodes, **attrs)
    results = result if isinstance(result, tuple) else (result,)
    assert tuple(r.spec for r in results) == (spec if isinstance(spec, tuple) else (spec,))
    grads = gradient(results[0], o.like(1.0, results[0]), [nodes[k] for k in wrt]) if wrt else []
    values = evaluate([*results, *grads], {id(n): a for n, a in zip(nodes, arrays)})
    return values[0] if len(values) == 1 else values


def difference(formula, arrays: list[np.ndarray], k: int, h: float = 1e-6) -> np.ndarray:
    """∂(Σ formula)/∂ arrays[k] by central differences."""
    out = np.zeros_like(arrays[k])
    for index in np.ndindex(out.shape):
        moved = [[a.copy() for a in arrays] for _ in range(2)]
        moved[0][k][index] += h
        moved[1][k][index] -= h
        out[index] = (np.sum(formula(*moved[0])) - np.sum(formula(*moved[1]))) / (2 * h)
    return out


def check(name: str, formula, *arrays, wrt=(0,), **attrs) -> None:
    """Value and gradients of a composite on float64 arrays."""
    floats = [np.asarray(a, np.float64) if np.asarray(a).dtype.kind == "f" else np.asarray(a) for a in arrays]
    value, *grads = run(name, *floats, wrt=wrt, **attrs)
    np.testing.assert_allclose(value, formula(*floats), rtol=1e-10, atol=1e-12)
    for k, grad in zip(wrt, grads):
        np.testing.assert_allclose(grad, difference(formula, floats, k), rtol=1e-5, atol=1e-7)


def sigma(z):
    return 1 / (1 + np.exp(-z))


def log_softmax(x, axis):
    return x - np.log(np.exp(x).sum(axis, keepdims=True))


X = rng.normal(size=(5, 4)) * 2
Y = rng.normal(size=(5, 4))
Z = np.array([-3.0, -1.2, -0.4, 0.3, 1.5, 4.0])
CLASSES = np.array([0, 3, 2, -100, 1])
WEIGHT = np.array([0.5, 1.0, 2.0, 0.25])


# ---- activations and statistics -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "formula", "attrs"),
    [
        ("softplus", lambda z: np.log1p(np.exp(z)), {}),
        ("log_sigmoid", lambda z: -np.log1p(np.exp(-z)), {}),
        ("silu", lambda z: z * sigma(z), {}),
        ("mish", lambda z: z * np.tanh(np.log1p(np.exp(z))), {}),
        ("gelu", lambda z: z * sigma(2 * np.sqrt(2 / np.pi) * (z + 0.044715 * z**3)), {"approximate": "tanh"}),
        ("leaky_relu", lambda z: np.where(z > 0, z, 0.1 * z), {"negative_slope": 0.1}),
        ("elu", lambda z: 2 * np.where(z > 0, z, 0.5 * np.expm1(z)), {"alpha": 0.5, "scale": 2.0}),
        ("hardtanh", lambda z: np.clip(z, -1, 2), {"low": -1.0, "high": 2.0}),
        ("softsign", lambda z: z / (1 + np.abs(z)), {}),
    ],
)
def test_activations(name, formula, attrs):
    check(name, formula, Z, **attrs)


def test_gelu_is_x_times_the_normal_distribution():
    from statistics import NormalDist

    expected = [z * NormalDist().cdf(z) for z in Z]
    np.testing.assert_allclose(run("gelu", Z, approximate="none"), expected, rtol=1e-6)


def test_nothing_overflows_far_out():
    z = np.array([-1e4, -200.0, 0.0, 200.0, 1e4], np.float32)
    for name, value, slope in [
        ("softplus", [0, 0, np.log(2), 200, 1e4], [0, 0, 0.5, 1, 1]),
        ("log_sigmoid", [-1e4, -200, -np.log(2), 0, 0], [1, 1, 0.5, 0, 0]),
    ]:
        y, dy = run(name, z, wrt=(0,))
        np.testing.assert_allclose(y, value, rtol=1e-6)
        np.testing.assert_allclose(dy, slope, rtol=1e-6)
    y, dy = run("elu", z, wrt=(0,), alpha=1.0, scale=1.0)
    np.testing.assert_allclose(y, [-1, -1, 0, 200, 1e4])
    np.testing.assert_allclose(dy, [0, 0, 1, 1, 1])


def test_softmax_and_relatives():
    for axis in (0, 1):
        check("log_softmax", lambda x, a=axis: log_softmax(x, a), X, dim=axis)
        check("softmax", lambda x, a=axis: np.exp(log_softmax(x, a)), X, dim=axis)
    check("logsumexp", lambda x: np.log(np.exp(x).sum(1)), X, dims=(1,), keepdim=False)
    large = np.array([[1e4, 1e4 - 1], [-1e4, -1e4 + 1]], np.float32)
    np.testing.assert_allclose(run("softmax", large, dim=1).sum(1), 1, rtol=1e-6)
    assert np.isneginf(run("logsumexp", np.full((1, 3), -np.inf), dims=(1,), keepdim=False)).all()


def test_the_derivative_of_softmax_needs_its_result_alone():
    x, g = inputs_of([np.zeros((3, 5), np.float32)] * 2)
    y = o.softmax(x, dim=1)
    (dx,) = gradient(y, g, [x])
    assert {n.op.name for n in toposort([dx], stop=lambda n: n is y)} == {"shares", "buffer", "mul", "sum", "sub", "expand"}


def test_statistics():
    check("mean", lambda x: x.mean(0), X, dims=(0,), keepdim=False)
    check("var", lambda x: x.var(1, ddof=1, keepdims=True), X, dims=(1,), keepdim=True, correction=1.0)
    check("std", lambda x: x.std(ddof=0), X, dims=(0, 1), keepdim=False, correction=0.0)
    assert np.isnan(run("var", X[:1], dims=(0,), keepdim=False, correction=1.0)).all()


def test_linear():
    w, b = rng.normal(size=(3, 4)), rng.normal(size=3)
    check("linear", lambda x, w, b: x @ w.T + b, X, w, b, wrt=(0, 1, 2))
    check("linear", lambda x, w: x @ w.T, rng.normal(size=(2, 5, 4)), w, wrt=(0, 1))
    check("linear", lambda x, w: x @ w.T, X[0], w, wrt=(0, 1))


def test_linear_says_what_does_not_fit():
    w = np.zeros((3, 4), np.float32)
    with pytest.raises(ShapeError, match=r"input \(5, 3\), weight \(3, 4\); expected an input of shape \(\.\.\., 4\)"):
        run("linear", np.zeros((5, 3), np.float32), w)
    with pytest.raises(ShapeError, match=r"flatten it first: x.flatten\(1\) has shape \(5, 4\)"):
        run("linear", np.zeros((5, 2, 2), np.float32), w)
    with pytest.raises(ShapeError, match="expected two axes"):
        run("linear", np.zeros((5, 3), np.float32), w[0])
    with pytest.raises(ShapeError, match=r"bias has shape \(4,\); expected \(3,\)"):
        run("linear", np.zeros((5, 4), np.float32), w, np.zeros(4, np.float32))
    with pytest.raises(DTypeError, match=r"input has dtype float64, the weight float32.*write x.to\(danlu.float32\)"):
        run("linear", np.zeros((5, 4)), w)


@pytest.mark.parametrize(
    ("name", "attrs"),
    [
        ("mean", {"dims": (0,), "keepdim": False}),
        ("var", {"dims": (0,), "keepdim": False, "correction": 1.0}),
        ("std", {"dims": (0,), "keepdim": False, "correction": 1.0}),
        ("softmax", {"dim": 0}),
        ("log_softmax", {"dim": 0}),
        ("logsumexp", {"dims": (0,), "keepdim": False}),
        ("softplus", {}),
        ("gelu", {"approximate": "none"}),
        ("elu", {"alpha": 1.0, "scale": 1.0}),
        ("layer_norm", {"ndim": 1, "eps": 1e-5}),
    ],
)
def test_integers_are_refused(name, attrs):
    with pytest.raises(DTypeError, match=f"{name}: the input has dtype int64; expected a floating-point dtype: write x.float()"):
        run(name, np.arange(4), **attrs)


# ---- losses ---------------------------------------------------------------------------------------------------------------

REDUCTIONS = {"none": lambda x: x, "sum": np.sum, "mean": np.mean}


@pytest.mark.parametrize("reduction", REDUCTIONS)
def test_regression_losses(reduction):
    total = REDUCTIONS[reduction]
    check("mse_loss", lambda x, y: total((x - y) ** 2), X, Y, wrt=(0, 1), reduction=reduction)
    check("l1_loss", lambda x, y: total(np.abs(x - y)), X, Y, wrt=(0, 1), reduction=reduction)

    def huber(x, y, delta=0.7):
        d = np.abs(x - y)
        return np.where(d < delta, d * d / 2, delta * (d - delta / 2))

    check("huber_loss", lambda x, y: total(huber(x, y)), X, Y, wrt=(0, 1), delta=0.7, scale=1.0, reduction=reduction)
    check("huber_loss", lambda x, y: 2 * total(huber(x, y)), X, Y, delta=0.7, scale=2.0, reduction=reduction)


@pytest.mark.parametrize("reduction", REDUCTIONS)
def test_binary_losses(reduction):
    total, y = REDUCTIONS[reduction], (Y > 0).astype(np.float64)
    c = np.array([0.5, 1.0, 2.0, 3.0])

    def formula(z, y, w=1.0, c=1.0):
        return total(-w * (c * y * np.log(sigma(z)) + (1 - y) * np.log(1 - sigma(z))))

    options = {"weighted": False, "positive": False, "reduction": reduction}
    check("bce_with_logits", formula, X, y, wrt=(0, 1), **options)
    check("bce_with_logits", formula, X, y, WEIGHT, **options | {"weighted": True})
    check("bce_with_logits", lambda z, y, c: formula(z, y, 1.0, c), X, y, c, **options | {"positive": True})
    check("bce_with_logits", formula, X, y, WEIGHT, c, **options | {"weighted": True, "positive": True})
    p = sigma(X)
    check("binary_cross_entropy", lambda p, y: total(-(y * np.log(p) + (1 - y) * np.log(1 - p))), p, y, reduction=reduction)


def test_binary_losses_at_the_ends():
    z, y = np.array([-1e4, 1e4, -20, 20, 0], np.float32), np.array([1, 0, 0, 1, 1], np.float32)
    value, slope = run("bce_with_logits", z, y, wrt=(0,), weighted=False, positive=False, reduction="none")
    np.testing.assert_allclose(value, [1e4, 1e4, np.exp(-20), np.exp(-20), np.log(2)], rtol=1e-6)
    np.testing.assert_allclose(slope, [-1, 1, np.exp(-20), -np.exp(-20), -0.5], rtol=1e-6, atol=1e-7)
    p, y = np.array([0, 1, 0, 1], np.float32), np.array([0, 1, 1, 0], np.float32)
    value, slope = run("binary_cross_entropy", p, y, wrt=(0,), reduction="none")
    np.testing.assert_array_equal(value, [0, 0, 100, 100])
    assert np.isfinite(slope).all()


def cross_entropy(x, t, w=None, eps=0.0, reduction="mean", axis=1):
    """The formula, one target after another."""
    w = np.ones(x.shape[axis]) if w is None else w
    log_p = np.moveaxis(log_softmax(x, axis), axis, -1)
    loss, weight = np.zeros(t.shape), np.zeros(t.shape)
    for index in np.ndindex(t.shape):
        if t[index] != -100:
            weight[index] = w[t[index]]
            smooth = -(w * log_p[index]).mean()
            loss[index] = -(1 - eps) * w[t[index]] * log_p[index][t[index]] + eps * smooth
    return loss.sum() / weight.sum() if reduction == "mean" else REDUCTIONS[reduction](loss)


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("eps", [0.0, 0.2])
def test_cross_entropy(reduction, eps):
    options = {"ignore_index": -100, "label_smoothing": eps, "reduction": reduction}
    check("cross_entropy", lambda x, t: cross_entropy(x, t, None, eps, reduction), X, CLASSES, **options)
    check("cross_entropy", lambda x, t, w: cross_entropy(x, t, w, eps, reduction), X, CLASSES, WEIGHT, wrt=(0, 2), **options)
    x, t = rng.normal(size=(2, 4, 3)), rng.integers(0, 4, (2, 3)).astype(np.uint8)
    check("cross_entropy", lambda x, t: cross_entropy(x, t, None, eps, reduction), x, t, **options)
    one = lambda x, t: cross_entropy(x, t, None, eps, reduction, axis=0)  # noqa: E731
    check("cross_entropy", one, X[0], np.int64(2), **options)
    y = np.abs(Y)

    def soft(x, y, w):
        y = (1 - eps) * y + eps / 4
        loss = -(w * y * log_softmax(x, 1)).sum(1)
        return REDUCTIONS[reduction](loss)

    check("cross_entropy_soft", soft, X, y, WEIGHT, wrt=(0, 1), label_smoothing=eps, reduction=reduction)


def test_nll_loss():
    formula = lambda x, t, w: -(w[t] * x[np.arange(5), t]).sum() / w[t].sum()  # noqa: E731
    check("nll_loss", formula, X, np.array([0, 3, 2, 2, 1]), WEIGHT, ignore_index=-100, reduction="mean")


def test_cross_entropy_has_a_second_derivative():
    x, t = X[:1], np.array([2])
    nodes = [Node(BUFFER, (), (k, None), Spec(a.shape, dt.from_numpy(a.dtype))) for k, a in enumerate((x, t))]
    y = o.cross_entropy(*nodes, ignore_index=-100, label_smoothing=0.0, reduction="sum")
    (g,) = gradient(y, o.like(1.0, y), nodes[:1])
    picked = o.slice(g, starts=(0, 1), stops=(1, 2), steps=(1, 1))
    (h,) = gradient(picked, o.like(1.0, picked), nodes[:1])
    (value,) = evaluate([h], {id(n): a for n, a in zip(nodes, (x, t))})
    p = np.exp(log_softmax(x, 1))[0]
    np.testing.assert_allclose(value[0], p[1] * (np.eye(4)[1] - p), rtol=1e-10)


def test_class_targets_that_do_not_fit():
    x, options = X.astype(np.float32), {"ignore_index": -100, "label_smoothing": 0.0, "reduction": "mean"}
    with pytest.raises(
        DTypeError, match=r"target has dtype float32 and shape \(5,\); expected class indices .* write target.long\(\)"
    ):
        run("cross_entropy", x, np.zeros(5, np.float32), **options)
    with pytest.raises(DTypeError, match="dtype bool"):
        run("cross_entropy", x, np.zeros(5, bool), **options)
    with pytest.raises(ShapeError, match=r"batch sizes 5 \(input \(5, 4\)\) and 6 \(target \(6,\)\) differ"):
        run("cross_entropy", x, np.zeros(6, np.int64), **options)
    with pytest.raises(ShapeError, match=r"write target.squeeze\(-1\)"):
        run("cross_entropy", x, np.zeros((5, 1), np.int64), **options)
    with pytest.raises(ShapeError, match=r"one-hot targets: write target.argmax\(1\)"):
        run("cross_entropy", x, np.zeros((5, 4), np.int64), **options)
    with pytest.raises(ShapeError, match="the input is a scalar"):
        run("cross_entropy", np.float32(1), np.int64(0), **options)
    with pytest.raises(ShapeError, match=r"class weights have shape \(3,\); expected \(4,\)"):
        run("cross_entropy", x, CLASSES, WEIGHT[:3], **options)


@pytest.mark.parametrize("bad", [4, -1, -5])
def test_a_class_that_does_not_exist_is_an_error(bad):
    with pytest.raises(AxisError, match="out of range"):
        run("cross_entropy", X, np.array([0, 1, bad, 2, 3]), ignore_index=-100, label_smoothing=0.0, reduction="mean")


# ---- normalisation ------------------------------------------------------------------------------------------------------------


def test_layer_norm():
    w, b = rng.normal(size=4), rng.normal(size=4)

    def formula(x, w, b):
        return (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + 1e-5) * w + b

    check("layer_norm", formula, X, w, b, wrt=(0, 1, 2), ndim=1, eps=1e-5)


def test_batch_norm():
    w, b, x = rng.normal(size=4), rng.normal(size=4), rng.normal(size=(3, 4, 2))
    per_channel = lambda v: v.reshape(1, 4, 1)  # noqa: E731

    def formula(x, w, b):
        mean, var = x.mean((0, 2), keepdims=True), x.var((0, 2), keepdims=True)
        return (x - mean) / np.sqrt(var + 1e-5) * per_channel(w) + per_channel(b)

    y, mean, var, *grads = run("batch_norm", x, w, b, wrt=(0, 1, 2), eps=1e-5)
    np.testing.assert_allclose(y, formula(x, w, b))
    np.testing.assert_allclose(mean, x.mean((0, 2)))
    np.testing.assert_allclose(var, x.var((0, 2)))
    for k, grad in enumerate(grads):
        np.testing.assert_allclose(grad, difference(formula, [x, w, b], k), rtol=1e-5, atol=1e-7)
    given = lambda x, m, v, w, b: (x - per_channel(m)) / np.sqrt(per_channel(v) + 1e-5) * per_channel(w) + per_channel(b)  # noqa: E731
    check("batch_norm_inference", given, x, mean, var, w, b, wrt=(0, 3, 4), eps=1e-5)


def test_running_statistics_use_the_unbiased_variance():
    mean, var = run(
        "running_statistics", np.zeros(2), np.ones(2), np.array([1.0, 2.0]), np.array([3.0, 6.0]), np.float64(0.1), count=4
    )
    np.testing.assert_allclose(mean, [0.1, 0.2])
    np.testing.assert_allclose(var, [0.9 + 0.1 * 4, 0.9 + 0.1 * 8])


# ---- updates of optimizers --------------------------------------------------------------------------------------------------

P, G = [rng.normal(size=(2, 3)), rng.normal(size=4)], [rng.normal(size=(2, 3)), rng.normal(size=4)]


def test_sgd_update():
    for maximize in (False, True):
        new = run("sgd", np.float64(0.1), np.float64(0.2), *P, *G, maximize=maximize)
        for p, g, y in zip(P, G, new):
            np.testing.assert_allclose(y, p - 0.1 * ((-g if maximize else g) + 0.2 * p))


@pytest.mark.parametrize("nesterov", [False, True])
def test_sgd_update_with_momentum(nesterov):
    velocities = [rng.normal(size=g.shape) for g in G]
    numbers = [np.float64(x) for x in (0.1, 0.2, 0.9, 0.7)]
    new = run("sgd_momentum", *numbers, *P, *G, *velocities, nesterov=nesterov, maximize=False)
    for k, (p, g, v) in enumerate(zip(P, G, velocities)):
        g = g + 0.2 * p
        v = 0.9 * v + 0.7 * g
        np.testing.assert_allclose(new[2 + k], v)
        np.testing.assert_allclose(new[k], p - 0.1 * (g + 0.9 * v if nesterov else v))


@pytest.mark.parametrize("decoupled", [False, True])
@pytest.mark.parametrize("amsgrad", [False, True])
def test_adam_update(decoupled, amsgrad):
    beta1, beta2, lr, eps, decay, t = 0.9, 0.999, 0.1, 1e-8, 0.3, 3
    m, v, top = [rng.normal(size=g.shape) for g in G], [rng.random(g.shape) for g in G], [rng.random(g.shape) for g in G]
    numbers = [1.0, lr / (1 - beta1**t), 1 - beta1, 1 - beta2, 1 / np.sqrt(1 - beta2**t), eps, decay * (lr if decoupled else 1)]
    tensors = [*P, *G, *m, *v, *(top if amsgrad else [])]
    new = run("adam", *map(np.float64, numbers), *tensors, decoupled=decoupled, amsgrad=amsgrad, maximize=False)
    for k, (p, g) in enumerate(zip(P, G)):
        p, g = (p * (1 - lr * decay), g) if decoupled else (p, g + decay * p)
        mk, vk = beta1 * m[k] + (1 - beta1) * g, beta2 * v[k] + (1 - beta2) * g * g
        largest = np.maximum(top[k], vk) if amsgrad else vk
        expected = p - lr * (mk / (1 - beta1**t)) / (np.sqrt(largest / (1 - beta2**t)) + eps)
        for got, want in zip(new[k::2], [expected, mk, vk, largest]):
            np.testing.assert_allclose(got, want, rtol=1e-12)


def test_clip_norm():
    norm, *clipped = run("clip_norm", np.float64(0.5), *G)
    expected = np.sqrt(sum((g**2).sum() for g in G))
    np.testing.assert_allclose(norm, expected)
    for g, c in zip(G, clipped):
        np.testing.assert_allclose(c, g * 0.5 / (expected + 1e-6))
    _, *same = run("clip_norm", np.float64(1e3), *G)
    np.testing.assert_array_equal(same[0], G[0])
