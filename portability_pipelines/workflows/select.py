"""From what a person declared to the rows it means in the database as it is now."""

from __future__ import annotations

from portability_pipelines.domain.declarations import Database, TableDeclaration, at
from portability_pipelines.domain.errors import RefusedError
from portability_pipelines.domain.months import Month
from portability_pipelines.domain.tables import Column, MonthColumn, Selection, Table, named
from portability_pipelines.engines.base import Snapshot


def select(
    snapshot: Snapshot,
    database: Database,
    declared: TableDeclaration,
    months: tuple[Month, ...] = (),
    *,
    undated: bool = False,
) -> Selection:
    """The rows of ``declared`` in ``months``; refused where the declaration does not fit.

    A refusal names the file and line of the declaration.
    """
    table = _table(snapshot, database, declared)
    if not table.columns:
        raise RefusedError(
            f"{at(declared.place)}table {table.name!r} cannot be opened here",
            "Leave it out of the tables: it needs a module that only its application has.",
        )
    if declared.month_column is None:
        return Selection(table)
    column = _column(table, declared, declared.month_column)
    return Selection(table, MonthColumn(column.name, declared.dates), months, undated)


def unique_columns(table: Table, declared: TableDeclaration) -> tuple[str, ...]:
    """The columns of ``unique_by`` as ``table`` calls them; refused where it has no such column."""
    return tuple(_column(table, declared, name).name for name in declared.unique_by)


def require_dates(snapshot: Snapshot, selection: Selection, declared: TableDeclaration) -> None:
    """Refuse a month column whose values are no dates in the declared encoding.

    For a selection that found no rows: that is right in a quiet month and wrong in a column that
    never holds a date.
    """
    if selection.month_column is None:
        return
    evidence = snapshot.dates(selection.table, selection.month_column.name)
    name = f"{at(declared.place)}column {declared.month_column!r} of {declared.name!r}"
    if evidence.undated and not evidence.dated:
        raise RefusedError(
            f"{name} holds no dates",
            "Name a column of ISO 8601 texts or Unix times, or leave month_column out to take the "
            "table whole.",
        )
    if evidence.dated > evidence.undated and evidence.encoding != declared.dates:
        raise RefusedError(
            f"{name} writes its dates as {evidence.encoding}, not as {declared.dates}",
            f"Declare dates: {evidence.encoding}.",
        )


def _table(snapshot: Snapshot, database: Database, declared: TableDeclaration) -> Table:
    tables = snapshot.tables()
    found = named(declared.name, tables)
    if found is None:
        raise RefusedError(
            f"{at(declared.place)}database {database.name!r} has no table {declared.name!r}",
            f"Its tables are: {', '.join(t.name for t in tables) or '(none)'}.",
        )
    return found


def _column(table: Table, declared: TableDeclaration, name: str) -> Column:
    column = table.column(name)
    if column is None:
        raise RefusedError(
            f"{at(declared.place)}table {table.name!r} has no column {name!r}",
            f"Its columns are: {', '.join(c.name for c in table.columns)}.",
        )
    return column
