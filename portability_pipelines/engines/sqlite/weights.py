"""How many rows one batch may hold, so that it stays small in memory whatever the rows hold.

ADBC counts the bytes of a column in 32 bits and says nothing when they are too many, and a batch
ends after a number of rows only. So the rows are weighed by SQLite before they are read; it finds
how long a value is without reading the value.
"""

from __future__ import annotations

from contextlib import closing

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from portability_pipelines.domain.tables import Column
from portability_pipelines.engines.sqlite.adbc import BATCH_ROWS, Connection
from portability_pipelines.engines.sqlite.expressions import balanced
from portability_pipelines.engines.sqlite.scans import Scan
from portability_pipelines.engines.sqlite.schema import identifier, literal
from portability_pipelines.formats.buffers import numbers

BLOCK_BYTES = 8 << 20
"""A batch takes at most twice as many bytes, and twice the longest row of its part."""

SMALL_DATABASE_BYTES = 1 << 30
"""No batch of what is stored in so many bytes can be too much for 32 bits, so that it is enough to
look at rows here and there in every part, and at every batch that was read."""

_FEW_BLOCKS = 8
"""In a database of at most so many blocks, rows that are not read by row id are not weighed."""

_FEW_ROWS = 65_536
"""So few rows are looked at as one part."""

_GLANCES = tuple((k + k * 0.618 % 1) / 128 for k in range(128))
"""Where in a part to look, from 0 to 1: about as far apart, but in step with nothing."""

_CELL_BYTES = 8


class Weights:
    """How many rows of ``scan`` a batch may hold; is to be told of every batch that was read."""

    def __init__(self, scan: Scan) -> None:
        self._scan = scan
        self._weight = _weight(scan.selection.table.columns)
        self._few = scan.counted is not None and scan.counted <= _FEW_ROWS
        self._light: bool | None = None
        self._saw_long = False

    def rows_at_once(self, connection: Connection, part: str) -> int:
        """How many rows of ``part`` a batch may hold: a power of two, at most ``BATCH_ROWS``.

        Takes a pass over the rows, without their long values, where the database is not small,
        where long rows were seen, or where no row ids tell where to look.
        """
        if self._light is None or (self._light and not self._few):
            self._light = self._looks_light(connection, part)
        if self._light and not self._saw_long:
            return BATCH_ROWS
        weights = f"SELECT {self._weight} AS weight {self._scan.ordered_rows(part)}"
        heaviest = _heaviest_blocks(connection, weights)
        most = heaviest[0] + BLOCK_BYTES
        return 1 << (int(np.count_nonzero(heaviest <= most)) - 1)

    def saw(self, batch: pa.RecordBatch) -> None:
        """Take notice of a batch: after one of long rows nothing is taken for light."""
        if batch.num_rows and not _is_light(batch.nbytes / batch.num_rows):
            self._saw_long = True

    def _looks_light(self, connection: Connection, part: str) -> bool:
        """Whether a batch may be full, as far as a glance shows and the database is small.

        What is computed when it is read may be more than the database holds, and so may defaults
        of columns that were added later: no row that was there holds them.
        """
        table = self._scan.selection.table
        if any(column.generated for column in table.columns):
            return False
        added = (
            f"SELECT total(octet_length(dflt_value)) FROM pragma_table_info({literal(table.name)})"
        )
        (found,) = connection.rows(
            f"SELECT page_count * page_size AS size, ({added}) AS added, "
            f"{self._glance(part)} AS seen FROM pragma_page_count, pragma_page_size"
        )
        # Where no row ids tell where to look, only what the whole database holds is known.
        most = SMALL_DATABASE_BYTES if self._scan.edges else _FEW_BLOCKS * BLOCK_BYTES
        light = _is_light(found["added"]) and _is_light(found["seen"] or 0)
        return bool(found["size"] <= most) and light

    def _glance(self, part: str) -> str:
        """SQL for the average weight of rows here and there in ``part``, of whichever month."""
        if self._scan.edges is None:
            return "NULL"
        table, row_id = identifier(self._scan.selection.table.name), self._scan.row_id
        rows = f"FROM {table} WHERE {self._scan.parts(1)[0] if self._few else part}"
        ends = f"SELECT (SELECT min({row_id}) {rows}) AS low, (SELECT max({row_id}) {rows}) AS high"
        places = ", ".join(f"({place})" for place in _GLANCES)
        # With names of their own for both, none in the table is taken for another.
        place = "ends.low + CAST(place.column1 * (ends.high - ends.low) AS INTEGER)"
        nearest = f"WHERE here.{row_id} >= {place} ORDER BY here.{row_id} LIMIT 1"
        weight = f"SELECT {self._weight} FROM {table} AS here {nearest}"
        return f"(SELECT avg(({weight})) FROM (VALUES {places}) AS place, ({ends}) AS ends)"


def _is_light(row_bytes: float) -> bool:
    return row_bytes * BATCH_ROWS <= 2 * BLOCK_BYTES


def _heaviest_blocks(connection: Connection, weights: str) -> npt.NDArray[np.int64]:
    """The heaviest of the blocks of 1, 2, 4 .. ``BATCH_ROWS`` rows into which the rows fall."""
    heaviest = np.zeros(BATCH_ROWS.bit_length(), np.int64)
    with closing(connection.batches(weights, BATCH_ROWS)) as batches:
        for batch in batches:
            blocks = np.zeros(BATCH_ROWS, np.int64)
            blocks[: batch.num_rows] = numbers(batch.column(0), np.int64)
            for level in range(len(heaviest)):
                heaviest[level] = max(heaviest[level], blocks.max())
                blocks = blocks.reshape(-1, 2).sum(1) if len(blocks) > 1 else blocks
    return heaviest


def _weight(columns: tuple[Column, ...]) -> str:
    """SQL for the bytes that a row takes in Arrow, of every kind of value."""
    cells = str(_CELL_BYTES * len(columns))
    return balanced("+", [cells, *map(_length, columns)])


def _length(column: Column) -> str:
    """SQL for the bytes that a text or blob takes beside its cell; a number sorts before both."""
    name = identifier(column.name)
    if column.expected in ("text", "blob"):
        return f"iif({name} IS NULL, 0, octet_length({name}))"
    return f"iif({name} COLLATE BINARY > 9e999, octet_length({name}), 0)"
