"""Unique keys that change hands: no row stays out for a document that lost its right to the key."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from portability_pipelines.domain.months import ALL, UNDATED, Period
from portability_pipelines.domain.tables import Selection, Table
from portability_pipelines.workflows.migrate import MigrationCounts
from portability_pipelines.workflows.verify_migration import Verification
from portability_tests.workflows.memory_records import Values, table
from portability_tests.workflows.places import Place, counted, empty_place
from portability_tests.workflows.walks import selected, snapshot_of

PEOPLE = table("people", ("id",), id="integer", name="text", email="text")
LOG = table("log", name="text", email="text")
UNIQUE = ("email",)
MONTH = "2026-10"
OTHER = "2026-11"

Rows = dict[Period, list[Values]]


@pytest.fixture
def place(mongod_uri: str) -> Iterator[Place]:
    """An empty database."""
    with empty_place(mongod_uri) as made:
        yield made


def settled(place: Place, rows: Rows, elsewhere: Sequence[Values] = ()) -> dict[Period, object]:
    """The outcomes of migrating ``rows``, once they are proven and a second run changes nothing."""
    told: dict[str, Any] = {"unique_by": UNIQUE, "elsewhere": elsewhere}
    counts = place.migrate(PEOPLE, rows, **told)
    found = place.verify(PEOPLE, rows, **told)
    assert [found[period].problems(counts[period]) for period in rows] == [[]] * len(rows)
    again = place.migrate(PEOPLE, rows, **told)
    assert not any(each.inserted or each.updated for each in again.values())
    return {period: counted(each) for period, each in counts.items()}


def emails(place: Place) -> dict[object, object]:
    return {document["_id"]: document["email"] for document in place.documents()}


class TestKeysThatChangeHands:
    def test_a_key_that_was_given_up_is_free_at_once(self, place: Place) -> None:
        settled(place, {MONTH: [(1, "Ann", "a@x")]})
        later: Rows = {MONTH: [(1, "Ann", "new@x"), (2, "Bea", "a@x")]}
        assert settled(place, later) == {MONTH: {"updated": 1, "inserted": 1}}
        assert emails(place) == {1: "new@x", 2: "a@x"}

    def test_the_order_of_the_rows_does_not_matter(self, place: Place) -> None:
        settled(place, {MONTH: [(2, "Ann", "a@x")]})
        later: Rows = {MONTH: [(1, "Bea", "a@x"), (2, "Ann", "new@x")]}
        assert settled(place, later) == {MONTH: {"updated": 1, "inserted": 1}}

    def test_rows_may_swap_their_keys(self, place: Place) -> None:
        settled(place, {MONTH: [(1, "Ann", "a@x"), (2, "Bea", "b@x")]})
        assert settled(place, {MONTH: [(1, "Ann", "b@x"), (2, "Bea", "a@x")]}) == {
            MONTH: {"updated": 2}
        }
        assert emails(place) == {1: "b@x", 2: "a@x"}

    def test_the_key_of_a_deleted_row_is_free_and_its_document_stale(self, place: Place) -> None:
        settled(place, {MONTH: [(1, "Ann", "a@x")]})
        later: Rows = {MONTH: [], OTHER: [(2, "Ann again", "a@x"), (3, "Ann once more", "A@x")]}
        assert settled(place, later) == {MONTH: {}, OTHER: {"inserted": 1, "duplicates": 1}}
        assert emails(place) == {1: "a@x", 2: "a@x"}
        assert place.verify(PEOPLE, later, unique_by=UNIQUE)[MONTH].stale == 1

    def test_a_row_of_another_period_keeps_its_key(self, place: Place) -> None:
        first: Values = (1, "Ann", "a@x")
        settled(place, {MONTH: [first]})
        later: Rows = {OTHER: [(2, "Ann", "A@x")]}
        assert settled(place, later, [first]) == {OTHER: {"duplicates": 1}}
        assert settled(place, {MONTH: [first]}, later[OTHER]) == {MONTH: {"unchanged": 1}}

    def test_a_row_of_another_period_that_changed_its_key_is_updated_later(
        self, place: Place
    ) -> None:
        settled(place, {MONTH: [(1, "Ann", "a@x")]})
        now: Values = (1, "Ann", "new@x")
        later: Values = (2, "Bea", "a@x")
        assert settled(place, {OTHER: [later]}, [now]) == {OTHER: {"inserted": 1}}
        assert settled(place, {MONTH: [now]}, [later]) == {MONTH: {"updated": 1}}
        assert emails(place) == {1: "new@x", 2: "a@x"}

    def test_a_key_that_is_written_otherwise_is_the_same(self, place: Place) -> None:
        settled(place, {MONTH: [(1, "Ann", "a@x")]})
        later: Values = (2, "Bea", "a@x")
        changed: Values = (1, "Ann", " A@X ")
        assert settled(place, {OTHER: [later]}, [changed]) == {OTHER: {"duplicates": 1}}

    def test_rows_without_a_key_are_known_by_their_content(self, place: Place) -> None:
        told: dict[str, Any] = {"unique_by": UNIQUE}
        place.migrate(LOG, {MONTH: [("Ann", "a@x")]}, **told)
        same = place.migrate(LOG, {OTHER: [(None, "A@x")]}, **told, elsewhere=[("Ann", "a@x")])
        assert counted(same[OTHER]) == {"duplicates": 1}
        gone = place.migrate(LOG, {OTHER: [(None, "A@x")]}, **told, elsewhere=[("Anna", "a@x")])
        assert counted(gone[OTHER]) == {"inserted": 1}


class TestRowsThatGetAnotherName:
    """A row that no key names is called after its content and period, and may be called anew."""

    ROWS: Sequence[Values] = [("Ann", "a@x"), ("Bea", "b@x")]

    def outcome(self, place: Place, source: Table, rows: Rows) -> dict[str, int]:
        """What becomes of the rows of one period, once they are proven and settled."""
        ((period, counts),) = place.migrate(source, rows, unique_by=UNIQUE).items()
        assert place.verify(source, rows, unique_by=UNIQUE)[period].problems(counts) == []
        again = place.migrate(source, rows, unique_by=UNIQUE)[period]
        assert counted(again) == {"unchanged": len(rows[period])}
        return counted(counts)

    @pytest.mark.parametrize(("before", "after"), [(UNDATED, MONTH), (ALL, MONTH), (MONTH, ALL)])
    def test_a_row_whose_period_is_another_now_is_no_duplicate_of_itself(
        self, place: Place, before: Period, after: Period
    ) -> None:
        self.outcome(place, LOG, {before: list(self.ROWS)})
        assert self.outcome(place, LOG, {after: list(self.ROWS)}) == {"inserted": 2}
        assert place.verify(LOG, {before: []}, unique_by=UNIQUE)[before].stale == 2

    def test_nor_is_one_whose_table_lost_its_key(self, place: Place) -> None:
        keyed = table("log", ("name",), name="text", email="text")
        self.outcome(place, keyed, {MONTH: list(self.ROWS)})
        assert self.outcome(place, LOG, {MONTH: list(self.ROWS)}) == {"inserted": 2}

    def test_nor_is_one_whose_table_has_another_column_now(self, place: Place) -> None:
        self.outcome(place, LOG, {MONTH: list(self.ROWS)})
        wider = table("log", name="text", email="text", note="text")
        rows: Rows = {MONTH: [(*row, None) for row in self.ROWS]}
        assert self.outcome(place, wider, rows) == {"inserted": 2}
        assert place.verify(wider, rows, unique_by=UNIQUE)[MONTH].stale == 2


class TestVerification:
    def kept_out(self, place: Place) -> tuple[MigrationCounts, Verification]:
        """A row that was a duplicate when it was migrated, and is none when it is verified."""
        settled(place, {MONTH: [(1, "Ann", "a@x")]})
        told: dict[str, Any] = {"unique_by": UNIQUE}
        later: Rows = {OTHER: [(2, "Bea", "a@x")]}
        counts = place.migrate(PEOPLE, later, **told, elsewhere=[(1, "Ann", "a@x")])
        assert counted(counts[OTHER]) == {"duplicates": 1}
        return counts[OTHER], place.verify(PEOPLE, later, **told)[OTHER]

    def test_a_row_that_is_kept_out_wrongly_is_missed(self, place: Place) -> None:
        counts, found = self.kept_out(place)
        assert (found.duplicates, found.absent) == (0, 1)
        assert found.problems(counts) == ["1 rows have no document"]

    def test_the_row_and_the_document_in_its_way_are_named(self, place: Place) -> None:
        _, found = self.kept_out(place)
        assert found.samples == (
            "id=2 is absent: the document 1 holds its unique key, which its own row gave up",
        )


@pytest.mark.parametrize(
    ("columns", "first", "second"),
    [
        ("id INTEGER PRIMARY KEY, email TEXT", "1, 'a@x'", "2, 'A@x'"),
        ("id NUMERIC PRIMARY KEY, email TEXT", "1, 'a@x'", "2.5, 'A@x'"),
        ("id TEXT PRIMARY KEY, email TEXT", "'a' || char(0) || 'b', 'a@x'", "'a', 'A@x'"),
        ("id BLOB PRIMARY KEY, email TEXT", "x'00', 'a@x'", "x'01', 'A@x'"),
        ("id INT PRIMARY KEY, email TEXT", "'it''s', 'a@x'", "-9223372036854775808, 'A@x'"),
        ("a, b, email, PRIMARY KEY (a, b)", "1.5, -9e999, 'a@x'", "'1', x'01', 'A@x'"),
        ("a, b, email, PRIMARY KEY (a, b)", "NULL, 'n', 'a@x'", "NULL, 'm', 'A@x'"),
        ("name, email TEXT COLLATE NOCASE", "NULL, 'a@x'", "1, 'A@x'"),
    ],
)
def test_survivors_are_found_in_sqlite(
    place: Place, tmp_path: Path, columns: str, first: str, second: str
) -> None:
    source = tmp_path / "app.sqlite"
    change(source, f"CREATE TABLE t (at TEXT, {columns})")
    change(source, f"INSERT INTO t VALUES ('2026-10-01', {first}), ('2026-11-01', {second})")
    assert migrated_month(place, source, MONTH) == {"inserted": 1}
    assert migrated_month(place, source, OTHER) == {"duplicates": 1}
    change(source, "DELETE FROM t WHERE at = '2026-10-01'")
    assert migrated_month(place, source, OTHER) == {"inserted": 1}


def test_texts_that_are_not_unicode_are_compared_as_they_are_stored(
    place: Place, tmp_path: Path
) -> None:
    source = tmp_path / "app.sqlite"
    change(source, "CREATE TABLE t (at TEXT, id INTEGER PRIMARY KEY, email TEXT)")
    broken = "CAST(x'ff' AS TEXT)"
    change(source, f"INSERT INTO t VALUES ('2026-10-01', 1, {broken}), ('2026-11-01', 2, {broken})")
    assert migrated_month(place, source, MONTH) == {"inserted": 1}
    assert migrated_month(place, source, OTHER) == {"duplicates": 1}


BROKEN = "CAST(x'4dfc6c6c6572' AS TEXT)"
WRITTEN = "'X''4DFC6C6C6572'''"


@pytest.mark.parametrize("name", [BROKEN, WRITTEN])
@pytest.mark.parametrize("second", [BROKEN, WRITTEN, "'plain'", "'X''41'''", "NULL", "x'4dfc'"])
def test_a_row_without_a_key_whose_texts_are_not_unicode_is_found(
    place: Place, tmp_path: Path, name: str, second: str
) -> None:
    source = tmp_path / "app.sqlite"
    change(source, "CREATE TABLE t (at TEXT, name TEXT COLLATE NOCASE, second, email TEXT)")
    change(source, f"INSERT INTO t VALUES ('2026-10-01', {name}, {second}, 'a@x')")
    change(source, "INSERT INTO t VALUES ('2026-11-01', 'Bea', NULL, 'A@x')")
    assert migrated_month(place, source, MONTH) == {"inserted": 1}
    assert migrated_month(place, source, OTHER) == {"duplicates": 1}
    change(source, f"UPDATE t SET name = {name} || 'y' WHERE name = {name}")
    assert migrated_month(place, source, OTHER) == {"inserted": 1}


@pytest.mark.parametrize("key", ["id", "id, name", "name, id"])
@pytest.mark.parametrize("name", [BROKEN, WRITTEN])
def test_a_row_whose_key_is_not_unicode_is_found(
    place: Place, tmp_path: Path, key: str, name: str
) -> None:
    source = tmp_path / "app.sqlite"
    change(source, f"CREATE TABLE t (at TEXT, id TEXT, name TEXT, email TEXT, PRIMARY KEY ({key}))")
    change(source, f"INSERT INTO t VALUES ('2026-10-01', {BROKEN}, {name}, 'a@x')")
    change(source, "INSERT INTO t VALUES ('2026-10-01', 'b', 'Bea', 'A@x')")
    for first in ("inserted", "unchanged", "unchanged"):
        assert migrated_month(place, source, MONTH) == {first: 1, "duplicates": 1}


def test_what_looks_like_bytes_stands_for_no_sound_text(place: Place, tmp_path: Path) -> None:
    source = tmp_path / "app.sqlite"
    change(source, "CREATE TABLE t (at TEXT, name TEXT, email TEXT)")
    change(source, "INSERT INTO t VALUES ('2026-10-01', 'X''41''', 'a@x')")
    change(source, "INSERT INTO t VALUES ('2026-11-01', 'Bea', 'A@x')")
    assert migrated_month(place, source, MONTH) == {"inserted": 1}
    change(source, "UPDATE t SET name = 'A' WHERE at = '2026-10-01'")
    assert migrated_month(place, source, OTHER) == {"inserted": 1}


def test_a_key_of_many_texts_that_are_not_unicode_is_found(place: Place, tmp_path: Path) -> None:
    source = tmp_path / "app.sqlite"
    names = [f"k{i}" for i in range(20)]
    key = ", ".join(names)
    change(source, f"CREATE TABLE t (at TEXT, {key}, email TEXT, PRIMARY KEY ({key}))")
    for row in (", ".join([BROKEN] * len(names)), ", ".join(["'b'"] * len(names))):
        change(source, f"INSERT INTO t VALUES ('2026-10-01', {row}, 'a@x')")
    for first in ("inserted", "unchanged"):
        assert migrated_month(place, source, MONTH) == {first: 1, "duplicates": 1}


def test_a_row_of_another_batch_whose_text_is_not_unicode_is_found(
    place: Place, tmp_path: Path
) -> None:
    source = tmp_path / "app.sqlite"
    change(
        source,
        "CREATE TABLE t (at TEXT, name TEXT, email TEXT)",
        f"INSERT INTO t VALUES ('2026-10-01', {BROKEN}, 'a@x')",
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1500) "
        "INSERT INTO t SELECT '2026-10-01', 'N', i FROM n",
        "INSERT INTO t VALUES ('2026-10-01', 'Last', 'a@x')",
    )
    assert migrated_month(place, source, MONTH) == {"inserted": 1501, "duplicates": 1}
    assert place.collection.count_documents({"email": "a@x"}) == 1


@pytest.mark.parametrize("altered", [float("nan"), True, {"a": 1}, [1], None, 1.5, "1'", b"\0"])
def test_a_document_whose_key_was_altered_is_in_nobodys_way(
    place: Place, tmp_path: Path, altered: object
) -> None:
    source = tmp_path / "app.sqlite"
    change(source, "CREATE TABLE t (at TEXT, id INT PRIMARY KEY, email TEXT)")
    change(source, "INSERT INTO t VALUES ('2026-10-01', 7, 'a@x'), ('2026-11-01', 8, 'A@x')")
    assert migrated_month(place, source, MONTH) == {"inserted": 1}
    place.collection.update_one({"_id": 7}, {"$set": {"id": altered}})
    assert migrated_month(place, source, OTHER) == {"inserted": 1}


def test_survivors_are_looked_up_while_rows_are_read(place: Place, tmp_path: Path) -> None:
    source = tmp_path / "app.sqlite"
    rows = 40_000
    change(
        source,
        "CREATE TABLE t (id INTEGER PRIMARY KEY, email TEXT, at TEXT)",
        f"WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < {rows - 1}) "
        f"INSERT INTO t SELECT i, i % {rows // 2}, '2026-11-01' FROM n",
    )
    halves = {"inserted": rows // 2, "duplicates": rows // 2}
    assert migrated_month(place, source, OTHER) == halves


def change(source: Path, *statements: str) -> None:
    """Change the database at ``source``."""
    with closing(sqlite3.connect(source)) as connection:
        connection.execute("PRAGMA journal_mode = wal")
        for statement in statements:
            connection.execute(statement)
        connection.commit()


def migrated_month(place: Place, source: Path, month: Period) -> dict[str, int]:
    """The outcomes of migrating one month of the table ``t``, once they are proven."""
    with snapshot_of(source) as snapshot:
        every = selected(snapshot, "t", "at")
        months = tuple(each for each in every.months if str(each) == month)
        selection = Selection(every.table, every.month_column, months)
        told: dict[str, Any] = {"unique_by": UNIQUE}
        counts = place.migrate(every.table, snapshot.read_stored(selection), **told)[month]
        found = place.verify(every.table, snapshot.read_stored(selection), **told)[month]
    assert found.problems(counts) == []
    return counted(counts)
