"""Records that mix nothing up: each value keeps the kind that its own row stores it as."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc

from portability_pipelines.domain.months import Period
from portability_pipelines.domain.tables import Column
from portability_pipelines.engines.base import KindedColumn
from portability_pipelines.engines.sqlite.kinds import kinded
from portability_pipelines.engines.sqlite.records import SqliteRecords
from portability_pipelines.engines.sqlite.survey import EXACT_IN_DOUBLE
from portability_pipelines.formats.records import ARROW_TYPES


class StoredSqliteRecords(SqliteRecords):
    """See ``engines.base.Snapshot.read_stored``."""

    def _render(self, period: Period, batch: pa.RecordBatch) -> pa.RecordBatch:
        columns = self._selection.table.columns
        arrays = [
            self._merged(period, column, kinded(batch, i, self._kinds[i]))
            for i, column in enumerate(columns)
        ]
        return pa.RecordBatch.from_arrays(arrays, [column.name for column in columns])

    def _merged(self, period: Period, column: Column, parts: KindedColumn) -> pa.Array:
        typed = {kind: array.cast(ARROW_TYPES[kind]) for kind, array in parts.items()}
        if "text" in typed:
            typed["text"] = self._readable(period, column.name, typed["text"])
        return one_array(_as_declared(column, typed))


def one_array(parts: KindedColumn) -> pa.Array:
    """All values in one array: a sparse union, unless they can be of one kind only."""
    if len(parts) == 1:
        return next(iter(parts.values()))
    kinds = pa.nulls(len(next(iter(parts.values()))), pa.int8()).fill_null(0)
    for number, part in enumerate(parts.values()):
        kinds = pc.if_else(part.is_valid(), pa.scalar(number, pa.int8()), kinds)
    return pa.UnionArray.from_sparse(kinds, list(parts.values()), list(parts))


def _as_declared(column: Column, parts: KindedColumn) -> KindedColumn:
    """Integers as reals where reals are declared and that is exact, whatever other rows hold."""
    if column.expected != "real" or "integer" not in parts:
        return parts
    integers = parts["integer"]
    low, high = pa.scalar(-EXACT_IN_DOUBLE), pa.scalar(EXACT_IN_DOUBLE)
    exact = pc.and_(pc.greater_equal(integers, low), pc.less_equal(integers, high))
    nothing = pa.scalar(None, pa.int64())
    reals = pc.if_else(exact, integers, nothing).cast(ARROW_TYPES["real"])
    if "real" in parts:
        reals = pc.coalesce(parts["real"], reals)
    return {**parts, "real": reals, "integer": pc.if_else(exact, nothing, integers)}
