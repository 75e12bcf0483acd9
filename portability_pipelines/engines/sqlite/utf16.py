"""Databases that keep their texts in UTF-16.

SQLite gives every text as UTF-8. In what is not valid UTF-16, half of a surrogate pair or an odd
last byte becomes another character on the way, or swallows the next one (``READ_UTF16LE`` in
SQLite's utf.c), and nobody is told.
"""

from __future__ import annotations

from portability_pipelines.domain.errors import PermanentError
from portability_pipelines.domain.tables import Column, Selection
from portability_pipelines.engines.sqlite.adbc import Connection
from portability_pipelines.engines.sqlite.labels import labels
from portability_pipelines.engines.sqlite.schema import identifier

_SHOWN = 5
_CODECS = {"UTF-8": "utf-8", "UTF-16le": "utf-16-le", "UTF-16be": "utf-16-be"}


def codec(connection: Connection) -> str:
    """What Python calls the encoding in which the database keeps its texts."""
    (kept,) = connection.rows("PRAGMA encoding")
    return _CODECS[kept["encoding"]]


def require_valid_texts(connection: Connection, selection: Selection) -> None:
    """Raise ``PermanentError`` where a row of ``selection`` has a text that would be changed.

    Takes a pass over the rows for each column of a database in UTF-16, and no time for others.
    """
    if codec(connection) == "utf-8":
        return
    for column in selection.table.columns:
        rows = labels(connection, selection, _changed(column), _SHOWN)
        if rows:
            raise PermanentError(
                f"{selection.table.name}.{column.name} holds texts that are not valid UTF-16, "
                f"which SQLite would give as others; the first are in the rows {'; '.join(rows)}",
                "Write these texts anew with the application. A backup keeps them as they are.",
            )


def _changed(column: Column) -> str:
    """SQL that is true of a text that is another after it was UTF-8.

    A function that is given UTF-8 and gives it back, ``trim`` of nothing, turns it to and fro.
    """
    name = identifier(column.name)
    there_and_back = f"CAST(trim({name}, '') AS BLOB)"
    return f"(typeof({name}) = 'text' AND {there_and_back} <> CAST({name} AS BLOB))"
