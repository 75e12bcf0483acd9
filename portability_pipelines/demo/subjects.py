"""The databases that the demo works on: the generated sample, or one that a person names."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path

import dagster as dg
import yaml

from portability_pipelines.demo.console import Console
from portability_pipelines.domain.declarations import SourceReference, TableDeclaration
from portability_pipelines.domain.months import Month
from portability_pipelines.engines.registry import open_engine
from portability_pipelines.orchestration.build import database_definitions, project_definitions
from portability_pipelines.orchestration.folders import private_folder
from portability_pipelines.orchestration.resources import scratch_folder
from portability_pipelines.sample import generate
from portability_pipelines.workflows.discover import as_yaml, discover

SAMPLE = "sample"
SAMPLE_ROWS = 200_000
SEED = 2024
UNTIL = date(2026, 11, 21)
FORMATS = ("parquet", "csv", "jsonl")
LONGEST_NAME = 40
_RESERVED = {"admin", "config", "local", "restore", SAMPLE}
"""Databases of MongoDB's own, one whose backup job would be called like ours, and the sample."""


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

    Its open month is left out: what is exported stays as it is from one day to the next.
    """
    generate_sample(rows, console)
    from portability_pipelines.definitions import defs

    closed = Month(UNTIL.year, UNTIL.month - 1)
    return Subject(SAMPLE, defs(), closed)


def generate_sample(rows: int, console: Console, *, replace: bool = True) -> None:
    """Generate the sample's database where it is missing.

    With ``replace`` also where it was generated here with other arguments; one that a person has
    put there stays.
    """
    path = private_folder() / SAMPLE / "sample.sqlite"
    note = path.with_suffix(".json")
    arguments = {"rows": rows, "seed": SEED, "until": UNTIL.isoformat()}
    differs = replace and note.is_file() and json.loads(note.read_text()) != arguments
    if path.is_file() and not differs:
        console.step(f"sample database: {path} is there already")
        return
    console.step(f"sample database: generating {rows:,} rows of user activity and what belongs")
    counts = generate(path, activity_rows=rows, seed=SEED, until=UNTIL)
    note.write_text(json.dumps(arguments))
    console.detail(f"{sum(counts.values()):,} rows in {len(counts)} tables, in {path}")


def discovered(path: Path, console: Console) -> Subject:
    """The database at ``path``, declared as its data suggests; opened for reading only."""
    console.step(f"discovering what {path} holds")
    name = name_for(path, private_folder())
    with open_engine("sqlite", path, scratch_folder()).snapshot() as snapshot:
        found = discover(
            snapshot,
            name,
            SourceReference("sqlite", str(path)),
            Month.of(datetime.now(UTC).date()),
            formats=FORMATS,
            mongodb_target=name,
            found=lambda table: console.detail(_described(table)),
        )
    if found.last_month:
        console.detail(f"dated rows lie in {found.database.first_month} to {found.last_month}")
    declaration = private_folder() / f"{name}.yaml"
    declaration.write_text(as_yaml(found.database))
    definitions = dg.Definitions.merge(database_definitions(found.database), project_definitions())
    return Subject(name, definitions, found.last_month, declaration)


def name_for(path: Path, declarations: Path) -> str:
    """A name for the database at ``path`` that no other database goes by.

    The same path gets the same name again, by the declaration kept in the folder ``declarations``.
    """
    words = re.sub(r"[^a-z0-9]+", "_", path.stem.lower()).strip("_")
    stem = words if words[:1].isalpha() else f"database_{words}".rstrip("_")
    stem = stem[:LONGEST_NAME]
    name, number = stem, 1
    while name in _RESERVED or _path_of(declarations / f"{name}.yaml") not in (None, str(path)):
        number += 1
        name = f"{stem}_{number}"
    return name


def _path_of(declaration: Path) -> str | None:
    if not declaration.is_file():
        return None
    return str(yaml.safe_load(declaration.read_text())["attributes"]["source"]["path"])


def _described(table: TableDeclaration) -> str:
    if table.month_column is None:
        return f"{table.name}: whole"
    dates = "" if table.dates == "iso" else f" ({table.dates.replace('_', ' ')})"
    return f"{table.name}: by month of {table.month_column}{dates}"
