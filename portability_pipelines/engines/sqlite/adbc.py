"""SQL in, Arrow out: one read-only ADBC connection to an SQLite file.

ADBC carries its own SQLite library, and two libraries must never hold the same live file in one
process: closing a descriptor in one drops the POSIX locks of the other
(https://www.sqlite.org/howtocorrupt.html, section 2.2.1). ``only_library`` guards that.
"""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Generator, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pyarrow as pa

from portability_pipelines.domain.errors import PermanentError, PortabilityError, TransientError
from portability_pipelines.engines.base import UnreadableHereError
from portability_pipelines.formats.buffers import overflows

BATCH_ROWS = 32_768
BUSY_TIMEOUT_MS = 30_000
CACHE_KIB = 256
"""Enough for the inner pages of an index and a table. A pass over a table does not come back to the
others, and to give each of them memory of its own takes longer than to read it."""
_ATTEMPTS_TO_BEGIN = 20
_DATA_VERSION = "PRAGMA data_version"

_held: set[str] = set()
_held_lock = threading.Lock()


@contextmanager
def only_library(path: Path) -> Iterator[None]:
    """Hold the right to open the live file ``path`` with one SQLite library in this process."""
    name = str(path.resolve())
    with _held_lock:
        if name in _held:
            raise PermanentError(
                f"{path.name} is already being read in this process",
                "Read it in another process, or after the other reading has ended.",
            )
        _held.add(name)
    try:
        yield
    finally:
        with _held_lock:
            _held.discard(name)


class Connection:
    """A read-only connection; queries give Arrow batches, inside one transaction if ``begin``."""

    def __init__(self, path: Path, *, immutable: bool) -> None:
        import adbc_driver_manager
        import adbc_driver_sqlite

        self._manager = adbc_driver_manager
        self._path = path
        mode = "immutable=1" if immutable else "mode=ro"
        self._database = adbc_driver_manager.AdbcDatabase(
            driver=adbc_driver_sqlite._driver_path(),
            uri=f"file:{quote(os.fsencode(path))}?{mode}",
        )
        try:
            self._connection = adbc_driver_manager.AdbcConnection(self._database)
        except adbc_driver_manager.Error as error:
            self._database.close()
            raise reading_failed(path, error) from error
        self.rows(f"PRAGMA busy_timeout = {BUSY_TIMEOUT_MS}")
        self.rows(f"PRAGMA cache_size = -{CACHE_KIB}")

    def begin(self) -> None:
        """Start the transaction that pins what later queries see."""
        self._connection.set_autocommit(False)
        self.rows("SELECT count(*) FROM sqlite_schema")

    def begin_with(self, other: Connection) -> bool:
        """Begin here and in ``other``; whether both pin the same snapshot, else only this begins.

        The data version that ``other`` sees changes with every commit of anybody else
        (https://www.sqlite.org/pragma.html#pragma_data_version), so where it is the same before
        and after, nobody committed in between.
        """
        for _ in range(_ATTEMPTS_TO_BEGIN):
            version = other.rows(_DATA_VERSION)
            self.begin()
            other.begin()
            if other.rows(_DATA_VERSION) == version:
                return True
            other.end()
            self.end()
        self.begin()
        return False

    def end(self) -> None:
        """End the transaction."""
        self._connection.set_autocommit(True)

    def rows(self, sql: str) -> list[dict[str, Any]]:
        """The whole result of a small query; bytes that are not UTF-8 are shown as ``\\xe9``."""
        with closing(self.batches(sql)) as batches:
            return [row for batch in batches for row in _rows(batch)]

    def batches(self, sql: str, rows: int = BATCH_ROWS) -> Generator[pa.RecordBatch]:
        """The result of ``sql`` in batches of ``rows``; types follow the first batch.

        Raises ``PermanentError`` where a batch is too large for Arrow to tell its values apart.
        """
        statement = self._manager.AdbcStatement(self._connection)
        try:
            statement.set_options(**{"adbc.sqlite.query.batch_rows": str(rows)})
            statement.set_sql_query(sql)
            stream, _ = statement.execute_query()
            reader = pa.RecordBatchReader._import_from_c(stream.address)
            try:
                for batch in reader:
                    self._require_whole(batch)
                    yield batch
            finally:
                reader.close()
        except (self._manager.Error, pa.ArrowException, OSError) as error:
            raise reading_failed(self._path, error) from error
        finally:
            statement.close()

    def _require_whole(self, batch: pa.RecordBatch) -> None:
        if any(map(overflows, batch.columns)):
            raise PermanentError(
                f"{batch.num_rows} rows of {self._path.name} hold more than 2 GiB in a column",
                "Nothing of them was used; shorten the longest values of its largest table.",
            )

    def close(self) -> None:
        """End the transaction and let the file go."""
        self._connection.close()
        self._database.close()


