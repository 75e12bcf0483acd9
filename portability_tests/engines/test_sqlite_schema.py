"""Which tables are found in an SQLite file, whatever its schema has."""

from __future__ import annotations

from pathlib import Path

import pytest

from portability_pipelines.domain.tables import Selection
from portability_tests.engines.databases import database, read_all


def test_tables_of_every_make_are_found(tmp_path: Path) -> None:
    engine = database(
        tmp_path,
        'CREATE TABLE "Order Details" ("Line No" INTEGER, "select" TEXT, rowid TEXT)',
        "CREATE TABLE pairs (a TEXT, b TEXT, n INT, PRIMARY KEY (b, a)) WITHOUT ROWID",
        "CREATE TABLE exact (id INTEGER PRIMARY KEY, n ANY, twice INT AS (n * 2)) STRICT",
        "CREATE TABLE child (p TEXT, q TEXT, FOREIGN KEY (p, q) REFERENCES pairs (b, a))",
        "CREATE VIEW seen AS SELECT * FROM pairs",
        "CREATE VIRTUAL TABLE notes USING fts5(title, body)",
        "CREATE TABLE empty (x)",
        "INSERT INTO \"Order Details\" VALUES (1, 'a', 'mine'), (2, 'b', NULL)",
        "INSERT INTO pairs VALUES ('x', 'y', 1), ('y', 'x', 2)",
        "INSERT INTO exact (n) VALUES (21)",
        "INSERT INTO notes VALUES ('hello', 'world')",
    )
    with engine.snapshot() as snapshot:
        tables = {table.name: table for table in snapshot.tables()}
        rows = {name: read_all(snapshot, Selection(table))["all"] for name, table in tables.items()}
    assert rows == {
        "Order Details": [(1, "a", "mine"), (2, "b", None)],
        "child": [],
        "empty": [],
        "exact": [(1, 21, 42)],
        "notes": [("hello", "world")],
        "pairs": [("y", "x", 2), ("x", "y", 1)],
    }
    assert tables["pairs"].key == ("b", "a")
    assert tables["exact"].columns[2].generated
    assert tables["child"].foreign_keys[0].columns == ("p", "q")


def test_a_virtual_table_whose_module_is_missing_stops_nothing(tmp_path: Path) -> None:
    engine = database(
        tmp_path,
        "CREATE TABLE t (n INT)",
        "PRAGMA writable_schema = ON",
        "INSERT INTO sqlite_schema VALUES "
        "('table', 'far', 'far', 0, 'CREATE VIRTUAL TABLE far USING elsewhere(x)')",
    )
    with engine.snapshot() as snapshot:
        assert [(table.name, len(table.columns)) for table in snapshot.tables()] == [
            ("far", 0),
            ("t", 1),
        ]


def test_a_virtual_table_that_its_module_does_not_open_stops_nothing(tmp_path: Path) -> None:
    engine = database(
        tmp_path,
        "CREATE TABLE t (n INT)",
        "CREATE VIRTUAL TABLE notes USING fts4 (body)",
        "PRAGMA writable_schema = ON",
        "UPDATE sqlite_schema SET sql = 'CREATE VIRTUAL TABLE notes USING fts4 "
        "(body, tokenize=ours)' WHERE name = 'notes'",
    )
    with engine.snapshot() as snapshot:
        columns = {table.name: len(table.columns) for table in snapshot.tables()}
    assert (columns["notes"], columns["t"]) == (0, 1)
    assert columns["notes_content"], "nothing else holds the rows"


@pytest.mark.parametrize(
    ("statements", "kept"),
    [
        (
            (
                "CREATE TABLE posts_content (id INTEGER PRIMARY KEY, body TEXT, author TEXT)",
                "CREATE VIRTUAL TABLE posts USING fts5 (body, content='posts_content')",
            ),
            {"posts", "posts_content"},
        ),
        (
            (
                "CREATE TABLE posts_content (id INTEGER PRIMARY KEY, body TEXT, author TEXT)",
                "CREATE VIRTUAL TABLE posts USING fts4 (body, content=posts_content)",
            ),
            {"posts", "posts_content"},
        ),
        (
            (
                "CREATE VIRTUAL TABLE Notes USING fts5 (body, content='', columnsize = 0)",
                "CREATE TABLE notes_CONTENT (a)",
                "CREATE TABLE notes_docsize (a)",
            ),
            {"Notes", "notes_CONTENT", "notes_docsize"},
        ),
        (
            (
                "CREATE VIRTUAL TABLE notes USING fts4 (body, matchinfo=fts3)",
                "CREATE TABLE notes_docsize (a)",
            ),
            {"notes", "notes_docsize"},
        ),
        (
            (
                "CREATE VIRTUAL TABLE notes USING fts3 (body)",
                "CREATE TABLE notes_docsize (a)",
                "CREATE TABLE notes_stat (a)",
            ),
            {"notes", "notes_docsize", "notes_stat"},
        ),
        (("CREATE VIRTUAL TABLE notes USING fts5 (content, columnsize=1)",), {"notes"}),
        (("CREATE VIRTUAL TABLE notes USING fts4 (content, docsize, stat)",), {"notes"}),
        (("CREATE VIRTUAL TABLE places USING rtree (id, low, high)",), {"places"}),
        (
            ("CREATE VIRTUAL TABLE a USING fts5 (x)", "CREATE VIRTUAL TABLE a_b USING fts5 (x)"),
            {"a", "a_b"},
        ),
    ],
)
def test_only_tables_that_a_virtual_one_made_for_itself_are_left_out(
    tmp_path: Path, statements: tuple[str, ...], kept: set[str]
) -> None:
    engine = database(tmp_path, *statements)
    with engine.snapshot() as snapshot:
        assert {table.name for table in snapshot.tables()} == kept


def test_tables_are_found_whatever_comes_late_in_a_long_schema(tmp_path: Path) -> None:
    columns = ", ".join(f"c{i}" for i in range(1999))
    engine = database(
        tmp_path,
        *(f"CREATE TABLE t{i:02} ({columns}, late TEXT DEFAULT 'x')" for i in range(20)),
    )
    with engine.snapshot() as snapshot:
        assert {len(table.columns) for table in snapshot.tables()} == {2000}
