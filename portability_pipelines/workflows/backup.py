"""Back up: the whole database at one moment, in one streaming pass, with proof taken beside it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from threading import Event

from portability_pipelines.domain.errors import RefusedError
from portability_pipelines.domain.manifest import FileEntry, TableEntry, path_part
from portability_pipelines.domain.months import Period
from portability_pipelines.domain.tables import folded
from portability_pipelines.engines.base import Engine, Frozen, Snapshot
from portability_pipelines.filters.chain import stored_suffix, writing
from portability_pipelines.filters.openpgp_keys import EncryptionKey, described
from portability_pipelines.stores.disk import sync
from portability_pipelines.workflows.digests import digest_table
from portability_pipelines.workflows.drafts import Archivist, Draft, Written
from portability_pipelines.workflows.export import source_of

Progress = Callable[[int, int], None]
"""Called with bytes done and bytes in all."""

DATASET = "database"
CHUNK_BYTES = 1 << 20
ZSTD_THREADS = 2


def back_up(
    engine: Engine,
    database: str,
    period: Period,
    archivist: Archivist,
    progress: Progress,
    expected: Sequence[str] = (),
) -> Written:
    """Write one archive that holds the whole database, compressed and encrypted.

    The frozen database is streamed through the filters while the counts and digests of its tables
    are taken from the same moment. It is let go before anything is published. Refused where it has
    none of the ``expected`` tables: who opens a wrong path makes an empty database there.
    """
    key = archivist.secrets.encrypt
    if key is None:
        raise RefusedError(
            f"There is nothing to encrypt the backup of {database} with",
            "Set PORTABILITY_PASSPHRASE or PORTABILITY_RECIPIENT.",
        )
    with ExitStack() as reading:
        frozen = reading.enter_context(engine.freeze())
        source, taken_at = source_of(frozen.snapshot, database), frozen.snapshot.taken_at
        with archivist.draft(database, "backup", DATASET, period, taken_at) as draft:
            with ThreadPoolExecutor(1) as pool:
                stop = Event()
                proofs = pool.submit(_digest_tables, frozen.snapshot, stop)
                try:
                    file = _encrypted(draft, frozen, database, key, progress)
                    tables = proofs.result()
                finally:
                    stop.set()
            reading.close()
            _require_any(expected, tables, database)
            return draft.publish(source, tables, (file,), described(key))


def _require_any(expected: Sequence[str], tables: Sequence[TableEntry], database: str) -> None:
    held = {folded(table.name) for table in tables}
    if expected and held.isdisjoint(map(folded, expected)):
        raise RefusedError(
            f"{database} holds none of its declared tables, {expected[0]!r} the first of them",
            "Check the database's path, and that its application made no empty file there. Nothing "
            "was published.",
        )


def _encrypted(
    draft: Draft, frozen: Frozen, database: str, key: EncryptionKey, progress: Progress
) -> FileEntry:
    engine = frozen.snapshot.engine
    name = f"{path_part(database)}.{engine}{stored_suffix('zstd', key)}"
    done = 0
    with (
        (draft.folder / name).open("xb") as sink,
        writing(
            sink, compression="zstd", key=key, threads=ZSTD_THREADS, scratch=draft.folder
        ) as chain,
    ):
        while chunk := frozen.content.read(CHUNK_BYTES):
            chain.write(chunk)
            done += len(chunk)
            progress(done, frozen.size_bytes)
    # Publishing does this too, but here the digests are still being taken meanwhile.
    sync(draft.folder / name)
    return chain.entry(name, engine)


def _digest_tables(snapshot: Snapshot, stop: Event) -> tuple[TableEntry, ...]:
    return tuple(digest_table(snapshot, table, stop) for table in snapshot.tables())
