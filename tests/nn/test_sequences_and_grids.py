"""ctc_loss against the sum over all paths written out, grid_sample against interpolation and against PyTorch."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

import danlu
from danlu import DataError, DTypeError, ShapeError, nn
from danlu.nn import functional as F
from danlu.testing import gradcheck

rng = np.random.default_rng(5)


def log_probabilities(*shape):
    return danlu.tensor(rng.normal(size=shape)).log_softmax(-1)


def spelled(path, blank):
    """A path without its repetitions, then without its blanks."""
    return [c for c, _ in itertools.groupby(path) if c != blank]


def by_hand(log_p, target, blank=0):
    """−log Σ of the probabilities of all paths that spell the target."""
    steps, classes = log_p.shape
    paths = (p for p in itertools.product(range(classes), repeat=steps) if spelled(p, blank) == list(target))
    total = sum(math.exp(sum(log_p[t, c] for t, c in enumerate(p))) for p in paths)
    return -math.log(total) if total else math.inf


@pytest.mark.parametrize("blank", [0, 2])
def test_ctc_is_the_sum_over_all_paths(blank):
    log_p, others = log_probabilities(5, 4, 3), [c for c in range(3) if c != blank]
    targets, lengths, heard = rng.choice(others, (4, 3)), [3, 1, 2, 0], [5, 4, 3, 2]
    got = F.ctc_loss(log_p, danlu.tensor(targets), heard, lengths, blank, "none").tolist()
    rows = log_p.numpy()
    want = [by_hand(rows[: heard[n], n], targets[n, : lengths[n]], blank) for n in range(4)]
    np.testing.assert_allclose(got, want, rtol=1e-12)
    joined = danlu.tensor(np.concatenate([t[:n] for t, n in zip(targets, lengths)]))
    assert F.ctc_loss(log_p, joined, heard, lengths, blank, "none").tolist() == got
    assert F.ctc_loss(log_p, joined, heard, lengths, blank, "sum").item() == pytest.approx(sum(got))
    assert nn.CTCLoss(blank)(log_p, joined, heard, lengths).item() == pytest.approx(np.mean(np.array(got) / [3, 1, 2, 1]))
    single = F.ctc_loss(log_p[:, 0], danlu.tensor(targets[0]), 5, 3, blank, "none")
    assert single.shape == () and single.item() == pytest.approx(got[0])


def test_a_target_that_does_not_fit_is_infinite_or_nothing():
    log_p, target = danlu.zeros(2, 1, 3).log_softmax(-1).requires_grad_(), danlu.tensor([[1, 1]])  # 1 1 needs a blank between
    assert F.ctc_loss(log_p, target, [2], [2], reduction="none").item() == math.inf
    loss = F.ctc_loss(log_p, target, [2], [2], zero_infinity=True)
    loss.backward()
    assert loss.item() == 0 and log_p.grad.abs().sum().item() == 0
    empty = F.ctc_loss(danlu.zeros(2, 2, 3), danlu.tensor([[1], [1]]), [0, 0], [0, 1], reduction="none")
    assert empty.tolist() == [0.0, math.inf]


def test_the_derivatives_of_ctc_are_right_to_the_second_order():
    x = danlu.tensor(rng.normal(size=(4, 2, 3)), requires_grad=True)
    assert gradcheck(lambda x: F.ctc_loss(x.log_softmax(-1), danlu.tensor([[1, 2], [2, 2]]), [4, 4], [2, 2]), [x])


def test_long_inputs_do_not_underflow():
    log_p = log_probabilities(700, 1, 40).float()
    loss = F.ctc_loss(log_p, danlu.tensor(rng.integers(1, 40, (1, 50))), [700], [50], reduction="none")
    assert 500 < loss.item() < 3000


@pytest.mark.oracle
@pytest.mark.parametrize("reduction", ["none", "mean", "sum"])
def test_ctc_and_its_gradient_through_log_softmax_are_pytorchs(reduction):
    torch = pytest.importorskip("torch")
    x, targets = rng.normal(size=(12, 3, 5)), rng.integers(1, 5, (3, 4))
    lengths = ([12, 10, 9], [4, 2, 3])
    ours, theirs = danlu.tensor(x, requires_grad=True), torch.tensor(x, requires_grad=True)
    got = F.ctc_loss(ours.log_softmax(-1), danlu.tensor(targets), *lengths, reduction=reduction)
    want = torch.nn.functional.ctc_loss(theirs.log_softmax(-1), torch.tensor(targets), *lengths, reduction=reduction)
    np.testing.assert_allclose(got.detach().numpy(), want.detach().numpy(), rtol=1e-10)
    got.sum().backward()
    want.sum().backward()
    np.testing.assert_allclose(ours.grad.numpy(), theirs.grad.numpy(), atol=1e-10)


# ---- grids ----------------------------------------------------------------------------------------------------------------------------

IMAGE = danlu.tensor(rng.normal(size=(2, 3, 4, 5)))
IDENTITY = danlu.tensor(np.broadcast_to(np.eye(2, 3), (2, 2, 3)).copy())


@pytest.mark.parametrize("align", [True, False])
@pytest.mark.parametrize("mode", ["bilinear", "nearest", "bicubic"])
def test_the_identity_gives_the_image_back(mode, align):
    grid = F.affine_grid(IDENTITY, tuple(IMAGE.shape), align)
    np.testing.assert_allclose(F.grid_sample(IMAGE, grid, mode, "border", align).numpy(), IMAGE.numpy(), atol=1e-12)


@pytest.mark.parametrize("mode", ["bilinear", "bicubic"])
def test_a_finer_grid_interpolates(mode):
    grid = F.affine_grid(IDENTITY, (2, 3, 9, 7), True)
    want = F.interpolate(IMAGE, (9, 7), mode=mode, align_corners=True)
    np.testing.assert_allclose(F.grid_sample(IMAGE, grid, mode, "border", True).numpy(), want.numpy(), atol=1e-12)


def test_beyond_the_edge_stand_zeros_the_edge_or_a_mirror():
    row = danlu.tensor([[[[1.0, 2.0, 3.0, 4.0]]]])
    grid = danlu.tensor([[[[-1.5, 0.0], [1.5, 0.0]]]])  # 3/4 of a pixel outside the first and the last centre
    read = {p: F.grid_sample(row, grid, "nearest", p, True).flatten().tolist() for p in ("zeros", "border", "reflection")}
    assert read == {"zeros": [0.0, 0.0], "border": [1.0, 4.0], "reflection": [2.0, 3.0]}


@pytest.mark.parametrize("mode", ["bilinear", "bicubic"])
def test_the_derivatives_of_grid_sample_are_right(mode):
    image = danlu.tensor(rng.normal(size=(1, 2, 3, 3)), requires_grad=True)
    grid = danlu.tensor(rng.uniform(-0.9, 0.9, (1, 2, 2, 2)), requires_grad=True)
    assert gradcheck(lambda x, g: F.grid_sample(x, g, mode, align_corners=False), [image, grid])


def test_volumes_have_one_axis_more():
    volume = danlu.tensor(rng.normal(size=(1, 2, 3, 4, 5)))
    grid = F.affine_grid(danlu.tensor(np.eye(3, 4)[None]), tuple(volume.shape), False)
    np.testing.assert_allclose(F.grid_sample(volume, grid, align_corners=False).numpy(), volume.numpy(), atol=1e-12)


LOG_P, GRID = danlu.zeros(3, 2, 4), danlu.zeros(2, 1, 1, 2, dtype=danlu.float64)
TARGETS = danlu.tensor([[1, 2], [1, 3]])


@pytest.mark.parametrize(
    ("call", "kind", "message"),
    [
        (lambda: F.ctc_loss(LOG_P[0, 0], TARGETS, 3, 2), ShapeError, r"log_probs has shape \(4,\) and dtype float32; expected floats \(T, N, C\)"),
        (lambda: F.ctc_loss(LOG_P, TARGETS, [3, 3], [2, 2], blank=4), DataError, "blank=4; expected a class, 0 … 3"),
        (lambda: F.ctc_loss(LOG_P, TARGETS, [3], [2, 2]), ShapeError, "input_lengths has 1 elements of dtype int64; expected 2 integers"),
        (lambda: F.ctc_loss(LOG_P, TARGETS, [3, 4], [2, 2]), DataError, "input_lengths goes from 3 to 4; expected 0 … 3"),
        (lambda: F.ctc_loss(LOG_P, TARGETS.float(), [3, 3], [2, 2]), DTypeError, "the targets have dtype float32; expected the numbers of classes"),
        (lambda: F.ctc_loss(LOG_P, TARGETS[0], [3, 3], [2, 2]), ShapeError, "2 targets for lengths that add up to 4"),
        (lambda: F.ctc_loss(LOG_P, TARGETS + 2, [3, 3], [2, 2]), DataError, "a target is 5; expected classes 0 … 3"),
        (lambda: F.affine_grid(danlu.zeros(2, 3), (1, 1, 2, 2)), ShapeError, r"theta has shape \(2, 3\) and size is \(1, 1, 2, 2\)"),
        (lambda: F.grid_sample(IMAGE, danlu.zeros(1, 2, 2, 2)), ShapeError, r"the input has shape \(2, 3, 4, 5\) and the grid \(1, 2, 2, 2\)"),
        (lambda: F.grid_sample(IMAGE, GRID, "cubic"), DataError, "mode is 'cubic'; expected 'bilinear' or 'nearest', for images also 'bicubic'"),
        (lambda: F.grid_sample(IMAGE, GRID, "nearest", "wrap"), DataError, "padding_mode is 'wrap'; expected 'zeros', 'border' or 'reflection'"),
        (lambda: F.grid_sample(IMAGE, GRID.float()), DataError, "the input is float64 and the grid float32; write grid.to"),
    ],
)  # fmt: skip
def test_refusals_of_sequences_and_grids(call, kind, message):
    with pytest.raises(kind, match=message):
        call()
