"""L8. Transforms of images: objects that are called with an image, chained by `Compose`. They take PIL images and tensors [..., C, H, W].

The random ones draw from danlu's generator, so `danlu.manual_seed` decides them, and in a loader they do not depend on the number of workers.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from danlu.data.dataset import seeded
from danlu.dtype import DType, float32
from danlu.errors import DataError
from danlu.random import next_key
from danlu.tensor import Tensor
from danlu.vision import functional as F
from danlu.vision.functional import InterpolationMode


def draw() -> np.random.Generator:
    """NumPy's generator from the next draw of danlu's."""
    return seeded(*next_key())


class Transform:
    """Base of transforms: a subclass defines `__call__(image)`; the arguments of its constructor are shown by repr.

    >>> CenterCrop(4)
    CenterCrop(size=(4, 4))
    """

    def __call__(self, image: Any) -> Any:
        """The transformed image."""
        return self.forward(image)

    def forward(self, image: Any) -> Any:
        """What `__call__` gives; every subclass defines it."""
        raise NotImplementedError

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{name}={value}' for name, value in vars(self).items())})"


class Compose(Transform):
    """One transform after the other.

    >>> transform = Compose([ToTensor(), Normalize(0.5, 0.5)])
    >>> transform(np.array([[0, 255]], dtype=np.uint8))
    tensor([[[-1.,  1.]]])
    """

    def __init__(self, transforms: Sequence[Callable[[Any], Any]]) -> None:
        self.transforms = transforms

    def forward(self, image: Any) -> Any:
        for transform in self.transforms:
            image = transform(image)
        return image

    def __repr__(self) -> str:
        return "Compose(\n" + "".join(f"    {transform}\n" for transform in self.transforms) + ")"


class Lambda(Transform):
    """Any function of an image.

    >>> Lambda(lambda x: x + 1)(2)
    3
    """

    def __init__(self, lambd: Callable[[Any], Any]) -> None:
        self.lambd = lambd

    def forward(self, image: Any) -> Any:
        return self.lambd(image)


class ToTensor(Transform):
    """A PIL image or an array [H, W, C] as a float tensor [C, H, W]; bytes become 0 to 1."""

    def forward(self, image: Any) -> Tensor:
        return F.to_tensor(image)


class PILToTensor(Transform):
    """A PIL image as a tensor [C, H, W] of bytes."""

    def forward(self, image: Any) -> Tensor:
        return F.pil_to_tensor(image)


class ToPILImage(Transform):
    """A tensor [C, H, W] or an array [H, W, C] as a PIL image."""

    def __init__(self, mode: str | None = None) -> None:
        self.mode = mode

    def forward(self, image: Any) -> Any:
        return F.to_pil_image(image, self.mode)


class ConvertImageDtype(Transform):
    """Another dtype, the range with it."""

    def __init__(self, dtype: DType = float32) -> None:
        self.dtype = dtype

    def forward(self, image: Tensor) -> Tensor:
        return F.convert_image_dtype(image, self.dtype)


class Normalize(Transform):
    """(x − mean) / std, channel by channel, of a float tensor."""

    def __init__(self, mean: Any, std: Any, inplace: bool = False) -> None:
        self.mean, self.std, self.inplace = mean, std, inplace

    def forward(self, image: Tensor) -> Tensor:
        return F.normalize(image, self.mean, self.std, self.inplace)


class Resize(Transform):
    """Another size: (height, width), or one number for the shorter side."""

    def __init__(
        self,
        size: int | Sequence[int],
        interpolation: InterpolationMode | str = InterpolationMode.BILINEAR,
        max_size: int | None = None,
        antialias: bool | None = True,
    ) -> None:
        self.size, self.interpolation, self.max_size, self.antialias = size, interpolation, max_size, antialias

    def forward(self, image: Any) -> Any:
        return F.resize(image, self.size, self.interpolation, self.max_size, self.antialias)


class CenterCrop(Transform):
    """The middle of an image."""

    def __init__(self, size: int | Sequence[int]) -> None:
        self.size = F.pair(size)

    def forward(self, image: Any) -> Any:
        return F.center_crop(image, self.size)


class Pad(Transform):
    """A frame around an image."""

    def __init__(self, padding: int | Sequence[int], fill: float = 0, padding_mode: str = "constant") -> None:
        self.padding, self.fill, self.padding_mode = padding, fill, padding_mode

    def forward(self, image: Any) -> Any:
        return F.pad(image, self.padding, self.fill, self.padding_mode)


class Grayscale(Transform):
    """Brightness alone, in one channel or three."""

    def __init__(self, num_output_channels: int = 1) -> None:
        self.num_output_channels = num_output_channels

    def forward(self, image: Any) -> Any:
        return F.rgb_to_grayscale(image, self.num_output_channels)


# ---- random ones


class RandomCrop(Transform):
    """A part of an image at a random place, perhaps after a frame was put around it.

    Raises: DataError for an image that is too small.
    """

    def __init__(
        self,
        size: int | Sequence[int],
        padding: int | Sequence[int] | None = None,
        pad_if_needed: bool = False,
        fill: float = 0,
        padding_mode: str = "constant",
    ) -> None:
        self.size, self.padding, self.pad_if_needed, self.fill, self.padding_mode = (
            F.pair(size),
            padding,
            pad_if_needed,
            fill,
            padding_mode,
        )

    @staticmethod
    def get_params(img: Any, output_size: Sequence[int]) -> tuple[int, int, int, int]:
        """(top, left, height, width) of a random part."""
        (width, height), (high, wide) = F.get_image_size(img), output_size
        if high > height or wide > width:
            raise DataError(
                "RandomCrop: a part of {wanted} from an image of {size}; give padding, or Resize first",
                wanted=(high, wide),
                size=(height, width),
            )
        numbers = draw()
        return int(numbers.integers(height - high + 1)), int(numbers.integers(width - wide + 1)), high, wide

    def forward(self, image: Any) -> Any:
        if self.padding is not None:
            image = F.pad(image, self.padding, self.fill, self.padding_mode)
        if self.pad_if_needed:
            width, height = F.get_image_size(image)
            image = F.pad(image, (max(self.size[1] - width, 0), max(self.size[0] - height, 0)), self.fill, self.padding_mode)
        return F.crop(image, *self.get_params(image, self.size))


class _Chance(Transform):
    """What happens with a probability of `p`."""

    def __init__(self, p: float = 0.5) -> None:
        self.p = p

    def forward(self, image: Any) -> Any:
        return self.change(image) if draw().random() < self.p else image

    def change(self, image: Any) -> Any:
        """What happens then."""
        raise NotImplementedError


class RandomHorizontalFlip(_Chance):
    """Left and right change places with a probability of `p`."""

    def change(self, image: Any) -> Any:
        return F.hflip(image)


class RandomVerticalFlip(_Chance):
    """Top and bottom change places with a probability of `p`."""

    def change(self, image: Any) -> Any:
        return F.vflip(image)


class RandomGrayscale(_Chance):
    """Grey in all channels with a probability of `p`."""

    def __init__(self, p: float = 0.1) -> None:
        super().__init__(p)

    def change(self, image: Any) -> Any:
        channels = len(image.getbands()) if F.is_pil(image) else image.shape[-3]
        return F.rgb_to_grayscale(image, channels)


class RandomApply(_Chance):
    """All of some transforms with a probability of `p`, else none."""

    def __init__(self, transforms: Sequence[Callable[[Any], Any]], p: float = 0.5) -> None:
        super().__init__(p)
        self.transforms = transforms

    def change(self, image: Any) -> Any:
        return Compose(self.transforms)(image)


class RandomResizedCrop(Transform):
    """A part with a random share of the area and a random ratio of its sides, at one size.

    Source: Szegedy et al., "Going deeper with convolutions" (2015), section 6.
    """

    def __init__(
        self,
        size: int | Sequence[int],
        scale: Sequence[float] = (0.08, 1.0),
        ratio: Sequence[float] = (3 / 4, 4 / 3),
        interpolation: InterpolationMode | str = InterpolationMode.BILINEAR,
        antialias: bool | None = True,
    ) -> None:
        self.size, self.scale, self.ratio = F.pair(size), tuple(scale), tuple(ratio)
        self.interpolation, self.antialias = interpolation, antialias

    @staticmethod
    def get_params(img: Any, scale: Sequence[float], ratio: Sequence[float]) -> tuple[int, int, int, int]:
        """(top, left, height, width) of a random part; after ten that do not fit, the largest in the middle."""
        (width, height), numbers = F.get_image_size(img), draw()
        for _ in range(10):
            area = width * height * numbers.uniform(scale[0], scale[1])
            aspect = math.exp(numbers.uniform(math.log(ratio[0]), math.log(ratio[1])))
            wide, high = round(math.sqrt(area * aspect)), round(math.sqrt(area / aspect))
            if 0 < wide <= width and 0 < high <= height:
                return int(numbers.integers(height - high + 1)), int(numbers.integers(width - wide + 1)), high, wide
        wide, high = min(width, round(height * ratio[1])), min(height, round(width / ratio[0]))
        return (height - high) // 2, (width - wide) // 2, high, wide

    def forward(self, image: Any) -> Any:
        part = self.get_params(image, self.scale, self.ratio)
        return F.resized_crop(image, *part, self.size, self.interpolation, self.antialias)


class RandomRotation(Transform):
    """Turned by a random angle: ±degrees, or from (least, most)."""

    def __init__(self, degrees: float | Sequence[float], fill: float = 0) -> None:
        low, high = (-degrees, degrees) if isinstance(degrees, int | float) else degrees
        self.degrees = float(low), float(high)
        self.fill = fill

    def forward(self, image: Any) -> Any:
        return F.rotate(image, float(draw().uniform(self.degrees[0], self.degrees[1])), self.fill)


class ColorJitter(Transform):
    """Random brightness, contrast, saturation and hue, in a random order. A number x stands for 1 − x to 1 + x (of hue: −x to x)."""

    def __init__(self, brightness: Any = 0, contrast: Any = 0, saturation: Any = 0, hue: Any = 0) -> None:
        self.brightness, self.contrast, self.saturation = (_around(x, 1.0) for x in (brightness, contrast, saturation))
        self.hue = _around(hue, 0.0)

    def forward(self, image: Any) -> Any:
        numbers = draw()
        steps = (
            (F.adjust_brightness, self.brightness),
            (F.adjust_contrast, self.contrast),
            (F.adjust_saturation, self.saturation),
            (F.adjust_hue, self.hue),
        )
        for place in numbers.permutation(len(steps)):
            change, bounds = steps[place]
            if bounds is not None:
                image = change(image, float(numbers.uniform(bounds[0], bounds[1])))
        return image


def _around(given: Any, center: float) -> tuple[float, float] | None:
    """The bounds that a number or a pair stands for; None where nothing changes."""
    if isinstance(given, int | float):
        if given < 0:
            raise DataError("ColorJitter: {given} is negative; expected a number of 0 or more, or (least, most)", given=given)
        low, high = center - given, center + given
        return None if given == 0 else (max(low, 0.0) if center else low, high)
    return float(given[0]), float(given[1])


class RandomErasing(_Chance):
    """A random rectangle of a tensor filled with `value`, with a probability of `p`.

    Source: Zhong et al., "Random erasing data augmentation" (2020), algorithm 1.
    """

    def __init__(
        self,
        p: float = 0.5,
        scale: Sequence[float] = (0.02, 0.33),
        ratio: Sequence[float] = (0.3, 3.3),
        value: Any = 0,
        inplace: bool = False,
    ) -> None:
        super().__init__(p)
        self.scale, self.ratio, self.value, self.inplace = scale, ratio, value, inplace

    def change(self, image: Any) -> Any:
        top, left, high, wide = RandomResizedCrop.get_params(image, self.scale, self.ratio)
        return F.erase(image, top, left, high, wide, self.value, self.inplace)


__all__ = [
    "CenterCrop",
    "ColorJitter",
    "Compose",
    "ConvertImageDtype",
    "Grayscale",
    "InterpolationMode",
    "Lambda",
    "Normalize",
    "PILToTensor",
    "Pad",
    "RandomApply",
    "RandomCrop",
    "RandomErasing",
    "RandomGrayscale",
    "RandomHorizontalFlip",
    "RandomResizedCrop",
    "RandomRotation",
    "RandomVerticalFlip",
    "Resize",
    "ToPILImage",
    "ToTensor",
    "Transform",
]
