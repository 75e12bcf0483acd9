"""Somebody else who commits: ``python -m benchmarks.writer DATABASE COMMITS``, until it is killed.

Every commit writes one number into the first and the last row of every month. It says ``ready``
after the first. A number of commits that has an end stays in the write-ahead log while this lives.
"""

from __future__ import annotations

import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.tasks import MONTH_COLUMN, TABLE

MARK = "duration_ms"
"""The column that is written."""

_PROJECT = Path(__file__).resolve().parents[1]
_EDGES = (
    f"SELECT min(id), max(id) FROM {TABLE} INDEXED BY {TABLE}_{MONTH_COLUMN} "
    f"GROUP BY substr({MONTH_COLUMN}, 1, 7)"
)


@contextmanager
def writing(database: str, commits: int = sys.maxsize) -> Iterator[None]:
    """Commit to ``database`` so many times, by default all the time, from another process."""
    command = (sys.executable, "-m", "benchmarks.writer", database, str(commits))
    with subprocess.Popen(command, cwd=_PROJECT, stdout=subprocess.PIPE, text=True) as writer:
        try:
            if not writer.stdout or writer.stdout.readline() != "ready\n":
                raise SystemExit(f"nobody could write to {database}")
            yield
        finally:
            writer.kill()


def main(database: str, commits: str) -> None:
    """Commit, and keep the database open until killed."""
    connection = sqlite3.connect(database, timeout=60)
    if int(commits) < sys.maxsize:
        connection.execute("PRAGMA wal_autocheckpoint = 0")
    edges = [(row,) for month in connection.execute(_EDGES) for row in month]
    for number in range(int(commits)):
        connection.executemany(f"UPDATE {TABLE} SET {MARK} = {number} WHERE id = ?", edges)
        connection.commit()
        if number == 0:
            sys.stdout.write("ready\n")
            sys.stdout.flush()
    signal.pause()


if __name__ == "__main__":
    main(*sys.argv[1:])
