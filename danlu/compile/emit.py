"""L3. The emitter `b`: one function of LLVM IR, written as text, one line an instruction.

A rule such as `emit(b, x, y)` of an op speaks this language. Every value knows its dtype and how many lanes it has (1: a
scalar, W: a vector `<W x T>`); a scalar that meets a vector is splatted. bool is `i1` in registers and `i8` in memory,
float16 is float32 in registers. Only `contract` is set among LLVM's fast-math flags: a*b+c may become one fma, nothing else.
"""

from __future__ import annotations

import functools
import struct
from collections.abc import Callable, Iterable

from danlu import dtype as dt
from danlu.dtype import DType

_IR = {"bool": "i1", "uint8": "i8", "int8": "i8", "int16": "i16", "int32": "i32", "int64": "i64", "uint16": "i16", "uint32": "i32",
       "uint64": "i64", "float16": "half", "float32": "float", "float64": "double"}  # fmt: skip
_SUFFIX = {"float": "f32", "double": "f64", "half": "f16"}
_COMPARE = {"lt": ("olt", "slt", "ult"), "le": ("ole", "sle", "ule"), "gt": ("ogt", "sgt", "ugt"),
            "ge": ("oge", "sge", "uge"), "eq": ("oeq", "eq", "eq"), "ne": ("une", "ne", "ne")}  # fmt: skip


@functools.cache
def ir_type(dtype: DType, lanes: int = 1) -> str:
    """LLVM's name of a register type: `float`, `<16 x float>`, `i1`."""
    scalar = _IR[dtype.name]
    return scalar if lanes == 1 else f"<{lanes} x {scalar}>"


def literal(value, dtype: DType) -> str:
    """A constant as LLVM reads it back bit for bit: floats as the hexadecimal bits of a double."""
    if dtype.kind == "f":
        value = float(dtype.numpy.type(value))
        return f"0x{struct.unpack('<Q', struct.pack('<d', value))[0]:016X}"
    if dtype is dt.bool_:
        return "true" if value else "false"
    return str(int(value))


# Text of `Emitter.rarely`: the rule for one element, and a loop over the lanes that want it.
_ONE = """define internal {type} @{name}({inputs}) noinline cold {{
{body}
  ret {type} {result}
}}"""
_EACH = """define internal <{lanes} x {type}> @{name}.x{lanes}(<{lanes} x i1> %c, <{lanes} x {type}> %y, {inputs}) noinline cold
{{
entry:
  br label %head
head:
  %i = phi i32 [ 0, %entry ], [ %j, %next ]
  %r = phi <{lanes} x {type}> [ %y, %entry ], [ %s, %next ]
  %wanted = extractelement <{lanes} x i1> %c, i32 %i
  br i1 %wanted, label %slow, label %next
slow:
{extract}
  %z = call {type} @{name}({given})
  %w = insertelement <{lanes} x {type}> %r, {type} %z, i32 %i
  br label %next
next:
  %s = phi <{lanes} x {type}> [ %r, %head ], [ %w, %slow ]
  %j = add i32 %i, 1
  %more = icmp ult i32 %j, {lanes}
  br i1 %more, label %head, label %end
end:
  ret <{lanes} x {type}> %s
}}"""


def _parameters(xs: Iterable[Value], lanes: int) -> str:
    return ", ".join(f"{ir_type(x.dtype, lanes)} %x{k}" for k, x in enumerate(xs))


class Value:
    """A register or a constant: its text, its dtype, its number of lanes."""

    __slots__ = ("dtype", "lanes", "ref")

    def __init__(self, ref: str, dtype: DType, lanes: int = 1) -> None:
        self.ref, self.dtype, self.lanes = ref, dtype, lanes

    @property
    def type(self) -> str:
        """LLVM's name of this value's type."""
        return ir_type(self.dtype, self.lanes)

    def __repr__(self) -> str:
        return f"{self.type} {self.ref}"


