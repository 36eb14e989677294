"""bfloat16 against real PyTorch: casts, sums, differences, products and quotients equal to the bit, other functions within one last place."""

from __future__ import annotations

import numpy as np
import pytest

import danlu
from danlu.nn import functional as F

pytestmark = pytest.mark.oracle
torch = pytest.importorskip("torch")
TF = torch.nn.functional

EVERY = np.arange(1 << 16, dtype=np.int64)


def units(ours, theirs) -> float:
    """The largest distance, counted in last places of the second; NaN equals NaN."""
    a, b = np.asarray(ours.detach().tolist(), np.float64), np.asarray(theirs.detach().tolist(), np.float64)
    same = (a == b) | (np.isnan(a) & np.isnan(b))
    with np.errstate(all="ignore"):
        size = np.ldexp(1.0, np.floor(np.log2(np.abs(b).clip(2.0**-126, 2.0**127))).astype(int) - 7) if not same.all() else 1.0
        return float(np.max(np.where(same, 0, np.abs(a - b) / size), initial=0))


def pair(*shape: int, seed: int = 0, low: float | None = None):
    rng = np.random.default_rng(seed)
    x = (rng.standard_normal(shape) if low is None else rng.uniform(low, 2, shape)).astype(np.float32)
    ours, theirs = danlu.tensor(x).bfloat16(), torch.tensor(x).bfloat16()
    assert ours.tolist() == theirs.tolist()
    return ours, theirs


def every_pattern():
    theirs = torch.from_numpy(EVERY.astype(np.uint16).view(np.int16)).view(torch.bfloat16)
    return danlu.tensor(theirs.float().numpy()).bfloat16(), theirs


@pytest.mark.parametrize("name", ["bool", "int8", "uint8", "int16", "int32", "int64", "float16", "float32", "float64"])
def test_casts_to_the_bit(name):
    ours, theirs = every_pattern()
    inside = np.abs(theirs.double().numpy()) < {"int8": 128, "uint8": 256, "int16": 2**15, "int32": 2**31, "int64": 2**63}.get(
        name, np.inf
    )
    if name == "uint8":  # what does not fit is open in C
        inside &= theirs.double().numpy() > -1
    if name in ("bool", "float16", "float32", "float64"):
        inside[:] = True
    got, wanted = ours.to(getattr(danlu, name)).numpy(), theirs.to(getattr(torch, name)).numpy()
    np.testing.assert_array_equal(got[inside], wanted[inside])
    back = ours.to(getattr(danlu, name)).bfloat16(), torch.tensor(got).bfloat16()
    assert units(*back) == 0


def test_float64_passes_through_float32():
    x = np.random.default_rng(0).standard_normal(10_000) * np.array([1, 1e-30, 1e30, 1e300, 1e-42])[:, None]
    assert units(danlu.tensor(x.reshape(-1)).bfloat16(), torch.tensor(x.reshape(-1)).bfloat16()) == 0


@pytest.mark.parametrize(
    "f", [lambda x, y: x + y, lambda x, y: x - y, lambda x, y: x * y, lambda x, y: x / y, lambda x, y: x * 0.1]
)
def test_arithmetic_to_the_bit(f):
    (a, b), (c, d) = every_pattern(), every_pattern()
    order = np.random.default_rng(1).permutation(1 << 16)
    assert units(f(a, c[danlu.tensor(order)]), f(b, d[torch.tensor(order)])) == 0


NAMES = [
    "exp",
    "log",
    "sin",
    "cos",
    "tanh",
    "sqrt",
    "abs",
    "floor",
    "round",
    "expm1",
    "log1p",
    "relu",
    "neg",
]


@pytest.mark.parametrize("name", NAMES)
def test_functions_of_every_pattern(name):
    ours, theirs = every_pattern()
    assert units(getattr(danlu, name)(ours), getattr(torch, name)(theirs)) <= 1


FUNCTIONS = [
    lambda l, f, x, y: x @ y.T,
    lambda l, f, x, y: x.sum(0),
    lambda l, f, x, y: x.mean(),
    lambda l, f, x, y: x.softmax(-1),
    lambda l, f, x, y: x.log_softmax(-1),
    lambda l, f, x, y: x.logsumexp(1),
    lambda l, f, x, y: x.norm(),
    lambda l, f, x, y: x.var(1),
    lambda l, f, x, y: x.cumsum(0),
    lambda l, f, x, y: f.gelu(x),
    lambda l, f, x, y: f.layer_norm(x, (8,)),
    lambda l, f, x, y: f.linear(x, y, y[:, 0]),
    lambda l, f, x, y: f.mse_loss(x, y),
    lambda l, f, x, y: f.cross_entropy(x, l.tensor([0, 3, 2, 5, 1, 1])),
    lambda l, f, x, y: f.scaled_dot_product_attention(x[None], y[None], x[None]),
    lambda l, f, x, y: l.where(x > y, x, y).max(1)[0],
    lambda l, f, x, y: l.lerp(x, y, 0.25),
    lambda l, f, x, y: l.arange(0, 2, 0.25, dtype=l.bfloat16) * x,
]


