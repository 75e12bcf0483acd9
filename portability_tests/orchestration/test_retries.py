"""A store that fails for a moment: the step is tried again, in the same process."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from portability_pipelines.domain.errors import TransientError
from portability_pipelines.orchestration import failures
from portability_pipelines.stores.local import LocalStore
from portability_pipelines.stores.registry import open_store
from portability_tests.archives import archives
from portability_tests.conftest import MakeStoreUrl
from portability_tests.orchestration.databases import declared, definitions, run


@pytest.fixture
def troubles(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The manifests that were not published, each at the first attempt."""
    refused: list[str] = []
    publish = LocalStore.publish

    def unsteady(self: LocalStore, key: str, content: bytes) -> None:
        table = key.split("/")[2]
        if table not in refused:
            refused.append(table)
            raise TransientError(f"Publishing {key} failed for a moment", "Try again.")
        publish(self, key, content)

    monkeypatch.setattr(LocalStore, "publish", unsteady)
    monkeypatch.setattr(failures, "SECONDS_BETWEEN", 0)
    return refused


@pytest.mark.parametrize("job", ["shop_exports", "shop_backup"])
def test_a_run_goes_on_when_the_store_does(
    source: Path,
    make_store_url: MakeStoreUrl,
    staging_root: Path,
    instance: dg.DagsterInstance,
    troubles: list[Any],
    passphrase: str,
    job: str,
) -> None:
    url = make_store_url("local")
    defs = definitions(declared(source), url)
    month = defs.resolve_job_def(job).partitions_def
    assert month is not None
    result = run(defs, job, instance, months=[month.get_partition_keys()[-1]])
    assert result.success
    held = [
        manifest.dataset
        for manifest in archives(open_store(url, staging_root=staging_root), "shop")
    ]
    assert sorted(held) == sorted(troubles)
