"""L3. The passes: functions from kernel to kernel, in the order in which `optimize` names them."""

from __future__ import annotations

from danlu.compile.kernel import Kernel, verify
from danlu.compile.passes.collapse import collapse
from danlu.compile.passes.contraction import contraction
from danlu.compile.passes.parallel import parallel
from danlu.compile.passes.vectorize import vectorize
from danlu.compile.target import Target

PASSES = (contraction, collapse, vectorize, parallel)


def optimize(kernel: Kernel, target: Target, check: bool = False) -> Kernel:
    """Every pass in order; with `check` the grammar is verified before the first and after each."""
    if check:
        verify(kernel)
    for run in PASSES:
        kernel = run(kernel, target)
        if check:
            verify(kernel)
    return kernel
