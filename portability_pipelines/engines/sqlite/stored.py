"""Records that mix nothing up: each value keeps the kind that its own row stores it as."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from itertools import product
from math import isnan

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from portability_pipelines.domain.documents import Value
from portability_pipelines.domain.months import Period
from portability_pipelines.domain.tables import Column, Table
from portability_pipelines.engines.base import Contents, KindedColumn
from portability_pipelines.engines.sqlite.adbc import BATCH_ROWS, Connection
from portability_pipelines.engines.sqlite.kinds import CLASSES, abreast, kinded, seeded
from portability_pipelines.engines.sqlite.records import SqliteRecords, readable, unreadable_text
from portability_pipelines.engines.sqlite.scans import Scan
from portability_pipelines.engines.sqlite.schema import identifier
from portability_pipelines.engines.sqlite.survey import EXACT_IN_DOUBLE
from portability_pipelines.engines.sqlite.utf16 import codec
from portability_pipelines.formats.buffers import array_of, numbers, validity_bytes
from portability_pipelines.formats.records import ARROW_TYPES

# Stands for NULL where a NULL is to equal a NULL; a value that nobody stores.
_NULL = "x'9f1c0e5b7a6d4c3f8e2b1d0a5c4f3e6d'"

# Of a key, every combination of readings is looked up: two for each column with such texts.
_MOST_READ_TWICE = 4

Readings = dict[str, str]
"""Texts that are not UTF-8, in SQL, by what is written for them."""


class StoredSqliteRecords(SqliteRecords):
    """See ``engines.base.StoredRecords``."""

    def __init__(
        self,
        connections: Sequence[Connection],
        scan: Scan,
        contents: dict[Period, Contents],
        taken_at: datetime,
    ) -> None:
        super().__init__(connections, scan, contents)
        self.taken_at = taken_at

    def _render(self, period: Period, batch: pa.RecordBatch) -> pa.RecordBatch:
        columns = self._selection.table.columns
        arrays = [
            self._kept(period, column, kinded(batch, i, self._kinds[i]))
            for i, column in enumerate(columns)
        ]
        return pa.RecordBatch.from_arrays(arrays, [column.name for column in columns])

    def find(
        self, columns: Sequence[str], values: Sequence[Sequence[Value]], wanted: Sequence[str]
    ) -> Iterator[pa.RecordBatch]:
        """See ``engines.base.StoredRecords``; read through the first connection."""
        table = self._selection.table
        given = [column for name in wanted if (column := table.column(name))]
        kinds = [CLASSES] * len(given)
        sought = _one_of(table, columns, values, codec(self._connections[0]))
        scanned = f"FROM {identifier(table.name)} WHERE {sought}"
        skip = 1
        for batch in abreast(self._connections[0], seeded(given, kinds, scanned), BATCH_ROWS):
            rows = batch.slice(skip)
            arrays = [_found(column, kinded(rows, i, CLASSES)) for i, column in enumerate(given)]
            yield pa.RecordBatch.from_arrays(arrays, list(wanted))
            skip = 0

    def _kept(self, period: Period, column: Column, parts: KindedColumn) -> pa.Array:
        if "text" not in parts:
            return _merged(column, parts)
        texts = self._readable(period, column.name, parts["text"])
        return _merged(column, {**parts, "text": texts})


def _one_of(
    table: Table, columns: Sequence[str], values: Sequence[Sequence[Value]], texts: str
) -> str:
    """SQL that is true of rows whose ``columns`` hold one of ``values``; a NULL equals a NULL.

    What is written for a text that is not UTF-8 stands for that text too. ``texts`` is the codec of
    the database's texts. An index of the primary key serves where it is asked for and has no NULL.
    """
    names = [identifier(name) for name in columns]
    unreadable = [_unreadable(column, texts) for column in zip(*values, strict=True)]
    whole = not any(None in each for each in values)
    if tuple(columns) == table.key and whole and sum(map(bool, unreadable)) <= _MOST_READ_TWICE:
        return _in(names, _every_reading(values, unreadable, texts))
    compared = list(map(_as_written, names, unreadable))
    return _in(compared, ([_literal(value, texts) for value in each] for each in values))


def _in(compared: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    listed = (f"({', '.join(row)})" for row in rows)
    return f"({', '.join(compared)}) IN (VALUES {', '.join(listed)})"


def _unreadable(values: Iterable[Value], texts: str) -> Readings:
    if texts != "utf-8":
        return {}
    written = {value for value in values if isinstance(value, str)}
    found = {text: content for text in written if (content := unreadable_text(text))}
    return {text: _text(content) for text, content in found.items()}


def _every_reading(
    values: Sequence[Sequence[Value]], unreadable: Sequence[Readings], texts: str
) -> Iterator[Sequence[str]]:
    """``values`` in SQL, in each combination of what they may stand for."""
    for each in values:
        pairs = zip(each, unreadable, strict=True)
        yield from product(*(_readings(value, found, texts) for value, found in pairs))


def _readings(value: Value, unreadable: Readings, texts: str) -> list[str]:
    literal = _literal(value, texts)
    if isinstance(value, str) and value in unreadable:
        return [literal, unreadable[value]]
    return [literal]


def _as_written(name: str, unreadable: Readings) -> str:
    """SQL for the column ``name`` with what is written for those ``unreadable`` texts."""
    value = f"ifnull({name}, {_NULL})"
    if not unreadable:
        return value
    sought = ", ".join(f"({text})" for text in unreadable.values())
    written = f"'X''' || hex({value}) || ''''"
    return f"CASE WHEN {value} IN (VALUES {sought}) THEN {written} ELSE {value} END"


def _literal(value: Value, texts: str) -> str:
    """``value`` in SQL, without an affinity that would change what it is compared with.

    SQLite takes the bytes of a text as they are, in the database's encoding. What it cannot store,
    such as NaN, becomes what nobody stores.
    """
    match value:
        case int():
            return str(int(value))
        case float() if not isnan(value):
            return repr(value).replace("inf", "9e999")
        case str():
            return _text(value.encode(texts, "surrogatepass"))
        case bytes():
            return f"x'{value.hex()}'"
        case _:
            return _NULL


def _text(content: bytes) -> str:
    return f"+CAST(x'{content.hex()}' AS TEXT)"


def _found(column: Column, parts: KindedColumn) -> pa.Array:
    texts, _ = readable(parts["text"])
    return _merged(column, {**parts, "text": texts})


def _merged(column: Column, parts: KindedColumn) -> pa.Array:
    typed = {kind: array.cast(ARROW_TYPES[kind]) for kind, array in parts.items()}
    return one_array(_as_declared(column, typed))


def one_array(parts: KindedColumn) -> pa.Array:
    """All values in one array: a sparse union, unless they can be of one kind only."""
    if len(parts) == 1:
        return next(iter(parts.values()))
    valid = np.stack([validity_bytes(part) for part in parts.values()])
    places = valid.argmax(axis=0).astype(np.int8)
    kinds = array_of(pa.int8(), np.ones_like(places), places)
    return pa.UnionArray.from_sparse(kinds, list(parts.values()), list(parts))


def _as_declared(column: Column, parts: KindedColumn) -> KindedColumn:
    """Integers as reals where reals are declared and that is exact, whatever other rows hold."""
    if column.expected != "real" or "integer" not in parts:
        return parts
    held, integers = validity_bytes(parts["integer"]) > 0, numbers(parts["integer"], np.int64)
    exact = held & (integers >= -EXACT_IN_DOUBLE) & (integers <= EXACT_IN_DOUBLE)
    reals = array_of(ARROW_TYPES["real"], exact, integers.astype(np.float64))
    if "real" in parts:
        reals = pc.coalesce(parts["real"], reals)
    return {**parts, "real": reals, "integer": array_of(pa.int64(), held & ~exact, integers)}
