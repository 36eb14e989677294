"""L2. Products and norms as composites: einsum, kron, cross, the addmm family, distances. All of them compile to contractions and sums."""

from __future__ import annotations

from collections.abc import Sequence
from math import inf, prod
from typing import Any

from danlu.errors import DTypeError, ShapeError
from danlu.graph import Node
from danlu.messages import Phrase
from danlu.ops.complex_numbers import conjugate
from danlu.ops.linear_algebra import as_column, diagonal_of, part
from danlu.ops.table import broadcast_shapes, composite

LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"

# ---- einsum: the equation ---------------------------------------------------------------------------------------------------------------

# An axis of an ellipsis is labelled by its distance from the right, -1, -2 …; a written axis by its letter.
Label = Any


def parse_equation(equation: str, shapes: Sequence[tuple[int, ...]]) -> tuple[list[list[Label]], list[Label]]:
    """The labels of the axes of each operand and of the result."""
    left, arrow, right = equation.replace(" ", "").partition("->")
    words = left.split(",")
    if len(words) != len(shapes):
        raise ShapeError(
            "einsum {equation!r}: the equation names {named} operands and {given} were given; separate one word for each by commas",
            equation=equation,
            named=len(words),
            given=len(shapes),
        )
    terms = [_labels(equation, word, shape) for word, shape in zip(words, shapes)]
    if not arrow:
        return terms, _implicit(terms)
    return terms, _explicit(equation, right, terms)


def _labels(equation: str, word: str, shape: tuple[int, ...]) -> list[Label]:
    before, dots, after = word.partition("...")
    for c in before + after:
        if c not in LETTERS:
            raise ShapeError(
                "einsum {equation!r}: {label!r} is no label; labels are letters, and `...` stands for the other axes",
                equation=equation,
                label=c,
            )
    named = len(before) + len(after)
    if named > len(shape) or (not dots and named != len(shape)):
        raise ShapeError(
            "einsum {equation!r}: {word!r} names {named} axes, and the operand has {count}, shape {shape}; write one letter "
            "an axis, or `...` for the axes that have no letter",
            equation=equation,
            word=word,
            named=named,
            count=len(shape),
            shape=shape,
        )
    return [*before, *range(named - len(shape), 0), *after]


def _implicit(terms: list[list[Label]]) -> list[Label]:
    """Without an arrow: the axes of the ellipsis, then the letters that occur once, in alphabetical order (capitals first)."""
    everything = [x for term in terms for x in term]
    letters = sorted({x for x in everything if isinstance(x, str) and everything.count(x) == 1})
    return [*_ellipsis(terms), *letters]


def _ellipsis(terms: list[list[Label]]) -> list[int]:
    return sorted({x for term in terms for x in term if isinstance(x, int)})


def _explicit(equation: str, right: str, terms: list[list[Label]]) -> list[Label]:
    before, dots, after = right.partition("...")
    out = [*before, *(_ellipsis(terms) if dots else []), *after]
    known = {x for term in terms for x in term}
    for c in [*before, *after]:
        if c not in known or out.count(c) > 1:
            why = Phrase("occurs twice") if c in known else Phrase("is in no operand")
            raise ShapeError(
                "einsum {equation!r}: label {label!r} of the result {why}; each label there must come from an operand, once",
                equation=equation,
                label=c,
                why=why,
            )
    return out


# ---- einsum: the work -------------------------------------------------------------------------------------------------------------------


def _sizes(equation: str, terms: list[list[Label]], xs: Sequence[Node]) -> dict[Label, int]:
    """The size of each label; a size of 1 stretches."""
    sizes: dict[Label, int] = {}
    for term, x in zip(terms, xs):
        for label, n in zip(term, x.shape):
            known = sizes.setdefault(label, n)
            if known == 1:
                sizes[label] = n
            elif n not in (1, known):
                raise ShapeError(
                    "einsum {equation!r}: label {label!r} has sizes {known} and {size} (shapes {shapes}); axes of one label must be "
                    "equally long, or 1",
                    equation=equation,
                    label=label,
                    known=known,
                    size=n,
                    shapes=", ".join(str(x.shape) for x in xs),
                )
    return sizes


