"""A small declared database for tests of the Dagster face."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import dagster as dg

from portability_pipelines.domain.declarations import (
    Backup,
    Database,
    Exports,
    Migration,
    SourceReference,
    TableDeclaration,
)
from portability_pipelines.domain.months import Month
from portability_pipelines.orchestration.build import database_definitions, project_definitions
from portability_pipelines.orchestration.resources import Archives

TABLES = (
    TableDeclaration("user_activity", "timestamp"),
    TableDeclaration("credit_consumption", "consumed_at"),
    TableDeclaration("location_cache"),
)


def declared(source: Path, **parts: object) -> Database:
    """The sample at ``source`` with a few of its tables."""
    fields: dict[str, object] = {
        "first_month": Month(2024, 12),
        "tables": TABLES,
        "exports": Exports(("parquet", "csv")),
        "backup": Backup(),
        "migration": Migration("sample"),
    }
    return Database("shop", SourceReference("sqlite", str(source)), **{**fields, **parts})  # type: ignore[arg-type]


def definitions(database: Database, store_url: str | None = None) -> dg.Definitions:
    """The database's definitions, complete with resources."""
    shared = project_definitions(Archives(store_url=store_url))
    return dg.Definitions.merge(database_definitions(database), shared)


def with_rechecks(defs: dg.Definitions, key: dg.AssetKey) -> dg.Definitions:
    """``defs`` and a job of the checks alone, as "Execute all" on the Checks tab runs them."""
    checks = dg.define_asset_job("recheck", dg.AssetSelection.checks_for_assets(key))
    return dg.Definitions.merge(defs, dg.Definitions(jobs=[checks]))


def run(
    defs: dg.Definitions,
    job: str,
    instance: dg.DagsterInstance,
    *,
    months: Sequence[str] = (),
    assets: Sequence[dg.AssetKey] | None = None,
) -> dg.ExecuteInProcessResult:
    """Run ``job`` for no month, one month, or a range of months in a single run."""
    tags = {}
    if len(months) > 1:
        tags = {
            "dagster/asset_partition_range_start": months[0],
            "dagster/asset_partition_range_end": months[-1],
        }
    return defs.resolve_job_def(job).execute_in_process(
        instance=instance,
        partition_key=months[0] if len(months) == 1 else None,
        tags=tags,
        asset_selection=list(assets) if assets else None,
        raise_on_error=False,
    )


def failure(result: dg.ExecuteInProcessResult) -> str:
    """The one reason for which the run failed."""
    (event,) = [e for e in result.all_events if e.is_step_failure]
    error = event.step_failure_data.error
    assert error is not None
    user = event.step_failure_data.user_failure_data
    return (user.description if user else None) or str(error.cause or error)
