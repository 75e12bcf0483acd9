"""Reading a migration back: nothing that is missing, changed or left over goes unnoticed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

import pytest
from bson.datetime_ms import DatetimeMS

from portability_pipelines.domain.months import Period
from portability_pipelines.workflows.migrate import MigrationCounts
from portability_pipelines.workflows.verify_migration import Verification
from portability_tests.workflows.memory_records import Values, table
from portability_tests.workflows.places import Place, counted, empty_place

LATER = datetime(2026, 11, 2, 9, 30, tzinfo=UTC)

PEOPLE = table("people", ("id",), id="integer", name="text", email="text")
UNIQUE = ("email",)
MONTH = "2026-10"
OTHER = "2026-11"


@pytest.fixture
def place(mongod_uri: str) -> Iterator[Place]:
    """An empty database."""
    with empty_place(mongod_uri) as made:
        yield made


class TestVerification:
    ROWS: Mapping[Period, list[Values]] = {
        MONTH: [(1, "Ann", "ann@example.org"), (2, "Bob", None), (3, "ann", "ANN@example.org")],
        OTHER: [(4, "Cay", "")],
    }

    @pytest.fixture
    def counts(self, place: Place) -> dict[Period, MigrationCounts]:
        return place.migrate(PEOPLE, self.ROWS, unique_by=UNIQUE)

    def problems(self, place: Place, counts: dict[Period, MigrationCounts]) -> list[str]:
        found = place.verify(PEOPLE, self.ROWS, unique_by=UNIQUE)
        assert found[OTHER].problems(counts[OTHER]) == []
        return found[MONTH].problems(counts[MONTH])

    def test_a_migration_is_proven(
        self, place: Place, counts: dict[Period, MigrationCounts]
    ) -> None:
        assert self.problems(place, counts) == []
        assert place.verify(PEOPLE, self.ROWS, unique_by=UNIQUE) == {
            MONTH: Verification(matched=2, changed=0, absent=0, duplicates=1, stale=0),
            OTHER: Verification(matched=1, changed=0, absent=0, duplicates=0, stale=0),
        }

    def test_a_removed_document_is_missed(
        self, place: Place, counts: dict[Period, MigrationCounts]
    ) -> None:
        place.collection.delete_one({"_id": 2})
        assert self.problems(place, counts) == ["1 rows have no document"]
        found = place.verify(PEOPLE, self.ROWS, unique_by=UNIQUE)[MONTH]
        assert found.samples == ("id=2 is absent",)
        assert found.problems() == ["1 rows have no document"]

    @pytest.mark.parametrize(
        "change",
        [
            {"$set": {"name": "Bobby"}},
            {"$set": {"email": ""}},
            {"$set": {"id": 2.0}},
            {"$set": {"name": DatetimeMS(2**60)}},
            {"$set": {"more": 1}},
            {"$unset": {"email": ""}},
            {"$rename": {"email": "mail"}},
            {"$set": {"export_metadata.content_hash": "0" * 64}},
            {"$set": {"export_metadata.period": "2020-01"}},
            {"$set": {"export_metadata.original_sqlite_id": "999"}},
            {"$set": {"export_metadata.export_version": "77"}},
            {"$unset": {"export_metadata.source_database": ""}},
        ],
    )
    def test_a_changed_document_is_found(
        self, place: Place, counts: dict[Period, MigrationCounts], change: dict[str, Any]
    ) -> None:
        place.collection.update_one({"_id": 2}, change)
        assert self.problems(place, counts) == ["1 documents differ from their rows"]
        found = place.verify(PEOPLE, self.ROWS, unique_by=UNIQUE)[MONTH]
        assert found.samples == ("id=2 is changed",)
        assert found.stale == 0

    def test_what_the_source_no_longer_has_is_stale(self, place: Place) -> None:
        place.migrate(PEOPLE, self.ROWS)
        place.collection.delete_one({"_id": 2})
        left: dict[Period, list[Values]] = {MONTH: [(2, "Bob", None)], OTHER: []}
        found = place.verify(PEOPLE, left)
        assert found[MONTH].stale == 2
        assert found[MONTH].absent == 1
        assert found[OTHER].stale == 1
        assert found[OTHER].problems() == []
        assert len(place.documents()) == 3

    def test_a_document_whose_row_became_a_duplicate_is_stale(self, place: Place) -> None:
        place.migrate(PEOPLE, {MONTH: [(1, "A", "a@b"), (2, "B", "b@b")]}, unique_by=UNIQUE)
        now: dict[Period, list[Values]] = {MONTH: [(1, "A", "a@b"), (2, "B", "A@B")]}
        counts = place.migrate(PEOPLE, now, LATER, unique_by=UNIQUE)
        assert counted(counts[MONTH]) == {"unchanged": 1, "duplicates": 1}
        found = place.verify(PEOPLE, now, unique_by=UNIQUE)[MONTH]
        assert (found.matched, found.duplicates, found.stale) == (1, 1, 1)
        assert found.problems(counts[MONTH]) == []

    def test_rejected_rows_are_only_missed_without_the_counts(self, place: Place) -> None:
        place.collection.insert_one({"_id": 1})
        rows: dict[Period, list[Values]] = {MONTH: [(1, "A", None), (2, "B", None)]}
        counts = place.migrate(PEOPLE, rows)
        found = place.verify(PEOPLE, rows)[MONTH]
        assert found.problems(counts[MONTH]) == []
        assert found.problems() == ["1 rows have no document"]

    def test_a_removed_document_is_missed_beside_a_rejected_row_that_is_a_duplicate_now(
        self, place: Place
    ) -> None:
        rules = {"$jsonSchema": {"properties": {"name": {"bsonType": "string"}}}}
        place.collection.database.create_collection("people", validator=rules)
        rows: dict[Period, list[Values]] = {
            MONTH: [(1, None, "a@x"), (2, "Ann", "A@x"), (3, "Bea", None)]
        }
        counts = place.migrate(PEOPLE, rows, unique_by=UNIQUE)
        assert counted(counts[MONTH]) == {"inserted": 2, "rejected": 1}
        place.collection.delete_one({"_id": 3})
        found = place.verify(PEOPLE, rows, unique_by=UNIQUE)[MONTH]
        assert (found.matched, found.duplicates, found.absent) == (1, 1, 1)
        assert found.problems(counts[MONTH]) == ["1 rows have no document"]

    def test_what_the_metadata_says_is_put_right_by_the_next_run(
        self, place: Place, counts: dict[Period, MigrationCounts]
    ) -> None:
        before = place.documents()
        place.collection.update_one(
            {"_id": 2}, {"$set": {"export_metadata.original_sqlite_id": "999"}}
        )
        again = place.migrate(PEOPLE, self.ROWS, unique_by=UNIQUE)
        assert counted(again[MONTH]) == {"unchanged": 1, "updated": 1, "duplicates": 1}
        assert place.documents() == before

    def test_that_every_row_was_rejected_is_wrong(self, place: Place) -> None:
        place.collection.insert_many([{"_id": 1}, {"_id": 2}])
        rows: dict[Period, list[Values]] = {MONTH: [(1, "A", None), (2, "B", None)], OTHER: []}
        counts = place.migrate(PEOPLE, rows)
        found = place.verify(PEOPLE, rows)
        (problem,) = found[MONTH].problems(counts[MONTH])
        assert problem.startswith("all 2 rows were rejected, the first because its _id belongs to")
        assert found[OTHER].problems(counts[OTHER]) == []
