"""Migrations that overlap: what a newer snapshot wrote stays as it is."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import timedelta

import pytest

from portability_pipelines.domain.documents import DocumentId
from portability_pipelines.domain.months import Period
from portability_pipelines.engines.documents import Document, Mark, Refusal
from portability_pipelines.engines.mongodb import MongoTarget
from portability_pipelines.workflows.migrate import MigrationCounts
from portability_tests.workflows.memory_records import FIRST, MemoryRecords, Values, table
from portability_tests.workflows.places import Place, counted, empty_place

PEOPLE = table("people", ("id",), id="integer", name="text", email="text")
UNIQUE = ("email",)

Rows = dict[Period, list[Values]]
OLD: Rows = {"all": [(1, "old", "a@x")]}
NEW: Rows = {"all": [(1, "new", "a@x")]}


@pytest.fixture
def place(mongod_uri: str) -> Iterator[Place]:
    """An empty database."""
    with empty_place(mongod_uri) as made:
        yield made


def from_hour(place: Place, hour: int, rows: Rows, **options: object) -> MigrationCounts:
    """Migrate ``rows`` of a snapshot taken ``hour`` hours after the first, and prove that."""
    records = [
        MemoryRecords(PEOPLE, rows, taken_at=FIRST + timedelta(hours=hour, microseconds=7))
        for _ in range(2)
    ]
    counts = place.migrate(PEOPLE, records[0], FIRST, unique_by=UNIQUE, **options)["all"]
    found = place.verify(PEOPLE, records[1], unique_by=UNIQUE)["all"]
    assert found.problems(counts) == []
    assert found.superseded == counts.superseded
    return counts


def names(place: Place) -> dict[object, object]:
    return {document["_id"]: document["name"] for document in place.documents()}


def test_an_older_snapshot_overwrites_no_newer_document(place: Place) -> None:
    from_hour(place, 0, OLD)
    assert counted(from_hour(place, 2, NEW)) == {"updated": 1}
    late = from_hour(place, 1, OLD)
    assert counted(late) == {"superseded": 1}
    assert "a newer snapshot" in late.skipped[0].reason
    assert names(place) == {1: "new"}


def test_the_same_snapshot_may_write_again(place: Place) -> None:
    from_hour(place, 1, OLD)
    assert counted(from_hour(place, 1, NEW)) == {"updated": 1}


def test_a_row_that_says_what_the_newer_document_says_is_unchanged(place: Place) -> None:
    from_hour(place, 1, OLD)
    assert counted(from_hour(place, 0, OLD)) == {"unchanged": 1}


def test_an_older_snapshot_takes_no_unique_key_from_a_newer_document(place: Place) -> None:
    from_hour(place, 1, {"all": [(2, "new", "a@x")]})
    late = from_hour(place, 0, OLD)
    assert counted(late) == {"superseded": 1}
    assert late.skipped[0].survivor == 2
    assert counted(from_hour(place, 2, OLD)) == {"inserted": 1}


def test_a_newer_document_that_is_written_meanwhile_stays(place: Place) -> None:
    from_hour(place, 0, OLD)

    class Raced(MongoTarget):
        def write(
            self, collection: str, inserts: Sequence[Document], replacements: Sequence[Document]
        ) -> dict[DocumentId, Refusal]:
            if replacements:
                from_hour(place, 2, NEW)
            return super().write(collection, inserts, replacements)

    changed: Rows = {"all": [(1, "in between", "a@x")]}
    with Raced(place.uri, place.database) as target:
        assert counted(from_hour(place, 1, changed, target=target)) == {"superseded": 1}
    assert names(place) == {1: "new"}


def test_a_newer_document_that_gets_a_unique_key_back_meanwhile_keeps_it(place: Place) -> None:
    from_hour(place, 0, OLD)

    class Raced(MongoTarget):
        def release(self, collection: str, marks: Sequence[Mark]) -> None:
            from_hour(place, 2, NEW)
            super().release(collection, marks)

    given_up: Rows = {"all": [(1, "old", "new@x"), (2, "in between", "a@x")]}
    with Raced(place.uri, place.database) as target:
        assert counted(from_hour(place, 1, given_up, target=target)) == {"superseded": 2}
    assert names(place) == {1: "new"}
