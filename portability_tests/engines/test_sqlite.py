"""The SQLite source: what it finds, and what it reads."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from portability_pipelines.domain.tables import Selection
from portability_pipelines.engines.sqlite import adbc
from portability_pipelines.engines.sqlite.adbc import Connection
from portability_tests.engines.databases import DECLARED, database, numbers, read_all, table_named
from portability_tests.strategies import Value, any_value


def as_exported(values: Iterable[Value], stored: str) -> list[Value]:
    def text(value: Value) -> Value:
        if isinstance(value, bytes):
            return f"X'{value.hex().upper()}'"
        return repr(value) if isinstance(value, float) else None if value is None else str(value)

    return [text(value) if stored == "text" else value for value in values]


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data())
def test_every_value_of_any_storage_class_is_read_exactly(tmp_path: Path, data: Any) -> None:
    declared = data.draw(st.lists(DECLARED, min_size=1, max_size=4))
    clean = st.sampled_from([st.integers(-9, 9), st.floats(allow_nan=False), st.text("ab\0é")])
    columns = [
        data.draw(st.one_of(st.just(any_value), clean.map(lambda s: st.none() | s)))
        for _ in declared
    ]
    rows = data.draw(st.lists(st.tuples(*columns), max_size=8))
    engine = database(
        tmp_path, f"CREATE TABLE t ({', '.join(f'c{i} {d}' for i, d in enumerate(declared))})"
    )
    with closing(sqlite3.connect(tmp_path / "app.sqlite")) as connection:
        holes = ", ".join("?" * len(declared))
        connection.executemany(f"INSERT INTO t VALUES ({holes})", rows)
        connection.commit()
        truth = connection.execute("SELECT * FROM t ORDER BY rowid").fetchall()
    with engine.snapshot() as snapshot:
        selection = Selection(table_named(snapshot, "t"))
        entries = snapshot.read(selection).contents["all"].columns
        found = read_all(snapshot, selection)["all"]
    for place, entry in enumerate(entries):
        expected = as_exported([row[place] for row in truth], entry.stored_type)
        assert [row[place] for row in found] == expected, entry


@pytest.mark.parametrize("declared", ["TEXT", "REAL", "BLOB", "INTEGER", "DATETIME"])
def test_columns_may_have_a_collation_that_only_the_application_knows(
    tmp_path: Path, declared: str
) -> None:
    engine = database(tmp_path)
    with closing(sqlite3.connect(tmp_path / "app.sqlite")) as connection:
        connection.create_collation("localized", lambda a, b: (a > b) - (a < b))
        connection.execute(f"CREATE TABLE t (n {declared} COLLATE localized)")
        connection.execute("INSERT INTO t VALUES ('a'), ('b')")
        connection.commit()
    with engine.snapshot() as snapshot:
        table = table_named(snapshot, "t")
        assert read_all(snapshot, Selection(table))["all"] == [("a",), ("b",)]
        assert sum(len(columns[0]["text"]) for columns in snapshot.values(table)) == 2


def test_a_key_that_is_called_what_a_query_calls_its_columns_keeps_its_order(
    tmp_path: Path,
) -> None:
    engine = database(
        tmp_path,
        "CREATE TABLE t (c1_text TEXT PRIMARY KEY, weight TEXT) WITHOUT ROWID",
        "INSERT INTO t VALUES ('a', 'z'), ('b', 'y')",
    )
    with engine.snapshot() as snapshot:
        rows = read_all(snapshot, Selection(table_named(snapshot, "t")))["all"]
    assert rows == [("a", "z"), ("b", "y")]


def test_text_that_is_not_utf8_is_kept_as_bytes_and_counted(tmp_path: Path) -> None:
    engine = database(
        tmp_path,
        "CREATE TABLE t (name TEXT)",
        "INSERT INTO t VALUES ('fine'), (CAST(X'63616666E9' AS TEXT)), (NULL)",
    )
    with engine.snapshot() as snapshot:
        records = snapshot.read(Selection(table_named(snapshot, "t")))
        (_, batch) = next(iter(records))
        assert batch.column(0).to_pylist() == ["fine", "X'63616666E9'", None]
        assert records.unreadable_texts == {("all", "name"): 1}


def test_leading_nulls_do_not_fix_a_wrong_type(tmp_path: Path) -> None:
    engine = database(
        tmp_path,
        "CREATE TABLE t (a TEXT, b REAL)",
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 70000) "
        "INSERT INTO t SELECT iif(i > 69990, 'late', NULL), iif(i > 69990, 0.5, NULL) FROM n",
    )
    with engine.snapshot() as snapshot:
        rows = read_all(snapshot, Selection(table_named(snapshot, "t")))["all"]
    assert rows[-1] == ("late", 0.5)
    assert rows[0] == (None, None)


def test_rows_that_break_their_column_are_named_by_key(tmp_path: Path) -> None:
    engine = database(
        tmp_path,
        "CREATE TABLE t (id TEXT PRIMARY KEY, n INTEGER)",
        "INSERT INTO t VALUES ('a', 1), ('b', 'x'), ('c', NULL), ('d', 'y')",
    )
    with engine.snapshot() as snapshot:
        selection = Selection(table_named(snapshot, "t"))
        assert snapshot.misfits(selection, "n", 1) == ["'b'"]
        assert snapshot.misfits(selection, "n", 9) == ["'b'", "'d'"]


def test_a_key_that_is_not_utf8_is_named_all_the_same(tmp_path: Path) -> None:
    engine = database(
        tmp_path,
        "CREATE TABLE t (id TEXT PRIMARY KEY, n INTEGER)",
        "INSERT INTO t VALUES (CAST(X'636166E9' AS TEXT), 'x')",
    )
    with engine.snapshot() as snapshot:
        assert snapshot.misfits(Selection(table_named(snapshot, "t")), "n", 9) == [r"'caf\xe9'"]


def test_what_fails_while_rows_are_read_is_what_is_raised(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = database(tmp_path, "CREATE TABLE t (n INTEGER)", "INSERT INTO t VALUES (1)")

    def fail_within() -> None:
        with engine.snapshot() as snapshot:
            monkeypatch.setattr(adbc, "_rows", lambda _: 1 / 0)
            snapshot.tables()

    with pytest.raises(ZeroDivisionError):
        fail_within()


def test_misfits_are_found_in_a_table_of_any_name(tmp_path: Path) -> None:
    engine = database(
        tmp_path,
        'CREATE TABLE "NO WHERE" (id INTEGER PRIMARY KEY, n INTEGER)',
        "INSERT INTO \"NO WHERE\" VALUES (1, 'x')",
    )
    with engine.snapshot() as snapshot:
        selection = Selection(table_named(snapshot, "NO WHERE"))
        assert snapshot.misfits(selection, "n", 9) == ["1"]


@pytest.mark.parametrize("wal", [True, False], ids=["wal", "rollback"])
def test_a_snapshot_does_not_move_while_others_write(tmp_path: Path, wal: bool) -> None:
    engine = database(tmp_path, "CREATE TABLE t (n INT)", "INSERT INTO t VALUES (1), (2)", wal=wal)
    with engine.snapshot() as snapshot:
        selection = Selection(table_named(snapshot, "t"))
        write = (
            "import sqlite3, sys; c = sqlite3.connect(sys.argv[1], timeout=1); "
            "c.execute('INSERT INTO t VALUES (3)'); c.commit()"
        )
        subprocess.run([sys.executable, "-c", write, tmp_path / "app.sqlite"], check=True)
        assert read_all(snapshot, selection)["all"] == [(1,), (2,)]
    with engine.snapshot() as snapshot:
        assert read_all(snapshot, selection)["all"] == [(1,), (2,), (3,)]
    assert not list((tmp_path / "scratch").glob("*")), "a frozen copy was left behind"


WRITER = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], timeout=10)
while True:
    connection.execute("UPDATE t SET n = n + 1 WHERE i IN (1, 100000)")
    connection.commit()
"""


