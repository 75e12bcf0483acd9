"""CSV as RFC 4180 has it, in UTF-8, with LF line ends.

NULL is an empty field and the empty text is ``""``; every other text is quoted too. Binary values
are lower-case hex. Numbers are written in the shortest form that reads back as the same number,
and the infinities as ``inf`` and ``-inf``. In a table of one column, a NULL is an empty line,
which is a record here; many readers skip it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import BinaryIO

import pyarrow as pa
import pyarrow.csv

from portability_pipelines.domain.errors import PermanentError
from portability_pipelines.formats.base import RecordWriter
from portability_pipelines.formats.blocks import whole_records
from portability_pipelines.formats.hexadecimal import from_hex, hex_schema, to_hex
from portability_pipelines.formats.records import pieces

_ROWS_AT_ONCE = 4096  # four times Arrow's default; writes a third faster


class CsvFormat:
    """CSV with a header line; see the module for the dialect."""

    name = "csv"
    suffix = ".csv"
    compresses_itself = False

    @contextmanager
    def open_writer(
        self, sink: BinaryIO, schema: pa.Schema, compression: str
    ) -> Iterator[RecordWriter]:
        """See ``Format.open_writer``."""
        no_rows = pa.record_batch([pa.nulls(0, field.type) for field in schema], schema=schema)
        _write(no_rows, sink, header=True)
        yield _CsvWriter(sink)

    def read(self, source: BinaryIO, schema: pa.Schema) -> Iterator[pa.RecordBatch]:
        """See ``Format.read``; a file cut exactly between two rows is not noticed here."""
        names: Sequence[str] | None = None
        for block in whole_records(source, _last_row_end, "CSV"):
            table = _parse(block, schema, names)
            names = schema.names
            yield from (from_hex(batch, schema) for batch in table.to_batches())
        if names is None:
            raise _damaged("it is empty, without even a header line")


class _CsvWriter:
    def __init__(self, sink: BinaryIO) -> None:
        self._sink = sink

    def write(self, batch: pa.RecordBatch) -> None:
        for part in pieces(batch, batch.num_rows):
            _write(part, self._sink, header=False)


def _write(batch: pa.RecordBatch, sink: BinaryIO, *, header: bool) -> None:
    text = pa.BufferOutputStream()
    options = pyarrow.csv.WriteOptions(include_header=header, batch_size=_ROWS_AT_ONCE)
    pyarrow.csv.write_csv(to_hex(batch), text, options)
    sink.write(memoryview(text.getvalue()))


def _last_row_end(block: bytes) -> int:
    """Just after the last line end outside quotes: one with an even number of quotes before it."""
    quotes = block.count(b'"')
    end = len(block)
    while (found := block.rfind(b"\n", 0, end)) >= 0:
        quotes -= block.count(b'"', found, end)
        if quotes % 2 == 0:
            return found + 1
        end = found
    return 0


def _parse(block: bytes, schema: pa.Schema, names: Sequence[str] | None) -> pa.Table:
    """The rows of ``block``, binary columns still hex; without ``names`` it begins with them."""
    try:
        table = pyarrow.csv.read_csv(
            pa.BufferReader(block),
            pyarrow.csv.ReadOptions(
                use_threads=False, block_size=len(block) + 1, column_names=names
            ),
            pyarrow.csv.ParseOptions(
                newlines_in_values=True,
                # Only where rows have one field can an empty line be one of them.
                ignore_empty_lines=len(schema) > 1,
            ),
            pyarrow.csv.ConvertOptions(
                column_types=hex_schema(schema),
                null_values=[""],
                strings_can_be_null=True,
                quoted_strings_can_be_null=False,
            ),
        )
        found = table.schema.names
    except (pa.ArrowInvalid, UnicodeDecodeError) as error:
        raise _damaged(_without_values(error)) from None
    if found != schema.names:
        raise _damaged(f"its columns are {found}, not {schema.names}")
    return table


def _without_values(error: Exception) -> str:
    """What Arrow says, up to where it would quote the data."""
    return str(error).partition(": invalid value")[0].partition(", got ")[0]


def _damaged(reason: str) -> PermanentError:
    return PermanentError(
        f"The CSV data cannot be read: {reason}",
        "The file was damaged or written by something else; fetch or export it again.",
    )
