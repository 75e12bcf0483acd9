"""What is to become of a row, judged by what the collection holds and by the rows before it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple, Self

from portability_pipelines.domain.documents import DocumentId
from portability_pipelines.engines.documents import DocumentTarget, Mark
from portability_pipelines.workflows.document_rows import Row

Outcome = Literal["inserted", "unchanged", "updated", "duplicates", "rejected"]


class Verdict(NamedTuple):
    """A row's outcome; ``reason`` is empty where the collection is to hold the row."""

    outcome: Outcome
    reason: str = ""
    survivor: DocumentId | None = None


@dataclass(frozen=True)
class Stored:
    """The documents that bear on some rows, and what the rows judged so far lay claim to."""

    marks: dict[DocumentId, Mark]
    holders: dict[str, DocumentId]
    claimed: set[DocumentId] = field(default_factory=set)

    @classmethod
    def about(cls, rows: Sequence[Row], target: DocumentTarget, collection: str) -> Self:
        """Read what is stored under the ids and the unique keys of ``rows``."""
        storable = [row for row in rows if not row.problem]
        keys = [row.unique_key for row in storable if row.unique_key]
        marks = target.marks(collection, [row.id for row in storable], keys)
        origins = {row.origin for row in storable}
        holders = {
            mark.unique_key: mark.id
            for mark in marks
            if mark.unique_key and any(map(mark.is_from, origins))
        }
        return cls({mark.id: mark for mark in marks}, holders)

    def judge(self, row: Row) -> Verdict:
        """The outcome of ``row``. A stored document wins over a row, an earlier row over a later.

        A unique key that a stored document gives up counts as held until the next call of
        ``about``, so rows that swap keys are duplicates of each other.
        """
        if row.problem:
            return Verdict("rejected", row.problem)
        mark = self.marks.get(row.id)
        if mark and not mark.is_from(row.origin):
            return Verdict("rejected", _belongs_to_another(mark))
        if row.id in self.claimed:
            return Verdict("rejected", "an earlier row has the same _id")
        holder = self.holders.get(row.unique_key or "", row.id)
        if holder != row.id:
            return Verdict("duplicates", "an earlier document has the same unique key", holder)
        self._claim(row)
        if mark is None:
            return Verdict("inserted")
        return Verdict("unchanged" if _says_the_same(mark, row) else "updated")

    def _claim(self, row: Row) -> None:
        self.claimed.add(row.id)
        if row.unique_key:
            self.holders[row.unique_key] = row.id


def _belongs_to_another(mark: Mark) -> str:
    owner = "a document that is not from this table"
    if mark.database:
        table = mark.metadata.get("source_table")
        owner = f"a document from the table {table} of the database {mark.database}"
    return f"its _id belongs to {owner}; give this table a collection of its own"


def _says_the_same(mark: Mark, row: Row) -> bool:
    told = ("source_database", "period", "content_hash", "unique_key")
    return all(mark.metadata.get(name) == row.metadata.get(name) for name in told)
