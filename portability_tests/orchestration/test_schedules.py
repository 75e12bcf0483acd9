"""Schedules: which months are due when."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import dagster as dg
import pytest

from portability_pipelines.domain.declarations import Exports, Migration
from portability_pipelines.domain.months import Month, months_between
from portability_tests.orchestration.databases import declared, definitions

DEFAULTS = {"exports": "0 3 * * *", "migration": "30 3 * * *"}

Evaluate = Callable[[datetime], list[str | None]]


def evaluated(
    job: str,
    cron: str | None = None,
    timezone: str = "UTC",
    instance: dg.DagsterInstance | None = None,
) -> Evaluate:
    """What months a tick of a job's schedule asks for."""
    crons = {**DEFAULTS, **({job: cron} if cron else {})}
    database = declared(
        Path("absent.sqlite"),
        timezone=timezone,
        exports=Exports(schedule=crons["exports"]),
        migration=Migration("sample", schedule=crons["migration"]),
    )
    defs = definitions(database)
    repository = defs.get_repository_def()
    schedule = defs.resolve_schedule_def(f"shop_{job}_schedule")

    def due(tick: datetime) -> list[str | None]:
        with dg.build_schedule_context(
            instance, scheduled_execution_time=tick, repository_def=repository
        ) as context:
            requests = schedule.evaluate_tick(context).run_requests or []
        assert len({request.run_key for request in requests}) == len(requests)
        return [request.partition_key for request in requests]

    return due


def partitions(first: Month, last: Month) -> list[str]:
    """The partitions from ``first`` to ``last``, both included."""
    return [month.partition_key for month in months_between(first, last)]


def days(first: date, last: date) -> Iterator[date]:
    """Every day from ``first`` to ``last``, both included."""
    while first <= last:
        yield first
        first += timedelta(days=1)


def ticks(
    first: date, last: date, hours: tuple[int, ...], falls: Callable[[date], bool], timezone: str
) -> list[datetime]:
    """The hours of the days that a cron ``falls`` on."""
    zone = ZoneInfo(timezone)
    return [
        datetime.combine(day, time(hour), zone)
        for day in days(first, last)
        if falls(day)
        for hour in hours
    ]


@pytest.mark.parametrize(
    ("at", "months"),
    [
        ("2026-11-21T03:00:00+00:00", ["2026-11-01"]),
        ("2026-12-01T03:00:00+00:00", ["2026-11-01", "2026-12-01"]),
        ("2026-12-02T03:00:00+00:00", ["2026-11-01", "2026-12-01"]),
        ("2026-12-03T03:00:00+00:00", ["2026-12-01"]),
        ("2027-01-01T03:00:00+00:00", ["2026-12-01", "2027-01-01"]),
        ("2024-12-01T03:00:00+00:00", ["2024-12-01"]),
    ],
)
@pytest.mark.parametrize("job", ["exports", "migration"])
def test_the_open_month_is_due_and_at_first_the_one_just_closed(
    job: str, at: str, months: list[str]
) -> None:
    assert evaluated(job)(datetime.fromisoformat(at)) == months


@pytest.mark.parametrize(
    ("job", "timezone"), [("exports", "UTC"), ("migration", "Pacific/Auckland")]
)
@pytest.mark.parametrize(
    ("cron", "hours", "falls"),
    [
        ("0 3 * * *", (3,), lambda day: True),
        ("0 * * * *", tuple(range(24)), lambda day: True),
        ("0 3 * * 1-5", (3,), lambda day: day.isoweekday() <= 5),
        ("0 3 * * 0", (3,), lambda day: day.isoweekday() == 7),
        ("0 3 15 * *", (3,), lambda day: day.day == 15),
        ("0 22 L * *", (22,), lambda day: (day + timedelta(days=1)).day == 1),
        ("0 3 31 * *", (3,), lambda day: day.day == 31),
        ("0 3 1 */3 *", (3,), lambda day: day.day == 1 and day.month % 3 == 1),
        ("0 3 1 7 *", (3,), lambda day: (day.day, day.month) == (1, 7)),
    ],
)
def test_every_month_is_due_after_its_end_whatever_the_cron(
    job: str, cron: str, hours: tuple[int, ...], falls: Callable[[date], bool], timezone: str
) -> None:
    due = evaluated(job, cron, timezone)
    first, last = date(2025, 12, 20), date(2027, 7, 10)
    asked = {tick: due(tick) for tick in ticks(first, last, hours, falls, timezone)}
    for month in months_between(Month(2026, 1), Month(2026, 12)):
        after = [tick for tick, months in asked.items() if month.partition_key in months]
        assert any(Month.of(tick.date()) > month for tick in after), month
    for tick, months in asked.items():
        assert months[-1] == Month.of(tick.date()).partition_key, "the open month"


