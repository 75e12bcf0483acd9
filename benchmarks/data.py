"""The databases that everybody reads."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path

from benchmarks.tasks import TABLE
from portability_pipelines.domain.months import Month, months_between
from portability_pipelines.sample.database import generate

_UNTIL = date(2026, 11, 21)
ALL_MONTHS = tuple(map(str, months_between(Month(2024, 12), Month.of(_UNTIL))))
ONE_MONTH = ("2025-06",)


@dataclass(frozen=True)
class Data:
    """``sample`` is the sample database as it is; in ``clean`` every value is of its column's type.

    ``misfits`` rows of ``sample`` hold a text in an INTEGER column, on which most peers stop.
    ``busy`` is ``clean`` for others to write to.
    ``hard`` is small and clean, and holds reals of 17 digits, empty texts and texts with quotes,
    commas and line ends.
    """

    sample: Path
    clean: Path
    busy: Path
    hard: Path
    misfits: int


def prepare(folder: Path, rows: int) -> Data:
    """Write the databases into ``folder``."""
    sample, clean, busy, hard = (
        folder / f"{n}.sqlite" for n in ("sample", "clean", "busy", "hard")
    )
    data = Data(sample, clean, busy, hard, 0)
    generate(data.sample, activity_rows=rows, until=_UNTIL)
    generate(data.clean, activity_rows=rows, until=_UNTIL)
    generate(data.hard, activity_rows=_HARD_ROWS, until=_UNTIL)
    _change(data.hard, _CLEANED, *_HARDENED)
    cleaned = _change(data.clean, _CLEANED)
    shutil.copy(data.clean, data.busy)
    return replace(data, misfits=cleaned)


_HARD_ROWS = 5_000
_CLEANED = f"UPDATE {TABLE} SET duration_ms = 0 WHERE typeof(duration_ms) = 'text'"
_HARDENED = (
    f"UPDATE {TABLE} SET credits = id * id / 7.0 WHERE credits NOT NULL",
    f"UPDATE {TABLE} SET details = '' WHERE id % 5 = 0",
    f"UPDATE {TABLE} SET details = 'said \"no\",' || char(10) || 'and left' WHERE id % 5 = 1",
)


def _change(database: Path, *statements: str) -> int:
    """Run ``statements``; gives the rows that the last one changed."""
    with closing(sqlite3.connect(database)) as connection, connection:
        return [connection.execute(statement).rowcount for statement in statements][-1]
