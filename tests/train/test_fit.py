"""`fit`: the same numbers as a plain loop, the same bits after an interruption, and blame for a NaN."""

from __future__ import annotations

import math
import signal

import numpy as np
import pytest

import danlu
import danlu.files
from danlu import nn, optim
from danlu.data.dataset import TensorDataset
from danlu.data.loader import DataLoader
from danlu.errors import DataError, NumericError, ShapeError
from danlu.train import Callback, EarlyStopping, History, Interrupt, Loop, fit, predict
from danlu.train import loop as loop_module
from danlu.train.loop import INTERRUPTED, cosine


def blobs(rows=60, seed=0):
    generator = np.random.default_rng(seed)
    y = generator.integers(0, 3, rows)
    return (generator.normal(size=(rows, 4)) + 2 * np.eye(3, 4)[y]).astype(np.float32), y


def network(dropout=0.0):
    danlu.manual_seed(1)
    return nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Dropout(dropout), nn.Linear(8, 3))


def weights(model) -> dict[str, np.ndarray]:
    return {name: value.detach().numpy().copy() for name, value in model.state_dict().items()}


def same_bits(a, b) -> bool:
    return a.keys() == b.keys() and all(np.array_equal(a[name], b[name]) for name in a)


class Recorder(Callback):
    """Notes which hook was called when."""

    def __init__(self):
        self.calls: list[str] = []

    def on_start(self, loop):
        self.calls.append("start")

    def on_step(self, loop):
        self.calls.append(f"step {loop.step}")

    def on_epoch_end(self, loop):
        self.calls.append(f"epoch {loop.epoch}")

    def on_end(self, loop):
        self.calls.append("end")

    def close(self):
        self.calls.append("close")


# ---- what it computes


def test_fit_is_the_plain_loop():
    x, y = blobs()
    trained = network()
    history = fit(trained, (x, y), epochs=3, batch_size=16, seed=5, optimizer=optim.SGD(trained.parameters(), lr=0.1))

    model, loss_function, losses = network(), nn.CrossEntropyLoss(), []
    optimizer = optim.SGD(model.parameters(), lr=0.1)
    loader = DataLoader(TensorDataset(x, y), batch_size=16, shuffle=True, seed=5)
    for _ in range(3):
        total = 0.0
        for batch, targets in loader:
            optimizer.zero_grad()
            loss = loss_function(model(loop_module.as_tensor(batch)), loop_module.as_tensor(targets))
            loss.backward()
            optimizer.step()
            total += loss.item() * len(batch)
        losses.append(total / len(x))
    assert same_bits(weights(trained), weights(model))
    assert history["loss"] == pytest.approx(losses)


def test_it_learns_classes_and_reports_them():
    x, y = blobs(200)
    model = network()
    adam = optim.Adam(model.parameters(), lr=0.01)
    history = fit(model, (x[:150], y[:150]), (x[150:], y[150:]), optimizer=adam, epochs=20, metrics=["accuracy"], batch_size=16)
    assert history["loss"][-1] < history["loss"][0] / 2 and history["validation_accuracy"][-1] > 0.8
    assert history["epoch"] == list(range(1, 21)) and history["step"][-1] == 20 * 10 and history.stop == "all epochs done"
    assert history["validation_accuracy"][-1] == np.mean(predict(model, x[150:]).argmax(1) == y[150:])


def test_it_learns_values_of_shape_rows():
    x = np.linspace(-1, 1, 64, dtype=np.float32)[:, None]
    model = nn.Linear(1, 1)
    history = fit(
        model, (x, 3 * x[:, 0]), (x, 3 * x[:, 0]), epochs=60, optimizer=optim.SGD(model.parameters(), lr=0.2), metrics=["rmse"]
    )
    assert history["validation_rmse"][-1] < 0.05


def test_tensors_and_functions_of_our_own():
    x, y = blobs()
    history = fit(
        network(),
        (danlu.from_numpy(x), danlu.from_numpy(y)),
        (danlu.from_numpy(x), danlu.from_numpy(y)),
        epochs=1,
        loss=lambda outputs, targets: nn.CrossEntropyLoss()(outputs, targets) * 2,
        metrics={"wrong": lambda outputs, targets: np.sum(outputs.argmax(1) != targets)},
    )
    assert 0 <= history["validation_wrong"][0] <= 60


