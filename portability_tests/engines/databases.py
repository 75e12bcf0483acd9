"""Small SQLite databases, written as a test says."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from hypothesis import strategies as st

from portability_pipelines.domain.tables import Selection, Table
from portability_pipelines.engines.base import Snapshot
from portability_pipelines.engines.sqlite.engine import SqliteEngine
from portability_pipelines.formats.records import records_schema
from portability_tests.strategies import Value

DECLARED = st.sampled_from(
    ["", "INTEGER", "TEXT", "REAL", "BLOB", "DECIMAL(10,2)", "BOOLEAN", "DATETIME", "VARCHAR(9)"]
)
"""Declarations of columns, of every affinity."""


def database(folder: Path, *statements: str, wal: bool = True) -> SqliteEngine:
    path = folder / "app.sqlite"
    path.unlink(missing_ok=True)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(f"PRAGMA journal_mode = {'wal' if wal else 'delete'}")
        for statement in statements:
            connection.execute(statement)
        connection.commit()
    return SqliteEngine(path, folder / "scratch")


def numbers(most: int) -> str:
    """A query for 1 to ``most`` as ``i``, with a zero beside each."""
    return (
        f"WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {most}) "
        "SELECT i, 0 FROM n"
    )


def table_named(snapshot: Snapshot, name: str) -> Table:
    return next(table for table in snapshot.tables() if table.name == name)


def read_all(
    snapshot: Snapshot, selection: Selection, *, trusting: bool = False
) -> dict[str, list[tuple[Value, ...]]]:
    """The rows of every period, as many as were counted."""
    records = snapshot.read(selection, trusting=trusting)
    found: dict[str, list[tuple[Value, ...]]] = {period: [] for period in records.contents}
    for period, batch in records:
        assert batch.schema == records_schema(records.contents[period].columns)
        found[period] += zip(*(column.to_pylist() for column in batch.columns), strict=True)
    assert {p: len(rows) for p, rows in found.items()} == {
        p: contents.rows for p, contents in records.contents.items()
    }
    return found
