"""What a database holds, as plain values: tables, columns, and the rows a request selects."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from string import ascii_lowercase, ascii_uppercase
from typing import Literal, TypeVar

from portability_pipelines.domain.months import ALL, UNDATED, Month, Period

StorageClass = Literal["integer", "real", "text", "blob"]
"""The four kinds of value that every engine's values are carried as (SQLite's storage classes)."""

DateEncoding = Literal["iso", "epoch_seconds", "epoch_milliseconds"]

_WITHOUT_CASE = str.maketrans(ascii_uppercase, ascii_lowercase)


def folded(name: str) -> str:
    """``name`` as databases compare names: only the letters A to Z lose their case."""
    return name.translate(_WITHOUT_CASE)


@dataclass(frozen=True)
class Column:
    """A column as its table declares it. ``key_position`` counts from 1 inside the primary key.

    ``expected`` is the kind of value that the declaration lets one expect.
    """

    name: str
    declared_type: str
    expected: StorageClass
    key_position: int | None = None
    generated: bool = False


@dataclass(frozen=True)
class ForeignKey:
    """``columns`` of this table refer to ``parent_columns`` of ``parent``."""

    columns: tuple[str, ...]
    parent: str
    parent_columns: tuple[str, ...]


@dataclass(frozen=True)
class Table:
    """A table whose rows can be read in one stable order.

    ``columns`` is empty where the database cannot open the table here.

    ``order_by`` lists the SQL expressions that give that order: the row id where the table has
    one, else the primary key.
    """

    name: str
    columns: tuple[Column, ...]
    order_by: tuple[str, ...]
    foreign_keys: tuple[ForeignKey, ...] = ()

    @property
    def key(self) -> tuple[str, ...]:
        """The names of the primary key's columns, in key order; empty where there is none."""
        keyed = [column for column in self.columns if column.key_position]
        keyed.sort(key=lambda column: column.key_position or 0)
        return tuple(column.name for column in keyed)

    def column(self, name: str) -> Column | None:
        """The column called ``name``."""
        return named(name, self.columns)


Named = TypeVar("Named", Column, Table)


def named(name: str, among: Sequence[Named]) -> Named | None:
    """The one that is called ``name``: exactly so, or else but for the case of the letters A to Z.

    The first, where that leaves several.
    """
    exact = (each for each in among if each.name == name)
    alike = (each for each in among if folded(each.name) == folded(name))
    return next(exact, None) or next(alike, None)


@dataclass(frozen=True)
class MonthColumn:
    """The column that says which month a row belongs to, and how it writes its dates."""

    name: str
    encoding: DateEncoding = "iso"


@dataclass(frozen=True)
class Selection:
    """The rows of one table that a request is about.

    Without ``month_column``: every row. With it: the rows of ``months``; or, where ``undated``,
    the rows that fall in none of ``months`` (no date, a broken one, or one outside the range).
    """

    table: Table
    month_column: MonthColumn | None = None
    months: tuple[Month, ...] = ()
    undated: bool = False

    @property
    def periods(self) -> tuple[Period, ...]:
        """The periods that the rows are divided into, in order."""
        if self.month_column is None:
            return (ALL,)
        return (UNDATED,) if self.undated else tuple(map(str, self.months))

    @property
    def span(self) -> str:
        """The periods in words, such as ``2026-01 to 2026-03``."""
        ends = dict.fromkeys((*self.periods[:1], *self.periods[-1:]))
        return " to ".join(ends) or "no month"

    def in_turns(self, most: int) -> tuple[Selection, ...]:
        """The same rows as selections of at most ``most`` periods each, in order."""
        if len(self.periods) <= most:
            return (self,)
        starts = range(0, len(self.months), most)
        return tuple(replace(self, months=self.months[start : start + most]) for start in starts)


@dataclass(frozen=True)
class DateEvidence:
    """How a column's values look as dates: rows that ``encoding`` dates, and rows it does not.

    ``first`` and ``last`` are the outermost months among the dated rows.
    """

    encoding: DateEncoding
    dated: int
    undated: int
    first: Month | None
    last: Month | None
