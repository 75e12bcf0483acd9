"""How much of everything a sample database holds, and when it happened."""

from __future__ import annotations

import random
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta

MONTHS = 24
DAY_MS = 86_400_000
USERS = 500
_EPOCH = datetime(1970, 1, 1)
_FEWEST_ROWS = 24


@dataclass(frozen=True)
class Plan:
    """The arguments of one generation; everything else follows from them.

    Moments are whole milliseconds since 1970 in UTC, from the start of the first month to the end
    of the day ``until``.
    """

    activity_rows: int
    seed: int
    until: date

    @property
    def first_day(self) -> date:
        """The first day of the first of 24 months."""
        months = self.until.year * 12 + self.until.month - MONTHS
        return date(months // 12, months % 12 + 1, 1)

    @property
    def days(self) -> int:
        """Days from the first to ``until``, both included."""
        return (self.until - self.first_day).days + 1

    @property
    def start_ms(self) -> int:
        """The first moment that a row may have."""
        return (self.first_day - _EPOCH.date()).days * DAY_MS

    @property
    def end_ms(self) -> int:
        """The last moment that a row may have."""
        return self.start_ms + self.days * DAY_MS - 1

    def share(self, divisor: int) -> int:
        """One row for every ``divisor`` activity rows, but enough to hold every kind of dirt."""
        return max(_FEWEST_ROWS, self.activity_rows // divisor)

    def random(self, purpose: str) -> random.Random:
        """A stream of randomness that depends on the seed and ``purpose`` only."""
        return random.Random(f"{self.seed}/{purpose}")

    def identifier(self, kind: str, number: int) -> str:
        """The UUID of the ``number``-th thing of ``kind``, so that no list of them is kept."""
        return str(uuid.uuid5(uuid.NAMESPACE_OID, f"{self.seed}/{kind}/{number}"))

    def moments(self, count: int, purpose: str, disorder: float = 0.5) -> Iterator[int]:
        """``count`` moments spread evenly, each up to ``disorder`` places from its own.

        In order as long as ``disorder`` is not above one half. The last is the end itself, so that
        the last month has a row even where it has just begun.
        """
        draw = self.random(f"{purpose} moments").random
        first, last = self.start_ms, self.end_ms
        apart = (last - first) / count
        for place in range(count - 1):
            moment = first + int(apart * (place + 0.5 + (2 * draw() - 1) * disorder))
            yield min(max(moment, first), last)
        yield last

    def later(self, moment_ms: int, days: float) -> int:
        """``days`` after ``moment_ms``, but never after the end."""
        return min(moment_ms + int(days * DAY_MS), self.end_ms)


def iso(moment_ms: int) -> str:
    """``2026-11-21T09:30:00.000Z``."""
    return f"{_moment(moment_ms).isoformat(timespec='milliseconds')}Z"


def iso_with_space(moment_ms: int) -> str:
    """``2026-11-21 09:30:00``, as SQLite's own CURRENT_TIMESTAMP writes it."""
    return _moment(moment_ms).isoformat(" ", "seconds")


def _moment(moment_ms: int) -> datetime:
    return _EPOCH + timedelta(milliseconds=moment_ms)
