"""compare: the four derivatives agree, differences have their V, and the counts grow as the theory says."""

from __future__ import annotations

import string
import subprocess
import sys
from itertools import pairwise
from xml.etree import ElementTree

import numpy as np
import pytest

import danlu
from danlu.errors import DanluError, GradientError
from danlu.teaching.words import LANGUAGES, WORDS, chosen, say


def scalar(x):
    return (x.sin() * x).exp() / (x**2 + 1)


def exact(x):
    """d/dx exp(x sin x) / (x² + 1), by hand."""
    f = np.exp(x * np.sin(x)) / (x**2 + 1)
    return f * (np.sin(x) + x * np.cos(x)) - f * 2 * x / (x**2 + 1)


@pytest.fixture(scope="module")
def one():
    return danlu.autograd.compare(scalar, 1.5, lang="en")


def rows(comparison):
    return {r.method: r for r in comparison.rows}


DATA = np.random.default_rng(0).normal(size=(20, 30))


def many_to_one(w):
    return (danlu.sigmoid(danlu.tensor(DATA[:, : w.shape[0]].astype(np.float32)) @ w) ** 2).mean()


@pytest.fixture(scope="module")
def many():
    """The same loss of 10 and of 30 parameters."""
    return [danlu.autograd.compare(many_to_one, danlu.linspace(-1, 1, n), lang="en") for n in (10, 30)]


def test_all_methods_agree(one):
    for row in one.rows:
        np.testing.assert_allclose(row.value, exact(1.5), rtol=1e-6 if "forward_d" in row.method else 1e-9)
    assert set(rows(one)) == {"symbolic", "central", "forward_difference", "forward", "reverse"}


def test_the_curve_is_a_v(one):
    for column, best in ((1, one.best["central"]), (2, one.best["forward"])):
        errors = {p[0]: p[column] for p in one.curve}
        assert errors[best] == min(errors.values())
        assert errors[best] < 1e-3 * errors[1e-1] and errors[best] < 1e-2 * errors[1e-12]
    assert (len(one.curve), one.curve[0][0], one.curve[-1][0]) == (23, 0.1, 1e-12)


def test_the_best_steps_are_near_those_of_theory(one):
    epsilon = np.finfo(float).eps
    assert epsilon ** (1 / 3) / 30 < one.best["central"] < epsilon ** (1 / 3) * 30
    assert epsilon ** (1 / 2) / 30 < one.best["forward"] < epsilon ** (1 / 2) * 30


def test_forward_grows_with_the_inputs_and_reverse_does_not(many):
    few, more = map(rows, many)
    assert (few["forward"].passes, more["forward"].passes) == (10, 30)
    assert more["forward"].nodes == 3 * few["forward"].nodes
    assert more["reverse"].nodes == few["reverse"].nodes and more["reverse"].passes == 1
    assert more["central"].nodes == 3 * few["central"].nodes and more["central"].passes == 60
    assert more["reverse"].bytes > 0 and more["forward"].bytes == 0
    assert "Reverse is" in str(many[1]) and "many parameters, one loss" in str(many[1])


def test_a_gradient_of_many_parameters(many):
    x = np.linspace(-1, 1, 30)
    data = DATA.astype(np.float32).astype(float)
    s = 1 / (1 + np.exp(-(data @ x)))
    expected = data.T @ (2 * s * s * (1 - s)) / 20
    for row in many[1].rows:
        np.testing.assert_allclose(row.value[0], expected, rtol=1e-5, atol=1e-8, err_msg=row.method)


def test_many_outputs_of_one_input():
    c = danlu.autograd.compare(lambda x: (x * danlu.arange(5)).sin(), danlu.tensor(0.3, dtype=danlu.float64), lang="en")
    found = rows(c)
    assert (found["forward"].passes, found["reverse"].passes) == (1, 5)
    np.testing.assert_allclose(found["forward"].value[:, 0], np.arange(5) * np.cos(0.3 * np.arange(5)), rtol=1e-12)
    np.testing.assert_allclose(found["symbolic"].value, found["forward"].value, rtol=1e-12)
    assert "Forward is" in str(c)
    assert c.cost(1)["forward"] < c.cost(1)["reverse"] and c.cost(c.crossing)["forward"] > c.cost(c.crossing)["reverse"]


def test_counts_of_a_small_graph():
    c = danlu.autograd.compare(lambda x: (x * x).sum(), danlu.ones(8), lang="en")
    assert (c.f.nodes, c.f.operations) == (2, 16)  # 8 products, 8 summands
    assert str(c.formula.data) and "∂f/∂x = 2·x" in str(c)


