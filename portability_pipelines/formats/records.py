"""Records as they travel between engines and formats: Arrow batches of four column types."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import pyarrow as pa

from portability_pipelines.domain.manifest import ColumnEntry
from portability_pipelines.domain.tables import StorageClass

ARROW_TYPES: dict[StorageClass, pa.DataType] = {
    "integer": pa.int64(),
    "real": pa.float64(),
    "text": pa.string(),
    "blob": pa.binary(),
}


PIECE_BYTES = 4 << 20


def pieces(batch: pa.RecordBatch, most_rows: int) -> Iterator[pa.RecordBatch]:
    """``batch`` in slices of at most ``most_rows``, of about ``PIECE_BYTES`` at most on average.

    Writing a slice as text takes several times its bytes.
    """
    fitting = batch.num_rows * PIECE_BYTES // max(batch.nbytes, 1)
    rows = max(1, min(most_rows, fitting))
    for start in range(0, batch.num_rows, rows):
        yield batch.slice(start, rows)


def records_schema(columns: Iterable[ColumnEntry]) -> pa.Schema:
    """The Arrow schema of records whose columns are stored as ``columns`` say."""
    return pa.schema([pa.field(c.name, ARROW_TYPES[c.stored_type]) for c in columns])
