"""Other programs' files: PyTorch's (by hand, and its own under `oracle`), NumPy's, safetensors of any dtype; what is refused, and how."""

from __future__ import annotations

import io
import json
import os
import pickle
import struct
import zipfile
from collections import OrderedDict

import numpy as np
import pytest
from torch_writer import MAGIC, STATE, STORAGES, Call, Name, Storage, legacy, pickled, tensor, zipped

import danlu
from danlu import files, nn
from danlu.errors import DataError


def load(data: bytes):
    return files.parse(data, "model.pt")


def refusal(data: bytes) -> str:
    with pytest.raises(DataError) as caught:
        load(data)
    assert str(caught.value).startswith("model.pt")
    return str(caught.value)


# ---- PyTorch's files -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("write", [zipped, legacy])
def test_tensors_numbers_and_containers_of_a_torch_file(write):
    state = load(write(STATE, STORAGES))
    np.testing.assert_array_equal(state["weight"].numpy(), np.arange(12, dtype=np.float32).reshape(3, 4))
    np.testing.assert_array_equal(state["transposed"].numpy(), [[2, 6, 10], [3, 7, 11]])
    assert state["counts"].dtype is danlu.int64 and state["counts"].tolist() == [0, 1, 2, 3, 4]
    assert state["state"] == {0: {"step": 3.0, "names": ["a", None, True]}, "size": (2, 3), "dtype": danlu.float32}


def test_one_view_of_a_storage_is_one_tensor():
    weight = tensor("Float", "0", 12, 0, (12,), (1,))
    state = load(zipped({"a": weight, "tied": weight, "part": tensor("Float", "0", 12, 0, (3,), (1,))}, STORAGES))
    assert state["a"] is state["tied"] and state["part"] is not state["a"]
    state["a"].zero_()
    assert state["part"].tolist() == [0, 1, 2]


@pytest.mark.parametrize(
    ("kind", "stored", "dtype", "expected"),
    [
        ("Double", np.array([1.5, -2]), danlu.float64, [1.5, -2]),
        ("Half", np.array([1.5, -2], np.float16), danlu.float16, [1.5, -2]),
        ("BFloat16", np.array([0x3FC0, 0xC000], np.uint16), danlu.bfloat16, [1.5, -2]),
        ("Bool", np.array([0, 7], np.uint8), danlu.bool, [False, True]),
        ("Byte", np.array([1, 255], np.uint8), danlu.uint8, [1, 255]),
        ("ComplexFloat", np.array([1 + 2j, -1j], np.complex64), danlu.complex64, [1 + 2j, -1j]),
    ],
)
def test_every_storage_type(kind, stored, dtype, expected):
    x = load(zipped(tensor(kind, "k", 2, 0, (2,), (1,)), {"k": stored}))
    assert x.dtype is dtype and x.tolist() == expected


def test_parameters_empty_tensors_scalars_and_byte_order():
    parameter = Call((Name("torch._utils _rebuild_parameter"), (tensor("Float", "0", 12, 1, (2,), (3,)), True, None)))
    state = {"p": parameter, "none": tensor("Float", "0", 12, 0, (0, 3), (3, 1)), "one": tensor("Float", "0", 12, 5, (), ())}
    loaded = load(zipped(state, STORAGES))
    assert loaded["p"].requires_grad and loaded["p"].tolist() == [1, 4]
    assert tuple(loaded["none"].shape) == (0, 3) and loaded["one"].item() == 5
    big = zipped(STATE, {k: a.astype(a.dtype.newbyteorder(">")) for k, a in STORAGES.items()}, {"byteorder": b"big"})
    assert load(big)["counts"].tolist() == [0, 1, 2, 3, 4]


def test_dictionaries_of_other_kinds():
    ordered = Call((Name("collections OrderedDict"), ([("a", 1)],)))
    metadata = b"\x80\x02" + pickled(ordered) + pickled({"_metadata": {}}) + b"b."
    assert load(zipped(metadata, {})) == {"a": 1}
    assert load(zipped(Call((Name("_codecs encode"), ("aé", "latin1"))), {})) == "aé".encode("latin1")
    assert load(zipped([Call((Name("torch device"), ("cuda", 1))), Call((Name("torch device"), ("cpu",)))], {})) == [
        "cuda:1",
        "cpu",
    ]
    assert load(zipped(Call((Name("collections Counter"), ({"x": 2},))), {})) == {"x": 2}


