"""Assets for exports: by month, whole, and the rows that no month claims; with their checks."""

from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial

import dagster as dg

from portability_pipelines.catalog import archives as catalog
from portability_pipelines.domain.declarations import Database, Exports, TableDeclaration
from portability_pipelines.domain.manifest import Manifest
from portability_pipelines.domain.months import ALL, UNDATED, Month, Period
from portability_pipelines.engines.base import Snapshot
from portability_pipelines.orchestration.failures import as_dagster_outcomes
from portability_pipelines.orchestration.io_managers import Pending, archive_address
from portability_pipelines.orchestration.jobs import Proven
from portability_pipelines.orchestration.keys import (
    all_months,
    export_key,
    months_of,
    partition_keys_of_run,
    table_key,
)
from portability_pipelines.orchestration.progress import Progress
from portability_pipelines.orchestration.proofs import (
    check_spec,
    proof_result,
    reported_archive,
    result_of_run,
)
from portability_pipelines.orchestration.resources import Archives, scratch_folder, source_engine
from portability_pipelines.stores.base import Store
from portability_pipelines.workflows.drafts import Archivist, Written
from portability_pipelines.workflows.export import PERIODS_AT_ONCE, ExportOptions, export_table
from portability_pipelines.workflows.select import require_dates, select
from portability_pipelines.workflows.verify import newest_proof, verify_export

EQUAL, TYPED = "equals_source", "keeps_types"

NOTES_SHOWN = 10


@dataclass(frozen=True)
class Wanted:
    """One asset of a database's exports: a table, and which of its rows."""

    table: TableDeclaration
    key: dg.AssetKey
    undated: bool = False

    @property
    def monthly(self) -> bool:
        """Whether the asset has a partition for each month."""
        return self.table.month_column is not None and not self.undated

    @property
    def period(self) -> Period:
        """The period of the asset's archives where it has no partitions."""
        return UNDATED if self.undated else ALL


def monthly(database: Database) -> list[Wanted]:
    """The tables that are exported by month."""
    dated = [table for table in database.tables if table.month_column]
    return [Wanted(table, export_key(database, table)) for table in dated]


def whole(database: Database) -> list[Wanted]:
    """The tables without a date, and of the others the rows that no month claims."""
    wanted = []
    for table in database.tables:
        if table.month_column:
            wanted.append(Wanted(table, export_key(database, table, undated=True), True))
        else:
            wanted.append(Wanted(table, export_key(database, table)))
    return wanted


def export_assets(database: Database, exports: Exports) -> dict[str, list[Proven]]:
    """The assets of a database's exports and the checks that prove them, by job."""
    made: dict[str, list[Proven]] = {}
    months = months_of(database)
    for name, wanted, partitions in (
        ("exports", monthly(database), months),
        ("whole_exports", whole(database), None),
    ):
        if wanted:
            made[name] = [
                _assets(f"write_{database.name}_{name}", database, exports, wanted, partitions),
                _checks(f"prove_{database.name}_{name}", database, wanted, partitions),
            ]
    return made


def _assets(
    name: str,
    database: Database,
    exports: Exports,
    wanted: list[Wanted],
    partitions: dg.PartitionsDefinition[str] | None,
) -> dg.AssetsDefinition:
    outs = {f"table_{i}": _out(database, exports, one) for i, one in enumerate(wanted)}
    by_output = dict(zip(outs, wanted, strict=True))
    options = ExportOptions(exports.formats, exports.compression, exports.on_mixed_types)

    @dg.multi_asset(
        name=name,
        outs=outs,
        deps=[table_key(database, one.table) for one in wanted],
        internal_asset_deps={o: {table_key(database, w.table)} for o, w in by_output.items()},
        partitions_def=partitions,
        backfill_policy=backfill_policy(database) if partitions else None,
        can_subset=True,
        pool=f"database_{database.name}",
    )
    def exported(context: dg.AssetExecutionContext) -> Iterator[dg.Output[Pending]]:
        with as_dagster_outcomes(), ExitStack() as stack:
            snapshot = stack.enter_context(source_engine(database).snapshot())
            for output, one in by_output.items():
                if one.key in context.selected_asset_keys:
                    yield dg.Output(_pending(context, snapshot, database, options, one), output)

    return exported


def _out(database: Database, exports: Exports, one: Wanted) -> dg.AssetOut:
    which = "rows that no month claims" if one.undated else "rows, by month"
    if not one.table.month_column:
        which = "rows"
    return dg.AssetOut(
        key=one.key,
        description=f"{one.table.name}: its {which}, as {', '.join(exports.formats)}, with the "
        "counts and digests of the snapshot they were read from.",
        is_required=False,
        io_manager_key="archives_io",
        group_name=f"{database.name}_exports",
        kinds=set(exports.formats),
        owners=list(database.owners),
        metadata=archive_address(database.name, "exports", one.table.name, one.period),
    )


