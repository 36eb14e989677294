"""The harness with danlu alone: it does the steps it times, refuses what does not learn, and says who is absent."""

from __future__ import annotations

import pytest

from bench import harness as harness_module
from bench import process, profile_recorder, steps_danlu, table, worker
from bench.harness import Harness, Result
from bench.steps import CASES

NAMES = list(CASES)

LARGE = ("lenet", "cnn", "residual", "encoder", "gpt")  # four rows of the batch are enough to learn


@pytest.fixture
def absent(monkeypatch):
    """A way whose module nobody has."""
    monkeypatch.setitem(worker.WAYS, "torch", "bench.steps_of_nobody")


def result(cpu):
    return Result(CASES["tiny"], 1, cpu=cpu, wall=cpu, difference=1e-7)


@pytest.mark.parametrize("name", NAMES)
def test_danlu_has_every_step_and_each_one_learns(name):
    step = steps_danlu.STEPS[name](f"{name}:4" if name in LARGE else name)
    losses = [steps_danlu.read(step()) for _ in range(4)]
    assert losses[-1] < losses[0]


def test_a_round_gives_times_and_no_failure():
    with Harness(["danlu"]) as harness:
        measured = harness.measure(CASES["line"], 2)
        said = harness.describe()
    assert measured.failed == {}
    assert [len(measured.cpu["danlu"]), len(measured.wall["danlu"])] == [2, 2]
    assert "danlu" in said[0]
    assert measured.ratio("torch") is None


def test_a_way_that_is_not_installed_is_absent(absent):
    with pytest.raises(ModuleNotFoundError, match="steps_of_nobody"):
        worker.Worker("torch", 1)


def test_a_step_that_fails_is_an_answer():
    answers = worker.Worker("danlu", 1)
    assert answers.answer({"do": "make", "case": "no such case"}) == {"supported": False}
    assert "KeyError" in answers.answer({"do": "time", "case": "tiny", "count": 1})["error"]


def test_a_loss_that_stands_still_fails_the_case():
    class Stuck:
        def ask(self, do, **options):
            return {"losses": [1.0] * 10, "first": 0.1}

    measured = Result(CASES["tiny"], 1)
    with Harness([]) as harness:
        harness._check(CASES["tiny"], measured, {"danlu": Stuck()})
    assert "does not change" in measured.failed["danlu"]


def test_losses_that_differ_fail_the_case():
    class Runs:
        def __init__(self, last):
            self.last = last

        def ask(self, do, **options):
            return {"losses": [1.0, self.last], "first": 0.1}

    measured = Result(CASES["tiny"], 1)
    with Harness([]) as harness:
        harness._check(CASES["tiny"], measured, {"danlu": Runs(0.9), "torch": Runs(0.8)})
    assert measured.failed.keys() == {"danlu", "torch"}
    assert "losses differ by 1.1e-01" in measured.failed["torch"]


def test_the_table_shows_ratios_and_what_is_missing():
    lines = table.steps([result({"danlu": [1e-5, 2e-5], "torch": [4e-5, 8e-5]})])
    assert lines[2] == (
        "| MLP 4-16-3, batch 16, Adam | 15.0 µs | – | 60.0 µs | – | – | **0.25** (0.25–0.25) | ≤ 0.125 | – | ≤ 0.35 |"
    )
    assert "**0.25** of 1" in lines[-1]


def test_the_corrected_profile_adds_up_to_the_undisturbed_step():
    python, c = profile_recorder.Overhead(100, 50), profile_recorder.Overhead(60, 30)
    rows = {
        ("step.py", 1, "step"): profile_recorder.Row(calls=1, own=1000, python_calls=4, c_calls=2),
        ("step.py", 9, "part"): profile_recorder.Row(calls=4, own=1200),
        ("~", 0, "<built-in method builtins.len>"): profile_recorder.Row(calls=2, own=200),
    }
    own = profile_recorder.corrected(rows, python, c, whole=1520)
    assert sum(own.values()) == pytest.approx(1520)
    assert own["step.py", 9, "part"] == pytest.approx(800)


def test_a_process_is_measured_from_outside():
    life = process.python(["-c", "print(6 * 7)"], {"DANLU_LOG": ""})
    assert life.output == "42\n"
    assert life.wall > 0


def test_a_process_that_fails_says_why():
    with pytest.raises(process.ProcessError, match="no such number"):
        process.python(["-c", "raise SystemExit('no such number')"])


def test_a_worker_that_ends_says_so(monkeypatch):
    monkeypatch.setattr(harness_module, "environment", lambda threads: {"PYTHONHOME": "/nowhere"})
    with pytest.raises(harness_module.BenchError, match="the worker of danlu ended with code 1"):
        Harness(["danlu"])


def test_a_round_that_fails_stops_the_case():
    with pytest.raises(harness_module.BenchError, match="out of memory"):
        harness_module._checked({"error": "out of memory"})


def test_one_thread_is_asked_of_every_library():
    one, two = worker.environment(1), worker.environment(2)
    assert {one[name] for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "DANLU_NUM_THREADS")} == {"1"}
    assert "multi_thread_eigen=false" in one["XLA_FLAGS"]
    assert "XLA_FLAGS" not in two
