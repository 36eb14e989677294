"""L7. The front door of the data: what a user names (digits, a CSV, IDX files) becomes rows ready to train or to predict."""

from __future__ import annotations

import hashlib
import os
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from danlu.data.columns import SCALES, as_numbers, is_missing
from danlu.data.digits import load_digits
from danlu.data.idx import is_idx_name, read_idx, read_labelled
from danlu.data.prepare import ImagePreparation, Preparation, Prepared, TablePreparation
from danlu.data.split import check_rows, split
from danlu.data.table import Table, did_you_mean, read_csv
from danlu.data.target import TASKS, ClassTarget, NumberTarget, Target, infer_task
from danlu.errors import DataError
from danlu.messages import Phrase, message

DIGITS = "digits"
_LABEL = "label"
_MOST_LISTED = 20
_MOST_NEIGHBOURS = 10_000


@dataclass(frozen=True)
class Source:
    """Data that was found and read: a table with a target column, or images with labels."""

    kind: str  # "digits", "csv" or "idx"
    name: str
    path: Path | None
    files: list[Path]
    target: str
    values: np.ndarray  # the target column or the labels [N]
    data: Table | np.ndarray  # the table, or images [N, height, width]
    notes: list[str] = field(default_factory=list)

    @property
    def rows(self) -> int:
        """How many rows or images."""
        return len(self.data)

    def describe(self) -> dict[str, Any]:
        """A plain object for a run's config: kind, name, path, rows, target, shape, and each file with its size and SHA-256."""
        shape = [len(self.data.columns)] if isinstance(self.data, Table) else list(self.data.shape[1:])
        files = [{"name": file.name, "bytes": file.stat().st_size, "sha256": _digest(file)} for file in self.files]
        path = str(self.path) if self.path is not None else None
        return {
            "kind": self.kind,
            "name": self.name,
            "path": path,
            "rows": self.rows,
            "target": self.target,
            "shape": shape,
            "files": files,
        }


def _digest(file: Path) -> str:
    """SHA-256 of a file, read in pieces."""
    digest = hashlib.sha256()
    with file.open("rb") as stream:
        while piece := stream.read(1 << 20):
            digest.update(piece)
    return digest.hexdigest()


def open_source(what: str | Path, target: str | None = None) -> Source:
    """What `danlu train WHAT --target TARGET` names, read and checked.

    `digits` is the data set that the package carries (a folder of that name is `./digits`); anything else is the path of a
    CSV, of an IDX file, or of a folder of IDX files. A `.csv`, `.tsv` or `.txt` is a CSV; other files are told by their
    first bytes.

    Raises: DataError for a path that is not there (with the nearest name), a CSV without `target` or with an unknown one, a
    target for images, and everything that the readers refuse.

    >>> open_source("digits").rows
    1797
    """
    what = str(what)
    if what == DIGITS:
        _refuse_target(what, target)
        images, labels = load_digits()
        return Source(DIGITS, DIGITS, None, [], _LABEL, labels, images)
    path = _existing(what)
    if path.is_dir() or _is_idx(path):
        _refuse_target(what, target)
        return _open_images(path)
    return _open_table(path, what, target)


def _existing(what: str) -> Path:
    """The absolute path of something that is there and may be read."""
    path = Path(what).expanduser().absolute()
    if os.path.isdir(path) or os.path.isfile(path):  # unlike Path's own they never raise
        if not os.access(path, os.R_OK):
            raise DataError("{what} may not be read (no permission)", what=what)
        return path
    if os.path.exists(path):
        raise DataError(
            "{what} is neither a file nor a folder; expected 'digits', a CSV, an IDX file or a folder of IDX files", what=what
        )
    if not os.path.isdir(path.parent):
        raise DataError("{what} does not exist: there is no folder {parent}", what=what, parent=path.parent)
    neighbours = [entry.name for entry, _ in zip(os.scandir(path.parent), range(_MOST_NEIGHBOURS))]
    raise DataError(
        "{what} does not exist in {parent}{hint}",
        what=what,
        parent=path.parent,
        hint=did_you_mean(path.name, [*neighbours, DIGITS]),
    )


def _is_idx(path: Path) -> bool:
    """Whether a file is to be read as IDX: by its name, else by its first bytes."""
    if re.search(r"\.(csv|tsv|txt)(\.gz)?$", path.name, flags=re.IGNORECASE):
        return False
    if is_idx_name(path) or path.suffix == ".gz" or "idx" in path.suffix:
        return True
    with path.open("rb") as stream:
        head = stream.read(4)
    return head[:2] == b"\x1f\x8b" or (head[:2] == b"\0\0" and len(head) == 4)


def _refuse_target(what: str, target: str | None) -> None:
    if target is not None:
        raise DataError(
            "{what} has labels of its own; a target column ({target!r}) is for a CSV: leave --target out",
            what=what,
            target=target,
        )


def _open_images(path: Path) -> Source:
    if path.is_dir() and not any(is_idx_name(file) for file in path.iterdir()):
        tables = sorted(file.name for file in path.iterdir() if file.suffix.lower() == ".csv")
        hint = Phrase("; for a CSV write its name: {path}", path=path / tables[0]) if tables else ""
        raise DataError(
            "{path} holds no IDX files (X-images-idx3-ubyte and X-labels-idx1-ubyte, .gz or not){hint}", path=path, hint=hint
        )
    read = read_labelled(path)
    return Source("idx", _run_name(path), path, read.files, _LABEL, read.labels, read.images, read.notes)


