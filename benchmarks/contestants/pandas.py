"""pandas: a query a month, and the frame's own writers."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import Any

from benchmarks.tasks import Task, month_query

LIBRARIES = {
    "parquet": ("pandas", "pyarrow.parquet"),
    "csv": ("pandas", "zstandard"),
    "jsonl": ("pandas", "zstandard"),
}


def export(task: Task) -> dict[str, str]:
    """One file a month; a month is held in memory as a whole."""
    import pandas

    with closing(sqlite3.connect(task.database)) as connection:
        for month in task.months:
            _write(pandas.read_sql_query(month_query(month), connection), task, month)
    return {month: str(task.file(month)) for month in task.months}


def _write(frame: Any, task: Task, month: str) -> None:
    path, compression = task.file(month), None if task.compression == "none" else task.compression
    if task.format == "parquet":
        frame.to_parquet(path, compression=compression, index=False)
    elif task.format == "csv":
        frame.to_csv(path, compression=compression, index=False)
    else:
        frame.to_json(path, orient="records", lines=True, compression=compression)
