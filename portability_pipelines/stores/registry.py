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
_CREDENTIALS = "Credentials belong in AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY."


def open_store(
    url: str,
    *,
    staging_root: Path,
    s3_client: Callable[[], S3Client] | None = None,
    setting: str = "The store's setting",
) -> Store:
    """The store named by ``file:///absolute/folder`` or ``s3://bucket/prefix``.

    Touches neither disk nor network. ``staging_root`` is where archives bound for S3 are prepared;
    a local store prepares them on its own disk. ``s3_client`` defaults to what boto3 finds.
    Raises ``RefusedError`` for any other ``url``, which it calls ``setting``, and shows no more of
    it than its scheme: what was set by mistake may hold a password or a signature anywhere.
    """
    try:
        parts = _split(url)
        if parts.scheme == "file":
            return LocalStore(_local_root(parts))
        return _in_bucket(parts, s3_client or default_client, staging_root)
    except _NoStoreError as error:
        raise RefusedError(f"{setting}{error.shown} {error.fault}", error.advice) from None


class _NoStoreError(Exception):
    """An address that names no store, with as much of it as may be shown."""

    def __init__(self, fault: str, parts: SplitResult | None = None, advice: str = "") -> None:
        # Without the slashes, what stands before a colon may be a user.
        self.shown = f" {parts.scheme}://..." if parts and parts.scheme and parts.netloc else ""
        self.fault = fault
        self.advice = f"{_FORM} {advice}".rstrip()


def _in_bucket(parts: SplitResult, client: Callable[[], S3Client], staging_root: Path) -> Store:
    try:
        return S3Store(parts.netloc, parts.path.strip("/"), client, staging_root)
    except RefusedError:
        raise _NoStoreError("has a prefix that keys cannot start with", parts) from None


def _split(url: str) -> SplitResult:
    try:
        url.encode()
        parts = urlsplit(url)
    except ValueError:
        raise _NoStoreError("is not an address") from None
    if "@" in parts.netloc:
        raise _NoStoreError("holds credentials", parts, _CREDENTIALS)
    if parts.scheme not in {"file", "s3"} or parts.query or parts.fragment:
        raise _NoStoreError("does not name a store", parts)
    if parts.scheme == "s3" and (not parts.netloc or ":" in parts.netloc):
        raise _NoStoreError("names no bucket", parts)
    return parts


def _local_root(parts: SplitResult) -> Path:
    try:
        root = unquote(parts.path, errors="strict")
    except UnicodeDecodeError:
        raise _NoStoreError("names a folder that is not UTF-8", parts) from None
    if "\0" in root:
        raise _NoStoreError("names a folder with a NUL in its name", parts)
    if parts.netloc or not root.startswith("/") or not root.strip("/") or ".." in root.split("/"):
        raise _NoStoreError("does not name an absolute folder", parts)
    return Path(root)
