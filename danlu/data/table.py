"""L7. Reading a CSV into columns of NumPy arrays. The one importer of pandas."""

from __future__ import annotations

import codecs
import csv
import io
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from danlu.errors import DataError
from danlu.files import read_bytes
from danlu.messages import Phrase

_SEPARATORS = ",;\t|"
_MISSING = frozenset(["", "?", "NA", "N/A", "n/a", "#N/A", "#NA", "<NA>", "NaN", "nan", "-nan", "NULL", "null", "None"])
_BINARY = {
    b"PK\x03\x04": Phrase("a zip or Excel file; save the sheet as CSV"),
    b"\x1f\x8b": Phrase("gzip data; unpack it first"),
    b"%PDF": Phrase("a PDF; a CSV is needed"),
    b"\x89PNG": Phrase("a PNG image; a CSV is needed"),
    b"PAR1": Phrase("a Parquet file; save the table as CSV"),
    b"\xff\xfe": Phrase("text in UTF-16; save it as CSV in UTF-8"),
    b"\xfe\xff": Phrase("text in UTF-16; save it as CSV in UTF-8"),
}


@dataclass(frozen=True)
class Table:
    """A table in memory: columns in the file's order, all of one length.

    A column is float64 (NaN = missing), int64, bool, or object: str, bool or None (= missing).
    `lines[i]` is the line of the file on which row i begins.

    >>> from pathlib import Path
    >>> import numpy as np
    >>> from danlu.data import Table
    >>> table = Table(Path("train.csv"), {"x": np.array([5, 6])}, np.array([2, 3]))
    >>> len(table), table.take(np.array([1])).columns["x"]
    (2, array([6]))
    """

    path: Path
    columns: dict[str, np.ndarray]
    lines: np.ndarray
    encoding: str = "UTF-8"
    separator: str = ","

    def __len__(self) -> int:
        return len(self.lines)

    def take(self, rows: np.ndarray) -> Table:
        """The table of some rows, in their order."""
        columns = {name: column[rows] for name, column in self.columns.items()}
        return Table(self.path, columns, self.lines[rows], self.encoding, self.separator)


def nearest(name: str, choices: Iterable[str]) -> str | None:
    """The choice that is spelled most like `name`, or None when none is near; capitals do not count.

    >>> nearest("median_house_valeu", ["median_income", "median_house_value"])
    'median_house_value'
    """
    import difflib  # here, as it takes 4 ms and only messages need it

    lowered = {choice.lower(): choice for choice in choices}
    found = difflib.get_close_matches(name.lower(), lowered, n=1, cutoff=0.6)
    return lowered[found[0]] if found else None


def did_you_mean(name: str, choices: Iterable[str]) -> Phrase | str:
    """The end of a message: the nearest choice as a question, or nothing.

    >>> did_you_mean("pric", ["price", "rooms"])
    "; did you mean 'price'?"
    """
    near = nearest(name, choices)
    return Phrase("; did you mean {near!r}?", near=near) if near is not None else ""


def read_csv(path: str | Path) -> Table:
    """A CSV file as a Table; the first line names the columns.

    UTF-8 (with or without byte-order mark) and GBK are read; the separator is the one of `, ; tab |` that occurs most often in
    the first line. Missing are an empty field, `?`, `NA`, `N/A`, `NaN`, `null` and `None`; blanks around a field do not count.

    Raises: DataError for binary data, an empty file, another encoding, rows of different lengths (with the line), column names
    that occur twice, and when pandas is not installed.

    >>> from danlu.data import read_csv
    >>> read_csv("train.csv").columns["price"]  # doctest: +SKIP
    array([1.5, 2. , nan])
    """
    path = Path(path)
    data = read_bytes(path)
    _refuse_binary(path, data)
    text, encoding = _decode(path, data)
    separator = _separator(text)
    names, lines = _check_rows(path, text, separator)
    frame = _parse(path, text, names, separator)
    if len(frame) != len(lines):
        raise DataError(
            "{path} holds lines that may be blank or rows (such as one of quotation marks alone); remove them", path=path
        )
    columns = {name: _column(frame[name]) for name in names}
    return Table(path, columns, lines, encoding, separator)


