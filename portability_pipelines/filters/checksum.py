"""Sizes and SHA-256 digests of bytes on their way, and their proof at the end."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, BinaryIO

from portability_pipelines.domain.errors import PermanentError
from portability_pipelines.filters.streams import CHUNK_BYTES, Readable, Writable, size_of

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer


class HashingWriter(Writable):
    """Hands bytes on to ``sink`` and keeps their size and SHA-256."""

    def __init__(self, sink: BinaryIO) -> None:
        self._sink = sink
        self._digest = hashlib.sha256()
        self.size_bytes = 0

    @property
    def sha256(self) -> str:
        """The SHA-256, in hex, of everything written so far."""
        return self._digest.hexdigest()

    def write(self, data: ReadableBuffer, /) -> int:
        """Write all of ``data``."""
        size = size_of(data)
        self._sink.write(data)
        self._digest.update(data)
        self.size_bytes += size
        return size

    def flush(self) -> None:
        """Flush ``sink``."""
        self._sink.flush()


class CheckedReader(Readable):
    """Reads ``source`` and proves at its end that it was what was promised.

    The read that meets the end raises ``PermanentError`` naming ``name`` where the size or the
    SHA-256 differ; a source that goes on beyond ``size_bytes`` fails at that point already. What
    was read before the end is unproven.
    """

    def __init__(self, source: BinaryIO, *, size_bytes: int, sha256: str, name: str) -> None:
        self._source = source
        self._digest = hashlib.sha256()
        self._size_bytes = 0
        self._promised = (size_bytes, sha256)
        self._name = name

    def next_bytes(self, size: int) -> bytes:
        """At most ``size`` bytes; none only at a proven end."""
        chunk = self._source.read(size)
        self._digest.update(chunk)
        self._size_bytes += len(chunk)
        if not chunk or self._size_bytes > self._promised[0]:
            self._prove()
        return chunk

    def finish(self) -> None:
        """Read what is left and prove the whole."""
        while self.read(CHUNK_BYTES):
            pass

    def _prove(self) -> None:
        size_bytes, sha256 = self._promised
        if self._size_bytes != size_bytes:
            found = "more" if self._size_bytes > size_bytes else f"{self._size_bytes:,}"
            difference = f"{found} bytes where {size_bytes:,} were written"
        elif self._digest.hexdigest() != sha256:
            difference = f"SHA-256 {self._digest.hexdigest()} where {sha256} was written"
        else:
            return
        raise PermanentError(
            f"{self._name} is damaged: it has {difference}",
            "Use another archive, or another copy of this one.",
        )
