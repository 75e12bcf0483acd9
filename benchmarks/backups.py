"""The contest of backups: of a database at rest, and of one that an application has open."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from benchmarks import report
from benchmarks.contest import OURS, Contestant, Outcome, complaint, hold, run_python
from benchmarks.data import Data
from benchmarks.tasks import Task
from benchmarks.writer import writing

TITLE = "backup: encrypted to a passphrase"
MOST_MIB = 200

_LIVE = Contestant("restic, live file", "restic", "backup_live_file", needs=("restic",))
_COPY = Contestant(".backup, restic", "restic", "backup_copy", needs=("restic", "sqlite3"))
_GZIP = Contestant(
    ".backup, gzip -9, openssl", "gzip_pipeline", "backup", needs=("sqlite3", "gzip", "openssl")
)
_STREAM = Contestant("ours, no table digested", "ours_backup", "stream")
_CONTESTANTS = (Contestant(OURS, "ours_backup", "backup"), _STREAM, _LIVE, _COPY, _GZIP)
_LEAST_TIMES = {_LIVE: 1.5, _COPY: 1.5, _GZIP: 8.0}


def run(data: Data, rounds: int, folder: Path) -> list[report.Verdict]:
    """Hold the contest, restore every backup and compare it, and print the table."""
    task = Task(str(data.sample), "", format="backup")
    held = hold(_CONTESTANTS, task, rounds, folder)
    found = [_proven(one, task, folder / str(place)) for place, one in enumerate(held)]
    with writing(str(data.busy), commits=1):
        busy = replace(task, database=str(data.busy))
        found = [_tried(one, busy, folder / "tried") for one in found]
    report.outcomes(TITLE, found)
    return _verdicts(found)


def _proven(outcome: Outcome, task: Task, folder: Path) -> Outcome:
    if outcome.fault:
        return outcome
    placed = replace(task, folder=str(folder)).to_json()
    module, files = outcome.contestant.module, json.dumps(outcome.files)
    done = run_python("benchmarks.restored", module, placed, files)
    said = complaint(done.stderr) if done.returncode else done.stdout.strip()
    return replace(outcome, fault=said or None)


def _tried(outcome: Outcome, task: Task, folder: Path) -> Outcome:
    """``outcome`` with the fault that shows where the last commit is in the log, if any."""
    if outcome.fault:
        return outcome
    (tried,) = hold([outcome.contestant], task, 0, folder)
    fault = _proven(tried, task, folder / "0").fault
    return replace(outcome, fault=fault and f"others have it open: {fault}")


def _verdicts(found: Sequence[Outcome]) -> list[report.Verdict]:
    ours, stream, *peers = found
    if not ours.runs or ours.fault or not stream.runs or stream.fault:
        return [report.Verdict(TITLE, ours.fault or stream.fault or "nothing ran", False)]
    memory = report.Verdict(
        f"{TITLE}: under {MOST_MIB} MiB", f"{ours.peak_mib:.0f} MiB", ours.peak_mib < MOST_MIB
    )
    return [*(_faster(one, peer) for peer in peers for one in (ours, stream)), memory]


def _faster(ours: Outcome, peer: Outcome) -> report.Verdict:
    least = _LEAST_TIMES[peer.contestant]
    target = f"{TITLE}: {ours.contestant.name} at least {least} x as fast as {peer.contestant.name}"
    if not peer.runs:
        return report.Verdict(target, peer.fault or "nothing ran", None)
    times = peer.median() / ours.median()
    if peer.fault:
        return report.Verdict(target, f"{times:.2f} x, but it is wrong: {peer.fault}", None)
    return report.Verdict(target, f"{times:.2f} x", times >= least)
