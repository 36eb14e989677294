"""The front door: what opens, what is refused and in which words, and three whole preparations (digits, CSV, IDX)."""

from __future__ import annotations

import gzip
import json
import os
import re
from pathlib import Path

import numpy as np
import pytest

from danlu.data.prepare import Preparation
from danlu.data.source import apply, open_source, prepare
from danlu.data.split import split
from danlu.errors import DataError


def refused(text: str, what: object, target: str | None = None) -> None:
    with pytest.raises(DataError, match=re.escape(text)):
        open_source(str(what), target)


def houses(rows: int = 200, seed: int = 0) -> str:
    """A table with every kind of column and a price that follows from it."""
    generator = np.random.default_rng(seed)
    lines = ["id,rooms,age,place,sold,remark,price,grade"]
    for row in range(rows):
        rooms, age = generator.integers(1, 9), generator.integers(0, 90)
        place = ["north", "south", "", "east"][generator.integers(4)]
        price = rooms * 1000 - age * 7 + 500 * (place == "north") + 0.5
        shown = "" if row % 10 == 0 else str(age)
        remark = f"remark number {row * 7919} of many"
        lines.append(f"{row},{rooms},{shown},{place},2024-{1 + row % 12}-0{1 + row % 9},{remark},{price},{'ABC'[row % 3]}")
    return "\n".join(lines) + "\n"


@pytest.fixture
def house_file(write_csv) -> Path:
    pytest.importorskip("pandas")
    return write_csv(houses(), "My houses (1).csv")


def test_digits_are_prepared() -> None:
    source = open_source("digits")
    assert (source.kind, source.name, source.rows) == ("digits", "digits", 1797)
    prepared = prepare(source, seed=3)
    assert prepared.task == "classification" and prepared.classes == list("0123456789") and prepared.notes == []
    assert [x.shape for x, _ in (prepared.train, prepared.validation, prepared.test)] == [(1294, 64), (144, 64), (359, 64)]
    x, y = prepared.train
    assert x.dtype == np.float32 and y.dtype == np.int64 and prepared.feature_names[9] == "pixel 1,1"
    assert abs(float(x.mean())) < 1e-6 and abs(float(x.std()) - 1) < 1e-6
    assert np.bincount(prepared.test[1]).min() >= 34


def test_a_table_is_prepared(house_file: Path) -> None:
    source = open_source(str(house_file), "price")
    assert (source.kind, source.name, source.rows) == ("csv", "My-houses-1", 200)
    prepared = prepare(source)
    assert prepared.task == "regression" and prepared.classes is None
    assert prepared.feature_names == [
        *("rooms", "age", "age is missing", "place=east", "place=north", "place=south", "place is missing"),
        *("sold month", "sold day", "sold weekday", "grade=A", "grade=B", "grade=C"),
    ]
    x, y = prepared.train
    assert x.shape == (144, 13) and x.dtype == np.float32 and y.dtype == np.float32
    np.testing.assert_allclose([y.mean(), y.std()], [0, 1], atol=1e-5)
    assert prepared.notes == [
        "Column 'id' is left out: it is an id (144 different numbers in 144 rows).",
        "Column 'remark' is left out: it looks like free text (144 different texts in 144 rows).",
    ]


def test_classes_of_a_table(house_file: Path) -> None:
    prepared = prepare(open_source(str(house_file), "grade"), scale="minmax")
    assert prepared.task == "classification" and prepared.classes == ["A", "B", "C"]
    assert prepared.train[1].dtype == np.int64 and np.bincount(prepared.test[1]).tolist() in (
        [13, 13, 14],
        [13, 14, 13],
        [14, 13, 13],
    )
    assert prepared.train[0].min() == 0 and prepared.train[0].max() == 1


def test_nothing_is_learned_from_rows_that_are_held_out(house_file: Path, write_csv) -> None:
    prepared = prepare(open_source(str(house_file), "price"), seed=5)
    lines = house_file.read_text().splitlines()
    _, validation, test = split(200, seed=5)
    for row in [*validation, *test]:
        fields = lines[row + 1].split(",")
        lines[row + 1] = ",".join([*fields[:2], "99999", "elsewhere", *fields[4:6], "-1e6", fields[7]])
    changed = prepare(open_source(str(write_csv("\n".join(lines))), "price"), seed=5)
    assert changed.preparation == prepared.preparation
    np.testing.assert_array_equal(changed.train[0], prepared.train[0])
    assert not np.array_equal(changed.test[0], prepared.test[0])


def test_idx_is_prepared_and_classes_may_be_many(write_pair) -> None:
    folder = write_pair(rows=300)
    source = open_source(str(folder))
    assert source.kind == "idx" and source.rows == 300 and source.name == folder.name
    assert open_source(str(folder / "train-images-idx3-ubyte")).name == "train"
    assert open_source(str(write_pair("mnist-t10k", packed=True) / "mnist-t10k-images-idx3-ubyte.gz")).name == "mnist-t10k"
    prepared = prepare(open_source(str(folder / "train-labels-idx1-ubyte")))
    assert prepared.task == "classification" and prepared.classes == ["0", "1", "2"] and prepared.train[0].shape == (216, 16)
    assert prepare(open_source(str(folder / "train-labels-idx1-ubyte")), task="regression").train[1].dtype == np.float32


