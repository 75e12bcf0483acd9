"""What ``make demo`` hands on, by the real Makefile."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from portability_pipelines.orchestration.folders import project_folder


def make_demo(home: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Run the target with this environment, whatever its age."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith("MAKE")}
    installed = [f"BIN={Path(sys.executable).parent}", "--old-file=.venv/.installed"]
    return subprocess.run(
        ["make", *installed, "demo", *words],
        cwd=project_folder(),
        env={**kept, "DAGSTER_HOME": str(home), "PORTABILITY_PASSPHRASE": "theirs"},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize(
    "name", ['it\'s a "shop".db', "$HOME $(shell $$x.db", "`echo a`; echo b #.db", "-shop, 1.db"]
)
def test_a_path_reaches_the_demo_as_it_is_written(tmp_path: Path, name: str) -> None:
    (tmp_path / "shop").mkdir()
    named = str(tmp_path / "shop" / name) if not name.startswith("-") else name
    done = make_demo(tmp_path, f"DB={named}")
    assert done.returncode == 2
    assert f"discovering what {project_folder() / named} holds\n" in done.stdout
    assert "Traceback" not in done.stderr


def test_an_empty_name_is_not_taken_for_none(tmp_path: Path) -> None:
    empty = make_demo(tmp_path, "DB=")
    assert (empty.returncode, "DB is empty" in empty.stderr) == (2, True)
    assert "--" not in make_demo(tmp_path, "--dry-run").stdout
