"""Restoring with the keys that an archive needs, whatever keys a machine writes with."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import dagster as dg
import pytest

from portability_pipelines.stores.registry import open_store
from portability_tests.archives import archives
from portability_tests.conftest import MakeStoreUrl
from portability_tests.filters.keys import KEY_PASSPHRASE, Person, someone, someone_who_rotated
from portability_tests.orchestration.conftest import PASSPHRASE
from portability_tests.orchestration.databases import declared, definitions, failure, run

VARIABLES = ("PASSPHRASE", "RECIPIENT", "SECRET_KEY")

Given = dict[str, str]
Restore = Callable[[Given], str]
"""Restores the archive with these variables alone; says why not, or nothing."""


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The files of Alice's keys, and of Rita's, whose secret key has a passphrase."""
    folder = tmp_path_factory.mktemp("keys")
    people = {
        "alice": someone("Alice", folder / "alice"),
        "rita": someone_who_rotated("Rita", folder / "rita"),
    }
    return {name: path for each, who in people.items() for name, path in _kept(each, who, folder)}


def _kept(name: str, person: Person, folder: Path) -> list[tuple[str, str]]:
    contents = {f"{name}.pub": person.certificate, f"{name}.sec": person.secret_key.content}
    for file, content in contents.items():
        (folder / file).write_bytes(content)
    return [(file, str(folder / file)) for file in contents]


@pytest.fixture
def backed_up(
    source: Path,
    make_store_url: MakeStoreUrl,
    instance: dg.DagsterInstance,
    open_month_key: str,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> Callable[[Given], Restore]:
    """Backs up with these variables and gives what restores that backup with others."""
    defs = definitions(declared(source), make_store_url("local"))

    def have(given: Given) -> None:
        for name in VARIABLES:
            monkeypatch.delenv(f"PORTABILITY_{name}", raising=False)
        for name, value in given.items():
            monkeypatch.setenv(f"PORTABILITY_{name}", value)

    def restore(given: Given) -> str:
        have(given)
        config = {"database": "shop", "target": str(tmp_path / "restored.sqlite")}
        result = defs.resolve_job_def("restore_backup").execute_in_process(
            instance=instance,
            run_config={"ops": {"restore": {"config": config}}},
            raise_on_error=False,
        )
        (tmp_path / "restored.sqlite").unlink(missing_ok=True)
        return "" if result.success else failure(result)

    def back_up(given: Given) -> Restore:
        have(given)
        assert run(defs, "shop_backup", instance, months=[open_month_key]).success
        return restore

    return back_up


def test_the_private_key_alone_restores_what_was_encrypted_to_it(
    backed_up: Callable[[Given], Restore], files: dict[str, str]
) -> None:
    alice = {"RECIPIENT": files["alice.pub"], "SECRET_KEY": files["alice.sec"]}
    restore = backed_up(alice)

    assert restore({"SECRET_KEY": files["alice.sec"]}) == ""
    assert restore({"SECRET_KEY": files["alice.sec"], "PASSPHRASE": PASSPHRASE}) == ""
    assert "set PORTABILITY_SECRET_KEY" in restore({})
    assert "set PORTABILITY_SECRET_KEY" in restore({"PASSPHRASE": PASSPHRASE})


def test_a_private_key_with_a_passphrase_needs_no_recipient(
    backed_up: Callable[[Given], Restore], files: dict[str, str]
) -> None:
    rita = {"SECRET_KEY": files["rita.sec"], "PASSPHRASE": KEY_PASSPHRASE}
    restore = backed_up({"RECIPIENT": files["rita.pub"], **rita})

    assert restore(rita) == ""
    without = restore({"SECRET_KEY": files["rita.sec"]})
    assert "PORTABILITY_SECRET_KEY cannot be used" in without
    assert "PORTABILITY_PASSPHRASE" in without


@pytest.mark.parametrize("more", [(), ("RECIPIENT",), ("SECRET_KEY",), ("RECIPIENT", "SECRET_KEY")])
def test_a_passphrase_opens_what_was_encrypted_with_it_whatever_else_is_set(
    backed_up: Callable[[Given], Restore], files: dict[str, str], more: tuple[str, ...]
) -> None:
    restore = backed_up({"PASSPHRASE": PASSPHRASE})
    alice = {"RECIPIENT": files["alice.pub"], "SECRET_KEY": files["alice.sec"]}
    also = {name: alice[name] for name in more}

    assert restore({"PASSPHRASE": PASSPHRASE, **also}) == ""
    assert "Set PORTABILITY_PASSPHRASE" in restore(also)


def test_the_checks_of_a_machine_that_only_reads_need_nothing_to_encrypt_with(
    source: Path,
    make_store_url: MakeStoreUrl,
    instance: dg.DagsterInstance,
    open_month_key: str,
    files: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
    staging_root: Path,
) -> None:
    url = make_store_url("local")
    defs = definitions(declared(source), url)
    monkeypatch.setenv("PORTABILITY_RECIPIENT", files["alice.pub"])
    monkeypatch.setenv("PORTABILITY_SECRET_KEY", files["alice.sec"])
    assert run(defs, "shop_backup", instance, months=[open_month_key]).success
    monkeypatch.delenv("PORTABILITY_RECIPIENT")

    checks = dg.AssetSelection.checks_for_assets(dg.AssetKey(["shop", "backup"]))
    only_checks = dg.Definitions(jobs=[dg.define_asset_job("recheck", checks)])
    recheck = dg.Definitions.merge(defs, only_checks).resolve_job_def("recheck")
    result = recheck.execute_in_process(
        instance=instance, tags={"dagster/partition": open_month_key}, raise_on_error=False
    )

    checked = {check.check_name: check.passed for check in result.get_asset_check_evaluations()}
    assert checked == {"verified": True, "restores": True, "covers_everything": True}
    assert len(list(archives(open_store(url, staging_root=staging_root), "shop"))) == 1
