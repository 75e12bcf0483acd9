"""How the rows of a selection are found: ``FROM .. WHERE ..``, cut into ranges to be shared."""

from __future__ import annotations

from dataclasses import dataclass

from portability_pipelines.domain.tables import Selection
from portability_pipelines.engines.sqlite.adbc import BATCH_ROWS, Connection
from portability_pipelines.engines.sqlite.periods import condition
from portability_pipelines.engines.sqlite.schema import identifier, literal

EVERYTHING = ""

# The nightly exports ask for two months. An index finds so few in no time, where it covers them.
_FEW_MONTHS = 3

# Where the rows of some months lie among at most so many others, the range is scanned.
_DENSE = 4

_FEWEST = 4
_NARROWEST = 4096


def source(selection: Selection, *, within: str = EVERYTHING, scanned: bool = False) -> str:
    """``FROM .. WHERE ..`` of a selection; ``scanned`` keeps it off every index."""
    table = selection.table
    hint = " NOT INDEXED" if scanned else ""
    where = " AND ".join(part for part in (condition(selection), within) if part)
    return f"FROM {identifier(table.name)}{hint}" + (f" WHERE {where}" if where else "")


@dataclass(frozen=True)
class Scan:
    """The way to the rows of ``selection`` that reads least.

    ``edges`` are row ids between which all of them lie; None where they are not read by row id, or
    lie so far apart that the index is to find each (``indexed``). ``counted`` is how many there
    are, where that is known. ``strays`` are the places of the columns in which rows of no period,
    which lie among the others, hold values of an unexpected kind.
    """

    selection: Selection
    row_id: str | None
    edges: tuple[int, int] | None
    indexed: bool = False
    counted: int | None = None
    strays: tuple[int, ...] = ()

    @classmethod
    def planned(cls, connection: Connection, selection: Selection) -> Scan:
        """Look at the table's row ids and indexes, not at its rows."""
        row_id = _row_id_of(selection)
        few = 0 < len(selection.months) <= _FEW_MONTHS and not selection.undated
        if row_id is None:
            return cls(selection, None, None, indexed=few)
        if few and leads_an_index(connection, selection):
            (found,) = connection.rows(
                f"SELECT count(*) AS n, min({row_id}) AS low, max({row_id}) AS high "
                f"{source(selection)}"
            )
            rows = found["n"]
            if rows and found["high"] - found["low"] < _DENSE * rows:
                return cls(selection, row_id, (found["low"], found["high"]), counted=rows)
            return cls(selection, row_id, None, indexed=True, counted=rows)
        table = identifier(selection.table.name)
        ends = (f"(SELECT {end}({row_id}) FROM {table}) AS {end}" for end in ("min", "max"))
        (found,) = connection.rows(f"SELECT {', '.join(ends)}")
        empty = found["min"] is None
        return cls(selection, row_id, None if empty else (found["min"], found["max"]))

    def parts(self, most: int) -> tuple[str, ...]:
        """Conditions that together hold for every row, in the order of the rows.

        At most ``most``, and fewer where they would be too small to be worth a query.
        """
        if self.edges is None:
            return (EVERYTHING,)
        low, high = self.edges
        width = max((high - low) // most + 1, _NARROWEST)
        return tuple(
            f"{self.row_id} BETWEEN {start} AND {min(start + width - 1, high)}"
            for start in range(low, high + 1, width)
        )

    def windows(self, rows: int) -> tuple[str, ...]:
        """Parts of about a batch each, and several even of few ``rows``: while one is written,
        others are read.
        """
        return self.parts(max(_FEWEST, -(-rows // BATCH_ROWS)))

    def rows(self, within: str) -> str:
        """``FROM .. WHERE ..`` of the rows of one part, or of a part and a condition more."""
        return source(self.selection, within=within, scanned=not self.indexed)

    def ordered_rows(self, within: str) -> str:
        """The same with ``ORDER BY`` the table's stable order."""
        table = self.selection.table
        # A name alone would be taken for what is selected under that name.
        own = [f"{identifier(table.name)}.{name}" for name in table.order_by]
        order = f" ORDER BY {', '.join(own)}" if own else ""
        if not self.indexed or self.row_id is None:
            return self.rows(within) + order
        # The index finds the row ids, which are then visited in order: no sort of whole rows.
        chosen = f"SELECT {self.row_id} {source(self.selection)}"
        return f"FROM {identifier(table.name)} WHERE {self.row_id} IN ({chosen}){order}"


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


def _row_id_of(selection: Selection) -> str | None:
    order = selection.table.order_by
    return order[0] if len(order) == 1 and order[0].isidentifier() else None
