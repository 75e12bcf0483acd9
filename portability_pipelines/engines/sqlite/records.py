"""Reading a surveyed selection: the fast road for clean columns, a lossless one for the others.

A column whose values are all of one kind is read as that kind. A column that mixes kinds is read
as one Arrow column per kind and put together again here, value by value.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from threading import Lock
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from portability_pipelines.domain.errors import PermanentError
from portability_pipelines.domain.manifest import ColumnEntry
from portability_pipelines.domain.months import Period
from portability_pipelines.domain.tables import StorageClass
from portability_pipelines.engines.base import Contents, UnexpectedKindError
from portability_pipelines.engines.sqlite.adbc import Connection, naming
from portability_pipelines.engines.sqlite.kinds import CLASSES, abreast, kinded, seeded
from portability_pipelines.engines.sqlite.lanes import side_by_side
from portability_pipelines.engines.sqlite.periods import split
from portability_pipelines.engines.sqlite.scans import Scan
from portability_pipelines.engines.sqlite.weights import Weights
from portability_pipelines.engines.sqlite.windows import Windows
from portability_pipelines.formats.records import ARROW_TYPES, records_schema

_BLOB = re.compile(r"X'((?:[0-9A-F]{2})+)'")


class SqliteRecords:
    """The rows of one selection; see ``engines.base.Records``."""

    def __init__(
        self,
        connections: Sequence[Connection],
        scan: Scan,
        contents: dict[Period, Contents],
        trusted: Windows | None = None,
    ) -> None:
        """``contents`` are those of a survey, or, with ``trusted`` windows, what is declared."""
        self.contents: Mapping[Period, Contents] = contents
        self.unreadable_texts: Counter[tuple[Period, str]] = Counter()
        self._counting = Lock()
        self._connections = connections
        self._scan = scan
        self._weights = Weights(scan)
        self._trusted = trusted
        self._selection = scan.selection
        self._kinds = [
            CLASSES if i in scan.strays else _kinds(contents, i)
            for i in range(len(scan.selection.table.columns))
        ]

    def __iter__(self) -> Generator[tuple[Period, pa.RecordBatch]]:
        """Each connection reads a range of the table while the others read the next ones.

        Rows that were counted are read even where every period is said to be empty: whoever
        counts what was read finds out.
        """
        if not self._scan.counted:
            return
        parts = self._scan.windows(self._scan.counted)
        with naming(self._selection.table.name):
            yield from side_by_side(self._connections, parts, self._read)

    def _read(self, connection: Connection, part: str) -> Iterator[tuple[Period, pa.RecordBatch]]:
        month = self._selection.month_column
        names = [column.name for column in self._selection.table.columns]
        place = names.index(month.name) if month else 0
        for batch in self._batches(connection, part):
            if batch.num_rows:
                dates = self._dates(batch, place)
                for period, rows in split(self._selection, batch, dates):
                    yield period, self._render(period, rows)

    def _batches(self, connection: Connection, part: str) -> Iterator[pa.RecordBatch]:
        if self._trusted is not None:
            for window in self._trusted.read(connection, part):
                if window.mixed:
                    raise UnexpectedKindError
                yield window.batch
            return
        columns, scanned = self._selection.table.columns, self._scan.ordered_rows(part)
        skip = 1
        most = self._weights.rows_at_once(connection, part)
        for batch in abreast(connection, seeded(columns, self._kinds, scanned), most):
            self._weights.saw(batch)
            yield batch.slice(skip)
            skip = 0

    def _dates(self, batch: pa.RecordBatch, place: int) -> pa.Array:
        """The month column of ``batch``; where it mixes kinds, the kind that its dates have."""
        month = self._selection.month_column
        if month is None or len(self._selection.periods) == 1:
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
        if found is None:
            return pa.nulls(batch.num_rows, wanted)
        if found.type != wanted:
            raise PermanentError(
                f"Column {entry.name!r} holds values of another kind than was counted ({period})",
                "Nothing was published. Check the database with PRAGMA integrity_check.",
            )
        return found

    def _readable(self, period: Period, column: str, texts: pa.Array) -> pa.Array:
        found, unreadable = readable(texts)
        if unreadable:
            with self._counting:
                self.unreadable_texts[period, column] += unreadable
        return found


def readable(texts: pa.Array) -> tuple[pa.Array, int]:
    """``texts`` with those that are not UTF-8 written as SQL blobs, and how many those are."""
    try:
        texts.validate(full=True)
    except pa.ArrowInvalid:
        values = [_decoded(value) for value in texts.cast(pa.binary()).to_pylist()]
        return _strings(text for text, _ in values), sum(not valid for _, valid in values)
    return texts, 0


def unreadable_text(written: str) -> bytes | None:
    """The text, not UTF-8, that ``readable`` writes as ``written``; None where there is none."""
    found = _BLOB.fullmatch(written)
    content = bytes.fromhex(found[1]) if found else b""
    return None if _decoded(content)[1] else content


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
