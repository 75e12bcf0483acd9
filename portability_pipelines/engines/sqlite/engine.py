"""SQLite as a source: pinned and frozen snapshots of a file that others go on writing to."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path

from portability_pipelines.domain.errors import PermanentError, TransientError
from portability_pipelines.domain.months import Month
from portability_pipelines.domain.tables import DateEncoding, DateEvidence, Selection, Table
from portability_pipelines.engines.base import Frozen, UnreadableHereError
from portability_pipelines.engines.sqlite.adbc import (
    Connection,
    driver_version,
    naming,
    only_library,
)
from portability_pipelines.engines.sqlite.copying import Clock, copy_pinned, log_bytes
from portability_pipelines.engines.sqlite.labels import labels
from portability_pipelines.engines.sqlite.periods import UNIT
from portability_pipelines.engines.sqlite.records import SqliteRecords
from portability_pipelines.engines.sqlite.scans import Scan, source
from portability_pipelines.engines.sqlite.schema import identifier, tables_of
from portability_pipelines.engines.sqlite.stored import StoredSqliteRecords
from portability_pipelines.engines.sqlite.survey import declared, survey, try_survey
from portability_pipelines.engines.sqlite.utf16 import require_valid_texts
from portability_pipelines.engines.sqlite.values import SqliteValues
from portability_pipelines.engines.sqlite.windows import Windows
from portability_pipelines.stores.working import working_folder

SMALLEST_PAGE_BYTES = 512
"""https://www.sqlite.org/fileformat2.html, section 1.2. SQLite itself takes a file of one byte for
an empty database, as it takes a file without any."""


class SqliteSnapshot:
    """One consistent view; see ``engines.base.Snapshot``."""

    engine = "sqlite"

    def __init__(self, connections: Sequence[Connection], taken_at: datetime) -> None:
        """See the same through every one of ``connections``, which are read side by side."""
        self.connections = connections
        self._connection = connection = connections[0]
        self.taken_at = taken_at
        self.engine_version = str(connection.rows("SELECT sqlite_version() AS v")[0]["v"])
        self.tool = f"adbc-driver-sqlite {driver_version()}"

    @property
    def logged(self) -> bool:
        """Whether the database is in WAL mode."""
        (row,) = self._connection.rows("PRAGMA journal_mode")
        return bool(row["journal_mode"] == "wal")

    def tables(self) -> tuple[Table, ...]:
        """Every table with rows of its own, in name order."""
        return tables_of(self._connection)

    def unreadable(self, table: Table) -> str | None:
        """See ``engines.base.Snapshot``; takes no look at the rows."""
        try:
            try_survey(self._connection, Scan.planned(self._connection, Selection(table)))
        except UnreadableHereError as error:
            return error.reason
        return None

    def views(self) -> tuple[str, ...]:
        """Every view, in name order."""
        named = "SELECT name FROM sqlite_schema WHERE type = 'view' ORDER BY name"
        return tuple(row["name"] for row in self._connection.rows(named))

    def read(self, selection: Selection, *, trusting: bool = False) -> SqliteRecords:
        """Prepare to read ``selection``; only a few months that an index found are ever trusted.

        To read so few again, where one misleads, takes less than to survey them every time.
        """
        require_valid_texts(self._connection, selection)
        with naming(selection.table.name):
            scan = Scan.planned(self._connection, selection)
            if trusting and scan.counted is not None and scan.edges is not None:
                found, windows = declared(self._connection, scan), Windows(scan, thorough=True)
                return SqliteRecords(self.connections, scan, found, windows)
            return SqliteRecords(self.connections, *survey(self.connections, scan))

    def read_stored(self, selection: Selection) -> StoredSqliteRecords:
        """Prepare to read ``selection`` with each value of the kind that it is stored as."""
        require_valid_texts(self._connection, selection)
        with naming(selection.table.name):
            scan = Scan.planned(self._connection, selection)
            surveyed = survey(self.connections, scan)
        return StoredSqliteRecords(self.connections, *surveyed, taken_at=self.taken_at)

    def values(self, table: Table) -> SqliteValues:
        """Count the rows of ``table`` and prepare to read them as they are stored."""
        with naming(table.name):
            return SqliteValues(self.connections, table)

    def dates(self, table: Table, column: str) -> DateEvidence:
        """Which months the values of ``column`` name, in whichever encoding dates most rows."""
        name, written = f"{identifier(column)} COLLATE BINARY", "'[12][0-9][0-9][0-9]-[01][0-9]*'"
        texts = (
            f"CASE WHEN typeof({name}) = 'text' AND {name} GLOB {written} "
            f"AND substr({name}, 6, 2) BETWEEN '01' AND '12' THEN substr({name}, 1, 7) END"
        )
        candidates: dict[DateEncoding, str] = {"iso": texts}
        for encoding, unit in UNIT.items():
            candidates[encoding] = _epoch_month(name, unit)  # type: ignore[index]
        parts = [
            f"count({sql}) AS {label}_n, min({sql}) AS {label}_low, max({sql}) AS {label}_high"
            for label, sql in candidates.items()
        ]
        scanned = source(Selection(table), scanned=True)
        row = self._connection.rows(f"SELECT count(*) AS n, {', '.join(parts)} {scanned}")[0]
        best = max(candidates, key=lambda label: int(row[f"{label}_n"]))
        dated, low, high = (row[f"{best}_{part}"] for part in ("n", "low", "high"))
        edges = (Month.parse(low), Month.parse(high)) if dated else (None, None)
        return DateEvidence(best, dated, row["n"] - dated, *edges)

    def misfits(self, selection: Selection, column: str, limit: int) -> list[str]:
        """The keys of at most ``limit`` rows whose value in ``column`` breaks its declared type."""
        described = selection.table.column(column)
        expected = described.expected if described else "text"
        other = f"typeof({identifier(column)}) NOT IN ('null', '{expected}')"
        return labels(self._connection, selection, other, limit)


def _epoch_month(name: str, unit: int) -> str:
    """The month of an epoch number between 1990 and 2100, the range that makes it a likely date."""
    low, high = 631_152_000 * unit, 4_102_444_800 * unit
    return (
        f"CASE WHEN typeof({name}) IN ('integer', 'real') AND {name} >= {low} AND {name} < {high} "
        f"THEN strftime('%Y-%m', {name} / {unit}, 'unixepoch') END"
    )


class SqliteEngine:
    """One SQLite file. Opened read-only always; nothing is ever written to it."""

    def __init__(
        self,
        path: Path,
        scratch: Path,
        clock: Clock = lambda: datetime.now(UTC),
    ) -> None:
        # SQLite keeps the log beside the file that a link leads to.
        self._path = Path(os.path.realpath(path))
        self._scratch = scratch
        self._clock = clock

    @contextmanager
    def snapshot(self) -> Iterator[SqliteSnapshot]:
        """Pin a read transaction in WAL mode, where readers and writers never wait for each other.

        In the rollback modes a long read would keep writers out, so a copy is read there.
        """
        with self._pinned() as (live, _, _):
            if live.logged:
                yield live
                return
        with self._copied() as (copy, _):
            yield copy

    @contextmanager
    def freeze(self) -> Iterator[Frozen]:
        """Give the file itself in WAL mode, if nothing is in the log; a copy otherwise.

        Under the read transaction the log may grow, but nobody may write to the file, as a reader
        who needs nothing of the log depends on it.
        """
        with self._pinned() as (live, held, pinned):
            if live.logged and not log_bytes(self._path):
                content = held.enter_context(self._path.open("rb", buffering=0))
                self._require_same(pinned)
                yield Frozen(live, content, pinned.st_size)
                self._require_unwritten(pinned)
                return
        with self._copied() as (copy, path), path.open("rb", buffering=0) as content:
            yield Frozen(copy, content, path.stat().st_size)

    @contextmanager
    def _pinned(self) -> Iterator[tuple[SqliteSnapshot, ExitStack, os.stat_result]]:
        """A view of the live file, a stack for what must be closed after it, and the file as it is.

        A descriptor of the file that is closed drops the locks that this process has on it
        (https://www.sqlite.org/howtocorrupt.html, section 2.2).
        """
        self._require_file()
        with only_library(self._path), ExitStack() as held:
            self._require_no_new_files()
            before = self._path.stat()
            with (
                closing(Connection(self._path, immutable=False)) as pinned,
                closing(Connection(self._path, immutable=False)) as other,
            ):
                # A commit between this and the transaction is seen, and not the other way round.
                taken_at = self._clock()
                same = pinned.begin_with(other)
                self._require_same(before)
                snapshot = SqliteSnapshot((pinned, other) if same else (pinned,), taken_at)
                yield snapshot, held, self._path.stat()

    @contextmanager
    def _copied(self) -> Iterator[tuple[SqliteSnapshot, Path]]:
        """A view of a copy, and where it lies; it has the name that errors are to tell."""
        with working_folder(self._scratch, "frozen-") as folder:
            copy = folder / self._path.name
            with self._pinned() as (live, held, pinned):
                taken_at = copy_pinned(self._path, copy, held, self._clock)
                self._require_same(pinned)
                if not live.logged:
                    self._require_unwritten(pinned)
            with frozen_snapshot(copy, taken_at) as snapshot:
                yield snapshot, copy

    def _require_unwritten(self, pinned: os.stat_result) -> None:
        """Refuse where the file was written to though a transaction keeps every SQLite from it."""
        now = self._path.stat()
        if (now.st_mtime_ns, now.st_size) != (pinned.st_mtime_ns, pinned.st_size):
            raise TransientError(
                f"{self._path.name} was written to while it was read, by something other than "
                "SQLite, which keeps to its locks",
                "Let nobody copy another file over it while it is in use; then try again.",
            )

    def _require_same(self, before: os.stat_result) -> None:
        """Refuse where the path has come to lead to another file than ``before``."""
        if not self._path.exists() or not os.path.samestat(before, self._path.stat()):
            raise TransientError(
                f"{self._path.name} was replaced by another file while it was being opened",
                "Try again once whoever replaces it is done.",
            )

    def _require_no_new_files(self) -> None:
        """Refuse where opening the file would make others beside it that its owner cannot write.

        Who opens a database in WAL mode first makes its log and its shared memory, with the mode
        of the file; only root gives them to the file's owner.
        """
        shared = self._path.with_name(f"{self._path.name}-shm")
        mine = os.geteuid() in (0, self._path.stat().st_uid)
        if not mine and not shared.exists() and _is_logged(self._path):
            raise PermanentError(
                f"{self._path.name} belongs to another user, and no application has it open: "
                "reading it would leave files beside it that its owner cannot write",
                "Read it as its owner, or while the application runs.",
            )

    def _require_file(self) -> None:
        if not self._path.is_file():
            raise PermanentError(
                f"There is no SQLite database at {self._path}",
                "Check the database's path; a relative path counts from the project folder.",
            )
        size = self._path.stat().st_size
        if 0 < size < SMALLEST_PAGE_BYTES:
            raise PermanentError(
                f"{self._path} is not a database: its size is {size}, less than one page",
                "Point the database's path at an SQLite file.",
            )


def _is_logged(path: Path) -> bool:
    """Whether ``path`` is in WAL mode (https://www.sqlite.org/fileformat2.html, section 1.3)."""
    try:
        with path.open("rb") as file:
            return file.read(20)[18:] == b"\2\2"
    except PermissionError:
        return False


@contextmanager
def frozen_snapshot(path: Path, taken_at: datetime) -> Iterator[SqliteSnapshot]:
    """Read the file ``path``, which nobody writes to."""
    with (
        closing(Connection(path, immutable=True)) as one,
        closing(Connection(path, immutable=True)) as other,
    ):
        yield SqliteSnapshot((one, other), taken_at)
