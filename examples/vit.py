"""A vision Transformer: an image is a sentence of patches.

    z = [class, W x₁ + b, …, W x₁₆ + b] + positions,   logits = head(encoder(z)[0])

Nothing in the network knows that two patches are neighbours, as a convolution does: attention (Vaswani et al. 2017) may look from
any patch at any other, and learns where it is worth it. An extra vector, "class", collects what is needed for the
answer (Dosovitskiy et al. 2021). The 8 × 8 digits become 16 patches of 2 × 2 pixels.

    python examples/vit.py [--short]

Result: test accuracy 98.1 % after 30 epochs; 18.2 s of CPU time on one thread of
an AMD EPYC (Zen 4), compilation and all, 2026-11-21.
"""

import argparse
import time

import danlu as torch
import danlu.nn.functional as F
from danlu import nn, optim
from danlu.data import load_digits

parser = argparse.ArgumentParser(description="A vision Transformer on digits")
parser.add_argument("--short", action="store_true", help="one layer and 6 epochs instead of three and 30")

WIDTH, PATCH = 64, 2


def load():
    """(images [N, 1, 8, 8] from 0 to 1, labels [N]) to train on, and the same to test."""
    images, labels = load_digits()
    order = torch.randperm(len(images))
    x, y = torch.tensor(images)[order, None].float() / 16, torch.tensor(labels)[order]
    return (x[:1437], y[:1437]), (x[1437:], y[1437:])


class ViT(nn.Module):
    """Images [N, 1, 8, 8] → logits [N, 10]."""

    def __init__(self, layers, heads=4):
        super().__init__()
        self.patches = nn.Conv2d(1, WIDTH, kernel_size=PATCH, stride=PATCH)  # one matrix for each patch
        self.token = nn.Parameter(torch.zeros(1, 1, WIDTH))
        self.positions = nn.Parameter(0.02 * torch.randn(1, 1 + (8 // PATCH) ** 2, WIDTH))
        layer = nn.TransformerEncoderLayer(WIDTH, heads, 2 * WIDTH, activation="gelu", batch_first=True, norm_first=True)
        self.encoder = nn.TransformerEncoder(layer, layers, enable_nested_tensor=False)
        self.head = nn.Sequential(nn.LayerNorm(WIDTH), nn.Linear(WIDTH, 10))

    def forward(self, x):
        z = self.patches(x).flatten(2).transpose(1, 2)  # [N, 16, WIDTH]
        z = torch.cat([self.token.expand(len(x), -1, -1), z], dim=1) + self.positions  # [N, 17, WIDTH]
        return self.head(self.encoder(z)[:, 0])


def main(arguments=None):
    options = parser.parse_args(arguments)
    torch.manual_seed(0)
    (x, y), (x_test, y_test) = load()
    model = ViT(1 if options.short else 3)
    epochs, batch = 6 if options.short else 30, 64
    optimizer = optim.AdamW(model.parameters(), lr=0.002, weight_decay=0.05)
    schedule = optim.lr_scheduler.OneCycleLR(optimizer, max_lr=0.002, total_steps=epochs * (len(x) // batch))
    for epoch in range(epochs):
        model.train()
        total = 0.0
        for rows in torch.randperm(len(x) // batch * batch).split(batch):
            loss = F.cross_entropy(model(x[rows]), y[rows], label_smoothing=0.1)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
            total += loss.detach() / (len(x) // batch)
        model.eval()
        with torch.no_grad():
            accuracy = (model(x_test).argmax(1) == y_test).float().mean().item()
        print(f"epoch {epoch + 1:2}  loss {total.item():.4f}  test accuracy {accuracy:.3f}")
    print(f"test accuracy {accuracy:.3f}, {time.process_time():.1f} s of CPU time")
    return {"accuracy": accuracy}


if __name__ == "__main__":
    main()
