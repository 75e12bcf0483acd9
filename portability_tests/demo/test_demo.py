"""``make demo``, run as a person runs it, in a copy of the project with a small sample."""

from __future__ import annotations

import json
import re
import shlex
import sqlite3
import stat
import subprocess
import sys
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from portability_pipelines.workflows.discover import COMPONENT
from portability_tests.projects import ProjectCopy

# A run takes ten seconds on a machine that has nothing else to do, and minutes on a busy one.
pytestmark = [pytest.mark.usefixtures("mongod_uri"), pytest.mark.timeout(400)]

ROWS = "500"
MONTHS = ("2026-09", "2026-10")


def demo(project: ProjectCopy, *words: str) -> subprocess.CompletedProcess[str]:
    """Run the demo to its end."""
    return subprocess.run(
        [sys.executable, "-m", "portability_pipelines.demo", *words],
        cwd=project.folder,
        env=project.environment,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> ProjectCopy:
    """A copy of the project in which nothing has run yet."""
    return ProjectCopy.made(tmp_path_factory.mktemp("demo") / "project")


@pytest.fixture(scope="module")
def first(project: ProjectCopy) -> subprocess.CompletedProcess[str]:
    """The first run on the sample."""
    return demo(project, "--rows", ROWS)


def store(project: ProjectCopy) -> dict[str, bytes]:
    """Every file of the store and its content."""
    root = project.folder / ".portability" / "store"
    return {str(p.relative_to(root)): p.read_bytes() for p in root.rglob("*") if p.is_file()}


def table(output: str) -> dict[tuple[str, str], list[str]]:
    """The lines of the table at the end, by asset and partition."""
    lines = output.splitlines()
    begin = next(i for i, line in enumerate(lines) if line.startswith("asset "))
    rows = [line.split() for line in lines[begin + 2 : lines.index("", begin)]]
    return {(row[0], row[1]): row[2:] for row in rows}


def test_the_first_run_makes_and_proves_everything(
    project: ProjectCopy, first: subprocess.CompletedProcess[str]
) -> None:
    assert (first.returncode, first.stderr) == (0, "")
    shown = table(first.stdout)
    for month in MONTHS:
        assert {("exports/user_activity", month), ("mongodb/user_activity", month)} <= set(shown)
    assert [key for key in shown if key[0] == "backup"]
    assert ("exports/location_cache", "all") in shown
    assert all("held" in row for row in shown.values())
    told = (
        "\nShown: 2026-09 and 2026-10, of the months since 2024-12. Rows of the others are not in "
    )
    assert told in first.stdout
    assert "DEBUG" not in first.stdout
    assert "\\" not in first.stdout
    assert re.search(r"\n\n\d+ seconds in all\.\n$", first.stdout)
    beginning = first.stdout.index("\nasset ")
    lines = first.stdout[beginning : first.stdout.index("\nWarnings")].splitlines()
    assert max(map(len, lines)) <= 120
    for dataset in ("exports/user_activity/2026-10", "exports/user_activity/undated", "backup"):
        assert any(name.startswith(f"sample/{dataset}/") for name in store(project))


def test_it_says_where_archives_and_documents_are(
    first: subprocess.CompletedProcess[str],
) -> None:
    lines = first.stdout.splitlines()
    (pattern,) = (line.split()[1] for line in lines if line.startswith("  archives "))
    for (asset, partition), row in table(first.stdout).items():
        if asset.startswith("exports/"):
            words = {"exports/<table>": asset, "<partition>": partition, "<where>": row[-1]}
            path = pattern
            for word, value in words.items():
                path = path.replace(word, value)
            assert Path(path, "manifest.json").is_file()
    assert [line for line in lines if line.startswith("  documents ")]


def test_the_command_it_prints_opens_the_backup(
    project: ProjectCopy, first: subprocess.CompletedProcess[str], tmp_path: Path
) -> None:
    import zstandard

    line = next(one for one in first.stdout.splitlines() if "open the backup" in one)
    decrypting, decompressing, *_ = line.removeprefix("  open the backup").split(" | ")
    assert decompressing.startswith("zstd -d >")
    command = shlex.split(decrypting)
    plain = subprocess.run(command, capture_output=True, check=True).stdout
    restored = tmp_path / "restored.sqlite"
    restored.write_bytes(zstandard.ZstdDecompressor().decompressobj().decompress(plain))
    with closing(sqlite3.connect(restored)) as connection:
        (counted,) = connection.execute("SELECT count(*) FROM user_activity").fetchone()
    assert counted == int(ROWS)


def test_a_passphrase_is_made_once_and_for_its_owner_only(
    project: ProjectCopy, first: subprocess.CompletedProcess[str]
) -> None:
    file = project.folder / ".portability" / "passphrase"
    assert f"made a passphrase for backups in {file}" in first.stdout
    assert file.read_text().strip() not in first.stdout
    assert len(file.read_text().strip()) >= 32
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_nothing_is_left_running(
    project: ProjectCopy, first: subprocess.CompletedProcess[str]
) -> None:
    note = json.loads((project.folder / ".portability" / "mongodb" / "server.json").read_text())
    assert not Path(f"/proc/{note['pid']}").exists(), first.stdout


@pytest.mark.usefixtures("first")
def test_a_second_run_changes_nothing_and_says_so(project: ProjectCopy) -> None:
    before = store(project)
    passphrase = (project.folder / ".portability" / "passphrase").read_text()
    second = demo(project, "--rows", ROWS)
    assert second.returncode == 0
    assert "nothing changed" in second.stdout
    assert all("same" in row for row in table(second.stdout).values())
    assert store(project) == before
    assert (project.folder / ".portability" / "passphrase").read_text() == passphrase


@pytest.mark.usefixtures("first")
def test_a_damaged_archive_is_mended_by_running_again(project: ProjectCopy) -> None:
    folder = project.folder / ".portability" / "store" / "sample" / "exports" / "user_activity"
    (damaged,) = (folder / "2026-10").glob("*/*.csv*")
    content = damaged.read_bytes()
    middle = len(content) // 2
    damaged.write_bytes(content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :])
    again = demo(project, "--rows", ROWS)
    assert again.returncode == 0
    shown = table(again.stdout)
    assert [key for key, row in shown.items() if "new" in row] == [
        ("exports/user_activity", "2026-10")
    ]