def versioned(metadata) -> bytes:
    """A state_dict with what it says of its modules, as PyTorch pickles it."""
    ordered = Call((Name("collections OrderedDict"), ([("a", 1)],)))
    return zipped(b"\x80\x02" + pickled(ordered) + pickled({"_metadata": metadata}) + b"b.", {})


def test_a_state_keeps_the_versions_of_its_modules():
    written = {"": {"version": 1}, "0": {"version": None}, "1": {"version": 2}}
    state = load(versioned(Call((Name("collections OrderedDict"), (list(written.items()),)))))
    assert type(state) is OrderedDict and state._metadata == written  # type: ignore[attr-defined]
    again = files.unpack(files.pack({"model": state, "step": 3}))
    assert type(again["model"]) is OrderedDict and again["model"]._metadata == written and again["step"] == 3
    assert not hasattr(files.unpack(files.pack(OrderedDict(a=1))), "_metadata")
    model = danlu.nn.Sequential(danlu.nn.Linear(2, 3), danlu.nn.BatchNorm1d(3))
    state = model.state_dict()
    del state["1.num_batches_tracked"]
    with pytest.raises(RuntimeError, match=r"1\.num_batches_tracked"):  # the state says that it should be there
        model.load_state_dict(files.unpack(files.pack(state)))
    state._metadata["1"]["version"] = 1  # type: ignore[attr-defined]
    model.load_state_dict(files.unpack(files.pack(state)))


@pytest.mark.parametrize("metadata", [3, {"": 1}, {1: {"version": 1}}, {"": {"version": "new"}}])
def test_versions_that_are_none_are_damage(metadata):
    assert "the versions in a state_dict are no table; the file is damaged" in refusal(versioned(metadata))


class Evil:
    def __reduce__(self):
        return os.system, ("touch hacked",)


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_nothing_is_run(protocol, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    system = f"{os.system.__module__}.system"
    text = refusal(zipped(pickle.dumps({"a": Evil()}, protocol), {}))
    assert f"refused: {system} at byte " in text and "runs no code of a file. Save a state_dict" in text
    assert "refused: a pickle of Python objects" in refusal(pickle.dumps({"a": Evil()}, protocol))
    assert f"refused: {system}" in refusal(
        MAGIC + pickle.dumps(1001, 2) + pickle.dumps({"little_endian": True}, 2) + pickle.dumps(Evil(), 2)
    )
    assert not os.listdir(tmp_path)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (Name("builtins eval"), "refused: builtins.eval at byte 2; danlu reads tensors"),
        (Call((Name("torch.nn Linear"), ())), "refused: torch.nn.Linear at byte 2"),
        (tensor("Float", "9", 12, 0, (12,), (1,)), "the archive holds no 'archive/data/9'"),
        (tensor("Float", "0", 12, 1, (12,), (1,)), "offset 1, but its storage holds 12 elements; save it with .contiguous()"),
        (tensor("Float", "0", 12, 0, (3,), (6,)), "strides (6,) and offset 0, but its storage holds 12"),
        (tensor("Float", "0", 1 << 50, 0, (1 << 50,), (0,)), "but the file is too small for it"),
        (tensor("Float", "0", 12, 0, (-1,), (1,)), "sizes or strides that are no lists of numbers ≥ 0"),
        (tensor("Float", "0", 12, 0, (2, 2), (1,)), "a tensor without storage, offset, sizes and strides"),
        (tensor("QInt8", "0", 12, 0, (2,), (1,)), "a storage of torch.QInt8Storage, which danlu does not know"),
        (Storage(("Float", "0", 12)), "a storage that no tensor views; save tensors"),
        (Call((Name("torch._utils _rebuild_parameter"), (3,))), "a parameter without a tensor"),
        (Call((Name("torch._utils _rebuild_tensor_v2"), (3,))), "other arguments than PyTorch writes"),
        (Call((Name("collections OrderedDict"), ([[[1], 2]],))), "a dictionary of other things than pairs"),
        (Call((Name("torch._tensor _rebuild_from_type_v2"), (Name("os system"), Name("torch Tensor"), (), None))), "a subclass of Tensor"),
        (Call((Name("_codecs encode"), ("a", "rot13"))), "an encoding that is not latin1"),
        (Call((Name("torch device"), ([],))), "a device without a name"),
        ({(1, 2): 3}, "a key that is no number or string"),
        (b"\x80\x02}q\x00h\x01.", "nothing is remembered under this number"),
        (b"\x80\x02]q\x00h\x00a.", "containers that hold themselves, or one another too often"),
        (b"\x80\x02N0.", "pop from empty list"),
        (b"\x80\x02(.", "a mark where a value is expected"),
        (b"\x80\x02t.", "no mark"),
        (b"\x80\x02NNa.", "expected a list"),
        (b"\x80\x02}(Nu.", "a key without a value"),
        (b"\x80\x02NNR.", "refused: NoneType at byte 4"),
        (b"\x80\x02N}b.", "refused: NoneType at byte 4"),
        (b"\x80\x02cos\nsystem\n)\x81.", "refused: os.system at byte 2"),
        (b"\x80\x02(ios\nsystem\n.", "refused: INST at byte 3"),
        (b"\x80\x02NN\x93.", "a name that is no string"),
        (b"\x80\x02q\x00.", "nothing to remember"),
        (b"\x80\x02NQ.", "a persistent id that is no storage"),
        (b"\x80\x02ccollections\nOrderedDict\nNR.", "arguments that are no tuple"),
        (pickled(Storage(("Float", "0", 12, ("k", 0, 3)))) + b".", "a storage that is a view of another"),
        (b"\x80\x02X\xff\xff\xff\xffabc", "model.pt: damaged at byte "),
        (b"", "model.pt: damaged at byte 0"),
    ],
)  # fmt: skip
def test_what_is_refused_is_named(value, text):
    assert text in refusal(zipped(value, STORAGES))


