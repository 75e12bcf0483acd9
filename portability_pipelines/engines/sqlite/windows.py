"""Rows read as if every column held the kind of value that it declares, and a sign where not.

A window of rows is one batch of one query. ADBC gives a column the type that carries all its
values in that batch, so that a value of another kind shows in the type. Some values it turns into
others without a word, and a guard beside the columns finds those.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass

import pyarrow as pa

from portability_pipelines.domain.tables import Column
from portability_pipelines.engines.base import KindedColumn
from portability_pipelines.engines.sqlite.adbc import Connection
from portability_pipelines.engines.sqlite.expressions import balanced
from portability_pipelines.engines.sqlite.kinds import CLASSES, Kinds, abreast, chosen, kinded
from portability_pipelines.engines.sqlite.scans import Scan
from portability_pipelines.engines.sqlite.schema import (
    has_real_affinity,
    has_text_affinity,
    identifier,
)
from portability_pipelines.engines.sqlite.weights import Weights
from portability_pipelines.formats.records import ARROW_TYPES

_GUARD = "unexpected"


@dataclass(frozen=True)
class Window:
    """Some rows: ``mixed`` are the places of the columns in which another kind shows."""

    batch: pa.RecordBatch
    mixed: tuple[int, ...]
    _connection: Connection
    _scanned: str
    _most_rows: int

    def again(self, column: Column) -> KindedColumn:
        """``column`` of these rows by the kinds that its values have."""
        queries = chosen([column], [CLASSES], self._scanned)
        return kinded(_first(self._connection, queries, self._most_rows), 0, CLASSES)


class Windows:
    """The rows of ``scan``, which are found by row id, in the table's stable order.

    ``thorough`` also finds numbers in a column of TEXT affinity. Only a schema changed by hand lets
    them in, and SQLite's integrity check, which a backup passes, calls them damage.
    """

    def __init__(self, scan: Scan, *, thorough: bool) -> None:
        self._scan = scan
        self._weights = Weights(scan)
        self._columns = scan.selection.table.columns
        self.kinds: Kinds = [(column.expected,) for column in self._columns]
        self._signs = [_sign(column, thorough=thorough) for column in self._columns]
        signs = list(filter(None, self._signs))
        self._guard = {_GUARD: f"CASE WHEN {balanced('OR', signs)} THEN 1 END"} if signs else {}

    def read(self, connection: Connection, part: str) -> Iterator[Window]:
        """The windows of one part of the scan."""
        most = self._weights.rows_at_once(connection, part)
        within = part
        while True:
            scanned = self._scan.ordered_rows(within)
            queries = chosen(self._columns, self.kinds, scanned, self._guard)
            batch = _first(connection, queries, most)
            if batch is None:
                return
            self._weights.saw(batch)
            yield Window(batch, self._mixed(batch), connection, scanned, most)
            if batch.num_rows < most:
                return
            within = f"{part} AND {self._scan.row_id} > {self._last(connection, scanned, most)}"

    def _last(self, connection: Connection, scanned: str, most_rows: int) -> int:
        """The row id of the last row of a window that is full."""
        rest = f"{scanned} LIMIT 1 OFFSET {most_rows - 1}"
        return int(connection.rows(f"SELECT {self._scan.row_id} AS last {rest}")[0]["last"])

    def _mixed(self, batch: pa.RecordBatch) -> tuple[int, ...]:
        suspected = bool(self._guard) and _holds_values(batch.column(_GUARD))
        return tuple(
            i
            for i, column in enumerate(self._columns)
            if (suspected and self._signs[i] is not None)
            or (
                batch.column(i).type != ARROW_TYPES[column.expected]
                and _holds_values(batch.column(i))
            )
        )


def _first(connection: Connection, queries: Sequence[str], most_rows: int) -> pa.RecordBatch | None:
    """The first ``most_rows`` rows that ``queries`` give; None for no rows."""
    with closing(abreast(connection, queries, most_rows)) as batches:
        return next(batches, None)


def _holds_values(column: pa.Array) -> bool:
    return bool(column.null_count < len(column))


def _sign(column: Column, *, thorough: bool) -> str | None:
    """SQL that is true of a value that ADBC would change without a word; None for no such value.

    NULL, numbers, texts and blobs sort in this order (https://www.sqlite.org/datatype3.html,
    section 4.1). A column of TEXT affinity should hold no numbers, and one of REAL affinity gives
    no integers (section 3).
    """
    name = identifier(column.name)
    if column.expected == "text" and (thorough or not has_text_affinity(column.declared_type)):
        return f"+{name} COLLATE BINARY < ''"
    if column.expected == "blob":
        return f"+{name} COLLATE BINARY < x''"
    if column.expected == "real" and not has_real_affinity(column.declared_type):
        return f"typeof({name}) = 'integer'"
    return None
