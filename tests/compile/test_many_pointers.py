"""Kernels with many pointers beside a matrix product: names in the IR must not meet."""

import numpy as np

import danlu


def test_products_of_a_matrix_and_a_vector_with_ten_pointers():
    w1, w2 = danlu.ones(3, 2).requires_grad_(), danlu.ones(2, 3).requires_grad_()
    x, y = danlu.tensor([0.5, -1.0]), danlu.tensor([1.0, 0.0])
    s1 = w1 @ x
    a1 = danlu.sigmoid(s1)
    s2 = w2 @ a1
    a2 = danlu.sigmoid(s2)
    loss = ((a2 - y) ** 2).sum()
    found = danlu.autograd.grad(loss, [s1, a1, s2, a2, w1, w2], retain_graph=True)
    h1 = np.full(3, 1 / (1 + np.exp(0.5)))
    h2 = np.full(2, 1 / (1 + np.exp(-h1.sum())))
    da2 = 2 * (h2 - y.numpy())
    ds2 = da2 * h2 * (1 - h2)
    da1 = np.full(3, ds2.sum())
    ds1 = da1 * h1 * (1 - h1)
    for g, e in zip(found, (ds1, da1, ds2, da2, np.outer(ds1, x.numpy()), np.outer(ds2, h1))):
        np.testing.assert_allclose(g.numpy(), e, rtol=1e-5)
