"""The tables of an SQLite database, from its own schema tables."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

from portability_pipelines.domain.tables import Column, ForeignKey, StorageClass, Table, folded
from portability_pipelines.engines.base import UnreadableHereError
from portability_pipelines.engines.sqlite.adbc import Connection
from portability_pipelines.engines.sqlite.shadows import repeats_rows


def identifier(name: str) -> str:
    """``name`` quoted for SQL, so that a name which nothing has is an error.

    In double quotes it would be a text (https://www.sqlite.org/quirks.html, section 8).
    """
    return "`" + name.replace("`", "``") + "`"


def literal(text: str) -> str:
    """``text`` as an SQL string."""
    return "'" + text.replace("'", "''") + "'"


def tables_of(connection: Connection) -> tuple[Table, ...]:
    """Every table with rows of its own, virtual ones too; views and shadow tables are left out.

    A view repeats other tables' rows, a shadow table those of its virtual table. A virtual table
    whose module is not here, or will not open it, has no columns; its shadow tables are listed.
    """
    listed = connection.rows(
        "SELECT name, type, wr FROM pragma_table_list WHERE schema = 'main' "
        "AND type IN ('table', 'virtual', 'shadow') "
        "AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\' ORDER BY name"
    )
    virtual = _virtual(connection)
    own = [
        row for row in listed if row["type"] != "shadow" or not repeats_rows(row["name"], virtual)
    ]
    opened = [
        row["name"] for row in own if row["type"] != "virtual" or folded(row["name"]) in virtual
    ]
    columns = _described(connection, opened, "table_xinfo", _COLUMN, "cid")
    keys = _described(connection, opened, "foreign_key_list", _KEY_PART, "seq")
    return tuple(_table(row, columns[row["name"]], keys[row["name"]]) for row in own)


def _virtual(connection: Connection) -> dict[str, str]:
    """The SQL of every virtual table that can be opened, by its folded name."""
    declared = connection.rows(
        "SELECT name, sql FROM sqlite_schema WHERE type = 'table' AND rootpage = 0"
    )
    return {folded(row["name"]): row["sql"] for row in declared if _opens(connection, row["name"])}


# ADBC takes the type of a column from its first rows: one that is NULL in them must not be read.
_COLUMN = "said.name, said.type, said.pk, said.hidden"
_KEY_PART = "said.id, said.[table], said.[from], coalesce(said.[to], '') AS [to]"


def _described(
    connection: Connection, names: list[str], pragma: str, fields: str, order: str
) -> defaultdict[str, list[dict[str, Any]]]:
    """What ``pragma`` says of every one of ``names``, all in one query: each takes its time."""
    found: defaultdict[str, list[dict[str, Any]]] = defaultdict(list)
    said = connection.rows(
        f"SELECT list.name AS described, {fields} FROM pragma_table_list AS list "
        f"JOIN pragma_{pragma}(list.name) AS said WHERE list.schema = 'main' "
        f"AND list.name IN ({', '.join(map(literal, names))}) ORDER BY said.{order}"
    )
    for row in said:
        found[row["described"]].append(row)
    return found


def _opens(connection: Connection, table: str) -> bool:
    try:
        connection.rows(f"SELECT 1 FROM {identifier(table)} LIMIT 0")
    except UnreadableHereError:
        return False
    return True


def _table(
    listed: dict[str, Any], described: list[dict[str, Any]], keys: list[dict[str, Any]]
) -> Table:
    columns = tuple(
        Column(
            name=column["name"],
            declared_type=column["type"],
            expected=expected_class(column["type"]),
            key_position=column["pk"] or None,
            generated=column["hidden"] in (2, 3),
        )
        for column in described
        if column["hidden"] != 1
    )
    table = Table(listed["name"], columns, (), _foreign_keys(keys))
    order = _row_id(columns) if not listed["wr"] else ()
    return Table(
        table.name, columns, order or tuple(map(identifier, table.key)), table.foreign_keys
    )


def _row_id(columns: tuple[Column, ...]) -> tuple[str, ...]:
    taken = {folded(column.name) for column in columns}
    return next(((n,) for n in ("rowid", "_rowid_", "oid") if n not in taken), ())


def _foreign_keys(rows: list[dict[str, Any]]) -> tuple[ForeignKey, ...]:
    """The keys whose parts are ``rows``, those of each key in order."""
    keys: dict[int, list[dict[str, Any]]] = {}
    for row in rows:
        keys.setdefault(row["id"], []).append(row)
    return tuple(
        ForeignKey(
            tuple(part["from"] for part in parts),
            parts[0]["table"],
            tuple(part["to"] for part in parts if part["to"]),
        )
        for _, parts in sorted(keys.items())
    )


_BY_DECLARATION: tuple[tuple[StorageClass, tuple[str, ...]], ...] = (
    ("integer", ("INT", "BOOL")),
    ("text", ("CHAR", "CLOB", "TEXT", "DATE", "TIME", "JSON", "UUID")),
    ("blob", ("BLOB",)),
    ("real", ("REAL", "FLOA", "DOUB", "NUM", "DEC", "MONEY")),
)


def expected_class(declared_type: str) -> StorageClass:
    """The kind of value that a declaration lets one expect.

    SQLite's affinity rules (https://www.sqlite.org/datatype3.html, section 3.1), refined where
    they only say NUMERIC: dates are expected as text, booleans as integers.
    """
    upper = declared_type.upper()
    for storage_class, marks in _BY_DECLARATION:
        if any(mark in upper for mark in marks):
            return storage_class
    return "text"


def has_real_affinity(declared_type: str) -> bool:
    """Whether SQLite keeps every number of a column that is expected to hold reals as a real."""
    return any(mark in declared_type.upper() for mark in ("REAL", "FLOA", "DOUB"))


def has_text_affinity(declared_type: str) -> bool:
    """Whether SQLite keeps every number of a column that is expected to hold texts as a text."""
    return any(mark in declared_type.upper() for mark in ("CHAR", "CLOB", "TEXT"))
