"""Complex numbers: values against NumPy, compiled against interpreted, derivatives against differences."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

import danlu
from danlu import config
from danlu.errors import DTypeError, GradientError, ShapeError
from danlu.testing import gradcheck

RNG = np.random.default_rng(0)


def numbers(*shape: int, dtype=np.complex128) -> np.ndarray:
    return (RNG.normal(size=shape) + 1j * RNG.normal(size=shape)).astype(dtype)


Z, W = numbers(3, 4), numbers(3, 4)
REAL = RNG.normal(size=(3, 4))
UNARY = {
    "exp": np.exp, "log": np.log, "sqrt": np.sqrt, "sin": np.sin, "cos": np.cos, "tan": np.tan, "sinh": np.sinh, "cosh": np.cosh, "tanh": np.tanh,
    "asin": np.arcsin, "acos": np.arccos, "atan": np.arctan, "asinh": np.arcsinh, "acosh": np.arccosh, "atanh": np.arctanh, "log1p": np.log1p,
    "expm1": np.expm1, "log2": np.log2, "log10": np.log10, "exp2": np.exp2, "neg": np.negative, "abs": np.abs, "angle": np.angle,
    "conj": np.conj, "square": np.square, "reciprocal": np.reciprocal, "rsqrt": lambda z: 1 / np.sqrt(z), "sgn": lambda z: z / np.abs(z),
    "sigmoid": lambda z: 1 / (1 + np.exp(-z)), "isnan": np.isnan, "isfinite": np.isfinite, "isreal": np.isreal, "logical_not": np.logical_not,
    "sum": np.sum, "mean": np.mean, "prod": np.prod, "var": lambda z: np.var(z, ddof=1), "std": lambda z: np.std(z, ddof=1), "norm": np.linalg.norm,
}  # fmt: skip
BINARY = {
    "add": np.add,
    "sub": np.subtract,
    "mul": np.multiply,
    "div": np.divide,
    "pow": np.power,
    "eq": np.equal,
    "ne": np.not_equal,
}
PLAIN = {
    "sum of an axis": lambda z: z.sum(0), "product of an axis": lambda z: z.prod(1), "running sum": lambda z: z.cumsum(1),
    "running product": lambda z: z.cumprod(1), "square": lambda z: z**2, "cube": lambda z: z**3, "root": lambda z: z**0.5,
    "power of two": lambda z: 2**z, "real": lambda z: z.real, "imag": lambda z: z.imag, "sgn": lambda z: z.sgn(), "angle": lambda z: z.angle(),
    "conj": lambda z: z.conj() * z, "H": lambda z: z.H @ z, "slice": lambda z: z[1:, ::2] * 1j, "view_as_real": danlu.view_as_real,
    "norm": lambda z: z.norm(), "var": lambda z: z.var(1), "std": lambda z: z.std(),
    "gather": lambda z: z.gather(1, danlu.tensor([[0, 3], [1, 1], [2, 0]])),
    "to complex64 and back": lambda z: (z.real.to(danlu.complex128) * z).to(danlu.complex128), "where": lambda z: danlu.where(z.real > 0, z, 1j),
    "in place": lambda z: _written(z), "vdot": lambda z: danlu.vdot(z[0], z[1]), "outer": lambda z: danlu.outer(z[0], z[1]),
    "einsum": lambda z: danlu.einsum("ij,kj->ik", z, z.conj()),
}  # fmt: skip


def _written(z):
    y = z.clone()
    y[0] = 2j
    y.real[1] = y.imag[2] * 2
    return y * y


def interpreted(f):
    """f() without compiled code."""
    was, config.optimize = config.optimize, False
    try:
        return f()
    finally:
        config.optimize = was


def close(found, wanted, tolerance=1e-12):
    wanted = np.asarray(wanted)
    assert (found.dtype, found.shape) == (wanted.dtype, wanted.shape)
    np.testing.assert_allclose(found, wanted, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("name", UNARY)
@pytest.mark.parametrize("dtype", [np.complex64, np.complex128])
def test_functions_are_those_of_numpy(name, dtype):
    z = Z.astype(dtype)
    close(getattr(danlu.tensor(z), name)().numpy(), UNARY[name](z), 2e-5 if dtype == np.complex64 else 1e-12)


# Annex G of C99. NumPy's own expm1 is a product of NaN and infinities there, which the array API standard is not.
PARTS = (0, -0.0, 1, -1, 1e3, -1e3, np.inf, -np.inf, np.nan)
EDGES = np.array([complex(a, b) for a in PARTS for b in PARTS])
EXPM1 = {
    0j: 0j, complex(0, np.inf): complex(np.nan, np.nan), complex(np.inf, 0): complex(np.inf, 0), complex(-np.inf, 1): complex(-1, 0),
    complex(np.inf, np.inf): complex(np.inf, np.nan), complex(np.inf, np.nan): complex(np.inf, np.nan), complex(-np.inf, np.inf): complex(-1, 0),
    complex(-np.inf, np.nan): complex(-1, 0), complex(np.nan, 0): complex(np.nan, 0), complex(np.nan, 1): complex(np.nan, np.nan),
}  # fmt: skip


def parts(z):
    return np.stack([z.real, z.imag], -1)


WHOLE = {"sum", "mean", "prod", "var", "std", "norm"}


@pytest.mark.parametrize("name", sorted(UNARY.keys() - WHOLE - {"sgn", "reciprocal", "expm1"}))
@pytest.mark.parametrize("dtype", [np.complex64, np.complex128])
@pytest.mark.filterwarnings("ignore:.*encountered in:RuntimeWarning")
def test_infinities_and_nan_are_those_of_numpy(name, dtype):
    z = EDGES.astype(dtype)
    found, wanted = getattr(danlu.tensor(z), name)().numpy(), UNARY[name](z)
    tolerance = 2e-6 if dtype == np.complex64 else 1e-14
    np.testing.assert_allclose(parts(found), parts(wanted), rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("name", ["expm1", "sgn", "reciprocal"])
def test_infinities_and_nan_are_those_of_the_references(name):
    found, wanted = (run(lambda: getattr(danlu.tensor(EDGES), name)().numpy()) for run in (lambda f: f(), interpreted))
    np.testing.assert_allclose(parts(found), parts(wanted), rtol=1e-14)


@pytest.mark.parametrize("run", [lambda f: f(), interpreted])
def test_expm1_at_infinity(run):
    found = run(lambda: danlu.tensor(list(EXPM1)).expm1().numpy())
    np.testing.assert_allclose(parts(found), parts(np.array(list(EXPM1.values()))))
    small = run(lambda: danlu.tensor([1e-12 + 1e-9j]).to(danlu.complex128).expm1().numpy())
    close(small, [1e-12 - 5e-19 + 1e-9j + 1e-21j], 1e-15)


@pytest.mark.parametrize("name", BINARY)
@pytest.mark.parametrize("x, y", [(Z, W), (Z, REAL), (REAL, Z), (Z, 2), (Z, 0.5 - 1j), (REAL, 1j)])
def test_arithmetic_is_that_of_numpy(name, x, y):
    other = danlu.tensor(y) if isinstance(y, np.ndarray) else y
    close(getattr(danlu.tensor(x), name)(other).numpy(), BINARY[name](x, y))


@pytest.mark.parametrize("name", PLAIN)
def test_derivatives_agree_with_differences(name):
    z = danlu.tensor(Z, requires_grad=True)
    assert gradcheck(PLAIN[name], [z])


DIFFERENTIABLE = [n for n in UNARY if n not in ("isnan", "isfinite", "isreal", "logical_not")]


@pytest.mark.parametrize("name", DIFFERENTIABLE)
def test_derivatives_of_functions_agree_with_differences(name):
    z = danlu.tensor(Z[:, :2], requires_grad=True)
    assert gradcheck(lambda z: getattr(z, name)(), [z])


@pytest.mark.parametrize("name", ["add", "sub", "mul", "div", "pow"])
def test_a_real_input_has_a_real_gradient(name):
    z, x = danlu.tensor(Z[0], requires_grad=True), danlu.tensor(np.abs(REAL[0]), requires_grad=True)
    assert gradcheck(lambda z, x: getattr(z, name)(x), [z, x])
    assert gradcheck(lambda z, x: getattr(x, name)(z), [z, x])
    getattr(x, name)(z).abs().sum().backward()
    assert x.grad.dtype is danlu.float64


def test_forward_derivatives_are_those_of_the_reverse():
    z, dz = danlu.tensor(Z), danlu.tensor(W)
    for f in (
        danlu.exp,
        danlu.abs,
        danlu.angle,
        danlu.sgn,
        lambda z: z.conj() * z.real,
        lambda z: danlu.polar(z.real.exp(), z.imag),
    ):
        _, tangent = danlu.func.jvp(f, (z,), (dz,))
        y, pull = danlu.func.vjp(f, z)
        g = danlu.tensor(numbers(3, 4)) if y.is_complex() else danlu.tensor(REAL)
        (gz,) = pull(g)
        left, right = (tangent * g.conj()).sum().real, (dz * gz.conj()).sum().real
        close(left.numpy(), right.numpy())


finite = st.complex_numbers(max_magnitude=1e3, allow_nan=False, allow_infinity=False)


@settings(max_examples=40, deadline=None)
@given(
    x=arrays.arrays(np.complex128, arrays.array_shapes(max_dims=3, max_side=4), elements=finite),
    name=st.sampled_from(
        ["mul", "sub", "div", "exp", "sqrt", "log", "tanh", "sin", "sum", "abs", "angle", "view_as_real", "reciprocal", "cumsum"]
    ),
)
def test_compiled_is_interpreted(x, name):
    def run():
        z = danlu.tensor(x)
        if name in ("mul", "sub", "div"):
            return getattr(z, name)(z.flip(0) + (1 + 1j)).numpy()
        return (z.cumsum(0) if name == "cumsum" else getattr(z / 100, name)()).numpy()

    found, wanted = run(), interpreted(run)
    assert found.dtype == wanted.dtype
    finite_ones = np.isfinite(wanted)
    scale = np.abs(wanted[finite_ones]).max(initial=1)
    np.testing.assert_allclose(found[finite_ones], wanted[finite_ones], rtol=1e-11, atol=1e-13 * scale)


def test_promotion():
    c64, c128 = danlu.ones(2, dtype=danlu.complex64), danlu.ones(2, dtype=danlu.complex128)
    f32, f64, i64 = danlu.ones(2), danlu.ones(2).double(), danlu.ones(2).long()
    for x, y, wanted in [(c64, c128, "complex128"), (c64, f64, "complex128"), (c64, f32, "complex64"), (c64, i64, "complex64"),
                         (c64, 1.5, "complex64"), (f64, 1j, "complex128"), (f32, 1j, "complex64"), (i64, 1j, "complex64"),
                         (f64, c64[0], "complex128"),
                         (f32, c128[0], "complex64"), (c64, f64[0], "complex64")]:  # fmt: skip
        assert (x + y).dtype.name == wanted, (x, y)
    assert (c128 * 0.1j).numpy()[0] == 0.1j  # all digits of the number


def test_views_of_the_parts_are_written_through():
    z = danlu.tensor([1 + 2j, 3 - 1j])
    z.real[0] = 7
    z.imag *= 2
    danlu.view_as_real(z)[1, 0] = 5
    assert z.tolist() == [7 + 4j, 5 - 2j]
    z.real = danlu.tensor([0.0, 0.0])
    assert z.tolist() == [4j, -2j]


def test_memory_is_numpys():
    array = numbers(5)
    z = danlu.from_numpy(array)
    array[0] = 3j
    assert z[0].item() == 3j and z.numpy() is not None and complex(z[0]) == 3j
    assert danlu.full((2,), 1j).dtype is danlu.complex64
    assert danlu.zeros(2, dtype=danlu.complex128).numpy().dtype == np.complex128


def test_a_python_number_is_no_part_of_a_program():
    z = danlu.tensor(Z)
    for k in range(3):
        close((z * (0.3 + 1j * k)).numpy(), Z * (0.3 + 1j * k))


def test_training_on_complex_parameters():
    """Gradient descent on |Az - b|²: the gradient points uphill."""
    a, b = danlu.tensor(numbers(6, 3)), danlu.tensor(numbers(6))
    z = danlu.zeros(3, dtype=danlu.complex128, requires_grad=True)
    losses = []
    for _ in range(300):
        loss = (a @ z - b).abs().square().sum()
        losses.append(loss.item())
        (g,) = danlu.autograd.grad(loss, z)
        with danlu.no_grad():
            z -= 0.02 * g
    close(z.detach().numpy(), np.linalg.lstsq(a.numpy(), b.numpy(), rcond=None)[0], 1e-2)
    assert losses[-1] < losses[0]


def test_random_numbers_and_ranges():
    z = danlu.randn(20000, dtype=danlu.complex64, generator=danlu.Generator().manual_seed(0))
    assert z.dtype is danlu.complex64 and z.abs().square().mean().item() == pytest.approx(1, abs=0.05)
    assert abs((z.real * z.imag).mean().item()) < 0.02 and 0 <= danlu.rand(9, dtype=danlu.complex128).imag.min().item() < 1
    assert danlu.linspace(0, 2j, 3).tolist() == [0, 1j, 2j] and danlu.arange(2, dtype=danlu.complex64).tolist() == [0, 1]


@pytest.mark.parametrize(
    "make", [lambda p: danlu.optim.Adam(p, lr=0.1, amsgrad=True), lambda p: danlu.optim.SGD(p, lr=0.1, momentum=0.9)]
)
def test_optimizers_treat_both_parts_as_parameters(make):
    z = danlu.tensor([1 + 2j, -0.5j], dtype=danlu.complex128, requires_grad=True)
    x = danlu.view_as_real(z.detach()).clone().requires_grad_()
    for p, f in ((z, lambda: (z * (1 + 1j)).abs().square().sum()), (x, lambda: 2 * x.square().sum())):
        optimizer = make([p])
        for _ in range(5):
            optimizer.zero_grad()
            f().backward()
            optimizer.step()
    np.testing.assert_allclose(danlu.view_as_real(z.detach()).numpy(), x.detach().numpy(), rtol=1e-12)


def test_the_norm_of_complex_gradients():
    z = danlu.tensor([3j, 4.0], requires_grad=True)
    z.grad = z.detach().clone()
    assert danlu.nn.utils.clip_grad_norm_([z], 1.0).item() == pytest.approx(5)
    assert z.grad.abs().tolist() == pytest.approx([0.6, 0.8])


def test_edges():
    z = danlu.tensor([0j, 1e200 + 1e200j, -1.0 + 0j, 1e-200j], dtype=danlu.complex128)
    assert np.isfinite((z[1:] / z[1:]).numpy()).all() and z.abs()[1].item() == pytest.approx(2**0.5 * 1e200)
    assert z.sqrt()[2].item() == 1j and z.sgn()[0].item() == 0
    x = danlu.zeros(2, dtype=danlu.complex128, requires_grad=True)
    (x.abs() + x.angle()).sum().backward()
    assert x.grad.tolist() == [0, 0]
    assert danlu.tensor([400 + 1j, -400 + 1j], dtype=danlu.complex128).tanh().tolist() == pytest.approx([1, -1])


MESSAGES = [
    (
        lambda: danlu.tensor([1j]) < 1,
        DTypeError,
        "lt: the input has dtype complex64, and lt is not implemented for complex numbers",
    ),
    (lambda: danlu.tensor([1j]).max(), DTypeError, "max is not implemented for complex numbers; take x.real, x.imag, x.abs"),
    (
        lambda: danlu.tensor([1.0]).imag,
        DTypeError,
        "imag of a tensor of dtype float32; only complex tensors have an imaginary part",
    ),
    (lambda: danlu.view_as_real(danlu.ones(1)), DTypeError, "view_as_real: the input has dtype float32; expected complex64 or"),
    (
        lambda: danlu.view_as_complex(danlu.ones(3)),
        ShapeError,
        r"the input has shape \(3,\) and dtype float32; expected a last axis of 2",
    ),
    (
        lambda: danlu.complex(danlu.ones(1), danlu.ones(1).double()),
        DTypeError,
        "the parts are float32 and float64; expected two of",
    ),
    (
        lambda: danlu.ops.o.complex(1, 2),
        DTypeError,
        "complex: the parts are int64 and int64; expected float32 or float64: write x.float",
    ),
    (
        lambda: danlu.tensor([1j], requires_grad=True).sum().backward(),
        GradientError,
        "backward of a complex64 without a gradient",
    ),
    (lambda: danlu.ones(1).add_(1j), DTypeError, "result type complex64 can't be cast to the desired output type float32"),
    (lambda: danlu.ones(1, 1, 1).cfloat().H, ShapeError, r"x\.H of shape \(1, 1, 1\): expected a matrix; write x\.mH"),
]


@pytest.mark.parametrize("call, error, text", MESSAGES)
def test_messages(call, error, text):
    with pytest.raises(error, match=text):
        call()


ODD = [float("nan") + 1j, complex(1, float("inf"))]


@pytest.mark.parametrize("data", [[1 + 2j, 3 - 1j], [1.5 + 2j, -1j], [1e-6 + 1e6j, 1j], ODD, [[1j, 2], [3, 4.25j]], 1j])
@pytest.mark.oracle
def test_printing_is_pytorchs(data):
    torch = pytest.importorskip("torch")
    assert repr(danlu.tensor(data)) == repr(torch.tensor(data))
