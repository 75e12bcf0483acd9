"""What the demo says at its end: a table of what was made, what is wrong, and what to do next."""

from __future__ import annotations

from collections.abc import Sequence

from portability_pipelines.demo.runs import Made, Outcome

HEADINGS = ("asset", "partition", "rows", "size", "seconds", "proof", "data", "where")
_TO_THE_RIGHT = {"rows", "size", "seconds"}
_UNITS = ("B", "kB", "MB", "GB", "TB")


def summary(outcome: Outcome) -> list[str]:
    """The table, then a line each for warnings and failures, then whether anything changed.

    What is empty and proven so is counted, not shown, unless it is a backup.
    """
    shown = [one for one in outcome.made if one.rows or not one.proven or one.asset == "backup"]
    lines = drawn([HEADINGS, *map(_cells, shown)])
    empty = len(outcome.made) - len(shown)
    if empty:
        told = "holds no rows in its partition, and was"
        if empty > 1:
            told = "hold no rows in their partitions, and were"
        lines += ["", f"{empty} more {told} proven to."]
    lines += _listed("Warnings", outcome.warnings)
    lines += _listed("Failures", outcome.failures)
    return [*lines, "", _verdict(outcome)]


def drawn(rows: Sequence[Sequence[str]]) -> list[str]:
    """``rows`` as aligned lines, a rule under the first."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    lines = [
        "  ".join(
            cell.rjust(width) if heading in _TO_THE_RIGHT else cell.ljust(width)
            for cell, width, heading in zip(row, widths, rows[0], strict=True)
        ).rstrip()
        for row in rows
    ]
    return [lines[0], "  ".join("-" * width for width in widths), *lines[1:]]


def size(size_bytes: int | None) -> str:
    """A number of bytes to three digits, in units of 1000."""
    if size_bytes is None:
        return ""
    value, place = float(size_bytes), 0
    while value >= 999.5 and place < len(_UNITS) - 1:
        value, place = value / 1000, place + 1
    return f"{value:.3g} {_UNITS[place]}"


def _cells(one: Made) -> tuple[str, ...]:
    return (
        one.asset,
        one.period,
        f"{one.rows:,}",
        size(one.size_bytes),
        f"{one.seconds:.2f}",
        _proof(one),
        "new" if one.changed else "same",
        one.where,
    )


def _proof(one: Made) -> str:
    if False in one.proofs:
        return "FAILED"
    return "held" if one.proven else "partly" if True in one.proofs else "none"


def _listed(heading: str, lines: Sequence[str]) -> list[str]:
    return ["", heading, *(f"  {line}" for line in dict.fromkeys(lines))] if lines else []


def _verdict(outcome: Outcome) -> str:
    made, changed = len(outcome.made), sum(one.changed for one in outcome.made)
    proven = sum(one.proven for one in outcome.made)
    said = f"{proven} of {made} proven; {changed} changed."
    if made and not changed:
        said = f"{proven} of {made} proven; nothing changed: all of it was there already."
    return f"FAILED, as told above. Of what was made: {said}" if outcome.failures else said
