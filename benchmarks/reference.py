"""Whether exported files say what the database says.

``python -m benchmarks.reference TASK FILES`` reads the database by Python's own ``sqlite3`` and the
files by pyarrow and ``json``, and prints one line; nothing where all is equal.
"""

from __future__ import annotations

import json
import sqlite3
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.json
import pyarrow.parquet

from benchmarks.tasks import TABLE, Task, month_query

_TYPES = {"INTEGER": pa.int64(), "REAL": pa.float64(), "TEXT": pa.string()}


def main(written_task: str, written_files: str) -> None:
    """Compare every month."""
    task, files = Task.from_json(written_task), json.loads(written_files)
    wrong = total = 0
    with closing(sqlite3.connect(task.database)) as connection:
        for month in task.months:
            expected = _expected(connection, month)
            total += expected.num_rows
            wrong += _differing(expected, found(Path(files[month]), task, expected.schema))
    sys.stdout.write(f"{wrong:,} of {total:,} rows differ\n" if wrong else "")


def _expected(connection: sqlite3.Connection, month: str) -> pa.Table:
    """The month's rows in the order of their ids; a column that mixes kinds as texts."""
    declared = _declared(connection)
    rows = connection.execute(f"{month_query(month)} ORDER BY id").fetchall()
    columns = dict(zip((name for name, _ in declared), zip(*rows, strict=True), strict=True))
    return pa.table({name: _array(columns[name], _TYPES[kind]) for name, kind in declared})


def _array(values: Any, kind: pa.DataType) -> pa.Array:
    try:
        return pa.array(values, kind)
    except (pa.ArrowInvalid, pa.ArrowTypeError):
        return pa.array([None if value is None else str(value) for value in values], pa.string())


def schema_of(database: str) -> pa.Schema:
    """The types that the table declares."""
    with closing(sqlite3.connect(database)) as connection:
        return pa.schema([(name, _TYPES[kind]) for name, kind in _declared(connection)])


def _declared(connection: sqlite3.Connection) -> list[tuple[str, str]]:
    return [row[1:3] for row in connection.execute(f"PRAGMA table_info({TABLE})")]


def found(path: Path, task: Task, schema: pa.Schema) -> pa.Table:
    """What the file, or the files of the folder, hold, in the order of their ids."""
    files = sorted(path.iterdir()) if path.is_dir() else [path]
    read = {"parquet": _parquet, "csv": _csv, "jsonl": _json}[task.format]
    tables = [read(file, task.compression, schema) for file in files]
    return pa.concat_tables(tables).sort_by("id").combine_chunks()


def _parquet(path: Path, compression: str, schema: pa.Schema) -> pa.Table:
    table = pa.parquet.read_table(path, partitioning=None).select(schema.names)
    numbers = (pa.types.is_integer, pa.types.is_floating)
    for found, wanted in zip(table.schema, schema, strict=True):
        if any(kind(found.type) != kind(wanted.type) for kind in numbers):
            raise TypeError(f"column {found.name} is {found.type}, not {wanted.type}")
    return table.cast(schema)


def _csv(path: Path, compression: str, schema: pa.Schema) -> pa.Table:
    types = pa.csv.ConvertOptions(
        column_types=schema,
        null_values=[""],
        strings_can_be_null=True,
        quoted_strings_can_be_null=False,
    )
    with _opened(path, compression) as source:
        return pa.csv.read_csv(source, convert_options=types)


def _json(path: Path, compression: str, schema: pa.Schema) -> pa.Table:
    with _opened(path, compression) as source:
        text = source.read()
    if text.startswith(b"["):
        return pa.Table.from_pylist(json.loads(text), schema=schema)
    options = pa.json.ParseOptions(explicit_schema=schema)
    return pa.json.read_json(pa.BufferReader(text), parse_options=options)


def _opened(path: Path, compression: str) -> Any:
    return pa.input_stream(path, compression=None if compression == "none" else compression)


def _differing(expected: pa.Table, found: pa.Table) -> int:
    rows: int = max(expected.num_rows, found.num_rows)
    if expected.num_rows != found.num_rows:
        return rows
    if expected.equals(found):
        return 0
    same = pc.equal(expected["id"], found["id"])
    for name in expected.column_names:
        equal = pc.fill_null(pc.equal(expected[name], found[name]), False)
        both_null = pc.and_(pc.is_null(expected[name]), pc.is_null(found[name]))
        same = pc.and_(same, pc.or_(equal, both_null))
    return int(pc.sum(pc.invert(same)).as_py() or 0)


if __name__ == "__main__":
    main(*sys.argv[1:])
