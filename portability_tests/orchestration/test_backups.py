"""Backups as Dagster ends up holding them, and as strangers open them."""

from __future__ import annotations

import shutil
import sqlite3
import subprocess
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta, tzinfo
from pathlib import Path

import dagster as dg
import pytest

from portability_pipelines.domain.manifest import MANIFEST_NAME, Manifest
from portability_pipelines.domain.months import Month
from portability_pipelines.stores.base import Store
from portability_pipelines.stores.registry import open_store
from portability_tests.archives import archives, taken_ahead
from portability_tests.conftest import MakeStoreUrl
from portability_tests.orchestration.databases import declared, definitions, failure, run

KEY = dg.AssetKey(["shop", "backup"])


def backups(store: Store) -> list[Manifest]:
    return list(archives(store, "shop/backup"))


def content(path: Path) -> list[str]:
    with closing(sqlite3.connect(path)) as connection:
        return list(connection.iterdump())


def test_a_backup_is_proven_and_a_second_one_changes_nothing(
    source: Path,
    store_url: str,
    staging_root: Path,
    instance: dg.DagsterInstance,
    open_month_key: str,
    passphrase: str,
) -> None:
    defs = definitions(declared(source), store_url)
    for _ in range(2):
        result = run(defs, "shop_backup", instance, months=[open_month_key])
        assert result.success
        checks = {
            (c.check_name, c.passed, c.partition) for c in result.get_asset_check_evaluations()
        }
        names = ("verified", "restores", "covers_everything")
        assert checks == {(name, True, open_month_key) for name in names}
    (manifest,) = backups(open_store(store_url, staging_root=staging_root))
    records = instance.fetch_materializations(KEY, limit=9).records
    changed = [
        record.asset_materialization.metadata["changed"].value
        for record in records
        if record.asset_materialization
    ]
    assert changed == [False, True]
    assert manifest.encryption is not None
    assert manifest.encryption.cipher == "AES256"
    assert {table.name for table in manifest.tables} >= {"clients", "user_activity"}


def test_what_a_backup_leaves_unproven_is_a_warning(
    source: Path,
    make_store_url: MakeStoreUrl,
    instance: dg.DagsterInstance,
    open_month_key: str,
    passphrase: str,
) -> None:
    with closing(sqlite3.connect(source)) as connection:
        connection.create_function("shout", 1, str.upper, deterministic=True)
        connection.execute("CREATE TABLE loud (n TEXT, m TEXT AS (shout(n)) VIRTUAL)")
    defs = definitions(declared(source), make_store_url("local"))
    result = run(defs, "shop_backup", instance, months=[open_month_key])
    assert result.success
    checks = {check.check_name: check for check in result.get_asset_check_evaluations()}
    assert {name for name, check in checks.items() if check.passed} == {"verified", "restores"}
    warning = checks["covers_everything"]
    assert warning.severity == dg.AssetCheckSeverity.WARN
    for check in checks.values():
        assert "table loud" in str(check.description)
        assert "unknown function: shout()" in str(check.description)


def test_gpg_and_zstd_restore_a_backup_without_this_project(
    source: Path,
    make_store_url: MakeStoreUrl,
    staging_root: Path,
    instance: dg.DagsterInstance,
    open_month_key: str,
    passphrase: str,
    tmp_path: Path,
) -> None:
    url = make_store_url("local")
    assert run(
        definitions(declared(source), url), "shop_backup", instance, months=[open_month_key]
    ).success
    store = open_store(url, staging_root=staging_root)
    (manifest,) = backups(store)
    (file,) = manifest.files
    home = tmp_path / "gnupg"
    home.mkdir(mode=0o700)
    secret = tmp_path / "secret"
    secret.write_text(passphrase)
    gpg = ["gpg", "--homedir", str(home), "--batch", "--pinentry-mode", "loopback"]
    plain = subprocess.run(
        [
            *gpg,
            "--passphrase-file",
            str(secret),
            "-d",
            store.locate(f"{manifest.prefix}/{file.name}"),
        ],
        capture_output=True,
        check=True,
    ).stdout
    restored = tmp_path / "restored.sqlite"
    restored.write_bytes(
        subprocess.run(["zstd", "-dc"], input=plain, capture_output=True, check=True).stdout
    )
    subprocess.run(["gpgconf", "--homedir", str(home), "--kill", "all"], check=True)
    assert content(restored) == content(source)


def test_a_month_that_is_not_open_is_refused_with_the_reason(
    source: Path, make_store_url: MakeStoreUrl, instance: dg.DagsterInstance, passphrase: str
) -> None:
    defs = definitions(declared(source), make_store_url("local"))
    result = run(defs, "shop_backup", instance, months=["2025-01-01"])
    assert not result.success
    assert "one backup holds the database as it is now" in failure(result)
    assert instance.fetch_materializations(KEY, limit=1).records == []


