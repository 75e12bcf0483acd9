"""Duplicates: one row of each unique key is kept, and the others name it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from portability_pipelines.domain.documents import DocumentId
from portability_pipelines.domain.errors import RefusedError
from portability_pipelines.domain.months import Period
from portability_pipelines.engines.documents import Document, Refusal
from portability_pipelines.engines.mongodb import MongoTarget
from portability_pipelines.workflows.migrate import MigrationCounts
from portability_tests.workflows.memory_records import Values, table
from portability_tests.workflows.places import Place, counted, empty_place

PEOPLE = table("people", ("id",), id="integer", name="text", email="text")
UNIQUE = ("email",)
MONTH = "2026-10"
OTHER = "2026-11"


@pytest.fixture
def place(mongod_uri: str) -> Iterator[Place]:
    """An empty database."""
    with empty_place(mongod_uri) as made:
        yield made


class TestDuplicates:
    def test_the_first_row_survives_and_is_named(self, place: Place) -> None:
        rows: dict[Period, list[Values]] = {
            MONTH: [(1, "Ann", "ann@example.org"), (2, "ann", " ANN@example.org ")],
            OTHER: [(3, "Anna", "Ann@Example.org"), (4, "Bob", "bob@example.org")],
        }
        counts = place.migrate(PEOPLE, rows, unique_by=UNIQUE)
        assert counted(counts[MONTH]) == {"inserted": 1, "duplicates": 1}
        assert counted(counts[OTHER]) == {"inserted": 1, "duplicates": 1}
        skipped = [*counts[MONTH].skipped, *counts[OTHER].skipped]
        assert [(each.row, each.survivor) for each in skipped] == [("id=2", 1), ("id=3", 1)]
        assert [document["_id"] for document in place.documents()] == [1, 4]

    def test_a_stored_survivor_wins_in_whatever_order_periods_run(self, place: Place) -> None:
        older: dict[Period, list[Values]] = {MONTH: [(1, "Ann", "ann@example.org")]}
        newer: dict[Period, list[Values]] = {OTHER: [(2, "Ann", "ANN@example.org")]}
        place.migrate(PEOPLE, newer, unique_by=UNIQUE)
        for _ in range(2):
            late = place.migrate(PEOPLE, older, unique_by=UNIQUE, elsewhere=newer[OTHER])
            assert counted(late[MONTH]) == {"duplicates": 1}
            same = place.migrate(PEOPLE, newer, unique_by=UNIQUE, elsewhere=older[MONTH])
            assert counted(same[OTHER]) == {"unchanged": 1}
        assert [document["_id"] for document in place.documents()] == [2]

    def test_blank_keys_match_nothing(self, place: Place) -> None:
        rows: list[Values] = [(1, "A", None), (2, "B", None), (3, "C", ""), (4, "D", " \t")]
        counts = place.migrate(PEOPLE, {MONTH: rows}, unique_by=UNIQUE)
        assert counted(counts[MONTH]) == {"inserted": 4}

    def test_several_columns_are_compared_one_by_one(self, place: Place) -> None:
        rows: list[Values] = [
            (1, "ab", "c"),
            (2, "a", "bc"),
            (3, None, "c"),
            (4, "ab", None),
            (5, "AB", "C"),
            (6, "", "c"),
        ]
        counts = place.migrate(PEOPLE, {MONTH: rows}, unique_by=("Name", "EMAIL"))
        assert counted(counts[MONTH]) == {"inserted": 4, "duplicates": 2}
        assert [each.survivor for each in counts[MONTH].skipped] == [1, 3]

    def test_tables_share_a_collection_without_sharing_keys(self, place: Place) -> None:
        guests = table("guests", ("id",), id="text", name="text", email="text")
        place.migrate(PEOPLE, {MONTH: [(1, "Ann", "a@b")]}, unique_by=UNIQUE)
        counts = place.migrate(guests, {MONTH: [("1", "Ann", "a@b")]}, unique_by=UNIQUE)
        assert counted(counts[MONTH]) == {"inserted": 1}

    def test_an_unknown_column_is_refused(self, place: Place) -> None:
        with pytest.raises(RefusedError, match="has no column phone"):
            place.migrate(PEOPLE, {MONTH: []}, unique_by=("phone",))

    def test_a_rival_that_writes_meanwhile_survives(self, place: Place) -> None:
        rows: dict[Period, list[Values]] = {MONTH: [(1, "A", "a@b"), (2, "B", "b@b")]}

        class Raced(MongoTarget):
            def write(
                self, collection: str, inserts: Sequence[Document], replacements: Sequence[Document]
            ) -> dict[DocumentId, Refusal]:
                if not place.collection.find_one({"_id": 99}):
                    key = inserts[0]["export_metadata"]["unique_key"]
                    origin = {"source_database": "shop", "source_table": "people"}
                    metadata = {**origin, "unique_key": key}
                    theirs = {"_id": 99, "id": 99, "name": "A", "email": "a@b"}
                    place.collection.insert_one({**theirs, "export_metadata": metadata})
                    # Not the document of this row, but one with its id.
                    place.collection.insert_one({"_id": 2, "export_metadata": {}})
                return super().write(collection, inserts, replacements)

        with Raced(place.uri, place.database) as target:
            counts = place.migrate(
                PEOPLE, rows, unique_by=UNIQUE, target=target, elsewhere=[(99, "A", "a@b")]
            )
        assert counted(counts[MONTH]) == {"duplicates": 1, "rejected": 1}
        assert counts[MONTH].skipped[0].survivor == 99

    def test_the_server_is_never_left_to_choose_a_survivor(self, place: Place) -> None:
        written: list[DocumentId] = []

        class Watched(MongoTarget):
            def write(
                self, collection: str, inserts: Sequence[Document], replacements: Sequence[Document]
            ) -> dict[DocumentId, Refusal]:
                written.extend(document["_id"] for document in inserts)
                return super().write(collection, inserts, replacements)

        rows: list[Values] = [(3, "A", "a@b"), (1, "B", "A@B"), (2, "C", "c@b")]
        with Watched(place.uri, place.database) as target:
            place.migrate(PEOPLE, {MONTH: rows}, unique_by=UNIQUE, target=target)
        assert written == [3, 2]

    def test_two_migrations_at_once_keep_one_row_of_each_key(self, place: Place) -> None:
        rows: dict[Period, list[Values]] = {
            period: [(base + i, "N", f"{i}@example.org") for i in range(1500)]
            for period, base in ((MONTH, 0), (OTHER, 10_000))
        }

        def run(period: Period) -> MigrationCounts:
            part = {period: rows[period]}
            others = [row for other in rows if other != period for row in rows[other]]
            told: dict[str, Any] = {"unique_by": UNIQUE, "batch_size": 50, "elsewhere": others}
            return place.migrate(PEOPLE, part, **told)[period]

        with ThreadPoolExecutor(2) as pool:
            both = list(pool.map(run, rows))
        outcomes = [counted(each) for each in both]
        assert sum(each.get("inserted", 0) for each in outcomes) == 1500
        assert sum(each.get("duplicates", 0) for each in outcomes) == 1500
        assert len(place.collection.distinct("email")) == len(place.documents()) == 1500
