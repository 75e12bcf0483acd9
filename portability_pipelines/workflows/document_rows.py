"""Rows on their way to a document database: each with its identity, its hash and its fields."""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing
from datetime import datetime
from typing import Any, NamedTuple

import pyarrow as pa

from portability_pipelines.domain.documents import (
    EXPORT_VERSION,
    METADATA_FIELD,
    DocumentId,
    Value,
    field_names,
    keyed_id,
    keyless_id,
    source_id,
    unique_key,
)
from portability_pipelines.domain.errors import PermanentError, RefusedError
from portability_pipelines.domain.months import Period
from portability_pipelines.domain.tables import Table
from portability_pipelines.engines.base import Records
from portability_pipelines.engines.documents import (
    MAX_DOCUMENT_BYTES,
    MAX_STATEMENT_BYTES,
    Document,
    DocumentTarget,
)

MAX_BATCH_ROWS = 10_000
SLICE_BYTES = 32 * 1024 * 1024
LABEL_CHARACTERS = 200

# Leaves room for an _id and metadata that repeat the key: JSON writes a control character as six.
_SURELY_SMALL_BYTES = MAX_DOCUMENT_BYTES // 8


class Row(NamedTuple):
    """One row and its key; where ``problem`` is set, no document can hold it."""

    key_columns: tuple[str, ...]
    key: tuple[Value, ...]
    document: Document
    problem: str | None = None

    @property
    def label(self) -> str:
        """What people call the row: its key, or its document's ``_id`` where it has none."""
        if not self.key or None in self.key:
            return f"_id={self.document.get('_id', 'none')}"
        pairs = zip(self.key_columns, self.key, strict=True)
        return ", ".join(f"{name}={value!s:.{LABEL_CHARACTERS}}" for name, value in pairs)

    @property
    def id(self) -> DocumentId:
        """The ``_id`` of the row's document."""
        found: DocumentId = self.document["_id"]
        return found

    @property
    def metadata(self) -> dict[str, Any]:
        """What the document's ``export_metadata`` says."""
        found: dict[str, Any] = self.document[METADATA_FIELD]
        return found

    @property
    def unique_key(self) -> str | None:
        """What the row must share with no earlier row."""
        return self.metadata.get("unique_key")


class RowReader:
    """Turns the records of one table into rows, in slices of bounded rows and bytes.

    A row is named by its primary key. A key with a NULL in it (SQLite allows that) names nothing:
    such a row, like every row of a table without a key, is named by its whole content.
    """

    def __init__(
        self,
        database: str,
        table: Table,
        target: DocumentTarget,
        unique_by: Sequence[str],
        exported_at: datetime,
        taken_at: datetime,
    ) -> None:
        """``unique_by`` may be written in any case; as an attribute it is as the table has it."""
        names = [column.name for column in table.columns]
        self._database = database
        self._table = table
        self._target = target
        self._exported_at = exported_at
        self._taken_at = taken_at
        self._fields = field_names(table.name, names)
        self._key = table.key
        self._key_places = [names.index(name) for name in self._key]
        self.unique_by = [_column_name(table, name) for name in unique_by]
        self._unique_places = [names.index(name) for name in self.unique_by]

    def read(self, records: Records, batch_size: int) -> Iterator[tuple[Period, list[Row]]]:
        """Yield at most ``batch_size`` rows at a time, each list of one period, in their order."""
        with closing(_Occurrences()) as occurrences, closing(iter(records)) as batches:
            for period, batch in batches:
                for part in _slices(batch, batch_size):
                    values = row_values(part)
                    yield period, [self._row(period, row, occurrences) for row in values]

    def _row(self, period: Period, values: tuple[Value, ...], occurrences: _Occurrences) -> Row:
        key = tuple(values[place] for place in self._key_places)
        fields = dict(zip(self._fields, values, strict=True))
        try:
            encoded = self._target.encode(fields)
        except PermanentError as error:
            return Row(self._key, key, {}, error.message)
        content_hash = hashlib.sha256(encoded).hexdigest()
        if key and None not in key:
            document_id = keyed_id(self._table.name, key)
        else:
            seen = occurrences.count(f"{period} {content_hash}")
            document_id = keyless_id(self._table.name, period, content_hash, seen)
        metadata = self._metadata(period, key, content_hash, values)
        document = {"_id": document_id, **fields, METADATA_FIELD: metadata}
        return Row(self._key, key, document, self._problem(document, len(encoded)))

    def _metadata(
        self, period: Period, key: tuple[Value, ...], content_hash: str, values: tuple[Value, ...]
    ) -> dict[str, Any]:
        metadata = {
            "exported_at": self._exported_at,
            "original_sqlite_id": source_id(key) if key else None,
            "export_version": EXPORT_VERSION,
            "source_database": self._database,
            "source_table": self._table.name,
            "period": period,
            "snapshot_at": self._taken_at,
            "content_hash": content_hash,
        }
        parts = [values[place] for place in self._unique_places]
        unique = unique_key(self._table.name, self.unique_by, parts)
        return {**metadata, "unique_key": unique} if unique else metadata

    def _problem(self, document: Document, fields_bytes: int) -> str | None:
        if fields_bytes < _SURELY_SMALL_BYTES:
            return None
        size = len(self._target.encode(document))
        if size > MAX_DOCUMENT_BYTES:
            return f"the document would have {size} bytes, and {MAX_DOCUMENT_BYTES} is the most"
        statement = size + len(self._target.encode({"_id": document["_id"]}))
        if statement > MAX_STATEMENT_BYTES:
            return (
                f"the document and its key would have {statement} bytes, and "
                f"{MAX_STATEMENT_BYTES} is the most that can be replaced"
            )
        return None


