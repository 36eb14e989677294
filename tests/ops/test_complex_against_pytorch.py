"""Complex numbers, transforms and linear algebra of complex matrices: values, dtypes and gradients are PyTorch's."""

from __future__ import annotations

import numpy as np
import pytest

import danlu

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.oracle
RNG = np.random.default_rng(1)


def numbers(*shape: int) -> np.ndarray:
    return RNG.normal(size=shape) + 1j * RNG.normal(size=shape)


Z, W, REAL = numbers(3, 4), numbers(3, 4), RNG.normal(size=(3, 4))
SQUARE, CUBE = numbers(2, 3, 3), numbers(3, 4, 5)
HERMITIAN = SQUARE @ SQUARE.conj().swapaxes(-1, -2) + np.eye(3)


def agree(f, *arrays: np.ndarray, tolerance: float = 1e-9) -> None:
    """f(module, *tensors) in both libraries: values, dtypes, and gradients of a real loss."""
    weights = np.random.default_rng(2)
    xs = [danlu.tensor(a, requires_grad=True) for a in arrays]
    ts = [torch.tensor(a, requires_grad=True) for a in arrays]
    ys, us = f(danlu, *xs), f(torch, *ts)
    loss, wanted_loss = 0, 0
    for y, u in zip(*((r if isinstance(r, tuple) else (r,)) for r in (ys, us))):
        found, wanted = y.detach().numpy(), u.detach().resolve_conj().numpy()
        assert (found.dtype, found.shape) == (wanted.dtype, wanted.shape)
        np.testing.assert_allclose(found, wanted, rtol=tolerance, atol=tolerance)
        if u.requires_grad:
            w = weights.normal(size=wanted.shape) + (1j * weights.normal(size=wanted.shape) if wanted.dtype.kind == "c" else 0)
            loss, wanted_loss = loss + (y * danlu.tensor(w)).sum().real, wanted_loss + (u * torch.tensor(w)).sum().real
    if isinstance(wanted_loss, int):
        return
    wanted_loss.backward()
    loss.backward()
    for x, t in zip(xs, ts):
        if t.grad is not None:
            np.testing.assert_allclose(x.grad.numpy(), t.grad.resolve_conj().numpy(), rtol=10 * tolerance, atol=10 * tolerance)


UNARY = [
    *(
        "exp",
        "log",
        "sqrt",
        "sin",
        "cos",
        "tan",
        "sinh",
        "cosh",
        "tanh",
        "asin",
        "acos",
        "atan",
        "asinh",
        "acosh",
        "atanh",
        "sigmoid",
    ),
    *(
        "reciprocal",
        "rsqrt",
        "log1p",
        "expm1",
        "log2",
        "log10",
        "exp2",
        "neg",
        "abs",
        "angle",
        "sgn",
        "conj",
        "conj_physical",
        "square",
    ),
    *("isnan", "isinf", "isfinite", "isreal", "logical_not", "sum", "mean", "prod", "var", "std"),
]


@pytest.mark.parametrize("name", UNARY)
def test_functions(name):
    agree(lambda m, z: getattr(z, name)(), Z)


@pytest.mark.parametrize("name", ["add", "sub", "mul", "div", "pow", "eq", "ne"])
def test_arithmetic(name):
    for x, y in ((Z, W), (Z, REAL), (REAL, Z)):
        agree(lambda m, x, y: getattr(x, name)(y), x, y)
    for number in (2, 0.7, 1j, 2 - 1j, 0, -1, 3, 0.5):
        agree(lambda m, x, number=number: getattr(x, name)(number), Z)


