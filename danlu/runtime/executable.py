"""L4. A program that can run: machine code and its steps, or (DANLU_OPT=0) the NumPy references of its ops, one by one."""

from __future__ import annotations

import ast
import ctypes
import json
import struct
from collections.abc import Callable, Mapping, Sequence
from operator import attrgetter
from types import MappingProxyType
from typing import Any

import numpy as np

from danlu.compile import llvm
from danlu.compile.bfloat16 import in_float32
from danlu.compile.body import CALLBACK, ERROR, FIRST, NUMBERS, STEPS, WORKSPACE, Place
from danlu.compile.program import LibraryCall, Memory, Output, Program, Step, Turn
from danlu.dtype import DType, from_numpy
from danlu.errors import DanluError
from danlu.graph import SOURCE, Node, Spec, is_memory, known_as, toposort
from danlu.ops import TABLE
from danlu.ops.gather import index_error
from danlu.runtime import cache, steps
from danlu.runtime.buffers import Buffer, workspace
from danlu.runtime.pool import current_pool

_MAIN = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_void_p)
_LOOP = ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_void_p, ctypes.c_int64, ctypes.c_int64, ctypes.c_void_p)
_LIBRARY = ctypes.CFUNCTYPE(None, ctypes.POINTER(ctypes.c_uint64), ctypes.c_int64)
_ERROR = struct.Struct("qq")
_address = attrgetter("address")
TWO_63 = 2.0**63  # as a float: Python compares a float with a long integer in five times the time
Blamed = Callable[[DanluError, Sequence[Any], Sequence["float | int"]], DanluError]


def both_kinds(x: float | int) -> tuple[float | int, int]:
    """A Python number as a program is given it, as float64 and as int64: what it meets decides which is read."""
    return x, int(x) if -TWO_63 <= x < TWO_63 else 0


class _Executable:
    """What runs: `memory` for new results, `write` computes them, `arranged` says where all results lie."""

    memory: Callable[[], list[Buffer]]
    write: Callable[..., None]
    arranged: Callable[..., list[Buffer]]

    def run(self, inputs: Sequence[Buffer], numbers: Sequence[float | int]) -> list[Buffer]:
        """The results."""
        new = self.memory()
        self.write(inputs, numbers, new, [None])
        return self.arranged(inputs, new)


