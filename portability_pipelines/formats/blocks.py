"""Cutting a text stream into blocks of whole records, however long a record is."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import BinaryIO

from portability_pipelines.domain.errors import PermanentError

BLOCK_BYTES = 2 << 20

LastEnd = Callable[[bytes], int]
"""Where the last whole record of a block ends; 0 where the block holds none."""


def whole_records(source: BinaryIO, last_end: LastEnd, format_name: str) -> Iterator[bytes]:
    """Yield ``source`` in blocks of about ``BLOCK_BYTES`` that end where a record ends.

    Memory is bounded by a few blocks, or by a few times the longest record.
    Raises ``PermanentError`` where the stream ends inside a record.
    """
    rest = b""
    # Reading as much again as is left over keeps the copying linear in the longest record.
    while piece := _read(source, max(BLOCK_BYTES, len(rest))):
        rest += piece
        if end := last_end(rest):
            yield rest[:end]
            rest = rest[end:]
    if rest:
        raise PermanentError(
            f"The {format_name} data ends in the middle of a record",
            "The file was cut short; fetch or export it again.",
        )


def _read(source: BinaryIO, size: int) -> bytes:
    """``size`` bytes, fewer only at the end: a raw stream may give less than it was asked for."""
    pieces = []
    while size and (piece := source.read(size)):
        pieces.append(piece)
        size -= len(piece)
    return b"".join(pieces)
