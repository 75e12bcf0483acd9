"""Batches of an SQLite table take a bounded number of bytes, whatever its rows hold."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pyarrow as pa
import pytest

from portability_pipelines.domain.errors import PermanentError
from portability_pipelines.domain.months import Month
from portability_pipelines.domain.tables import MonthColumn, Selection
from portability_pipelines.engines.sqlite import adbc, scans, weights
from portability_pipelines.engines.sqlite.engine import SqliteEngine, SqliteSnapshot
from portability_tests.engines.databases import database, numbers, read_all, table_named
from portability_tests.engines.test_sqlite_values import stored_values

LONGEST = 300_000
BLOCK = 100_000

# Short rows, then long ones, then one that is as long as many, among short ones again.
LENGTH = (
    f"CASE WHEN i < 3000 THEN 9 WHEN i < 3300 THEN 7000 WHEN i = 5000 THEN {LONGEST} ELSE 1 END"
)

TABLES = {
    "by row id": ("i INTEGER PRIMARY KEY, b TEXT, c BLOB", ""),
    "by key": ("i INTEGER, b TEXT, c BLOB, PRIMARY KEY (i)", " WITHOUT ROWID"),
    "mixed": ("i INTEGER PRIMARY KEY, b DECIMAL, c INTEGER", ""),
}


@pytest.fixture
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(weights, "BLOCK_BYTES", BLOCK)
    monkeypatch.setattr(weights, "SMALL_DATABASE_BYTES", 0)


def sizes(snapshot: SqliteSnapshot) -> Iterator[tuple[int, int]]:
    """The rows and bytes of every batch in which the table is exported, and then backed up."""
    table = table_named(snapshot, "t")
    for _, batch in snapshot.read(Selection(table)):
        yield batch.num_rows, batch.nbytes
    for columns in snapshot.values(table):
        arrays = [array for column in columns for array in column.values()]
        yield len(arrays[0]), sum(array.nbytes for array in arrays)


@pytest.mark.usefixtures("small_blocks")
@pytest.mark.parametrize("make", list(TABLES))
def test_batches_are_bounded_in_bytes_and_keep_every_row(tmp_path: Path, make: str) -> None:
    columns, ending = TABLES[make]
    engine = database(
        tmp_path,
        f"CREATE TABLE t ({columns}){ending}",
        f"INSERT INTO t SELECT i, printf('%.*c', {LENGTH}, 'x'), zeroblob({LENGTH}) "
        f"FROM ({numbers(9000)})",
    )
    with closing(sqlite3.connect(tmp_path / "app.sqlite")) as connection:
        truth = connection.execute("SELECT * FROM t ORDER BY i").fetchall()
    with engine.snapshot() as snapshot:
        found = list(sizes(snapshot))
        values = stored_values(snapshot, "t")
        exported = read_all(snapshot, Selection(table_named(snapshot, "t")))["all"]
    assert max(size for _, size in found) <= 2 * (BLOCK + 2 * LONGEST + 300)
    most = max(rows for rows, _ in found)
    assert most >= (8 if make == "by key" else 256), "one long row makes all batches small"
    assert values == truth
    assert [row[:2] for row in exported] == [row[:2] for row in truth]


def test_values_that_are_computed_count_though_the_database_is_small(tmp_path: Path) -> None:
    engine = database(
        tmp_path,
        "CREATE TABLE t (i INTEGER PRIMARY KEY, "
        "b BLOB AS (zeroblob(iif(i BETWEEN 300 AND 1200, 100000, 1))) VIRTUAL)",
        "INSERT INTO t SELECT i FROM (" + numbers(1500) + ")",
    )
    with engine.snapshot() as snapshot:
        found = list(sizes(snapshot))
    assert sum(rows for rows, _ in found) == 2 * 1500
    assert max(size for _, size in found) <= 2 * weights.BLOCK_BYTES


def test_defaults_that_rows_do_not_hold_count_though_the_database_is_small(tmp_path: Path) -> None:
    """Where a column is added, SQLite writes its default into none of the rows that are there."""
    engine = database(
        tmp_path,
        "CREATE TABLE t (i INTEGER PRIMARY KEY)",
        f"INSERT INTO t SELECT i FROM ({numbers(1500)})",
        f"ALTER TABLE t ADD COLUMN b TEXT DEFAULT '{'x' * 100_000}'",
        "UPDATE t SET b = '' WHERE i < 300 OR i > 1200",
    )
    with engine.snapshot() as snapshot:
        found = list(sizes(snapshot))
    assert sum(rows for rows, _ in found) == 2 * 1500
    assert max(size for _, size in found) <= 2 * weights.BLOCK_BYTES


def test_a_small_database_of_long_rows_is_read_in_small_batches(tmp_path: Path) -> None:
    engine = database(
        tmp_path,
        "CREATE TABLE t (i INTEGER PRIMARY KEY, b BLOB)",
        f"INSERT INTO t SELECT i, zeroblob(20000) FROM ({numbers(4000)})",
    )
    with engine.snapshot() as snapshot:
        found = list(sizes(snapshot))
    assert max(size for _, size in found) <= 2 * weights.BLOCK_BYTES


AMIDST = "i > 2500 AND i % 1024 BETWEEN 100 AND 900"


@pytest.fixture
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ten parts, of 1024 rows."""
    monkeypatch.setattr(weights, "BLOCK_BYTES", BLOCK)
    for module in (weights, scans):
        monkeypatch.setattr(module, "BATCH_ROWS", 1024)
    monkeypatch.setattr(scans, "_NARROWEST", 1024)


