"""What every filter's streams share: the size of a chunk, and the two kinds of stream."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, BinaryIO

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

CHUNK_BYTES = 1 << 20
"""How much the filters read, hash and hand on at once."""


class Readable(io.BufferedIOBase, BinaryIO):
    """A stream to be read once; whoever opened the stream beneath it closes that one.

    A subclass gives ``next_bytes``: at most ``size`` bytes, none only at the end.
    """

    def next_bytes(self, size: int) -> bytes:
        raise NotImplementedError

    def readable(self) -> bool:
        return True

    def read(self, size: int | None = -1, /) -> bytes:
        """At most ``size`` bytes, or all that is left."""
        if size is None or size < 0:
            return b"".join(iter(lambda: self.next_bytes(CHUNK_BYTES), b""))
        return self.next_bytes(size) if size else b""

    def read1(self, size: int = -1, /) -> bytes:
        return self.read(CHUNK_BYTES if size < 0 else size)


class Writable(io.BufferedIOBase, BinaryIO):
    """A stream to be written once; whoever opened the stream beneath it closes that one."""

    def writable(self) -> bool:
        return True


def size_of(data: ReadableBuffer) -> int:
    """The bytes of ``data``, whatever its items are."""
    return memoryview(data).nbytes
