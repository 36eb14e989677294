"""set_default_dtype: what Python floats, new tensors, parameters and quotients of whole numbers become; by hand and against real PyTorch."""

# ruff: noqa: E501 (the lines are programs)
from __future__ import annotations

import threading

import numpy as np
import pytest

import danlu
from danlu import nn, optim
from danlu.errors import DTypeError

# x: (3, 4) int64, b: bool, f: float32, d: float64 with values; each line is evaluated in PyTorch and in danlu.
EXPRESSIONS = """
torch.get_default_dtype()
torch.tensor(0.1)
torch.tensor([1.5, 2])
torch.tensor([])
torch.tensor(1 + 2j)
torch.tensor([1, 2]), torch.tensor(True)
torch.tensor(np.ones(2, np.float32)), torch.tensor(np.ones(2))
torch.as_tensor([0.5]), torch.as_tensor(0.5)
torch.Tensor([1, 2]), torch.Tensor(2, 3).dtype, torch.Tensor([[0.1]])
torch.zeros(2), torch.ones(2), torch.empty(2).dtype, torch.eye(2)
torch.full((2,), 0.1), torch.full((2,), 3), torch.full((2,), True), torch.full((2,), 1j)
torch.arange(0, 1, 0.1), torch.arange(3), torch.arange(3.0)
torch.linspace(0, 1, 5), torch.logspace(0, 1, 3), torch.linspace(0, 1j, 3)
torch.zeros_like(f), torch.ones_like(x), torch.full_like(x, 2)
torch.rand(3).dtype, torch.randn(3).dtype, torch.normal(0.0, 1.0, (2,)).dtype, torch.rand_like(f).dtype, torch.randint(3, (2,)).dtype
torch.bernoulli(torch.zeros(2)), torch.randperm(3).dtype
f.new_tensor([0.1]), f.new_zeros(2), x.new_full((2,), 3), x.new_tensor([1])
x / 2, x / x, x / 2.5, x * 0.1, x + 1, x - 0.1, 0.1 - x, 2 / x, x ** 0.5, x ** -1.0
b * 0.1, b + 1, b / 2
f * 0.1, f / 3, f + 1, d * 0.1, f * x, f * b
f.sum() * 0.1, f.sum() + x, x.sum() * 0.1, x.sum() / 3, d.sum() + f
x * 1j, f * 1j, d * 1j, b * 1j
torch.tensor(0.1) + x, torch.tensor(0.1) + f, torch.tensor(0.1) + d, torch.tensor(0.1) * torch.tensor(2)
torch.where(b, 0.1, 2.0), torch.where(b, f, 2.0), torch.where(b, x, 0.5)
x.sqrt(), x.exp(), x.log(), x.sin(), x.sigmoid(), x.tanh(), x.reciprocal(), x.rsqrt(), b.exp()
torch.atan2(x, x), torch.lgamma(x), torch.digamma(x), torch.erf(x), torch.special.i0(x), torch.sinc(x), torch.angle(x), torch.logit(b), torch.polygamma(1, x)
torch.special.zeta(x, 2), torch.special.xlogy(x, x), torch.special.bessel_j0(x), torch.special.i1e(x), torch.special.entr(x)
torch.hypot(f, f), torch.logsumexp(x, 0), torch.cov(f), torch.cov(x), torch.gradient(x, dim=0)
torch.fft.fft(x), torch.fft.rfft(x), torch.fft.fftfreq(4), torch.fft.rfftfreq(4), torch.fft.fft(f), torch.fft.irfft(x)
torch.hann_window(4), torch.bartlett_window(4), torch.kaiser_window(4), torch.blackman_window(4)
torch.scalar_tensor(2), torch.complex(f, f), torch.polar(f, f)
x.float(), x.double(), x.mean(dtype=torch.float32), f.mean(), f.std(), f.var(), f.median(), f.norm(), b.float().mean()
torch.cumsum(x, 0), x.prod(), x.sum(), f.cumprod(0), x.nan_to_num(), torch.nansum(f)
torch.histc(f, 4), torch.bincount(x.reshape(-1)), torch.quantile(f, 0.5), torch.heaviside(f, torch.tensor(0.5, dtype=torch.float32))
torch.nn.functional.one_hot(x), torch.nn.functional.softmax(f, 1), torch.nn.functional.softplus(f), torch.nn.functional.gelu(f)
torch.nn.functional.cross_entropy(f, x[:, 0]), torch.nn.functional.mse_loss(f, f), torch.nn.functional.gaussian_nll_loss(f, f, f.abs() + 1)
torch.nn.functional.huber_loss(f, 2 * f), torch.nn.functional.smooth_l1_loss(d, 2 * d), torch.nn.functional.kl_div(f, f.abs(), reduction='sum')
torch.nn.functional.layer_norm(f, (4,)), torch.nn.functional.normalize(f), torch.nn.functional.cosine_similarity(f, f)
torch.nn.functional.scaled_dot_product_attention(f[None], f[None], f[None], is_causal=True)
torch.nn.functional.interpolate(f[None], scale_factor=2.0, mode='linear'), torch.nn.functional.avg_pool1d(f[None], 2, padding=1)
torch.nn.functional.avg_pool1d(d[None], 2, padding=1), torch.nn.functional.adaptive_avg_pool1d(f[None], 2)
torch.clamp(f, 0.1), torch.clamp(x, 0.5), torch.lerp(f, f, 0.1), torch.add(x, x, alpha=2), torch.addcmul(f, f, f, value=0.1)
torch.maximum(x, torch.tensor(1.5)), torch.isclose(f, f), torch.dist(f, f), torch.cdist(f, f), torch.outer(f[0], f[0]), torch.einsum('ij,kj->ik', f, f)
torch.nn.Linear(2, 3).weight.dtype, torch.nn.BatchNorm1d(3).running_var, torch.nn.BatchNorm1d(3).num_batches_tracked
[p.dtype for p in torch.nn.LSTM(2, 2).parameters()][:2], torch.nn.Embedding(2, 2).weight.dtype, torch.nn.Conv2d(1, 1, 2).bias.dtype
torch.nn.Linear(2, 2)(torch.zeros(2)).dtype, torch.nn.LayerNorm(4).weight, torch.nn.PReLU().weight, torch.nn.Linear(2, 2, dtype=torch.float32).bias.dtype
torch.nn.Transformer.generate_square_subsequent_mask(2), torch.nn.MultiheadAttention(4, 2)(torch.zeros(1, 1, 4), torch.zeros(1, 1, 4), torch.zeros(1, 1, 4))[0].dtype
torch.distributions.Normal(0.0, 1.0).mean, torch.distributions.Normal(f, 1.0).scale, torch.distributions.Normal(0.0, 1.0).sample().dtype
torch.distributions.Bernoulli(0.3).probs, torch.distributions.Categorical(torch.ones(3)).log_prob(torch.tensor(1)), torch.distributions.Uniform(0, 1).high
torch.distributions.Normal(0.0, 1.0).log_prob(torch.tensor(0.3)), torch.distributions.Gamma(2.0, 1.0).entropy()
framework_data.default_collate([0.5, 1.5]), framework_data.default_collate([1, 2])
torch.tensor(0.1).item(), torch.tensor([0.1, 0.2]).tolist()
repr(torch.tensor(0.1)), repr(torch.tensor(0.1, dtype=torch.float32)), repr(torch.tensor(0.1, dtype=torch.float64)), repr(torch.tensor(1j)), repr(torch.zeros(0))
repr(torch.tensor([1])), repr(torch.tensor(1j, dtype=torch.complex128)), repr(torch.tensor(1j, dtype=torch.complex64))
torch.nn.init.orthogonal_(torch.empty(2, 2)).dtype, torch.nn.init.xavier_uniform_(torch.empty(2, 2)).dtype
""".strip().splitlines()


