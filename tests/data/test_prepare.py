"""Preparation: what each kind of column becomes, training statistics alone, targets, and JSON there and back."""

from __future__ import annotations

import copy
import json
import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from danlu.data.columns import CategoryColumn, DateColumn, NumberColumn, as_numbers, infer
from danlu.data.prepare import ImagePreparation, Preparation, TablePreparation
from danlu.data.table import Table
from danlu.data.target import ClassTarget, NumberTarget, infer_task
from danlu.errors import DataError

TARGET = NumberTarget("y", 0.0, 1.0)


def objects(*values: object) -> np.ndarray:
    return np.array(values, dtype=object)


def table(**columns: object) -> Table:
    arrays = {name: value if isinstance(value, np.ndarray) else np.array(value) for name, value in columns.items()}
    return Table(Path("made.csv"), arrays, np.arange(2, 2 + len(next(iter(arrays.values())))))


def features(values: np.ndarray, scale: str = "standard", name: str = "x") -> np.ndarray:
    column = infer(name, values, scale).column
    assert column is not None
    return column.transform(values)


def test_a_number_is_standardised() -> None:
    values = np.array([1.0, 2.0, 3.0, 6.0])
    np.testing.assert_allclose(features(values)[:, 0], (values - 3) / np.std(values))


def test_a_number_between_minimum_and_maximum() -> None:
    np.testing.assert_allclose(features(np.array([1.0, 2.0, 5.0]), "minmax")[:, 0], [0, 0.25, 1])


def test_a_number_as_it_is() -> None:
    np.testing.assert_array_equal(features(np.array([1.0, 2.0, np.nan, 6.0]), "none"), [[1, 0], [2, 0], [3, 1], [6, 0]])


def test_missing_numbers_are_the_training_mean_with_an_indicator() -> None:
    column = infer("x", np.array([1.0, np.nan, 5.0]), "standard").column
    assert column is not None and column.feature_names == ["x", "x is missing"]
    np.testing.assert_allclose(column.transform(np.array([np.nan, 3.0, np.inf])), [[0, 1], [0, 0], [0, 1]], atol=1e-12)


def test_what_is_missing_at_prediction_only_has_no_indicator() -> None:
    column = infer("x", np.array([1.0, 2.0, 6.0]), "none").column
    assert column is not None and column.feature_names == ["x"]
    np.testing.assert_allclose(column.transform(objects("word", None, "4"))[:, 0], [3, 3, 4])


def test_a_long_tail_is_taken_as_logarithm_under_standard_alone() -> None:
    values = np.exp(np.random.default_rng(0).normal(5, 1.5, 500))
    plain = infer("x", values, "minmax").column
    assert isinstance(plain, NumberColumn) and plain.scaling.unit is None
    column = infer("x", values, "standard").column
    assert isinstance(column, NumberColumn) and column.scaling.unit == np.median(values)
    bent = np.log1p(values / np.median(values))
    np.testing.assert_allclose(column.transform(values)[:, 0], (bent - bent.mean()) / bent.std())
    np.testing.assert_allclose(column.transform(np.array([-3.0])), column.transform(np.array([0.0])))


@pytest.mark.parametrize("values", [-np.exp(np.arange(9.0)), np.arange(50.0) + 0.5, np.arange(50) % 10 == 0])
def test_numbers_that_a_logarithm_does_not_help_are_left_as_they_are(values: np.ndarray) -> None:
    column = infer("x", values, "standard").column
    assert isinstance(column, NumberColumn) and column.scaling.unit is None


def test_the_logarithm_does_not_depend_on_the_unit_of_measure() -> None:
    values = np.exp(np.random.default_rng(0).normal(0, 2, 300))
    np.testing.assert_allclose(features(values), features(values * 1e-6), atol=1e-9)


def test_true_and_false_are_one_number() -> None:
    np.testing.assert_array_equal(features(np.array([True, False, True]), "none"), [[1], [0], [1]])
    np.testing.assert_array_equal(features(objects(True, None, False), "none"), [[1, 0], [0.5, 1], [0, 0]])


def test_categories_have_a_feature_each_and_one_for_missing() -> None:
    column = infer("c", objects("b", "a", None, "b", "b"), "standard").column
    assert column is not None and column.feature_names == ["c=a", "c=b", "c is missing"]
    np.testing.assert_array_equal(
        column.transform(objects("a", "unseen", None, "b")), [[1, 0, 0], [0, 0, 0], [0, 0, 1], [0, 1, 0]]
    )


def test_missing_without_training_is_all_zeros() -> None:
    column = infer("c", objects("b", "a", "a", "b"), "standard").column
    assert column is not None
    np.testing.assert_array_equal(column.transform(objects(None)), [[0, 0]])


