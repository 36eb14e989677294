"""L2. Convolutions of any number of axes, as contractions of the weight with the windows of the input.

With strides of 1, forward pass, gradient of the weight and gradient of the input are each one contraction one operand of which is
seen through windows; the compiler reads them in place. With larger strides, or few positions, the windows are copied.
"""

from __future__ import annotations

from math import prod

from danlu.errors import DTypeError, ShapeError
from danlu.graph import Node
from danlu.messages import Phrase
from danlu.ops.composite import check_floating
from danlu.ops.table import composite
from danlu.ops.window import Sizes, window_counts

FEW = 16  # positions of an image below which no vector would be full: those of all images together make longer ones


def _letters(d: int) -> tuple[str, str]:
    """The labels of the axes inside the window, and of the positions."""
    return "ijk"[:d], "xyz"[:d]


def _layout(d: int) -> str:
    return f"(N, C, {', '.join('DHW'[3 - d :] if d > 1 else 'L')})"


def _check_dtypes(name: str, x: Node, w: Node, b: Node | None) -> None:
    for word, other in (("weight", w), ("bias", b)):
        if other is not None and other.dtype is not x.dtype:
            check_floating(name, x)
            raise DTypeError(
                "{name}: the input has dtype {dtype}, the {word} {other_dtype}; expected one dtype for both: write "
                "x.to(danlu.{other_dtype}), or layer.to(danlu.{dtype})",
                name=name,
                dtype=x.dtype.name,
                word=word,
                other_dtype=other.dtype.name,
            )


def _check_rank(name: str, x: Node, w: Node, d: int) -> None:
    if len(w.shape) != d + 2:
        raise ShapeError(
            "{name}: the weight has shape {shape}; expected {ndim} axes, {d} of them the window",
            name=name,
            shape=w.shape,
            ndim=d + 2,
            d=d,
        )
    if len(x.shape) != d + 2:
        raise ShapeError(
            "{name}: the input has shape {shape}; expected {ndim} axes {layout}, or {ndim_without_batch} without N",
            name=name,
            shape=x.shape,
            ndim=d + 2,
            layout=_layout(d),
            ndim_without_batch=d + 1,
        )


def _check_channels(name: str, x: Node, channels: int, w: Node, d: int) -> None:
    if x.shape[1] == channels:
        return
    text = Phrase(
        "{name}: the input has shape {shape} and {found} channels; the weight {weight} expects {channels} channels",
        name=name,
        shape=x.shape,
        found=x.shape[1],
        weight=w.shape,
        channels=channels,
    )
    if x.shape[-1] == channels:
        raise ShapeError(
            "{text}. Its last axis has {channels}: the layout here is {layout}; write x.permute{order}",
            text=text,
            channels=channels,
            layout=_layout(d),
            order=(0, d + 1, *range(1, d + 1)),
        )
    hint = Phrase("; images without an axis of channels: write x.unsqueeze(1)") if channels == x.shape[0] == 1 else ""
    raise ShapeError("{text} in an input of shape {layout}{hint}", text=text, layout=_layout(d), hint=hint)


def _check_groups(name: str, size: int, word: Phrase, groups: int) -> None:
    if groups < 1 or size % groups:
        raise ShapeError(
            "{name}: {size} {word} cannot be cut into {groups} groups; expected groups ≥ 1 that divides {size}",
            name=name,
            size=size,
            word=word,
            groups=groups,
        )


def _check_bias(name: str, b: Node | None, features: int) -> None:
    if b is not None and b.shape != (features,):
        raise ShapeError(
            "{name}: the bias has shape {shape}; expected ({features},), one value per output channel",
            name=name,
            shape=b.shape,
            features=features,
        )


def check_window(name: str, sizes: Sizes, kernel: Sizes, dilations: Sizes) -> None:
    """The window fits into the (padded) input."""
    reach = tuple(d * (k - 1) + 1 for k, d in zip(kernel, dilations))
    if any(n < r for n, r in zip(sizes, reach)):
        raise ShapeError(
            "{name}: the padded input has size {sizes}, and the window reaches over {reach}; expected an input at least as "
            "large as the window: write a larger padding or a smaller kernel",
            name=name,
            sizes=sizes,
            reach=reach,
        )


def _crop_or_pad(o, x: Node, low: Sizes, high: Sizes, value: float) -> Node:
    """The last axes with zeros around them."""
    lead = (0,) * (len(x.shape) - len(low))
    return o.pad(x, low=lead + low, high=lead + high, value=value) if any((*low, *high)) else x


