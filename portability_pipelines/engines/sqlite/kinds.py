"""Queries that give each column once for each kind of value that it may hold."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pyarrow as pa

from portability_pipelines.domain.tables import Column, StorageClass
from portability_pipelines.engines.base import KindedColumn
from portability_pipelines.engines.sqlite.schema import identifier
from portability_pipelines.formats.records import ARROW_TYPES

CLASSES: tuple[StorageClass, ...] = ("integer", "real", "text", "blob")
Kinds = Sequence[tuple[StorageClass, ...]]
"""The kinds that each column of a table may hold, in the order of the columns."""

_SEEDS: dict[StorageClass, str] = {"integer": "0", "real": "0.0", "text": "''", "blob": "x''"}


def chosen(
    columns: Sequence[Column], kinds: Kinds, scanned: str, beside: Mapping[str, str] | None = None
) -> str:
    """SQL for ``columns`` in ``scanned`` (``FROM ..``), each once for each of its kinds.

    ``beside`` are further expressions by name.
    """
    values = []
    for i, column in enumerate(columns):
        # An application may have collations of its own, and a compound query asks for them.
        name = f"{identifier(column.name)} COLLATE BINARY"
        for kind in kinds[i]:
            whole = f"CASE typeof({name}) WHEN '{kind}' THEN {name} END"
            values.append(f"{name if len(kinds[i]) == 1 else whole} AS {_label(i, kind)}")
    values += [f"{expression} AS {name}" for name, expression in (beside or {}).items()]
    return f"SELECT {', '.join(values)} {scanned}"


def seeded(columns: Sequence[Column], kinds: Kinds, scanned: str) -> str:
    """The same after a first row, which is to be skipped.

    That row fixes the column types, which ADBC takes from the first batch.
    """
    seeds = (f"{_SEEDS[kind]} AS {_label(i, kind)}" for i, own in enumerate(kinds) for kind in own)
    return f"SELECT {', '.join(seeds)} UNION ALL SELECT * FROM ({chosen(columns, kinds, scanned)})"


def kinded(batch: pa.RecordBatch, place: int, kinds: tuple[StorageClass, ...]) -> KindedColumn:
    """The column at ``place``, found in what the queries above give."""
    return {kind: _typed(batch.column(_label(place, kind)), kind) for kind in kinds}


def _label(place: int, kind: StorageClass) -> str:
    return f"c{place}_{kind}"


def _typed(values: pa.Array, kind: StorageClass) -> pa.Array:
    """``values``; ADBC gives those of a batch without any the type of integers."""
    wanted = ARROW_TYPES[kind]
    return pa.nulls(len(values), wanted) if values.null_count == len(values) else values
