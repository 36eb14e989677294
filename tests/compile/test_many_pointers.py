"""Kernels with many pointers beside a matrix product: names in the IR must not meet."""

import numpy as np

import danlu


def test_a_product_beside_more_than_ten_results():
    rng = np.random.default_rng(0)
    w1, x, w2, y = (rng.standard_normal(s) for s in ((5, 3), (3, 4), (2, 5), (2, 4)))
    tensors = [danlu.tensor(a) for a in (w1, x, w2, y)]
    u1, v, u2, t = tensors
    u1.requires_grad_(), u2.requires_grad_()
    s1 = u1 @ v
    a1 = danlu.sigmoid(s1)
    s2 = u2 @ a1
    a2 = danlu.sigmoid(s2)
    loss = ((a2 - t) ** 2).sum()
    found = danlu.autograd.grad(loss, [s1, a1, s2, a2, u1, u2])
    h1 = 1 / (1 + np.exp(-(w1 @ x)))
    h2 = 1 / (1 + np.exp(-(w2 @ h1)))
    da2 = 2 * (h2 - y)
    ds2 = da2 * h2 * (1 - h2)
    da1 = w2.T @ ds2
    ds1 = da1 * h1 * (1 - h1)
    for g, e in zip(found, (ds1, da1, ds2, da2, ds1 @ x.T, ds2 @ h1.T)):
        np.testing.assert_allclose(g.numpy(), e, rtol=1e-10)
