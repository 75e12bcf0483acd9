"""Asset keys: every table has its own, whatever it is called."""

from __future__ import annotations

from pathlib import Path

import pytest

from portability_pipelines.domain.declarations import TableDeclaration
from portability_tests.orchestration.databases import declared, definitions


@pytest.mark.parametrize(
    "names",
    [("backup", "clients"), ("Order Details", "Order-Details"), ("a/b", "заказы", "клиент")],
    ids=["as an asset of ours", "alike", "other letters"],
)
def test_tables_of_any_names_have_keys_of_their_own(names: tuple[str, ...]) -> None:
    tables = tuple(TableDeclaration(name) for name in names)
    graph = definitions(declared(Path("absent"), tables=tables)).resolve_asset_graph()
    keys = graph.get_all_asset_keys()
    assert len([key for key in keys if key.path[1] == "exports"]) == len(names)
    assert len(keys) == 3 * len(names) + 1
