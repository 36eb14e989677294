"""L8. Data sets of images from local files: MNIST, FashionMNIST, CIFAR10, folders of pictures. `download=True` fetches what is not there.

A file that is fetched is taken only if its MD5 is the one that its authors publish. Nothing is fetched unasked, and nothing is unpickled: of
CIFAR-10 the binary version is read.
"""

from __future__ import annotations

import hashlib
import io
import os
import tarfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from danlu.data.dataset import Dataset
from danlu.data.idx import read_idx
from danlu.errors import DataError, MissingFileError
from danlu.files import read_bytes, write_atomic
from danlu.messages import Phrase
from danlu.tensor import Tensor
from danlu.tensor.exchange import from_numpy
from danlu.vision.io import open_image

_MOST = 400 << 20  # bytes that are fetched at most
IMAGE_ENDINGS = (".jpg", ".jpeg", ".png", ".ppm", ".bmp", ".pgm", ".tif", ".tiff", ".webp")


class ImageDataset(Dataset):
    """Images with a label each, and the transforms of both. `data` [N, H, W] or [N, H, W, C] holds bytes, `targets` N labels."""

    classes: Sequence[str] = ()

    def __init__(
        self, root: Any, transform: Callable | None, target_transform: Callable | None, transforms: Callable | None = None
    ) -> None:
        self.root, self.transform, self.target_transform, self.transforms = (
            os.fspath(root),
            transform,
            target_transform,
            transforms,
        )

    def _pair(self, image: Any, target: int) -> tuple[Any, Any]:
        """A sample with its transforms applied."""
        if self.transforms is not None:
            return self.transforms(image, target)
        return (
            image if self.transform is None else self.transform(image),
            target if self.target_transform is None else self.target_transform(target),
        )

    @property
    def class_to_idx(self) -> dict[str, int]:
        """Class → label."""
        return {name: number for number, name in enumerate(self.classes)}


def as_image(pixels: np.ndarray) -> Any:
    """Pixels as a PIL image; without Pillow the array itself, which ToTensor takes too."""
    try:
        from PIL import Image
    except ImportError:
        return pixels
    return Image.fromarray(pixels)


class MNIST(ImageDataset):
    """Handwritten digits, 60,000 to train on and 10,000 to test: images 28 × 28 in bytes, labels 0 to 9.

    The files (`train-images-idx3-ubyte`, ...; `.gz` or not) are looked for in root/MNIST/raw, root/MNIST and root.

    Raises: MissingFileError where they are not, and download is False; DataError for damaged files.

    >>> MNIST("data")  # doctest: +SKIP
    Dataset MNIST: 60000 images in data

    Source: Y. LeCun, C. Cortes, C. Burges, "The MNIST database".
    """

    mirrors = ("https://ossci-datasets.s3.amazonaws.com/mnist/", "https://storage.googleapis.com/cvdf-datasets/mnist/")
    checksums: dict[str, str] = {  # noqa: RUF012
        "train-images-idx3-ubyte.gz": "f68b3c2dcbeaaa9fbdd348bbdeb94873",
        "train-labels-idx1-ubyte.gz": "d53e105ee54ea40749a09fcbcd1e9432",
        "t10k-images-idx3-ubyte.gz": "9fb629c4189551a2d022fa330f9573f3",
        "t10k-labels-idx1-ubyte.gz": "ec29112dd5afa0611ce80d1b7f02629c",
    }
    classes = (
        "0 - zero", "1 - one", "2 - two", "3 - three", "4 - four", "5 - five", "6 - six", "7 - seven", "8 - eight", "9 - nine",
    )  # fmt: skip

    def __init__(
        self,
        root: str | os.PathLike,
        train: bool = True,
        transform: Callable | None = None,
        target_transform: Callable | None = None,
        download: bool = False,
    ) -> None:
        super().__init__(root, transform, target_transform)
        self.train = train
        part = "train" if train else "t10k"
        images, labels = (self._file(f"{part}-{kind}-ubyte.gz", download) for kind in ("images-idx3", "labels-idx1"))
        self._images, numbers = read_idx(images), read_idx(labels)
        if self._images.ndim != 3 or self._images.dtype != np.uint8 or len(numbers) != len(self._images):
            raise DataError(
                "{images} and {labels} hold arrays of shapes {shape} and {other}; expected bytes [N, H, W] and labels [N]",
                images=images,
                labels=labels,
                shape=self._images.shape,
                other=numbers.shape,
            )
        self.targets: Tensor = from_numpy(numbers.astype(np.int64))
        self._numbers = numbers.tolist()

    def _file(self, name: str, download: bool) -> Path:
        """Where a file lies, fetched if need be."""
        folder = Path(self.root) / type(self).__name__
        places = [
            where / file for where in (folder / "raw", folder, Path(self.root)) for file in (name.removesuffix(".gz"), name)
        ]
        found = next((place for place in places if place.is_file()), None)
        if found is None and not download:
            raise MissingFileError(
                "{name} is not in {folder} nor in {root}; copy it there, or write download=True",
                name=name,
                folder=folder / "raw",
                root=self.root,
            )
        return found or fetch(name, self.mirrors, self.checksums[name], folder / "raw")

    @property
    def data(self) -> Tensor:
        """All images: uint8 [N, H, W]."""
        return from_numpy(self._images)

    def __len__(self) -> int:
        return len(self._images)

    def __getitem__(self, place: int) -> tuple[Any, Any]:
        place = int(place)
        return self._pair(as_image(self._images[place]), self._numbers[place])

    def __repr__(self) -> str:
        return f"Dataset {type(self).__name__}: {len(self)} images in {self.root}"


