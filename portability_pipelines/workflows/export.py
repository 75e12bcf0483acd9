"""Export: the rows of a table, month by month, as files that others can open."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain

import pyarrow as pa

from portability_pipelines.domain.declarations import Compression, OnMixedTypes
from portability_pipelines.domain.errors import PermanentError, RefusedError
from portability_pipelines.domain.manifest import ColumnEntry, Source, TableEntry, path_part
from portability_pipelines.domain.months import Period
from portability_pipelines.domain.tables import Selection
from portability_pipelines.engines.base import Contents, Records, Snapshot, UnexpectedKindError
from portability_pipelines.filters.chain import FilteredWriter, stored_suffix, writing
from portability_pipelines.formats.base import Format, RecordWriter
from portability_pipelines.formats.digest import ContentDigest
from portability_pipelines.formats.records import records_schema
from portability_pipelines.formats.registry import FORMATS
from portability_pipelines.workflows.drafts import Archivist, Draft, Written

Progress = Callable[[int, int], None]
"""Called with rows done and rows in all, as often as it pleases the caller."""

MISFITS_SHOWN = 5
SAMPLE_ROWS = 5

PERIODS_AT_ONCE = 24
"""A pass over a table writes at most so many archives: each takes some megabytes, and a file
descriptor for each format."""

FEW_PERIODS = 3
"""Up to so many, each file is compressed in a thread of its own, which takes some megabytes."""


@dataclass(frozen=True)
class ExportOptions:
    """How tables are written: each format becomes one file of the archive."""

    formats: tuple[str, ...] = ("parquet",)
    compression: Compression = "zstd"
    on_mixed_types: OnMixedTypes = "text"


def export_table(
    snapshot: Snapshot,
    database: str,
    selection: Selection,
    options: ExportOptions,
    archivist: Archivist,
    progress: Progress,
    dataset: str | None = None,
    on_no_rows: Callable[[], None] = lambda: None,
) -> dict[Period, Written]:
    """Write one archive for each period of ``selection`` in a single pass over the table.

    For memory's sake the periods should be at most ``PERIODS_AT_ONCE``; see ``Selection.in_turns``.
    Where a value turns up that is not of the kind that its column declares, what was written is
    dropped, and after a survey of the table another pass is begun. The row count of every period
    was taken by the database in the same snapshot; a period whose rows differ from it is not
    published. Nothing is published before the last row was read; then each period is, by itself.
    ``on_no_rows`` is called where the selection holds none, and may refuse to go on.
    """
    source = source_of(snapshot, database)
    drafted = partial(
        archivist.draft,
        database,
        "exports",
        dataset or selection.table.name,
        taken_at=snapshot.taken_at,
    )
    export = partial(_export, snapshot, source, selection, options, drafted, progress, on_no_rows)
    with suppress(UnexpectedKindError):
        return export(trusting=True)
    # Only here is all of the first pass let go, with the error that held it.
    return export(trusting=False)


def _export(
    snapshot: Snapshot,
    source: Source,
    selection: Selection,
    options: ExportOptions,
    drafted: Callable[[Period], AbstractContextManager[Draft]],
    progress: Progress,
    on_no_rows: Callable[[], None],
    *,
    trusting: bool,
) -> dict[Period, Written]:
    with ExitStack() as stack, ThreadPoolExecutor(2) as pool:
        reading = pool.submit(snapshot.read, selection, trusting=trusting)
        drafts = [stack.enter_context(drafted(period)) for period in selection.periods]
        records = reading.result()
        total = sum(contents.rows for contents in records.contents.values())
        if not total:
            on_no_rows()
        if options.on_mixed_types == "refuse":
            _refuse_mixed_types(snapshot, selection, records)
        batches = stack.enter_context(closing(iter(records)))
        first = pool.submit(next, batches, None)
        parts = {
            draft.period: stack.enter_context(_part(draft, selection, records, options))
            for draft in drafts
        }
        done = 0
        for period, batch in chain(filter(None, [first.result()]), batches):
            parts[period].write(batch, pool)
            done += batch.num_rows
            progress(done, total)
        batches.close()
        if options.on_mixed_types == "refuse":
            _refuse_unreadable_texts(selection, records)
        publish = partial(_publish, source, records)
        return dict(zip(parts, pool.map(publish, parts.items()), strict=True))


def source_of(snapshot: Snapshot, database: str) -> Source:
    """Where an archive read from ``snapshot`` comes from."""
    return Source(
        database=database,
        engine=snapshot.engine,
        engine_version=snapshot.engine_version,
        tool=snapshot.tool,
        snapshot_at=snapshot.taken_at.isoformat(),
    )


def _refuse_mixed_types(snapshot: Snapshot, selection: Selection, records: Records) -> None:
    for period, contents in records.contents.items():
        for column in contents.columns:
            if column.lost_types:
                rows = snapshot.misfits(selection, column.name, MISFITS_SHOWN)
                raise RefusedError(
                    f"Column {column.name!r} of {selection.table.name!r} {column.note} ({period}); "
                    f"rows with the keys {'; '.join(rows)}",
                    "Mend those rows, or set on_mixed_types: text.",
                )


def _refuse_unreadable_texts(selection: Selection, records: Records) -> None:
    """Only reading them shows such texts, so that this is known at the end."""
    for column in selection.table.columns:
        found = records.unreadable_texts.items()
        texts = sum(count for (_, name), count in found if name == column.name)
        if texts:
            raise RefusedError(
                f"Column {column.name!r} of {selection.table.name!r} holds {texts} texts that are "
                f"not UTF-8 ({selection.span})",
                "Mend those rows, or set on_mixed_types: text.",
            )


@contextmanager
def _part(
    draft: Draft, selection: Selection, records: Records, options: ExportOptions
) -> Iterator[_Part]:
    threads = int(len(records.contents) <= FEW_PERIODS)
    with ExitStack() as files:
        part = _Part(draft, selection, records.contents[draft.period], files)
        for name in options.formats:
            part.open(FORMATS[name], options, threads)
        yield part


def _publish(source: Source, records: Records, part: tuple[Period, _Part]) -> Written:
    return part[1].publish(source, part[0], records)


class _Part:
    """One period's archive while its rows arrive: a file in each format, and their digest."""

    def __init__(
        self, draft: Draft, selection: Selection, contents: Contents, files: ExitStack
    ) -> None:
        self._draft = draft
        self._selection = selection
        self._contents = contents
        self._files = files
        self._schema = records_schema(contents.columns)
        self._digest = ContentDigest(self._schema)
        self._writers: list[RecordWriter] = []
        self._chains: list[tuple[str, str, FilteredWriter]] = []
        self._sample: tuple[dict[str, object], ...] = ()

    def open(self, form: Format, options: ExportOptions, threads: int) -> None:
        """Begin the file of one format; ``threads`` are zstd's, beside the caller's."""
        around: Compression = "none" if form.compresses_itself else options.compression
        stem = path_part(self._selection.table.name)
        name = f"{stem}{form.suffix}{stored_suffix(around, None)}"
        folder = self._draft.folder
        sink = self._files.enter_context((folder / name).open("xb"))
        chain = self._files.enter_context(
            writing(sink, compression=around, threads=threads, scratch=folder)
        )
        writer = form.open_writer(chain, self._schema, options.compression)
        self._writers.append(self._files.enter_context(writer))
        self._chains.append((name, form.name, chain))

    def write(self, batch: pa.RecordBatch, pool: ThreadPoolExecutor) -> None:
        """Give ``batch`` to every file and to the digest, some at the same time."""
        if not self._digest.rows:
            self._sample = tuple(batch.slice(0, SAMPLE_ROWS).to_pylist())
        takers = [self._digest.update, *(writer.write for writer in self._writers[1:])]
        others = [pool.submit(take, batch) for take in takers]
        self._writers[0].write(batch)
        for written in others:
            written.result()

    def publish(self, source: Source, period: Period, records: Records) -> Written:
        """Complete the files and make the archive exist, if its rows are all there."""
        table = self._selection.table.name
        if self._digest.rows != self._contents.rows:
            raise PermanentError(
                f"{table} ({period}) gave {self._digest.rows} rows where its snapshot counts "
                f"{self._contents.rows}",
                "Nothing was published. Check the database with PRAGMA integrity_check.",
            )
        self._files.close()
        files = tuple(chain.entry(name, form) for name, form, chain in self._chains)
        written = self._draft.publish(source, (self._table_entry(period, records),), files)
        return replace(written, sample=self._sample)

    def _table_entry(self, period: Period, records: Records) -> TableEntry:
        month = self._selection.month_column
        return TableEntry(
            name=self._selection.table.name,
            rows=self._digest.rows,
            digest=self._digest.hexdigest(),
            columns=tuple(
                _with_unreadable(column, records.unreadable_texts.get((period, column.name), 0))
                for column in self._contents.columns
            ),
            key=self._selection.table.key,
            month_column=month.name if month else None,
        )


def _with_unreadable(column: ColumnEntry, texts: int) -> ColumnEntry:
    if not texts:
        return column
    said = f"{texts} texts are not UTF-8 and were written as X'..'"
    return replace(column, note=f"{column.note}; {said}" if column.note else said)
