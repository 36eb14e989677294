"""L7. Data sets, their readers and preparation, and the loader that makes batches of them."""
