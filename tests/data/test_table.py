"""Reading CSV: encodings, separators, missing values, and the message of every bad file."""

from __future__ import annotations

import csv
import io
import re
import sys

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from danlu.data.table import did_you_mean, nearest, read_csv
from danlu.errors import DataError

TEXT = 'name,城市,age,price,yes\n"Ann, B",北京,31,1.5,True\nBob,上海,,2,False\n"two\nlines",?,40,NA,True\n'


def refused(path, text: str) -> None:
    with pytest.raises(DataError, match=re.escape(text)):
        read_csv(path)


def check(table) -> None:
    assert list(table.columns) == ["name", "城市", "age", "price", "yes"] and len(table) == 3
    assert table.columns["name"].tolist() == ["Ann, B", "Bob", "two\nlines"]
    assert table.columns["城市"].tolist() == ["北京", "上海", None]
    np.testing.assert_array_equal(table.columns["age"], [31, np.nan, 40])
    np.testing.assert_array_equal(table.columns["price"], [1.5, 2, np.nan])
    assert table.columns["yes"].dtype == bool
    assert table.lines.tolist() == [2, 3, 4]


@pytest.mark.parametrize(("encoding", "name"), [("utf-8", "UTF-8"), ("utf-8-sig", "UTF-8"), ("gbk", "GBK"), ("gb18030", "GBK")])
def test_encodings(write_csv, encoding: str, name: str) -> None:
    pytest.importorskip("pandas")
    table = read_csv(write_csv(TEXT.encode(encoding)))
    check(table)
    assert table.encoding == name


@pytest.mark.parametrize("separator", [";", "\t", "|"])
def test_other_separators(write_csv, separator: str) -> None:
    pytest.importorskip("pandas")
    table = read_csv(write_csv(TEXT.replace('"Ann, B"', '"Ann; B"').replace(",", separator).replace("Ann; B", "Ann, B")))
    check(table)
    assert table.separator == separator


@pytest.mark.parametrize("ending", ["\r\n", "\r"])
def test_other_line_endings(write_csv, ending: str) -> None:
    pytest.importorskip("pandas")
    table = read_csv(write_csv("a,b\n1,2\n\n3,4\n".replace("\n", ending)))
    assert table.columns["b"].tolist() == [2, 4] and table.lines.tolist() == [2, 4]


def test_blanks_around_fields_and_names_do_not_count(write_csv) -> None:
    pytest.importorskip("pandas")
    table = read_csv(write_csv('a , b\n1, x \n2, "y, z"\n3, NA \n4," "\n'))
    assert table.columns["b"].tolist() == ["x", "y, z", None, None]


@pytest.mark.parametrize("word", ["", "?", "NA", "N/A", "n/a", "NaN", "nan", "NULL", "null", "None"])
def test_words_for_what_is_missing(write_csv, word: str) -> None:
    pytest.importorskip("pandas")
    table = read_csv(write_csv(f"a,b\n1,x\n{word},{word}\n"))
    assert np.isnan(table.columns["a"][1]) and table.columns["b"].tolist() == ["x", None]


def test_a_column_without_a_name_is_called_by_its_place(write_csv) -> None:
    pytest.importorskip("pandas")
    assert list(read_csv(write_csv(",a\n0,5\n1,6\n")).columns) == ["column 1", "a"]


def test_one_column_with_blank_lines(write_csv) -> None:
    pytest.importorskip("pandas")
    assert read_csv(write_csv("a\n1\n  \n\n2\n")).lines.tolist() == [2, 5]


def test_a_line_that_may_be_blank_or_a_row(write_csv) -> None:
    pytest.importorskip("pandas")
    refused(write_csv('a,b\n""\n1,2\n'), "holds lines that may be blank or rows (such as one of quotation marks alone)")


def test_very_large_whole_numbers_are_numbers(write_csv) -> None:
    pytest.importorskip("pandas")
    assert read_csv(write_csv(f"a,b\n{2**63 + 2**20},1\n5,2\n")).columns["a"].tolist() == [2.0**63 + 2**20, 5.0]


@pytest.mark.parametrize("content", ["", "  \n\n", b"\xef\xbb\xbf"])
def test_empty(write_csv, content) -> None:
    refused(write_csv(content), "is empty; expected a CSV with a first line of column names")


