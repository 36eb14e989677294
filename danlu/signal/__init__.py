"""L6. danlu.signal: windows for spectra, under PyTorch's names."""

from danlu.signal import windows

__all__ = ["windows"]
