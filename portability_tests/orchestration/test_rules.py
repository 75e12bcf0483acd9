"""What databases declared in Python are refused for, with a place where they have one."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from portability_pipelines.domain.declarations import (
    Exports,
    Migration,
    Place,
    SourceReference,
    TableDeclaration,
)
from portability_pipelines.domain.errors import RefusedError
from portability_pipelines.domain.months import Month
from portability_pipelines.orchestration.build import database_definitions
from portability_pipelines.orchestration.resources import source_engine
from portability_pipelines.orchestration.rules import require_apart, require_sound
from portability_tests.orchestration.databases import declared

# In Auckland, the month that follows has begun.
END_OF_OCTOBER = datetime(2026, 10, 31, 20, tzinfo=UTC)


@pytest.mark.parametrize(
    ("parts", "words"),
    [
        ({"source": SourceReference("sqlite")}, "source needs a path"),
        ({"timezone": ""}, "'' is no time zone"),
        ({"first_month": Month(0, 1)}, "0000-01 is before 1000-01"),
        ({"owners": ("shop",)}, "'shop' cannot own an asset"),
        ({"exports": Exports(schedule="nightly")}, "'nightly' is no schedule"),
        ({"migration": Migration("local")}, "target cannot name a MongoDB database"),
    ],
)
def test_a_database_that_is_declared_in_python_is_held_to_the_same_rules(
    parts: dict[str, object], words: str
) -> None:
    with pytest.raises(RefusedError) as refusal:
        database_definitions(replace(declared(Path("absent")), **parts))  # type: ignore[arg-type]
    assert words in refusal.value.message
    assert "None" not in refusal.value.message


def test_a_refusal_begins_with_the_place_where_there_is_one() -> None:
    places = {"timezone": Place("shop.py", 7)}
    with pytest.raises(RefusedError, match=r"^shop\.py:7: '' is no time zone\."):
        database_definitions(declared(Path("absent"), timezone="", places=places))


@pytest.mark.parametrize(
    ("timezone", "month", "sound"),
    [
        ("UTC", Month(2026, 10), True),
        ("UTC", Month(2026, 11), False),
        ("Pacific/Auckland", Month(2026, 11), True),
        ("Pacific/Auckland", Month(2026, 12), False),
    ],
)
def test_the_first_month_has_begun_in_the_zone_of_the_database(
    timezone: str, month: Month, *, sound: bool
) -> None:
    database = declared(Path("absent"), timezone=timezone, first_month=month)
    if sound:
        require_sound(database, END_OF_OCTOBER)
        return
    with pytest.raises(RefusedError, match=f"first_month {month} has not begun"):
        require_sound(database, END_OF_OCTOBER)


def test_databases_of_one_name_are_told_apart_without_places() -> None:
    database = declared(Path("absent"))
    with pytest.raises(RefusedError, match=r"^the name 'shop' is taken by the database 'shop'\."):
        require_apart([database, declared(Path("other"))])
    require_apart([database])


def test_targets_that_differ_in_case_only_are_refused() -> None:
    one, other = (
        declared(Path(name), migration=Migration(name), tables=(TableDeclaration(name),))
        for name in ("shop", "Shop")
    )
    other = replace(other, name="other")
    with pytest.raises(RefusedError, match="in upper and lower case only"):
        require_apart([one, other])
    require_apart([one, replace(other, migration=Migration("shop"))])


def test_a_variable_that_is_not_set_is_refused_with_the_line_that_names_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("SHOP_DATABASE", raising=False)
    source = SourceReference("sqlite", path_env="SHOP_DATABASE")
    places = {"source.path_env": Place("shop.yaml", 5)}
    with pytest.raises(RefusedError, match=r"^shop\.yaml:5: the environment variable SHOP_DATA"):
        source_engine(replace(declared(Path("absent")), source=source, places=places))
