"""Rows and names at the limits of what MongoDB takes."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from portability_pipelines.domain.errors import RefusedError
from portability_pipelines.domain.tables import StorageClass
from portability_tests.workflows.memory_records import Values, table
from portability_tests.workflows.places import Place, counted, empty_place

KEYED = table("keyed", ("id",), id="text", value="integer")
PAIRED = table("paired", ("a", "b"), a="text", b="integer")
FILES = table("files", ("id",), id="integer", data="blob")
MEGABYTE = 1024 * 1024


@pytest.fixture
def place(mongod_uri: str) -> Iterator[Place]:
    """An empty database."""
    with empty_place(mongod_uri) as made:
        yield made


@pytest.mark.parametrize(("rows", "size"), [(500, 40_000), (4, 4 * MEGABYTE - 100_000)])
def test_long_keys_are_looked_up_in_portions(place: Place, rows: int, size: int) -> None:
    keys = [f"{number:05d}" + "x" * size for number in range(rows)]
    old: list[Values] = [(key, 1) for key in keys]
    assert counted(place.migrate(KEYED, {"all": old})["all"]) == {"inserted": rows}
    counts = place.migrate(KEYED, {"all": [(key, 2) for key in keys]})["all"]
    assert counted(counts) == {"updated": rows}
    found = place.verify(KEYED, {"all": [(key, 2) for key in keys]})["all"]
    assert found.matched == rows
    assert found.problems(counts) == []


def test_a_key_that_makes_the_document_too_large_rejects_its_row(place: Place) -> None:
    # Each of these characters takes six in original_sqlite_id.
    rows: list[Values] = [("\x01" * int(3.5 * MEGABYTE), 1), ("fine", 2)]
    counts = place.migrate(PAIRED, {"all": rows})["all"]
    assert counted(counts) == {"inserted": 1, "rejected": 1}
    assert "16777216 is the most" in counts.skipped[0].reason


def test_a_key_that_no_replacement_could_name_rejects_its_row(place: Place) -> None:
    for value in (1, 2):
        rows: list[Values] = [("x" * 5 * MEGABYTE, value), ("fine", value)]
        counts = place.migrate(KEYED, {"all": rows})["all"]
        assert counted(counts) == {"inserted" if value == 1 else "updated": 1, "rejected": 1}
        assert "its key" in counts.skipped[0].reason


def test_the_largest_document_can_be_replaced(place: Place) -> None:
    sizes = range(16 * MEGABYTE - 600, 16 * MEGABYTE - 300, 50)
    for fill in (b"x", b"y"):
        rows: list[Values] = [(size, fill * size) for size in sizes]
        counts = place.migrate(FILES, {"all": rows})["all"]
        told = counted(counts)
        assert sum(told.values()) == len(rows)
        assert set(told) <= {"inserted" if fill == b"x" else "updated", "rejected"}
        assert place.verify(FILES, {"all": rows})["all"].problems(counts) == []


def test_columns_that_look_like_a_reference_are_read_back(place: Place) -> None:
    texts: dict[str, StorageClass] = {"$ref": "text", "$id": "text"}
    links = table("links", ("id",), id="integer", **texts)
    rows: list[Values] = [(1, "x", "y")]
    counts = place.migrate(links, {"all": rows})["all"]
    assert counted(counts) == {"inserted": 1}
    assert place.verify(links, {"all": rows})["all"].problems(counts) == []


@pytest.mark.parametrize("name", ["a$b", "system.users", "a..b", ".a", "", "c" * 300])
def test_an_impossible_collection_is_named(place: Place, name: str) -> None:
    with pytest.raises(RefusedError, match="cannot be the name of a collection") as refused:
        place.migrate(KEYED, {"all": [("a", 1)]}, collection=name)
    assert f"{place.database}.{name}" in str(refused.value)
    assert "collection" in refused.value.advice
