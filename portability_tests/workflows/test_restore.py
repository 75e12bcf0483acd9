"""Restoring: a new file that is what was backed up, or nothing."""

from __future__ import annotations

import hashlib
import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from portability_pipelines.domain.errors import PermanentError, RefusedError
from portability_pipelines.domain.manifest import Manifest
from portability_pipelines.filters.openpgp_keys import Passphrase
from portability_pipelines.stores.base import Store
from portability_pipelines.workflows.drafts import Secrets
from portability_pipelines.workflows.restore import restore
from portability_tests.filters.keys import Person
from portability_tests.workflows.disturbed import WatchedStore
from portability_tests.workflows.walks import (
    SECRETS,
    backup,
    content_of,
    export_whole,
    flipped,
    replace_object,
)


@pytest.fixture
def target(tmp_path: Path) -> Path:
    folder = tmp_path / "restored"
    folder.mkdir()
    return folder / "app.sqlite"


@pytest.fixture
def archived(database: Path, local: Store) -> Manifest:
    return backup(database, local).manifest


def test_the_restored_file_is_what_was_backed_up(
    database: Path, store: Store, target: Path, scratch: Path
) -> None:
    archived = backup(database, store).manifest

    restore(store, archived, SECRETS, target, scratch)

    content = target.read_bytes()
    assert hashlib.sha256(content).hexdigest() == archived.files[0].plaintext_sha256
    assert target.stat().st_mode & 0o777 == 0o600
    assert list(target.parent.iterdir()) == [target]
    with closing(sqlite3.connect(target)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        for table in archived.tables:
            count = connection.execute(f'SELECT count(*) FROM "{table.name}"').fetchone()
            assert count == (table.rows,)


@pytest.mark.parametrize("taken", ["app.sqlite", "app.sqlite-wal", "app.sqlite-journal"])
def test_what_exists_is_refused_and_never_touched(
    local: Store, archived: Manifest, target: Path, scratch: Path, taken: str
) -> None:
    there = target.with_name(taken)
    there.write_bytes(b"precious")

    with pytest.raises(RefusedError, match=rf"{taken} exists already.*Restore to a new file"):
        restore(local, archived, SECRETS, target, scratch)

    assert list(target.parent.iterdir()) == [there]
    assert there.read_bytes() == b"precious"


@pytest.mark.parametrize("name", ["app.sqlite-wal", "app.sqlite-journal", "app.sqlite-shm"])
def test_a_name_that_sqlite_would_delete_is_refused(
    local: Store, archived: Manifest, target: Path, scratch: Path, name: str
) -> None:
    target.with_name("app.sqlite").write_bytes(b"precious")

    with pytest.raises(RefusedError, match=rf"{name} has the name of a journal of app\.sqlite"):
        restore(local, archived, SECRETS, target.with_name(name), scratch)

    assert [path.name for path in target.parent.iterdir()] == ["app.sqlite"]


def test_a_link_that_leads_nowhere_is_refused(
    local: Store, archived: Manifest, target: Path, scratch: Path
) -> None:
    target.symlink_to(target.with_name("elsewhere"))

    with pytest.raises(RefusedError, match="exists already"):
        restore(local, archived, SECRETS, target, scratch)
    assert list(target.parent.iterdir()) == [target]


def test_a_file_that_appears_meanwhile_is_kept(
    local: Store, archived: Manifest, target: Path, scratch: Path
) -> None:
    watched = WatchedStore(local)
    watched.opened = lambda key: target.write_bytes(b"precious")

    with pytest.raises(RefusedError, match="appeared while"):
        restore(watched, archived, SECRETS, target, scratch)

    assert target.read_bytes() == b"precious"
    assert list(target.parent.iterdir()) == [target]


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ("", "is a folder"),
        ("/", "is a folder"),
        ("{folder}", "is a folder"),
        ("{folder}/", "is a folder"),
        ("{folder}/" + 300 * "x", "cannot name a file: File name too long"),
        ("{folder}/a\0b", "cannot name a file: embedded null"),
    ],
    ids=["nothing", "root", "folder", "slash", "long", "null"],
)
def test_a_target_that_names_no_new_file_is_refused_before_anything_is_read(
    local: Store, archived: Manifest, target: Path, scratch: Path, given: str, reason: str
) -> None:
    watched, opened = WatchedStore(local), list[str]()
    watched.opened = opened.append

    with pytest.raises(RefusedError, match=reason):
        restore(watched, archived, SECRETS, Path(given.format(folder=target.parent)), scratch)

    assert opened == []
    assert list(target.parent.iterdir()) == []


def test_a_missing_folder_is_refused(
    local: Store, archived: Manifest, target: Path, scratch: Path
) -> None:
    with pytest.raises(RefusedError, match="There is no folder"):
        restore(local, archived, SECRETS, target / "deeper" / "app.sqlite", scratch)


@pytest.mark.parametrize(
    ("secrets", "reason"),
    [
        (replace(SECRETS, decrypt=Passphrase("hunter2-hunter2")), "wrong passphrase"),
        (replace(SECRETS, seal=b"another key"), "is not what was sealed"),
        (Secrets(), "a passphrase, which is not here"),
    ],
    ids=["passphrase", "seal", "no key"],
)
def test_wrong_keys_restore_nothing(
    local: Store, archived: Manifest, target: Path, scratch: Path, secrets: Secrets, reason: str
) -> None:
    with pytest.raises(PermanentError, match=reason) as caught:
        restore(local, archived, secrets, target, scratch)

    assert "hunter2" not in str(caught.value)
    assert list(target.parent.iterdir()) == []


def test_a_secret_key_in_use_never_lies_where_the_backup_is_restored_to(
    database: Path, local: Store, target: Path, scratch: Path, alice: Person
) -> None:
    archived = backup(database, local, Secrets(alice.recipients)).manifest
    watched, there, elsewhere = WatchedStore(local), set[str](), set[str]()

    def look() -> None:
        there.update(path.name for path in target.parent.rglob("*.key"))
        elsewhere.update(path.name for path in scratch.rglob("*.key"))

    watched.reading = look
    restore(watched, archived, Secrets(None, alice.secret_key), target, scratch)

    assert (there, bool(elsewhere)) == (set(), True)
    assert list(scratch.iterdir()) == []


@pytest.mark.parametrize("position", [0.0, 0.3, 0.7, 0.99999])
def test_damage_restores_nothing(
    local: Store, archived: Manifest, target: Path, scratch: Path, position: float
) -> None:
    key = f"{archived.prefix}/{archived.files[0].name}"
    content = content_of(local, key)
    replace_object(local, key, flipped(content, int(len(content) * position)))

    with pytest.raises(PermanentError, match=archived.files[0].name):
        restore(local, archived, SECRETS, target, scratch)
    assert list(target.parent.iterdir()) == []


def test_an_export_is_refused(database: Path, local: Store, target: Path, scratch: Path) -> None:
    with pytest.raises(RefusedError, match="is not a backup but exports"):
        restore(local, export_whole(database, local).manifest, SECRETS, target, scratch)
