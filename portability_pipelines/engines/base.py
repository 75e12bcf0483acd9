"""Databases as the workflows see them: a snapshot to read from, and what it can be asked."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import BinaryIO, Protocol

import pyarrow as pa

from portability_pipelines.domain.documents import Value
from portability_pipelines.domain.errors import PermanentError
from portability_pipelines.domain.manifest import ColumnEntry
from portability_pipelines.domain.months import Period
from portability_pipelines.domain.tables import DateEvidence, Selection, StorageClass, Table


@dataclass(frozen=True)
class Contents:
    """What one period of a selection holds, counted in SQL inside the snapshot."""

    rows: int
    columns: tuple[ColumnEntry, ...]


class Records(Protocol):
    """The selected rows of one table, to be iterated once.

    Yields ``(period, batch)``: batches of bounded size whose schema is
    ``records_schema(contents[period].columns)``, rows in the table's stable order within a period.
    Periods may interleave. A period without rows yields nothing. Other threads read ahead;
    closing the iterator ends them.
    """

    @property
    def contents(self) -> Mapping[Period, Contents]:
        """Rows and columns of every period asked for, empty ones too; known before iterating."""

    @property
    def unreadable_texts(self) -> Mapping[tuple[Period, str], int]:
        """Texts by period and column that are not UTF-8 and were written as ``X'..'``.

        Complete once the iteration has ended.
        """

    def __iter__(self) -> Generator[tuple[Period, pa.RecordBatch]]: ...


class StoredRecords(Records, Protocol):
    """Records whose values have the kinds that they are stored as, and a view of the other rows.

    A row's values depend on no other row: a column of several kinds is a sparse union of them,
    whatever ``contents`` say. Only integers in a column that declares reals are reals, where that
    is exact.
    """

    @property
    def taken_at(self) -> datetime:
        """When the snapshot was taken that the rows are read from (aware, UTC)."""

    def find(
        self, columns: Sequence[str], values: Sequence[Sequence[Value]], wanted: Sequence[str]
    ) -> Iterator[pa.RecordBatch]:
        """The columns ``wanted`` of all rows of the table whose ``columns`` hold one of ``values``.

        Quick where ``columns`` are the primary key, else a pass over the table. May give rows more
        that the database calls equal, and may be called while the records are read.
        """


class UnreadableHereError(PermanentError):
    """The database is whole, but lacks here what reading a part of it needs; ``reason`` says what.

    An application brings functions, collations and modules of its own, and only it has them.
    """

    def __init__(self, message: str, reason: str) -> None:
        super().__init__(
            message,
            "Leave that table out: it needs what only the application brings or what was dropped, "
            "or a generated column of it cannot be computed.",
        )
        self.reason = reason


class UnexpectedKindError(Exception):
    """A value is not of the kind that its column declares: read again, without trusting."""


KindedColumn = Mapping[StorageClass, pa.Array]
"""A column of some rows: an array of all the rows for each kind, NULL where the value is another.

A kind that is missing is one that no value has.
"""


class Values(Protocol):
    """Every value of a table with the kind that it is stored as, to be iterated once.

    Yields the columns of some rows, of a bounded number, in the table's stable order. Other
    threads read ahead; closing the iterator ends them.
    """

    @property
    def rows(self) -> int:
        """How many there are, counted by the database in the snapshot."""

    def __iter__(self) -> Generator[Sequence[KindedColumn]]: ...


class Snapshot(Protocol):
    """A consistent view of a database at ``taken_at`` (aware, UTC), whatever others write."""

    taken_at: datetime
    engine: str
    engine_version: str
    tool: str

    def tables(self) -> tuple[Table, ...]:
        """Every table with rows of its own, in name order.

        One that cannot be opened here has no columns.
        """

    def unreadable(self, table: Table) -> str | None:
        """Why the rows of ``table`` cannot be read here, where only its application can."""

    def views(self) -> tuple[str, ...]:
        """The names of what only repeats rows of tables, in order."""

    def read(self, selection: Selection, *, trusting: bool = False) -> Records:
        """Prepare to read ``selection``, after a survey of the kinds that its values have.

        ``trusting`` may spare the survey, a pass over the rows: every column is expected to hold
        what it declares, and iterating raises ``UnexpectedKindError`` at the first sign of another.
        """

    def read_stored(self, selection: Selection) -> StoredRecords:
        """Prepare to read ``selection`` with each value of the kind that it is stored as."""

    def values(self, table: Table) -> Values:
        """Prepare to read all of ``table`` as it is stored."""

    def dates(self, table: Table, column: str) -> DateEvidence:
        """Which months the values of ``column`` name, in whichever encoding dates most rows."""

    def misfits(self, selection: Selection, column: str, limit: int) -> list[str]:
        """The keys of at most ``limit`` rows whose value in ``column`` breaks its declared type."""


@dataclass(frozen=True)
class Frozen:
    """A whole database as it is at one moment, as bytes and as a view.

    ``content`` are the ``size_bytes`` bytes of a file of the same engine, to be read once, from
    where it stands; who froze the database closes it.
    """

    snapshot: Snapshot
    content: BinaryIO
    size_bytes: int


class Engine(Protocol):
    """One database that can be read."""

    def snapshot(self) -> AbstractContextManager[Snapshot]:
        """Open a consistent view; other processes may read and write while it is open."""

    def freeze(self) -> AbstractContextManager[Frozen]:
        """Hold the whole database still; other processes may read and write meanwhile."""


@dataclass(frozen=True)
class Inspection:
    """What an integrity check found wrong, and what it could not look at here, with the reason."""

    problems: tuple[str, ...] = ()
    unchecked: tuple[str, ...] = ()


class Recovery(Protocol):
    """How a restored database of one engine is looked at, in scratch, before it is trusted."""

    def inspect(self, restored: Path) -> Inspection:
        """Run the engine's own integrity check, as far as it can be run here."""

    def open(self, restored: Path) -> AbstractContextManager[Snapshot]:
        """A view of ``restored``, which nobody else has open."""
