"""What a training shows and writes on the way: progress, checkpoints, the metrics log, curves, the confusion matrix."""

from __future__ import annotations

import io
import json

import pytest

from danlu.errors import DataError
from danlu.train import Callback, Checkpoint, History, MetricsLog, progress
from danlu.train import callbacks as callbacks_module
from danlu.train.display import ProgressBar, ProgressLines, figure, figures
from danlu.train.plot import curves, draw, draw_png
from danlu.train.report import MOST_CLASSES, confusion


class FakeLoop:
    """As much of a loop as these callbacks look at: two epochs of ten steps."""

    epochs, steps_per_epoch, finished, stop = 2, 10, False, ""

    def __init__(self):
        self.history, self.epoch, self.step, self.rows_seen, self.recent_loss = History(), 0, 0, 0, 0.5

    def run(self, callback: Callback, steps: int = 20):
        callback.on_start(self)
        for _ in range(steps):
            self.step, self.rows_seen = self.step + 1, self.rows_seen + 32
            callback.on_step(self)
            if self.step % 10 == 0:
                self.epoch += 1
                row = {
                    "epoch": self.epoch,
                    "step": self.step,
                    "loss": 0.5 / self.epoch,
                    "validation_accuracy": 0.9,
                    "samples_per_second": 1234,
                }
                self.history.rows.append(row)
                callback.on_epoch_end(self)
        callback.on_end(self)
        callback.close()


# ---- progress


def test_plain_lines_where_stdout_is_no_terminal():
    out = io.StringIO()
    FakeLoop().run(progress(out))
    assert out.getvalue().splitlines() == [
        "epoch 1/2  step 10  loss 0.5000  validation accuracy 90.0 %  1,234 samples/s",
        "epoch 2/2  step 20  loss 0.2500  validation accuracy 90.0 %  1,234 samples/s",
    ]


def test_lines_are_rationed_by_time(monkeypatch):
    monkeypatch.setattr("danlu.train.display.LINE_EVERY", 3600.0)
    lines: list[str] = []
    loop = FakeLoop()
    loop.epochs = 5
    callback = ProgressLines(lines.append)
    callback._last_time = 1e12
    loop.run(callback, 50)
    assert [line.split()[1] for line in lines] == ["5/5"]


def test_no_line_twice_and_none_without_an_epoch():
    lines: list[str] = []
    FakeLoop().run(ProgressLines(lines.append), 3)
    assert lines == []


def test_the_bar_in_a_terminal(monkeypatch):
    console = pytest.importorskip("rich.console")
    monkeypatch.setattr("danlu.train.display.REFRESH", 0.0)
    out = io.StringIO()
    bar = ProgressBar(console.Console(file=out, force_terminal=True, width=140, color_system=None))
    FakeLoop().run(bar)
    shown = out.getvalue()
    for piece in ("epoch 2/2", "step 20", "loss 0.5000", "validation accuracy 90.0 %", "samples/s"):
        assert piece in shown
    bar.close()


def test_a_terminal_gets_the_bar():
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    assert isinstance(progress(Terminal()), ProgressBar) and isinstance(progress(io.StringIO()), ProgressLines)


@pytest.mark.parametrize(
    ("name", "value", "text"),
    [
        ("validation_accuracy", 1.0, "100.0 %"),
        ("rmse", 1000.4, "1,000"),
        ("loss", 0.0, "0"),
        ("loss", 1e-5, "1e-05"),
        ("loss", 2.5e30, "2.5e+30"),
        ("loss", 12.3456, "12.35"),
        ("r2", -0.5, "-0.5000"),
    ],
)
def test_figures(name, value, text):
    assert figure(name, value) == text


def test_figures_of_a_row_leave_the_clock_out():
    assert figures({"epoch": 3, "loss": 1.0, "seconds": 5.0}) == "loss 1.0000"


# ---- checkpoints and the log


