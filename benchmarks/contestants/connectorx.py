"""ConnectorX: its Arrow stream, a query a month, written by pyarrow or polars."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from benchmarks.tasks import Task, month_query

LIBRARIES = {
    "parquet": ("connectorx", "pyarrow.parquet"),
    "csv": ("connectorx", "pyarrow.csv", "zstandard"),
    "jsonl": ("connectorx", "polars", "zstandard"),
}
_BATCH_ROWS = 65_536


def export(task: Task) -> dict[str, str]:
    """One file a month."""
    import connectorx

    write = {"parquet": _parquet, "csv": _csv, "jsonl": _jsonl}[task.format]
    for month in task.months:
        stream = connectorx.read_sql(
            f"sqlite://{task.database}",
            month_query(month),
            return_type="arrow_stream",
            batch_size=_BATCH_ROWS,
        )
        write(stream, task.file(month), task.compression)
    return {month: str(task.file(month)) for month in task.months}


def _parquet(stream: Any, path: Path, compression: str) -> None:
    import pyarrow.parquet

    with pyarrow.parquet.ParquetWriter(path, stream.schema, compression=compression) as writer:
        for batch in stream:
            writer.write_batch(batch)


def _csv(stream: Any, path: Path, compression: str) -> None:
    import pyarrow.csv

    with _opened(path, compression) as sink, pyarrow.csv.CSVWriter(sink, stream.schema) as writer:
        for batch in stream:
            writer.write_batch(batch)


def _jsonl(stream: Any, path: Path, compression: str) -> None:
    import polars

    with _opened(path, compression) as sink:
        for batch in stream:
            polars.DataFrame(batch).write_ndjson(sink)


@contextmanager
def _opened(path: Path, compression: str) -> Iterator[IO[bytes]]:
    if compression == "none":
        with path.open("wb") as sink:
            yield sink
        return
    import zstandard

    # Level 1 is ours; zstandard would take 3, which is slower.
    with zstandard.open(path, "wb", cctx=zstandard.ZstdCompressor(level=1)) as sink:
        yield sink