@pytest.mark.parametrize(
    ("minutes", "months", "taken"),
    [(5, 1, True), (355, 1, True), (365, 1, False), (5, 2, False)],
    ids=["at once", "just in time", "too late", "two months"],
)
def test_a_run_that_waited_past_midnight_still_backs_up_the_month_it_was_for(
    source: Path,
    make_store_url: MakeStoreUrl,
    instance: dg.DagsterInstance,
    open_month_key: str,
    passphrase: str,
    monkeypatch: pytest.MonkeyPatch,
    minutes: int,
    months: int,
    taken: bool,
) -> None:
    midnight = datetime.fromisoformat(open_month_key).replace(tzinfo=UTC)
    closed = f"{midnight - timedelta(days=1):%Y-%m}-01"

    class Late(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> Late:
            return cls.fromtimestamp((midnight + timedelta(minutes=minutes)).timestamp(), tz)

    monkeypatch.setattr("portability_pipelines.orchestration.backups.datetime", Late)
    defs = definitions(declared(source), make_store_url("local"))
    result = run(defs, "shop_backup", instance, months=[closed, open_month_key][:months])
    assert result.success == taken
    records = instance.fetch_materializations(KEY, limit=9).records
    assert [record.partition_key for record in records] == [closed] * taken


def test_without_a_passphrase_nothing_is_written(
    source: Path,
    make_store_url: MakeStoreUrl,
    staging_root: Path,
    instance: dg.DagsterInstance,
    open_month_key: str,
) -> None:
    url = make_store_url("local")
    result = run(
        definitions(declared(source), url), "shop_backup", instance, months=[open_month_key]
    )
    assert not result.success
    assert "PORTABILITY_PASSPHRASE" in failure(result)
    assert list(open_store(url, staging_root=staging_root).list("")) == []


def test_a_database_without_any_declared_table_takes_no_backups_place(
    source: Path,
    make_store_url: MakeStoreUrl,
    staging_root: Path,
    instance: dg.DagsterInstance,
    open_month_key: str,
    passphrase: str,
) -> None:
    url = make_store_url("local")
    defs = definitions(declared(source), url)
    assert run(defs, "shop_backup", instance, months=[open_month_key]).success
    source.write_bytes(b"")
    result = run(defs, "shop_backup", instance, months=[open_month_key])
    assert not result.success
    assert "shop holds none of its declared tables" in failure(result)
    assert len(backups(open_store(url, staging_root=staging_root))) == 1


def test_another_passphrase_makes_a_new_archive_and_fails_to_open_the_old(
    source: Path,
    make_store_url: MakeStoreUrl,
    staging_root: Path,
    instance: dg.DagsterInstance,
    open_month_key: str,
    passphrase: str,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    url = make_store_url("local")
    defs = definitions(declared(source), url)
    assert run(defs, "shop_backup", instance, months=[open_month_key]).success
    monkeypatch.setenv("PORTABILITY_PASSPHRASE", "quite-another-one")
    assert run(defs, "shop_backup", instance, months=[open_month_key]).success
    old, _ = backups(open_store(url, staging_root=staging_root))
    target = tmp_path / "restored.sqlite"
    config = {"database": "shop", "target": str(target), "archive_id": old.archive_id}
    result = defs.resolve_job_def("restore_backup").execute_in_process(
        instance=instance, run_config={"ops": {"restore": {"config": config}}}, raise_on_error=False
    )
    assert not result.success
    assert "wrong passphrase" in failure(result)
    assert passphrase not in failure(result)
    assert not target.exists()


def test_a_backup_is_restored_into_a_new_file_only(
    source: Path,
    store_url: str,
    instance: dg.DagsterInstance,
    open_month_key: str,
    passphrase: str,
    tmp_path: Path,
) -> None:
    defs = definitions(declared(source), store_url)
    assert run(defs, "shop_backup", instance, months=[open_month_key]).success
    target = tmp_path / "restored" / "shop.sqlite"
    target.parent.mkdir()
    config = {"ops": {"restore": {"config": {"database": "shop", "target": str(target)}}}}
    job = defs.resolve_job_def("restore_backup")
    restored = job.execute_in_process(instance=instance, run_config=config)
    assert content(target) == content(source)
    (output,) = (e.step_output_data for e in restored.all_events if e.is_successful_output)
    assert "PORTABILITY_MANIFEST_KEY is not set" in str(output.metadata["seal"].value)
    again = job.execute_in_process(instance=instance, run_config=config, raise_on_error=False)
    assert "exists already" in failure(again)
    config["ops"]["restore"]["config"]["target"] = ""
    nowhere = job.execute_in_process(instance=instance, run_config=config, raise_on_error=False)
    assert "is a folder. Give the path of a new file" in failure(nowhere)
    assert [path.name for path in target.parent.iterdir()] == ["shop.sqlite"]


def test_a_damaged_manifest_stops_only_the_restore_of_its_own_archive(
    source: Path,
    make_store_url: MakeStoreUrl,
    staging_root: Path,
    instance: dg.DagsterInstance,
    open_month_key: str,
    passphrase: str,
    tmp_path: Path,
) -> None:
    url = make_store_url("local")
    defs = definitions(declared(source), url)
    for details in ("older", "newer"):
        with closing(sqlite3.connect(source)) as connection, connection:
            connection.execute("UPDATE user_activity SET details = ?", (details,))
        assert run(defs, "shop_backup", instance, months=[open_month_key]).success
    store = open_store(url, staging_root=staging_root)
    older, newer = sorted(backups(store), key=lambda manifest: manifest.archive_id)
    Path(store.locate(f"{newer.prefix}/{MANIFEST_NAME}")).write_text("{")
    job = defs.resolve_job_def("restore_backup")

    def restored(**chosen: str) -> dg.ExecuteInProcessResult:
        config = {"database": "shop", "target": str(tmp_path / "restored.sqlite"), **chosen}
        return job.execute_in_process(
            instance=instance,
            run_config={"ops": {"restore": {"config": config}}},
            raise_on_error=False,
        )

    assert newer.archive_id in failure(restored())
    assert restored(archive_id=older.archive_id).success


def test_a_backup_of_an_engine_that_a_later_release_brought_is_refused_in_one_line(
    source: Path,
    make_store_url: MakeStoreUrl,
    staging_root: Path,
    instance: dg.DagsterInstance,
    open_month_key: str,
    passphrase: str,
) -> None:
    url = make_store_url("local")
    defs = definitions(declared(source), url)
    assert run(defs, "shop_backup", instance, months=[open_month_key]).success
    store = open_store(url, staging_root=staging_root)
    (manifest,) = backups(store)
    later = replace(manifest, source=replace(manifest.source, engine="oracle"))
    Path(store.locate(f"{manifest.prefix}/{MANIFEST_NAME}")).write_bytes(later.to_json())
    drilled = defs.resolve_job_def("backup_drill").execute_in_process(
        instance=instance,
        run_config={"ops": {"drill": {"config": {"database": "shop"}}}},
        raise_on_error=False,
    )
    assert "There is no engine called 'oracle'. This release has: sqlite" in failure(drilled)


def test_a_backup_that_another_from_a_wrong_clock_overshadows_is_not_verified(
    source: Path,
    make_store_url: MakeStoreUrl,
    staging_root: Path,
    instance: dg.DagsterInstance,
    open_month_key: str,
    passphrase: str,
    tmp_path: Path,
) -> None:
    url = make_store_url("local")
    defs = definitions(declared(source), url)
    assert run(defs, "shop_backup", instance, months=[open_month_key]).success
    store = open_store(url, staging_root=staging_root)
    (manifest,) = backups(store)
    year = timedelta(days=366)
    ahead = taken_ahead(store, manifest, year, period=str(Month.of(datetime.now(UTC) + year)))
    result = run(defs, "shop_backup", instance, months=[open_month_key])
    checks = {check.check_name: check for check in result.get_asset_check_evaluations()}
    assert not checks["verified"].passed
    assert ahead.archive_id in str(checks["verified"].description)
    config = {"database": "shop", "target": str(tmp_path / "restored.sqlite")}
    refused = defs.resolve_job_def("restore_backup").execute_in_process(
        instance=instance, run_config={"ops": {"restore": {"config": config}}}, raise_on_error=False
    )
    assert "name an archive by its id" in failure(refused)


@pytest.mark.parametrize("damage", ["flip", "truncate", "remove"])
def test_a_damaged_backup_fails_every_check(
    source: Path,
    make_store_url: MakeStoreUrl,
    staging_root: Path,
    instance: dg.DagsterInstance,
    open_month_key: str,
    passphrase: str,
    damage: str,
    tmp_path: Path,
) -> None:
    url = make_store_url("local")
    defs = definitions(declared(source), url)
    assert run(defs, "shop_backup", instance, months=[open_month_key]).success
    store = open_store(url, staging_root=staging_root)
    (manifest,) = backups(store)
    path = Path(store.locate(f"{manifest.prefix}/{manifest.files[0].name}"))
    data = bytearray(path.read_bytes())
    if damage == "flip":
        data[len(data) // 3] ^= 1
    path.write_bytes(data[:-1] if damage == "truncate" else data)
    if damage == "remove":
        shutil.move(path, tmp_path / "elsewhere")
    only_checks = dg.Definitions(
        jobs=[dg.define_asset_job("recheck", dg.AssetSelection.checks_for_assets(KEY))]
    )
    recheck = dg.Definitions.merge(defs, only_checks).resolve_job_def("recheck")
    result = recheck.execute_in_process(
        instance=instance, tags={"dagster/partition": open_month_key}, raise_on_error=False
    )
    checks = {check.check_name: check for check in result.get_asset_check_evaluations()}
    assert not any(check.passed for check in checks.values())
    assert "nothing could be restored" in str(checks["covers_everything"].description)
    assert {check.severity.value for check in checks.values() if not check.blocking} == {"WARN"}