def _diagonals(o, x: Node, term: list[Label]) -> tuple[Node, list[Label]]:
    """Axes with one label become their diagonal: ii → i."""
    for label in dict.fromkeys(term):
        while term.count(label) > 1:
            first = term.index(label)
            second = term.index(label, first + 1)
            if x.shape[first] != x.shape[second]:
                raise ShapeError(
                    "einsum: label {label!r} is repeated on axes of sizes {first} and {second} of shape {shape}; a diagonal needs "
                    "equal sizes",
                    label=label,
                    first=x.shape[first],
                    second=x.shape[second],
                    shape=x.shape,
                )
            rest = [k for k in range(len(term)) if k not in (first, second)]
            x = diagonal_of(o, o.permute(x, dims=(*rest, first, second)))
            term = [*(term[k] for k in rest), label]
    return x, term


def _without_stretched(o, x: Node, term: list[Label], sizes: dict[Label, int]) -> tuple[Node, list[Label]]:
    """Axes of size 1 whose label is longer elsewhere left out: broadcasting, before anything is stretched."""
    kept = [k for k, label in enumerate(term) if x.shape[k] != 1 or sizes[label] == 1]
    return o.reshape(x, shape=tuple(x.shape[k] for k in kept)), [term[k] for k in kept]


def _summed(o, x: Node, term: list[Label], keep: set[Label]) -> tuple[Node, list[Label]]:
    """Axes that nobody else names summed."""
    alone = tuple(k for k, label in enumerate(term) if label not in keep)
    if not alone:
        return x, term
    return _same(o, o.sum(x, dims=alone, keepdim=False), x), [label for label in term if label in keep]


def _same(o, y: Node, x: Node) -> Node:
    return y if y.dtype is x.dtype else o.cast(y, dtype=x.dtype)


def _needed(terms: list[list[Label]], out: list[Label], without: tuple[int, ...]) -> set[Label]:
    return {*out, *(x for k, term in enumerate(terms) if k not in without for x in term)}


def _cheapest(terms: list[list[Label]], out: list[Label], sizes: dict[Label, int]) -> tuple[int, int]:
    """The pair whose product grows the least: size of the result less the sizes of the two; of equals the one with fewer products."""

    def cost(pair: tuple[int, int]) -> tuple[int, int]:
        first, second = (set(terms[k]) for k in pair)
        result = (first | second) & _needed(terms, out, pair)
        volume = {name: prod(sizes[x] for x in group) for name, group in (("r", result), ("a", first), ("b", second))}
        return volume["r"] - volume["a"] - volume["b"], prod(sizes[x] for x in first | second)

    return min(((i, j) for j in range(len(terms)) for i in range(j)), key=cost)


def _contracted(o, a: Node, first: list[Label], b: Node, second: list[Label], keep: set[Label]) -> tuple[Node, list[Label]]:
    """Two operands to one: what both name and nobody needs is summed."""
    shared = [x for x in first if x in second and x in keep]
    result = [*shared, *(x for x in first if x not in second), *(x for x in second if x not in first)]
    letter = dict(zip(dict.fromkeys([*first, *second]), LETTERS))
    labels = tuple("".join(letter[x] for x in term) for term in (first, second, result))
    return o.contract(a, b, labels=labels), result


@composite(attrs=("equation",))
def einsum(o, *xs: Node, equation: str):
    """Σ of products over labelled axes (Einstein's summation), two operands at a time."""
    terms, out = parse_equation(equation, [x.shape for x in xs])
    check_one_dtype("einsum", *xs)
    sizes = _sizes(equation, terms, xs)
    nodes = list(xs)
    for k, x in enumerate(nodes):
        nodes[k], terms[k] = _without_stretched(o, *_diagonals(o, x, terms[k]), sizes)
    for k, x in enumerate(nodes):
        nodes[k], terms[k] = _summed(o, x, terms[k], _needed(terms, out, (k,)))
    while len(nodes) > 1:
        i, j = _cheapest(terms, out, sizes)
        x, term = _contracted(o, nodes[i], terms[i], nodes[j], terms[j], _needed(terms, out, (i, j)))
        nodes = [n for k, n in enumerate(nodes) if k not in (i, j)] + [x]
        terms = [t for k, t in enumerate(terms) if k not in (i, j)] + [term]
    return o.permute(nodes[0], dims=tuple(terms[0].index(label) for label in out))


