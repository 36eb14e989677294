"""The table of mistakes that learners make: theme → its mistakes. docs/errors.md is made from it by tools/errors_page.py."""

from __future__ import annotations

from mistakes_data import DATA, DTYPES, FILES, NUMBERS
from mistakes_shapes import LOSSES, SHAPES
from mistakes_training import GRADIENTS, MODULES, TRAINING

THEMES = {
    "Shapes and axes": SHAPES,
    "Losses": LOSSES,
    "Elements, indices and making tensors": DTYPES,
    "Gradients": GRADIENTS,
    "Layers and models": MODULES,
    "Optimizers": TRAINING,
    "Data sets and loaders": DATA,
    "Files": FILES,
    "Numbers": NUMBERS,
}
MISTAKES = [mistake for theme in THEMES.values() for mistake in theme]
