"""L4. What runs programs: memory, the thread pool, the cache of compiled code."""