def check_one_dtype(name: str, *xs: Node) -> None:
    """All operands of one dtype."""
    for x in xs[1:]:
        if x.dtype is not xs[0].dtype:
            raise DTypeError(
                "{name}: expected operands of one dtype, but found {first_dtype} of shape {first} and {dtype} of shape {shape}; "
                "convert one: x.to(danlu.{first_dtype})",
                name=name,
                first_dtype=xs[0].dtype.name,
                first=xs[0].shape,
                dtype=x.dtype.name,
                shape=x.shape,
            )


# ---- the matrix products with one rank ----------------------------------------------------------------------------------------------------

_RANKS = {
    "mm": (2, 2, Phrase("two matrices, (n, k) and (k, m); danlu.matmul takes other shapes")),
    "bmm": (3, 3, Phrase("two stacks of matrices, (b, n, k) and (b, k, m); danlu.matmul takes other shapes")),
    "mv": (2, 1, Phrase("a matrix (n, k) and a vector (k); danlu.matmul takes other shapes")),
    "dot": (1, 1, Phrase("two vectors of one length; danlu.matmul takes matrices")),
    "vdot": (1, 1, Phrase("two vectors of one length")),
    "outer": (1, 1, Phrase("two vectors; flatten them first: x.ravel()")),
}


def _check_product(name: str, a: Node, b: Node, title: str | None = None) -> None:
    first, second, expected = _RANKS[name]
    if len(a.shape) != first or len(b.shape) != second or (name == "bmm" and a.shape[0] != b.shape[0]):
        raise ShapeError(
            "{name}: got shapes {left} and {right}; expected {expected}",
            name=title or name,
            left=a.shape,
            right=b.shape,
            expected=expected,
        )
    check_one_dtype(title or name, a, b)


def _inner_message(name: str, a: Node, b: Node) -> Phrase:
    return Phrase(
        "{name}: shapes {left} and {right} cannot be multiplied: the last axis of the first ({last}) must equal "
        "the {axis} of the second ({inner})",
        name=name,
        left=a.shape,
        right=b.shape,
        last=a.shape[-1],
        axis=Phrase("only axis") if len(b.shape) == 1 else Phrase("last but one axis"),
        inner=b.shape[max(len(b.shape) - 2, 0)],
    )


def _strict(o, name: str, a: Node, b: Node, title: str | None = None) -> Node:
    _check_product(name, a, b, title)
    if name != "outer" and a.shape[-1] != b.shape[max(len(b.shape) - 2, 0)]:
        raise ShapeError(_inner_message(title or name, a, b))
    return o.matmul(a, b)


@composite
def mm(o, a: Node, b: Node):
    """The product of two matrices."""
    return _strict(o, "mm", a, b)


@composite
def bmm(o, a: Node, b: Node):
    """The products of two stacks of matrices."""
    return _strict(o, "bmm", a, b)


@composite
def mv(o, a: Node, b: Node):
    """The product of a matrix and a vector."""
    return _strict(o, "mv", a, b)


@composite
def dot(o, a: Node, b: Node):
    """Σ x·y of two vectors."""
    return _strict(o, "dot", a, b)


@composite
def vdot(o, a: Node, b: Node):
    """Σ conj(x)·y of two vectors."""
    return _strict(o, "vdot", conjugate(o, a), b)


@composite
def outer(o, a: Node, b: Node):
    """xᵢ · yⱼ of two vectors."""
    if len(a.shape) != 1 or len(b.shape) != 1:
        raise ShapeError(
            "outer: got shapes {left} and {right}; expected {expected}", left=a.shape, right=b.shape, expected=_RANKS["outer"][2]
        )
    return o.mul(as_column(o, a), b)


@composite
def inner(o, a: Node, b: Node):
    """Σ over the last axis of both, for all pairs of the other axes; with a scalar the product."""
    if not a.shape or not b.shape:
        return o.mul(a, b)
    check_one_dtype("inner", a, b)
    if a.shape[-1] != b.shape[-1]:
        raise ShapeError(
            "inner: shapes {left} and {right}: the last axes must be equally long, got {left_size} and {right_size}",
            left=a.shape,
            right=b.shape,
            left_size=a.shape[-1],
            right_size=b.shape[-1],
        )
    left, right = LETTERS[1 : len(a.shape)], LETTERS[len(a.shape) : len(a.shape) + len(b.shape) - 1]
    return o.contract(a, b, labels=(left + "a", right + "a", left + right))


