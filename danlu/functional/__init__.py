"""L6. Functions of neural networks on tensors; public as `danlu.nn.functional`."""
