"""Data sets of images from local files, and fetching, without a network."""

from __future__ import annotations

import gzip
import hashlib
import io
import struct
import tarfile
from pathlib import Path

import numpy as np
import pytest

import danlu
from danlu.errors import DataError, DTypeError, MissingFileError, ShapeError
from danlu.vision import datasets
from danlu.vision.io import ImageReadMode, read_image
from danlu.vision.transforms import ToTensor
from danlu.vision.utils import make_grid, save_image

Image = pytest.importorskip("PIL.Image")
RNG = np.random.default_rng(0)
IMAGES, LABELS = RNG.integers(0, 256, (5, 28, 28), dtype=np.uint8), np.array([3, 1, 4, 1, 5], dtype=np.uint8)
SHARED = Path(__file__).resolve().parents[3] / "shared" / "data" / "mnist-t10k-images-idx3-ubyte.gz"


def idx(array: np.ndarray) -> bytes:
    return bytes([0, 0, 8, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape) + array.tobytes()


def write_mnist(folder: Path, part: str = "t10k", packed: bool = False) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for kind, array in (("images-idx3", IMAGES), ("labels-idx1", LABELS)):
        name, data = f"{part}-{kind}-ubyte", idx(array)
        (folder / (name + ".gz" * packed)).write_bytes(gzip.compress(data) if packed else data)


@pytest.mark.parametrize(("place", "packed"), [("MNIST/raw", False), ("MNIST", True), (".", True)])
def test_mnist_is_found(tmp_path, place, packed):
    write_mnist(tmp_path / place, packed=packed)
    data = datasets.MNIST(tmp_path, train=False, transform=ToTensor(), target_transform=lambda label: label + 10)
    image, label = data[2]
    assert len(data) == 5 and label == 14 and np.array_equal(image.numpy()[0], IMAGES[2] / np.float32(255))
    assert data.targets.tolist() == LABELS.tolist() and data.data.shape == (5, 28, 28) and data.data.dtype == danlu.uint8
    assert data.class_to_idx["3 - three"] == 3 and repr(data) == f"Dataset MNIST: 5 images in {tmp_path}"
    plain, number = datasets.MNIST(tmp_path, train=False)[0]
    assert plain.mode == "L" and plain.size == (28, 28) and number == 3


def test_mnist_in_a_loader(tmp_path):
    write_mnist(tmp_path, "train")
    loader = danlu.data.DataLoader(datasets.MNIST(str(tmp_path), transform=ToTensor()), batch_size=5)
    images, labels = next(iter(loader))
    assert images.shape == (5, 1, 28, 28) and labels.tolist() == LABELS.tolist()


def test_mnist_refuses(tmp_path):
    with pytest.raises(MissingFileError) as caught:
        datasets.MNIST(tmp_path)
    text = f"train-images-idx3-ubyte.gz is not in {tmp_path / 'MNIST' / 'raw'} nor in {tmp_path}; copy it there, or write download=True"
    assert str(caught.value) == text
    write_mnist(tmp_path)
    (tmp_path / "t10k-labels-idx1-ubyte").write_bytes(idx(LABELS[:3]))
    with pytest.raises(
        DataError, match=r"hold arrays of shapes \(5, 28, 28\) and \(3,\); expected bytes \[N, H, W\] and labels \[N\]"
    ):
        datasets.MNIST(tmp_path, train=False)


@pytest.mark.skipif(not SHARED.exists(), reason="needs the shared MNIST files")
def test_the_real_test_images():
    images = danlu.data.read_idx(SHARED)
    assert images.shape == (10_000, 28, 28) and images[0].sum() > 0


def write_cifar(folder: Path, names: list[str]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for number, name in enumerate(names):
        rows = RNG.integers(0, 256, (2, 3073), dtype=np.uint8)
        rows[:, 0] = number % 10
        (folder / name).write_bytes(rows.tobytes())


def test_cifar10(tmp_path):
    folder = tmp_path / "cifar-10-batches-bin"
    write_cifar(folder, [f"data_batch_{n}.bin" for n in range(1, 6)])
    data = datasets.CIFAR10(tmp_path, transform=ToTensor())
    image, label = data[2]
    raw = np.frombuffer((folder / "data_batch_2.bin").read_bytes(), np.uint8)
    assert len(data) == 10 and label == 1 and np.allclose(image.numpy() * 255, raw[1:3073].reshape(3, 32, 32), atol=1e-3)
    assert datasets.CIFAR10(tmp_path)[0][0].size == (32, 32)
    with pytest.raises(
        MissingFileError, match=r"test_batch.bin is not there; copy the folder cifar-10-batches-bin of CIFAR-10's binary version"
    ):
        datasets.CIFAR10(tmp_path, train=False)
    (folder / "test_batch.bin").write_bytes(b"\x0b" * 3073)
    with pytest.raises(DataError, match=r"3073 bytes; expected records of 3,073, a label of 0 to 9 first; the file is damaged"):
        datasets.CIFAR10(tmp_path, train=False)


def test_image_folder(tmp_path):
    for name, shade in (("dog", 200), ("cat", 10)):
        (tmp_path / name / "inner").mkdir(parents=True)
        Image.new("L", (4, 3), shade).save(tmp_path / name / "inner" / "1.png")
        (tmp_path / name / "notes.txt").write_text("no picture")
    data = datasets.ImageFolder(tmp_path, transform=ToTensor())
    assert (
        data.classes == ["cat", "dog"]
        and data.class_to_idx == {"cat": 0, "dog": 1}
        and data.targets == [0, 1]
        and len(data.imgs) == 2
    )
    image, label = data[1]
    assert image.shape == (3, 3, 4) and label == 1 and round(image.max().item() * 255) == 200
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match=r"empty holds no samples; expected files that end in .jpg, .jpeg"):
        datasets.ImageFolder(tmp_path)
    assert len(datasets.ImageFolder(tmp_path, allow_empty=True)) == 2
    with pytest.raises(DataError, match=r"holds no folders; expected one for each class, with its pictures"):
        datasets.ImageFolder(tmp_path / "empty")


def test_folders_of_other_files(tmp_path):
    for name, numbers in (("b", [1, 2]), ("a", [3])):
        (tmp_path / name / "deep").mkdir(parents=True)
        for number in numbers:
            np.save(tmp_path / name / "deep" / f"{number}.npy", np.full(2, number))
    data = datasets.DatasetFolder(
        str(tmp_path), np.load, (".npy", ".npz"), transform=lambda x: x * 2, target_transform=lambda t: -t
    )
    assert (data.classes, data.class_to_idx, data.targets) == (["a", "b"], {"a": 0, "b": 1}, [0, 1, 1])
    assert [(x.tolist(), t) for x, t in (data[k] for k in range(3))] == [([6, 6], 0), ([2, 2], -1), ([4, 4], -1)]
    assert isinstance(
        datasets.ImageFolder(tmp_path, loader=np.load, is_valid_file=lambda path: "1" in path, allow_empty=True),
        datasets.DatasetFolder,
    )
    with pytest.raises(DataError, match="a holds no samples; expected files that is_valid_file takes"):
        datasets.DatasetFolder(tmp_path, np.load, is_valid_file=lambda path: False)
    with pytest.raises(DataError, match="DatasetFolder: expected either extensions or is_valid_file"):
        datasets.DatasetFolder(tmp_path, np.load)

    class Chosen(datasets.DatasetFolder):
        def find_classes(self, directory):
            return ["b"], {"b": 7}

    assert Chosen(tmp_path, np.load, ".npy").targets == [7, 7]


def test_read_image(tmp_path):
    path = tmp_path / "a.png"
    pixels = RNG.integers(0, 256, (3, 4, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path)
    assert np.array_equal(read_image(path).numpy(), pixels.transpose(2, 0, 1))
    assert read_image(str(path), ImageReadMode.GRAY).shape == (1, 3, 4)
    (tmp_path / "b.png").write_bytes(b"no picture")
    with pytest.raises(DataError, match=r"b.png is no image that can be read: "):
        read_image(tmp_path / "b.png")
    with pytest.raises(MissingFileError, match=r"cannot read .*c.png"):
        read_image(tmp_path / "c.png")


# ---- fetching, with a mirror that is a dictionary


def test_fetching(tmp_path, monkeypatch):
    content = {
        "http://two/train-images-idx3-ubyte.gz": gzip.compress(idx(IMAGES)),
        "http://two/train-labels-idx1-ubyte.gz": gzip.compress(idx(LABELS)),
    }
    asked: list[str] = []

    def read(url: str) -> bytes:
        asked.append(url)
        if url not in content:
            raise OSError("unreachable")
        return content[url]

    monkeypatch.setattr(datasets, "_read_url", read)

    sums = {url.rpartition("/")[2]: hashlib.md5(data, usedforsecurity=False).hexdigest() for url, data in content.items()}

    class Small(datasets.MNIST):
        mirrors = ("http://one/", "http://two/")
        checksums = sums

    data = Small(tmp_path, download=True)
    assert len(data) == 5 and len(asked) == 4 and (tmp_path / "Small" / "raw" / "train-labels-idx1-ubyte.gz").is_file()
    assert len(Small(tmp_path, download=True)) == 5 and len(asked) == 4  # what is there is not fetched again
    content["http://two/train-images-idx3-ubyte.gz"] = b"something else"
    with pytest.raises(
        DataError,
        match=r"could not be fetched: http://one/: unreachable; http://two/: MD5 [0-9a-f]{32}, expected [0-9a-f]{32}; fetch it yourself",
    ):
        Small(tmp_path / "other", download=True)


def test_an_archive_leads_nowhere_else(tmp_path):
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        for name in ("cifar/data.bin", "../outside.bin", "/absolute/outside.bin", "cifar/deep/inner.bin"):
            member = tarfile.TarInfo(name)
            member.size = 3
            archive.addfile(member, io.BytesIO(b"abc"))
        link = tarfile.TarInfo("cifar/link")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(link)
    (tmp_path / "archive.tar.gz").write_bytes(packed.getvalue())
    datasets.unpack_tar(tmp_path / "archive.tar.gz", tmp_path / "inside")
    assert [path.relative_to(tmp_path).as_posix() for path in sorted(tmp_path.rglob("*")) if path.is_file()] == [
        "archive.tar.gz",
        "inside/cifar/data.bin",
    ]


# ---- grids ------------------------------------------------------------------------------------------------------------------------


def test_a_grid_has_each_image_in_its_place():
    images = RNG.random((5, 3, 4, 6)).astype(np.float32)
    grid = make_grid(danlu.tensor(images), nrow=3, padding=1, pad_value=0.25).numpy()
    expected = np.full((3, 2 * 5 + 1, 3 * 7 + 1), 0.25, np.float32)
    for k, (row, column) in enumerate([(0, 0), (0, 1), (0, 2), (1, 0), (1, 1)]):
        expected[:, row * 5 + 1 : row * 5 + 5, column * 7 + 1 : column * 7 + 7] = images[k]
    np.testing.assert_array_equal(grid, expected)
    assert make_grid(list(danlu.tensor(images))).shape == (3, 8, 42)


def test_a_grid_of_grey_images_and_of_one():
    grey = danlu.tensor(RNG.random((1, 4, 4)))
    assert make_grid(grey).shape == make_grid(grey[0]).shape == (3, 4, 4)
    np.testing.assert_array_equal(make_grid(grey)[2].numpy(), grey[0].numpy())


def test_a_grid_of_other_ranges():
    x = danlu.tensor([[[[-1.0, 1.0]]], [[[3.0, 7.0]]]])
    whole = make_grid(x, normalize=True, padding=0).numpy()[0]
    each = make_grid(x, normalize=True, scale_each=True, padding=0).numpy()[0]
    cut = make_grid(x, normalize=True, value_range=(0, 4), padding=0).numpy()[0]
    assert (whole.tolist(), each.tolist(), cut.tolist()) == ([[0, 0.25, 0.5, 1]], [[0, 1, 0, 1]], [[0, 0.25, 0.75, 1]])


def test_a_grid_as_a_file(tmp_path):
    net = danlu.nn.Conv2d(3, 3, 1)
    save_image(net(danlu.rand(4, 3, 5, 5)), tmp_path / "grid.png", nrow=2)
    save_image(danlu.tensor([[[0.0, 0.5, 1.0, 2.0]]]), tmp_path / "one.png")
    assert read_image(tmp_path / "grid.png").shape == (3, 16, 16)
    assert read_image(tmp_path / "one.png")[0].tolist() == [[0, 128, 255, 255]]


def test_what_is_no_grid():
    with pytest.raises(DTypeError, match="make_grid: expected a tensor or a list of tensors, got ndarray"):
        make_grid(IMAGES)
    with pytest.raises(ShapeError, match=r"make_grid: images have shape \(N, C, H, W\), \(C, H, W\) or \(H, W\); got \(4,\)"):
        make_grid(danlu.ones(4))
