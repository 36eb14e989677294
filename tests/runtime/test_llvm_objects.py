"""LLVM: text → object code → addresses; errors that show the line of IR; targets as data."""

import ctypes
import gc
import os
import subprocess
import sys
import threading

import numpy as np
import pytest

from danlu import dtype as dt
from danlu.compile import llvm, target
from danlu.compile.llvm import CompileError, Machine
from danlu.config import config

SCALE = """
@factor = constant float 3.0

define void @scale(ptr %x, i64 %n) nounwind {
entry:
  %total = alloca <4 x float>
  store <4 x float> splat (float 3.0), ptr %total
  br label %loop
loop:
  %i = phi i64 [0, %entry], [%next, %loop]
  %place = getelementptr float, ptr %x, i64 %i
  %old = load <4 x float>, ptr %place, align 4
  %factor = load <4 x float>, ptr %total
  %new = fmul <4 x float> %old, %factor
  store <4 x float> %new, ptr %place, align 4
  %next = add i64 %i, 4
  %again = icmp slt i64 %next, %n
  br i1 %again, label %loop, label %done
done:
  ret void
}
"""


def scaled(module: llvm.Module) -> np.ndarray:
    x = np.arange(16, dtype=np.float32)
    ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_int64)(module.address("scale"))(x.ctypes.data, x.size)
    return x


@pytest.mark.parametrize("level", [0, 1, 2, 3])
def test_code_of_every_level_computes_the_same(level):
    np.testing.assert_array_equal(scaled(llvm.load(llvm.compile_text(SCALE, level))), 3 * np.arange(16, dtype=np.float32))


def test_one_object_loads_many_times_and_its_code_lives_with_the_module():
    code = llvm.compile_text(SCALE)
    modules = [llvm.load(code) for _ in range(20)]
    addresses = {module.address("scale") for module in modules}
    assert len(addresses) == 20
    kept = modules[7]
    del modules
    gc.collect()
    np.testing.assert_array_equal(scaled(kept), 3 * np.arange(16, dtype=np.float32))
    assert ctypes.c_float.from_address(kept.address("factor")).value == 3.0


def test_an_object_loads_in_another_process_without_any_ir(tmp_path):
    (tmp_path / "code").write_bytes(llvm.compile_text(SCALE))
    text = """
import ctypes, sys
from danlu.compile import llvm
llvm._parse = None
module = llvm.load(open(sys.argv[1], "rb").read())
print(ctypes.c_float.from_address(module.address("factor")).value)
"""
    done = subprocess.run([sys.executable, "-c", text, str(tmp_path / "code")], capture_output=True, text=True, timeout=60)
    assert (done.stdout, done.stderr, done.returncode) == ("3.0\n", "", 0)


def test_code_calls_the_c_library():
    text = "define double @f(double %x) nounwind {\n  %y = frem double %x, 2.0\n  ret double %y\n}"
    module = llvm.load(llvm.compile_text(text))
    assert ctypes.CFUNCTYPE(ctypes.c_double, ctypes.c_double)(module.address("f"))(5.5) == 1.5


@pytest.mark.parametrize("made_for", target.TARGETS, ids=lambda made_for: made_for.name)
def test_the_same_ir_compiles_for_every_target(made_for):
    code = llvm.compile_text(SCALE, machine=made_for)
    assert code[:4] == b"\x7fELF"
    assert int.from_bytes(code[18:20], "little") == {"x86_64": 62, "aarch64": 183}[made_for.arch]  # ELF's e_machine


def test_wide_vectors_stay_wide():
    text = SCALE.replace("<4 x float>", "<16 x float>").replace("%i, 4", "%i, 16")
    assert "zmm" in llvm.assembly(text, machine=target.TARGETS[0])
    assert "zmm" in llvm.assembly(text, machine=Machine("x86_64-unknown-linux-gnu", "skylake-avx512", "-prefer-256-bit"))
    assert "ymm" in llvm.assembly(text, machine=target.TARGETS[1])


def test_the_pass_list_moves_accumulators_into_registers():
    assert "(%rsp)" in llvm.assembly(SCALE, level=0, machine=target.TARGETS[2])
    assert "(%rsp)" not in llvm.assembly(SCALE, level=1, machine=target.TARGETS[2])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("define float @f(float %x) {\n  %y = fadd float %x, %z\n  ret float %y\n}", "line 2: %y = fadd float %x, %z\n.*'%z'"),
        ("define float @f(float %x) {\n  ret i32 0\n}", "line 2: ret i32 0\n.*"),
        ("define flat @f() { ret void }", "line 1: define flat @f.*\n.*type"),
        (
            "define float @f(i1 %c) {\n  br i1 %c, label %a, label %b\na:\n  %y = fadd float 0.0, 1.0\n  br label %b\nb:\n"
            "  ret float %y\n}",
            "line 7: ret float %y\nInstruction does not dominate all uses",
        ),
        ("define i32 @llvm.bad.intrinsic(i32 %x) { ret i32 %x }", "an unknown line\nllvm intrinsics"),
    ],
)
def test_an_error_shows_the_line_of_ir(text, message):
    with pytest.raises(CompileError, match="danlu made LLVM IR that LLVM refuses, at " + message):
        llvm.compile_text(text)


