"""What checks say of what they could not look at: neither that it held nor that it failed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import dagster as dg
import pytest

from portability_tests.conftest import MakeStoreUrl
from portability_tests.filters.keys import someone
from portability_tests.orchestration.databases import (
    declared,
    definitions,
    failure,
    run,
    with_rechecks,
)

KEY = dg.AssetKey(["shop", "backup"])
Checks = dict[str, dg.AssetCheckEvaluation]
Prove = Callable[[str], Checks]
"""Runs a job for the open month; gives its checks by name."""


@pytest.fixture
def defs(source: Path, make_store_url: MakeStoreUrl) -> dg.Definitions:
    return with_rechecks(definitions(declared(source), make_store_url("local")), KEY)


@pytest.fixture
def drill(defs: dg.Definitions) -> Callable[[], str]:
    """Drills the newest backup on another machine; says why it is not proven, or nothing."""

    def drilled() -> str:
        config = {"ops": {"drill": {"config": {"database": "shop"}}}}
        result = defs.resolve_job_def("backup_drill").execute_in_process(
            run_config=config, raise_on_error=False
        )
        return "" if result.success else failure(result)

    return drilled


@pytest.fixture
def prove(defs: dg.Definitions, instance: dg.DagsterInstance, open_month_key: str) -> Prove:
    def proven(job: str) -> Checks:
        result = defs.resolve_job_def(job).execute_in_process(
            instance=instance, tags={"dagster/partition": open_month_key}, raise_on_error=False
        )
        checks = {check.check_name: check for check in result.get_asset_check_evaluations()}
        failed = [c for c in checks.values() if not c.passed and c.severity.value == "ERROR"]
        assert result.success == (not failed)
        return checks

    return proven


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Files of keys: Alice's public and secret one, and Bob's secret one."""
    folder = tmp_path_factory.mktemp("keys")
    alice, bob = (someone(name, folder / name) for name in ("Alice", "Bob"))
    contents = {
        "alice.pub": alice.certificate,
        "alice.sec": alice.secret_key.content,
        "bob.sec": bob.secret_key.content,
    }
    for name, content in contents.items():
        (folder / name).write_bytes(content)
    return {name: str(folder / name) for name in contents}


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
    assert "6 proofs held" in shown(checks["verified"])


def test_a_seal_that_cannot_be_looked_at_is_warned_of(
    prove: Prove, passphrase: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PORTABILITY_MANIFEST_KEY", "the key of seals")
    sealed = prove("shop_backup")
    assert "7 proofs held" in shown(sealed["verified"])
    assert sealed["covers_everything"].passed
    monkeypatch.delenv("PORTABILITY_MANIFEST_KEY")

    checks = prove("recheck")

    assert {name for name, check in checks.items() if check.passed} == {"verified", "restores"}
    assert "PORTABILITY_MANIFEST_KEY is not set" in shown(checks["covers_everything"])
    assert "PORTABILITY_MANIFEST_KEY is not set" in str(checks["verified"].description)


def test_a_server_without_the_secret_key_proves_what_is_stored_and_warns_of_the_rest(
    prove: Prove, keys: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PORTABILITY_RECIPIENT", keys["alice.pub"])

    checks = prove("shop_backup")

    assert {name for name, check in checks.items() if check.passed} == {"verified"}
    assert "3 proofs held" in shown(checks["verified"])
    for check in checks.values():
        assert "the secret key is not here; run the drill where it is" in shown(check)
        assert check.passed or check.severity == dg.AssetCheckSeverity.WARN


def test_a_secret_key_that_cannot_open_a_backup_fails_it(
    prove: Prove, keys: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PORTABILITY_RECIPIENT", keys["alice.pub"])
    monkeypatch.setenv("PORTABILITY_SECRET_KEY", keys["bob.sec"])

    checks = prove("shop_backup")

    assert [check.severity.value for check in checks.values() if check.blocking] == ["ERROR"] * 2
    assert not any(check.passed for check in checks.values())


def test_a_wrong_passphrase_fails_a_backup(
    prove: Prove, passphrase: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    prove("shop_backup")
    monkeypatch.setenv("PORTABILITY_PASSPHRASE", "quite-another-one")
    checks = prove("recheck")
    assert not any(check.passed for check in checks.values())
    assert {check.severity.value for check in checks.values() if check.blocking} == {"ERROR"}


@pytest.mark.parametrize("empty", ["", " \t"])
def test_a_passphrase_that_did_not_arrive_is_refused_though_the_demo_has_made_one(
    defs: dg.Definitions,
    instance: dg.DagsterInstance,
    open_month_key: str,
    private_home: Path,
    monkeypatch: pytest.MonkeyPatch,
    empty: str,
) -> None:
    private_home.mkdir(exist_ok=True)
    (private_home / "passphrase").write_text("made-by-the-demo")
    monkeypatch.setenv("PORTABILITY_PASSPHRASE", empty)
    result = run(defs, "shop_backup", instance, months=[open_month_key])
    assert not result.success
    assert "PORTABILITY_PASSPHRASE is empty" in failure(result)


def test_the_drill_proves_a_backup_where_its_secret_key_is(
    prove: Prove,
    drill: Callable[[], str],
    keys: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PORTABILITY_RECIPIENT", keys["alice.pub"])
    prove("shop_backup")
    monkeypatch.delenv("PORTABILITY_RECIPIENT")

    assert "the secret key is not here" in drill()
    monkeypatch.setenv("PORTABILITY_SECRET_KEY", keys["bob.sec"])
    assert "is not proven" in drill()
    monkeypatch.setenv("PORTABILITY_SECRET_KEY", keys["alice.sec"])
    assert drill() == ""


def test_the_drill_does_not_pass_over_a_seal(
    prove: Prove, drill: Callable[[], str], passphrase: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PORTABILITY_MANIFEST_KEY", "k" * 40)
    prove("shop_backup")
    assert drill() == ""
    monkeypatch.delenv("PORTABILITY_MANIFEST_KEY")
    assert "PORTABILITY_MANIFEST_KEY is not set" in drill()
