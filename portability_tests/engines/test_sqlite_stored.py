"""Records whose values keep the kinds that their own rows store them as."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from portability_pipelines.domain.tables import Selection, Table
from portability_pipelines.engines.sqlite.schema import expected_class
from portability_tests.engines.databases import DECLARED, database, table_named
from portability_tests.strategies import Value, any_value


@settings(
    max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data())
def test_every_value_keeps_the_kind_that_its_row_stores(tmp_path: Path, data: Any) -> None:
    declared = data.draw(st.lists(DECLARED, min_size=1, max_size=4))
    rows = data.draw(st.lists(st.tuples(*(any_value for _ in declared)), max_size=8))
    columns = ", ".join(f"c{i} {d}" for i, d in enumerate(declared))
    engine = database(tmp_path, f"CREATE TABLE t ({columns})")
    with closing(sqlite3.connect(tmp_path / "app.sqlite")) as connection:
        places = ", ".join("?" for _ in declared)
        connection.executemany(f"INSERT INTO t VALUES ({places})", rows)
        connection.commit()
        expected = connection.execute("SELECT * FROM t").fetchall()
    with engine.snapshot() as snapshot:
        found = _read(snapshot, table_named(snapshot, "t"))
    reals = [expected_class(d) == "real" for d in declared]
    told = [tuple(map(_declared, row, reals)) for row in expected]
    assert list(map(repr, found)) == list(map(repr, told))


def test_values_of_several_kinds_are_read_without_pandas(tmp_path: Path) -> None:
    """To import it takes longer than to migrate most tables."""
    database(tmp_path, "CREATE TABLE t (a INTEGER, b REAL)")
    with closing(sqlite3.connect(tmp_path / "app.sqlite")) as connection:
        rows = [(1, 2), ("one", 2**60), (None, "two"), (2.5, b"\2")]
        connection.executemany("INSERT INTO t VALUES (?, ?)", rows)
        connection.commit()
    read = (
        "import sys; from pathlib import Path\n"
        "from portability_pipelines.domain.tables import Selection\n"
        "from portability_pipelines.engines.sqlite.engine import SqliteEngine\n"
        "from portability_pipelines.workflows.document_rows import row_values\n"
        "with SqliteEngine(Path('app.sqlite'), Path('scratch')).snapshot() as snapshot:\n"
        "    (table,) = snapshot.tables()\n"
        "    batches = [b for _, b in snapshot.read_stored(Selection(table))]\n"
        "print([row for batch in batches for row in row_values(batch)])\n"
        "print('pandas' in sys.modules)"
    )
    ran = subprocess.run(
        [sys.executable, "-c", read], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    stored = [(1, 2.0), ("one", float(2**60)), (None, "two"), (2.5, b"\2")]
    assert ran.stdout.splitlines() == [str(stored), "False"]


def _read(snapshot: Any, table: Table) -> list[tuple[Value, ...]]:
    """The rows, from slices of two."""
    found: list[tuple[Value, ...]] = []
    for _, batch in snapshot.read_stored(Selection(table)):
        for start in range(0, batch.num_rows, 2):
            part = batch.slice(start, 2)
            found += zip(*(column.to_pylist() for column in part.columns), strict=True)
    return found


def _declared(value: Value, real: bool) -> Value:
    return float(value) if real and isinstance(value, int) and abs(value) <= 2**53 else value
