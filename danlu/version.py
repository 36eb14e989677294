"""L0. The version, for run folders and caches."""

__version__ = "0.1.0"
