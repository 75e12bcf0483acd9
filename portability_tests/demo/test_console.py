"""What the demo writes while it works."""

from __future__ import annotations

import pytest

from portability_pipelines.demo.console import Console


def test_names_cannot_break_lines_nor_move_the_cursor(capsys: pytest.CaptureFixture[str]) -> None:
    Console().detail("new\nline\t\x1b[2J\x9b ü 🦄: whole")
    assert capsys.readouterr().out == f"{'':10}new\\nline\\t\\x1b[2J\\x9b ü 🦄: whole\n"
