"""A GPT of characters (Vaswani et al. 2017, the decoder; Radford et al. 2019, norm before each part): 4 layers, 128 wide, context 64.

    python char_gpt.py TEXT               # PyTorch
    danlu run char_gpt.py TEXT            # the same lines under danlu

The first nine tenths of the text are learned, the last tenth is read once in windows of 64 characters. The loss is nats per character.
"""

import argparse
import math
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import nn, optim

CONTEXT, WIDTH, HEADS, LAYERS, BATCH = 64, 128, 4, 4, 32


class Block(nn.Module):
    """x + attention(norm(x)), then x + MLP(norm(x))."""

    def __init__(self):
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(WIDTH), nn.LayerNorm(WIDTH)
        self.qkv, self.out = nn.Linear(WIDTH, 3 * WIDTH), nn.Linear(WIDTH, WIDTH)
        self.mlp = nn.Sequential(nn.Linear(WIDTH, 4 * WIDTH), nn.GELU(), nn.Linear(4 * WIDTH, WIDTH))

    def forward(self, x):
        n, length, _ = x.shape
        parts = self.qkv(self.norm1(x)).view(n, length, 3, HEADS, WIDTH // HEADS)
        q, k, v = parts.permute(2, 0, 3, 1, 4)  # each [N, heads, length, 32]
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.out(y.transpose(1, 2).reshape(n, length, WIDTH))
        return x + self.mlp(self.norm2(x))


class GPT(nn.Module):
    """Characters [N, T] → logits of the next ones [N, T, V]."""

    def __init__(self, num_characters):
        super().__init__()
        self.tokens, self.places = nn.Embedding(num_characters, WIDTH), nn.Embedding(CONTEXT, WIDTH)
        self.blocks = nn.Sequential(*[Block() for _ in range(LAYERS)])
        self.norm, self.head = nn.LayerNorm(WIDTH), nn.Linear(WIDTH, num_characters, bias=False)
        for weight in (self.tokens.weight, self.places.weight, self.head.weight):
            nn.init.normal_(weight, std=0.02)

    def forward(self, x):
        return self.head(self.norm(self.blocks(self.tokens(x) + self.places.weight[: x.shape[1]])))


def loss_of(model, windows):
    """Mean nats per character of windows [N, T + 1]."""
    return F.cross_entropy(model(windows[:, :-1]).flatten(0, 1), windows[:, 1:].flatten())


def validation(model, text):
    """The mean over the whole text, each character but the first predicted once."""
    count = (len(text) - 1) // CONTEXT
    windows = text[torch.arange(count)[:, None] * CONTEXT + torch.arange(CONTEXT + 1)]
    with torch.no_grad():
        return sum(loss_of(model, part).item() * len(part) for part in windows.split(128)) / count


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("text")
    parser.add_argument("--steps", type=int, default=2000)
    parser.add_argument("--rate", type=float, default=2e-3)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    torch.manual_seed(options.seed)
    text = Path(options.text).read_text("utf-8")
    alphabet = sorted(set(text))
    numbers = {character: number for number, character in enumerate(alphabet)}
    data = torch.tensor([numbers[character] for character in text])
    train, rest = data[: len(data) * 9 // 10], data[len(data) * 9 // 10 :]

    model = GPT(len(alphabet))
    optimizer = optim.AdamW(model.parameters(), lr=options.rate, betas=(0.9, 0.99), weight_decay=0.1)
    warm = max(1, options.steps // 20)

    def rate(step):  # up in a straight line, then down a cosine to a twentieth
        if step < warm:
            return (step + 1) / warm
        return 0.05 + 0.475 * (1 + math.cos(math.pi * (step - warm) / (options.steps - warm)))

    schedule = optim.lr_scheduler.LambdaLR(optimizer, rate)
    for step in range(options.steps):
        starts = torch.randint(0, len(train) - CONTEXT, (BATCH, 1))
        loss = loss_of(model, train[starts + torch.arange(CONTEXT + 1)])
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        if (step + 1) % 100 == 0:
            print(f"step {step + 1} loss {loss.item():.4f}", flush=True)
    print(f"validation loss {validation(model, rest):.4f}")


if __name__ == "__main__":
    main()
