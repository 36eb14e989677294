"""Files that are whole or absent: state in safetensors, JSON, the atomic write, and what is said of damaged ones."""

from __future__ import annotations

import json
import os
import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import danlu
from danlu import files
from danlu.errors import DataError

DTYPES = ["bool", "uint8", "int8", "int16", "int32", "int64", "float16", "float32", "float64"]


def parts(data: bytes) -> tuple[dict, bytes]:
    """Header and data of a safetensors file."""
    (length,) = struct.unpack("<Q", data[:8])
    return json.loads(data[8 : 8 + length]), data[8 + length :]


def whole(header, data: bytes) -> bytes:
    """A safetensors file of a header (object or bytes) and data."""
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + data


def same(a, b) -> bool:
    """Equality of states with arrays and tensors in them; types count."""
    if hasattr(a, "numpy") or isinstance(a, np.ndarray):
        x, y = (v if isinstance(v, np.ndarray) else v.numpy() for v in (a, b))
        return (
            type(a) is type(b)
            and x.dtype == y.dtype
            and x.shape == y.shape
            and np.array_equal(x, y, equal_nan=x.dtype.kind == "f")
        )
    if isinstance(a, dict):
        return list(a) == list(b) and all(same(a[k], b[k]) for k in a)
    if isinstance(a, (list, tuple)):
        return type(a) is type(b) and len(a) == len(b) and all(map(same, a, b))
    return type(a) is type(b) and (a == b or (a != a and b != b))


# ---- there and back


def test_a_nested_state_comes_back(tmp_path):
    state = {
        "model": {"0.weight": danlu.tensor([[1.0, 2.0], [3.0, 4.0]]), "0.bias": danlu.tensor([1.0, 2.0])},
        "optimizer": {
            "state": {0: {"step": 3, "exp_avg": danlu.tensor([0.5])}},
            "param_groups": [{"lr": 1e-3, "betas": (0.9, 0.999)}],
        },
        "names": ["a", None, True, float("inf"), -1, 2**80],
        "empty": [{}, [], ()],
        "array": np.arange(3),
        "scalar": danlu.tensor(2.5),
    }
    files.save(state, tmp_path / "state.safetensors")
    assert same(files.load(tmp_path / "state.safetensors"), state)
    assert os.listdir(tmp_path) == ["state.safetensors"]


@pytest.mark.parametrize("dtype", DTYPES)
def test_every_dtype_comes_back(dtype, tmp_path):
    array = np.array([[0, 1, 1], [1, 0, 1]]).astype(dtype)
    files.save({"x": array, "none": array[:0]}, tmp_path / "x")
    assert same(files.load(tmp_path / "x"), {"x": array, "none": array[:0]})


leaves = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5)
leaves |= hnp.arrays(np.float32, hnp.array_shapes(max_dims=3, max_side=3, min_dims=0))
keys = st.text(max_size=4) | st.integers(-3, 99)
states = st.recursive(leaves, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=3), max_leaves=8)


@given(states)
def test_any_state_comes_back(state):
    assert same(files.unpack(files.pack(state)), state)


def test_names_that_collide_stay_apart():
    state = {"a": {"b": np.zeros(1), "b.c": np.ones(2)}, "a.b": np.full(3, 2.0), "__metadata__": np.full(4, 3.0)}
    assert same(files.unpack(files.pack(state)), state)


def test_equal_states_give_equal_bytes():
    state = {str(i): np.full(3, i, np.float32) for i in range(20)}
    assert files.pack(state) == files.pack(dict(state))


def test_what_is_loaded_is_writable_and_its_own():
    array = np.ones(3, np.float32)
    loaded = files.unpack(files.pack({"x": array}))["x"]
    loaded[0] = 5
    assert array[0] == 1


def test_views_and_foreign_byte_orders_are_saved_by_value():
    state = {"t": np.arange(6.0).reshape(2, 3).T, "big": np.arange(3, dtype=">i4")}
    loaded = files.unpack(files.pack(state))
    assert np.array_equal(loaded["t"], state["t"]) and np.array_equal(loaded["big"], [0, 1, 2])


# ---- the format is everybody's: the safetensors library as reference


def test_the_library_reads_what_we_write(tmp_path):
    from safetensors.numpy import load_file

    files.save({"0.weight": danlu.tensor([[1.0, 2.0]]), "0.bias": danlu.tensor([3.0])}, tmp_path / "model.safetensors")
    loaded = load_file(tmp_path / "model.safetensors")
    assert set(loaded) == {"0.weight", "0.bias"} and np.array_equal(loaded["0.weight"], [[1.0, 2.0]])