@pytest.fixture(autouse=True)
def as_before():
    yield
    danlu.set_default_dtype(danlu.float32)


def outcome(framework, line, default):
    """What a line gives in a framework whose default dtype is this one, as comparable text and numbers."""
    before = framework.get_default_dtype()
    framework.set_default_dtype(getattr(framework, default))
    try:
        numbers = np.arange(12).reshape(3, 4) % 3 + 1
        names = {
            "torch": framework, "framework_data": framework.utils.data if framework is not danlu else danlu.data, "np": np, "x": framework.tensor(numbers), "b": framework.tensor(numbers > 1),
            "f": framework.tensor(np.sin(numbers * 0.7 + np.arange(4)).astype(np.float32)), "d": framework.tensor(np.cos(numbers * 1.0)),
        }  # fmt: skip
        return plain(eval(line, names))
    finally:
        framework.set_default_dtype(before)


def plain(result):
    if isinstance(result, (tuple, list)):
        return [plain(r) for r in result]
    if hasattr(result, "detach"):
        result = result.detach()
        wide = result.float() if str(result.dtype).endswith("bfloat16") else result
        return str(result.dtype).rpartition(".")[2], tuple(result.shape), np.array(wide.numpy())
    return str(result).replace("danlu.", "torch.")


def close(ours, theirs, rough):
    if isinstance(ours, list):
        assert len(ours) == len(theirs)
        for a, b in zip(ours, theirs):
            close(a, b, rough)
    elif isinstance(ours, tuple):
        assert ours[:2] == theirs[:2], (ours, theirs)
        single = ours[2].dtype in (np.float32, np.complex64)
        np.testing.assert_allclose(ours[2], theirs[2], *((2e-2, 2e-2) if rough else (1e-5, 1e-6) if single else (1e-8, 1e-8)))
    else:
        assert ours == theirs


