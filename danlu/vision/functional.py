"""L8. What transforms do to one image: a PIL image, or a tensor [..., C, H, W]. Nothing here is differentiable: data is prepared, not learned.

Tensors are worked on by NumPy, image by image: a crop at a random place is another place each time, and would be another program.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from enum import Enum
from typing import Any

import numpy as np

from danlu.data.loader import to_array
from danlu.dtype import DType, default, float32, float64
from danlu.errors import DataError, DTypeError, ShapeError
from danlu.functional.resample import resampling
from danlu.messages import Phrase
from danlu.tensor import Tensor
from danlu.tensor.exchange import from_numpy

_GREY = np.array([0.2989, 0.587, 0.114])  # of red, green and blue (ITU-R BT.601)


class InterpolationMode(Enum):
    """How `resize` finds the values between pixels.

    >>> InterpolationMode("bilinear")
    <InterpolationMode.BILINEAR: 'bilinear'>
    """

    NEAREST = "nearest"
    BILINEAR = "bilinear"
    BICUBIC = "bicubic"


def is_pil(image: Any) -> bool:
    """Whether this is an image of Pillow's."""
    return any(cls.__module__.startswith("PIL.") for cls in type(image).__mro__)


def _pillow() -> Any:
    try:
        from PIL import Image
    except ImportError:
        raise DataError("Pillow is not installed; write pip install pillow") from None
    return Image


def _kind(image: Any) -> None:
    """DTypeError for what is no image."""
    if not is_pil(image) and not isinstance(image, Tensor):
        raise DTypeError("expected a PIL image or a tensor, got {kind}; write ToTensor() first", kind=type(image).__name__)
    if isinstance(image, Tensor) and image.ndim < 2:
        raise ShapeError("an image is a tensor [..., H, W], got shape {shape}", shape=tuple(image.shape))


def _on_pixels(image: Any, function: Callable[[np.ndarray], np.ndarray]) -> Tensor:
    """A function of the pixels of a tensor, as a tensor of its own memory."""
    return from_numpy(np.ascontiguousarray(function(to_array(image))))


def get_image_size(image: Any) -> list[int]:
    """[width, height]."""
    _kind(image)
    return list(image.size) if is_pil(image) else [image.shape[-1], image.shape[-2]]


# ---- between images and tensors


def pil_to_tensor(pic: Any) -> Tensor:
    """A PIL image as a tensor [C, H, W] of its own dtype."""
    pixels = np.array(pic, copy=True)
    if pixels.dtype == bool:
        pixels = pixels.astype(np.uint8) * 255
    return from_numpy(np.ascontiguousarray(np.atleast_3d(pixels).transpose(2, 0, 1)))


def to_tensor(pic: Any) -> Tensor:
    """A PIL image, or an array [H, W, C] or [H, W], as a float tensor [C, H, W]; bytes become 0 to 1.

    Raises: DTypeError for anything else, ShapeError for an array of other axes.

    >>> to_tensor(np.array([[0, 255]], dtype=np.uint8))
    tensor([[[0., 1.]]])
    """
    if not is_pil(pic) and not isinstance(pic, np.ndarray):
        raise DTypeError("to_tensor: expected a PIL image or a NumPy array, got {kind}", kind=type(pic).__name__)
    if isinstance(pic, np.ndarray):
        if pic.ndim not in (2, 3):
            raise ShapeError("to_tensor: expected an array [H, W, C] or [H, W], got shape {shape}", shape=pic.shape)
        pixels = np.atleast_3d(pic).transpose(2, 0, 1)
    else:
        pixels = pil_to_tensor(pic).numpy()
    if pixels.dtype != np.uint8:
        return from_numpy(np.ascontiguousarray(pixels))
    wide = float64 if default() is float64 else float32
    return from_numpy(np.divide(pixels, 255, dtype=wide.numpy, order="C")).to(default())


def to_pil_image(pic: Any, mode: str | None = None) -> Any:
    """A tensor [C, H, W] or [H, W], or an array [H, W, C], as a PIL image; floats from 0 to 1 become bytes."""
    image = _pillow()
    pixels = np.asarray(pic) if isinstance(pic, np.ndarray) else to_array(pic)
    if isinstance(pic, Tensor) and pixels.ndim == 3:
        pixels = pixels.transpose(1, 2, 0)
    if pixels.dtype.kind == "f" and isinstance(pic, Tensor):
        pixels = (pixels * 255).astype(np.uint8)
    pixels = np.ascontiguousarray(pixels[..., 0] if pixels.ndim == 3 and pixels.shape[-1] == 1 else pixels)
    if pixels.ndim not in (2, 3) or (pixels.ndim == 3 and pixels.shape[-1] not in (2, 3, 4)):
        raise ShapeError("to_pil_image: expected 1, 2, 3 or 4 channels, got an image of shape {shape}", shape=tuple(pic.shape))
    found = image.fromarray(pixels)
    return found if mode is None else found.convert(mode)


