"""A MongoDB collection of a test's own, to migrate to and to look into."""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pymongo import MongoClient
from pymongo.collection import Collection

from portability_pipelines.domain.months import Period
from portability_pipelines.domain.tables import Table
from portability_pipelines.engines.base import StoredRecords
from portability_pipelines.engines.documents import Document
from portability_pipelines.engines.mongodb import MongoTarget
from portability_pipelines.workflows.migrate import MigrationCounts, migrate
from portability_pipelines.workflows.verify_migration import Verification, verify_migration
from portability_tests.workflows.memory_records import FIRST, MemoryRecords, Values


@dataclass(frozen=True)
class Place:
    """An empty database on a real server."""

    uri: str
    database: str
    target: MongoTarget
    collection: Collection[Document]

    def migrate(
        self,
        source: Table,
        rows: Mapping[Period, Sequence[Values]] | StoredRecords,
        at: datetime = FIRST,
        **options: Any,
    ) -> dict[Period, MigrationCounts]:
        """Migrate ``rows`` into the collection."""
        records = _records(source, rows, options, at)
        target = options.pop("target", self.target)
        given = {"database": "shop", "collection": self.collection.name, **options}
        return migrate(records, source, target, exported_at=at, **given)

    def verify(
        self,
        source: Table,
        rows: Mapping[Period, Sequence[Values]] | StoredRecords,
        **options: Any,
    ) -> dict[Period, Verification]:
        """Compare ``rows`` with the collection."""
        records = _records(source, rows, options)
        given = {"database": "shop", "collection": self.collection.name, **options}
        return verify_migration(records, source, self.target, **given)

    def documents(self) -> list[Document]:
        """Everything stored, in the order of ids."""
        return list(self.collection.find().sort("_id"))

    def fields(self) -> list[Document]:
        """Everything stored but for its metadata."""
        return [{k: v for k, v in d.items() if k != "export_metadata"} for d in self.documents()]


def _records(
    source: Table,
    rows: Mapping[Period, Sequence[Values]] | StoredRecords,
    options: dict[str, Any],
    taken_at: datetime = FIRST,
) -> StoredRecords:
    """The records that ``rows`` are; the option ``elsewhere`` gives rows of other periods."""
    elsewhere = options.pop("elsewhere", ())
    if isinstance(rows, Mapping):
        return MemoryRecords(source, rows, elsewhere=elsewhere, taken_at=taken_at)
    return rows


@contextmanager
def empty_place(uri: str) -> Iterator[Place]:
    """An empty database on the server at ``uri``, gone when the context ends."""
    name = f"test_{secrets.token_hex(6)}"
    with MongoTarget(uri, name) as target, MongoClient[Document](uri) as client:
        yield Place(uri, name, target, client[name]["people"])
        client.drop_database(name)


def counted(counts: MigrationCounts) -> dict[str, int]:
    """The outcomes that happened."""
    names = ("inserted", "unchanged", "updated", "duplicates", "rejected", "superseded")
    assert counts.source == sum(getattr(counts, name) for name in names)
    return {name: getattr(counts, name) for name in names if getattr(counts, name)}