def test_only_names(write_csv) -> None:
    refused(write_csv("a,b\n"), "holds no rows below its line of column names")


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (b"PK\x03\x04rest", "is not a CSV: it is a zip or Excel file; save the sheet as CSV"),
        (b"\x1f\x8brest", "is not a CSV: it is gzip data; unpack it first"),
        (b"%PDF-1.7", "is not a CSV: it is a PDF; a CSV is needed"),
        (b"\x89PNG\r\n", "is not a CSV: it is a PNG image"),
        (b"PAR1rest", "is not a CSV: it is a Parquet file"),
        ("a,b\n1,2\n".encode("utf-16"), "is not a CSV: it is text in UTF-16; save it as CSV in UTF-8"),
        (b"a,b\n1,\0\n", "is not a CSV: it holds binary data (a zero byte at position 6)"),
    ],
)
def test_not_a_csv(write_csv, content: bytes, text: str) -> None:
    refused(write_csv(content), text)


def test_wrong_encoding(write_csv) -> None:
    refused(write_csv(b"a,b\n1,2\n3,\xff\xff\n"), "is neither UTF-8 nor GBK (byte 0xff in line 3); save it as CSV in UTF-8")


def test_ragged_rows(write_csv) -> None:
    refused(write_csv("a,b,c\n1,2,3\n4,5\n"), "train.csv, line 3: 2 fields, expected 3 as in the first line")
    refused(write_csv('a,b\n"x\ny",2\n3,4,5\n'), "train.csv, line 4: 3 fields, expected 2 as in the first line")


def test_an_open_quote(write_csv) -> None:
    refused(
        write_csv('a,b\n1,"2\n3,4\n'), "train.csv, line 2: not a CSV (unexpected end of data); is a quotation mark left open?"
    )


def test_names_that_occur_twice(write_csv) -> None:
    refused(write_csv("a,b, a\n1,2,3\n"), "the column name 'a' occurs twice (columns 1 and 3); rename one")


def test_without_pandas(write_csv, monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "pandas", None)
    refused(write_csv("a,b\n1,2\n"), "needs pandas, which is not installed; write: pip install 'danlu[data]'")


def test_rows_are_taken_in_their_order(write_csv) -> None:
    pytest.importorskip("pandas")
    part = read_csv(write_csv(TEXT)).take(np.array([2, 0]))
    assert part.columns["name"].tolist() == ["two\nlines", "Ann, B"] and part.lines.tolist() == [4, 2] and len(part) == 2


def test_the_nearest_name() -> None:
    assert nearest("Median_Incme", ["median_age", "median_income"]) == "median_income"
    assert nearest("zzz", ["median_income"]) is None
    assert did_you_mean("zzz", ["median_income"]) == ""


PIECES = [
    *",,,\n\n\n",
    '"',
    " ",
    "a",
    "1",
    "2.5",
    "NA",
    "\r",
    "\t",
    ";",
    "é",
    "北",
    "1e400",
    "nan",
    "inf",
    "2024-01-02",
    "\u2028",
    "\\",
    "#",
]


@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    content=st.one_of(
        st.lists(st.sampled_from(PIECES), max_size=40).map(lambda row: "".join(row).encode()), st.binary(max_size=40)
    )
)
def test_any_bytes_are_read_or_refused(write_csv, content: bytes) -> None:
    pytest.importorskip("pandas")
    path = write_csv(content)
    try:
        table = read_csv(path)
    except DataError as problem:
        assert str(path) in str(problem)
    else:
        assert len(table) > 0 and {len(column) for column in table.columns.values()} == {len(table)}


@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=st.lists(st.tuples(st.text(st.sampled_from('ab"\n, 北'), min_size=1), st.integers(-9, 9)), min_size=1, max_size=8))
def test_what_pythons_writer_writes_comes_back(write_csv, rows: list[tuple[str, int]]) -> None:
    pytest.importorskip("pandas")
    stream = io.StringIO(newline="")
    csv.writer(stream, quoting=csv.QUOTE_ALL).writerows([("text", "number"), *rows])
    table = read_csv(write_csv(stream.getvalue()))
    assert table.columns["text"].tolist() == [text.strip() or None for text, _ in rows]
    assert table.columns["number"].tolist() == [number for _, number in rows]