def test_lists_of_lists_that_would_blow_up():
    bomb = b"\x80\x02]q\x00" + b"".join(b"](h%ch%ceq%c" % (k, k, k + 1) for k in range(60)) + b"."
    assert "containers that hold themselves, or one another too often" in refusal(zipped(bomb, {}))


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (zipped(STATE, STORAGES, {"constants.pkl": b""}), "refused: a TorchScript program; danlu reads state dicts"),
        (zipped(STATE, STORAGES, {"inner/data.pkl": b""}), "2 members named data.pkl; expected one"),
        (zipped(STATE, STORAGES)[:-30], "a damaged zip archive: File is not a zip file"),
        (zipped(STATE, STORAGES).replace(np.float32(7).tobytes(), np.float32(9).tobytes()), "the checksum of 'archive/data/0' does not fit"),
        (zipped(STATE, STORAGES, compression=zipfile.ZIP_BZIP2), "is compressed by method 12; danlu reads plain and deflated"),
        (legacy(STATE, STORAGES)[:-1], "the lengths of the storage '1' do not fit the file"),
        (legacy(STATE, STORAGES).replace(b"\x88X", b"\x89X"), "a legacy PyTorch file of another version or byte order than 1001"),
        (b"x" * 257 + b"ustar" + b"\0" * 300, "refused: a pickle of Python objects, or a PyTorch file from before 2018"),
        (b"\x80\x04N.", "refused: a pickle of Python objects"),
    ],
)  # fmt: skip
def test_damaged_archives_are_named(data, text):
    assert text in refusal(data)


def test_an_archive_of_something_else():
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as file:
        file.writestr("word/document.xml", "<x/>")
    assert "a zip archive of word/document.xml; danlu reads those of PyTorch and NumPy" in refusal(out.getvalue())


def test_compressed_and_encrypted_members():
    data = zipped(STATE, STORAGES, compression=zipfile.ZIP_DEFLATED)
    assert load(data)["counts"].tolist() == [0, 1, 2, 3, 4]
    place = data.rindex(b"PK\x01\x02", 0, data.index(b"archive/data/0", data.index(b"PK\x01\x02")))
    locked = data[: place + 8] + b"\x01\x00" + data[place + 10 :]
    assert "'archive/data/0' is encrypted; danlu reads plain archives" in refusal(locked)
    longer = data[: place + 24] + struct.pack("<I", 10**9) + data[place + 28 :]
    assert "the lengths of 'archive/data/0' do not fit the file" in refusal(longer)


# ---- NumPy's files ----------------------------------------------------------------------------------------------------------------


def npy(array, **options) -> bytes:
    out = io.BytesIO()
    np.save(out, array, **options)
    return out.getvalue()


