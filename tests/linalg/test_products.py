"""Products of tensors against NumPy: every way to write an einsum, the addmm family, distances; and that einsum compiles to contractions."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import danlu
from danlu.config import config
from danlu.graph import CONTRACT, Node, Spec, toposort
from danlu.ops.source import BUFFER
from danlu.ops.table import o

rng = np.random.default_rng(11)
X, Y = rng.normal(size=(3, 4)), rng.normal(size=(4, 5))
BATCH, OTHER = rng.normal(size=(2, 3, 4)), rng.normal(size=(2, 4, 5))


@pytest.fixture(params=[True, False], ids=["compiled", "interpreted"])
def mode(request, monkeypatch):
    monkeypatch.setattr(config, "optimize", request.param)


def t(x) -> danlu.Tensor:
    return danlu.tensor(np.asarray(x))


def close(got, expected) -> None:
    np.testing.assert_allclose(got.numpy(), expected, rtol=1e-10, atol=1e-12)


EQUATIONS = {
    "ij->ji": [(3, 4)],
    "ij": [(3, 4)],
    "ba": [(3, 4)],
    "ii": [(3, 3)],
    "ii->i": [(3, 3)],
    "iij->ji": [(3, 3, 2)],
    "iii->i": [(3, 3, 3)],
    "ij->": [(3, 4)],
    "i,j": [(3,), (4,)],
    "i,i": [(3,), (3,)],
    "ij,jk": [(3, 4), (4, 5)],
    "ij,jk->ki": [(3, 4), (4, 5)],
    "bij,bjk->bik": [(2, 3, 4), (2, 4, 5)],
    "...ij,...jk->...ik": [(2, 3, 4), (4, 5)],
    "i...,i...->...": [(3, 4), (3, 4)],
    "...,...": [(2, 3), (3,)],
    "ij...,kj->ik...": [(3, 4, 2), (5, 4)],
    "ij,ij->ij": [(3, 4), (3, 4)],
    "ij,kl->i": [(3, 4), (2, 5)],
    "ab,bc,cd,de->ae": [(2, 3), (3, 4), (4, 5), (5, 2)],
    "ij,ik,il->jkl": [(3, 2), (3, 4), (3, 5)],
    "bhid,bhjd->bhij": [(2, 2, 3, 4), (2, 2, 5, 4)],
    "a,b,a": [(2,), (3,), (2,)],
    ",ij": [(), (3, 4)],
    ",->": [(), ()],
    "ii,jj->ij": [(3, 3), (2, 2)],
}


@pytest.mark.parametrize("equation", EQUATIONS)
def test_einsum(equation, mode):
    arrays = [rng.normal(size=s) for s in EQUATIONS[equation]]
    close(danlu.einsum(equation, *map(t, arrays)), np.einsum(equation, *arrays))


@given(st.lists(st.text("abcd", max_size=3), min_size=1, max_size=3), st.data())
def test_einsum_of_any_labels(words, data):
    labels = sorted(set("".join(words)))
    order = data.draw(st.permutations(labels)) if labels else []
    out = "".join(order[: data.draw(st.integers(0, len(order)))])
    sizes = dict(zip("abcd", (2, 3, 1, 2)))
    arrays = [np.random.default_rng(0).normal(size=[sizes[c] for c in word]) for word in words]
    equation = f"{','.join(words)}->{out}"
    np.testing.assert_allclose(
        danlu.einsum(equation, *map(t, arrays)).numpy(), np.einsum(equation, *arrays), rtol=1e-9, atol=1e-12
    )


def test_einsum_broadcasts_axes_of_size_one():
    close(danlu.einsum("ij,jk->ik", t(X), t(Y[:1])), X.sum(1)[:, None] * Y[:1])
    close(danlu.einsum("ij,jk->ik", t(X[:, :1]), t(Y)), X[:, :1] * Y.sum(0))
    close(danlu.einsum("bij,bjk->bik", t(BATCH[:1]), t(OTHER)), BATCH[:1] @ OTHER)


def test_einsum_of_sublists_and_of_a_list():
    close(danlu.einsum(t(X), [0, 1], t(Y), [1, 2], [2, 0]), (X @ Y).T)
    close(danlu.einsum(t(BATCH), [..., 0, 1], t(Y), [1, 2], [..., 0, 2]), BATCH @ Y)
    close(danlu.einsum("ij,jk", [t(X), t(Y)]), X @ Y)
    close(danlu.einsum(" i j , j k -> i k ", t(X), t(Y)), X @ Y)


def test_einsum_of_integers():
    a = np.arange(6).reshape(2, 3)
    got = danlu.einsum("ij,kj->i", t(a), t(a))
    assert got.dtype is danlu.int64 and got.tolist() == np.einsum("ij,kj->i", a, a).tolist()


def test_einsum_takes_the_cheap_order():
    """(x y) z for a thin z would cost 100³; x (y z) costs 100²."""
    nodes = [Node(BUFFER, (), (0, None), Spec(s, danlu.float32)) for s in ((100, 100), (100, 100), (100, 1))]
    graph = toposort([o.einsum(*nodes, equation="ij,jk,kl->il")])
    contractions = [n for n in graph if n.op.family == CONTRACT]
    assert [n.spec.size for n in contractions] == [100, 100]


def test_the_gradient_of_einsum():
    x, y = t(X).requires_grad_(), t(Y).requires_grad_()
    danlu.einsum("ij,jk->", x, y).backward()
    close(x.grad, np.broadcast_to(Y.sum(1), (3, 4)))
    close(y.grad, np.broadcast_to(X.sum(0)[:, None], (4, 5)))
    square = t(rng.normal(size=(3, 3))).requires_grad_()
    danlu.einsum("ii", square).backward()
    close(square.grad, np.eye(3))


def test_tensordot():
    a, b = rng.normal(size=(2, 3, 4)), rng.normal(size=(4, 3, 5))
    close(danlu.tensordot(t(a), t(b), 1), np.tensordot(a, b, 1))
    close(danlu.tensordot(t(a), t(b), ([1, 2], [1, 0])), np.tensordot(a, b, ([1, 2], [1, 0])))
    close(danlu.tensordot(t(a), t(b), ([-1], [0])), np.tensordot(a, b, ([-1], [0])))
    close(danlu.tensordot(t(X), t(Y), 0), np.tensordot(X, Y, 0))


def test_strict_products(mode):
    close(t(X).mm(t(Y)), X @ Y)
    close(t(BATCH).bmm(t(OTHER)), BATCH @ OTHER)
    close(t(X).mv(t(Y[:, 0])), X @ Y[:, 0])
    close(danlu.vdot(t(X[0]), t(X[1])), X[0] @ X[1])
    close(danlu.inner(t(X), t(BATCH)), np.inner(X, BATCH))
    close(danlu.inner(t(X), t(2.0)), X * 2)
    close(danlu.outer(t(X[0]), t(Y[0])), np.outer(X[0], Y[0]))
    close(danlu.trace(t(X)), np.trace(X))
    close(danlu.chain_matmul(t(X), t(Y), t(Y.T)), X @ Y @ Y.T)


def test_products_that_are_added(mode):
    base = rng.normal(size=(3, 5))
    close(danlu.addmm(t(base), t(X), t(Y), beta=0.5, alpha=2), 0.5 * base + 2 * X @ Y)
    close(danlu.addmm(t(base[0]), t(X), t(Y)), base[0] + X @ Y)
    close(danlu.addmv(t(base[:, 0].copy()), t(X), t(Y[:, 0].copy()), alpha=3), base[:, 0] + 3 * X @ Y[:, 0])
    close(danlu.addr(t(base), t(X[:, 0].copy()), t(Y[0]), beta=2), 2 * base + np.outer(X[:, 0], Y[0]))
    close(danlu.baddbmm(t(base), t(BATCH), t(OTHER)), base + BATCH @ OTHER)
    close(danlu.addbmm(t(base), t(BATCH), t(OTHER)), base + (BATCH @ OTHER).sum(0))
    close(danlu.addmm(t(np.full((3, 5), np.nan)), t(X), t(Y), beta=0), X @ Y)


def test_added_in_place():
    base = t(np.zeros((3, 5)))
    same = base
    base.addmm_(t(X), t(Y)).addmm_(t(X), t(Y), beta=2)
    assert same is base
    close(base, 3 * X @ Y)


def test_addr_of_truths():
    got = danlu.addr(danlu.tensor([[False, True]]), danlu.tensor([True]), danlu.tensor([False, False]))
    assert got.dtype is danlu.bool and got.tolist() == [[False, True]]


def test_kron_and_cross():
    close(danlu.kron(t(X), t(Y)), np.kron(X, Y))
    close(danlu.kron(t(X), t(BATCH)), np.kron(X, BATCH))
    a, b = rng.normal(size=(2, 3)), rng.normal(size=(2, 3))
    close(danlu.cross(t(a), t(b)), np.cross(a, b))
    close(danlu.cross(t(a.T.copy()), t(b.T.copy())), np.cross(a, b).T)
    close(danlu.linalg.cross(t(a), t(b[:1])), np.cross(a, b[:1]))


@pytest.mark.parametrize("p", [0, 0.5, 1, 2, 3, np.inf])
def test_distances(p, mode):
    a, b = rng.normal(size=(2, 3, 4)), rng.normal(size=(5, 4))
    difference = np.abs(a[:, :, None] - b)
    expected = np.linalg.norm(difference, p, -1)
    close(danlu.cdist(t(a), t(b), p), expected)
    close(danlu.dist(t(X), t(X + 1), p), np.linalg.norm(np.ones(12), p))


def test_the_gradient_of_a_distance_to_itself_is_zero():
    x = t(X).requires_grad_()
    danlu.cdist(x, x).sum().backward()
    assert np.isfinite(x.grad.numpy()).all()
