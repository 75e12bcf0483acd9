"""The generator's promises: the same rows, whole or not at all, and consistent."""

from __future__ import annotations

import hashlib
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from datetime import date
from pathlib import Path

import pytest

from portability_pipelines.domain.errors import PermanentError, RefusedError
from portability_pipelines.engines.sqlite.engine import SqliteEngine
from portability_pipelines.sample import generate

ROWS = 1000
MEBIBYTE = 1 << 20


def _digest(path: Path) -> str:
    with closing(sqlite3.connect(path)) as connection:
        return hashlib.sha256("\n".join(connection.iterdump()).encode()).hexdigest()


def _ask(path: Path, question: str) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute(question).fetchall()


def _run(*arguments: str | Path, file_limit_blocks: int | None = None) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "portability_pipelines.sample", *map(str, arguments)]
    if file_limit_blocks is not None:
        command = ["sh", "-c", f'ulimit -f {file_limit_blocks}; exec "$@"', "sh", *command]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("sample") / "sample.db"
    generate(path, activity_rows=ROWS)
    return path


def test_equal_arguments_give_equal_rows(sample: Path, tmp_path: Path) -> None:
    generate(tmp_path / "again.db", activity_rows=ROWS)
    generate(tmp_path / "other.db", activity_rows=ROWS, seed=7)
    assert _digest(tmp_path / "again.db") == _digest(sample)
    actions = "SELECT action, timestamp FROM user_activity"
    assert _ask(tmp_path / "other.db", actions) != _ask(sample, actions)


def test_counts_are_those_of_the_tables(tmp_path: Path) -> None:
    path = tmp_path / "sample.db"
    counts = generate(path, activity_rows=5000)
    listed = _ask(
        path, "SELECT name FROM sqlite_schema WHERE type = 'table' AND name <> 'sqlite_sequence'"
    )
    assert counts == {
        str(name): _ask(path, f"SELECT count(*) FROM {name}")[0][0] for (name,) in listed
    }
    assert counts["user_activity"] == 5000
    assert counts["clients"] == counts["birth_data"] == 50
    assert counts["chat_inquiry_information"] == 250


def test_database_is_sound_and_in_wal_mode(sample: Path) -> None:
    assert _ask(sample, "PRAGMA foreign_key_check") == []
    assert _ask(sample, "PRAGMA integrity_check") == [("ok",)]
    assert _ask(sample, "PRAGMA journal_mode") == [("wal",)]


@pytest.mark.parametrize(
    ("until", "first", "last"),
    [
        (date(2026, 11, 21), "2024-12", "2026-11"),
        (date(2026, 12, 31), "2025-01", "2026-12"),
        (date(2026, 2, 1), "2024-03", "2026-02"),
    ],
)
def test_every_one_of_24_months_has_activity(
    tmp_path: Path, until: date, first: str, last: str
) -> None:
    path = tmp_path / "sample.db"
    generate(path, activity_rows=ROWS, until=until)
    months = _ask(path, "SELECT DISTINCT substr(timestamp, 1, 7) FROM user_activity ORDER BY 1")
    assert len(months) == 24
    assert (months[0][0], months[-1][0]) == (first, last)
    for dated in ("timestamp) FROM user_activity", "consumed_at) FROM credit_consumption"):
        [(latest,)] = _ask(path, f"SELECT max({dated}")
        assert str(latest)[:10] == until.isoformat()


@pytest.mark.parametrize("seed", range(5))
def test_disorder_does_not_leave_the_months(tmp_path: Path, seed: int) -> None:
    path = tmp_path / "sample.db"
    generate(path, activity_rows=24, seed=seed)
    outside = "timestamp < '2024-12' OR timestamp >= '2026-11-22'"
    assert _ask(path, f"SELECT timestamp FROM user_activity WHERE {outside}") == []