def test_checkpoints_are_rationed(monkeypatch):
    clock = iter(range(0, 1000, 1))
    monkeypatch.setattr(callbacks_module.time, "monotonic", lambda: float(next(clock)))
    saved: list[int] = []
    loop = FakeLoop()
    checkpoint = Checkpoint(lambda seen: saved.append(seen.step), share=0.25)
    checkpoint.on_start(loop)
    for loop.step in range(1, 11):
        checkpoint.on_epoch_end(loop)
    checkpoint.on_end(loop)
    # a save takes one tick, so the next may begin 4 ticks after its end; the first and the last are always made
    assert saved == [0, 4, 8, 10]


def test_a_restored_run_loads_and_does_not_save_first():
    done: list[str] = []
    Checkpoint(lambda loop: done.append("save"), restore=lambda loop: done.append("restore")).on_start(FakeLoop())
    assert done == ["restore"]


def test_the_log_has_a_line_an_epoch_and_follows_a_resumed_history(tmp_path):
    path = tmp_path / "metrics.jsonl"
    path.write_text("half a li")
    loop = FakeLoop()
    loop.history.rows.append({"epoch": 0, "loss": 9.0})
    loop.run(MetricsLog(path))
    assert [json.loads(line)["epoch"] for line in path.read_text().splitlines()] == [0, 1, 2]


def test_a_log_that_cannot_be_written(tmp_path):
    log = MetricsLog(tmp_path)
    loop = FakeLoop()
    loop.history.rows.append({"epoch": 1})
    with pytest.raises(DataError, match=r"cannot write .*: Is a directory"):
        log.on_epoch_end(loop)


# ---- curves


def test_the_columns_worth_drawing():
    row = {
        "epoch": 1,
        "step": 2,
        "loss": 1.0,
        "validation_loss": 1.0,
        "validation_accuracy": 0.5,
        "learning_rate": 0.1,
        "seconds": 1.0,
    }
    assert curves([row]) == ["loss", "validation_loss", "validation_accuracy"] and curves([]) == []


def test_a_falling_line_goes_from_the_upper_left_to_the_lower_right():
    title, *lines, foot = draw([4.0, 3.0, 2.0, 1.0], "loss", width=8, height=4)
    assert title == "loss" and foot.strip() == "epoch 1 to 4"
    assert [line.split()[0] for line in (lines[0], lines[-1])] == ["4", "1"]
    starts = [len(line[11:]) - len(line[11:].lstrip("⠀")) for line in lines]
    assert starts == sorted(starts) and starts[0] == 0 and starts[-1] >= 5


def test_a_steep_line_has_no_gap():
    lines = draw([100.0] + [0.0] * 40, "loss", width=20, height=6)[1:-1]
    assert all(line[10:].strip().strip("⠀") for line in lines)


@pytest.mark.parametrize("values", [[1.0], [2.0, 2.0], [1.0, 2.0], [0.1] * 500])
def test_few_many_and_equal_values(values):
    lines = draw(values, "loss")
    assert len(lines) == 12 and any("\u2801" <= letter <= "\u28ff" for letter in "".join(lines))


def test_the_picture(tmp_path):
    pytest.importorskip("matplotlib")
    rows = [{"epoch": e, "loss": 1 / e, "validation_loss": 1.1 / e, "validation_accuracy": 1 - 0.5 / e} for e in (1, 2, 3)]
    assert draw_png(rows, 2, tmp_path / "curves.png")
    assert (tmp_path / "curves.png").read_bytes().startswith(b"\x89PNG")


def test_no_picture_without_matplotlib(tmp_path, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert not draw_png([{"epoch": 1, "loss": 1.0}], 1, tmp_path / "curves.png") and not list(tmp_path.iterdir())


# ---- the confusion matrix


def test_large_counts_and_long_names_stay_aligned():
    lines = confusion([[12345, 0], [7, 0]], ["a name that is long", "b"])
    assert lines == ["             a nam     b", "a name that… 12345     .", "           b     7     ."]


def test_many_classes_are_listed_by_pairs():
    count = MOST_CLASSES + 1
    matrix = [[0] * count for _ in range(count)]
    names = [f"class {i}" for i in range(count)]
    assert confusion(matrix, names) == ["no class was taken for another"]
    matrix[3][5], matrix[1][0], matrix[2][2] = 2, 9, 50
    assert confusion(matrix, names) == ["     9 x class 1 taken for class 0", "     2 x class 3 taken for class 5"]
