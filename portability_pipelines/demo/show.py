"""What ``make demo`` shows: the main job on one database, step by step, and what came of it."""

from __future__ import annotations

import argparse
import os
import shlex
import warnings
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import dagster as dg

from portability_pipelines.catalog import archives
from portability_pipelines.demo.console import Console
from portability_pipelines.demo.left_behind import own_runs
from portability_pipelines.demo.runs import Outcome, months_shown, plan, run
from portability_pipelines.demo.servers import VARIABLE, mongodb
from portability_pipelines.demo.settings import prepare
from portability_pipelines.demo.subjects import SAMPLE_ROWS, Subject, at, sample
from portability_pipelines.demo.summary import summary
from portability_pipelines.domain.errors import RefusedError
from portability_pipelines.orchestration.folders import private_folder
from portability_pipelines.orchestration.resources import Archives, passphrase_file
from portability_pipelines.workflows.backup import DATASET


def show(servers: ExitStack, check: Callable[[], None]) -> int:
    """Do what the command line asks for; 1 where a run or a proof failed, warnings or not.

    What it starts is left to ``servers`` to stop. ``check`` is called after every run and raises
    where a signal has come, of which Dagster may have made a failure, or nothing.
    """
    warnings.simplefilter("ignore", dg.BetaWarning)
    warnings.simplefilter("ignore", dg.PreviewWarning)
    arguments = _arguments()
    console, outcome = Console(), Outcome()
    for made in prepare():
        console.step(made)
    subject = _subject(arguments.database, arguments.rows, console)
    brought = not os.environ.get(VARIABLE)
    servers.enter_context(mongodb(private_folder() / "mongodb"))
    with dg.DagsterInstance.get() as instance, own_runs(instance) as tags:
        steps = plan(subject, console)
        for step in steps:
            console.step(step.title)
            outcome += run(step, instance, tags)
            check()
    for line in ("", *summary(outcome), *months_shown(steps), ""):
        console.plain(line)
    migrated = any(one.asset.startswith("mongodb/") for one in outcome.made)
    for line in (*_next(subject, brought and migrated), ""):
        console.plain(line)
    console.plain(f"{console.elapsed_seconds:.0f} seconds in all.")
    return 1 if outcome.failures else 0


def _subject(database: str | None, rows: int, console: Console) -> Subject:
    if database == "":
        raise RefusedError(
            "DB is empty, and names no database",
            "Write make demo DB=path/to/any.sqlite, or make demo alone for the sample.",
        )
    return at(Path(database).resolve(), console) if database else sample(rows, console)


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


def _next(subject: Subject, documents: bool) -> list[str]:
    """What a person may do now; with ``documents`` there are some in the demo's own server."""
    folder = Archives().store().locate(subject.name)
    lines = [
        "Next",
        "  make up          serves the UI; these runs are listed under Runs",
        f"  archives         {folder}/exports/<table>/<partition>/<where>",
        f"  open the backup  {_opening(subject)}",
    ]
    if documents:
        lines.append(
            "  documents        make up starts the demo's MongoDB again and prints its URI"
        )
    if subject.declaration:
        place = f"portability_pipelines/defs/{subject.name}"
        kept = shlex.join(["cp", str(subject.declaration), f"{place}/defs.yaml"])
        lines.append(f"  to keep it       mkdir -p {place} && {kept}")
    return lines


def _opening(subject: Subject) -> str:
    """The command that opens the newest backup without this project."""
    store = Archives().store()
    newest = archives.chosen(store, subject.name, "backup", DATASET)
    if newest is None:
        return "there is none"
    gpg = ["gpg"]
    if not {"PORTABILITY_PASSPHRASE", "PORTABILITY_RECIPIENT"} & set(os.environ):
        gpg += ["--batch", "--pinentry-mode", "loopback"]
        gpg += ["--passphrase-file", str(passphrase_file())]
    where = store.locate(f"{newest.prefix}/{newest.files[0].name}")
    if where.startswith("s3://"):
        opened = f"{shlex.join(['aws', 's3', 'cp', where, '-'])} | {shlex.join([*gpg, '-d'])}"
    else:
        opened = shlex.join([*gpg, "-d", where])
    return f"{opened} | zstd -d > {subject.name}.sqlite"
