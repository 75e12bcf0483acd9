"""Declarations as they find the tables and the rows that they mean."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from portability_pipelines.domain.declarations import Database, SourceReference, TableDeclaration
from portability_pipelines.domain.months import Month
from portability_pipelines.workflows.select import select
from portability_tests.workflows.walks import snapshot_of


def test_names_that_differ_in_the_case_of_other_letters_are_others(tmp_path: Path) -> None:
    path = tmp_path / "app.sqlite"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute('CREATE TABLE "ÄRZTE" ("É" TEXT, "é" TEXT)')
        connection.execute('CREATE TABLE "ärzte" ("É" TEXT, "é" TEXT)')
    database = Database("app", SourceReference("sqlite", str(path)), Month(2026, 1))
    with snapshot_of(path) as snapshot:
        found = [
            select(snapshot, database, TableDeclaration(table, column), (Month(2026, 1),))
            for table, column in (("ÄRZTE", "É"), ("ärzte", "é"), ("ÄrZTE", "é"))
        ]
    named = [(each.table.name, each.month_column and each.month_column.name) for each in found]
    assert named == [("ÄRZTE", "É"), ("ärzte", "é"), ("ÄRZTE", "é")]
