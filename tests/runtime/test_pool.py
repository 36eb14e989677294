"""The thread pool: every chunk runs once, whoever runs it, whenever threads come, sleep, fork and go."""

import ctypes
import os
import platform as machine
import subprocess
import sys
import threading
import time

import numpy as np
import pytest

from danlu.compile import llvm, target
from danlu.config import config
from danlu.errors import DanluError
from danlu.runtime import parallel, platform, pool
from danlu.runtime.pool import Pool

KERNELS = """
; counts[i] += i + 1 for the chunks begin … end - 1
define void @count(ptr %args, i64 %begin, i64 %end) nounwind {
entry:
  br label %loop
loop:
  %i = phi i64 [%begin, %entry], [%next, %loop]
  %place = getelementptr i64, ptr %args, i64 %i
  %old = load i64, ptr %place
  %more = add i64 %old, 1
  %new = add i64 %more, %i
  store i64 %new, ptr %place
  %next = add i64 %i, 1
  %again = icmp slt i64 %next, %end
  br i1 %again, label %loop, label %done
done:
  ret void
}

; as a compiled program does: `times` regions through the first word of the pool, on each of 4 rows of args in turn
define void @regions(ptr %pool, ptr %kernel, ptr %args, i64 %chunks, i64 %times) nounwind {
entry:
  %parallel = load ptr, ptr %pool
  br label %loop
loop:
  %i = phi i64 [0, %entry], [%next, %loop]
  %turn = and i64 %i, 3
  %offset = mul i64 %turn, %chunks
  %row = getelementptr i64, ptr %args, i64 %offset
  call void %parallel(ptr %pool, ptr %kernel, ptr %row, i64 %chunks)
  %next = add i64 %i, 1
  %again = icmp slt i64 %next, %times
  br i1 %again, label %loop, label %done
done:
  ret void
}

; args = pool, count's address, then 8 numbers for each chunk: a region inside a region
define void @nested(ptr %args, i64 %begin, i64 %end) nounwind {
entry:
  %pool = load ptr, ptr %args
  %place = getelementptr ptr, ptr %args, i64 1
  %kernel = load ptr, ptr %place
  %parallel = load ptr, ptr %pool
  br label %loop
loop:
  %i = phi i64 [%begin, %entry], [%next, %loop]
  %row = mul i64 %i, 8
  %offset = add i64 %row, 2
  %inner = getelementptr i64, ptr %args, i64 %offset
  call void %parallel(ptr %pool, ptr %kernel, ptr %inner, i64 8)
  %next = add i64 %i, 1
  %again = icmp slt i64 %next, %end
  br i1 %again, label %loop, label %done
done:
  ret void
}

; args[0], args[1] = begin, end
define void @range(ptr %args, i64 %begin, i64 %end) nounwind {
  store i64 %begin, ptr %args
  %place = getelementptr i64, ptr %args, i64 1
  store i64 %end, ptr %place
  ret void
}

; halves[i] = smallest normal float / 2: 0 where a thread flushes denormals, else a denormal
define void @halve(ptr %args, i64 %begin, i64 %end) nounwind {
entry:
  br label %loop
loop:
  %i = phi i64 [%begin, %entry], [%next, %loop]
  %place = getelementptr float, ptr %args, i64 %i
  %old = load float, ptr %place
  %half = fmul float %old, 5.000000e-01
  store float %half, ptr %place
  %next = add i64 %i, 1
  %again = icmp slt i64 %next, %end
  br i1 %again, label %loop, label %done
done:
  ret void
}
"""
_module = llvm.load(llvm.compile_text(KERNELS))
COUNT = _module.address("count")
_regions = ctypes.CFUNCTYPE(None, *[ctypes.c_void_p] * 3, ctypes.c_int64, ctypes.c_int64)(_module.address("regions"))
PARKINGS = platform.parkings()


def regions(used: Pool, chunks: int, times: int) -> np.ndarray:
    """The counts (4 rows, chunks) after so many regions of `count`."""
    counts = np.zeros((4, chunks), np.int64)
    _regions(used.address, COUNT, counts.ctypes.data, chunks, times)
    return counts


