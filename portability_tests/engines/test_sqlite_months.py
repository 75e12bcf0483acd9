"""Months of an SQLite table: every row in one of them, and read alike however they are found."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from portability_pipelines.domain.months import Month, months_between
from portability_pipelines.domain.tables import DateEncoding, MonthColumn, Selection
from portability_pipelines.engines.base import UnexpectedKindError
from portability_pipelines.engines.sqlite.engine import SqliteEngine
from portability_tests.engines.databases import DECLARED, database, numbers, read_all, table_named
from portability_tests.strategies import Value, any_value

MONTHS = months_between(Month(2026, 1), Month(2026, 3))


def dated(folder: Path, declared: str, values: list[Value], *, index: bool) -> SqliteEngine:
    engine = database(folder, f"CREATE TABLE t (id INTEGER PRIMARY KEY, at {declared})")
    with closing(sqlite3.connect(folder / "app.sqlite")) as connection:
        connection.executemany("INSERT INTO t (at) VALUES (?)", [(value,) for value in values])
        if index:
            connection.execute("CREATE INDEX by_date ON t (at)")
        connection.commit()
    return engine


DATES: dict[str, tuple[DateEncoding, str, list[Value], dict[str, list[int]]]] = {
    "texts": (
        "iso", "TEXT",
        ["2026-03-31T23:59:59Z", "2026-01-01", None, "2026-02", "", "2026-13-01", "2025-12-31", 7,
         "2026-01-31 10:00", "2026-0:", b"2026-01-05", "2026-04-01", "2026-1-5"],
        {"2026-01": [2, 9], "2026-02": [4], "2026-03": [1],
         "undated": [3, 5, 6, 7, 8, 10, 11, 12, 13]},
    ),
    "seconds": (
        "epoch_seconds", "INTEGER",
        [1767225600, 1767225599, 1769904000, 1772323199.5, 1772323200, 1775001600, None, "unknown"],
        {"2026-01": [1], "2026-02": [3, 4], "2026-03": [5], "undated": [2, 6, 7, 8]},
    ),
    "seconds just before a border": (
        "epoch_seconds", "REAL",
        [1769903999.9996, 1769904000.0, 1775001599.9999],
        {"2026-01": [1], "2026-02": [2], "2026-03": [3], "undated": []},
    ),
    "milliseconds": (
        "epoch_milliseconds", "NUMERIC",
        [1769903999999, 1769903999999.7, 1769904000000, -1, 2**63 - 1, float("inf")],
        {"2026-01": [1, 2], "2026-02": [3], "2026-03": [], "undated": [4, 5, 6]},
    ),
    "numbers kept as texts": (
        "epoch_seconds", "TEXT",
        ["1767225600", "1768", "17690", "1769903999999"],
        {"2026-01": [], "2026-02": [], "2026-03": [], "undated": [1, 2, 3, 4]},
    ),
}  # fmt: skip


@pytest.mark.parametrize("index", [False, True], ids=["scan", "index"])
@pytest.mark.parametrize("dates", DATES)
def test_every_row_falls_in_one_month_or_among_the_undated(
    tmp_path: Path, dates: str, index: bool
) -> None:
    encoding, declared, values, expected = DATES[dates]
    engine = dated(tmp_path, declared, values, index=index)
    column = MonthColumn("at", encoding)
    assert rows_by_period(engine, column) == expected


def rows_by_period(engine: SqliteEngine, column: MonthColumn) -> dict[str, list[int]]:
    """The ids of every month's rows and of the undated; a month alone must hold the same."""
    with engine.snapshot() as snapshot:
        table = table_named(snapshot, "t")
        together = read_all(snapshot, Selection(table, column, MONTHS))
        one_by_one = {
            str(month): read_all(snapshot, Selection(table, column, (month,)))[str(month)]
            for month in MONTHS
        }
        undated = read_all(snapshot, Selection(table, column, MONTHS, undated=True))
    assert together == one_by_one
    return {p: [int(row[0]) for row in rows] for p, rows in (together | undated).items()}  # type: ignore[arg-type]


# What our own queries call things.
OWN_NAMES = ("PERIOD", "n", "misfits", "weight", "k", "low", "high", "min", "max", "last", "size",
             "c0_text", "unexpected", "iso_n", "text0", "i", "rowid", "described")  # fmt: skip