def test_levels_that_are_numbers_are_found_in_any_type() -> None:
    column = infer("shop_id", np.array([1, 1, 2, 2, 3, 3]), "standard").column
    assert isinstance(column, CategoryColumn)
    for values in (np.array([1, 3]), np.array([1.0, 3.0]), objects("1", "3")):
        np.testing.assert_array_equal(column.transform(values), [[1, 0, 0], [0, 0, 1]])


def test_the_most_frequent_hundred_levels() -> None:
    values = objects(*[f"l{place:03d}" for place in range(130)] * 3 + [f"l{place:03d}" for place in range(100)])
    finding = infer("c", values, "standard")
    assert isinstance(finding.column, CategoryColumn) and finding.column.levels == [f"l{place:03d}" for place in range(100)]
    assert finding.note == "Column 'c' has 130 different texts: the 100 most frequent have a feature each."


def test_one_value_or_none_is_told_apart() -> None:
    column = infer("c", objects("x", None, "x", None), "standard").column
    assert column is not None and column.feature_names == ["c=x", "c is missing"]


def test_dates_become_the_parts_that_vary() -> None:
    column = infer("day", objects("2024-03-05", "2024/4/6", None, "2024年12月31日"), "none").column
    assert isinstance(column, DateColumn)
    assert column.feature_names == ["day month", "day month is missing", "day day", "day weekday"]
    np.testing.assert_allclose(column.transform(objects("2024-03-05", "no date")), [[3, 0, 5, 1], [19 / 3, 1, 14, 7 / 3]])


def test_times_of_a_date() -> None:
    column = infer("t", objects("2024-03-05T07:30:00Z", "2024-03-05 23:10", "2024-03-05 25:00"), "none").column
    assert column is None or "t hour" in column.feature_names
    column = infer("t", objects(*["2024-03-05T07:30:00Z", "2024-03-05 23:10"] * 3), "none").column
    assert column is not None and column.feature_names == ["t hour"]


def test_a_few_words_among_numbers_count_as_missing() -> None:
    finding = infer("x", objects(*[str(place * 3) for place in range(99)], "high"), "none")
    assert finding.column is not None and finding.column.feature_names == ["x", "x is missing"]
    assert finding.note == "Column 'x' holds numbers and 1 words in the training rows: the words count as missing."


@pytest.mark.parametrize(
    ("name", "values", "reason"),
    [
        ("c", objects("a", "a"), "it is 'a' in every training row"),
        ("c", np.array([5, 5]), "it is '5' in every training row"),
        ("c", objects(None, None), "it holds no value in the training rows"),
        ("c", np.array([np.nan, np.nan]), "it holds no value in the training rows"),
        ("c", np.array([1e-200, 2e-200]), "its numbers are all the same in the training rows"),
        ("PassengerId", np.array([8, 3, 5, 900]), "it is an id (4 different numbers in 4 rows)"),
        ("row", np.arange(40)[::-1], "it counts the rows, like an index"),
        ("order_id", np.arange(40) * 3 // 4, "it is an id (30 different numbers in 40 rows)"),
        ("用户编号", np.arange(40) * 1000, "it is an id (40 different numbers in 40 rows)"),
        (
            "code",
            objects(*[f"K-{place}" for place in range(40)]),
            "it looks like an id or a name (40 different texts in 40 rows)",
        ),
        (
            "text",
            objects(*[f"a long story of number {place}" for place in range(30)] * 2, "and one more story"),
            "it looks like free text (31 different texts in 61 rows)",
        ),
        ("d", objects(*["2024-03-05", "2024/03/05"] * 2), "it is one date in every training row"),
    ],
)
def test_what_is_left_out(name: str, values: np.ndarray, reason: str) -> None:
    finding = infer(name, values, "standard")
    assert finding.column is None and finding.reason == reason


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("year", np.arange(1950, 2020)),
        ("population", np.arange(30) ** 2 + 7),
        ("width", np.arange(30) / 7),
        ("paid", np.arange(30) % 5),
        ("balance", np.arange(40) - 500),
        ("humid", np.arange(40) * 11),
    ],
)
def test_numbers_that_are_no_ids(name: str, values: np.ndarray) -> None:
    assert isinstance(infer(name, values, "standard").column, NumberColumn)


def test_what_is_no_number() -> None:
    made = as_numbers(objects("1_000", "1e3", "inf", "", "0x10", None, False))
    np.testing.assert_array_equal(made, [np.nan, 1000, np.nan, np.nan, np.nan, np.nan, 0])


