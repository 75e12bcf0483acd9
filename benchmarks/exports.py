"""Contests of exports: every format, one month and all months, compressed and not."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from benchmarks import report
from benchmarks.contest import OURS, Contestant, Outcome, complaint, hold, run_python
from benchmarks.data import ALL_MONTHS, ONE_MONTH, Data
from benchmarks.tasks import Compression, Task
from benchmarks.writer import writing

MOST_TIMES = 1.2
MOST_MIB = 300
BRIEF_ROUNDS = 5
"""One month takes a tenth of a second, in which whatever else happens weighs more: so often is a
round repeated."""
_REFERENCE, _MOMENTS = "benchmarks.reference", "benchmarks.moments"

_FORMS: tuple[tuple[str, Compression], ...] = (
    ("parquet", "zstd"),
    ("csv", "zstd"),
    ("csv", "none"),
    ("jsonl", "zstd"),
    ("jsonl", "none"),
)
_OURS = Contestant(OURS, "ours", "export")
_CONNECTORX = Contestant("ConnectorX", "connectorx", "export", packages=("connectorx",))
_DUCKDB_PACKAGES = ("duckdb", "duckdb-extension-sqlite-scanner")
_DUCKDB = Contestant("DuckDB, sqlite_query", "duckdb", "export", packages=_DUCKDB_PACKAGES)
_PARTITIONED = replace(_DUCKDB, name="DuckDB, PARTITION_BY", function="export_partitioned")
_PANDAS = Contestant("pandas", "pandas", "export", packages=("pandas", "pyarrow"))
_SHELL = Contestant("sqlite3 shell", "sqlite_shell", "export", needs=("sqlite3", "zstd"))


@dataclass(frozen=True)
class Contest:
    """One table of the report; judged where it names further databases.

    In ``hard`` values are hard to write; ``busy`` is written to while it is exported.
    """

    title: str
    task: Task
    contestants: tuple[Contestant, ...]
    hard: str | None = None
    busy: str | None = None


def contests(data: Data) -> Iterator[Contest]:
    """All of them; the last one shows what a few values of another type do."""
    for form, compression in _FORMS:
        for months in (ONE_MONTH, ALL_MONTHS):
            task = Task(str(data.clean), "", months, form, compression)
            others = (str(data.hard), str(data.busy))
            yield Contest(_title(task), task, _contestants(task), *others)
    dirty = Task(str(data.sample), "", ALL_MONTHS, "parquet", "zstd")
    title = f"{_title(dirty)}, {data.misfits} texts among the integers"
    yield Contest(title, dirty, _contestants(dirty))


def run(contest: Contest, rounds: int, folder: Path) -> list[report.Verdict]:
    """Hold ``contest``, compare every output with the database, and print the table."""
    brief = contest.task.months == ONE_MONTH
    repeated = rounds * BRIEF_ROUNDS if brief else rounds
    held = hold(contest.contestants, contest.task, repeated, folder)
    found = [
        replace(one, fault=one.fault or _judged(one, contest.task, _REFERENCE)) for one in held
    ]
    if contest.hard:
        hard = replace(contest.task, database=contest.hard)
        found = [_tried("hard values", one, hard, folder, _REFERENCE) for one in found]
    if contest.busy:
        busy = replace(contest.task, database=contest.busy)
        with writing(contest.busy):
            found = [_tried("others commit", one, busy, folder, _MOMENTS) for one in found]
    report.outcomes(contest.title, found)
    return _verdicts(contest, found) if contest.hard else []


def _title(task: Task) -> str:
    span = "one month" if task.months == ONE_MONTH else f"{len(task.months)} months"
    return f"export: {task.format}, compression {task.compression}, {span}"


def _contestants(task: Task) -> tuple[Contestant, ...]:
    everybody = [_OURS, _CONNECTORX, _DUCKDB]
    if len(task.months) > 1 and task.format != "jsonl":
        everybody.append(_PARTITIONED)
    if task.format != "parquet":
        everybody.append(_SHELL)
    return (*everybody, _PANDAS)


def _judged(outcome: Outcome, task: Task, judge: str) -> str | None:
    """What ``judge`` finds wrong with the files of ``outcome``; None where nothing."""
    done = run_python(judge, task.to_json(), json.dumps(outcome.files))
    return complaint(done.stderr) if done.returncode else done.stdout.strip() or None


def _tried(what: str, outcome: Outcome, task: Task, folder: Path, judge: str) -> Outcome:
    """``outcome`` with the fault that the contestant shows on another task, if any."""
    if outcome.fault:
        return outcome
    (tried,) = hold([outcome.contestant], task, 0, folder / "tried")
    fault = tried.fault or _judged(tried, task, judge)
    return replace(outcome, fault=fault and f"{what}: {fault}")


def _verdicts(contest: Contest, found: Sequence[Outcome]) -> list[report.Verdict]:
    ours, *peers = found
    right = [one for one in peers if one.runs and not one.fault]
    time_target = f"{contest.title}: at most {MOST_TIMES} x the fastest right peer"
    memory_target = f"{contest.title}: under {MOST_MIB} MiB"
    if not ours.runs or ours.fault:
        return [report.Verdict(time_target, ours.fault or "nothing ran", False)]
    memory = report.Verdict(memory_target, f"{ours.peak_mib:.0f} MiB", ours.peak_mib < MOST_MIB)
    if not right:
        return [report.Verdict(time_target, "no peer's output is right", None), memory]
    fastest = min(right, key=Outcome.median)
    times = ours.median() / fastest.median()
    measured = f"{times:.2f} x {fastest.contestant.name}"
    return [report.Verdict(time_target, measured, times <= MOST_TIMES), memory]
