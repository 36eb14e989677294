"""An error in the data names the user's line that recorded the operation, wherever the program ran at last, in both languages."""

from __future__ import annotations

import inspect

import pytest

import danlu
from danlu import AxisError, nn
from danlu.config import config
from danlu.nn import functional as F
from danlu.ops import TABLE
from danlu.ops.linear_algebra import LinAlgError

table = danlu.arange(6).float().reshape(2, 3)
WRONG = danlu.tensor([0, 5])


def here(back: int) -> int:
    """The number of the line so many lines above the caller's."""
    return inspect.currentframe().f_back.f_lineno - back


def expected(line: int, code: str) -> str:
    return f'  File "{__file__}", line {line}\n    {code}'


@pytest.fixture(params=["compiled", "references"], autouse=True)
def how(request, monkeypatch):
    """Every case with compiled programs and with the NumPy references."""
    monkeypatch.setattr(config, "optimize", request.param == "compiled")


@pytest.fixture(params=["en", "zh"])
def language(request):
    danlu.set_language(request.param)
    yield request.param
    danlu.set_language("en")


def test_an_index_that_is_read_later(language):
    rows = table[WRONG]
    line = here(1)
    total = (rows * 2 + 1).sum()
    with pytest.raises(AxisError) as caught:
        total.item()
    problem, *place = str(caught.value).splitlines()
    assert "\n".join(place) == expected(line, "rows = table[WRONG]")
    assert (
        problem
        == {
            "en": "index 5 is out of range for an axis of size 2; expected -2 … 1; recorded at",
            "zh": "下标 5 越界：轴的大小为 2；应为 -2 … 1 之一；它记录在",
        }[language]
    )


def test_an_index_that_is_read_at_once(language):
    with pytest.raises(AxisError) as caught:
        table[WRONG].tolist()
    assert str(caught.value).endswith(expected(here(1), "table[WRONG].tolist()"))
    assert ("越界" in str(caught.value)) == (language == "zh")


def test_a_singular_matrix_that_is_read_later(language):
    inverse = danlu.linalg.inv(danlu.zeros(2, 2))
    line = here(1)
    with pytest.raises(
        LinAlgError, match={"en": "singular matrix. No inverse", "zh": "矩阵奇异。逆矩阵不存在"}[language]
    ) as caught:
        (inverse @ inverse).tolist()
    assert str(caught.value).endswith(expected(line, "inverse = danlu.linalg.inv(danlu.zeros(2, 2))"))


def test_a_singular_matrix_that_is_read_at_once(language):
    with pytest.raises(LinAlgError) as caught:
        danlu.linalg.solve(danlu.zeros(2, 2), danlu.ones(2)).tolist()
    assert str(caught.value).endswith(expected(here(1), "danlu.linalg.solve(danlu.zeros(2, 2), danlu.ones(2)).tolist()"))
    assert ("矩阵奇异" in str(caught.value)) == (language == "zh")


def test_a_label_out_of_range_in_a_step_of_training():
    """The loss is fused with forward pass, backward pass and update into one program; the line is that of the loss all the same."""
    model = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2))
    optimizer = danlu.optim.SGD(model.parameters(), lr=0.1)
    before = model[0].weight.tolist()
    loss = F.cross_entropy(model(table), danlu.tensor([0, 2]))
    line = here(1)
    loss.backward()
    with pytest.raises(AxisError, match="class 2 of the target is out of range: the input has 2 classes") as caught:
        optimizer.step()
        model[0].weight.tolist()
    assert str(caught.value).endswith(expected(line, "loss = F.cross_entropy(model(table), danlu.tensor([0, 2]))"))
    assert model[0].weight.tolist() == before


def test_the_target_of_a_loss_that_nobody_holds():
    """Nothing reads the loss, and its gradient alone would not meet the missing class."""
    w = danlu.ones(3, 2, requires_grad=True)
    for label in (1, 0, 1, 2):  # recorded, recorded again, foreseen
        F.cross_entropy(table @ w, danlu.tensor([0, label])).backward()
        if label < 2:
            assert w.grad.shape == (3, 2) and w.grad.isfinite().all()
            w.grad = None
    with pytest.raises(AxisError, match="class 2 of the target is out of range"):
        w.grad.numpy()


class Words(nn.Module):
    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(3, 2)

    def forward(self, x):
        return self.embedding(x).sum(0)


