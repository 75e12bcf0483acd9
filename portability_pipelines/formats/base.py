"""Records to bytes and back: the one interface that workflows know.

Records travel as Arrow record batches whose columns are ``int64``, ``float64``, ``string`` or
``binary``, nothing else. A format keeps every value and keeps NULL apart from the empty text.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager
from typing import BinaryIO, Protocol

import pyarrow as pa


class RecordWriter(Protocol):
    """Takes the batches of one file."""

    def write(self, batch: pa.RecordBatch) -> None:
        """Append ``batch``, whose schema is the one the writer was opened with."""


class Format(Protocol):
    """One file format. Memory stays bounded by a few batches both ways."""

    name: str
    suffix: str
    """The end of a file's name before any compression suffix, such as ``.csv``."""

    compresses_itself: bool
    """Whether compression happens inside the format (Parquet) instead of around it."""

    def open_writer(
        self, sink: BinaryIO, schema: pa.Schema, compression: str
    ) -> AbstractContextManager[RecordWriter]:
        """Write a file of ``schema`` to ``sink``; complete once the context ends without error.

        ``compression`` is ``zstd``, ``gzip`` or ``none``; a format that does not compress itself
        ignores it. ``sink`` only needs ``write``; it is not closed.
        """

    def read(self, source: BinaryIO, schema: pa.Schema) -> Iterator[pa.RecordBatch]:
        """Yield the records of ``source`` as batches of ``schema``.

        ``source`` is the decompressed stream, or a seekable file where ``compresses_itself``.
        Raises ``PermanentError`` where the bytes are not a whole file of this format.
        """
