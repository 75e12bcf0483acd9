"""Schedules: which months are due when."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import dagster as dg
import pytest

from portability_tests.orchestration.databases import declared, definitions


def due(schedule: str, at: str, timezone: str = "UTC") -> list[str | None]:
    defs = definitions(declared(Path("absent.sqlite"), timezone=timezone))
    moment = datetime.fromisoformat(at).astimezone(UTC)
    context = dg.build_schedule_context(
        scheduled_execution_time=moment, repository_def=defs.get_repository_def()
    )
    tick = defs.resolve_schedule_def(schedule).evaluate_tick(context)
    requests = tick.run_requests or []
    assert len({request.run_key for request in requests}) == len(requests)
    return [request.partition_key for request in requests]


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
@pytest.mark.parametrize("job", ["shop_exports", "shop_migration"])
def test_the_open_month_is_due_and_at_first_the_one_just_closed(
    job: str, at: str, months: list[str]
) -> None:
    assert due(f"{job}_schedule", at) == months


def test_a_backup_is_due_for_the_month_it_is_taken_in_alone() -> None:
    assert due("shop_backup_schedule", "2026-12-01T02:00:00+00:00") == ["2026-12-01"]


def test_the_month_is_that_of_the_declared_time_zone() -> None:
    at = "2026-11-30T23:30:00+00:00"
    assert due("shop_backup_schedule", at) == ["2026-11-01"]
    assert due("shop_backup_schedule", at, "Europe/Berlin") == ["2026-12-01"]
