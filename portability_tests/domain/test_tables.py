"""Names of tables and columns, compared as databases compare them."""

from __future__ import annotations

import pytest

from portability_pipelines.domain.tables import Column, Table, named


def columns(*names: str) -> tuple[Column, ...]:
    return tuple(Column(name, "TEXT", "text") for name in names)


@pytest.mark.parametrize(
    ("asked", "found"),
    [("É", "É"), ("é", "é"), ("ID", "Id"), ("Id", "Id"), ("ſ", None), ("absent", None)],
)
def test_only_the_letters_a_to_z_lose_their_case(asked: str, found: str | None) -> None:
    column = Table("t", columns("É", "é", "Id", "s"), ()).column(asked)
    assert (column and column.name) == found


def test_an_exact_name_comes_before_one_that_differs_in_case() -> None:
    both = columns("orders", "Orders")
    assert [named(name, both) for name in ("orders", "Orders", "ORDERS")] == [
        both[0],
        both[1],
        both[0],
    ]