def _open_table(path: Path, what: str, target: str | None) -> Source:
    table = read_csv(path)
    names = list(table.columns)
    if target is None:
        raise DataError(
            "{what} needs a column to learn: --target COLUMN; its columns are {columns}", what=what, columns=_listed(names)
        )
    if target not in table.columns:
        raise DataError(
            "{what} has no column {target!r}{hint} (its columns are {columns})",
            what=what,
            target=target,
            hint=did_you_mean(target, names),
            columns=_listed(names),
        )
    return Source("csv", _run_name(path), path, [path], target, table.columns[target], table, _table_notes(table))


def _table_notes(table: Table) -> list[str]:
    """What a user should know of how a table was read."""
    notes = [message("{name} was read as GBK, as it is not UTF-8.", name=table.path.name)] if table.encoding != "UTF-8" else []
    if table.separator == ",":
        return notes
    mark = Phrase("tabs") if table.separator == "\t" else repr(table.separator)
    return [*notes, message("The columns of {name} are separated by {mark}.", name=table.path.name, mark=mark)]


def _listed(names: list[str]) -> str | Phrase:
    more, first = len(names) - _MOST_LISTED, ", ".join(names[:_MOST_LISTED])
    return Phrase("{first} and {more} more", first=first, more=more) if more > 0 else first


def _run_name(path: Path) -> str:
    """A name for folders: the file's own without its endings, of letters, digits and `. _ -`."""
    name = path.resolve().name if path.is_dir() else re.sub(r"(\.gz)$", "", path.name)
    name = re.sub(r"[-.]?(images|labels)[-.]idx\d-ubyte$", "", name)
    stem = name if path.is_dir() else re.sub(r"\.(csv|tsv|txt|idx)$", "", name, flags=re.IGNORECASE)
    return re.sub(r"[^\w.-]+", "-", stem).strip("-.") or "data"


def prepare(source: Source, task: str = "auto", scale: str = "standard", seed: int = 0) -> Prepared:
    """The rows of a source as features and targets in three parts, 72/8/20, and the preparation that made them.

    Rows without a target are left out; labels of images are classes under `auto`. Everything learned from data is learned
    from the training part.

    Shapes: features float32 [N, F]; targets int64 [N] (class numbers) or float32 [N] (standardised).

    Raises: DataError for an unknown task or scale, a target that cannot be learned, too few rows.

    >>> prepared = prepare(open_source("digits"))
    >>> prepared.task, prepared.train[0].shape
    ('classification', (1294, 64))
    """
    _check_choice("task", task, TASKS)
    _check_choice("scale", scale, SCALES)
    notes = list(source.notes)
    rows = _rows_with_target(source, notes)
    values = source.values[rows]
    check_rows(len(rows))
    if task == "auto" and source.kind != "csv":
        task = "classification"
    task, guess = infer_task(source.target, values, task)
    notes += [guess] if guess else []
    classes = ClassTarget.fit(source.target, values) if task == "classification" else None
    parts = split(len(rows), seed, classes.transform(values) if classes else None)
    target = classes or NumberTarget.fit(source.target, values[parts[0]])
    preparation, found = _fit(_rows(source.data, rows[parts[0]]), target, scale)
    made = [(preparation.transform(_rows(source.data, rows[part])), target.transform(values[part])) for part in parts]
    return Prepared(task, made[0], made[1], made[2], preparation, notes + found + _rare(classes, values))


def _rows(data: Table | np.ndarray, rows: np.ndarray) -> Table | np.ndarray:
    """Some rows of a table, or some images."""
    return data.take(rows) if isinstance(data, Table) else data[rows]


def _fit(data: Table | np.ndarray, target: Target, scale: str) -> tuple[Preparation, list[str]]:
    """The preparation of training rows, and sentences for the user."""
    if isinstance(data, Table):
        return TablePreparation.fit(data, target, scale)
    return ImagePreparation.fit(data, target, scale), []


def _check_choice(name: str, value: str, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise DataError(
            "{name} {value!r} is unknown; choose one of {choices}", name=name, value=value, choices=", ".join(choices)
        )


def _rows_with_target(source: Source, notes: list[str]) -> np.ndarray:
    """The row numbers whose target is there (an infinite number is none), with a note on the others."""
    values = source.values
    present = ~is_missing(values) if values.dtype == object else ~np.isnan(as_numbers(values))
    if not present.any():
        raise DataError(
            "the target {target!r} is missing in all {count} rows; choose another column", target=source.target, count=len(values)
        )
    if not present.all():
        notes.append(message("{count} rows without a target are left out.", count=int((~present).sum())))
    return np.flatnonzero(present)


def _rare(classes: ClassTarget | None, values: np.ndarray) -> list[str]:
    """A note on classes with a single row, which the split keeps for training."""
    if classes is None:
        return []
    counts = np.bincount(classes.transform(values))
    alone = [classes.classes[place] for place in np.flatnonzero(counts == 1)]
    return [message("Classes with a single row are in the training part only: {names}.", names=_listed(alone))] if alone else []


def apply(preparation: Preparation, what: str | Path) -> np.ndarray:
    """The features float32 [N, F] of a file for `danlu predict RUN FILE`.

    A CSV with or without the target; IDX images with or without labels (of a folder, the labelled ones); or `digits`.

    Raises: DataError for a file that is not there, is of the other kind, lacks columns, or holds images of another shape.

    >>> preparation = prepare(open_source("digits")).preparation
    >>> apply(preparation, "digits").shape
    (1797, 64)
    """
    what = str(what)
    if what == DIGITS:
        return preparation.transform(load_digits()[0], what)
    path = _existing(what)
    if path.is_dir():
        return preparation.transform(read_labelled(path).images, what)
    return preparation.transform(read_idx(path) if _is_idx(path) else read_csv(path), what)
