"""Jobs and schedules of a database: nightly backups, exports and migrations."""

from collections.abc import Iterator, Sequence
from zoneinfo import ZoneInfo

import dagster as dg

from portability_pipelines.domain.declarations import Database
from portability_pipelines.domain.months import Month
from portability_pipelines.orchestration.keys import open_month

DAYS_OF_GRACE = 2
"""On these first days of a month, the month just closed is covered once more."""

Proven = dg.AssetsDefinition | dg.AssetChecksDefinition


def monthly_job(
    database: Database, name: str, parts: Sequence[Proven], cron: str | None, *, grace: bool
) -> dg.Definitions:
    """A job of ``parts`` for one month, scheduled for the open one.

    With ``grace`` the schedule also covers the month just closed, in the first days of the next:
    what was written on its last day is in no archive yet.
    """
    job = dg.define_asset_job(f"{database.name}_{name}", _selection(parts))
    if cron is None:
        return dg.Definitions(jobs=[job])

    @dg.schedule(
        name=f"{database.name}_{name}_schedule",
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

    return dg.Definitions(jobs=[job], schedules=[due])


def plain_job(
    database: Database, name: str, parts: Sequence[Proven], cron: str | None
) -> dg.Definitions:
    """A job of ``parts`` that have no partitions, and its schedule."""
    job = dg.define_asset_job(f"{database.name}_{name}", _selection(parts))
    if cron is None:
        return dg.Definitions(jobs=[job])
    schedule = dg.ScheduleDefinition(
        name=f"{database.name}_{name}_schedule",
        job=job,
        cron_schedule=cron,
        execution_timezone=database.timezone,
        default_status=_status(database),
    )
    return dg.Definitions(jobs=[job], schedules=[schedule])


def _selection(parts: Sequence[Proven]) -> dg.AssetSelection:
    """The assets among ``parts``; the checks on them come along."""
    return dg.AssetSelection.assets(*(key for part in parts for key in part.keys))


def _months(current: Month, *, closed_too: bool) -> list[Month]:
    if not closed_too:
        return [current]
    years, index = divmod(current.number - 2, 12)
    return [Month(current.year + years, index + 1), current]


def _status(database: Database) -> dg.DefaultScheduleStatus:
    running = database.schedules_run
    return dg.DefaultScheduleStatus.RUNNING if running else dg.DefaultScheduleStatus.STOPPED
