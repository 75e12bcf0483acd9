"""Where archives live: the one interface that workflows know.

A key is a relative POSIX path (``sample/exports/clients/all/<id>/clients.parquet``): no leading
slash, no empty part, no ``.`` or ``..``. Every method raises ``PortabilityError`` subclasses only:
``TransientError`` for what a retry may mend, ``PermanentError`` otherwise, each naming the store
and the key, never a credential.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import BinaryIO, Protocol


@dataclass(frozen=True)
class StoredObject:
    """One object of a store. ``modified_at`` is aware, in UTC."""

    key: str
    size_bytes: int
    modified_at: datetime


class Store(Protocol):
    """A durable home for archives, with read-after-write consistency."""

    @property
    def url(self) -> str:
        """The setting that names this store, such as ``file:///srv/archives``; no secret in it."""

    def stage(self, prefix: str) -> AbstractContextManager[Path]:
        """Give a private local folder in which an archive bound for ``prefix`` is prepared.

        The folder is gone when the context ends, however it ends. A killed process leaves it
        behind; ``sweep`` of a later process removes it.
        """

    def put(self, source: Path, key: str) -> None:
        """Move the staged file ``source`` to ``key``, durably and all or nothing.

        Overwrites. ``source`` must lie in a folder given by ``stage`` and may be gone afterwards.
        """

    def publish(self, key: str, content: bytes) -> None:
        """Create ``key`` with ``content``, durably, all or nothing, and only if it is new.

        A second ``publish`` of the same key raises ``PermanentError`` and changes nothing.
        """

    def open(self, key: str) -> BinaryIO:
        """Open ``key`` for one pass from its beginning, in bounded memory."""

    def list(self, prefix: str) -> Iterator[StoredObject]:
        """Every object whose key starts with the folder ``prefix``, in key order.

        Objects that are still being written are not among them.
        """

    def delete(self, key: str) -> None:
        """Remove ``key``; not an error where it is already gone."""

    def locate(self, key: str) -> str:
        """Where a person finds ``key``: a path on this disk or an ``s3://`` address."""

    def sweep(self) -> tuple[str, ...]:
        """Remove what dead writers on this machine left behind; return what was removed.

        Staging folders of live processes are left alone. The objects under the prefix of a dead
        staging folder are removed where no ``manifest.json`` stands beside them; unfinished
        uploads under it are aborted.
        """
