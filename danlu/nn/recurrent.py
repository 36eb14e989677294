"""L7. Recurrent layers over whole sequences: RNN, LSTM, GRU; and their single steps, the cells.

Each layer is, in each direction, one node while recording (ops/recurrent.py). Weights stand in blocks of hidden_size rows, in PyTorch's
order: input, forget, cell, output for the LSTM; reset, update, new for the GRU.
"""

from __future__ import annotations

from math import sqrt
from typing import Any

from danlu.dtype import DType
from danlu.errors import DataError, DTypeError, ShapeError, warn
from danlu.functional.common import dropout
from danlu.functional.sequences import PackedSequence
from danlu.nn import init
from danlu.nn.linear import check_size
from danlu.nn.module import Module
from danlu.nn.parameter import Parameter, filled
from danlu.ops.recurrent import GATES, STATES, recurrence, recurrent_cell
from danlu.random import Generator
from danlu.tensor import Tensor, apply
from danlu.tensor.creation import cat, stack

State = Tensor | tuple[Tensor, Tensor]


def _nonlinearity(name: str, nonlinearity: str) -> str:
    if nonlinearity not in ("tanh", "relu"):
        raise DataError(
            "{name}: nonlinearity is {nonlinearity!r}; expected 'tanh' or 'relu'", name=name, nonlinearity=nonlinearity
        )
    return nonlinearity


def _draw(module: Module, hidden_size: int, generator: Generator | None) -> None:
    """All weights and biases uniform in ±1/√hidden_size."""
    bound = 1 / sqrt(hidden_size)
    for parameter in module.parameters():
        init.uniform_(parameter, -bound, bound, generator=generator)


def _zeros(x: Tensor, *shape: int) -> Tensor:
    return apply("full", 0, shape=shape, dtype=x.dtype)