def test_the_mean_loss_weighs_the_short_last_batch_by_its_rows():
    x, y = np.array([[0.0], [0.0], [0.0]], np.float32), np.array([1.0, 1.0, 4.0], np.float32)
    model = nn.Linear(1, 1)
    loader = DataLoader(TensorDataset(x, y[:, None]), batch_size=2)
    bias = model.bias.detach().numpy()[0]
    history = fit(model, loader, loss=nn.MSELoss(), epochs=1, optimizer=optim.SGD(model.parameters(), lr=1e-12))
    assert history["loss"][0] == pytest.approx((2 * (1 - bias) ** 2 + (4 - bias) ** 2) / 3, rel=1e-4)


def test_evaluation_is_without_dropout_and_training_with_it():
    model = nn.Sequential(nn.Dropout(0.5))
    x = np.ones((300, 2), np.float32)
    assert np.array_equal(predict(model, x), x) and model.training
    model.eval()
    predict(model, x)
    assert not model.training


def test_predict_is_the_model_row_by_row():
    model, x = network(), np.random.default_rng(0).normal(size=(700, 4)).astype(np.float32)
    assert np.allclose(predict(model, x), model(danlu.from_numpy(x)).detach().numpy(), atol=1e-6)
    with pytest.raises(ShapeError, match=r"nothing to predict: the inputs have the shape \(0, 4\)"):
        predict(model, x[:0])


# ---- schedules


def test_cosine_rises_and_falls():
    assert cosine(0.0) == 0.0 and cosine(0.05) == pytest.approx(0.5 * (1 + math.cos(0.05 * math.pi))) and cosine(0.999) < 1e-5
    rates = [cosine(p / 100) for p in range(5, 100)]
    assert rates == sorted(rates, reverse=True)


def test_a_schedule_scales_every_step():
    seen = []

    class Rates(Callback):
        def on_step(self, loop):
            seen.append(loop.optimizer.param_groups[0]["lr"])

    model = network()
    fit(
        model,
        blobs(),
        epochs=2,
        batch_size=30,
        optimizer=optim.SGD(model.parameters(), lr=0.1),
        schedule=lambda p: 1 - p,
        callbacks=[Rates()],
    )
    assert seen == pytest.approx([0.0875, 0.0625, 0.0375, 0.0125])


# ---- callbacks


def test_callbacks_run_in_order_and_end_in_reverse():
    recorder = Recorder()
    fit(network(), blobs(), epochs=2, batch_size=30, callbacks=[recorder])
    assert recorder.calls == ["start", "step 1", "step 2", "epoch 1", "step 3", "step 4", "epoch 2", "end", "close"]


def test_close_runs_after_an_error():
    class Broken(Callback):
        def on_step(self, loop):
            raise ZeroDivisionError

    recorder = Recorder()
    with pytest.raises(ZeroDivisionError):
        fit(network(), blobs(), callbacks=[recorder, Broken()])
    assert recorder.calls == ["start", "step 1", "close"]


def test_early_stopping_keeps_the_best_epoch():
    """Targets of the validation part are wrong on purpose: the longer the training, the worse."""
    x, y = blobs(200)
    kept = []

    class Keep(Callback):
        def on_epoch_end(self, loop):
            kept.append(weights(loop.model))

    model, stopping = network(), EarlyStopping(patience=3)
    history = fit(model, (x, y), (x, (y + 1) % 3), epochs=50, callbacks=[stopping, Keep()])
    assert len(history) == 4 and history.stop == "no better epoch in the last 3 (best was 1)"
    assert same_bits(weights(model), kept[0]) and stopping.best_epoch == 1


def test_of_equal_epochs_the_later_is_best_but_patience_runs_out():
    stopping = EarlyStopping(patience=2, monitor="validation_accuracy")
    x, y = blobs(20)
    model = network()
    fit(model, (x, y), (x, y), epochs=9, metrics={"accuracy": lambda p, t: 0.5}, callbacks=[stopping])
    assert stopping.best_epoch == 3


def test_early_stopping_refuses_what_it_cannot_do():
    with pytest.raises(DataError, match="patience=0 must be at least 1 epoch"):
        EarlyStopping(0)
    with pytest.raises(
        DataError, match=r"EarlyStopping\(monitor='validation_acc'\): the history has no such column; it has epoch, step, loss"
    ):
        fit(network(), blobs(), epochs=1, callbacks=[EarlyStopping(monitor="validation_acc")])


# ---- interrupting and resuming


