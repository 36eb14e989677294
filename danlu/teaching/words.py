"""L6. What the teaching tools say, in both languages, in one place."""

from __future__ import annotations

from danlu.errors import DanluError
from danlu.messages import language

LANGUAGES = ("en", "zh")

WORDS: dict[str, tuple[str, str]] = {
    # explain
    "explain.title": ("{letter} = {value}: {nodes} nodes, {parameters} parameters in {leaves} leaves",
                      "{letter} = {value}：{nodes} 个结点，{leaves} 个叶子共 {parameters} 个参数"),
    "explain.forward": ("Forward: each value from its inputs", "前向计算：每个值由其输入得到"),
    "explain.backward": ("Backward, node by node: ∂L/∂u = Σ ∂L/∂v · ∂v/∂u over every v computed from u",
                         "反向传播，逐结点：∂L/∂u = Σ ∂L/∂v · ∂v/∂u，对由 u 算出的每个 v 求和"),
    "explain.textbook": ("The same as textbooks write it (δˡ = ∂L/∂zˡ)", "教科书写法（误差项 δˡ = ∂L/∂zˡ）"),
    "explain.where": ("where", "其中"),
    "explain.axes": ("Σ₀ sums over axis 0; ⊙ multiplies element by element; ᵀ transposes.", "Σ₀ 表示沿轴 0 求和；⊙ 为逐元素乘；ᵀ 为转置。"),
    "explain.value": ("value", "值"),
    "explain.gradient": ("gradient", "梯度"),
    "explain.node": ("node", "结点"),
    "explain.shape": ("shape", "形状"),
    "explain.formula": ("formula", "公式"),
    "explain.caption": ("Computation graph: parameters green, data grey, operations blue; gradients in red",
                        "计算图：绿色为参数，灰色为数据，蓝色为运算；红字为梯度"),
    # compare
    "compare.title": ("∂f/∂x in four ways: n = {n} inputs, m = {m} outputs", "∂f/∂x 的四种求法：n = {n} 个输入，m = {m} 个输出"),
    "compare.symbolic": ("symbolic", "符号求导"),
    "compare.central": ("numeric, central", "数值求导（中心差分）"),
    "compare.forward_difference": ("numeric, forward", "数值求导（前向差分）"),
    "compare.forward": ("forward accumulation", "正向累积"),
    "compare.reverse": ("reverse accumulation", "反向累积"),
    "compare.method": ("method", "方法"),
    "compare.value": ("value", "值"),
    "compare.error": ("relative error", "相对误差"),
    "compare.passes": ("passes", "遍数"),
    "compare.nodes": ("nodes × passes", "结点 × 遍数"),
    "compare.flops": ("operations", "运算次数"),
    "compare.time": ("time", "时间"),
    "compare.memory": ("stored", "需存储"),
    "compare.reference": ("reference", "基准"),
    "compare.swell": ("Expression swell: signs of the formula written out, of the simplified formula, and nodes of the shared graph",
                      "表达式膨胀：完全写出的公式长度、化简后的长度、共享计算图的结点数"),
    "compare.order": ("derivative", "导数阶"),
    "compare.written": ("written out", "完全写出"),
    "compare.simplified": ("simplified", "化简后"),
    "compare.shared": ("shared graph", "共享计算图"),
    "compare.too_long": ("not written out: longer than {limit} signs", "过长，不写出：超过 {limit} 个符号"),
    "compare.best": ("Best step: central h = {central} (error {central_error}), forward h = {forward} (error {forward_error}). "
                     "Larger h: the difference is no derivative; smaller h: digits cancel.",
                     "最佳步长：中心差分 h = {central}（误差 {central_error}），前向差分 h = {forward}（误差 {forward_error}）。"
                     "h 过大：截断误差；h 过小：相减抵消，舍入误差。"),
    "compare.why": ("Forward accumulation takes one pass per input ({forward} nodes here), reverse accumulation one per output ({reverse}). "
                    "{winner}",
                    "正向累积每个输入要一遍（此处共 {forward} 个结点），反向累积每个输出要一遍（共 {reverse} 个）。{winner}"),
    "compare.reverse_wins": ("Reverse is {times} times cheaper: many parameters, one loss; it pays with memory for the values on the way.",
                             "反向累积省 {times} 倍：参数多而损失只有一个；代价是要存储中间值。"),
    "compare.forward_wins": ("Forward is {times} times cheaper here: few inputs; reverse wins from {crossing} inputs on.",
                             "此处正向累积省 {times} 倍：输入少；输入达到 {crossing} 个起反向累积更省。"),
    "compare.equal": ("Here both cost the same.", "此处二者代价相同。"),
    "compare.sampled": ("Numbers and errors of {inputs} of the {n} inputs and {outputs} of the {m} outputs; times of all.",
                        "数值与误差取自 {n} 个输入中的 {inputs} 个、{m} 个输出中的 {outputs} 个；时间按全部计。"),
    "compare.curve": ("Error of a difference over its step h", "差分误差随步长 h 的变化"),
    "compare.step": ("step h", "步长 h"),
    "compare.cost": ("Cost of a whole gradient over the number of inputs", "求全部梯度的代价随输入个数的变化"),
    "compare.inputs": ("inputs n", "输入个数 n"),
    "compare.work": ("nodes computed", "计算的结点数"),
    "compare.here": ("here", "此处"),
    "compare.best_mark": ("best h", "最佳 h"),
    # errors
    "error.suffix": ("save: {path!r} ends in {suffix!r}; expected one of {known}", "save：{path!r} 的后缀是 {suffix!r}；应为 {known} 之一"),
    "error.tensor": ("{tool}: expected a tensor, got {kind}; write {instead}", "{tool}：需要张量，得到 {kind}；请写 {instead}"),
    "error.no_grad": ("explain: the tensor does not require grad: nothing that it was computed from has requires_grad=True, or it was computed "
                      "under no_grad(). Write x.requires_grad_() before it is computed",
                      "explain：该张量不需要梯度：它的来源都没有 requires_grad=True，或是在 no_grad() 中计算的。请在计算前写 x.requires_grad_()"),
    "error.leaf": ("explain: the tensor is a leaf: nothing was computed; explain the loss: danlu.explain((x ** 2).sum())",
                   "explain：该张量是叶子，没有任何计算；请解释损失：danlu.explain((x ** 2).sum())"),
    "error.scalar": ("explain: the tensor has shape {shape}; expected one number, a loss: write danlu.explain(y.sum())",
                     "explain：张量形状为 {shape}；需要一个数，即损失：请写 danlu.explain(y.sum())"),
    "error.freed": ("explain: the graph was let go by backward(); explain the loss before, or write loss.backward(retain_graph=True)",
                    "explain：计算图已被 backward() 释放；请在此之前解释，或写 loss.backward(retain_graph=True)"),
    "error.float": ("compare: x has dtype {dtype}; only floating numbers have derivatives: write x.float()",
                    "compare：x 的 dtype 是 {dtype}；只有浮点数可以求导：请写 x.float()"),
    "error.independent": ("compare: the result of f does not depend on x by operations of tensors; write f with them: lambda x: x.sin()",
                          "compare：f 的结果没有通过张量运算依赖于 x；请用张量运算书写 f：lambda x: x.sin()"),
    "error.gate": ("compare: f calls {name}, whose derivative is Python code; only recorded operations can be compared",
                   "compare：f 调用了 {name}，它的导数是 Python 代码；只能比较被记录的运算"),
    "error.names": ("explain: the second argument is {kind}; expected a module, or a dict of names: danlu.explain(loss, {{'w': w}})",
                    "explain：第二个参数是 {kind}；应为模块或名字的字典：danlu.explain(loss, {{'w': w}})"),
}  # fmt: skip


def chosen(lang: str | None) -> str:
    """`lang`, or the language of messages."""
    if lang is None:
        return language()
    if lang not in LANGUAGES:
        raise DanluError("lang={lang!r} is not there; write 'en' or 'zh'", lang=lang)
    return lang


def say(lang: str, key: str, /, **values: object) -> str:
    """A text in a language, its holes filled."""
    text = WORDS[key][LANGUAGES.index(lang)]
    return text.format(**values) if values else text