class Emitter:
    """Writes one function. `lines` is its body, `declared` what the module must hold beside it: declarations of intrinsics,
    tables and internal functions, each the same text wherever it is asked for."""

    def __init__(self, declared: set[str] | None = None) -> None:
        self.lines: list[str] = []
        self.declared: set[str] = set() if declared is None else declared
        self.count = 0
        self.scales = False  # whether the machine multiplies by powers of two in one instruction: without it LLVM calls a library

    # ---- the text itself -------------------------------------------------------------------------------------------
    def name(self, stem: str = "v") -> str:
        """A new register or label name."""
        self.count += 1
        return f"%{stem}{self.count}"

    def line(self, text: str) -> None:
        """One instruction that gives no value."""
        self.lines.append("  " + text)

    def instruction(self, text: str, dtype: DType, lanes: int = 1) -> Value:
        """One instruction that gives a value."""
        ref = self.name()
        self.lines.append(f"  {ref} = {text}")
        return Value(ref, dtype, lanes)

    def label(self, label: str) -> None:
        """Begins a basic block; `label` as `name()` gave it, with its `%`."""
        self.lines.append(f"{label[1:]}:")

    def call(self, function: str, result: DType, lanes: int, *args: Value) -> Value:
        """A call of an LLVM intrinsic or a declared function on registers; declares it."""
        types = ", ".join(a.type for a in args)
        self.declared.add(f"declare {ir_type(result, lanes)} @{function}({types})")
        given = ", ".join(map(repr, args))
        return self.instruction(f"call {ir_type(result, lanes)} @{function}({given})", result, lanes)

    def table(self, name: str, values: tuple[int, ...], index: Value, dtype: DType) -> Value:
        """values[index] for one scalar index, from a constant table of the module."""
        kind = ir_type(dtype)
        numbers = ", ".join(f"{kind} {literal(v, dtype)}" for v in values)
        self.declared.add(f"@{name} = internal constant [{len(values)} x {kind}] [{numbers}]")
        place = self.name("place")
        self.line(f"{place} = getelementptr {kind}, ptr @{name}, {index!r}")
        return self.instruction(f"load {kind}, ptr {place}", dtype)

    def rarely(self, name: str, c: Value, y: Value, rule: Callable[..., Value], *xs: Value) -> Value:
        """y, but rule(b, *xs) in the lanes where c is true. The rule's code stands in a function of its own, works on one element
        at a time, and is reached only if some lane needs it: for arguments that are seldom and dear. Begins a new block."""
        c, y, *rest = self.match(c, y, *xs)
        function = self._outside(f"{name}.{y.dtype.name}", y, rule, rest)
        before, slow, after = self.name("before"), self.name("slow"), self.name("after")
        self.line(f"br label {before}")
        self.label(before)
        c = self.instruction(f"freeze {c!r}", dt.bool_, c.lanes)  # lanes beyond the end of an array may hold anything
        needed = c if c.lanes == 1 else self.call(f"llvm.vector.reduce.or.v{c.lanes}i1", dt.bool_, 1, c)
        seldom = self.call("llvm.expect.i1", dt.bool_, 1, needed, self.const(False, dt.bool_))
        self.line(f"br {seldom!r}, label {slow}, label {after}")
        self.label(slow)
        given = ", ".join(map(repr, rest if c.lanes == 1 else (c, y, *rest)))
        z = self.instruction(f"call {y.type} @{function}({given})", y.dtype, y.lanes)
        self.line(f"br label {after}")
        self.label(after)
        return self.instruction(f"phi {y.type} [ {y.ref}, {before} ], [ {z.ref}, {slow} ]", y.dtype, y.lanes)

    def _outside(self, name: str, y: Value, rule: Callable[..., Value], xs: list[Value]) -> str:
        """The name of the function that computes the rule for such values; it is put beside this one."""
        one, kind, single = Emitter(self.declared), ir_type(y.dtype), _parameters(xs, 1)
        result = rule(one, *(Value(f"%x{k}", x.dtype) for k, x in enumerate(xs)))
        self.declared.add(_ONE.format(name=name, type=kind, inputs=single, body="\n".join(one.lines), result=result.ref))
        if y.lanes == 1:
            return name
        extract = "\n".join(f"  %e{k} = extractelement {x.type} %x{k}, i32 %i" for k, x in enumerate(xs))
        self.declared.add(_EACH.format(name=name, lanes=y.lanes, type=kind, inputs=_parameters(xs, y.lanes), extract=extract,
                                       given=single.replace("%x", "%e")))  # fmt: skip
        return f"{name}.x{y.lanes}"

    def size(self, n: int) -> str:
        """A number that follows from the shapes, where another one would do as well: a bound of a loop. Here the number itself; a
        kernel gets it as an argument (body.py)."""
        return str(n)

    # ---- constants and lanes ---------------------------------------------------------------------------------------
    def const(self, value, dtype: DType) -> Value:
        """A scalar constant; it becomes a vector where it meets one."""
        return Value(literal(value, dtype), dtype)

    def splat(self, x: Value, lanes: int) -> Value:
        """`x` in every lane."""
        if x.lanes == lanes:
            return x
        if not x.ref.startswith("%"):
            return Value(f"splat ({ir_type(x.dtype)} {x.ref})", x.dtype, lanes)
        one = self.instruction(f"insertelement {ir_type(x.dtype, lanes)} poison, {x!r}, i32 0", x.dtype, lanes)
        return self.instruction(f"shufflevector {one!r}, {one.type} poison, <{lanes} x i32> zeroinitializer", x.dtype, lanes)

    def lane_numbers(self, lanes: int, dtype: DType = dt.int64) -> Value:
        """The constant vector 0, 1, 2 … lanes-1."""
        if lanes == 1:
            return self.const(0, dtype)
        return Value("<" + ", ".join(f"{ir_type(dtype)} {i}" for i in range(lanes)) + ">", dtype, lanes)

    def match(self, *xs: Value) -> list[Value]:
        """All operands with as many lanes as the widest."""
        lanes = max([x.lanes for x in xs])
        return [x if x.lanes == lanes else self.splat(x, lanes) for x in xs]

    # ---- arithmetic ------------------------------------------------------------------------------------------------
    def _binary(self, floating: str, signed: str, unsigned: str, x: Value, y: Value) -> Value:
        x, y = self.match(x, y)
        kind = x.dtype.kind
        word = f"{floating} contract" if kind == "f" else signed if kind == "i" else unsigned
        return self.instruction(f"{word} {x!r}, {y.ref}", x.dtype, x.lanes)

    def add(self, x: Value, y: Value) -> Value:
        """x + y"""
        return self._binary("fadd", "add", "add", x, y)

    def sub(self, x: Value, y: Value) -> Value:
        """x - y"""
        return self._binary("fsub", "sub", "sub", x, y)

    def mul(self, x: Value, y: Value) -> Value:
        """x * y"""
        return self._binary("fmul", "mul", "mul", x, y)

    def div(self, x: Value, y: Value) -> Value:
        """x / y; integers round towards zero, and y must not be 0 there (a trap in hardware)."""
        return self._binary("fdiv", "sdiv", "udiv", x, y)

    def rem(self, x: Value, y: Value) -> Value:
        """The remainder of `div`; of integers only."""
        return self._binary("frem", "srem", "urem", x, y)

    def neg(self, x: Value) -> Value:
        """-x"""
        if x.dtype.kind == "f":
            return self.instruction(f"fneg {x!r}", x.dtype, x.lanes)
        return self.sub(self.const(0, x.dtype), x)

    def fma(self, x: Value, y: Value, z: Value) -> Value:
        """x * y + z with one rounding; floats only."""
        return self._intrinsic("fma", x, y, z)

    def scaled(self, x: Value, n: Value) -> Value:
        """x · 2ⁿ with one rounding, of float32 and int32."""
        x, n = self.match(x, n)
        lanes = "" if x.lanes == 1 else f"v{x.lanes}"
        return self.call(f"llvm.ldexp.{lanes}f32.{lanes}i32", x.dtype, x.lanes, x, n)

    def rounded(self, x: Value) -> Value:
        """x, which no multiply-add may take in as an unrounded product."""
        return self._intrinsic("arithmetic.fence", x) if x.dtype.kind == "f" else x

    def _intrinsic(self, name: str, *xs: Value) -> Value:
        matched = self.match(*xs)
        x = matched[0]
        lanes = "" if x.lanes == 1 else f"v{x.lanes}"
        scalar = ir_type(x.dtype)
        return self.call(f"llvm.{name}.{lanes}{_SUFFIX.get(scalar, scalar)}", x.dtype, x.lanes, *matched)

    def abs(self, x: Value) -> Value:
        """|x|"""
        if x.dtype.kind == "f":
            return self._intrinsic("fabs", x)
        return self.select(self.lt(x, self.const(0, x.dtype)), self.neg(x), x) if x.dtype.kind == "i" else x

    def sqrt(self, x: Value) -> Value:
        """The correctly rounded square root."""
        return self._intrinsic("sqrt", x)

    def floor(self, x: Value) -> Value:
        """The largest integer value ≤ x, as a float."""
        return self._intrinsic("floor", x)

    def ceil(self, x: Value) -> Value:
        """The smallest integer value ≥ x, as a float."""
        return self._intrinsic("ceil", x)

    def trunc(self, x: Value) -> Value:
        """x without its fraction, as a float."""
        return self._intrinsic("trunc", x)

    def rint(self, x: Value) -> Value:
        """The nearest integer value, halves to even, as a float."""
        return self._intrinsic("roundeven", x)

    def copysign(self, x: Value, sign: Value) -> Value:
        """|x| with the sign of `sign`."""
        return self._intrinsic("copysign", x, sign)

    # ---- comparison and choice -------------------------------------------------------------------------------------
    def compare(self, kind: str, x: Value, y: Value) -> Value:
        """kind: lt le gt ge eq ne, as IEEE 754 has them (NaN is unequal to everything)."""
        x, y = self.match(x, y)
        floating, signed, unsigned = _COMPARE[kind]
        word = {"f": f"fcmp {floating}", "i": f"icmp {signed}"}.get(x.dtype.kind, f"icmp {unsigned}")
        return self.instruction(f"{word} {x!r}, {y.ref}", dt.bool_, x.lanes)

    def lt(self, x: Value, y: Value) -> Value:
        """x < y"""
        return self.compare("lt", x, y)

    def le(self, x: Value, y: Value) -> Value:
        """x <= y"""
        return self.compare("le", x, y)

    def gt(self, x: Value, y: Value) -> Value:
        """x > y"""
        return self.compare("gt", x, y)

    def ge(self, x: Value, y: Value) -> Value:
        """x >= y"""
        return self.compare("ge", x, y)

    def eq(self, x: Value, y: Value) -> Value:
        """x == y"""
        return self.compare("eq", x, y)

    def ne(self, x: Value, y: Value) -> Value:
        """x != y"""
        return self.compare("ne", x, y)

    def is_nan(self, x: Value) -> Value:
        """True where x is NaN; of floats."""
        return self.instruction(f"fcmp uno {x!r}, {x.ref}", dt.bool_, x.lanes)

    def select(self, c: Value, x: Value, y: Value) -> Value:
        """x where c, else y."""
        c, x, y = self.match(c, x, y)
        return self.instruction(f"select {c!r}, {x!r}, {y!r}", x.dtype, x.lanes)

    def minimum(self, x: Value, y: Value) -> Value:
        """The smaller; NaN if either is NaN (llvm.minimum)."""
        return self._intrinsic("minimum", x, y) if x.dtype.kind == "f" else self.select(self.lt(x, y), x, y)

    def maximum(self, x: Value, y: Value) -> Value:
        """The larger; NaN if either is NaN (llvm.maximum)."""
        return self._intrinsic("maximum", x, y) if x.dtype.kind == "f" else self.select(self.gt(x, y), x, y)

    # ---- bits and conversions --------------------------------------------------------------------------------------
    def _bitwise(self, word: str, x: Value, y: Value) -> Value:
        x, y = self.match(x, y)
        return self.instruction(f"{word} {x!r}, {y.ref}", x.dtype, x.lanes)

    def and_(self, x: Value, y: Value) -> Value:
        """Bitwise and; logical for bool."""
        return self._bitwise("and", x, y)

    def or_(self, x: Value, y: Value) -> Value:
        """Bitwise or; logical for bool."""
        return self._bitwise("or", x, y)

    def xor(self, x: Value, y: Value) -> Value:
        """Bitwise exclusive or; logical for bool."""
        return self._bitwise("xor", x, y)

    def not_(self, x: Value) -> Value:
        """Every bit turned; logical for bool."""
        return self.xor(x, self.const(1 if x.dtype is dt.bool_ else -1, x.dtype))

    def shl(self, x: Value, y: Value) -> Value:
        """x << y"""
        return self._bitwise("shl", x, y)

    def shr(self, x: Value, y: Value) -> Value:
        """x >> y: arithmetic for signed types, logical for unsigned ones."""
        return self._bitwise("ashr" if x.dtype.kind == "i" else "lshr", x, y)

    def mul_high(self, x: Value, y: Value) -> Value:
        """The upper half of the product of two uint32 or uint64."""
        x, y = self.match(x, y)
        width = x.dtype.itemsize * 8
        wide = f"i{2 * width}" if x.lanes == 1 else f"<{x.lanes} x i{2 * width}>"
        p, q, product, high = (self.name() for _ in range(4))
        shift = str(width) if x.lanes == 1 else f"splat (i{2 * width} {width})"
        self.line(f"{p} = zext {x!r} to {wide}")
        self.line(f"{q} = zext {y!r} to {wide}")
        self.line(f"{product} = mul {wide} {p}, {q}")
        self.line(f"{high} = lshr {wide} {product}, {shift}")
        return self.instruction(f"trunc {wide} {high} to {x.type}", x.dtype, x.lanes)

    def bits(self, x: Value) -> Value:
        """The bits of a float as an integer of its size (int32, int64)."""
        result = dt.int32 if x.dtype is dt.float32 else dt.int64
        return self.instruction(f"bitcast {x!r} to {ir_type(result, x.lanes)}", result, x.lanes)

    def from_bits(self, x: Value) -> Value:
        """The float (float32, float64) that has these bits."""
        result = dt.float32 if x.dtype.itemsize == 4 else dt.float64
        return self.instruction(f"bitcast {x!r} to {ir_type(result, x.lanes)}", result, x.lanes)

    def cast(self, x: Value, dtype: DType) -> Value:
        """x as another dtype: to bool by `!= 0`, float to integer towards zero (saturating, NaN to 0)."""
        if x.dtype is dtype:
            return x
        if dtype is dt.bool_:
            return self.ne(x, self.const(0, x.dtype))
        target = ir_type(dtype, x.lanes)
        if x.dtype.kind == "f" and dtype.kind != "f":
            return self._float_to_integer(x, dtype)
        return self.instruction(f"{_conversion(x.dtype, dtype)} {x!r} to {target}", dtype, x.lanes)

    def _float_to_integer(self, x: Value, dtype: DType) -> Value:
        word = "fptosi" if dtype.kind == "i" else "fptoui"
        lanes = "" if x.lanes == 1 else f"v{x.lanes}"
        suffix = f"{lanes}{ir_type(dtype)}.{lanes}{_SUFFIX[ir_type(x.dtype)]}"
        return self.call(f"llvm.{word}.sat.{suffix}", dtype, x.lanes, x)


def _conversion(source: DType, target: DType) -> str:
    """LLVM's instruction that converts one register type into another (no float → integer)."""
    if target.kind == "f":
        if source.kind == "f":
            return "fpext" if target.itemsize > source.itemsize else "fptrunc"
        return "sitofp" if source.kind == "i" else "uitofp"
    if target.itemsize > source.itemsize or source is dt.bool_:
        return "sext" if source.kind == "i" else "zext"
    return "trunc" if target.itemsize < source.itemsize else "bitcast"
