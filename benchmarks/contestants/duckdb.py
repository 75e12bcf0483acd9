"""DuckDB with the SQLite extension from PyPI; it compresses by itself."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from benchmarks.tasks import MONTH_COLUMN, TABLE, Task, month_query

LIBRARIES = dict.fromkeys(
    ("parquet", "csv", "jsonl"), ("duckdb", "duckdb_extension_sqlite_scanner")
)


def export(task: Task) -> dict[str, str]:
    """One file a month, each by ``sqlite_query``, which lets SQLite use its index."""
    with _attached(task) as connection:
        for month in task.months:
            query = month_query(month).replace("'", "''")
            connection.execute(
                f"COPY (SELECT {_columns(task)} FROM sqlite_query('app', '{query}')) "
                f"TO '{task.file(month)}' ({_options(task)})"
            )
    return {month: str(task.file(month)) for month in task.months}


def export_partitioned(task: Task) -> dict[str, str]:
    """One folder a month from one scan, DuckDB's own way for many months; not for JSON."""
    with _attached(task) as connection:
        connection.execute(
            f"COPY (SELECT *, substr({MONTH_COLUMN}, 1, 7) AS month FROM app.{TABLE}) "
            f"TO '{task.folder}' ({_options(task)}, PARTITION_BY (month))"
        )
    written = {path.name.removeprefix("month="): path for path in Path(task.folder).glob("month=*")}
    return {month: str(written[month]) for month in task.months}


def _attached(task: Task) -> Any:
    import duckdb
    import duckdb_extension_sqlite_scanner as scanner  # type: ignore[import-untyped]

    (extension,) = Path(scanner.__file__).parent.rglob("*.duckdb_extension")
    connection = duckdb.connect()
    connection.execute(f"LOAD '{extension}'")
    connection.execute(f"ATTACH '{task.database}' AS app (TYPE sqlite, READ_ONLY)")
    return connection


def _columns(task: Task) -> str:
    """All columns; ``sqlite_query`` gives texts only, which a CSV file does not show."""
    if task.format == "csv":
        return "*"
    kinds = {"id": "BIGINT", "credits": "DOUBLE", "duration_ms": "BIGINT"}
    typed = ", ".join(f"CAST({name} AS {kind}) AS {name}" for name, kind in kinds.items())
    return f"* REPLACE ({typed})"


def _options(task: Task) -> str:
    written = {"parquet": "parquet", "csv": "csv, HEADER", "jsonl": "json"}[task.format]
    return f"FORMAT {written}, COMPRESSION {task.compression}"