@pytest.mark.oracle
@pytest.mark.parametrize("default", ["float64", "float32"])
@pytest.mark.parametrize("line", EXPRESSIONS)
def test_lines_give_what_they_give_in_pytorch(line, default):
    torch = pytest.importorskip("torch")
    close(outcome(danlu, line, default), outcome(torch, line, default), rough=False)


# Of the types of two bytes: what is made and promoted; the numbers of draws and sums differ in their last bit.
TWO_BYTES = [
    *EXPRESSIONS[:9],
    *EXPRESSIONS[9:12],
    *EXPRESSIONS[13:15],
    *EXPRESSIONS[17:21],
    "x.sqrt(), x.exp(), x.sigmoid(), b.exp()",
    "torch.lgamma(x)",
]


@pytest.mark.oracle
@pytest.mark.parametrize("default", ["float16", "bfloat16"])
@pytest.mark.parametrize("line", [line for line in TWO_BYTES if "j" not in line])
def test_types_of_two_bytes_as_default_too(line, default):
    torch = pytest.importorskip("torch")
    close(outcome(danlu, line, default), outcome(torch, line, default), rough=True)


@pytest.mark.oracle
@pytest.mark.parametrize("optimizer", ["SGD", "Adam", "AdamW", "ASGD", "NAdam", "Adagrad", "RMSprop"])
def test_twenty_steps_of_training_in_float64(optimizer):
    torch = pytest.importorskip("torch")
    losses = {}
    for framework in (torch, danlu):
        before = framework.get_default_dtype()
        framework.set_default_dtype(framework.float64)
        try:
            losses[framework] = trained(framework, optimizer)
        finally:
            framework.set_default_dtype(before)
    np.testing.assert_allclose(losses[danlu], losses[torch], rtol=1e-10)


def trained(framework, optimizer):
    """20 losses of a small network on fixed numbers."""
    net = framework.nn.Sequential(
        framework.nn.Linear(3, 8), framework.nn.BatchNorm1d(8), framework.nn.Tanh(), framework.nn.Linear(8, 1)
    )
    with framework.no_grad():
        for k, p in enumerate(net.parameters()):
            p.copy_(framework.tensor(np.sin(np.arange(p.numel()) + k).reshape(tuple(p.shape))))
    assert {p.dtype for p in net.parameters()} == {framework.float64}
    made = getattr(framework.optim, optimizer)(net.parameters(), lr=0.01)
    x = framework.linspace(-1, 1, 30).reshape(10, 3)
    losses = []
    for _ in range(20):
        loss = ((net(x) - x.sum(1, keepdim=True) ** 2) ** 2).mean()
        made.zero_grad()
        loss.backward()
        made.step()
        losses.append(loss.item())
    return losses


# ---- by hand ------------------------------------------------------------------------------------------------------------------


