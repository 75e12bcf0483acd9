"""This project's export workflow as its assets call it, without Dagster."""

from __future__ import annotations

from pathlib import Path

from benchmarks.tasks import MONTH_COLUMN, TABLE, Task
from portability_pipelines.domain.manifest import Lineage
from portability_pipelines.domain.months import Month, Period
from portability_pipelines.domain.tables import MonthColumn, Selection
from portability_pipelines.engines.base import Snapshot
from portability_pipelines.engines.sqlite.engine import SqliteEngine
from portability_pipelines.stores.local import LocalStore
from portability_pipelines.workflows.drafts import Archivist, Secrets, Written
from portability_pipelines.workflows.export import ExportOptions, export_table

READING = ("adbc_driver_manager", "adbc_driver_sqlite", "importlib.readers", "zipfile")
LIBRARIES = {
    "parquet": (*READING, "pyarrow.parquet"),
    "csv": (*READING, "zstandard"),
    "jsonl": (*READING, "polars", "zstandard"),
}


def export(task: Task) -> dict[str, str]:
    """One archive a month, counted and digested, with its manifest."""
    writer = archivist(task, Secrets())
    with engine(task).snapshot() as snapshot:
        written = export_selection(task, snapshot, writer, (task.format,))
    return {
        period: place(writer, archive.manifest.prefix, archive.manifest.files[0].name)
        for period, archive in written.items()
    }


def export_selection(
    task: Task, snapshot: Snapshot, writer: Archivist, formats: tuple[str, ...]
) -> dict[Period, Written]:
    """The months of ``task`` in all of ``formats``."""
    table = next(table for table in snapshot.tables() if table.name == TABLE)
    selection = Selection(table, MonthColumn(MONTH_COLUMN), tuple(map(Month.parse, task.months)))
    options = ExportOptions(formats, task.compression)
    return export_table(snapshot, "app", selection, options, writer, in_silence)


def engine(task: Task) -> SqliteEngine:
    """The database of ``task``."""
    return SqliteEngine(Path(task.database), Path(task.folder, "scratch"))


def archivist(task: Task, secrets: Secrets) -> Archivist:
    """A writer into a store of its own in the folder of ``task``."""
    store = LocalStore(Path(task.folder, "store"))
    return Archivist(store, secrets, Lineage("benchmark", "benchmark", "benchmark"))


def place(writer: Archivist, prefix: str, name: str) -> str:
    """The path of a file in the store."""
    return writer.store.locate(f"{prefix}/{name}")


def in_silence(done: int, total: int) -> None:
    """Report no progress."""
