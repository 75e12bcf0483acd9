"""Queries that give each column once for each kind of value that it may hold."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pyarrow as pa

from portability_pipelines.domain.tables import Column, StorageClass
from portability_pipelines.engines.base import KindedColumn
from portability_pipelines.engines.sqlite.adbc import BATCH_ROWS
from portability_pipelines.engines.sqlite.schema import identifier

CLASSES: tuple[StorageClass, ...] = ("integer", "real", "text", "blob")
Kinds = Sequence[tuple[StorageClass, ...]]
"""The kinds that each column of a table may hold, in the order of the columns."""

WINDOW_ROWS = BATCH_ROWS - 1
"""How many rows fill one batch after the first row of ``seeded``."""

_SEEDS: dict[StorageClass, str] = {"integer": "0", "real": "0.0", "text": "''", "blob": "x''"}


def seeded(
    columns: Sequence[Column], kinds: Kinds, scanned: str, beside: Mapping[str, str] | None = None
) -> str:
    """SQL for ``columns`` in ``scanned`` (``FROM ..``) after a first row, which is to be skipped.

    That row fixes the column types, which ADBC takes from the first batch. ``beside`` are further
    expressions by name, integers all of them.
    """
    seeds, values = [], []
    for i, column in enumerate(columns):
        name = identifier(column.name)
        for kind in kinds[i]:
            seeds.append(f"{_SEEDS[kind]} AS c{i}_{kind}")
            whole = f"CASE typeof({name}) WHEN '{kind}' THEN {name} END"
            values.append(name if len(kinds[i]) == 1 else whole)
    for name, expression in (beside or {}).items():
        seeds.append(f"0 AS {name}")
        values.append(expression)
    chosen = f"SELECT {', '.join(values)} {scanned}"
    return f"SELECT {', '.join(seeds)} UNION ALL SELECT * FROM ({chosen})"


def kinded(batch: pa.RecordBatch, place: int, kinds: tuple[StorageClass, ...]) -> KindedColumn:
    """The column at ``place``, found in what ``seeded`` queries give."""
    return {kind: batch.column(f"c{place}_{kind}") for kind in kinds}
