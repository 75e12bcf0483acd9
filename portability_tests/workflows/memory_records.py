"""Records made in memory, and a migration of many of them for a test to kill."""

from __future__ import annotations

import sys
import time
from collections.abc import Generator, Iterator, Mapping, Sequence
from datetime import UTC, datetime

import pyarrow as pa

from portability_pipelines.domain.manifest import ColumnEntry
from portability_pipelines.domain.months import Period
from portability_pipelines.domain.tables import Column, StorageClass, Table
from portability_pipelines.engines.base import Contents
from portability_pipelines.engines.mongodb import MongoTarget
from portability_pipelines.formats.records import records_schema
from portability_pipelines.workflows.migrate import migrate

Values = Sequence[int | float | str | bytes | None]

FIRST = datetime(2026, 11, 1, 9, 30, tzinfo=UTC)


class MemoryRecords:
    """Rows of ``table`` by period; see ``engines.base.StoredRecords``.

    ``claimed`` is how many rows more than there are the database claims to have counted.
    ``elsewhere`` are rows of periods that were not asked for.
    """

    def __init__(
        self,
        table: Table,
        rows: Mapping[Period, Sequence[Values]],
        *,
        claimed: int = 0,
        elsewhere: Sequence[Values] = (),
        batch_rows: int = 1000,
        taken_at: datetime = FIRST,
    ) -> None:
        self.unreadable_texts: dict[tuple[Period, str], int] = {}
        self.taken_at = taken_at
        self._rows = rows
        self._all = [*elsewhere, *(row for each in rows.values() for row in each)]
        self._names = [column.name for column in table.columns]
        self._batch_rows = batch_rows
        entries = tuple(_entry(column) for column in table.columns)
        self._schema = records_schema(entries)
        self.contents = {p: Contents(len(rows[p]) + claimed, entries) for p in rows}

    def __iter__(self) -> Generator[tuple[Period, pa.RecordBatch]]:
        for period, rows in self._rows.items():
            for start in range(0, len(rows), self._batch_rows):
                yield period, self._batch(rows[start : start + self._batch_rows])

    def find(
        self, columns: Sequence[str], values: Sequence[Values], wanted: Sequence[str]
    ) -> Iterator[pa.RecordBatch]:
        asked, given = ([self._names.index(n) for n in names] for names in (columns, wanted))
        sought = {tuple(each) for each in values}
        found = [row for row in self._all if tuple(row[place] for place in asked) in sought]
        yield self._batch(found).select(given)

    def _batch(self, rows: Sequence[Values]) -> pa.RecordBatch:
        names = self._schema.names
        arrays = [
            pa.array([row[i] for row in rows], self._schema.field(i).type)
            for i in range(len(names))
        ]
        return pa.record_batch(arrays, schema=self._schema)


def table(name: str, key: Sequence[str] = (), /, **columns: StorageClass) -> Table:
    """A table whose columns hold the kinds of value that ``columns`` say."""
    positions = {column: place for place, column in enumerate(key, start=1)}
    declared = (Column(c, kind.upper(), kind, positions.get(c)) for c, kind in columns.items())
    return Table(name, tuple(declared), order_by=("rowid",))


def _entry(column: Column) -> ColumnEntry:
    return ColumnEntry(column.name, column.declared_type, column.expected)


MANY = table("many", ("id",), id="integer", name="text")


def many(count: int) -> MemoryRecords:
    """Rows with the ids from 0 up."""
    return MemoryRecords(MANY, {"all": [(i, f"name {i}") for i in range(count)]})


def _say_and_wait_before_the_end(done: int, total: int) -> None:
    print(done, flush=True)  # noqa: T201
    if done > total * 2 / 3:
        time.sleep(600)


if __name__ == "__main__":
    uri, database, rows = sys.argv[1], sys.argv[2], int(sys.argv[3])
    with MongoTarget(uri, database) as mongo:
        migrate(
            many(rows),
            MANY,
            mongo,
            database="shop",
            collection="many",
            exported_at=FIRST,
            batch_size=100,
            progress=lambda done: _say_and_wait_before_the_end(done, rows),
        )
