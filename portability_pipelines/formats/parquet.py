"""Parquet: columns in row groups, compressed inside, with the schema in the file's footer."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, BinaryIO

import pyarrow as pa
from pyarrow import ipc

from portability_pipelines.domain.errors import PermanentError
from portability_pipelines.formats.base import RecordWriter

# What is left when all is read, nothing is read beside: so a group is small beside those before it.
_FIRST_GROUP_BYTES = 1 << 20
_GROUP_BYTES = 4 << 20
_SHARE = 4
_GROUP_ROWS = 65_536
_READ_ROWS = 32_768

# Arrow writes page by page, and each time would wait for its turn in Python.
_BUFFER_BYTES = 256 << 10

# Level 1 of each: higher ones gain 1 % (zstd) or 10 % (gzip, at 15 times the time).
_LEVELS = {"zstd": 1, "gzip": 1, "none": None}


class ParquetFormat:
    """Parquet as pyarrow writes it, for pandas, DuckDB, Spark and others to read."""

    name = "parquet"
    suffix = ".parquet"
    compresses_itself = True

    @contextmanager
    def open_writer(
        self, sink: BinaryIO, schema: pa.Schema, compression: str
    ) -> Iterator[RecordWriter]:
        """See ``Format.open_writer``; after an error the file has no footer."""
        from pyarrow import parquet

        output = _Output(sink)
        with (
            pa.output_stream(output, buffer_size=_BUFFER_BYTES) as buffered,
            parquet.ParquetWriter(
                buffered,
                schema,
                compression=compression,
                compression_level=_LEVELS[compression],
                write_page_checksum=True,
            ) as writer,
        ):
            rows = _RowGroups(writer)
            try:
                yield rows
                rows.flush()
            except BaseException:
                output.abandon()
                raise

    def read(self, source: BinaryIO, schema: pa.Schema) -> Iterator[pa.RecordBatch]:
        """See ``Format.read``; memory is bounded by a few row groups."""
        from pyarrow import parquet

        try:
            file = parquet.ParquetFile(source, pre_buffer=False, page_checksum_verification=True)
            _check(file.schema_arrow, schema)
            for group in range(file.num_row_groups):
                # One at a time: a batch may hold rows of several groups, however large they are.
                for batch in file.iter_batches(_READ_ROWS, row_groups=[group]):
                    yield pa.RecordBatch.from_arrays(batch.columns, schema=schema)
        except (pa.ArrowException, UnicodeDecodeError, OSError) as error:
            if isinstance(error, OSError) and error.errno is not None:
                raise
            raise _damaged(str(error)) from error


class _RowGroups:
    """Gathers small batches into row groups; what is gathered stays under two limits."""

    def __init__(self, writer: Any) -> None:
        self._writer = writer
        self._batches: list[pa.RecordBatch] = []
        self._rows = 0
        self._bytes = 0
        self._written_bytes = 0

    def write(self, batch: pa.RecordBatch) -> None:
        self._batches.append(_own(batch))
        self._rows += batch.num_rows
        self._bytes += batch.nbytes
        most_bytes = min(_GROUP_BYTES, max(_FIRST_GROUP_BYTES, self._written_bytes // _SHARE))
        if self._rows >= _GROUP_ROWS or self._bytes >= most_bytes:
            self.flush()

    def flush(self) -> None:
        if self._rows:
            table = pa.Table.from_batches(self._batches)
            self._writer.write_table(table, row_group_size=_GROUP_ROWS)
        self._written_bytes += self._bytes
        self._batches, self._rows, self._bytes = [], 0, 0


class _Output(io.RawIOBase):
    """What Arrow needs of a file, over a sink that can only write; closing leaves the sink open."""

    def __init__(self, sink: BinaryIO) -> None:
        self._sink: BinaryIO | None = sink
        self._position = 0

    def writable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._position

    def write(self, data: Any) -> int:
        if self._sink is not None:
            self._sink.write(data)
        self._position += len(data)
        return len(data)

    def abandon(self) -> None:
        """Drop whatever is still to be written, the footer above all."""
        self._sink = None


def _own(batch: pa.RecordBatch) -> pa.RecordBatch:
    """``batch``, copied where it is a small part of buffers that it would keep alive."""
    if batch.get_total_buffer_size() <= 2 * batch.nbytes:
        return batch
    return ipc.read_record_batch(batch.serialize(), batch.schema)


def _check(found: pa.Schema, wanted: pa.Schema) -> None:
    columns = [[(field.name, str(field.type)) for field in schema] for schema in (found, wanted)]
    if columns[0] != columns[1]:
        raise _damaged(f"its columns are {columns[0]}, not {columns[1]}")


def _damaged(reason: str) -> PermanentError:
    return PermanentError(
        f"The Parquet data cannot be read: {reason}",
        "The file was damaged or written by something else; fetch or export it again.",
    )