@pytest.mark.parametrize(("name", "run"), [("数据 1.csv", "数据-1"), ("a/b.TSV", "b"), ("?.csv", "data"), ("x.y.csv", "x.y")])
def test_runs_are_named_after_the_file(tmp_path: Path, name: str, run: str) -> None:
    pytest.importorskip("pandas")
    path = tmp_path / name
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(b"a,b\n1,2\n")
    assert open_source(path, "b").name == run


def test_the_description_is_plain_json(house_file: Path, write_pair) -> None:
    described = json.loads(json.dumps(open_source(str(house_file), "price").describe()))
    assert (
        described["kind"] == "csv" and described["rows"] == 200 and described["target"] == "price" and described["shape"] == [8]
    )
    assert described["path"] == str(house_file) and described["files"][0]["bytes"] == house_file.stat().st_size
    assert len(described["files"][0]["sha256"]) == 64
    described = open_source(str(write_pair())).describe()
    assert described["shape"] == [4, 4] and [len(file["sha256"]) for file in described["files"]] == [64, 64]
    assert open_source("digits").describe()["files"] == []


def test_predicting_gives_the_features_of_training(house_file: Path, write_csv) -> None:
    prepared = prepare(open_source(str(house_file), "price"))
    preparation = Preparation.from_json(json.loads(json.dumps(prepared.preparation.to_json())))
    whole = apply(preparation, house_file)
    assert whole.shape == (200, 13)
    assert {row.tobytes() for row in prepared.test[0]} <= {row.tobytes() for row in whole}
    without = "\n".join(",".join(line.split(",")[1:6] + line.split(",")[7:]) for line in house_file.read_text().splitlines())
    np.testing.assert_array_equal(apply(preparation, write_csv(without)), whole)
    one = write_csv("rooms,age,place,sold,grade\n3,,west,soon,\n")
    assert apply(preparation, one)[0, 3:7].tolist() == [0, 0, 0, 0]


def test_predicting_images_with_and_without_labels(write_pair) -> None:
    folder = write_pair(rows=60)
    preparation = prepare(open_source(str(folder))).preparation
    whole = apply(preparation, folder)
    (folder / "train-labels-idx1-ubyte").unlink()
    np.testing.assert_array_equal(apply(preparation, str(folder / "train-images-idx3-ubyte")), whole)
    with pytest.raises(
        DataError, match=re.escape("digits holds an array of shape (1797, 8, 8), but the run was trained on images (N, 4, 4)")
    ):
        apply(preparation, "digits")


def test_predicting_from_the_other_kind_of_file(house_file: Path, write_pair) -> None:
    numbers = prepare(open_source(str(house_file), "price")).preparation
    images = prepare(open_source("digits")).preparation
    with pytest.raises(DataError, match="holds images, but the run was trained on a table"):
        apply(numbers, write_pair())
    with pytest.raises(DataError, match="holds a table, but the run was trained on images"):
        apply(images, house_file)


def test_no_such_file_names_the_nearest(tmp_path: Path) -> None:
    (tmp_path / "train.csv").touch()
    refused(f"tain.csv does not exist in {tmp_path}; did you mean 'train.csv'?", tmp_path / "tain.csv")
    refused(f"zzz does not exist in {tmp_path}", tmp_path / "zzz")
    refused(f"does not exist: there is no folder {tmp_path / 'away'}", tmp_path / "away" / "train.csv")
    refused("does not exist", "x" * 5000)
    refused("does not exist", "a\0b")


