"""Export: the rows of a table, month by month, as files that others can open."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Literal

import pyarrow as pa

from portability_pipelines.domain.errors import PermanentError, RefusedError
from portability_pipelines.domain.manifest import FileEntry, Source, TableEntry
from portability_pipelines.domain.months import Period
from portability_pipelines.domain.tables import Selection
from portability_pipelines.engines.base import Contents, Records, Snapshot
from portability_pipelines.filters.chain import Sealing, writing
from portability_pipelines.filters.compress import SUFFIXES
from portability_pipelines.formats.base import RecordWriter
from portability_pipelines.formats.digest import ContentDigest
from portability_pipelines.formats.records import records_schema
from portability_pipelines.formats.registry import FORMATS
from portability_pipelines.workflows.drafts import Archivist, Draft, Written
from portability_pipelines.workflows.prefetch import prefetched

Progress = Callable[[int, int], None]
"""Called with rows done and rows in all, as often as it pleases the caller."""

MISFITS_SHOWN = 5


@dataclass(frozen=True)
class ExportOptions:
    """How tables are written: each format becomes one file of the archive."""

    formats: tuple[str, ...] = ("parquet",)
    compression: Literal["zstd", "gzip", "none"] = "zstd"
    on_mixed_types: Literal["text", "refuse"] = "text"


def export_table(
    snapshot: Snapshot,
    database: str,
    selection: Selection,
    options: ExportOptions,
    archivist: Archivist,
    progress: Progress,
    dataset: str | None = None,
) -> dict[Period, Written]:
    """Write one archive for each period of ``selection`` in a single pass over the table.

    The row count of every period was taken by the database in the same snapshot; a period whose
    rows differ from it is not published. All periods are published after the last row was read,
    so a failure leaves every one as it was.
    """
    records = snapshot.read(selection)
    if options.on_mixed_types == "refuse":
        _refuse_mixed_types(snapshot, selection, records)
    source = source_of(snapshot, database)
    total = sum(contents.rows for contents in records.contents.values())
    with ExitStack() as stack, ThreadPoolExecutor(2) as pool:
        parts: dict[Period, _Part] = {}
        for period, contents in records.contents.items():
            name = dataset or selection.table.name
            draft = stack.enter_context(archivist.draft(source, "exports", name, period))
            parts[period] = _Part(draft, selection, contents, options)
        done = 0
        for period, batch in prefetched(records):
            parts[period].write(batch, pool)
            done += batch.num_rows
            progress(done, total)
        return {period: part.publish(records) for period, part in parts.items()}


def source_of(snapshot: Snapshot, database: str) -> Source:
    """Where an archive read from ``snapshot`` comes from."""
    return Source(
        database=database,
        engine=snapshot.engine,
        engine_version=snapshot.engine_version,
        tool=snapshot.tool,
        snapshot_at=snapshot.taken_at.isoformat(),
    )


class _Part(AbstractContextManager["_Part"]):
    """One period's archive while its rows arrive: a file in each format, and their digest."""

    def __init__(
        self, draft: Draft, selection: Selection, contents: Contents, options: ExportOptions
    ) -> None:
        self._draft = draft
        self._selection = selection
        self._contents = contents
        self._options = options
        self._schema = records_schema(contents.columns)
        self._digest = ContentDigest(self._schema)
        self._files = ExitStack()
        self._writers: list[RecordWriter] = []
        self._chains: dict[str, Chain] = {}

    def __enter__(self) -> Self:
        with ExitStack() as opened:
            for name in self._options.formats:
                self._writers.append(self._open(opened, FORMATS[name]))
            self._files = opened.pop_all()
        return self

    def __exit__(self, *failure: Any) -> None:
        self._files.__exit__(*failure)

    def _open(self, opened: ExitStack, form: Format) -> RecordWriter:
        around = "none" if form.compresses_itself else self._options.compression
        stem = path_part(self._selection.table.name)
        name = f"{stem}{form.suffix}{SUFFIXES[around]}"
        sink = opened.enter_context((self._draft.folder / name).open("xb"))
        chain = opened.enter_context(writing(sink, compression=around, key=None))
        self._chains[name] = chain
        return opened.enter_context(
            form.open_writer(chain, self._schema, self._options.compression)
        )

    def write(self, batch: pa.RecordBatch, pool: ThreadPoolExecutor) -> None:
        """Give ``batch`` to every file and to the digest, some at the same time."""
        others = [pool.submit(writer.write, batch) for writer in self._writers[1:]]
        self._digest.update(batch)
        self._writers[0].write(batch)
        for written in others:
            written.result()

    def publish(self, records: Records) -> Written:
        """Complete the files and make the archive exist, if its rows are all there."""
        if self._digest.rows != self._contents.rows:
            raise PermanentError(
                f"{self._name} gave {self._digest.rows} rows where its snapshot counts "
                f"{self._contents.rows}",
                "Nothing was published. Check the database with PRAGMA integrity_check.",
            )
        self._files.close()
        return self._draft.publish((self._table_entry(records),), tuple(map(self._file_entry, self._chains)))
