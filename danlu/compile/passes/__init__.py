"""L3. The passes: functions from kernel to kernel, in the order in which `optimize` names them."""

from __future__ import annotations

from dataclasses import replace

from danlu.compile.kernel import Contract, Kernel, verify
from danlu.compile.passes.collapse import collapse
from danlu.compile.passes.contraction import contraction
from danlu.compile.passes.parallel import parallel
from danlu.compile.passes.vectorize import vectorize
from danlu.compile.target import Target

PASSES = (contraction, collapse, vectorize, parallel)


def optimize_slice(kernel: Kernel, target: Target, check: bool = False) -> Kernel:
    """A kernel whose outermost loop goes over slices: what is inside is made fast, and each chunk is one slice."""
    (whole,) = kernel.body
    if isinstance(whole, Contract):
        return optimize(kernel, target, check)
    inner = replace(kernel, body=whole.body)
    for run in (collapse, vectorize):
        inner = run(inner, target)
    made = replace(kernel, body=[replace(whole, body=inner.body, chunk=1)], chunks=whole.var.extent)
    if check:
        verify(made)
    return made


def optimize(kernel: Kernel, target: Target, check: bool = False) -> Kernel:
    """Every pass in order; with `check` the grammar is verified before the first and after each."""
    if check:
        verify(kernel)
    for run in PASSES:
        kernel = run(kernel, target)
        if check:
            verify(kernel)
    return kernel
