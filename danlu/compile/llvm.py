"""L3. LLVM: text of IR in, native object code out, and object code in, addresses out. The only importer of llvmlite.

llvmlite loads a library of 150 MB (45 ms from a warm disk cache, 180 ms cold), so it is imported at the first call.
LLVM itself works under one lock, here as in llvmlite: several threads may call, one at a time is served, and the GIL
is free meanwhile.
"""

from __future__ import annotations

import functools
import itertools
import os
import re
import sys
import threading
from dataclasses import dataclass

from danlu.config import config
from danlu.errors import DanluError
from danlu.messages import Phrase

# Which pipeline pays (LLVM 22, Zen 4; a 12x32 GEMM kernel with its accumulators in alloca, a vectorised sigmoid):
#
# | pipeline (two numbers: GEMM, sigmoid)           | passes, ms  | code, ms  | GEMM, GFLOP/s | sigmoid, ns |
# |-------------------------------------------------|-------------|-----------|---------------|-------------|
# | none                                            | 0.0   0.0   | 4.5   4.9 |          47.6 |       0.975 |
# | sroa                                            | 0.3   0.2   | 3.5   4.9 |         102.9 |       0.976 |
# | sroa, instruction_combine, simplify_cfg         | 0.9   0.5   | 3.7   5.1 |         102.8 |       0.975 |
# | the same and new_gvn                            | 1.3   0.7   | 3.7   4.8 |         103.0 |       0.976 |
# | O1 without vectorisers and unrolling            | 3.7   3.3   | 3.6   5.2 |         102.6 |       0.975 |
# | O2 without vectorisers and unrolling            | 4.7   3.9   | 4.1   5.6 |         103.3 |       0.976 |
# | O3 with all of it                               | 6.8   8.7   | 6.9  15.6 |         102.9 |       0.974 |
#
# Beside sroa and simplify_cfg the other two take a tenth of the time of LLVM (encoder: 80 of 640 ms), and no step or kernel of bench/ is
# faster for them: what is the same is computed once in the IR already.
# Code generation: optimisation 0 halves its time and gives 22 GFLOP/s; 1 takes a tenth less than 2, and every step of bench/ takes the
# same time with it and gives the same bits.
_PASSES = ("sroa", "simplify_cfg")
_CODE_GENERATION = 1

_names = itertools.count()


class _Turns:
    """One thread at a time, outside llvmlite's own lock. A fork takes its turn, so that no child inherits a lock that is held.

    Who waits next holds the gate: else a thread that compiles in a loop would never let a fork through. Not re-entrant.
    """

    def __init__(self) -> None:
        self._gate, self._lock = threading.Lock(), threading.Lock()

    def __enter__(self) -> None:
        with self._gate:
            self._lock.acquire()
        _dropped.clear()

    def __exit__(self, *error) -> None:
        self._lock.release()

    def reset(self) -> None:
        """In a forked child: a thread of the parent may have waited at the gate."""
        self._gate = threading.Lock()
        self._lock.release()


_dropped: list = []  # code of modules that nobody has any more; unloaded in the next turn, as that needs LLVM
_turn = _Turns()


class CompileError(DanluError, RuntimeError):
    """LLVM refuses IR or object code that danlu made: an error of danlu, never of the user."""


@dataclass(frozen=True)
class Machine:
    """What code is made for, in LLVM's words: target triple, CPU name, features such as `+avx2,-sse4a`."""

    triple: str
    cpu: str
    features: str


@functools.cache
def _binding():
    """llvmlite.binding with this computer's target ready."""
    from llvmlite import binding

    binding.initialize_native_target()
    binding.initialize_native_asmprinter()
    return binding


@functools.cache
def _every_target() -> None:
    """Makes the other targets ready too: 12 MiB and 10 ms."""
    _binding().initialize_all_targets()
    _binding().initialize_all_asmprinters()


@functools.cache
def version() -> str:
    """llvmlite's version and LLVM's, as they enter the key of a cached program."""
    import llvmlite

    with _turn:
        return f"llvmlite {llvmlite.__version__} LLVM {'.'.join(map(str, _binding().llvm_version_info))}"


@functools.cache
def host_machine() -> Machine:
    """The machine that this process runs on."""
    with _turn:
        binding = _binding()
        triple = binding.get_process_triple()
        features = binding.get_host_cpu_features().flatten()
        cpu = binding.get_host_cpu_name()
    if os.name == "nt":
        triple += "-elf"  # LLVM's linker loads ELF everywhere; its COFF loader lacks relocations
    if "+avx512f" in features:
        features += ",-prefer-256-bit"  # our kernels ask for 512-bit vectors and mean it
    return Machine(triple, cpu, features)


@functools.lru_cache(maxsize=16)
def _target_machine(machine: Machine):
    """LLVM's target machine: position independent, small code model, so that rodata is reached from %rip."""
    if machine.triple.partition("-")[0] != _binding().get_process_triple().partition("-")[0]:
        _every_target()
    target = _binding().Target.from_triple(machine.triple)
    return target.create_target_machine(machine.cpu, machine.features, opt=_CODE_GENERATION, reloc="pic", codemodel="small")


def _parse(text: str):
    """The verified module of a text of IR, in a context of its own."""
    binding = _binding()
    try:
        module = binding.parse_assembly(text, binding.create_context())
        module.verify()
    except RuntimeError as error:
        raise CompileError(_blame(text, str(error))) from None
    return module


