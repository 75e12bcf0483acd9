"""Jobs and schedules of a database: nightly backups, exports and migrations."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import dagster as dg

from portability_pipelines.domain.declarations import Database
from portability_pipelines.domain.months import months_between
from portability_pipelines.orchestration.keys import open_month

GRACE = timedelta(days=2)
TICKS_OF_GRACE = 2
"""A month that closed so long ago, or so many ticks ago, is covered once more."""

DESCRIPTIONS = {
    "exports": "Exports a month of every table that has dates, and proves each archive.",
    "whole_exports": "Exports what belongs to no month: tables without dates, and the rows that no "
    "month claims. Proves each archive.",
    "backup": "Backs up the whole database, encrypted, and proves that it restores.",
    "migration": "Migrates a month of every table that has dates to MongoDB, and compares every "
    "document with its row.",
    "whole_migration": "Migrates to MongoDB what belongs to no month: tables without dates, and "
    "the rows that no month claims. Compares every document with its row.",
}
"""What a job does, by its name within the database."""

Proven = dg.AssetsDefinition | dg.AssetChecksDefinition


def monthly_job(
    database: Database, name: str, parts: Sequence[Proven], cron: str | None, *, grace: bool
) -> dg.Definitions:
    """A job of ``parts`` for one month, scheduled for the open one.

    With ``grace`` the schedule also covers the months that closed a few ticks ago, or since its
    last run that succeeded: what was written between the last run in a month and the month's end
    is in no archive yet.
    """
    job = dg.define_asset_job(
        f"{database.name}_{name}", _selection(parts), description=DESCRIPTIONS[name]
    )
    if cron is None:
        return dg.Definitions(jobs=[job])
    schedule = f"{job.name}_schedule"

    @dg.schedule(
        name=schedule,
        job=job,
        cron_schedule=cron,
        execution_timezone=database.timezone,
        default_status=_status(database),
    )
    def due(context: dg.ScheduleEvaluationContext) -> Iterator[dg.RunRequest]:
        now = context.scheduled_execution_time
        first = now
        if grace:
            first = min(_grace_begins(database, cron, now), _last_success(context, schedule))
        since = max(open_month(database, first), database.first_month)
        for month in months_between(since, open_month(database, now)):
            yield dg.RunRequest(
                run_key=f"{now.isoformat()} {month}", partition_key=month.partition_key
            )

    return dg.Definitions(jobs=[job], schedules=[due])


def plain_job(
    database: Database, name: str, parts: Sequence[Proven], cron: str | None
) -> dg.Definitions:
    """A job of ``parts`` that have no partitions, and its schedule."""
    job = dg.define_asset_job(
        f"{database.name}_{name}", _selection(parts), description=DESCRIPTIONS[name]
    )
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


def _grace_begins(database: Database, cron: str, tick: datetime) -> datetime:
    """The moment since which a month may have closed that ``tick`` is to cover again."""
    earliest = tick.astimezone(ZoneInfo(database.timezone)) - GRACE
    for _ in range(TICKS_OF_GRACE):
        tick = _tick_before(database, cron, tick)
    return min(earliest, tick)


def _tick_before(database: Database, cron: str, tick: datetime) -> datetime:
    ticks = dg.TimeWindowPartitionsDefinition(
        start=database.first_month.partition_key,
        fmt="%Y-%m-%d",
        cron_schedule=cron,
        timezone=database.timezone,
    )
    between = ticks.get_prev_partition_window(tick, respect_bounds=False)
    if between is None:
        return tick
    return between.end if between.end < tick else between.start


def _last_success(context: dg.ScheduleEvaluationContext, schedule: str) -> datetime:
    """When the schedule asked for its last run that succeeded; the tick itself where none did.

    A tick's own runs do not count, as one that is repeated must ask for the same months.
    """
    tick = context.scheduled_execution_time
    if context.instance_ref is None:
        return tick
    runs = dg.RunsFilter(
        statuses=[dg.DagsterRunStatus.SUCCESS],
        tags={"dagster/schedule_name": schedule},
        created_before=tick.astimezone(UTC),
    )
    found = context.instance.get_run_records(runs, limit=1)
    return found[0].create_timestamp if found else tick


def _status(database: Database) -> dg.DefaultScheduleStatus:
    running = database.schedules_run
    return dg.DefaultScheduleStatus.RUNNING if running else dg.DefaultScheduleStatus.STOPPED
