"""Records as they travel between engines and formats: Arrow batches of four column types."""

from __future__ import annotations

from collections.abc import Iterable

import pyarrow as pa

from portability_pipelines.domain.manifest import ColumnEntry
from portability_pipelines.domain.tables import StorageClass

ARROW_TYPES: dict[StorageClass, pa.DataType] = {
    "integer": pa.int64(),
    "real": pa.float64(),
    "text": pa.string(),
    "blob": pa.binary(),
}


def records_schema(columns: Iterable[ColumnEntry]) -> pa.Schema:
    """The Arrow schema of records whose columns are stored as ``columns`` say."""
    return pa.schema([pa.field(c.name, ARROW_TYPES[c.stored_type]) for c in columns])