def convert_image_dtype(image: Tensor, dtype: DType = float32) -> Tensor:
    """Another dtype, the range with it: bytes 0 to 255 are floats 0 to 1.

    >>> import danlu
    >>> convert_image_dtype(danlu.tensor([[255]], dtype=danlu.uint8))
    tensor([[1.]])
    """
    given = image.dtype
    if given.is_floating_point == dtype.is_floating_point:
        return image.to(dtype)
    if dtype.is_floating_point:
        return _on_pixels(image, lambda x: (x / np.float32(np.iinfo(x.dtype).max)).astype(dtype.numpy))
    top = np.iinfo(dtype.numpy).max
    return _on_pixels(image, lambda x: np.clip(x * (top + 1 - 1e-3), 0, top).astype(dtype.numpy))


# ---- values


def normalize(tensor: Tensor, mean: Sequence[float], std: Sequence[float], inplace: bool = False) -> Tensor:
    """(x − mean) / std, channel by channel.

    Shapes: tensor [..., C, H, W]; mean and std [C] or one number.

    Raises: DTypeError for an image that is no float tensor, DataError for a deviation of 0.
    """
    if not isinstance(tensor, Tensor) or not tensor.dtype.is_floating_point:
        found = tensor.dtype.name if isinstance(tensor, Tensor) else type(tensor).__name__
        raise DTypeError("normalize: expected a float tensor, got {found}; write ToTensor() before Normalize", found=found)
    center, spread = (np.asarray(to_array(v), dtype=tensor.dtype.numpy).reshape(-1, 1, 1) for v in (mean, std))
    if (spread == 0).any():
        raise DataError("normalize: std is {std}; every deviation should be above 0", std=std)
    if tensor.ndim < 3 or not {len(center), len(spread)} <= {1, tensor.shape[-3]}:
        raise ShapeError(
            "normalize: an image of shape {shape} with {count} means and {spreads} deviations; give one of each for a channel",
            shape=tuple(tensor.shape),
            count=len(center),
            spreads=len(spread),
        )
    result = _on_pixels(tensor, lambda x: (x - center) / spread)
    return tensor.copy_(result) if inplace else result


def rgb_to_grayscale(image: Any, num_output_channels: int = 1) -> Any:
    """Brightness: 0.2989 red + 0.587 green + 0.114 blue, once or in three equal channels."""
    _kind(image)
    if is_pil(image):
        grey = image.convert("L")
        return grey if num_output_channels == 1 else _pillow().merge("RGB", (grey, grey, grey))

    def grey_of(x: np.ndarray) -> np.ndarray:
        one = np.tensordot(_GREY, np.moveaxis(x, -3, 0), 1).astype(x.dtype) if x.shape[-3] == 3 else x[..., 0, :, :]
        return np.repeat(one[..., None, :, :], num_output_channels, -3)

    return _on_pixels(image, grey_of)


def _blend(image: Any, other: Callable[[np.ndarray], Any], factor: float) -> Tensor:
    """factor · image + (1 − factor) · other, inside the range of the dtype."""

    def mixed(x: np.ndarray) -> np.ndarray:
        top = 1.0 if x.dtype.kind == "f" else np.iinfo(x.dtype).max
        return np.clip(factor * x + (1 - factor) * other(x), 0, top).astype(x.dtype)

    return _on_pixels(image, mixed)


def _enhanced(image: Any, name: str, factor: float) -> Any:
    from PIL import ImageEnhance

    return getattr(ImageEnhance, name)(image).enhance(factor)


def adjust_brightness(image: Any, brightness_factor: float) -> Any:
    """0 is black, 1 the image itself, 2 twice as bright."""
    _kind(image)
    return _enhanced(image, "Brightness", brightness_factor) if is_pil(image) else _blend(image, np.zeros_like, brightness_factor)


def _grey(x: np.ndarray) -> np.ndarray:
    grey = np.tensordot(_GREY, np.moveaxis(x, -3, 0), 1)[..., None, :, :] if x.shape[-3] == 3 else x
    return np.floor(grey) if x.dtype == np.uint8 else grey


def adjust_contrast(image: Any, contrast_factor: float) -> Any:
    """0 is the mean grey, 1 the image itself."""
    _kind(image)
    if is_pil(image):
        return _enhanced(image, "Contrast", contrast_factor)
    return _blend(image, lambda x: _grey(x).mean((-3, -2, -1), keepdims=True), contrast_factor)