@pytest.mark.parametrize("code", [b"", b"abc", b"\x7fELF" + bytes(100)])
def test_bytes_that_are_no_object_code_are_refused(code):
    with pytest.raises(CompileError, match=f"object code of {len(code)} bytes cannot be linked"):
        llvm.load(code).address("f")


def test_a_symbol_that_is_not_there_is_named():
    module = llvm.load(llvm.compile_text(SCALE))
    with pytest.raises(CompileError, match="no symbol 'shrink' that could be linked"):
        module.address("shrink")


def test_a_function_that_nobody_has_is_an_error():
    text = "declare void @nobody_has_this()\ndefine void @f() { call void @nobody_has_this() ret void }"
    with pytest.raises(CompileError, match=r"'f'.*could be linked"):
        llvm.load(llvm.compile_text(text)).address("f")


def test_threads_compile_at_once():
    found = {}

    def work(number: int) -> None:
        for _ in range(5):
            text = f"define i32 @f() {{ ret i32 {number} }}"
            module = llvm.load(llvm.compile_text(text))
            found.setdefault(number, set()).add(ctypes.CFUNCTYPE(ctypes.c_int)(module.address("f"))())

    workers = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert found == {number: {number} for number in range(4)}


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this platform has no fork")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_child_forked_beside_a_compiling_thread_can_compile():
    going = threading.Event()

    def work() -> None:
        while not going.is_set():
            llvm.compile_text(SCALE)

    worker = threading.Thread(target=work)
    worker.start()
    try:
        for _ in range(10):
            child = os.fork()
            if child == 0:
                os._exit(0 if llvm.compile_text(SCALE) else 1)
            assert os.waitpid(child, 0)[1] == 0
    finally:
        going.set()
        worker.join()


@pytest.mark.parametrize(("stage", "word"), [("llvm", "define void @scale"), ("asm", ".globl")])
def test_stages_are_printed(monkeypatch, capsys, stage, word):
    monkeypatch.setattr(config, "log", frozenset({stage}))
    llvm.compile_text(SCALE)
    assert word in capsys.readouterr().err


def test_danlu_starts_without_llvm():
    text = "import sys; import danlu.compile.target, danlu.runtime.pool; print('llvmlite' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, timeout=60).stdout == "False\n"


def test_the_version_names_both():
    assert "llvmlite" in llvm.version() and "LLVM" in llvm.version()


# ---- targets ----------------------------------------------------------------------------------------------------------


def test_a_row_of_the_table_needs_its_features():
    full = "+sse4.1,+avx2,+fma,+avx512f,+avx512vl,+avx512dq,+avx512bw"
    names = {full: "AVX-512", "+sse4.1,+avx2,+fma,+avx512f": "AVX2", "+sse4.1,+avx2": "SSE4", "+sse2": "no vector unit known"}
    for features, name in names.items():
        assert target.match(Machine("x86_64-apple-darwin", "x", features)).name == name
    assert target.match(Machine("arm64-apple-darwin", "apple-m1", "")).name == "NEON"
    assert target.match(Machine("riscv64-unknown-linux-gnu", "generic", "")).vector_bytes == 16


def test_lanes_count_values_of_a_register():
    wide = target.TARGETS[0]
    counted = {dtype.name: wide.lanes(dtype) for dtype in (dt.float32, dt.float64, dt.float16, dt.int8, dt.int64, dt.bool_)}
    assert counted == {"float32": 16, "float64": 8, "float16": 16, "int8": 64, "int64": 8, "bool": 64}


def test_the_host_is_what_llvm_says_it_is():
    host = target.host()
    assert host is target.host()
    assert (host.triple, host.cpu, host.features) == (
        llvm.host_machine().triple,
        llvm.host_machine().cpu,
        llvm.host_machine().features,
    )
    assert 8 << 10 <= host.l1 <= host.l2
    assert host.cpu in target.describe() and f"vectors of {8 * host.vector_bytes} bits" in target.describe()


def test_caches_are_read_from_linux_files(tmp_path):
    rows = [
        ("1", "Data", "48K"),
        ("1", "Instruction", "32K"),
        ("2", "Unified", "2048K"),
        ("3", "Unified", "36M"),
        ("4", "x", "?"),
    ]
    for number, row in enumerate(rows):
        folder = tmp_path / f"index{number}"
        folder.mkdir()
        for name, value in zip(("level", "type", "size"), row, strict=True):
            (folder / name).write_text(value + "\n")
    (tmp_path / "index9").mkdir()
    assert target.read_caches(tmp_path) == {"l1": 48 << 10, "l2": 2 << 20, "l3": 36 << 20}
    assert target.read_caches(tmp_path / "none") == {}
