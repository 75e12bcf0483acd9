"""What the demo sets up on a machine where nothing is set, and what it makes of settings."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from portability_pipelines.stores.locks import locked
from portability_tests.processes import eventually
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


@pytest.mark.parametrize(
    ("variable", "value"),
    [("DAGSTER_HOME", "here"), ("DAGSTER_HOME", "~/dagster"), ("PORTABILITY_HOME", "~/private")],
)
def test_a_folder_that_depends_on_where_one_stands_is_refused_in_one_line(
    tmp_path: Path, variable: str, value: str
) -> None:
    project = ProjectCopy.made(tmp_path / "project")
    before = set(project.folder.iterdir())
    done = subprocess.run(
        [sys.executable, "-m", "portability_pipelines.demo"],
        cwd=project.folder,
        env={**project.environment, variable: value},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (1, "")
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"{variable} is {value!r}")
    assert set(project.folder.iterdir()) - before == set()


@pytest.mark.parametrize("variable", ["DAGSTER_HOME", "PORTABILITY_HOME"])
def test_a_folder_that_cannot_be_made_is_refused_in_one_line(tmp_path: Path, variable: str) -> None:
    project = ProjectCopy.made(tmp_path / "project")
    project.settings[variable] = f"{__file__}/home"
    done = subprocess.run(
        [sys.executable, "-m", "portability_pipelines.demo"],
        cwd=project.folder,
        env=project.environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"The folder {__file__}/home cannot be made: Not a directory")
    assert f"Set {variable} to" in line


def test_a_home_that_is_named_is_made_and_keeps_its_settings(tmp_path: Path) -> None:
    project = ProjectCopy.made(tmp_path / "project")
    home = tmp_path / "a home" / "dagster"
    project.settings["DAGSTER_HOME"] = str(home)
    prepared_by(project, 1)
    settings = home / "dagster.yaml"
    assert settings.read_text() == (project.folder / "dagster.yaml").read_text()
    settings.write_text("telemetry: {enabled: false}\n")
    prepared_by(project, 1)
    assert settings.read_text() == "telemetry: {enabled: false}\n"
    assert (home / "schedules" / "schedules.db").is_file()


def test_the_projects_own_home_takes_on_the_projects_settings(tmp_path: Path) -> None:
    project = ProjectCopy.made(tmp_path / "project")
    del project.settings["DAGSTER_HOME"]
    prepared_by(project, 1)
    (project.folder / "dagster.yaml").write_text("telemetry: {enabled: false}\n")
    prepared_by(project, 1)
    home = project.folder / ".portability" / "dagster"
    assert (home / "dagster.yaml").read_text() == "telemetry: {enabled: false}\n"


def test_checkouts_that_share_a_home_wait_for_each_other_to_create_its_storage(
    tmp_path: Path,
) -> None:
    home = tmp_path / "home"
    home.mkdir()
    project = ProjectCopy.made(tmp_path / "project", DAGSTER_HOME=str(home))
    lock = locked(home / "storage.lock")
    with subprocess.Popen(
        [sys.executable, "-c", SCRIPT], cwd=project.folder, env=project.environment
    ) as waiting:
        assert eventually(lambda: waits_for(waiting.pid, home / "storage.lock"), 120)
        assert not (home / "history").exists()
        os.close(lock)
        assert waiting.wait() == 0
    assert (home / "history" / "runs.db").is_file()


def waits_for(pid: int, file: Path) -> bool:
    """Whether the process waits for the lock of ``file``."""
    waiting = f"-> FLOCK  ADVISORY  WRITE {pid} "
    inode = f":{file.stat().st_ino} "
    locks = Path("/proc/locks").read_text().splitlines()
    return any(waiting in line and inode in line for line in locks)