def adjust_saturation(image: Any, saturation_factor: float) -> Any:
    """0 is grey, 1 the image itself."""
    _kind(image)
    return _enhanced(image, "Color", saturation_factor) if is_pil(image) else _blend(image, _grey, saturation_factor)


def adjust_hue(image: Any, hue_factor: float) -> Any:
    """Turns the colours by a share of the circle, −0.5 to 0.5. Tensors go through bytes."""
    _kind(image)
    if not -0.5 <= hue_factor <= 0.5:
        raise DataError("adjust_hue: hue_factor is {factor}; expected -0.5 to 0.5", factor=hue_factor)
    if not is_pil(image):
        turned = to_tensor(adjust_hue(to_pil_image(image), hue_factor))
        return turned if image.dtype.is_floating_point else convert_image_dtype(turned, image.dtype)
    if image.mode in ("L", "1", "I", "F"):
        return image
    parts = list(image.convert("HSV").split())
    turned = (np.asarray(parts[0]).astype(np.int64) + int(hue_factor * 255)) % 256
    parts[0] = _pillow().fromarray(turned.astype(np.uint8))
    return _pillow().merge("HSV", parts).convert(image.mode)


# ---- places


def hflip(image: Any) -> Any:
    """Left and right change places."""
    _kind(image)
    return image.transpose(_pillow().Transpose.FLIP_LEFT_RIGHT) if is_pil(image) else _on_pixels(image, lambda x: x[..., ::-1])


def vflip(image: Any) -> Any:
    """Top and bottom change places."""
    _kind(image)
    return image.transpose(_pillow().Transpose.FLIP_TOP_BOTTOM) if is_pil(image) else _on_pixels(image, lambda x: x[..., ::-1, :])


def pad(image: Any, padding: int | Sequence[int], fill: float = 0, padding_mode: str = "constant") -> Any:
    """A frame: one width, (left and right, top and bottom), or (left, top, right, bottom). Modes: constant, edge, reflect, symmetric."""
    _kind(image)
    given = (padding,) if isinstance(padding, int) else tuple(padding)
    left, top, right, bottom = {1: given * 4, 2: given * 2}.get(len(given), given)
    if is_pil(image) and padding_mode == "constant":
        from PIL import ImageOps

        return ImageOps.expand(image, (left, top, right, bottom), _shade(image, fill))
    if is_pil(image):
        return to_pil_image(pad(pil_to_tensor(image), (left, top, right, bottom), fill, padding_mode), image.mode)
    named = {"constant_values": fill} if padding_mode == "constant" else {}
    return _on_pixels(image, lambda x: np.pad(x, [(0, 0)] * (x.ndim - 2) + [(top, bottom), (left, right)], padding_mode, **named))  # type: ignore[call-overload]


def _shade(image: Any, fill: Any) -> Any:
    """One number for all channels of a PIL image, as Pillow writes it."""
    return (fill,) * len(image.getbands()) if isinstance(fill, int | float) and len(image.getbands()) > 1 else fill


def crop(image: Any, top: int, left: int, height: int, width: int) -> Any:
    """The part of an image that begins at (top, left); what lies outside is 0."""
    _kind(image)
    if is_pil(image):
        return image.crop((left, top, left + width, top + height))
    wide, high = get_image_size(image)
    frame = [max(-left, 0), max(-top, 0), max(left + width - wide, 0), max(top + height - high, 0)]
    image = pad(image, frame) if any(frame) else image
    top, left = max(top, 0), max(left, 0)
    return _on_pixels(image, lambda x: x[..., top : top + height, left : left + width])


