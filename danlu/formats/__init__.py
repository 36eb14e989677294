"""L6. Readers of other programs' files (PyTorch, NumPy): every length is checked before memory is taken, and no code is run."""
