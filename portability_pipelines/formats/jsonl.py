"""JSON Lines in UTF-8: one object a line, keys in column order, NULL as ``null``.

Binary values are lower-case hex. JSON has no numbers for the infinities and NaN (RFC 8259,
section 6), so they are the texts ``"inf"``, ``"-inf"`` and ``"nan"``.
"""

from __future__ import annotations

import io
import json
import math
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, BinaryIO

import pyarrow as pa
import pyarrow.compute as pc

from portability_pipelines.domain.errors import PermanentError
from portability_pipelines.formats.base import RecordWriter
from portability_pipelines.formats.blocks import whole_records
from portability_pipelines.formats.hexadecimal import from_hex, hex_schema, to_hex
from portability_pipelines.formats.records import pieces

_ROWS_AT_ONCE = 8192
_NOT_FINITE = ("inf", "-inf", "nan")

# Half of a surrogate pair is no text (RFC 3629, section 3), but polars takes it for a NUL.
_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")


class JsonLinesFormat:
    """JSON Lines; see the module for how values are written."""

    name = "jsonl"
    suffix = ".jsonl"
    compresses_itself = False

    @contextmanager
    def open_writer(
        self, sink: BinaryIO, schema: pa.Schema, compression: str
    ) -> Iterator[RecordWriter]:
        """See ``Format.open_writer``; rows near an infinity take over ten times as long."""
        yield _JsonLinesWriter(sink)

    def read(self, source: BinaryIO, schema: pa.Schema) -> Iterator[pa.RecordBatch]:
        """See ``Format.read``; a file cut exactly between two lines is not noticed here."""
        text_schema = hex_schema(schema)
        lines_before = 0
        for block in whole_records(source, lambda block: block.rfind(b"\n") + 1, "JSON Lines"):
            batch = _parse(block, text_schema, lines_before)
            lines_before += batch.num_rows
            yield from_hex(batch, schema)


class _JsonLinesWriter:
    def __init__(self, sink: BinaryIO) -> None:
        self._sink = sink

    def write(self, batch: pa.RecordBatch) -> None:
        for part in pieces(batch, _ROWS_AT_ONCE):
            write = _write_fast if _is_finite(part) else _write_exactly
            write(to_hex(part), self._sink)


def _is_finite(batch: pa.RecordBatch) -> bool:
    floats = (column for column in batch.columns if pa.types.is_floating(column.type))
    return all(pc.all(pc.is_finite(column), min_count=0).as_py() for column in floats)


def _write_fast(batch: pa.RecordBatch, sink: BinaryIO) -> None:
    import polars

    text = io.BytesIO()
    polars.DataFrame(batch).write_ndjson(text)
    sink.write(text.getbuffer())


def _write_exactly(batch: pa.RecordBatch, sink: BinaryIO) -> None:
    encode = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode
    for row in batch.to_pylist():
        line = {name: _named(value) for name, value in row.items()}
        sink.write(f"{encode(line)}\n".encode())


def _named(value: Any) -> Any:
    return value if not isinstance(value, float) or math.isfinite(value) else repr(value)


def _parse(block: bytes, schema: pa.Schema, lines_before: int) -> pa.RecordBatch:
    """The records of ``block``: by polars, or line by line what polars cannot read."""
    import polars

    _record(block[: block.index(b"\n")], schema, lines_before + 1)
    if _SURROGATE.search(block):
        return _parse_exactly(block, schema, lines_before)
    try:
        frame = polars.read_ndjson(block, schema=_polars_schema(schema))
    except polars.exceptions.PolarsError:
        return _parse_exactly(block, schema, lines_before)
    table = frame.to_arrow(compat_level=polars.CompatLevel.oldest())
    return table.cast(schema).combine_chunks().to_batches()[0]


def _parse_exactly(block: bytes, schema: pa.Schema, lines_before: int) -> pa.RecordBatch:
    lines = enumerate(block.split(b"\n")[:-1], lines_before + 1)
    records = [_record(line, schema, number) for number, line in lines]
    return pa.RecordBatch.from_pylist(records, schema=schema)


def _polars_schema(schema: pa.Schema) -> dict[str, Any]:
    import polars

    types = {pa.int64(): polars.Int64, pa.float64(): polars.Float64, pa.string(): polars.String}
    return {field.name: types[field.type] for field in schema}


def _record(line: bytes, schema: pa.Schema, number: int) -> dict[str, Any]:
    """One line's values by column, each of the column's type."""
    try:
        values = json.loads(line)
        if not isinstance(values, dict) or list(values) != schema.names:
            raise ValueError(f"not an object with the keys {schema.names}")
        return {field.name: _value(values[field.name], field) for field in schema}
    except (ValueError, OverflowError, RecursionError) as error:
        raise PermanentError(
            f"Line {number} of the JSON Lines data cannot be read: {error}",
            "The file was damaged or written by something else; fetch or export it again.",
        ) from error


def _value(value: Any, field: pa.Field) -> Any:
    if value is None:
        return value
    if pa.types.is_string(field.type) and isinstance(value, str):
        value.encode()  # fails where it is half a surrogate pair
        return value
    number = isinstance(value, int) and not isinstance(value, bool)
    if pa.types.is_integer(field.type) and number and -(2**63) <= value < 2**63:
        return value
    if pa.types.is_floating(field.type) and (
        number or isinstance(value, float) or value in _NOT_FINITE
    ):
        return float(value)
    raise ValueError(f"column {field.name!r} holds a {type(value).__name__} that does not fit it")