SHAPED = {
    "sum": lambda m, z: z.sum(1),
    "mean": lambda m, z: z.mean(0),
    "prod": lambda m, z: z.prod(1),
    "cumsum": lambda m, z: z.cumsum(1),
    "cumprod": lambda m, z: z.cumprod(0),
    "var": lambda m, z: z.var(1),
    "std": lambda m, z: z.std(1, keepdim=True),
    "real": lambda m, z: z.real,
    "imag": lambda m, z: z.imag,
    "view_as_real": lambda m, z: m.view_as_real(z),
    "complex": lambda m, z: m.complex(z.real, z.imag * 2),
    "polar": lambda m, z: m.polar(z.real.abs(), z.imag),
    "view_as_complex": lambda m, z: m.view_as_complex(m.view_as_real(z) * 2),
    "matmul": lambda m, z: z @ z.T,
    "H": lambda m, z: z.H @ z,
    "mH": lambda m, z: z.mH,
    "adjoint": lambda m, z: z.adjoint(),
    "einsum": lambda m, z: m.einsum("ij,kj->ik", z, z.conj()),
    "dot": lambda m, z: z[0].dot(z[1]),
    "vdot": lambda m, z: m.vdot(z[0], z[1]),
    "logsumexp": lambda m, z: z.logsumexp(1),
    "pairwise_distance": lambda m, z: m.nn.functional.pairwise_distance(z, z.flip(0)),
    "vecdot": lambda m, z: m.linalg.vecdot(z, z.flip(0)),
    "vecdot along another axis": lambda m, z: m.linalg.vecdot(z, z * 2j, dim=0),
    "outer": lambda m, z: m.outer(z[0], z[:, 0]),
    "where": lambda m, z: m.where(z.real > 0, z, z.conj()),
    "cat": lambda m, z: m.cat([z, z.real]),
    "index": lambda m, z: z[1:, ::2],
    "gather": lambda m, z: z.gather(1, m.tensor([[0, 1], [2, 3], [0, 0]])),
    "roll": lambda m, z: z.roll(1, 0).flip(0),
    "pad": lambda m, z: m.nn.functional.pad(z, (1, 1), value=2.0),
    "lerp": lambda m, z: z.lerp(z * z, 0.3),
    "isclose": lambda m, z: m.isclose(z, z * 1),
    "masked_fill": lambda m, z: z.masked_fill(z.real > 0, 1j),
    "rpow": lambda m, z: 2**z,
    "rdiv": lambda m, z: 1j / z,
    "trace": lambda m, z: z.trace(),
    "addmm": lambda m, z: m.addmm(z[:, :3], z, z.mH, alpha=2j),
    "kron": lambda m, z: m.kron(z, z),
    "cross": lambda m, z: m.linalg.cross(z.T, z.T * 2j),
    "vector_norm": lambda m, z: m.linalg.vector_norm(z, 3, 1),
    "triu": lambda m, z: z.triu(),
    "diag": lambda m, z: z.diagonal(),
    "take": lambda m, z: z.take(m.tensor([3, 0])),
    "scatter_add": lambda m, z: z.scatter_add(1, m.tensor([[0, 0]]), z[1:2, :2]),
    "float_power": lambda m, z: z.float_power(1.5),
    "nansum": lambda m, z: z.unfold(1, 2, 1),
    "index_add": lambda m, z: z.index_add(0, m.tensor([0, 0]), z[1:]),
}


@pytest.mark.parametrize("name", SHAPED)
def test_other_methods(name):
    agree(SHAPED[name], Z)


# ---- linear algebra ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["inv", "det", "slogdet", "matrix_exp", "svdvals", "pinv", "norm"])
def test_linear_algebra(name):
    agree(lambda m, a: tuple(getattr(m.linalg, name)(a)) if name == "slogdet" else getattr(m.linalg, name)(a), SQUARE)


@pytest.mark.parametrize("order", ["fro", "nuc", 1, 2, float("inf"), -2, -1])
def test_matrix_norms(order):
    agree(lambda m, a: m.linalg.matrix_norm(a, order), SQUARE)


