"""Private folders for work in progress, and what dead processes left of them.

Each is ``<prefix><random>/`` with ``files/``, what the worker is given, and ``lock``, held while
the worker lives. It gets its name only once it is locked, and loses its files before its lock, so
a folder of that name whose lock is free is a dead worker's.
"""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from portability_pipelines.stores.disk import disk_errors
from portability_pipelines.stores.locks import lock_if_free, locked


@contextmanager
def working_folder(parent: Path, prefix: str) -> Iterator[Path]:
    """Give a new folder of mode 0700 below ``parent``, which is made where it is missing.

    It is gone afterwards, however the context ends. Where the process is killed, the next worker
    of the same ``parent`` and ``prefix`` removes it. Failures of the disk are explained.
    """
    with disk_errors("working in a private folder", parent):
        parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        for dead in parent.glob(f"{prefix}*"):
            _remove_if_dead(dead)
        name = prefix + secrets.token_hex(8)
        fresh = parent / f".new-{name}"
        fresh.mkdir(mode=0o700)
        lock = locked(fresh / "lock")
        place = fresh.rename(parent / name)
        try:
            files = place / "files"
            files.mkdir(mode=0o700)
            yield files
        finally:
            _remove(place)
            os.close(lock)


def _remove_if_dead(place: Path) -> None:
    with suppress(FileNotFoundError, NotADirectoryError):
        lock = lock_if_free(place / "lock", create=False)
        if lock is None:
            return
        try:
            _remove(place)
        finally:
            os.close(lock)


def _remove(place: Path) -> None:
    files = place / "files"
    if files.exists():
        shutil.rmtree(files)
    shutil.rmtree(place)
