"""Restored SQLite files: does SQLite itself find them sound, and what do they hold."""

from __future__ import annotations

from contextlib import AbstractContextManager, closing
from datetime import UTC, datetime
from pathlib import Path

from portability_pipelines.engines.sqlite.adbc import Connection
from portability_pipelines.engines.sqlite.engine import SqliteSnapshot, frozen_snapshot

PROBLEMS_SHOWN = 20


class SqliteRecovery:
    """See ``engines.base.Recovery``."""

    def inspect(self, restored: Path) -> list[str]:
        """What ``PRAGMA integrity_check`` finds wrong; an empty list is a sound database."""
        with closing(Connection(restored, immutable=True)) as connection:
            found = connection.rows(f"PRAGMA integrity_check({PROBLEMS_SHOWN})")
        problems = [str(row["integrity_check"]) for row in found]
        return [] if problems == ["ok"] else problems

    def open(self, restored: Path) -> AbstractContextManager[SqliteSnapshot]:
        """A view of the restored file, which nobody else has open."""
        return frozen_snapshot(restored, datetime.now(UTC))
