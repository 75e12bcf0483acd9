"""A digest of what records say, whatever format or batches they travel in.

``columns-sha256-v1`` is made as follows, with integers little-endian and texts in UTF-8.

Each column feeds its values, in row order, to SHA-256 streams:

- *validity*: the byte 1 for a value, 0 for NULL.
- *lengths* (text and blob only): the length of the value in bytes, as int32; 0 for NULL.
- *data*: integer, 8 bytes two's complement; real, 8 bytes IEEE 754 binary64; both 0 for NULL.
  Text and blob, the bytes of the values that are not NULL, one after the other.

Every NaN is the bytes ``00 00 00 00 00 00 f8 7f``; -0.0 and 0.0 keep their different bytes.

The digest of a column is SHA-256 over: the length of its name in bytes (uint32), the name, the
length of its type in bytes (uint32), the type (``integer``, ``real``, ``text`` or ``blob``), and
the 32-byte digests of its streams in the order above. The digest of the records is SHA-256 over:
the number of rows (uint64) and the digests of the columns in order.
"""

from __future__ import annotations

import hashlib
import struct

import numpy as np
import pyarrow as pa

from portability_pipelines.domain.errors import PermanentError
from portability_pipelines.formats.buffers import (
    little_endian,
    numbers,
    validity_bytes,
    value_bytes,
)
from portability_pipelines.formats.records import ARROW_TYPES

VERSION = "columns-sha256-v1"

_TYPE_NAMES = {arrow: name for name, arrow in ARROW_TYPES.items()}


class ContentDigest:
    """Digests records batch by batch, in memory bounded by a batch.

    Depends on names, types, order and values, and on NULL or not; not on how rows are cut into
    batches, nor on what lies in a buffer outside the values. Releases the GIL while it hashes.
    """

    def __init__(self, schema: pa.Schema) -> None:
        self.rows = 0
        self._schema = schema
        self._columns = [_column(field) for field in schema]

    def update(self, batch: pa.RecordBatch) -> None:
        """Append the rows of ``batch``; raises ``PermanentError`` where its schema is another."""
        if not batch.schema.equals(self._schema):
            raise PermanentError(
                f"A batch of {batch.schema.names} reached the digest of {self._schema.names}",
                "Names and types must be those of the digest; this is a fault of the program.",
            )
        for column, values in zip(self._columns, batch.columns, strict=True):
            column.update(values)
        self.rows += batch.num_rows

    def hexdigest(self) -> str:
        """``columns-sha256-v1:`` and 64 hex digits over all rows so far."""
        whole = hashlib.sha256(struct.pack("<Q", self.rows))
        for column in self._columns:
            whole.update(column.digest())
        return f"{VERSION}:{whole.hexdigest()}"


class _FixedSize:
    """An integer or real column."""

    def __init__(self, field: pa.Field) -> None:
        self._heading = _heading(field)
        self._kind = np.dtype(np.float64 if pa.types.is_floating(field.type) else np.int64)
        self._validity = hashlib.sha256()
        self._data = hashlib.sha256()

    def update(self, values: pa.Array) -> None:
        validity = validity_bytes(values)
        data = numbers(values, self._kind)
        if values.null_count:
            data = np.where(validity.view(np.bool_), data, self._kind.type(0))
        if self._kind.kind == "f" and (nan := np.isnan(data)).any():
            data = np.where(nan, np.nan, data)
        self._validity.update(validity.data)
        self._data.update(little_endian(data))

    def digest(self) -> bytes:
        return _digest_of(self._heading, self._validity, self._data)


class _VariableSize:
    """A text or blob column."""

    def __init__(self, field: pa.Field) -> None:
        self._heading = _heading(field)
        self._validity = hashlib.sha256()
        self._lengths = hashlib.sha256()
        self._data = hashlib.sha256()

    def update(self, values: pa.Array) -> None:
        validity = validity_bytes(values)
        offsets, data = value_bytes(values.drop_null() if values.null_count else values)
        lengths = np.zeros(len(values), np.int32)
        lengths[validity.view(np.bool_)] = np.diff(offsets)
        self._validity.update(validity.data)
        self._lengths.update(little_endian(lengths))
        self._data.update(data)

    def digest(self) -> bytes:
        return _digest_of(self._heading, self._validity, self._lengths, self._data)


def _column(field: pa.Field) -> _FixedSize | _VariableSize:
    return (_FixedSize if _TYPE_NAMES[field.type] in ("integer", "real") else _VariableSize)(field)


def _heading(field: pa.Field) -> bytes:
    parts = (field.name.encode(), _TYPE_NAMES[field.type].encode())
    return b"".join(struct.pack("<I", len(part)) + part for part in parts)


def _digest_of(heading: bytes, *streams: hashlib._Hash) -> bytes:
    digests = (stream.digest() for stream in streams)
    return hashlib.sha256(b"".join((heading, *digests))).digest()