def _rows(batch: pa.RecordBatch) -> list[dict[str, Any]]:
    try:
        return list(batch.to_pylist())
    except UnicodeDecodeError:
        rows = zip(*map(_escaped, batch.columns), strict=True)
        return [dict(zip(batch.schema.names, row, strict=True)) for row in rows]


def _escaped(values: pa.Array) -> list[Any]:
    """``values`` in Python, with ``\\xe9`` for a byte that is not UTF-8."""
    if not pa.types.is_string(values.type):
        return list(values.to_pylist())
    texts = values.cast(pa.binary()).to_pylist()
    return [None if text is None else text.decode(errors="backslashreplace") for text in texts]


def driver_version() -> str:
    """The version of the driver, which carries its own SQLite."""
    import adbc_driver_sqlite

    return str(adbc_driver_sqlite.__version__)  # type: ignore[attr-defined]


_ADVICE = {
    "not a database": "Point the database's path at an SQLite file.",
    "is malformed": "The file is damaged; restore a backup of it or run sqlite3's .recover on it.",
    "unable to open": "Check that the file exists and that this user may read it and its folder.",
    "disk is full": "Free space on the disk of the project's private folder.",
    "readonly": "An application left it mid-transaction: open it once with that application. Or it "
    "is in WAL mode, and its folder may not be written to by this user.",
}

_MISSING = (
    "no such collation sequence",
    "no such column",
    "no such function",
    "no such module",
    "no such table",
    "no such tokenizer",
    "no query solution",
    "SQL logic error",
    "unknown function",
    "unknown tokenizer",
    "unsafe use of",
    "vtable constructor failed",
)
"""What SQLite says of statements that are wrong here, not of files that are."""

_NOT_COMPUTED = (
    "ESCAPE expression must be",
    "JSON cannot hold BLOB",
    "LIKE or GLOB pattern too complex",
    "bad JSON path",
    "integer overflow",
    "labels must be TEXT",
    "malformed JSON",
    "non-deterministic use of",
)
"""What SQLite says where a generated column has no value; of us, nothing else asks such things."""

_HELD = re.compile(r"database( table| schema)? is (locked|busy)")


@contextmanager
def naming(table: str) -> Iterator[None]:
    """Let every failure of the block name the ``table`` that was read."""
    try:
        yield
    except PortabilityError as error:
        error.message = f"{error.message} (table {table!r})"
        raise


def reading_failed(path: Path, error: Exception) -> PermanentError | TransientError:
    """What to raise for a database error met while reading ``path``."""
    text = str(error).split("\n", maxsplit=1)[0]
    message = f"Reading the SQLite database {path.name} failed: {text}"
    if any(mark in text for mark in (*_MISSING, *_NOT_COMPUTED)):
        return UnreadableHereError(message, text.partition(" query: ")[2] or text)
    if _HELD.search(text):
        return TransientError(message, "Another process holds it; try again in a moment.")
    advice = next((a for mark, a in _ADVICE.items() if mark in text), None)
    return PermanentError(message, advice or "Check the file with sqlite3's PRAGMA quick_check.")
