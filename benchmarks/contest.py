"""Contestants on one task, in alternation, each time in a fresh process and an empty folder.

This module and all that it imports stay small on purpose: Linux counts the memory of the process
that starts another as that other's peak, so a large driver would hide what small tools take.
"""

from __future__ import annotations

import json
import os
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from benchmarks.tasks import Task

OURS = "ours"
_LONGEST_COMPLAINT = 100
PROJECT = Path(__file__).resolve().parents[1]


@dataclass(frozen=True)
class Contestant:
    """Who takes part: a function of a module in ``benchmarks.contestants``.

    ``needs`` are the programs and ``packages`` the distributions without which it cannot.
    """

    name: str
    module: str
    function: str
    needs: tuple[str, ...] = ()
    packages: tuple[str, ...] = ()


@dataclass(frozen=True)
class Run:
    """One run: the work alone, and the whole process with its imports, in seconds.

    ``cpu_seconds`` are the work's, its child processes included.
    """

    seconds: float
    cpu_seconds: float
    process_seconds: float
    peak_mib: float
    size_mb: float


@dataclass(frozen=True)
class Outcome:
    """All runs of one contestant; ``files`` are those of the last, by month.

    ``fault`` says why there are no runs, or what is wrong with the output.
    """

    contestant: Contestant
    runs: tuple[Run, ...] = ()
    files: dict[str, str] = field(default_factory=dict)
    fault: str | None = None

    def median(self, what: str = "seconds") -> float:
        """The median of one field over the runs."""
        values: list[float] = [getattr(run, what) for run in self.runs]
        return statistics.median(values)

    @property
    def peak_mib(self) -> float:
        """The most memory that any run took."""
        return max(run.peak_mib for run in self.runs)


def hold(contestants: Sequence[Contestant], task: Task, rounds: int, folder: Path) -> list[Outcome]:
    """Every contestant once, uncounted, to warm the caches; then ``rounds`` times in turn.

    Another one begins every round, so that nobody always comes after the same one.
    """
    outcomes = [Outcome(each, fault=_missing(each)) for each in contestants]
    for number in range(rounds + 1):
        for turn in range(len(outcomes)):
            place = (number + turn) % len(outcomes)
            if not outcomes[place].fault:
                ran = _once(outcomes[place], task, folder / str(place))
                outcomes[place] = replace(ran, runs=()) if number == 0 else ran
    return outcomes


def _once(outcome: Outcome, task: Task, folder: Path) -> Outcome:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    # What an earlier contestant left to be written is not this one's to wait for.
    os.sync()
    began = time.perf_counter()
    done = run_python(
        "benchmarks.child",
        outcome.contestant.module,
        outcome.contestant.function,
        replace(task, folder=str(folder)).to_json(),
    )
    process_seconds = time.perf_counter() - began
    if done.returncode:
        return replace(outcome, fault=f"failed: {complaint(done.stderr)}")
    result = json.loads(last_line(done.stdout))
    files = result.pop("files")
    run = Run(process_seconds=process_seconds, size_mb=_size_mb(folder), **result)
    return replace(outcome, runs=(*outcome.runs, run), files=files)


def run_python(module: str, *words: str) -> subprocess.CompletedProcess[str]:
    """``python -m module words`` from the project's folder."""
    return subprocess.run(
        [sys.executable, "-m", module, *words],
        cwd=PROJECT,
        text=True,
        capture_output=True,
        check=False,
    )


def _missing(contestant: Contestant) -> str | None:
    for program in contestant.needs:
        if not shutil.which(program):
            return f"not installed: {program}"
    for package in contestant.packages:
        try:
            version(package)
        except PackageNotFoundError:
            return f"not installed: {package}"
    return None


def _size_mb(folder: Path) -> float:
    leftovers = (folder / "cache", folder / "copy.sqlite")
    files = (path for path in folder.rglob("*") if path.is_file())
    kept = (path for path in files if not any(map(path.is_relative_to, leftovers)))
    return sum(path.stat().st_size for path in kept) / 1e6


def last_line(text: str) -> str:
    """The last line that is not empty."""
    lines = [line for line in text.splitlines() if line.strip()]
    return lines[-1] if lines else "it said nothing"


def complaint(text: str) -> str:
    """The error of a Python process: the first line after its traceback, not the advice below."""
    _, _, after = text.rpartition("Traceback (most recent call last):\n")
    said = (line for line in after.splitlines() if line and not line.startswith(" "))
    return next(said, "it said nothing")[:_LONGEST_COMPLAINT]
