"""Archives in a bucket of an S3 service."""

from __future__ import annotations

import secrets
from base64 import b64encode
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from datetime import UTC
from functools import cached_property
from hashlib import md5
from io import BufferedReader
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, cast

from portability_pipelines.domain.errors import TransientError
from portability_pipelines.stores.base import StoredObject
from portability_pipelines.stores.disk import disk_errors
from portability_pipelines.stores.keys import (
    already_published,
    checked_key,
    checked_prefix,
    missing,
    unpublished,
)
from portability_pipelines.stores.s3_errors import error_code, s3_errors
from portability_pipelines.stores.s3_stream import ObjectStream
from portability_pipelines.stores.staging import Staging

if TYPE_CHECKING:
    from types_boto3_s3 import S3Client

PART_BYTES = 16 * 1024**2
_UPLOAD_THREADS = 4
_READ_BYTES = 1024**2
_PUBLICATION = "publication"
_TAKEN = frozenset({"PreconditionFailed", "ConditionalRequestConflict"})
_ABSENT = frozenset({"404", "NoSuchKey", "NoSuchUpload"})


class S3Store:
    """A ``Store`` under ``prefix`` (empty for the whole bucket); archives are staged locally.

    ``client`` is called once, when the store is first used.
    """

    def __init__(
        self, bucket: str, prefix: str, client: Callable[[], S3Client], staging_root: Path
    ) -> None:
        self._bucket = bucket
        self._start = checked_prefix(prefix)
        self._make_client = client
        self._staging = Staging(staging_root, self.url)

    @property
    def url(self) -> str:
        """``s3://<bucket>/<prefix>``."""
        return f"s3://{self._bucket}/{self._start}".rstrip("/")

    def stage(self, prefix: str) -> AbstractContextManager[Path]:
        """Give a private folder (mode 0700) under the staging root; see ``Store.stage``.

        On an error, what was put under ``prefix`` without being published is removed as well.
        """
        return self._staging.folder(checked_key(prefix), self._withdraw)

    def put(self, source: Path, key: str) -> None:
        """Upload ``source`` in parts of 16 MiB and confirm the size that the service stored.

        The parts are read from the disk while they are sent; little of the file is in memory.
        """
        from boto3.s3.transfer import TransferConfig

        name = self._name(key)
        self._staging.check_bound(source, key)
        config = TransferConfig(
            multipart_threshold=PART_BYTES,
            multipart_chunksize=PART_BYTES,
            max_concurrency=_UPLOAD_THREADS,
        )
        with disk_errors(f"reading {source.name}", source.parent):
            size = source.stat().st_size
            with s3_errors(f"putting {key}", self._bucket):
                self._client.upload_file(str(source), self._bucket, name, Config=config)
                stored = self._client.head_object(Bucket=self._bucket, Key=name)
        if stored["ContentLength"] != size:
            raise TransientError(
                f"{self.url} stored {stored['ContentLength']} of the {size} bytes of {key}",
                "Run again; if it persists, look at the service's log.",
            )

    def publish(self, key: str, content: bytes) -> None:
        """Write ``content`` with If-None-Match, so that the service lets one writer win.

        The object carries a random token, by which a repeated request whose first answer was
        lost knows its own object again. Content-MD5 makes the service refuse a body that was cut
        off; without it, SeaweedFS stores an empty object where a writer dies after the headers.
        """
        from botocore.exceptions import ClientError

        name, token = self._name(key), secrets.token_hex(16)
        with s3_errors(f"publishing {key}", self._bucket):
            try:
                self._client.put_object(
                    Bucket=self._bucket,
                    Key=name,
                    Body=content,
                    ContentMD5=b64encode(md5(content, usedforsecurity=False).digest()).decode(),
                    IfNoneMatch="*",
                    Metadata={_PUBLICATION: token},
                )
            except ClientError as error:
                holder = self._publication(name) if error_code(error) in _TAKEN else None
                if holder is None:
                    raise
                if holder != token:
                    raise already_published(self.url, key) from error

    def open(self, key: str) -> BinaryIO:
        """Stream ``key`` over one connection; a broken one raises ``TransientError`` on reading."""
        from botocore.exceptions import ClientError

        with s3_errors(f"opening {key}", self._bucket):
            try:
                answer = self._client.get_object(Bucket=self._bucket, Key=self._name(key))
            except ClientError as error:
                if error_code(error) in _ABSENT:
                    raise missing(self.url, key) from error
                raise
        stream = ObjectStream(answer["Body"], key, self._bucket)
        return cast(BinaryIO, BufferedReader(stream, _READ_BYTES))

    def list(self, prefix: str) -> Iterator[StoredObject]:
        """Sort the listing here: S3 lists by key, but compatible services may list by folder.

        Holds the whole listing in memory, about half a kilobyte for each object.
        """
        yield from sorted(self._listed(prefix), key=lambda stored: stored.key)

    def delete(self, key: str) -> None:
        """Delete ``key``."""
        with s3_errors(f"deleting {key}", self._bucket):
            self._client.delete_object(Bucket=self._bucket, Key=self._name(key))

    def locate(self, key: str) -> str:
        """The ``s3://`` address of ``key``."""
        return f"s3://{self._bucket}/{self._name(key)}"

    def sweep(self) -> tuple[str, ...]:
        """See ``Store.sweep``; gives ``s3://`` addresses and paths of staging folders."""
        return self._staging.sweep(self._withdraw)

    @cached_property
    def _client(self) -> S3Client:
        with s3_errors("connecting", self._bucket):
            return self._make_client()

    def _name(self, key: str) -> str:
        return f"{self._start}{checked_key(key)}"

    def _listed(self, prefix: str) -> Iterator[StoredObject]:
        start = f"{self._start}{checked_prefix(prefix)}"
        with s3_errors(f"listing {prefix or 'everything'}", self._bucket):
            pages = self._client.get_paginator("list_objects_v2")
            for page in pages.paginate(Bucket=self._bucket, Prefix=start):
                for entry in page.get("Contents", ()):
                    key = entry["Key"].removeprefix(self._start)
                    modified_at = entry["LastModified"].astimezone(UTC)
                    if not key.endswith("/"):
                        yield StoredObject(key, entry["Size"], modified_at)

    def _publication(self, name: str) -> str | None:
        """The token of the object ``name``, empty for a foreign one; ``None`` without an object."""
        from botocore.exceptions import ClientError

        try:
            facts = self._client.head_object(Bucket=self._bucket, Key=name)
        except ClientError as error:
            if error_code(error) in _ABSENT:
                return None
            raise
        return facts["Metadata"].get(_PUBLICATION, "")

    def _withdraw(self, prefix: str) -> Iterator[str]:
        self._abort_uploads(prefix)
        for key in unpublished([stored.key for stored in self.list(prefix)]):
            self.delete(key)
            yield self.locate(key)

    def _abort_uploads(self, prefix: str) -> None:
        """Abort unfinished uploads under ``prefix``, whose parts a service charges for unseen."""
        start = f"{self._start}{checked_prefix(prefix)}"
        with s3_errors(f"clearing unfinished uploads to {prefix}", self._bucket):
            pages = self._client.get_paginator("list_multipart_uploads")
            for page in pages.paginate(Bucket=self._bucket, Prefix=start):
                for upload in page.get("Uploads", ()):
                    self._abort(upload["Key"], upload["UploadId"])

    def _abort(self, name: str, upload_id: str) -> None:
        from botocore.exceptions import ClientError

        try:
            self._client.abort_multipart_upload(Bucket=self._bucket, Key=name, UploadId=upload_id)
        except ClientError as error:
            if error_code(error) not in _ABSENT:
                raise