def _blame(text: str, message: str) -> Phrase:
    """LLVM's message with the line of the IR that it speaks of: a number in a parse error, the text in a verifier's."""
    lines = text.splitlines()
    found = re.search(r":(\d+):\d+: error: ([^\n]*)", message)
    if found:
        number = int(found[1])
    else:
        said = {line.strip() for line in message.splitlines()}
        number = next((i for i, line in enumerate(lines, 1) if line.strip() and line.strip() in said), 0)
    known = 0 < number <= len(lines)
    place = Phrase("line {number}: {line}", number=number, line=lines[number - 1].strip()) if known else Phrase("an unknown line")
    problem = found[2] if found else message.strip()
    return Phrase("danlu made LLVM IR that LLVM refuses, at {place}\n{problem}", place=place, problem=problem)


def _optimize(module, machine, level: int) -> None:
    """Runs the passes of a level on a module in place."""
    binding = _binding()
    options = binding.create_pipeline_tuning_options(level)
    options.loop_vectorization = options.slp_vectorization = options.loop_interleaving = options.loop_unrolling = False
    builder = binding.create_pass_builder(machine, options)
    if level >= 2:
        builder.getModulePassManager().run(module, builder)
        return
    passes = binding.create_new_function_pass_manager()
    for name in _PASSES:
        getattr(passes, f"add_{name}_pass")()
    for function in module.functions:
        if not function.is_declaration:
            passes.run(function, builder)


def _lower(text: str, machine: Machine, level: int):
    """The optimised module of a text and LLVM's target machine."""
    native = _target_machine(machine)
    module = _parse(text)
    module.triple = native.triple
    module.data_layout = str(native.target_data)
    if level:
        _optimize(module, native, level)
    return module, native


def compile_text(text: str, level: int = 1, machine: Machine | None = None) -> bytes:
    """Native object code of a text of LLVM IR.

    level 0 runs no pass, 1 the two that pay for our IR, 2 and 3 LLVM's own pipelines without vectorisers and unrolling
    (they know loop-invariant code motion, and cost 3 ms and more a module). Without `machine`, for this computer.
    `DANLU_LOG=llvm` prints the module after the passes, `DANLU_LOG=asm` the machine's assembly.

    Raises CompileError with the line of IR that LLVM refuses.

    >>> len(compile_text("define i32 @two() { ret i32 2 }")) > 100
    True
    """
    machine = machine or host_machine()
    with _turn:
        return _object(text, machine, level)  # a call of its own: LLVM's module goes before the turn ends


def _object(text: str, machine: Machine, level: int) -> bytes:
    module, native = _lower(text, machine, level)
    if "llvm" in config.log:
        print(module, file=sys.stderr)
    if "asm" in config.log:
        print(native.emit_assembly(module), file=sys.stderr)
    return native.emit_object(module)


def assembly(text: str, level: int = 1, machine: Machine | None = None) -> str:
    """The assembly that `compile_text` would turn into object code."""
    machine = machine or host_machine()
    with _turn:
        return _assembly(text, machine, level)


def _assembly(text: str, machine: Machine, level: int) -> str:
    module, native = _lower(text, machine, level)
    return native.emit_assembly(module)


@functools.cache
def _linker(machine: Machine):
    """LLVM's JIT linker. One object loads in 0.11 ms (RTDyld 0.09, but it may place rodata out of reach; MCJIT 0.85)."""
    binding = _binding()
    return binding.create_lljit_compiler(_target_machine(machine), use_jit_link=True, suppress_errors=True)


class Module:
    """Object code in memory; its addresses hold as long as it lives."""

    __slots__ = ("__weakref__", "_addresses", "_name", "_trackers")

    def __init__(self, name: str, tracker) -> None:
        self._name, self._trackers = name, [tracker]  # LLVM unloads the code when any tracker of it is dropped
        self._addresses: dict[str, int] = {}

    def __del__(self, dropped: list = _dropped) -> None:  # bound here: at exit the module's own names go first
        dropped.extend(self._trackers)

    def address(self, symbol: str) -> int:
        """The address of a function or a constant; CompileError where the object has no such symbol."""
        found = self._addresses.get(symbol)
        return self._look_up(symbol) if found is None else found

    def _look_up(self, symbol: str) -> int:
        machine = host_machine()
        with _turn:
            try:
                tracker = _linker(machine).lookup(self._name, symbol)
            except RuntimeError as error:
                raise CompileError(
                    "the object code has no symbol {symbol!r} that could be linked: {error}", symbol=symbol, error=error
                ) from None
            self._trackers.append(tracker)
        return self._addresses.setdefault(symbol, tracker[symbol])


def load(code: bytes) -> Module:
    """Places object code in memory; no IR is parsed. It may call the C library's functions (memset, fmodf).

    >>> import ctypes
    >>> module = load(compile_text("define i32 @two() { ret i32 2 }"))
    >>> ctypes.CFUNCTYPE(ctypes.c_int)(module.address("two"))()
    2
    """
    name = f"danlu{next(_names)}"
    machine = host_machine()
    with _turn:
        library = _binding().JITLibraryBuilder().add_object_img(code).add_current_process()
        try:
            return Module(name, library.link(_linker(machine), name))
        except RuntimeError as error:
            raise CompileError("object code of {count} bytes cannot be linked: {error}", count=len(code), error=error) from None


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_turn.__enter__, after_in_parent=_turn.__exit__, after_in_child=_turn.reset)
