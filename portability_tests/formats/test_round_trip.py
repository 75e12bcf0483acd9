"""Every format gives back what it was given, and others read its files too."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Iterable
from typing import Any, BinaryIO, cast

import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pyarrow.parquet import ParquetFile

from portability_pipelines.formats import blocks
from portability_pipelines.formats import records as records_module
from portability_pipelines.formats.digest import ContentDigest
from portability_pipelines.formats.registry import FORMATS
from portability_tests.strategies import batches, cuts, records, schemas

# A block of 40 bytes makes most records straddle two blocks, and many be longer than one.
BLOCK_SIZES = (40, blocks.BLOCK_BYTES)

every_format = pytest.mark.parametrize("name", list(FORMATS))
thorough = settings(
    max_examples=100,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


class WriteOnly:
    """A sink that can do no more than a sink has to."""

    def __init__(self) -> None:
        self.content = bytearray()

    def write(self, data: bytes) -> int:
        self.content += data
        return len(data)


def written(
    name: str, parts: Iterable[pa.RecordBatch], schema: pa.Schema, compression: str = "zstd"
) -> bytes:
    """The file that format ``name`` makes of ``parts``."""
    sink = WriteOnly()
    with FORMATS[name].open_writer(cast(BinaryIO, sink), schema, compression) as writer:
        for part in parts:
            writer.write(part)
    return bytes(sink.content)


def read_back(name: str, content: bytes, schema: pa.Schema) -> list[pa.RecordBatch]:
    """The batches that format ``name`` reads from ``content``."""
    return list(FORMATS[name].read(io.BytesIO(content), schema))


def digest(parts: Iterable[pa.RecordBatch], schema: pa.Schema) -> str:
    """The content digest of ``parts``."""
    content = ContentDigest(schema)
    for part in parts:
        content.update(part)
    return content.hexdigest()


def exact(value: Any) -> Any:
    """``value`` so that equality tells -0.0 from 0.0 and 1 from 1.0."""
    return value.hex() if isinstance(value, float) else value


def rows(parts: Iterable[pa.RecordBatch]) -> list[list[Any]]:
    """The rows of ``parts``, exactly."""
    return [[exact(v) for v in row.values()] for part in parts for row in part.to_pylist()]


@every_format
@thorough
@given(data=st.data(), batch=records)
def test_values_and_digest_survive(
    name: str, data: st.DataObject, batch: pa.RecordBatch, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(blocks, "BLOCK_BYTES", data.draw(st.sampled_from(BLOCK_SIZES)))
    content = written(name, data.draw(cuts(batch)), batch.schema)
    found = read_back(name, content, batch.schema)
    assert rows(found) == rows([batch])
    assert all(part.schema == batch.schema for part in found)
    assert digest(found, batch.schema) == digest([batch], batch.schema)


@every_format
@thorough
@given(data=st.data())
def test_a_table_of_one_column_keeps_its_nulls(name: str, data: st.DataObject) -> None:
    schema = data.draw(schemas(max_columns=1))
    batch = data.draw(batches(schema))
    assert rows(read_back(name, written(name, [batch], schema), schema)) == rows([batch])


@thorough
@given(batch=records)
def test_the_csv_module_reads_the_same_values(batch: pa.RecordBatch) -> None:
    content = written("csv", [batch], batch.schema).decode()
    header, *found = csv.reader(io.StringIO(content, newline=""), strict=True)
    assert header == batch.schema.names
    # The csv module takes the empty line of a lone NULL for a row without fields.
    kept = [row or [""] for row in found]
    types = batch.schema.types
    read = [[_from_csv(v, t) for v, t in zip(row, types, strict=True)] for row in kept]
    assert read == [
        [value or "" if value in (None, b"") else value for value in row] for row in rows([batch])
    ]


def _from_csv(text: str, kind: pa.DataType) -> Any:
    """The value of a CSV field, exactly; the empty field is the empty text."""
    if not text or pa.types.is_string(kind):
        return text
    if pa.types.is_binary(kind):
        return bytes.fromhex(text)
    return int(text) if pa.types.is_integer(kind) else exact(float(text))


@thorough
@given(batch=records)
def test_the_json_module_reads_the_same_values(batch: pa.RecordBatch) -> None:
    content = written("jsonl", [batch], batch.schema)
    lines = [json.loads(line, parse_constant=pytest.fail) for line in content.splitlines()]
    assert all(list(line) == batch.schema.names for line in lines)
    found = [[_from_json(line[field.name], field.type) for field in batch.schema] for line in lines]
    assert found == rows([batch])


def _from_json(value: Any, kind: pa.DataType) -> Any:
    if value is None or pa.types.is_string(kind) or pa.types.is_integer(kind):
        return value
    if pa.types.is_binary(kind):
        return bytes.fromhex(value)
    assert isinstance(value, float) or value in ("inf", "-inf")
    return exact(float(value))


@settings(max_examples=40, deadline=None)
@given(batch=records)
def test_pandas_reads_the_same_values(batch: pa.RecordBatch) -> None:
    content = written("parquet", [batch], batch.schema)
    frame = pd.read_parquet(io.BytesIO(content), dtype_backend="pyarrow")
    found = pa.RecordBatch.from_pandas(frame, schema=batch.schema, preserve_index=False)
    assert rows([found]) == rows([batch])


@pytest.mark.parametrize("compression", ["zstd", "gzip", "none"])
def test_parquet_compresses_as_asked(compression: str) -> None:
    batch = pa.record_batch({"n": pa.array(range(1000), pa.int64())})
    content = written("parquet", [batch], batch.schema, compression)
    metadata = ParquetFile(io.BytesIO(content)).metadata
    codec = metadata.row_group(0).column(0).compression
    assert codec == {"zstd": "ZSTD", "gzip": "GZIP", "none": "UNCOMPRESSED"}[compression]
    assert rows(read_back("parquet", content, batch.schema)) == rows([batch])


def test_parquet_gathers_small_batches_into_one_row_group() -> None:
    batch = pa.record_batch({"n": pa.array(range(1000), pa.int64())})
    content = written("parquet", (batch.slice(i, 1) for i in range(1000)), batch.schema)
    assert ParquetFile(io.BytesIO(content)).num_row_groups == 1


def test_parquet_keeps_no_large_batch_alive_for_a_small_slice() -> None:
    schema = pa.schema([("t", pa.string())])
    with FORMATS["parquet"].open_writer(io.BytesIO(), schema, "zstd") as writer:
        before = pa.total_allocated_bytes()
        for _ in range(20):
            large = pa.record_batch([pa.array(["x" * 1000] * 1000)], schema=schema)
            writer.write(large.slice(500, 1))
            del large
        assert pa.total_allocated_bytes() - before < 1_000_000


@every_format
def test_long_rows_are_read_a_few_at_a_time(name: str) -> None:
    schema = pa.schema([("n", pa.int64()), ("t", pa.string())])
    long = "x" * 1_000_000
    parts = [pa.record_batch([[n, n], [long, long]], schema=schema) for n in range(20)]
    found = read_back(name, written(name, parts, schema), schema)
    assert max(part.nbytes for part in found) <= 10_000_000
    assert digest(found, schema) == digest(parts, schema)


@pytest.mark.parametrize("name", ["csv", "jsonl"])
def test_a_batch_is_written_as_text_piece_by_piece(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes = []

    class Sink(WriteOnly):
        def write(self, data: bytes) -> int:
            sizes.append(len(data))
            return super().write(data)

    monkeypatch.setattr(records_module, "PIECE_BYTES", 10_000)
    batch = pa.record_batch({"b": pa.array([b"x" * 1000] * 100 + [b"y" * 50_000, None])})
    sink = Sink()
    with FORMATS[name].open_writer(cast(BinaryIO, sink), batch.schema, "zstd") as writer:
        writer.write(batch)
        writer.write(batch.slice(0, 0))
    assert max(sizes) <= 2 * (50_000 + 10_000)
    assert rows(read_back(name, bytes(sink.content), batch.schema)) == rows([batch])


@every_format
def test_a_value_longer_than_many_blocks(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blocks, "BLOCK_BYTES", 1000)
    long = 'a "quoted" line,\n' * 20_000
    schema = pa.schema([("t", pa.string()), ("b", pa.binary())])
    batch = pa.record_batch([["x", long, None], [b"", long.encode(), b"y"]], schema=schema)
    assert rows(read_back(name, written(name, [batch], schema), schema)) == rows([batch])


@every_format
def test_a_source_may_give_a_few_bytes_at_a_time(name: str) -> None:
    class Trickle(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            return super().read(min(size, 7) if size and size > 0 else size)

    schema = pa.schema([("n", pa.int64()), ("t", pa.string())])
    batch = pa.record_batch([list(range(100)), ["a\nb"] * 100], schema=schema)
    content = written(name, [batch], schema)
    source = io.BytesIO(content) if FORMATS[name].compresses_itself else Trickle(content)
    assert rows(FORMATS[name].read(source, schema)) == rows([batch])


@every_format
def test_a_file_without_rows(name: str) -> None:
    schema = pa.schema([("n", pa.int64()), ("b", pa.binary())])
    assert rows(read_back(name, written(name, [], schema), schema)) == []


@every_format
def test_sink_and_source_stay_open(name: str) -> None:
    schema = pa.schema([("n", pa.int64())])
    file = io.BytesIO()
    with FORMATS[name].open_writer(file, schema, "zstd") as writer:
        writer.write(pa.record_batch([[1, None]], schema=schema))
    file.seek(0)
    assert rows(FORMATS[name].read(file, schema)) == [[1], [None]]
    assert not file.closed


def test_nan_survives_the_text_formats() -> None:
    schema = pa.schema([("r", pa.float64())])
    batch = pa.record_batch([[math.nan, 1.5, None, -math.inf]], schema=schema)
    for name in FORMATS:
        found = read_back(name, written(name, [batch], schema), schema)
        assert digest(found, schema) == digest([batch], schema)