class _Recurrent(Module):
    """What RNN, LSTM and GRU share; `cell` names the step."""

    cell: str

    def __init__(
        self, input_size: int, hidden_size: int, num_layers: int = 1, bias: bool = True, batch_first: bool = False,
        dropout: float = 0.0, bidirectional: bool = False, proj_size: int = 0, device: Any = None, dtype: DType | None = None,
        *, generator: Generator | None = None,
    ) -> None:  # fmt: skip
        super().__init__()
        name = type(self).__name__
        self.input_size, self.hidden_size = (
            check_size(name, "input_size", input_size),
            check_size(name, "hidden_size", hidden_size),
        )
        self.num_layers = check_size(name, "num_layers", num_layers)
        self.bias, self.batch_first, self.dropout, self.bidirectional = bias, batch_first, float(dropout), bidirectional
        self.proj_size = proj_size
        self._check(name)
        self._make((device, dtype))
        self.reset_parameters(generator)

    def _check(self, name: str) -> None:
        if not 0 <= self.dropout <= 1:
            raise DataError("{name}: dropout is {p}; expected a probability from 0 to 1", name=name, p=self.dropout)
        if not 0 <= self.proj_size < self.hidden_size:
            raise DataError(
                "{name}: proj_size is {proj_size}; expected 0 (none) or a size less than hidden_size, {hidden_size}",
                name=name,
                proj_size=self.proj_size,
                hidden_size=self.hidden_size,
            )
        if self.dropout and self.num_layers == 1:
            warn(
                "{name}: dropout={p} with num_layers=1 does nothing: it acts between layers, not behind the last one",
                UserWarning,
                4,
                name=name,
                p=self.dropout,
            )

    def _make(self, place: tuple[Any, DType | None]) -> None:
        """The parameters, and their names by layer and direction."""
        rows, out = GATES[self.cell] * self.hidden_size, self.proj_size or self.hidden_size
        suffixes = ("", "_reverse") if self.bidirectional else ("",)
        self._names: list[list[str]] = []
        for layer in range(self.num_layers):
            columns = self.input_size if layer == 0 else out * len(suffixes)
            for suffix in suffixes:
                shapes = {"weight_ih": (rows, columns), "weight_hh": (rows, out)}
                shapes |= {"bias_ih": (rows,), "bias_hh": (rows,)} if self.bias else {}
                shapes |= {"weight_hr": (out, self.hidden_size)} if self.proj_size else {}
                self._names.append([f"{word}_l{layer}{suffix}" for word in shapes])
                for name, shape in zip(self._names[-1], shapes.values()):
                    self.register_parameter(name, Parameter(filled(shape, 0.0, place[1], place[0])))

    def reset_parameters(self, generator: Generator | None = None) -> None:
        """Draws all weights and biases anew."""
        _draw(self, self.hidden_size, generator)

    def flatten_parameters(self) -> None:
        """Nothing: there is no other layout of the weights here; for code written for PyTorch."""

    @property
    def all_weights(self) -> list[list[Parameter]]:
        """The parameters of each layer and direction."""
        return [[self.__dict__[name] for name in names] for names in self._names]

    # ---- the computation ---------------------------------------------------------------------------------------------------

    def forward(self, input: Any, hx: Any = None) -> Any:
        """Outputs of the last layer at every step, and the last states of all layers."""
        packed = isinstance(input, PackedSequence)
        x: Tensor = input.padded if packed else self._batched(input)  # (T, N, I)
        single = not packed and input.ndim == 2
        self._check_input(x, tuple(x.shape if packed else input.shape))
        states = self._states(x, hx, single)
        order, back = (input.sorted_indices, input.unsorted_indices) if packed else (None, None)
        y, last = self._layers(x, [_ordered(s, order) for s in states], input.mask() if packed else None)
        last = [_ordered(s, back) for s in last]
        if packed:
            y = PackedSequence.from_padded(y, input.lengths, input)
        elif single:
            y, last = y[:, 0], [s[:, 0] for s in last]
        elif self.batch_first:
            y = y.transpose(0, 1)
        return y, last[0] if len(last) == 1 else tuple(last)

    def _batched(self, x: Tensor) -> Tensor:
        """The input as (T, N, I)."""
        if x.ndim == 2:
            return x.unsqueeze(1)
        return x.transpose(0, 1) if x.ndim == 3 and self.batch_first else x

    def _check_input(self, x: Tensor, shape: tuple[int, ...]) -> None:
        layout = f"(N, T, {self.input_size})" if self.batch_first else f"(T, N, {self.input_size})"
        if x.ndim != 3 or x.shape[2] != self.input_size or not x.shape[0]:
            raise ShapeError(
                "{name}: the input has shape {shape}; expected {layout}, or (T, {size}) without a batch, with at least one step",
                name=type(self).__name__,
                shape=shape,
                layout=layout,
                size=self.input_size,
            )

    def _states(self, x: Tensor, hx: Any, single: bool) -> list[Tensor]:
        """The states at the beginning, each (layers · directions, N, size): zeros, or those given."""
        count, n = len(self._names), x.shape[1]
        sizes = [self.proj_size or self.hidden_size, self.hidden_size][: STATES[self.cell]]
        if hx is None:
            return [_zeros(x, count, n, size) for size in sizes]
        given = list(hx) if isinstance(hx, (tuple, list)) else [hx]
        if len(given) != len(sizes):
            raise DTypeError(
                "{name}: hx holds {given} tensors; expected {wanted}: h_0, and for an LSTM c_0",
                name=type(self).__name__,
                given=len(given),
                wanted=len(sizes),
            )
        for s, size in zip(given, sizes):
            wanted = (count, size) if single else (count, n, size)
            if tuple(s.shape) != wanted:
                raise ShapeError(
                    "{name}: Expected hidden size {wanted}, got {shape}; its axes are (num_layers · directions, batch, size), without "
                    "the batch where the input has none",
                    name=type(self).__name__,
                    wanted=wanted,
                    shape=tuple(s.shape),
                )
        return [s.unsqueeze(1) for s in given] if single else given

    def _layers(self, x: Tensor, states: list[Tensor], mask: Tensor | None) -> tuple[Tensor, list[Tensor]]:
        directions = 2 if self.bidirectional else 1
        options = {"cell": self.cell, "bias": self.bias, "projected": self.proj_size > 0, "masked": mask is not None}
        last: list[list[Tensor]] = []
        for layer in range(self.num_layers):
            if layer and self.dropout and self.training:
                x = dropout(x, self.dropout)
            outputs = []
            for direction in range(directions):
                k = layer * directions + direction
                inputs = [x, *(s[k] for s in states), *(self.__dict__[name] for name in self._names[k])]
                y, *after = apply(recurrence, *inputs, *(() if mask is None else (mask,)), reverse=direction == 1, **options)
                outputs.append(y)
                last.append(after)
            x = outputs[0] if directions == 1 else cat(outputs, 2)
        return x, [stack(list(kind)) for kind in zip(*last)]

    def extra_repr(self) -> str:
        """Sizes, and the options that are not the usual ones."""
        usual = {"proj_size": 0, "num_layers": 1, "bias": True, "batch_first": False, "dropout": 0.0, "bidirectional": False}
        others = [f"{name}={getattr(self, name)}" for name, value in usual.items() if getattr(self, name) != value]
        return ", ".join([f"{self.input_size}, {self.hidden_size}", *others])