def test_npy_and_npz(tmp_path):
    arrays = {
        "a": np.arange(6.0).reshape(2, 3).T,
        "b": np.array([True, False]),
        "c": np.int8(3),
        "big": np.arange(3, dtype=">i4"),
        "e": np.zeros((0, 2)),
    }
    for save in (np.savez, np.savez_compressed):
        save(tmp_path / "x.npz", **arrays, words=np.array(["un", "deux"]))
        loaded = danlu.load(tmp_path / "x.npz")
        assert loaded.pop("words").tolist() == ["un", "deux"] and list(loaded) == list(arrays)
        for name, array in arrays.items():
            np.testing.assert_array_equal(loaded[name].numpy(), array)
    assert load(npy(np.arange(3, dtype=np.uint8))).dtype is danlu.uint8


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (npy(np.array([{}]), allow_pickle=True), "refused: an array of Python objects, which is a pickle; save numbers"),
        (npy(np.zeros(2, [("a", "f4")])), "is none of NumPy's for one plain dtype"),
        (npy(np.zeros(3))[:-1], "shape (3,) of float64 needs 24 bytes, the file holds 23; it is cut off or damaged"),
        (npy(np.zeros(3)).replace(b"(3,)", b"(9,)"), "shape (9,) of float64 needs 72 bytes"),
        (npy(np.zeros(3)).replace(b"'<f8'", b"'<z8'"), "unknown dtype '<z8'"),
        (npy(np.zeros(3)).replace(b"'<f8'", b"'|V8'"), "the dtype '|V8' is not one of numbers, strings or dates"),
        (b"\x93NUMPY\x09\x00" + b"\0" * 20, "no .npy data of version 1, 2 or 3"),
        (b"\x93NUMPY\x01\x00\xff\xff{}", "the header b'{}' is none of NumPy's"),
    ],
)
def test_damaged_npy_is_named(data, text):
    assert text in refusal(data)


# ---- safetensors ---------------------------------------------------------------------------------------------------------------


def safetensors(dtype: str, raw: bytes, shape: list[int], metadata=None) -> bytes:
    header = {"x": {"dtype": dtype, "shape": shape, "data_offsets": [0, len(raw)]}}
    text = json.dumps(header | ({"__metadata__": metadata} if metadata else {})).encode()
    return struct.pack("<Q", len(text)) + text + raw


@pytest.mark.parametrize(
    ("dtype", "stored", "expected", "kind"),
    [
        ("BF16", np.array([0x3FC0, 0xC000, 0x7F80], np.uint16), [1.5, -2, np.inf], danlu.bfloat16),
        ("F8_E5M2", np.array([0x3E, 0xC0, 0x7C], np.uint8), [1.5, -2, np.inf], danlu.float16),
        ("F8_E4M3", np.array([0x3C, 0xC0, 0x01, 0x7E], np.uint8), [1.5, -2, 2.0**-9, 448], danlu.float16),
        ("U16", np.array([65535], np.uint16), [65535], danlu.uint16),
        ("C64", np.array([1 + 2j], np.complex64), [1 + 2j], danlu.complex64),
    ],
)
def test_safetensors_of_any_dtype(dtype, stored, expected, kind):
    x = load(safetensors(dtype, stored.tobytes(), [len(stored)]))["x"]
    assert x.dtype is kind and x.tolist() == expected


def test_metadata(tmp_path):
    files.save({"w": danlu.ones(2), "n": 1}, tmp_path / "own", metadata={"author": "Ada", "licence": "CC0"})
    assert files.read_metadata(tmp_path / "own") == {"author": "Ada", "licence": "CC0"}
    assert files.load(tmp_path / "own")["n"] == 1
    (tmp_path / "other").write_bytes(safetensors("F32", b"\0" * 4, [1], {"format": "pt"}))
    assert files.read_metadata(tmp_path / "other") == {"format": "pt"}
    with pytest.raises(DataError, match=r"the metadata {'n': 1} is not a table of strings: write {name: text}"):
        files.save({}, tmp_path / "x", metadata={"n": 1})
    damaged = {files.STRUCTURE: json.dumps({"metadata": [1]})}
    (tmp_path / "other").write_bytes(safetensors("F32", b"\0" * 4, [1], damaged))
    with pytest.raises(DataError, match="the metadata is not a table of strings; the file is damaged"):
        files.read_metadata(tmp_path / "other")


def test_streams_and_pytorchs_arguments():
    stream = io.BytesIO()
    danlu.save({"a": danlu.ones(2)}, stream)
    stream.seek(0)
    assert danlu.load(stream, map_location="cpu", weights_only=True)["a"].tolist() == [1, 1]


