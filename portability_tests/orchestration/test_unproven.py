"""What checks say of what they could not look at: neither that it held nor that it failed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import dagster as dg
import pytest

from portability_tests.conftest import MakeStoreUrl
from portability_tests.orchestration.databases import declared, definitions, with_rechecks

KEY = dg.AssetKey(["shop", "backup"])
Checks = dict[str, dg.AssetCheckEvaluation]
Prove = Callable[[str], Checks]
"""Runs a job for the open month; gives its checks by name."""


@pytest.fixture
def prove(
    source: Path, make_store_url: MakeStoreUrl, instance: dg.DagsterInstance, open_month_key: str
) -> Prove:
    defs = with_rechecks(definitions(declared(source), make_store_url("local")), KEY)

    def proven(job: str) -> Checks:
        result = defs.resolve_job_def(job).execute_in_process(
            instance=instance, tags={"dagster/partition": open_month_key}, raise_on_error=False
        )
        checks = {check.check_name: check for check in result.get_asset_check_evaluations()}
        failed = [c for c in checks.values() if not c.passed and c.severity.value == "ERROR"]
        assert result.success == (not failed)
        return checks

    return proven


def shown(check: dg.AssetCheckEvaluation) -> str:
    """What a person reads of a check."""
    return f"{check.description} {[value.value for value in check.metadata.values()]}"


def test_a_manifest_without_a_seal_is_no_proof_and_no_warning(
    prove: Prove, passphrase: str
) -> None:
    checks = prove("shop_backup")
    assert all(check.passed for check in checks.values())
    assert "not looked at: seal" in shown(checks["verified"])
    assert "held: seal" not in shown(checks["verified"])
    assert "5 proofs held" in shown(checks["verified"])


def test_a_seal_that_cannot_be_looked_at_is_warned_of(
    prove: Prove, passphrase: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PORTABILITY_MANIFEST_KEY", "the key of seals")
    sealed = prove("shop_backup")
    assert "6 proofs held" in shown(sealed["verified"])
    assert sealed["covers_everything"].passed
    monkeypatch.delenv("PORTABILITY_MANIFEST_KEY")

    checks = prove("recheck")

    assert {name for name, check in checks.items() if check.passed} == {"verified", "restores"}
    assert "PORTABILITY_MANIFEST_KEY is not set" in shown(checks["covers_everything"])
    assert "PORTABILITY_MANIFEST_KEY is not set" in str(checks["verified"].description)
