"""Kernels as they are kept: one code for equal texts, in memory and on disk; programs as lists of steps."""

from __future__ import annotations

import gc

import numpy as np
import pytest

import danlu
from danlu import programs
from danlu.compile import llvm, program
from danlu.config import config
from danlu.dtype import float32
from danlu.graph import Node, Spec
from danlu.ops.source import BUFFER
from danlu.ops.table import o
from danlu.runtime import cache, steps
from danlu.runtime.buffers import Buffer
from danlu.runtime.executable import Compiled, compiled


@pytest.fixture
def made(tmp_path, monkeypatch):
    """The texts that LLVM compiles, with an empty cache and no code in memory."""
    found: list[str] = []
    compile_text = llvm.compile_text
    monkeypatch.setattr(config, "cache_dir", tmp_path)
    monkeypatch.setattr(config, "cache_mb", 8)
    monkeypatch.setattr(steps, "_modules", type(steps._modules)())
    monkeypatch.setattr(llvm, "compile_text", lambda text, level=1: found.append(text) or compile_text(text, level))
    danlu.ones(2).numpy()  # the code of the runner and of the pool is there
    found.clear()
    return found


def inputs(*shapes):
    return [Node(BUFFER, (), (k, Spec(shape, float32)), Spec(shape, float32)) for k, shape in enumerate(shapes)]


def layers(count):
    """A chain of equal layers."""
    x, w = inputs((8, 32), (32, 32))
    for _ in range(count):
        x = o.relu(o.matmul(x, w))
    return program.build([x], 2)


def value(executable):
    rng = np.random.default_rng(0)
    x, w = rng.standard_normal((8, 32)).astype(np.float32), rng.standard_normal((32, 32)).astype(np.float32) / 5
    (found,) = executable.run([Buffer.from_numpy(a) for a in (x, w)], [])
    return x, w, found.as_numpy((8, 32), np.float32).copy()


def test_equal_layers_have_one_kernel():
    one, many = layers(1), layers(12)
    assert len(many.steps) == 12 * len(one.steps) and many.texts == one.texts


def test_what_a_living_program_has_is_not_compiled_again(made):
    first = Compiled(layers(3))
    count = len(made)
    assert count == len(first.program.texts) > 0
    second = Compiled(layers(5))
    assert len(made) == count and second.functions == first.functions
    x, w, found = value(second)
    for _ in range(5):
        x = np.maximum(x @ w, 0)
    np.testing.assert_allclose(found, x, rtol=1e-4, atol=1e-5)


def test_code_in_memory_goes_with_its_last_program(made):
    executable = Compiled(layers(1))
    keys = [steps.key_of(text) for text in executable.program.texts]
    assert all(key in steps._modules for key in keys)
    del executable
    gc.collect()
    assert not any(key in steps._modules for key in keys)


def test_another_process_takes_kernels_and_programs_from_disk(made):
    first, _ = compiled("key", lambda: (layers(4), {"slots": [1]}))
    _, _, wanted = value(first)
    count = len(made)
    steps._modules.clear()
    second, extra = compiled("key", pytest.fail)
    assert second.from_disk and not first.from_disk and extra == {"slots": [1]} and len(made) == count
    np.testing.assert_array_equal(value(second)[2], wanted)
    other, _ = compiled("another", lambda: (layers(4), {}))
    assert not other.from_disk and len(made) == count  # a new program of known kernels


def test_a_kernel_that_is_lost_or_damaged_is_made_again(made):
    first, _ = compiled("key", lambda: (layers(2), {}))
    _, _, wanted = value(first)
    for damage in (lambda path: path.unlink(), lambda path: path.write_bytes(b"?")):
        path = cache._path(cache._digest(steps.key_of(first.program.texts[0])))
        damage(path)
        steps._modules.clear()
        count = len(made)
        again, _ = compiled("key", lambda: (layers(2), {}))
        assert not again.from_disk and len(made) == count + 1 and path.exists()
        np.testing.assert_array_equal(value(again)[2], wanted)


def test_numbers_may_stand_in_any_place():
    danlu.set_num_threads(1)
    x = danlu.ones(100)
    y, z = x * 3.25 + 7.5, x + 8.5
    assert (y[0].item(), z[0].item()) == (10.75, 9.5)


def test_a_program_without_kernels_runs():
    before = programs.statistics()["runs"]
    x = danlu.ones(3, 4)
    x.numpy()
    assert (x.reshape(4, 3) * 1).tolist() == [[1.0] * 3] * 4 and programs.statistics()["runs"] > before
