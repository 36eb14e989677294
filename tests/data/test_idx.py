"""IDX: what is read, every bad file's message, and that no file makes the reader crash or take memory that it does not hold."""

from __future__ import annotations

import gzip
import re
import tracemalloc
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from idx_writer import idx_bytes

from danlu.data.digits import load_digits
from danlu.data.idx import read_idx, read_labelled
from danlu.errors import DataError

IMAGES = np.arange(2 * 3 * 4, dtype=np.uint8).reshape(2, 3, 4)


def put(folder: Path, data: bytes, name: str = "a-images-idx3-ubyte") -> Path:
    path = folder / name
    path.write_bytes(data)
    return path


def refused(path: Path, text: str) -> None:
    with pytest.raises(DataError, match=re.escape(text)):
        read_idx(path)


@pytest.mark.parametrize("dtype", ["u1", "i1", "i2", "i4", "f4", "f8"])
@pytest.mark.parametrize("packed", [False, True])
def test_every_type_comes_back_in_native_order(tmp_path: Path, dtype: str, packed: bool) -> None:
    array = np.arange(-6, 6).reshape(3, 4).astype(dtype)
    data = idx_bytes(array)
    read = read_idx(put(tmp_path, gzip.compress(data) if packed else data, "x.gz" if packed else "x"))
    assert read.dtype == array.dtype and read.dtype.isnative
    np.testing.assert_array_equal(read, array)


def test_gzip_is_told_by_its_first_bytes_not_by_the_name(tmp_path: Path) -> None:
    np.testing.assert_array_equal(read_idx(put(tmp_path, gzip.compress(idx_bytes(IMAGES)), "plain-name")), IMAGES)


def test_wrong_magic(tmp_path: Path) -> None:
    refused(put(tmp_path, b"PNG\0 and more"), "is not an IDX file: it begins with 50 4e 47 00, expected 00 00, a type 08..0e")
    refused(put(tmp_path, b""), "it begins with nothing")
    refused(put(tmp_path, b"\0\0\x0a\x01\0\0\0\x01x"), "it begins with 00 00 0a 01")
    refused(put(tmp_path, b"\0\0\x08\x00"), "it begins with 00 00 08 00")
    refused(put(tmp_path, b"\0\0\x08\xff" + bytes(2000)), "it begins with 00 00 08 ff")


def test_a_header_that_ends_too_soon(tmp_path: Path) -> None:
    refused(put(tmp_path, idx_bytes(IMAGES)[:11]), "ends inside its header: 3 axes are announced, 1 sizes are there")


def test_a_length_of_zero(tmp_path: Path) -> None:
    refused(put(tmp_path, idx_bytes(IMAGES[:0])), "holds no elements: its header says shape (0, 3, 4)")


@pytest.mark.parametrize("packed", [False, True])
def test_lengths_that_lie(tmp_path: Path, packed: bool) -> None:
    pack = gzip.compress if packed else bytes
    data = idx_bytes(IMAGES)
    refused(put(tmp_path, pack(data[:-1])), "says shape (2, 3, 4), 24 bytes")
    refused(put(tmp_path, pack(data + b"x")), "24 bytes of data, but the file holds more; its length lies")
    huge = data[:4] + b"\xff\xff\xff\xff" * 3 + data[16:]
    refused(put(tmp_path, pack(huge)), "its length lies")


def test_truncated_gzip(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (50, 8, 8)).astype(np.uint8)
    data = gzip.compress(idx_bytes(noise))
    for size in (12, 30, len(data) // 2, len(data) - 1):
        refused(put(tmp_path, data[:size], "t.gz"), "is a truncated or damaged .gz file")
    flipped = data[:100] + bytes([data[100] ^ 0xFF]) + data[101:]
    refused(put(tmp_path, flipped, "t.gz"), "t.gz")


def test_a_checksum_that_does_not_fit(tmp_path: Path) -> None:
    data = bytearray(gzip.compress(idx_bytes(IMAGES)))
    data[-8] ^= 1
    refused(put(tmp_path, bytes(data), "t.gz"), "is a truncated or damaged .gz file (CRC check failed")


def test_named_gz_but_not_gzip(tmp_path: Path) -> None:
    refused(put(tmp_path, idx_bytes(IMAGES), "a.gz"), "is named .gz but is not gzip data; rename it, or fetch it again")


def peak_of_reading(path: Path) -> int:
    tracemalloc.start()
    try:
        read_idx(path)
    except DataError:
        pass
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak


def test_a_small_file_that_claims_or_unpacks_to_much_takes_little_memory(tmp_path: Path) -> None:
    claim = b"\0\0\x08\x03" + b"\x00\x00\x80\x00" * 3  # 32 TiB
    assert peak_of_reading(put(tmp_path, claim + bytes(100))) < 2**20
    assert peak_of_reading(put(tmp_path, gzip.compress(claim + bytes(100)), "b.gz")) < 2**20
    likely = b"\0\0\x08\x01\x00\x01\x00\x00"  # 64 KiB, which so small a .gz could hold, but does not
    assert peak_of_reading(put(tmp_path, gzip.compress(likely + bytes(100)), "c.gz")) < 2**20
    bomb = zlib.compressobj(9, wbits=31)
    packed = bomb.compress(idx_bytes(IMAGES)) + b"".join(bomb.compress(bytes(2**20)) for _ in range(64)) + bomb.flush()
    assert peak_of_reading(put(tmp_path, packed, "d.gz")) < 2**21


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data(), packed=st.booleans())
def test_changed_bytes_are_read_or_refused(tmp_path: Path, data: st.DataObject, packed: bool) -> None:
    content = bytearray(idx_bytes(IMAGES))
    content = bytearray(gzip.compress(content, mtime=0)) if packed else content
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    end = data.draw(st.integers(0, len(content)))
    path = put(tmp_path, bytes(content[:end]), "m.gz" if packed else "m")
    try:
        array = read_idx(path)
    except DataError as problem:
        assert str(path) in str(problem)
    else:
        assert array.nbytes <= 24


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(content=st.binary(max_size=64).map(lambda rest: b"\0\0" + rest))
def test_any_bytes_are_read_or_refused(tmp_path: Path, content: bytes) -> None:
    try:
        assert read_idx(put(tmp_path, content, "any")).nbytes < len(content)
    except DataError:
        pass


