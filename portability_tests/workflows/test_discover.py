"""What is declared about databases that nobody made for this project."""

from __future__ import annotations

import re
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from portability_pipelines.components.application_database import ApplicationDatabase
from portability_pipelines.domain.declarations import (
    Backup,
    Database,
    Exports,
    Migration,
    SourceReference,
    TableDeclaration,
)
from portability_pipelines.domain.months import Month
from portability_pipelines.engines.registry import open_engine
from portability_pipelines.workflows.discover import COMPONENT, Discovered, as_yaml, discover
from portability_tests.engines.test_sqlite_recovery import made_by_its_application

NOW = Month(2026, 11)
SECONDS, MILLISECONDS = 1_767_225_600, 1_767_225_600_000  # 2026-01-01T00:00:00Z


def discovered(tmp_path: Path, script: str) -> Discovered:
    """What is found in the database that ``script`` makes."""
    path = tmp_path / "made.sqlite"
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(script)
    return discovered_in(path, tmp_path)


def discovered_in(
    path: Path, tmp_path: Path, found: Callable[[TableDeclaration, str], None] = lambda *_: None
) -> Discovered:
    """What is found in the database at ``path``."""
    with open_engine("sqlite", path, tmp_path / "scratch").snapshot() as snapshot:
        return discover(snapshot, "made", SourceReference("sqlite", str(path)), NOW, found=found)


def tables(found: Discovered) -> dict[str, tuple[str | None, str]]:
    """The month column and the encoding of each table that was declared."""
    return {table.name: (table.month_column, table.dates) for table in found.database.tables}


def test_tables_of_every_kind_are_declared_and_what_repeats_them_is_not(tmp_path: Path) -> None:
    found = discovered(
        tmp_path,
        """
        CREATE TABLE "Order Lines" ("Created At" TEXT, "select" TEXT);
        INSERT INTO "Order Lines" VALUES ('2025-03-04 10:00:00', 'x');
        CREATE TABLE "it's ""so"" quoted" (CreatedAt TEXT PRIMARY KEY) WITHOUT ROWID;
        INSERT INTO "it's ""so"" quoted" VALUES ('2025-05-01');
        CREATE TABLE strict_one (a TEXT, b TEXT, DAY TEXT, PRIMARY KEY (b, a)) STRICT;
        INSERT INTO strict_one VALUES ('a', 'b', '2025-04-30');
        CREATE TABLE derived (raw TEXT, sent_on TEXT AS (substr(raw, 3)) VIRTUAL);
        INSERT INTO derived (raw) VALUES ('x:2025-06-01');
        CREATE VIEW recent AS SELECT * FROM derived;
        CREATE VIRTUAL TABLE notes USING fts5 (body);
        INSERT INTO notes VALUES ('2025-01-01');
        CREATE TABLE nothing_yet (created_at TEXT);
        """,
    )
    assert tables(found) == {
        "Order Lines": ("Created At", "iso"),
        'it\'s "so" quoted': ("CreatedAt", "iso"),
        "strict_one": ("DAY", "iso"),
        "derived": ("sent_on", "iso"),
        "notes": (None, "iso"),
        "nothing_yet": (None, "iso"),
    }
    assert (found.database.first_month, found.last_month) == (Month(2025, 3), Month(2025, 6))


def test_tables_that_only_their_application_can_read_are_left_out_and_told(tmp_path: Path) -> None:
    path = made_by_its_application(
        tmp_path / "made.sqlite",
        "CREATE TABLE notes (created_at TEXT COLLATE german)",
        "CREATE INDEX by_date ON notes (created_at)",
        "INSERT INTO notes VALUES ('2026-01-05')",
        "CREATE TABLE tags (tag TEXT COLLATE german PRIMARY KEY, usn INT) WITHOUT ROWID",
        "CREATE TABLE dated_tags (tag TEXT COLLATE german PRIMARY KEY, at TEXT) WITHOUT ROWID",
        "CREATE TABLE loud (n TEXT, created_at TEXT AS (shout(n)))",
    )
    found = discovered_in(path, tmp_path)
    assert tables(found) == {"notes": ("created_at", "iso")}
    assert found.left_out == {
        "dated_tags": "no query solution",
        "loud": "unknown function: shout()",
        "tags": "no query solution",
    }


def test_the_encoding_is_the_one_found_in_the_data(tmp_path: Path) -> None:
    found = discovered(
        tmp_path,
        f"""
        CREATE TABLE seconds (at INTEGER); INSERT INTO seconds VALUES ({SECONDS});
        CREATE TABLE milliseconds (at INTEGER); INSERT INTO milliseconds VALUES ({MILLISECONDS});
        CREATE TABLE declared (moment DATETIME); INSERT INTO declared VALUES ({SECONDS}.5);
        CREATE TABLE texts (at INTEGER); INSERT INTO texts VALUES ('2026-01-31T23:59:59+05:30');
        """,
    )
    assert tables(found) == {
        "seconds": ("at", "epoch_seconds"),
        "milliseconds": ("at", "epoch_milliseconds"),
        "declared": ("moment", "epoch_seconds"),
        "texts": ("at", "iso"),
    }
    assert found.last_month == Month(2026, 1)


