"""danlu (丹炉): PyTorch's code, JAX's speed, and a codebase that one person can read."""
