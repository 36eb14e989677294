"""L8. Images from files, as tensors."""

from __future__ import annotations

import os
from enum import Enum
from pathlib import Path

from danlu.errors import DataError
from danlu.files import check_exists
from danlu.tensor import Tensor
from danlu.vision.functional import pil_to_tensor


class ImageReadMode(Enum):
    """In which colours an image is read.

    >>> ImageReadMode.RGB.value
    'RGB'
    """

    UNCHANGED = ""
    GRAY = "L"
    GRAY_ALPHA = "LA"
    RGB = "RGB"
    RGB_ALPHA = "RGBA"


def read_image(path: str | os.PathLike, mode: ImageReadMode = ImageReadMode.UNCHANGED) -> Tensor:
    """The pixels of an image file: uint8 [C, H, W].

    Raises: DataError for a file that is not there or is no image, or without Pillow.
    """
    image = open_image(path)
    return pil_to_tensor(image.convert(mode.value) if mode.value else image)


def open_image(path: str | os.PathLike):
    """An image file as a PIL image, read whole.

    Raises: DataError for a file that is not there or is no image, or without Pillow.
    """
    check_exists(Path(path))
    try:
        from PIL import Image, UnidentifiedImageError
    except ImportError:
        raise DataError("Pillow is not installed; write pip install pillow") from None
    try:
        with Image.open(path) as image:
            image.load()
            return image.copy()
    except (UnidentifiedImageError, OSError, Image.DecompressionBombError) as error:
        raise DataError("{path} is no image that can be read: {problem}", path=path, problem=error) from None


__all__ = ["ImageReadMode", "read_image"]
