"""Attention and the Transformer: formulas in NumPy, masks, messages; PyTorch with the same state dict under `oracle`."""

from __future__ import annotations

import numpy as np
import pytest

import danlu
from danlu import nn
from danlu.errors import DataError, ShapeError
from danlu.nn import functional as F

rng = np.random.default_rng(0)


def softmax(s):
    with np.errstate(invalid="ignore"):
        e = np.exp(s - s.max(-1, keepdims=True))
        return np.nan_to_num(e / e.sum(-1, keepdims=True))


def attend(q, k, v, mask=0.0, scale=None):
    return softmax(q @ np.swapaxes(k, -1, -2) * (scale or q.shape[-1] ** -0.5) + mask) @ v


def close(got, wanted, tolerance=1e-9):
    np.testing.assert_allclose(got.detach().numpy(), wanted, rtol=tolerance, atol=tolerance / 100)


Q, K, V = rng.normal(size=(2, 4, 3, 5)), rng.normal(size=(2, 4, 6, 5)), rng.normal(size=(2, 4, 6, 7))
TENSORS = [danlu.tensor(x) for x in (Q, K, V)]


# ---- scaled dot products ----------------------------------------------------------------------------------------------------


def test_attention_is_its_formula():
    close(F.scaled_dot_product_attention(*TENSORS), attend(Q, K, V))
    close(F.scaled_dot_product_attention(*TENSORS, scale=0.3), attend(Q, K, V, scale=0.3))


def test_masks_of_bools_and_numbers():
    allowed = rng.uniform(size=(3, 6)) > 0.5
    allowed[1] = False  # may look at nothing
    wanted = attend(Q, K, V, np.where(allowed, 0, -np.inf))
    close(F.scaled_dot_product_attention(*TENSORS, danlu.tensor(allowed)), wanted)
    close(F.scaled_dot_product_attention(*TENSORS, danlu.tensor(np.where(allowed, 0, -np.inf))), wanted)
    assert (wanted[:, :, 1] == 0).all()


def test_a_query_without_keys_has_no_gradient():
    q = danlu.tensor(Q, requires_grad=True)
    mask = danlu.tensor(np.where(np.arange(3)[:, None] == 1, -np.inf, np.zeros((3, 6))))
    F.scaled_dot_product_attention(q, *TENSORS[1:], mask).sum().backward()
    g = q.grad.numpy()
    assert np.isfinite(g).all() and (g[:, :, 1] == 0).all() and (g[:, :, 0] != 0).any()


def test_causal_attention_sees_no_later_key():
    tri = np.where(np.tri(3, 6, dtype=bool), 0, -np.inf)
    close(F.scaled_dot_product_attention(*TENSORS, is_causal=True), attend(Q, K, V, tri))


def test_heads_that_share_keys():
    k, v = danlu.tensor(K[:, :2]), danlu.tensor(V[:, :2])
    shared = attend(Q, np.repeat(K[:, :2], 2, 1), np.repeat(V[:, :2], 2, 1))
    close(F.scaled_dot_product_attention(TENSORS[0], k, v, enable_gqa=True), shared)


def test_dropout_of_weights():
    y = F.scaled_dot_product_attention(danlu.zeros(1, 2), danlu.zeros(400, 2), danlu.ones(400, 1), dropout_p=0.5)
    assert y.item() != 1.0 and abs(y.item() - 1) < 0.3
    assert F.scaled_dot_product_attention(danlu.zeros(1, 2), danlu.zeros(4, 2), danlu.ones(4, 1), dropout_p=1.0).item() == 0


# ---- several heads ----------------------------------------------------------------------------------------------------------


