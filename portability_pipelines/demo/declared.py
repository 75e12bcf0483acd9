"""The databases that the project declares under ``defs/``."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from portability_pipelines.domain.declarations import Database
from portability_pipelines.domain.months import Month
from portability_pipelines.orchestration.folders import project_folder
from portability_pipelines.orchestration.resources import source_engine
from portability_pipelines.workflows.select import select


def file_of(database: Database) -> Path | None:
    """The file that ``database`` is read from, without links; None where its variable is unset."""
    source = database.source
    path = os.environ.get(source.path_env) if source.path_env else source.path
    return (project_folder() / path).resolve() if path else None


def names_taken(databases: Sequence[Database]) -> set[str]:
    """What ``databases`` go by in the store and in MongoDB."""
    targets = {database.migration.target for database in databases if database.migration}
    return targets | {database.name for database in databases}


def last_month(database: Database) -> Month | None:
    """The last month that a row of a month column names; reads those columns.

    Refused where a declared table or column is not there.
    """
    with source_engine(database).snapshot() as snapshot:
        dated = [select(snapshot, database, table) for table in database.tables]
        lasts = [
            snapshot.dates(one.table, one.month_column.name).last
            for one in dated
            if one.month_column
        ]
    return max((last for last in lasts if last), default=None)
