"""Rows as documents: what a document is called, and which rows mean the same thing."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass

from portability_pipelines.domain.errors import RefusedError
from portability_pipelines.domain.months import Period

EXPORT_VERSION = "1.0"
METADATA_FIELD = "export_metadata"
RENAMED_COLUMNS = {"_id": "source__id", METADATA_FIELD: f"source_{METADATA_FIELD}"}
"""Columns whose names a document uses itself, and the fields that carry their values."""

# https://www.mongodb.com/docs/manual/reference/limits/: Restriction on Collection Names
NOT_IN_COLLECTION_NAMES = re.compile(r"[$\0]|\.(?=\.)|^\.|\.$|^system(?=\.)")

Value = int | float | str | bytes | None
DocumentId = int | str


@dataclass(frozen=True)
class Origin:
    """Where documents come from: a table of a declared database."""

    database: str
    table: str


def field_names(table: str, columns: Sequence[str]) -> tuple[str, ...]:
    """The field of each column: its own name, dots and ``$`` included, but for reserved names.

    Raises ``RefusedError`` where two columns would share a field.
    """
    names = tuple(RENAMED_COLUMNS.get(column, column) for column in columns)
    if len(set(names)) == len(names):
        return names
    clash = next(name for name in names if names.count(name) > 1)
    raise RefusedError(
        f"Two columns of {table} would both become the field {clash}",
        f"Rename the column {clash} in the source.",
    )


def keyed_id(table: str, key: Sequence[Value]) -> DocumentId:
    """The ``_id`` of a row by its primary key, none of whose values is NULL.

    A single integer or text is used as it is, so that references between tables keep working;
    anything else becomes a digest of the table and the key.
    """
    match key:
        case [int() | str() as only]:
            return only
        case _:
            return _digest("key", table, *map(_written, key))


def keyless_id(table: str, period: Period, content_hash: str, occurrence: int) -> str:
    """The ``_id`` of a row that no key names: the ``occurrence``-th with this content.

    Equal rows are all kept, and get the same names whenever the period is migrated again.
    """
    return _digest("content", table, period, content_hash, str(occurrence))


def source_id(key: Sequence[Value]) -> str | None:
    """The primary key as ``original_sqlite_id`` shows it: its text, or a JSON list of texts."""
    texts = [None if value is None else _text(value) for value in key]
    return texts[0] if len(texts) == 1 else json.dumps(texts, ensure_ascii=False)


def unique_key(table: str, names: Sequence[str], values: Sequence[Value]) -> str | None:
    """A digest that two rows share where ``values`` say the same; None where all are blank.

    Case and space do not count, nor whether a number was kept as text.
    """
    texts = ["" if value is None else _text(value) for value in values]
    folded = [" ".join(text.split()).casefold() for text in texts]
    return _digest("unique", table, *names, *folded) if any(folded) else None


def _text(value: int | float | str | bytes) -> str:
    return value.hex() if isinstance(value, bytes) else str(value)


def _written(value: Value) -> str:
    return f"{type(value).__name__}:{'' if value is None else _text(value)}"


def _digest(*parts: str) -> str:
    """128 bits of SHA-256 in hex; each part goes in behind its length, so none runs into another.

    Texts that are not valid Unicode take part as they are.
    """
    digest = hashlib.sha256()
    for part in parts:
        content = part.encode(errors="surrogatepass")
        digest.update(len(content).to_bytes(8, "big") + content)
    return digest.hexdigest()[:32]
