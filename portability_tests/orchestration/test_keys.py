"""Asset keys: every table has its own, whatever it is called."""

from __future__ import annotations

from pathlib import Path

import pytest

from portability_pipelines.domain.declarations import Place, TableDeclaration
from portability_pipelines.domain.errors import RefusedError
from portability_tests.orchestration.databases import declared, definitions


@pytest.mark.parametrize(
    "names",
    [
        ("backup", "clients"),
        ("Order Details", "Order-Details"),
        ("a/b", "заказы", "клиент"),
        ("", "_"),
    ],
    ids=["as an asset of ours", "alike", "other letters", "no name"],
)
def test_tables_of_any_names_have_keys_of_their_own(names: tuple[str, ...]) -> None:
    tables = tuple(TableDeclaration(name, collection=name or "unnamed") for name in names)
    graph = definitions(declared(Path("absent"), tables=tables)).resolve_asset_graph()
    keys = graph.get_all_asset_keys()
    assert len([key for key in keys if key.path[1] == "exports"]) == len(names)
    assert len(keys) == 3 * len(names) + 1


def keys_of(*tables: TableDeclaration) -> list[str]:
    """The keys of everything that tables have in exports and in MongoDB, by their last part."""
    graph = definitions(declared(Path("absent"), tables=tables)).resolve_asset_graph()
    return sorted("/".join(key.path[1:]) for key in graph.get_all_asset_keys() if len(key.path) > 2)


def test_a_table_called_like_the_undated_rows_of_another_has_keys_of_its_own() -> None:
    tables = (TableDeclaration("orders", "placed_at"), TableDeclaration("orders__undated"))
    assert keys_of(*tables) == [
        f"{kind}/orders{end}"
        for kind in ("exports", "mongodb")
        for end in ("", "__undated", "__undated_4c29c9a7")
    ]


def test_only_what_would_be_the_same_key_is_told_apart_by_a_checksum() -> None:
    tables = (TableDeclaration("orders"), TableDeclaration("orders__undated", "placed_at"))
    assert keys_of(*tables) == [
        f"{kind}/orders{end}"
        for kind in ("exports", "mongodb")
        for end in ("", "__undated", "__undated__undated")
    ]


def test_a_name_of_which_no_letter_is_left_is_told_by_a_checksum() -> None:
    assert keys_of(TableDeclaration("日本"), TableDeclaration("café")) == [
        f"{kind}/{part}" for kind in ("exports", "mongodb") for part in ("___c7b7cdcc", "caf_")
    ]


def test_collections_that_are_called_alike_have_keys_of_their_own() -> None:
    tables = (
        TableDeclaration("a", collection="x.y"),
        TableDeclaration("b", "at", collection="x_y"),
        TableDeclaration("x-y"),
    )
    found = [key for key in keys_of(*tables) if key.startswith("mongodb/")]
    assert len(found) == len(set(found)) == 4


def test_two_tables_that_share_a_collection_are_refused() -> None:
    tables = (
        TableDeclaration("people", place=Place("defs.yaml", 8)),
        TableDeclaration("staff", collection="people", place=Place("defs.yaml", 11)),
    )
    with pytest.raises(RefusedError) as refusal:
        definitions(declared(Path("absent"), tables=tables))
    assert str(refusal.value) == (
        "defs.yaml:11: table 'staff' would be migrated to the collection 'people', as 'people' is. "
        "Give one of them another collection."
    )
    assert definitions(declared(Path("absent"), tables=tables, migration=None))
