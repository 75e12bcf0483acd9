"""What the UI says of a check for each month, from what Dagster holds."""

from __future__ import annotations

from pathlib import Path

import dagster as dg
import pytest

from portability_pipelines.domain.declarations import Database, Migration
from portability_pipelines.orchestration.keys import months_of
from portability_pipelines.stores.registry import open_store
from portability_tests.archives import archives
from portability_tests.conftest import MakeStoreUrl
from portability_tests.orchestration.databases import (
    declared,
    definitions,
    failure,
    run,
    with_rechecks,
)

EXPORT = dg.AssetKey(["shop", "exports", "user_activity"])
BACKUP = dg.AssetKey(["shop", "backup"])
COLLECTION = dg.AssetKey(["shop", "mongodb", "user_activity"])
MONTHS = ("2026-02-01", "2026-03-01", "2026-04-01")


def shown(
    instance: dg.DagsterInstance, database: Database, key: dg.AssetKey, check: str
) -> dict[str, set[str]]:
    """The months in each state of a check that any is in, as the Partitions tab shows them."""
    asked = dg.AssetCheckKey(key, check)
    states = instance.event_log_storage.get_asset_check_state([(asked, months_of(database))])
    months = {
        status.value: set(subset.subset_value.get_partition_keys())
        for status, subset in states[asked].subsets.items()
    }
    return {status: found for status, found in months.items() if found}


@pytest.mark.parametrize("backfill", ["single_run", "run_per_month"])
def test_every_month_that_was_exported_is_shown_as_checked(
    source: Path, make_store_url: MakeStoreUrl, instance: dg.DagsterInstance, backfill: str
) -> None:
    database = declared(source, backfill=backfill)
    defs = definitions(database, make_store_url("local"))
    for months in [MONTHS] if backfill == "single_run" else [[month] for month in MONTHS]:
        assert run(defs, "shop_exports", instance, months=months, assets=[EXPORT]).success
    assert shown(instance, database, EXPORT, "equals_source") == {"SUCCEEDED": set(MONTHS)}
    assert shown(instance, database, EXPORT, "keeps_types") == {
        "FAILED": {"2026-03-01"},
        "SUCCEEDED": {"2026-02-01", "2026-04-01"},
    }


@pytest.mark.parametrize("backfill", ["single_run", "run_per_month"])
def test_every_month_that_was_migrated_is_shown_as_checked(
    source: Path,
    mongod_uri: str,
    tmp_path: Path,
    instance: dg.DagsterInstance,
    monkeypatch: pytest.MonkeyPatch,
    backfill: str,
) -> None:
    monkeypatch.setenv("PORTABILITY_MONGODB_URI", mongod_uri)
    target = Migration(f"shop_{abs(hash(tmp_path))}")
    database = declared(source, backfill=backfill, migration=target)
    defs = definitions(database)
    for months in [MONTHS] if backfill == "single_run" else [[month] for month in MONTHS]:
        assert run(defs, "shop_migration", instance, months=months, assets=[COLLECTION]).success
    assert shown(instance, database, COLLECTION, "matches_source") == {"SUCCEEDED": set(MONTHS)}


def test_in_a_run_of_many_months_only_the_damaged_one_is_shown_as_failed(
    source: Path, make_store_url: MakeStoreUrl, staging_root: Path, instance: dg.DagsterInstance
) -> None:
    url = make_store_url("local")
    database = declared(source, backfill="single_run")
    defs = definitions(database, url)
    assert run(defs, "shop_exports", instance, months=MONTHS, assets=[EXPORT]).success
    store = open_store(url, staging_root=staging_root)
    (damaged,) = [m for m in archives(store, "shop") if m.period == "2026-03"]
    path = Path(store.locate(f"{damaged.prefix}/{damaged.files[0].name}"))
    path.write_bytes(path.read_bytes()[:-1])

    assert not run(with_rechecks(defs, EXPORT), "recheck", instance, months=MONTHS).success

    assert shown(instance, database, EXPORT, "equals_source") == {
        "FAILED": {"2026-03-01"},
        "SUCCEEDED": {"2026-02-01", "2026-04-01"},
    }


@pytest.mark.parametrize(
    ("job", "key"),
    [("shop_backup", BACKUP), ("recheck", BACKUP), ("recheck", EXPORT)],
)
def test_a_run_that_names_no_month_is_refused(
    source: Path,
    make_store_url: MakeStoreUrl,
    instance: dg.DagsterInstance,
    open_month_key: str,
    passphrase: str,
    job: str,
    key: dg.AssetKey,
) -> None:
    defs = with_rechecks(definitions(declared(source), make_store_url("local")), key)
    result = run(defs, job, instance)
    assert not result.success
    assert f"{key.to_user_string()} is made by month, and the run names no month" in failure(result)
    assert f"--partition {open_month_key}" in failure(result)


def test_a_backfill_launches_a_run_for_each_month_or_one_for_all() -> None:
    policies = {}
    for backfill in ("single_run", "run_per_month"):
        graph = definitions(declared(Path("absent"), backfill=backfill)).resolve_asset_graph()
        policies[backfill] = {graph.get(key).backfill_policy for key in (EXPORT, COLLECTION)}
    # None: runs of a month by its key. A policy of one partition a run gives ranges of one.
    assert policies["run_per_month"] == {None}
    assert policies["single_run"] == {dg.BackfillPolicy.single_run()}
