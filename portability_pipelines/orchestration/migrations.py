"""Assets for the migration to MongoDB: collections by month, whole, and of undated rows."""

import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from datetime import UTC, datetime
from typing import Any

import dagster as dg

from portability_pipelines.domain.declarations import Database, Migration
from portability_pipelines.domain.months import Month, Period
from portability_pipelines.engines.base import Snapshot
from portability_pipelines.engines.documents import DocumentTarget
from portability_pipelines.orchestration.exports import (
    Wanted,
    backfill_policy,
    months_asked_for,
)
from portability_pipelines.orchestration.failures import as_dagster_outcomes
from portability_pipelines.orchestration.jobs import Proven
from portability_pipelines.orchestration.keys import (
    collection_key,
    collection_name,
    months_of,
    table_key,
)
from portability_pipelines.orchestration.progress import Progress
from portability_pipelines.orchestration.proofs import check_spec, result_of_run
from portability_pipelines.orchestration.resources import document_target, source_engine
from portability_pipelines.workflows.migrate import MigrationCounts, migrate
from portability_pipelines.workflows.select import require_dates, select, unique_columns
from portability_pipelines.workflows.verify_migration import Verification, verify_migration

MATCHES = "matches_source"
ADVICE = "advice"
"""The metadata of a check that say what to do about what it found: sentences."""

_DIFFER = "Documents that differ were written by others: delete them, and migrate again."
_LEFT_OUT = {
    "rows rejected": "Why rows were rejected is told by 'skipped' in the asset's metadata.",
    "rows older than what a newer snapshot wrote": "Where a newer snapshot wrote, nothing is to be "
    "done: what it wrote stays. Only if a clock was ahead then, delete such documents.",
    "texts that are not UTF-8, written as X'..'": "A document holds UTF-8 only: correct such texts "
    "in the source, or take them from an export.",
    "stale documents": "Stale documents are of rows that the source has no more, or has in another "
    "month now. Migrate every month again; delete what is stale then.",
    "documents of former declarations": "Documents of former declarations are from when the table "
    "had another first_month, month_column or name. Migrate every month again; delete what is left "
    "of them then, or drop the collection first.",
}


def migration_assets(database: Database, migration: Migration) -> dict[str, list[Proven]]:
    """The assets of a database's migration, by job; their checks are proven in the same step."""
    dated = [t for t in database.tables if t.month_column]
    monthly = [Wanted(t, collection_key(database, t)) for t in dated]
    whole = [Wanted(t, collection_key(database, t, undated=True), True) for t in dated]
    whole += [Wanted(t, collection_key(database, t)) for t in database.tables if not t.month_column]
    made: dict[str, list[Proven]] = {}
    for name, wanted, partitions in (
        ("migration", monthly, months_of(database)),
        ("whole_migration", whole, None),
    ):
        if wanted:
            made[name] = [_assets(name, database, migration, wanted, partitions)]
    return made


def _assets(
    name: str,
    database: Database,
    migration: Migration,
    wanted: list[Wanted],
    partitions: dg.PartitionsDefinition[str] | None,
) -> dg.AssetsDefinition:
    by_key = {one.key: one for one in wanted}

    @dg.multi_asset(
        name=f"write_{database.name}_{name}",
        specs=[_spec(database, migration, one) for one in wanted],
        check_specs=[_check(one, partitions) for one in wanted],
        partitions_def=partitions,
        backfill_policy=backfill_policy(database) if partitions else None,
        can_subset=True,
        pool=f"database_{database.name}",
    )
    def migrated(
        context: dg.AssetExecutionContext,
    ) -> Iterator[dg.MaterializeResult[Any] | dg.AssetCheckResult]:
        with as_dagster_outcomes(), ExitStack() as stack:
            target = stack.enter_context(document_target(migration.target))
            snapshot = stack.enter_context(source_engine(database).snapshot())
            for key, one in by_key.items():
                if key in context.selected_asset_keys:
                    yield from _migrate(context, snapshot, target, database, migration, one)

    return migrated


def _spec(database: Database, migration: Migration, one: Wanted) -> dg.AssetSpec:
    rows = "the rows that no month claims" if one.undated else "documents"
    return dg.AssetSpec(
        one.key,
        deps=[table_key(database, one.table)],
        description=f"{one.table.name} as {rows} in {migration.target}."
        f"{collection_name(one.table)}, with deterministic ids, so that a run can be repeated.",
        group_name=f"{database.name}_mongodb",
        kinds={"mongodb"},
        owners=list(database.owners),
    )


def _check(one: Wanted, partitions: dg.PartitionsDefinition[str] | None) -> dg.AssetCheckSpec:
    return check_spec(
        MATCHES,
        one.key,
        "Counts close, and every document read back equals the row it was made from.",
        partitions,
        blocking=True,
    )