class FashionMNIST(MNIST):
    """Pictures of clothes, in number, size and form like MNIST; looked for in root/FashionMNIST/raw, root/FashionMNIST and root.

    >>> FashionMNIST.classes[9]
    'Ankle boot'

    Source: Xiao, Rasul, Vollgraf, "Fashion-MNIST" (2017).
    """

    mirrors = ("http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",)
    checksums: dict[str, str] = {  # noqa: RUF012
        "train-images-idx3-ubyte.gz": "8d4fb7e6c68d591d4c3dfef9ec88bf0d",
        "train-labels-idx1-ubyte.gz": "25c81989df183df01b3e8a0aad5dffbe",
        "t10k-images-idx3-ubyte.gz": "bef4ecab320f06d8554ea6380940ec79",
        "t10k-labels-idx1-ubyte.gz": "bb300cfdad3c16e7a12a480ee83cd310",
    }
    classes = ("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot")


class CIFAR10(ImageDataset):
    """Photographs 32 × 32 in colour of ten kinds of things, 50,000 to train on and 10,000 to test.

    Read from root/cifar-10-batches-bin (`data_batch_1.bin`, ..., `test_batch.bin`): each image is a byte for its label and 3 × 32 × 32 of pixels.

    Raises: MissingFileError where they are not, and download is False; DataError for damaged files.

    >>> CIFAR10.classes[0]
    'airplane'

    Source: A. Krizhevsky, "Learning multiple layers of features from tiny images" (2009).
    """

    mirrors = ("https://www.cs.toronto.edu/~kriz/",)
    archive, checksum = "cifar-10-binary.tar.gz", "c32a1d4ab5d03f1284b67883e8d87530"
    folder = "cifar-10-batches-bin"
    classes = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")

    def __init__(
        self,
        root: str | os.PathLike,
        train: bool = True,
        transform: Callable | None = None,
        target_transform: Callable | None = None,
        download: bool = False,
    ) -> None:
        super().__init__(root, transform, target_transform)
        self.train = train
        names = [f"data_batch_{number}.bin" for number in range(1, 6)] if train else ["test_batch.bin"]
        folder = Path(root) / self.folder
        if download and not all((folder / name).is_file() for name in names):
            unpack_tar(fetch(self.archive, self.mirrors, self.checksum, Path(root)), Path(root))
        rows = np.concatenate([self._rows(folder / name) for name in names])
        self.targets = rows[:, 0].tolist()
        self.data = np.ascontiguousarray(rows[:, 1:].reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1))  # [N, 32, 32, 3]

    def _rows(self, path: Path) -> np.ndarray:
        """The records of a file: uint8 [N, 1 + 3 · 32 · 32]."""
        if not path.is_file():
            raise MissingFileError(
                "{path} is not there; copy the folder {folder} of CIFAR-10's binary version into {root}, or write download=True",
                path=path,
                folder=self.folder,
                root=self.root,
            )
        data = np.frombuffer(read_bytes(path), np.uint8)
        if not len(data) or len(data) % 3073 or data[::3073].max() > 9:
            raise DataError(
                "{path}: {size} bytes; expected records of 3,073, a label of 0 to 9 first; the file is damaged",
                path=path,
                size=len(data),
            )
        return data.reshape(-1, 3073)

    def __len__(self) -> int:
        return len(self.data)

    def __getitem__(self, place: int) -> tuple[Any, Any]:
        return self._pair(as_image(self.data[place]), self.targets[place])


