"""``make demo`` on the sample, in projects that are not as they were shipped."""

from __future__ import annotations

import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
import yaml

from portability_pipelines.demo.console import Console
from portability_pipelines.demo.subjects import generate_sample
from portability_tests.projects import ProjectCopy

pytestmark = [pytest.mark.usefixtures("mongod_uri"), pytest.mark.timeout(400)]


def demo(project: ProjectCopy) -> subprocess.CompletedProcess[str]:
    """Run the demo on the sample."""
    return subprocess.run(
        [sys.executable, "-m", "portability_pipelines.demo", "--rows", "300"],
        cwd=project.folder,
        env=project.environment,
        capture_output=True,
        text=True,
        check=False,
    )


def declare(project: ProjectCopy, *parts: str) -> None:
    """Declare the sample with none of its parts but these."""
    declared = yaml.safe_load(project.yaml.read_text())
    for part in {"exports", "backup", "migration"} - set(parts):
        del declared["attributes"][part]
    project.yaml.write_text(yaml.safe_dump(declared))


def test_where_nobody_declares_the_sample_another_database_is_asked_for(tmp_path: Path) -> None:
    project = ProjectCopy.made(tmp_path / "project")
    shutil.rmtree(project.yaml.parent)
    done = demo(project)
    assert done.returncode == 1
    assert done.stderr == (
        "No database named 'sample' is declared under defs/. "
        "Name a database of yours: make demo DB=path/to/any.sqlite.\n"
    )


def test_a_sample_that_somebody_has_changed_is_not_made_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("portability_pipelines.demo.subjects.project_folder", lambda: tmp_path)
    sample = tmp_path / ".portability" / "sample" / "sample.sqlite"

    def activity() -> int:
        with closing(sqlite3.connect(sample)) as connection:
            return int(connection.execute("SELECT count(*) FROM user_activity").fetchone()[0])

    for rows in (20, 30):
        generate_sample(rows, Console())
        assert activity() == rows
    with closing(sqlite3.connect(sample)) as connection, connection:
        connection.execute("DELETE FROM user_activity")
    generate_sample(20, Console())
    assert activity() == 0


def test_where_nothing_of_the_sample_is_declared_that_is_said(tmp_path: Path) -> None:
    project = ProjectCopy.made(tmp_path / "project")
    declare(project)
    done = demo(project)
    assert done.returncode == 1
    assert done.stderr.startswith("The database 'sample' is declared without anything to show. ")


def test_a_part_that_is_not_declared_is_done_without_wherever_the_private_folder_is(
    tmp_path: Path,
) -> None:
    project = ProjectCopy.made(tmp_path / "project", PORTABILITY_HOME=str(tmp_path / "home"))
    declare(project, "exports", "migration")
    done = demo(project)
    assert (done.returncode, done.stderr) == (0, ""), done.stdout
    assert "open the backup  there is none" in done.stdout
    assert {kind.name for kind in (tmp_path / "home/store/sample").iterdir()} == {"exports"}
