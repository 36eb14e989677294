"""Computations, epochs and costs with danlu alone: what is timed is computed, agrees with NumPy, and its tables say what was reached."""

from __future__ import annotations

import numpy as np
import pytest

from bench import costs, epochs_danlu, kernels, kernels_danlu, kernels_danlu_compiled, kernels_numpy
from bench.harness import Harness, Result
from bench.kernels import INFERENCE, KERNELS
from bench.process import python
from bench.steps import DEPTHS

SHARED = [name for name in kernels_numpy.FUNCTIONS if name != "gemm"]


@pytest.mark.parametrize("module", [kernels_danlu, kernels_danlu_compiled])
@pytest.mark.parametrize("name", SHARED)
def test_a_computation_gives_what_numpy_gives(module, name):
    found = module.STEPS[name](name)()
    expected = kernels_numpy.STEPS[name](name)()
    # NumPy's own running sum of 10⁶ float32 numbers ends near 1,000 and is off by 0.014.
    assert np.abs(found[0] - expected).max() <= 2e-5 * max(50, np.abs(expected).max())


@pytest.mark.parametrize("name", ["layer_norm", "mlp_1", "encoder_1"])
def test_plain_and_compiled_calls_agree(name):
    plain, compiled = (module.STEPS[name](name) for module in (kernels_danlu, kernels_danlu_compiled))
    assert kernels_danlu.read(plain()) == pytest.approx(kernels_danlu.read(compiled()), rel=1e-5)


def test_every_row_has_a_function_in_danlu():
    assert kernels_danlu.STEPS.keys() == (KERNELS.keys() - {"copy"}) | INFERENCE.keys()


def test_a_repeated_computation_need_not_change():
    with Harness(["numpy"], family="kernels") as harness:
        measured = harness.measure(KERNELS["cumsum"].case, 1)
    assert measured.failed == {}
    assert len(measured.cpu["numpy"]) == 1


def test_epochs_go_on_where_the_last_one_ended():
    step = epochs_danlu.STEPS["tiny"]("tiny")
    losses = [step() for _ in range(3)]
    assert losses == sorted(losses, reverse=True)
    assert len(set(losses)) == 3


def kernel(name, cpu):
    return Result(KERNELS[name].case, 1, cpu=cpu, wall=cpu)


def test_the_best_product_of_the_run_is_the_mark_of_convolutions():
    gemm = kernel("gemm", {"danlu": [0.02], "torch": [0.01]})
    conv = kernel("conv", {"danlu": [2 * kernels.CONV / KERNELS["gemm"].amount * 0.01]})
    marks = kernels._marks([gemm, conv])
    assert kernels._reached(KERNELS["conv"], conv, marks) == "**50%**"


def test_a_rate_is_compared_with_the_fastest_peer_and_a_time_the_other_way_round():
    measured = {"danlu": [0.002], "danlu compiled": [0.003], "torch": [0.004], "jax": [0.003]}
    assert kernels._reached(KERNELS["chain"], kernel("chain", measured), {}) == "**1.50** × JAX"
    assert kernels._reached(KERNELS["cumsum"], kernel("cumsum", measured), {}) == "**0.67** × JAX"


def test_deep_rows_have_as_many_layers_as_their_names_say():
    assert [len(case.problem().weights) // 2 for case in DEPTHS.values()] == [2, 8, 32, 128]


def test_the_scripts_of_costs_print_a_number_and_the_same_bits_twice():
    assert costs._number(costs.MEMORY, "danlu", "bench.steps_danlu", "tiny") > 0
    assert costs._number(costs.SECOND, "danlu", "bench.steps_danlu", "tiny", "tiny:8") > 0
    once, again = (python(["-c", costs.BITS.format(n, "xor")], threads=n).output for n in (1, 2))
    assert once == again
    assert len(once.strip()) == 64
