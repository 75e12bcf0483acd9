"""Compression as standard files: what is written here, ``zstd -d`` and ``gzip -d`` read."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, BinaryIO, Literal, Protocol

from portability_pipelines.domain.errors import PermanentError, RefusedError
from portability_pipelines.filters.streams import CHUNK_BYTES, Readable, Writable, size_of

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

Codec = Literal["zstd", "gzip", "none"]

SUFFIXES: dict[Codec, str] = {"zstd": ".zst", "gzip": ".gz", "none": ""}
"""The end of a compressed file's name."""

_ZSTD_LEVEL = 1
_GZIP_LEVEL = 1
_GZIP_CONTAINER = 31


class _Compressor(Protocol):
    def compress(self, data: memoryview, /) -> bytes: ...

    def flush(self) -> bytes: ...


class _Decompressor(Protocol):
    def read(self, size: int, /) -> bytes: ...


@contextmanager
def compressing(sink: BinaryIO, codec: str, *, threads: int = 0) -> Iterator[BinaryIO]:
    """Give a stream whose bytes reach ``sink`` compressed; complete once the context ends.

    No time and no name is written, so the same bytes give the same file. ``threads`` are zstd's
    workers beside the caller's thread; without them a writer takes about 1 MB. Where the body
    raises, the end of the frame is never written: what reached ``sink`` reads as truncated.
    """
    _require_known(codec)
    if codec == "none":
        yield sink
        return
    compressor = _zstd_compressor(threads) if codec == "zstd" else _gzip_compressor()
    yield _CompressingWriter(sink, compressor)
    sink.write(compressor.flush())


def decompressing(source: BinaryIO, codec: str, *, name: str = "the stream") -> BinaryIO:
    """Give the plain bytes of ``source``, all its frames or members, in bounded memory.

    A read raises ``PermanentError`` naming ``name`` where ``source`` is truncated or corrupt;
    errors of ``source`` itself come through unchanged.
    """
    _require_known(codec)
    if codec == "none":
        return source
    return _DecompressingReader(source, codec, name)


def _require_known(codec: str) -> None:
    if codec not in SUFFIXES:
        raise RefusedError(
            f"{codec!r} is not a compression of this release", f"Use one of {', '.join(SUFFIXES)}."
        )


def _zstd_compressor(threads: int) -> _Compressor:
    import zstandard

    return zstandard.ZstdCompressor(
        level=_ZSTD_LEVEL, write_checksum=True, threads=threads
    ).compressobj()


def _gzip_compressor() -> _Compressor:
    from isal import isal_zlib

    return isal_zlib.compressobj(_GZIP_LEVEL, isal_zlib.DEFLATED, _GZIP_CONTAINER)


def _decompressor(source: BinaryIO, codec: str) -> _Decompressor:
    # zstandard's reader ends a truncated stream without an error; Arrow's does not.
    if codec == "zstd":
        import pyarrow as pa

        stream: _Decompressor = pa.CompressedInputStream(pa.PythonFile(source, "r"), "zstd")
        return stream
    from isal import igzip

    return igzip.IGzipFile(fileobj=source, mode="rb")  # type: ignore[no-untyped-call]


class _CompressingWriter(Writable):
    def __init__(self, sink: BinaryIO, compressor: _Compressor) -> None:
        self._sink = sink
        self._compressor = compressor

    def write(self, data: ReadableBuffer, /) -> int:
        view = memoryview(data).cast("B")
        for start in range(0, len(view), CHUNK_BYTES):
            self._sink.write(self._compressor.compress(view[start : start + CHUNK_BYTES]))
        return size_of(data)

    def flush(self) -> None:
        self._sink.flush()


class _WatchedSource(Readable):
    """Remembers the error that its source raised, which is then not one of the compressed data."""

    def __init__(self, source: BinaryIO) -> None:
        self._source = source
        self.size_bytes = 0
        self.error: BaseException | None = None

    def next_bytes(self, size: int) -> bytes:
        try:
            chunk = self._source.read(size)
        except BaseException as error:
            self.error = error
            raise
        self.size_bytes += len(chunk)
        return chunk


class _DecompressingReader(Readable):
    def __init__(self, source: BinaryIO, codec: str, name: str) -> None:
        self._source = _WatchedSource(source)
        self._plain = _decompressor(self._source, codec)
        self._codec = codec
        self._name = name

    def next_bytes(self, size: int) -> bytes:
        try:
            chunk = self._plain.read(size)
        except Exception as error:
            if self._source.error is not None:
                raise self._source.error from None
            raise self._damaged(error) from error
        if not chunk and not self._source.size_bytes:
            raise self._damaged(EOFError("it is empty"))
        return chunk

    def _damaged(self, error: Exception) -> PermanentError:
        ended = isinstance(error, EOFError) or "Truncated" in str(error)
        return PermanentError(
            f"{self._name} is {'truncated' if ended else 'damaged'}: not a whole {self._codec} "
            f"stream ({error})",
            "Use another archive, or another copy of this one.",
        )
