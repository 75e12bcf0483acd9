"""Discover: what one would declare about a database that nobody has declared yet."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass, fields, replace
from typing import Any
from zlib import crc32

import pyarrow.compute as pc

from portability_pipelines.domain.declarations import (
    Backup,
    Database,
    Exports,
    Migration,
    SourceReference,
    TableDeclaration,
)
from portability_pipelines.domain.documents import NOT_IN_COLLECTION_NAMES
from portability_pipelines.domain.errors import PermanentError
from portability_pipelines.domain.months import Month, months_between
from portability_pipelines.domain.tables import (
    MonthColumn,
    Selection,
    Table,
)
from portability_pipelines.engines.base import Snapshot

LEAST_DATED = 0.9
"""The share of a table's rows that a month column has to date."""

MOST_MONTHS = 600
"""No more partitions than this; rows before them are found among the undated ones."""

LONGEST_COLLECTION_BYTES = 180
"""With the name of its database, of at most 63 bytes, a collection's may have 255
(https://www.mongodb.com/docs/manual/reference/limits/, naming restrictions)."""

COMPONENT = "portability_pipelines.components.application_database.ApplicationDatabase"

_DATELIKE = re.compile(r"date|time|stamp|creat|\b(at|on|when|day|month|ts|dt|sent|\w+ed)\b")
_BEGINNING = re.compile(
    r"creat|insert|timestamp|\b(added|consumed|happened|joined|logged|occurred|ordered|placed"
    r"|posted|published|received|recorded|registered|sent|started)\b"
)
_CHANGE = re.compile(
    r"updat|modif|delet|expir|\b(last|seen|due|until|end|closed|changed|edited|finished|removed)\b"
)
# A birthday or a duration may look like a date and says nothing about when the row came to be.
_NEVER = re.compile(r"birth|born|\bdob\b|duration|elapsed|latency|timeout|time ?zone")
# With the day or the month first, the year last; a time may follow.
_NOT_ISO = r"^ *(\d?\d\.\d?\d\.|\d?\d/\d?\d/|\d?\d-\d?\d-)[12]\d{3}($|[ T,])"
_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[^\W\d_A-Za-z]+")


@dataclass(frozen=True)
class Discovered:
    """A database as one would declare it, and the last month in which it has rows.

    ``left_out`` are tables that only their application can read, and why.
    """

    database: Database
    last_month: Month | None
    left_out: Mapping[str, str]


@dataclass(frozen=True)
class _Dated:
    """A column that dates ``rows`` of the ``table_rows``, and the months in which those lie."""

    column: MonthColumn
    rows: int
    table_rows: int
    first: Month
    last: Month

    @property
    def enough(self) -> bool:
        return self.rows >= LEAST_DATED * self.table_rows


def discover(
    snapshot: Snapshot,
    name: str,
    source: SourceReference,
    open_month: Month,
    *,
    formats: tuple[str, ...] = ("parquet",),
    mongodb_target: str | None = None,
    found: Callable[[TableDeclaration, str], None] = lambda *_: None,
) -> Discovered:
    """Declare every table of ``snapshot``: by month where a column of its data says so, else whole.

    A month column dates at least ``LEAST_DATED`` of the rows within the ``MOST_MONTHS`` that end
    with ``open_month``; of several, the one whose name tells of a beginning rather than of a
    change is taken, then the one that dates more rows. Months in which no row lies bound nothing.
    A table whose name cannot be a collection's gets one that can. One that cannot be read here is
    left out.
    ``found`` is called with each table as it is settled, and with what kept a column that looked
    like a month column from being taken, else with an empty text. Reads every table that has
    columns which may hold dates at least once, and the first rows of every one that is taken
    whole; raises what the snapshot raises.
    """
    listed, tables, firsts, lasts = [], [], [], []
    left_out: dict[str, str] = {}
    for table in snapshot.tables():
        reason = snapshot.unreadable(table)
        if reason:
            left_out[table.name] = reason
        else:
            listed.append(table)
    collections = _collections([table.name for table in listed]) if mongodb_target else {}
    for table in listed:
        dated, passed_over = _month_column(snapshot, table, open_month)
        if dated:
            firsts.append(dated.first)
            lasts.append(dated.last)
        tables.append(_declaration(table, dated, collections.get(table.name)))
        found(tables[-1], passed_over)
    database = Database(
        name=name,
        source=source,
        first_month=min(firsts, default=open_month),
        tables=tuple(tables),
        exports=Exports(formats),
        backup=Backup(),
        migration=Migration(mongodb_target) if mongodb_target else None,
    )
    return Discovered(database, max(lasts, default=None), left_out)


def as_yaml(database: Database) -> str:
    """The ``defs.yaml`` that declares ``database``; what has its default value is left out."""
    import yaml

    parts = ("exports", "backup", "migration")
    attributes: dict[str, Any] = {
        "name": database.name,
        "source": _given(database.source),
        "first_month": str(database.first_month),
        **_given(database, "name", "source", "first_month", "tables", *parts),
        "tables": [_given(table) for table in database.tables],
    }
    for part in parts:
        declared = getattr(database, part)
        if declared is not None:
            attributes[part] = _given(declared)
    document = {"type": COMPONENT, "attributes": attributes}
    return yaml.safe_dump(document, sort_keys=False, allow_unicode=True, width=100)


