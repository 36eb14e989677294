"""Transforms: tensors against Pillow and NumPy, random ones against their seeds and bounds, every refusal."""

from __future__ import annotations

import functools

import numpy as np
import pytest

import danlu
from danlu.data.loader import DataLoader
from danlu.errors import DataError, DTypeError, ShapeError
from danlu.vision import functional as F
from danlu.vision import transforms as T

Image = pytest.importorskip("PIL.Image")
RNG = np.random.default_rng(0)
PIXELS = RNG.integers(0, 256, (12, 17, 3), dtype=np.uint8)  # [H, W, C]
SMOOTH = np.add.outer(np.arange(12) * 10, np.arange(17) * 7).astype(np.uint8)  # [H, W]


def tensor(pixels: np.ndarray) -> danlu.Tensor:
    return danlu.from_numpy(np.ascontiguousarray(np.atleast_3d(pixels).transpose(2, 0, 1)))


def array(image) -> np.ndarray:
    """The pixels of an image or a tensor, [H, W, C]."""
    return np.atleast_3d(np.asarray(image)) if F.is_pil(image) else image.numpy().transpose(1, 2, 0)


def both(change, tolerance: float = 0, pixels: np.ndarray = PIXELS) -> np.ndarray:
    """What a transform makes of a PIL image and of a tensor: the same, and returned."""
    one, two = array(change(Image.fromarray(pixels))), array(change(tensor(pixels)))
    assert one.shape == two.shape and np.abs(one.astype(float) - two).max() <= tolerance
    return two


def test_to_tensor():
    x = T.ToTensor()(Image.fromarray(PIXELS))
    assert x.dtype == danlu.float32 and np.array_equal(
        x.numpy(), (PIXELS.transpose(2, 0, 1) / np.float32(255)).astype(np.float32)
    )
    assert T.ToTensor()(SMOOTH).shape == (1, 12, 17) and T.ToTensor()(SMOOTH.astype(np.float64)).dtype == danlu.float64
    assert T.ToTensor()(Image.fromarray(SMOOTH > 9)).max().item() == 1
    assert np.array_equal(T.PILToTensor()(Image.fromarray(PIXELS)).numpy(), PIXELS.transpose(2, 0, 1))
    back = T.ToPILImage()(x)
    assert (
        np.array_equal(np.asarray(back), PIXELS)
        and T.ToPILImage()(tensor(SMOOTH)).mode == "L"
        and T.ToPILImage("L")(x).mode == "L"
    )
    assert np.array_equal(np.asarray(T.ToPILImage()(PIXELS)), PIXELS)


def test_places():
    assert np.array_equal(both(T.CenterCrop((4, 5))), PIXELS[4:8, 6:11])
    assert np.array_equal(both(F.hflip), PIXELS[:, ::-1]) and np.array_equal(both(F.vflip), PIXELS[::-1])
    assert np.array_equal(both(lambda x: F.crop(x, -2, 3, 5, 20))[2:, :14], PIXELS[:3, 3:])
    assert both(T.CenterCrop(20)).shape == (20, 20, 3)
    framed = both(T.Pad((1, 2), fill=7))
    assert framed.shape == (16, 19, 3) and (framed[:2] == 7).all() and np.array_equal(framed[2:-2, 1:-1], PIXELS)
    assert np.array_equal(both(T.Pad(2, padding_mode="reflect")), np.pad(PIXELS, [(2, 2), (2, 2), (0, 0)], "reflect"))
    assert both(T.Pad((1, 2, 3, 4))).shape == (18, 21, 3)
    assert np.array_equal(both(lambda x: F.rotate(x, 180)), PIXELS[::-1, ::-1])
    assert np.array_equal(array(F.rotate(tensor(PIXELS[:, :12]), 90)), np.rot90(PIXELS[:, :12]))


@pytest.mark.parametrize("size", [6, (6, 8), (24, 34), (5, 40), 12])
@pytest.mark.parametrize("mode", list(T.InterpolationMode))
def test_resize_is_pillows(size, mode):
    if mode is T.InterpolationMode.NEAREST and size not in (6, (24, 34), 12):
        pytest.skip("nearest pixels are a matter of rounding")
    rounded = mode is T.InterpolationMode.NEAREST and size == 6
    given = SMOOTH if mode is T.InterpolationMode.BICUBIC else PIXELS  # Pillow cuts overshoots off between the axes too
    pixels = both(T.Resize(size, mode), 255 if rounded else 1, given)
    assert pixels.shape[:2] == {6: (6, 8), 12: (12, 17)}.get(size, size)


