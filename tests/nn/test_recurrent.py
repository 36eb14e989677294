"""Recurrent layers and packed sequences: NumPy loops, properties, messages; PyTorch with the same state dict under `oracle`."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import danlu
from danlu import nn
from danlu.errors import DataError, ShapeError
from danlu.nn.utils import rnn

# ---- references -------------------------------------------------------------------------------------------------------------


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def step(cell, x, states, w):
    """One step of a cell by its formula."""
    gx, gh = x @ w["weight_ih"].T + w["bias_ih"], states[0] @ w["weight_hh"].T + w["bias_hh"]
    if cell in ("tanh", "relu"):
        return [np.tanh(gx + gh) if cell == "tanh" else np.maximum(gx + gh, 0)]
    if cell == "gru":
        (rx, zx, nx), (rh, zh, nh) = np.split(gx, 3, -1), np.split(gh, 3, -1)
        r, z = sigmoid(rx + rh), sigmoid(zx + zh)
        n = np.tanh(nx + r * nh)
        return [(1 - z) * n + z * states[0]]
    i, f, g, o = np.split(gx + gh, 4, -1)
    c = sigmoid(f) * states[1] + sigmoid(i) * np.tanh(g)
    return [sigmoid(o) * np.tanh(c), c]


def run(layer, x, states):
    """A layer over whole sequences, all of one length, as nested loops: x (T, N, I), states (layers · directions, N, H)."""
    weights = {name: p.detach().numpy() for name, p in layer.named_parameters()}
    last = [[] for _ in states]
    for k in range(layer.num_layers):
        outputs = []
        for d in range(2 if layer.bidirectional else 1):
            place = f"_l{k}" + ("_reverse" if d else "")
            w = {n[: -len(place)]: v for n, v in weights.items() if n.endswith(place)}
            now, steps = [s[len(last[0])] for s in states], []
            for t in reversed(range(len(x))) if d else range(len(x)):
                now = step(layer.cell, x[t], now, w)
                if "weight_hr" in w:
                    now[0] = now[0] @ w["weight_hr"].T
                steps.append(now[0])
            outputs.append(np.stack(steps[::-1] if d else steps))
            for kind, value in zip(last, now):
                kind.append(value)
        x = np.concatenate(outputs, -1)
    return x, [np.stack(kind) for kind in last]


LAYERS = {
    "rnn": lambda: nn.RNN(3, 4, dtype=danlu.float64),
    "relu": lambda: nn.RNN(3, 4, nonlinearity="relu", num_layers=2, dtype=danlu.float64),
    "lstm": lambda: nn.LSTM(3, 4, num_layers=2, bidirectional=True, dtype=danlu.float64),
    "projected": lambda: nn.LSTM(3, 4, bidirectional=True, proj_size=2, dtype=danlu.float64),
    "gru": lambda: nn.GRU(3, 4, num_layers=2, bidirectional=True, dtype=danlu.float64),
}


def beginning(layer, n, rng):
    count = layer.num_layers * (2 if layer.bidirectional else 1)
    sizes = [layer.proj_size or layer.hidden_size, layer.hidden_size][: 2 if layer.cell == "lstm" else 1]
    return [rng.normal(size=(count, n, size)) for size in sizes]


def given_to(states):
    tensors = tuple(danlu.tensor(s) for s in states)
    return tensors if len(tensors) > 1 else tensors[0]


def listed(states):
    return [s.detach().numpy() for s in (states if isinstance(states, tuple) else (states,))]


# ---- values -----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", LAYERS)
def test_a_layer_is_the_loop_of_its_formula(name):
    rng, layer = np.random.default_rng(0), LAYERS[name]()
    x, states = rng.normal(size=(5, 2, 3)), beginning(layer, 2, rng)
    y, last = layer(danlu.tensor(x), given_to(states))
    wanted, wanted_last = run(layer, x, states)
    np.testing.assert_allclose(y.detach().numpy(), wanted, rtol=1e-9, atol=1e-12)
    for got, want in zip(listed(last), wanted_last):
        np.testing.assert_allclose(got, want, rtol=1e-9, atol=1e-12)


def test_batch_first_and_no_batch():
    x = danlu.randn(5, 2, 3)
    layer = nn.GRU(3, 4)
    turned = nn.GRU(3, 4, batch_first=True)
    turned.load_state_dict(layer.state_dict())
    y, h = layer(x)
    z, g = turned(x.transpose(0, 1))
    single, last = layer(x[:, 0])
    np.testing.assert_allclose(z.transpose(0, 1).detach().numpy(), y.detach().numpy(), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(g.detach().numpy(), h.detach().numpy(), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(single.detach().numpy(), y[:, 0].detach().numpy(), rtol=1e-5, atol=1e-6)
    assert single.shape == (5, 4) and last.shape == (1, 4)


@pytest.mark.parametrize("kind", [nn.RNNCell, nn.LSTMCell, nn.GRUCell])
def test_a_cell_is_a_layer_of_one_step(kind):
    cell = kind(3, 4)
    layer = {nn.RNNCell: nn.RNN, nn.LSTMCell: nn.LSTM, nn.GRUCell: nn.GRU}[kind](3, 4)
    layer.load_state_dict({name + "_l0": p for name, p in cell.state_dict().items()})
    x = danlu.randn(2, 3)
    got = cell(x)
    got = got[0] if isinstance(got, tuple) else got
    np.testing.assert_allclose(got.detach().numpy(), layer(x.unsqueeze(0))[0][0].detach().numpy(), rtol=1e-5, atol=1e-6)
    alone = cell(x[0])
    alone = alone[0] if isinstance(alone, tuple) else alone
    np.testing.assert_allclose(alone.detach().numpy(), got[0].detach().numpy(), rtol=1e-5, atol=1e-6)


def test_dropout_acts_between_layers_alone():
    layer, x = nn.RNN(3, 4, num_layers=2, dropout=1.0), danlu.randn(3, 2, 3)
    first = nn.RNN(4, 4)
    first.load_state_dict({name[:-1] + "0": p for name, p in layer.state_dict().items() if name.endswith("l1")})
    np.testing.assert_allclose(
        layer(x)[0].detach().numpy(), first(danlu.zeros(3, 2, 4))[0].detach().numpy(), rtol=1e-5, atol=1e-6
    )
    assert layer.eval()(x)[0].tolist() != layer.train()(x)[0].tolist()


def test_weights_begin_as_in_pytorch():
    layer = nn.LSTM(100, 64, num_layers=2)
    assert list(layer.state_dict())[:5] == ["weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0", "weight_ih_l1"]
    for p in layer.parameters():
        values = p.detach().numpy()
        assert np.abs(values).max() <= 1 / 8
        np.testing.assert_allclose(values.std(), 1 / 8 / np.sqrt(3), rtol=0.1)
    assert [len(names) for names in layer.all_weights] == [4, 4] and layer.flatten_parameters() is None


def test_it_is_one_node_while_recording():
    layer = nn.LSTM(3, 4)
    y, _ = layer(danlu.zeros(7, 2, 3))
    ops = [getattr(entry[0], "name", entry[0]) for entry in danlu.engine._current().entries]
    assert ops.count("recurrence") == 1 and "contract" not in ops and y.shape == (7, 2, 4)


# ---- packed sequences -------------------------------------------------------------------------------------------------------


def sequences(lengths, features=3):
    rng = np.random.default_rng(len(lengths))
    return [rng.normal(size=(n, features)) for n in lengths]


@given(st.lists(st.integers(1, 5), min_size=1, max_size=4), st.booleans())
@settings(max_examples=12)
def test_packing_and_padding_are_inverse(lengths, batch_first):
    given_ = sequences(lengths)
    packed = rnn.pack_sequence([danlu.tensor(s) for s in given_], enforce_sorted=False)
    assert packed.data.shape == (sum(lengths), 3)
    assert packed.batch_sizes.tolist() == [sum(n > t for n in lengths) for t in range(max(lengths))]
    padded, sizes = rnn.pad_packed_sequence(packed, batch_first=batch_first, padding_value=9.0)
    assert sizes.tolist() == lengths
    rows = padded.numpy() if batch_first else padded.numpy().transpose(1, 0, 2)
    for row, s in zip(rows, given_):
        np.testing.assert_array_equal(row[: len(s)], s)
        assert (row[len(s) :] == 9).all()
    again = rnn.unpad_sequence(padded, sizes, batch_first=batch_first)
    assert all((a.numpy() == s).all() for a, s in zip(again, given_))


@given(st.lists(st.integers(1, 5), min_size=1, max_size=4))
@settings(max_examples=8)
def test_the_packed_form_gives_the_padded_one(lengths):
    packed = rnn.pack_sequence([danlu.tensor(s) for s in sequences(lengths)], enforce_sorted=False)
    data, batch_sizes, order, back = packed
    again = rnn.PackedSequence(data, batch_sizes, order, back)
    assert len(packed) == 4 and packed[0] is packed.data
    for a, b in zip(rnn.pad_packed_sequence(packed), rnn.pad_packed_sequence(again)):
        np.testing.assert_array_equal(a.numpy(), b.numpy())


@pytest.mark.parametrize("name", ["lstm", "gru"])
def test_each_packed_sequence_runs_by_itself(name):
    rng, layer, lengths = np.random.default_rng(1), LAYERS[name](), [2, 4, 1]
    given_, states = sequences(lengths), beginning(layer, 3, rng)
    packed = rnn.pack_sequence([danlu.tensor(s, requires_grad=True) for s in given_], enforce_sorted=False)
    y, last = layer(packed, given_to(states))
    padded, sizes = rnn.pad_packed_sequence(y)
    for k, s in enumerate(given_):
        wanted, wanted_last = run(layer, s[:, None], [v[:, k : k + 1] for v in states])
        np.testing.assert_allclose(padded[: lengths[k], k].detach().numpy(), wanted[:, 0], rtol=1e-9, atol=1e-12)
        for got, want in zip(listed(last), wanted_last):
            np.testing.assert_allclose(got[:, k], want[:, 0], rtol=1e-9, atol=1e-12)
    assert sizes.tolist() == lengths


def test_other_lengths_need_no_other_program():
    layer = nn.GRU(2, 3)

    def gradient(lengths):
        y, _ = layer(rnn.pack_padded_sequence(danlu.tensor(values), lengths))
        layer.zero_grad()
        rnn.pad_packed_sequence(y)[0].sum().backward()
        return layer.weight_hh_l0.grad.numpy()

    values = np.random.default_rng(0).normal(size=(3, 3, 2)).astype(np.float32)
    gradients = [gradient([3, 2, 2]), gradient([3, 3, 1])]
    before = danlu.programs.statistics()["programs"]
    gradients.append(gradient([3, 1, 1]))
    assert danlu.programs.statistics()["programs"] == before
    assert not np.allclose(gradients[0], gradients[1]) and not np.allclose(gradients[1], gradients[2])


def test_gradients_do_not_reach_the_padding():
    x = danlu.ones(3, 2, 2, requires_grad=True)
    y, _ = nn.LSTM(2, 3)(rnn.pack_padded_sequence(x, [3, 1]))
    rnn.pad_packed_sequence(y)[0].sum().backward()
    g = x.grad.numpy()
    assert (g[1:, 1] == 0).all() and (g[:, 0] != 0).all() and (g[0, 1] != 0).all()


def test_padding_on_either_side_and_total_length():
    given_ = [danlu.tensor([1, 2]), danlu.tensor([3])]
    assert rnn.pad_sequence(given_, True, 7, "left").tolist() == [[1, 2], [7, 3]]
    assert rnn.pad_sequence(danlu.ones(2, 3)).shape == (3, 2)
    packed = rnn.pack_sequence(given_)
    assert rnn.pad_packed_sequence(packed, total_length=3)[0].tolist() == [[1, 3], [2, 0], [0, 0]]
    assert packed.to(danlu.float64).data.dtype is danlu.float64 and packed.cpu() is packed
    assert repr(packed).startswith("PackedSequence(data=tensor([1, 3, 2])")


# ---- messages ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("error", "text", "call"),
    [
        (DataError, r"RNN: nonlinearity is 'gelu'; expected 'tanh' or 'relu'", lambda: nn.RNN(2, 3, nonlinearity="gelu")),
        (DataError, r"GRU: hidden_size is 0; expected an integer", lambda: nn.GRU(2, 0)),
        (DataError, r"LSTM: dropout is 2.0; expected a probability", lambda: nn.LSTM(2, 3, dropout=2)),
        (DataError, r"LSTM: proj_size is 3; expected 0 \(none\) or a size less than hidden_size, 3", lambda: nn.LSTM(2, 3, proj_size=3)),
        (
            ShapeError,
            r"GRU: the input has shape \(5, 2, 7\); expected \(T, N, 2\), or \(T, 2\) without a batch",
            lambda: nn.GRU(2, 3)(danlu.ones(5, 2, 7)),
        ),
        (
            ShapeError,
            r"GRU: the input has shape \(4, 0, 2\); expected \(N, T, 2\)",
            lambda: nn.GRU(2, 3, batch_first=True)(danlu.ones(4, 0, 2)),
        ),
        (
            ShapeError,
            r"GRU: Expected hidden size \(1, 4, 3\), got \(1, 4, 2\)",
            lambda: nn.GRU(2, 3)(danlu.ones(5, 4, 2), danlu.ones(1, 4, 2)),
        ),
        (
            danlu.DTypeError,
            r"LSTM: hx holds 1 tensors; expected 2: h_0, and for an LSTM c_0",
            lambda: nn.LSTM(2, 3)(danlu.ones(5, 4, 2), danlu.ones(1, 4, 3)),
        ),
        (ShapeError, r"GRUCell: input has shape \(2, 5\); expected \(N, 3\)", lambda: nn.GRUCell(3, 4)(danlu.ones(2, 5))),
        (
            ShapeError,
            r"GRUCell: hx has shape \(4,\); expected \(N, 4\)",
            lambda: nn.GRUCell(3, 4)(danlu.ones(2, 3), danlu.ones(4)),
        ),
        (
            DataError,
            r"the lengths \[1, 2\] are not sorted, the longest first; write enforce_sorted=False",
            lambda: rnn.pack_padded_sequence(danlu.ones(2, 2), [1, 2]),
        ),
        (
            ShapeError,
            r"pack_padded_sequence: 1 lengths for a batch of 2 sequences",
            lambda: rnn.pack_padded_sequence(danlu.ones(2, 2), [2]),
        ),
        (
            DataError,
            r"the lengths are \[3, 0\]; expected numbers from 1 to 2",
            lambda: rnn.pack_padded_sequence(danlu.ones(2, 2), [3, 0]),
        ),
        (ShapeError, r"pack_padded_sequence: the input has shape \(2,\)", lambda: rnn.pack_padded_sequence(danlu.ones(2), [2])),
        (
            DataError,
            r"total_length is 1; expected at least 2",
            lambda: rnn.pad_packed_sequence(rnn.pack_sequence([danlu.ones(2)]), total_length=1),
        ),
        (DataError, r"padding_side is 'top'; expected 'left' or 'right'", lambda: rnn.pad_sequence([danlu.ones(2)], padding_side="top")),
        (ShapeError, r"pad_sequence: the sequences have shapes \[\]", lambda: rnn.pad_sequence([])),
        (ShapeError, r"PackedSequence: data has shape \(3,\) and the batch sizes are \[1, 2\]", lambda: rnn.PackedSequence(danlu.ones(3), [1, 2])),
    ],
)  # fmt: skip
def test_messages(error, text, call):
    with pytest.raises(error, match=text):
        call()


def test_dropout_of_one_layer_is_warned_of():
    with pytest.warns(UserWarning, match=r"GRU: dropout=0.5 with num_layers=1 does nothing"):
        nn.GRU(2, 3, dropout=0.5)


def test_texts():
    assert repr(nn.LSTM(3, 4, 2, bidirectional=True, proj_size=2)) == "LSTM(3, 4, proj_size=2, num_layers=2, bidirectional=True)"
    assert repr(nn.RNNCell(3, 4, bias=False, nonlinearity="relu")) == "RNNCell(3, 4, bias=False, nonlinearity=relu)"


# ---- PyTorch ----------------------------------------------------------------------------------------------------------------


@pytest.mark.oracle
@pytest.mark.parametrize("name", LAYERS)
@pytest.mark.parametrize("packed", [False, True])
def test_outputs_and_gradients_are_pytorchs(name, packed):
    torch = pytest.importorskip("torch")
    layer, rng, lengths = LAYERS[name](), np.random.default_rng(0), [2, 5, 3]
    kind = {"lstm": torch.nn.LSTM, "gru": torch.nn.GRU}.get(layer.cell, torch.nn.RNN)
    options = {"nonlinearity": layer.cell} if kind is torch.nn.RNN else {}
    options |= {"proj_size": layer.proj_size} if layer.proj_size else {}
    peer = kind(3, 4, layer.num_layers, bidirectional=layer.bidirectional, dtype=torch.float64, **options)
    peer.load_state_dict({n: torch.from_numpy(p.numpy()) for n, p in layer.state_dict().items()})
    x = rng.normal(size=(5, 3, 3))

    def through(m, leaf, utils):
        if not packed:
            return m(leaf)
        y, h = m(utils.pack_padded_sequence(leaf, lengths, enforce_sorted=False))
        return utils.pad_packed_sequence(y)[0], h

    mine, theirs = danlu.tensor(x, requires_grad=True), torch.tensor(x, requires_grad=True)
    (y, h), (z, g) = through(layer, mine, rnn), through(peer, theirs, torch.nn.utils.rnn)
    np.testing.assert_allclose(y.detach().numpy(), z.detach().numpy(), rtol=1e-9, atol=1e-11)
    h, g = (h[1], g[1]) if layer.cell == "lstm" else (h, g)
    ((y * y).sum() + (h**3).sum()).backward()
    ((z * z).sum() + (g**3).sum()).backward()
    np.testing.assert_allclose(mine.grad.numpy(), theirs.grad.numpy(), rtol=1e-8, atol=1e-11)
    for (n, p), q in zip(layer.named_parameters(), peer.parameters()):
        np.testing.assert_allclose(p.grad.numpy(), q.grad.numpy(), rtol=1e-8, atol=1e-10, err_msg=n)


@pytest.mark.oracle
def test_packed_data_is_pytorchs():
    torch = pytest.importorskip("torch")
    for lengths in ([3, 1, 2], [4, 4, 1]):
        given_ = sequences(lengths)
        mine = rnn.pack_sequence([danlu.tensor(s) for s in given_], enforce_sorted=False)
        theirs = torch.nn.utils.rnn.pack_sequence([torch.tensor(s) for s in given_], enforce_sorted=False)
        for a, b in zip(mine, theirs):
            np.testing.assert_array_equal(a.numpy(), b.numpy())


def test_a_packed_batch_has_no_other_attributes():
    packed = nn.utils.rnn.pack_sequence([danlu.ones(2)])
    assert packed.double().data.dtype is danlu.float64 and packed.pin_memory() is packed and not packed.is_cuda
    with pytest.raises(AttributeError, match="a PackedSequence has no attribute 'shape'"):
        packed.shape  # noqa: B018
