"""L8. Many images as one: a grid of them, and the file that holds it. In a process of `danlu run` this is `torchvision.utils`."""

from __future__ import annotations

from typing import Any

import numpy as np

from danlu.errors import DTypeError, ShapeError
from danlu.tensor import Tensor, no_grad
from danlu.tensor.creation import cat, stack
from danlu.vision.functional import to_pil_image


@no_grad()
def make_grid(
    tensor: Any, nrow: int = 8, padding: int = 2, normalize: bool = False, value_range: tuple[float, float] | None = None,
    scale_each: bool = False, pad_value: float = 0.0,
) -> Tensor:  # fmt: skip
    """Images beside and below each other, nrow in a row, with a border around each; grey ones get three equal channels.

    normalize: the range from low to high (value_range, or that of all images; scale_each: of each) becomes 0 to 1.

    Shapes: tensor (N, C, H, W), (C, H, W), (H, W) or a list of (C, H, W) → (C, rows · (H + padding) + padding, columns · (W + padding) + padding).

    Raises: DTypeError for what is neither, ShapeError for another number of axes.

    >>> import danlu
    >>> from danlu.vision.utils import make_grid
    >>> make_grid(danlu.ones(5, 1, 4, 4), nrow=3).shape
    danlu.Size([3, 14, 20])
    """
    images = _images(tensor)
    if normalize:
        each = [_scaled(x, value_range) for x in images.unbind(0)] if scale_each else None
        images = _scaled(images, value_range) if each is None else stack(each)
    count, channels, height, width = images.shape
    if count == 1:
        return images.squeeze(0)
    columns = min(nrow, count)
    height, width = height + padding, width + padding
    grid = images.new_full((channels, height * -(-count // columns) + padding, width * columns + padding), pad_value)
    for k, image in enumerate(images.unbind(0)):
        top, left = k // columns * height + padding, k % columns * width + padding
        grid[:, top : top + height - padding, left : left + width - padding] = image
    return grid


def _images(tensor: Any) -> Tensor:
    """(N, C, H, W) with at least three channels where there was one."""
    given = stack(list(tensor)) if isinstance(tensor, (list, tuple)) else tensor
    if not isinstance(given, Tensor):
        raise DTypeError("make_grid: expected a tensor or a list of tensors, got {kind}", kind=type(tensor).__name__)
    if given.ndim not in (2, 3, 4):
        raise ShapeError("make_grid: images have shape (N, C, H, W), (C, H, W) or (H, W); got {shape}", shape=tuple(given.shape))
    images = given.reshape((1,) * (4 - given.ndim) + tuple(given.shape))
    return cat([images] * 3, 1) if images.shape[1] == 1 else images


def _scaled(x: Any, value_range: tuple[float, float] | None) -> Tensor:
    low, high = value_range or (x.min().item(), x.max().item())
    return (x.clamp(low, high) - low) / max(high - low, 1e-5)


@no_grad()
def save_image(tensor: Any, fp: Any, format: str | None = None, **options: Any) -> None:
    """Writes images, 0 to 1, as one file; fp is a path or an open file. The options are those of `make_grid`.

    Raises: DataError without Pillow.

    >>> import danlu, io
    >>> from danlu.vision.utils import save_image
    >>> file = io.BytesIO()
    >>> save_image(danlu.rand(4, 3, 8, 8), file, format="png")
    """
    pixels = (make_grid(tensor, **options) * 255 + 0.5).clamp(0, 255).permute(1, 2, 0).numpy().astype(np.uint8)
    to_pil_image(pixels).save(fp, format=format)


__all__ = ["make_grid", "save_image"]
