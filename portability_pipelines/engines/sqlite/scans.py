"""How a selection is scanned: ``FROM .. WHERE``, and in ranges that connections share."""

from __future__ import annotations

from portability_pipelines.domain.tables import Selection
from portability_pipelines.engines.sqlite.adbc import Connection
from portability_pipelines.engines.sqlite.kinds import WINDOW_ROWS
from portability_pipelines.engines.sqlite.periods import condition
from portability_pipelines.engines.sqlite.schema import identifier, literal

EVERYTHING = ""


def source(selection: Selection, *, indexed: bool, within: str = EVERYTHING) -> str:
    """``FROM .. WHERE ..`` of a selection, kept off its indexes where a scan is the faster road."""
    table = selection.table
    hint = "" if indexed or not table.order_by else " NOT INDEXED"
    where = " AND ".join(part for part in (condition(selection), within) if part)
    return f"FROM {identifier(table.name)}{hint}" + (f" WHERE {where}" if where else "")


def is_one_month(selection: Selection) -> bool:
    """Whether so few rows are asked for that an index is the faster road."""
    return len(selection.months) == 1 and not selection.undated


def row_id_of(selection: Selection) -> str | None:
    """The row id in whose order the table is read; None where it is read by its key."""
    order = selection.table.order_by
    return order[0] if len(order) == 1 and order[0].isidentifier() else None


def ranges(connection: Connection, selection: Selection, most: int) -> tuple[str, ...]:
    """Conditions on the row id that together hold for every row, in the order of the rows.

    At most ``most``, fewer where a range would not fill a batch, and one that is always true where
    the table is not read by row id or an index finds the rows.
    """
    row_id = row_id_of(selection)
    if row_id is None or is_one_month(selection):
        return (EVERYTHING,)
    table = identifier(selection.table.name)
    edges = (f"(SELECT {edge}({row_id}) FROM {table}) AS {edge}" for edge in ("min", "max"))
    (found,) = connection.rows(f"SELECT {', '.join(edges)}")
    low, high = found["min"], found["max"]
    if low is None:
        return (EVERYTHING,)
    width = max((high - low) // most + 1, WINDOW_ROWS)
    return tuple(
        f"{row_id} BETWEEN {start} AND {min(start + width - 1, high)}"
        for start in range(low, high + 1, width)
    )


def leads_an_index(connection: Connection, selection: Selection) -> bool:
    """Whether the month column comes first in an index that covers every row."""
    column = selection.month_column
    if column is None:
        return False
    found = connection.rows(
        f"SELECT 1 AS yes FROM pragma_index_list({literal(selection.table.name)}) AS list "
        "JOIN pragma_index_xinfo(list.name) AS part "
        f"WHERE NOT list.\"partial\" AND part.seqno = 0 AND part.coll = 'BINARY' "
        f"AND part.name = {literal(column.name)} COLLATE NOCASE"
    )
    return bool(found)
