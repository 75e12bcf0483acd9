"""Backups as Dagster ends up holding them, and as strangers open them."""

from __future__ import annotations

import shutil
import sqlite3
import subprocess
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, replace
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
from portability_tests.orchestration.databases import (
    declared,
    definitions,
    failure,
    run,
    with_rechecks,
)

JOBS = {"drill": "backup_drill", "restore": "restore_backup"}
KEY = dg.AssetKey(["shop", "backup"])


@dataclass(frozen=True)
class Shop:
    """The sample database at ``source``, declared with a backup into ``store``."""

    source: Path
    defs: dg.Definitions
    store: Store
    instance: dg.DagsterInstance
    month: str

    def back_up(self, *months: str) -> dg.ExecuteInProcessResult:
        """Run the backup, for the open month by default."""
        return run(self.defs, "shop_backup", self.instance, months=months or [self.month])

    def backed_up(self) -> Manifest:
        """The archive of a backup that succeeded; the newest in the store."""
        assert self.back_up().success
        return self.archives()[-1]

    def archives(self) -> list[Manifest]:
        """Every backup in the store, the oldest first."""
        return list(archives(self.store, "shop/backup"))

    def launch(self, op: str, **config: str) -> dg.ExecuteInProcessResult:
        """Run the job that has ``op`` alone."""
        return self.defs.resolve_job_def(JOBS[op]).execute_in_process(
            instance=self.instance,
            run_config={"ops": {op: {"config": {"database": "shop", **config}}}},
            raise_on_error=False,
        )

    def said(self, result: dg.ExecuteInProcessResult) -> list[str]:
        """What the project's own code said in the log of a run."""
        entries = self.instance.all_logs(result.run_id)
        return [entry.user_message for entry in entries if not entry.is_dagster_event]

    def file(self, manifest: Manifest, name: str = "") -> Path:
        """Where a file of an archive in a local store lies: its data by default."""
        return Path(self.store.locate(f"{manifest.prefix}/{name or manifest.files[0].name}"))


@pytest.fixture
def shop_at(
    source: Path, staging_root: Path, instance: dg.DagsterInstance, open_month_key: str
) -> Callable[[str], Shop]:
    """The shop with a store of any kind, and nothing to encrypt with."""

    def make(url: str) -> Shop:
        store = open_store(url, staging_root=staging_root)
        return Shop(source, definitions(declared(source), url), store, instance, open_month_key)

    return make


@pytest.fixture
def shop(shop_at: Callable[[str], Shop], make_store_url: MakeStoreUrl, passphrase: str) -> Shop:
    """The shop with a local store and a passphrase."""
    return shop_at(make_store_url("local"))


def content(path: Path) -> list[str]:
    with closing(sqlite3.connect(path)) as connection:
        return list(connection.iterdump())


def checks_of(result: dg.ExecuteInProcessResult) -> dict[str, dg.AssetCheckEvaluation]:
    return {check.check_name: check for check in result.get_asset_check_evaluations()}


def test_a_backup_is_proven_and_a_second_one_changes_nothing(
    shop_at: Callable[[str], Shop], store_url: str, passphrase: str
) -> None:
    shop = shop_at(store_url)
    for _ in range(2):
        result = shop.back_up()
        assert result.success
        checks = {
            (c.check_name, c.passed, c.partition) for c in result.get_asset_check_evaluations()
        }
        names = ("verified", "restores", "covers_everything")
        assert checks == {(name, True, shop.month) for name in names}
    (manifest,) = shop.archives()
    records = shop.instance.fetch_materializations(KEY, limit=9).records
    changed = [
        record.asset_materialization.metadata["changed"].value
        for record in records
        if record.asset_materialization
    ]
    assert changed == [False, True]
    assert manifest.encryption is not None
    assert manifest.encryption.cipher == "AES256"
    assert {table.name for table in manifest.tables} >= {"clients", "user_activity"}


def test_what_a_backup_leaves_unproven_is_a_warning(shop: Shop) -> None:
    with closing(sqlite3.connect(shop.source)) as connection:
        connection.create_function("shout", 1, str.upper, deterministic=True)
        connection.execute("CREATE TABLE loud (n TEXT, m TEXT AS (shout(n)) VIRTUAL)")
    result = shop.back_up()
    assert result.success
    checks = checks_of(result)
    assert {name for name, check in checks.items() if check.passed} == {"verified", "restores"}
    warning = checks["covers_everything"]
    assert warning.severity == dg.AssetCheckSeverity.WARN
    for check in checks.values():
        assert "table loud" in str(check.description)
        assert "unknown function: shout()" in str(check.description)