COMMIT = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], timeout=10)
connection.execute("UPDATE t SET n = n + 1")
connection.commit()
"""


def test_connections_that_share_a_table_see_it_at_one_moment(tmp_path: Path) -> None:
    engine = database(
        tmp_path,
        "CREATE TABLE t (i INTEGER PRIMARY KEY, n INT)",
        f"INSERT INTO t {numbers(100_000)}",
    )
    with subprocess.Popen([sys.executable, "-c", WRITER, tmp_path / "app.sqlite"]) as writer:
        try:
            shared, moments = 0, set[Value]()
            while len(moments) < 20:
                with engine.snapshot() as snapshot:
                    shared += len(snapshot.connections) > 1
                    rows = read_all(snapshot, Selection(table_named(snapshot, "t")))["all"]
                    assert rows[0][1] == rows[-1][1]
                    moments.add(rows[0][1])
        finally:
            writer.kill()
    assert shared > 0


def test_where_commits_come_all_the_time_one_connection_reads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = database(tmp_path, "CREATE TABLE t (n INT)", "INSERT INTO t VALUES (1)")
    begin = Connection.begin

    def after_a_commit(self: Connection) -> None:
        subprocess.run([sys.executable, "-c", COMMIT, tmp_path / "app.sqlite"], check=True)
        begin(self)

    monkeypatch.setattr(Connection, "begin", after_a_commit)
    with engine.snapshot() as snapshot:
        assert len(snapshot.connections) == 1
        assert len(read_all(snapshot, Selection(table_named(snapshot, "t")))["all"]) == 1


@pytest.mark.parametrize(
    "row_id",
    [
        "i",
        "i * 7919 % 99991 - 50000",
        "CASE i WHEN 1 THEN -9223372036854775808 WHEN 2 THEN 9223372036854775807 ELSE i END",
        "9223372036854775807 - i",
    ],
    ids=["dense", "negative", "extreme", "large"],
)
def test_rows_come_in_order_whatever_their_ids_are(tmp_path: Path, row_id: str) -> None:
    engine = database(
        tmp_path,
        "CREATE TABLE t (i INTEGER PRIMARY KEY, n INT)",
        f"INSERT INTO t SELECT {row_id}, i FROM ({numbers(99_990)})",
    )
    with closing(sqlite3.connect(tmp_path / "app.sqlite")) as connection:
        truth = connection.execute("SELECT * FROM t ORDER BY i").fetchall()
    with engine.snapshot() as snapshot:
        assert read_all(snapshot, Selection(table_named(snapshot, "t")))["all"] == truth


def test_a_table_changed_while_it_is_read_keeps_its_batches_bounded(tmp_path: Path) -> None:
    engine = database(
        tmp_path,
        "CREATE TABLE t (n INT)",
        f"INSERT INTO t SELECT i FROM ({numbers(100_000)})",
    )
    with engine.snapshot() as snapshot:
        sizes = [b.num_rows for _, b in snapshot.read(Selection(table_named(snapshot, "t")))]
    assert sum(sizes) == 100_000
    assert max(sizes) <= 32_768
    assert pa.total_allocated_bytes() < 50_000_000
