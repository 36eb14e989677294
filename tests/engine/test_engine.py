"""The engine: what makes a new program, what is computed when, and what several threads, errors and long loops do to it."""

from __future__ import annotations

import gc
import threading
import weakref

import numpy as np
import pytest

import danlu
from danlu import engine
from danlu import programs as programs_of_traces
from danlu.config import config
from danlu.errors import AxisError, DanluError
from danlu.graph import toposort


def programs() -> float:
    return danlu.programs.statistics()["programs"]


def runs() -> float:
    return danlu.programs.statistics()["runs"]


def network(seed: int = 0) -> list[danlu.Tensor]:
    rng = np.random.default_rng(seed)
    sizes = [(4, 8), (8,), (8, 3), (3,)]
    return [danlu.tensor(rng.normal(size=s).astype("float32"), requires_grad=True) for s in sizes]


def loss_of(weights, x, y):
    w1, b1, w2, b2 = weights
    return ((danlu.tanh(x @ w1 + b1) @ w2 + b2 - y) ** 2).mean()


def batch(seed: int = 1, n: int = 16):
    rng = np.random.default_rng(seed)
    return danlu.tensor(rng.normal(size=(n, 4)).astype("float32")), danlu.tensor(rng.normal(size=(n, 3)).astype("float32"))


def train(steps: int, rate: float = 0.05, read_first: bool = False) -> list[float]:
    weights, (x, y), losses = network(), batch(), []
    for _ in range(steps):
        loss = loss_of(weights, x, y)
        if read_first:
            losses.append(loss.item())
        loss.backward()
        with danlu.no_grad():
            for w in weights:
                w -= rate * w.grad
                w.grad = None
        if not read_first:
            losses.append(loss.item())
    return losses


# ---- what makes a new program -----------------------------------------------------------------------------------------------


def test_a_loop_settles_into_one_program():
    train(3)
    before = programs()
    train(6)
    assert programs() == before


def test_a_python_number_that_changes_makes_no_new_program():
    x = danlu.tensor([1.0, 2.0])
    first = (x * 3.25 + 7).numpy()
    before = programs()
    second = (x * 4.75 + 9).numpy()
    assert programs() == before
    np.testing.assert_array_equal([first, second], [[10.25, 13.5], [13.75, 18.5]])


@pytest.mark.parametrize("number", [0.0, 1.0, -1.0, 0.5, 2.0, 0, 1, True])
def test_a_folded_number_has_its_own_program_and_its_value(number):
    x = danlu.tensor([1.0, -2.0])
    np.testing.assert_array_equal((x * number).numpy(), np.float32([1, -2]) * np.float32(number))


def test_negative_zero_is_not_zero():
    x = danlu.ones(2)
    assert not np.signbit((x * 0.0).numpy()).any()
    assert np.signbit((x * -0.0).numpy()).all()


def test_another_shape_makes_another_program():
    (danlu.ones(7) * 3.25).numpy()
    before = programs()
    (danlu.ones(8) * 3.25).numpy()
    assert programs() == before + 1


# ---- reading before the backward pass -----------------------------------------------------------------------------------------


def test_reading_the_loss_before_backward_gives_the_same_training():
    assert train(8, read_first=True) == pytest.approx(train(8), rel=1e-5)


def test_a_history_with_python_numbers_in_it_survives_a_reading():
    x = danlu.tensor([1.0, 2.0, 3.0], requires_grad=True)
    y = x * 3.5
    loss = (y**2.5).sum()
    loss.item()
    loss.backward()
    np.testing.assert_allclose(x.grad.numpy(), 3.5 * 2.5 * (3.5 * np.asarray([1.0, 2.0, 3.0])) ** 1.5, rtol=1e-5)


def test_what_the_derivative_needs_is_kept_when_a_loss_is_read(monkeypatch):
    """The second program computes no hyperbolic tangent again: its result was stored by the first."""
    x, y = batch()
    weights = network()
    loss = loss_of(weights, x, y)
    loss.item()
    seen = []
    build = programs_of_traces.program.build
    monkeypatch.setattr(
        programs_of_traces.program,
        "build",
        lambda roots, n, replace, given: seen.append((roots, replace)) or build(roots, n, replace, given),
    )
    monkeypatch.setattr(config, "cache_mb", 0)
    loss.backward()
    (weights[0].grad * 1.0625).numpy()
    ((roots, replace),) = seen
    computed = {n.op.name for n in toposort(programs_of_traces.program.simplify(roots, replace))}
    assert "contract" in computed and "tanh" not in computed


def test_two_readings_of_one_value_run_once():
    y = danlu.ones(3) * 3.125
    before = runs()
    y.numpy(), y.numpy(), y.tolist()
    assert runs() == before + 1