def test_resize_of_the_shorter_side():
    assert T.Resize(6, max_size=7)(tensor(PIXELS)).shape == (3, 4, 7) and T.Resize([6])(tensor(PIXELS)).shape == (3, 6, 8)
    tall = tensor(PIXELS.transpose(1, 0, 2))
    assert T.Resize(6, max_size=7)(tall).shape == (3, 7, 4) and T.Resize(6)(tall).shape == (3, 8, 6)
    constant = T.Resize((5, 9), antialias=False)(danlu.full((1, 8, 8), 0.25))
    assert np.allclose(constant.numpy(), 0.25)


@pytest.mark.oracle
@pytest.mark.parametrize("mode", ["bilinear", "bicubic"])
@pytest.mark.parametrize("antialias", [True, False])
def test_resize_is_pytorchs(mode, antialias):
    torch = pytest.importorskip("torch")
    x = RNG.standard_normal((2, 3, 11, 9)).astype(np.float32)
    expected = torch.nn.functional.interpolate(torch.tensor(x), (7, 15), mode=mode, antialias=antialias)
    assert np.allclose(F.resize(danlu.tensor(x), (7, 15), mode, antialias=antialias).numpy(), expected, atol=1e-5)


def test_values():
    x = T.ToTensor()(PIXELS)
    y = T.Normalize((0.5, 0.4, 0.3), (0.1, 0.2, 0.3))(x)
    expected = (x.numpy() - np.array([0.5, 0.4, 0.3])[:, None, None]) / np.array([0.1, 0.2, 0.3])[:, None, None]
    assert y.dtype == danlu.float32 and np.allclose(y.numpy(), expected, atol=1e-5)
    assert T.Normalize(0.5, 0.5, inplace=True)(x) is x and x.min().item() < 0
    grey = both(T.Grayscale(), tolerance=1)
    assert np.abs(grey[..., 0] - PIXELS @ np.array([0.299, 0.587, 0.114])).max() <= 1.1
    assert both(T.Grayscale(3), tolerance=1).shape == PIXELS.shape
    assert T.ConvertImageDtype(danlu.float32)(tensor(PIXELS)).max().item() <= 1
    assert np.array_equal(T.ConvertImageDtype(danlu.uint8)(T.ToTensor()(PIXELS)).numpy(), PIXELS.transpose(2, 0, 1))
    assert T.ConvertImageDtype(danlu.float64)(danlu.ones(1, 1)).dtype == danlu.float64
    assert T.Lambda(lambda z: z * 2)(x).shape == x.shape
    erased = F.erase(danlu.ones(1, 4, 4), 1, 2, 2, 1, 0)
    assert erased.sum().item() == 14 and erased[0, 1:3, 2].sum().item() == 0


@pytest.mark.parametrize("factor", [0.0, 0.5, 1.0, 1.7])
def test_colours(factor):
    for adjust in (F.adjust_brightness, F.adjust_contrast, F.adjust_saturation):
        pixels = both(functools.partial(adjust, **{f"{adjust.__name__[7:]}_factor": factor}), tolerance=2)
        assert factor != 1 or np.abs(pixels.astype(int) - PIXELS).max() <= 1
    assert np.abs(array(F.adjust_hue(tensor(PIXELS), 0.0)).astype(int) - PIXELS).max() < 8
    red = danlu.tensor(np.array([[[1.0]], [[0.0]], [[0.0]]], np.float32))
    assert np.allclose(F.adjust_hue(red, 1 / 3).numpy()[:, 0, 0], [0, 1, 0], atol=0.05)
    assert F.adjust_hue(Image.fromarray(SMOOTH), 0.2).mode == "L"


def test_random_transforms_follow_the_seed():
    chain = T.Compose(
        [
            T.RandomResizedCrop(8),
            T.RandomHorizontalFlip(),
            T.RandomVerticalFlip(),
            T.ColorJitter(0.4, 0.4, (0.5, 1.5), 0.1),
            T.RandomRotation(20),
            T.RandomGrayscale(),
            T.RandomApply([T.Grayscale(3)], 0.3),
            T.RandomCrop(8, padding=2),
            T.RandomErasing(1.0),
        ]
    )
    x = T.ToTensor()(PIXELS)
    danlu.manual_seed(0)
    first = [chain(x) for _ in range(3)]
    danlu.manual_seed(0)
    assert all(danlu.equal(a, chain(x)) for a in first) and not danlu.equal(first[0], first[1])
    assert all(y.shape == (3, 8, 8) and y.min().item() >= 0 and y.max().item() <= 1 for y in first)
    images = T.Compose(chain.transforms[:-1])
    assert images(Image.fromarray(PIXELS)).size == (8, 8)