@composite
def matrix_trace(o, x: Node):
    """Σ of the diagonal of a matrix."""
    if len(x.shape) != 2:
        raise ShapeError(
            "trace: expected a matrix, got shape {shape}; for a stack write danlu.linalg.diagonal(x).sum(-1)", shape=x.shape
        )
    return o.sum(diagonal_of(o, x), dims=(0,), keepdim=False)


@composite(attrs=("offset", "dim1", "dim2"))
def matrix_diagonal(o, x: Node, offset: int, dim1: int, dim2: int):
    """The diagonal of two axes, as the last axis."""
    rest = tuple(k for k in range(len(x.shape)) if k not in (dim1, dim2))
    return diagonal_of(o, o.permute(x, dims=(*rest, dim1, dim2)), offset)


# ---- a product added to something ---------------------------------------------------------------------------------------------------------


def _scaled(o, name: str, value: Node, x: Node) -> Node:
    """value · x; for a whole dtype `addmv` cuts the fraction of a factor off, as PyTorch does, and the others refuse it."""
    if value.dtype.is_floating_point and not x.dtype.is_floating_point:
        if name != "addmv":
            raise DTypeError(
                "{name}: a factor that is no integer was given for dtype {dtype}; write an integer, or x.float()",
                name=name,
                dtype=x.dtype.name,
            )
        value = o.cast(value, dtype=x.dtype)
    return o.mul(value, x)


def _added(o, name: str, x: Node, product: Node, beta: Node, alpha: Node, ignore: bool) -> Node:
    """beta · x + alpha · product; with beta = 0 x is not read (its NaN do not pass)."""
    check_one_dtype(name, product, x)
    if broadcast_shapes(name, [x.shape, product.shape]) != product.shape:
        raise ShapeError(
            "{name}: the tensor that is added to has shape {shape}, and the product {product}; expected a shape that "
            "broadcasts to that",
            name=name,
            shape=x.shape,
            product=product.shape,
        )
    out = _scaled(o, name, alpha, product)
    if not ignore:
        out = o.add(_scaled(o, name, beta, o.expand(x, shape=product.shape)), out)
    return _same(o, out, product)


@composite(attrs=("ignore",))
def addmm(o, x: Node, a: Node, b: Node, beta: Node, alpha: Node, ignore: bool):
    """beta · x + alpha · (a @ b) of matrices."""
    return _added(o, "addmm", x, _strict(o, "mm", a, b, "addmm"), beta, alpha, ignore)


@composite(attrs=("ignore",))
def addmv(o, x: Node, a: Node, b: Node, beta: Node, alpha: Node, ignore: bool):
    """beta · x + alpha · (a @ b) of a matrix and a vector."""
    return _added(o, "addmv", x, _strict(o, "mv", a, b, "addmv"), beta, alpha, ignore)


@composite(attrs=("ignore",))
def addr(o, x: Node, a: Node, b: Node, beta: Node, alpha: Node, ignore: bool):
    """beta · x + alpha · (a ⊗ b) of two vectors."""
    return _added(o, "addr", x, o.outer(a, b), beta, alpha, ignore)


@composite(attrs=("ignore",))
def baddbmm(o, x: Node, a: Node, b: Node, beta: Node, alpha: Node, ignore: bool):
    """beta · x + alpha · (a @ b) of stacks of matrices."""
    return _added(o, "baddbmm", x, _strict(o, "bmm", a, b, "baddbmm"), beta, alpha, ignore)


@composite(attrs=("ignore",))
def addbmm(o, x: Node, a: Node, b: Node, beta: Node, alpha: Node, ignore: bool):
    """beta · x + alpha · Σ (a @ b) over a stack of matrices."""
    _strict(o, "bmm", a, b, "addbmm")
    return _added(o, "addbmm", x, o.contract(a, b, labels=("bnk", "bkm", "nm")), beta, alpha, ignore)


# ---- kron and cross -----------------------------------------------------------------------------------------------------------------------


