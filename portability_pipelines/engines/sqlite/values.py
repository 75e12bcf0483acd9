"""Every value of a table with the kind that it is stored as, for a digest of the whole table.

A window of rows, which is one batch, is read as if its columns held what they declare. ADBC gives
a column the type that carries all its values in the first batch of a query, so that one of another
kind shows in the type. Some values it turns into others without a word, and a guard beside the
columns finds those. Only the columns of a window where either happens are read again, kind by kind.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from contextlib import closing

import pyarrow as pa

from portability_pipelines.domain.tables import Column, Selection, Table
from portability_pipelines.engines.base import KindedColumn
from portability_pipelines.engines.sqlite.adbc import BATCH_ROWS, Connection
from portability_pipelines.engines.sqlite.kinds import CLASSES, Kinds, chosen, kinded, seeded
from portability_pipelines.engines.sqlite.lanes import side_by_side
from portability_pipelines.engines.sqlite.scans import EVERYTHING, Scan, source
from portability_pipelines.engines.sqlite.schema import (
    has_real_affinity,
    has_text_affinity,
    identifier,
)
from portability_pipelines.engines.sqlite.survey import mixed_columns
from portability_pipelines.formats.records import ARROW_TYPES

_GUARD = "unexpected"


class SqliteValues:
    """See ``engines.base.Values``."""

    def __init__(self, connections: Sequence[Connection], table: Table) -> None:
        self._connections = connections
        self._columns = table.columns
        self._scan = Scan.planned(connections[0], Selection(table))
        self._declared: Kinds = [(column.expected,) for column in table.columns]
        signs = " OR ".join(filter(None, map(_sign, table.columns)))
        self._guard = {_GUARD: f"CASE WHEN {signs} THEN 1 END"} if signs else {}
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
            batch = _window(connection, chosen(self._columns, self._declared, scanned, self._guard))
            if batch is None:
                return
            found = _by_kind(batch, self._declared)
            for i in self._mixed(batch):
                again = _window(connection, chosen([self._columns[i]], [CLASSES], scanned))
                (found[i],) = _by_kind(again, [CLASSES])
            yield found
            if batch.num_rows < BATCH_ROWS:
                return
            window = f"{part} AND {self._scan.row_id} > {self._last(connection, scanned)}"

    def _last(self, connection: Connection, scanned: str) -> int:
        """The row id of the last row of a window that is full."""
        rest = f"{scanned} LIMIT 1 OFFSET {BATCH_ROWS - 1}"
        return int(connection.rows(f"SELECT {self._scan.row_id} AS last {rest}")[0]["last"])

    def _mixed(self, batch: pa.RecordBatch) -> list[int]:
        """The columns of ``batch`` that hold, or may hold, a value of another kind."""
        suspected = bool(self._guard) and _holds_values(batch.column(_GUARD))
        return [
            i
            for i, column in enumerate(self._columns)
            if (suspected and _sign(column) is not None)
            or (
                batch.column(i).type != ARROW_TYPES[column.expected]
                and _holds_values(batch.column(i))
            )
        ]


def _window(connection: Connection, sql: str) -> pa.RecordBatch | None:
    """The first rows that ``sql`` gives, as many as a batch holds; None for no rows."""
    with closing(connection.batches(sql)) as batches:
        return next(batches, None)


def _holds_values(column: pa.Array) -> bool:
    return bool(column.null_count < len(column))


def _by_kind(batch: pa.RecordBatch, kinds: Kinds) -> list[KindedColumn]:
    return [kinded(batch, i, of_column) for i, of_column in enumerate(kinds)]


def _sign(column: Column) -> str | None:
    """SQL that is true of a value that ADBC would change without a word; None for no such value.

    NULL, numbers, texts and blobs sort in this order (https://www.sqlite.org/datatype3.html,
    section 4.1). A column of TEXT affinity holds no numbers, one of REAL affinity no integers
    (section 3); the integrity check of a restored backup would call that damage.
    """
    name = identifier(column.name)
    if column.expected == "text" and not has_text_affinity(column.declared_type):
        return f"+{name} COLLATE BINARY < ''"
    if column.expected == "blob":
        return f"+{name} COLLATE BINARY < x''"
    if column.expected == "real" and not has_real_affinity(column.declared_type):
        return f"typeof({name}) = 'integer'"
    return None
