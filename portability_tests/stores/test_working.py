"""Working folders: private, gone afterwards, and swept where their process was killed."""

from __future__ import annotations

import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from portability_pipelines.domain.errors import PermanentError
from portability_pipelines.stores.working import working_folder

_WORKER = """
import os, pathlib, signal, sys
from portability_pipelines.stores.working import working_folder

with working_folder(pathlib.Path(sys.argv[1]), "verify-") as folder:
    (folder / "plain").write_text("secret")
    os.kill(os.getpid(), signal.SIGKILL)
"""


def _killed(parent: Path) -> None:
    done = subprocess.run([sys.executable, "-c", _WORKER, str(parent)], check=False)
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


def test_what_others_put_there_stays(tmp_path: Path) -> None:
    _killed(tmp_path)
    (tmp_path / "verify-notes.txt").write_text("mine")
    (tmp_path / "verify-plans").mkdir()

    with working_folder(tmp_path, "frozen-"):
        assert len(list(tmp_path.rglob("plain"))) == 1
    with working_folder(tmp_path, "verify-"):
        pass

    assert sorted(tmp_path.iterdir()) == [tmp_path / "verify-notes.txt", tmp_path / "verify-plans"]


def test_a_place_that_cannot_hold_folders_is_named(tmp_path: Path) -> None:
    (tmp_path / "scratch").write_text("a file")

    with (
        pytest.raises(PermanentError, match=r"working in a private folder failed in .*scratch"),
        working_folder(tmp_path / "scratch", "verify-"),
    ):
        pass