def expected(chunks: int, times: int) -> np.ndarray:
    """What `regions` must find: each chunk of each region run once, on its own row."""
    each = np.array([(times + 3 - row) // 4 for row in range(4)])
    return each[:, None] * np.arange(1, chunks + 1)


@pytest.fixture(params=PARKINGS, ids=lambda parking: parking.name)
def make(request):
    """Makes pools with each way to sleep, and ends them."""
    made = []

    def pool_of(num_threads: int) -> Pool:
        made.append(Pool(num_threads, request.param))
        return made[-1]

    yield pool_of
    for used in made:
        used.stop()
        used.forget()


@pytest.fixture
def threads():
    """Restores the number of threads."""
    before = config.num_threads
    yield
    pool.set_num_threads(before)


@pytest.mark.parametrize(("num_threads", "times"), [(2, 500_000), (3, 50_000), (4, 20_000), (8, 10_000)])
def test_every_chunk_of_very_many_tiny_regions_runs_once(make, num_threads, times):
    used = make(num_threads)
    for chunks in (2, 7):
        np.testing.assert_array_equal(regions(used, chunks, times), expected(chunks, times))


def test_many_chunks_are_claimed_once_each(make):
    used = make(4)
    for chunks in (1, 2, 3, 31, 1000, 100_003):
        np.testing.assert_array_equal(regions(used, chunks, 20), expected(chunks, 20))


def test_no_ticket_is_used_twice(make):
    used = make(3)
    for number in (1, 2, 3):  # a worker that stalls while it claims must see another ticket, however many chunks are left
        regions(used, 5, 1)
        assert used._words[parallel.TICKET // 8] == number << 32


@pytest.mark.parametrize("chunks", [-3, 0])
def test_no_chunk_is_no_call(make, chunks):
    found = np.full(2, 7)
    for used in (make(2), Pool(1)):
        used.run(_module.address("range"), found.ctypes.data, chunks)
        assert found.tolist() == [7, 7]


def test_more_chunks_than_a_ticket_counts_run_in_the_caller(make):
    found = np.zeros(2, np.int64)
    make(2).run(_module.address("range"), found.ctypes.data, 2**33)
    assert found.tolist() == [0, 2**33]


def test_a_pool_of_one_has_no_address_and_runs_in_the_caller():
    used, counts = Pool(1), np.zeros(5, np.int64)
    used.run(COUNT, counts.ctypes.data, 5)
    assert used.address == 0
    np.testing.assert_array_equal(counts, np.arange(1, 6))


def test_workers_that_sleep_are_woken(make):
    used = make(3)
    asleep = used._words[parallel.SLEEPERS // 8 :]
    for _ in range(30):
        deadline = time.monotonic() + 20
        while asleep[0] < 2 and time.monotonic() < deadline:
            time.sleep(0.0005)
        assert asleep[0] == 2, "idle workers must sleep, not spin"
        np.testing.assert_array_equal(regions(used, 16, 3), expected(16, 3))


def test_regions_at_random_distances_meet_workers_in_every_state(make):
    used, random = make(3), np.random.default_rng(0)
    for pause in random.uniform(0, 300e-6, 400):
        end = time.perf_counter() + pause
        while time.perf_counter() < end:
            pass
        np.testing.assert_array_equal(regions(used, 5, 2), expected(5, 2))


def test_several_python_threads_share_a_pool(make):
    used, wrong = make(2), []

    def work(chunks: int) -> None:
        for _ in range(20):
            if not np.array_equal(regions(used, chunks, 500), expected(chunks, 500)):
                wrong.append(chunks)

    callers = [threading.Thread(target=work, args=(chunks,)) for chunks in (2, 3, 5, 64)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    assert not wrong


def test_a_region_inside_a_region_runs_in_the_thread_that_enters_it(make):
    used, chunks = make(4), 50
    args = np.zeros(2 + 8 * chunks, np.int64)
    args[:2] = used.address, COUNT
    for _ in range(200):
        used.run(_module.address("nested"), args.ctypes.data, chunks)
    np.testing.assert_array_equal(args[2:].reshape(chunks, 8), np.tile(200 * np.arange(1, 9), (chunks, 1)))


def test_workers_end_and_begin_while_regions_run(make):
    used, wrong, going = make(3), [], threading.Event()

    def work() -> None:
        while not going.is_set():
            if not np.array_equal(regions(used, 6, 300), expected(6, 300)):
                wrong.append(1)

    caller = threading.Thread(target=work)
    caller.start()
    for _ in range(40):
        used.stop()
        assert used.resting
        used.start()
    going.set()
    caller.join()
    assert not wrong


def test_the_number_of_threads_changes_while_regions_run(threads):
    wrong, going = [], threading.Event()

    def work() -> None:
        while not going.is_set():
            used = pool.current_pool()
            if used.address and not np.array_equal(regions(used, 6, 200), expected(6, 200)):
                wrong.append(used.num_threads)

    caller = threading.Thread(target=work)
    caller.start()
    for number in (2, 4, 1, 3, 2, 8, 1, 2) * 4:
        pool.set_num_threads(number)
        assert pool.get_num_threads() == pool.current_pool().num_threads == number
    going.set()
    caller.join()
    assert not wrong


def test_a_change_of_the_setting_alone_is_noticed(threads):
    config.num_threads = 3
    assert pool.current_pool().num_threads == 3
    config.num_threads = 1
    assert pool.current_pool().address == 0


@pytest.mark.parametrize("number", [0, -1, 2.5, True, "2", 5000])
def test_a_number_of_threads_that_cannot_be_is_refused(number):
    with pytest.raises(
        DanluError, match=rf"integer from 1 to 1024; it was given {number!r}.*Write for example set_num_threads\("
    ):
        pool.set_num_threads(number)


@pytest.mark.skipif(machine.machine() not in ("x86_64", "AMD64"), reason="sets MXCSR, the float mode of x86-64")
def test_workers_take_over_the_float_mode_of_the_caller(make):
    text = "declare void @llvm.x86.sse.ldmxcsr(ptr)\ndefine void @set(ptr %word) nounwind {\n"
    module = llvm.load(llvm.compile_text(text + "  call void @llvm.x86.sse.ldmxcsr(ptr %word)\n  ret void\n}"))
    set_mode = ctypes.PYFUNCTYPE(None, ctypes.c_void_p)(module.address("set"))
    used, tiny = make(3), np.finfo(np.float32).tiny
    for mode, half in ((0x9FC0, 0.0), (0x1F80, float(tiny) / 2)):  # flush to zero, then the default
        word = np.array([mode], np.uint32)
        for _ in range(50):
            values = np.full(5000, tiny)
            set_mode(word.ctypes.data)
            used.run(_module.address("halve"), values.ctypes.data, values.size)
            set_mode(np.array([0x1F80], np.uint32).ctypes.data)
            assert np.unique(values.view(np.int32)).tolist() == np.array([half], np.float32).view(np.int32).tolist()


@pytest.mark.parametrize("made_for", target.TARGETS, ids=lambda made_for: made_for.name)
@pytest.mark.parametrize("parking", PARKINGS, ids=lambda parking: parking.name)
def test_the_native_code_compiles_for_every_target(made_for, parking):
    text = platform.processor_text(made_for.arch) + parking.text + parallel.TEXT
    assert len(llvm.compile_text(text, level=2, machine=made_for)) > 500


def test_an_architecture_without_own_words_gets_none():
    assert "ret i64 0" in platform.processor_text("riscv64")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this platform has no fork")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # Python 3.12 warns of any fork beside threads
def test_a_forked_child_makes_its_own_workers(threads):
    pool.set_num_threads(3)
    going = threading.Event()

    def work() -> None:
        while not going.is_set():
            regions(pool.current_pool(), 6, 200)

    caller = threading.Thread(target=work)
    caller.start()
    try:
        for _ in range(5):
            child = os.fork()
            if child == 0:
                used = pool.current_pool()
                right = np.array_equal(regions(used, 9, 3000), expected(9, 3000)) and len(used._threads) == 2
                os._exit(0 if right else 1)
            assert os.waitpid(child, 0)[1] == 0
    finally:
        going.set()
        caller.join()
    np.testing.assert_array_equal(regions(pool.current_pool(), 9, 3000), expected(9, 3000))


START = "from danlu.runtime import pool; import threading, time; pool.set_num_threads(4); p = pool.current_pool()\n"
BUSY = """
import ctypes, numpy
from danlu.compile import llvm
module = llvm.load(llvm.compile_text("define void @f(ptr %a, i64 %b, i64 %e) nounwind { ret void }"))
def work():
    while True:
        p.run(module.address("f"), 0, 64)
threading.Thread(target=work, daemon=True).start()
time.sleep(0.05)
"""
LONG = """
import ctypes
from danlu.compile import llvm
module = llvm.load(llvm.compile_text("define void @f(ptr %a, i64 %b, i64 %e) nounwind {\\nstart:\\n  br label %on\\non:\\n"
    "  %x = load volatile i8, ptr %a\\n  br label %on\\n}"))
byte = ctypes.c_char()
threading.Thread(target=lambda: p.run(module.address("f"), ctypes.addressof(byte), 64), daemon=True).start()
time.sleep(0.05)
"""
ENDINGS = {
    "spinning": "",
    "asleep": "time.sleep(0.1)",
    "error": "raise SystemExit(0)",
    "busy": BUSY,
    "never done": LONG,
    "late": "import atexit; atexit.register(lambda: p.run(0, 0, 0) or pool.set_num_threads(2) or pool.current_pool())",
    "stopped": "pool.set_num_threads(1)",
}


@pytest.mark.parametrize("ending", ENDINGS)
def test_the_interpreter_ends_without_waiting_for_workers(ending):
    done = subprocess.run([sys.executable, "-c", START + ENDINGS[ending]], capture_output=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, b"")
