"""``make restore`` and ``make drill`` as somebody uses them whose database is lost."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import dagster as dg
import pytest

from portability_tests.projects import ProjectCopy

PASSPHRASE = "PORTABILITY_PASSPHRASE"
NOWHERE = {
    "PORTABILITY_STORE": "s3://archives/lost",
    "AWS_ENDPOINT_URL_S3": "http://127.0.0.1:9",
    "AWS_ACCESS_KEY_ID": "NOBODY",
    "AWS_SECRET_ACCESS_KEY": "never-shown-in-any-output",
    "AWS_DEFAULT_REGION": "us-east-1",
}


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory, open_month_key: str) -> ProjectCopy:
    """A copy of the project with a backup of the sample, which is lost with its declaration."""
    copy = ProjectCopy.made(tmp_path_factory.mktemp("clone"), **{PASSPHRASE: "theirs"})
    copy.with_sample()
    backup = ['ASSETS=key:"sample/backup"', f"PARTITION={open_month_key}"]
    assert copy.make("launch", *backup).returncode == 0
    Path(copy.folder, ".portability", "sample", "sample.sqlite").rename(copy.folder / "lost.db")
    copy.yaml.unlink()
    return copy


def newest_run(project: ProjectCopy) -> dg.DagsterRun:
    with dg.DagsterInstance.from_config(project.settings["DAGSTER_HOME"]) as instance:
        return instance.get_runs(limit=1)[0]


def content(path: Path) -> list[str]:
    with closing(sqlite3.connect(path)) as connection:
        return list(connection.iterdump())


@pytest.mark.parametrize("name", ['it\'s "restored".db', "-$HOME $(shell $$x) `echo a` #.db"])
def test_a_lost_database_is_restored_to_a_file_of_any_name(project: ProjectCopy, name: str) -> None:
    done = project.make("restore", "DATABASE=sample", f"TARGET={name}")
    assert (done.returncode, done.stderr) == (0, "")
    target = project.folder / name
    assert content(target) == content(project.folder / "lost.db")
    _, said = done.stdout.splitlines()
    assert said.strip().startswith("restored ")
    assert f" UTC, to {target}; seal: the manifest.json of " in said
    run = newest_run(project)
    assert (run.job_name, run.is_success) == ("restore_backup", True)
    config = {"database": "sample", "target": str(target)}
    assert run.run_config["ops"] == {"restore": {"config": config}}


def test_a_drill_says_how_much_was_proven(project: ProjectCopy) -> None:
    (folder,) = project.folder.glob(".portability/store/sample/backup/*/*/*")
    done = project.make("drill", DATABASE="sample", ARCHIVE=folder.name)
    assert (done.returncode, done.stderr) == (0, "")
    _, said = done.stdout.splitlines()
    assert said.strip().startswith(f"{folder.name}: 8 proofs held; not looked at: seal (")
    assert newest_run(project).job_name == "backup_drill"


TO_NEW = "TARGET=new.db"


@pytest.mark.parametrize(
    ("words", "settings", "reason"),
    [
        (["drill"], {}, "DATABASE is not set. Write, for example: make drill DATABASE=shop"),
        (["restore", TO_NEW], {}, "DATABASE is not set. Write, for example: make restore"),
        (["restore", "DATABASE=sample"], {}, "TARGET is not set. Write, for example: make"),
        (["drill", "DATABASE=a '$b"], {}, 'There is no backup of "a \'$b" in file:'),
        (["restore", "DATABASE=sample", TO_NEW, "ARCHIVE=none"], {}, "its folder there"),
        (["restore", "DATABASE=sample", "TARGET=lost.db"], {}, "lost.db exists already"),
        (["restore", "DATABASE=sample", TO_NEW], {PASSPHRASE: "another"}, "wrong passphrase"),
        (["drill", "DATABASE=sample"], {PASSPHRASE: "another"}, "wrong passphrase"),
        (["restore", "DATABASE=sample", TO_NEW], {PASSPHRASE: None}, f"Set {PASSPHRASE}"),
        (["drill", "DATABASE=sample"], NOWHERE, "Check that the endpoint (AWS_ENDPOINT_URL_S3)"),
    ],
    ids=[
        *("drill of nothing", "restore of nothing", "no target"),
        *("unknown database", "unknown archive", "target exists"),
        *("wrong passphrase", "drill with a wrong passphrase", "no passphrase", "no store"),
    ],
)
def test_what_cannot_be_done_exits_non_zero_with_a_reason_in_one_line(
    project: ProjectCopy, words: list[str], settings: dict[str, str | None], reason: str
) -> None:
    done = project.make(*words, **settings)
    assert done.returncode == 2
    line, by_make = done.stderr.splitlines()
    assert reason in line
    assert "Error: " not in line
    assert by_make.startswith("make: ***")
    assert "never-shown" not in done.stdout + done.stderr
    assert not (project.folder / "new.db").exists()
