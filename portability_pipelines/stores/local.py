"""Archives in a folder of this machine, or of a mounted disk."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO

from portability_pipelines.stores.base import StoredObject
from portability_pipelines.stores.disk import disk_errors, make_folder, sync, write_synced
from portability_pipelines.stores.keys import (
    RESERVED,
    STAGING_NAME,
    already_published,
    checked_key,
    checked_prefix,
    missing,
    unpublished,
)
from portability_pipelines.stores.staging import Staging

_AROUND = "file:.."
"""The store around a staging area, wherever its disk is mounted."""


class LocalStore:
    """A ``Store`` under the absolute folder ``root``, which is made when first written to.

    Made here, ``root`` has mode 0700; a folder that exists keeps its mode.
    Archives are staged under ``root`` itself, so that putting them is one rename.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self._staging = Staging(root / STAGING_NAME, _AROUND)

    @property
    def url(self) -> str:
        """``file://`` and the path, percent-encoded."""
        return self._root.as_uri()

    def stage(self, prefix: str) -> AbstractContextManager[Path]:
        """Give a private folder (mode 0700) on the disk of the store; see ``Store.stage``.

        On an error, what was put under ``prefix`` without being published is removed as well.
        """
        return self._staging.folder(checked_key(prefix), self._withdraw)

    def put(self, source: Path, key: str) -> None:
        """Rename the staged ``source`` to ``key`` once its bytes are on the disk."""
        target = self._path(key)
        self._staging.check_bound(source, key)
        with disk_errors(f"putting {key}", self._root):
            sync(source)
            with self._staging.exclusive():
                make_folder(target.parent)
                source.rename(target)
                sync(target.parent)

    def publish(self, key: str, content: bytes) -> None:
        """Write ``content`` aside, then link it to ``key``, which fails where ``key`` exists."""
        target = self._path(key)
        with self._staging.draft() as folder, disk_errors(f"publishing {key}", self._root):
            draft = folder / "content"
            write_synced(draft, content)
            with self._staging.exclusive():
                make_folder(target.parent)
                self._link(draft, target, key)
                sync(target.parent)

    def open(self, key: str) -> BinaryIO:
        """Open the file of ``key``."""
        path = self._path(key)
        with disk_errors(f"opening {key}", self._root):
            try:
                return path.open("rb")
            except (FileNotFoundError, IsADirectoryError, NotADirectoryError) as error:
                raise missing(self.url, key) from error

    def list(self, prefix: str) -> Iterator[StoredObject]:
        """Walk the folder ``prefix``; holds the entries of one folder per level in memory."""
        start = checked_prefix(prefix)
        with disk_errors(f"listing {prefix or 'everything'}", self._root):
            yield from self._walk(start)

    def delete(self, key: str) -> None:
        """Unlink ``key``, durably, and the folders that it leaves empty."""
        path = self._path(key)
        with disk_errors(f"deleting {key}", self._root):
            try:
                path.unlink()
            except (FileNotFoundError, NotADirectoryError):
                return
            sync(path.parent)
            self._prune(path.parent)

    def locate(self, key: str) -> str:
        """The path of ``key`` on this machine."""
        return str(self._path(key))

    def sweep(self) -> tuple[str, ...]:
        """See ``Store.sweep``; gives paths."""
        return self._staging.sweep(self._withdraw)

    def _path(self, key: str) -> Path:
        return self._root / checked_key(key)

    def _link(self, draft: Path, target: Path, key: str) -> None:
        try:
            os.link(draft, target)
        except FileExistsError as error:
            raise already_published(self.url, key) from error

    def _walk(self, start: str) -> Iterator[StoredObject]:
        for name in self._entries(start):
            key = f"{start}{name}"
            if name.endswith("/"):
                yield from self._walk(key)
            else:
                yield from self._stored(key)

    def _entries(self, start: str) -> Sequence[str]:
        """Names in key order, folders with the slash that their keys go on with."""
        try:
            with os.scandir(self._root / start) as entries:
                names = [
                    f"{entry.name}/" if entry.is_dir() else entry.name
                    for entry in entries
                    if start or entry.name not in RESERVED
                ]
        except (FileNotFoundError, NotADirectoryError):
            return []
        return sorted(names)

    def _stored(self, key: str) -> Iterator[StoredObject]:
        try:
            facts = (self._root / key).stat()
        except FileNotFoundError:
            return
        yield StoredObject(key, facts.st_size, datetime.fromtimestamp(facts.st_mtime, UTC))

    def _prune(self, folder: Path) -> None:
        with self._staging.exclusive():
            while folder != self._root and not any(folder.iterdir()):
                folder.rmdir()
                folder = folder.parent
                sync(folder)

    def _withdraw(self, prefix: str) -> Iterator[str]:
        for key in unpublished([stored.key for stored in self.list(prefix)]):
            self.delete(key)
            yield self.locate(key)
