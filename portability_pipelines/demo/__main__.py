"""``python -m portability_pipelines.demo [DB]``: export, migrate, back up, and prove it."""

from __future__ import annotations

import argparse
import os
import signal
import sys
import warnings
from pathlib import Path
from types import FrameType

import dagster as dg

from portability_pipelines.catalog import archives
from portability_pipelines.demo.console import Console
from portability_pipelines.demo.runs import Outcome, plan, run
from portability_pipelines.demo.servers import mongodb
from portability_pipelines.demo.settings import prepare
from portability_pipelines.demo.subjects import SAMPLE_ROWS, Subject, at, sample
from portability_pipelines.demo.summary import summary
from portability_pipelines.domain.errors import PortabilityError
from portability_pipelines.orchestration.folders import private_folder
from portability_pipelines.orchestration.resources import Archives, passphrase_file
from portability_pipelines.workflows.backup import DATASET

INTERRUPTED = 130


def main() -> int:
    """Show the main job; 1 where a run or a proof fails, with a line that says why."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _interrupt)
    warnings.simplefilter("ignore", dg.BetaWarning)
    warnings.simplefilter("ignore", dg.PreviewWarning)
    arguments = _arguments()
    try:
        return _show(arguments.database, arguments.rows)
    except PortabilityError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    except KeyboardInterrupt:
        sys.stderr.write("Stopped. Nothing half-written counts; run it again to go on.\n")
        return INTERRUPTED


def _interrupt(_: int, __: FrameType | None) -> None:
    raise KeyboardInterrupt


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m portability_pipelines.demo",
        description="Export a database by month, migrate it to MongoDB, back it up, and prove it.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument(
        "database", nargs="?", metavar="DB", help="an SQLite database; without it, a sample"
    )
    parser.add_argument(
        "--rows", type=int, default=SAMPLE_ROWS, help="rows of user activity in the sample"
    )
    return parser.parse_args()


def _show(database: str | None, rows: int) -> int:
    console = Console()
    for made in prepare():
        console.step(made)
    subject = at(Path(database).resolve(), console) if database else sample(rows, console)
    with mongodb(private_folder() / "mongodb"), dg.DagsterInstance.get() as instance:
        outcome = Outcome()
        for step in plan(subject, console):
            console.step(step.title)
            outcome += run(step, instance)
    for line in ("", *summary(outcome), "", *_next(subject)):
        console.plain(line)
    console.plain(f"\n{console.elapsed_seconds:.0f} seconds in all.")
    return 1 if outcome.failures else 0


def _next(subject: Subject) -> list[str]:
    """What a person may do now."""
    store = Archives().store()
    lines = [
        "Next",
        "  make up          serves the UI, with these runs in it",
        f"  archives         {store.locate(subject.name)}/<asset>/<partition>/<where>",
        f"  open the backup  {_opening(subject)}",
    ]
    if subject.declaration:
        folder = f"portability_pipelines/defs/{subject.name}"
        lines.append(f"  to keep it       cp {subject.declaration} {folder}/defs.yaml")
    return lines


def _opening(subject: Subject) -> str:
    """The command that opens the newest backup without this project."""
    store = Archives().store()
    newest = archives.chosen(store, subject.name, "backup", DATASET)
    if newest is None:
        return "there is none"
    key = ""
    if not {"PORTABILITY_PASSPHRASE", "PORTABILITY_RECIPIENT"} & set(os.environ):
        key = f"--batch --pinentry-mode loopback --passphrase-file {passphrase_file()} "
    where = store.locate(f"{newest.prefix}/{newest.files[0].name}")
    return f"gpg {key}-d {where} | zstd -d > {subject.name}.sqlite"


if __name__ == "__main__":
    sys.exit(main())
