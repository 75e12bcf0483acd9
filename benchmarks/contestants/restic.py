"""restic into a fresh repository, which ``prepare`` makes before the clock starts."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence
from pathlib import Path

from benchmarks.tasks import PASSPHRASE, Task

LIBRARIES: dict[str, Sequence[str]] = {}


def prepare(task: Task) -> None:
    """Make the repository."""
    _restic(task, "init")


def backup_live_file(task: Task) -> dict[str, str]:
    """Back up the file itself, as it lies; right only while nobody writes to it."""
    _restic(task, "backup", task.database)
    return {"backup": task.folder}


def backup_copy(task: Task) -> dict[str, str]:
    """Back up a copy that SQLite made, which is right even while others write."""
    copy = Path(task.folder, "copy.sqlite")
    subprocess.run(("sqlite3", task.database, f".backup '{copy}'"), check=True)
    _restic(task, "backup", str(copy))
    return {"backup": task.folder}


def restore(task: Task, files: dict[str, str]) -> Path:
    """Restore the newest snapshot."""
    target = Path(task.folder, "restored")
    _restic(task, "restore", "latest", "--target", str(target))
    (restored,) = target.rglob("*.sqlite")
    return restored


def _restic(task: Task, *words: str) -> None:
    """Its cache goes to the task's folder too, so that every run begins alike."""
    folders = ("-r", f"{task.folder}/repository", "--cache-dir", f"{task.folder}/cache")
    subprocess.run(
        ("restic", *folders, *words),
        env={**os.environ, "RESTIC_PASSWORD": PASSPHRASE},
        stdout=subprocess.DEVNULL,
        check=True,
    )