@pytest.mark.parametrize("number", range(len(FUNCTIONS)))
def test_functions(number):
    f = FUNCTIONS[number]
    (a, b), (c, d) = pair(6, 8), pair(6, 8, seed=1)
    ours, theirs = f(danlu, F, a, c), f(torch, TF, b, d)
    assert str(ours.dtype).rpartition(".")[2] == str(theirs.dtype).rpartition(".")[2] == "bfloat16"
    assert units(ours, theirs) <= 1


def test_a_linear_layer_forward_and_backward():
    ours, theirs = danlu.nn.Linear(8, 5).bfloat16(), torch.nn.Linear(8, 5).bfloat16()
    with torch.no_grad():
        for p, q in zip(theirs.parameters(), ours.parameters()):
            p.copy_(torch.tensor(q.tolist()))
    a, b = pair(6, 8)
    for net, x in ((ours, a.requires_grad_()), (theirs, b.requires_grad_())):
        (net(x) ** 2).sum().backward()
    assert units(ours(a), theirs(b)) <= 1
    for p, q in zip((a, *ours.parameters()), (b, *theirs.parameters())):
        assert p.grad.dtype is danlu.bfloat16
        np.testing.assert_allclose(p.grad.tolist(), q.grad.tolist(), rtol=2.0**-7, atol=2.0**-7)


@pytest.mark.parametrize(
    "f", [lambda x: x.softmax(-1).cumsum(-1), lambda x: x.var(1), lambda x: x.logsumexp(1), lambda x: x.tanh()]
)
def test_gradients_are_no_farther_from_float64_than_pytorchs(f):
    a, b = pair(6, 8)
    exact = b.double().requires_grad_()
    for x in (a.requires_grad_(), b.requires_grad_(), exact):
        f(x).sum().backward() if x.ndim == 2 else None
    ours, theirs = (np.abs(np.asarray(x.grad.tolist()) - exact.grad.numpy()).max() for x in (a, b))
    assert ours <= theirs + 2.0**-9


def test_files_of_pytorch(tmp_path):
    state = {"w": torch.arange(6.0).bfloat16().reshape(2, 3), "b": torch.tensor(0.1).bfloat16()}
    torch.save(state, tmp_path / "x.pt")
    from safetensors.torch import load_file, save_file

    save_file(state, tmp_path / "x.safetensors")
    for name in ("x.pt", "x.safetensors"):
        loaded = danlu.load(tmp_path / name)
        assert all(v.dtype is danlu.bfloat16 and v.tolist() == state[k].tolist() for k, v in loaded.items())
    danlu.save(loaded, tmp_path / "ours")
    back = load_file(tmp_path / "ours")
    assert all(v.dtype is torch.bfloat16 and torch.equal(v, state[k]) for k, v in back.items())


RESAMPLED = [
    *(lambda f, x, m=mode: f.interpolate(x, size=(5, 12), mode=m) for mode in ("nearest", "nearest-exact", "area", "bilinear", "bicubic")),
    lambda f, x: f.interpolate(x[:, :, 0], scale_factor=1.5, mode="linear"),
    lambda f, x: f.interpolate(x, size=(13, 4), mode="bilinear", align_corners=True),
    lambda f, x: f.interpolate(x[None], size=(3, 9, 4), mode="trilinear"),
    lambda f, x: f.avg_pool1d(x[0], 3, 2, 1, count_include_pad=False),
    lambda f, x: f.avg_pool2d(x, 3, 2, 1, count_include_pad=False),
    lambda f, x: f.avg_pool2d(x, 3, 2, 1, ceil_mode=True),
    lambda f, x: f.avg_pool2d(x, 3, divisor_override=5),
    lambda f, x: f.adaptive_avg_pool2d(x, (3, 4)),
    *(lambda f, x, m=mode: f.grid_sample(x, x[..., :2], m, align_corners=False) for mode in ("nearest", "bilinear", "bicubic")),
    lambda f, x: f.grid_sample(x, x[..., :2], padding_mode="reflection", align_corners=True),
    lambda f, x: f.affine_grid(x[0, :, :2, :3], (3, 3, 4, 5), align_corners=False),
]  # fmt: skip


@pytest.mark.parametrize("number", range(len(RESAMPLED)))
@pytest.mark.parametrize("name", ["bfloat16", "float16"])
def test_images_at_another_size_are_rounded_once(number, name):
    """Computed in float32, whatever PyTorch does: the result is PyTorch's of float64, rounded."""
    f, shape = RESAMPLED[number], (2, 3, 7, 9)
    x = np.random.default_rng(0).uniform(-1.5, 1.5, shape).astype(np.float32)
    ours = danlu.tensor(x).to(getattr(danlu, name))
    exact, unit = torch.tensor(ours.float().numpy()).double(), 2.0**-8 if name == "bfloat16" else 2.0**-11
    got, wanted = f(F, ours), f(TF, exact).numpy()
    assert got.dtype is ours.dtype
    np.testing.assert_allclose(got.float().numpy(), wanted, rtol=unit, atol=2e-6)