def heads(layer, q, k, v, mask=0.0):
    """MultiheadAttention by its formula, head by head: q (L, N, E)."""
    w, b = layer.in_proj_weight.detach().numpy(), layer.in_proj_bias.detach().numpy()
    parts = [x @ wi.T + bi for x, wi, bi in zip((q, k, v), np.split(w, 3), np.split(b, 3))]
    per_head = [[np.swapaxes(h, 0, 1) for h in np.split(x, layer.num_heads, -1)] for x in parts]
    outputs = [attend(a, c, d, mask) for a, c, d in zip(*per_head)]
    weights = [softmax(a @ np.swapaxes(c, 1, 2) * a.shape[-1] ** -0.5 + mask) for a, c, _ in zip(*per_head)]
    out = np.swapaxes(np.concatenate(outputs, -1), 0, 1)
    y = out @ layer.out_proj.weight.detach().numpy().T + layer.out_proj.bias.detach().numpy()
    return y, np.stack(weights, 1)


def test_heads_are_their_formula():
    layer = nn.MultiheadAttention(8, 2, dtype=danlu.float64)
    q, k = rng.normal(size=(3, 2, 8)), rng.normal(size=(5, 2, 8))
    y, shares = layer(danlu.tensor(q), danlu.tensor(k), danlu.tensor(k), average_attn_weights=False)
    wanted, weights = heads(layer, q, k, k)
    close(y, wanted)
    close(shares, weights)
    close(layer(danlu.tensor(q), danlu.tensor(k), danlu.tensor(k))[1], weights.mean(1))
    y, none = layer(danlu.tensor(q), danlu.tensor(k), danlu.tensor(k), need_weights=False)
    close(y, wanted)
    assert none is None


def test_padding_and_masks_of_heads():
    layer = nn.MultiheadAttention(8, 2, dtype=danlu.float64, batch_first=True)
    x = rng.normal(size=(2, 4, 8))
    t, padding = danlu.tensor(x), np.array([[False] * 4, [False, False, True, True]])
    causal = nn.Transformer.generate_square_subsequent_mask(4, dtype=danlu.float64)
    mask = np.where(padding, -np.inf, 0)[:, None] + causal.numpy()
    turned = np.swapaxes(x, 0, 1)
    wanted = np.swapaxes(heads(layer, turned, turned, turned, mask)[0], 0, 1)
    close(layer(t, t, t, danlu.tensor(padding), attn_mask=causal)[0], wanted)
    close(layer(t, t, t, danlu.tensor(padding), False, causal, is_causal=True)[0], wanted)
    hidden = danlu.tensor(np.repeat(np.isinf(mask), 2, 0))  # (N · heads, L, S)
    close(layer(t, t, t, attn_mask=hidden)[0], wanted)
    close(layer(t[0], t[0], t[0])[0], layer(t, t, t)[0][0].detach().numpy())


def test_weights_of_heads_begin_as_in_pytorch():
    layer = nn.MultiheadAttention(64, 4, add_bias_kv=True)
    names = ["in_proj_weight", "in_proj_bias", "bias_k", "bias_v", "out_proj.weight", "out_proj.bias"]
    assert list(layer.state_dict()) == names
    bound = np.sqrt(6 / (64 + 3 * 64))
    values = layer.in_proj_weight.detach().numpy()
    assert 0.95 * bound < np.abs(values).max() <= bound
    assert not layer.in_proj_bias.any() and not layer.out_proj.bias.any() and layer.bias_k.any()


# ---- scores -----------------------------------------------------------------------------------------------------------------


def test_scores_are_their_formulas():
    q, k = rng.normal(size=(2, 3, 4)).astype("f"), rng.normal(size=(2, 5, 4)).astype("f")
    tq, tk = danlu.tensor(q), danlu.tensor(k)
    additive, bilinear = nn.AdditiveScore(4, 4, 6), nn.BilinearScore(4, 4)
    w, u, v = (m.weight.detach().numpy() for m in (additive.key, additive.query, additive.value))
    close(additive(tq, tk), np.tanh((q @ u.T)[:, :, None] + (k @ w.T)[:, None]) @ v[0], 1e-4)
    close(bilinear(tq, tk), np.einsum("nld,kd,nsk->nls", q, bilinear.map.weight.detach().numpy(), k), 1e-4)
    close(nn.DotScore()(tq, tk), q @ np.swapaxes(k, 1, 2), 1e-4)
    close(nn.DotScore(scaled=True)(tq, tk), q @ np.swapaxes(k, 1, 2) / 2, 1e-4)
    allowed = np.arange(5) < 3
    y, weights = nn.Attention(nn.DotScore(True))(tq, tk, tk, danlu.tensor(allowed), need_weights=True)
    close(y, attend(q, k, k, np.where(allowed, 0, -np.inf)), 1e-4)
    assert (weights.numpy()[..., 3:] == 0).all()


