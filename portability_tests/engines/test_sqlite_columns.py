"""Tables of as many columns as SQLite lets a table have."""

from __future__ import annotations

from pathlib import Path

import pytest

from portability_pipelines.domain.tables import Selection
from portability_tests.engines.databases import database, numbers, read_all, table_named
from portability_tests.engines.test_sqlite_values import stored_values

MOST = 2000


@pytest.mark.parametrize(
    ("declared", "ending"),
    [("INTEGER", ""), ("DATETIME", ""), ("BLOB", ""), ("REAL", ""), ("DECIMAL", " WITHOUT ROWID")],
)
def test_every_column_of_a_wide_table_is_read(tmp_path: Path, declared: str, ending: str) -> None:
    columns = ", ".join(f"c{i} {declared}" for i in range(1, MOST))
    rows = [[key, *[value] * (MOST - 1)] for key, value in enumerate(["x'01'", "'a'", "NULL"])]
    engine = database(
        tmp_path,
        f"CREATE TABLE t (k INTEGER PRIMARY KEY, {columns}){ending}",
        *(f"INSERT INTO t VALUES ({', '.join(map(str, row))})" for row in rows),
    )
    with engine.snapshot() as snapshot:
        values = stored_values(snapshot, "t")
        exported = read_all(snapshot, Selection(table_named(snapshot, "t")))["all"]
    assert values == [(k, *[v] * (MOST - 1)) for k, v in enumerate([b"\1", "a", None])]
    assert exported == [(k, *[v] * (MOST - 1)) for k, v in enumerate(["X'01'", "a", None])]


def test_rows_are_put_together_in_one_order_where_nothing_orders_them(tmp_path: Path) -> None:
    """So many columns of three kinds take two queries, and an index covers the second."""
    names = ["rowid", "_rowid_", *(f"c{i}" for i in range(664)), "y", "z", "oid"]
    kinds = "CASE i % 3 WHEN 0 THEN i WHEN 1 THEN i + 0.5 ELSE 't' || i END"
    values = [*[kinds] * 667, f"{kinds} || ''", kinds]
    values[-3] = "CASE i % 3 WHEN 0 THEN -i WHEN 1 THEN -i - 0.5 ELSE 't' || (999 - i) END"
    engine = database(
        tmp_path,
        f"CREATE TABLE t ({', '.join(names)})",
        f"INSERT INTO t SELECT {', '.join(values)} FROM ({numbers(300)})",
        "CREATE INDEX t_z ON t (y, z, oid)",
    )
    with engine.snapshot() as snapshot:
        rows = read_all(snapshot, Selection(table_named(snapshot, "t")))["all"]
    assert len(rows) == 300
    for row in rows:
        assert {*row[:666], *row[667:]} == {row[0]}