def test_a_table_is_prepared_from_training_rows_alone() -> None:
    rows = table(a=[1.0, 2.0, 3.0, 100.5], c=objects("p", "q", "p", "new"), y=[1, 2, 3, 4])
    preparation, notes = TablePreparation.fit(rows.take(np.arange(3)), TARGET, "minmax")
    assert preparation.feature_names == ["a", "c=p", "c=q"] and notes == []
    made = preparation.transform(rows)
    assert made.dtype == np.float32
    np.testing.assert_allclose(made, [[0, 1, 0], [0.5, 0, 1], [1, 1, 0], [49.75, 0, 0]])


def test_notes_say_what_is_left_out_and_bent() -> None:
    tail = np.exp(np.random.default_rng(0).normal(5, 1.5, 40))
    preparation, notes = TablePreparation.fit(table(id=np.arange(40), tail=tail, y=np.arange(40)), TARGET, "standard")
    assert notes == [
        "Column 'id' is left out: it is an id (40 different numbers in 40 rows).",
        "The logarithm is taken of numbers with a long upper tail: 'tail'.",
    ]
    assert preparation.left_out == {"id": "it is an id (40 different numbers in 40 rows)"}


def test_no_column_is_left() -> None:
    with pytest.raises(
        DataError, match=re.escape("made.csv has no column to learn 'y' from ('c': it is '1' in every training row)")
    ):
        TablePreparation.fit(table(c=[1, 1], y=[1, 2]), TARGET, "standard")
    with pytest.raises(DataError, match=re.escape("made.csv has no column to learn 'y' from (the target is the only one)")):
        TablePreparation.fit(table(y=[1, 2]), TARGET, "standard")


def test_missing_columns_are_named_with_the_nearest() -> None:
    preparation, _ = TablePreparation.fit(table(rooms=[1.0, 2.5], age=[3.0, 4.5], y=[1, 2]), TARGET, "standard")
    with pytest.raises(DataError, match=re.escape("f.csv lacks the column 'rooms' (nearest there: 'roms'), which the run")):
        preparation.transform(table(roms=[1.0], age=[2.0]), "f.csv")
    with pytest.raises(DataError, match="lacks the columns 'rooms', 'age', which the run was trained on"):
        preparation.transform(table(x=[1.0]))


def test_huge_numbers_stay_within_float32() -> None:
    preparation, _ = TablePreparation.fit(table(x=[1.0, 2.0, 4.0], y=[1, 2, 3]), TARGET, "none")
    assert np.isfinite(preparation.transform(table(x=[1e149, -1e149, 1e300]))).all()


def test_images_have_one_scaling() -> None:
    images = np.random.default_rng(0).integers(0, 256, (2500, 3, 2)).astype(np.uint8)
    target = ClassTarget("label", ["0", "1"])
    made = ImagePreparation.fit(images, target, "standard").transform(images)
    assert made.dtype == np.float32 and made.shape == (2500, 6)
    np.testing.assert_allclose(made, (images.reshape(2500, 6) - images.mean()) / images.std(), rtol=1e-5, atol=1e-6)
    exact = images.astype(np.int32) + 2**26
    made = ImagePreparation.fit(exact, target, "standard").transform(exact)
    np.testing.assert_allclose(made, (images.reshape(2500, 6) - images.mean()) / images.std(), rtol=1e-5, atol=1e-6)
    made = ImagePreparation.fit(images, target, "minmax").transform(images)
    np.testing.assert_allclose(made, images.reshape(2500, 6) / 255.0, rtol=1e-6)
    made = ImagePreparation.fit(images, target, "none").transform(images.astype(np.int32))
    np.testing.assert_array_equal(made, images.reshape(2500, 6))


def test_images_that_cannot_be_used() -> None:
    target = ClassTarget("label", ["0", "1"])
    preparation = ImagePreparation.fit(np.ones((4, 3, 2), np.uint8), target, "standard")
    for scale in ("standard", "minmax"):
        made = ImagePreparation.fit(np.ones((4, 3, 2), np.uint8), target, scale).transform(np.ones((4, 3, 2), np.uint8))
        assert made.tolist() == np.zeros((4, 6)).tolist()
    assert preparation.feature_names[:3] == ["pixel 0,0", "pixel 0,1", "pixel 1,0"]
    with pytest.raises(
        DataError, match=re.escape("f holds an array of shape (4, 2, 2), but the run was trained on images (N, 3, 2)")
    ):
        preparation.transform(np.ones((4, 2, 2)), "f")
    with pytest.raises(DataError, match="holds a table, but the run was trained on images; give an IDX file of images 3 x 2"):
        preparation.transform(table(x=[1.0]))
    with pytest.raises(DataError, match="the images hold values that are not finite numbers; replace them"):
        ImagePreparation.fit(np.full((4, 3, 2), np.nan, np.float32), target, "standard")
    numbers, _ = TablePreparation.fit(table(x=[1.0, 2.0], y=[1, 2]), TARGET, "none")
    with pytest.raises(DataError, match="holds images, but the run was trained on a table; give a CSV with the same columns"):
        numbers.transform(np.ones((4, 2, 2)))


