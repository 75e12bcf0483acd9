"""What a writer leaves behind when its process is killed, and what a sweep makes of it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from threading import Event

import pytest

from portability_pipelines.stores.base import Store
from portability_pipelines.stores.local import LocalStore
from portability_pipelines.stores.registry import open_store
from portability_tests.conformance.writer import PREFIX
from portability_tests.conftest import MakeStoreUrl
from portability_tests.servers import S3Server

ARCHIVE = [f"{PREFIX}/data", f"{PREFIX}/manifest.json", f"{PREFIX}/tables/big"]

Start = Callable[[str, str], "subprocess.Popen[str]"]


@pytest.fixture
def start(staging_root: Path) -> Iterator[Start]:
    """Starts a writer process on a store and returns once it stands at the given moment."""
    with ExitStack() as stack:

        def run(url: str, moment: str) -> subprocess.Popen[str]:
            argv = [sys.executable, "-m", "portability_tests.conformance.writer"]
            argv += [url, str(staging_root), moment]
            process = stack.enter_context(subprocess.Popen(argv, stdout=subprocess.PIPE, text=True))
            stack.callback(process.kill)
            assert process.stdout
            assert process.stdout.readline() == f"{moment}\n"
            return process

        yield run


@pytest.fixture
def staged_folders(tmp_path: Path) -> Callable[[], list[Path]]:
    """Gives the staging folders that stand, whichever the backend."""
    return lambda: sorted(tmp_path.glob("**/stage-*"))


def keys(store: Store, prefix: str = "") -> list[str]:
    return [stored.key for stored in store.list(prefix)]


def kill(process: subprocess.Popen[str]) -> None:
    process.kill()
    process.wait()


@pytest.mark.parametrize("moment", ["staged", "put"])
def test_a_dead_writer_is_swept_away(
    store: Store, start: Start, staged_folders: Callable[[], list[Path]], moment: str
) -> None:
    store.publish("sample/other/data", b"not ours")
    kill(start(store.url, moment))
    (dead,) = staged_folders()

    removed = store.sweep()

    assert keys(store) == ["sample/other/data"]
    assert staged_folders() == []
    put = [store.locate(f"{PREFIX}/{name}") for name in ("data", "tables/big")]
    assert removed == (*(put if moment == "put" else ()), str(dead))
    assert store.sweep() == ()


def test_a_dead_writer_is_swept_away_after_its_disk_was_mounted_elsewhere(
    start: Start, staged_folders: Callable[[], list[Path]], tmp_path: Path
) -> None:
    kill(start((tmp_path / "disk" / "store").as_uri(), "put"))
    (tmp_path / "disk").rename(tmp_path / "elsewhere")
    store = LocalStore(tmp_path / "elsewhere" / "store")
    assert keys(store) != []

    store.sweep()

    assert keys(store) == []
    assert staged_folders() == []


def test_a_published_archive_survives(
    store: Store, start: Start, staged_folders: Callable[[], list[Path]]
) -> None:
    kill(start(store.url, "published"))

    store.sweep()

    assert keys(store) == ARCHIVE
    assert staged_folders() == []


def test_a_live_writer_is_left_alone(
    store: Store, start: Start, staged_folders: Callable[[], list[Path]]
) -> None:
    process = start(store.url, "put")

    assert store.sweep() == ()
    assert keys(store) == [f"{PREFIX}/data", f"{PREFIX}/tables/big"]
    assert len(staged_folders()) == 1
    kill(process)
    assert len(store.sweep()) == 3


def test_a_sweep_never_takes_a_folder_that_is_being_made(
    store: Store, store_url: str, staging_root: Path
) -> None:
    sweeper = open_store(store_url, staging_root=staging_root)
    staged = Event()

    def stage_often() -> None:
        try:
            for _ in range(150):
                with store.stage(PREFIX) as folder:
                    (folder / "data").touch()
        finally:
            staged.set()

    with ThreadPoolExecutor(1) as pool:
        writer = pool.submit(stage_often)
        while not staged.is_set():
            assert sweeper.sweep() == ()
        writer.result()


def test_this_process_counts_as_live(store: Store) -> None:
    with store.stage(PREFIX) as folder:
        assert store.sweep() == ()
        assert folder.is_dir()


def test_a_prefix_shared_with_a_live_writer_waits(store: Store, start: Start) -> None:
    kill(start(store.url, "put"))

    with store.stage("sample/backup"):
        assert store.sweep() == ()
        assert len(keys(store)) == 2
    assert len(store.sweep()) == 3


def test_a_writer_killed_before_it_declared_its_intent_is_removed(
    store: Store, staged_folders: Callable[[], list[Path]]
) -> None:
    with store.stage(PREFIX) as folder:
        half = folder.parent.with_name("stage-half")
    half.mkdir()

    assert store.sweep() == (str(half),)
    assert staged_folders() == []


def test_stores_on_one_staging_root_sweep_only_their_own(
    store: Store, store_url: str, staging_root: Path, start: Start
) -> None:
    kill(start(store.url, "put"))
    neighbour = open_store(f"{store_url}-neighbour", staging_root=staging_root)

    assert neighbour.sweep() == ()
    assert len(store.sweep()) == 3


def test_an_unfinished_upload_is_aborted(
    s3_environment: S3Server,
    make_store_url: MakeStoreUrl,
    staging_root: Path,
    start: Start,
) -> None:
    url = make_store_url("s3")
    kill(start(url, "uploading"))
    client = s3_environment.client()
    prefix = f"{url.removeprefix(f's3://{s3_environment.bucket}/')}/"
    unfinished = client.list_multipart_uploads(Bucket=s3_environment.bucket, Prefix=prefix)
    assert len(unfinished["Uploads"]) == 1

    open_store(url, staging_root=staging_root).sweep()

    left = client.list_multipart_uploads(Bucket=s3_environment.bucket, Prefix=prefix)
    assert "Uploads" not in left
    assert client.list_objects_v2(Bucket=s3_environment.bucket, Prefix=prefix)["KeyCount"] == 0