TALL, WIDE = numbers(4, 3), numbers(3, 4)
FACTORISED = {
    "cholesky": (lambda m, a: m.linalg.cholesky((a + a.mH) / 2), HERMITIAN),
    "cholesky upper": (lambda m, a: m.linalg.cholesky((a + a.mH) / 2, upper=True), HERMITIAN),
    "eigvalsh": (lambda m, a: m.linalg.eigvalsh(a), HERMITIAN),
    "eigh": (lambda m, a: (m.linalg.eigh(a)[0], m.linalg.eigh(a)[1].abs()), HERMITIAN),
    "svd": (lambda m, a: _svd(*m.linalg.svd(a, full_matrices=False)), TALL),
    "svd wide": (lambda m, a: _svd(*m.linalg.svd(a, full_matrices=False)), WIDE),
    "qr": (lambda m, a: _qr(*m.linalg.qr(a)), TALL), "qr wide": (lambda m, a: _qr(*m.linalg.qr(a)), WIDE),
    "solve": (lambda m, a: m.linalg.solve(a, a[..., :2] * 1j), SQUARE), "solve right": (lambda m, a: m.linalg.solve(a, a[:, :2], left=False), SQUARE),
    "triangular": (lambda m, a: m.linalg.solve_triangular(a, a[..., :2], upper=True), SQUARE),
    "matrix_power": (lambda m, a: m.linalg.matrix_power(a, 3), SQUARE), "inverse power": (lambda m, a: m.linalg.matrix_power(a, -2), SQUARE),
    "pinv tall": (lambda m, a: m.linalg.pinv(a), TALL), "pinv wide": (lambda m, a: m.linalg.pinv(a), WIDE),
    "pinv hermitian": (lambda m, a: m.linalg.pinv((a + a.mH) / 2, hermitian=True), HERMITIAN), "logdet": (lambda m, a: a.logdet(), HERMITIAN),
    "eigvals": (lambda m, a: m.linalg.eigvals(a).abs().sum(-1), SQUARE),
    "eigvals of real": (lambda m, a: m.linalg.eigvals(a).abs().sum(-1), SQUARE.real),
    "eig": (lambda m, a: _eig(m, *m.linalg.eig(a)), SQUARE), "eig of real": (lambda m, a: _eig(m, *m.linalg.eig(a)), SQUARE.real),
    "multi_dot": (lambda m, a: m.linalg.multi_dot([a[0], a[1], a[0]]), SQUARE),
    "lstsq": (lambda m, a: m.linalg.lstsq(a, a[:, :1] * 2).solution, TALL),
}  # fmt: skip


def _svd(u, s, vh):
    return (u * s.unsqueeze(-2)) @ vh, s, u.abs(), vh.abs()


def _qr(q, r):
    return q, r


def _eig(m, w, v):
    return v.abs().sum(-1), v @ (w.unsqueeze(-1) * m.linalg.inv(v))


@pytest.mark.parametrize("name", FACTORISED)
def test_factorisations(name):
    agree(*FACTORISED[name])


# ---- transforms -------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("norm", [None, "ortho", "forward", "backward"])
@pytest.mark.parametrize("name", ["fft", "ifft", "hfft", "irfft", "rfft", "ihfft"])
def test_transforms(name, norm):
    for n in (None, 4, 9):
        if name not in ("rfft", "ihfft"):
            agree(lambda m, x, n=n: getattr(m.fft, name)(x, n=n, norm=norm), CUBE)
        agree(lambda m, x, n=n: getattr(m.fft, name)(x, n=n, dim=0, norm=norm), CUBE.real)


@pytest.mark.parametrize("norm", [None, "ortho", "forward"])
@pytest.mark.parametrize(
    "name", ["fft2", "ifft2", "fftn", "ifftn", "irfft2", "irfftn", "hfft2", "hfftn", "rfft2", "rfftn", "ihfft2", "ihfftn"]
)
def test_transforms_of_several_axes(name, norm):
    x = CUBE.real if name in ("rfft2", "rfftn", "ihfft2", "ihfftn") else CUBE
    for given in ({}, {"s": (4, 5)}, {"dim": (0, 2)}, {"s": (4, 6), "dim": (1, 0)}):
        agree(lambda m, x, given=given: getattr(m.fft, name)(x, norm=norm, **given), x)


def test_shifts_and_frequencies():
    for name in ("fftshift", "ifftshift"):
        for dim in (None, 0, (0, 1)):
            agree(lambda m, x, name=name, dim=dim: getattr(m.fft, name)(x, dim), CUBE)
    for n in (1, 4, 5):
        for name in ("fftfreq", "rfftfreq"):
            np.testing.assert_array_equal(getattr(danlu.fft, name)(n, 0.3).numpy(), getattr(torch.fft, name)(n, 0.3).numpy())


def test_single_precision_stays_single():
    x = danlu.tensor(REAL.astype(np.float32))
    assert danlu.fft.rfft(x).dtype is danlu.complex64 and danlu.fft.irfft(danlu.fft.rfft(x)).dtype is danlu.float32
    assert danlu.fft.fft(danlu.arange(4)).dtype is danlu.complex64
