"""An error in the data costs the step, never the model: nothing is overwritten by a program that fails."""

import numpy as np
import pytest

import danlu
from danlu import nn, optim


def trained_once():
    danlu.manual_seed(0)
    net = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 3))
    optimizer = optim.Adam(net.parameters(), lr=0.01)
    x = danlu.randn(5, 4)

    def step(labels):
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(net(x), danlu.tensor(labels))
        loss.backward()
        optimizer.step()
        return loss

    for _ in range(3):
        step([0, 1, 2, 0, 1])
    return net, step


def test_a_bad_label_leaves_parameters_and_state_as_they_were():
    net, step = trained_once()
    before = [p.detach().numpy().copy() for p in net.parameters()]
    with pytest.raises(IndexError):
        step([0, 1, 2, 7, 1])
    for p, old in zip(net.parameters(), before):
        np.testing.assert_array_equal(p.detach().numpy(), old)


def test_training_goes_on_after_a_bad_label_as_if_it_had_not_been():
    _, step = trained_once()
    with pytest.raises(IndexError):
        step([0, 1, 2, 7, 1])
    _, other_step = trained_once()
    # Adam's own count of steps is Python's and moves on; the first averages show that nothing else did.
    assert step([0, 1, 2, 0, 1]).item() == other_step([0, 1, 2, 0, 1]).item()


def test_a_tensor_written_in_place_from_a_bad_index_keeps_its_values():
    x = danlu.arange(5).float()
    x.numpy()
    x += danlu.arange(5).float()[danlu.tensor([0, 1, 2, 3, 9])]
    with pytest.raises(IndexError, match="index 9 is out of range for an axis of size 5"):
        x.tolist()
    assert x.tolist() == [0.0, 1.0, 2.0, 3.0, 4.0]
