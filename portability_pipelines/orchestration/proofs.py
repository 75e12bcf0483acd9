"""Proofs as the results of asset checks."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

import dagster as dg

# Not exported, though recording an evaluation that the UI takes for current needs it.
from dagster._core.definitions.asset_checks.asset_check_evaluation import (
    AssetCheckEvaluationTargetMaterializationData,
)

from portability_pipelines.domain.months import ALL, UNDATED, Month, Period
from portability_pipelines.workflows.verify import Proof

T = TypeVar("T")

OUTCOMES = {True: "held", False: "**failed**", None: "not looked at"}


def check_spec(
    name: str,
    key: dg.AssetKey,
    description: str,
    partitions: dg.PartitionsDefinition[str] | None,
    *,
    blocking: bool,
) -> dg.AssetCheckSpec:
    """An asset check with a time line for each partition; with one, a clean month hides a bad one.

    Dagster calls that a preview and warns at every load; the one place that relies on it is here.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", dg.PreviewWarning)
        return dg.AssetCheckSpec(
            name,
            asset=key,
            description=description,
            blocking=blocking,
            partitions_def=partitions,
        )


def reported_archive(
    context: dg.AssetCheckExecutionContext, key: dg.AssetKey, partition: str | None
) -> str | None:
    """The id of the archive that the asset's last materialisation reported; None without one.

    A check is about that archive, whatever else has come into the store.
    """
    record = _last_materialization(context.instance, key, partition)
    reported = record.asset_materialization if record else None
    if reported and "archive_id" in reported.metadata:
        return str(reported.metadata["archive_id"].value)
    return None


def result_of_run(
    context: dg.AssetCheckExecutionContext | dg.AssetExecutionContext,
    check: dg.AssetCheckKey,
    found: Mapping[Period, T],
    judge: Callable[[dg.AssetKey, str, Mapping[Period, T]], dg.AssetCheckResult],
    *,
    blocking: bool,
) -> dg.AssetCheckResult:
    """What ``judge`` says of all periods together; in a run of a range, of each month as well.

    In such a run Dagster records what a check returns without a partition, and calls the check
    skipped for every month of which nothing else was recorded.
    """
    key, name = check
    if context.has_partition_key_range:
        for period in (period for period in found if period not in (ALL, UNDATED)):
            month = Month.parse(period)
            result = judge(key, name, {period: found[period]})
            evaluation = dg.AssetCheckEvaluation(
                key,
                name,
                result.passed,
                result.metadata,
                _target(context.instance, key, month),
                result.severity,
                result.description,
                blocking,
                month.partition_key,
            )
            context.op_execution_context.log_event(evaluation)  # type: ignore[arg-type]
    return judge(key, name, found)


def _target(
    instance: dg.DagsterInstance, key: dg.AssetKey, month: Month
) -> AssetCheckEvaluationTargetMaterializationData | None:
    """The month as it was last materialised; the UI drops results that are about an older one."""
    record = _last_materialization(instance, key, month.partition_key)
    if record is None:
        return None
    return AssetCheckEvaluationTargetMaterializationData(
        storage_id=record.storage_id, run_id=record.run_id, timestamp=record.timestamp
    )


def _last_materialization(
    instance: dg.DagsterInstance, key: dg.AssetKey, partition: str | None
) -> dg.EventLogRecord | None:
    wanted = dg.AssetRecordsFilter(key, asset_partitions=[partition] if partition else None)
    return next(iter(instance.fetch_materializations(wanted, limit=1).records), None)


def proof_result(
    key: dg.AssetKey, name: str, proofs: Mapping[Period, Sequence[Proof]]
) -> dg.AssetCheckResult:
    """One check result over every period's proofs: passed where of each some held, none failed.

    A period of which nothing could be looked at makes it a warning.
    """
    failed, silent = failures(proofs), unproven(proofs)
    held = {
        period: sum(proof.passed is True for proof in found) for period, found in proofs.items()
    }
    unseen = f" Not looked at: {'; '.join(silent)}." if silent else ""
    return dg.AssetCheckResult(
        passed=not failed and bool(held) and all(held.values()),
        asset_key=key,
        check_name=name,
        severity=dg.AssetCheckSeverity.WARN
        if silent and not failed and not all(held.values())
        else dg.AssetCheckSeverity.ERROR,
        description="; ".join(failed) or f"{sum(held.values())} proofs held.{unseen}",
        metadata={period: told(found) for period, found in proofs.items()},
    )


def told(proofs: Sequence[Proof]) -> dg.MarkdownMetadataValue:
    """A line for each proof: whether it held, and what it is about."""
    lines = [f"- {OUTCOMES[proof.passed]}: {proof.name}: {proof.full_detail}" for proof in proofs]
    return dg.MetadataValue.md("\n".join(lines))


def coverage_result(
    key: dg.AssetKey, name: str, proofs: Mapping[Period, Sequence[Proof]]
) -> dg.AssetCheckResult:
    """A warning of everything that the proofs could not look at, or failed to prove."""
    silent = [*failures(proofs), *unproven(proofs)]
    return dg.AssetCheckResult(
        passed=not silent,
        asset_key=key,
        check_name=name,
        severity=dg.AssetCheckSeverity.WARN,
        description="; ".join(silent) or "Nothing was left out.",
        metadata={"not_looked_at": silent},
    )


def failures(proofs: Mapping[Period, Sequence[Proof]]) -> list[str]:
    """Why proofs failed, each reason with its period."""
    failed = [(p, proof) for p, found in proofs.items() for proof in found if proof.failed]
    return [f"{period}: {proof.detail}" for period, proof in failed]


def unproven(proofs: Mapping[Period, Sequence[Proof]]) -> list[str]:
    """What the proofs could not look at, each part once."""
    parts = (part for found in proofs.values() for proof in found for part in proof.unproven)
    return list(dict.fromkeys(parts))
