"""Step for step with PyTorch: from the same first weights and on the same batches, the losses of 50 steps (marked `oracle`).

Networks, optimizers and the loop are written once and run under both frameworks. In float64 the losses agree to 1e-12. In float32 they
agree to 1e-6 until the input of one ReLU lies so near to 0 that the two round it to different sides: from there on a gradient differs,
and the losses by 1e-5 to 1e-3, as those of PyTorch's own float32 and float64 do. It happens in the ResNet; so float32 has three seeds,
and the middle one counts. LeNet is that of LeCun et al. 1998, with tanh and averages. (With ReLU, maxima and RMSprop PyTorch's float32
leaves its float64 by up to 0.4 of the loss.)
"""

from __future__ import annotations

import numpy as np
import pytest

import danlu

STEPS, BATCH, CLASSES = 50, 64, 5
OPTIMIZERS = {
    "sgd": lambda optim, p: optim.SGD(p, lr=0.02, momentum=0.9),
    "adam": lambda optim, p: optim.Adam(p, lr=1e-3),
    "adamw": lambda optim, p: optim.AdamW(p, lr=1e-3, weight_decay=0.01),
    "rmsprop": lambda optim, p: optim.RMSprop(p, lr=1e-3, alpha=0.9),
}


def mlp(nn):
    return nn.Sequential(nn.Linear(20, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, CLASSES))


def lenet(nn):
    return nn.Sequential(
        nn.Conv2d(1, 6, 5, padding=2), nn.Tanh(), nn.AvgPool2d(2),
        nn.Conv2d(6, 16, 5), nn.Tanh(), nn.AvgPool2d(2),
        nn.Flatten(), nn.Linear(400, 120), nn.Tanh(), nn.Linear(120, 84), nn.Tanh(), nn.Linear(84, CLASSES),
    )  # fmt: skip


def resnet(nn):
    class Block(nn.Module):
        def __init__(self, before, after, stride):
            super().__init__()
            self.conv1, self.bn1 = nn.Conv2d(before, after, 3, stride, 1, bias=False), nn.BatchNorm2d(after)
            self.conv2, self.bn2 = nn.Conv2d(after, after, 3, 1, 1, bias=False), nn.BatchNorm2d(after)
            self.relu, self.shortcut = nn.ReLU(inplace=True), nn.Identity()
            if stride != 1:
                self.shortcut = nn.Sequential(nn.Conv2d(before, after, 1, stride, bias=False), nn.BatchNorm2d(after))

        def forward(self, x):
            y = self.relu(self.bn1(self.conv1(x)))
            return self.relu(self.bn2(self.conv2(y)) + self.shortcut(x))

    stem = nn.Conv2d(3, 8, 3, padding=1, bias=False), nn.BatchNorm2d(8), nn.ReLU()
    return nn.Sequential(*stem, Block(8, 8, 1), Block(8, 16, 2), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(16, CLASSES))


def gru(nn):
    class Last(nn.Module):
        def __init__(self):
            super().__init__()
            self.embedding, self.gru = nn.Embedding(20, 16), nn.GRU(16, 32, num_layers=2, batch_first=True)
            self.out = nn.Linear(32, CLASSES)

        def forward(self, tokens):
            y, _ = self.gru(self.embedding(tokens))
            return self.out(y[:, -1])

    return Last()


def encoder(nn):
    class Mean(nn.Module):
        def __init__(self):
            super().__init__()
            self.embedding = nn.Embedding(20, 32)
            layer = nn.TransformerEncoderLayer(32, 4, 64, dropout=0.0, batch_first=True)
            self.encoder, self.out = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False), nn.Linear(32, CLASSES)

        def forward(self, tokens):
            return self.out(self.encoder(self.embedding(tokens)).mean(1))

    return Mean()


SHAPES = {mlp: (20,), lenet: (1, 28, 28), resnet: (3, 12, 12)}


def batches(net):
    """Ten batches: what a class has in common, and noise; for sequences tokens, of which some tell the class."""
    rng = np.random.default_rng(0)
    labels = rng.integers(0, CLASSES, (10, BATCH))
    if net in SHAPES:
        common = rng.normal(size=(CLASSES, *SHAPES[net]))
        x = (0.4 * common[labels] + rng.normal(size=(10, BATCH, *SHAPES[net]))).astype("f")
    else:
        tokens = rng.integers(0, 20, (10, BATCH, 12))
        x = np.where(rng.random(tokens.shape) < 0.3, labels[..., None], tokens)
    return x, labels


def train(framework, model, make_optimizer, x, labels):
    """The losses of each step."""
    optimizer, losses = make_optimizer(framework.optim, model.parameters()), []
    loss_of = framework.nn.CrossEntropyLoss()
    for step in range(STEPS):
        images, targets = (framework.tensor(a[step % len(x)]) for a in (x, labels))
        optimizer.zero_grad()
        loss = loss_of(model(images), targets)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return np.array(losses)


def deviation(net, optimizer, seed, double=False):
    """The largest difference between two losses of one step, as a part of PyTorch's."""
    torch = pytest.importorskip("torch")
    torch.manual_seed(seed)
    theirs, ours = net(torch.nn), net(danlu.nn)
    ours.load_state_dict({key: value.numpy() for key, value in theirs.state_dict().items()})
    x, labels = batches(net)
    if double:
        theirs, ours, x = theirs.double(), ours.double(), x if x.dtype == np.int64 else x.astype(np.float64)
    wanted = train(torch, theirs, OPTIMIZERS[optimizer], x, labels)
    losses = train(danlu, ours, OPTIMIZERS[optimizer], x, labels)
    assert wanted[-10:].mean() < 0.95 * wanted[:10].mean()  # it learns
    return np.max(np.abs(losses - wanted) / wanted)


NETS = [mlp, lenet, resnet, gru, encoder]


@pytest.mark.oracle
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("net", NETS)
def test_fifty_steps(net, optimizer):
    found = [deviation(net, optimizer, seed) for seed in range(3)]
    assert np.median(found) <= 1e-3, found


@pytest.mark.oracle
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("net", NETS)
def test_fifty_steps_in_float64(net, optimizer):
    assert deviation(net, optimizer, 0, double=True) <= 1e-12