@pytest.mark.parametrize(
    ("columns", "chosen"),
    [
        (("updated_at", "created_at", "deleted_at"), "created_at"),
        (("ModifiedDate", "OrderDate"), "OrderDate"),
        (("last_login_time", "joined"), "joined"),
        (("event_date", "timestamp"), "timestamp"),
        (("birth_date", "updated_at"), "updated_at"),
        (("date_of_birth", "dob"), None),
        (("birthdate", "duration_time", "timezone"), None),
        (("name", "title"), None),
    ],
)
def test_the_column_whose_name_tells_of_a_beginning_is_preferred(
    tmp_path: Path, columns: tuple[str, ...], chosen: str | None
) -> None:
    values = ", ".join(["'2025-01-01'"] * len(columns))
    found = discovered(
        tmp_path, f"CREATE TABLE t ({', '.join(columns)}); INSERT INTO t VALUES ({values});"
    )
    assert tables(found)["t"][0] == chosen


def test_of_equally_named_columns_the_one_that_dates_more_rows_is_taken(tmp_path: Path) -> None:
    found = discovered(
        tmp_path,
        """
        CREATE TABLE t (placed_at TEXT, received_at TEXT);
        WITH n(i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n WHERE i < 20)
        INSERT INTO t SELECT iif(i = 1, NULL, '2025-01-01'), '2025-01-01' FROM n;
        """,
    )
    assert tables(found)["t"][0] == "received_at"


@pytest.mark.parametrize(("broken", "chosen"), [(1, "created_at"), (2, None)])
def test_a_column_must_date_nine_rows_in_ten(
    tmp_path: Path, broken: int, chosen: str | None
) -> None:
    found = discovered(
        tmp_path,
        f"""
        CREATE TABLE t (created_at TEXT);
        WITH n(i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n WHERE i < 10)
        INSERT INTO t SELECT iif(i <= {broken}, 'last tuesday', '2025-02-03') FROM n;
        """,
    )
    assert tables(found)["t"][0] == chosen


@pytest.mark.parametrize(
    ("column", "values", "told"),
    [
        ("datum TEXT", ["31.12.2025", "1.2.2026 10:30"], True),
        ("datum DATE", ["12/31/2025", "2/1/26"], False),
        ("datum DATE", ["12/31/2025", " 02/01/2026"], True),
        ("datum", ["31-12-2025"], True),
        ("datum TEXT PRIMARY KEY", ["31.12.2025"], True),
        ("datum TEXT", ["31.12.2025", "2026-01-02"], False),
        ("datum TEXT", ["1.2.2026.4", "31.12.20255", "version 1.2.2026", ""], False),
        ("date_of_birth TEXT", ["31.12.2025"], False),
        ("date_of_birth TEXT PRIMARY KEY", ["31.12.2025"], False),
        ("datum TEXT", [], False),
        ("datum TEXT", [b"31.12.2025", 5, None], False),
        ("datum INTEGER", [f"{day}.12.2025" for day in range(1, 31)] + [5, b"\xff", None], True),
    ],
)
def test_dates_in_another_order_are_told_of(
    tmp_path: Path, column: str, values: list[object], told: bool
) -> None:
    path = tmp_path / "made.sqlite"
    with closing(sqlite3.connect(path)) as connection:
        without = " WITHOUT ROWID" if "KEY" in column else ""
        connection.execute(f"CREATE TABLE buchungen ({column}){without}")
        connection.executemany("INSERT INTO buchungen VALUES (?)", [[value] for value in values])
        connection.commit()
    reasons: list[str] = []
    assert tables(discovered_in(path, tmp_path, lambda _, reason: reasons.append(reason))) == {
        "buchungen": (None, "iso")
    }
    assert reasons == ["datum holds dates that are not ISO 8601" if told else ""]


def test_a_damaged_table_without_dates_is_left_to_its_export(tmp_path: Path) -> None:
    path = tmp_path / "made.sqlite"
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(
            "CREATE TABLE sound (n); CREATE TABLE damaged (content TEXT);"
            "INSERT INTO damaged VALUES (hex(zeroblob(99999)))"
        )
        (root,) = connection.execute("SELECT max(rootpage) FROM sqlite_schema").fetchone()
    with path.open("r+b") as file:
        file.seek(4096 * (root + 4))  # the middle of the long value
        file.write(bytes(4096))
    assert set(tables(discovered_in(path, tmp_path))) == {"sound", "damaged"}


@pytest.mark.parametrize("absurd", ["0001-01-01", "1021-01-01", "1970-01-01", "2921-01-01"])
def test_absurd_dates_do_not_widen_the_months(tmp_path: Path, absurd: str) -> None:
    found = discovered(
        tmp_path,
        f"""
        CREATE TABLE t (created_at TEXT); CREATE INDEX by_date ON t (created_at);
        WITH n(i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n WHERE i < 20)
        INSERT INTO t SELECT iif(i = 7, '{absurd}', iif(i < 7, '2024-02-29', '2025-08-09')) FROM n;
        """,
    )
    assert tables(found)["t"][0] == "created_at"
    assert (found.database.first_month, found.last_month) == (Month(2024, 2), Month(2025, 8))


