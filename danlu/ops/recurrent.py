"""L2. Composites of recurrence: one layer in one direction, over all its steps, is one node while recording.

The product of the inputs with their weights is one matrix product over all steps; the steps themselves are written out when a
program is compiled, so the derivative is that of the parts (backpropagation through time), of any order.
"""

from __future__ import annotations

from collections.abc import Callable

from danlu.graph import OPAQUE, Node, Op, Spec
from danlu.ops.table import composite, o, register

# How many blocks of hidden_size rows the weights of a cell have, and how many states it carries on.
GATES = {"tanh": 1, "relu": 1, "lstm": 4, "gru": 3}
STATES = {"tanh": 1, "relu": 1, "lstm": 2, "gru": 1}


def _part(o, x: Node, axis: int, start: int, size: int) -> Node:
    """x[..., start : start + size, ...] on one axis."""
    starts = tuple(start if k == axis else 0 for k in range(len(x.shape)))
    stops = tuple(start + size if k == axis else n for k, n in enumerate(x.shape))
    return o.slice(x, starts=starts, stops=stops, steps=(1,) * len(x.shape))


def _unstack_vjp(o, gs, ys, x: Node):
    return (o.cat(*[o.reshape(g, shape=(1, *g.shape)) for g in gs], dim=0),)


# The derivative of a slice is a tensor with zeros around it, and T of them cost T² selections: with slices in its place a step of an LSTM
# (35 steps, batch 32, hidden size 128, forward and backward) took 39 ms, with this 12 (two cores of an AMD Zen 4, shared with other work).
register(
    Op("unstack", OPAQUE, "The parts of a tensor along its first axis, all of which are wanted: their derivative is one tensor.",
       infer=lambda x: (Spec(x.shape[1:], x.dtype),) * x.shape[0], numpy=lambda x: tuple(x), vjp=_unstack_vjp,
       jvp=lambda o, ys, xs, dxs: o.unstack(dxs[0]),
       folds=lambda index, x: o.reshape(_part(o, x, 0, index, 1), shape=x.shape[1:]))
)  # fmt: skip


def _product(o, x: Node, w: Node) -> Node:
    """x wᵀ: written without a transpose, the derivative of w has w's own layout, and the sum over the steps is taken in place."""
    lead = "tn"[3 - len(x.shape) :] if len(x.shape) > 1 else ""
    return o.contract(w, x, labels=("gk", lead + "k", lead + "g"))


def _gate(o, gates: Node, k: int, count: int) -> Node:
    """Block k of (N, count · H), as (N, H)."""
    n, size = gates.shape[0], gates.shape[1] // count
    return o.reshape(_part(o, o.reshape(gates, shape=(n, count, size)), 1, k, 1), shape=(n, size))


def _simple(o, activation: Callable[..., Node], gates: Node, states: list[Node], w: Node) -> list[Node]:
    """h ← tanh(W x + b + U h) (Elman 1990), or with relu."""
    return [activation(o.add(gates, _product(o, states[0], w)))]


def _lstm(o, gates: Node, states: list[Node], w: Node) -> list[Node]:
    """c ← f c + i g, h ← o tanh(c) (Hochreiter & Schmidhuber 1997, with the forget gate of Gers et al. 2000)."""
    z = o.add(gates, _product(o, states[0], w))
    s = o.sigmoid(z)  # of the third block too: one kernel less is worth more than these exponentials
    i, f, g, out = _gate(o, s, 0, 4), _gate(o, s, 1, 4), o.tanh(_gate(o, z, 2, 4)), _gate(o, s, 3, 4)
    c = o.add(o.mul(f, states[1]), o.mul(i, g))
    return [o.mul(out, o.tanh(c)), c]


def _gru(o, gates: Node, states: list[Node], w: Node, b: Node | None) -> list[Node]:
    """n = tanh(W x + r (U h + b)), h ← (1 − z) n + z h (Cho et al. 2014, in the form of cuDNN: r after the product)."""
    inner = _product(o, states[0], w)
    inner = inner if b is None else o.add(inner, b)
    s = o.sigmoid(o.add(gates, inner))
    r, z = _gate(o, s, 0, 3), _gate(o, s, 1, 3)
    n = o.tanh(o.add(_gate(o, gates, 2, 3), o.mul(r, _gate(o, inner, 2, 3))))
    return [o.add(n, o.mul(z, o.sub(states[0], n)))]


def _step(o, cell: str, gates: Node, states: list[Node], w: Node, b: Node | None) -> list[Node]:
    """The states after one step; only the GRU's bias b is not yet in the gates."""
    if cell == "lstm":
        return _lstm(o, gates, states, w)
    if cell == "gru":
        return _gru(o, gates, states, w, b)
    return _simple(o, o.tanh if cell == "tanh" else o.relu, gates, states, w)


def _inputs(o, cell: str, x: Node, w: Node, bias: tuple[Node, ...]) -> Node:
    """The part of the gates that the inputs give, with both biases where they are only added."""
    y = _product(o, x, w)
    if not bias:
        return y
    return o.add(bias[0] if cell == "gru" else o.add(*bias), y)  # in this order the sum is made with the product


@composite(attrs=("cell", "bias"))
def recurrent_cell(o, x: Node, *rest: Node, cell: str, bias: bool) -> tuple[Node, ...] | Node:
    """One step of a recurrent layer: x (N, I), the states (N, H), then weights and biases; gives the new states."""
    count = STATES[cell]
    states, (w_ih, w_hh), biases = list(rest[:count]), rest[count : count + 2], rest[count + 2 :]
    after = _step(o, cell, _inputs(o, cell, x, w_ih, biases), states, w_hh, biases[1] if bias else None)
    return tuple(after) if count > 1 else after[0]


@composite(attrs=("cell", "bias", "projected", "masked", "reverse"))
def recurrence(
    o, x: Node, *rest: Node, cell: str, bias: bool, projected: bool, masked: bool, reverse: bool
) -> tuple[Node, ...]:  # fmt: skip
    """All steps of one recurrent layer in one direction: x (T, N, I), the states (N, H), weights, biases, projection, mask (T, N).

    Gives the outputs (T, N, H) and the last states. Where the mask is false a step leaves the states as they are.
    """
    count = STATES[cell]
    states, (w_ih, w_hh), tail = list(rest[:count]), rest[count : count + 2], list(rest[count + 2 :])
    mask = tail.pop() if masked else None
    projection = tail.pop() if projected else None
    gates, bias_h = o.unstack(_inputs(o, cell, x, w_ih, tuple(tail))), tail[1] if bias else None
    steps, n = x.shape[:2]
    outputs: list[Node] = [x] * steps
    for t in reversed(range(steps)) if reverse else range(steps):
        after = _step(o, cell, gates[t], states, w_hh, bias_h)
        if projection is not None:
            after[0] = _product(o, after[0], projection)
        if mask is not None:
            here = o.reshape(_part(o, mask, 0, t, 1), shape=(n, 1))
            after = [o.where(here, new, old) for new, old in zip(after, states)]
        states = after
        outputs[t] = o.reshape(states[0], shape=(1, *states[0].shape))
    return o.cat(*outputs, dim=0), *states
