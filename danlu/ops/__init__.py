"""L2. The op table: one record an operation, one file a family."""
