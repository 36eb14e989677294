"""L2. Composites that normalise over groups of channels, or by a root mean square."""

from __future__ import annotations

from danlu.graph import Node
from danlu.ops.composite import channel_shape, check_floating, standardized
from danlu.ops.table import composite


@composite(attrs=("groups", "eps"))
def group_norm(o, x: Node, w: Node | None = None, b: Node | None = None, *, groups: int, eps: float) -> Node:
    """(x − mean) / √(var + ε) · w + b, with statistics over each group of channels of each sample (Wu & He 2018, eq. 1)."""
    check_floating("group_norm", x)
    n, c, *rest = x.shape
    z = o.reshape(x, shape=(n, groups, c // groups, *rest))
    y = o.reshape(standardized(o, z, tuple(range(2, len(z.shape))), eps)[0], shape=x.shape)
    shape = channel_shape(len(x.shape), 1, c)
    y = y if w is None else o.mul(y, o.reshape(w, shape=shape))
    return y if b is None else o.add(y, o.reshape(b, shape=shape))


@composite(attrs=("ndim", "eps"))
def rms_norm(o, x: Node, w: Node | None = None, *, ndim: int, eps: float) -> Node:
    """x / √(mean x² + ε) · w over the last `ndim` axes (Zhang & Sennrich 2019, eq. 4)."""
    check_floating("rms_norm", x)
    dims = tuple(range(len(x.shape) - ndim, len(x.shape)))
    y = o.mul(x, o.rsqrt(o.add(o.mean(o.mul(x, x), dims=dims, keepdim=True), eps)))
    return y if w is None else o.mul(y, w)