class DatasetFolder(ImageDataset):
    """Files in folders, one folder for each class: root/cat/1.npy, root/dog/2.npy, ... A file is read by `loader(path)`; those that end in
    one of `extensions` are taken, or those for which `is_valid_file(path)` holds. Classes are numbered in the order of their names.

    Raises: DataError without folders, for a folder without such files, and unless exactly one of extensions and is_valid_file is given.

    >>> DatasetFolder("pets", np.load, ".npy").classes  # doctest: +SKIP
    ['cat', 'dog']
    """

    def __init__(
        self,
        root: str | os.PathLike,
        loader: Callable[[str], Any],
        extensions: str | tuple[str, ...] | None = None,
        transform: Callable | None = None,
        target_transform: Callable | None = None,
        is_valid_file: Callable[[str], bool] | None = None,
        allow_empty: bool = False,
    ) -> None:
        super().__init__(root, transform, target_transform)
        if (extensions is None) == (is_valid_file is None):
            raise DataError("{name}: expected either extensions or is_valid_file", name=type(self).__name__)
        self.loader, self.extensions = loader, extensions
        self.classes, numbers = self.find_classes(self.root)
        self._numbers = numbers
        self.samples: list[tuple[str, int]] = self.make_dataset(self.root, numbers, extensions, is_valid_file, allow_empty)
        self.targets = [number for _, number in self.samples]

    @property
    def class_to_idx(self) -> dict[str, int]:
        """Class → label."""
        return self._numbers

    def find_classes(self, directory: str | os.PathLike) -> tuple[list[str], dict[str, int]]:
        """The classes and their labels; a subclass may find others."""
        where = Path(directory)
        classes = sorted(entry.name for entry in where.iterdir() if entry.is_dir()) if where.is_dir() else []
        if not classes:
            raise DataError(
                "{root} holds no folders; expected one for each class, with its pictures: {root}/cat/1.png", root=directory
            )
        return classes, {name: number for number, name in enumerate(classes)}

    @staticmethod
    def make_dataset(
        directory: str | os.PathLike,
        class_to_idx: dict[str, int],
        extensions: str | tuple[str, ...] | None = None,
        is_valid_file: Callable[[str], bool] | None = None,
        allow_empty: bool = False,
    ) -> list[tuple[str, int]]:
        """(path, label) of every file."""
        endings = (extensions,) if isinstance(extensions, str) else extensions or ()
        valid = is_valid_file or (lambda path: path.lower().endswith(endings))
        samples: list[tuple[str, int]] = []
        for name in sorted(class_to_idx):
            folder = Path(directory) / name
            files = [str(path) for path in sorted(folder.rglob("*")) if path.is_file() and valid(str(path))]
            if not files and not allow_empty:
                ending = Phrase("end in {endings}", endings=", ".join(endings))
                kind = ending if is_valid_file is None else Phrase("is_valid_file takes")
                raise DataError("{folder} holds no samples; expected files that {kind}", folder=folder, kind=kind)
            samples += [(file, class_to_idx[name]) for file in files]
        return samples

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, place: int) -> tuple[Any, Any]:
        path, target = self.samples[place]
        return self._pair(self.loader(path), target)


class ImageFolder(DatasetFolder):
    """Pictures in folders, one folder for each class: root/cat/1.png, root/dog/2.png, ... Classes are numbered in the order of their names.

    Raises: DataError without folders, and for a folder without pictures.

    >>> ImageFolder("pets").classes  # doctest: +SKIP
    ['cat', 'dog']
    """

    def __init__(
        self,
        root: str | os.PathLike,
        transform: Callable | None = None,
        target_transform: Callable | None = None,
        loader: Callable[[str], Any] | None = None,
        is_valid_file: Callable[[str], bool] | None = None,
        allow_empty: bool = False,
    ) -> None:
        endings = IMAGE_ENDINGS if is_valid_file is None else None
        super().__init__(root, loader or _as_rgb, endings, transform, target_transform, is_valid_file, allow_empty)
        self.imgs = self.samples


def _as_rgb(path: str) -> Any:
    return open_image(path).convert("RGB")


# ---- fetching


def fetch(name: str, mirrors: Sequence[str], checksum: str, folder: Path) -> Path:
    """A file from the first mirror that has it whole, written into a folder.

    Raises: DataError where none has, with what each answered.
    """
    answers = []
    for mirror in mirrors:
        try:
            data = _read_url(mirror + name)
        except OSError as error:
            answers.append(f"{mirror}: {error}")
            continue
        found = hashlib.md5(data, usedforsecurity=False).hexdigest()
        if found == checksum:
            folder.mkdir(parents=True, exist_ok=True)
            write_atomic(folder / name, data)
            return folder / name
        answers.append(f"{mirror}: MD5 {found}, expected {checksum}")
    raise DataError(
        "{name} could not be fetched: {answers}; fetch it yourself and put it into {folder}",
        name=name,
        answers="; ".join(answers),
        folder=folder,
    )


def _read_url(url: str) -> bytes:
    """The bytes behind an address, at most 400 MiB."""
    import urllib.request  # 40 ms, and used where the user asks for a download only

    with urllib.request.urlopen(url, timeout=60) as answer:
        return answer.read(_MOST)


def unpack_tar(archive: Path, folder: Path) -> None:
    """The plain files of a .tar.gz, one folder deep, into a folder; nothing that a name leads elsewhere."""
    with tarfile.open(fileobj=io.BytesIO(read_bytes(archive)), mode="r:gz") as content:
        for member in content:
            parts = Path(member.name).parts
            stream = content.extractfile(member) if member.isfile() and len(parts) == 2 and ".." not in parts else None
            if stream is not None and not Path(member.name).is_absolute():
                (folder / parts[0]).mkdir(parents=True, exist_ok=True)
                write_atomic(folder / member.name, stream.read())


__all__ = ["CIFAR10", "MNIST", "DatasetFolder", "FashionMNIST", "ImageFolder"]
