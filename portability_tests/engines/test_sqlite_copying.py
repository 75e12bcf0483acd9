"""A database held still, as bytes and as a view, while others go on writing to it."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO

import pytest

from portability_pipelines.domain.errors import TransientError
from portability_pipelines.engines.base import Frozen
from portability_pipelines.engines.sqlite import copying
from portability_pipelines.engines.sqlite.engine import SqliteEngine
from portability_tests.engines.databases import database, numbers, table_named

ROWS = 3_000
"""Of 1 kB, so that one transaction that changes all of them changes hundreds of pages."""

WRITER = """
import sqlite3, sys
path, after = sys.argv[1:]
connection = sqlite3.connect(path, timeout=60, isolation_level=None)
print("ready", flush=True)
while True:
    connection.execute("UPDATE t SET n = n + 1")
    connection.execute(after)
"""
HOLDER = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1])
connection.execute("SELECT * FROM t").fetchall()
print("ready", flush=True)
sys.stdin.read()
"""
COMMIT = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None, timeout=0.1)
for statement in sys.argv[2:]:
    connection.execute(statement)
import os
os._exit(0)
"""
FILLED = (
    "CREATE TABLE t (i INTEGER PRIMARY KEY, n INT, filler TEXT)",
    f"INSERT INTO t SELECT i, 0, hex(randomblob(500)) FROM ({numbers(ROWS)})",
)


def content(frozen: Frozen, folder: Path) -> tuple[str, set[int]]:
    """What SQLite's own check says of the bytes, and the values of ``n`` there.

    The view must agree with them.
    """
    copy = folder / "content.sqlite"
    copy.write_bytes(frozen.content.read(frozen.size_bytes + 1))
    assert copy.stat().st_size == frozen.size_bytes
    with closing(sqlite3.connect(copy)) as connection:
        (said,) = connection.execute("PRAGMA integrity_check").fetchone()
        values = {n for (n,) in connection.execute("SELECT DISTINCT n FROM t")}
    copy.unlink()
    place = [c.name for c in table_named(frozen.snapshot, "t").columns].index("n")
    seen = set[int]()
    for columns in frozen.snapshot.values(table_named(frozen.snapshot, "t")):
        seen.update(columns[place]["integer"].to_pylist())
    assert seen == values
    return said, values


@contextmanager
def running(program: str, *words: str) -> Iterator[None]:
    """``program`` in a process of its own, as two libraries must not share a file in this one."""
    command = [sys.executable, "-c", program, *words]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout is not None
            process.stdout.readline()
            yield
        finally:
            process.kill()


def commit(path: Path, *statements: str) -> None:
    """From another process, which ends as if it was killed, so that nothing is checkpointed."""
    subprocess.run([sys.executable, "-c", COMMIT, str(path), *statements], check=True)


@pytest.mark.parametrize(
    ("wal", "after"),
    [
        (True, "SELECT 1"),
        (True, "PRAGMA wal_checkpoint(PASSIVE)"),
        (True, "PRAGMA wal_checkpoint(RESTART)"),
        (True, "PRAGMA wal_checkpoint(TRUNCATE)"),
        (False, "SELECT 1"),
    ],
    ids=["wal", "passive", "restart", "truncate", "rollback"],
)
def test_what_is_frozen_is_one_commit_while_others_write(
    tmp_path: Path, wal: bool, after: str
) -> None:
    engine = database(tmp_path, *FILLED, wal=wal)
    moments = list[int]()
    with running(WRITER, str(tmp_path / "app.sqlite"), after):
        for _ in range(25):
            with engine.freeze() as frozen:
                said, values = content(frozen, tmp_path)
            assert (said, len(values)) == ("ok", 1)
            moments += values
    assert moments == sorted(moments)
    assert len(set(moments)) > 5, "the writer did not write"
    assert not list((tmp_path / "scratch").glob("*")), "a copy was left behind"


def test_what_is_frozen_holds_commits_that_are_still_in_the_log(tmp_path: Path) -> None:
    engine = database(tmp_path, *FILLED)
    commit(tmp_path / "app.sqlite", "UPDATE t SET n = 7")
    assert (tmp_path / "app.sqlite-wal").stat().st_size > 0
    with engine.freeze() as frozen:
        (copy,) = (tmp_path / "scratch").rglob("app.sqlite*")
        assert copy.parent.stat().st_mode & 0o777 == 0o700
        assert content(frozen, tmp_path) == ("ok", {7})


def test_the_log_of_a_database_is_found_by_a_link_to_it(tmp_path: Path) -> None:
    database(tmp_path, *FILLED)
    commit(tmp_path / "app.sqlite", "UPDATE t SET n = 7")
    link = tmp_path / "links" / "shop.sqlite"
    link.parent.mkdir()
    link.symlink_to(tmp_path / "app.sqlite")
    with SqliteEngine(link, tmp_path / "scratch").freeze() as frozen:
        assert content(frozen, tmp_path) == ("ok", {7})


@pytest.mark.parametrize("wal", [True, False], ids=["wal", "rollback"])
@pytest.mark.parametrize("opened", [SqliteEngine.snapshot, SqliteEngine.freeze])
def test_what_was_committed_before_the_time_of_a_snapshot_is_in_it(
    tmp_path: Path, wal: bool, opened: Callable[[SqliteEngine], AbstractContextManager[Any]]
) -> None:
    """Whenever the clock is read, somebody commits just before, unless a lock keeps him from it."""
    database(tmp_path, "CREATE TABLE t (n INTEGER)", wal=wal)
    path = tmp_path / "app.sqlite"
    committed: dict[datetime, int] = {}

    def clock() -> datetime:
        before = max(committed.values(), default=0)
        insert = [sys.executable, "-c", COMMIT, str(path), "INSERT INTO t VALUES (1)"]
        done = subprocess.run(insert, capture_output=True, check=False)
        assert done.returncode == 0 or b"locked" in done.stderr
        now = datetime.now(UTC)
        committed[now] = before + (done.returncode == 0)
        return now

    with opened(SqliteEngine(path, tmp_path / "scratch", clock)) as made:
        snapshot = made.snapshot if isinstance(made, Frozen) else made
        assert snapshot.values(table_named(snapshot, "t")).rows >= committed[snapshot.taken_at]
    assert max(committed.values()) >= 1


@pytest.mark.parametrize("wal", [True, False], ids=["wal", "rollback"])
def test_a_file_that_is_copied_over_while_it_is_held_still_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, wal: bool
) -> None:
    """What keeps to no locks, as dd and rsync --inplace do not, mixes two databases."""
    engine = database(tmp_path, *FILLED, wal=wal)
    path = tmp_path / "app.sqlite"
    os.utime(path, (0, 0))

    def copied_over() -> None:
        with path.open("r+b") as file:
            file.write(file.read(4096))

    if not wal:
        write = copying._write

        def disturbed_write(source: BinaryIO, target: Path) -> None:
            write(source, target)
            copied_over()

        monkeypatch.setattr(copying, "_write", disturbed_write)
    with pytest.raises(TransientError, match="written to while it was read"):  # noqa: SIM117
        with engine.freeze():
            copied_over()
    assert not list((tmp_path / "scratch").glob("*"))


@pytest.mark.parametrize("wal", [True, False], ids=["wal", "rollback"])
def test_a_database_at_rest_is_given_byte_for_byte(tmp_path: Path, wal: bool) -> None:
    engine = database(tmp_path, *FILLED, wal=wal)
    with engine.freeze() as frozen:
        assert frozen.content.read() == (tmp_path / "app.sqlite").read_bytes()
        assert bool(list((tmp_path / "scratch").rglob("app.sqlite"))) is not wal


@pytest.mark.parametrize("mode", ["PASSIVE", "FULL", "RESTART", "TRUNCATE"])
def test_a_file_that_is_read_itself_stays_as_it_is(tmp_path: Path, mode: str) -> None:
    engine = database(tmp_path, *FILLED)
    path = tmp_path / "app.sqlite"
    with running(HOLDER, str(path)):
        with engine.freeze() as frozen:
            for _ in range(3):
                commit(path, "UPDATE t SET n = n + 1", f"PRAGMA wal_checkpoint({mode})")
            assert content(frozen, tmp_path) == ("ok", {0})
        with engine.freeze() as frozen:
            assert content(frozen, tmp_path) == ("ok", {3})


def test_a_file_that_is_read_itself_outlasts_its_last_writer(tmp_path: Path) -> None:
    engine = database(tmp_path, *FILLED)
    path = tmp_path / "app.sqlite"
    closing_last = f"{COMMIT.partition('import os')[0]}connection.close()"
    with engine.freeze() as frozen:
        subprocess.run(
            [sys.executable, "-c", closing_last, str(path), "UPDATE t SET n = n + 1"], check=True
        )
        assert content(frozen, tmp_path) == ("ok", {0})


def disturbed(monkeypatch: pytest.MonkeyPatch, disturb: Callable[[], None]) -> None:
    """Run ``disturb`` when the header and the first page of a log have been copied."""
    write = copying._write

    def in_two(source: BinaryIO, target: Path) -> None:
        if not target.name.endswith("-wal"):
            write(source, target)
            return
        first = os.pread(source.fileno(), 32 + 24 + 4096, 0)
        disturb()
        write(source, target)
        with target.open("r+b") as copy:
            copy.write(first)

    monkeypatch.setattr(copying, "_write", in_two)


def test_a_log_begun_anew_while_it_is_copied_is_copied_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = database(tmp_path, "CREATE TABLE t (n INT)", "INSERT INTO t VALUES (1)")
    path = tmp_path / "app.sqlite"
    more = ("PRAGMA wal_autocheckpoint = 0", *["UPDATE t SET n = n + 1"] * 3)
    begun_anew = list[bytes]()

    def once() -> None:
        if not begun_anew:
            commit(path, *more)
            begun_anew.append((tmp_path / "app.sqlite-wal").read_bytes()[:32])

    with running(HOLDER, str(path)):
        commit(path, *more, "PRAGMA wal_checkpoint(PASSIVE)")
        before = (tmp_path / "app.sqlite-wal").read_bytes()[:32]
        disturbed(monkeypatch, once)
        with engine.freeze() as frozen:
            assert content(frozen, tmp_path) == ("ok", {7})
    assert before not in begun_anew
