"""Locks that the kernel drops when their process dies, however it dies.

``flock`` locks belong to the open file, so two threads of one process exclude each other too.
"""

from __future__ import annotations

import fcntl
import os
from pathlib import Path


def locked(path: Path) -> int:
    """Create ``path`` where it is missing, wait for its lock, and give the descriptor to close."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def lock_if_free(path: Path, *, create: bool = True) -> int | None:
    """Lock ``path`` without waiting; ``None`` where somebody holds it."""
    descriptor = os.open(path, os.O_RDWR | (os.O_CREAT if create else 0), 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor
