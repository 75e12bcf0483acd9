"""Durable changes to local folders, and what the disk's failures mean."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from portability_pipelines.domain.errors import PermanentError, PortabilityError, TransientError

FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
_FORBIDDEN = frozenset({errno.EACCES, errno.EPERM, errno.EROFS})
_PASSING = frozenset({errno.EAGAIN, errno.EBUSY, errno.EMFILE, errno.ENFILE, errno.ENOLCK})
_NETWORK = frozenset({errno.ESTALE, errno.ETIMEDOUT, errno.EHOSTDOWN, errno.EHOSTUNREACH})


@contextmanager
def disk_errors(action: str, place: Path) -> Iterator[None]:
    """Raise an ``OSError`` of the block as a ``PortabilityError`` that names ``action``."""
    try:
        yield
    except OSError as error:
        raise _explained(error, action, place) from error


def disk_is_full(action: str, place: Path) -> PermanentError:
    """The error for a full disk or an exhausted quota."""
    return PermanentError(
        f"The disk of {place} is full: {action} failed",
        "Free space there, or choose a store or staging folder on a larger disk, and run again.",
    )


def _explained(error: OSError, action: str, place: Path) -> PortabilityError:
    if error.errno in FULL:
        return disk_is_full(action, place)
    message = f"{action} failed in {place} ({error.strerror or error})"
    if error.errno in _FORBIDDEN:
        return PermanentError(
            message, f"Let the user that runs this read and write {place}, or choose another store."
        )
    if error.errno in _PASSING | _NETWORK:
        return TransientError(message, "Try again; if it persists, look at the machine's load.")
    return PermanentError(message, f"Look at {place} and at the system log for its disk.")


def sync(path: Path) -> None:
    """Force a file's bytes, or a folder's entries, to the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_synced(path: Path, content: bytes) -> None:
    """Create ``path`` with ``content``, its bytes forced to the disk; its folder is not synced."""
    with path.open("xb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def make_folder(folder: Path, mode: int = 0o777) -> None:
    """Create ``folder`` and what is missing above it, each entry forced to the disk.

    ``mode``, less the umask, is that of ``folder`` if it is made; one that exists keeps its own.
    """
    missing = [path for path in (folder, *folder.parents) if not path.is_dir()]
    for path in reversed(missing):
        path.mkdir(mode if path == folder else 0o777, exist_ok=True)
    # Not one by one: the first of these writes down what all of them need.
    for path in missing:
        sync(path.parent)


def remove_folder(folder: Path) -> None:
    """Remove ``folder``, if it is there, and all in it.

    What vanishes meanwhile is no error: a key agent takes its sockets away when it ends.
    """
    while folder.exists():
        with suppress(FileNotFoundError):
            shutil.rmtree(folder)
