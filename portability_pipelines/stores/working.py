"""Private folders for work in progress, and what dead processes left of them.

Each is ``<prefix><random>/`` with ``files/``, what the worker is given, and ``lock``, held while
the worker lives. It gets its name only once it is locked, and loses its files before its lock, so
a folder of that name whose lock is free is a dead worker's. One that is being made is called
``.new-<prefix><random>/``; a worker that a sweep came before, between the two, makes another.
"""

from __future__ import annotations

import os
import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Literal, get_args

from portability_pipelines.stores.disk import disk_errors, remove_folder
from portability_pipelines.stores.locks import lock_if_free, locked

Prefix = Literal["frozen-", "verify-", "open-", ".restoring-"]
"""What the work is; every worker sweeps what workers of each kind left."""

_NAME = re.compile(rf"(\.new-)?({'|'.join(map(re.escape, get_args(Prefix)))})[0-9a-f]{{16}}")


@contextmanager
def working_folder(parent: Path, prefix: Prefix) -> Iterator[Path]:
    """Give a new folder of mode 0700 below ``parent``, which is made where it is missing.

    It is gone afterwards, however the context ends. Where the process is killed, the next worker
    of the same ``parent`` removes it. Failures of the disk are explained.
    """
    with disk_errors("working in a private folder", parent):
        parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        _sweep(parent)
        place, lock = _make(parent, prefix)
        try:
            files = place / "files"
            files.mkdir(mode=0o700)
            yield files
        finally:
            _remove(place)
            os.close(lock)


def _make(parent: Path, prefix: Prefix) -> tuple[Path, int]:
    """A new folder and its lock."""
    while True:
        name = prefix + secrets.token_hex(8)
        fresh = parent / f".new-{name}"
        fresh.mkdir(mode=0o700)
        with suppress(FileNotFoundError):
            lock = locked(fresh / "lock")
            if (fresh / "lock").exists():
                return fresh.rename(parent / name), lock
            os.close(lock)


def _sweep(parent: Path) -> None:
    for place in parent.iterdir():
        if _NAME.fullmatch(place.name):
            _remove_if_dead(place)


def _remove_if_dead(place: Path) -> None:
    try:
        lock = lock_if_free(place / "lock", create=False)
    except (FileNotFoundError, NotADirectoryError, PermissionError):
        # Without a lock of ours it holds nothing of ours; an empty one is left by a worker that
        # was killed before it had a lock, or after it had given it up.
        with suppress(OSError):
            place.rmdir()
        return
    if lock is None:
        return
    try:
        _remove(place)
    finally:
        os.close(lock)


def _remove(place: Path) -> None:
    remove_folder(place / "files")
    remove_folder(place)
