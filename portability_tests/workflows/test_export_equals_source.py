"""Whatever lies in a table, the tools that people have read it back from an export, exactly."""

from __future__ import annotations

import csv
import io
import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pandas as pd
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from portability_pipelines.domain.manifest import Lineage, Manifest
from portability_pipelines.domain.tables import Selection
from portability_pipelines.engines.sqlite.engine import SqliteEngine
from portability_pipelines.engines.sqlite.schema import identifier
from portability_pipelines.stores.local import LocalStore
from portability_pipelines.workflows.drafts import Archivist, Secrets
from portability_pipelines.workflows.export import ExportOptions, export_table

Value = int | float | str | bytes | None
FORMATS = ("parquet", "csv", "jsonl")

TEXTS = st.text(st.characters(exclude_categories=["Cs"]))
DIRT = st.sampled_from(
    ["", "007", "n/a", "=1+1", "+cmd", "a,b", 'say "hi"', "line\r\nline", "\t", "é\0"]
)
INTEGERS = st.integers(-(2**63), 2**63 - 1)
REALS = st.floats(allow_nan=False)
ANY = st.one_of(st.none(), INTEGERS, REALS, TEXTS, DIRT, st.binary(max_size=20))
NULLABLE = st.sampled_from([st.none() | s for s in (INTEGERS, REALS, TEXTS | DIRT, st.binary())])
NAMES = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1).filter(
    lambda name: not name.lower().startswith("sqlite_")
)
DECLARED = st.sampled_from(["", "INTEGER", "TEXT", "REAL", "BLOB", "DECIMAL(10,2)", "DATETIME"])


@contextmanager
def exported(
    columns: list[tuple[str, str]], rows: list[Any]
) -> Iterator[tuple[Manifest, Path, list[tuple[Value, ...]]]]:
    """Export a table in every format; give its manifest, its folder, and what SQLite holds."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "app.sqlite"
        with closing(sqlite3.connect(path)) as connection:
            declared = ", ".join(f"{identifier(name)} {kind}" for name, kind in columns)
            connection.execute(f"CREATE TABLE t ({declared})")
            holes = ", ".join("?" * len(columns))
            connection.executemany(f"INSERT INTO t VALUES ({holes})", rows)
            connection.commit()
            truth = connection.execute("SELECT * FROM t ORDER BY rowid").fetchall()
        store = LocalStore(Path(folder) / "store")
        archivist = Archivist(
            store, Secrets(), Lineage("run", "asset", "1"), lambda: datetime.now(UTC)
        )
        with SqliteEngine(path, Path(folder) / "scratch").snapshot() as snapshot:
            (table,) = snapshot.tables()
            options = ExportOptions(FORMATS)
            done = export_table(
                snapshot, "app", Selection(table), options, archivist, lambda *_: None
            )
        manifest = done["all"].manifest
        yield manifest, Path(store.locate(manifest.prefix)), truth


def as_stored(manifest: Manifest, truth: list[tuple[Value, ...]]) -> list[tuple[Value, ...]]:
    """What the manifest promises: values of columns that mix kinds are texts."""
    kinds = [column.stored_type for column in manifest.tables[0].columns]
    return [tuple(map(_promised, row, kinds)) for row in truth]


def _promised(value: Value, kind: str) -> Value:
    if value is None or kind == "blob":
        return value
    if kind != "text":
        return float(value) if kind == "real" else value
    if isinstance(value, bytes):
        return f"X'{value.hex().upper()}'"
    return repr(value) if isinstance(value, float) else str(value)


def plain(folder: Path, ending: str) -> str:
    (path,) = folder.glob(f"*.{ending}.zst")
    with path.open("rb") as stored, zstandard.ZstdDecompressor().stream_reader(stored) as reader:
        return reader.read().decode()


def by_pandas(folder: Path) -> list[tuple[Value, ...]]:
    (path,) = folder.glob("*.parquet")
    frame = pd.read_parquet(path, dtype_backend="pyarrow")
    columns = [frame[name].array.__arrow_array__().to_pylist() for name in frame.columns]
    return list(zip(*columns, strict=True))


def by_csv(folder: Path, kinds: list[str]) -> list[tuple[Value, ...]]:
    csv.field_size_limit(2**31 - 1)
    _, *rows = csv.reader(io.StringIO(plain(folder, "csv"), newline=""))
    read: dict[str, Any] = {"integer": int, "real": float, "text": str, "blob": bytes.fromhex}
    return [
        tuple(
            read[kind](cell) if cell else None
            for cell, kind in zip(row or [""], kinds, strict=True)
        )
        for row in rows
    ]


def by_json(folder: Path, kinds: list[str]) -> list[tuple[Value, ...]]:
    read: dict[str, Any] = {"integer": int, "real": float, "text": str, "blob": bytes.fromhex}
    lines = plain(folder, "jsonl").split("\n")
    return [
        tuple(
            None if value is None else read[kind](value)
            for value, kind in zip(json.loads(line).values(), kinds, strict=True)
        )
        for line in lines
        if line
    ]


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_pandas_csv_and_json_read_every_value_of_any_table(data: st.DataObject) -> None:
    names = data.draw(st.lists(NAMES, min_size=1, max_size=4, unique_by=str.casefold))
    columns = [(name, data.draw(DECLARED)) for name in names]
    values = [data.draw(st.one_of(st.just(ANY), NULLABLE)) for _ in columns]
    rows = data.draw(st.lists(st.tuples(*values), max_size=8))
    with exported(columns, rows) as (manifest, folder, truth):
        kinds = [str(column.stored_type) for column in manifest.tables[0].columns]
        expected = as_stored(manifest, truth)
        assert manifest.rows == len(truth)
        assert by_pandas(folder) == expected
        assert by_json(folder, kinds) == expected
        blank_is_null = [tuple(None if v in ("", b"") else v for v in row) for row in expected]
        assert by_csv(folder, kinds) == blank_is_null