def test_random_places_are_inside():
    for _ in range(20):
        top, left, height, width = T.RandomCrop.get_params(tensor(PIXELS), (5, 6))
        assert 0 <= top <= 7 and 0 <= left <= 11 and (height, width) == (5, 6)
        top, left, height, width = T.RandomResizedCrop.get_params(tensor(PIXELS), (0.1, 1), (0.5, 2))
        assert 0 <= top <= 12 - height and 0 <= left <= 17 - width
    assert T.RandomResizedCrop.get_params(danlu.zeros(1, 2, 40), (1.0, 1.0), (1.0, 1.0)) == (0, 19, 2, 2)
    assert T.RandomCrop(20, pad_if_needed=True)(tensor(PIXELS)).shape == (3, 20, 20)
    assert danlu.equal(T.RandomHorizontalFlip(1.0)(tensor(PIXELS)), F.hflip(tensor(PIXELS)))
    assert T.RandomHorizontalFlip(0.0)(PIXELS) is PIXELS


def test_text():
    assert repr(T.Compose([T.ToTensor(), T.CenterCrop(3)])) == "Compose(\n    ToTensor()\n    CenterCrop(size=(3, 3))\n)"


class Pictures(danlu.data.Dataset):
    """One picture, changed at random each time."""

    def __len__(self) -> int:
        return 6

    def __getitem__(self, place: int):
        return T.RandomCrop(5)(tensor(PIXELS)), place


def test_augmentation_does_not_depend_on_the_workers():
    batches = [[x.tolist() for x, _ in DataLoader(Pictures(), 2, seed=3, num_workers=count)] for count in (0, 2)]
    assert batches[0] == batches[1]


@pytest.mark.parametrize(
    ("call", "error", "text"),
    [
        (lambda: T.ToTensor()([1]), DTypeError, "to_tensor: expected a PIL image or a NumPy array, got list"),
        (lambda: T.ToTensor()(np.zeros(3)), ShapeError, "to_tensor: expected an array [H, W, C] or [H, W], got shape (3,)"),
        (
            lambda: T.ToPILImage()(danlu.zeros(5, 2, 2)),
            ShapeError,
            "to_pil_image: expected 1, 2, 3 or 4 channels, got an image of shape (5, 2, 2)",
        ),
        (lambda: T.CenterCrop(2)("x"), DTypeError, "expected a PIL image or a tensor, got str; write ToTensor() first"),
        (lambda: F.hflip(danlu.zeros(2)), ShapeError, "an image is a tensor [..., H, W], got shape (2,)"),
        (
            lambda: T.Normalize(0, 1)(tensor(PIXELS)),
            DTypeError,
            "normalize: expected a float tensor, got uint8; write ToTensor() before Normalize",
        ),
        (lambda: T.Normalize(0, 0)(danlu.zeros(1, 2, 2)), DataError, "normalize: std is 0; every deviation should be above 0"),
        (
            lambda: T.Normalize((0, 0), (1, 1))(danlu.zeros(3, 2, 2)),
            ShapeError,
            "normalize: an image of shape (3, 2, 2) with 2 means and 2 deviations; give one of each for a channel",
        ),
        (lambda: T.CenterCrop((1, 2, 3)), DataError, "a size should be a whole number above 0, or two of them, got (1, 2, 3)"),
        (
            lambda: T.RandomCrop(13)(tensor(PIXELS)),
            DataError,
            "RandomCrop: a part of (13, 13) from an image of (12, 17); give padding, or Resize first",
        ),
        (lambda: T.ColorJitter(-1), DataError, "ColorJitter: -1 is negative; expected a number of 0 or more, or (least, most)"),
        (lambda: F.adjust_hue(tensor(PIXELS), 2), DataError, "adjust_hue: hue_factor is 2; expected -0.5 to 0.5"),
    ],
)
def test_refusals(call, error, text):
    with pytest.raises(error) as caught:
        call()
    assert str(caught.value) == text
