"""Definitions, assembled in one place; what tests and other projects call."""

from __future__ import annotations

from datetime import UTC, datetime

import dagster as dg

from portability_pipelines.domain.declarations import Database
from portability_pipelines.orchestration.backups import (
    backup_asset,
    backup_checks,
    backup_drill_job,
    restore_backup_job,
)
from portability_pipelines.orchestration.exports import export_assets
from portability_pipelines.orchestration.io_managers import ArchiveIOManager
from portability_pipelines.orchestration.jobs import Proven, monthly_job, plain_job
from portability_pipelines.orchestration.keys import table_key
from portability_pipelines.orchestration.migrations import migration_assets
from portability_pipelines.orchestration.resources import Archives
from portability_pipelines.orchestration.rules import require_sound


def database_definitions(database: Database) -> dg.Definitions:
    """Everything that a declared database asks for; needs ``project_definitions`` beside it.

    Raises ``RefusedError`` where the declaration breaks one of ``rules``.
    """
    require_sound(database, datetime.now(UTC))
    made = _made(database)
    parts = [part for some in made.values() for part in some]
    checks = [part for part in parts if isinstance(part, dg.AssetChecksDefinition)]
    assets = [part for part in parts if not isinstance(part, dg.AssetChecksDefinition)]
    return dg.Definitions.merge(
        dg.Definitions(assets=[*_tables(database), *assets], asset_checks=checks),
        *(_job(database, name, some) for name, some in made.items()),
    )


def project_definitions(archives: Archives | None = None) -> dg.Definitions:
    """What all databases share: resources, the executor, and the jobs that drill and restore.

    Runs are already processes of their own; steps run inside them, as a second process for each
    step would cost more than most steps take.
    """
    store = archives or Archives()
    io_manager = ArchiveIOManager(archives=store)
    return dg.Definitions(
        jobs=[backup_drill_job, restore_backup_job],
        resources={"archives": store, "archives_io": io_manager, "io_manager": io_manager},
        executor=dg.in_process_executor,
    )


def _tables(database: Database) -> list[dg.AssetSpec]:
    return [
        dg.AssetSpec(
            table_key(database, table),
            description=f"The application's own table {table.name}.",
            group_name=database.name,
            kinds={database.source.engine, "table"},
            owners=list(database.owners),
        )
        for table in database.tables
    ]


def _made(database: Database) -> dict[str, list[Proven]]:
    """The assets and checks of each job, by the job's name within the database."""
    made: dict[str, list[Proven]] = {}
    if database.exports:
        made |= export_assets(database, database.exports)
    if database.backup:
        made["backup"] = [backup_asset(database), backup_checks(database)]
    if database.migration:
        made |= migration_assets(database, database.migration)
    return made


def _job(database: Database, name: str, parts: list[Proven]) -> dg.Definitions:
    declared = {
        "backup": database.backup,
        "exports": database.exports,
        "migration": database.migration,
    }[name.removeprefix("whole_")]
    cron = declared.schedule if declared else None
    if name.startswith("whole_"):
        return plain_job(database, name, parts, cron)
    return monthly_job(database, name, parts, cron, grace=name != "backup")
