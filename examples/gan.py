"""A generative adversarial network: a forger and a judge learn from one another.

    judge:   max E[log D(x)] + E[log (1 − D(G(z)))]
    forger:  max E[log D(G(z))]

No loss says how a good sample looks. The judge D learns to tell real points from forged ones, the forger G learns to pass (Goodfellow
et al. 2014). The real points lie in eight heaps on a circle, so that two failures can be seen as numbers: samples between the heaps, and
heaps that the forger leaves out because one that passes is enough for it (mode collapse).

    python examples/gan.py [--short]

Result: 92 % of the samples near a heap (a normal cloud: 12 %), 8 of 8 heaps found; 12.1 s of CPU time on one thread of
an AMD EPYC (Zen 4), compilation and all, 2026-11-21.
"""

import argparse
import math
import time

import danlu as torch
import danlu.nn.functional as F
from danlu import nn, optim

parser = argparse.ArgumentParser(description="A GAN on a ring of eight heaps")
parser.add_argument("--short", action="store_true", help="1000 steps instead of 4000")

NOISE, SPREAD = 2, 0.15
ANGLES = 2 * math.pi * torch.arange(8) / 8
HEAPS = 2 * torch.stack([ANGLES.cos(), ANGLES.sin()], dim=1)  # [8, 2], on a circle of radius 2


def real(count):
    """Points [count, 2] of the heaps."""
    return HEAPS[torch.randint(0, 8, (count,))] + SPREAD * torch.randn(count, 2)


def network(inputs, outputs):
    """Two hidden layers."""
    return nn.Sequential(
        nn.Linear(inputs, 128), nn.LeakyReLU(0.2), nn.Linear(128, 128), nn.LeakyReLU(0.2), nn.Linear(128, outputs)
    )


def quality(points):
    """The share of points within three standard deviations of a heap, and how many heaps get at least a quarter of their part."""
    distances, nearest = torch.cdist(points, HEAPS).min(dim=1)
    close = distances < 3 * SPREAD
    counts = torch.bincount(nearest[close], minlength=8)
    return close.float().mean().item(), (counts > len(points) / 8 / 4).sum().item()


def drawn(points, size=25):
    """A map of the points in characters."""
    rows = ((points / 2.6 + 1) / 2 * size).long().clamp(0, size - 1)
    counts = torch.bincount(rows[:, 1] * size + rows[:, 0], minlength=size * size).reshape(size, size)
    return "\n".join("".join(" .:+#@"[min(5, count)] * 2 for count in row) for row in counts.tolist())


def main(arguments=None):
    options = parser.parse_args(arguments)
    torch.manual_seed(0)
    steps = 1000 if options.short else 4000
    forger, judge = network(NOISE, 2), network(2, 1)
    forger_optimizer = optim.Adam(forger.parameters(), lr=1e-3, betas=(0.5, 0.99))
    judge_optimizer = optim.Adam(judge.parameters(), lr=1e-3, betas=(0.5, 0.99))
    schedules = [optim.lr_scheduler.LinearLR(o, 1.0, 0.01, steps) for o in (forger_optimizer, judge_optimizer)]
    ones, zeros = torch.ones(256, 1), torch.zeros(256, 1)

    for step in range(steps):
        forged = forger(torch.randn(256, NOISE))
        told = judge(real(256)), judge(forged.detach())  # detach: this step is the judge's alone
        judge_loss = F.binary_cross_entropy_with_logits(told[0], ones) + F.binary_cross_entropy_with_logits(told[1], zeros)
        judge_optimizer.zero_grad()
        judge_loss.backward()
        judge_optimizer.step()

        forger_loss = F.binary_cross_entropy_with_logits(judge(forged), ones)
        forger_optimizer.zero_grad()
        forger_loss.backward()
        forger_optimizer.step()
        for schedule in schedules:
            schedule.step()
        if (step + 1) % (steps // 5) == 0:
            with torch.no_grad():
                share, heaps = quality(forger(torch.randn(2000, NOISE)))
            print(
                f"step {step + 1:4}  judge {judge_loss.item():.3f}  forger {forger_loss.item():.3f}  near {share:.2f}, {heaps} of 8"
            )

    with torch.no_grad():
        points = forger(torch.randn(2000, NOISE))
    share, heaps = quality(points)
    print(drawn(points))
    print(f"{share:.0%} of the samples near a heap, {heaps} of 8 heaps found, {time.process_time():.1f} s of CPU time")
    return {"share": share, "heaps": heaps, "untrained": quality(2 * torch.randn(2000, 2))[0]}


if __name__ == "__main__":
    main()
