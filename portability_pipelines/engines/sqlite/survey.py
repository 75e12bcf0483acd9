"""What a selection is made of, counted by SQLite itself before anything is read.

One pass counts, for each column, the values that are not of the kind its declaration promises.
Only where there are some does a second pass count every storage class, month by month.
"""

from __future__ import annotations

from typing import Any

from portability_pipelines.domain.manifest import ColumnEntry
from portability_pipelines.domain.months import Period
from portability_pipelines.domain.tables import Column, Selection, StorageClass
from portability_pipelines.engines.base import Contents
from portability_pipelines.engines.sqlite.adbc import Connection
from portability_pipelines.engines.sqlite.periods import (
    bounds,
    condition,
    month_expression,
    periods_of,
)
from portability_pipelines.engines.sqlite.schema import identifier, literal

CLASSES: tuple[StorageClass, ...] = ("integer", "real", "text", "blob")
_EXACT_IN_DOUBLE = 2**53


def survey(connection: Connection, selection: Selection) -> dict[Period, Contents]:
    """Rows and columns of every period of ``selection``."""
    overall = _overall(connection, selection)
    rows = _rows_by_period(connection, selection, overall["n"])
    columns = selection.table.columns
    mixed = [i for i in range(len(columns)) if overall[f"misfits{i}"]]
    detail = _classes_by_period(connection, selection, mixed) if mixed else {}
    return {
        period: Contents(
            count,
            tuple(
                detail.get((period, i)) or _entry(column, {}, True)
                for i, column in enumerate(columns)
            ),
        )
        for period, count in rows.items()
    }


def source(selection: Selection, *, indexed: bool) -> str:
    """``FROM .. WHERE ..`` of a selection, kept off its indexes where a scan is the faster road."""
    where = condition(selection)
    hint = "" if indexed or not selection.table.order_by else " NOT INDEXED"
    return f"FROM {identifier(selection.table.name)}{hint}" + (f" WHERE {where}" if where else "")


def _overall(connection: Connection, selection: Selection) -> dict[str, Any]:
    counts = ["count(*) AS n"]
    for i, column in enumerate(selection.table.columns):
        name = identifier(column.name)
        misfit = f"CASE WHEN typeof({name}) <> '{column.expected}' THEN {name} END"
        counts.append(f"count({misfit}) AS misfits{i}")
    one_month = len(selection.months) == 1 and not selection.undated
    sql = f"SELECT {', '.join(counts)} {source(selection, indexed=one_month)}"
    return connection.rows(sql)[0]


def _rows_by_period(connection: Connection, selection: Selection, rows: int) -> dict[Period, int]:
    periods = periods_of(selection)
    column = selection.month_column
    if len(periods) == 1 or column is None:
        return {periods[0]: rows}
    name = identifier(column.name)
    table = identifier(selection.table.name)
    if not leads_an_index(connection, selection):
        grouped = connection.rows(
            f"SELECT {month_expression(column)} AS period, count(*) AS n "
            f"{source(selection, indexed=True)} GROUP BY 1"
        )
        found = {row["period"]: row["n"] for row in grouped}
        return {period: found.get(period, 0) for period in periods}
    counts = []
    for month in selection.months:
        low, high = bounds(column.encoding, month, month)
        counts.append(
            f"(SELECT count(*) FROM {table} WHERE {name} >= {low} AND {name} < {high})"
            f" AS {identifier(str(month))}"
        )
    return dict(connection.rows(f"SELECT {', '.join(counts)}")[0])


def leads_an_index(connection: Connection, selection: Selection) -> bool:
    """Whether the month column comes first in an index that covers every row."""
    column = selection.month_column
    if column is None:
        return False
    found = connection.rows(
        f"SELECT 1 AS yes FROM pragma_index_list({literal(selection.table.name)}) AS list "
        "JOIN pragma_index_xinfo(list.name) AS part "
        f"WHERE NOT list.\"partial\" AND part.seqno = 0 AND part.coll = 'BINARY' "
        f"AND part.name = {literal(column.name)} COLLATE NOCASE"
    )
    return bool(found)


def _classes_by_period(
    connection: Connection, selection: Selection, places: list[int]
) -> dict[tuple[Period, int], ColumnEntry]:
    periods = periods_of(selection)
    by_month = len(periods) > 1 and selection.month_column is not None
    period = month_expression(selection.month_column) if by_month else literal(periods[0])  # type: ignore[arg-type]
    counts = [f"{period} AS period"]
    for i in places:
        name = identifier(selection.table.columns[i].name)
        counts += [f"sum(typeof({name}) = '{kind}') AS {kind}{i}" for kind in CLASSES]
        whole = f"CASE typeof({name}) WHEN 'integer' THEN {name} END"
        counts += [f"min({whole}) AS low{i}", f"max({whole}) AS high{i}"]
    rows = connection.rows(
        f"SELECT {', '.join(counts)} {source(selection, indexed=not by_month)} GROUP BY 1"
    )
    return {
        (row["period"], i): _entry(
            selection.table.columns[i],
            {kind: row[f"{kind}{i}"] for kind in CLASSES if row[f"{kind}{i}"]},
            _fits_double(row[f"low{i}"]) and _fits_double(row[f"high{i}"]),
        )
        for row in rows
        for i in places
    }


def _fits_double(value: int | None) -> bool:
    return value is None or abs(value) <= _EXACT_IN_DOUBLE


def _entry(column: Column, classes: dict[StorageClass, int], integers_fit: bool) -> ColumnEntry:
    """How a column is stored: in the kind it declares where every value has an exact form there."""
    stored, note = column.expected, None
    if not set(classes) - {stored}:
        return ColumnEntry(column.name, column.declared_type, stored)
    if set(classes) == {"integer", "real"} or (stored == "real" and set(classes) == {"integer"}):
        if integers_fit:
            stored, note = "real", f"{classes['integer']} integers written as reals, exactly"
        elif "real" in classes:
            stored, note = "text", _as_text(classes)
        else:
            stored = "integer"
    elif len(classes) == 1:
        (stored,) = classes
    else:
        stored, note = "text", _as_text(classes)
    counts: dict[str, int] = {str(kind): count for kind, count in classes.items()}
    return ColumnEntry(column.name, column.declared_type, stored, counts, note)


def _as_text(classes: dict[StorageClass, int]) -> str:
    counted = ", ".join(f"{count} {kind}" for kind, count in classes.items())
    return f"mixes {counted} values; all written as text"
