"""One SQLite database of a pretend application, the same for the same arguments."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import date
from pathlib import Path
from tempfile import TemporaryDirectory

from portability_pipelines.domain.errors import PermanentError, RefusedError
from portability_pipelines.sample.plan import Plan
from portability_pipelines.sample.schema import TABLES, SampleTable


def generate(
    path: Path, *, activity_rows: int, seed: int = 2024, until: date = date(2026, 11, 21)
) -> dict[str, int]:
    """Write a sample database to ``path`` and return the rows of each table.

    Rows cover the 24 months that end in the month of ``until``, none later than that day; equal
    arguments give equal rows. ``path`` is replaced as a whole at the end: a failed or killed run
    leaves what was there; a killed one also a hidden folder beside it, which may be removed.
    Memory does not grow with ``activity_rows``. Raises ``RefusedError`` for a size below 1 or a
    ``path`` that is in use, ``PermanentError`` where it cannot be written.
    """
    if activity_rows < 1:
        raise RefusedError(f"{activity_rows} activity rows were asked for", "Ask for at least 1.")
    with _replacing(path) as partial, closing(sqlite3.connect(partial)) as connection:
        return _fill(connection, Plan(activity_rows, seed, until))


@contextmanager
def _replacing(path: Path) -> Iterator[Path]:
    """Give a name beside ``path`` that takes its place if the context ends well."""
    try:
        _refuse_open_database(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(prefix=f".{path.name}.", dir=path.parent) as folder:
            partial = Path(folder, path.name)
            yield partial
            _refuse_open_database(path)
            partial.replace(path)
    except (OSError, sqlite3.Error) as error:
        raise PermanentError(
            f"The sample database {path} could not be written ({error})",
            "Choose a folder that you may write to and that has room for it.",
        ) from error


def _refuse_open_database(path: Path) -> None:
    """SQLite would replay the journal of a replaced database into the one that replaces it.

    One that readers who may not write have left beside it is taken away by whoever closes it last.
    """
    if path.is_file():
        with closing(sqlite3.connect(path)) as last:
            last.execute("PRAGMA user_version").fetchall()
    for suffix in ("-wal", "-journal"):
        journal = path.with_name(path.name + suffix)
        if journal.exists():
            raise RefusedError(
                f"{path} is open in another process, or was left so ({journal.name} exists)",
                "End that process, or remove both files, then ask again.",
            )


def _fill(connection: sqlite3.Connection, plan: Plan) -> dict[str, int]:
    # The file is private and thrown away on failure, so nothing is gained by protecting it.
    connection.execute("PRAGMA journal_mode = OFF")
    connection.execute("PRAGMA synchronous = OFF")
    with connection:
        counts = {table.name: _write(connection, table, plan) for table in TABLES}
    connection.execute("PRAGMA journal_mode = WAL")
    return counts


def _write(connection: sqlite3.Connection, table: SampleTable, plan: Plan) -> int:
    connection.execute(f"CREATE TABLE {table.name} ({table.columns}) {table.options}")
    width = len(connection.execute(f"SELECT * FROM {table.name}").description)
    values = ", ".join("?" * width)
    inserted = connection.executemany(
        f"INSERT INTO {table.name} VALUES ({values})", table.rows(plan)
    )
    if table.index:
        connection.execute(
            f"CREATE INDEX {table.name}_{table.index} ON {table.name} ({table.index})"
        )
    return inserted.rowcount
