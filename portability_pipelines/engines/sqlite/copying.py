"""A whole database file, copied as it was at one moment while others go on writing to it.

Whoever copies holds a read transaction, and that keeps the bytes together. In the rollback modes
no writer may touch the file meanwhile. In WAL mode writers append to the log, and a checkpoint may
change pages of the file, but only those that the log holds as well; and the log, read after the
file, is not begun anew while a reader needs it. SQLite puts the two copies together as it does
after a crash.

One reader does not keep the log: where all of it had been checkpointed, the reader ignores it and
keeps others from checkpointing instead. The log may then be begun anew while it is copied; its
header, which is written first, tells (https://www.sqlite.org/walformat.html, and the comments on
``aReadMark`` and ``WAL_READ_LOCK`` in SQLite's wal.c).
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable
from contextlib import ExitStack, closing
from datetime import datetime
from pathlib import Path
from typing import BinaryIO

from portability_pipelines.engines.sqlite.adbc import reading_failed

Clock = Callable[[], datetime]

CHUNK_BYTES = 1 << 20
_HEADER_BYTES = 32


def copy_pinned(path: Path, target: Path, held: ExitStack, clock: Clock) -> datetime:
    """Copy ``path``, on which the caller holds a read transaction, to ``target``.

    ``target`` is then a database at the commit that the transaction sees or at a later one. What
    was committed before the time that is given is in it. ``held`` must end after the transaction.
    """
    taken_at = clock()
    _write(held.enter_context(path.open("rb", buffering=0)), target)
    if log_bytes(path):
        log = held.enter_context(_log_of(path).open("rb", buffering=0))
        taken_at = _copy_log(log, _log_of(target), clock)
        try:
            _put_together(target)
        except sqlite3.Error as error:
            raise reading_failed(path, error) from error
    return taken_at


def log_bytes(path: Path) -> int:
    """How large the write-ahead log of ``path`` is; 0 where there is none."""
    try:
        return _log_of(path).stat().st_size
    except FileNotFoundError:
        return 0


def _copy_log(log: BinaryIO, target: Path, clock: Clock) -> datetime:
    header, taken_at = _header(log), clock()
    _write(log, target)
    if _header(log) != header:
        # Once only: the new log stays, as it cannot be checkpointed while the reader is there.
        taken_at = clock()
        _write(log, target)
    return taken_at


def _header(log: BinaryIO) -> bytes:
    return os.pread(log.fileno(), _HEADER_BYTES, 0)


def _write(source: BinaryIO, target: Path) -> None:
    """The bytes that ``source`` has now; what is appended meanwhile is no part of them."""
    size = os.fstat(source.fileno()).st_size
    source.seek(0)
    with target.open("wb") as copy:
        while size > 0 and (chunk := source.read(min(size, CHUNK_BYTES))):
            copy.write(chunk)
            size -= len(chunk)


def _put_together(target: Path) -> None:
    with closing(sqlite3.connect(target)) as copy:
        # Nobody else opens the copy, so that no shared memory is needed beside it.
        copy.execute("PRAGMA locking_mode = EXCLUSIVE")
        copy.execute("PRAGMA synchronous = OFF")
        copy.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def _log_of(path: Path) -> Path:
    return path.with_name(f"{path.name}-wal")
