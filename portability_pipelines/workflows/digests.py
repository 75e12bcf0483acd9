"""Digests of whole tables, taken where they are read."""

from __future__ import annotations

from contextlib import closing
from threading import Event

from portability_pipelines.domain.errors import PermanentError
from portability_pipelines.domain.tables import Selection
from portability_pipelines.engines.base import Contents, Snapshot
from portability_pipelines.formats.digest import ContentDigest
from portability_pipelines.formats.records import records_schema


def digest_table(
    snapshot: Snapshot, selection: Selection, stop: Event | None = None
) -> tuple[ContentDigest, Contents]:
    """Digest every row of a whole-table selection, in bounded memory.

    Raises where the rows read are not as many as the database counts in the same snapshot. Ends
    early, with an error, once ``stop`` is set.
    """
    records = snapshot.read(selection)
    (contents,) = records.contents.values()
    digest = ContentDigest(records_schema(contents.columns))
    with closing(iter(records)) as batches:
        for _, batch in batches:
            digest.update(batch)
            if stop is not None and stop.is_set():
                break
    if digest.rows != contents.rows:
        raise PermanentError(
            f"{selection.table.name} gave {digest.rows} rows where its snapshot counts "
            f"{contents.rows}",
            "Nothing was published. Check the database with PRAGMA integrity_check.",
        )
    return digest, contents