def test_a_column_of_the_future_or_of_the_distant_past_is_no_month_column(tmp_path: Path) -> None:
    found = discovered(
        tmp_path,
        """
        CREATE TABLE plans (starts_on DATE); INSERT INTO plans VALUES ('2031-01-01');
        CREATE TABLE history (day TEXT); INSERT INTO history VALUES ('1815-06-18');
        """,
    )
    assert tables(found) == {"plans": (None, "iso"), "history": (None, "iso")}
    assert (found.database.first_month, found.last_month) == (NOW, None)


def test_commits_that_are_only_in_the_write_ahead_log_count(tmp_path: Path) -> None:
    path = tmp_path / "busy.sqlite"
    script = (
        "import os, sqlite3, sys\n"
        "c = sqlite3.connect(sys.argv[1])\n"
        "c.execute('PRAGMA journal_mode = WAL')\n"
        "c.execute('CREATE TABLE t (created_at TEXT)')\n"
        "c.execute(\"INSERT INTO t VALUES ('2025-09-09')\")\n"
        "c.commit()\n"
        "os._exit(0)\n"
    )
    subprocess.run([sys.executable, "-c", script, str(path)], check=True)
    assert path.with_name("busy.sqlite-wal").stat().st_size
    before = path.read_bytes()
    assert tables(discovered_in(path, tmp_path)) == {"t": ("created_at", "iso")}
    assert path.read_bytes() == before


def _collections(tmp_path: Path, names: list[str]) -> dict[str, str]:
    """The collections that tables of these ``names`` get, where they are called otherwise."""
    path = tmp_path / "made.sqlite"
    with closing(sqlite3.connect(path)) as connection:
        for name in names:
            connection.execute(f'CREATE TABLE "{name}" (a)')
    with open_engine("sqlite", path, tmp_path / "scratch").snapshot() as snapshot:
        source = SourceReference("sqlite", str(path))
        found = discover(snapshot, "made", source, NOW, mongodb_target="made")
    return {t.name: t.collection for t in found.database.tables if t.collection}


def test_tables_that_mongodb_could_not_call_so_get_collections_of_other_names(
    tmp_path: Path,
) -> None:
    names = ["a$b", "a_b", "x..y", ".hidden", "system.users", "plain.name", "systematic", ""]
    assert _collections(tmp_path, names) == {
        "a$b": "a_b_",
        "x..y": "x_.y",
        ".hidden": "_hidden",
        "system.users": "_.users",
        "": "_",
    }


def test_collections_are_named_no_longer_than_mongodb_allows(tmp_path: Path) -> None:
    long = ["я" * 300, "я" * 301]
    found = _collections(tmp_path, [*long, "n" * 180])
    assert list(found) == long
    assert len(set(found.values())) == 2
    for name in found.values():
        assert re.fullmatch("я{85}_[0-9a-f]{8}", name)


def test_an_empty_database_is_declared_without_tables(tmp_path: Path) -> None:
    found = discovered(tmp_path, "VACUUM;")
    assert found == Discovered(replace(found.database, tables=()), None, {})
    assert found.database.backup is not None


@pytest.mark.parametrize(
    "database",
    [
        Database(
            "shop",
            SourceReference("sqlite", "/srv/a folder/shop: one.sqlite"),
            Month(2025, 3),
            (
                TableDeclaration("Order Lines", "Created At"),
                TableDeclaration("no", "on", "epoch_milliseconds", "yes", ("1", "null")),
                TableDeclaration('it\'s "quoted" # {}'),
                TableDeclaration("2025-03-01", "作成日", "epoch_seconds"),
            ),
            exports=Exports(("parquet", "csv"), "gzip", schedule=None),
            backup=Backup(schedule="0 1 * * *"),
            migration=Migration("shop"),
            timezone="Europe/Berlin",
            backfill="single_run",
            owners=("team:shop",),
            schedules_run=False,
        ),
        Database("bare", SourceReference("sqlite", path_env="BARE"), Month(2026, 1)),
    ],
    ids=["everything", "nothing"],
)
def test_the_yaml_means_the_same_to_the_component(database: Database) -> None:
    written = yaml.safe_load(as_yaml(database))
    assert written["type"] == COMPONENT
    component = ApplicationDatabase.from_attributes_dict(attributes=written["attributes"])
    assert component.database == database


def test_the_yaml_of_the_sample_is_what_is_shipped(tmp_path: Path) -> None:
    from portability_pipelines.sample import generate

    path = tmp_path / "sample.sqlite"
    generate(path, activity_rows=500)
    shipped = Path(sys.modules[ApplicationDatabase.__module__].__file__ or "").parents[1]
    declared = yaml.safe_load((shipped / "defs/sample/defs.yaml").read_text())["attributes"]
    wanted = {t["name"]: (t.get("month_column"), t.get("dates", "iso")) for t in declared["tables"]}
    found = discovered_in(path, tmp_path)
    assert tables(found) == wanted
    assert str(found.database.first_month) == declared["first_month"]
