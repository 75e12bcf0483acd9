"""What a declaration may say; the rest is refused with its file and line, before anything runs."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from datetime import datetime
from zoneinfo import ZoneInfo

import dagster as dg

from portability_pipelines.domain.declarations import (
    Database,
    Migration,
    SourceReference,
    TableDeclaration,
    at,
)
from portability_pipelines.domain.documents import NOT_IN_COLLECTION_NAMES
from portability_pipelines.domain.errors import RefusedError
from portability_pipelines.orchestration.backups import restore_backup_job
from portability_pipelines.orchestration.keys import collection_name, open_month

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*")
_VARIABLE = re.compile(r"[^\s={}$]+")
# https://www.mongodb.com/docs/manual/reference/limits/: Naming Restrictions
_TARGET = re.compile(r'[^/\\. "$*<>:|?\0]+')
_TARGET_BYTES = 63
_MONGODBS_OWN = {"admin", "config", "local"}

_Rule = tuple[str, object, str, str]
"""An attribute, whether it is wrong, what is wrong with it, and what to do."""


def require_sound(database: Database, now: datetime) -> None:
    """Refuse what Dagster or MongoDB would refuse later, and what would never run.

    Raises ``RefusedError`` by the first rule that is broken at ``now`` (aware). No I/O.
    """
    for attribute, wrong, message, advice in _rules(database, now):
        if wrong:
            raise RefusedError(f"{at(database.places.get(attribute))}{message}", advice)
    if database.migration:
        _require_collections(database)


def require_apart(databases: Sequence[Database]) -> None:
    """Refuse two databases that would have one name, one job or one collection.

    Names are told apart by more than upper and lower case: folders of the store have them.
    """
    owners: dict[str, Database] = {}
    spelled: dict[str, str] = {}
    for database in databases:
        target = database.migration.target if database.migration else ""
        first = spelled.setdefault(target.lower(), target)
        if target != first:
            raise RefusedError(
                f"{at(database.places.get('migration.target'))}target differs from that of another "
                "database in upper and lower case only, which MongoDB refuses",
                "Write both in the same way, or give one of them another name.",
            )
        for attribute, claim, advice in _claims(database):
            key = claim.lower() if attribute == "name" else claim
            owner = owners.setdefault(key, database)
            if owner is not database:
                place = owner.places.get(attribute)
                declared = f", declared in {place}" if place else ""
                raise RefusedError(
                    f"{at(database.places.get(attribute))}{claim} is taken by the database "
                    f"{owner.name!r}{declared}",
                    advice,
                )


def _rules(database: Database, now: datetime) -> Iterator[_Rule]:
    """Every rule; a later one may rely on those before it, as they are tried in this order."""
    yield from _name_rules(database)
    yield from _source_rules(database.source)
    yield from _time_rules(database, now)
    for i, owner in enumerate(database.owners):
        yield (
            f"owners.{i}",
            not _is_owner(owner),
            f"{owner!r} cannot own an asset",
            "Write an e-mail address, or a team as team:name.",
        )
    if database.exports:
        formats = database.exports.formats
        twice = sorted({each for each in formats if formats.count(each) > 1})
        message = f"formats name {', '.join(twice)} twice"
        yield "exports.formats", twice, message, "Name each format once."
    if database.migration:
        yield _target_rule(database.migration)


def _name_rules(database: Database) -> Iterator[_Rule]:
    name = database.name
    yield (
        "name",
        not _NAME.fullmatch(name),
        f"{name!r} cannot name a database",
        "Begin with a letter and use letters, digits and underscores only.",
    )
    ours = restore_backup_job.name
    yield (
        "name",
        ours in _job_names(database),
        f"a database {name!r} would have a job {ours!r}, which is the one that restores",
        "Choose another name.",
    )


def _source_rules(source: SourceReference) -> Iterator[_Rule]:
    path, path_env = source.path, source.path_env
    one_of_them = "Give exactly one of path and path_env."
    yield "source", (path is None) == (path_env is None), "source needs a path", one_of_them
    yield "source.path", path == "", "path is empty", "Write the path of the database's file."
    yield (
        "source.path",
        path and "{{" in path,
        "path is a template, and these are not filled in",
        "Name the environment variable that holds the path, as path_env: SHOP_DATABASE.",
    )
    yield (
        "source.path_env",
        path_env is not None and not _VARIABLE.fullmatch(path_env),
        f"{path_env!r} cannot name an environment variable",
        "Write its name alone, as path_env: SHOP_DATABASE.",
    )


def _time_rules(database: Database, now: datetime) -> Iterator[_Rule]:
    yield (
        "timezone",
        not _is_zone(database.timezone),
        f"{database.timezone!r} is no time zone",
        "Write one of the IANA database, such as UTC or Europe/Berlin.",
    )
    first = database.first_month
    yield (
        "first_month",
        first.year < 1000,
        f"first_month {first} is before 1000-01, where Dagster's months begin",
        "Begin with the month of the oldest row; rows before it are among the undated ones.",
    )
    current = open_month(database, now)
    yield (
        "first_month",
        first > current,
        f"first_month {first} has not begun, and nothing would run until then, backups included",
        f"Begin with {current} or an earlier month.",
    )
    for part in ("exports", "backup", "migration"):
        declared = getattr(database, part)
        cron = declared.schedule if declared else None
        yield (
            f"{part}.schedule",
            cron is not None and not _comes_due(cron),
            f"{cron!r} is no schedule, or one that never comes due",
            "Write the five fields of cron, such as '0 2 * * *' for 02:00 every day.",
        )


def _target_rule(migration: Migration) -> _Rule:
    target = migration.target
    refused = not _TARGET.fullmatch(target) or target.lower() in _MONGODBS_OWN
    return (
        "migration.target",
        refused or len(target.encode()) > _TARGET_BYTES,
        "target cannot name a MongoDB database to migrate to",
        f'Write a name of at most {_TARGET_BYTES} bytes, without spaces and /\\."$*<>:|?, and not '
        "that of one of MongoDB's own: admin, config, local.",
    )


def _require_collections(database: Database) -> None:
    """Refuse what cannot name a collection, and one collection for two tables."""
    owners: dict[str, TableDeclaration] = {}
    for table in database.tables:
        name = collection_name(table)
        what = f"{at(table.place)}table {table.name!r}"
        if not name or NOT_IN_COLLECTION_NAMES.search(name):
            raise RefusedError(
                f"{what} cannot be migrated to a collection {name!r}",
                "Declare a collection that is not empty, without $, with no dot at either end nor "
                "two together, and not in system.",
            )
        owner = owners.setdefault(name, table)
        if owner is not table:
            raise RefusedError(
                f"{what} would be migrated to the collection {name!r}, as {owner.name!r} is",
                "Give one of them another collection.",
            )


def _claims(database: Database) -> Iterator[tuple[str, str, str]]:
    """What only one database can have: where it says so, what it is, and what to do instead."""
    for what in (
        f"the name {database.name!r}",
        *(f"the job {job!r}" for job in _job_names(database)),
    ):
        yield "name", what, "Give one of the two databases another name."
    if database.migration:
        for table in database.tables:
            yield (
                "migration.target",
                f"the collection {database.migration.target}.{collection_name(table)}",
                "Give one of the two databases another target, or its table another collection.",
            )


def _job_names(database: Database) -> list[str]:
    """The jobs of the database, and those that it would have with tables of every kind."""
    twofold = [part for part in ("exports", "migration") if getattr(database, part)]
    parts = [*twofold, *(f"whole_{part}" for part in twofold)]
    if database.backup:
        parts.append("backup")
    return [f"{database.name}_{part}" for part in parts]


def _is_owner(owner: str) -> bool:
    try:
        dg.AssetSpec("owned", owners=[owner])
    except dg.DagsterInvalidDefinitionError:
        return False
    return True


def _is_zone(name: str) -> bool:
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        return False
    return True


def _comes_due(cron: str) -> bool:
    """Whether Dagster reads ``cron``, and finds a time for it: 31 April is none."""
    try:
        dg.TimeWindowPartitionsDefinition(
            start="2000-01-01", fmt="%Y-%m-%d", cron_schedule=cron
        ).get_first_partition_window()
    except (dg.DagsterInvalidDefinitionError, ValueError):
        return False
    return True
