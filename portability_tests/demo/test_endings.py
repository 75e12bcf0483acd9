"""What ``make demo`` says at its end: the table whatever follows, and commands that work."""

from __future__ import annotations

import re
import shlex
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from portability_tests.projects import ProjectCopy
from portability_tests.servers import S3Server

pytestmark = [pytest.mark.usefixtures("mongod_uri"), pytest.mark.timeout(400)]


def demo(project: ProjectCopy, path: Path) -> subprocess.CompletedProcess[str]:
    """Run the demo on a small database, made at ``path`` where there is none."""
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE IF NOT EXISTS notes (said TEXT)")
        connection.commit()
    return subprocess.run(
        [sys.executable, "-m", "portability_pipelines.demo", str(path)],
        cwd=project.folder,
        env=project.environment,
        capture_output=True,
        text=True,
        check=False,
    )


def told(output: str, what: str) -> str:
    """The line of ``output`` that begins with ``what``, without it."""
    (line,) = (line for line in output.splitlines() if line.startswith(f"  {what} "))
    return line.removeprefix(f"  {what} ").strip()


def test_the_table_is_shown_though_the_store_cannot_be_read_then(tmp_path: Path) -> None:
    project = ProjectCopy.made(tmp_path / "a project")
    first = demo(project, tmp_path / "notes.db")
    assert first.returncode == 0, first.stdout + first.stderr
    archives = Path(told(first.stdout, "archives").partition("/exports/<table>/")[0])
    assert {kind.name for kind in archives.iterdir()} == {"exports", "backup"}
    kept = subprocess.run(
        ["sh", "-c", told(first.stdout, "to keep it")],
        cwd=project.folder,
        check=False,
    )
    assert kept.returncode == 0
    defs = project.folder / "portability_pipelines" / "defs"
    assert (defs / archives.name / "defs.yaml").is_file()

    (backup,) = archives.glob("backup/*/*/*/manifest.json")
    newer = backup.parents[1] / "20990101T000000000000Z-000000000000"
    newer.mkdir()
    (newer / "manifest.json").write_text("damaged")
    second = demo(project, tmp_path / "notes.db")
    assert second.returncode == 1
    assert "\nasset " in second.stdout
    assert len(second.stderr.splitlines()) == 1
    assert newer.name in second.stderr


def test_a_backup_in_a_bucket_is_fetched_to_be_opened(tmp_path: Path, s3_server: S3Server) -> None:
    store = f"s3://{s3_server.bucket}/endings"
    settings = {**s3_server.environment(), "AWS_CONFIG_FILE": str(tmp_path / "absent")}
    project = ProjectCopy.made(tmp_path / "project", PORTABILITY_STORE=store, **settings)
    done = demo(project, tmp_path / "notes.db")
    assert done.returncode == 0, done.stdout + done.stderr
    fetching, opening, *_ = told(done.stdout, "open the backup").split(" | ")
    assert re.fullmatch(f"aws s3 cp {store}/notes_.*/backup/.*[.]sqlite[.]zst[.]gpg -", fetching)
    passphrase = str(project.folder / ".portability" / "passphrase")
    assert shlex.split(opening)[-3:] == ["--passphrase-file", passphrase, "-d"]