def test_a_whole_training_comes_back(tmp_path):
    net = nn.Linear(3, 2)
    optimizer = danlu.optim.RMSprop(net.parameters(), momentum=0.9)
    schedule = danlu.optim.lr_scheduler.WarmUpLR(danlu.optim.lr_scheduler.StepLR(optimizer, 2), 3)

    def step():
        optimizer.zero_grad()
        net(danlu.randn(4, 3)).sum().backward()
        optimizer.step()
        schedule.step()

    step()
    parts = {"net": net, "optimizer": optimizer, "schedule": schedule}
    state = {k: v.state_dict() for k, v in parts.items()} | {"epoch": 3, "random": danlu.random.get_state()}
    danlu.save(state, tmp_path / "checkpoint")
    step()
    expected = net.weight.tolist(), schedule.get_last_lr()
    loaded = danlu.load(tmp_path / "checkpoint")
    for name, part in parts.items():
        part.load_state_dict(loaded[name])
    danlu.random.set_state(loaded["random"])
    step()
    assert (net.weight.tolist(), schedule.get_last_lr(), loaded["epoch"]) == (*expected, 3)


# ---- PyTorch itself --------------------------------------------------------------------------------------------------------------


def models(torch):
    class Block(torch.nn.Module):
        def __init__(self, width):
            super().__init__()
            self.conv1, self.bn1 = torch.nn.Conv2d(width, width, 3, padding=1, bias=False), torch.nn.BatchNorm2d(width)
            self.conv2, self.bn2 = torch.nn.Conv2d(width, width, 3, padding=1, bias=False), torch.nn.BatchNorm2d(width)

    torch.manual_seed(0)
    residual = torch.nn.Sequential(torch.nn.Conv2d(3, 8, 3), Block(8), Block(8), torch.nn.Linear(8, 10))
    return [residual, torch.nn.LSTM(5, 7, 2, bidirectional=True), torch.nn.TransformerEncoderLayer(16, 4, 32)]


@pytest.mark.oracle
@pytest.mark.parametrize("zip_format", [True, False])
@pytest.mark.parametrize("which", [0, 1, 2])
def test_state_dicts_go_to_pytorch_and_back(which, zip_format, tmp_path):
    torch = pytest.importorskip("torch")
    from safetensors.torch import load_file, save_file

    model = models(torch)[which]
    torch.save(model.state_dict(), tmp_path / "model.pt", _use_new_zipfile_serialization=zip_format)
    save_file(model.state_dict(), tmp_path / "model.safetensors")
    for name in ("model.pt", "model.safetensors"):
        state = danlu.load(tmp_path / name)
        assert set(state) == set(model.state_dict())
        for key, value in model.state_dict().items():
            np.testing.assert_array_equal(state[key].numpy(), value.numpy())
    danlu.save(state, tmp_path / "back.safetensors")
    model.load_state_dict(load_file(tmp_path / "back.safetensors"), strict=True)


@pytest.mark.oracle
@pytest.mark.parametrize("zip_format", [True, False])
def test_a_checkpoint_of_pytorch(zip_format, tmp_path):
    torch = pytest.importorskip("torch")
    base = torch.arange(12.0)
    net = torch.nn.Linear(2, 2)
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1, momentum=0.9)
    schedule = torch.optim.lr_scheduler.MultiStepLR(optimizer, [2, 2, 5])
    state = {
        "net": net.state_dict(), "optimizer": optimizer.state_dict(), "schedule": schedule.state_dict(), "epoch": 3, "loss": 0.5,
        "parameter": net.weight, "view": base.view(3, 4).t()[1:], "half": base.half(), "bf16": base.bfloat16(), "size": base.shape,
        "dtype": torch.int32, "device": torch.device("cpu"), "text": "é", "bytes": b"ab", "big": 2**70, "f8": base.to(torch.float8_e4m3fn),
        "complex": base.to(torch.complex64), "ordered": OrderedDict(a=1), "bool": base > 5, "u16": base.to(torch.uint16),
    }  # fmt: skip
    if not zip_format:
        state = {k: v for k, v in state.items() if k not in ("f8", "u16")}
    torch.save(state, tmp_path / "x.pt", _use_new_zipfile_serialization=zip_format)
    loaded = danlu.load(tmp_path / "x.pt")
    assert list(loaded) == list(state) and loaded["parameter"].requires_grad
    assert (loaded["dtype"], loaded["device"], loaded["size"], loaded["big"]) == (danlu.int32, "cpu", (12,), 2**70)
    np.testing.assert_array_equal(loaded["view"].numpy(), state["view"].numpy())
    for name in {"half", "bf16", "complex", "bool", "f8", "u16"} & set(state):
        assert loaded[name].tolist() == (np.arange(12) > 5 if name == "bool" else np.arange(12)).tolist()
    with pytest.raises(DataError, match=r"refused: torch.nn.modules.linear.Linear at byte"):
        torch.save(net, tmp_path / "x.pt", _use_new_zipfile_serialization=zip_format)
        danlu.load(tmp_path / "x.pt")
