"""Every refusal of the further tensor methods: its kind, and what it says."""

from __future__ import annotations

import pytest

import danlu
from danlu import AxisError, DataError, DTypeError, ShapeError

V, M, I, B, S = danlu.tensor([1.0, 2.0]), danlu.ones(2, 3), danlu.tensor([0, 1]), danlu.tensor([True, False]), danlu.tensor(1.0)

REFUSALS = [
    # elementwise
    (lambda: V.add("x"), DTypeError, "add takes tensors and numbers, got str"),
    (lambda: V.bitwise_and(1), DTypeError, "bitwise_and works on bits and takes integers and bools, got float32"),
    (lambda: I.bitwise_or(1.5), DTypeError, "bitwise_or works on bits and takes integers and bools, got float;"),
    (lambda: V.bitwise_not(), DTypeError, "bitwise_not works on bits"),
    (lambda: I.add(I, alpha=0.5), DTypeError, "add: alpha=0.5 is a float and the tensors hold int64"),
    (lambda: I.add(I, alpha=False), DTypeError, "add: alpha is a bool and the tensor holds int64"),
    (lambda: B.sub(B), DTypeError, "sub with a bool tensor or a bool: write x \\^ y"),
    (lambda: danlu.rsub(I, True), DTypeError, "rsub with a bool tensor or a bool"),
    (lambda: V.div(2, rounding_mode="up"), DTypeError, "rounding_mode='up'; expected None, 'trunc' or 'floor'"),
    (lambda: B.positive(), DTypeError, "positive of a bool tensor"),
    (lambda: V.polygamma(-1), DTypeError, "polygamma of order -1; expected 0 or more"),
    (lambda: V.isclose(V, rtol=-1), ShapeError, "rtol=-1 and atol=1e-08 must not be negative"),
    (lambda: V.isclose(I), DTypeError, "isclose: dtypes float32 and int64; write y.to"),
    (lambda: V.fill(V), ShapeError, "fill takes a number or a 0-d tensor, got a tensor of shape \\(2,\\)"),
    (lambda: V.maximum(1), DTypeError, "maximum: the other operand is int; expected a tensor"),
    (lambda: V.isclose(1), DTypeError, "isclose: the other operand is int; expected a tensor"),
    (lambda: danlu.exp(1.0), DTypeError, "danlu.exp takes a tensor first, got float"),
    (lambda: danlu.add(1, 2), DTypeError, "danlu.add takes a tensor first, got int"),
    # movement
    (lambda: M.flip(0, 0), ShapeError, "flip: axes \\(0, 0\\) name one axis twice"),
    (lambda: M.movedim((0, 1), 0), ShapeError, "movedim: 2 axes \\(0, 1\\) cannot go to 1 places"),
    (lambda: V.fliplr(), ShapeError, "fliplr needs at least 2 axes, the tensor has shape \\(2,\\)"),
    (lambda: S.flipud(), ShapeError, "flipud needs at least 1 axis"),
    (lambda: M.rot90(1, (0, 1, 0)), ShapeError, "rot90 turns in the plane of two axes, got dims=\\(0, 1, 0\\)"),
    (lambda: M.roll((1, 2)), ShapeError, "roll: 2 shifts and no axes"),
    (lambda: M.roll((1, 2), 0), ShapeError, "roll: 2 shifts \\(1, 2\\) for 1 axes \\(0,\\)"),
    (lambda: S.roll(1, 0), AxisError, "roll of a 0-d tensor along \\(0,\\)"),
    (lambda: M.sum((0, -2)), ShapeError, "sum: dim=\\(0, -2\\) names one axis twice"),
    (lambda: M.sum_to_size(2, 2), ShapeError, "sum_to_size: shape \\(2, 3\\) is not what \\(2, 2\\) broadcasts to"),
    (lambda: M.unflatten(0, ()), ShapeError, "unflatten of shape \\(2, 3\\) to \\(\\)"),
    (lambda: M.repeat(2), ShapeError, "repeat: \\(2,\\) for a tensor of shape \\(2, 3\\)"),
    (lambda: I.repeat_interleave(V), DTypeError, "repeats has dtype float32; expected integers"),
    (lambda: I.repeat_interleave(danlu.tensor([1, 2, 3])), ShapeError, "3 counts for axis 0 of size 2; expected one or 2"),
    (lambda: V.diagonal(), ShapeError, "diagonal needs at least 2 axes, the tensor has shape \\(2,\\)"),
    (lambda: S.diag_embed(), ShapeError, "diag_embed needs at least 1 axis"),
    (lambda: danlu.ones(1, 1, 1).diag(), ShapeError, "diag takes a vector or a matrix, got shape \\(1, 1, 1\\)"),
    (lambda: V.tril(), ShapeError, "tril needs at least 2 axes, the tensor has shape \\(2,\\)"),
    (lambda: M.triu(V), DTypeError, "triu: expected an integer, got a tensor of shape \\(2,\\) and dtype float32"),
    (lambda: S.select(0, 0), AxisError, "select of a 0-d tensor"),
    (lambda: M.select(0, 5), AxisError, "index 5 is out of range for an axis of size 2"),
    (lambda: S.narrow(0, 0, 1), ShapeError, "narrow of a 0-d tensor"),
    (lambda: M.narrow(0, 1, 2), ShapeError, "narrow: 1 … 3 is not inside axis 0 of size 2"),
    (lambda: S.split(1), ShapeError, "split of a 0-d tensor"),
    (lambda: M.split(0), ShapeError, "split: pieces of size 0"),
    (lambda: M.split([1, 3]), ShapeError, "split: sizes \\[1, 3\\] add up to 4; axis 0 has 2"),
    (lambda: M.chunk(0), ShapeError, "chunk: 0 pieces of a tensor of shape \\(2, 3\\)"),
    (lambda: S.tensor_split(2), ShapeError, "tensor_split of a 0-d tensor"),
    (lambda: M.tensor_split(0), ShapeError, "tensor_split into 0 pieces"),
    (lambda: S.hsplit(1), ShapeError, "hsplit needs at least 1 axis, the tensor has shape \\(\\)"),
    (lambda: M.dsplit(1), ShapeError, "dsplit needs at least 3 axes"),
    (lambda: M.vsplit(3), ShapeError, "vsplit: axis 0 of size 2 is not divisible into 3 equal pieces"),
    (lambda: V.unfold(0, 3, 1), ShapeError, "unfold: windows of 3, 1 apart, on axis 0 of size 2"),
    # positions
    (lambda: M.index_select(0, danlu.tensor([[0]])), ShapeError, "index_select: the index has shape \\(1, 1\\); expected a vector"),
    (lambda: M.index_select(0, V), DTypeError, "index_select: the index has dtype float32; expected int64 or int32"),
    (lambda: V.gather(0, V), DTypeError, "the index has dtype float32; expected int64"),
    (lambda: M.take_along_dim(I, 0), ShapeError, "the indices have shape \\(2,\\), the tensor \\(2, 3\\)"),
    (lambda: V.masked_select(I), DTypeError, "masked_select: the mask has dtype int64; expected bool"),
    (lambda: V.scatter(0, I, danlu.ones(1)), ShapeError, "scatter: the source has shape \\(1,\\) and the index \\(2,\\)"),
    (lambda: V.scatter(0, I, I), DTypeError, "scatter: the source is int64, the tensor float32"),
    (lambda: V.scatter(0, I, V, reduce="max"), ShapeError, "scatter: reduce='max'; expected 'add' or 'multiply'"),
    (lambda: V.scatter_reduce(0, I, V, "max"), ShapeError, "scatter_reduce: reduce='max'; expected 'sum', 'prod'"),
    (lambda: M.index_add(0, I, V), ShapeError, "index_add: the source has shape \\(2,\\); expected \\(2, 3\\)"),
    (lambda: V.index_copy(0, I, I), DTypeError, "index_copy: the source is int64, the tensor float32"),
    (lambda: V.index_fill(0, I, V), ShapeError, "index_fill takes a number or a 0-d tensor"),
    (lambda: V.masked_scatter(B, I), DTypeError, "the mask is bool and the source int64; expected bool and float32"),
    # scans
    (lambda: I.logcumsumexp(0), DTypeError, "logcumsumexp of int64; expected a floating dtype"),
    (lambda: S.diff(), ShapeError, "diff needs at least 1 axis"),
    (lambda: V.diff(-1), ShapeError, "diff: n=-1; expected 0 or more"),
    (lambda: V.diff(prepend=M), ShapeError, "prepend and append need as many axes as the tensor"),
    # sorting
    (lambda: V.topk(3), ShapeError, "topk: k=3 is not inside 0 … 2, the size of axis 0"),
    (lambda: V.kthvalue(0), ShapeError, "kthvalue: k=0 is not inside 1 … 2"),
    (lambda: danlu.ones(0, 0).unique(dim=0), ShapeError, "unique: shape \\(0, 0\\) has no elements beside axis 0"),
    (lambda: V.bincount(), ShapeError, "bincount takes a vector of integers, got shape \\(2,\\), dtype float32"),
    (lambda: I.bincount(minlength=-1), ShapeError, "bincount: minlength=-1"),
    (lambda: (-I).bincount(), ShapeError, "bincount: -1 occurs; expected no negative numbers"),
    (lambda: I.bincount(danlu.ones(3)), ShapeError, "weights of shape \\(3,\\) for a vector of shape \\(2,\\)"),
    (lambda: V.histc(0), ShapeError, "histc: dtype float32, 0 bins from 0 to 0"),
    (lambda: danlu.tensor([float("inf")]).histc(2), ShapeError, "histc: the range inf … inf is not finite"),
    (lambda: V.searchsorted(V, right=True, side="left"), ShapeError, "right=True with side='left'"),
    (lambda: S.searchsorted(V), ShapeError, "the sorted row is 0-d"),
    (lambda: V.searchsorted(I), DTypeError, "the row is float32, the values int64"),
    (lambda: V.searchsorted(V, sorter=danlu.tensor([0])), ShapeError, "the sorter has shape \\(1,\\) and dtype int64"),
    (lambda: M.searchsorted(danlu.ones(3, 3)), ShapeError, "sorted rows of shape \\(2, 3\\) and values of shape \\(3, 3\\)"),
    (lambda: V.bucketize(M), ShapeError, "the boundaries have shape \\(2, 3\\); expected a sorted vector"),
    # statistics
    (lambda: danlu.ones(0, 2).median(0), ShapeError, "median: axis 0 of shape \\(0, 2\\) has no elements"),
    (lambda: danlu.ones(0).mode(), ShapeError, "mode: axis 0 of shape \\(0,\\) has no elements"),
    (lambda: danlu.ones(0).quantile(0.5), ShapeError, "quantile: shape \\(0,\\) has no elements"),
    (lambda: I.quantile(0.5), DTypeError, "quantile of int64; expected a floating dtype"),
    (lambda: V.quantile(1.5), ShapeError, "quantile: q=1.5 is not inside 0 … 1"),
    (lambda: V.quantile(I), DTypeError, "q has shape \\(2,\\) and dtype int64; expected a number or a vector of float32"),
    (lambda: V.quantile(0.5, interpolation="cubic"), ShapeError, "interpolation='cubic'; expected one of linear, lower"),
    (lambda: V.trace(), ShapeError, "trace takes a matrix, got shape \\(2,\\)"),
    # several tensors, creation, random numbers
    (lambda: danlu.atleast_1d(1), DTypeError, "expected tensors, got int"),
    (lambda: danlu.hstack([]), ShapeError, "hstack takes a list of at least one tensor, got list"),
    (lambda: danlu.broadcast_shapes((-1,)), ShapeError, "\\[\\(-1,\\)\\] has a negative size"),
    (lambda: danlu.meshgrid(V, indexing="yx"), ShapeError, "indexing='yx'; expected 'ij' or 'xy'"),
    (lambda: danlu.meshgrid(M), ShapeError, "meshgrid takes vectors, at least one; got shapes \\[\\(2, 3\\)\\]"),
    (lambda: danlu.meshgrid(V, I), DTypeError, "meshgrid: dtypes \\['float32', 'int64'\\] differ"),
    (lambda: danlu.combinations(M), ShapeError, "combinations takes a vector and r ≥ 0, got shape \\(2, 3\\)"),
    (lambda: danlu.block_diag(danlu.ones(1, 1, 1)), ShapeError, "block_diag takes matrices, got shapes"),
    (lambda: danlu.linspace(0, 1, -1), ShapeError, "linspace: steps=-1; expected a whole number, 0 or more"),
    (lambda: danlu.tril_indices(-1, 2), ShapeError, "tril_indices: -1 rows and 2 columns"),
    (lambda: danlu.vander(M), ShapeError, "vander takes a vector and N ≥ 0, got shape \\(2, 3\\)"),
    (lambda: danlu.where(V, 1, 2), DTypeError, "where: the condition has dtype float32; expected bool"),
    (lambda: danlu.ones(1).uniform_(3, -1), DataError, "uniform_: from 3 to -1; expected an interval"),
    (lambda: danlu.ones(1).normal_(0, -1), DataError, "normal_: std=-1; expected 0 or more"),
    (lambda: danlu.multinomial(I, 1), DataError, "multinomial takes rows of float weights, got shape \\(2,\\), dtype int64"),
    (lambda: danlu.multinomial(V, 3), DataError, "multinomial: 3 samples of 2 without replacement"),
    (lambda: danlu.multinomial(-V, 1), DataError, "multinomial: the weights must be finite and not negative"),
]  # fmt: skip


@pytest.mark.parametrize(("call", "kind", "message"), REFUSALS, ids=[str(k) for k in range(len(REFUSALS))])
def test_refusals(call, kind, message):
    with pytest.raises(kind, match=message):
        call()
