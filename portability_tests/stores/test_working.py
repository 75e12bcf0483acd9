"""Working folders: private, gone afterwards, and swept where their process was killed."""

from __future__ import annotations

import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import pytest

from portability_pipelines.domain.errors import PermanentError
from portability_pipelines.stores.locks import locked
from portability_pipelines.stores.working import working_folder

_WORKER = """
import os, pathlib, signal, sys
from portability_pipelines.stores.working import working_folder

with working_folder(pathlib.Path(sys.argv[1]), "verify-") as folder:
    (folder / "plain").write_text("secret")
    os.kill(os.getpid(), signal.SIGKILL)
"""

_DYING_EARLY = """
import os, pathlib, signal, sys
from portability_pipelines.stores import working

def die(*_): os.kill(os.getpid(), signal.SIGKILL)
def die_after(made):
    return lambda *given, **named: (made(*given, **named), die())

parent, moment = pathlib.Path(sys.argv[1]), sys.argv[2]
if moment == "mkdir": working.locked = die
if moment == "locked": working.locked = die_after(working.locked)
if moment == "rename": pathlib.Path.rename = die_after(pathlib.Path.rename)
with working.working_folder(parent, "verify-"): pass
"""


def _killed(parent: Path, worker: str = _WORKER, *arguments: str) -> None:
    argv = [sys.executable, "-c", worker, str(parent), *arguments]
    done = subprocess.run(argv, check=False)
    assert done.returncode == -signal.SIGKILL


def test_a_folder_is_private_and_gone_afterwards(tmp_path: Path) -> None:
    with working_folder(tmp_path / "scratch", "verify-") as folder:
        (folder / "plain").write_text("secret")

        assert {place.stat().st_mode & 0o777 for place in (folder, folder.parent)} == {0o700}

    assert list((tmp_path / "scratch").iterdir()) == []


def test_it_is_gone_after_an_error_too(tmp_path: Path) -> None:
    with suppress(KeyError), working_folder(tmp_path, "verify-") as folder:
        (folder / "plain").write_text("secret")
        raise KeyError

    assert list(tmp_path.iterdir()) == []


def test_what_a_killed_worker_left_is_removed_by_the_next_one(tmp_path: Path) -> None:
    _killed(tmp_path)
    assert len(list(tmp_path.rglob("plain"))) == 1

    with working_folder(tmp_path, "verify-"):
        assert list(tmp_path.rglob("plain")) == []

    assert list(tmp_path.iterdir()) == []


def test_the_folder_of_a_living_worker_stays(tmp_path: Path) -> None:
    with working_folder(tmp_path, "verify-") as mine:
        (mine / "plain").write_text("secret")
        with working_folder(tmp_path, "verify-"):
            pass

        assert (mine / "plain").read_text() == "secret"


def test_what_a_killed_worker_left_is_removed_by_a_worker_of_another_kind(tmp_path: Path) -> None:
    _killed(tmp_path)

    with working_folder(tmp_path, "frozen-"):
        assert list(tmp_path.rglob("plain")) == []

    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("moment", ["mkdir", "locked", "rename"])
def test_one_killed_while_it_made_its_folder_leaves_nothing_for_good(
    tmp_path: Path, moment: str
) -> None:
    _killed(tmp_path, _DYING_EARLY, moment)
    assert len(list(tmp_path.iterdir())) == 1

    with working_folder(tmp_path, "verify-"):
        pass

    assert list(tmp_path.iterdir()) == []


def test_a_worker_whose_fresh_folder_is_swept_makes_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    swept: list[Path] = []

    def locked_too_late(path: Path) -> int:
        if not swept:
            swept.append(path)
            with working_folder(tmp_path, "frozen-"):
                pass
        return locked(path)

    monkeypatch.setattr("portability_pipelines.stores.working.locked", locked_too_late)
    with working_folder(tmp_path, "verify-") as folder:
        assert swept
        assert not swept[0].parent.exists()
        assert [path.name for path in tmp_path.iterdir()] == [folder.parent.name]


def test_workers_that_start_together_never_take_each_others_folders(tmp_path: Path) -> None:
    def work(number: int) -> None:
        for _ in range(20):
            with working_folder(tmp_path, "verify-") as folder:
                (folder / "plain").write_text(str(number))
                assert (folder / "plain").read_text() == str(number)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(8)))

    assert list(tmp_path.iterdir()) == []


def test_what_others_put_there_stays(tmp_path: Path) -> None:
    theirs = {"verify-notes.txt", "verify-plans", "lost-0123456789abcdef", ".new-plans"}
    (tmp_path / "verify-notes.txt").write_text("mine")
    for name in theirs - {"verify-notes.txt"}:
        (tmp_path / name).mkdir()
        (tmp_path / name / "lock").touch()

    with working_folder(tmp_path, "verify-"):
        pass

    assert {path.name for path in tmp_path.iterdir()} == theirs


def test_a_place_that_cannot_hold_folders_is_named(tmp_path: Path) -> None:
    (tmp_path / "scratch").write_text("a file")

    with (
        pytest.raises(PermanentError, match=r"working in a private folder failed in .*scratch"),
        working_folder(tmp_path / "scratch", "verify-"),
    ):
        pass