class Compiled(_Executable):
    """Native code with its table of addresses. `functions`: the code of the program's texts, where it is there already."""

    def __init__(self, compiled: Program, functions: Sequence[llvm.Module] | None = None) -> None:
        self.program, self.from_disk = compiled, functions is not None
        self.outputs = compiled.outputs
        self.fresh = [o.nbytes for o in compiled.outputs if o.same is None]
        kinds = [o.same[0] if o.same else "new" for o in compiled.outputs]
        fresh = iter(range(len(self.fresh)))
        # For each result: is it the memory of an input, and which one (or which new memory).
        self.arrangement = [
            (k in ("input", "over"), o.same[1] if o.same else next(fresh)) for k, o in zip(kinds, compiled.outputs)
        ]
        self.doubled = [n for n, k in enumerate(kinds) if k in ("input", "output")]
        self.functions = steps.modules(compiled.texts) if functions is None else functions  # held: their code lives as long
        self.counters = (ctypes.c_int64 * len(compiled.labels))()
        self.steps = steps.encoded(compiled.steps, self.functions, ctypes.addressof(self.counters) if compiled.labels else 0)
        self.steps_address = self.steps.buffer_info()[0]
        self.main = _MAIN(steps.runner().address("main")) if compiled.steps else None
        entries = FIRST + compiled.num_inputs + len(self.fresh)
        self.pack = struct.Struct(f"{entries}Q").pack
        self.workspace, self.checks = compiled.workspace, compiled.checks
        self.library = _LIBRARY(self._library_call) if compiled.calls else None
        self.library_address = ctypes.cast(self.library, ctypes.c_void_p).value if self.library else 0
        self.failure: BaseException | None = None
        self.pack_numbers: Any = None
        self.unrehearsed = 3  # runs from which a script may be learned (danlu/rehearsal.py)

    def ticks(self) -> list[int]:
        """Of a profiled program: what the counters of its kernels say (`Program.labels`)."""
        return list(self.counters)

    def memory(self, given: Mapping[int, Buffer] = MappingProxyType({})) -> list[Buffer]:
        """New memory, for the results that are not in that of an input. `given`: what some of them lie in."""
        return [given.get(k) or Buffer(n) for k, n in enumerate(self.fresh)] if given else list(map(Buffer, self.fresh))

    def write(self, inputs: Sequence[Buffer], numbers: Sequence[float | int], new: list[Buffer], ran: list[Any]) -> None:
        """Computes the results. `ran[0]` says that this is done, also where a signal's handler raises just then."""
        if self.main is None:
            ran[0] = b""
            return
        if self.pack_numbers is None:
            self.pack_numbers = struct.Struct("qq" + "dq" * (len(numbers) // 2)).pack
        room = workspace(self.workspace) if self.workspace else None
        data = self.pack_numbers(0, 0, *numbers)  # where an error is reported, then the numbers
        address = id(data) + _BYTES
        table = self.pack(
            address if self.checks else 0,
            address + 16,
            self.library_address,
            room.address if room is not None else 0,
            self.steps_address,
            0,
            *map(_address, inputs),
            *map(_address, new),
        )
        pool = current_pool().address or None
        try:
            self.main(table, pool)  # type: ignore[misc]
        finally:
            ran[0] = data
        if self.checks or self.failure is not None:
            self.check(ran)

    def check(self, ran: list[Any]) -> None:
        """Raises what the run has reported, if that is an error; then it is as if the program had not run."""
        data = ran[0]
        if self.failure is not None:
            ran[0], failure, self.failure = None, self.failure, None
            raise failure
        if self.checks:
            size, position = _ERROR.unpack_from(data)
            if size:
                ran[0] = None
                raise index_error(position, size - 1)

    def arranged(self, inputs: Sequence[Buffer], new: list[Buffer]) -> list[Buffer]:
        """The memory of all results: new, or that of an input where they are the same."""
        if len(new) == len(self.outputs):
            return new
        result = [(inputs if old else new)[k] for old, k in self.arrangement]
        for k in self.doubled:
            result[k].shared = True
        return result

    def _library_call(self, table: Any, number: int) -> None:
        """Runs one opaque op on the memory of the program; an exception is kept until the program has returned."""
        call = self.program.calls[number]
        try:
            results = TABLE[call.op].numpy(
                *[_array(table, m) for m in call.inputs], **dict(zip(TABLE[call.op].attrs, call.attrs))
            )  # type: ignore[misc]
            for memory, result in zip(call.outputs, results if isinstance(results, tuple) else (results,)):
                if memory is not None and memory[2].size:
                    _array(table, memory)[...] = result
        except BaseException as error:  # it must not pass through native code; `check` raises it
            self.failure = self.failure or error
            ctypes.c_int64.from_address(table[ERROR]).value = -1  # the program must not overwrite anything now


class Bound:
    """A program with a table of addresses that stays: between two runs only what is new is written into it.

    `set_input(k, buffer)`, `set_result(k, buffer)` (of the new results, `Compiled.fresh`), `set_number(k, x)`, then `run()`.
    `blamed(error, inputs, numbers)` finds the words for an error in the data.
    """

    def __init__(self, executable: Compiled, num_inputs: int, numbers: Sequence[float | int], blamed: Blamed) -> None:
        self.executable, self.num_results, self.blamed = executable, len(executable.fresh), blamed
        self.first_input, self.first_result = FIRST, FIRST + num_inputs
        self.table = (ctypes.c_uint64 * (self.first_result + self.num_results))()
        self.numbers = bytearray(struct.pack("dq" * (len(numbers) // 2), *numbers))
        self.error = (ctypes.c_int64 * 2)()
        fixed = ctypes.c_char.from_buffer(self.numbers) if self.numbers else self.error
        checks = ctypes.addressof(self.error) if executable.program.checks else 0
        self.table[ERROR], self.table[NUMBERS] = checks, ctypes.addressof(fixed)
        self.table[CALLBACK], self.table[STEPS] = executable.library_address or 0, executable.steps_address
        self.address = ctypes.addressof(self.table)

    def set_input(self, k: int, buffer: Buffer) -> None:
        """Input k lies there from now on."""
        self.table[FIRST + k] = buffer.address

    def set_result(self, k: int, buffer: Buffer) -> None:
        """New result k is written there from now on."""
        self.table[self.first_result + k] = buffer.address

    def set_number(self, k: int, x: float | int) -> None:
        """Number k, as both types that a program may take it for."""
        struct.pack_into("dq", self.numbers, 16 * k, *both_kinds(x))

    def run(self) -> None:
        """Runs once, on the memory that the table names."""
        executable = self.executable
        if executable.main is None:
            return
        room = workspace(executable.program.workspace)
        self.table[WORKSPACE] = room.address
        executable.main(self.address, current_pool().address or None)
        if executable.failure is not None or self.error[0]:
            self._raise(self.table)

    def run_many(self, tables: np.ndarray) -> int:
        """Runs once for each table, uint64 [runs, entries]; says how many ran: `check` raises the error of the next one."""
        executable = self.executable
        if executable.main is None:
            return len(tables)
        room = workspace(executable.program.workspace)
        tables[:, WORKSPACE] = room.address
        loop = _LOOP(steps.runner().address("loop"))
        return loop(tables.ctypes.data, len(tables), tables.strides[0], current_pool().address or None)

    def check(self, table: np.ndarray) -> None:
        """Raises the error that the last run, which had this table, reported, if it did."""
        if self.executable.failure is not None or self.error[0]:
            self._raise(table.tolist())

    def _raise(self, table: Any) -> None:
        (size, position), self.error[0] = tuple(self.error), 0
        failure, self.executable.failure = self.executable.failure, None
        numbers = struct.unpack("dq" * (len(self.numbers) // 16), ctypes.string_at(table[NUMBERS], len(self.numbers)))
        inputs = [_Input(table, k) for k in range(self.first_input, self.first_result)]
        error = failure or index_error(position, size - 1)
        raise self.blamed(error, inputs, numbers) if isinstance(error, DanluError) else error


class _Input:
    """Memory that a table names, to be read."""

    def __init__(self, table: Any, entry: int) -> None:
        self.table, self.entry = table, entry

    def as_numpy(self, shape: tuple[int, ...], dtype: Any) -> np.ndarray:
        """The memory as an array."""
        return _array(self.table, (self.entry, 0, Spec(shape, from_numpy(dtype))))


def _array(table: Any, memory: Memory) -> np.ndarray:
    """Memory of a running program as an array."""
    entry, offset, spec = memory
    nbytes = spec.size * spec.dtype.itemsize
    raw: Any = (ctypes.c_char * nbytes).from_address(table[entry] + offset) if nbytes else b""
    return np.frombuffer(raw, spec.dtype.numpy).reshape(spec.shape)


def _offset() -> int:
    """How far behind its object the bytes of a `bytes` lie."""
    data = bytes(16)
    return (ctypes.cast(data, ctypes.c_void_p).value or 0) - id(data)  # type: ignore[arg-type]


_BYTES = _offset()


class Interpreted(_Executable):
    """The ops of a graph by their NumPy references."""

    def __init__(self, roots: Sequence[Node], replace: dict[int, Node]) -> None:
        self.roots, self.replace = in_float32(list(roots), replace)
        self.order = toposort([*self.replace.values(), *self.roots], stop=lambda n: id(n) in self.replace)

    def memory(self, given: Mapping[int, Buffer] = MappingProxyType({})) -> list[Buffer]:
        """An empty list: `run` fills it."""
        return []

    def write(self, inputs: Sequence[Buffer], numbers: Sequence[float | int], new: list[Buffer], ran: list[Any]) -> None:
        """Computes the results; see `Compiled.write`."""
        values: dict[int, np.ndarray] = {}
        for node in self.order:
            if id(node) not in self.replace:
                values[id(node)] = self._value(node, values, inputs, numbers)
        new[:] = [_to_buffer(values[id(known_as(r, self.replace))]) for r in self.roots]
        ran[0] = b""

    def check(self, ran: list[Any]) -> None:
        """Nothing: errors are raised where they are met."""

    def arranged(self, inputs: Sequence[Buffer], new: list[Buffer]) -> list[Buffer]:
        """The memory of all results."""
        return new

    def failure(self, inputs: Sequence[Buffer], numbers: Sequence[float | int]) -> tuple[DanluError, int] | None:
        """The error of the first op that finds one in its data, and for which root it was computed; None where all is well."""
        values: dict[int, np.ndarray] = {}
        for k, root in enumerate(self.roots):
            for node in toposort([root], stop=lambda n: id(known_as(n, self.replace)) in values or id(n) in self.replace):
                node = known_as(node, self.replace)
                try:
                    if id(node) not in values:
                        values[id(node)] = self._value(node, values, inputs, numbers)
                except DanluError as error:
                    return error, k
        return None

    def _value(self, node: Node, values: dict, inputs: Sequence[Buffer], numbers: Sequence[float | int]) -> np.ndarray:
        if is_memory(node):
            return inputs[node.attrs[0]].as_numpy(node.shape, node.dtype.numpy)
        if node.op.family == SOURCE and node.op.attrs[0] == "slot":
            return np.asarray(numbers[2 * node.attrs[0]]).astype(node.dtype.numpy)
        arrays = [values[id(known_as(x, self.replace))] for x in node.inputs]
        result = node.op.numpy(*arrays, **node.named_attrs)  # type: ignore[misc]
        if isinstance(result, tuple):
            return result  # type: ignore[return-value]  # `pick` takes it apart
        return np.asarray(result).astype(node.dtype.numpy, copy=False)


def _to_buffer(array: np.ndarray) -> Buffer:
    """A copy of an array in memory of its own."""
    buffer = Buffer(array.nbytes)
    buffer.as_numpy(array.shape, array.dtype)[...] = array
    return buffer


def compiled(key: str, make: Callable[[], tuple[Program, dict]], kept: bool = True) -> tuple[Compiled, dict]:
    """The program of a key, from the disk cache or made now; and what `make` wants to be kept beside it. Without `kept` it is not on disk."""
    found = cache.get(key) if kept else None
    if found is not None:
        program_found, keys, extra = _unpack(found)
        functions = [f for f in map(steps.known, keys) if f is not None]
        if len(functions) == len(keys):
            return Compiled(program_found, functions), extra
    made, extra = make()
    executable = Compiled(made)
    if kept:
        cache.put(key, _pack(made, extra))
    return executable, extra


# ---- programs as bytes ------------------------------------------------------------------------------------------------------


def _pack(p: Program, extra: dict) -> bytes:
    """A program as bytes for the disk cache, which has the code of its kernels by their keys."""
    fields = {
        "inputs": p.num_inputs, "workspace": p.workspace, "checks": p.checks, "extra": extra,
        "kernels": list(map(steps.key_of, p.texts)),
        "steps": [
            [s.kind, s.number, s.chunks, s.label, [[x.entry, x.offset] for x in s.places], [[t.number, t.places] for t in s.turns], s.each, s.count]
            for s in p.steps
        ],
        "outputs": [[o.nbytes, o.same] for o in p.outputs],
        "calls": [[c.op, repr(_plain(c.attrs)), list(map(_plain_memory, c.inputs)), list(map(_plain_memory, c.outputs))] for c in p.calls],
    }  # fmt: skip
    return json.dumps(fields).encode()


def _unpack(data: bytes) -> tuple[Program, list[str], dict]:
    """A program without its texts, their keys, and what was kept beside it."""
    head = json.loads(data)
    outputs = [Output(n, (same[0], same[1]) if same else None) for n, same in head["outputs"]]
    calls = [
        LibraryCall(op, _attrs(ast.literal_eval(attrs)), tuple(map(_memory, inputs)), tuple(m and _memory(m) for m in results))
        for op, attrs, inputs, results in head["calls"]
    ]
    listed = [
        Step(
            kind,
            n,
            chunks,
            label,
            tuple(Place(*x) for x in places),
            tuple(Turn(k, tuple(map(tuple, at))) for k, at in turns),
            each,
            count,
        )
        for kind, n, chunks, label, places, turns, each, count in head["steps"]
    ]
    found = Program(listed, [], head["inputs"], outputs, head["workspace"], head["checks"], calls)
    return found, head["kernels"], head["extra"]


def _plain(attrs: Any) -> Any:
    """Attributes as literals; a dtype as ("dtype", name)."""
    if isinstance(attrs, tuple):
        return tuple(map(_plain, attrs))
    return ("dtype", attrs.name) if isinstance(attrs, DType) else attrs


def _attrs(plain: Any) -> Any:
    if isinstance(plain, tuple):
        return from_numpy(plain[1]) if len(plain) == 2 and plain[0] == "dtype" else tuple(map(_attrs, plain))
    return plain


def _plain_memory(memory: Memory | None) -> list | None:
    return memory and [memory[0], memory[1], list(memory[2].shape), memory[2].dtype.name]


def _memory(plain: list) -> Memory:
    entry, offset, shape, dtype = plain
    return entry, offset, Spec(tuple(shape), from_numpy(dtype))
