"""Beside the ladder. Public checkers: derivatives against differences, and graphs worked out by NumPy."""

from danlu.testing.evaluate import evaluate, inputs_of

__all__ = ["evaluate", "inputs_of"]
