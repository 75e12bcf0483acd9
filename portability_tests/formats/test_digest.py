"""The content digest depends on what records say, and on nothing else."""

from __future__ import annotations

import hashlib
import struct
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from portability_pipelines.domain.errors import PermanentError
from portability_pipelines.formats.digest import ContentDigest
from portability_tests.strategies import batches, cuts, records, schemas, values

thorough = settings(max_examples=200, deadline=None)

TYPE_NAMES = {
    pa.int64(): b"integer",
    pa.float64(): b"real",
    pa.string(): b"text",
    pa.binary(): b"blob",
}

GOLDEN = "columns-sha256-v1:26a911f13453f629b9d521c47880a8023abcfa3ad4b84e93767b7b32c0cbf8d4"


def digest(*parts: pa.RecordBatch) -> str:
    """The digest of ``parts``, which share a schema."""
    content = ContentDigest(parts[0].schema)
    for part in parts:
        content.update(part)
    return content.hexdigest()


def of(column: list[Any], kind: pa.DataType, name: str = "c") -> str:
    """The digest of a table of one column."""
    return digest(pa.record_batch([column], schema=pa.schema([(name, kind)])))


def by_the_book(batch: pa.RecordBatch) -> str:
    """The digest as the module's text defines it, value by value."""
    table = struct.pack("<Q", batch.num_rows)
    for field, column in zip(batch.schema, batch.columns, strict=True):
        streams = {"validity": b"", "lengths": b"", "data": b""}
        for value in column.to_pylist():
            streams["validity"] += b"\0" if value is None else b"\1"
            match value:
                case None if field.type in (pa.int64(), pa.float64()):
                    streams["data"] += bytes(8)
                case int():
                    streams["data"] += struct.pack("<q", value)
                case float():
                    streams["data"] += struct.pack("<d", value)
                case _:
                    plain = value.encode() if isinstance(value, str) else value or b""
                    streams["lengths"] += struct.pack("<i", len(plain))
                    streams["data"] += plain
        if field.type in (pa.int64(), pa.float64()):
            del streams["lengths"]
        name, kind = field.name.encode(), TYPE_NAMES[field.type]
        column_text = struct.pack("<I", len(name)) + name + struct.pack("<I", len(kind)) + kind
        column_text += b"".join(hashlib.sha256(s).digest() for s in streams.values())
        table += hashlib.sha256(column_text).digest()
    return f"columns-sha256-v1:{hashlib.sha256(table).hexdigest()}"


@thorough
@given(batch=records)
def test_it_is_what_its_definition_says(batch: pa.RecordBatch) -> None:
    assert digest(batch) == by_the_book(batch)


def test_it_stays_what_it_was() -> None:
    schema = pa.schema(
        [("i", pa.int64()), ("r", pa.float64()), ("t", pa.string()), ("b", pa.binary())]
    )
    columns = [[1, None, -(2**63)], [0.5, -0.0, None], ["", None, "größe"], [b"\0", b"", None]]
    assert digest(pa.record_batch(columns, schema=schema)) == GOLDEN


@thorough
@given(data=st.data(), batch=records)
def test_cuts_and_offsets_do_not_matter(data: st.DataObject, batch: pa.RecordBatch) -> None:
    content = ContentDigest(batch.schema)
    for part in data.draw(cuts(batch)):
        content.update(part)
    assert content.hexdigest() == digest(batch)
    assert content.rows == batch.num_rows


def test_cuts_inside_a_large_validity_bitmap_do_not_matter() -> None:
    column = [None if n % 3 == 0 else n for n in range(10_000)]
    schema = pa.schema([("n", pa.int64()), ("t", pa.string())])
    texts = [None if n is None else str(n) for n in column]
    batch = pa.record_batch([column, texts], schema=schema)
    parts = [batch.slice(start, 77) for start in range(0, 10_000, 77)]
    assert digest(*parts) == digest(batch)