def test_a_misspelled_digits(monkeypatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    refused("digit does not exist in", "digit")
    refused("did you mean 'digits'?", "digit")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_neither_file_nor_folder(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    refused("is neither a file nor a folder; expected 'digits', a CSV, an IDX file or a folder of IDX files", tmp_path / "pipe")


def test_a_file_that_may_not_be_read(tmp_path: Path, monkeypatch) -> None:
    (tmp_path / "train.csv").write_text("a,b\n1,2\n")
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    refused("train.csv may not be read (no permission)", tmp_path / "train.csv")


def test_a_folder_without_idx_files(tmp_path: Path) -> None:
    refused("holds no IDX files (X-images-idx3-ubyte and X-labels-idx1-ubyte, .gz or not)", tmp_path)
    (tmp_path / "b.csv").touch()
    refused(f"; for a CSV write its name: {tmp_path / 'b.csv'}", tmp_path)


def test_a_target_is_needed_and_must_be_there(house_file: Path) -> None:
    refused("needs a column to learn: --target COLUMN; its columns are id, rooms, age", house_file)
    refused("has no column 'Prize'; did you mean 'price'? (its columns are id, rooms,", house_file, "Prize")


def test_many_columns_are_not_all_listed(write_csv) -> None:
    pytest.importorskip("pandas")
    names = ",".join(f"c{place}" for place in range(50))
    refused("c19 and 30 more", write_csv(f"{names}\n{names}\n"))


def test_a_target_is_not_for_images(write_pair) -> None:
    refused("digits has labels of its own; a target column ('y') is for a CSV: leave --target out", "digits", "y")
    refused("has labels of its own", write_pair(), "y")


def test_the_kind_of_a_file_without_a_telling_name(tmp_path: Path, write_csv) -> None:
    pytest.importorskip("pandas")
    assert open_source(str(write_csv("a,b\n1,2\n", "table.data")), "b").kind == "csv"
    (tmp_path / "pictures").write_bytes(b"\0\0\x08\x01\0\0\0\x01x")
    refused("images without labels", tmp_path / "pictures")
    (tmp_path / "a.gz").write_bytes(b"plain")
    refused("images without labels", tmp_path / "a.gz")
    (tmp_path / "a.csv.gz").write_bytes(gzip.compress(b"a,b\n1,2\n"))
    refused("is not a CSV: it is gzip data; unpack it first", tmp_path / "a.csv.gz", "a")


def test_how_a_table_was_read_is_said(write_csv) -> None:
    pytest.importorskip("pandas")
    text = "类;b\n" + "".join(f"{'甲乙'[row % 2]};{row * 1.5}\n" for row in range(40))
    assert open_source(str(write_csv(text.encode("gbk"))), "类").notes == [
        "train.csv was read as GBK, as it is not UTF-8.",
        "The columns of train.csv are separated by ';'.",
    ]


def table_of(rows: int, target) -> str:
    return "x,y\n" + "".join(f"{row * row + 0.5},{target(row)}\n" for row in range(rows))


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (table_of(24, lambda row: row % 2), "24 rows are too few to train, validate and test; at least 25 are needed"),
        (table_of(60, lambda row: "?"), "the target 'y' is missing in all 60 rows; choose another column"),
        (table_of(60, lambda row: 7), "the target 'y' has one value only ('7' in all 60 rows); nothing to learn"),
        (table_of(60, lambda row: f"n{row}"), "the target 'y' has 60 different texts in 60 rows; classes must repeat"),
    ],
)
def test_targets_that_cannot_be_learned(write_csv, content: str, text: str) -> None:
    pytest.importorskip("pandas")
    source = open_source(str(write_csv(content)), "y")
    with pytest.raises(DataError, match=re.escape(text)):
        prepare(source)


def test_rows_without_a_target_are_left_out(write_csv) -> None:
    pytest.importorskip("pandas")
    prepared = prepare(open_source(str(write_csv(table_of(100, lambda row: "" if row % 10 == 0 else row * 1.25))), "y"))
    assert "10 rows without a target are left out." in prepared.notes
    assert sum(len(part[0]) for part in (prepared.train, prepared.validation, prepared.test)) == 90


def test_a_class_with_one_row_is_said(write_csv) -> None:
    pytest.importorskip("pandas")
    prepared = prepare(open_source(str(write_csv(table_of(60, lambda row: "rare" if row == 5 else "ab"[row % 2]))), "y"))
    assert prepared.notes[-1] == "Classes with a single row are in the training part only: rare."


def test_unknown_options() -> None:
    source = open_source("digits")
    with pytest.raises(DataError, match="task 'rank' is unknown; choose one of auto, classification, regression"):
        prepare(source, task="rank")
    with pytest.raises(DataError, match="scale 'log' is unknown; choose one of standard, minmax, none"):
        prepare(source, scale="log")


def test_california_housing(shared: Path) -> None:
    pytest.importorskip("pandas")
    prepared = prepare(open_source(str(shared / "data" / "california_housing.csv"), "median_house_value"))
    assert prepared.task == "regression" and len(prepared.test[1]) == 4128 and prepared.train[0].shape == (14861, 14)
    assert "total_bedrooms is missing" in prepared.feature_names and "ocean_proximity=INLAND" in prepared.feature_names
    x, y = (part.astype(np.float64) for part in prepared.train)
    solution = np.linalg.lstsq(np.column_stack([x, np.ones(len(x))]), y, rcond=None)[0]
    x, y = (part.astype(np.float64) for part in prepared.test)
    error = np.sqrt(np.mean((np.column_stack([x, np.ones(len(x))]) @ solution - y) ** 2))
    assert error * prepared.preparation.to_json()["target"]["deviation"] < 72_000  # least squares on the raw columns: 68,690


def test_mnist(shared: Path) -> None:
    source = open_source(str(shared / "data"))
    prepared = prepare(source)
    assert [x.shape for x, _ in (prepared.train, prepared.validation, prepared.test)] == [(7200, 784), (800, 784), (2000, 784)]
    assert prepared.classes == list("0123456789")
    assert len(apply(prepared.preparation, shared / "data" / "mnist-t10k-images-idx3-ubyte.gz")) == 10000
