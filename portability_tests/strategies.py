"""Hypothesis strategies for records: schemas with odd names, and every kind of value."""

from __future__ import annotations

import sys
from typing import Any

import pyarrow as pa
from hypothesis import strategies as st

from portability_pipelines.formats.records import ARROW_TYPES

_ODD_NAMES = (
    "",
    " ",
    "a,b",
    'say "hi"',
    "two\nlines",
    "cr\r\nlf",
    "größe",
    "表",
    "😀",
    "\\",
    "'",
    "$id",
)
_ODD_TEXTS = (
    "",
    " ",
    "\n",
    "\r",
    "\r\n",
    ",",
    '"',
    '""',
    "\0",
    "\x1b",
    "\\",
    "null",
    "NULL",
    "nan",
)
_MORE_ODD_TEXTS = (
    "inf",
    "0",
    "-0.0",
    "=1+1",
    "\ufeff",
    "\u2028",
    "😀",
    "e\u0301",
    "'",
    "{}",
    "x" * 5000,
)

# Databases name columns with anything but NUL, which ends a name in C.
_name_characters = st.characters(exclude_characters="\0", exclude_categories=["Cs"])
_text_characters = st.characters(exclude_categories=["Cs"])

_ODD_INTEGERS = (0, -1, 2**31, 2**53 + 1, 2**63 - 1, -(2**63))
_ODD_REALS = (
    *(0.0, -0.0, 0.1, 1e22, 1e23, 5e-324, 2.2250738585072014e-308, 1e308, sys.float_info.max),
    *(float("inf"), float("-inf"), float(2**53)),
)

names = st.one_of(st.sampled_from(_ODD_NAMES), st.text(_name_characters, max_size=12))

texts = st.one_of(
    st.sampled_from(_ODD_TEXTS + _MORE_ODD_TEXTS), st.text(_text_characters, max_size=20)
)

values: dict[pa.DataType, st.SearchStrategy[Any]] = {
    pa.int64(): st.one_of(
        st.sampled_from(_ODD_INTEGERS), st.integers(min_value=-(2**63), max_value=2**63 - 1)
    ),
    pa.float64(): st.one_of(st.sampled_from(_ODD_REALS), st.floats(allow_nan=False)),
    pa.string(): texts,
    pa.binary(): st.one_of(st.sampled_from((b"", b"\0", b"\xff\n,")), st.binary(max_size=20)),
}
"""Values by column type, NULL left out. No NaN: SQLite has none, and it equals nothing."""


@st.composite
def schemas(draw: st.DrawFn, min_columns: int = 1, max_columns: int = 6) -> pa.Schema:
    """Schemas of the four record types, whose names differ."""
    found = draw(st.lists(names, min_size=min_columns, max_size=max_columns, unique=True))
    return pa.schema([(name, draw(st.sampled_from(list(ARROW_TYPES.values())))) for name in found])


@st.composite
def batches(draw: st.DrawFn, schema: pa.Schema, min_rows: int = 0, max_rows: int = 12) -> Any:
    """Batches of ``schema``; any value may be NULL."""
    row = st.tuples(*(st.none() | values[field.type] for field in schema))
    rows = draw(st.lists(row, min_size=min_rows, max_size=max_rows))
    columns = list(zip(*rows, strict=True)) or [()] * len(schema)
    arrays = [pa.array(c, f.type) for c, f in zip(columns, schema, strict=True)]
    return pa.RecordBatch.from_arrays(arrays, schema=schema)


records = schemas().flatmap(batches)
"""A batch of any schema."""


@st.composite
def cuts(draw: st.DrawFn, batch: pa.RecordBatch) -> list[pa.RecordBatch]:
    """The rows of ``batch`` in order as slices of it, some of them perhaps empty."""
    places = sorted(draw(st.lists(st.integers(0, batch.num_rows), max_size=4)))
    ends = zip([0, *places], [*places, batch.num_rows], strict=True)
    return [batch.slice(start, end - start) for start, end in ends]


Value = int | float | str | bytes | None

any_value: st.SearchStrategy[Value] = st.one_of(
    st.none(),
    st.integers(-(2**63), 2**63 - 1),
    st.floats(allow_nan=False),
    st.text(_text_characters),
    st.binary(max_size=20),
)
"""Values of every kind that SQLite stores."""
