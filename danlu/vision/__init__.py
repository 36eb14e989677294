"""L8. Images: transforms, data sets from local files, reading, networks. In a process of `danlu run` this is `torchvision`."""

from danlu.guidance import unknown
from danlu.vision import datasets, functional, io, models, transforms, utils

__getattr__ = unknown(__name__, globals())

__all__ = ["datasets", "functional", "io", "models", "transforms", "utils"]
