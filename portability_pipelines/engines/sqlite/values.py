"""Every value of a table with the kind that it is stored as, for a digest of the whole table.

Only the columns of a window of rows in which another kind shows are read again, kind by kind.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence

from portability_pipelines.domain.tables import Selection, Table
from portability_pipelines.engines.base import KindedColumn
from portability_pipelines.engines.sqlite.adbc import Connection, naming
from portability_pipelines.engines.sqlite.kinds import CLASSES, abreast, kinded, seeded
from portability_pipelines.engines.sqlite.lanes import side_by_side
from portability_pipelines.engines.sqlite.scans import EVERYTHING, Scan, source
from portability_pipelines.engines.sqlite.survey import mixed_columns
from portability_pipelines.engines.sqlite.weights import Weights
from portability_pipelines.engines.sqlite.windows import Windows


class SqliteValues:
    """See ``engines.base.Values``."""

    def __init__(self, connections: Sequence[Connection], table: Table) -> None:
        self._connections = connections
        self._columns = table.columns
        self._scan = Scan.planned(connections[0], Selection(table))
        self._windows = Windows(self._scan, thorough=False)
        counted = f"SELECT count(*) AS n {source(self._scan.selection)}"
        self.rows: int = connections[0].rows(counted)[0]["n"]

    def __iter__(self) -> Generator[Sequence[KindedColumn]]:
        with naming(self._scan.selection.table.name):
            if self._scan.edges is None:
                yield from self._surveyed(self._connections[0])
            elif self.rows:
                parts = self._scan.windows(self.rows)
                yield from side_by_side(self._connections, parts, self._read)

    def _surveyed(self, connection: Connection) -> Iterator[Sequence[KindedColumn]]:
        """The rows of a table that cannot be cut into windows."""
        mixed = mixed_columns(self._connections, self._scan)
        kinds = [CLASSES if i in mixed else own for i, own in enumerate(self._windows.kinds)]
        scanned = self._scan.ordered_rows(EVERYTHING)
        skip = 1
        most = Weights(self._scan).rows_at_once(connection, EVERYTHING)
        for batch in abreast(connection, seeded(self._columns, kinds, scanned), most):
            rows = batch.slice(skip)
            yield [kinded(rows, i, own) for i, own in enumerate(kinds)]
            skip = 0

    def _read(self, connection: Connection, part: str) -> Iterator[Sequence[KindedColumn]]:
        for window in self._windows.read(connection, part):
            found = [kinded(window.batch, i, own) for i, own in enumerate(self._windows.kinds)]
            for i in window.mixed:
                found[i] = window.again(self._columns[i])
            yield found
