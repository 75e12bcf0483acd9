"""Every value of a table with the kind that it is stored as, for a digest of the whole table.

A window of rows is read as if its columns held what they declare, with a guard beside them that
finds the others. Only a window that holds some is read again, kind by kind.
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
from portability_pipelines.engines.sqlite.scans import EVERYTHING, ranges, row_id_of, source
from portability_pipelines.engines.sqlite.schema import has_real_affinity, identifier
from portability_pipelines.engines.sqlite.survey import mixed_columns
from portability_pipelines.formats.records import ARROW_TYPES


class SqliteValues:
    """See ``engines.base.Values``."""

    def __init__(self, connections: Sequence[Connection], table: Table) -> None:
        self._connections = connections
        self._columns = table.columns
        self._selection = Selection(table)
        self._declared: Kinds = [(column.expected,) for column in table.columns]
        signs = " OR ".join(filter(None, map(_sign, table.columns)))
        self._guard = f"CASE WHEN {signs} THEN 1 END" if signs else "NULL"
        counted = source(self._selection, indexed=True)
        self.rows: int = connections[0].rows(f"SELECT count(*) AS n {counted}")[0]["n"]

    def __iter__(self) -> Generator[Sequence[KindedColumn]]:
        if not self.rows:
            return
        first, selection = self._connections[0], self._selection
        parts = ranges(first, selection, -(-self.rows // WINDOW_ROWS))
        row_id = row_id_of(selection)
        if row_id is None or parts == (EVERYTHING,):
            yield from self._surveyed(first)
        else:
            yield from side_by_side(
                self._connections,
                parts,
                lambda connection, part: self._windows(connection, part, row_id),
            )

    def _surveyed(self, connection: Connection) -> Iterator[Sequence[KindedColumn]]:
        """The rows of a table that cannot be cut into windows."""
        mixed = mixed_columns(self._connections, self._selection)
        kinds = [CLASSES if i in mixed else own for i, own in enumerate(self._declared)]
        order = ", ".join(self._selection.table.order_by)
        scanned = self._scanned(EVERYTHING) + (f" ORDER BY {order}" if order else "")
        skip = 1
        for batch in connection.batches(seeded(self._columns, kinds, scanned)):
            yield _by_kind(batch.slice(skip), kinds)
            skip = 0

    def _windows(
        self, connection: Connection, part: str, row_id: str
    ) -> Iterator[Sequence[KindedColumn]]:
        window = part
        while True:
            scanned = f"{self._scanned(window)} ORDER BY {row_id}"
            guarded = {"unexpected": self._guard}
            batch = _first(connection, seeded(self._columns, self._declared, scanned, guarded))
            found = _by_kind(batch, self._declared)
            for i in self._mixed(batch):
                column, kinds = [self._columns[i]], [CLASSES]
                (found[i],) = _by_kind(_first(connection, seeded(column, kinds, scanned)), kinds)
            yield found
            if batch.num_rows < WINDOW_ROWS:
                return
            window = f"{part} AND {row_id} > {self._last(connection, scanned, row_id)}"

    def _last(self, connection: Connection, scanned: str, row_id: str) -> int:
        """The row id of the last row of a window that is full."""
        (found,) = connection.rows(
            f"SELECT {row_id} AS last {scanned} LIMIT 1 OFFSET {WINDOW_ROWS - 1}"
        )
        return int(found["last"])

    def _scanned(self, within: str) -> str:
        return source(self._selection, indexed=False, within=within)

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
    """The first ``WINDOW_ROWS`` rows of what ``seeded`` gave.

    They come in one batch with the seed. ADBC turns later values into the types of the first
    batch, mostly without a word, so no other is asked for.
    """
    with closing(connection.batches(sql)) as batches:
        return next(batches).slice(1)


def _by_kind(batch: pa.RecordBatch, kinds: Kinds) -> list[KindedColumn]:
    return [kinded(batch, i, of_column) for i, of_column in enumerate(kinds)]


def _sign(column: Column) -> str | None:
    """SQL that is true of a value whose kind ADBC would change without a word; None for none.

    Other kinds change the type that ADBC gives the whole column, which is seen. NULL, numbers,
    texts and blobs sort in this order (https://www.sqlite.org/datatype3.html, section 4.1), and a
    column of REAL affinity holds no integers (section 3).
    """
    name = identifier(column.name)
    if column.expected == "text":
        return f"+{name} COLLATE BINARY < ''"
    if column.expected == "blob":
        return f"+{name} COLLATE BINARY < x''"
    if column.expected == "real" and not has_real_affinity(column.declared_type):
        return f"typeof({name}) = 'integer'"
    return None
