"""bfloat16: rounding and conversions of every pattern, one rounding for each op, gradients, files, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest

import danlu
from danlu import dtype as dt
from danlu import files, nn
from danlu.config import config
from danlu.errors import DTypeError
from danlu.nn import functional as F

EVERY = np.arange(1 << 16, dtype=np.uint32)  # all patterns, as the upper halves of float32
LOWER = (0, 1, 0x7FFF, 0x8000, 0x8001, 0xFFFF)


@pytest.fixture(params=[True, False], ids=["compiled", "references"])
def both_ways(request, monkeypatch):
    monkeypatch.setattr(config, "optimize", request.param)


def of_bits(bits) -> danlu.Tensor:
    return danlu.tensor.__globals__["from_array"](np.asarray(bits, np.uint16).view("V2"))


def bits_of(x: danlu.Tensor) -> np.ndarray:
    assert x.dtype is danlu.bfloat16
    return np.ascontiguousarray(x._array()).view(np.uint16).reshape(x.shape)


def values(bits) -> np.ndarray:
    """The numbers, built of sign, exponent and fraction in float64."""
    bits = np.asarray(bits, np.int64)
    sign, exponent, fraction = np.where(bits >> 15, -1.0, 1.0), bits >> 7 & 255, bits & 127
    size = np.where(
        exponent == 0, np.ldexp(fraction / 128.0, -126), np.ldexp(1 + fraction / 128.0, np.minimum(exponent, 254) - 127)
    )
    special = np.where(fraction == 0, np.inf, np.nan)
    return sign * np.where(exponent == 255, special, size)


def nearest(x: np.ndarray, upper: np.ndarray) -> np.ndarray:
    """The bits nearest to finite numbers x, whose float32 begins with `upper`; of two the even ones. Past the largest comes infinity."""
    low, high = values(upper), values(upper + 1)
    high = np.where(np.isinf(high), np.copysign(2.0**128, low), high)
    down, up = np.abs(x - low), np.abs(high - x)
    return np.where((up < down) | ((up == down) & (upper & 1 == 1)), upper + 1, upper)


@pytest.mark.usefixtures("both_ways")
def test_every_pattern_is_read_as_its_number():
    x = of_bits(EVERY)
    np.testing.assert_array_equal(x.float().numpy(), values(EVERY).astype(np.float32))
    back = bits_of(x.float().bfloat16())
    numbers = ~np.isnan(values(EVERY))
    np.testing.assert_array_equal(back[numbers], EVERY[numbers])
    assert np.isnan(values(back[~numbers])).all()


@pytest.mark.usefixtures("both_ways")
def test_float32_is_rounded_to_the_nearest_even():
    patterns = np.concatenate([(EVERY << 16) + np.uint32(k) for k in LOWER])
    x, upper = patterns.view(np.float32), (patterns >> 16).astype(np.int64)
    got, finite = bits_of(danlu.tensor(x).bfloat16()), np.isfinite(x)
    np.testing.assert_array_equal(got[finite], nearest(x[finite].astype(np.float64), upper[finite]))
    assert np.isnan(values(got[np.isnan(x)])).all()
    infinite = np.isinf(x)
    np.testing.assert_array_equal(values(got[infinite]), x[infinite])


@pytest.mark.usefixtures("both_ways")
@pytest.mark.parametrize("dtype", [d for d in dt.ALL if d is not dt.bfloat16], ids=lambda d: d.name)
def test_conversions_of_every_pattern(dtype):
    """To a dtype as float32 goes there; from a dtype as it goes to float32, then rounded."""
    x = of_bits(EVERY)
    np.testing.assert_array_equal(x.to(dtype).numpy(), danlu.tensor(values(EVERY).astype(np.float32)).to(dtype).numpy())
    info = np.iinfo(dtype.numpy) if dtype.kind in "iu" else None
    given = [0, 1, 3, 100, 257, 259, 2**24 + 1, 2**40 + 2**31, info.max if info else 1e30, info.min if info else -1e30]
    with np.errstate(all="ignore"):
        array = np.array([k for k in given if not info or info.min <= k <= info.max]).astype(dtype.numpy)
        wide = (array.real if dtype.kind == "c" else array).astype(np.float32)
    if dtype.kind == "c":
        assert (danlu.tensor(array).real.bfloat16().float().numpy() == danlu.tensor(wide).bfloat16().float().numpy()).all()
    else:
        np.testing.assert_array_equal(bits_of(danlu.tensor(array).bfloat16()), dt.bfloat16_bits(wide))


@pytest.mark.parametrize(
    ("other", "result"),
    [
        ("bool", "bfloat16"), ("uint8", "bfloat16"), ("int64", "bfloat16"), ("bfloat16", "bfloat16"), ("float16", "float32"),
        ("float32", "float32"), ("float64", "float64"), ("complex64", "complex64"), ("complex128", "complex128"),
    ],
)  # fmt: skip
def test_promotion(other, result):
    x, y = danlu.ones(2, dtype=danlu.bfloat16), danlu.ones(2, dtype=getattr(danlu, other))
    assert ((x + y).dtype.name, (y + x).dtype.name) == (result, result)


def test_python_numbers_keep_it_and_take_part_with_all_their_digits():
    x = danlu.tensor([3.0, 0.3], dtype=danlu.bfloat16)
    for y in (x + 1, 2.5 * x, x / 3, x**2, danlu.where(x > 1, x, 0.1), x.clamp(min=0.1)):
        assert y.dtype is danlu.bfloat16
    numbers = np.float32(x.float().numpy())
    np.testing.assert_array_equal(bits_of(x * 0.1), dt.bfloat16_bits(numbers * np.float32(0.1)))


def test_an_element_is_rounded_wherever_it_is_read():
    filled = danlu.full((2,), 0.1, dtype=danlu.bfloat16)
    assert filled.float().tolist() == [0.10009765625] * 2 == filled.tolist()
    x = danlu.zeros(2, dtype=danlu.bfloat16)
    x[1] = 0.1
    assert (x.float() * 1.0).tolist() == [0.0, 0.10009765625]
    assert danlu.tensor([0.1], dtype=danlu.bfloat16).item() == 0.10009765625


@pytest.mark.usefixtures("both_ways")
def test_each_op_rounds_once_fused_or_not():
    rng = np.random.default_rng(0)
    x, y, z = (danlu.tensor(rng.standard_normal((33, 17)).astype(np.float32)).bfloat16() for _ in range(3))
    fused = x * y + z
    a, b, c = (v.float().numpy() for v in (x, y, z))
    product = dt.bfloat16_values(dt.bfloat16_bits(a * b))
    np.testing.assert_array_equal(bits_of(fused), dt.bfloat16_bits(product + c))
    exact = a.astype(np.float64) @ b.T.astype(np.float64)
    assert (np.abs((x @ y.T).double().numpy() - exact) <= 2.0**-8 * np.abs(exact) + 1e-4).all()  # accumulated in float32
    np.testing.assert_array_equal((x.sum(0)).float().numpy(), dt.bfloat16_values(dt.bfloat16_bits(a.sum(0, np.float64))))


def test_sums_of_many_do_not_stop():
    """In bfloat16 itself 256 + 1 is 256."""
    assert danlu.ones(10_000, dtype=danlu.bfloat16).sum().item() == 9984.0  # the nearest to 10000
    assert danlu.ones(10_000, dtype=danlu.bfloat16).cumsum(0).max().item() == 9984.0


PROGRAMS = [
    lambda x, y: x.exp() - y.tanh() / 3,
    lambda x, y: x.softmax(-1) @ y.T,
    lambda x, y: F.layer_norm(x, (8,)).var(1),
    lambda x, y: danlu.cat([x, y])[1:, ::2].T.reshape(-1),
    lambda x, y: F.pad(x, (1, 2), value=0.1).flip(0),
    lambda x, y: x[[0, 2, 2]].cumsum(0),
    lambda x, y: x.sort(-1)[0].topk(3)[0],
    lambda x, y: danlu.where(x > y, x, y).max(1)[0],
    lambda x, y: F.gelu(x).logsumexp(0),
    lambda x, y: x.index_add(0, danlu.tensor([0, 0, 1, 2, 3, 4]), y),
    lambda x, y: danlu.lerp(x, y, 0.3) + danlu.addcmul(x, x, y),
    lambda x, y: danlu.arange(0, 2, 0.25, dtype=danlu.bfloat16) * x,
]


@pytest.mark.parametrize("number", range(len(PROGRAMS)))
def test_compiled_is_what_the_references_say(number, monkeypatch):
    found = []
    arrays = [np.random.default_rng(k).standard_normal((6, 8)).astype(np.float32) for k in range(2)]
    for optimize in (True, False):
        monkeypatch.setattr(config, "optimize", optimize)
        x, y = (danlu.tensor(a).bfloat16().requires_grad_() for a in arrays)
        out = PROGRAMS[number](x, y)
        out.sum().backward()
        grads = [v.grad for v in (x, y) if v.grad is not None]
        assert all(v.dtype is danlu.bfloat16 for v in (out, *grads)) and grads
        found.append([v.detach().float().numpy() for v in (out, *grads)])
    for a, b in zip(*found):
        np.testing.assert_allclose(a, b, rtol=2.0**-7, atol=2.0**-12)


def test_derivatives_round_once():
    """Slopes that need no rounded result of another op: at most half a unit in the last place from float64's."""
    rng = np.random.default_rng(3)
    arrays = [danlu.tensor(rng.uniform(0.5, 2, (5, 7)).astype(np.float32)).bfloat16() for _ in range(2)]
    for f in (
        lambda x, y: x.softmax(-1) * y,
        lambda x, y: F.gelu(x) * y,
        lambda x, y: x / y,
        lambda x, y: F.layer_norm(x, (7,)) * y,
    ):
        x, y = (v.clone().requires_grad_() for v in arrays)
        p, q = (v.double().requires_grad_() for v in arrays)
        (got,) = danlu.autograd.grad(f(x, y.detach()).sum(), [x])
        (wanted,) = danlu.autograd.grad(f(p, q.detach()).sum(), [p])
        exact = wanted.numpy()
        unit = np.ldexp(1.0, np.floor(np.log2(np.maximum(np.abs(exact), 1e-30))).astype(int) - 7)
        assert (np.abs(got.double().numpy() - exact) <= 0.51 * unit + 1e-6).all()


