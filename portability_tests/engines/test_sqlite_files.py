"""The file of an SQLite source: never written to, and refused where it is none, or another now."""

from __future__ import annotations

import os
import shutil
import sqlite3
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest

from portability_pipelines.domain.errors import PermanentError, TransientError
from portability_pipelines.domain.tables import Column, Selection, Table
from portability_pipelines.engines.sqlite.adbc import Connection, only_library
from portability_pipelines.engines.sqlite.engine import SqliteEngine
from portability_tests.engines.databases import database, read_all, table_named


def test_the_source_is_never_written_to(tmp_path: Path) -> None:
    engine = database(tmp_path, "CREATE TABLE t (n INT)", "INSERT INTO t VALUES (1)", wal=False)
    path = tmp_path / "app.sqlite"
    before = (path.read_bytes(), path.stat().st_mtime_ns)
    with engine.snapshot() as snapshot:
        assert read_all(snapshot, Selection(table_named(snapshot, "t")))["all"] == [(1,)]
    assert (path.read_bytes(), path.stat().st_mtime_ns) == before


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "no SQLite database"),
        (b"x", "not a database: its size is 1"),
        (b"plain text, not a database", "not a database"),
        (b"plain text, not a database" * 50, "not a database"),
    ],
)
def test_what_is_no_database_is_refused_by_name(
    tmp_path: Path, content: bytes | None, words: str
) -> None:
    path = tmp_path / "app.sqlite"
    if content is not None:
        path.write_bytes(content)
    engine = SqliteEngine(path, tmp_path)
    with pytest.raises(PermanentError, match=words) as failure, engine.snapshot() as snapshot:
        snapshot.tables()
    assert "app.sqlite" in str(failure.value)


def test_nothing_is_left_beside_a_database_that_its_owner_could_not_write(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = database(tmp_path, "CREATE TABLE t (i)")
    monkeypatch.setattr(os, "geteuid", lambda: tmp_path.stat().st_uid + 1)
    with pytest.raises(PermanentError, match=r"app\.sqlite belongs to another user"):
        engine.snapshot().__enter__()
    assert [path.name for path in tmp_path.iterdir()] == ["app.sqlite"]

    with closing(sqlite3.connect(tmp_path / "app.sqlite")) as application:
        application.execute("SELECT * FROM t").fetchall()
        with engine.snapshot() as snapshot:
            assert [table.name for table in snapshot.tables()] == ["t"]


def test_a_failure_in_a_copy_names_the_database_that_was_copied(tmp_path: Path) -> None:
    engine = database(tmp_path, "CREATE TABLE t (n INT)", wal=False)
    with engine.snapshot() as snapshot:
        missing = Selection(Table("absent", (Column("n", "INT", "integer"),), ("rowid",)))
        with pytest.raises(PermanentError, match=r"SQLite database app\.sqlite failed"):
            snapshot.read(missing)


@pytest.mark.parametrize("met", ["while it is looked at", "while it is read"])
@pytest.mark.parametrize("way", ["read", "read_stored", "values"])
def test_damage_is_told_with_the_table_that_it_befell(tmp_path: Path, met: str, way: str) -> None:
    engine = database(
        tmp_path,
        "CREATE TABLE t (n INT)",
        "CREATE TABLE [long one] (content TEXT)",
        "INSERT INTO [long one] VALUES (hex(zeroblob(99999)))",
    )
    with closing(sqlite3.connect(tmp_path / "app.sqlite")) as connection:
        (root,) = connection.execute("SELECT max(rootpage) FROM sqlite_schema").fetchone()
        (size,) = connection.execute("PRAGMA page_size").fetchone()
    with (tmp_path / "app.sqlite").open("r+b") as file:
        # Long values lie in pages of their own, which nobody asks for who only looks.
        file.seek(((root if met == "while it is looked at" else root + 5) - 1) * size)
        file.write(bytes(size))
    with engine.snapshot() as snapshot:
        table = table_named(snapshot, "long one")
        with pytest.raises(PermanentError, match=r"malformed \(table 'long one'\)"):
            list(getattr(snapshot, way)(table if way == "values" else Selection(table)))
        assert snapshot.values(table_named(snapshot, "t")).rows == 0


@pytest.mark.parametrize("wal", [True, False])
@pytest.mark.parametrize("moment", ["before all is open", "while it is frozen"])
def test_a_file_that_is_replaced_is_not_taken_for_the_one_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, wal: bool, moment: str
) -> None:
    database(tmp_path, "CREATE TABLE t (n)", "INSERT INTO t VALUES (1)", wal=wal)

    def replaced() -> datetime:
        shutil.copy(tmp_path / "app.sqlite", tmp_path / "new")
        (tmp_path / "new").rename(tmp_path / "app.sqlite")
        return datetime.now(UTC)

    begin_with = Connection.begin_with

    def begin_late(self: Connection, other: Connection) -> bool:
        replaced()
        return begin_with(self, other)

    late = moment == "before all is open"
    if late:
        monkeypatch.setattr(Connection, "begin_with", begin_late)
    engine = SqliteEngine(
        tmp_path / "app.sqlite",
        tmp_path / "scratch",
        (lambda: datetime.now(UTC)) if late else replaced,
    )
    with pytest.raises(TransientError, match=r"app\.sqlite was replaced"), engine.freeze():
        pass


def test_connections_to_two_files_are_not_taken_for_one_view(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = database(tmp_path, "CREATE TABLE t (n)")
    opened: list[Path] = []
    init = Connection.__init__

    def init_late(self: Connection, path: Path, *, immutable: bool) -> None:
        if opened:
            shutil.copy(path, tmp_path / "new")
            (tmp_path / "new").rename(path)
        opened.append(path)
        init(self, path, immutable=immutable)

    monkeypatch.setattr(Connection, "__init__", init_late)
    with pytest.raises(TransientError, match=r"app\.sqlite was replaced"), engine.snapshot():
        pass


def test_a_schema_that_is_wrong_about_something_locked_is_no_lock(tmp_path: Path) -> None:
    engine = database(
        tmp_path,
        "CREATE TABLE t (n)",
        "CREATE INDEX user_is_locked ON t (n)",
        "PRAGMA writable_schema = ON",
        "UPDATE sqlite_schema SET sql = 'CREATE INDEX user_is_locked ON t (' WHERE type = 'index'",
    )
    with pytest.raises(PermanentError, match="malformed database schema"), engine.snapshot():
        pass


def test_a_path_need_not_be_utf8(tmp_path: Path) -> None:
    database(tmp_path, "CREATE TABLE t (n INTEGER)", "INSERT INTO t VALUES (7)", wal=False)
    path = tmp_path / os.fsdecode(b"caf\xe9 100% #1?.sqlite")
    (tmp_path / "app.sqlite").rename(path)
    with SqliteEngine(path, tmp_path / "scratch").snapshot() as snapshot:
        assert read_all(snapshot, Selection(table_named(snapshot, "t"))) == {"all": [(7,)]}


def test_a_file_without_any_bytes_is_an_empty_database(tmp_path: Path) -> None:
    path = tmp_path / "app.sqlite"
    path.touch()
    with SqliteEngine(path, tmp_path).snapshot() as snapshot:
        assert snapshot.tables() == ()


def test_two_sqlite_libraries_never_hold_one_live_file(tmp_path: Path) -> None:
    engine = database(tmp_path, "CREATE TABLE t (n INT)")
    with (
        engine.snapshot(),
        pytest.raises(PermanentError, match="already being read"),
        engine.freeze(),
    ):
        pass
    with only_library(tmp_path / "app.sqlite"):
        assert True
