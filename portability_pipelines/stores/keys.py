"""Keys of a store: relative POSIX paths, checked once for every store."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import PurePosixPath

from portability_pipelines.domain.errors import PermanentError, RefusedError
from portability_pipelines.domain.manifest import MANIFEST_NAME

STAGING_NAME = ".staging"
"""Where a local store prepares archives."""

RESERVED = frozenset({STAGING_NAME, "lost+found"})
"""First parts that no key may have; ``lost+found`` belongs to a disk mounted as a store."""


def checked_key(key: str) -> str:
    """Return ``key``; refuse it where it could leave the store or mean two things in it."""
    parts = key.split("/")
    if any(part in {"", ".", ".."} or "\\" in part or "\0" in part for part in parts):
        raise RefusedError(
            f"{key!r} is not a key of a store",
            "Write a relative path such as sample/exports/clients.csv, without '.', '..', "
            "empty parts, backslashes or NUL.",
        )
    if parts[0] in RESERVED:
        raise RefusedError(
            f"{key!r} lies in {parts[0]}, which the disk of a store needs itself",
            "Use a key that starts otherwise.",
        )
    return key


def checked_prefix(prefix: str) -> str:
    """Return the folder ``prefix`` in the form keys start with: ``""``, or a key and a slash."""
    return f"{checked_key(prefix)}/" if prefix else ""


def within(key: str, prefix: str) -> bool:
    """Whether ``key`` is the folder ``prefix`` or lies in it."""
    return f"{key}/".startswith(f"{prefix}/")


def unpublished(keys: Collection[str]) -> list[str]:
    """The keys that no manifest stands beside or above: an archive without one does not exist."""
    paths = [PurePosixPath(key) for key in keys]
    published = {path.parent for path in paths if path.name == MANIFEST_NAME}
    return [str(path) for path in paths if published.isdisjoint(path.parents)]


def missing(store_url: str, key: str) -> PermanentError:
    """The error for opening a ``key`` that the store does not have."""
    return PermanentError(
        f"{store_url} has no {key}", "Choose one of the archives that the store lists."
    )


def already_published(store_url: str, key: str) -> PermanentError:
    """The error for publishing a ``key`` a second time."""
    return PermanentError(
        f"{store_url} already has {key}", "Publish under a new key; this one is kept as it is."
    )
