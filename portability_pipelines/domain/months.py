"""Calendar months and the other periods that an archive may cover."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date
from typing import Self

from portability_pipelines.domain.errors import RefusedError

_WRITTEN = re.compile(r"(\d{4})-(0[1-9]|1[0-2])(-01)?")


@dataclass(frozen=True, order=True)
class Month:
    """One calendar month; sorts by time and prints as ``2026-10``."""

    year: int
    number: int

    @classmethod
    def parse(cls, written: str) -> Self:
        """Read ``2026-10`` or a partition key ``2026-10-01``; anything else is refused."""
        found = _WRITTEN.fullmatch(written)
        if not found:
            raise RefusedError(
                f"{written!r} is not a month", "Write it as 2026-10 or as 2026-10-01."
            )
        return cls(int(found[1]), int(found[2]))

    @classmethod
    def of(cls, day: date) -> Self:
        """The month that holds ``day``."""
        return cls(day.year, day.month)

    def __str__(self) -> str:
        return f"{self.year:04d}-{self.number:02d}"

    @property
    def partition_key(self) -> str:
        """The key of this month in Dagster's monthly partitions."""
        return f"{self}-01"

    @property
    def next(self) -> Month:
        """The month after this one."""
        years, index = divmod(self.number, 12)
        return Month(self.year + years, index + 1)


def months_between(first: Month, last: Month) -> tuple[Month, ...]:
    """Every month from ``first`` to ``last``, both included."""
    months = []
    while first <= last:
        months.append(first)
        first = first.next
    return tuple(months)


ALL = "all"
"""The period of an archive that holds a whole table."""

UNDATED = "undated"
"""The period of an archive that holds the rows which no month of the partitions claims."""

Period = str
"""``str(Month)``, ``ALL`` or ``UNDATED``: the folder name of an archive's period."""