def test_we_read_what_the_library_writes(tmp_path):
    from safetensors.numpy import save_file

    save_file({"w": np.arange(6, dtype=np.float32).reshape(2, 3)}, tmp_path / "x", metadata={"made by": "somebody"})
    loaded = files.load(tmp_path / "x")
    assert list(loaded) == ["w"] and np.array_equal(loaded["w"].numpy(), np.arange(6).reshape(2, 3))


# ---- what cannot be saved


@pytest.mark.parametrize(
    ("state", "message"),
    [
        ({"f": {"g": print}}, "cannot save builtin_function_or_method at 'f.g'"),
        ({(1, 2): 3}, "cannot save the key (1, 2) at 'the top'"),
        ({"c": np.zeros(2, complex)}, "cannot save the dtype complex128 at 'c'"),
        ({"o": np.array([object()])}, "cannot save the dtype object at 'o'"),
    ],
)
def test_what_cannot_be_saved_is_named(state, message, tmp_path):
    with pytest.raises(DataError) as caught:
        files.save(state, tmp_path / "x")
    assert message in str(caught.value) and not os.listdir(tmp_path)


def test_a_bottomless_state_is_refused():
    state: list = []
    state.append(state)
    with pytest.raises(DataError, match="nested deeper than 64 levels"):
        files.pack(state)


# ---- damaged files

GOOD = files.pack({"w": np.arange(4, dtype=np.float32), "n": 1})
HEADER, DATA = parts(GOOD)
RECORD = HEADER["w"]


def with_record(**changes) -> bytes:
    return whole(HEADER | {"w": RECORD | changes}, DATA)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "0 bytes are too few"),
        (b"1234567", "7 bytes are too few"),
        (struct.pack("<Q", 2**63) + b"{}", f"the header claims {2**63} bytes, the file has 2"),
        (GOOD[:40], "bytes, the file has 32; it is cut off"),
        (whole(b"{", b""), "(header): not JSON at line 1"),
        (whole(b"\xff\xfe", b""), "(header): not UTF-8 text at byte 0"),
        (whole(b"[1]", b""), "the header is no JSON object"),
        (whole(b'{"a":1,"a":2}', b""), "a key stands twice"),
        (whole(b"[" * 100_000, b""), "(header):"),
        (whole({"__metadata__": {"a": 1}}, b""), "the metadata is not a table of strings"),
        (whole({"w": 3}, b""), "the tensor 'w' has no dtype, shape and data_offsets"),
        (with_record(dtype="F99"), "the tensor 'w' has the dtype 'F99'; danlu reads BOOL, U8"),
        (with_record(dtype=["F32"]), "has the dtype ['F32']"),
        (with_record(shape=[-4]), "has shape [-4]"),
        (with_record(shape=[2.0]), "has shape [2.0]"),
        (with_record(shape=[True]), "has shape [True]"),
        (with_record(data_offsets=[0]), "data_offsets [0]"),
        (with_record(shape=[5]), "has 16 bytes, but F32 of shape (5,) needs 20"),
        (with_record(shape=[2**40, 2**40]), "needs"),
        (with_record(data_offsets=[16, 0]), "has -16 bytes"),
        (with_record(data_offsets=[4, 20]), "is said to lie at bytes 4 to 20, expected from 0 within 16"),
        (GOOD[:-1], "is said to lie at bytes 0 to 16, expected from 0 within 15"),
        (GOOD + b"x", "17 bytes of data, but the tensors fill 16"),
        (GOOD[:-1] + bytes([GOOD[-1] ^ 1]), "the checksum does not fit the content"),
    ],
)
def test_a_damaged_file_is_named_with_its_fault(data, message, tmp_path):
    path = tmp_path / "model.safetensors"
    path.write_bytes(data)
    with pytest.raises(DataError) as caught:
        files.load(path)
    assert str(caught.value).startswith(str(path)) and message in str(caught.value)


def structured(structure) -> bytes:
    """A file with a structure of our own making and a checksum that fits."""
    text = json.dumps(structure)
    arrays = {"w": np.arange(4, dtype=np.float32)}
    metadata = {files.STRUCTURE: json.dumps({"checksum": files._checksum(text, arrays), "structure": text})}
    return whole({"__metadata__": metadata, "w": RECORD}, DATA)