def _ordered(state: Tensor, order: Tensor | None) -> Tensor:
    """A state with its batch in another order."""
    return state if order is None else state.index_select(1, order)


class RNN(_Recurrent):
    """A recurrent layer with one nonlinearity (Elman 1990).

    h[t] = tanh(W x[t] + b + U h[t−1] + b′), or relu

    num_layers stacks them, with dropout between; bidirectional runs a second one from the end, its outputs beside the first's.

    Shapes: input (T, N, I), (N, T, I) with batch_first, (T, I), or a PackedSequence; h_0 (layers · directions, N, H), zeros if it is not
    given → output (T, N, directions · H) and h_n. Weights begin uniform in ±1/√H.

    Raises:
        ShapeError: the input or h_0 has another shape.
        DataError: an option that cannot be.

    Example:
        >>> import danlu
        >>> from danlu import nn
        >>> y, h = nn.RNN(3, 4)(danlu.zeros(5, 2, 3))
        >>> tuple(y.shape), tuple(h.shape)
        ((5, 2, 4), (1, 2, 4))
    """

    def __init__(
        self, input_size: int, hidden_size: int, num_layers: int = 1, nonlinearity: str = "tanh", bias: bool = True,
        batch_first: bool = False, dropout: float = 0.0, bidirectional: bool = False, device: Any = None,
        dtype: DType | None = None, *, generator: Generator | None = None,
    ) -> None:  # fmt: skip
        self.cell = self.nonlinearity = _nonlinearity("RNN", nonlinearity)
        options = (bias, batch_first, dropout, bidirectional, 0, device, dtype)
        super().__init__(input_size, hidden_size, num_layers, *options, generator=generator)


class LSTM(_Recurrent):
    """Long short-term memory (Hochreiter & Schmidhuber 1997; the forget gate is Gers et al. 2000).

    i, f, g, o = σ, σ, tanh, σ of (W x[t] + b + U h[t−1] + b′);  c[t] = f c[t−1] + i g;  h[t] = o tanh(c[t])

    proj_size > 0 makes h a matrix times that, of this size (Sak et al. 2014).

    Shapes: input (T, N, I), (N, T, I) with batch_first, (T, I), or a PackedSequence; (h_0, c_0), each (layers · directions, N, H), zeros
    if not given → output (T, N, directions · H) and (h_n, c_n). Weights begin uniform in ±1/√H.

    Raises:
        ShapeError: the input or a state has another shape.
        DataError: an option that cannot be.

    Example:
        >>> import danlu
        >>> from danlu import nn
        >>> y, (h, c) = nn.LSTM(3, 4, num_layers=2, batch_first=True)(danlu.zeros(2, 5, 3))
        >>> tuple(y.shape), tuple(h.shape), tuple(c.shape)
        ((2, 5, 4), (2, 2, 4), (2, 2, 4))
    """

    cell = "lstm"