def test_gpg_and_zstd_restore_a_backup_without_this_project(
    shop: Shop, passphrase: str, tmp_path: Path
) -> None:
    file = shop.file(shop.backed_up())
    home = tmp_path / "gnupg"
    home.mkdir(mode=0o700)
    secret = tmp_path / "secret"
    secret.write_text(passphrase)
    gpg = ["gpg", "--homedir", str(home), "--batch", "--pinentry-mode", "loopback"]
    plain = subprocess.run(
        [*gpg, "--passphrase-file", str(secret), "-d", str(file)], capture_output=True, check=True
    ).stdout
    restored = tmp_path / "restored.sqlite"
    restored.write_bytes(
        subprocess.run(["zstd", "-dc"], input=plain, capture_output=True, check=True).stdout
    )
    subprocess.run(["gpgconf", "--homedir", str(home), "--kill", "all"], check=True)
    assert content(restored) == content(shop.source)


def test_a_month_that_is_not_open_is_refused_with_the_reason(shop: Shop) -> None:
    result = shop.back_up("2025-01-01")
    assert not result.success
    assert "one backup holds the database as it is now" in failure(result)
    assert shop.instance.fetch_materializations(KEY, limit=1).records == []


@pytest.mark.parametrize(
    ("minutes", "months", "taken"),
    [(5, 1, True), (355, 1, True), (365, 1, False), (5, 2, False)],
    ids=["at once", "just in time", "too late", "two months"],
)
def test_a_run_that_waited_past_midnight_still_backs_up_the_month_it_was_for(
    shop: Shop, monkeypatch: pytest.MonkeyPatch, minutes: int, months: int, taken: bool
) -> None:
    midnight = datetime.fromisoformat(shop.month).replace(tzinfo=UTC)
    closed = f"{midnight - timedelta(days=1):%Y-%m}-01"

    class Late(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> Late:
            return cls.fromtimestamp((midnight + timedelta(minutes=minutes)).timestamp(), tz)

    monkeypatch.setattr("portability_pipelines.orchestration.backups.datetime", Late)
    result = shop.back_up(*[closed, shop.month][:months])
    assert result.success == taken
    records = shop.instance.fetch_materializations(KEY, limit=9).records
    assert [record.partition_key for record in records] == [closed] * taken


def test_without_a_passphrase_nothing_is_written(
    shop_at: Callable[[str], Shop], make_store_url: MakeStoreUrl
) -> None:
    shop = shop_at(make_store_url("local"))
    result = shop.back_up()
    assert not result.success
    assert "PORTABILITY_PASSPHRASE" in failure(result)
    assert list(shop.store.list("")) == []


def test_a_database_without_any_declared_table_takes_no_backups_place(shop: Shop) -> None:
    assert shop.back_up().success
    shop.source.write_bytes(b"")
    result = shop.back_up()
    assert not result.success
    assert "shop holds none of its declared tables" in failure(result)
    assert len(shop.archives()) == 1


def test_another_passphrase_makes_a_new_archive_and_fails_to_open_the_old(
    shop: Shop, passphrase: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    old = shop.backed_up()
    monkeypatch.setenv("PORTABILITY_PASSPHRASE", "quite-another-one")
    assert shop.backed_up() != old
    target = tmp_path / "restored.sqlite"
    result = shop.launch("restore", target=str(target), archive_id=old.archive_id)
    assert not result.success
    assert "wrong passphrase" in failure(result)
    assert passphrase not in failure(result)
    assert not target.exists()


def test_a_backup_is_restored_into_a_new_file_only(
    shop_at: Callable[[str], Shop], store_url: str, passphrase: str, tmp_path: Path
) -> None:
    shop = shop_at(store_url)
    assert shop.back_up().success
    target = tmp_path / "restored" / "shop.sqlite"
    target.parent.mkdir()
    restored = shop.launch("restore", target=str(target))
    assert content(target) == content(shop.source)
    (output,) = (e.step_output_data for e in restored.all_events if e.is_successful_output)
    assert "PORTABILITY_MANIFEST_KEY is not set" in str(output.metadata["seal"].value)
    (line,) = shop.said(restored)
    (manifest,) = shop.archives()
    assert f"{manifest.rows:,} rows of {manifest.archive_id}, taken 20" in line
    assert f" UTC, to {target}; seal: the manifest.json of" in line
    again = shop.launch("restore", target=str(target))
    assert "exists already" in failure(again)
    nowhere = shop.launch("restore", target="")
    assert "is a folder. Give the path of a new file" in failure(nowhere)
    assert [path.name for path in target.parent.iterdir()] == ["shop.sqlite"]


@pytest.mark.parametrize("op", JOBS)
def test_a_job_opens_with_what_to_write_over_and_fills_nothing_in(shop: Shop, op: str) -> None:
    job = shop.defs.resolve_job_def(JOBS[op])
    unchanged = job.execute_in_process(instance=shop.instance, raise_on_error=False)
    assert "There is no backup of 'name of the database' in" in failure(unchanged)
    with pytest.raises(dg.DagsterInvalidConfigError, match="Missing required config"):
        job.execute_in_process({"ops": {op: {"config": {}}}}, shop.instance)


def test_a_damaged_manifest_stops_only_the_restore_of_its_own_archive(
    shop: Shop, tmp_path: Path
) -> None:
    older = shop.backed_up()
    with closing(sqlite3.connect(shop.source)) as connection, connection:
        connection.execute("UPDATE user_activity SET details = 'newer'")
    newer = shop.backed_up()
    shop.file(newer, MANIFEST_NAME).write_text("{")
    target = str(tmp_path / "restored.sqlite")
    assert newer.archive_id in failure(shop.launch("restore", target=target))
    assert shop.launch("restore", target=target, archive_id=older.archive_id).success


def test_a_backup_of_an_engine_that_a_later_release_brought_is_refused_in_one_line(
    shop: Shop,
) -> None:
    manifest = shop.backed_up()
    later = replace(manifest, source=replace(manifest.source, engine="oracle"))
    shop.file(manifest, MANIFEST_NAME).write_bytes(later.to_json())
    drilled = shop.launch("drill")
    assert "There is no engine called 'oracle'. This release has: sqlite" in failure(drilled)


def test_a_backup_that_another_from_a_wrong_clock_overshadows_is_not_verified(
    shop: Shop, tmp_path: Path
) -> None:
    year = timedelta(days=366)
    month = str(Month.of(datetime.now(UTC) + year))
    ahead = taken_ahead(shop.store, shop.backed_up(), year, period=month)
    verified = checks_of(shop.back_up())["verified"]
    assert not verified.passed
    assert ahead.archive_id in str(verified.description)
    refused = shop.launch("restore", target=str(tmp_path / "restored.sqlite"))
    assert "name an archive by its id" in failure(refused)


def test_a_drill_says_how_much_was_proven_and_what_was_not_looked_at(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    with closing(sqlite3.connect(shop.source)) as connection:
        connection.create_function("shout", 1, str.upper, deterministic=True)
        connection.execute("CREATE TABLE loud (n TEXT, m TEXT AS (shout(n)) VIRTUAL)")
    manifest = shop.backed_up()
    (line,) = shop.said(shop.launch("drill"))
    assert line.startswith(f"{manifest.archive_id}: 8 proofs held; not looked at: seal (")
    assert line.count("table loud (unknown function: shout()") == 1


@pytest.mark.parametrize("damage", ["flip", "truncate", "remove"])
def test_a_damaged_backup_fails_every_check(shop: Shop, damage: str, tmp_path: Path) -> None:
    path = shop.file(shop.backed_up())
    data = bytearray(path.read_bytes())
    if damage == "flip":
        data[len(data) // 3] ^= 1
    path.write_bytes(data[:-1] if damage == "truncate" else data)
    if damage == "remove":
        shutil.move(path, tmp_path / "elsewhere")
    recheck = with_rechecks(shop.defs, KEY).resolve_job_def("recheck")
    result = recheck.execute_in_process(
        instance=shop.instance, tags={"dagster/partition": shop.month}, raise_on_error=False
    )
    checks = checks_of(result)
    assert not any(check.passed for check in checks.values())
    assert "nothing could be restored" in str(checks["covers_everything"].description)
    assert {check.severity.value for check in checks.values() if not check.blocking} == {"WARN"}