def test_numbers_have_all_their_digits():
    danlu.set_default_dtype(danlu.float64)
    assert danlu.tensor(0.1).item() == 0.1
    assert (danlu.tensor([1, 2]) / 3).tolist() == [1 / 3, 2 / 3]
    assert (danlu.tensor([1, 2]) * 0.1).tolist() == [0.1, 0.2]
    assert danlu.full((), 0.1).item() == 0.1 and danlu.arange(0, 0.3, 0.1).tolist() == pytest.approx([0, 0.1, 0.2], abs=1e-16)
    assert nn.Linear(1, 1)(danlu.zeros(1)).dtype is danlu.float64


def test_what_was_recorded_before_keeps_its_dtype():
    x = danlu.tensor([1, 2]) / 3
    w = danlu.ones(2, requires_grad=True)
    y = w * (danlu.tensor([1, 2]) / 4)
    y.sum().item()
    z = (y * 0.1).sum()
    danlu.set_default_dtype(danlu.float64)
    assert x.dtype is danlu.float32 and x.numpy().dtype == np.float32
    z.backward()
    assert w.grad.dtype is danlu.float32 and w.grad.tolist() == pytest.approx([0.025, 0.05], abs=1e-8)
    assert (danlu.tensor([1, 2]) / 3).dtype is danlu.float64


def test_a_loop_goes_on_after_a_change():
    """The same lines, foreseen in one default dtype, are recorded anew in the other and foreseen again in the first."""
    found = []
    for dtype in (danlu.float32, danlu.float64, danlu.float32, danlu.float64):
        danlu.set_default_dtype(dtype)
        x = danlu.tensor([1, 2, 3])
        for _ in range(5):
            found.append((x / 7).sum())
            assert found[-1].dtype is dtype and found[-1].numpy().dtype == dtype.numpy
    assert len({f.item() for f in found}) == 2


def test_work_of_another_thread_keeps_the_default_that_it_was_recorded_with():
    recorded, changed, results = threading.Event(), threading.Event(), []

    def work():
        x = danlu.tensor([1, 2]) / 3
        recorded.set()
        changed.wait(10)
        results.extend([x.numpy(), (danlu.tensor([1, 2]) / 3).numpy(), (x + danlu.tensor([1, 2]) / 4).numpy()])

    worker = threading.Thread(target=work)
    worker.start()
    recorded.wait(10)
    danlu.set_default_dtype(danlu.float64)
    changed.set()
    worker.join(10)
    assert [r.dtype.name for r in results] == ["float32", "float64", "float64"]
    np.testing.assert_allclose(results[2], [1 / 3 + 1 / 4, 2 / 3 + 2 / 4], rtol=1e-7)


def test_a_recorded_step_is_recorded_anew():
    danlu.set_default_dtype(danlu.float64)
    net = nn.Linear(2, 1)
    optimizer = optim.SGD(net.parameters(), lr=0.1)
    kinds = []

    def step(x):
        kinds.append((danlu.tensor([1]) / 2).dtype.name)
        loss = net(x).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss

    compiled = danlu.compile(step)
    x = danlu.ones(4, 2)
    for _ in range(6):
        compiled(x)
    danlu.set_default_dtype(danlu.float32)
    for _ in range(2):
        compiled(x)
    assert kinds[0] == "float64" and kinds[-1] == "float32"


def test_the_default_is_a_floating_dtype():
    with pytest.raises(
        DTypeError, match="set_default_dtype: int64 is not floating; expected float16, bfloat16, float32 or float64"
    ):
        danlu.set_default_dtype(danlu.int64)
    with pytest.raises(DTypeError, match="dtype is 'double'; expected a dtype of danlu"):
        danlu.set_default_dtype("double")
    assert danlu.get_default_dtype() is danlu.float32


def test_typed_work_stays_as_it_is():
    danlu.set_default_dtype(danlu.float64)
    x = danlu.ones(3, dtype=danlu.float32)
    assert (x * 0.5 + 1).dtype is danlu.float32 and (x @ x).dtype is danlu.float32
    assert danlu.from_numpy(np.ones(2, np.float32)).dtype is danlu.float32
    assert repr(x) == "tensor([1., 1., 1.], dtype=danlu.float32)" and repr(danlu.ones(1)) == "tensor([1.])"
