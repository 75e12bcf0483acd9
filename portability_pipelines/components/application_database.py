"""The component by which a person declares a database in YAML; thin on purpose.

It turns a YAML file into a ``domain.declarations.Database`` and hands it to
``orchestration.build.database_definitions``, which Python users call directly.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import dagster as dg
from pydantic import Field

from portability_pipelines.domain import declarations
from portability_pipelines.domain.errors import RefusedError
from portability_pipelines.domain.months import Month
from portability_pipelines.domain.tables import DateEncoding
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
        description="Columns that mix kinds of values: export as text and warn, or refuse.",
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


def _place(context: dg.ResolutionContext, *path: str | int) -> declarations.Place | None:
    tree = context.source_position_tree
    if tree is None:
        return None
    found, _ = tree.lookup_closest_and_path([*context.path, *path], trace=None)
    file = Path(found.filename)
    shown = file.relative_to(Path.cwd()) if file.is_relative_to(Path.cwd()) else file
    return declarations.Place(str(shown), found.start.line)


def _source(context: dg.ResolutionContext, source: Source) -> declarations.SourceReference:
    place = _place(context)
    if (source.path is None) == (source.path_env is None):
        raise RefusedError(
            f"{place}: source needs a path", "Give exactly one of path and path_env."
        )
    return declarations.SourceReference(source.engine, source.path, source.path_env, place)


def _tables(
    context: dg.ResolutionContext, tables: list[Table]
) -> tuple[declarations.TableDeclaration, ...]:
    declared: list[declarations.TableDeclaration] = []
    for i, table in enumerate(tables):
        place = _place(context, i)
        if any(table.name == other.name for other in declared):
            raise RefusedError(
                f"{place}: table {table.name!r} is declared twice", "Remove one of the two."
            )
        fields = {**table.model_dump(), "unique_by": tuple(table.unique_by), "place": place}
        declared.append(declarations.TableDeclaration(**fields))
    return tuple(declared)


def _month(context: dg.ResolutionContext, month: str) -> Month:
    try:
        return Month.parse(month)
    except RefusedError as error:
        raise RefusedError(f"{_place(context)}: {error.message}", error.advice) from error


def _exports(_: dg.ResolutionContext, exports: Exports | None) -> declarations.Exports | None:
    if exports is None:
        return None
    return declarations.Exports(**{**exports.model_dump(), "formats": tuple(exports.formats)})


def _backup(_: dg.ResolutionContext, backup: Backup | None) -> declarations.Backup | None:
    return declarations.Backup(**backup.model_dump()) if backup else None


def _migration(
    _: dg.ResolutionContext, migration: Migration | None
) -> declarations.Migration | None:
    return declarations.Migration(**migration.model_dump()) if migration else None


@dataclass
class ApplicationDatabase(dg.Component, dg.Resolvable):
    """An application's database: its exports by month, its backup, its migration to MongoDB.

    Leave ``exports``, ``backup`` or ``migration`` out and that part is not made; write ``{}`` for
    one with the defaults.
    """

    name: str
    source: Annotated[declarations.SourceReference, dg.Resolver(_source, model_field_type=Source)]
    first_month: Annotated[
        Month,
        dg.Resolver(
            _month,
            model_field_type=str,
            description="The first month that has a partition.",
            examples=["2026-01"],
        ),
    ]
    tables: Annotated[
        tuple[declarations.TableDeclaration, ...],
        dg.Resolver(_tables, model_field_type=list[Table]),
    ] = ()
    timezone: str = "UTC"
    backfill: Literal["run_per_month", "single_run"] = "run_per_month"
    exports: Annotated[
        declarations.Exports | None, dg.Resolver(_exports, model_field_type=Exports | None)
    ] = None
    backup: Annotated[
        declarations.Backup | None, dg.Resolver(_backup, model_field_type=Backup | None)
    ] = None
    migration: Annotated[
        declarations.Migration | None,
        dg.Resolver(_migration, model_field_type=Migration | None),
    ] = None
    owners: list[str] | None = None
    schedules_run: bool = True

    @classmethod
    def get_spec(cls) -> dg.ComponentTypeSpec:
        """What the component makes, for the component listing."""
        return dg.ComponentTypeSpec(
            description="Exports, backup and migration of one application database.",
            produces=["asset", "asset_check", "job", "schedule"],
        )

    def build_defs(self, context: dg.ComponentLoadContext) -> dg.Definitions:
        """The assets, checks, jobs and schedules of the declared database; no I/O."""
        return database_definitions(
            declarations.Database(
                name=self.name,
                source=self.source,
                first_month=self.first_month,
                tables=self.tables,
                timezone=self.timezone,
                backfill=self.backfill,
                exports=self.exports,
                backup=self.backup,
                migration=self.migration,
                owners=tuple(self.owners or ()),
                schedules_run=self.schedules_run,
            )
        )
