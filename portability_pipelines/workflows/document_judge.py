"""What is to become of a row, judged by what the collection holds and by the rows before it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal, NamedTuple

from portability_pipelines.domain.documents import DocumentId, Origin
from portability_pipelines.engines.documents import DocumentTarget, Mark
from portability_pipelines.workflows.document_rows import Row
from portability_pipelines.workflows.survivors import Survivors

Outcome = Literal["inserted", "unchanged", "updated", "duplicates", "rejected", "superseded"]

# What export_metadata tells of the last writing, and not of the row.
_TOLD_OF_THE_WRITING = {"exported_at", "snapshot_at"}


class Verdict(NamedTuple):
    """A row's outcome; ``reason`` is empty where the collection is to hold the row."""

    outcome: Outcome
    reason: str = ""
    survivor: DocumentId | None = None


@dataclass(frozen=True)
class Stored:
    """The documents that bear on some rows, and what the rows judged so far lay claim to.

    ``gone`` are documents that hold a unique key of these rows, and whose own row has it no more
    at ``taken_at``, when the snapshot was taken.
    """

    origin: Origin
    taken_at: datetime
    marks: dict[DocumentId, Mark]
    holders: dict[str, DocumentId]
    gone: dict[str, Mark]
    claimed: set[DocumentId] = field(default_factory=set)

    def judge(self, row: Row) -> Verdict:
        """The outcome of ``row``. A stored document wins over a row, an earlier row over a later.

        A document that is ``gone`` is in nobody's way, unless it was written from a newer snapshot.
        """
        if row.problem:
            return Verdict("rejected", row.problem)
        mark = self.marks.get(row.id)
        if mark and not mark.is_from(self.origin):
            return Verdict("rejected", _belongs_to_another(mark))
        if row.id in self.claimed:
            return Verdict("rejected", "an earlier row has the same _id")
        if mark and mark.is_newer_than(self.taken_at) and not _says_the_same(mark, row):
            return Verdict("superseded", "a newer snapshot of the source wrote its document")
        rival = self.gone.get(row.unique_key or "")
        if rival and rival.is_newer_than(self.taken_at):
            reason = "a document from a newer snapshot of the source has its unique key"
            return Verdict("superseded", reason, rival.id)
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


class Judge:
    """Judges rows from ``origin`` against the documents of one collection."""

    def __init__(
        self,
        origin: Origin,
        taken_at: datetime,
        target: DocumentTarget,
        collection: str,
        survivors: Survivors,
    ) -> None:
        self._origin = origin
        self._taken_at = taken_at
        self._target = target
        self._collection = collection
        self._survivors = survivors

    def look(self, rows: Sequence[Row]) -> Stored:
        """Read what is stored under the ids and the unique keys of ``rows``."""
        storable = [row for row in rows if not row.problem]
        keys = [row.unique_key for row in storable if row.unique_key]
        marks = self._target.marks(self._collection, [row.id for row in storable], keys)
        holding = {m.unique_key: m for m in marks if m.unique_key and m.is_from(self._origin)}
        in_the_way = [
            (row, mark)
            for row in storable
            if (mark := holding.get(row.unique_key or "")) and mark.id != row.id
        ]
        gone = {m.unique_key: m for row, m in in_the_way if m.unique_key and _was_of(m, row)}
        rivals = {m.id: m for _, m in in_the_way if m.unique_key not in gone}
        gone |= {m.unique_key: m for m in self._survivors.gone([*rivals.values()]) if m.unique_key}
        holders = {key: mark.id for key, mark in holding.items() if key not in gone}
        return Stored(
            self._origin, self._taken_at, {mark.id: mark for mark in marks}, holders, gone
        )

    def look_and_free(self, rows: Sequence[Row]) -> Stored:
        """The same, after documents whose rows no longer have a unique key of ``rows`` gave it up.

        Such a document stays: as stale, or, where its row only has another key now, until the row
        is migrated next. One from a newer snapshot keeps its key.
        """
        stored = self.look(rows)
        ours = [m for m in stored.gone.values() if not m.is_newer_than(self._taken_at)]
        if not ours:
            return stored
        self._target.release(self._collection, ours)
        return self.look(rows)


def _belongs_to_another(mark: Mark) -> str:
    owner = "a document that is not from this table"
    if mark.database:
        table = mark.metadata.get("source_table")
        owner = f"a document from the table {table} of the database {mark.database}"
    return f"its _id belongs to {owner}; give this table a collection of its own"


def _was_of(mark: Mark, row: Row) -> bool:
    """Whether ``row`` had the document when its period, or the key of its table, was another."""
    same = mark.metadata.get("content_hash") == row.metadata["content_hash"]
    names = ("period", "original_sqlite_id")
    return same and any(mark.metadata.get(name) != row.metadata[name] for name in names)


def _says_the_same(mark: Mark, row: Row) -> bool:
    told = {*row.metadata, "unique_key"} - _TOLD_OF_THE_WRITING
    return all(mark.metadata.get(name) == row.metadata.get(name) for name in told)
