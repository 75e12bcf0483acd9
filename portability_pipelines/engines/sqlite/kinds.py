"""Queries that give each column once for each kind of value that it may hold."""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from contextlib import ExitStack, closing

import pyarrow as pa

from portability_pipelines.domain.tables import Column, StorageClass
from portability_pipelines.engines.base import KindedColumn
from portability_pipelines.engines.sqlite.adbc import Connection
from portability_pipelines.engines.sqlite.schema import identifier
from portability_pipelines.formats.records import ARROW_TYPES

CLASSES: tuple[StorageClass, ...] = ("integer", "real", "text", "blob")
Kinds = Sequence[tuple[StorageClass, ...]]
"""The kinds that each column of a table may hold, in the order of the columns."""

MOST_COLUMNS = 2000
"""How many columns a query may give (https://www.sqlite.org/limits.html, section 2)."""

_SEEDS: dict[StorageClass, str] = {"integer": "0", "real": "0.0", "text": "''", "blob": "x''"}


def chosen(
    columns: Sequence[Column], kinds: Kinds, scanned: str, beside: Mapping[str, str] | None = None
) -> list[str]:
    """SQL for ``columns`` in ``scanned`` (``FROM ..``), each once for each of its kinds.

    ``beside`` are further expressions by name. These are several queries, to be read ``abreast``,
    where one cannot give so many columns.
    """
    values = []
    for i, column in enumerate(columns):
        # An application may have collations of its own, and a compound query asks for them.
        name = f"{identifier(column.name)} COLLATE BINARY"
        for kind in kinds[i]:
            whole = f"CASE typeof({name}) WHEN '{kind}' THEN {name} END"
            values.append(f"{name if len(kinds[i]) == 1 else whole} AS {_label(i, kind)}")
    values += [f"{expression} AS {name}" for name, expression in (beside or {}).items()]
    return [f"SELECT {', '.join(group)} {scanned}" for group in _groups(values)]


def seeded(columns: Sequence[Column], kinds: Kinds, scanned: str) -> list[str]:
    """The same after a first row, which is to be skipped.

    That row fixes the column types, which ADBC takes from the first batch.
    """
    seeds = [f"{_SEEDS[kind]} AS {_label(i, kind)}" for i, own in enumerate(kinds) for kind in own]
    return [
        f"SELECT {', '.join(group)} UNION ALL SELECT * FROM ({query})"
        for group, query in zip(_groups(seeds), chosen(columns, kinds, scanned), strict=True)
    ]


def _groups(values: Sequence[str]) -> list[Sequence[str]]:
    return [values[i : i + MOST_COLUMNS] for i in range(0, len(values), MOST_COLUMNS)]


def abreast(
    connection: Connection, queries: Sequence[str], most_rows: int
) -> Generator[pa.RecordBatch]:
    """The columns of all ``queries``, which give the same rows, in batches of ``most_rows``."""
    with ExitStack() as stack:
        streams = [
            stack.enter_context(closing(connection.batches(sql, most_rows))) for sql in queries
        ]
        for batches in zip(*streams, strict=True):
            columns = [column for batch in batches for column in batch.columns]
            names = [name for batch in batches for name in batch.schema.names]
            yield pa.RecordBatch.from_arrays(columns, names)


def kinded(batch: pa.RecordBatch, place: int, kinds: tuple[StorageClass, ...]) -> KindedColumn:
    """The column at ``place``, found in what the queries above give."""
    return {kind: _typed(batch.column(_label(place, kind)), kind) for kind in kinds}


def _label(place: int, kind: StorageClass) -> str:
    return f"c{place}_{kind}"


def _typed(values: pa.Array, kind: StorageClass) -> pa.Array:
    """``values``; ADBC gives those of a batch without any the type of integers."""
    wanted = ARROW_TYPES[kind]
    return pa.nulls(len(values), wanted) if values.null_count == len(values) else values
