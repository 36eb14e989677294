"""Figures of merit and baselines against their definitions and against scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest

from danlu.errors import DataError, ShapeError
from danlu.train import baseline, metrics


@pytest.fixture
def generator():
    return np.random.default_rng(0)


def test_accuracy_of_scores_and_of_classes():
    scores = np.array([[0.2, 0.8], [0.9, 0.1], [0.4, 0.6]])
    assert metrics.accuracy(scores, np.array([1, 0, 0])) == pytest.approx(2 / 3)
    assert metrics.accuracy(np.array([1, 0, 1]), np.array([1, 0, 0])) == pytest.approx(2 / 3)


def test_against_scikit_learn(generator):
    reference = pytest.importorskip("sklearn.metrics")
    labels, targets = generator.integers(0, 5, 100), generator.integers(0, 5, 100)
    assert np.array_equal(metrics.confusion_matrix(labels, targets, 5), reference.confusion_matrix(targets, labels))
    predicted, true = generator.normal(size=50).astype(np.float32), generator.normal(size=50)
    assert metrics.mse(predicted[:, None], true) == pytest.approx(reference.mean_squared_error(true, predicted))
    assert metrics.rmse(predicted, true) == pytest.approx(reference.root_mean_squared_error(true, predicted))
    assert metrics.mae(predicted, true[:, None]) == pytest.approx(reference.mean_absolute_error(true, predicted))
    assert metrics.r2(predicted, true) == pytest.approx(reference.r2_score(true, predicted))


def test_r2_of_a_target_that_does_not_vary():
    assert metrics.r2(np.ones(3), np.ones(3)) == 1.0
    assert metrics.r2(np.zeros(3), np.ones(3)) == 0.0


@pytest.mark.parametrize("function", [metrics.accuracy, metrics.mse, metrics.mae, metrics.r2])
@pytest.mark.parametrize(
    ("predictions", "targets"), [(np.zeros(3), np.zeros(2)), (np.zeros(0), np.zeros(0)), (np.zeros((2, 2, 2)), np.zeros(2))]
)
def test_shapes_that_do_not_fit(function, predictions, targets):
    with pytest.raises(ShapeError, match="expected one prediction for each of at least one target"):
        function(predictions, targets)


def test_a_class_beyond_the_matrix():
    with pytest.raises(DataError, match="classes from 0 to 2 do not fit a matrix of 2; classes are 0 to 1"):
        metrics.confusion_matrix(np.array([0, 2]), np.array([0, 1]), 2)


def test_an_unknown_metric_lists_the_names():
    with pytest.raises(DataError, match="unknown metric 'acuracy'; choose from accuracy, mse, rmse, mae, r2"):
        metrics.metric_named("acuracy")


# ---- baselines


def blobs(generator, rows=300, features=4, classes=3):
    y = generator.integers(0, classes, rows)
    return (generator.normal(size=(rows, features)) + 1.5 * np.eye(classes, features)[y]).astype(np.float32), y


def test_logistic_regression_finds_the_optimum(generator):
    linear = pytest.importorskip("sklearn.linear_model")
    x, y = blobs(generator)
    with_ones = np.hstack([x, np.ones((len(x), 1), np.float32)])
    ours = baseline.logistic_regression(with_ones, y, 3)
    reference = linear.LogisticRegression(C=1 / (baseline.RIDGE * len(x)), tol=1e-8, max_iter=1000).fit(x, y)
    ours_probabilities, theirs = baseline.softmax(with_ones @ ours), reference.predict_proba(x)
    assert np.abs(ours_probabilities - theirs).max() < 0.01


def test_logistic_regression_survives_collinear_and_constant_columns(generator):
    x, y = blobs(generator)
    x = np.hstack([x, x[:, :2], np.zeros((len(x), 2), np.float32), np.ones((len(x), 1), np.float32)])
    assert metrics.accuracy(x @ baseline.logistic_regression(x, y, 3), y) > 0.7


def test_least_squares_against_numpy(generator):
    x = np.hstack([generator.normal(size=(100, 3)), np.ones((100, 1))])
    y = x @ np.array([1.0, -2.0, 0.5, 3.0]) + 0.1 * generator.normal(size=100)
    assert np.allclose(baseline.least_squares(x, y), np.linalg.lstsq(x, y, rcond=None)[0], atol=0.01)


def test_baselines_of_classes(generator):
    train, test = blobs(generator), blobs(generator)
    constant, linear = baseline.baselines("classification", train, test, 3, metrics.accuracy)
    majority = np.bincount(train[1]).argmax()
    assert (constant.key, constant.name) == ("majority", "majority class") and constant.score == np.mean(test[1] == majority)
    assert (linear.key, linear.name) == ("linear", "logistic regression") and linear.score > 0.7


def test_baselines_of_values(generator):
    x = generator.normal(size=(200, 2)).astype(np.float32)
    y = (3 * x[:, 0] + 5).astype(np.float32)
    constant, linear = baseline.baselines("regression", (x[:100], y[:100]), (x[100:], y[100:]), 0, metrics.rmse)
    assert constant.key == "mean" and constant.score == pytest.approx(np.sqrt(np.mean((y[100:] - y[:100].mean()) ** 2)), rel=1e-4)
    assert linear.name == "least squares" and linear.score < 0.05


def test_many_rows_are_sampled_and_many_features_left_out(generator, monkeypatch):
    monkeypatch.setattr(baseline, "MAX_ROWS", 100)
    train, test = blobs(generator), blobs(generator)
    assert baseline.baselines("classification", train, test, 3, metrics.accuracy)[1].note == "fitted on 100 of 300 rows"
    monkeypatch.setattr(baseline, "MAX_FEATURES", 3)
    linear = baseline.baselines("classification", train, test, 3, metrics.accuracy)[1]
    assert linear.score is None and linear.note == "left out: 4 features, more than 3"
