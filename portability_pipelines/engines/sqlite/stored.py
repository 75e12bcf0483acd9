"""Records that mix nothing up: each value keeps the kind that its own row stores it as."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
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
from portability_pipelines.engines.sqlite.records import SqliteRecords, readable
from portability_pipelines.engines.sqlite.scans import Scan
from portability_pipelines.engines.sqlite.schema import identifier
from portability_pipelines.engines.sqlite.survey import EXACT_IN_DOUBLE
from portability_pipelines.engines.sqlite.utf16 import codec
from portability_pipelines.formats.buffers import array_of, numbers, validity_bytes
from portability_pipelines.formats.records import ARROW_TYPES

# Stands for NULL where a NULL is to equal a NULL; a value that nobody stores.
_NULL = "x'9f1c0e5b7a6d4c3f8e2b1d0a5c4f3e6d'"


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

    ``texts`` is the codec of the database's texts. An index of the primary key serves where it is
    asked for and has no NULL.
    """
    indexed = tuple(columns) == table.key and not any(None in each for each in values)
    names = [identifier(name) for name in columns]
    compared = names if indexed else [f"ifnull({name}, {_NULL})" for name in names]
    listed = (f"({', '.join(_literal(value, texts) for value in each)})" for each in values)
    return f"({', '.join(compared)}) IN (VALUES {', '.join(listed)})"


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
            return f"+CAST(x'{value.encode(texts, 'surrogatepass').hex()}' AS TEXT)"
        case bytes():
            return f"x'{value.hex()}'"
        case _:
            return _NULL


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