@pytest.mark.usefixtures("first")
def test_a_run_that_fails_is_named_in_one_line(project: ProjectCopy) -> None:
    wrong = replace(
        project, settings={**project.settings, "PORTABILITY_RECIPIENT": "/absent/key.asc"}
    )
    failed = demo(wrong, "--rows", ROWS)
    assert failed.returncode == 1
    failures = failed.stdout[failed.stdout.index("Failures") :].splitlines()[1:]
    assert "PORTABILITY_RECIPIENT does not name a file" in failures[0]
    assert failures[1] == ""
    assert "Traceback" not in failed.stdout + failed.stderr


@pytest.mark.usefixtures("first")
def test_every_run_tells_its_own_failure(project: ProjectCopy, tmp_path: Path) -> None:
    (tmp_path / "store").write_text("a file, no folder")
    store = (tmp_path / "store").as_uri()
    failed = demo(
        replace(project, settings={**project.settings, "PORTABILITY_STORE": store}), "--rows", ROWS
    )
    assert failed.returncode == 1
    failures = failed.stdout[failed.stdout.index("Failures") :].split("\n\n")[0].splitlines()[1:]
    assert len(failures) == 3
    assert all(f"{tmp_path / 'store'}" in line for line in failures)


def test_a_database_of_ones_own_is_only_read(project: ProjectCopy, tmp_path: Path) -> None:
    folder = tmp_path / "theirs"
    folder.mkdir()
    path = folder / "Shop 1.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(
            """
            CREATE TABLE orders (number INTEGER, placed_at TEXT);
            INSERT INTO orders VALUES (1, '2025-03-04'), (2, '2025-05-06'), (3, NULL);
            INSERT INTO orders SELECT number + 9, placed_at FROM orders WHERE number = 2;
            INSERT INTO orders SELECT number + 19, '2025-04-01' FROM orders;
            INSERT INTO orders SELECT number + 39, '2025-04-01' FROM orders WHERE number > 1;
            CREATE TABLE settings (key TEXT PRIMARY KEY, value, changed_at TEXT);
            INSERT INTO settings VALUES ('colour', 'blue', '2025-04-01'), ('size', 3, NULL);
            CREATE VIEW recent AS SELECT * FROM orders;
            CREATE TABLE "exports" ("group by" TEXT PRIMARY KEY) WITHOUT ROWID;
            INSERT INTO "exports" VALUES ('a'), ('b');
            CREATE TABLE "it's a $name" ("Created At" INTEGER, raw BLOB, n AS (1));
            INSERT INTO "it's a $name" VALUES (1743500000, x'00FF');
            PRAGMA writable_schema = ON;
            INSERT INTO sqlite_schema VALUES
                ('table', 'map', 'map', 0, 'CREATE VIRTUAL TABLE map USING of_the_application');
            """
        )
    before = path.read_bytes()
    done = demo(project, str(path))
    assert done.returncode == 0, done.stdout + done.stderr
    assert "settings: whole, as changed_at dates 1 of 2 rows only" in done.stdout
    reason = "no such module: of_the_application"
    assert f"left out, as only their application can read them: map ({reason})" in done.stdout
    assert "left out, as they repeat rows of tables: recent (views)" in done.stdout
    rows = {key: row[0] for key, row in table(done.stdout).items()}
    wanted = {
        ("orders", "2025-04"): "11",
        ("orders", "2025-05"): "2",
        ("orders", "undated"): "1",
        ("settings", "all"): "2",
        ("exports", "all"): "2",
        ("it_s_a__name", "2025-04"): "1",
    }
    assert {key: count for key, count in rows.items() if key[0] != "backup"} == {
        (f"{way}/{name}", period): count
        for way in ("exports", "mongodb")
        for (name, period), count in wanted.items()
    }
    assert "\nShown: 2025-04 and 2025-05, of the months since 2025-03. " in done.stdout
    assert path.read_bytes() == before
    assert [file.name for file in folder.iterdir()] == ["Shop 1.db"]
    (declaration,) = (project.folder / ".portability").glob("shop_1_*.yaml")
    kept = yaml.safe_load(declaration.read_text())
    assert kept["type"] == COMPONENT
    assert kept["attributes"]["source"]["path"] == str(path)


