"""Beside the ladder. Public checkers: derivatives against differences, and graphs worked out by NumPy."""

from danlu.autograd import gradcheck, gradgradcheck
from danlu.testing.evaluate import evaluate, inputs_of

__all__ = ["evaluate", "gradcheck", "gradgradcheck", "inputs_of"]