class StopAt(Callback):
    """Ctrl-C at a step, as the terminal would send it; then saves the loop's state."""

    def __init__(self, step, times=1):
        self.step, self.times, self.state = step, times, None

    def on_step(self, loop):
        if loop.step == self.step:
            for _ in range(self.times):
                signal.raise_signal(signal.SIGINT)

    def on_end(self, loop):
        self.state = danlu.files.unpack(danlu.files.pack(loop.state_dict()))


class Resume(Callback):
    def __init__(self, state):
        self.state = state

    def on_start(self, loop):
        loop.load_state_dict(self.state)


def train(callbacks=(), seed=3):
    """Dropout, a short last batch, momentum, a schedule: all that has a state. 5 steps an epoch, 3 epochs."""
    model = network(dropout=0.5)
    optimizer = optim.AdamW(model.parameters(), lr=0.01)
    x, y = blobs(70)
    data = (x, y)
    history = fit(
        model, data, data, optimizer=optimizer, epochs=3, batch_size=16, schedule="cosine", seed=seed,
        metrics=["accuracy"], callbacks=[EarlyStopping(2), *callbacks],
    )  # fmt: skip
    return model, history


def figures(history):
    """The history without what depends on the clock."""
    return [{k: v for k, v in row.items() if k not in ("seconds", "samples_per_second")} for row in history.rows]


@pytest.mark.parametrize("step", [1, 4, 5, 6, 9, 10, 14])
def test_an_interrupted_and_resumed_run_ends_with_the_same_bits(step):
    whole_model, whole_history = train()
    stop = StopAt(step)
    _, partial = train([stop, Interrupt()])
    assert partial.stop == INTERRUPTED and len(partial) == step // 5
    danlu.manual_seed(99)
    resumed_model, resumed_history = train([Resume(stop.state)], seed=77)
    assert same_bits(weights(resumed_model), weights(whole_model))
    assert figures(resumed_history) == figures(whole_history)


def test_an_interrupt_in_the_last_step_is_the_end():
    stop = StopAt(15)
    history = train([stop, Interrupt()])[1]
    assert len(history) == 3 and same_bits(weights(train([Resume(stop.state)])[0]), weights(train()[0]))


def test_a_second_interrupt_ends_at_once():
    before = signal.getsignal(signal.SIGINT)
    said, stop = [], StopAt(2, times=2)
    with pytest.raises(KeyboardInterrupt):
        train([stop, Interrupt(said.append)])
    assert said == ["stopping after this step; Ctrl-C again ends at once, without saving"] and stop.state is None
    assert signal.getsignal(signal.SIGINT) is before


def test_a_state_of_other_data_is_refused():
    stop = StopAt(4)
    train([stop, Interrupt()])
    with pytest.raises(
        DataError, match=r"the saved state has 5 steps an epoch and callbacks \['EarlyStopping#0'\], this training 2"
    ):
        fit(network(), blobs(), batch_size=30, callbacks=[Resume(stop.state)])


# ---- blame for a NaN


class Times(nn.Module):
    """Multiplies by a number."""

    def __init__(self, factor):
        super().__init__()
        self.factor = factor

    def forward(self, x):
        return x * self.factor


def test_blame_names_the_layer_whose_output_is_first_not_finite():
    x = np.abs(blobs()[0]) + 1
    model = nn.Sequential(nn.Linear(4, 4), nn.Sequential(nn.ReLU(), Times(math.inf)), nn.Linear(4, 3))
    with pytest.raises(
        NumericError, match=r"the loss became nan at step 1 \(epoch 1\): it began in the output of layer 1\.1 \(Times\(\)\)"
    ):
        fit(model, (x, blobs()[1]))


def test_blame_finds_the_step_and_leaves_the_model_as_it_was_before():
    """Row 37 alone is too large for float32; its step is the one to name, however late the loss is read."""
    x, y = blobs()
    x[37] = 3e38
    loader = DataLoader(TensorDataset(x, y), batch_size=10, shuffle=True, seed=0)
    steps = [place for place, indices in enumerate(loader.batches(0), 1) if 37 in indices]
    kept = {}

    class Keep(Callback):
        def on_step(self, loop):
            kept[loop.step] = weights(loop.model)

    model = nn.Sequential(Times(10.0), nn.Linear(4, 3))
    optimizer = optim.SGD(model.parameters(), lr=0.1)
    with pytest.raises(NumericError) as caught:
        fit(model, loader, loss=nn.CrossEntropyLoss(), optimizer=optimizer, callbacks=[Keep()])
    assert f"at step {steps[0]} (epoch 1): it began in the output of layer 0 (Times()), which holds inf" in str(caught.value)
    assert "Try a smaller learning rate (0.01 instead of 0.1), or scaled inputs" in str(caught.value)
    assert steps[0] > 1 and same_bits(weights(model), kept[steps[0] - 1])


