"""A disk that fills up at one point or another: said so, and nothing half visible."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import pytest

from portability_pipelines.domain.errors import PermanentError
from portability_pipelines.engines.registry import open_engine
from portability_pipelines.stores.base import Store
from portability_pipelines.stores.registry import open_store
from portability_pipelines.workflows.restore import restore
from portability_tests.conftest import MakeStore, MakeStoreUrl
from portability_tests.workflows.walks import (
    SECRETS,
    archives_are_whole,
    backup,
    export,
    failed,
    keys,
    sample,
    verify,
)

MakeDisk = Callable[[int], Path]

FULL = r"(is full|No space left)"


@pytest.fixture
def make_disk(tmp_path: Path) -> Iterator[MakeDisk]:
    """Mounts disks of a few KiB; needs the right to mount, which CI has."""
    with ExitStack() as mounted:

        def make(size_kib: int) -> Path:
            disk = tmp_path / f"disk-{size_kib}"
            disk.mkdir()
            argv = [shutil.which("mount") or "mount", "-t", "tmpfs", "-o", f"size={size_kib}k"]
            done = subprocess.run([*argv, "tmpfs", disk], capture_output=True, check=False)
            if done.returncode:
                message = f"Run as root to mount a small disk: {done.stderr.decode()}"
                pytest.fail(message) if os.environ.get("CI") else pytest.skip(message)
            mounted.callback(lambda: subprocess.run(["umount", disk], check=True))
            return disk

        yield make


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return sample(tmp_path_factory.mktemp("full") / "shop.sqlite", 1000)


def _export(database: Path, store: Store) -> object:
    return export(database, store, "user_activity", "timestamp")


# The sample database takes 800 KiB, its backup 100 KiB, an export of a month 10 KiB.
@pytest.mark.parametrize(
    ("write", "size_kib"),
    [
        *((_export, size_kib) for size_kib in (16, 48, 100, 200, 400)),
        *((backup, size_kib) for size_kib in (16, 48, 80, 100)),
    ],
)
def test_a_store_without_room(
    write: Callable[[Path, Store], object], size_kib: int, database: Path, make_disk: MakeDisk
) -> None:
    disk = make_disk(size_kib)
    store = open_store((disk / "store").as_uri(), staging_root=disk)

    with pytest.raises(PermanentError, match=FULL):
        write(database, store)

    archives_are_whole(store)
    assert list(disk.rglob("stage-*")) == []


@pytest.mark.parametrize("size_kib", [16, 100])
@pytest.mark.parametrize("write", [_export, backup], ids=["export", "backup"])
def test_a_staging_folder_without_room(
    write: Callable[[Path, Store], object],
    size_kib: int,
    database: Path,
    make_disk: MakeDisk,
    make_store_url: MakeStoreUrl,
) -> None:
    disk = make_disk(size_kib)
    store = open_store(make_store_url("s3"), staging_root=disk / "staging")

    with pytest.raises(PermanentError, match=FULL):
        write(database, store)

    assert keys(store) == []
    assert list(disk.rglob("stage-*")) == []


def test_a_copy_without_room_is_not_read(
    database: Path, make_disk: MakeDisk, tmp_path: Path
) -> None:
    copied = shutil.copy(database, tmp_path)
    with closing(sqlite3.connect(copied)) as connection:
        connection.execute("PRAGMA journal_mode = DELETE")
    scratch = make_disk(400) / "scratch"
    engine = open_engine("sqlite", Path(copied), scratch)

    with pytest.raises(PermanentError, match=FULL), engine.freeze():
        pass

    assert list(scratch.iterdir()) == []


def test_a_scratch_folder_without_room_is_not_the_fault_of_the_archive(
    database: Path, make_store: MakeStore, make_disk: MakeDisk, tmp_path: Path
) -> None:
    store, disk = make_store("local"), make_disk(200)
    manifest = backup(database, store).manifest

    with pytest.raises(PermanentError, match=FULL):
        verify(store, manifest, disk / "scratch")

    assert list((disk / "scratch").iterdir()) == []
    assert failed(verify(store, manifest, tmp_path / "scratch")) == {}


def test_a_target_without_room_is_not_restored_to(
    database: Path, make_store: MakeStore, make_disk: MakeDisk, tmp_path: Path
) -> None:
    store, disk = make_store("local"), make_disk(200)
    manifest = backup(database, store).manifest

    with pytest.raises(PermanentError, match=FULL):
        restore(store, manifest, SECRETS, disk / "app.sqlite", tmp_path / "scratch")

    assert list(disk.iterdir()) == []