@pytest.mark.parametrize("index", [False, True], ids=["scan", "index"])
@pytest.mark.parametrize("column", ["at", "PERIOD"])
def test_columns_may_be_called_as_anything_in_our_queries(
    tmp_path: Path, column: str, index: bool
) -> None:
    names = ["id", "at", *OWN_NAMES]
    rows = [
        (i, f"2026-0{1 + i % 3}-05", f"2026-0{1 + i % 3}-07", *(["text", i, 0.1 + i][i % 3],) * 17)
        for i in range(1, 31)
    ]
    engine = database(
        tmp_path,
        f"CREATE TABLE t (id INTEGER PRIMARY KEY, {', '.join(names[1:])})",
        *([f"CREATE INDEX by_date ON t ({column})"] if index else []),
    )
    with closing(sqlite3.connect(tmp_path / "app.sqlite")) as connection:
        connection.executemany(f"INSERT INTO t VALUES ({', '.join('?' * len(names))})", rows)
        connection.commit()
    expected = {f"2026-0{m}": [i for i in range(1, 31) if 1 + i % 3 == m] for m in (1, 2, 3)}
    expected["undated"] = []
    assert rows_by_period(engine, MonthColumn(column)) == expected
    with engine.snapshot() as snapshot:
        table = table_named(snapshot, "t")
        for months in (MONTHS, months_between(Month(2025, 1), Month(2026, 12))):
            stored = snapshot.read_stored(Selection(table, MonthColumn(column), months))
            found = [
                row
                for _, batch in stored
                for row in zip(*(c.to_pylist() for c in batch.columns), strict=True)
            ]
            assert sorted(found) == rows


@pytest.mark.parametrize("index", [False, True], ids=["scan", "index"])
def test_dates_that_are_no_utf8_belong_where_their_first_letters_say(
    tmp_path: Path, index: bool
) -> None:
    broken = [b"2026-01\xff", b"2026-0\xff-05", b"2026-0\xe9", b"2026-03-05\xc3", b"\xff"]
    engine = dated(tmp_path, "TEXT", list(broken), index=index)
    with closing(sqlite3.connect(tmp_path / "app.sqlite")) as connection:
        connection.execute("UPDATE t SET at = CAST(at AS TEXT)")
        connection.commit()
    assert rows_by_period(engine, MonthColumn("at")) == {
        "2026-01": [1], "2026-02": [], "2026-03": [4], "undated": [2, 3, 5]
    }  # fmt: skip


@pytest.mark.parametrize("encoding", ["iso", "epoch_seconds"])
def test_without_any_month_every_row_is_undated(tmp_path: Path, encoding: DateEncoding) -> None:
    engine = dated(tmp_path, "", ["2026-01-05", 1767225600], index=False)
    with engine.snapshot() as snapshot:
        column = MonthColumn("at", encoding)
        selection = Selection(table_named(snapshot, "t"), column, (), undated=True)
        assert [row[0] for row in read_all(snapshot, selection)["undated"]] == [1, 2]


@pytest.mark.parametrize("index", [True, False], ids=["indexed", "not indexed"])
@pytest.mark.parametrize("months", [1, 2, 5])
@pytest.mark.parametrize(
    "row_id",
    ["i", "i * 7919 % 199999", "i + (i > 60000) * 1000000000000"],
    ids=["in order", "scattered", "with a gap"],
)
def test_months_are_found_wherever_their_rows_lie(
    tmp_path: Path, index: bool, months: int, row_id: str
) -> None:
    engine = database(
        tmp_path,
        "CREATE TABLE t (i INTEGER PRIMARY KEY, made TEXT, n INT)",
        "INSERT INTO t SELECT "
        f"{row_id}, date('2024-11-01', (i / 500) || ' days'), i FROM ({numbers(100_000)})",
        *(["CREATE INDEX by_made ON t (made)"] if index else []),
    )
    asked = tuple(months_between(Month(2025, 1), Month(2025, months)))
    with closing(sqlite3.connect(tmp_path / "app.sqlite")) as connection:
        rows = "SELECT * FROM t WHERE substr(made, 1, 7) = ? ORDER BY i"
        truth = {str(m): connection.execute(rows, (str(m),)).fetchall() for m in asked}
    assert all(truth.values())
    with engine.snapshot() as snapshot:
        selection = Selection(table_named(snapshot, "t"), MonthColumn("made"), asked)
        assert read_all(snapshot, selection) == truth


