"""Backups: encrypted, proven against their own snapshot, and all or nothing."""

from __future__ import annotations

import sqlite3
import subprocess
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from portability_pipelines.domain.errors import PermanentError, RefusedError
from portability_pipelines.engines.base import Engine
from portability_pipelines.engines.registry import open_engine
from portability_pipelines.filters.openpgp_keys import Passphrase
from portability_pipelines.stores.base import Store
from portability_pipelines.workflows.backup import back_up
from portability_pipelines.workflows.drafts import Secrets
from portability_tests.archives import archives
from portability_tests.filters.keys import Person
from portability_tests.processes import children
from portability_tests.workflows.disturbed import WatchedStore, engine_losing_rows
from portability_tests.workflows.walks import (
    NOVEMBER,
    PASSPHRASE,
    SECRETS,
    archives_are_whole,
    archivist,
    backup,
    change,
    constant_writer,
    content_of,
    failed,
    keys,
    silent,
    verify,
)


@pytest.fixture
def engine(database: Path, tmp_path: Path) -> Engine:
    return open_engine("sqlite", database, tmp_path / "scratch")


def stages(folder: Path) -> list[Path]:
    return list(folder.rglob("stage-*"))


def test_a_backup_is_proven_and_says_what_it_holds(
    database: Path, store: Store, scratch: Path
) -> None:
    written = backup(database, store)

    manifest = written.manifest
    assert written.fresh
    assert archives_are_whole(store) == [manifest]
    assert [file.name for file in manifest.files] == ["shop.sqlite.zst.gpg"]
    with closing(sqlite3.connect(database)) as connection:
        for table in manifest.tables:
            count = connection.execute(f'SELECT count(*) FROM "{table.name}"').fetchone()
            assert (table.rows,) == count
    proofs = verify(store, manifest, scratch)
    assert failed(proofs) == {}
    assert [proof.name for proof in proofs] == [
        "seal",
        "file_existence",
        "checksum_validation",
        "decryption_test",
        "decompression_test",
        "sqlite_integrity_check",
        "restore_drill",
        "row_counts",
        "content_digest",
    ]


@pytest.mark.usefixtures("standard_tools")
def test_others_open_a_backup_without_this_project(
    database: Path, store: Store, tmp_path: Path
) -> None:
    manifest = backup(database, store).manifest
    stored, opened = tmp_path / "stored.gpg", tmp_path / "opened.zst"
    stored.write_bytes(content_of(store, f"{manifest.prefix}/{manifest.files[0].name}"))

    home = tmp_path / "home"
    home.mkdir(mode=0o700)
    options = ["--homedir", str(home), "--batch", "--pinentry-mode", "loopback"]
    argv = [
        "gpg",
        *options,
        "--passphrase",
        PASSPHRASE.secret,
        "-o",
        str(opened),
        "-d",
        str(stored),
    ]
    subprocess.run(argv, check=True, capture_output=True)
    subprocess.run(["zstd", "-q", "-d", opened, "-o", tmp_path / "app.sqlite"], check=True)

    with closing(sqlite3.connect(tmp_path / "app.sqlite")) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert connection.execute("SELECT count(*) FROM user_activity").fetchone() == (1000,)


def test_an_unchanged_database_is_not_written_again(database: Path, store: Store) -> None:
    first = backup(database, store)

    second = backup(database, store)

    assert not second.fresh
    assert second.manifest == first.manifest
    assert archives_are_whole(store) == [first.manifest]


def test_a_changed_row_makes_a_new_archive(database: Path, store: Store, scratch: Path) -> None:
    backup(database, store)
    change(database)

    second = backup(database, store)

    assert second.fresh
    assert failed(verify(store, second.manifest, scratch)) == {}
    assert len(archives_are_whole(store)) == 2


def test_an_archive_that_the_passphrase_of_today_does_not_open_is_written_again(
    database: Path, store: Store, scratch: Path
) -> None:
    backup(database, store)
    new = Passphrase("another passphrase")
    rotated = replace(SECRETS, encrypt=new, decrypt=new)

    second = backup(database, store, rotated)

    assert second.fresh
    assert failed(verify(store, second.manifest, scratch, rotated)) == {}
    assert not backup(database, store, rotated).fresh


def test_a_backup_to_a_recipient_needs_no_secret_here(
    database: Path, store: Store, scratch: Path, alice: Person, bob: Person
) -> None:
    sealed = Secrets(alice.recipients, None, SECRETS.seal)

    manifest = backup(database, store, sealed).manifest

    assert manifest.encryption is not None
    assert manifest.encryption.recipients
    assert not backup(database, store, sealed).fresh
    with_key = replace(sealed, decrypt=alice.secret_key)
    assert failed(verify(store, manifest, scratch, with_key)) == {}
    assert backup(database, store, replace(sealed, encrypt=bob.recipients)).fresh


def test_a_backup_without_a_key_is_refused(database: Path, store: Store) -> None:
    with pytest.raises(RefusedError, match=r"nothing to encrypt.*PORTABILITY_PASSPHRASE"):
        backup(database, store, Secrets())
    assert keys(store) == []


def test_the_plaintext_is_gone_before_anything_is_put(database: Path, store: Store) -> None:
    watched = WatchedStore(store)

    backup(database, watched)

    assert watched.beside
    assert not any(content.startswith(b"SQLite format 3") for content in watched.beside)


@pytest.mark.parametrize("fault", [None, PermanentError("the disk under it died", "Mend it.")])
def test_rows_that_cannot_be_proven_are_not_backed_up(
    engine: Engine, store: Store, tmp_path: Path, fault: Exception | None
) -> None:
    expected = "the disk under it died" if fault else "gave .* rows where its snapshot counts"
    lossy = engine_losing_rows(engine, fault)
    with pytest.raises(PermanentError, match=expected):
        back_up(lossy, "shop", NOVEMBER, archivist(store), silent)

    assert keys(store) == []
    assert stages(tmp_path) == []


def test_a_damaged_database_is_not_backed_up(database: Path, store: Store, tmp_path: Path) -> None:
    with database.open("r+b") as file:
        file.seek(4096 * 8)
        file.write(bytes(4096 * 40))
    with pytest.raises(PermanentError, match="malformed"):
        backup(database, store)

    assert keys(store) == []
    assert stages(tmp_path) == []


def test_a_cancelled_backup_leaves_nothing(engine: Engine, store: Store, tmp_path: Path) -> None:
    before = children()

    def cancel(done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        back_up(engine, "shop", NOVEMBER, archivist(store), cancel)

    assert keys(store) == []
    assert stages(tmp_path) == []
    assert children() <= before


def test_progress_reaches_the_whole_file(engine: Engine, store: Store) -> None:
    said: list[tuple[int, int]] = []

    manifest = back_up(
        engine, "shop", NOVEMBER, archivist(store), lambda done, total: said.append((done, total))
    ).manifest

    size = manifest.files[0].plaintext_size_bytes
    assert said[-1] == (size, size)
    assert said == sorted(said)


def test_every_backup_agrees_with_its_own_snapshot_while_others_write(
    database: Path, store: Store, scratch: Path
) -> None:
    with constant_writer(database):
        rounds = [backup(database, store) for _ in range(6)]

    assert all(result.fresh for result in rounds)
    assert len(list(archives(store, "shop/backup"))) == len(rounds)
    for result in rounds:
        assert failed(verify(store, result.manifest, scratch)) == {}
