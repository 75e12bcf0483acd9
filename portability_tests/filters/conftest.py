"""Fixtures of the filters' tests: the OpenPGP programs, keys made for the run, and witnesses."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from portability_pipelines.filters.gnupg import Gnupg
from portability_pipelines.filters.openpgp_tool import Tool
from portability_pipelines.filters.sequoia import Sequoia
from portability_tests.filters.keys import Person, someone, someone_who_rotated
from portability_tests.processes import children, eventually, working_in

RequireProgram = Callable[[str], str]


def _require(program: str) -> str:
    found = shutil.which(program)
    if found is None:
        message = f"Install {program} to run this test: it is not on the path."
        if os.environ.get("CI"):
            pytest.fail(message)
        pytest.skip(message)
    return found


@pytest.fixture(scope="session")
def require_program() -> RequireProgram:
    """Gives the path of a program; skips without it, but fails in CI, where it must be."""
    return _require


@pytest.fixture(params=["gpg", "pysequoia"])
def tool(request: pytest.FixtureRequest) -> Tool:
    """Each of the OpenPGP programs in turn."""
    if request.param == "pysequoia":
        return Sequoia()
    _require("gpg")
    return Gnupg()


@pytest.fixture
def gpg() -> Tool:
    """GnuPG."""
    _require("gpg")
    return Gnupg()


@pytest.fixture(scope="session")
def alice(tmp_path_factory: pytest.TempPathFactory) -> Person:
    """Somebody with a key."""
    _require("gpg")
    return someone("Alice", tmp_path_factory.mktemp("alice") / "home")


@pytest.fixture(scope="session")
def bob(tmp_path_factory: pytest.TempPathFactory) -> Person:
    """Somebody else with a key."""
    _require("gpg")
    return someone("Bob", tmp_path_factory.mktemp("bob") / "home")


@pytest.fixture(scope="session")
def rita(tmp_path_factory: pytest.TempPathFactory) -> Person:
    """Somebody whose key has a passphrase and was rotated."""
    _require("gpg")
    return someone_who_rotated("Rita", tmp_path_factory.mktemp("rita") / "home")


@pytest.fixture
def scratch(tmp_path: Path) -> Iterator[Path]:
    """A private folder, in which nothing may remain and of which no process may know at the end."""
    folder = tmp_path / "s"
    folder.mkdir(mode=0o700)
    before = children()
    yield folder
    assert list(folder.iterdir()) == []
    assert children() <= before
    # An agent that was told to end answers first.
    assert eventually(lambda: not working_in(folder)), working_in(folder)
