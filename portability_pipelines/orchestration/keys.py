"""Asset keys and partitions of a declared database."""

from __future__ import annotations

import re
from collections.abc import Collection
from datetime import UTC, datetime
from functools import cache
from zlib import crc32
from zoneinfo import ZoneInfo

import dagster as dg

from portability_pipelines.domain.declarations import Database, TableDeclaration
from portability_pipelines.domain.errors import RefusedError
from portability_pipelines.domain.months import Month, months_between


def table_key(database: Database, table: TableDeclaration) -> dg.AssetKey:
    """The application's own table, from which lineage starts."""
    return dg.AssetKey([database.name, _part(database, table)])


def export_key(
    database: Database, table: TableDeclaration, *, undated: bool = False
) -> dg.AssetKey:
    """A table's exports, or those of its rows that no month claims."""
    return dg.AssetKey([database.name, "exports", _shown(_part(database, table), undated)])


def backup_key(database: Database) -> dg.AssetKey:
    """The database's backups."""
    return dg.AssetKey([database.name, "backup"])


def collection_key(
    database: Database, table: TableDeclaration, *, undated: bool = False
) -> dg.AssetKey:
    """The MongoDB collection that a table, or its rows that no month claims, are migrated to."""
    others = [other for other in database.tables if other is not table]
    taken = {shown for other in others for shown in _keys_taken(collection_name(other), other)}
    if not table.collection and _part(database, table) != safe_name(table.name):
        taken.add(safe_name(table.name))
    part = _apart(collection_name(table), taken)
    return dg.AssetKey([database.name, "mongodb", _shown(part, undated)])


def collection_name(table: TableDeclaration) -> str:
    """The name of a table's collection."""
    return table.name if table.collection is None else table.collection


def months_of(database: Database) -> dg.MonthlyPartitionsDefinition:
    """A partition for each month from the first declared one to the month still open."""
    return dg.MonthlyPartitionsDefinition(
        start_date=database.first_month.partition_key, timezone=database.timezone, end_offset=1
    )


def open_month(database: Database, now: datetime) -> Month:
    """The month that ``now`` (aware) falls in, in the database's time zone."""
    return Month.of(now.astimezone(ZoneInfo(database.timezone)).date())


def all_months(database: Database, now: datetime) -> tuple[Month, ...]:
    """Every month that has a partition at ``now``."""
    return months_between(database.first_month, open_month(database, now))


def partition_keys_of_run(
    context: dg.AssetExecutionContext | dg.AssetCheckExecutionContext,
    database: Database,
    key: dg.AssetKey,
) -> list[str]:
    """The partitions that the run of a monthly asset, or of its checks, is of; refused without."""
    if not context.has_partition_key and not context.has_partition_key_range:
        month = open_month(database, datetime.now(UTC))
        raise RefusedError(
            f"{key.to_user_string()} is made by month, and the run names no month",
            f"Launch it with a partition, such as --partition {month.partition_key}; in the web UI "
            "materialize the asset for a month, which runs its checks too.",
        )
    return list(context.partition_keys)


def _shown(name: str, undated: bool) -> str:
    """The UI names an asset by the last part of its key, so that part has to say what it is."""
    return f"{name}__undated" if undated else name


@cache
def safe_name(name: str) -> str:
    """``name`` in the letters that Dagster derives the names of inputs and checks from."""
    return re.sub(r"[^A-Za-z0-9_]", "_", name)


def _part(database: Database, table: TableDeclaration) -> str:
    """The table's name in a key; with a checksum where another key would be the same."""
    others = [other for other in database.tables if other is not table]
    taken = {shown for other in others for shown in _keys_taken(other.name, other)}
    taken.update(("", backup_key(database).path[-1]))
    return _apart(table.name, taken)


def _keys_taken(name: str, table: TableDeclaration) -> tuple[str, ...]:
    """The last parts of the keys that ``table`` has as ``name``."""
    part = safe_name(name)
    return (part, _shown(part, undated=True)) if table.month_column else (part,)


def _apart(name: str, taken: Collection[str]) -> str:
    """``name`` as part of a key; with a checksum where it is ``taken``, or nothing else is left."""
    part = safe_name(name)
    if part in taken or not part.strip("_"):
        return f"{part}_{crc32(name.encode()):08x}"
    return part