@pytest.mark.parametrize(
    ("structure", "message"),
    [
        ({"tensor": "v"}, "the structure names the tensor 'v', which the file does not hold"),
        ({"tensor": ["w"]}, "the structure names the tensor ['w']"),
        ([1], "the structure of the state is damaged"),
        ({"set": []}, "the structure of the state is damaged"),
        ({"dict": {"a": 1}}, "the structure of the state is damaged"),
        ({"dict": [["a"]]}, "the structure of the state is damaged"),
        ({"dict": [[[1], 2]]}, "the structure of the state is damaged"),
        ({"list": [], "dict": []}, "the structure of the state is damaged"),
        ({"ordered": [[["a", 1]]]}, "the structure of the state is damaged"),
        ({"ordered": [[["a", 1]], {"dict": [["", 2]]}]}, "the structure of the state is damaged"),
        ({"ordered": [3, None]}, "the structure of the state is damaged"),
    ],
)
def test_a_damaged_structure_is_named(structure, message):
    with pytest.raises(DataError) as caught:
        files.unpack(structured(structure), "x.safetensors")
    assert "x.safetensors" in str(caught.value) and message in str(caught.value)


def test_metadata_of_another_shape_is_damaged():
    with pytest.raises(DataError, match="the structure of the state is damaged"):
        files.unpack(whole({"__metadata__": {files.STRUCTURE: "[]"}, "w": RECORD}, DATA))


@given(st.integers(0, len(GOOD) - 1), st.integers(1, 255))
def test_a_flipped_byte_is_told_or_harmless(place, mask):
    data = GOOD[:place] + bytes([GOOD[place] ^ mask]) + GOOD[place + 1 :]
    try:
        loaded = files.unpack(data)
    except DataError:
        return
    # a bit in the name of the metadata's key makes the file a foreign one, whose tensors are still right
    assert np.array_equal(np.asarray(next(v for k, v in loaded.items() if k != "n")), np.arange(4))


@given(st.binary(max_size=200))
def test_noise_is_refused(noise):
    with pytest.raises(DataError):
        files.unpack(noise)


def test_a_bool_is_0_or_1_whatever_the_byte():
    header = {"b": {"dtype": "BOOL", "shape": [2], "data_offsets": [0, 2]}}
    assert files.unpack(whole(header, b"\x00\x07"))["b"].numpy().view(np.uint8).tolist() == [0, 1]


def test_no_such_file(tmp_path):
    with pytest.raises(DataError, match=r"cannot read .*none: there is no such file in "):
        files.load(tmp_path / "none")


# ---- the atomic write


def test_an_old_file_is_replaced_whole(tmp_path):
    path = tmp_path / "x"
    files.write_atomic(path, b"old")
    files.write_atomic(path, b"new")
    assert path.read_bytes() == b"new" and os.listdir(tmp_path) == ["x"]


def test_a_failing_write_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch):
    path = tmp_path / "x"
    files.write_atomic(path, b"old")

    def full(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(DataError, match=r"cannot write .*x: No space left on device"):
        files.write_atomic(path, b"new")
    assert path.read_bytes() == b"old" and os.listdir(tmp_path) == ["x"]


def test_a_missing_folder_is_named(tmp_path):
    with pytest.raises(DataError, match=r"cannot write .*none/x: No such file or directory; choose a folder"):
        files.write_atomic(tmp_path / "none" / "x", b"")


# ---- JSON


def test_json_there_and_back(tmp_path):
    files.write_json(tmp_path / "x.json", {"名": [1, None, "ü"]})
    assert files.read_json(tmp_path / "x.json") == {"名": [1, None, "ü"]} and "名" in (tmp_path / "x.json").read_text("utf-8")


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b'{"a":\n 1,}', "not JSON at line 2"),
        (b"\xff", "not UTF-8 text at byte 0"),
        (b"[1]", "expected a JSON object {...}, found list"),
        (b'{"a": 1, "a": 2}', "a key stands twice"),
        (b'{"a": ' + b"1" * 5000 + b"}", "the file is damaged"),
        (b"[" * 100_000, "the file is damaged"),
    ],
)
def test_damaged_json_is_named(data, message, tmp_path):
    (tmp_path / "x.json").write_bytes(data)
    with pytest.raises(DataError) as caught:
        files.read_json(tmp_path / "x.json")
    assert str(caught.value).startswith(str(tmp_path / "x.json")) and message in str(caught.value)