def test_classes_are_ordered_and_come_back() -> None:
    target = ClassTarget.fit("y", objects("10", "9", "2", "9"))
    assert target.classes == ["2", "9", "10"]
    assert target.transform(np.array([9.0, 10.0])).tolist() == [1, 2]
    assert ClassTarget.fit("y", objects("b", "10", "a")).classes == ["10", "a", "b"]
    assert ClassTarget.fit("y", np.array([True, False])).classes == ["False", "True"]
    assert target.inverse(np.array([2, 0])).tolist() == ["10", "2"]
    with pytest.raises(DataError, match=re.escape("the target 'y' holds '7', which is none of its classes (2, 9, 10)")):
        target.transform(np.array([7]))


def test_a_number_target_is_standardised_and_comes_back() -> None:
    values = np.array([10.0, 20.0, 60.0])
    target = NumberTarget.fit("y", values)
    made = target.transform(values)
    assert made.dtype == np.float32
    np.testing.assert_allclose(made, (values - 30) / values.std(), rtol=1e-6)
    np.testing.assert_allclose(target.inverse(made), values, rtol=1e-6)
    with pytest.raises(DataError, match="the target 'y' is 3 in every training row; there is nothing to learn"):
        NumberTarget.fit("y", np.array([3.0, 3.0]))


@pytest.mark.parametrize(
    ("values", "task"),
    [
        (objects(*["a", "b"] * 20), "classification"),
        (np.array([True, False] * 20), "classification"),
        (objects(*[True, False, None] * 20), "classification"),
        (np.arange(40) % 4, "classification"),
        (np.array([1.0, 2.0, np.nan] * 20), "classification"),
        (np.arange(40) % 21, "regression"),
        (np.arange(40) % 10, "regression"),
        (np.array([0.5, 1.0] * 20), "regression"),
    ],
)
def test_the_task_is_inferred(values: np.ndarray, task: str) -> None:
    assert infer_task("y", values, "auto")[0] == task


def test_a_guessed_task_is_said() -> None:
    assert infer_task("y", np.arange(40) % 4, "auto")[1] == (
        "The target 'y' has 4 different whole numbers: read as classes (task 'regression' reads numbers)."
    )
    assert infer_task("y", np.arange(40) % 4, "regression") == ("regression", "")
    assert infer_task("y", np.arange(40) % 4, "classification") == ("classification", "")


def test_targets_that_cannot_be_learned() -> None:
    with pytest.raises(DataError, match=re.escape("the target 'y' has one value only ('5' in all 2 rows); nothing to learn")):
        infer_task("y", np.array([5.0, np.nan, 5.0]), "auto")
    with pytest.raises(DataError, match="the target 'y' has 40 different texts in 40 rows; classes must repeat: choose another"):
        infer_task("y", objects(*map("n{}".format, range(40))), "auto")
    with pytest.raises(DataError, match="the target 'y' has 40 different numbers in 40 rows; classes must repeat"):
        infer_task("y", np.arange(40), "classification")
    with pytest.raises(DataError, match="the target 'y' holds 'b', which is no number that regression could learn"):
        infer_task("y", objects("1", "b", "1"), "regression")


cells = st.one_of(st.none(), st.booleans(), st.text(max_size=6), st.integers(-5, 5).map(str), st.just("2024-02-03"))
number_columns = st.lists(st.floats(), min_size=30, max_size=30).map(np.array)
column_arrays = st.one_of(number_columns, st.lists(cells, min_size=30, max_size=30).map(lambda row: objects(*row)))


@settings(deadline=None, max_examples=150)
@given(
    columns=st.dictionaries(st.text(max_size=5), column_arrays, min_size=1, max_size=3),
    scale=st.sampled_from(["standard", "minmax", "none"]),
)
def test_any_table_survives_json_bit_by_bit(columns: dict[str, np.ndarray], scale: str) -> None:
    rows = Table(Path("made.csv"), columns, np.arange(30))
    try:
        preparation, _ = TablePreparation.fit(rows.take(np.arange(20)), ClassTarget("target", ["a", "b"]), scale)
    except DataError as problem:
        assert "has no column to learn" in str(problem)
        return
    text = json.dumps(preparation.to_json(), allow_nan=False)
    again = Preparation.from_json(json.loads(text))
    assert again == preparation
    made = preparation.transform(rows)
    assert made.shape == (30, len(preparation.feature_names)) and np.isfinite(made).all()
    np.testing.assert_array_equal(again.transform(rows), made)
    if scale == "standard":
        assert np.abs(made[:20]).max() < 20  # no training value is farther from the mean than √rows deviations


