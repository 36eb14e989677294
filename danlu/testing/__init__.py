"""Beside the ladder. Public checkers: derivatives against differences, and graphs worked out by NumPy."""

from danlu.testing.evaluate import evaluate, inputs_of
from danlu.testing.gradcheck import gradcheck, gradgradcheck

__all__ = ["evaluate", "gradcheck", "gradgradcheck", "inputs_of"]
