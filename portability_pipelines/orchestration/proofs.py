"""Proofs as the results of asset checks."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence

import dagster as dg

from portability_pipelines.domain.months import Period
from portability_pipelines.workflows.verify import Proof


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
    wanted = dg.AssetRecordsFilter(key, asset_partitions=[partition] if partition else None)
    for record in context.instance.fetch_materializations(wanted, limit=1).records:
        reported = record.asset_materialization
        if reported and "archive_id" in reported.metadata:
            return str(reported.metadata["archive_id"].value)
    return None


def proof_result(
    key: dg.AssetKey, name: str, proofs: Mapping[Period, Sequence[Proof]]
) -> dg.AssetCheckResult:
    """One check result over every period's proofs; passed only where all of them hold."""
    failed = [
        f"{p}: {proof.detail}" for p, found in proofs.items() for proof in found if not proof.passed
    ]
    held = [proof for found in proofs.values() for proof in found if proof.passed]
    silent = f" Not looked at: {'; '.join(unproven(proofs))}." if unproven(proofs) else ""
    return dg.AssetCheckResult(
        passed=not failed and bool(held),
        asset_key=key,
        check_name=name,
        description="; ".join(failed) or f"{len(held)} proofs held.{silent}",
        metadata={
            period: dg.MetadataValue.md(
                "\n".join(
                    f"- {'held' if proof.passed else '**failed**'}: {proof.name}: "
                    f"{proof.full_detail}"
                    for proof in found
                )
            )
            for period, found in proofs.items()
        },
    )


def coverage_result(
    key: dg.AssetKey, name: str, proofs: Mapping[Period, Sequence[Proof]]
) -> dg.AssetCheckResult:
    """A warning of everything that the proofs could not look at."""
    silent = unproven(proofs)
    return dg.AssetCheckResult(
        passed=not silent,
        asset_key=key,
        check_name=name,
        severity=dg.AssetCheckSeverity.WARN,
        description="; ".join(silent) or "Nothing was left out.",
        metadata={"not_looked_at": silent},
    )


def unproven(proofs: Mapping[Period, Sequence[Proof]]) -> list[str]:
    """What the proofs could not look at, each part once."""
    parts = (part for found in proofs.values() for proof in found for part in proof.unproven)
    return list(dict.fromkeys(parts))
