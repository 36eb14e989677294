"""L6. Tools beside the layers: `danlu.utils.checkpoint`."""

from danlu.utils import checkpoint

__all__ = ["checkpoint"]