class GRU(_Recurrent):
    """The gated recurrent unit (Cho et al. 2014), its reset gate behind the product as in cuDNN.

    r, z = σ of (W x[t] + b + U h[t−1] + b′);  n = tanh(W x[t] + b + r (U h[t−1] + b′));  h[t] = (1 − z) n + z h[t−1]

    Shapes: input (T, N, I), (N, T, I) with batch_first, (T, I), or a PackedSequence; h_0 (layers · directions, N, H), zeros if it is not
    given → output (T, N, directions · H) and h_n. Weights begin uniform in ±1/√H.

    Raises:
        ShapeError: the input or h_0 has another shape.
        DataError: an option that cannot be.

    Example:
        >>> import danlu
        >>> from danlu import nn
        >>> y, h = nn.GRU(3, 4, bidirectional=True)(danlu.zeros(5, 2, 3))
        >>> tuple(y.shape), tuple(h.shape)
        ((5, 2, 8), (2, 2, 4))
    """

    cell = "gru"

    def __init__(
        self, input_size: int, hidden_size: int, num_layers: int = 1, bias: bool = True, batch_first: bool = False,
        dropout: float = 0.0, bidirectional: bool = False, device: Any = None, dtype: DType | None = None,
        *, generator: Generator | None = None,
    ) -> None:  # fmt: skip
        options = (bias, batch_first, dropout, bidirectional, 0, device, dtype)
        super().__init__(input_size, hidden_size, num_layers, *options, generator=generator)


# ---- single steps -----------------------------------------------------------------------------------------------------------


class _Cell(Module):
    """One step; `cell` names it."""

    cell: str
    weight_ih: Parameter
    weight_hh: Parameter

    def _build(
        self, input_size: int, hidden_size: int, bias: bool, place: tuple[Any, DType | None], generator: Generator | None
    ) -> None:
        super().__init__()
        name = type(self).__name__
        self.input_size, self.hidden_size = (
            check_size(name, "input_size", input_size),
            check_size(name, "hidden_size", hidden_size),
        )
        self.bias, (device, dtype), rows = bias, place, GATES[self.cell] * self.hidden_size
        self.weight_ih = Parameter(filled((rows, self.input_size), 0.0, dtype, device))
        self.weight_hh = Parameter(filled((rows, self.hidden_size), 0.0, dtype, device))
        for word in ("bias_ih", "bias_hh"):
            self.register_parameter(word, Parameter(filled((rows,), 0.0, dtype, device)) if bias else None)
        self.reset_parameters(generator)

    def reset_parameters(self, generator: Generator | None = None) -> None:
        """Draws weights and biases anew."""
        _draw(self, self.hidden_size, generator)

    def _check(self, word: str, x: Tensor, ndim: int, size: int) -> None:
        if x.ndim != ndim or ndim not in (1, 2) or x.shape[-1] != size:
            raise ShapeError(
                "{name}: {word} has shape {shape}; expected (N, {size}), or ({size},) without a batch, the same for input and state",
                name=type(self).__name__,
                word=word,
                shape=tuple(x.shape),
                size=size,
            )

    def _step(self, input: Tensor, states: list[Tensor]) -> list[Tensor]:
        self._check("input", input, input.ndim, self.input_size)
        for word, s in zip(("hx", "cx"), states):
            self._check(word, s, input.ndim, self.hidden_size)
        single = input.ndim == 1
        x, *before = [t.unsqueeze(0) for t in (input, *states)] if single else [input, *states]
        after = apply(recurrent_cell, x, *before, *self.parameters(), cell=self.cell, bias=self.bias)
        after = list(after) if isinstance(after, tuple) else [after]
        return [s[0] for s in after] if single else after

    def _start(self, input: Tensor) -> Tensor:
        return _zeros(input, *input.shape[:-1], self.hidden_size)

    def extra_repr(self) -> str:
        """Sizes, and the options that are not the usual ones."""
        return f"{self.input_size}, {self.hidden_size}" + ("" if self.bias else ", bias=False")


