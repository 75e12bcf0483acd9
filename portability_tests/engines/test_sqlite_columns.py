"""Tables of as many columns as SQLite lets a table have."""

from __future__ import annotations

from pathlib import Path

import pytest

from portability_pipelines.domain.tables import Selection
from portability_tests.engines.databases import database, read_all, table_named
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
