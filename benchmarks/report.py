"""Tables and verdicts, as Markdown that also reads well in a terminal."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.contest import OURS, Outcome


@dataclass(frozen=True)
class Verdict:
    """One target and whether it holds; None where nothing could be compared."""

    target: str
    measured: str
    holds: bool | None

    def __str__(self) -> str:
        said = {True: "holds", False: "MISSED", None: "NOT COMPARED"}[self.holds]
        return f"{self.target}: {self.measured}: {said}"


def say(text: str = "") -> None:
    """Print one line at once."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a table, its first column flush left and the others flush right."""
    widths = [max(map(len, column)) for column in zip(header, *rows, strict=True)]
    rule = ["-" * widths[0], *("-" * (width - 1) + ":" for width in widths[1:])]
    for row in (header, rule, *rows):
        first, *others = zip(row, widths, strict=True)
        cells = [first[0].ljust(first[1]), *(cell.rjust(width) for cell, width in others)]
        say(f"| {' | '.join(cells)} |")
    say()


def outcomes(title: str, found: Sequence[Outcome]) -> None:
    """Print what every contestant took, the fastest first, and beside it what is wrong with it."""
    say(f"### {title}\n")
    ours = next(one for one in found if one.contestant.name == OURS)
    ran = sorted((one for one in found if one.runs), key=Outcome.median)
    table(
        (
            *("contestant", "seconds", "range", "ours is", "whole process", "peak MiB"),
            *("CPU s", "MB", "output"),
        ),
        [_row(one, ours) for one in (*ran, *(one for one in found if not one.runs))],
    )


def _row(one: Outcome, ours: Outcome) -> tuple[str, ...]:
    name = one.contestant.name
    if not one.runs:
        return (name, *("-",) * 7, one.fault or "")
    seconds = [run.seconds for run in one.runs]
    compared = f"{ours.median() / one.median():.2f} x" if ours.runs else "-"
    return (
        name,
        f"{one.median():.2f}",
        f"{min(seconds):.2f}-{max(seconds):.2f}",
        compared,
        f"{one.median('process_seconds'):.2f}",
        f"{one.peak_mib:.0f}",
        f"{one.median('cpu_seconds'):.2f}",
        f"{one.median('size_mb'):.1f}",
        f"WRONG: {one.fault}" if one.fault else "right",
    )