def test_a_range_and_single_months_store_columns_alike(tmp_path: Path) -> None:
    engine = database(
        tmp_path,
        "CREATE TABLE t (at TEXT, n INTEGER, d DECIMAL)",
        "INSERT INTO t VALUES ('2026-01-05', 1, 5), ('2026-02-05', 'n/a', 5.25), "
        "('2026-02-06', 2, 7)",
    )
    column = MonthColumn("at")
    with engine.snapshot() as snapshot:
        table = table_named(snapshot, "t")
        together = snapshot.read(Selection(table, column, MONTHS)).contents
        for month in MONTHS:
            alone = snapshot.read(Selection(table, column, (month,))).contents
            assert alone[str(month)] == together[str(month)]
    stored = {p: [c.stored_type for c in contents.columns] for p, contents in together.items()}
    assert stored["2026-01"] == ["text", "integer", "real"]
    assert stored["2026-02"] == ["text", "text", "real"]
    assert together["2026-02"].columns[1].lost_types


def test_months_that_store_a_column_differently_are_read_in_one_scan(tmp_path: Path) -> None:
    engine = database(
        tmp_path,
        "CREATE TABLE t (at TEXT, d DECIMAL)",
        "INSERT INTO t VALUES ('2026-01-05', 5), ('2026-01-06', 5.25), ('2026-02-05', 'n/a'), "
        "('2026-02-06', 7), ('2026-03-05', x'0a'), ('2026-03-06', NULL)",
    )
    with engine.snapshot() as snapshot:
        selection = Selection(table_named(snapshot, "t"), MonthColumn("at"), MONTHS)
        found = read_all(snapshot, selection)
    assert {month: [row[1] for row in rows] for month, rows in found.items()} == {
        "2026-01": [5.0, 5.25],
        "2026-02": ["n/a", "7"],
        "2026-03": [b"\n", None],
    }


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data())
def test_a_month_is_taken_at_its_word_where_that_is_true(tmp_path: Path, data: Any) -> None:
    declared = data.draw(st.lists(DECLARED, min_size=1, max_size=4))
    clean = [st.none(), st.integers(-9, 9), st.floats(allow_nan=False), st.text(), st.binary()]
    columns = [data.draw(st.sampled_from([*clean, any_value])) for _ in declared]
    rows = data.draw(st.lists(st.tuples(*columns), min_size=1, max_size=8))
    made = ", ".join(f"c{i} {d}" for i, d in enumerate(declared))
    engine = database(tmp_path, f"CREATE TABLE t (at TEXT, {made})", "CREATE INDEX i ON t (at)")
    with closing(sqlite3.connect(tmp_path / "app.sqlite")) as connection:
        holes = ", ".join("?" * len(declared))
        connection.executemany(f"INSERT INTO t VALUES ('2026-01-15', {holes})", rows)
        connection.commit()
    with engine.snapshot() as snapshot:
        selection = Selection(table_named(snapshot, "t"), MonthColumn("at"), (MONTHS[0],))
        surveyed = snapshot.read(selection).contents
        true = not any(entry.storage_classes for entry in surveyed["2026-01"].columns)
        if true:
            assert snapshot.read(selection, trusting=True).contents == surveyed
            trusted = read_all(snapshot, selection, trusting=True)
            assert repr(trusted) == repr(read_all(snapshot, selection))
        else:
            with pytest.raises(UnexpectedKindError):
                read_all(snapshot, selection, trusting=True)


