"""Softmax regression: from ten scores to ten probabilities, and the gradient that is simply "too much".

    z = xW + b,   pₖ = exp zₖ / Σⱼ exp zⱼ,   L = −log p_y

Written out with nothing but tensors. The largest score is taken off first, which changes no probability and keeps exp from running
over. The gradient of L in the scores is p − (1 where k = y): what was said too loudly. The example checks that line with `backward`.

    python examples/softmax_regression.py [--short] [--data digits|FOLDER]

The data are the 1,797 digits of 8 × 8 pixels that come with the package, or a folder with MNIST's files.

Result: test accuracy 96.1 %; 2.9 s of CPU time on one thread of
an AMD EPYC (Zen 4), compilation and all, 2026-11-21.
"""

import argparse
import time

import danlu as torch
from danlu.data.source import open_source

parser = argparse.ArgumentParser(description="Softmax regression on digits")
parser.add_argument("--short", action="store_true", help="5 epochs instead of 40")
parser.add_argument("--data", default="digits", help="'digits', or a folder with MNIST's files")


def softmax(z):
    """exp z / Σ exp z over the last axis."""
    e = torch.exp(z - z.max(dim=1, keepdim=True).values)
    return e / e.sum(dim=1, keepdim=True)


def cross_entropy(p, y):
    """The mean of −log of the probability that each right answer was given."""
    return -torch.log(p[torch.arange(len(y)), y]).mean()


def load(name):
    """Rows [N, pixels] from 0 to 1 and labels [N], in random order; the first four fifths are for training."""
    source = open_source(name)
    x = torch.tensor(source.data).flatten(1).float() / int(source.data.max())
    order = torch.randperm(len(x))
    cut = len(x) * 4 // 5
    x, y = x[order], torch.tensor(source.values)[order]
    return (x[:cut], y[:cut]), (x[cut:], y[cut:])


def gradient_error(x, y, w, b):
    """How far the gradient by `backward` is from (p − onehot) / N, written by hand."""
    z = (x @ w + b).detach().requires_grad_()
    cross_entropy(softmax(z), y).backward()
    by_hand = softmax(z.detach())
    by_hand[torch.arange(len(y)), y] -= 1
    return (z.grad - by_hand / len(y)).abs().max().item()


def main(arguments=None):
    options = parser.parse_args(arguments)
    torch.manual_seed(0)
    (x, y), (x_test, y_test) = load(options.data)
    w = (0.01 * torch.randn(x.shape[1], 10)).requires_grad_()
    b = torch.zeros(10, requires_grad=True)

    for epoch in range(5 if options.short else 40):
        total = 0.0
        for rows in torch.randperm(len(x)).split(32):
            loss = cross_entropy(softmax(x[rows] @ w + b), y[rows])
            loss.backward()
            with torch.no_grad():
                for parameter in (w, b):
                    parameter -= 0.5 * parameter.grad
                    parameter.grad = None
            total += loss.detach() * len(rows) / len(x)
        print(f"epoch {epoch + 1:2}  loss {total.item():.4f}")

    accuracy = ((x_test @ w + b).argmax(1) == y_test).float().mean().item()
    print(f"the gradient in the scores is p - onehot to within {gradient_error(x_test, y_test, w, b):.1e}")
    print(f"test accuracy {accuracy:.3f}, {time.process_time():.1f} s of CPU time")
    return {"accuracy": accuracy, "gradient_error": gradient_error(x_test, y_test, w, b)}


if __name__ == "__main__":
    main()