# ---- the Transformer --------------------------------------------------------------------------------------------------------


def test_a_decoder_with_a_mask_does_not_look_ahead():
    model = nn.Transformer(8, 2, 1, 1, 16, dropout=0.0)
    src, tgt = danlu.randn(5, 1, 8), danlu.randn(4, 1, 8)
    mask = nn.Transformer.generate_square_subsequent_mask(4)
    before = model(src, tgt, tgt_mask=mask).detach().numpy()
    tgt[2:] += 1.0
    after = model(src, tgt, tgt_mask=mask).detach().numpy()
    np.testing.assert_array_equal(before[:2], after[:2])
    assert not np.allclose(before[2:], after[2:])


def test_layers_of_a_stack_have_weights_of_their_own():
    encoder = nn.TransformerEncoder(nn.TransformerEncoderLayer(8, 2, 16, activation="gelu"), 2, nn.LayerNorm(8))
    assert encoder.layers[0].linear1.weight is not encoder.layers[1].linear1.weight
    assert encoder.layers[0].linear1.weight.tolist() == encoder.layers[1].linear1.weight.tolist()
    assert len(list(encoder.parameters())) == 2 * 12 + 2


# ---- messages ---------------------------------------------------------------------------------------------------------------

ONES = danlu.ones(3, 2, 8)
MHA = nn.MultiheadAttention(8, 2)


@pytest.mark.parametrize(
    ("error", "text", "call"),
    [
        (DataError, r"attn_mask together with is_causal=True",
         lambda: F.scaled_dot_product_attention(*TENSORS, danlu.ones(3, 6), is_causal=True)),
        (ShapeError, r"query, key and value have shapes \(3, 2, 8\), \(3, 2, 8\) and \(2,\)",
         lambda: F.scaled_dot_product_attention(ONES, ONES, danlu.ones(2))),
        (ShapeError, r"enable_gqa with shapes \(3, 2, 8\) and \(2, 2, 8\)",
         lambda: F.scaled_dot_product_attention(ONES, ONES[:2], ONES[:2], enable_gqa=True)),
        (DataError, r"embed_dim is 8 and num_heads 3; expected a number of heads that divides it", lambda: nn.MultiheadAttention(8, 3)),
        (ShapeError, r"query, key and value have shapes \(3, 2, 8\), \(2, 8\)", lambda: MHA(ONES, ONES[0], ONES[0])),
        (ShapeError, r"the query has shape \(3, 2, 4\); expected embed_dim = 8 features", lambda: MHA(ONES[..., :4], ONES, ONES)),
        (ShapeError, r"attn_mask has shape \(2, 2\); expected \(3, 3\), or \(4, 3, 3\)",
         lambda: MHA(ONES, ONES, ONES, attn_mask=danlu.ones(2, 2))),
        (ShapeError, r"key_padding_mask has shape \(3, 2\); expected \(2, 3\), one row per sample",
         lambda: MHA(ONES, ONES, ONES, danlu.ones(3, 2))),
        (danlu.DTypeError, r"a mask has dtype int64; expected bool .* write mask.bool\(\)",
         lambda: MHA(ONES, ONES, ONES, danlu.ones(2, 3).long())),
        (DataError, r"is_causal=True without attn_mask", lambda: MHA(ONES, ONES, ONES, is_causal=True)),
        (DataError, r"activation is 'selu'; expected 'relu', 'gelu' or a function",
         lambda: nn.TransformerEncoderLayer(8, 2, activation="selu")),
        (ShapeError, r"src has shape \(3, 2, 8\) and tgt \(3, 1, 8\); expected one batch size, on axis 1, and d_model = 8",
         lambda: nn.Transformer(8, 2, 1, 1, 8)(ONES, ONES[:, :1])),
    ],
)  # fmt: skip
def test_messages(error, text, call):
    with pytest.raises(error, match=text):
        call()