def _of_january(tmp_path: Path, long: str, apart: int = 1) -> SqliteEngine:
    """A table of one month, with long rows where the SQL ``long`` is true."""
    return database(
        tmp_path,
        "CREATE TABLE t (i INTEGER PRIMARY KEY, b TEXT, at TEXT)",
        f"INSERT INTO t SELECT i * {apart}, printf('%.*c', iif({long}, 2000, 9), 'x'), "
        f"'2026-01-02' FROM ({numbers(10_000)})",
        "CREATE INDEX t_at ON t (at)",
    )


@pytest.mark.usefixtures("small_parts")
@pytest.mark.parametrize(("long", "most"), [("i > 2500", 0), (AMIDST, 2)])
def test_long_rows_make_their_own_batches_small_or_those_after_them(
    tmp_path: Path, long: str, most: int
) -> None:
    """Those that neither begin nor end a part are seen when they have been read."""
    with _of_january(tmp_path, long).snapshot() as snapshot:
        found = list(sizes(snapshot))
    assert sum(rows for rows, _ in found) == 2 * 10_000
    large = [size for _, size in found if size > 2 * BLOCK]
    assert len(large) <= 2 * most, "in either pass those that were begun before"


@pytest.mark.usefixtures("small_parts")
@pytest.mark.parametrize("apart", [1, 3, 1_000_003])
@pytest.mark.parametrize("long", ["i > 2500", f"{AMIDST} AND i < 9900", "i BETWEEN 4200 AND 4900"])
def test_long_rows_among_few_make_batches_small(tmp_path: Path, long: str, apart: int) -> None:
    """However far apart their ids are, and wherever in a part they lie."""
    with _of_january(tmp_path, long, apart).snapshot() as snapshot:
        table = table_named(snapshot, "t")
        january = Selection(table, MonthColumn("at"), (Month(2026, 1),))
        found = [batch for _, batch in snapshot.read(january, trusting=True)]
    assert sum(batch.num_rows for batch in found) == 10_000
    assert max(batch.nbytes for batch in found) <= 2 * BLOCK


@pytest.mark.usefixtures("small_parts")
def test_long_rows_that_no_row_id_finds_make_batches_small(tmp_path: Path) -> None:
    """In an export and in a backup, where the first rows say nothing of the others."""
    engine = database(
        tmp_path,
        "CREATE TABLE t (k TEXT PRIMARY KEY, b TEXT) WITHOUT ROWID",
        "INSERT INTO t SELECT printf('%05d', i), printf('%.*c', iif(i > 200, 2000, 9), 'x') "
        f"FROM ({numbers(3000)})",
    )
    with engine.snapshot() as snapshot:
        found = list(sizes(snapshot))
    assert sum(rows for rows, _ in found) == 2 * 3000
    assert max(size for _, size in found) <= 2 * BLOCK


def test_long_rows_that_one_connection_saw_are_not_forgotten_when_another_sees_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both look at the same time, here while the first one reads, between two places of a look."""
    before, after = sorted(9_999 * place for place in weights._GLANCES)[50:52]
    between = f"i BETWEEN {int(before) + 3} AND {int(after) - 1}"
    engine = database(
        tmp_path,
        "CREATE TABLE t (i INTEGER PRIMARY KEY, b BLOB)",
        f"INSERT INTO t SELECT i, zeroblob(iif({between}, 500000, 9)) FROM ({numbers(10_000)})",
    )
    long, looks = pa.record_batch({"b": ["x" * 100_000]}), adbc.Connection.rows
    with engine.snapshot() as snapshot:
        scan = scans.Scan.planned(snapshot.connections[0], Selection(table_named(snapshot, "t")))
        (whole,) = scan.parts(1)
        weighed = weights.Weights(scan)
        assert weighed.rows_at_once(snapshot.connections[0], whole) == adbc.BATCH_ROWS
        weighed = weights.Weights(scan)

        def looks_while_another_reads(
            connection: adbc.Connection, sql: str
        ) -> list[dict[str, object]]:
            weighed.saw(long)
            return looks(connection, sql)

        monkeypatch.setattr(adbc.Connection, "rows", looks_while_another_reads)
        assert weighed.rows_at_once(snapshot.connections[0], whole) < 100


def test_ordinary_rows_are_read_in_full_batches(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = database(
        tmp_path,
        "CREATE TABLE t (i INTEGER PRIMARY KEY, b TEXT)",
        f"INSERT INTO t SELECT i, 'row' || i FROM ({numbers(100_000)})",
    )
    for small in (0, weights.SMALL_DATABASE_BYTES):
        monkeypatch.setattr(weights, "SMALL_DATABASE_BYTES", small)
        with engine.snapshot() as snapshot:
            assert len(list(sizes(snapshot))) == 2 * 4


def test_a_batch_that_overflowed_is_never_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = database(tmp_path, "CREATE TABLE t (b BLOB)", "INSERT INTO t VALUES (x'00')")
    with engine.snapshot() as snapshot:
        values = snapshot.values(table_named(snapshot, "t"))
        monkeypatch.setattr(adbc, "overflows", lambda column: pa.types.is_binary(column.type))
        with pytest.raises(PermanentError, match="2 GiB"):
            list(values)
