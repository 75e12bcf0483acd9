"""Two connections read the ranges of a table side by side."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from threading import Event

from portability_pipelines.engines.sqlite.adbc import Connection
from portability_pipelines.engines.sqlite.lanes import side_by_side
from portability_tests.engines.databases import database


def test_a_connection_reads_on_while_its_last_rows_wait(tmp_path: Path) -> None:
    begun = {part: Event() for part in "abcd"}

    def read(connection: Connection, part: str) -> Iterator[str]:
        begun[part].set()
        yield part

    with (
        database(tmp_path, "CREATE TABLE t (a)").snapshot() as snapshot,
        closing(side_by_side(snapshot.connections, list(begun), read)) as rows,
    ):
        assert len(snapshot.connections) == 2
        assert next(rows) == "a"
        assert begun["d"].wait(10), "it waits for somebody to take the rows of b"
        assert list(rows) == ["b", "c", "d"]
