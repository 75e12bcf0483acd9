"""What Linux tells of processes: who our children are, and who works on a folder."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

PATIENCE_SECONDS = 10


def children() -> set[str]:
    """The ids of this process's children."""
    listings = Path("/proc/self/task").glob("*/children")
    return {pid for listing in listings for pid in listing.read_text().split()}


def working_in(folder: Path) -> dict[int, str]:
    """The processes that work in ``folder`` or were told about it, with their commands.

    One that was started this moment may be missing: Linux shows its command a little later.
    """
    found = {}
    for place in Path("/proc").glob("[0-9]*"):
        try:
            command = os.fsdecode((place / "cmdline").read_bytes().replace(b"\0", b" "))
            inside = str((place / "cwd").readlink()) == str(folder) or str(folder) in command
        except OSError:  # it ended meanwhile
            continue
        if inside and command:
            found[int(place.name)] = command
    return found


def eventually(holds: Callable[[], object], seconds: float = PATIENCE_SECONDS) -> bool:
    """Whether ``holds`` is true within so many seconds; asked at least once."""
    deadline = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True