# ---- bounds -----------------------------------------------------------------------------------------------------------------


def test_a_loop_that_never_reads_is_flushed_in_between(monkeypatch):
    monkeypatch.setattr(engine, "MAX_PENDING", 50)
    total, one = danlu.zeros(1), danlu.ones(1)
    before = runs()
    for _ in range(200):
        total = total + one
        assert len(engine._current().values) <= 52
    assert runs() - before >= 3
    assert total.item() == 200


def test_waiting_work_holds_a_bounded_amount_of_memory(monkeypatch):
    monkeypatch.setattr(engine, "MAX_PINNED", 10_000)
    total = danlu.zeros(100)
    before = runs()
    for k in range(100):
        total = total + danlu.from_numpy(np.full(100, k, np.float32))
        assert engine._current().pinned <= 10_000
    assert runs() - before >= 3
    assert total.tolist() == [4950.0] * 100


def test_values_without_a_derivative_let_their_history_go():
    x = danlu.ones(1000)
    buffer = weakref.ref(engine.realize(x._value()))
    y = x * 3.5
    y.numpy()
    del x
    gc.collect()
    assert buffer() is None
    assert y.tolist() == [3.5] * 1000


def test_backward_lets_the_history_go():
    x = danlu.ones(100, requires_grad=True)
    middle = x * 3.5
    reference = weakref.ref(engine.realize(middle._value()))
    loss = (middle**2).sum()
    del middle
    loss.backward()
    loss.item(), x.grad.numpy()
    gc.collect()
    assert reference() is None


# ---- errors in the data -------------------------------------------------------------------------------------------------------


def test_after_an_error_in_the_data_other_values_can_be_read():
    x = danlu.tensor([1.0, 2.0, 3.0])
    bad = x[danlu.tensor([5])]
    good = x * 3.5 + 1.0
    with pytest.raises(AxisError, match="index 5 is out of range for an axis of size 3"):
        bad.numpy()
    assert good.tolist() == [4.5, 8.0, 11.5]
    with pytest.raises(AxisError, match="index 5 is out of range for an axis of size 3"):
        bad.numpy()


def test_a_value_whose_program_failed_after_its_history_went_says_so():
    x = danlu.tensor([1.0, 2.0, 3.0], requires_grad=True)
    loss = x[danlu.tensor([5])].sum()
    loss.backward()
    with pytest.raises(AxisError):
        loss.item()
    with pytest.raises(
        DanluError,
        match="a value is read whose program failed, and its history was used by a backward pass and let go; compute it again",
    ):
        loss.item()


# ---- threads ------------------------------------------------------------------------------------------------------------------


def in_thread(work):
    box = {}

    def run():
        box["result"] = work()

    thread = threading.Thread(target=run)
    thread.start()
    return thread, box


def test_a_value_that_waits_in_another_thread_can_be_read_and_its_thread_goes_on():
    made, read = threading.Event(), threading.Event()
    box = {}

    def work():
        box["y"] = danlu.ones(3) * 3.5
        made.set()
        read.wait(10)
        return ((box["y"] + 7.25) * 2.0).tolist()

    thread, result = in_thread(work)
    made.wait(10)
    assert box["y"].tolist() == [3.5] * 3
    read.set()
    thread.join()
    assert result["result"] == [21.5] * 3


def test_a_value_that_waits_in_another_thread_can_be_an_input():
    thread, box = in_thread(lambda: danlu.ones(3) * 3.5)
    thread.join()
    assert (box["result"] * 2.0 + 0.25).tolist() == [7.25] * 3


def test_threads_that_train_at_once_give_the_results_of_one():
    alone = train(30)
    workers = [in_thread(lambda: train(30)) for _ in range(4)]
    for thread, _ in workers:
        thread.join()
    assert [box.get("result") for _, box in workers] == [alone] * 4


def test_threads_that_share_their_data_and_read_each_others_results():
    x = danlu.tensor(np.arange(50, dtype=np.float32))
    shared = x * 1.5

    def work():
        return [((shared + k) * (x + 0.25)).sum().item() for k in range(40)]

    alone = work()
    shared = x * 1.5
    workers = [in_thread(work) for _ in range(4)]
    for thread, _ in workers:
        thread.join()
    assert [box.get("result") for _, box in workers] == [alone] * 4


# ---- the interpreter ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("read_first", [False, True])
def test_training_without_the_compiler_gives_the_same_losses(monkeypatch, read_first):
    compiled = train(8, read_first=read_first)
    monkeypatch.setattr(config, "optimize", False)
    assert train(8, read_first=read_first) == pytest.approx(compiled, rel=1e-5)
