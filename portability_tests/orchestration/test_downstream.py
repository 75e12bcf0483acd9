"""What an asset that depends on an export is handed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import dagster as dg
import pytest

from portability_pipelines.domain.errors import RefusedError
from portability_pipelines.domain.manifest import MANIFEST_NAME
from portability_pipelines.orchestration.io_managers import Archive
from portability_pipelines.stores.registry import open_store
from portability_tests.archives import archives
from portability_tests.conftest import MakeStoreUrl
from portability_tests.orchestration.databases import declared, definitions, failure, run

KEY = dg.AssetKey(["shop", "exports", "user_activity"])


def test_a_downstream_asset_is_handed_a_lazy_archive(
    source: Path,
    make_store_url: MakeStoreUrl,
    instance: dg.DagsterInstance,
) -> None:
    seen: list[Archive] = []
    defs = definitions(declared(source), make_store_url("local"))
    assert run(defs, "shop_exports", instance, months=["2026-03-01"]).success
    assert downstream(defs, instance, seen.append).success
    (archive,) = seen
    assert archive.manifest.dataset == "user_activity"
    assert archive.manifest.period == "2026-03"
    with archive.open("user_activity.csv.zst") as plain:
        assert plain.read().count(b"\n") > archive.manifest.rows > 0
    with pytest.raises(RefusedError, match=r"Its files are: user_activity\.parquet"):
        archive.open("other").__enter__()


def test_a_downstream_asset_is_handed_nothing_that_was_forged(
    source: Path,
    make_store_url: MakeStoreUrl,
    staging_root: Path,
    instance: dg.DagsterInstance,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    seen: list[Archive] = []
    url = make_store_url("local")
    defs = definitions(declared(source), url)
    monkeypatch.setenv("PORTABILITY_MANIFEST_KEY", "the key of seals")
    assert run(defs, "shop_exports", instance, months=["2026-03-01"], assets=[KEY]).success
    store = open_store(url, staging_root=staging_root)
    (manifest,) = archives(store, "shop")
    key = f"{manifest.prefix}/{MANIFEST_NAME}"
    store.delete(key)
    store.publish(key, replace(manifest, seal=None).to_json())

    result = downstream(defs, instance, seen.append)

    assert "has no seal, though a key for seals is set" in failure(result)
    assert seen == []


@pytest.mark.parametrize(
    "path",
    [["shop", "user_activity"], ["shop", "location_cache"], ["shop", "mongodb", "user_activity"]],
)
def test_a_downstream_asset_of_what_has_no_archive_is_told_so(
    source: Path, make_store_url: MakeStoreUrl, instance: dg.DagsterInstance, path: list[str]
) -> None:
    seen: list[Archive] = []
    defs = definitions(declared(source), make_store_url("local"))

    said = failure(downstream(defs, instance, seen.append, dg.AssetKey(path)))

    assert said.startswith(f"{'/'.join(path)} has no archive to hand on: ")
    assert f"deps=[{dg.AssetKey(path)}]" in said
    assert seen == []


def downstream(
    defs: dg.Definitions,
    instance: dg.DagsterInstance,
    take: Callable[[Archive], None],
    upstream: dg.AssetKey = KEY,
) -> dg.ExecuteInProcessResult:
    """Hand ``upstream``, by default the export of March, to an asset that depends on it."""

    @dg.asset(
        name="downstream",
        ins={"archive": dg.AssetIn(upstream)},
        partitions_def=dg.MonthlyPartitionsDefinition("2024-12-01", end_offset=1),
    )
    def taken(archive) -> None:  # type: ignore[no-untyped-def]
        take(archive)

    more = dg.Definitions.merge(defs, dg.Definitions(assets=[taken]))
    return more.resolve_implicit_global_asset_job_def().execute_in_process(
        instance=instance,
        partition_key="2026-03-01",
        asset_selection=[dg.AssetKey("downstream")],
        raise_on_error=False,
    )
