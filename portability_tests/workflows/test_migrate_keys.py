"""Keys of real SQLite tables: a document is named, and filled, by what its own row says."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from portability_pipelines.workflows.migrate import MigrationCounts
from portability_tests.workflows.memory_records import FIRST
from portability_tests.workflows.places import Place, counted, empty_place
from portability_tests.workflows.walks import selected, snapshot_of


@pytest.fixture
def place(mongod_uri: str) -> Iterator[Place]:
    """An empty database."""
    with empty_place(mongod_uri) as made:
        yield made


@pytest.mark.parametrize("unique_by", [(), ("email",)])
@pytest.mark.parametrize(
    ("declared", "odd"),
    [
        ("INT", "'x'"),
        ("INT", "1.5"),
        ("INT", "x'00'"),
        ("TEXT", "x'00'"),
        ("NUMERIC", "9007199254740993"),
        ("NUMERIC", "'x'"),
        ("", "'1'"),
    ],
)
def test_a_key_of_another_kind_renames_no_other_document(
    place: Place, tmp_path: Path, declared: str, odd: str, unique_by: tuple[str, ...]
) -> None:
    source = tmp_path / "app.sqlite"
    run(source, f"CREATE TABLE t (id {declared} PRIMARY KEY, email TEXT)")
    run(source, *(f"INSERT INTO t VALUES ({i}, '{i}@example.org')" for i in range(1, 6)))
    assert counted(migrated(place, source, unique_by)) == {"inserted": 5}
    before = place.documents()
    run(source, f"INSERT INTO t VALUES ({odd}, 'odd@example.org')")
    assert counted(migrated(place, source, unique_by)) == {"unchanged": 5, "inserted": 1}
    kept = {document["_id"] for document in before}
    assert [each for each in place.documents() if each["_id"] in kept] == before


def test_rows_with_one_id_do_not_overwrite_each_other(place: Place, tmp_path: Path) -> None:
    source = tmp_path / "app.sqlite"
    run(source, "CREATE TABLE t (id TEXT PRIMARY KEY, email TEXT)")
    run(source, "INSERT INTO t VALUES (CAST(x'ff' AS TEXT), 'a@x'), ('X''FF''', 'b@x')")
    for outcome in ("inserted", "unchanged"):
        counts = migrated(place, source)
        assert counted(counts) == {outcome: 1, "rejected": 1}
        assert [each.reason for each in counts.skipped] == ["an earlier row has the same _id"]
    assert [document["email"] for document in place.documents()] == ["a@x"]


def test_a_value_keeps_its_kind_beside_others_of_its_column(place: Place, tmp_path: Path) -> None:
    source = tmp_path / "app.sqlite"
    run(source, "CREATE TABLE t (id INTEGER PRIMARY KEY, v)")
    run(source, "INSERT INTO t (v) VALUES (1), (1.5), ('1'), (x'01'), (NULL), (9007199254740993)")
    assert counted(migrated(place, source, batch_size=2)) == {"inserted": 6}
    values = [document["v"] for document in place.fields()]
    assert list(map(repr, values)) == ["1", "1.5", "'1'", "b'\\x01'", "None", "9007199254740993"]


def run(source: Path, *statements: str) -> None:
    """Change the database at ``source``."""
    with closing(sqlite3.connect(source)) as connection:
        connection.execute("PRAGMA journal_mode = wal")
        for statement in statements:
            connection.execute(statement)
        connection.commit()


def migrated(
    place: Place, source: Path, unique_by: tuple[str, ...] = (), batch_size: int = 1000
) -> MigrationCounts:
    """Migrate the table ``t`` of ``source`` whole."""
    with snapshot_of(source) as snapshot:
        selection = selected(snapshot, "t")
        return place.migrate(
            selection.table,
            snapshot.read_stored(selection),
            FIRST,
            unique_by=unique_by,
            batch_size=batch_size,
        )["all"]
