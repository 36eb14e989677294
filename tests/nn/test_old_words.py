"""PyTorch's older words for what becomes of the single losses."""

from __future__ import annotations

import pytest

from danlu import nn


@pytest.mark.parametrize("loss", [nn.MSELoss, nn.BCEWithLogitsLoss, nn.CrossEntropyLoss, nn.HingeEmbeddingLoss])
def test_size_average_and_reduce(loss):
    assert loss(size_average=None, reduce=None).reduction == "mean" and loss(size_average=True).reduction == "mean"
    assert loss(size_average=False).reduction == "sum" and loss(reduce=False).reduction == "none"
    assert loss(reduction="sum", size_average=None).reduction == "sum"


def test_a_wrong_word_is_still_refused():
    with pytest.raises(TypeError, match="got an unexpected keyword argument 'reductio'; did you mean 'reduction'"):
        nn.MSELoss(reductio="sum")
