"""Parts that go wrong where the real ones cannot be made to."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, BinaryIO

import pyarrow as pa

from portability_pipelines.domain.months import Period
from portability_pipelines.domain.tables import Selection, Table
from portability_pipelines.engines.base import (
    Engine,
    Frozen,
    KindedColumn,
    Records,
    Snapshot,
    Values,
)
from portability_pipelines.stores.base import Store


class Disturbed:
    """Passes everything on to a real part."""

    def __init__(self, inner: Any) -> None:
        self.inner = inner

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)


def losing_rows(snapshot: Snapshot, fault: Exception | None = None) -> Snapshot:
    """``snapshot``, but the first row of every batch is lost and ``fault`` ends the reading."""
    return _LossySnapshot(snapshot, fault)


def engine_losing_rows(engine: Engine, fault: Exception | None = None) -> Engine:
    """``engine``, whose frozen view loses rows."""
    return _LossyEngine(engine, fault)


class _LossyEngine(Disturbed):
    def __init__(self, inner: Engine, fault: Exception | None) -> None:
        super().__init__(inner)
        self._fault = fault

    @contextmanager
    def freeze(self) -> Iterator[Frozen]:
        with self.inner.freeze() as frozen:
            yield replace(frozen, snapshot=losing_rows(frozen.snapshot, self._fault))


class _LossySnapshot(Disturbed):
    def __init__(self, inner: Snapshot, fault: Exception | None) -> None:
        super().__init__(inner)
        self._fault = fault

    def read(self, selection: Selection, *, trusting: bool = False) -> Records:
        return _LossyRecords(self.inner.read(selection, trusting=trusting), self._fault)

    def values(self, table: Table) -> Values:
        return _LossyValues(self.inner.values(table), self._fault)


class _LossyValues(Disturbed):
    def __init__(self, inner: Values, fault: Exception | None) -> None:
        super().__init__(inner)
        self._fault = fault

    def __iter__(self) -> Generator[Sequence[KindedColumn]]:
        for columns in self.inner:
            yield [{kind: array.slice(1) for kind, array in each.items()} for each in columns]
        if self._fault is not None:
            raise self._fault


class _LossyRecords(Disturbed):
    def __init__(self, inner: Records, fault: Exception | None) -> None:
        super().__init__(inner)
        self._fault = fault

    def __iter__(self) -> Generator[tuple[Period, pa.RecordBatch]]:
        for period, batch in self.inner:
            yield period, batch.slice(1)
        if self._fault is not None:
            raise self._fault


class WatchedStore(Disturbed):
    """Notes what lies beside every file that is put, and calls ``opened`` with keys opened.

    Calls ``reading`` before each read of what was opened.
    """

    def __init__(self, inner: Store) -> None:
        super().__init__(inner)
        self.beside: list[bytes] = []
        self.opened: Any = lambda key: None
        self.reading: Any = lambda: None

    def put(self, source: Path, key: str) -> None:
        self.beside += [path.read_bytes() for path in source.parent.iterdir()]
        self.inner.put(source, key)

    def open(self, key: str) -> Any:
        self.opened(key)
        return _WatchedStream(self.inner.open(key), self.reading)


class _WatchedStream(Disturbed):
    def __init__(self, inner: BinaryIO, reading: Any) -> None:
        super().__init__(inner)
        self._reading = reading

    def __enter__(self) -> Any:
        return self

    def __exit__(self, *_: object) -> None:
        self.inner.close()

    def read(self, size: int = -1) -> bytes:
        self._reading()
        data: bytes = self.inner.read(size)
        return data
