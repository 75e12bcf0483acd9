"""Reading a surveyed selection: the fast road for clean columns, a lossless one for the others.

A column whose values are all of one kind is read as that kind. A column that mixes kinds is read
as one Arrow column per kind and put together again here, value by value.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from threading import Lock
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from portability_pipelines.domain.manifest import ColumnEntry
from portability_pipelines.domain.months import Period
from portability_pipelines.domain.tables import Selection, StorageClass
from portability_pipelines.engines.base import Contents
from portability_pipelines.engines.sqlite.adbc import Connection
from portability_pipelines.engines.sqlite.kinds import CLASSES, WINDOW_ROWS, kinded, seeded
from portability_pipelines.engines.sqlite.lanes import side_by_side
from portability_pipelines.engines.sqlite.periods import condition, periods_of, split
from portability_pipelines.engines.sqlite.scans import (
    is_one_month,
    leads_an_index,
    ranges,
    row_id_of,
    source,
)
from portability_pipelines.engines.sqlite.schema import identifier
from portability_pipelines.formats.records import ARROW_TYPES, records_schema


class SqliteRecords:
    """The rows of one selection; see ``engines.base.Records``."""

    def __init__(
        self,
        connections: Sequence[Connection],
        selection: Selection,
        contents: dict[Period, Contents],
    ) -> None:
        self.contents: Mapping[Period, Contents] = contents
        self.unreadable_texts: Counter[tuple[Period, str]] = Counter()
        self._counting = Lock()
        self._connections = connections
        self._selection = selection
        self._kinds = [_kinds(contents, i) for i in range(len(selection.table.columns))]

    def __iter__(self) -> Generator[tuple[Period, pa.RecordBatch]]:
        """Each connection reads a range of the table while the others read the next ones."""
        rows = sum(contents.rows for contents in self.contents.values())
        if not rows:
            return
        parts = ranges(self._connections[0], self._selection, -(-rows // WINDOW_ROWS))
        yield from side_by_side(self._connections, parts, self._read)

    def _read(self, connection: Connection, within: str) -> Iterator[tuple[Period, pa.RecordBatch]]:
        month = self._selection.month_column
        names = [column.name for column in self._selection.table.columns]
        place = names.index(month.name) if month else 0
        skip = 1
        for raw in connection.batches(self._sql(within)):
            batch = raw.slice(skip)
            skip = 0
            for period, part in split(self._selection, batch, self._dates(batch, place)):
                if part.num_rows:
                    yield period, self._render(period, part)

    def _sql(self, within: str) -> str:
        return seeded(self._selection.table.columns, self._kinds, self._scanned(within))

    def _scanned(self, within: str) -> str:
        table = self._selection.table
        order = f" ORDER BY {', '.join(table.order_by)}" if table.order_by else ""
        one_month, row_id = is_one_month(self._selection), row_id_of(self._selection)
        if not one_month or not row_id or not self._index_helps():
            return source(self._selection, indexed=one_month, within=within) + order
        # The index finds the row ids, which are then visited in order: no sort of whole rows.
        name = identifier(table.name)
        chosen = f"SELECT {row_id} FROM {name} WHERE {condition(self._selection)}"
        return f"FROM {name} WHERE {row_id} IN ({chosen}){order}"

    def _index_helps(self) -> bool:
        return leads_an_index(self._connections[0], self._selection)

    def _dates(self, batch: pa.RecordBatch, place: int) -> pa.Array:
        """The month column of ``batch``; where it mixes kinds, the kind that its dates have."""
        month = self._selection.month_column
        if month is None or len(periods_of(self._selection)) == 1:
            return batch.column(0)
        if month.encoding == "iso":
            return batch.column(f"c{place}_text")
        numbers = [k for k in self._kinds[place] if k in ("integer", "real")]
        return pc.coalesce(*(batch.column(f"c{place}_{k}").cast("float64") for k in numbers))

    def _render(self, period: Period, batch: pa.RecordBatch) -> pa.RecordBatch:
        entries = self.contents[period].columns
        arrays = [self._column(period, entry, i, batch) for i, entry in enumerate(entries)]
        return pa.record_batch(arrays, schema=records_schema(entries))

    def _column(
        self, period: Period, entry: ColumnEntry, place: int, batch: pa.RecordBatch
    ) -> pa.Array:
        parts = dict(kinded(batch, place, self._kinds[place]))
        if "text" in parts:
            parts["text"] = self._readable(period, entry.name, parts["text"])
        wanted = ARROW_TYPES[entry.stored_type]
        if entry.stored_type == "real" and "integer" in parts:
            numbers = [parts[kind].cast(wanted) for kind in ("real", "integer") if kind in parts]
            return pc.coalesce(*numbers)
        if entry.stored_type == "text" and set(parts) != {"text"}:
            return _as_text(parts)
        found = parts.get(entry.stored_type)
        return pa.nulls(batch.num_rows, wanted) if found is None else found.cast(wanted)

    def _readable(self, period: Period, column: str, texts: pa.Array) -> pa.Array:
        """``texts`` with those that are not UTF-8 written as SQL blobs, and counted."""
        try:
            texts.validate(full=True)
        except pa.ArrowInvalid:
            values = [_decoded(value) for value in texts.cast(pa.binary()).to_pylist()]
            with self._counting:
                self.unreadable_texts[period, column] += sum(not valid for _, valid in values)
            return _strings(text for text, _ in values)
        return texts


def _kinds(contents: Mapping[Period, Contents], place: int) -> tuple[StorageClass, ...]:
    """The kinds of value that a column holds over all periods; at least one."""
    entries = [period.columns[place] for period in contents.values()]
    held = {kind for e in entries for kind in (e.storage_classes or (e.stored_type,))}
    return tuple(kind for kind in CLASSES if kind in held)


def _decoded(value: bytes | None) -> tuple[str | None, bool]:
    if value is None:
        return None, True
    try:
        return value.decode(), True
    except UnicodeDecodeError:
        return _as_blob(value), False


def _as_blob(value: bytes) -> str:
    return f"X'{value.hex().upper()}'"


def _as_text(parts: dict[StorageClass, pa.Array]) -> pa.Array:
    """One text per row: numbers as Python writes them (shortest exact form), blobs as ``X'..'``."""
    written: dict[StorageClass, Callable[[Any], str]] = {
        "integer": str,
        "real": repr,
        "text": str,
        "blob": _as_blob,
    }
    texts: list[str | None] = [None] * len(next(iter(parts.values())))
    for kind, array in parts.items():
        for row, value in enumerate(array.to_pylist()):
            if value is not None:
                texts[row] = written[kind](value)
    return _strings(texts)


def _strings(texts: Iterable[str | None]) -> pa.Array:
    """As ``pa.array`` does, which imports pandas where that is installed: half a second."""
    builder = pa.lib.StringBuilder()
    builder.append_values(texts)
    return builder.finish()
