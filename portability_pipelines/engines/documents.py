"""Document databases as the workflows see them: marks to decide by, and batches to write."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Protocol

from portability_pipelines.domain.documents import DocumentId, Origin
from portability_pipelines.domain.months import Period

MAX_DOCUMENT_BYTES = 16 * 1024 * 1024
"""The largest BSON document: https://www.mongodb.com/docs/manual/reference/limits/."""

MAX_STATEMENT_BYTES = MAX_DOCUMENT_BYTES + 15 * 1024
"""A document and the ``_id`` by which it is replaced; the server takes a little more than both."""

Document = dict[str, Any]


@dataclass(frozen=True)
class Mark:
    """A stored document's ``_id`` and its ``export_metadata``, empty where it has none."""

    id: DocumentId
    metadata: Mapping[str, Any]

    @property
    def database(self) -> str | None:
        """The declared database that the document came from; None where it does not say."""
        return self.metadata.get("source_database")

    @property
    def unique_key(self) -> str | None:
        """What no other document of the same origin may have."""
        return self.metadata.get("unique_key")

    def is_newer_than(self, moment: datetime) -> bool:
        """Whether a snapshot taken after ``moment`` (aware) wrote the document, as far as it says.

        Documents keep milliseconds only, rounded down.
        """
        taken_at = self.metadata.get("snapshot_at")
        return isinstance(taken_at, datetime) and taken_at.replace(tzinfo=UTC) > moment

    def is_from(self, origin: Origin) -> bool:
        """Whether the document came from ``origin``; one that names no database may have."""
        table = self.metadata.get("source_table")
        return table == origin.table and self.database in (None, origin.database)


@dataclass(frozen=True)
class Refusal:
    """Why one document was not written.

    ``contested``: another document holds its ``_id`` or its unique key, so it is worth looking
    again at what is stored.
    """

    reason: str
    contested: bool = False


class DocumentTarget(Protocol):
    """A database of documents. What is acknowledged is durable and seen by the next read.

    Every method that talks to the server raises ``TransientError`` where a retry may help and
    ``PermanentError`` or ``RefusedError`` otherwise, never with a credential or a value in it.
    """

    def prepare(self, collection: str) -> None:
        """Make sure of the indexes that the other methods rely on; idempotent."""

    def encode(self, fields: Mapping[str, Any]) -> bytes:
        """The stored form of ``fields``; raises ``PermanentError`` where there is none."""

    def decode(self, content: bytes) -> Document:
        """The fields that ``encode`` made ``content`` of."""

    def marks(
        self, collection: str, ids: Sequence[DocumentId], unique_keys: Sequence[str]
    ) -> list[Mark]:
        """The marks of the documents that have one of ``ids`` or one of ``unique_keys``."""

    def write(
        self, collection: str, inserts: Sequence[Document], replacements: Sequence[Document]
    ) -> dict[DocumentId, Refusal]:
        """Write all documents that can be written, and name the others.

        A replacement only ever replaces a document of the same origin, and none that was written
        from a newer snapshot.
        """

    def release(self, collection: str, marks: Sequence[Mark]) -> None:
        """Take their unique keys from those documents that are still as ``marks`` say.

        Nothing else of them changes.
        """

    def contents(
        self, collection: str, ids: Sequence[DocumentId]
    ) -> Iterator[tuple[DocumentId, bytes]]:
        """The stored form of each document's fields, without ``_id`` and ``export_metadata``."""

    def count(self, collection: str, origin: Origin, period: Period) -> int:
        """How many documents came from ``period`` of ``origin``."""

    def count_outside(self, collection: str, origin: Origin, periods: Sequence[Period]) -> int:
        """How many documents of the origin's database came from other tables or other periods."""
