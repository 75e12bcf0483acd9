"""Binary values in text files: lower-case hex, two letters a byte, in CSV and JSON Lines alike."""

from __future__ import annotations

import binascii

import numpy as np
import pyarrow as pa

from portability_pipelines.domain.errors import PermanentError
from portability_pipelines.formats.buffers import array_of, validity_bytes, value_bytes


def hex_schema(schema: pa.Schema) -> pa.Schema:
    """``schema`` as a text file holds it: its binary columns are texts."""
    text = pa.string()
    return pa.schema([f.with_type(text) if pa.types.is_binary(f.type) else f for f in schema])


def to_hex(batch: pa.RecordBatch) -> pa.RecordBatch:
    """``batch`` with its binary columns written as hex, in twice their memory.

    Those columns become ``large_string``, for which no amount of hex is too much.
    """
    columns = [_encoded(c) if pa.types.is_binary(c.type) else c for c in batch.columns]
    return pa.RecordBatch.from_arrays(columns, names=batch.schema.names)


def from_hex(batch: pa.RecordBatch, schema: pa.Schema) -> pa.RecordBatch:
    """Undo ``to_hex``; ``batch`` is of ``hex_schema(schema)``.

    Raises ``PermanentError`` where a text is not hex.
    """
    pairs = zip(batch.columns, schema, strict=True)
    columns = [_decoded(c, f.name) if pa.types.is_binary(f.type) else c for c, f in pairs]
    return pa.RecordBatch.from_arrays(columns, schema=schema)


def _encoded(values: pa.Array) -> pa.Array:
    offsets, data = value_bytes(values)
    letters = binascii.hexlify(data)
    valid = validity_bytes(values)
    return array_of(pa.large_string(), valid, offsets.astype(np.int64) * 2, letters)


def _decoded(texts: pa.Array, column: str) -> pa.Array:
    offsets, letters = value_bytes(texts)
    try:
        if (offsets % 2).any():
            raise ValueError("Odd-length text")
        data = binascii.unhexlify(letters)
    except ValueError as error:
        raise PermanentError(
            f"A value of the binary column {column!r} is not hexadecimal text",
            "The file was damaged or written by something else; export it again.",
        ) from error
    return array_of(pa.binary(), validity_bytes(texts), offsets // 2, data)