def backfill_policy(database: Database) -> dg.BackfillPolicy | None:
    """One run for all months of a backfill where the database declares that; None: a run for each.

    ``multi_run(1)`` would give each run a range of one month, in which checks have no partition.
    """
    return dg.BackfillPolicy.single_run() if database.backfill == "single_run" else None


def _pending(
    context: dg.AssetExecutionContext,
    snapshot: Snapshot,
    database: Database,
    options: ExportOptions,
    one: Wanted,
) -> Pending:
    def write(archivist: Archivist) -> dict[Period, Written]:
        months = months_asked_for(context, database, one)
        selection = select(snapshot, database, one.table, months, undated=one.undated)
        written: dict[Period, Written] = {}
        for turn in selection.in_turns(PERIODS_AT_ONCE):
            say = Progress(f"{one.table.name} ({turn.span})", context.log.info)
            refuse = partial(require_dates, snapshot, turn, one.table)
            name = one.table.name
            written |= export_table(
                snapshot, database.name, turn, options, archivist, say, name, refuse
            )
        return written

    return Pending(database.name, "exports", one.table.name, write)


def months_asked_for(
    context: dg.AssetExecutionContext, database: Database, one: Wanted
) -> tuple[Month, ...]:
    """The months of the run's partitions; all there are, for the rows that no month claims."""
    if one.undated:
        return all_months(database, datetime.now(UTC))
    return tuple(Month.parse(key) for key in partitions_of(context, database, one))


def partitions_of(
    context: dg.AssetExecutionContext | dg.AssetCheckExecutionContext,
    database: Database,
    one: Wanted,
) -> list[str]:
    """The run's partitions, where the asset has any; a run may be of other assets as well."""
    if not one.monthly:
        return []
    return partition_keys_of_run(context, database, one.key)


def _checks(
    name: str,
    database: Database,
    wanted: list[Wanted],
    partitions: dg.PartitionsDefinition[str] | None,
) -> dg.AssetChecksDefinition:
    by_key = {one.key: one for one in wanted}
    specs = [
        spec
        for one in wanted
        for spec in (
            check_spec(
                EQUAL,
                one.key,
                "Read back from the store: checksums, row counts and content digests "
                "equal those taken in the snapshot.",
                partitions,
                blocking=True,
            ),
            check_spec(
                TYPED,
                one.key,
                "Warns of columns that mix kinds of values and were written as text.",
                partitions,
                blocking=False,
            ),
        )
    ]

    @dg.multi_asset_check(name=name, specs=specs, can_subset=True)
    def proven(
        context: dg.AssetCheckExecutionContext, archives: Archives
    ) -> Iterator[dg.AssetCheckResult]:
        with as_dagster_outcomes():
            store, secrets = archives.store(), archives.secrets(encrypted=False)
            chosen = sorted(context.selected_asset_check_keys)
            for key in {check.asset_key: None for check in chosen}:
                manifests = _manifests(context, store, database, by_key[key])
                equal, typed = (dg.AssetCheckKey(key, name) for name in (EQUAL, TYPED))
                if equal in chosen:
                    proofs = {
                        period: (
                            *verify_export(store, manifest, secrets, scratch_folder()),
                            newest_proof(store, manifest),
                        )
                        for period, manifest in manifests.items()
                    }
                    yield result_of_run(context, equal, proofs, proof_result, blocking=True)
                if typed in chosen:
                    yield result_of_run(context, typed, manifests, _types_result, blocking=False)

    return proven


def _manifests(
    context: dg.AssetCheckExecutionContext, store: Store, database: Database, one: Wanted
) -> dict[Period, Manifest]:
    """The archive of each of the run's periods, as it was last reported."""
    partitions: dict[str, str | None] = {
        str(Month.parse(key)): key for key in partitions_of(context, database, one)
    }
    return {
        period: catalog.require(
            store,
            database.name,
            "exports",
            one.table.name,
            period,
            reported_archive(context, one.key, partition),
        )
        for period, partition in (partitions or {one.period: None}).items()
    }


def _types_result(
    key: dg.AssetKey, name: str, manifests: Mapping[Period, Manifest]
) -> dg.AssetCheckResult:
    notes = [
        f"{period}: {column.name}: {column.note}"
        for period, manifest in manifests.items()
        for table in manifest.tables
        for column in table.columns
        if column.lost_types or (column.note and "UTF-8" in column.note)
    ]
    more = [f"and {len(notes) - NOTES_SHOWN} more"] if len(notes) > NOTES_SHOWN else []
    return dg.AssetCheckResult(
        passed=not notes,
        asset_key=key,
        check_name=name,
        severity=dg.AssetCheckSeverity.WARN,
        description="; ".join(notes[:NOTES_SHOWN] + more) or "Every value kept its type.",
        metadata={"columns": notes},
    )