def test_a_layer_learns_and_its_state_keeps_the_dtype(tmp_path):
    danlu.manual_seed(0)
    net = nn.Sequential(nn.Linear(2, 8), nn.Tanh(), nn.Linear(8, 1)).bfloat16()
    x = danlu.randn(64, 2, dtype=danlu.bfloat16)
    y = x[:, :1] - x[:, 1:]
    optimizer = danlu.optim.Adam(net.parameters(), lr=0.02)
    losses = []
    for _ in range(60):
        loss = F.mse_loss(net(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0] / 10
    danlu.save(net.state_dict(), tmp_path / "net")
    state = danlu.load(tmp_path / "net")
    assert {v.dtype for v in state.values()} == {danlu.bfloat16}
    twin = nn.Sequential(nn.Linear(2, 8), nn.Tanh(), nn.Linear(8, 1)).to(danlu.bfloat16)
    twin.load_state_dict(state)
    assert twin(x).tolist() == net(x).tolist()
    assert files.pack(state) == files.pack(net.state_dict())


def test_a_file_holds_sixteen_bits_beside_other_dtypes():
    state = {
        "é": danlu.ones(3, dtype=danlu.bfloat16),
        "u": danlu.ones(3, dtype=danlu.uint16),
        "n": [danlu.zeros(2, 2).bfloat16(), 7],
    }
    data = files.pack(state)
    assert b'"BF16"' in data and b'"U16"' in data
    back = files.unpack(data)
    assert back["é"].tolist() == [1, 1, 1] and back["é"].dtype is danlu.bfloat16 and back["u"].dtype is danlu.uint16
    assert back["n"][0].shape == (2, 2) and back["n"][1] == 7


def test_what_is_shown_and_read():
    x = danlu.tensor([1.5, 2.25], dtype=danlu.bfloat16)
    assert repr(x) == "tensor([1.5000, 2.2500], dtype=danlu.bfloat16)"
    assert (x.tolist(), x[0].item(), float(x[1]), x.element_size(), x.is_floating_point()) == ([1.5, 2.25], 1.5, 2.25, 2, True)
    assert [v.item() for v in x] == [1.5, 2.25] and bool(x[0]) and x.unique().dtype is danlu.bfloat16
    assert dt.limits(danlu.bfloat16).max == values(0x7F7F) and dt.limits(danlu.bfloat16).tiny == values(0x0080)


def test_views_are_written_through():
    x = danlu.zeros(3, 4, dtype=danlu.bfloat16)
    x[1:, ::2] += 1.5
    x.T[0].mul_(3)
    assert x.tolist() == [[0, 0, 0, 0], [4.5, 0, 1.5, 0], [4.5, 0, 1.5, 0]]


def test_random_numbers_have_all_the_digits_and_never_one():
    danlu.manual_seed(0)
    x = danlu.rand(20_000, dtype=danlu.bfloat16)
    assert x.dtype is danlu.bfloat16 and x.max().item() == 255 / 256 and ((x.float() * 256) % 1 == 0).all()
    normal = danlu.randn(20_000, dtype=danlu.bfloat16).float()
    assert abs(normal.mean().item()) < 0.03 and abs(normal.std().item() - 1) < 0.03


def test_vmap_second_derivatives_and_recorded_functions():
    x = danlu.tensor([[1.0, 2.0], [3.0, 4.0]], dtype=danlu.bfloat16)
    assert danlu.func.vmap(lambda v: (v * v).sum())(x).tolist() == [5, 25]
    assert danlu.func.grad(lambda v: danlu.func.grad(lambda w: (w**3).sum())(v).sum())(x[0]).tolist() == [6, 12]
    step = danlu.compile(lambda v: v.exp() * 2)
    assert [step(x).tolist() for _ in range(3)] == [(x.exp() * 2).tolist()] * 3


def test_nextafter_is_refused():
    x = danlu.ones(2, dtype=danlu.bfloat16)
    with pytest.raises(
        DTypeError, match=r"^nextafter: an input has dtype bfloat16; expected float32 or float64: write x.float\(\)"
    ):
        danlu.nextafter(x, x)
