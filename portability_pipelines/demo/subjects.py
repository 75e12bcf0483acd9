"""The databases that the demo works on: the generated sample, or one that a person names."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from zlib import crc32

import dagster as dg

import portability_pipelines
from portability_pipelines.components.loading import declared
from portability_pipelines.demo.console import Console
from portability_pipelines.demo.declared import file_of, last_month, names_taken
from portability_pipelines.domain.declarations import Database, SourceReference, TableDeclaration
from portability_pipelines.domain.errors import RefusedError
from portability_pipelines.domain.months import Month
from portability_pipelines.engines.registry import open_engine
from portability_pipelines.orchestration.build import database_definitions, project_definitions
from portability_pipelines.orchestration.folders import private_folder, project_folder
from portability_pipelines.orchestration.resources import scratch_folder
from portability_pipelines.sample import generate
from portability_pipelines.workflows.discover import as_yaml, discover

SAMPLE = "sample"
SAMPLE_ROWS = 200_000
SEED = 2024
UNTIL = date(2026, 11, 21)
FORMATS = ("parquet", "csv", "jsonl")
LONGEST_NAME = 40
_PACKAGE = Path(portability_pipelines.__file__).parent


@dataclass(frozen=True)
class Subject:
    """A declared database: what defines its jobs, and the last month worth showing.

    ``declaration`` is the file in which a discovered database was written down.
    """

    name: str
    definitions: dg.Definitions
    last_month: Month | None
    declaration: Path | None = None


def sample(rows: int, console: Console) -> Subject:
    """The shipped sample, generated unless it is there with the same arguments.

    Its open month is left out: what is exported stays as it is from one day to the next. Refused
    where its declaration was removed.
    """
    found = next((one for one in declared(_PACKAGE).databases if one.name == SAMPLE), None)
    if found is None:
        raise RefusedError(
            f"No database named {SAMPLE!r} is declared under defs/",
            "Name a database of yours: make demo DB=path/to/any.sqlite.",
        )
    generate_sample(rows, console)
    return Subject(SAMPLE, _definitions(found), Month(UNTIL.year, UNTIL.month - 1))


def generate_sample(rows: int, console: Console, *, replace: bool = True) -> None:
    """Generate the sample's database where it is missing, in the place that its YAML declares.

    That is in the project's folder, wherever ``PORTABILITY_HOME`` is. With ``replace`` also where
    it was generated here with other arguments; one that a person has put there stays.
    """
    path = project_folder() / ".portability" / SAMPLE / "sample.sqlite"
    note = path.with_suffix(".json")
    arguments = {"rows": rows, "seed": SEED, "until": UNTIL.isoformat()}
    made = json.loads(note.read_text()) if note.is_file() else {}
    differs = made.get("arguments") != arguments
    if path.is_file() and not (replace and differs and made.get("file") == _identity(path)):
        console.step(f"sample database: {path} is there already")
        return
    console.step(f"sample database: generating {rows:,} rows of user activity and what belongs")
    counts = generate(path, activity_rows=rows, seed=SEED, until=UNTIL)
    note.write_text(json.dumps({"arguments": arguments, "file": _identity(path)}))
    console.detail(f"{sum(counts.values()):,} rows in {len(counts)} tables, in {path}")


def _identity(path: Path) -> list[int]:
    """What changes where somebody else writes to the file ``path``, or puts another there."""
    facts = path.stat()
    return [facts.st_ino, facts.st_size, facts.st_mtime_ns]


def at(path: Path, console: Console) -> Subject:
    """The database at ``path`` (without links): as it is declared, else as its data suggests.

    Refused where a folder is there.
    """
    if path.is_dir():
        raise RefusedError(
            f"{path} is a folder, not a database",
            "Name the file in it: make demo DB=path/to/any.sqlite.",
        )
    databases = declared(_PACKAGE).databases
    for database in databases:
        if file_of(database) == path:
            console.step(f"{path} is declared as {database.name}, and shown as such")
            return Subject(database.name, _definitions(database), last_month(database))
    return _discovered(path, name_for(path, names_taken(databases)), console)


def name_for(path: Path, taken: Collection[str]) -> str:
    """A name for the database at ``path``, which is none of those ``taken``.

    It ends in a checksum of the path: the same path gets the same name again, and a name that a
    person gives to another database, now or later, is not met by accident.
    """
    words = re.sub(r"[^a-z0-9]+", "_", path.stem.lower()).strip("_")
    stem = words if words[:1].isalpha() else f"database_{words}".rstrip("_")
    name = own = f"{stem[:LONGEST_NAME]}_{crc32(os.fsencode(path)):08x}"
    number = 1
    while name in taken:
        number += 1
        name = f"{own}_{number}"
    return name


def _discovered(path: Path, name: str, console: Console) -> Subject:
    """The database at ``path``, declared as its data suggests; opened for reading only."""
    console.step(f"discovering what {path} holds")
    with open_engine("sqlite", path, scratch_folder()).snapshot() as snapshot:
        found = discover(
            snapshot,
            name,
            SourceReference("sqlite", str(path)),
            Month.of(datetime.now(UTC).date()),
            formats=FORMATS,
            mongodb_target=name,
            found=lambda table, reason: console.detail(_described(table, reason)),
        )
        views = snapshot.views()
    if found.left_out:
        named = ", ".join(f"{name} ({reason})" for name, reason in found.left_out.items())
        console.detail(f"left out, as only their application can read them: {named}")
    if views:
        console.detail(f"left out, as they repeat rows of tables: {', '.join(views)} (views)")
    if not found.database.tables:
        raise RefusedError(
            f"{path} holds no tables, so that there is nothing to show",
            "Check the path: SQLite makes an empty database of a name that it does not find.",
        )
    if found.last_month:
        console.detail(f"dated rows lie in {found.database.first_month} to {found.last_month}")
    declaration = private_folder() / f"{name}.yaml"
    declaration.write_text(as_yaml(found.database))
    return Subject(name, _definitions(found.database), found.last_month, declaration)


def _definitions(database: Database) -> dg.Definitions:
    return dg.Definitions.merge(database_definitions(database), project_definitions())


def _described(table: TableDeclaration, reason: str) -> str:
    if table.month_column is None:
        return f"{table.name}: whole" + (f", as {reason}" if reason else "")
    dates = "" if table.dates == "iso" else f" ({table.dates.replace('_', ' ')})"
    return f"{table.name}: by month of {table.month_column}{dates}"
