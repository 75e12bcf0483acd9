"""Which rows belong to which period, as SQL conditions and as Arrow masks."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from portability_pipelines.domain.months import Month, Period
from portability_pipelines.domain.tables import DateEncoding, Selection
from portability_pipelines.engines.sqlite.schema import has_text_affinity, identifier, literal
from portability_pipelines.formats.buffers import numbers

UNIT = {"epoch_seconds": 1, "epoch_milliseconds": 1000}


def condition(selection: Selection) -> str:
    """The WHERE condition of a selection; an empty text where it takes every row."""
    column, months = selection.month_column, selection.months
    if column is None or not months:
        return ""
    if not selection.undated:
        return between(selection, months[0], months[-1])
    if column.encoding == "iso":
        dated = f"substr({identifier(column.name)}, 1, 7) IN ({_named(months)})"
    else:
        dated = between(selection, months[0], months[-1])
    return f"coalesce({dated}, 0) = 0"


def between(selection: Selection, first: Month, last: Month) -> str:
    """SQL that is true of the dates from ``first`` to ``last``.

    Text is compared by its first seven characters, so the upper bound is the text that follows
    every text beginning with ``last``. Numbers are compared in UTC.

    SQLite compares the bytes of texts as they are kept. In UTF-16le the lower byte of a character
    comes first, so that a letter may sort between two digits.
    """
    encoding = selection.month_column.encoding if selection.month_column else "iso"
    dates = _dates(selection)
    if encoding == "iso":
        text = str(last)
        after, in_utf_16le = (text[:-1] + chr(ord(text[-1]) + step) for step in (1, 0x100))
        end = f"iif(encoding = 'UTF-16le', {literal(in_utf_16le)}, {literal(after)})"
        above = f"{dates} < (SELECT {end} FROM pragma_encoding)"
        return f"{dates} >= {literal(str(first))} AND {above}"
    low, high = starts_at(encoding, first), starts_at(encoding, last.next)
    return f"{dates} >= {low} AND {dates} < {high}"


def starts_at(encoding: DateEncoding, month: Month) -> int:
    """The first instant of ``month`` in UTC, in the unit of ``encoding``."""
    start = datetime(month.year, month.number, 1, tzinfo=UTC)
    return int(start.timestamp()) * UNIT[encoding]


def grouped_by_month(selection: Selection, counts: str, rows: str) -> str:
    """A query for ``counts`` of each month's ``rows``, with the month as ``period``."""
    encoding = selection.month_column.encoding if selection.month_column else "iso"
    dates, months = _dates(selection), selection.months
    if encoding == "iso":
        month = f"substr({dates}, 1, 7)"
    else:
        ends = (f"WHEN {dates} < {starts_at(encoding, m.next)} THEN '{m}'" for m in months)
        month = f"CASE {' '.join(ends)} END"
    # A text may lie between two months and be of none. In HAVING, a column that the table calls
    # ``period`` would be meant.
    grouped = f"SELECT {month} AS period, {counts} {rows} GROUP BY 1"
    return f"SELECT * FROM ({grouped}) WHERE period IN ({_named(months)})"


def _dates(selection: Selection) -> str:
    """SQL of the month column as it is compared: never by a collation, nor a number as a text."""
    month = selection.month_column
    if month is None:
        return "NULL"
    name, column = identifier(month.name), selection.table.column(month.name)
    if month.encoding == "iso":
        return f"{name} COLLATE BINARY"
    return f"+{name}" if column and has_text_affinity(column.declared_type) else name


def _named(months: tuple[Month, ...]) -> str:
    return ", ".join(literal(str(month)) for month in months)


def split(
    selection: Selection, batch: pa.RecordBatch, dates: pa.Array
) -> Iterator[tuple[Period, pa.RecordBatch]]:
    """Cut ``batch`` by the month in ``dates``; rows of no month asked for are left out."""
    periods = selection.periods
    if len(periods) == 1:
        yield periods[0], batch
        return
    places = _places(selection, dates)
    order = np.argsort(places, kind="stable")
    found, starts = np.unique(places[order], return_index=True)
    if len(found) > 1:
        batch = batch.take(
            pa.Array.from_buffers(pa.int64(), len(order), [None, pa.py_buffer(order)])
        )
    for place, start, end in zip(found, starts, (*starts[1:], len(order)), strict=True):
        if place >= 0:
            yield periods[place], batch.slice(start, end - start)


def _places(selection: Selection, dates: pa.Array) -> npt.NDArray[np.int64]:
    """The place among the months asked for of every date; -1 where it is in none of them."""
    encoding = selection.month_column.encoding if selection.month_column else "iso"
    if encoding != "iso":
        starts = [starts_at(encoding, month) for month in selection.months]
        return (
            np.searchsorted(starts, numbers(dates, np.float64), side="right").astype(np.int64) - 1
        )
    # As bytes, because the rest of a text need not be UTF-8.
    months = pc.binary_slice(dates.cast(pa.binary()), 0, 7).dictionary_encode()
    asked = {str(month).encode(): place for place, month in enumerate(selection.months)}
    places = np.array([asked.get(text, -1) for text in months.dictionary.to_pylist()], np.int64)
    return np.take(places, numbers(months.indices.cast(pa.int64()), np.int64))
