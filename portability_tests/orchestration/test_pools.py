"""Pools: whatever reads a database takes turns with everything else that does."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import dagster as dg

from portability_pipelines.domain.declarations import Migration
from portability_pipelines.orchestration.build import database_definitions
from portability_tests.orchestration.databases import declared, definitions

PARTS = (
    "user_activity",
    "user_activity__undated",
    "credit_consumption",
    "credit_consumption__undated",
    "location_cache",
)
ASSETS = ("backup", *(f"{kind}/{part}" for kind in ("exports", "mongodb") for part in PARTS))


def test_every_asset_is_in_the_pool_of_its_database() -> None:
    shop = declared(Path("absent"))
    other = replace(shop, name="other", migration=Migration("other"))
    defs = dg.Definitions.merge(definitions(shop), database_definitions(other))
    graph = defs.resolve_asset_graph()
    made = [graph.get(key) for key in graph.materializable_asset_keys]
    assert {asset.key.to_user_string(): asset.pools for asset in made} == {
        f"{name}/{asset}": {f"database_{name}"} for name in ("shop", "other") for asset in ASSETS
    }
