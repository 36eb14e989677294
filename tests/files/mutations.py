"""A seeded fuzzer of files: good files of every format, damaged in many ways, and what reading one may and may not do."""

from __future__ import annotations

import gzip
import io
import random
import signal
import struct
import sys
import threading
import tracemalloc
from pathlib import Path

import numpy as np
from torch_writer import STATE, STORAGES, legacy, pickled, zipped

import danlu
from danlu import files
from danlu.data.idx import read_idx
from danlu.data.table import read_csv

ALLOWANCE = 1 << 20  # bytes beyond 2 × the file: what Python's own objects and messages take
SECONDS = 20  # of the processor: a hang, on any machine and however busy it is
TRIES = 3  # for the memory: tracemalloc counts what other threads of the process allocate meanwhile, which is other each time
_FORBIDDEN = {
    "os.system",
    "os.exec",
    "os.posix_spawn",
    "os.fork",
    "subprocess.Popen",
    "pickle.find_class",
    "socket.connect",
    "exec",
}
_seen: list[str] | None = None


def _watch(event: str, arguments: tuple) -> None:
    imported = event == "exec" and Path(getattr(arguments[0], "co_filename", "")).exists()  # a module of Python's own, met late
    if _seen is not None and event in _FORBIDDEN and not imported and threading.current_thread() is threading.main_thread():
        _seen.append(f"{event} {arguments!r:.100}")


sys.addaudithook(_watch)


def _arrays(save) -> bytes:
    out = io.BytesIO()
    save(out, a=np.arange(40.0).reshape(5, 8), b=np.array(["x", "yz"]), c=np.int8([1, 2]))
    return out.getvalue()


PICKLE = b"\x80\x02" + pickled(STATE) + b"."
IDX = struct.pack(">HBB3I", 0, 8, 3, 4, 5, 6) + bytes(range(120))
CSV = b"name,age,city\n" + b"".join(b"n%d,%d,%s\n" % (k, 20 + k, b"Rome" if k % 2 else b'"Paris, France"') for k in range(12))
SEEDS = {
    "pt": [zipped(STATE, STORAGES), legacy(STATE, STORAGES), PICKLE],  # the last one is zipped after it was damaged
    "npz": [_arrays(np.savez), _arrays(np.savez_compressed)],
    "safetensors": [files.pack({"model": {"w": np.arange(9, dtype=np.float32), "n": [1, "two", None]}, "step": 3})],
    "idx": [IDX, gzip.compress(IDX, mtime=0)],
    "csv": [CSV],
}
_NUMBERS = [0, 1, 0x7F, 0x80, 0xFF, 0xFFFF, 1 << 31, (1 << 32) - 1, 1 << 40, (1 << 63) - 1, 1 << 63, (1 << 64) - 1]
_PIECES = [
    b"cos\nsystem\n(X\x04\x00\x00\x00trueitR",
    b"\x00" * 9,
    b"\xff" * 9,
    b"99999999999",
    b'"',
    b"\n",
    b",",
    b"[" * 40,
    b"h\x00",
    b"(",
    b"t",
    b"R",
    b"}",
]


def damaged(data: bytes, rng: random.Random) -> bytes:
    """One to four changes: bytes flipped, cut, repeated, moved, or replaced by numbers and pieces that parsers stumble over."""
    out = bytearray(data)
    for _ in range(rng.choice((1, 1, 2, 4))):
        place, length = rng.randrange(len(out) + 1), rng.choice((1, 1, 2, 8, 40))
        kind = rng.randrange(7)
        if kind == 0 and place < len(out):
            out[place] ^= 1 << rng.randrange(8)
        elif kind == 1:
            out[place : place + 1] = bytes([rng.randrange(256)])
        elif kind == 2:
            number = rng.choice(_NUMBERS).to_bytes(8, rng.choice(("little", "big")))[-rng.choice((2, 4, 8)) :]
            out[place : place + len(number)] = number
        elif kind == 3:
            out[place : place + rng.choice((0, 1, length))] = rng.choice(_PIECES)
        elif kind == 4:
            del out[place : place + length]
        elif kind == 5:
            out[place:place] = out[place : place + length] * rng.choice((1, 2, 30))
        else:
            del out[place:]
    return bytes(out)


def cases(kind: str, count: int, seed: int = 0):
    """Damaged files of one format, the same ones in every run."""
    rng = random.Random(f"{kind} {seed}")
    for _ in range(count):
        data = damaged(good := rng.choice(SEEDS[kind]), rng)
        yield zipped(data, STORAGES) if good is PICKLE else data


def read(kind: str, data: bytes, path: Path) -> None:
    """What a user would do with such a file."""
    if kind in ("idx", "csv"):
        path = path.with_suffix(".csv" if kind == "csv" else ".gz" if data[:2] == b"\x1f\x8b" else ".idx")
        path.write_bytes(data)
        read_csv(path) if kind == "csv" else read_idx(path)
        return
    files.parse(data, "file")


def try_file(kind: str, data: bytes, path: Path) -> bool:
    """Reads a damaged file: True if it was read, False for an error of ours. Anything else, memory, time or code is a failure."""
    for _ in range(TRIES):
        read_it, peak = _tried(kind, data, path)
        if peak <= 2 * len(data) + ALLOWANCE:
            return read_it
    raise AssertionError(f"{peak} bytes for a file of {len(data)}")


def _tried(kind: str, data: bytes, path: Path) -> tuple[bool, int]:
    """Whether a file was read, and the memory that it took."""
    global _seen

    def late(*_):
        raise TimeoutError(f"more than {SECONDS} s")

    previous = signal.signal(signal.SIGPROF, late)
    signal.setitimer(signal.ITIMER_PROF, SECONDS)
    tracemalloc.reset_peak()
    before, _seen, read_it = tracemalloc.get_traced_memory()[0], [], False
    try:
        read(kind, data, path)
        read_it = True
    except danlu.DanluError as error:
        assert len(str(error)) < 2000
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, previous)
        events, _seen = _seen, None
    assert not events, events
    return read_it, tracemalloc.get_traced_memory()[1] - before


def play(kind: str, count: int, folder: Path, seed: int = 0) -> tuple[int, int]:
    """How many of `count` damaged files were read and how many refused; saves a file that breaks the rules in the folder."""
    for data in SEEDS[kind]:  # imports happen here
        read(kind, zipped(data, STORAGES) if data is PICKLE else data, folder / "good")
    tracemalloc.start()
    done = 0
    try:
        for data in cases(kind, count, seed):
            try:
                done += try_file(kind, data, folder / "damaged")
            except BaseException:
                (folder / f"breaks.{kind}").write_bytes(data)
                raise
    finally:
        tracemalloc.stop()
    return done, count - done
