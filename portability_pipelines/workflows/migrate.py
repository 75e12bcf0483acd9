"""Migrate: the rows of a table as documents of another database, as often as one likes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import datetime

from portability_pipelines.domain.documents import DocumentId, Origin
from portability_pipelines.domain.errors import PermanentError, RefusedError
from portability_pipelines.domain.months import Period
from portability_pipelines.domain.tables import Table
from portability_pipelines.engines.base import StoredRecords
from portability_pipelines.engines.documents import DocumentTarget
from portability_pipelines.engines.prefetch import Prefetched
from portability_pipelines.workflows.document_judge import Judge, Outcome, Verdict
from portability_pipelines.workflows.document_rows import MAX_BATCH_ROWS, Row, RowReader
from portability_pipelines.workflows.survivors import Survivors

SAMPLES = 20

# One is a race that was lost. A document that every read leaves out and every write meets is one
# whose _id is equal only under the collection's collation.
FRUITLESS_ROUNDS = 3

Progress = Callable[[int], None]
"""Called with the rows done so far, after each batch."""


@dataclass(frozen=True)
class SkippedRow:
    """A row that was not written, and why; ``survivor`` is the ``_id`` it is a duplicate of."""

    row: str
    reason: str
    survivor: DocumentId | None = None


@dataclass(frozen=True)
class MigrationCounts:
    """What became of the rows of one period; the outcomes add up to ``source``.

    ``superseded`` rows were left alone because a newer snapshot wrote what stands in their place.
    ``texts_not_utf8`` are values that no document can hold as they are: they became ``X'..'``.
    ``skipped`` describes the first ``SAMPLES`` rows of each outcome by which they were not written.
    """

    source: int
    inserted: int = 0
    unchanged: int = 0
    updated: int = 0
    duplicates: int = 0
    rejected: int = 0
    superseded: int = 0
    texts_not_utf8: int = 0
    skipped: tuple[SkippedRow, ...] = ()

    @property
    def documents(self) -> int:
        """How many of the rows the collection now holds."""
        return self.inserted + self.unchanged + self.updated


def migrate(
    records: StoredRecords,
    table: Table,
    target: DocumentTarget,
    *,
    database: str,
    collection: str,
    exported_at: datetime,
    unique_by: Sequence[str] = (),
    batch_size: int = 1000,
    progress: Progress = lambda _: None,
) -> dict[Period, MigrationCounts]:
    """Write each row of ``records`` as a document, unless it is there already as it is.

    Idempotent, and safe to kill: a document's ``_id`` follows from its row, so running again
    finishes the work and leaves what is there untouched, ``exported_at`` included. A row whose
    ``unique_by`` columns (case and space folded; all blank matches nothing) say the same as a
    stored document's or an earlier row's is not written but counted as its duplicate. A document
    whose own row is gone from the snapshot, or says something else there, gives up the key first.
    A row is rejected, without stopping the rest, where the target cannot hold its document, or
    where its ``_id`` is taken by a document from elsewhere than ``table`` of the declared
    ``database``; one that names no database is taken for one of this. What a newer snapshot wrote
    is left as it is. Memory is bounded by a few batches.

    Raises ``PermanentError`` where the rows read are not as many as the database counted.
    """
    if not 1 <= batch_size <= MAX_BATCH_ROWS:
        raise RefusedError(
            f"A batch of {batch_size} rows is not possible", f"Choose 1 to {MAX_BATCH_ROWS}."
        )
    reader = RowReader(database, table, target, unique_by, exported_at, records.taken_at)
    survivors = Survivors(records, table, reader.unique_by, target, collection)
    judge = Judge(Origin(database, table.name), records.taken_at, target, collection, survivors)
    tallies = {period: _Tally() for period in records.contents}
    target.prepare(collection)
    done = 0
    with closing(Prefetched(reader.read(records, batch_size))) as batches:
        for period, rows in batches:
            _settle(target, collection, judge, rows, tallies[period].add)
            done += len(rows)
            progress(done)
    not_utf8: Counter[Period] = Counter()
    for (period, _), texts in records.unreadable_texts.items():
        not_utf8[period] += texts
    return {
        period: replace(
            tally.close(f"{period} of {table.name}", records.contents[period].rows),
            texts_not_utf8=not_utf8[period],
        )
        for period, tally in tallies.items()
    }


class _Tally:
    """Outcomes of one period while its rows are settled."""

    def __init__(self) -> None:
        self._counts: Counter[Outcome] = Counter()
        self._skipped: list[SkippedRow] = []

    def add(self, row: Row, verdict: Verdict) -> None:
        self._counts[verdict.outcome] += 1
        if verdict.reason and self._counts[verdict.outcome] <= SAMPLES:
            self._skipped.append(SkippedRow(row.label, verdict.reason, verdict.survivor))

    def close(self, where: str, source: int) -> MigrationCounts:
        """The counts, if they add up to the ``source`` rows that the database counted."""
        if self._counts.total() != source:
            raise PermanentError(
                f"Migrating {where} met {self._counts.total()} rows where its snapshot counts "
                f"{source}",
                "What was read is in the collection. Check the source for damage, then run again.",
            )
        counts = {str(outcome): count for outcome, count in self._counts.items()}
        return MigrationCounts(source=source, **counts, skipped=tuple(self._skipped))


def _settle(
    target: DocumentTarget,
    collection: str,
    judge: Judge,
    rows: Sequence[Row],
    add: Callable[[Row, Verdict], None],
) -> None:
    """Give every row exactly one outcome.

    Rows that met a document written meanwhile are judged again by what is stored then.
    """
    pending = list(rows)
    fruitless = 0
    while pending and fruitless < FRUITLESS_ROUNDS:
        again = _write(target, collection, judge, pending, add)
        fruitless = fruitless + 1 if len(again) == len(pending) else 0
        pending = again
    for row in pending:
        add(row, Verdict("rejected", "another document holds its _id or its unique key"))


def _write(
    target: DocumentTarget,
    collection: str,
    judge: Judge,
    rows: Sequence[Row],
    add: Callable[[Row, Verdict], None],
) -> list[Row]:
    """Settle what can be settled by one read and one write; return the other rows."""
    stored = judge.look_and_free(rows)
    judged = [(row, stored.judge(row)) for row in rows]
    inserts = [row.document for row, verdict in judged if verdict.outcome == "inserted"]
    updates = [row.document for row, verdict in judged if verdict.outcome == "updated"]
    refusals = target.write(collection, inserts, updates)
    again = []
    for row, verdict in judged:
        if verdict.survivor in refusals:
            again.append(row)
        elif verdict.reason or row.id not in refusals:
            add(row, verdict)
        elif refusals[row.id].contested:
            again.append(row)
        else:
            add(row, Verdict("rejected", refusals[row.id].reason))
    return again
