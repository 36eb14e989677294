"""L3. Index arithmetic `i`: where an element is read, as a linear form over loop variables.

    index ::= constant + Σ coefficient · atom
    atom  ::= Var(name, extent)              a loop variable in [0, extent)
            | Quotient(index, n)             index // n, where it does not simplify
            | Remainder(index, n)            index % n
            | Position(expression, extent)   a value read from memory, in [0, extent)

Shapes are known, so nearly every division of a reshape disappears by the ranges of its terms.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from danlu.messages import message


class Atom:
    """A part of an index that is not a constant; equal atoms are one object only within one kernel, so they compare by key."""

    __slots__ = ("extent", "hashed", "key")

    def __init__(self, key: tuple, extent: int) -> None:
        self.key, self.extent, self.hashed = key, extent, hash(key)

    def __hash__(self) -> int:
        return self.hashed

    def __eq__(self, other: object) -> bool:
        return self is other or (isinstance(other, Atom) and self.hashed == other.hashed and self.key == other.key)

    def inner(self) -> Index | None:
        """The index under a quotient or remainder."""
        return None


class Var(Atom):
    """A loop variable."""

    __slots__ = ("name",)

    def __init__(self, name: str, extent: int) -> None:
        super().__init__(("loop", name), extent)
        self.name = name

    def __repr__(self) -> str:
        return self.name


class Quotient(Atom):
    """index // n"""

    __slots__ = ("divisor", "index")

    def __init__(self, index: Index, divisor: int) -> None:
        super().__init__(("quotient", index, divisor), index.bounds()[1] // divisor + 1)
        self.index, self.divisor = index, divisor

    def inner(self) -> Index:
        return self.index

    def __repr__(self) -> str:
        return f"({self.index} // {self.divisor})"


class Remainder(Atom):
    """index % n"""

    __slots__ = ("divisor", "index")

    def __init__(self, index: Index, divisor: int) -> None:
        super().__init__(("remainder", index, divisor), divisor)
        self.index, self.divisor = index, divisor

    def inner(self) -> Index:
        return self.index

    def __repr__(self) -> str:
        return f"({self.index} % {self.divisor})"


class Position(Atom):
    """A position that is read from memory (`expression` is an expression of the kernel IR)."""

    __slots__ = ("expression",)

    def __init__(self, expression: Any, extent: int) -> None:
        super().__init__(("position", id(expression), extent), extent)
        self.expression = expression

    def __repr__(self) -> str:
        return f"[{self.expression}]"


class Index:
    """constant + Σ coefficient · atom; immutable."""

    __slots__ = ("atoms", "const", "hashed", "terms")

    def __init__(self, terms: Iterable[tuple[Atom, int]] = (), const: int = 0) -> None:
        self.terms = tuple([term for term in terms if term[1]])
        self.const = const
        self.hashed = 0  # 0 and None: not known yet
        self.atoms: tuple[Atom, ...] | None = None

    def __hash__(self) -> int:
        if not self.hashed:
            self.hashed = hash((frozenset(self.terms), self.const))
        return self.hashed

    def __eq__(self, other: object) -> bool:
        if self is other or not isinstance(other, Index) or self.const != other.const:
            return self is other
        return self.terms == other.terms or frozenset(self.terms) == frozenset(other.terms)

    def bounds(self) -> tuple[int, int]:
        """The smallest and the largest value that it can have."""
        low = high = self.const
        for atom, c in self.terms:
            if c > 0:
                high += c * (atom.extent - 1)
            else:
                low += c * (atom.extent - 1)
        return low, high

    def coefficient(self, atom: Atom) -> int:
        """The factor of an atom; 0 where it does not occur (or occurs only inside another atom)."""
        for a, c in self.terms:
            if a == atom:
                return c
        return 0

    def __repr__(self) -> str:
        words = [f"{c}*{a}" if c != 1 else f"{a}" for a, c in self.terms]
        if self.const or not words:
            words.append(str(self.const))
        return " + ".join(words)


ZERO = Index()


def atoms_of(index: Index) -> tuple[Atom, ...]:
    """Every atom of an index, also those inside quotients and remainders; found once."""
    if index.atoms is None:
        found: list[Atom] = []
        for atom, _ in index.terms:
            inner = atom.inner()
            found += (atom,) if inner is None else (atom, *atoms_of(inner))
        index.atoms = tuple(found)
    return index.atoms


def is_linear(index: Index) -> bool:
    """Whether an index follows from loop variables and strides alone."""
    return all(type(atom) is Var for atom, _ in index.terms)


class Algebra:
    """The language `i` that movement and gather records speak."""

    zero = ZERO

    def var(self, var: Var) -> Index:
        """The index that is one loop variable."""
        return Index(((var, 1),)) if var.extent != 1 else ZERO

    def add(self, *xs: Index) -> Index:
        """The sum; a quotient and its remainder that belong together become their index again."""
        terms: dict[Atom, int] = {}
        const = 0
        for x in xs:
            const += x.const
            for atom, c in x.terms:
                terms[atom] = terms.get(atom, 0) + c
        return self._rejoin(Index(terms.items(), const), terms)

    def _rejoin(self, total: Index, terms: dict[Atom, int]) -> Index:
        for atom, c in total.terms:
            if type(atom) is Quotient and c % atom.divisor == 0:
                factor = c // atom.divisor
                twin = Remainder(atom.index, atom.divisor)
                if terms.get(twin) == factor:
                    rest = Index([(a, k) for a, k in total.terms if a not in (atom, twin)], total.const)
                    return self.add(rest, self.affine(atom.index, factor, 0))
        return total

    def affine(self, x: Index, scale: int, offset: int) -> Index:
        """scale · x + offset"""
        if scale == 1:
            return Index(x.terms, x.const + offset) if offset else x
        return Index([(a, c * scale) for a, c in x.terms], x.const * scale + offset)

    def _split(self, x: Index, n: int) -> tuple[Index, Index]:
        """x = n · first + second, with every term that n divides in the first, and the second never negative."""
        rest = Index([(a, c) for a, c in x.terms if c % n], x.const % n)
        moved = min(0, rest.bounds()[0]) // n  # the hardware's division is that of numbers without a sign
        first = Index([(a, c // n) for a, c in x.terms if c % n == 0], x.const // n + moved)
        return first, Index(rest.terms, rest.const - n * moved)

    def floordiv(self, x: Index, n: int) -> Index:
        """x // n; 0 for n = 0: the size of an axis without elements, which has no index."""
        if n <= 1:
            return x if n else ZERO
        whole, rest = self._split(x, n)
        low, high = rest.bounds()
        if low >= 0 and high < n:
            return whole
        return self.add(whole, Index(((Quotient(rest, n), 1),)))

    def mod(self, x: Index, n: int) -> Index:
        """x % n; 0 for n = 0."""
        if n <= 1:
            return ZERO
        _, rest = self._split(x, n)
        low, high = rest.bounds()
        return rest if low >= 0 and high < n else Index(((Remainder(rest, n), 1),))

    def ravel(self, index: Sequence[Index], shape: Sequence[int]) -> Index:
        """The row-major number of an element."""
        stride, parts = 1, []
        for ix, n in zip(reversed(index), reversed(shape)):
            parts.append(self.affine(ix, stride, 0))
            stride *= n
        return self.add(*parts) if parts else ZERO

    def unravel(self, x: Index, shape: Sequence[int]) -> tuple[Index, ...]:
        """The index of the element with a row-major number."""
        out: list[Index] = []
        for n in reversed(shape[1:]):
            out.append(self.mod(x, n))
            x = self.floordiv(x, n)
        return (x, *reversed(out)) if shape else ()

    def within(self, x: Index, n: int) -> tuple:
        """The condition 0 ≤ x < n."""
        return ("within", x, n)

    def divides(self, n: int, x: Index) -> tuple:
        """The condition that n divides x."""
        return ("divides", x, n)


i = Algebra()


def substitute(index: Index, replace: dict[Var, Index], expression: Callable[[Any], Any] = lambda e: e) -> Index:
    """The index with loop variables replaced, inside quotients, remainders and positions too."""
    parts = [Index((), index.const)]
    for atom, c in index.terms:
        if isinstance(atom, Var):
            new = replace.get(atom, Index(((atom, 1),)))
        elif isinstance(atom, Quotient):
            new = i.floordiv(substitute(atom.index, replace, expression), atom.divisor)
        elif isinstance(atom, Remainder):
            new = i.mod(substitute(atom.index, replace, expression), atom.divisor)
        elif isinstance(atom, Position):
            new = Index(((Position(expression(atom.expression), atom.extent), 1),))
        else:
            raise TypeError(message("no such atom: {kind}", kind=type(atom).__name__))
        parts.append(i.affine(new, c, 0))
    return i.add(*parts)
