"""Memory that is asked for ahead: where products ask, and that their results are the same."""

from __future__ import annotations

import numpy as np
import pytest
from native_graph import native

from danlu.compile import program
from danlu.ops import composite, o  # noqa: F401  (the composites fill the table)
from danlu.testing import evaluate, inputs_of

F = np.float32


def residual(rows):
    """x + a w + b: an epilogue that reads as much as it writes."""

    def make(x, a, w, b):
        return o.add(x, o.add(o.matmul(a, w), b))

    return make, [(rows, 200), (rows, 40), (40, 200), (200,)]


def several(x, w, y):
    """Two results, with indices of their own."""
    z = o.matmul(x, w)
    return o.mul(z, y), o.permute(o.exp(o.mul(z, 0.1)), dims=(1, 0))


def heads(q, k):
    """Rows of 32 numbers, 128 apart."""
    q, k = (o.permute(o.reshape(x, shape=(2, 64, 4, 32)), dims=(0, 2, 1, 3)) for x in (q, k))
    return o.matmul(q, o.permute(k, dims=(0, 1, 3, 2)))


CASES = {  # graph, shapes, whether something is asked for
    "a large residual": (*residual(700), True),
    "a small one": (*residual(20), False),
    "several results": (several, [(600, 48), (48, 330), (600, 330)], True),
    "rows that lie apart": (heads, [(2, 64, 128)] * 2, True),
    "a short sum": (lambda x, w: o.matmul(x, w), [(900, 4), (4, 300)], False),
}


@pytest.mark.parametrize("name", CASES)
def test_what_is_asked_for(name):
    make, shapes, asked = CASES[name]
    random = np.random.default_rng(0)
    arrays = [random.standard_normal(s).astype(F) for s in shapes]
    made = make(*inputs_of(arrays))
    roots = list(made) if isinstance(made, tuple) else [made]
    assert any("llvm.prefetch" in text for text in program.build(roots, len(arrays)).texts) == asked
    for got, wanted in zip(native(roots, arrays), evaluate(roots, arrays)):
        np.testing.assert_allclose(got, wanted, rtol=1e-4, atol=1e-4)
