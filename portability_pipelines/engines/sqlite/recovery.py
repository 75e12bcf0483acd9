"""Restored SQLite files: does SQLite itself find them sound, and what do they hold."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import AbstractContextManager, closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from portability_pipelines.engines.base import Inspection, UnreadableHereError
from portability_pipelines.engines.sqlite.adbc import Connection
from portability_pipelines.engines.sqlite.engine import SqliteSnapshot, frozen_snapshot
from portability_pipelines.engines.sqlite.schema import literal

PROBLEMS_SHOWN = 20

Check = Literal["integrity_check", "quick_check"]


class SqliteRecovery:
    """See ``engines.base.Recovery``."""

    def inspect(self, restored: Path) -> Inspection:
        """What ``PRAGMA integrity_check`` finds wrong, and what it cannot look at here.

        One index that needs a function or a collation of the application keeps the check from
        running at all. It is then run for each table by itself.
        """
        with closing(Connection(restored, immutable=True)) as connection:
            try:
                return _whole(connection, "integrity_check")
            except UnreadableHereError as error:
                return _merged(_in_parts(connection, error.reason))

    def open(self, restored: Path) -> AbstractContextManager[SqliteSnapshot]:
        """A view of the restored file, which nobody else has open."""
        return frozen_snapshot(restored, datetime.now(UTC))


def _whole(connection: Connection, check: Check) -> Inspection:
    return _found(connection, check, f"{check}({PROBLEMS_SHOWN})")


def _in_parts(connection: Connection, reason: str) -> Iterable[Inspection]:
    """The quick check of the file, where it can be run, and the full one of every table.

    Only a check of the whole file finds pages that two tables share, or that none uses
    (https://www.sqlite.org/pragma.html#pragma_integrity_check).
    """
    try:
        yield _whole(connection, "quick_check")
    except UnreadableHereError:
        yield Inspection(unchecked=(f"that no page is lost or used twice ({reason})",))
    tables = connection.rows("SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name")
    for name in ("sqlite_schema", *(row["name"] for row in tables)):
        yield _table(connection, name)


def _table(connection: Connection, name: str) -> Inspection:
    """Both checks of a table's pages; the full one also compares its indexes with its rows."""
    try:
        return _found(connection, "integrity_check", f"integrity_check({literal(name)})")
    except UnreadableHereError as error:
        reason = error.reason
    try:
        found = _found(connection, "quick_check", f"quick_check({literal(name)})")
    except UnreadableHereError:
        return Inspection(unchecked=(f"table {name} and its indexes ({reason})",))
    return Inspection(found.problems, (*found.unchecked, f"the indexes of table {name} ({reason})"))


def _found(connection: Connection, check: Check, pragma: str) -> Inspection:
    said = [str(row[check]) for row in connection.rows(f"PRAGMA {pragma}")]
    unchecked = tuple(line for line in said if _is_no_finding(line))
    return Inspection(tuple(line for line in said if line not in ("ok", *unchecked)), unchecked)


def _is_no_finding(line: str) -> bool:
    """Whether a full-text index could not be looked at, such as one that keeps no texts."""
    return line.startswith("unable to validate") and line.endswith("SQL logic error")


def _merged(parts: Iterable[Inspection]) -> Inspection:
    found = list(parts)
    problems = dict.fromkeys(problem for part in found for problem in part.problems)
    unchecked = dict.fromkeys(each for part in found for each in part.unchecked)
    return Inspection(tuple(problems)[:PROBLEMS_SHOWN], tuple(unchecked))
