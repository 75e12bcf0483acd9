"""Exports that were damaged in the store: found by their checks, replaced by the next run."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import dagster as dg
import pytest

from portability_pipelines.domain.manifest import Manifest
from portability_pipelines.stores.base import Store
from portability_pipelines.stores.registry import open_store
from portability_tests.archives import archives, taken_ahead
from portability_tests.conftest import MakeStoreUrl
from portability_tests.orchestration.databases import declared, definitions, run, with_rechecks

KEY = dg.AssetKey(["shop", "exports", "user_activity"])


def held(store: Store) -> list[Manifest]:
    return list(archives(store, "shop"))


def recheck(defs: dg.Definitions, instance: dg.DagsterInstance) -> list[dg.AssetCheckEvaluation]:
    """The blocking checks of March that fail when nothing but checks is run."""
    job = with_rechecks(defs, KEY).resolve_job_def("recheck")
    result = job.execute_in_process(
        instance=instance, tags={"dagster/partition": "2026-03-01"}, raise_on_error=False
    )
    return [c for c in result.get_asset_check_evaluations() if not c.passed and c.blocking]


def damage(store: Store, manifest: Manifest) -> None:
    """Turn a bit of a file of the archive."""
    path = Path(store.locate(f"{manifest.prefix}/{manifest.files[0].name}"))
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


Exported = tuple[dg.Definitions, Store]


@pytest.fixture
def exported(
    source: Path, make_store_url: MakeStoreUrl, staging_root: Path, instance: dg.DagsterInstance
) -> Exported:
    """The definitions of a database, and a store with an export of its March."""
    url = make_store_url("local")
    defs = definitions(declared(source), url)
    assert run(defs, "shop_exports", instance, months=["2026-03-01"], assets=[KEY]).success
    return defs, open_store(url, staging_root=staging_root)


def test_a_check_is_about_the_archive_that_was_reported_and_no_newer_one(
    source: Path, exported: Exported, instance: dg.DagsterInstance
) -> None:
    defs, store = exported
    (reported,) = held(store)
    with closing(sqlite3.connect(source)) as connection:
        connection.execute("UPDATE user_activity SET details = 'other'")
        connection.commit()
    with dg.DagsterInstance.ephemeral() as elsewhere:
        assert run(defs, "shop_exports", elsewhere, months=["2026-03-01"], assets=[KEY]).success
    assert recheck(defs, instance) == []

    damage(store, reported)

    (wrong,) = recheck(defs, instance)
    assert wrong.check_name == "equals_source"


def test_an_export_that_another_from_a_wrong_clock_overshadows_is_not_proven(
    exported: Exported, instance: dg.DagsterInstance
) -> None:
    defs, store = exported
    ahead = taken_ahead(store, held(store)[0], timedelta(days=1))
    (wrong,) = recheck(defs, instance)
    assert wrong.check_name == "equals_source"
    assert ahead.archive_id in str(wrong.description)


def test_a_damaged_archive_fails_its_blocking_check_and_is_mended_by_running_again(
    source: Path,
    make_store_url: MakeStoreUrl,
    staging_root: Path,
    instance: dg.DagsterInstance,
) -> None:
    url = make_store_url("local")
    defs = definitions(declared(source), url)
    assert run(defs, "shop_exports", instance, months=["2026-03-01"]).success
    store = open_store(url, staging_root=staging_root)
    (written,) = [m for m in held(store) if m.dataset == "user_activity"]
    damage(store, written)

    (failed,) = recheck(defs, instance)
    assert (failed.asset_key, failed.check_name) == (KEY, "equals_source")
    assert "user_activity.parquet" in str(failed.description)

    again = run(defs, "shop_exports", instance, months=["2026-03-01"])
    evaluations = again.get_asset_check_evaluations()
    proven = {c.asset_key: c.passed for c in evaluations if c.check_name == "equals_source"}
    assert proven == {KEY: True, dg.AssetKey(["shop", "exports", "credit_consumption"]): True}
    kept = [m for m in held(store) if m.dataset == "user_activity"]
    assert len(kept) == 2, "a new archive beside the damaged one"
    (record,) = instance.fetch_materializations(KEY, limit=1).records
    assert record.asset_materialization
    replaces = str(record.asset_materialization.metadata["replaces"].value)
    assert replaces.startswith(f"{written.archive_id}: it is damaged: user_activity.parquet")
    said = [entry.user_message for entry in instance.all_logs(again.run_id)]
    assert any(replaces in line for line in said)