@composite
def kron(o, a: Node, b: Node):
    """The Kronecker product: every element of a times the whole of b."""
    ndim = max(len(a.shape), len(b.shape))
    first, second = ((1,) * (ndim - len(x.shape)) + x.shape for x in (a, b))
    a = o.reshape(a, shape=tuple(n for m in first for n in (m, 1)))
    b = o.reshape(b, shape=tuple(n for m in second for n in (1, m)))
    return o.reshape(o.mul(a, b), shape=tuple(m * n for m, n in zip(first, second)))


@composite(attrs=("dim",))
def cross(o, a: Node, b: Node, dim: int):
    """The vector product in three dimensions along an axis counted from the end."""
    shape = broadcast_shapes("cross", [a.shape, b.shape])
    if len(a.shape) != len(b.shape) or not shape or not a.shape[dim] == b.shape[dim] == 3:
        raise ShapeError(
            "cross: shapes {left} and {right}, axis {dim}: both need as many axes, and size 3 on the axis of the product; "
            "choose it with dim=",
            left=a.shape,
            right=b.shape,
            dim=dim,
        )
    a, b = o.expand(a, shape=shape), o.expand(b, shape=shape)
    (a1, a2), (b1, b2) = ((_turned(o, x, dim, 1), _turned(o, x, dim, 2)) for x in (a, b))
    return o.sub(o.mul(a1, b2), o.mul(a2, b1))


def _turned(o, x: Node, dim: int, by: int) -> Node:
    """The three components moved round: element k becomes k + by."""
    return o.cat(part(o, x, dim, by, 3), part(o, x, dim, 0, by), dim=len(x.shape) + dim)


# ---- norms and distances ------------------------------------------------------------------------------------------------------------------


def _power_of_size(o, x: Node, p: float) -> Node:
    """|x|ᵖ with derivative 0 at 0, where there is none for p < 1."""
    if p == 2:
        return o.real(o.mul(conjugate(o, x), x)) if x.dtype.is_complex else o.mul(x, x)
    zero = o.eq(x, 0.0)
    return o.where(zero, inf if p < 0 else 0.0, o.pow(o.abs(o.where(zero, 1.0, x)), float(p)))


def _root(o, total: Node, p: float) -> Node:
    """total^(1/p) with derivative 0 at 0: the norm of a zero vector has a corner there, and 0 is a subgradient."""
    zero = o.eq(total, 0.0)
    safe = o.where(zero, 1.0, total)
    return o.where(zero, inf if p < 0 else 0.0, o.sqrt(safe) if p == 2 else o.pow(safe, 1.0 / p))


@composite(attrs=("p", "dims", "keepdim"))
def vector_norm(o, x: Node, p: float, dims: tuple[int, ...], keepdim: bool):
    """(Σ |x|ᵖ)^(1/p); the largest or smallest |x| for p = ±∞; how many are not 0 for p = 0."""
    if (x.dtype.is_complex and p != 2) or p in (inf, -inf):
        x = o.abs(x)
    if p == 0:
        return o.sum(o.cast(o.ne(x, 0.0), dtype=x.dtype), dims=dims, keepdim=keepdim)
    if p in (inf, -inf):
        return (o.max if p > 0 else o.min)(x, dims=dims, keepdim=keepdim)
    if p == 1 or not dims:
        return o.sum(o.abs(x), dims=dims, keepdim=keepdim)
    return _root(o, o.sum(_power_of_size(o, x, p), dims=dims, keepdim=keepdim), p)


@composite(attrs=("p",))
def cdist(o, x: Node, y: Node, p: float):
    """The p-norm of xᵢ - yⱼ for all pairs of rows."""
    for z in (x, y):
        if len(z.shape) < 2 or not z.dtype.is_floating_point or z.shape[-1] != x.shape[-1]:
            raise ShapeError(
                "cdist: got shapes {shape} and {other_shape} ({dtype}, {other_dtype}); expected floating (*, n, d) and (*, m, d) "
                "with one d",
                shape=x.shape,
                other_shape=y.shape,
                dtype=x.dtype.name,
                other_dtype=y.dtype.name,
            )
    rows = o.reshape(x, shape=(*x.shape[:-1], 1, x.shape[-1]))
    others = o.reshape(y, shape=(*y.shape[:-2], 1, *y.shape[-2:]))
    difference = o.sub(rows, others)
    return o.vector_norm(difference, p=p, dims=(len(difference.shape) - 1,), keepdim=False)