def _migrate(
    context: dg.AssetExecutionContext,
    snapshot: Snapshot,
    target: DocumentTarget,
    database: Database,
    migration: Migration,
    one: Wanted,
) -> Iterator[dg.MaterializeResult[Any] | dg.AssetCheckResult]:
    months = months_asked_for(context, database, one)
    selection = select(snapshot, database, one.table, months, undated=one.undated)
    unique_by = unique_columns(selection.table, one.table)
    records = snapshot.read_stored(selection)
    say = Progress(f"{one.table.name} to MongoDB ({selection.span})", context.log.info)
    total = sum(contents.rows for contents in records.contents.values())
    began = time.monotonic()
    counts = migrate(
        records,
        selection.table,
        target,
        database=database.name,
        collection=collection_name(one.table),
        batch_size=migration.batch_size,
        unique_by=unique_by,
        exported_at=datetime.now(UTC),
        progress=lambda done: say(done, total),
    )
    if not total:
        require_dates(snapshot, selection, one.table)
    compared = f"{one.table.name} compared with its documents ({selection.span})"
    say_compared = Progress(compared, context.log.info)
    verified = verify_migration(
        snapshot.read_stored(selection),
        selection.table,
        target,
        database=database.name,
        collection=collection_name(one.table),
        unique_by=unique_by,
        batch_size=migration.batch_size,
        progress=lambda done: say_compared(done, total),
        divided_into=() if one.monthly else [*map(str, months), *counts],
    )
    seconds = (time.monotonic() - began) / max(len(counts), 1)
    _describe(context, one, counts, verified, seconds)
    yield dg.MaterializeResult(asset_key=one.key)
    found = {period: (counts[period], verified[period]) for period in counts}
    check = dg.AssetCheckKey(one.key, MATCHES)
    yield result_of_run(context, check, found, _result, blocking=True)


def _describe(
    context: dg.AssetExecutionContext,
    one: Wanted,
    counts: Mapping[Period, MigrationCounts],
    verified: Mapping[Period, Verification],
    seconds: float,
) -> None:
    for period, found in counts.items():
        metadata: dict[str, Any] = {
            "rows": found.source,
            "inserted": found.inserted,
            "unchanged": found.unchanged,
            "updated": found.updated,
            "duplicates": found.duplicates,
            "rejected": found.rejected,
            "superseded": found.superseded,
            "texts_not_utf8": found.texts_not_utf8,
            "stale_documents": verified[period].stale,
            "forgotten_documents": verified[period].forgotten,
            "skipped": dg.MetadataValue.md(_skipped(found)),
            "changed": bool(found.inserted or found.updated),
            "seconds": round(seconds, 3),
            "collection": collection_name(one.table),
        }
        if one.monthly:
            metadata["dagster/partition_row_count"] = found.source
            context.add_asset_metadata(metadata, one.key, Month.parse(period).partition_key)
        else:
            context.add_asset_metadata(metadata, one.key)


def _skipped(counts: MigrationCounts) -> str:
    """Rows that were not written, by key; keys identify rows and are shown on purpose."""
    lines = [
        f"- {row.row}: {row.reason}" + (f" (kept: {row.survivor})" if row.survivor else "")
        for row in counts.skipped
    ]
    return "\n".join(lines) or "(none)"


def _result(
    key: dg.AssetKey, name: str, compared: Mapping[Period, tuple[MigrationCounts, Verification]]
) -> dg.AssetCheckResult:
    found = [
        f"{period}: {problem}"
        for period, (counts, verified) in compared.items()
        for problem in verified.problems(counts)
    ]
    numbers = {period: _left_out(*each) for period, each in compared.items()}
    left_out = [
        f"{period}: {', '.join(f'{number} {what}' for what, number in told.items())}"
        for period, told in numbers.items()
        if told
    ]
    differ = any(verified.changed for _, verified in compared.values())
    advice = [_DIFFER] if differ else []
    advice += [told for what, told in _LEFT_OUT.items() if any(what in n for n in numbers.values())]
    only_warn = bool(left_out) and not found
    documents = sum(counts.documents for counts, _ in compared.values())
    proven = f"{documents:,} documents read back equal their rows."
    return dg.AssetCheckResult(
        passed=not found and not left_out,
        asset_key=key,
        check_name=name,
        severity=dg.AssetCheckSeverity.WARN if only_warn else dg.AssetCheckSeverity.ERROR,
        description="; ".join([*found, *left_out]) or proven,
        metadata={
            "differences": [s for _, v in compared.values() for s in v.samples],
            ADVICE: advice,
        },
    )


def _left_out(counts: MigrationCounts, verified: Verification) -> dict[str, int]:
    """What a person should look at though the migration did what it could; a key of its advice."""
    numbers = (
        counts.rejected,
        counts.superseded,
        counts.texts_not_utf8,
        verified.stale,
        verified.forgotten,
    )
    return {what: number for what, number in zip(_LEFT_OUT, numbers, strict=True) if number}
