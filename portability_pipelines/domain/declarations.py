"""What a person declares about a database: its tables, exports, backup and migration."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from portability_pipelines.domain.months import Month
from portability_pipelines.domain.tables import DateEncoding

Compression = Literal["zstd", "gzip", "none"]
OnMixedTypes = Literal["text", "refuse"]
Backfill = Literal["run_per_month", "single_run"]


@dataclass(frozen=True)
class Place:
    """Where a declaration stands, for errors: ``defs/sample/defs.yaml:12``."""

    file: str
    line: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}"


def at(place: Place | None) -> str:
    """How an error about what stands at ``place`` begins; empty where that is not known."""
    return f"{place}: " if place else ""


@dataclass(frozen=True)
class SourceReference:
    """How a database is reached: by ``path``, or by the path in the variable ``path_env``."""

    engine: str
    path: str | None = None
    path_env: str | None = None


@dataclass(frozen=True)
class TableDeclaration:
    """A table to export or migrate; without ``month_column`` it is taken whole.

    ``collection`` and ``unique_by`` matter to the migration only.
    """

    name: str
    month_column: str | None = None
    dates: DateEncoding = "iso"
    collection: str | None = None
    unique_by: tuple[str, ...] = ()
    place: Place | None = None


@dataclass(frozen=True)
class Exports:
    """How tables are exported; each format becomes one file of a month's archive."""

    formats: tuple[str, ...] = ("parquet",)
    compression: Compression = "zstd"
    on_mixed_types: OnMixedTypes = "text"
    schedule: str | None = "0 3 * * *"


@dataclass(frozen=True)
class Backup:
    """How the database is backed up."""

    schedule: str | None = "0 2 * * *"


@dataclass(frozen=True)
class Migration:
    """How tables are migrated to MongoDB, into the database ``target``."""

    target: str
    batch_size: int = 1000
    schedule: str | None = "30 3 * * *"


@dataclass(frozen=True)
class Database:
    """One declared database. A part that is None is not wanted.

    ``places`` says where its attributes stand, such as ``backup.schedule`` and ``owners.0``.
    """

    name: str
    source: SourceReference
    first_month: Month
    tables: tuple[TableDeclaration, ...] = ()
    timezone: str = "UTC"
    backfill: Backfill = "run_per_month"
    exports: Exports | None = None
    backup: Backup | None = None
    migration: Migration | None = None
    owners: tuple[str, ...] = ()
    schedules_run: bool = True
    places: Mapping[str, Place] = field(default_factory=dict, compare=False, repr=False)
