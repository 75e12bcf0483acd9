"""Whole tables, counted and digested where they are read."""

from __future__ import annotations

from contextlib import closing
from threading import Event

from portability_pipelines.domain.errors import PermanentError
from portability_pipelines.domain.manifest import ColumnEntry, TableEntry
from portability_pipelines.domain.tables import Column, Table
from portability_pipelines.engines.base import Snapshot, UnreadableHereError
from portability_pipelines.formats.value_digest import ValueDigest


def digest_table(snapshot: Snapshot, table: Table, stop: Event | None = None) -> TableEntry:
    """Count and digest every row of ``table``, in bounded memory.

    A table that only its application can read is said to be not digested, and why. Raises where
    the rows read are not as many as the database counts in the same snapshot. Ends early, with an
    error, once ``stop`` is set.
    """
    try:
        return _digested(snapshot, table, stop)
    except UnreadableHereError as error:
        columns = tuple(
            ColumnEntry(column.name, column.declared_type, column.expected)
            for column in table.columns
        )
        return TableEntry.not_digested(table.name, error.reason, columns, table.key)


def _digested(snapshot: Snapshot, table: Table, stop: Event | None) -> TableEntry:
    values = snapshot.values(table)
    digest = ValueDigest([column.name for column in table.columns])
    with closing(iter(values)) as batches:
        for columns in batches:
            digest.update(columns)
            if stop is not None and stop.is_set():
                break
    if digest.rows != values.rows:
        raise PermanentError(
            f"{table.name} gave {digest.rows} rows where its snapshot counts {values.rows}",
            "Nothing was published. Check the database with PRAGMA integrity_check.",
        )
    entries = (_entry(column, digest, place) for place, column in enumerate(table.columns))
    return TableEntry(table.name, digest.rows, digest.hexdigest(), tuple(entries), table.key)


def _entry(column: Column, digest: ValueDigest, place: int) -> ColumnEntry:
    held = {str(kind): count for kind, count in digest.counts(place).items() if count}
    unexpected = set(held) - {column.expected}
    return ColumnEntry(
        column.name, column.declared_type, column.expected, held if unexpected else {}
    )