class RNNCell(_Cell):
    """One step of an RNN: h′ = tanh(W x + b + U h + b′), or relu.

    Shapes: input (N, I), h (N, H), zeros if it is not given → (N, H); or all without N. Weights begin uniform in ±1/√H.

    Example:
        >>> import danlu
        >>> from danlu import nn
        >>> tuple(nn.RNNCell(3, 4)(danlu.zeros(2, 3)).shape)
        (2, 4)
    """

    def __init__(
        self, input_size: int, hidden_size: int, bias: bool = True, nonlinearity: str = "tanh", device: Any = None,
        dtype: DType | None = None, *, generator: Generator | None = None,
    ) -> None:  # fmt: skip
        self.cell = self.nonlinearity = _nonlinearity("RNNCell", nonlinearity)
        self._build(input_size, hidden_size, bias, (device, dtype), generator)

    def forward(self, input: Tensor, hx: Tensor | None = None) -> Tensor:
        """The next state."""
        return self._step(input, [self._start(input) if hx is None else hx])[0]

    def extra_repr(self) -> str:
        """Sizes, and the options that are not the usual ones."""
        return super().extra_repr() + ("" if self.cell == "tanh" else f", nonlinearity={self.cell}")


class LSTMCell(_Cell):
    """One step of an LSTM: c′ = f c + i g, h′ = o tanh(c′).

    Shapes: input (N, I), h and c (N, H), zeros if not given → (h′, c′); or all without N. Weights begin uniform in ±1/√H.

    Example:
        >>> import danlu
        >>> from danlu import nn
        >>> h, c = nn.LSTMCell(3, 4)(danlu.zeros(2, 3))
        >>> tuple(h.shape), tuple(c.shape)
        ((2, 4), (2, 4))
    """

    cell = "lstm"

    def __init__(
        self, input_size: int, hidden_size: int, bias: bool = True, device: Any = None, dtype: DType | None = None,
        *, generator: Generator | None = None,
    ) -> None:  # fmt: skip
        self._build(input_size, hidden_size, bias, (device, dtype), generator)

    def forward(self, input: Tensor, hx: tuple[Tensor, Tensor] | None = None) -> tuple[Tensor, Tensor]:
        """The next states."""
        h, c = self._step(input, [self._start(input), self._start(input)] if hx is None else list(hx))
        return h, c


class GRUCell(_Cell):
    """One step of a GRU: h′ = (1 − z) n + z h.

    Shapes: input (N, I), h (N, H), zeros if it is not given → (N, H); or all without N. Weights begin uniform in ±1/√H.

    Example:
        >>> import danlu
        >>> from danlu import nn
        >>> tuple(nn.GRUCell(3, 4)(danlu.zeros(3)).shape)
        (4,)
    """

    cell = "gru"

    def __init__(
        self, input_size: int, hidden_size: int, bias: bool = True, device: Any = None, dtype: DType | None = None,
        *, generator: Generator | None = None,
    ) -> None:  # fmt: skip
        self._build(input_size, hidden_size, bias, (device, dtype), generator)

    def forward(self, input: Tensor, hx: Tensor | None = None) -> Tensor:
        """The next state."""
        return self._step(input, [self._start(input) if hx is None else hx])[0]


__all__ = ["GRU", "LSTM", "RNN", "GRUCell", "LSTMCell", "RNNCell"]