def test_a_pair_is_found_from_either_file_and_from_the_folder(write_pair) -> None:
    folder = write_pair()
    for path in (folder, folder / "train-images-idx3-ubyte", folder / "train-labels-idx1-ubyte"):
        read = read_labelled(path)
        assert read.images.shape == (60, 4, 4) and read.labels.dtype == np.int64 and read.notes == []
        assert [file.name for file in read.files] == ["train-images-idx3-ubyte", "train-labels-idx1-ubyte"]


def test_a_partner_may_be_packed_and_named_with_a_point(write_pair) -> None:
    folder = write_pair(packed=True)
    (folder / "train-images-idx3-ubyte.gz").rename(folder / "train-images.idx3-ubyte.gz")
    labels = folder / "train-labels-idx1-ubyte"
    labels.write_bytes(gzip.decompress((folder / "train-labels-idx1-ubyte.gz").read_bytes()))
    (folder / "train-labels-idx1-ubyte.gz").unlink()
    assert len(read_labelled(folder / "train-images.idx3-ubyte.gz").labels) == 60


def test_all_pairs_of_a_folder_are_used_and_said(write_pair) -> None:
    write_pair("t10k", 30, seed=1)
    folder = write_pair("train", 60, packed=True)
    read = read_labelled(folder)
    assert len(read.images) == len(read.labels) == 90
    assert read.notes == [
        "The rows of all pairs in the folder are used together: t10k-images-idx3-ubyte (30), train-images-idx3-ubyte.gz (60)."
    ]


def test_a_file_beside_its_own_gz_is_read_once(write_pair) -> None:
    write_pair(packed=True)
    assert len(read_labelled(write_pair(packed=False)).images) == 60


def test_images_without_labels(write_pair) -> None:
    folder = write_pair()
    (folder / "train-labels-idx1-ubyte").unlink()
    with pytest.raises(DataError, match="images without labels; training needs train-labels-idx1-ubyte"):
        read_labelled(folder / "train-images-idx3-ubyte")
    with pytest.raises(DataError, match=r"images without labels \(train-images-idx3-ubyte\); expected X-labels-idx1-ubyte"):
        read_labelled(folder)
    with pytest.raises(DataError, match="images without labels; training needs X-labels-idx1-ubyte"):
        read_labelled(put(folder, idx_bytes(IMAGES), "digits.idx"))
    write_pair("t10k")
    assert read_labelled(folder).notes == ["train-images-idx3-ubyte has no labels and is left out."]


def test_a_folder_without_idx(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="holds no IDX files; expected a pair X-images-idx3-ubyte and X-labels-idx1-ubyte"):
        read_labelled(tmp_path)


def test_pairs_that_do_not_fit(write_pair) -> None:
    folder = write_pair()
    labels = folder / "train-labels-idx1-ubyte"
    labels.write_bytes(idx_bytes(np.zeros(59, np.uint8)))
    with pytest.raises(DataError, match=r"holds 60 images, .* 59 labels; they must be as many"):
        read_labelled(folder)
    labels.write_bytes(idx_bytes(np.zeros(60, np.float32)))
    with pytest.raises(DataError, match=r"holds float32 of shape \(60,\); expected integer labels"):
        read_labelled(folder)
    (folder / "train-images-idx3-ubyte").write_bytes(idx_bytes(np.zeros(60, np.uint8)))
    with pytest.raises(DataError, match=r"holds an array of shape \(60,\); expected images \[N, height, width\]"):
        read_labelled(folder)


def test_pairs_of_different_shapes(write_pair) -> None:
    write_pair("a", size=4)
    with pytest.raises(DataError, match=r"holds images \(5, 5\), .* \(4, 4\); give one file instead of"):
        read_labelled(write_pair("b", size=5))


def test_the_digits_are_those_of_scikit_learn() -> None:
    datasets = pytest.importorskip("sklearn.datasets", reason="compares with scikit-learn's copy")
    images, labels = load_digits()
    expected = datasets.load_digits()
    assert images.dtype == np.uint8 and labels.dtype == np.int64
    np.testing.assert_array_equal(images, expected.images)
    np.testing.assert_array_equal(labels, expected.target)


def test_the_digits_have_known_sums() -> None:
    images, labels = load_digits()
    assert images.shape == (1797, 8, 8) and int(images.sum()) == 561718  # scikit-learn's data.sum()
    assert np.bincount(labels).tolist() == [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]


def test_the_digits_are_small_and_name_their_source() -> None:
    folder = Path(load_digits.__code__.co_filename).parent / "files"
    assert sum(file.stat().st_size for file in folder.iterdir()) <= 80_000
    text = (folder / "SOURCE.txt").read_text()
    assert "CC BY 4.0" in text and "Alpaydin" in text and "Kaynak" in text


def test_mnist(shared: Path) -> None:
    images = read_idx(shared / "data" / "mnist-t10k-images-idx3-ubyte.gz")
    assert images.shape == (10000, 28, 28)
    read = read_labelled(shared / "data")
    assert read.labels[:10].tolist() == [7, 2, 1, 0, 4, 1, 4, 9, 5, 9]  # the first labels of the file, by a hex dump
