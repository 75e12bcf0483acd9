"""What the demo sets up on a machine where nothing is set."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from portability_tests.projects import ProjectCopy

SCRIPT = "from portability_pipelines.demo.settings import prepare; print(prepare())"


def prepared_by(project: ProjectCopy, processes: int) -> list[str]:
    """What so many processes say that prepare ``project`` at the same time."""
    running = [
        subprocess.Popen(
            [sys.executable, "-c", SCRIPT],
            cwd=project.folder,
            env=project.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for _ in range(processes)
    ]
    said = [process.communicate()[0] for process in running]
    assert [process.returncode for process in running] == [0] * processes, said
    return said


def test_processes_that_set_up_together_agree(tmp_path: Path) -> None:
    project = ProjectCopy.made(tmp_path / "project")
    said = prepared_by(project, 3)
    assert sorted(line == "[]\n" for line in said) == [False, True, True]
    private = project.folder / ".portability"
    assert len((private / "passphrase").read_text().strip()) >= 32
    assert [file.name for file in private.glob(".passphrase-*")] == []
    assert (private / "dagster" / "schedules" / "schedules.db").is_file()


def test_a_key_that_a_person_has_set_is_not_joined_by_another(tmp_path: Path) -> None:
    project = ProjectCopy.made(tmp_path / "project", PORTABILITY_PASSPHRASE="theirs")
    assert prepared_by(project, 1) == ["[]\n"]
    assert not (project.folder / ".portability" / "passphrase").exists()