def test_rows_that_are_gone_or_rejected_are_warned_of_and_fail_nothing(
    project: ProjectCopy, tmp_path: Path, mongod_uri: str
) -> None:
    own_server = {**project.settings, "PORTABILITY_MONGODB_URI": mongod_uri}
    project = replace(project, settings=own_server)
    path = tmp_path / "notes.sqlite"
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(
            "CREATE TABLE notes (id INTEGER PRIMARY KEY, said TEXT);"
            "INSERT INTO notes VALUES (1, 'one'), (2, 'two');"
        )
        assert demo(project, str(path)).returncode == 0
        connection.executescript(
            "DELETE FROM notes WHERE id = 1;"
            "INSERT INTO notes VALUES (3, printf('%.*c', 17000000, 'x'));"
        )
    again = demo(project, str(path))
    assert again.returncode == 0, again.stdout + again.stderr
    assert "held" in table(again.stdout)["mongodb/notes", "all"]
    assert "\nShown: " not in again.stdout
    assert "  documents " not in again.stdout
    warnings = again.stdout[again.stdout.index("Warnings") :].splitlines()[1:4]
    assert warnings[0] == "  mongodb/notes: all: 1 rows rejected, 1 stale documents"
    assert warnings[1].startswith("  Why rows were rejected is told by 'skipped'")
    assert warnings[2].startswith("  Stale documents are of rows that the source has no more, ")


@pytest.mark.parametrize("content", [None, b"certainly not a database " * 100])
def test_what_is_no_database_is_said_in_one_line(
    project: ProjectCopy, tmp_path: Path, content: bytes | None
) -> None:
    path = tmp_path / "absent.db"
    if content:
        path.write_bytes(content)
    done = demo(project, str(path))
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1
    assert "absent.db" in done.stderr


def test_no_name_and_no_tables_are_refused(project: ProjectCopy, tmp_path: Path) -> None:
    nobody = demo(project, "")
    assert (nobody.returncode, "DB is empty" in nobody.stderr) == (1, True)
    (tmp_path / "mistyped.db").touch()
    folder = demo(project, str(tmp_path))
    assert (folder.returncode, folder.stderr) == (
        1,
        f"{tmp_path} is a folder, not a database. Name the file in it: "
        "make demo DB=path/to/any.sqlite.\n",
    )
    nothing = demo(project, str(tmp_path / "mistyped.db"))
    assert (nothing.returncode, "holds no tables" in nothing.stderr) == (1, True)
