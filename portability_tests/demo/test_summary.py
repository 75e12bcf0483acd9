"""What the demo says at its end."""

from __future__ import annotations

from dataclasses import replace

import pytest

from portability_pipelines.demo.runs import Made, Outcome
from portability_pipelines.demo.summary import drawn, size, summary

ARCHIVE = "20261121T035631123456Z-a1b2c3d4e5f6"
PROVEN = Made("exports/clients", "2026-10", 86, 15_000, 0.06, True, ARCHIVE, (True,))
EMPTY = Made("exports/charts", "undated", 0, 0, 0.01, True, ARCHIVE, (True,))
REFUTED = Made("backup", "2026-11", 264_196, 13_800_000, 1.8, False, ARCHIVE, (True, False))


def test_the_table_is_aligned_and_leaves_out_what_is_proven_to_be_empty() -> None:
    lines = summary(Outcome((PROVEN, EMPTY)))
    assert lines[2].split() == [
        *("exports/clients", "2026-10", "86", "15", "kB", "0.06", "held", "new", ARCHIVE)
    ]
    assert "1 more holds no rows in its partition, and was proven to." in lines
    two = summary(Outcome((PROVEN, EMPTY, EMPTY)))
    assert "2 more hold no rows in their partitions, and were proven to." in two
    assert "exports/charts" not in "\n".join(lines)
    assert lines[-1] == "2 of 2 proven; 2 changed."


def test_what_is_empty_and_not_proven_is_shown() -> None:
    unproven = Made("exports/charts", "undated", 0, 0, 0.01, True, ARCHIVE, ())
    assert "none" in summary(Outcome((unproven,), ("exports/charts: nothing was proven",)))[2]


def test_a_backup_of_nothing_is_shown() -> None:
    lines = summary(Outcome((EMPTY, replace(EMPTY, asset="backup", period="2026-11"))))
    assert lines[2].split()[:2] == ["backup", "2026-11"]
    assert "1 more holds no rows in its partition, and was proven to." in lines


def test_what_could_not_be_looked_at_counts_as_no_proof() -> None:
    partly = replace(REFUTED, proofs=(True, None))
    lines = summary(Outcome((partly,), (), ("backup: restores: the key is elsewhere",)))
    assert "partly" in lines[2]
    assert lines[-1].startswith("0 of 1 proven")


def test_failures_and_warnings_have_a_line_each_and_the_verdict_says_failed() -> None:
    lines = summary(Outcome((REFUTED,), ("backup: restores: no", "other"), ("a warning",)))
    assert "FAILED" in lines[2]
    assert lines[lines.index("Failures") + 1 :][:2] == ["  backup: restores: no", "  other"]
    assert "  a warning" in lines
    assert lines[-1].startswith("FAILED, as told above. Of what was made: 0 of 1 proven")


def test_numbers_stand_right_and_words_left() -> None:
    assert drawn([("asset", "rows"), ("a", "1,000"), ("long name", "2")]) == [
        "asset       rows",
        "---------  -----",
        "a          1,000",
        "long name      2",
    ]


@pytest.mark.parametrize(
    ("size_bytes", "written"),
    [
        (None, ""),
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1 kB"),
        (999_500, "1 MB"),
        (13_800_000, "13.8 MB"),
    ],
)
def test_sizes_have_three_digits(size_bytes: int | None, written: str) -> None:
    assert size(size_bytes) == written
