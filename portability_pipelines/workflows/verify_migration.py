"""Verify a migration: read the documents back and compare them with the rows they came from."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime

from portability_pipelines.domain.documents import DocumentId
from portability_pipelines.domain.months import Period
from portability_pipelines.domain.tables import Table
from portability_pipelines.engines.base import Records
from portability_pipelines.engines.documents import DocumentTarget
from portability_pipelines.workflows.document_judge import Stored
from portability_pipelines.workflows.document_rows import Row, RowReader
from portability_pipelines.workflows.migrate import SAMPLES, MigrationCounts, Progress
from portability_pipelines.workflows.prefetch import prefetched


@dataclass(frozen=True)
class Verification:
    """How one period of a collection compares with the rows of its source.

    ``matched`` rows have a document whose fields, read back, are theirs to the last bit;
    ``changed`` rows have one that differs; ``absent`` rows have none and are no ``duplicates``.
    ``stale`` documents came from rows that the source no longer has, or has as duplicates now.
    ``samples`` names the first changed and absent rows.
    """

    matched: int
    changed: int
    absent: int
    duplicates: int
    stale: int
    samples: tuple[str, ...] = ()

    def problems(self, counts: MigrationCounts | None = None) -> list[str]:
        """What is wrong, in sentences; empty means proven. Stale documents are not wrong.

        The rows that ``counts`` reports as rejected may be absent.
        """
        missing = self.absent - (counts.rejected if counts else 0)
        found = []
        if missing > 0:
            found.append(f"{missing} rows have no document")
        if self.changed:
            found.append(f"{self.changed} documents differ from their rows")
        if counts and self.matched + self.changed + missing != counts.documents:
            found.append(f"{self.matched} documents match where {counts.documents} were migrated")
        return found


def verify_migration(
    records: Records,
    table: Table,
    target: DocumentTarget,
    *,
    collection: str,
    unique_by: Sequence[str] = (),
    batch_size: int = 1000,
    progress: Progress = lambda _: None,
) -> dict[Period, Verification]:
    """Read the rows of ``records`` again, and the document of each, and compare their fields.

    Memory is bounded by a few batches; changes nothing.
    """
    reader = RowReader(table, target, unique_by, datetime.now(UTC))
    tallies = {period: _Tally() for period in records.contents}
    done = 0
    with closing(prefetched(reader.read(records, batch_size))) as batches:
        for period, rows in batches:
            tallies[period].compare(rows, target, collection)
            done += len(rows)
            progress(done)
    return {
        period: tally.close(target.count(collection, table.name, period))
        for period, tally in tallies.items()
    }


class _Tally:
    """How the rows of one period compare, while they are read."""

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()
        self._samples: list[str] = []

    def compare(self, rows: Sequence[Row], target: DocumentTarget, collection: str) -> None:
        """Compare ``rows`` with their documents."""
        stored = Stored.about(rows, target, collection)
        ids = [row.id for row in rows if not row.problem]
        hashes = {
            document_id: hashlib.sha256(fields).hexdigest()
            for document_id, fields in target.contents(collection, ids)
        }
        for row in rows:
            found = _compared(row, stored, hashes)
            self._counts[found] += 1
            if found in ("changed", "absent") and len(self._samples) < SAMPLES:
                self._samples.append(f"{row.label}: {found}")

    def close(self, documents: int) -> Verification:
        """What was found, beside the number of ``documents`` that came from the period."""
        counts = {name: self._counts[name] for name in ("matched", "changed", "absent")}
        stale = documents - counts["matched"] - counts["changed"]
        return Verification(
            **counts,
            duplicates=self._counts["duplicates"],
            stale=stale,
            samples=tuple(self._samples),
        )


def _compared(row: Row, stored: Stored, hashes: dict[DocumentId, str]) -> str:
    if row.problem:
        return "absent"
    mark = stored.marks.get(row.id)
    if mark and mark.table == row.metadata["source_table"]:
        return "matched" if hashes.get(row.id) == row.metadata["content_hash"] else "changed"
    holder = stored.holders.get(row.unique_key or "", row.id)
    return "absent" if holder == row.id else "duplicates"