def test_the_expression_swells(one):
    written = [s.written for s in one.swell]
    shared = [s.shared for s in one.swell]
    assert [s.order for s in one.swell] == [0, 1, 2, 3, 4]
    assert all(b > 3 * a for a, b in pairwise(written))
    assert all(w > 2 * s for w, s in zip(written[1:], shared[1:]))
    assert written[4] / shared[4] > 5 * written[1] / shared[1]


def test_a_formula_that_is_too_long_is_not_written():
    def nested(x):
        for _ in range(12):
            x = x * (1 - x) * 4
        return x

    c = danlu.autograd.compare(nested, 0.3, lang="en")
    assert "not written out" in str(c) and c.rows[0].error < 1e-9
    assert c.swell[1].written > 1e3 * c.swell[1].shared


def test_a_constant_derivative():
    c = danlu.autograd.compare(lambda x: 3 * x, 2.0, lang="en")
    assert "∂f/∂x = 3" in str(c)
    assert [float(r.value[0, 0]) for r in c.rows if r.method in ("symbolic", "forward", "reverse")] == [3.0, 3.0, 3.0]


def test_conditions_follow_x():
    c = danlu.autograd.compare(lambda x: danlu.where(x > 0, x * x, -x).sum(), danlu.tensor([2.0, -1.0]), lang="en")
    np.testing.assert_allclose(c.reference, [[4.0, -1.0]])
    assert "[x > 0]" in str(c)


def test_some_of_very_many():
    c = danlu.autograd.compare(lambda x: (x**3).sum(), danlu.linspace(0, 1, 1000), lang="en")
    assert c.reference.shape == (1, 64) and rows(c)["forward"].passes == 1000
    assert "64 of the 1000 inputs" in str(c)


@pytest.mark.parametrize("lang", LANGUAGES)
def test_files_of_a_comparison(tmp_path, one, lang):
    c = danlu.autograd.compare(scalar, 1.5, lang=lang)
    for suffix in ("svg", "txt", "tex", "html"):
        c.save(tmp_path / f"c.{suffix}")
    c.plot(tmp_path / "p.svg")
    root = ElementTree.fromstring((tmp_path / "c.svg").read_text("utf-8"))
    words = "".join(root.itertext())
    assert say(lang, "compare.curve") in words and say(lang, "compare.cost") in words
    assert sum(e.tag.endswith("polyline") for e in root) == 5
    assert say(lang, "compare.method") in (tmp_path / "c.txt").read_text("utf-8")
    assert (tmp_path / "c.tex").read_text("utf-8") == one.latex()
    ElementTree.fromstring(f"<div>{c._repr_html_()}</div>")


def test_both_languages_have_every_text():
    holes = [(key, *(sorted(set(map(str, _holes(text)))) for text in pair)) for key, pair in WORDS.items()]
    assert [key for key, pair in WORDS.items() if len(pair) != len(LANGUAGES) or not all(pair)] == []
    assert [key for key, english, chinese in holes if english != chinese] == []
    assert [k for k, (_, zh) in WORDS.items() if not any("\u4e00" <= c <= "\u9fff" for c in zh)] == []
    assert chosen("zh") == "zh"


def _holes(text):
    return [name for _, name, _, _ in string.Formatter().parse(text) if name]


class Cut(danlu.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return x * 2

    @staticmethod
    def backward(ctx, g):
        return g * 2


@pytest.mark.parametrize(
    ("f", "x", "error", "text"),
    [
        (
            lambda x: x * 1.0,
            danlu.tensor([1, 2]),
            GradientError,
            "compare: x has dtype int64; only floating numbers have derivatives",
        ),
        (lambda x: 3.0, 1.0, DanluError, "compare: f: expected a tensor, got float; write lambda x: x.sin()"),
        (lambda x: danlu.ones(2), 1.0, GradientError, "compare: the result of f does not depend on x"),
        (lambda x: Cut.apply(x), danlu.ones(2), GradientError, "compare: f calls Cut, whose derivative is Python code"),
    ],
)
def test_messages(f, x, error, text):
    with pytest.raises(error) as caught:
        danlu.autograd.compare(f, x, lang="en")
    assert text in str(caught.value)


def test_import_danlu_does_not_load_the_tools():
    code = "import danlu, sys; print(sorted(m for m in sys.modules if m.startswith('danlu.teaching')))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.strip() == "['danlu.teaching']"
