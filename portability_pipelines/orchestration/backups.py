"""The backup of a database as an asset, the checks that prove it, and jobs to drill and restore."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg
from pydantic import Field

from portability_pipelines.catalog import archives as catalog
from portability_pipelines.domain.declarations import Database
from portability_pipelines.domain.errors import PermanentError, RefusedError
from portability_pipelines.domain.manifest import Manifest
from portability_pipelines.domain.months import ALL, Month, Period
from portability_pipelines.engines.registry import recovery
from portability_pipelines.orchestration.failures import as_dagster_outcomes
from portability_pipelines.orchestration.io_managers import Pending, archive_address
from portability_pipelines.orchestration.keys import (
    backup_key,
    months_of,
    open_month,
    partition_keys_of_run,
    table_key,
)
from portability_pipelines.orchestration.progress import Progress
from portability_pipelines.orchestration.proofs import (
    check_spec,
    coverage_result,
    proof_result,
    reported_archive,
    result_of_run,
    told,
    unproven,
)
from portability_pipelines.orchestration.resources import Archives, scratch_folder, source_engine
from portability_pipelines.stores.base import Store
from portability_pipelines.workflows.backup import DATASET, back_up
from portability_pipelines.workflows.drafts import Archivist, Written
from portability_pipelines.workflows.restore import restore
from portability_pipelines.workflows.verify import (
    BackupProofs,
    Proof,
    newest_proof,
    verify_backup,
)

COVERAGE = "covers_everything"

UNNAMED = {"database": "name of the database"}
"""What the UI opens a job with, to be written over; no database may have this name."""

GRACE = timedelta(hours=6)
"""So long into a month, a backup for the one just closed may start: its run had to wait."""


def backup_asset(database: Database) -> dg.AssetsDefinition:
    """Backups of ``database``, partitioned by the month in which they are taken."""

    @dg.asset(
        key=backup_key(database),
        deps=[table_key(database, table) for table in database.tables],
        description="The whole database at one moment, compressed and encrypted, with counts and "
        "digests of every table taken from the same snapshot. A partition is the month in which "
        "backups are taken; each night's is listed under Events.",
        partitions_def=months_of(database),
        io_manager_key="archives_io",
        group_name=f"{database.name}_backup",
        kinds={database.source.engine, "zstd", "openpgp"},
        owners=list(database.owners),
        metadata=archive_address(database.name, "backup", DATASET),
        pool=f"database_{database.name}",
    )
    def backup_of_database(context: dg.AssetExecutionContext) -> Pending:
        with as_dagster_outcomes():
            asked = partition_keys_of_run(context, database, backup_key(database))
            month = _require_open_month(asked, database)

        def write(archivist: Archivist) -> dict[Period, Written]:
            say = Progress(f"backup of {database.name}", context.log.info, "bytes")
            engine = source_engine(database)
            tables = [table.name for table in database.tables]
            taken = back_up(engine, database.name, str(month), archivist, say, tables)
            return {str(month): taken}

        return Pending(database.name, "backup", DATASET, write, encrypted=True)

    return backup_of_database


def _require_open_month(asked: Sequence[str], database: Database) -> Month:
    """The month asked for: that of now, or of a moment ago for a run that waited past midnight."""
    now = datetime.now(UTC)
    current = open_month(database, now)
    months = [Month.parse(key) for key in asked]
    if len(months) > 1 or months[0] not in (current, open_month(database, now - GRACE)):
        raise RefusedError(
            f"A backup of {database.name} for {', '.join(map(str, months))} cannot be taken: one "
            "backup holds the database as it is now",
            f"Launch the partition {current.partition_key} alone, the month that is open.",
        )
    return months[0]


def backup_checks(database: Database) -> dg.AssetChecksDefinition:
    """Proof that a backup is whole, and that it restores to what was backed up."""
    key = backup_key(database)
    months = months_of(database)
    described = {
        "verified": "Read back from the store: checksums, and where its key is here decryption, "
        "decompression, and the engine's own integrity check.",
        "restores": "A drill: restored into scratch, where the counts and digests of every table "
        "equal those of the snapshot. A warning where the secret key is elsewhere.",
    }
    specs = [
        check_spec(name, key, description, months, blocking=True)
        for name, description in described.items()
    ]
    warns = (
        "Warns of tables and indexes that the other checks could not look at, such as those that "
        "need a function of the application."
    )
    specs.append(check_spec(COVERAGE, key, warns, months, blocking=False))

    @dg.multi_asset_check(name=f"prove_{database.name}_backup", specs=specs, can_subset=True)
    def backup_proven(
        context: dg.AssetCheckExecutionContext, archives: Archives
    ) -> Iterator[dg.AssetCheckResult]:
        verified, restores, covers = (
            dg.AssetCheckKey(key, name) for name in (*described, COVERAGE)
        )
        chosen = context.selected_asset_check_keys
        proofs: dict[Period, BackupProofs] = {}
        with as_dagster_outcomes():
            store = archives.store()
            for partition in partition_keys_of_run(context, database, key):
                manifest = _reported(context, store, database, partition)
                proven = verify_backup(
                    store,
                    manifest,
                    archives.secrets_to_read(manifest),
                    scratch_folder(),
                    recovery(manifest.source.engine),
                    drill=bool(chosen & {restores, covers}),
                )
                newest = newest_proof(store, manifest)
                proofs[manifest.period] = replace(proven, verified=(*proven.verified, newest))
        found = {
            verified: {month: proven.verified for month, proven in proofs.items()},
            restores: {month: proven.drill for month, proven in proofs.items()},
            covers: {month: (*proven.verified, *proven.drill) for month, proven in proofs.items()},
        }
        for check in (check for check in found if check in chosen):
            judge = coverage_result if check == covers else proof_result
            yield result_of_run(context, check, found[check], judge, blocking=check != covers)

    return backup_proven


def _reported(
    context: dg.AssetCheckExecutionContext, store: Store, database: Database, partition: str
) -> Manifest:
    """The archive that the last run for ``partition`` wrote or found standing."""
    reported = reported_archive(context, backup_key(database), partition)
    month = str(Month.parse(partition))
    return catalog.require(store, database.name, "backup", DATASET, month, reported)


class DrillBackup(dg.Config):
    """Which backup to prove."""

    database: str = Field(description="The name of the declared database.")
    archive_id: str | None = Field(None, description="The archive; the newest of all by default.")


class RestoreBackup(DrillBackup):
    """Which backup to restore, and where to."""

    target: str = Field(description="Path of a new file; a file that exists is never touched.")


@dg.op(name="drill", description="Restore a backup into scratch and prove all of it.")
def drill_backup_op(
    context: dg.OpExecutionContext, config: DrillBackup, archives: Archives
) -> None:
    """Prove the chosen backup; fails where anything did not hold or could not be restored."""
    with as_dagster_outcomes():
        store = archives.store()
        manifest = _chosen(store, config)
        proofs = verify_backup(
            store,
            manifest,
            archives.secrets_to_read(manifest),
            scratch_folder(),
            recovery(manifest.source.engine),
        )
        # A seal that is there has to be looked at; an index that only its application reads cannot.
        unseen = (proof for proof in proofs.verified if proof.passed is None and proof.unproven)
        wrong = [*(proof for proof in proofs.verified if proof.failed), *unseen]
        wrong = wrong or [proof for proof in proofs.drill if not proof.passed]
        if wrong:
            raise PermanentError(
                f"The backup {manifest.archive_id} of {config.database} is not proven: "
                f"{'; '.join(proof.full_detail for proof in wrong)}",
                "Run the drill where the archive's key is; one that is damaged is no backup, so "
                "take another.",
            )
    everything = (*proofs.verified, *proofs.drill)
    context.log.info(f"{manifest.archive_id}: {_summed(everything)}")
    context.add_output_metadata({"archive_id": manifest.archive_id, "proofs": told(everything)})


def _summed(proofs: Sequence[Proof]) -> str:
    """How many held, and what they did not look at."""
    held = f"{sum(proof.passed is True for proof in proofs)} proofs held"
    silent = [f"{proof.name} ({proof.detail})" for proof in proofs if proof.passed is None]
    silent += unproven({ALL: proofs})
    return f"{held}; not looked at: {'; '.join(silent)}" if silent else held


@dg.job(
    name="backup_drill",
    description="Prove a backup, on any machine that has its key.",
    config={"ops": {"drill": {"config": UNNAMED}}},
)
def backup_drill_job() -> None:
    """One op; its config says which backup."""
    drill_backup_op()


@dg.op(name="restore", description="Restore a backup into a new file, verified on the way.")
def restore_backup_op(
    context: dg.OpExecutionContext, config: RestoreBackup, archives: Archives
) -> None:
    """Restore the chosen backup and say what was restored."""
    with as_dagster_outcomes():
        store = archives.store()
        manifest = _chosen(store, config)
        secrets = archives.secrets_to_read(manifest)
        target = Path(config.target).absolute()
        seal = restore(store, manifest, secrets, target, scratch_folder())
    taken = f"{manifest.source.snapshot_at[:16].replace('T', ' ')} UTC"
    context.log.info(
        f"restored {manifest.rows:,} rows of {manifest.archive_id}, taken {taken}, to {target}; "
        f"seal: {seal.detail}"
    )
    if seal.unproven:
        context.log.warning(f"Restored without a look at {', '.join(seal.unproven)}")
    context.add_output_metadata(
        {
            "archive_id": manifest.archive_id,
            "rows": manifest.rows,
            "target": dg.MetadataValue.path(str(target)),
            "seal": seal.full_detail,
        }
    )


@dg.job(
    name="restore_backup",
    description="Restore a backup into a new file.",
    config={"ops": {"restore": {"config": {**UNNAMED, "target": "/path/of/a/new/file"}}}},
)
def restore_backup_job() -> None:
    """One op; its config says which backup and where to."""
    restore_backup_op()


def _chosen(store: Store, config: DrillBackup) -> Manifest:
    found = catalog.chosen(store, config.database, "backup", DATASET, config.archive_id)
    if found is None:
        which = f" {config.archive_id}" if config.archive_id else ""
        raise RefusedError(
            f"There is no backup{which} of {config.database!r} in {store.url}",
            "Check that name and the store's; a backup's id is the name of its folder there.",
        )
    return found