def _refuse_binary(path: Path, data: bytes) -> None:
    if not data.removeprefix(codecs.BOM_UTF8).strip():
        raise DataError("{path} is empty; expected a CSV with a first line of column names", path=path)
    for magic, what in _BINARY.items():
        if data.startswith(magic):
            raise DataError("{path} is not a CSV: it is {what}", path=path, what=what)
    if (place := data.find(b"\0")) >= 0:
        raise DataError("{path} is not a CSV: it holds binary data (a zero byte at position {place})", path=path, place=place)


def _decode(path: Path, data: bytes) -> tuple[str, str]:
    """The text and the encoding's name: UTF-8 if it fits, else GBK (read as GB18030, which contains it)."""
    try:
        return data.decode("utf-8-sig"), "UTF-8"
    except UnicodeDecodeError:
        pass
    try:
        return data.decode("gb18030"), "GBK"
    except UnicodeDecodeError as problem:
        line = data.count(b"\n", 0, problem.start) + 1
        byte = data[problem.start]
        raise DataError(
            "{path} is neither UTF-8 nor GBK (byte 0x{byte:02x} in line {line}); save it as CSV in UTF-8",
            path=path,
            byte=byte,
            line=line,
        ) from None


def _separator(text: str) -> str:
    """The likeliest separator: the one that the first line holds most often outside quotes; a comma when it holds none."""
    line = text.lstrip("\r\n").split("\n", 1)[0].split("\r", 1)[0]
    bare = "".join(line.split('"')[::2])
    return max(_SEPARATORS, key=lambda mark: (bare.count(mark), mark == ","))


def _check_rows(path: Path, text: str, separator: str) -> tuple[list[str], np.ndarray]:
    """Column names and the line on which each row begins; every row must have as many fields as there are names."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, skipinitialspace=True, strict=True)
    names: list[str] = []
    lines: list[int] = []
    begin = 1
    try:
        for row in reader:
            if row in ([], [""]):
                pass  # a blank line
            elif not names:
                names = _check_names(path, row)
            else:
                if len(row) != len(names):
                    raise DataError(
                        "{path}, line {line}: {found} fields, expected {expected} as in the first line",
                        path=path,
                        line=begin,
                        found=len(row),
                        expected=len(names),
                    )
                lines.append(begin)
            begin = reader.line_num + 1
    except csv.Error as problem:
        raise DataError(
            "{path}, line {line}: not a CSV ({problem}); is a quotation mark left open?", path=path, line=begin, problem=problem
        ) from None
    if not lines:
        raise DataError("{path} holds no rows below its line of column names", path=path)
    return names, np.array(lines)


def _check_names(path: Path, row: list[str]) -> list[str]:
    """Names without blanks around them; one without a name is called by its place; none may occur twice."""
    names = [name.strip() or f"column {place}" for place, name in enumerate(row, 1)]
    for place, name in enumerate(names):
        if name in names[:place]:
            raise DataError(
                "{path}: the column name {name!r} occurs twice (columns {first} and {second}); rename one",
                path=path,
                name=name,
                first=names.index(name) + 1,
                second=place + 1,
            )
    return names


def _parse(path: Path, text: str, names: list[str], separator: str) -> Any:
    """pandas' frame of a text whose shape is already checked."""
    try:
        import pandas
    except ImportError:
        raise DataError(
            "reading {path} needs pandas, which is not installed; write: pip install 'danlu[data]'", path=path
        ) from None
    return pandas.read_csv(
        io.StringIO(text, newline=""),
        sep=separator,
        names=names,
        header=0,
        index_col=False,
        low_memory=False,
        keep_default_na=False,
        na_values=sorted(_MISSING),
        skipinitialspace=True,
    )


def _column(series: Any) -> np.ndarray:
    """A pandas column as one of the four kinds of array that Table holds."""
    kind = series.dtype.kind
    if kind in "fu":
        return series.to_numpy(np.float64)
    if kind in "ib":
        return series.to_numpy()
    values = series.to_numpy(object)
    values = np.where(series.isna().to_numpy(), None, values)
    return np.array([_stripped(value) if isinstance(value, str) else value for value in values], dtype=object)


def _stripped(text: str) -> str | None:
    """A text without blanks around it; None when nothing or a word for nothing is left."""
    text = text.strip()
    return None if text in _MISSING else text