def test_the_line_of_a_model_is_the_innermost_of_the_users():
    out = Words()(danlu.tensor([1, 3]))
    with pytest.raises(AxisError) as caught:
        out.tolist()
    line = Words.forward.__code__.co_firstlineno + 1
    assert str(caught.value).endswith(expected(line, "return self.embedding(x).sum(0)"))


def test_of_several_lines_the_one_that_fails_is_named():
    good = table[danlu.tensor([0, 1])]
    bad = table.gather(1, danlu.tensor([[0, 4]]))
    line = here(1)
    also_good = table.gather(1, danlu.tensor([[0, 2]]))
    with pytest.raises(AxisError) as caught:
        (good.sum() + bad.sum() + also_good.sum()).item()
    assert str(caught.value) == (
        "index 4 is out of range for an axis of size 3; expected -3 … 2; recorded at\n"
        + expected(line, "bad = table.gather(1, danlu.tensor([[0, 4]]))")
    )


def test_message_and_line_belong_together_where_two_fail():
    one, two = table[danlu.tensor([0, 8])], table[danlu.tensor([9, 0])]
    other = table.gather(1, danlu.tensor([[7, 0]]))
    with pytest.raises(AxisError) as caught:
        (one + two + other.sum()).tolist()
    text = str(caught.value)
    assert ("index 7" in text) == ("table.gather" in text) and text.count("File") == 1


def test_operations_of_one_line_are_told_apart():
    """A word that the table has not, and a class that there is not: each in its own words."""
    words, classes = nn.Embedding(3, 2), danlu.tensor([0, 1])
    fine = F.cross_entropy(words(danlu.tensor([0, 2])), classes)
    assert fine.item() > 0
    with pytest.raises(AxisError, match=r"^class 5 of the target is out of range: the input has 2 classes"):
        F.cross_entropy(words(danlu.tensor([0, 2])), classes * 5).item()
    with pytest.raises(AxisError, match=r"^embedding: index 7 is out of range: the table has 3 rows"):
        F.cross_entropy(words(danlu.tensor([0, 7])), classes).item()


def test_what_nobody_reads_is_not_blamed():
    unused = table.gather(1, danlu.tensor([[0, 8]]))
    del unused
    bad = table[danlu.tensor([0, 9])]
    with pytest.raises(AxisError, match=r"(?s)index 9 .*bad = table"):
        bad.tolist()


def test_the_line_is_known_when_a_value_is_read_again():
    bad = table[WRONG]
    later = bad + 1
    for _ in range(2):
        with pytest.raises(AxisError, match=r"(?s)index 5 .*bad = table"):
            later.tolist()


def test_a_value_of_an_earlier_program_fails_with_its_line():
    weight = danlu.ones(2, 3, requires_grad=True)
    kept = weight * 2
    kept.tolist()
    bad = kept[WRONG] + table[danlu.tensor([1, 0])]
    line = here(1)
    with pytest.raises(AxisError) as caught:
        bad.sum().backward()
        weight.grad.tolist()
    assert str(caught.value).endswith(expected(line, "bad = kept[WRONG] + table[danlu.tensor([1, 0])]"))


def test_code_without_a_file_has_its_number_alone():
    with pytest.raises(AxisError) as caught:
        exec(compile("\n\ntable[WRONG].tolist()", "<typed in>", "exec"), {"table": table, "WRONG": WRONG})
    assert str(caught.value).endswith('recorded at\n  File "<typed in>", line 3')


def test_an_index_that_python_knows_is_refused_on_its_line_and_needs_no_other():
    with pytest.raises(AxisError) as caught:
        table[5]
    assert "recorded at" not in str(caught.value)
    assert caught.traceback[-1].path.name != "engine.py" and caught.traceback[0].lineno + 1 == here(2)


@pytest.mark.parametrize(
    ("record", "noted"),
    [
        (lambda: table + 1, False),
        (lambda: table.sort(0)[0], False),
        (lambda: table @ table.mT, False),
        (lambda: F.softmax(table, 1), False),
        (lambda: table[WRONG], True),
        (lambda: F.cross_entropy(table, WRONG), True),
        (lambda: danlu.linalg.inv(table[:, :2]), True),
    ],
)
def test_only_operations_that_can_fail_are_noted(record, noted):
    value = record()._storage.value
    assert (value.note is not None and value.note.line is not None) == noted


def test_the_families_that_check_their_data():
    fallible = {name for name, op in TABLE.items() if op.blamed and op.family != "composite"}
    assert {"take", "take_along", "index_add", "scatter_add", "inv", "cholesky", "svd"} <= fallible
    assert not fallible & {"add", "matmul", "sum", "sort", "reshape"}
