"""Which rows belong to which period, as SQL conditions and as Arrow masks."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from portability_pipelines.domain.months import Month, Period
from portability_pipelines.domain.tables import DateEncoding, MonthColumn, Selection
from portability_pipelines.engines.sqlite.schema import identifier, literal
from portability_pipelines.formats.buffers import numbers

UNIT = {"epoch_seconds": 1, "epoch_milliseconds": 1000}


def condition(selection: Selection) -> str:
    """The WHERE condition of a selection; an empty text where it takes every row."""
    column = selection.month_column
    if column is None:
        return ""
    if not selection.undated:
        return _between(column, selection.months[0], selection.months[-1])
    if column.encoding == "iso":
        months = ", ".join(literal(str(month)) for month in selection.months)
        dated = f"substr({identifier(column.name)}, 1, 7) IN ({months})"
    else:
        dated = _between(column, selection.months[0], selection.months[-1])
    return f"coalesce({dated}, 0) = 0"


def _between(column: MonthColumn, first: Month, last: Month) -> str:
    low, high = bounds(column.encoding, first, last)
    name = identifier(column.name)
    return f"{name} >= {low} AND {name} < {high}"


def bounds(encoding: DateEncoding, first: Month, last: Month) -> tuple[str, str]:
    """SQL literals of the smallest value in ``first`` and the smallest one after ``last``.

    Text is compared by its first seven characters, so the upper bound is the text that follows
    every text beginning with ``last``. Numbers are compared in UTC.
    """
    if encoding == "iso":
        text = str(last)
        return literal(str(first)), literal(text[:-1] + chr(ord(text[-1]) + 1))
    return str(starts_at(encoding, first)), str(starts_at(encoding, last.next))


def starts_at(encoding: DateEncoding, month: Month) -> int:
    """The first instant of ``month`` in UTC, in the unit of ``encoding``."""
    start = datetime(month.year, month.number, 1, tzinfo=UTC)
    return int(start.timestamp()) * UNIT[encoding]


def month_expression(column: MonthColumn) -> str:
    """SQL that names a row's month as ``2026-10``."""
    name = identifier(column.name)
    if column.encoding == "iso":
        return f"substr({name}, 1, 7)"
    return f"strftime('%Y-%m', {name} / {UNIT[column.encoding]}, 'unixepoch')"


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
    months = pc.utf8_slice_codeunits(dates, 0, 7).dictionary_encode()
    asked = {str(month): place for place, month in enumerate(selection.months)}
    places = np.array([asked.get(text, -1) for text in months.dictionary.to_pylist()], np.int64)
    return np.take(places, numbers(months.indices.cast(pa.int64()), np.int64))
