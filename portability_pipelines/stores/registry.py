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
    url: str, *, staging_root: Path, s3_client: Callable[[], S3Client] | None = None
) -> Store:
    """The store named by ``file:///absolute/folder`` or ``s3://bucket/prefix``.

    Touches neither disk nor network. ``staging_root`` is where archives bound for S3 are prepared;
    a local store prepares them on its own disk. ``s3_client`` defaults to what boto3 finds.
    Raises ``RefusedError`` for any other setting, and shows no more of it than its scheme: what
    was set by mistake may hold a password or a signature anywhere.
    """
    parts = _split(url)
    if parts.scheme == "file":
        return LocalStore(_local_root(parts))
    try:
        return S3Store(
            parts.netloc, parts.path.strip("/"), s3_client or default_client, staging_root
        )
    except RefusedError:
        raise _refused(parts, "has a prefix that keys cannot start with") from None


def _split(url: str) -> SplitResult:
    try:
        url.encode()
        parts = urlsplit(url)
    except ValueError:
        raise RefusedError("The store's setting is not an address", _FORM) from None
    if "@" in parts.netloc:
        raise _refused(parts, "holds credentials", _CREDENTIALS)
    if parts.scheme not in {"file", "s3"} or parts.query or parts.fragment:
        raise _refused(parts, "does not name a store")
    if parts.scheme == "s3" and (not parts.netloc or ":" in parts.netloc):
        raise _refused(parts, "names no bucket")
    return parts


def _local_root(parts: SplitResult) -> Path:
    try:
        root = unquote(parts.path, errors="strict")
    except UnicodeDecodeError:
        raise _refused(parts, "names a folder that is not UTF-8") from None
    if "\0" in root:
        raise _refused(parts, "names a folder with a NUL in its name")
    if parts.netloc or not root.startswith("/") or not root.strip("/") or ".." in root.split("/"):
        raise _refused(parts, "does not name an absolute folder")
    return Path(root)


def _refused(parts: SplitResult, fault: str, advice: str = "") -> RefusedError:
    # Without the slashes, what stands before a colon may be a user.
    shown = f" {parts.scheme}://..." if parts.scheme and parts.netloc else ""
    return RefusedError(f"The store's setting{shown} {fault}", f"{_FORM} {advice}".rstrip())
