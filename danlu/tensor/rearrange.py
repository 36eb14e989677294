"""L5. Further movement: diagonals and triangles, pieces, rolled and repeated axes."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from danlu import dtype as dt
from danlu.errors import AxisError, DTypeError, ShapeError
from danlu.messages import Phrase
from danlu.ops.gather import index_message
from danlu.ops.movement import normalize_axis
from danlu.tensor.core import TensorCore, apply, from_array
from danlu.tensor.shape import complete, sizes


def as_axes(name: str, dims: Any, ndim: int) -> tuple[int, ...]:
    """One axis or several, counted from the left; each may occur once."""
    given = dims if isinstance(dims, (tuple, list)) else (dims,)
    axes = tuple(normalize_axis(name, int(d), ndim) for d in given)
    if len(set(axes)) < len(axes):
        raise ShapeError("{name}: axes {given} name one axis twice", name=name, given=tuple(given))
    return axes


def at_least_1d(x: Any) -> Any:
    """A 0-d tensor as a vector of one element; others as they are."""
    return x if x._spec.ndim else x.reshape(1)


def _range(n: int) -> Any:
    return apply("iota", shape=(n,), dtype=dt.int64)


def _as_integer(name: str, x: Any) -> int:
    if isinstance(x, TensorCore) and (x._spec.size != 1 or x._spec.dtype.kind not in "iu"):
        raise DTypeError(
            "{name}: expected an integer, got a tensor of shape {shape} and dtype {dtype}",
            name=name,
            shape=x._spec.shape,
            dtype=x._spec.dtype.name,
        )
    return int(x)  # type: ignore[arg-type]


class Rearranging(TensorCore):
    """Further movement and indexing."""

    __slots__ = ()

    # ---- axes -----------------------------------------------------------------------------------------------------------
    def movedim(self, source: Any, destination: Any) -> Any:
        """Axes at other places; those not named keep their order.

        y.shape[destination[k]] = x.shape[source[k]]

        Shapes: (*) → the same sizes in another order. A view.
        """
        ndim = self._spec.ndim
        a, b = as_axes("movedim", source, ndim), as_axes("movedim", destination, ndim)
        if len(a) != len(b):
            raise ShapeError(
                "movedim: {count} axes {axes} cannot go to {place_count} places {places}; expected as many of both",
                count=len(a),
                axes=a,
                place_count=len(b),
                places=b,
            )
        rest = iter(k for k in range(ndim) if k not in a)
        return self.permute(*[a[b.index(k)] if k in b else next(rest) for k in range(ndim)])  # type: ignore[attr-defined]

    moveaxis = movedim

    def flip(self, *axes: Any, dims: Any = None) -> Any:
        """The order of elements turned round on some axes: flip(0, 1), flip((0, 1)) or flip(dims=(0, 1)).

        y[…, i, …] = x[…, n - 1 - i, …]

        Shapes: (*) → (*).
        """
        return apply("flip", self, dims=as_axes("flip", sizes(axes if dims is None else (dims,)), self._spec.ndim))

    def fliplr(self) -> Any:
        """The columns in reverse order.

        y[:, j] = x[:, n - 1 - j]

        Shapes: (m, n, *) → (m, n, *).
        """
        if self._spec.ndim < 2:
            raise ShapeError(
                "fliplr needs at least 2 axes, the tensor has shape {shape}; flip(0) turns a vector round", shape=self._spec.shape
            )
        return self.flip(1)

    def flipud(self) -> Any:
        """The rows in reverse order.

        y[i] = x[n - 1 - i]

        Shapes: (n, *) → (n, *).
        """
        if not self._spec.ndim:
            raise ShapeError("flipud needs at least 1 axis, the tensor is 0-d")
        return self.flip(0)

    def rot90(self, k: int = 1, dims: Sequence[int] = (0, 1)) -> Any:
        """A quarter turn, k times, in the plane of two axes, from the first toward the second.

        y[n - 1 - j, i] = x[i, j] for one turn of an (m, n) matrix

        Shapes: (*, m, *, n, *) → (*, n, *, m, *) for odd k, else (*).
        """
        if len(dims) != 2:
            raise ShapeError("rot90 turns in the plane of two axes, got dims={dims}", dims=tuple(dims))
        a, b = as_axes("rot90", dims, self._spec.ndim)
        turned: Any = (self, self.flip(b), self.flip(a, b), self.flip(a))[k % 4]
        return turned.transpose(a, b) if k % 2 else turned.clone()

    def roll(self, shifts: Any, dims: Any = None) -> Any:
        """The elements of an axis moved on by a number of places; what leaves at the end comes in at the front.

        y[(i + shift) mod n] = x[i]

        Shapes: (*) → (*).
        """
        if dims is None or dims == () or dims == []:
            if isinstance(shifts, (tuple, list)) and len(shifts) != 1:
                raise ShapeError("roll: {count} shifts and no axes; give dims= with as many axes", count=len(shifts))
            return self.reshape(-1).roll(shifts, 0).reshape(self._spec.shape)  # type: ignore[attr-defined]
        shifts = shifts if isinstance(shifts, (tuple, list)) else (shifts,)
        dims = dims if isinstance(dims, (tuple, list)) else (dims,)
        if len(shifts) != len(dims):
            raise ShapeError(
                "roll: {count} shifts {shifts} for {axis_count} axes {dims}; expected as many of both",
                count=len(shifts),
                shifts=tuple(shifts),
                axis_count=len(dims),
                dims=tuple(dims),
            )
        if not self._spec.ndim:
            raise AxisError("roll of a 0-d tensor along {dims}; it has no axis", dims=tuple(dims))
        out: Any = self.clone()  # type: ignore[attr-defined]
        for shift, dim in zip(shifts, dims):
            axis = normalize_axis("roll", dim, self._spec.ndim)
            n = out._spec.shape[axis]
            if n and shift % n:
                cut = n - shift % n
                out = apply("cat", out.narrow(axis, cut, n - cut), out.narrow(axis, 0, cut), dim=axis)
        return out

    def broadcast_to(self, *shape: Any, size: Any = None) -> Any:
        """The tensor stretched to a shape by the rules of broadcasting.

        y[…, i, …] = x[…, 0, …] on the axes that are stretched

        Shapes: (*) → size. A view.
        """
        return self.expand(*shape if size is None else size)  # type: ignore[attr-defined]

    def sum_to_size(self, *size: Any) -> Any:
        """Σ over the axes that broadcasting from this shape would stretch: the opposite of `expand`.

        y[…, 0, …] = Σ_i x[…, i, …] on the axes that are summed

        Shapes: (*) → size.

        >>> import danlu
        >>> danlu.ones(2, 3).sum_to_size(1, 3)
        tensor([[2., 2., 2.]])
        """
        given, own = sizes(size), self._spec.shape
        lead = len(own) - len(given)
        if lead < 0 or any(n not in (1, m) for n, m in zip(given, own[lead:])):
            raise ShapeError(
                "sum_to_size: shape {shape} is not what {given} broadcasts to; sizes must be equal or 1 in {given}",
                shape=own,
                given=given,
            )
        if not given:
            return self.sum()  # type: ignore[attr-defined]
        axes = [k for k in range(len(own)) if k < lead or (given[k - lead] == 1 and own[k] != 1)]
        return self.sum(axes).reshape(given) if axes else self  # type: ignore[attr-defined]

    def unflatten(self, dim: int, sizes: Sequence[int]) -> Any:
        """One axis as several; one of their sizes may be -1.

        y[…, i₁, i₂, …] = x[…, i₁ · n₂ + i₂, …] for two sizes

        Shapes: (*, n, *) → (*, *sizes, *), the product of the sizes being n.
        """
        own = self._spec.shape
        at = normalize_axis("unflatten", dim, len(own))
        if not own or not len(sizes):
            raise ShapeError(
                "unflatten of shape {shape} to {sizes}: expected an axis and at least one size for it",
                shape=own,
                sizes=tuple(sizes),
            )
        return self.reshape(*own[:at], *complete("unflatten", tuple(sizes), own[at]), *own[at + 1 :])  # type: ignore[attr-defined]

    # ---- repeating ------------------------------------------------------------------------------------------------------
    def repeat(self, *counts: Any, repeats: Any = None) -> Any:
        """The tensor tiled: counts[i] copies along axis i; further counts make new axes in front.

        y[i] = x[i mod n]

        Shapes: (n₁, …, n_d) → (c₁ n₁, …, c_d n_d).

        >>> import danlu
        >>> danlu.tensor([1, 2]).repeat(2, 2)
        tensor([[1, 2, 1, 2],
                [1, 2, 1, 2]])
        """
        given, own = sizes(counts if repeats is None else (repeats,)), self._spec.shape
        if len(given) < len(own) or any(n < 0 for n in given):
            raise ShapeError(
                "repeat: {given} for a tensor of shape {shape}; expected a count of 0 or more for each axis at least",
                given=given,
                shape=own,
            )
        lead = (1,) * (len(given) - len(own)) + own
        shape = tuple(c * n for c, n in zip(given, lead))
        interleaved = tuple(x for c, n in zip(given, lead) for x in (c, n))
        spread = self.reshape(tuple(x for n in lead for x in (1, n))).expand(interleaved)  # type: ignore[attr-defined]
        return spread.reshape(shape).clone()

    def tile(self, *counts: Any, dims: Any = None) -> Any:
        """`repeat`, where counts that are left out in front are 1.

        y[i] = x[i mod n]

        Shapes: (n₁, …, n_d) → (c₁ n₁, …, c_d n_d).
        """
        given = sizes(counts if dims is None else (dims,))
        return self.repeat((1,) * (self._spec.ndim - len(given)) + given)

    def repeat_interleave(self, repeats: Any, dim: int | None = None, *, output_size: int | None = None) -> Any:
        """Each slice of an axis (without `dim`: each element) repeated next to itself, all equally often or each its own count.

        y[i] = x[⌊i / repeats⌋]

        Shapes: (*) with n elements → (n · repeats); with dim (*, n · repeats, *); counts of their own add up instead.
        """
        x: Any = self.reshape(-1) if dim is None else at_least_1d(self)  # type: ignore[attr-defined]
        axis = normalize_axis("repeat_interleave", dim or 0, self._spec.ndim if dim is not None else 1)
        n = x._spec.shape[axis]
        if isinstance(repeats, TensorCore):
            counts = repeats.detach().numpy().reshape(-1)  # type: ignore[attr-defined]
            if counts.dtype.kind not in "iu":
                raise DTypeError(
                    "repeat_interleave: repeats has dtype {dtype}; expected integers: write repeats.long()", dtype=counts.dtype
                )
        else:
            counts = np.array([_as_integer("repeat_interleave", repeats)])
        if counts.size not in (1, n) or (counts < 0).any():
            raise ShapeError(
                "repeat_interleave: {count} counts for axis {axis} of size {size}; expected one or {size}, none negative",
                count=counts.size,
                axis=axis,
                size=n,
            )
        positions = np.repeat(np.arange(n), np.broadcast_to(counts, (n,)))
        return apply("take", x, from_array(positions), dim=axis)

    # ---- diagonals and triangles ----------------------------------------------------------------------------------------
    def diagonal(self, offset: int = 0, dim1: int = 0, dim2: int = 1) -> Any:
        """A view of the elements [i, i + offset] of two axes, as a last axis.

        y[…, i] = x[…, i, i + offset]

        Shapes: (*, m, n) → (*, min(m, n)) for offset 0.
        """
        ndim = self._spec.ndim
        if ndim < 2:
            raise ShapeError(
                "diagonal needs at least 2 axes, the tensor has shape {shape}; diag makes a matrix of a vector",
                shape=self._spec.shape,
            )
        a, b = as_axes("diagonal", (dim1, dim2), ndim)
        rest = [k for k in range(ndim) if k not in (a, b)]
        moved: Any = self.permute(*rest, a, b)  # type: ignore[attr-defined]
        *lead, rows, columns = moved._spec.shape
        count = max(0, min(rows, columns - offset) if offset >= 0 else min(rows + offset, columns))
        start = (offset if offset >= 0 else -offset * columns) if count else 0
        stop = start + (count - 1) * (columns + 1) + 1 if count else 0
        flat = moved.view(*lead, rows * columns)
        zeros, ones = (0,) * len(lead), (1,) * len(lead)
        return flat._view("slice", ((*zeros, start), (*lead, stop), (*ones, columns + 1)))

    def diag_embed(self, offset: int = 0, dim1: int = -2, dim2: int = -1) -> Any:
        """The last axis as the diagonal of two new axes, zeros elsewhere.

        y[…, i, i + offset] = x[…, i]

        Shapes: (*, n) → (*, n + |offset|, n + |offset|).
        """
        shape, ndim = self._spec.shape, self._spec.ndim
        if not ndim:
            raise ShapeError("diag_embed needs at least 1 axis, the tensor is 0-d")
        a, b = as_axes("diag_embed", (dim1, dim2), ndim + 1)
        n = shape[-1] + abs(offset)
        out = apply("full", 0, shape=(*shape[:-1], n, n), dtype=self._spec.dtype)
        out.diagonal(offset, -2, -1)._assign(self._value())
        return out.movedim((-2, -1), (a, b))

    def diag(self, diagonal: int = 0) -> Any:
        """Of a vector the matrix with this diagonal, of a matrix its diagonal.

        y[i, i + diagonal] = x[i], or y[i] = x[i, i + diagonal]

        Shapes: (n) → (n + |diagonal|, n + |diagonal|); (m, n) → (min(m, n)) for diagonal 0.
        """
        if self._spec.ndim == 1:
            return self.diag_embed(diagonal)
        if self._spec.ndim == 2:
            return self.diagonal(diagonal).clone()
        raise ShapeError("diag takes a vector or a matrix, got shape {shape}; use diagonal or diag_embed", shape=self._spec.shape)

    def diagflat(self, offset: int = 0) -> Any:
        """The matrix with all elements on a diagonal.

        y[i, i + offset] = x[i] of the flattened x

        Shapes: (*) with n elements → (n + |offset|, n + |offset|).
        """
        return self.reshape(-1).diag_embed(offset)  # type: ignore[attr-defined]

    def _triangle(self, name: str, op: str, diagonal: int) -> Any:
        if self._spec.ndim < 2:
            raise ShapeError("{name} needs at least 2 axes, the tensor has shape {shape}", name=name, shape=self._spec.shape)
        rows, columns = self._spec.shape[-2:]
        distance = _range(columns) - _range(rows).reshape(rows, 1)
        return apply(
            "where", apply(op, distance, _as_integer(name, diagonal)), self, apply("full", 0, shape=(), dtype=self._spec.dtype)
        )

    def tril(self, diagonal: int = 0) -> Any:
        """The elements on and below a diagonal, zeros above.

        y[i, j] = x[i, j] where j - i ≤ diagonal, else 0

        Shapes: (*, m, n) → (*, m, n).
        """
        return self._triangle("tril", "le", diagonal)

    def triu(self, diagonal: int = 0) -> Any:
        """The elements on and above a diagonal, zeros below.

        y[i, j] = x[i, j] where j - i ≥ diagonal, else 0

        Shapes: (*, m, n) → (*, m, n).
        """
        return self._triangle("triu", "ge", diagonal)

    # ---- pieces ---------------------------------------------------------------------------------------------------------
    def select(self, dim: int, index: int) -> Any:
        """The slice of an axis at one position, without the axis.

        y = x[…, index, …]

        Shapes: (*, n, *) → (*, *). A view.
        """
        own = self._spec.shape
        if not own:
            raise AxisError("select of a 0-d tensor; it has no axis")
        axis, at = normalize_axis("select", dim, len(own)), _as_integer("select", index)
        if not -own[axis] <= at < own[axis]:
            raise AxisError(index_message(at, own[axis]))
        return self.narrow(axis, at % own[axis], 1).reshape(*own[:axis], *own[axis + 1 :])

    def narrow(self, dim: int, start: Any, length: int) -> Any:
        """`length` elements of an axis from `start` on; a start below 0 counts from the end.

        y[…, i, …] = x[…, start + i, …]

        Shapes: (*, n, *) → (*, length, *). A view.
        """
        own, first = self._spec.shape, _as_integer("narrow", start)
        if not own:
            raise ShapeError("narrow of a 0-d tensor; it has no axis")
        axis = normalize_axis("narrow", dim, len(own))
        n = own[axis]
        first = first + n if first < 0 else first
        if length < 0 or not 0 <= first <= first + length <= n:
            raise ShapeError(
                "narrow: {start} … {end} is not inside axis {axis} of size {size}",
                start=start,
                end=first + length,
                axis=axis,
                size=n,
            )
        starts = tuple(first if k == axis else 0 for k in range(len(own)))
        stops = tuple(first + length if k == axis else m for k, m in enumerate(own))
        return self._view("slice", (starts, stops, (1,) * len(own)))

    def split(self, split_size: Any, dim: int = 0) -> tuple:
        """Pieces of an axis: of one size (the last may be smaller), or of the sizes given.

        pieces[k][…, i, …] = x[…, k · split_size + i, …]

        Shapes: (*, n, *) → pieces (*, split_size, *), views.
        """
        if not isinstance(split_size, int):
            return self.split_with_sizes(split_size, dim)
        if not self._spec.ndim:
            raise ShapeError("split of a 0-d tensor; it has no axis")
        n = self._spec.shape[normalize_axis("split", dim, self._spec.ndim)]
        if split_size < 0 or (split_size == 0 and n):
            raise ShapeError(
                "split: pieces of size {split_size} do not fill axis {dim} of size {size}; expected 1 or more",
                split_size=split_size,
                dim=dim,
                size=n,
            )
        return self.split_with_sizes([min(split_size, n - k) for k in range(0, n, split_size or 1)] or [0], dim)

    def split_with_sizes(self, split_sizes: Sequence[int], dim: int = 0) -> tuple:
        """Pieces of an axis of the sizes given.

        pieces[k][…, i, …] = x[…, s₀ + … + sₖ₋₁ + i, …], s the sizes

        Shapes: (*, n, *) → pieces (*, split_sizes[k], *), views; the sizes add up to n.
        """
        lengths = [int(k) for k in split_sizes]
        n = self._spec.shape[normalize_axis("split", dim, self._spec.ndim)]
        if sum(lengths) != n or any(k < 0 for k in lengths):
            raise ShapeError(
                "split: sizes {lengths} add up to {total}; axis {dim} has {size}, and no size may be negative",
                lengths=lengths,
                total=sum(lengths),
                dim=dim,
                size=n,
            )
        starts = [sum(lengths[:k]) for k in range(len(lengths))]
        return tuple(self.narrow(dim, a, length) for a, length in zip(starts, lengths))

    def chunk(self, chunks: int, dim: int = 0) -> tuple:
        """At most `chunks` pieces of an axis, equal but for the last.

        pieces[k][…, i, …] = x[…, k · ⌈n / chunks⌉ + i, …]

        Shapes: (*, n, *) → pieces (*, ⌈n / chunks⌉, *), views.
        """
        if chunks < 1 or not self._spec.ndim:
            raise ShapeError(
                "chunk: {chunks} pieces of a tensor of shape {shape}; expected 1 or more, and an axis",
                chunks=chunks,
                shape=self._spec.shape,
            )
        n = self._spec.shape[normalize_axis("chunk", dim, self._spec.ndim)]
        return self.split(-(-n // chunks), dim) if n else tuple(self.narrow(dim, 0, 0) for _ in range(chunks))

    def tensor_split(self, indices_or_sections: Any, dim: int = 0) -> tuple:
        """Pieces of an axis: a number of them (the first ones longer by one), or cut before each of the given positions.

        pieces[k][…, i, …] = x[…, cut[k] + i, …]

        Shapes: (*, n, *) → pieces (*, ⌊n / pieces⌋ or one more, *), views.
        """
        if not self._spec.ndim:
            raise ShapeError("tensor_split of a 0-d tensor; it has no axis")
        n = self._spec.shape[normalize_axis("tensor_split", dim, self._spec.ndim)]
        cuts = _cuts(indices_or_sections, n)
        ends = [0, *(min(max(c + n if c < 0 else c, 0), n) for c in cuts), n]
        return tuple(self.narrow(dim, a, max(0, b - a)) for a, b in pairwise(ends))

    def _split_along(self, name: str, pieces: Any, axis: int, needed: int) -> tuple:
        if self._spec.ndim < needed:
            raise ShapeError(
                "{name} needs at least {needed} {axes}, the tensor has shape {shape}",
                name=name,
                needed=needed,
                axes=Phrase("axis") if needed == 1 else Phrase("axes"),
                shape=self._spec.shape,
            )
        n = self._spec.shape[axis]
        if isinstance(pieces, int) and (pieces < 1 or n % pieces):
            raise ShapeError(
                "{name}: axis {axis} of size {size} is not divisible into {pieces} equal pieces; tensor_split makes unequal ones",
                name=name,
                axis=axis,
                size=n,
                pieces=pieces,
            )
        return self.tensor_split(pieces, axis)

    def hsplit(self, indices_or_sections: Any) -> tuple:
        """`tensor_split` of the columns (of a vector: of its elements), into equal pieces.

        pieces[k][:, j] = x[:, cut[k] + j]

        Shapes: (m, n, *) → pieces of the second axis, (n) of the first; views.
        """
        return self._split_along("hsplit", indices_or_sections, 1 if self._spec.ndim > 1 else 0, 1)

    def vsplit(self, indices_or_sections: Any) -> tuple:
        """`tensor_split` of the rows, into equal pieces.

        pieces[k][i] = x[cut[k] + i]

        Shapes: (m, n, *) → pieces of the first axis; views.
        """
        return self._split_along("vsplit", indices_or_sections, 0, 2)

    def dsplit(self, indices_or_sections: Any) -> tuple:
        """`tensor_split` of the third axis, into equal pieces.

        pieces[k][:, :, i] = x[:, :, cut[k] + i]

        Shapes: (m, n, k, *) → pieces of the third axis; views.
        """
        return self._split_along("dsplit", indices_or_sections, 2, 3)

    def unfold(self, dimension: int, size: int, step: int) -> Any:
        """A view of all windows of `size` elements of an axis, `step` apart, as a new last axis.

        y[…, i, …, j] = x[…, i · step + j, …]

        Shapes: (*, n, *) → (*, ⌊(n - size) / step⌋ + 1, *, size). A view.
        """
        x: Any = self
        axis = normalize_axis("unfold", dimension, self._spec.ndim)
        n = self._spec.shape[axis] if self._spec.ndim else 1
        if not 0 <= size <= n or step < 1:
            raise ShapeError(
                "unfold: windows of {window}, {step} apart, on axis {axis} of size {size}; expected size 0 … {size} and step 1 or more",
                window=size,
                step=step,
                axis=axis,
                size=n,
            )
        if not self._spec.ndim:
            return x.view(1)[:size]
        last = x.movedim(axis, -1).unsqueeze(-1)
        windows = last.expand(*last.shape[:-1], size)._view("slide", (((n - size) // step + 1,), (step,), (1,)))
        return windows.movedim(-2, axis)


def _cuts(given: Any, n: int) -> list[int]:
    """Where `tensor_split` cuts an axis of size n."""
    if isinstance(given, TensorCore):
        given = given.tolist()  # type: ignore[attr-defined]
    if not isinstance(given, int):
        return [int(c) for c in given]
    if given < 1:
        raise ShapeError("tensor_split into {given} pieces; expected 1 or more", given=given)
    lengths = [n // given + (k < n % given) for k in range(given)]
    return [sum(lengths[:k]) for k in range(1, given)]
