"""What a selection is made of, counted by SQLite itself before anything is read.

One pass counts the rows with a value that is not of the kind its column's declaration promises.
Only where there are some do others find the columns, and count every storage class month by month.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

from portability_pipelines.domain.manifest import ColumnEntry
from portability_pipelines.domain.months import Period
from portability_pipelines.domain.tables import Column, StorageClass
from portability_pipelines.engines.base import Contents
from portability_pipelines.engines.sqlite.adbc import Connection
from portability_pipelines.engines.sqlite.expressions import balanced
from portability_pipelines.engines.sqlite.kinds import CLASSES
from portability_pipelines.engines.sqlite.periods import between, grouped_by_month
from portability_pipelines.engines.sqlite.scans import EVERYTHING, Scan, leads_an_index, source
from portability_pipelines.engines.sqlite.schema import has_real_affinity, identifier, literal

EXACT_IN_DOUBLE = 2**53
"""Reals hold every integer between this and its negative, and not every one beyond."""

# Six counts are taken of each, and a query gives 2000 columns at most.
_COLUMNS_AT_ONCE = 300


def survey(connections: Sequence[Connection], scan: Scan) -> tuple[Scan, dict[Period, Contents]]:
    """Rows and columns of every period of a selection; all of ``connections`` share the work.

    The scan is given back with all rows ``counted``, those of no period among them.
    """
    overall = _overall(connections, scan)
    mixed = mixed_columns(connections, scan) if overall["misfits"] else []
    detail: dict[tuple[Period, int], ColumnEntry] = {}
    for start in range(0, len(mixed), _COLUMNS_AT_ONCE):
        detail |= _classes_by_period(connections[0], scan, mixed[start : start + _COLUMNS_AT_ONCE])
    scan = replace(scan, counted=overall["n"])
    contents = _contents(connections[0], scan, detail)
    if overall["n"] > sum(period.rows for period in contents.values()):
        scan = replace(scan, strays=tuple(mixed))
    return scan, contents


def try_survey(connection: Connection, scan: Scan) -> None:
    """Raise what a survey raises before it looks at any row."""
    connection.rows(f"SELECT {_overall_counts(scan)} {scan.rows(EVERYTHING)} LIMIT 0")


def declared(connection: Connection, scan: Scan) -> dict[Period, Contents]:
    """The rows of every period, counted, and its columns as if they held what they declare."""
    return _contents(connection, scan, {})


def _contents(
    connection: Connection, scan: Scan, detail: dict[tuple[Period, int], ColumnEntry]
) -> dict[Period, Contents]:
    columns = scan.selection.table.columns
    return {
        period: Contents(
            count,
            tuple(
                detail.get((period, i)) or _entry(column, {}, True)
                for i, column in enumerate(columns)
            ),
        )
        for period, count in _rows_by_period(connection, scan).items()
    }


def _overall(connections: Sequence[Connection], scan: Scan) -> Counter[str]:
    """How many rows there are, and how many of them have a value of an unexpected kind."""
    return _summed(connections, scan, _overall_counts(scan))


def _overall_counts(scan: Scan) -> str:
    misfits = balanced("OR", list(map(_misfit, scan.selection.table.columns)))
    return f"count(*) AS n, count(*) FILTER (WHERE {misfits}) AS misfits"


def mixed_columns(connections: Sequence[Connection], scan: Scan) -> list[int]:
    """The places of the columns that hold values of an unexpected kind."""
    columns = scan.selection.table.columns
    counts = (f"count(*) FILTER (WHERE {_misfit(c)}) AS c{i}" for i, c in enumerate(columns))
    found = _summed(connections, scan, ", ".join(counts))
    return [i for i in range(len(columns)) if found[f"c{i}"]]


def _misfit(column: Column) -> str:
    """SQL that is true of a value of an unexpected kind.

    Comparing is quicker than ``typeof``: numbers, texts and blobs sort in this order, and SQLite
    gives every number of a column of REAL affinity as a real
    (https://www.sqlite.org/datatype3.html, sections 4.1 and 3).
    """
    name = identifier(column.name)
    if column.expected == "real" and has_real_affinity(column.declared_type):
        return f"+{name} COLLATE BINARY >= ''"
    if column.expected == "blob":
        return f"+{name} COLLATE BINARY < x''"
    return f"(typeof({name}) <> '{column.expected}' AND {name} NOTNULL)"


def _summed(connections: Sequence[Connection], scan: Scan, counts: str) -> Counter[str]:
    """Counts over the whole selection, each connection counting a part of it."""
    parts = scan.parts(len(connections))

    def count(connection: Connection, within: str) -> Counter[str]:
        (row,) = connection.rows(f"SELECT {counts} {scan.rows(within)}")
        return Counter(row)

    with ThreadPoolExecutor(len(parts)) as pool:
        return sum(pool.map(count, connections, parts), Counter())


def _rows_by_period(connection: Connection, scan: Scan) -> dict[Period, int]:
    selection, rows = scan.selection, scan.counted
    periods, column = selection.periods, selection.month_column
    if len(periods) == 1 or column is None:
        if rows is None:
            rows = connection.rows(f"SELECT count(*) AS n {source(selection)}")[0]["n"]
        return {periods[0]: rows}
    if not leads_an_index(connection, selection):
        grouped = connection.rows(grouped_by_month(selection, "count(*) AS n", source(selection)))
        found = {row["period"]: row["n"] for row in grouped}
        return {period: found.get(period, 0) for period in periods}
    table = identifier(selection.table.name)
    counts = (
        f"(SELECT count(*) FROM {table} WHERE {between(selection, m, m)}) AS {identifier(str(m))}"
        for m in selection.months
    )
    return dict(connection.rows(f"SELECT {', '.join(counts)}")[0])


def _classes_by_period(
    connection: Connection, scan: Scan, places: list[int]
) -> dict[tuple[Period, int], ColumnEntry]:
    selection = scan.selection
    periods = selection.periods
    counts = []
    for i in places:
        name = identifier(selection.table.columns[i].name)
        counts += [f"sum(typeof({name}) = '{kind}') AS {kind}{i}" for kind in CLASSES]
        integer = f"CASE typeof({name}) WHEN 'integer' THEN {name} END"
        counts += [f"min({integer}) AS low{i}", f"max({integer}) AS high{i}"]
    (whole,) = scan.parts(1)
    counted, found = ", ".join(counts), scan.rows(whole)
    if len(periods) > 1:
        rows = connection.rows(grouped_by_month(selection, counted, found))
    else:
        rows = connection.rows(f"SELECT {literal(periods[0])} AS period, {counted} {found}")
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
    return value is None or abs(value) <= EXACT_IN_DOUBLE


def _entry(column: Column, classes: dict[StorageClass, int], integers_fit: bool) -> ColumnEntry:
    """How a column is stored: in the kind it declares where every value has an exact form there."""
    stored, note = column.expected, None
    if not set(classes) - {stored}:
        return ColumnEntry(column.name, column.declared_type, stored)
    if stored == "real" and set(classes) <= {"integer", "real"}:
        if integers_fit:
            note = f"{classes['integer']} integers written as reals, exactly"
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
