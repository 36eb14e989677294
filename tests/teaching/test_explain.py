"""explain: the deltas of back-propagation against NumPy by hand, every line against its numbers, files, names and messages."""

from __future__ import annotations

import re
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
import teaching_pictures

import danlu
from danlu import nn
from danlu.config import config
from danlu.errors import DanluError, GradientError
from danlu.nn import functional as F
from danlu.teaching.expression import evaluate
from danlu.teaching.notation import LONGEST


@pytest.fixture(autouse=True)
def no_compiler(monkeypatch):
    """These graphs run once: the references are faster than compiling them."""
    monkeypatch.setattr(config, "optimize", False)


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


RNG = np.random.default_rng(1)
W1, B1, W2, B2 = RNG.normal(size=(3, 2)), RNG.normal(size=3), RNG.normal(size=(2, 3)), RNG.normal(size=2)
X, Y = np.array([0.5, -1.0]), np.array([1.0, 0.0])


def leaf(array):
    return danlu.tensor(array).requires_grad_()


def two_layers(batch=False):
    """½ Σ (a² − y)² of a two-layer sigmoid network in float64."""
    w1, b1, w2, b2 = map(leaf, (W1, B1, W2, B2))
    x, y = danlu.tensor(X), danlu.tensor(Y)
    if batch:
        a1 = danlu.sigmoid(F.linear(danlu.stack([x, x * 2]), w1, b1))
        a2 = danlu.sigmoid(F.linear(a1, w2, b2))
    else:
        a1 = danlu.sigmoid(w1 @ x + b1)
        a2 = danlu.sigmoid(w2 @ a1 + b2)
    return ((a2 - y) ** 2).sum() / 2


def lines(explanation):
    return {line.text.split(" = ")[0]: line for line in explanation.textbook}


def test_the_deltas_are_those_of_the_textbook():
    explanation = danlu.explain(two_layers(), lang="en")
    assert [line.text for line in explanation.textbook] == [
        "δ² = (a² − y) ⊙ σ′(z²)",
        "∂L/∂b² = δ²",
        "δ¹ = (W²ᵀ δ²) ⊙ σ′(z¹)",
        "∂L/∂b¹ = δ¹",
        "∂L/∂W¹ = δ¹ xᵀ",
        "∂L/∂W² = δ² a¹ᵀ",
    ]
    assert [line.text for line in explanation.functions] == ["σ′(z²) = a² ⊙ (1 − a²)"]


def test_the_numbers_are_those_of_numpy_by_hand():
    found = lines(danlu.explain(two_layers()))
    a1 = sigmoid(W1 @ X + B1)
    a2 = sigmoid(W2 @ a1 + B2)
    delta2 = (a2 - Y) * a2 * (1 - a2)
    delta1 = (W2.T @ delta2) * a1 * (1 - a1)
    expected = {
        "δ²": delta2, "δ¹": delta1, "∂L/∂W²": np.outer(delta2, a1), "∂L/∂W¹": np.outer(delta1, X), "∂L/∂b²": delta2, "∂L/∂b¹": delta1,
    }  # fmt: skip
    assert expected.keys() == found.keys()
    for name, value in expected.items():
        np.testing.assert_allclose(found[name].step.gradient, value, rtol=1e-10, err_msg=name)


def test_a_batch_stands_in_rows():
    found = lines(danlu.explain(two_layers(batch=True)))
    assert [found[k].text for k in ("δ¹", "∂L/∂W²", "∂L/∂b²")] == [
        "δ¹ = (δ² W²) ⊙ σ′(z¹)", "∂L/∂W² = δ²ᵀ a¹", "∂L/∂b² = Σ₀ δ²"
    ]  # fmt: skip


