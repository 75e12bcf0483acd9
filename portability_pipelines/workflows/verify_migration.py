"""Verify a migration: read the documents back and compare them with the rows they came from."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime

from portability_pipelines.domain.documents import Origin
from portability_pipelines.domain.months import Period
from portability_pipelines.domain.tables import Table
from portability_pipelines.engines.base import StoredRecords
from portability_pipelines.engines.documents import DocumentTarget
from portability_pipelines.engines.prefetch import Prefetched
from portability_pipelines.workflows.document_judge import Judge, Stored, Verdict
from portability_pipelines.workflows.document_rows import Row, RowReader
from portability_pipelines.workflows.migrate import SAMPLES, MigrationCounts, Progress
from portability_pipelines.workflows.survivors import Survivors


@dataclass(frozen=True)
class Verification:
    """How one period of a collection compares with the rows of its source.

    ``matched`` rows have a document whose fields, read back, are theirs to the last bit, and whose
    metadata name them; ``changed`` rows have one that differs; ``absent`` rows have none and are no
    ``duplicates``.
    ``superseded`` rows have one that a newer snapshot wrote, or that holds their unique key.
    ``stale`` documents of the period came from rows that it no longer has, or has as duplicates.
    ``forgotten`` ones came from a period that the table is not divided into any more, or from when
    it had another name.
    ``samples`` names the first changed and absent rows.
    """

    matched: int
    changed: int
    absent: int
    duplicates: int
    stale: int
    superseded: int = 0
    forgotten: int = 0
    samples: tuple[str, ...] = ()

    def problems(self, counts: MigrationCounts | None = None) -> list[str]:
        """What is wrong, in sentences; empty means proven. Documents that are left over are not.

        With ``counts`` the rows that the migration rejected may be absent, though not all there
        are; without it none may.
        """
        missing = self.absent
        if counts:
            found = self.matched + self.changed + self.superseded
            expected = counts.documents + counts.superseded
            missing = max(expected - found, self.absent - counts.rejected)
        problems = []
        if missing > 0:
            problems.append(f"{missing} rows have no document")
        if self.changed:
            problems.append(f"{self.changed} documents differ from their rows")
        if counts and counts.source and counts.rejected == counts.source:
            why = counts.skipped[0].reason
            problems.append(f"all {counts.rejected} rows were rejected, the first because {why}")
        return problems


def verify_migration(
    records: StoredRecords,
    table: Table,
    target: DocumentTarget,
    *,
    database: str,
    collection: str,
    unique_by: Sequence[str] = (),
    batch_size: int = 1000,
    progress: Progress = lambda _: None,
    divided_into: Sequence[Period] = (),
) -> dict[Period, Verification]:
    """Compare each row of ``records`` with the document that a migration made of it.

    Writes nothing. ``records`` must be those that were migrated (the same snapshot), read anew;
    with later ones, rows changed or added since are found as changed or absent. ``divided_into``
    are all periods of the table, where forgotten documents are to be counted too.
    """
    # Every document counts as exported now; the comparison does not look at that.
    reader = RowReader(database, table, target, unique_by, datetime.now(UTC), records.taken_at)
    origin = Origin(database, table.name)
    survivors = Survivors(records, table, reader.unique_by, target, collection)
    judge = Judge(origin, records.taken_at, target, collection, survivors)
    found = {period: _Findings() for period in records.contents}
    done = 0
    with closing(Prefetched(reader.read(records, batch_size))) as batches:
        for period, rows in batches:
            found[period].look(rows, judge.look(rows), target, collection)
            done += len(rows)
            progress(done)
    forgotten = target.count_outside(collection, origin, divided_into) if divided_into else 0
    return {
        period: findings.close(target.count(collection, origin, period), forgotten)
        for period, findings in found.items()
    }


class _Findings:
    """What was found about one period so far."""

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()
        self._samples: list[str] = []
        self._of_period = 0

    def look(
        self, rows: Sequence[Row], stored: Stored, target: DocumentTarget, collection: str
    ) -> None:
        """Compare ``rows`` with their documents."""
        verdicts = [(row, stored.judge(row)) for row in rows]
        expected = [row.id for row, verdict in verdicts if not verdict.reason]
        hashes = {
            document_id: hashlib.sha256(content).hexdigest()
            for document_id, content in target.contents(collection, expected)
        }
        for row, verdict in verdicts:
            self._of_period += _has_document_in_its_period(row, verdict, stored)
            if verdict.outcome in ("duplicates", "superseded"):
                self._counts[verdict.outcome] += 1
            elif verdict.reason or verdict.outcome == "inserted" or row.id not in hashes:
                self._note("absent", row, stored)
            else:
                same = hashes[row.id] == row.metadata["content_hash"]
                finding = "matched" if same and verdict.outcome == "unchanged" else "changed"
                self._note(finding, row, stored)

    def close(self, documents: int, forgotten: int) -> Verification:
        """The comparison, given how many ``documents`` of the period and of none there are."""
        return Verification(
            matched=self._counts["matched"],
            changed=self._counts["changed"],
            absent=self._counts["absent"],
            duplicates=self._counts["duplicates"],
            stale=documents - self._of_period,
            superseded=self._counts["superseded"],
            forgotten=forgotten,
            samples=tuple(self._samples),
        )

    def _note(self, finding: str, row: Row, stored: Stored) -> None:
        self._counts[finding] += 1
        if finding == "matched" or self._counts[finding] > SAMPLES:
            return
        self._samples.append(f"{row.label} is {finding}{_in_the_way(row, stored)}")


def _has_document_in_its_period(row: Row, verdict: Verdict, stored: Stored) -> bool:
    if verdict.outcome not in ("unchanged", "updated", "superseded"):
        return False
    mark = stored.marks.get(row.id)
    return mark is not None and mark.metadata.get("period") == row.metadata["period"]


def _in_the_way(row: Row, stored: Stored) -> str:
    rival = None if row.problem else stored.gone.get(row.unique_key or "")
    if rival is None:
        return ""
    return f": the document {rival.id} holds its unique key, which its own row gave up"
