"""What only a store on a disk can meet: a full disk, a forbidden folder, what others put there."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from portability_pipelines.domain.errors import PermanentError
from portability_pipelines.stores.local import LocalStore

NOBODY = 65534
FULL = r"disk of .* is full.*Free space"
PREFIX = "sample/exports/clients/all/1"


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of one mebibyte; needs the right to mount one, which CI has."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = shutil.which("mount") or "mount"
    done = subprocess.run(
        [mount, "-t", "tmpfs", "-o", "size=1m", "tmpfs", disk], capture_output=True, check=False
    )
    if done.returncode:
        message = f"Run as root to mount a small disk: {done.stderr.decode()}"
        pytest.fail(message) if os.environ.get("CI") else pytest.skip(message)
    try:
        yield disk
    finally:
        subprocess.run(["umount", disk], check=True)


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that every user may look into, unlike ``tmp_path``."""
    with TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)
        for below in (folder / Path("store"), folder / Path("store/a")):
            below.chmod(0o700)


@pytest.fixture(autouse=True)
def _usual_umask() -> Iterator[None]:
    """What people have who set nothing: others may read."""
    before = os.umask(0o022)
    yield
    os.umask(before)


def names(store: LocalStore) -> list[str]:
    return [stored.key for stored in store.list("")]


def test_a_full_disk_while_staging_says_so_and_frees_what_it_took(small_disk: Path) -> None:
    store = LocalStore(small_disk)
    with pytest.raises(PermanentError, match=FULL), store.stage(PREFIX) as folder:
        (folder / "data").write_bytes(bytes(2_000_000))

    store.publish("after", bytes(500_000))
    assert names(store) == ["after"]


def test_a_full_disk_while_publishing_leaves_nothing(small_disk: Path) -> None:
    store = LocalStore(small_disk)
    with pytest.raises(PermanentError, match=FULL):
        store.publish("manifest.json", bytes(2_000_000))

    assert names(store) == []
    assert not list(small_disk.glob("**/stage-*"))


@pytest.mark.parametrize("readable", [True, False])
def test_a_forbidden_folder_is_named(open_folder: Path, readable: bool) -> None:
    root = open_folder / "store"
    LocalStore(root).publish("a/data", b"")
    for folder in (root / "a", root):
        folder.chmod(0o555 if readable else 0)
    done = _as_nobody(
        "import sys; from pathlib import Path\n"
        "from portability_pipelines.domain.errors import PermanentError\n"
        "from portability_pipelines.stores.local import LocalStore\n"
        "store = LocalStore(Path(sys.argv[1]))\n"
        "actions = (lambda: list(store.list('')), lambda: store.open('a/data'),\n"
        "    lambda: store.publish('b', b''), lambda: store.delete('a/data'))\n"
        "for action in actions:\n"
        "    try: action(); print('allowed')\n"
        "    except PermanentError as error: print(error)\n",
        str(root),
    )

    may_list, may_open, may_publish, may_delete = done
    refusals = [may_publish, may_delete] if readable else done
    assert all(f"failed in {root}" in line for line in refusals)
    assert all("Let the user that runs this" in line for line in refusals)
    assert not readable or (may_list, may_open) == ("allowed", "allowed")


def test_a_store_made_here_is_private(tmp_path: Path) -> None:
    root = tmp_path / "missing" / "store"
    store = LocalStore(root)
    with store.stage(PREFIX) as folder:
        (folder / "data").write_bytes(b"1")
        store.put(folder / "data", f"{PREFIX}/data")

    assert root.stat().st_mode & 0o777 == 0o700


def test_a_folder_that_somebody_made_keeps_its_mode(tmp_path: Path) -> None:
    root = tmp_path / "store"
    root.mkdir()
    root.chmod(0o775)
    LocalStore(root).publish("a/data", b"1")

    modes = [path.stat().st_mode & 0o777 for path in (root, root / "a", root / ".staging")]
    assert modes == [0o775, 0o755, 0o755]


def test_deletion_leaves_no_empty_folders(tmp_path: Path) -> None:
    store = LocalStore(tmp_path / "store")
    store.publish("a/b/c/data", b"")
    store.publish("a/other", b"")

    store.delete("a/b/c/data")

    assert sorted(path.name for path in (tmp_path / "store" / "a").iterdir()) == ["other"]


def test_a_mounted_disk_may_be_the_store(tmp_path: Path) -> None:
    (tmp_path / "lost+found").mkdir()
    (tmp_path / "lost+found" / "#12").touch()

    assert names(LocalStore(tmp_path)) == []


def test_a_link_to_nothing_is_no_object(tmp_path: Path) -> None:
    (tmp_path / "dangling").symlink_to("absent")

    assert names(LocalStore(tmp_path)) == []


def test_an_intent_that_nobody_here_wrote_stops_the_sweep(tmp_path: Path) -> None:
    store = LocalStore(tmp_path)
    store.publish(f"{PREFIX}/data", b"")
    place = tmp_path / ".staging" / "stage-odd"
    place.mkdir()
    (place / "intent.json").write_text("[]")

    with pytest.raises(PermanentError, match="does not say what was staged"):
        store.sweep()
    assert names(store) == [f"{PREFIX}/data"]


def _as_nobody(program: str, *arguments: str) -> list[str]:
    """Run ``program`` without root's rights, which override every mode; gives its lines."""
    drop = f"import os; os.geteuid() or os.setuid({NOBODY})\n"
    modules = "from portability_pipelines.stores import local\n"
    done = subprocess.run(
        [sys.executable, "-c", modules + drop + program, *arguments],
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.splitlines()
