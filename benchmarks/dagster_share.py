"""What Dagster adds to the work: to a run, to a step, and to a launch from a terminal."""

from __future__ import annotations

import json
import shutil
import statistics
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

from benchmarks import report
from benchmarks.contest import PROJECT, complaint, last_line
from benchmarks.data import Data
from portability_tests.projects import ProjectCopy

TITLE = "dagster: one month of exports"
JOB = "sample_exports"
PARTITION = "2025-06-01"
EXPORTED = ("parquet", "csv", "jsonl")
EMPTY_STEPS = 11

_ASSET = 'key:"sample/exports/user_activity"'


def run(data: Data, rounds: int, folder: Path) -> list[report.Verdict]:
    """Measure every part in turn, ``rounds`` times after once uncounted, and print the table."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    project = ProjectCopy.made(folder)
    sample = folder / ".portability" / "sample" / "sample.sqlite"
    sample.parent.mkdir()
    shutil.copy(data.sample, sample)
    found: dict[str, list[float]] = defaultdict(list)
    for number in range(rounds + 1):
        for name, seconds in _round(project, folder / "archives" / str(number)):
            if number:
                found[name].append(seconds)
    _show(found)
    return []


def _round(project: ProjectCopy, stores: Path) -> Iterator[tuple[str, float]]:
    stores.mkdir(parents=True)
    for part in ("workflow", "job", "empty"):
        for name, seconds in _child(project, part, stores / part).items():
            yield f"{part}.{name}", seconds
    began = time.perf_counter()
    store = (stores / "launch").as_uri()
    words = ("launch", "--assets", _ASSET, "--partition", PARTITION)
    launched = project.dg(*words, PORTABILITY_STORE=store)
    if launched.returncode:
        raise SystemExit(f"dg launch failed: {last_line(launched.stderr)}")
    yield "launch.seconds", time.perf_counter() - began


def _child(project: ProjectCopy, part: str, store: Path) -> dict[str, float]:
    environment = {
        **project.environment,
        "PYTHONPATH": f"{project.folder}:{PROJECT}",
        "PORTABILITY_STORE": store.as_uri(),
    }
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.dagster_child", part],
        cwd=project.folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise SystemExit(f"{TITLE}: {part} failed: {complaint(done.stderr)}")
    seconds: dict[str, float] = json.loads(last_line(done.stdout))
    return seconds


def _show(found: dict[str, list[float]]) -> None:
    steps = statistics.median(found["job.steps"])
    many = [(all_ - one) / (EMPTY_STEPS - 1) for one, all_ in _pairs(found)]
    once = [one - step for (one, _), step in zip(_pairs(found), many, strict=True)]
    added = [job - work for job, work in _both(found)]
    rows = [
        ("the workflow alone: export in three formats, read back", found["workflow.seconds"]),
        (
            f"the same as a job of {steps:.0f} steps in one process",
            found["job.seconds"],
        ),
        ("the job's difference to the workflow", added),
        ("Dagster's part of a run, measured on steps that do nothing", once),
        ("Dagster's part of a step, measured likewise", many),
        ("loading the definitions, imports included", found["job.load_seconds"]),
        ("dg launch, the whole process", found["launch.seconds"]),
    ]
    report.say(f"### {TITLE}\n")
    report.table(
        ("what", "seconds", "range"),
        [(what, f"{statistics.median(s):.3f}", f"{min(s):.3f}-{max(s):.3f}") for what, s in rows],
    )


def _pairs(found: dict[str, list[float]]) -> list[tuple[float, float]]:
    return list(zip(found["empty.1"], found[f"empty.{EMPTY_STEPS}"], strict=True))


def _both(found: dict[str, list[float]]) -> list[tuple[float, float]]:
    return list(zip(found["job.seconds"], found["workflow.seconds"], strict=True))
