"""What SQLite's own check finds, and what it says that it cannot look at here."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from portability_pipelines.engines.sqlite.recovery import SqliteRecovery


def made_by_its_application(path: Path, *statements: str) -> Path:
    """A database of an application that has a function and a collation of its own."""
    with closing(sqlite3.connect(path)) as connection:
        connection.create_function("shout", 1, str.upper, deterministic=True)
        connection.create_collation("german", lambda one, other: (one > other) - (one < other))
        for statement in statements:
            connection.execute(statement)
        connection.commit()
    return path


ROWS = 'INSERT INTO t SELECT value, value FROM json_each(\'["a", "b", "c"]\')'


@pytest.mark.parametrize(
    ("statements", "unchecked"),
    [
        (
            ("CREATE TABLE t (n TEXT, m TEXT)", "CREATE INDEX shouted ON t (shout(n))"),
            ("the indexes of table t (unknown function: shout())",),
        ),
        (
            ("CREATE TABLE t (n TEXT, m TEXT)", "CREATE INDEX sorted ON t (n COLLATE german)"),
            (
                "that no page is lost or used twice (no such collation sequence: german)",
                "table t and its indexes (no such collation sequence: german)",
            ),
        ),
    ],
    ids=["function", "collation"],
)
def test_what_needs_the_application_is_unchecked_and_the_rest_is_checked(
    tmp_path: Path, statements: tuple[str, ...], unchecked: tuple[str, ...]
) -> None:
    path = made_by_its_application(
        tmp_path / "app.sqlite", "CREATE TABLE other (n)", *statements, ROWS
    )
    found = SqliteRecovery().inspect(path)
    assert (found.problems, found.unchecked) == ((), unchecked)


def test_damage_is_found_beside_what_cannot_be_checked(tmp_path: Path) -> None:
    path = made_by_its_application(
        tmp_path / "app.sqlite",
        "CREATE TABLE t (n TEXT, m TEXT)",
        "CREATE INDEX sorted ON t (n COLLATE german)",
        ROWS,
        "CREATE TABLE damaged (n INTEGER)",
        "INSERT INTO damaged VALUES (1), (2)",
        "PRAGMA writable_schema = ON",
        "UPDATE sqlite_schema SET sql = 'CREATE TABLE damaged (n TEXT)' WHERE name = 'damaged'",
    )
    found = SqliteRecovery().inspect(path)
    assert found.problems == ("NUMERIC value in damaged.n",)
    assert "table t and its indexes (no such collation sequence: german)" in found.unchecked


def test_a_full_text_index_without_its_texts_is_unchecked(tmp_path: Path) -> None:
    path = made_by_its_application(
        tmp_path / "app.sqlite",
        "CREATE VIRTUAL TABLE notes USING fts4 (body, content='')",
        "INSERT INTO notes (docid, body) VALUES (1, 'x')",
    )
    found = SqliteRecovery().inspect(path)
    assert found.problems == ()
    assert [line for line in found.unchecked if "main.notes" in line]