def _collections(names: list[str]) -> dict[str, str]:
    """Collections for the tables whose own names MongoDB refuses, none of which is used already."""
    taken, collections = set(names), {}
    for name in names:
        possible = _shortened(NOT_IN_COLLECTION_NAMES.sub("_", name) or "_")
        if possible == name:
            continue
        while possible in taken:
            possible += "_"
        taken.add(possible)
        collections[name] = possible
    return collections


def _shortened(name: str) -> str:
    encoded = name.encode()
    if len(encoded) <= LONGEST_COLLECTION_BYTES:
        return name
    ending = f"_{crc32(encoded):08x}"
    kept = encoded[: LONGEST_COLLECTION_BYTES - len(ending)].decode(errors="ignore")
    return kept + ending


def _declaration(table: Table, dated: _Dated | None, collection: str | None) -> TableDeclaration:
    if dated is None:
        return TableDeclaration(table.name, collection=collection)
    column = dated.column
    return TableDeclaration(table.name, column.name, column.encoding, collection)


def _month_column(snapshot: Snapshot, table: Table, open_month: Month) -> tuple[_Dated | None, str]:
    """The best of the columns that date the table's rows; worse-named ones are not even read.

    Where there is none, what is to be said of the one that dates most.
    """
    candidates: dict[int, list[str]] = {}
    for column in table.columns:
        rank = _rank(column.name, column.declared_type)
        if rank is not None:
            candidates.setdefault(rank, []).append(column.name)
    best: _Dated | None = None
    for rank in sorted(candidates):
        judged = (_dated(snapshot, table, name, open_month) for name in candidates[rank])
        best = max([best, *judged], key=lambda one: one.rows if one else -1)
        if best and best.enough:
            return best, ""
    if best:
        return None, f"{best.column.name} dates {best.rows} of {best.table_rows} rows only"
    try:
        return None, _dated_otherwise(snapshot, table)
    except PermanentError:
        return None, ""  # one that is damaged says so when it is exported


def _dated_otherwise(snapshot: Snapshot, table: Table) -> str:
    """Of a column whose first values are dates in another order, that it is; else nothing."""
    columns = [
        one for one in table.columns if not one.generated and not _NEVER.search(_words(one.name))
    ]
    if not columns:
        return ""
    with closing(iter(snapshot.values(replace(table, columns=tuple(columns))))) as batches:
        for column, values in zip(columns, next(batches, ()), strict=False):
            texts = values.get("text", [])
            dated = pc.sum(pc.match_substring_regex(texts, _NOT_ISO)).as_py() if len(texts) else 0
            if dated and dated >= LEAST_DATED * len(texts):
                return f"{column.name} holds dates that are not ISO 8601"
    return ""


def _rank(name: str, declared_type: str) -> int | None:
    """How likely a column says when its row came to be, 0 best; None where it cannot."""
    words = _words(name)
    if _NEVER.search(words) or not _DATELIKE.search(f"{words} {declared_type.lower()}"):
        return None
    if _CHANGE.search(words):
        return 2
    return 0 if _BEGINNING.search(words) else 1


def _words(name: str) -> str:
    return " ".join(word.lower() for word in _WORD.findall(name))


def _dated(snapshot: Snapshot, table: Table, column: str, open_month: Month) -> _Dated | None:
    """What ``column`` dates; None for nothing within reason.

    Where the outermost dates are absurd, the months inside of them in which rows really lie.
    """
    evidence = snapshot.dates(table, column)
    month_column, rows = MonthColumn(column, evidence.encoding), evidence.dated + evidence.undated
    earliest = _earlier(open_month, MOST_MONTHS - 1)
    first, last = evidence.first, evidence.last
    if first is None or last is None:
        return None
    if earliest <= first and last <= open_month:
        return _Dated(month_column, evidence.dated, rows, first, last)
    months = months_between(max(first, earliest), min(last, open_month))
    if not months:
        return None
    contents = snapshot.read(Selection(table, month_column, months)).contents
    filled = [month for month in months if contents[str(month)].rows]
    if not filled:
        return None
    dated = sum(found.rows for found in contents.values())
    return _Dated(month_column, dated, rows, filled[0], filled[-1])


def _earlier(month: Month, months: int) -> Month:
    years, index = divmod(month.year * 12 + month.number - 1 - months, 12)
    return Month(years, index + 1)


def _given(declared: Any, *left_out: str) -> dict[str, Any]:
    """The fields of a declaration that say something other than their default."""
    given = {}
    for one in fields(declared):
        value = getattr(declared, one.name)
        if one.name not in ("place", "places", *left_out) and value != one.default:
            given[one.name] = list(value) if isinstance(value, tuple) else value
    return given
