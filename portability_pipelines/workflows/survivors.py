"""Which documents hold their unique keys by right: those whose rows still have them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress

from portability_pipelines.domain.documents import (
    DocumentId,
    Value,
    field_names,
    keyed_id,
    unique_key,
)
from portability_pipelines.domain.errors import PermanentError
from portability_pipelines.domain.tables import Table
from portability_pipelines.engines.base import StoredRecords
from portability_pipelines.engines.documents import Document, DocumentTarget, Mark
from portability_pipelines.workflows.document_rows import row_values

PORTION_BYTES = 8 * 1024 * 1024

Held = set[tuple[DocumentId, str | None]]
"""Names of documents, each with the unique key that its row has."""


class Survivors:
    """Compares documents with the rows of one snapshot that they came from.

    A row is found by its primary key, or, where that names nothing, by its whole content, which
    has to be stored in the same bytes: a row that would have another document now keeps none.
    """

    def __init__(
        self,
        records: StoredRecords,
        table: Table,
        unique_by: Sequence[str],
        target: DocumentTarget,
        collection: str,
    ) -> None:
        names = [column.name for column in table.columns]
        self._records = records
        self._table = table
        self._names = names
        self._fields = dict(zip(names, field_names(table.name, names), strict=True))
        self._unique_by = unique_by
        self._target = target
        self._collection = collection

    def gone(self, marks: Sequence[Mark]) -> list[Mark]:
        """Those of ``marks`` whose row the snapshot lacks, or has with another unique key.

        Memory is bounded by ``PORTION_BYTES`` and a document.
        """
        unique_keys = {mark.id: mark.unique_key for mark in marks}
        contents = self._target.contents(self._collection, [mark.id for mark in marks])
        held: Held = set()
        for portion in _portions(contents):
            held |= self._held(dict(portion), unique_keys)
        return [mark for mark in marks if (mark.id, mark.unique_key) not in held]

    def _held(
        self, contents: dict[DocumentId, bytes], unique_keys: dict[DocumentId, str | None]
    ) -> Held:
        documents = {name: self._target.decode(content) for name, content in contents.items()}
        keys = {name: self._values(self._table.key, each) for name, each in documents.items()}
        named = [key for key in keys.values() if key and None not in key]
        unnamed = [name for name, key in keys.items() if not key or None in key]
        found = self._by_content([self._values(self._names, documents[name]) for name in unnamed])
        known = {
            (name, unique_keys[name])
            for name in unnamed
            if (contents[name], unique_keys[name]) in found
        }
        return self._by_key(named) | known

    def _values(self, columns: Sequence[str], document: Document) -> tuple[Value, ...]:
        return tuple(document.get(self._fields[name]) for name in columns)

    def _by_key(self, keys: list[tuple[Value, ...]]) -> Held:
        width = len(self._table.key)
        rows = self._find(self._table.key, keys, [*self._table.key, *self._unique_by])
        return {
            (keyed_id(self._table.name, row[:width]), self._unique_key(row[width:])) for row in rows
        }

    def _by_content(self, contents: list[tuple[Value, ...]]) -> set[tuple[bytes, str | None]]:
        """The stored form and the unique key of the rows that say what ``contents`` say."""
        places = [self._names.index(name) for name in self._unique_by]
        found = set()
        for row in self._find(self._names, contents, self._names):
            fields = dict(zip(self._fields.values(), row, strict=True))
            with suppress(PermanentError):  # what cannot be stored has no document
                unique = self._unique_key([row[place] for place in places])
                found.add((self._target.encode(fields), unique))
        return found

    def _find(
        self, columns: Sequence[str], values: list[tuple[Value, ...]], wanted: Sequence[str]
    ) -> Iterator[tuple[Value, ...]]:
        if values:
            for batch in self._records.find(columns, values, wanted):
                yield from row_values(batch)

    def _unique_key(self, values: Sequence[Value]) -> str | None:
        return unique_key(self._table.name, self._unique_by, values)


def _portions(
    contents: Iterable[tuple[DocumentId, bytes]],
) -> Iterator[list[tuple[DocumentId, bytes]]]:
    portion, size = [], 0
    for document_id, content in contents:
        portion.append((document_id, content))
        size += len(content)
        if size >= PORTION_BYTES:
            yield portion
            portion, size = [], 0
    yield portion