# ---- PyTorch ----------------------------------------------------------------------------------------------------------------


@pytest.mark.oracle
@pytest.mark.filterwarnings("ignore:enable_nested_tensor:UserWarning", "ignore:Support for mismatched:UserWarning")
@pytest.mark.parametrize("options", [{}, {"norm_first": True, "activation": "gelu", "batch_first": True}, {"bias": False}])
def test_the_transformer_is_pytorchs(options):
    torch = pytest.importorskip("torch")
    sizes = {"d_model": 8, "nhead": 2, "num_encoder_layers": 2, "num_decoder_layers": 2, "dim_feedforward": 16, "dropout": 0.0}
    mine = nn.Transformer(**sizes, **options, dtype=danlu.float64)
    theirs = torch.nn.Transformer(**sizes, **options, dtype=torch.float64)
    assert list(mine.state_dict()) == list(theirs.state_dict())
    theirs.load_state_dict({n: torch.from_numpy(p.numpy()) for n, p in mine.state_dict().items()})
    src, tgt, padding = rng.normal(size=(5, 2, 8)), rng.normal(size=(4, 2, 8)), np.array([[False] * 5, [False] * 3 + [True] * 2])
    if options.get("batch_first"):
        src, tgt = src.swapaxes(0, 1).copy(), tgt.swapaxes(0, 1).copy()

    def through(m, kind, t):
        x = t(src, requires_grad=True)
        mask = kind.generate_square_subsequent_mask(4, dtype=x.dtype)
        y = m(x, t(tgt), tgt_mask=mask, src_key_padding_mask=t(padding), memory_key_padding_mask=t(padding), tgt_is_causal=True)
        (y**3).sum().backward()
        return y, x

    (y, x), (z, w) = through(mine, nn.Transformer, danlu.tensor), through(theirs, torch.nn.Transformer, torch.tensor)
    close(y, z.detach().numpy(), 1e-8)
    np.testing.assert_allclose(x.grad.numpy(), w.grad.numpy(), rtol=1e-7, atol=1e-9)
    for (n, p), q in zip(mine.named_parameters(), theirs.parameters()):
        np.testing.assert_allclose(p.grad.numpy(), q.grad.numpy(), rtol=1e-6, atol=1e-8, err_msg=n)


@pytest.mark.oracle
@pytest.mark.parametrize("options", [{"kdim": 5, "vdim": 3}, {"add_bias_kv": True, "add_zero_attn": True}])
def test_heads_are_pytorchs(options):
    torch = pytest.importorskip("torch")
    mine, theirs = (
        nn.MultiheadAttention(8, 2, dtype=danlu.float64, **options),
        torch.nn.MultiheadAttention(8, 2, dtype=torch.float64, **options),
    )
    theirs.load_state_dict({n: torch.from_numpy(p.numpy()) for n, p in mine.state_dict().items()})
    q, k, v = rng.normal(size=(3, 2, 8)), rng.normal(size=(4, 2, mine.kdim)), rng.normal(size=(4, 2, mine.vdim))
    padding = np.array([[False] * 4, [True] + [False] * 3])
    y, shares = mine(*map(danlu.tensor, (q, k, v, padding)))
    z, weights = theirs(*map(torch.tensor, (q, k, v, padding)))
    close(y, z.detach().numpy())
    close(shares, weights.detach().numpy())
    (y**2).sum().backward()
    (z**2).sum().backward()
    for (n, p), w in zip(mine.named_parameters(), theirs.parameters()):
        np.testing.assert_allclose(p.grad.numpy(), w.grad.numpy(), rtol=1e-8, atol=1e-11, err_msg=n)