class _Occurrences:
    """Counts how often each text came by, in a private temporary file once memory runs short.

    SQLite gives a database without a name exactly that: https://www.sqlite.org/inmemorydb.html.
    """

    def __init__(self) -> None:
        # One thread reads at a time, but a reader that was stopped is closed by another.
        self._database = sqlite3.connect("", isolation_level=None, check_same_thread=False)
        self._database.execute("CREATE TABLE seen (text PRIMARY KEY, times) WITHOUT ROWID")
        self._database.execute("BEGIN")

    def count(self, text: str) -> int:
        """How many times ``text`` has come by, this time included."""
        self._database.execute(
            "INSERT INTO seen VALUES (?, 1) ON CONFLICT (text) DO UPDATE SET times = times + 1",
            (text,),
        )
        found = self._database.execute("SELECT times FROM seen WHERE text = ?", (text,))
        return int(found.fetchone()[0])

    def close(self) -> None:
        """Let the temporary file go."""
        self._database.close()


def _column_name(table: Table, name: str) -> str:
    column = table.column(name)
    if column is None:
        raise RefusedError(
            f"The table {table.name} has no column {name} to be unique by",
            f"Its columns are {', '.join(column.name for column in table.columns)}.",
        )
    return column.name


def _slices(batch: pa.RecordBatch, batch_size: int) -> Iterator[pa.RecordBatch]:
    """Parts of ``batch``; fewer rows in each where rows are large."""
    row_bytes = batch.nbytes // max(batch.num_rows, 1) + 1
    rows = max(1, min(batch_size, SLICE_BYTES // row_bytes))
    for start in range(0, batch.num_rows, rows):
        yield batch.slice(start, rows)


def row_values(batch: pa.RecordBatch) -> Iterator[tuple[Value, ...]]:
    """The values of each row of ``batch``."""
    return zip(*map(_values, batch.columns), strict=True)


def _values(column: pa.Array) -> list[Value]:
    """The values of ``column``; bytes that are no valid text become lone surrogates."""
    try:
        values: list[Value] = column.to_pylist()
        return values
    except UnicodeDecodeError:
        texts = column.cast(pa.binary()).to_pylist()
        return [t if t is None else t.decode(errors="surrogateescape") for t in texts]
