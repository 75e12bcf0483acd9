"""The component by which a person declares a database in YAML; thin on purpose.

It turns a YAML file into a ``domain.declarations.Database`` and hands it to
``orchestration.build.database_definitions``, which Python users call directly.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Literal

import dagster as dg
from dagster_shared.yaml_utils.source_position import SourcePositionTree
from pydantic import BaseModel, Field

from portability_pipelines.domain import declarations
from portability_pipelines.domain.errors import RefusedError
from portability_pipelines.domain.months import Month
from portability_pipelines.domain.tables import DateEncoding, folded
from portability_pipelines.orchestration.build import database_definitions


class Source(dg.Model):
    """Where the database is. Give ``path``, or ``path_env`` to read the path from a variable."""

    engine: Literal["sqlite"] = "sqlite"
    path: str | None = Field(
        None,
        description="The database file; a relative path counts from the project folder.",
        examples=["data/shop.sqlite"],
    )
    path_env: str | None = Field(
        None,
        description="Name of the environment variable that holds the path.",
        examples=["SHOP_DATABASE"],
    )


class Table(dg.Model):
    """A table to export or migrate."""

    name: str = Field(description="The table's name in the database.")
    month_column: str | None = Field(
        None,
        description="The column that says which month a row belongs to. Without it the table is "
        "taken whole.",
    )
    dates: DateEncoding = Field("iso", description="How the month column writes its dates.")
    collection: str | None = Field(None, description="The MongoDB collection; the table's name.")
    unique_by: list[str] = Field(
        [], description="Columns that make two rows the same to the migration."
    )


class Exports(dg.Model):
    """How the tables are exported."""

    formats: list[Literal["parquet", "csv", "jsonl"]] = Field(["parquet"], min_length=1)
    compression: Literal["zstd", "gzip", "none"] = "zstd"
    on_mixed_types: Literal["text", "refuse"] = Field(
        "text",
        description="Columns that mix kinds of values, or hold texts that are not UTF-8: export "
        "as text and warn, or refuse.",
    )
    schedule: str | None = Field("0 3 * * *", description="Cron; null for no schedule.")


class Backup(dg.Model):
    """How the database is backed up."""

    schedule: str | None = Field("0 2 * * *", description="Cron; null for no schedule.")


class Migration(dg.Model):
    """How the tables are migrated to MongoDB."""

    target: str = Field(description="The MongoDB database to migrate into.")
    batch_size: int = Field(1000, ge=1, le=1000)
    schedule: str | None = Field("30 3 * * *", description="Cron; null for no schedule.")


class Attributes(dg.Model):
    """What a database's YAML file may say.

    The parts that may be left out have no null in their schema: a choice between shapes would make
    ``dg check yaml`` point at the part instead of at the line that is wrong in it.
    """

    name: str = Field(description="The database's name: letters, digits and underscores.")
    source: Source
    first_month: str = Field(
        description="The first month that has a partition.", examples=["2026-01"]
    )
    tables: list[Table] = Field([])
    timezone: str = Field("UTC", description="The zone that months and schedules are meant in.")
    backfill: Literal["run_per_month", "single_run"] = Field(
        "run_per_month", description="Whether a backfill reads each table once, for all its months."
    )
    exports: Exports = Field(None, description="Leave out for no exports.")  # type: ignore[assignment]
    backup: Backup = Field(None, description="Leave out for no backups.")  # type: ignore[assignment]
    migration: Migration = Field(None, description="Leave out for no migration.")  # type: ignore[assignment]
    owners: list[str] = Field([])
    schedules_run: bool = Field(True, description="Whether schedules start out running.")


class ApplicationDatabase(dg.Component):
    """An application's database: its exports by month, its backup, its migration to MongoDB.

    Leave ``exports``, ``backup`` or ``migration`` out and that part is not made; write ``{}`` for
    one with the defaults.
    """

    def __init__(self, database: declarations.Database) -> None:
        self.database = database

    @classmethod
    def get_model_cls(cls) -> type[BaseModel]:
        """The schema of the YAML file's ``attributes``."""
        return Attributes

    @classmethod
    def get_spec(cls) -> dg.ComponentTypeSpec:
        """What the component makes, for the component listing."""
        return dg.ComponentTypeSpec(
            description="Exports, backup and migration of one application database.",
            produces=["asset", "asset_check", "job", "schedule"],
        )

    @classmethod
    def load(
        cls, attributes: BaseModel | None, context: dg.ComponentLoadContext
    ) -> "ApplicationDatabase":
        """Take the declaration from YAML, with the lines that later errors will name."""
        tree = context.resolution_context.source_position_tree
        places = dict(_places(tree.children.get("attributes", tree))) if tree else {}
        if not isinstance(attributes, Attributes):
            raise RefusedError(
                f"{declarations.at(places.get(''))}a database is declared without attributes",
                "Give it a name, a source and a first_month, as defs/sample/defs.yaml does.",
            )
        return cls(_declared(attributes, places))

    def build_defs(self, context: dg.ComponentLoadContext) -> dg.Definitions:
        """The assets, checks, jobs and schedules of the declared database; no I/O."""
        return database_definitions(self.database)


def place_in(file: Path, line: int) -> declarations.Place:
    """A line of ``file``, whose path counts from the current folder where it lies in there."""
    here = Path.cwd()
    return declarations.Place(
        str(file.relative_to(here) if file.is_relative_to(here) else file), line
    )


def _places(tree: SourcePositionTree, path: str = "") -> Iterator[tuple[str, declarations.Place]]:
    """Where each attribute at or below ``path`` stands."""
    yield path, place_in(Path(tree.position.filename), tree.position.start.line)
    for name, child in tree.children.items():
        yield from _places(child, f"{path}.{name}" if path else str(name))


def _declared(
    attributes: Attributes, places: Mapping[str, declarations.Place]
) -> declarations.Database:
    exports, backup, migration = attributes.exports, attributes.backup, attributes.migration
    return declarations.Database(
        name=attributes.name,
        source=declarations.SourceReference(**attributes.source.model_dump()),
        first_month=_month(attributes.first_month, places),
        tables=_tables(attributes.tables, places),
        timezone=attributes.timezone,
        backfill=attributes.backfill,
        exports=_exports(exports) if exports else None,
        backup=declarations.Backup(**backup.model_dump()) if backup else None,
        migration=declarations.Migration(**migration.model_dump()) if migration else None,
        owners=tuple(attributes.owners),
        schedules_run=attributes.schedules_run,
        places=places,
    )


def _month(month: str, places: Mapping[str, declarations.Place]) -> Month:
    try:
        return Month.parse(month)
    except RefusedError as error:
        where = declarations.at(places.get("first_month"))
        raise RefusedError(f"{where}{error.message}", error.advice) from error


def _tables(
    tables: list[Table], places: Mapping[str, declarations.Place]
) -> tuple[declarations.TableDeclaration, ...]:
    declared: list[declarations.TableDeclaration] = []
    for i, table in enumerate(tables):
        place = places.get(f"tables.{i}")
        for other in declared:
            if folded(table.name) == folded(other.name):
                also = "" if table.name == other.name else f", also as {other.name!r}"
                raise RefusedError(
                    f"{declarations.at(place)}table {table.name!r} is declared twice{also}",
                    "Remove one of the two.",
                )
        fields = {**table.model_dump(), "unique_by": tuple(table.unique_by), "place": place}
        declared.append(declarations.TableDeclaration(**fields))
    return tuple(declared)


def _exports(exports: Exports) -> declarations.Exports:
    return declarations.Exports(**{**exports.model_dump(), "formats": tuple(exports.formats)})
