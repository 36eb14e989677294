"""L6. Teaching: what danlu does when it differentiates, in words, formulas and pictures."""

from danlu.teaching.comparison import compare
from danlu.teaching.explanation import explain

__all__ = ["compare", "explain"]
