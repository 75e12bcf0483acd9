"""Which rows belong to which period, as SQL conditions and as Arrow masks."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from portability_pipelines.domain.months import ALL, UNDATED, Month, Period
from portability_pipelines.domain.tables import DateEncoding, MonthColumn, Selection
from portability_pipelines.engines.sqlite.schema import identifier, literal

UNIT = {"epoch_seconds": 1, "epoch_milliseconds": 1000}


def periods_of(selection: Selection) -> tuple[Period, ...]:
    """The periods that a selection asks for, in order."""
    if selection.month_column is None:
        return (ALL,)
    return (UNDATED,) if selection.undated else tuple(map(str, selection.months))


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
    periods = periods_of(selection)
    if len(periods) == 1:
        yield periods[0], batch
        return
    places = _places(selection, dates)
    for place in np.unique(places[places >= 0]):
        mask = places == place
        part = batch if mask.all() else batch.filter(pa.array(mask))
        yield periods[place], part


def _places(selection: Selection, dates: pa.Array) -> npt.NDArray[np.int32]:
    encoding = selection.month_column.encoding if selection.month_column else "iso"
    if encoding == "iso":
        names = pa.array([str(month) for month in selection.months])
        found = pc.index_in(pc.utf8_slice_codeunits(dates, 0, 7), names)
        return np.asarray(pc.fill_null(found, -1), dtype=np.int32)
    starts = [starts_at(encoding, month) for month in selection.months]
    return np.searchsorted(starts, np.asarray(dates), side="right").astype(np.int32) - 1