@pytest.mark.parametrize(
    ("cron", "at", "months"),
    [
        ("0 3 * * 0", "2026-05-03", ["2026-04-01", "2026-05-01"]),
        ("0 3 * * 0", "2026-05-10", ["2026-04-01", "2026-05-01"]),
        ("0 3 * * 0", "2026-05-17", ["2026-05-01"]),
        ("0 3 15 * *", "2026-05-15", ["2026-03-01", "2026-04-01", "2026-05-01"]),
        ("0 3 1 1 *", "2027-01-01", partitions(Month(2025, 1), Month(2027, 1))),
        ("0 * * * *", "2026-05-02", ["2026-04-01", "2026-05-01"]),
        ("0 * * * *", "2026-05-03", ["2026-05-01"]),
    ],
)
def test_grace_lasts_two_ticks_and_at_least_two_days(cron: str, at: str, months: list[str]) -> None:
    assert evaluated("exports", cron)(datetime.fromisoformat(f"{at}T03:00:00+00:00")) == months


@pytest.fixture
def kept() -> Iterator[dg.DagsterInstance]:
    """An instance whose runs a schedule can look up."""
    with dg.DagsterInstance.local_temp() as instance:
        yield instance


def ran(
    instance: dg.DagsterInstance,
    at: str,
    status: dg.DagsterRunStatus,
    job: str | None = "exports",
) -> None:
    """Let the instance know a run that the schedule of ``job`` has asked for; or a person did."""
    tags = {"dagster/schedule_name": f"shop_{job}_schedule"} if job else {}
    run = dg.DagsterRun(f"shop_{job or 'exports'}", status=status, tags=tags)
    instance.run_storage.add_historical_run(run, datetime.fromisoformat(at))


SUCCESS, FAILURE = dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE


def test_months_that_closed_since_the_last_run_that_succeeded_are_due(
    kept: dg.DagsterInstance,
) -> None:
    ran(kept, "2026-10-29T03:00:20", SUCCESS)
    ran(kept, "2026-12-01T03:00:20", FAILURE)
    ran(kept, "2026-12-11T03:30:20", SUCCESS, "migration")
    ran(kept, "2026-12-11T11:00:00", SUCCESS, None)
    tick = datetime(2026, 12, 12, 3, tzinfo=UTC)
    due = evaluated("exports", instance=kept)
    assert due(tick) == partitions(Month(2026, 10), Month(2026, 12))

    ran(kept, "2026-12-12T03:00:20", SUCCESS)

    assert due(tick) == partitions(Month(2026, 10), Month(2026, 12)), "a tick that is repeated"
    assert due(tick + timedelta(days=1)) == ["2026-12-01"]


def test_the_month_of_the_last_run_is_that_of_the_declared_time_zone(
    kept: dg.DagsterInstance,
) -> None:
    ran(kept, "2026-10-31T14:00:20", SUCCESS)
    due = evaluated("exports", timezone="Pacific/Auckland", instance=kept)
    tick = datetime(2026, 12, 12, 3, tzinfo=ZoneInfo("Pacific/Auckland"))
    assert due(tick) == ["2026-11-01", "2026-12-01"]


def test_no_run_makes_months_before_the_first_declared_one_due(kept: dg.DagsterInstance) -> None:
    ran(kept, "2024-10-29T03:00:20", SUCCESS)
    due = evaluated("exports", instance=kept)
    assert due(datetime(2025, 1, 12, 3, tzinfo=UTC)) == ["2024-12-01", "2025-01-01"]


def test_a_backup_is_due_for_the_month_it_is_taken_in_alone(kept: dg.DagsterInstance) -> None:
    ran(kept, "2026-10-29T02:00:20", SUCCESS, "backup")
    at = datetime.fromisoformat("2026-12-01T02:00:00+00:00")
    assert evaluated("backup", instance=kept)(at) == ["2026-12-01"]


def test_the_month_is_that_of_the_declared_time_zone() -> None:
    at = datetime(2026, 11, 30, 23, 30, tzinfo=UTC)
    assert evaluated("backup")(at) == ["2026-11-01"]
    assert evaluated("backup", timezone="Europe/Berlin")(at) == ["2026-12-01"]
