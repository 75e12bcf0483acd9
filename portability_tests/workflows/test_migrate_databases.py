"""Databases that share a collection, and documents that do not say which one they came from."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from portability_pipelines.domain.months import Period
from portability_tests.workflows.memory_records import Values, table
from portability_tests.workflows.places import Place, counted, empty_place

LATER = datetime(2026, 11, 2, 9, 30, tzinfo=UTC)

PEOPLE = table("people", ("id",), id="integer", name="text", email="text")
GUESTS = table("guests", ("id",), id="text", email="text")
UNIQUE = ("email",)
NORTH: dict[Period, list[Values]] = {"all": [(1, "Ann", "ann@example.org"), (2, "Bob", None)]}
SOUTH: dict[Period, list[Values]] = {"all": [(1, "Sue", "ann@example.org"), (3, "Tim", None)]}


@pytest.fixture
def place(mongod_uri: str) -> Iterator[Place]:
    """An empty database."""
    with empty_place(mongod_uri) as made:
        yield made


def forget_databases(place: Place) -> None:
    """Make the documents what they were before they named their database."""
    fields = ("source_database", "snapshot_at")
    place.collection.update_many({}, {"$unset": {f"export_metadata.{f}": "" for f in fields}})


def test_a_document_of_another_database_is_never_replaced(place: Place) -> None:
    place.migrate(PEOPLE, NORTH, database="north")
    before = place.documents()
    counts = place.migrate(PEOPLE, SOUTH, LATER, database="south")
    assert counted(counts["all"]) == {"inserted": 1, "rejected": 1}
    (skipped,) = counts["all"].skipped
    assert "the table people of the database north" in skipped.reason
    assert "collection of its own" in skipped.reason
    assert place.documents()[:2] == before
    assert counted(place.migrate(PEOPLE, NORTH, database="north")["all"]) == {"unchanged": 2}


def test_verification_tells_databases_apart(place: Place) -> None:
    counts = place.migrate(PEOPLE, NORTH, database="north")
    assert place.verify(PEOPLE, NORTH, database="north")["all"].problems(counts["all"]) == []
    found = place.verify(PEOPLE, NORTH, database="south")["all"]
    assert (found.matched, found.absent, found.stale) == (0, 2, 0)


def test_databases_do_not_share_unique_keys(place: Place) -> None:
    mine: list[Values] = [("n1", "ann@example.org"), ("n2", "Ann@example.org")]
    theirs: list[Values] = [("s1", "ann@example.org")]
    north = place.migrate(GUESTS, {"all": mine}, unique_by=UNIQUE, database="north")
    south = place.migrate(GUESTS, {"all": theirs}, unique_by=UNIQUE, database="south")
    assert counted(north["all"]) == {"inserted": 1, "duplicates": 1}
    assert counted(south["all"]) == {"inserted": 1}


def test_a_document_that_names_no_database_goes_to_the_first_that_has_its_row(place: Place) -> None:
    place.migrate(PEOPLE, NORTH, unique_by=UNIQUE)
    forget_databases(place)
    north = place.migrate(PEOPLE, NORTH, LATER, unique_by=UNIQUE, database="north")
    assert counted(north["all"]) == {"updated": 2}
    south = place.migrate(PEOPLE, SOUTH, LATER, unique_by=UNIQUE, database="south")
    assert counted(south["all"]) == {"inserted": 1, "rejected": 1}


def test_a_document_that_names_no_database_still_holds_its_unique_key(place: Place) -> None:
    place.migrate(PEOPLE, NORTH, unique_by=UNIQUE)
    forget_databases(place)
    place.collection.drop_indexes()
    place.collection.create_index(
        "export_metadata.unique_key",
        name="export_unique_key",
        unique=True,
        partialFilterExpression={"export_metadata.unique_key": {"$exists": True}},
    )
    late: list[Values] = [*NORTH["all"], (9, "ann", "ANN@example.org")]
    counts = place.migrate(PEOPLE, {"all": late}, unique_by=UNIQUE)
    assert counted(counts["all"]) == {"updated": 2, "duplicates": 1}
    assert "export_unique_key" not in place.collection.index_information()
