"""Jobs and schedules of a database: nightly backups, exports and migrations."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from zoneinfo import ZoneInfo

import dagster as dg

from portability_pipelines.domain.declarations import Database
from portability_pipelines.domain.months import Month
from portability_pipelines.orchestration.keys import months_of, open_month

DAYS_OF_GRACE = 2
"""On these first days of a month, the month just closed is covered once more."""

Proven = dg.AssetsDefinition | dg.AssetChecksDefinition


def job_of(
    database: Database, name: str, parts: Sequence[Proven], *, by_month: bool
) -> dg.UnresolvedAssetJobDefinition:
    """A job of ``parts``: assets, and the checks on them."""
    selection = dg.AssetSelection.assets(
        *(key for part in parts if isinstance(part, dg.AssetsDefinition) for key in part.keys)
    )
    return dg.define_asset_job(
        f"{database.name}_{name}",
        selection=selection,
        partitions_def=months_of(database) if by_month else None,
        tags={"portability/database": database.name},
    )


def monthly_schedule(
    database: Database, job: dg.UnresolvedAssetJobDefinition, cron: str, *, grace: bool
) -> dg.ScheduleDefinition:
    """Run ``job`` for the open month; with ``grace`` also for the one just closed."""

    @dg.schedule(
        name=f"{job.name}_schedule",
        job=job,
        cron_schedule=cron,
        execution_timezone=database.timezone,
        default_status=_status(database),
    )
    def due(context: dg.ScheduleEvaluationContext) -> Iterator[dg.RunRequest]:
        now = context.scheduled_execution_time
        current = open_month(database, now)
        day = now.astimezone(ZoneInfo(database.timezone)).day
        for month in _months(current, closed_too=grace and day <= DAYS_OF_GRACE):
            if month >= database.first_month:
                yield dg.RunRequest(
                    run_key=f"{now.isoformat()} {month}", partition_key=month.partition_key
                )

    return due


def plain_schedule(
    database: Database, job: dg.UnresolvedAssetJobDefinition, cron: str
) -> dg.ScheduleDefinition:
    """Run the unpartitioned ``job``."""
    return dg.ScheduleDefinition(
        name=f"{job.name}_schedule",
        job=job,
        cron_schedule=cron,
        execution_timezone=database.timezone,
        default_status=_status(database),
    )


def _months(current: Month, *, closed_too: bool) -> list[Month]:
    if not closed_too:
        return [current]
    years, index = divmod(current.number - 2, 12)
    return [Month(current.year + years, index + 1), current]


def _status(database: Database) -> dg.DefaultScheduleStatus:
    running = database.schedules_run
    return dg.DefaultScheduleStatus.RUNNING if running else dg.DefaultScheduleStatus.STOPPED
