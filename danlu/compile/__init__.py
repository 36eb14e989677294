"""L3. Graph to machine code, in the order in which the data passes: simplify, schedule, kernel IR, passes, LLVM."""