def center_crop(image: Any, output_size: int | Sequence[int]) -> Any:
    """The middle of an image."""
    height, width = pair(output_size)
    wide, high = get_image_size(image)
    if width > wide or height > high:
        lacking = [max(width - wide, 0), max(height - high, 0)]
        image = pad(image, [lacking[0] // 2, lacking[1] // 2, (lacking[0] + 1) // 2, (lacking[1] + 1) // 2])
        wide, high = get_image_size(image)
    return crop(image, round((high - height) / 2), round((wide - width) / 2), height, width)


def resize(
    image: Any,
    size: int | Sequence[int],
    interpolation: InterpolationMode | str = InterpolationMode.BILINEAR,
    max_size: int | None = None,
    antialias: bool | None = True,
) -> Any:
    """Another size: (height, width), or one number for the shorter side. Smaller images are averaged, not picked from.

    Each axis is a product with the matrix of the filter's weights, the filter as wide as the pixels of the smaller grid.
    """
    _kind(image)
    mode = InterpolationMode(interpolation)
    height, width = _sizes(image, size, max_size)
    if is_pil(image):
        return image.resize((width, height), getattr(_pillow().Resampling, mode.name))

    def resized(x: np.ndarray) -> np.ndarray:
        rows, columns = (_weights(n, m, mode, bool(antialias)) for n, m in ((x.shape[-2], height), (x.shape[-1], width)))
        out = rows @ x.astype(np.float64) @ columns.T
        return out.astype(x.dtype) if x.dtype.kind == "f" else np.clip(np.rint(out), 0, np.iinfo(x.dtype).max).astype(x.dtype)

    return _on_pixels(image, resized)


def _sizes(image: Any, size: int | Sequence[int], longest: int | None) -> tuple[int, int]:
    """The new height and width."""
    if not isinstance(size, int) and len(size) == 2:
        return int(size[0]), int(size[1])
    short = size if isinstance(size, int) else size[0]
    width, height = get_image_size(image)
    scale = short / min(width, height)
    if longest is not None and max(width, height) * scale > longest:
        scale = longest / max(width, height)
        return (int(height * scale), longest) if width > height else (longest, int(width * scale))
    return (short, int(width * scale)) if height <= width else (int(height * scale), short)


def _weights(size: int, new: int, mode: InterpolationMode, antialias: bool) -> np.ndarray:
    """What each of `new` pixels takes of each of `size` ones: float64 [new, size], rows that add up to 1."""
    if mode is InterpolationMode.NEAREST:
        return np.eye(size)[np.minimum((np.arange(new) * size / new).astype(int), size - 1)]
    matrix = resampling(size, new, size / new, False, mode is InterpolationMode.BICUBIC, antialias, np.dtype(np.float64))
    return np.eye(size) if matrix is None else matrix


def resized_crop(
    image: Any,
    top: int,
    left: int,
    height: int,
    width: int,
    size: int | Sequence[int],
    interpolation: Any = InterpolationMode.BILINEAR,
    antialias: bool | None = True,
) -> Any:
    """A part of an image at another size."""
    return resize(crop(image, top, left, height, width), size, interpolation, antialias=antialias)


def rotate(image: Any, angle: float, fill: float = 0) -> Any:
    """Turned by an angle in degrees, against the clock, about its middle; nearest pixels."""
    _kind(image)
    if is_pil(image):
        return image.rotate(angle, fillcolor=_shade(image, fill))

    def turned(x: np.ndarray) -> np.ndarray:
        height, width = x.shape[-2:]
        y, z = np.mgrid[:height, :width] - np.array([(height - 1) / 2, (width - 1) / 2])[:, None, None]
        cos, sin = math.cos(math.radians(angle)), math.sin(math.radians(angle))
        rows = np.rint(cos * y + sin * z + (height - 1) / 2).astype(int)
        columns = np.rint(-sin * y + cos * z + (width - 1) / 2).astype(int)
        inside = (rows >= 0) & (rows < height) & (columns >= 0) & (columns < width)
        return np.where(inside, x[..., rows.clip(0, height - 1), columns.clip(0, width - 1)], fill).astype(x.dtype)

    return _on_pixels(image, turned)


def erase(image: Tensor, i: int, j: int, h: int, w: int, v: Any, inplace: bool = False) -> Tensor:
    """A rectangle of an image filled with values."""

    def erased(x: np.ndarray) -> np.ndarray:
        x = x.copy()
        x[..., i : i + h, j : j + w] = to_array(v)
        return x

    result = _on_pixels(image, erased)
    return image.copy_(result) if inplace else result


def pair(size: int | Sequence[int]) -> tuple[int, int]:
    """One size for both axes, or (height, width).

    Raises: DataError for another number of sizes.
    """
    sizes = (size, size) if isinstance(size, int) else tuple(size) * (2 if len(tuple(size)) == 1 else 1)
    if len(sizes) != 2 or any(not isinstance(n, int | np.integer) or n < 1 for n in sizes):
        raise DataError(
            "a size should be {expected}, got {size!r}", expected=Phrase("a whole number above 0, or two of them"), size=size
        )
    return int(sizes[0]), int(sizes[1])


__all__ = [
    "InterpolationMode",
    "adjust_brightness",
    "adjust_contrast",
    "adjust_hue",
    "adjust_saturation",
    "center_crop",
    "convert_image_dtype",
    "crop",
    "erase",
    "get_image_size",
    "hflip",
    "normalize",
    "pad",
    "pil_to_tensor",
    "resize",
    "resized_crop",
    "rgb_to_grayscale",
    "rotate",
    "to_pil_image",
    "to_tensor",
    "vflip",
]