def made_preparation() -> dict:
    rows = table(
        n=[1.0, np.nan, 4.0],
        c=objects("a", "b", "a"),
        d=objects("2024-01-02", "2023-05-06", "2022-01-01"),
        i=objects("u", "u", "u"),
        y=[1, 2, 3],
    )
    return json.loads(json.dumps(TablePreparation.fit(rows, NumberTarget("y", 2.0, 1.0), "standard")[0].to_json()))


@pytest.mark.parametrize(
    ("path", "value", "text"),
    [
        (("format",), "other", "prepare.json: 'format' should be 'danlu.preparation', found 'other'"),
        (("version",), 9, "prepare.json is of version 9, this danlu reads version 1; train again"),
        (("kind",), "sound", "prepare.json: 'kind' should be one of table, image, found 'sound'; the file is damaged"),
        (("scale",), 3, "'scale' should be one of standard, minmax, none, found 3"),
        (("target",), None, "prepare.json: target: expected an object, found None"),
        (("target", "mean"), "x", "prepare.json: target: 'mean' should be a finite number, found 'x'"),
        (("target", "deviation"), 0, "'deviation' should be a number above 0, found 0"),
        (("target",), {"task": "classification", "name": "y", "classes": ["a"]}, "should be a list of two classes or more"),
        (("target",), {"task": "classification", "name": "y", "classes": ["a", "a"]}, "should be a list of different texts"),
        (("columns",), {}, "prepare.json: 'columns' should be a list of objects, found {}"),
        (("columns",), [], "prepare.json: 'columns' should be a list of columns with different names, found []"),
        (("columns", 0), 5, "prepare.json: columns[0]: expected an object, found 5"),
        (("columns", 0, "name"), 5, "columns[0]: 'name' should be a text, found 5"),
        (("columns", 0, "kind"), "x", "columns[0]: 'kind' should be one of number, category, date, found 'x'"),
        (("columns", 0, "divisor"), -1, "columns[0]: 'divisor' should be a number above 0"),
        (("columns", 0, "log_unit"), 0, "columns[0]: 'log_unit' should be a number above 0"),
        (("columns", 0, "shift"), 10**400, "columns[0]: 'shift' should be a finite number, found 1000"),
        (("columns", 0, "shift"), True, "columns[0]: 'shift' should be a finite number, found True"),
        (("columns", 0, "indicator"), 1, "columns[0]: 'indicator' should be true or false, found 1"),
        (("columns", 1, "levels"), [1], "columns[1]: 'levels' should be a list of different texts, found [1]"),
        (("columns", 2, "parts"), {"century": {}}, "'parts' should be an object with some of year, month, day, weekday, hour"),
        (("left_out", "i"), 4, "prepare.json: left_out: 'i' should be a text, found 4"),
    ],
)
def test_damaged_json_names_the_field(path: tuple, value: object, text: str) -> None:
    damaged = made_preparation()
    Preparation.from_json(copy.deepcopy(damaged))
    place = damaged
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = value
    with pytest.raises(DataError, match=re.escape(text)):
        Preparation.from_json(damaged)


def test_every_field_is_needed() -> None:
    for field in made_preparation():
        damaged = made_preparation()
        del damaged[field]
        with pytest.raises(DataError, match=field):
            Preparation.from_json(damaged)
    with pytest.raises(DataError, match=r"other\.json: expected an object, found 3"):
        Preparation.from_json(3, "other.json")


def test_images_survive_json() -> None:
    images = np.random.default_rng(0).integers(0, 17, (30, 4, 4)).astype(np.uint8)
    preparation = ImagePreparation.fit(images, ClassTarget("label", ["0", "1"]), "standard")
    value = json.loads(json.dumps(preparation.to_json(), allow_nan=False))
    assert Preparation.from_json(value) == preparation
    for shape, text in (
        ([4], "should be [height, width]"),
        ([4, 0], "should be a list of whole numbers above 0"),
        ("x", "found 'x'"),
    ):
        with pytest.raises(DataError, match=re.escape(text)):
            Preparation.from_json({**value, "shape": shape})