@pytest.mark.parametrize(
    ("values", "encoding", "dated_rows"),
    [
        (["2026-01-01", "2026-02-01T10:00:00", None, "soon"], "iso", 2),
        ([1767225600, 1767225600.5, 12], "epoch_seconds", 2),
        ([1767225600000, 0], "epoch_milliseconds", 1),
        (["hello", 5, None], "iso", 0),
    ],
)
def test_the_way_a_column_writes_dates_is_recognised(
    tmp_path: Path, values: list[Value], encoding: str, dated_rows: int
) -> None:
    engine = dated(tmp_path, "", values, index=False)
    with engine.snapshot() as snapshot:
        evidence = snapshot.dates(table_named(snapshot, "t"), "at")
    assert evidence.dated == dated_rows
    assert evidence.undated == len(values) - dated_rows
    assert not dated_rows or evidence.encoding == encoding


@pytest.mark.parametrize("months", [1, 3], ids=["trusted", "surveyed"])
def test_numbers_in_a_text_column_are_found_though_the_schema_was_changed_by_hand(
    tmp_path: Path, months: int
) -> None:
    engine = database(
        tmp_path,
        "CREATE TABLE t (at TEXT, c INTEGER)",
        "CREATE INDEX by_date ON t (at)",
        "INSERT INTO t VALUES ('2026-01-05', 'x'), ('2026-01-06', 7), ('2026-01-07', 0.1)",
        "PRAGMA writable_schema = on",
        "UPDATE sqlite_schema SET sql = 'CREATE TABLE t (at TEXT, c TEXT)' WHERE name = 't'",
    )
    with engine.snapshot() as snapshot:
        selection = Selection(table_named(snapshot, "t"), MonthColumn("at"), MONTHS[:months])
        (_, column) = snapshot.read(selection).contents["2026-01"].columns
        assert column.lost_types
        if months == 1:
            with pytest.raises(UnexpectedKindError):
                read_all(snapshot, selection, trusting=True)


@pytest.mark.parametrize("trusting", [True, False])
@pytest.mark.parametrize("index", [True, False])
@pytest.mark.parametrize(
    ("declared", "values", "stray", "expected"),
    [
        ("REAL", [1 / 3, 2 / 3], "n/a", None),
        ("INTEGER", [2**53 + 1, 1], 1.5, None),
        ("INTEGER", [2**63 - 1, 1], 1.5, None),
        ("TEXT", [b"\xff\xfe", b"plain"], b"\x01", ["X'FFFE'", "plain"]),
        ("BLOB", [b"\xff\xfe", b""], 7, None),
    ],
)
def test_a_row_of_no_month_changes_nothing_in_those_around_it(
    tmp_path: Path,
    declared: str,
    values: list[Value],
    stray: Value,
    expected: list[Value] | None,
    index: bool,
    trusting: bool,
) -> None:
    engine = database(tmp_path, f"CREATE TABLE t (at TEXT, v {declared})")
    with closing(sqlite3.connect(tmp_path / "app.sqlite")) as connection:
        given = "CAST(? AS TEXT)" if declared == "TEXT" else "?"
        # Between December and January, and of neither.
        connection.execute("INSERT INTO t VALUES ('2025-13-05', ?)", (stray,))
        for month, value in zip(("2025-12-05", "2026-01-05"), values, strict=True):
            connection.execute(f"INSERT INTO t VALUES (?, {given})", (month, value))
        if index:
            connection.execute("CREATE INDEX by_date ON t (at)")
        connection.commit()
    months = months_between(Month(2025, 12), Month(2026, 1))
    with engine.snapshot() as snapshot:
        selection = Selection(table_named(snapshot, "t"), MonthColumn("at"), months)
        try:
            found = read_all(snapshot, selection, trusting=trusting)
        except UnexpectedKindError:
            found = read_all(snapshot, selection)
        assert [found[str(month)][0][1] for month in months] == (expected or values)
        stored = snapshot.read_stored(selection)
        kept = [value for _, batch in stored for value in batch.column(1).to_pylist()]
        assert kept == (expected or values)


def test_months_that_hold_only_rows_of_no_month_are_empty(tmp_path: Path) -> None:
    engine = database(
        tmp_path, "CREATE TABLE t (at INTEGER, v)", "INSERT INTO t VALUES ('2025-13-05', 'a')"
    )
    months = months_between(Month(2025, 12), Month(2026, 1))
    with engine.snapshot() as snapshot:
        selection = Selection(table_named(snapshot, "t"), MonthColumn("at"), months)
        assert read_all(snapshot, selection) == {"2025-12": [], "2026-01": []}
