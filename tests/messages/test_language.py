"""The language of a message: who chooses it, when it is chosen, and what becomes of values, phrases and warnings."""

from __future__ import annotations

import pickle
import re
import subprocess
import sys

import pytest
from test_surface_messages import REFUSALS
from test_tensor_messages import CASES, raised

import danlu
from danlu import messages
from danlu.errors import AxisError, DanluError, ShapeError, warn
from danlu.messages import Phrase, message

WORD = "language {language!r} is not there; write 'zh' or 'en'"


@pytest.fixture
def chinese():
    """Chinese messages while a test runs."""
    danlu.set_language("zh")
    yield
    danlu.set_language("en")


def test_english_is_the_template_with_its_holes_filled():
    assert str(ShapeError("{left} and {right!r} do not fit", left=(2, 3), right="x")) == "(2, 3) and 'x' do not fit"
    assert str(ShapeError("write {code} or {{}}", code="x{1}")) == "write x{1} or {}"


def test_a_text_without_values_stands_as_it_is():
    assert str(DanluError("f{x} and {}")) == "f{x} and {}"
    assert str(DanluError()) == ""
    assert message("100 % {sure}") == "100 % {sure}"


def test_holes_may_have_any_name():
    assert str(AxisError("{self} {template} {name} {language}", self=1, template=2, name=3, language=4)) == "1 2 3 4"


@pytest.mark.usefixtures("chinese")
def test_the_language_is_that_of_the_moment_of_raising():
    error = ShapeError(WORD, language="fr")
    danlu.set_language("en")
    assert str(error) == "没有 'fr' 这种语言；请写 'zh' 或 'en'"
    assert str(ShapeError(WORD, language="fr")) == "language 'fr' is not there; write 'zh' or 'en'"


@pytest.mark.usefixtures("chinese")
def test_a_phrase_is_translated_where_it_fills_a_hole():
    hint = Phrase(WORD, language="fr")
    chinese_hint = "没有 'fr' 这种语言；请写 'zh' 或 'en'"
    assert message("<{hint}> {hint!r}", hint=hint) == f"<{chinese_hint}> {chinese_hint!r}"
    danlu.set_language("en")
    assert str(ShapeError(hint)) == str(hint) == "language 'fr' is not there; write 'zh' or 'en'"


@pytest.mark.usefixtures("chinese")
def test_an_error_survives_a_pickle_in_its_language():
    again = pickle.loads(pickle.dumps(ShapeError(WORD, language="{x}")))
    danlu.set_language("en")
    assert type(again) is ShapeError and str(again) == "没有 '{x}' 这种语言；请写 'zh' 或 'en'"


@pytest.mark.usefixtures("chinese")
def test_a_warning_is_translated_and_points_at_the_caller():
    with pytest.warns(UserWarning, match="没有 'de' 这种语言") as seen:
        warn(WORD, UserWarning, 1, language="de")
    assert seen[0].filename == __file__


def test_an_unknown_language_is_refused():
    with pytest.raises(ValueError, match="language 'fr' is not there; write 'zh' or 'en'"):
        danlu.set_language("fr")
    assert messages.language() == "en"


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({}, "en"),
        ({"DANLU_LANG": "zh"}, "zh"),
        ({"DANLU_LANG": "en", "LANG": "zh_CN.UTF-8"}, "en"),
        ({"LANG": "zh_CN.UTF-8"}, "zh"),
        ({"LANG": "en_US.UTF-8"}, "en"),
        ({"LC_MESSAGES": "zh_TW.UTF-8", "LANG": "en_US.UTF-8"}, "zh"),
        ({"LC_ALL": "C.UTF-8", "LANG": "zh_CN.UTF-8"}, "en"),
        ({"LC_ALL": "", "LANG": "zh_CN.UTF-8"}, "zh"),
    ],
)
def test_the_environment_chooses(monkeypatch, environment, expected):
    for name in ("DANLU_LANG", "LC_ALL", "LC_MESSAGES", "LANG"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    danlu.set_language()
    try:
        assert messages.language() == expected
    finally:
        danlu.set_language("en")


def test_a_wrong_variable_is_named_in_chinese_when_danlu_is_imported(monkeypatch):
    monkeypatch.setenv("DANLU_LANG", "zh")
    monkeypatch.setenv("DANLU_NUM_THREADS", "many")
    done = subprocess.run([sys.executable, "-X", "utf8", "-c", "import danlu"], capture_output=True, encoding="utf-8", timeout=60)
    assert "DANLU_NUM_THREADS='many' 不是整数；请写成例如 DANLU_NUM_THREADS=" in done.stderr


def test_import_reads_no_catalogue():
    code = "import danlu; from danlu.messages import chinese; print(chinese.cache_info().currsize)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.stdout.strip() == "0"


@pytest.mark.usefixtures("chinese")
@pytest.mark.parametrize("call", [call for call, _, _ in [*CASES, *REFUSALS]])
def test_the_refusals_of_tensors_speak_chinese(call):
    """The holes are filled, and no English word is left that code does not have."""
    text = str(raised(call)).partition("\n")[0]
    assert re.search("[\u4e00-\u9fff]", text) and not re.search(r"\b(the|of|is|expected|got|write|has|have|must)\b", text)
