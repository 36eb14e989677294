"""Beside the ladder. Public checkers: derivatives against differences, and graphs worked out by NumPy."""

from danlu.testing.evaluate import evaluate, inputs_of
from danlu.testing.gradcheck import gradcheck

__all__ = ["evaluate", "gradcheck", "inputs_of"]
