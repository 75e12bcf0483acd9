"""From the one setting that names a store to the store."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import SplitResult, unquote, urlsplit

from portability_pipelines.domain.errors import RefusedError
from portability_pipelines.stores.base import Store
from portability_pipelines.stores.local import LocalStore
from portability_pipelines.stores.s3 import S3Store
from portability_pipelines.stores.s3_client import default_client

if TYPE_CHECKING:
    from types_boto3_s3 import S3Client

_FORM = "Write file:///absolute/folder or s3://bucket/prefix."


def open_store(
    url: str, *, staging_root: Path, s3_client: Callable[[], S3Client] | None = None
) -> Store:
    """The store named by ``file:///absolute/folder`` or ``s3://bucket/prefix``.

    Touches neither disk nor network. ``staging_root`` is where archives bound for S3 are prepared;
    a local store prepares them on its own disk. ``s3_client`` defaults to what boto3 finds.
    Raises ``RefusedError`` for any other setting, without repeating a password in it.
    """
    parts = _split(url)
    if parts.scheme == "file":
        return LocalStore(_local_root(parts))
    return S3Store(parts.netloc, parts.path.strip("/"), s3_client or default_client, staging_root)


def _split(url: str) -> SplitResult:
    try:
        parts = urlsplit(url)
    except ValueError:
        raise RefusedError("The store's setting is not an address", _FORM) from None
    if "@" in parts.netloc:
        raise RefusedError(
            f"The store's setting {parts.scheme}://... holds credentials",
            f"{_FORM} Credentials belong in AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY.",
        )
    if parts.scheme not in {"file", "s3"} or parts.query or parts.fragment:
        raise RefusedError(f"{url!r} does not name a store", _FORM)
    if parts.scheme == "s3" and (not parts.netloc or ":" in parts.netloc):
        raise RefusedError(f"{url!r} names no bucket", _FORM)
    return parts


def _local_root(parts: SplitResult) -> Path:
    root = unquote(parts.path)
    if parts.netloc or not root.startswith("/") or not root.strip("/") or ".." in root.split("/"):
        raise RefusedError(f"{parts.geturl()!r} does not name an absolute folder", _FORM)
    return Path(root)
