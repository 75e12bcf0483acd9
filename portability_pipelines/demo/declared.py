"""The databases that the project declares under ``defs/``."""

from __future__ import annotations

import os
from pathlib import Path

import dagster as dg

from portability_pipelines.components.application_database import ApplicationDatabase
from portability_pipelines.domain.declarations import Database
from portability_pipelines.domain.errors import PermanentError
from portability_pipelines.domain.months import Month
from portability_pipelines.orchestration.folders import project_folder
from portability_pipelines.orchestration.resources import source_engine
from portability_pipelines.workflows.select import select


def declared_databases() -> list[Database]:
    """Every database declared in YAML; none where the package is installed without a project.

    Raises ``PermanentError`` where a declaration cannot be read.
    """
    project = project_folder()
    if not any((project / "portability_pipelines" / "defs").rglob("*.yaml")):
        return []
    try:
        tree = dg.ComponentTree.for_project(project)
        return [one.database for one in tree.get_all_components(ApplicationDatabase)]
    except Exception as error:
        raise PermanentError(
            f"What is declared under defs/ cannot be read: {_root_cause(error)}",
            "Mend it, with the help of dg check yaml.",
        ) from error


def file_of(database: Database) -> Path | None:
    """The file that ``database`` is read from, without links; None where its variable is unset."""
    source = database.source
    path = os.environ.get(source.path_env) if source.path_env else source.path
    return (project_folder() / path).resolve() if path else None


def names_taken(databases: list[Database]) -> set[str]:
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


def _root_cause(error: BaseException) -> str:
    while error.__cause__:
        error = error.__cause__
    return " ".join(str(error).split())
