"""Rows by the names that people look them up by."""

from __future__ import annotations

from portability_pipelines.domain.tables import Selection
from portability_pipelines.engines.sqlite.adbc import Connection
from portability_pipelines.engines.sqlite.periods import condition
from portability_pipelines.engines.sqlite.scans import source
from portability_pipelines.engines.sqlite.schema import identifier


def labels(connection: Connection, selection: Selection, sought: str, limit: int) -> list[str]:
    """The keys of at most ``limit`` rows of ``selection`` of which the SQL ``sought`` is true."""
    key = [identifier(k) for k in selection.table.key] or list(selection.table.order_by)
    shown = " || ', ' || ".join(f"quote({part})" for part in key) or "'(no key)'"
    joined = "AND" if condition(selection) else "WHERE"
    rows = connection.rows(
        f"SELECT {shown} AS k {source(selection)} {joined} {sought} LIMIT {limit}"
    )
    return [row["k"] for row in rows]