def test_what_lies_under_a_null_does_not_matter() -> None:
    validity = pa.py_buffer(b"\5")
    numbers = pa.py_buffer(np.array([1, 99, 3], np.int64))
    offsets = pa.py_buffer(np.array([0, 1, 5, 6], np.int32))
    letters = pa.py_buffer(b"ajunkc")
    schema = pa.schema([("n", pa.int64()), ("t", pa.string())])
    garbage = pa.RecordBatch.from_arrays(
        [
            pa.Array.from_buffers(pa.int64(), 3, [validity, numbers]),
            pa.Array.from_buffers(pa.string(), 3, [validity, offsets, letters]),
        ],
        schema=schema,
    )
    clean = pa.record_batch([[1, None, 3], ["a", None, "c"]], schema=schema)
    assert digest(garbage) == digest(clean)


def test_every_nan_is_the_same() -> None:
    bits = np.array([0x7FF8000000000000, 0xFFF8000000000000, 0x7FF8000000000001], np.uint64)
    arrays = [pa.array(bits[i : i + 1].view(np.float64)) for i in range(3)]
    assert len({digest(pa.record_batch([a], names=["r"])) for a in arrays}) == 1


@thorough
@given(data=st.data(), schema=schemas())
def test_one_other_value_changes_it(data: st.DataObject, schema: pa.Schema) -> None:
    batch = data.draw(batches(schema, min_rows=1))
    row = data.draw(st.integers(0, batch.num_rows - 1))
    place = data.draw(st.integers(0, len(schema) - 1))
    kind = schema.field(place).type
    column = batch.column(place).to_pylist()
    other = data.draw(st.none() | values[kind])
    assume(repr(other) != repr(column[row]))
    column[row] = other
    arrays = [*batch.columns[:place], pa.array(column, kind), *batch.columns[place + 1 :]]
    assert digest(pa.RecordBatch.from_arrays(arrays, schema=schema)) != digest(batch)


@thorough
@given(data=st.data(), schema=schemas())
def test_two_rows_swapped_change_it(data: st.DataObject, schema: pa.Schema) -> None:
    batch = data.draw(batches(schema, min_rows=2))
    order = list(range(batch.num_rows))
    first, second = data.draw(st.lists(st.sampled_from(order), min_size=2, max_size=2, unique=True))
    assume(repr(batch.slice(first, 1).to_pylist()) != repr(batch.slice(second, 1).to_pylist()))
    order[first], order[second] = second, first
    assert digest(batch.take(order)) != digest(batch)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (of([None], pa.string()), of([""], pa.string())),
        (of([None], pa.binary()), of([b""], pa.binary())),
        (of([None], pa.int64()), of([0], pa.int64())),
        (of([0.0], pa.float64()), of([-0.0], pa.float64())),
        (of(["ab", "c"], pa.string()), of(["a", "bc"], pa.string())),
        (of(["a", None], pa.string()), of([None, "a"], pa.string())),
        (of(["a"], pa.string()), of([b"a"], pa.binary())),
        (of([0], pa.int64()), of([0.0], pa.float64())),
        (of([1], pa.int64(), "a"), of([1], pa.int64(), "b")),
        (of([], pa.int64()), of([None], pa.int64())),
    ],
)
def test_what_looks_alike_is_told_apart(one: str, other: str) -> None:
    assert one != other


def test_column_order_matters() -> None:
    schema = pa.schema([("a", pa.int64()), ("b", pa.int64())])
    batch = pa.record_batch([[1], [1]], schema=schema)
    assert digest(batch) != digest(batch.select(["b", "a"]))


def test_reading_the_digest_does_not_end_it() -> None:
    batch = pa.record_batch({"n": pa.array([1], pa.int64())})
    content = ContentDigest(batch.schema)
    content.update(batch)
    assert content.hexdigest() == content.hexdigest() == digest(batch)
    content.update(batch)
    assert content.hexdigest() == digest(batch, batch)


def test_a_batch_of_another_schema_is_refused() -> None:
    content = ContentDigest(pa.schema([("n", pa.int64())]))
    with pytest.raises(PermanentError, match="reached the digest"):
        content.update(pa.record_batch({"m": pa.array([1], pa.int64())}))