@pytest.mark.parametrize(
    ("table", "moment"),
    [
        ("clients", "created_at"),
        ("clients", "updated_at"),
        ("clients", "deleted_at"),
        ("birth_data", "created_at"),
        ("charts", "created_at"),
        ("chart_interpretations", "created_at"),
        ("agent_performance", "day"),
        ("credit_consumption", "consumed_at"),
        ("error_logs", "datetime(occurred_at, 'unixepoch')"),
        ("chat_inquiry_information", "nullif(nullif(created_at, ''), 'unknown')"),
    ],
)
def test_no_row_is_dated_outside_the_months(sample: Path, table: str, moment: str) -> None:
    [(first, last)] = _ask(sample, f"SELECT min({moment}), max({moment}) FROM {table}")
    assert "2024-12" < str(first) < str(last) < "2026-11-22"


def test_activity_is_in_nearly_its_time_order(sample: Path) -> None:
    [(backward,)] = _ask(
        sample,
        "SELECT sum(timestamp < before) FROM"
        " (SELECT timestamp, lag(timestamp) OVER (ORDER BY id) AS before FROM user_activity)",
    )
    assert isinstance(backward, int)
    assert 0 < backward < ROWS / 2


def test_failure_midway_leaves_what_was_there(sample: Path, tmp_path: Path) -> None:
    path = tmp_path / "sample.db"
    path.write_bytes(sample.read_bytes())
    run = _run("--rows", "20000", "--force", path, file_limit_blocks=2048)
    _, complaint = run.communicate(timeout=60)
    assert run.returncode == 1
    assert f"{path} could not be written" in complaint
    assert path.read_bytes() == sample.read_bytes()
    assert [file.name for file in tmp_path.iterdir()] == ["sample.db"]


def test_killed_run_leaves_no_database(tmp_path: Path) -> None:
    path = tmp_path / "sample.db"
    run = _run("--rows", "50000000", path)
    deadline = time.monotonic() + 30
    while not any(file.stat().st_size > MEBIBYTE for file in tmp_path.glob(".sample.db.*/*")):
        assert time.monotonic() < deadline, "no row was written in 30 seconds"
        time.sleep(0.02)
    run.kill()
    run.communicate(timeout=30)
    assert not path.exists()
    generate(path, activity_rows=ROWS)
    assert _ask(path, "SELECT count(*) FROM user_activity") == [(ROWS,)]


def test_database_in_use_is_not_replaced(tmp_path: Path) -> None:
    path = tmp_path / "sample.db"
    generate(path, activity_rows=ROWS)
    with closing(sqlite3.connect(path)) as application:
        application.execute("DELETE FROM error_logs")
        application.commit()
        with pytest.raises(RefusedError, match="open in another process"):
            generate(path, activity_rows=ROWS)
    assert _ask(path, "SELECT count(*) FROM error_logs") == [(0,)]
    generate(path, activity_rows=ROWS)
    assert _ask(path, "SELECT count(*) FROM error_logs") == [(24,)]


def test_what_readers_left_beside_a_database_does_not_keep_it(tmp_path: Path) -> None:
    path = tmp_path / "sample.db"
    generate(path, activity_rows=ROWS)
    with SqliteEngine(path, tmp_path).snapshot() as snapshot:
        assert snapshot.tables()
    assert path.with_name("sample.db-wal").exists()
    generate(path, activity_rows=1)
    assert _ask(path, "SELECT count(*) FROM user_activity") == [(1,)]


def test_size_below_one_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RefusedError, match="at least 1"):
        generate(tmp_path / "sample.db", activity_rows=0)
    assert list(tmp_path.iterdir()) == []


def test_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(PermanentError, match=r"file/sample\.db could not be written"):
        generate(tmp_path / "file" / "sample.db", activity_rows=1)


def test_command_prints_counts_and_refuses_to_overwrite(sample: Path, tmp_path: Path) -> None:
    path = tmp_path / "sample.db"
    first = _run("--rows", "1000", path)
    printed, _ = first.communicate(timeout=60)
    assert first.returncode == 0
    assert ["user_activity", "1,000"] in [line.split() for line in printed.splitlines()]
    assert _digest(path) == _digest(sample)

    second = _run("--rows", "1000", "--seed", "7", path)
    _, complaint = second.communicate(timeout=60)
    assert second.returncode == 1
    assert "--force" in complaint
    assert _digest(path) == _digest(sample)

    forced = _run("--rows", "1000", "--seed", "7", "--force", path)
    forced.communicate(timeout=60)
    assert forced.returncode == 0
    assert _digest(path) != _digest(sample)
