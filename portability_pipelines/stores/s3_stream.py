"""The bytes of one S3 object, as they arrive."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

from portability_pipelines.stores.s3_errors import s3_errors

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer
    from botocore.response import StreamingBody


class ObjectStream(io.RawIOBase):
    """Reads ``body`` forward, once; an end before the announced length is an error."""

    def __init__(self, body: StreamingBody, key: str, bucket: str) -> None:
        super().__init__()
        self._body = body
        self._action = f"reading {key}"
        self._bucket = bucket

    def readable(self) -> bool:
        """Always."""
        return True

    def readinto(self, buffer: WriteableBuffer, /) -> int:
        """Fill ``buffer`` with what is there; raises ``TransientError`` on a broken connection."""
        view = memoryview(buffer).cast("B")
        with s3_errors(self._action, self._bucket):
            chunk = self._body.read(len(view))
        view[: len(chunk)] = chunk
        return len(chunk)

    def close(self) -> None:
        """Give the connection up where bytes are left on it."""
        self._body.close()
        super().close()
