"""The operations side of the pretend application: what users and agents did, cost and broke."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

from portability_pipelines.sample.dirt import (
    BEYOND_DOUBLES,
    BLOCK,
    LARGEST_INTEGER,
    RARELY,
    SMALLEST_INTEGER,
    awkward_text,
)
from portability_pipelines.sample.plan import USERS, Plan, iso, iso_with_space

ACTIONS = ("login", "view_chart", "create_chart", "export", "share", "search", "logout")
PAGES = ("home", "charts", "r\u00e9glages", "billing")
LEVELS = ("warning", "error", "critical")
GROUPS = ("research", "support", "\u5206\u6790")
STATUSES = (200, 400, 404, 429, 500, 503)
MISFIT_DURATIONS = ("n/a", "pending", "12 s")
_WORKSPACES = 40
_MISFIT_DAY = 472
"""Days from the first: the middle of the sixteenth month, whichever month is the first."""
_SNOWFLAKE_START = 1 << 60


def user_activity(plan: Plan) -> Iterator[tuple[Any, ...]]:
    """``plan.activity_rows`` actions in nearly their time order."""
    draw = plan.random("user_activity").random
    users = [plan.identifier("user", number) for number in range(USERS)]
    misfits = _misfit_durations(plan)
    moments = plan.moments(plan.activity_rows, "activity", disorder=2)
    for number, moment in enumerate(moments):
        duration = int(draw() * draw() * 30_000)
        page = PAGES[int(draw() * len(PAGES))]
        yield (
            number + 1,
            users[int(draw() * USERS)],
            f"ws_{100 + int(draw() * _WORKSPACES)}",
            ACTIONS[int(draw() * len(ACTIONS))],
            iso(moment),
            round(draw() * 10, 2) if number % 20 else None,
            misfits.get(number, duration),
            f'{{"page": "{page}", "items": {duration % 50}}}' if number % 3 else None,
        )


def agent_performance(plan: Plan) -> Iterator[tuple[Any, ...]]:
    """One summary per agent and day, over as many agents as the size asks for."""
    draw = plan.random("agent_performance").random
    count = plan.share(20)
    agents = count // plan.days + 1
    infinite = {19: float("inf")}
    for number in range(count):
        day = plan.first_day + timedelta(days=number * plan.days // count)
        tasks = int(draw() * 400)
        yield (
            f"agent_{number % agents:03d}",
            day.isoformat(),
            GROUPS[number % len(GROUPS)],
            tasks,
            int(tasks * draw()),
            infinite.get(number % RARELY, round(draw() * 3, 4)),
            round(draw() * 2000, 1),
        )


def credit_consumption(plan: Plan) -> Iterator[tuple[Any, ...]]:
    """Credits spent: whole numbers and fractions in one NUMERIC column."""
    draw = plan.random("credit_consumption").random
    misfits = {17: "n/a", 37: "free"}
    wide = {57: BEYOND_DOUBLES}
    for number, moment in enumerate(plan.moments(plan.share(10), "credits")):
        spent = int(draw() * 50) if number % 2 else round(draw() * 50, 2)
        yield (
            number + 1,
            plan.identifier("user", int(draw() * USERS)),
            f"ws_{100 + int(draw() * _WORKSPACES)}",
            wide.get(number % RARELY, misfits.get(number % BLOCK, spent)),
            iso_with_space(moment),
        )


def error_logs(plan: Plan) -> Iterator[tuple[Any, ...]]:
    """Errors with stack traces, dated in epoch seconds."""
    draw = plan.random("error_logs").random
    codes = {5: "n/a", 6: None, 9: "ECONNRESET"}
    requests = {3: LARGEST_INTEGER, 4: SMALLEST_INTEGER, 7: 0}
    for number, moment in enumerate(plan.moments(plan.share(50), "errors")):
        status = STATUSES[int(draw() * len(STATUSES))]
        yield (
            number + 1,
            moment // 1000,
            LEVELS[int(draw() * len(LEVELS))],
            codes.get(number % BLOCK, status),
            requests.get(number % BLOCK, _SNOWFLAKE_START + (number << 22) + int(draw() * 4096)),
            awkward_text(number, "The upstream service did not answer"),
            _stack_trace(number, "\r\n" if number % 4 == 0 else "\n"),
        )


def _misfit_durations(plan: Plan) -> dict[int, str]:
    """The rows, in the middle of one month, whose duration is a text."""
    first = plan.activity_rows * _MISFIT_DAY // plan.days
    return {first + step: text for step, text in enumerate(MISFIT_DURATIONS)}


def _stack_trace(number: int, newline: str) -> str:
    calls = (
        f'  File "app/{module}.py", line {10 + number % 90}, in {module}'
        for module in ("server", "routes", "charts", "store")[: 2 + number % 3]
    )
    return newline.join(
        ("Traceback (most recent call last):", *calls, f"TimeoutError: attempt {number % 5}")
    )