@composite(attrs=("stride", "low", "high", "dilation", "groups"))
def convolution(
    o, x: Node, w: Node, b: Node | None = None, *, stride: Sizes, low: Sizes, high: Sizes, dilation: Sizes, groups: int
) -> Node:
    """y[n, f, p] = b[f] + Σ_{c, k} w[f, c, k] · x[n, c, p · stride + k · dilation − low]."""
    d, name = len(stride), f"conv{len(stride)}d"
    _check_rank(name, x, w, d)
    _check_groups(name, w.shape[0], Phrase("output channels"), groups)
    _check_channels(name, x, w.shape[1] * groups, w, d)
    _check_dtypes(name, x, w, b)
    _check_bias(name, b, w.shape[0])
    kernel = w.shape[2:]
    x = _crop_or_pad(o, x, low, high, 0)
    check_window(name, x.shape[2:], kernel, dilation)
    grouped = () if groups == 1 else (groups,)
    x = o.reshape(x, shape=(x.shape[0], *grouped, w.shape[1], *x.shape[2:]))
    windows = o.window(x, kernel=kernel, strides=stride, dilations=dilation)  # (n, g, c, O…, K…)
    if w.shape[1] == 1 and groups > 1:
        return _depthwise(o, windows, w, b, groups)
    positions = windows.shape[-2 * d : -d]
    w = o.reshape(w, shape=(*grouped, w.shape[0] // groups, *w.shape[1:]))
    y = (_in_place if _reads_in_place(stride, positions) else _as_matrices)(o, windows, w, b, d)
    return o.reshape(y, shape=(y.shape[0], prod(y.shape[1:-d]), *positions))


def _reads_in_place(stride: Sizes, positions: Sizes) -> bool:
    """Whether windows are read where they lie: with larger steps most products of the input's gradient would be with zeros."""
    return all(s == 1 for s in stride) and prod(positions) >= FEW


def _in_place(o, windows: Node, w: Node, b: Node | None, d: int) -> Node:
    """(n, g, f, O…): the windows are read where they lie."""
    (inside, at), g = _letters(d), "g" if len(windows.shape) > 2 + 2 * d else ""
    y = o.contract(w, windows, labels=(f"{g}fc{inside}", f"n{g}c{at}{inside}", f"n{g}f{at}"))
    return y if b is None else o.add(y, o.reshape(b, shape=(*y.shape[1:-d], *(1,) * d)))


def _as_matrices(o, windows: Node, w: Node, b: Node | None, d: int) -> Node:
    """(n, g, f, O…): the windows are copied to a matrix (C·K… rows, N·O… columns), "im2col", which costs K… times the memory of the
    input; all positions of all images are then columns of one matrix, in the derivatives too."""
    (inside, at), lead = _letters(d), len(windows.shape) - 2 * d - 1  # axes before the positions, without the images
    order = (*range(1, 1 + lead), *range(1 + lead + d, 1 + lead + 2 * d), 0, *range(1 + lead, 1 + lead + d))
    g = "g" if lead == 2 else ""
    columns = o.contiguous(o.permute(windows, dims=order))  # (g, c, K…, n, O…)
    y = o.contract(w, columns, labels=(f"{g}fc{inside}", f"{g}c{inside}n{at}", f"{g}fn{at}"))
    y = y if b is None else o.add(y, o.reshape(b, shape=(*y.shape[: -d - 1], *(1,) * (d + 1))))
    return o.permute(o.contiguous(y), dims=(lead, *range(lead), *range(lead + 1, lead + 1 + d)))


def _depthwise(o, windows: Node, w: Node, b: Node | None, groups: int) -> Node:
    """One channel a group: products of a matrix with one row. Multiplied and summed in place, no window is copied."""
    d, n, f = len(w.shape) - 2, windows.shape[0], w.shape[0] // groups
    shape = (n, groups, f, *windows.shape[3:])  # (n, g, f, O…, K…)
    w = o.reshape(w, shape=(1, groups, f, *(1,) * d, *w.shape[2:]))
    products = o.mul(o.expand(windows, shape=shape), o.expand(w, shape=shape))
    y = o.sum(products, dims=tuple(range(3 + d, 3 + 2 * d)), keepdim=False)
    y = y if b is None else o.add(y, o.reshape(b, shape=(1, groups, f, *(1,) * d)))
    return o.reshape(y, shape=(n, groups * f, *y.shape[3:]))


@composite(attrs=("stride", "padding", "output_padding", "dilation", "groups"))
def convolution_transposed(
    o, x: Node, w: Node, b: Node | None = None, *, stride: Sizes, padding: Sizes, output_padding: Sizes, dilation: Sizes, groups: int
) -> Node:  # fmt: skip
    """The adjoint of `convolution`: y[n, f, p · stride + k · dilation − padding] += w[c, f, k] · x[n, c, p], then + b[f]."""
    d, name = len(stride), f"conv_transpose{len(stride)}d"
    _check_rank(name, x, w, d)
    _check_channels(name, x, w.shape[0], w, d)
    _check_groups(name, x.shape[1], Phrase("input channels"), groups)
    _check_dtypes(name, x, w, b)
    _check_bias(name, b, w.shape[1] * groups)
    n, f, kernel = x.shape[0], w.shape[1], w.shape[2:]
    x = o.reshape(x, shape=(n, groups, x.shape[1] // groups, *x.shape[2:]))
    w = o.reshape(w, shape=(groups, w.shape[0] // groups, *w.shape[1:]))
    full = tuple(
        (p - 1) * s + e * (k - 1) + 1 + extra for p, s, e, k, extra in zip(x.shape[3:], stride, dilation, kernel, output_padding)
    )
    columns = (_columns_in_place if _reads_in_place(stride, full) else _columns_as_matrix)(o, x, w, d)
    y = o.unwindow(columns, sizes=full, strides=stride, dilations=dilation)
    y = _cropped(o, name, y, padding)
    y = y if b is None else o.add(y, o.reshape(b, shape=(groups, f, *(1,) * d)))
    return o.reshape(y, shape=(n, groups * f, *y.shape[3:]))


def _columns_in_place(o, x: Node, w: Node, d: int) -> Node:
    """(n, g, f, P…, K…): the sum over the windows becomes part of the contraction, and no such matrix is made."""
    inside, at = _letters(d)
    return o.contract(w, x, labels=(f"gcf{inside}", f"ngc{at}", f"ngf{at}{inside}"))


def _columns_as_matrix(o, x: Node, w: Node, d: int) -> Node:
    """(n, g, f, P…, K…), from one product of matrices for all images."""
    inside, at = _letters(d)
    x = o.contiguous(o.permute(x, dims=(1, 2, 0, *range(3, 3 + d))))  # (g, c, n, P…)
    columns = o.contiguous(o.contract(w, x, labels=(f"gcf{inside}", f"gcn{at}", f"gf{inside}n{at}")))
    return o.permute(columns, dims=(2 + d, 0, 1, *range(3 + d, 3 + 2 * d), *range(2, 2 + d)))


def _cropped(o, name: str, y: Node, padding: Sizes) -> Node:
    """The last axes without `padding` elements at both ends."""
    if not any(padding):
        return y
    lead = y.shape[: len(y.shape) - len(padding)]
    sizes = y.shape[len(lead) :]
    if any(n <= 2 * p for n, p in zip(sizes, padding)):
        raise ShapeError(
            "{name}: padding {padding} leaves nothing of the output, whose full size is {sizes}; write a smaller padding",
            name=name,
            padding=padding,
            sizes=sizes,
        )
    starts = (*(0,) * len(lead), *padding)
    stops = (*lead, *[n - p for n, p in zip(sizes, padding)])
    return o.slice(y, starts=starts, stops=stops, steps=(1,) * len(y.shape))


# ---- the matrix of windows by itself ------------------------------------------------------------------------------------------


@composite(attrs=("kernel", "stride", "padding", "dilation"))
def unfold(o, x: Node, kernel: Sizes, stride: Sizes, padding: Sizes, dilation: Sizes) -> Node:
    """(N, C, H, W) → (N, C · K, O): each column one window."""
    x = _crop_or_pad(o, x, padding, padding, 0)
    check_window("unfold", x.shape[2:], kernel, dilation)
    windows = o.window(x, kernel=kernel, strides=stride, dilations=dilation)  # (n, c, O, O, K, K)
    n, c, h, w, i, j = windows.shape
    return o.reshape(o.permute(windows, dims=(0, 1, 4, 5, 2, 3)), shape=(n, c * i * j, h * w))


@composite(attrs=("output", "kernel", "stride", "padding", "dilation"))
def fold(o, x: Node, output: Sizes, kernel: Sizes, stride: Sizes, padding: Sizes, dilation: Sizes) -> Node:
    """(N, C · K, O) → (N, C, H, W): the columns added where `unfold` would read them."""
    full = tuple(n + 2 * p for n, p in zip(output, padding))
    counts = window_counts(full, kernel, stride, dilation)
    area, positions = kernel[0] * kernel[1], counts[0] * counts[1]
    if x.shape[1] % area or x.shape[2] != positions:
        raise ShapeError(
            "fold: the input has shape {shape}; expected (N, C · {area}, {positions}) for an output of {output} and windows "
            "of {kernel}",
            shape=x.shape,
            area=area,
            positions=positions,
            output=output,
            kernel=kernel,
        )
    x = o.reshape(x, shape=(x.shape[0], x.shape[1] // area, *kernel, *counts))
    y = o.unwindow(o.permute(x, dims=(0, 1, 4, 5, 2, 3)), sizes=full, strides=stride, dilations=dilation)
    return _cropped(o, "fold", y, padding)