def test_latex_has_the_deltas():
    text = danlu.explain(two_layers(), lang="en").latex()
    assert r"\delta^{1} &= \left({W^{2}}^{\top} \delta^{2}\right) \odot \sigma'\left(z^{1}\right) = \begin{pmatrix}" in text
    assert text.count(r"\begin{aligned}") == text.count(r"\end{aligned}") == 3
    assert text.count("{") == text.count("}")
    assert text.count(r"\left(") == text.count(r"\right)")


W = danlu.tensor([0.3, -0.7, 1.2, 0.4])
TARGET = danlu.tensor([0, 2, 1])


class Square(danlu.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x * x

    @staticmethod
    def backward(ctx, g):
        (x,) = ctx.saved_tensors
        return 2 * x * g


def network(*layers):
    danlu.manual_seed(0)
    return nn.Sequential(*[make() for make in layers])


def three():
    return nn.Linear(4, 3)


def recurrent(w):
    u, h = danlu.linspace(-1, 1, 16).reshape(4, 4).requires_grad_(), danlu.zeros(4)
    for k in range(3):
        h = danlu.tanh(u @ h + w * k)
    return h.sum()


def in_place(w):
    a = w * 2
    a[0] = w[1]
    a += 1
    return (a * a).sum()


LOSSES = {
    "cross entropy": lambda w: F.cross_entropy(network(three, nn.Tanh, lambda: nn.Linear(3, 3))(danlu.stack([w, w * w, w])), TARGET),
    "logits": lambda w: F.binary_cross_entropy_with_logits(network(lambda: nn.Linear(4, 2))(w), danlu.tensor([1.0, 0.0])),
    "probabilities": lambda w: F.binary_cross_entropy(danlu.sigmoid(w), danlu.tensor([1.0, 0.0, 0.0, 1.0])),
    "norm": lambda w: F.mse_loss(network(lambda: nn.Linear(4, 4), nn.GELU, lambda: nn.LayerNorm(4))(w), danlu.ones(4)),
    "softmax": lambda w: (F.softmax(w, 0) * danlu.arange(4)).sum() + F.log_softmax(w, 0)[1],
    "index": lambda w: (w[1:3] ** 2).sum() + w[0] * w[3],
    "where": lambda w: danlu.where(w > 0, w, w * 0.1).sum() + w.max(),
    "several results": lambda w: w.sort().values[2] * w.cumsum(0).sum(),
    "in place": in_place,
    "recurrent": recurrent,
    "function": lambda w: (Square.apply(w) * 3).sum(),
    "twice used": lambda w: (w * w + w).sum() / w.exp().sum(),
    "regression": lambda w: ((danlu.linspace(-1, 1, 12).reshape(3, 4) @ w - danlu.ones(3)) ** 2).mean(),
}  # fmt: skip


@pytest.mark.parametrize("expand", [False, True])
@pytest.mark.parametrize("name", LOSSES)
def test_every_line_says_what_its_numbers_are(name, expand):
    w = W.clone().requires_grad_()
    loss = LOSSES[name](w)
    explanation = danlu.explain(loss, {"w": w}, expand=expand)
    values = explanation.values()
    for step in explanation.steps:
        if step.formula is not None:
            found = np.broadcast_to(evaluate(step.formula, values), step.shape)
            np.testing.assert_allclose(found, step.array, rtol=1e-4, atol=1e-5, err_msg=str(step.letter.data))
    for line in explanation.rules + explanation.textbook:
        found = np.broadcast_to(evaluate(line.expression, values), line.step.shape)
        np.testing.assert_allclose(found, line.step.gradient, rtol=1e-4, atol=1e-5, err_msg=line.text)
    (mine,) = [s for s in explanation.steps if s.name == "w"]
    (g,) = danlu.autograd.grad(loss, w)
    np.testing.assert_allclose(mine.gradient, g.numpy(), rtol=1e-4, atol=1e-5)
    ElementTree.fromstring(explanation.svg())


def test_losses_have_the_textbook_derivative():
    (w,) = [W.clone().requires_grad_()]
    rows = danlu.stack([w, w, w])
    assert lines(danlu.explain(F.cross_entropy(rows @ danlu.eye(4), TARGET)))["∂L/∂θ₁"].expression.shape == (4,)
    text = danlu.explain(LOSSES["cross entropy"](w)).textbook[0].text
    assert text == "δ² = (softmax(z²) − onehot(y)) / 3"
    assert danlu.explain(LOSSES["logits"](w)).textbook[0].text == "δ¹ = (σ(z¹) − y) / 2"


def test_back_propagation_through_time():
    u, v, h = leaf(np.eye(3)), leaf(W1), danlu.zeros(3, dtype=danlu.float64)
    for k in range(3):
        h = danlu.tanh(u @ h + v @ (danlu.tensor(X) * k))
    text = [line.text for line in danlu.explain(h.sum(), {"U": u, "V": v}).textbook]
    assert "δ² = (Uᵀ δ³) ⊙ tanh′(z²)" in text
    assert "∂L/∂U = δ³ a²ᵀ + δ² a¹ᵀ" in text  # the first state is 0


def test_names_of_a_module_and_of_a_dict():
    model = nn.Sequential(nn.Linear(2, 1))
    loss = model(danlu.ones(1, 2)).sum()
    by_module, by_dict = danlu.explain(loss, model), danlu.explain(loss, {"w": model[0].weight})
    assert "W¹ · 0.weight" in by_module.text()
    assert any(line.text.startswith("∂L/∂w = ") for line in by_dict.textbook)


def test_nothing_is_changed():
    w = leaf(W1)
    loss = (w * w).sum()
    danlu.explain(loss)
    assert w.grad is None
    loss.backward()
    np.testing.assert_allclose(w.grad.numpy(), 2 * W1)


def test_a_long_graph_needs_no_recursion():
    w = leaf(np.ones(()))
    h = w
    for _ in range(1200):
        h = h * 1.001
    explanation = danlu.explain(h)
    np.testing.assert_allclose(explanation.textbook[0].step.gradient, 1.001**1200)
    assert len(explanation.text()) > LONGEST


# ---- files ------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("lang", ["en", "zh"])
def test_files_by_suffix(tmp_path, lang):
    explanation = danlu.explain(two_layers(), lang=lang)
    for suffix in ("txt", "tex", "md", "svg", "html"):
        explanation.save(tmp_path / f"e.{suffix}")
    read = {p.suffix: p.read_text("utf-8") for p in tmp_path.iterdir()}
    word = {"en": "node by node", "zh": "反向传播"}[lang]
    assert word in read[".txt"] and word in read[".tex"] and word in read[".md"] and word in read[".html"]
    assert ElementTree.fromstring(read[".svg"]).tag.endswith("svg")
    assert f'<html lang="{lang}">' in read[".html"]
    assert "```mermaid\nflowchart TD" in read[".md"]
    assert {"en": "Computation graph", "zh": "计算图"}[lang] in read[".svg"]


def test_an_unknown_suffix():
    with pytest.raises(DanluError, match=r"save: 'e\.png' ends in '\.png'; expected one of \.txt, \.tex, \.md, \.svg, \.html"):
        danlu.explain(two_layers(), lang="en").save("e.png")


def test_mermaid_is_well_formed():
    explanation = danlu.explain(two_layers())
    head, *body = explanation.mermaid().splitlines()
    assert head == "flowchart TD"
    patterns = [
        r'n\d+\["[^"<>]*(<br/>[^"<>]*)*"\]:::(leaf|data|operation)',
        r"n\d+ --> n\d+",
        r"classDef \w+ fill:#\w+,stroke:#\w+",
        "%% .+",
    ]
    assert [line for line in body if not any(re.fullmatch(p, line.strip()) for p in patterns)] == []
    nodes = {line.split("[")[0].strip() for line in body if "[" in line}
    ends = {end for line in body if "-->" in line for end in line.strip().split(" --> ")}
    assert len(nodes) == len(explanation.steps) and ends <= nodes


def overlap(a, b):
    return a[0] < b[0] + b[2] and b[0] < a[0] + a[2] and a[1] < b[1] + b[3] and b[1] < a[1] + a[3]


def test_boxes_do_not_overlap_and_stay_in_the_picture():
    for expand in (False, True):
        root = ElementTree.fromstring(danlu.explain(LOSSES["cross entropy"](W.clone().requires_grad_()), expand=expand).svg())
        width, height = float(root.get("width", 0)), float(root.get("height", 0))
        rects = [r for r in root if r.tag.endswith("rect") and r.get("rx")]
        boxes = [tuple(float(r.get(k, 0)) for k in ("x", "y", "width", "height")) for r in rects]
        assert len(boxes) > 8
        assert [(a, b) for i, a in enumerate(boxes) for b in boxes[:i] if overlap(a, b)] == []
        assert all(x >= 0 and y >= 0 and x + w <= width and y + h <= height for x, y, w, h in boxes)


def test_a_notebook_shows_picture_and_tables():
    html = danlu.explain(two_layers(), lang="en")._repr_html_()
    ElementTree.fromstring(f"<div>{html}</div>")
    assert html.count("<table>") == 3 and "<svg" in html


# ---- messages ---------------------------------------------------------------------------------------------------------------


def freed():
    loss = two_layers()
    loss.backward()
    return loss


@pytest.mark.parametrize(
    ("call", "error", "text"),
    [
        (lambda: danlu.explain(3, lang="en"), DanluError, "explain: expected a tensor, got int; write danlu.explain(loss)"),
        (lambda: danlu.explain(danlu.ones(2), lang="en"), DanluError, "explain: the tensor has shape (2,); expected one number, a loss"),
        (lambda: danlu.explain(danlu.ones(()), lang="en"), GradientError, "explain: the tensor does not require grad"),
        (lambda: danlu.explain(leaf(np.ones(())), lang="en"), GradientError, "explain: the tensor is a leaf: nothing was computed"),
        (lambda: danlu.explain(freed(), lang="en"), GradientError, "explain: the graph was let go by backward()"),
        (lambda: danlu.explain(two_layers(), [1], lang="en"), DanluError, "explain: the second argument is list; expected a module"),
        (lambda: danlu.explain(two_layers(), lang="fr"), DanluError, "lang='fr' is not there; write 'en' or 'zh'"),
        (lambda: danlu.explain(3, lang="zh"), DanluError, "explain：需要张量，得到 int；请写 danlu.explain(loss)"),
    ],
)  # fmt: skip
def test_messages(call, error, text):
    with pytest.raises(error) as caught:
        call()
    assert text in str(caught.value)


def test_the_document_shows_what_is_printed(tmp_path, monkeypatch):
    text = (Path(__file__).parents[2] / "docs" / "teaching.md").read_text("utf-8")
    first, second = re.findall(r"^```python\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    (shown,) = re.findall(r"^```text\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    monkeypatch.chdir(tmp_path)
    found: dict = {}
    exec(first, found)
    assert shown.strip() in str(found["explanation"])
    exec(second, found)
    assert {p.name for p in tmp_path.iterdir()} == {"loss.svg", "compare.svg"}


def test_the_pictures_are_those_of_the_script(tmp_path):
    teaching_pictures.main(tmp_path)
    images = Path(__file__).parents[2] / "docs" / "images"
    for name in ("explain.svg", "explain.zh.svg"):
        assert (tmp_path / name).read_text("utf-8") == (images / name).read_text("utf-8"), "run tools/teaching_pictures.py"
    for name in ("compare.svg", "compare.zh.svg"):
        titles = [ElementTree.parse(folder / name).getroot()[0].text for folder in (tmp_path, images)]
        assert titles[0] == titles[1]
