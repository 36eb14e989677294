"""Every mistake of the table: the class of the error, its text in both languages, the line that is blamed; and docs/errors.md."""

from __future__ import annotations

import builtins

import errors_page
import pytest
from mistake import Mistake, run
from mistakes import MISTAKES

import danlu

# Where danlu's exception is not one that catches PyTorch's: why.
OTHER_CLASS = {
    "softmax_of_integers": "PyTorch lacks a kernel; here it is a wrong dtype",
    "tensor_of_strings": "a wrong type, as for None",
    "device_cuda": "PyTorch asserts",
    "dataset_without_getitem": "found when the loader is made",
    "tensors_of_other_lengths": "PyTorch asserts",
    "load_empty": "safetensors has an exception of its own",
    "load_cut_off": "safetensors has an exception of its own",
    "load_a_pickle": "pickle has an exception of its own",
    "save_a_lambda": "pickle has an exception of its own",
    "save_arguments_swapped": "a wrong type",
    "singular_matrix": "PyTorch has an exception of its own",
    "not_positive_definite": "PyTorch has an exception of its own",
}
# What danlu says where PyTorch says nothing, and the reverse: what is taken here.
SPOKEN = {m.name for m in MISTAKES if m.torch == "" and m.kind != "result"}
TAKEN = {m.name for m in MISTAKES if m.torch and m.kind == "result"}


@pytest.fixture(params=["en", "zh"])
def language(request):
    danlu.set_language(request.param)
    yield request.param
    danlu.set_language("en")


def each(mistakes: list[Mistake] = MISTAKES) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("mistake", mistakes, ids=lambda m: m.name)


@each()
def test_class_and_text(mistake, language, tmp_path):
    outcome = run(mistake, "danlu", tmp_path)
    assert outcome.kind == mistake.kind, outcome.text
    parts = (*mistake.both, mistake.en if language == "en" else mistake.zh)
    said = outcome.printed if mistake.kind == "result" else outcome.text
    assert [part for part in parts if part not in said] == [], said


@each([m for m in MISTAKES if m.kind != "result"])
def test_the_line(mistake, tmp_path):
    """The learner's last line in the traceback, or the line that the message names when the data was read later."""
    outcome = run(mistake, "danlu", tmp_path)
    named = f'File "{mistake.file}", line {mistake.line}\n    {mistake.code.splitlines()[mistake.line - 1].strip()}'
    assert outcome.line == mistake.line or named in outcome.text


@each([m for m in MISTAKES if m.torch and m.kind not in ("result", "UserWarning")])
def test_what_catches_the_error_of_pytorch_catches_this_one(mistake, tmp_path):
    expected = getattr(builtins, mistake.torch.partition(":")[0], None)
    fits = expected is not None and isinstance(run(mistake, "danlu", tmp_path).error, expected)
    assert fits is (mistake.name not in OTHER_CLASS)


def test_the_table():
    names = [m.name for m in MISTAKES]
    assert len(names) == len(set(names)) >= 80
    for m in MISTAKES:
        compile(m.code, m.file, "exec")
        assert 1 <= m.line <= m.code.count("\n") and (m.kind == "result" or (m.en and m.zh)) and (m.both or m.en)
    assert set(OTHER_CLASS) <= set(names)
    assert {"step_before_backward", "compared_with_nan", "nll_of_probabilities"} <= SPOKEN
    assert {"view_of_transposed", "integer_targets_of_bce", "numpy_given_to_model"} <= TAKEN


def test_the_page_says_what_danlu_says():
    text = errors_page.PAGE.read_text("utf-8")
    again = "python tools/errors_page.py --write"
    assert errors_page.page(errors_page.torch_on_page(text)) == text, f"docs/errors.md is old; {again}"


@pytest.mark.oracle
def test_the_page_says_what_pytorch_says():
    pytest.importorskip("torch")
    on_page = errors_page.torch_on_page(errors_page.PAGE.read_text("utf-8"))
    said = {name: errors_page.shorter(text) for name, text in errors_page.said_by("torch").items()}
    assert on_page == said
    for m in MISTAKES:
        assert said[m.name].startswith(m.torch or ("has no counterpart" if m.torch is None else errors_page.NOTHING))
