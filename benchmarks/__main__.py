"""``python -m benchmarks``: our exports, backup and Dagster's share, beside what others take."""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks import backups, dagster_share, exports, report, versions
from benchmarks.data import Data, prepare

Section = tuple[str, Callable[[int, Path], list[report.Verdict]]]


def main() -> None:
    """Hold the contests asked for, print their tables, and say which targets hold."""
    asked = _arguments()
    with TemporaryDirectory(prefix="benchmarks-", dir=asked.folder) as folder:
        _use_compiled_modules(Path(folder))
        versions.show(asked.rows, asked.rounds)
        data = prepare(Path(folder), asked.rows)
        verdicts = [
            verdict
            for title, hold in _sections(data)
            if asked.only in title
            for verdict in hold(asked.rounds, Path(folder, "contest"))
        ]
    report.say("### targets\n")
    for verdict in verdicts:
        report.say(f"- {verdict}")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000, help="rows of the largest table")
    runs = "runs of each contestant; of one month five times as many"
    parser.add_argument("--rounds", type=int, default=5, help=runs)
    parser.add_argument("--only", default="", metavar="TEXT", help="titles that hold TEXT")
    parser.add_argument("--folder", type=Path, help="where to work; 3 GB for the default rows")
    return parser.parse_args()


def _use_compiled_modules(folder: Path) -> None:
    """Let every child import compiled modules, as an installed program does, and leave none behind.

    The uncounted first round compiles them.
    """
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    os.environ["PYTHONPYCACHEPREFIX"] = str(folder / "compiled")


def _sections(data: Data) -> Iterator[Section]:
    for contest in exports.contests(data):
        yield contest.title, partial(exports.run, contest)
    yield backups.TITLE, partial(backups.run, data)
    yield dagster_share.TITLE, partial(dagster_share.run, data)


if __name__ == "__main__":
    main()
