"""What ``make demo`` hands on, by the real Makefile."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from portability_pipelines.orchestration.folders import project_folder


@pytest.mark.parametrize(
    "name", ['it\'s a "shop".db', "$HOME $(shell $$x.db", "`echo a`; echo b #.db", "-shop, 1.db"]
)
def test_a_path_reaches_the_demo_as_it_is_written(tmp_path: Path, name: str) -> None:
    (tmp_path / "shop").mkdir()
    named = str(tmp_path / "shop" / name) if not name.startswith("-") else name
    kept = {k: v for k, v in os.environ.items() if not k.startswith("MAKE")}
    done = subprocess.run(
        ["make", "--old-file=home", f"BIN={Path(sys.executable).parent}", "demo", f"DB={named}"],
        cwd=project_folder(),
        env={**kept, "DAGSTER_HOME": str(tmp_path), "PORTABILITY_PASSPHRASE": "theirs"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert f"discovering what {project_folder() / named} holds\n" in done.stdout
    assert "Traceback" not in done.stderr
