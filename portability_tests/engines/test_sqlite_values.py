"""Every value of a table as the kind that SQLite stores it as."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from portability_pipelines.engines.sqlite.engine import SqliteSnapshot
from portability_pipelines.engines.sqlite.recovery import SqliteRecovery
from portability_pipelines.formats.records import ARROW_TYPES
from portability_tests.engines.databases import DECLARED, database, numbers, table_named
from portability_tests.strategies import Value, any_value


def stored_values(snapshot: SqliteSnapshot, table: str) -> list[tuple[Value, ...]]:
    """The rows that ``values`` gives, each value as the kind that it was given as."""
    found: list[tuple[Value, ...]] = []
    values = snapshot.values(table_named(snapshot, table))
    for columns in values:
        merged = []
        for column in columns:
            assert {kind: array.type for kind, array in column.items()} == {
                kind: ARROW_TYPES[kind] for kind in column
            }
            lists = [array.to_pylist() for array in column.values()]
            held = [[v for v in row if v is not None] for row in zip(*lists, strict=True)]
            assert all(len(row) <= 1 for row in held)
            merged.append([row[0] if row else None for row in held])
        found += zip(*merged, strict=True)
    assert len(found) == values.rows
    return found


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data())
def test_every_value_is_given_as_the_kind_that_it_is_stored_as(tmp_path: Path, data: Any) -> None:
    declared = data.draw(st.lists(DECLARED, min_size=1, max_size=4))
    rows = data.draw(st.lists(st.tuples(*(any_value for _ in declared)), max_size=8))
    key = data.draw(st.sampled_from(["k INTEGER PRIMARY KEY", "k INT", "k TEXT PRIMARY KEY"]))
    without = " WITHOUT ROWID" if "TEXT" in key else ""
    columns = ", ".join([key, *(f"c{i} {d}" for i, d in enumerate(declared))])
    engine = database(tmp_path, f"CREATE TABLE t ({columns}){without}")
    with closing(sqlite3.connect(tmp_path / "app.sqlite")) as connection:
        holes = ", ".join("?" * (len(declared) + 1))
        numbered = [(i, *row) for i, row in enumerate(rows)]
        connection.executemany(f"INSERT INTO t VALUES ({holes})", numbered)
        connection.commit()
        truth = connection.execute("SELECT * FROM t ORDER BY k").fetchall()
    with engine.snapshot() as snapshot:
        assert repr(stored_values(snapshot, "t")) == repr(truth)


MISFITS = (
    "UPDATE t SET a = 'text' WHERE i = 40000",
    "UPDATE t SET b = x'00' WHERE i = 1",
    "UPDATE t SET c = 7 WHERE i % 1000 = 0",
    "UPDATE t SET d = 'text' WHERE i = 90000",
)


@pytest.mark.parametrize("step", [1, 3, 10**12], ids=["dense", "sparse", "far apart"])
def test_misfits_in_a_large_table_are_given_as_they_are(tmp_path: Path, step: int) -> None:
    engine = database(
        tmp_path,
        "CREATE TABLE t (i INTEGER PRIMARY KEY, a INT, b TEXT, c DECIMAL(10,2), d BLOB)",
        f"INSERT INTO t SELECT i, i, 't' || i, i / 7.0, x'01' FROM ({numbers(100_000)})",
        *MISFITS,
        f"UPDATE t SET i = -i WHERE {step} > 1",
        f"UPDATE t SET i = -i * {step} WHERE i < 0",
        "INSERT INTO t VALUES (9223372036854775807, 1, '', 0.5, x'')",
    )
    with closing(sqlite3.connect(tmp_path / "app.sqlite")) as connection:
        truth = connection.execute("SELECT * FROM t ORDER BY i").fetchall()
    with engine.snapshot() as snapshot:
        assert repr(stored_values(snapshot, "t")) == repr(truth)


def test_a_number_in_a_text_column_is_damage_that_is_found(tmp_path: Path) -> None:
    database(
        tmp_path,
        "CREATE TABLE t (c INTEGER)",
        "INSERT INTO t VALUES (7), ('x')",
        "PRAGMA writable_schema = on",
        "UPDATE sqlite_schema SET sql = 'CREATE TABLE t (c TEXT)'",
    )
    assert SqliteRecovery().inspect(tmp_path / "app.sqlite").problems == ("NUMERIC value in t.c",)
