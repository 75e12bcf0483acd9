"""Every value of a table with the kind that it is stored as, for a digest of the whole table.

A window of rows is read as if its columns held what they declare. ADBC gives a column one type. A
value that this type cannot carry, in the first batch of a query, changes the type, which is seen;
some values it turns into others without a word, and a guard beside the columns finds those. Only
the columns of a window where that happens are read again, kind by kind.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from contextlib import closing

import pyarrow as pa

from portability_pipelines.domain.tables import Column, Selection, Table
from portability_pipelines.engines.base import KindedColumn
from portability_pipelines.engines.sqlite.adbc import Connection
from portability_pipelines.engines.sqlite.kinds import (
    CLASSES,
    WINDOW_ROWS,
    Kinds,
    kinded,
    seeded,
)
from portability_pipelines.engines.sqlite.lanes import side_by_side
from portability_pipelines.engines.sqlite.scans import EVERYTHING, Scan, source
from portability_pipelines.engines.sqlite.schema import has_real_affinity, identifier
from portability_pipelines.engines.sqlite.survey import mixed_columns
from portability_pipelines.formats.records import ARROW_TYPES


class SqliteValues:
    """See ``engines.base.Values``."""

    def __init__(self, connections: Sequence[Connection], table: Table) -> None:
        self._connections = connections
        self._columns = table.columns
        self._scan = Scan.planned(connections[0], Selection(table))
        self._declared: Kinds = [(column.expected,) for column in table.columns]
        signs = " OR ".join(filter(None, map(_sign, table.columns)))
        self._guard = {"unexpected": f"CASE WHEN {signs} THEN 1 END" if signs else "NULL"}
        counted = f"SELECT count(*) AS n {source(self._scan.selection)}"
        self.rows: int = connections[0].rows(counted)[0]["n"]

    def __iter__(self) -> Generator[Sequence[KindedColumn]]:
        if self._scan.edges is None:
            yield from self._surveyed(self._connections[0])
        elif self.rows:
            parts = self._scan.windows(self.rows)
            yield from side_by_side(self._connections, parts, self._windows)

    def _surveyed(self, connection: Connection) -> Iterator[Sequence[KindedColumn]]:
        """The rows of a table that cannot be cut into windows."""
        mixed = mixed_columns(self._connections, self._scan)
        kinds = [CLASSES if i in mixed else own for i, own in enumerate(self._declared)]
        scanned = self._scan.ordered_rows(EVERYTHING)
        skip = 1
        for batch in connection.batches(seeded(self._columns, kinds, scanned)):
            yield _by_kind(batch.slice(skip), kinds)
            skip = 0

    def _windows(self, connection: Connection, part: str) -> Iterator[Sequence[KindedColumn]]:
        window = part
        while True:
            scanned = self._scan.ordered_rows(window)
            batch = _first(connection, seeded(self._columns, self._declared, scanned, self._guard))
            found = _by_kind(batch, self._declared)
            for i in self._mixed(batch):
                column, kinds = [self._columns[i]], [CLASSES]
                (found[i],) = _by_kind(_first(connection, seeded(column, kinds, scanned)), kinds)
            yield found
            if batch.num_rows < WINDOW_ROWS:
                return
            window = f"{part} AND {self._scan.row_id} > {self._last(connection, scanned)}"

    def _last(self, connection: Connection, scanned: str) -> int:
        """The row id of the last row of a window that is full."""
        rest = f"{scanned} LIMIT 1 OFFSET {WINDOW_ROWS - 1}"
        return int(connection.rows(f"SELECT {self._scan.row_id} AS last {rest}")[0]["last"])

    def _mixed(self, batch: pa.RecordBatch) -> list[int]:
        """The columns of ``batch`` that hold, or may hold, a value of another kind."""
        guard = batch.column("unexpected")
        suspected = guard.null_count < len(guard)
        return [
            i
            for i, column in enumerate(self._columns)
            if batch.column(i).type != ARROW_TYPES[column.expected]
            or (suspected and _sign(column) is not None)
        ]


def _first(connection: Connection, sql: str) -> pa.RecordBatch:
    """The first ``WINDOW_ROWS`` rows of what ``seeded`` gave; they come in the seed's batch."""
    with closing(connection.batches(sql)) as batches:
        return next(batches).slice(1)


def _by_kind(batch: pa.RecordBatch, kinds: Kinds) -> list[KindedColumn]:
    return [kinded(batch, i, of_column) for i, of_column in enumerate(kinds)]


def _sign(column: Column) -> str | None:
    """SQL that is true of a value that ADBC would change without a word; None for no such value.

    NULL, numbers, texts and blobs sort in this order (https://www.sqlite.org/datatype3.html,
    section 4.1), and a column of REAL affinity holds no integers (section 3).
    """
    name = identifier(column.name)
    if column.expected == "text":
        return f"+{name} COLLATE BINARY < ''"
    if column.expected == "blob":
        return f"+{name} COLLATE BINARY < x''"
    if column.expected == "real" and not has_real_affinity(column.declared_type):
        return f"typeof({name}) = 'integer'"
    return None
