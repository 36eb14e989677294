"""The kernels of typical programs as text: what a change of the compiler changes is seen in the difference of a file.

Made for the AVX2 row of the targets' table, whatever computer runs the test.
"""

from __future__ import annotations

import numpy as np
import pytest

from danlu.compile import program
from danlu.compile.alike import Alike
from danlu.compile.body import FIRST, Place
from danlu.compile.codegen import write_kernel
from danlu.compile.kernel import Kernel, render
from danlu.compile.schedule import schedule
from danlu.compile.simplify import simplify
from danlu.compile.target import TARGETS
from danlu.ops import composite, o  # noqa: F401  (the composites fill the table)
from danlu.testing import inputs_of

AVX2 = next(t for t in TARGETS if t.name == "AVX2")
F, I = np.float32, np.int64


def kernels(make, *specs) -> list[Kernel]:
    """The kernels of a graph of inputs of these (shape, dtype), for AVX2."""
    made = make(*inputs_of([np.zeros(shape, dtype) for shape, dtype in specs]))
    roots = simplify(list(made) if isinstance(made, tuple) else [made])
    _, computed = program._outputs(roots)
    groups = schedule(computed)
    slots = program._slots(groups, program._inputs(groups), computed, len(specs))
    return program._kernels(groups, slots, {slots[id(n)] for n in computed}, AVX2, Alike())


def updated(x, g):
    return o.sub(x, o.mul(g, 0.5)), o.sum(o.mul(g, g), dims=(0,), keepdim=False)


CASES = {
    "elementwise_chain": (lambda x, y: o.relu(o.add(o.mul(x, y), 0.5)), ((1000,), F), ((1000,), F)),
    "large_elementwise": (lambda x, y: o.mul(x, y), ((512, 512), F), ((512,), F)),
    "softmax": (lambda x: o.softmax(x, dim=1), ((64, 10), F)),
    "column_sum": (lambda x: o.sum(x, dims=(0,), keepdim=False), ((300, 40), F)),
    "row_sum_and_scale": (lambda x: o.mul(o.sum(o.abs(x), dims=(1,), keepdim=False), 2.0), ((40, 300), F)),
    "linear_relu": (lambda x, w, b: o.relu(o.linear(x, w, b)), ((16, 32), F), ((8, 32), F), ((8,), F)),
    "convolution": (
        lambda x, w: o.convolution(x, w, stride=(1, 1), low=(1, 1), high=(1, 1), dilation=(1, 1), groups=1),
        ((4, 8, 16, 16), F),
        ((8, 8, 3, 3), F),
    ),
    "running_sum": (lambda x: o.mul(o.cumsum(o.neg(x), dim=1), 2.0), ((40, 300), F)),
    "gather": (lambda x, i: o.mul(o.take(x, i, dim=0), 3.0), ((100, 12), F), ((7,), I)),
    "scatter_add": (lambda x, i, s: o.index_add(x, i, o.neg(s), dim=0), ((100, 12), F), ((7,), I), ((7, 12), F)),
    "cat": (lambda x, y: o.cat(x, o.neg(y), dim=1), ((5, 3), F), ((5, 4), F)),
    "transposed_copy": (lambda x: o.permute(x, dims=(1, 0)), ((30, 20), F)),
    "two_results": (updated, ((100,), F), ((100,), F)),
}


@pytest.mark.parametrize("name", CASES)
def test_kernels(name, golden):
    make, *specs = CASES[name]
    golden(f"kernel_{name}", "\n\n".join(render(k) for k in kernels(make, *specs)))


@pytest.mark.parametrize("name", ["elementwise_chain", "column_sum"])
def test_llvm_ir(name, golden):
    make, *specs = CASES[name]
    (kernel,) = kernels(make, *specs)
    (function,) = write_kernel(kernel, {k: Place(FIRST + k) for k in range(len(specs) + 1)})
    golden(f"llvm_{name}", function.text)
