"""The disk cache: what comes out is what went in or nothing, whatever happens to the files."""

import os
import subprocess
import sys

import pytest

from danlu.config import config
from danlu.runtime import cache

CODE = bytes(range(256)) * 3


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """A cache folder that does not exist yet."""
    found = tmp_path / "deep" / "cache"
    monkeypatch.setattr(config, "cache_dir", found)
    monkeypatch.setattr(config, "cache_mb", 8)
    monkeypatch.setattr(cache, "_writes", iter(range(1, 10**9)))
    return found


def only_file(folder):
    (found,) = folder.iterdir()
    return found


def test_what_goes_in_comes_out(folder):
    assert cache.get("a") is None
    cache.put("a", CODE)
    cache.put("b", b"")
    assert cache.get("a") == CODE
    assert cache.get("b") == b""
    assert cache.get("ab") is None
    cache.put("a", b"new")
    assert cache.get("a") == b"new"
    assert [path.suffix for path in folder.iterdir()] == [".bin", ".bin"]


def test_size_and_clear(folder):
    assert (cache.size(), cache.clear()) == (0, 0)
    cache.put("a", CODE)
    cache.put("b", CODE)
    assert cache.size() == 2 * (len(CODE) + 48)
    (folder / "notes.txt").write_text("mine")
    assert cache.clear() == 2
    assert cache.size() == 0 and cache.get("a") is None
    assert only_file(folder).name == "notes.txt"


def test_a_file_cut_at_any_byte_is_a_miss_and_goes(folder):
    cache.put("a", CODE[:40])
    path, whole = only_file(folder), only_file(folder).read_bytes()
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        assert cache.get("a") is None
        assert not path.exists()
    path.write_bytes(whole + b"x")
    assert cache.get("a") is None
    path.write_bytes(whole)
    assert cache.get("a") == CODE[:40]


def test_every_flipped_bit_is_a_miss(folder):
    cache.put("a", CODE[:20])
    path, whole = only_file(folder), only_file(folder).read_bytes()
    for position in range(8 * len(whole)):
        damaged = bytearray(whole)
        damaged[position // 8] ^= 1 << position % 8
        path.write_bytes(damaged)
        assert cache.get("a") is None
        assert not path.exists()


def test_a_length_that_lies_allocates_nothing(folder):
    cache.put("a", b"")
    path = only_file(folder)
    path.write_bytes(cache._HEADER.pack(cache.MAGIC, 1 << 60, bytes(32)))
    assert cache.get("a") is None


def test_a_file_under_another_key_is_a_miss(folder):
    cache.put("a", CODE)
    stolen = only_file(folder).read_bytes()
    cache.clear()
    cache.put("b", b"")
    only_file(folder).write_bytes(stolen)
    assert cache.get("b") is None


def test_a_damaged_file_is_said_once_in_the_log(folder, monkeypatch, capsys):
    monkeypatch.setattr(config, "log", frozenset({"compile"}))
    cache.put("a", CODE)
    only_file(folder).write_bytes(b"?")
    cache.get("a")
    cache.get("a")
    assert capsys.readouterr().err.count("is damaged and is deleted") == 1


def test_a_folder_that_cannot_be_made_is_no_cache(tmp_path, monkeypatch, capsys):
    (tmp_path / "file").write_text("")
    monkeypatch.setattr(config, "cache_dir", tmp_path / "file" / "cache")
    cache.put("a", CODE)
    assert cache.get("a") is None and cache.size() == 0 and cache.clear() == 0
    assert capsys.readouterr().err == ""
    monkeypatch.setattr(config, "log", frozenset({"compile"}))
    cache.put("a", CODE)
    assert "compiled code is not kept on disk" in capsys.readouterr().err


def test_a_read_only_folder_still_gives_what_it_has(folder, monkeypatch):
    def refuse(*args, **kwargs):
        raise PermissionError(13, "Permission denied")

    cache.put("a", CODE)
    path = only_file(folder)
    for module, name in ((cache.tempfile, "mkstemp"), (os, "utime"), (os, "unlink")):  # root could write all the same
        monkeypatch.setattr(module, name, refuse)
    cache.put("b", CODE)
    assert cache.get("b") is None and cache.get("a") == CODE and only_file(folder) == path
    assert cache.clear() == 0


def test_a_full_disk_leaves_nothing_half_written(folder, monkeypatch):
    def refuse(source, destination):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", refuse)
    cache.put("a", CODE)
    assert cache.get("a") is None and list(folder.iterdir()) == []


def test_code_of_another_user_is_not_run(folder, monkeypatch):
    if not hasattr(os, "getuid"):
        pytest.skip("this platform has no user numbers")
    cache.put("a", CODE)
    monkeypatch.setattr(os, "getuid", lambda: -1)
    assert cache.get("a") is None
    assert only_file(folder).exists()


def test_a_bound_of_nothing_keeps_nothing(folder, monkeypatch):
    cache.put("a", CODE)
    monkeypatch.setattr(config, "cache_mb", 0)
    assert cache.get("a") is None
    cache.put("b", CODE)
    assert len(list(folder.iterdir())) == 1


def test_the_least_recently_used_go_first(folder, monkeypatch):
    monkeypatch.setattr(config, "cache_mb", 1)
    monkeypatch.setattr(cache, "_EVERY", 12)
    for number in range(11):
        cache.put(str(number), bytes(100_000))
        os.utime(cache._path(cache._digest(str(number))), (number, number))
    assert cache.get("0") is not None  # used now
    cache.put("11", bytes(100_000))
    kept = [number for number in range(12) if cache.get(str(number)) is not None]
    assert kept == [0, 5, 6, 7, 8, 9, 10, 11]  # 8 * 100,048 bytes are the first sum below four fifths of 1 MiB


def test_temporary_files_of_dead_processes_go(folder):
    folder.mkdir(parents=True)
    for name, used in (("old.tmp", 1), ("new.tmp", None)):
        (folder / name).write_bytes(b"half")
        if used:
            os.utime(folder / name, (used, used))
    cache._evict()
    assert only_file(folder).name == "new.tmp"


WRITER = """
import sys
from danlu.runtime import cache
for step in range(300):
    cache.put("shared", bytes([step % 251]) * 50_000)
    found = cache.get("shared")
    assert found is not None and len(found) == 50_000 and len(set(found)) == 1
"""


def test_two_processes_write_the_same_key(folder):
    environment = os.environ | {"DANLU_CACHE_DIR": str(folder), "DANLU_CACHE_MB": "8"}
    writers = [subprocess.Popen([sys.executable, "-c", WRITER], env=environment) for _ in range(2)]
    assert [writer.wait(timeout=60) for writer in writers] == [0, 0]
    assert len(cache.get("shared") or b"") == 50_000
    assert only_file(folder).suffix == ".bin"