def test_blame_names_the_inputs():
    x, y = blobs()
    x[7, 2] = np.nan
    with pytest.raises(NumericError, match=r"it began in the inputs of the batch \(row \d+ holds nan\)"):
        fit(network(), (x, y), batch_size=30)


def test_blame_names_the_targets():
    x = blobs()[0]
    y = np.full(60, np.inf, np.float32)
    with pytest.raises(NumericError, match=r"it began in the targets of the batch \(row 0 holds inf\)"):
        fit(nn.Linear(4, 1), (x, y))


def test_blame_names_a_parameter_that_overflowed():
    x, y = blobs()
    model = nn.Sequential(nn.Linear(4, 3))
    with pytest.raises(
        NumericError,
        match=r"at step 2 .*it began in the parameter 0\.(weight|bias), which holds -?(inf|nan) since the update before",
    ):
        fit(model, (x, y), loss=lambda p, t: nn.CrossEntropyLoss()(p, t) * 1e30, optimizer=optim.SGD(model.parameters(), lr=1e30))


def test_blame_names_the_loss():
    x, y = blobs()

    def logarithm_of_zero(outputs, targets):
        return (outputs.sum() * 0.0).log()

    with pytest.raises(NumericError, match=r"the loss became -inf at step 1 .*it began in the loss \(logarithm_of_zero\)"):
        fit(network(), (x, y), loss=logarithm_of_zero)


def test_a_validation_loss_that_is_not_finite():
    x, y = blobs()
    bad = x.copy()
    bad[0] = np.inf
    with pytest.raises(
        NumericError, match=r"the validation loss became nan after epoch 1 \(step 2\), though every training loss was finite"
    ):
        fit(network(), (x, y), (bad, y))


def test_a_model_that_is_not_deterministic_is_told():
    class Once(nn.Module):
        def __init__(self):
            super().__init__()
            self.linear, self.calls = nn.Linear(4, 3), 0

        def forward(self, x):
            self.calls += 1
            return self.linear(x) / (0.0 if self.calls == 1 else 1.0)

    with pytest.raises(NumericError, match=r"the loss became (nan|inf) at step 1"):
        fit(Once(), blobs(), batch_size=60, epochs=1)


# ---- what it refuses


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"epochs": 0}, DataError, "epochs=0 must be at least 1"),
        ({"batch_size": -3}, DataError, "batch_size=-3 must be at least 1"),
        ({"schedule": "linear"}, DataError, "unknown schedule 'linear'; choose from constant, cosine"),
        ({"metrics": ["f1"]}, DataError, "unknown metric 'f1'; choose from accuracy"),
        (
            {"validation_data": (np.zeros((3, 4)), np.zeros(2))},
            ShapeError,
            "validation_data has x of shape (3, 4) and y of shape (2,)",
        ),
        ({"validation_data": np.zeros(3)}, DataError, "validation_data is a ndarray; expected a pair (x, y)"),
    ],
)
def test_arguments_that_do_not_fit(arguments, error, message):
    with pytest.raises(error) as caught:
        fit(network(), blobs(), **arguments)
    assert message in str(caught.value)


def test_data_that_does_not_fit():
    with pytest.raises(
        ShapeError,
        match=r"train_data has x of shape \(0, 4\) and y of shape \(0,\); expected the same number of rows, at least 1",
    ):
        fit(network(), (np.zeros((0, 4)), np.zeros(0)))
    with pytest.raises(DataError, match=r"train_data is a list; expected a pair \(x, y\)"):
        fit(network(), [1, 2, 3])
    loader = DataLoader(TensorDataset(*blobs(5)), batch_size=10, drop_last=True)
    with pytest.raises(DataError, match="the DataLoader gives no batch"):
        fit(network(), loader, loss=nn.CrossEntropyLoss())
    with pytest.raises(DataError, match="loss=None needs targets to look at"):
        fit(network(), DataLoader(TensorDataset(*blobs(5))))


def test_a_history_names_its_columns():
    history = History([{"epoch": 1, "loss": 0.5}])
    with pytest.raises(KeyError, match="the history has no column 'lost'; it has: epoch, loss"):
        history["lost"]
    with pytest.raises(KeyError, match="no epoch has ended yet"):
        History()["loss"]
    assert repr(history) == "History(epochs=1, stop='')" and isinstance(Loop, type)
