"""Fixtures of the workflows' tests."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from portability_pipelines.stores.base import Store
from portability_tests.conftest import MakeStore
from portability_tests.filters.keys import Person, someone
from portability_tests.workflows.walks import sample


@pytest.fixture(scope="session")
def generated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A sample database that no test may write to."""
    return sample(tmp_path_factory.mktemp("generated") / "shop.sqlite")


@pytest.fixture
def database(generated: Path, tmp_path: Path) -> Path:
    """A sample database of the test's own."""
    return Path(shutil.copy(generated, tmp_path / "shop.sqlite"))


@pytest.fixture
def local(make_store: MakeStore) -> Store:
    """A fresh store on the disk, for what does not depend on the store."""
    return make_store("local")


@pytest.fixture
def scratch(tmp_path: Path) -> Path:
    """Where working files go; nothing is there yet."""
    return tmp_path / "working"


@pytest.fixture(scope="session")
def alice(tmp_path_factory: pytest.TempPathFactory) -> Person:
    """Somebody with a key."""
    require("gpg")
    return someone("Alice", tmp_path_factory.mktemp("alice") / "home")


@pytest.fixture(scope="session")
def bob(tmp_path_factory: pytest.TempPathFactory) -> Person:
    """Somebody else with a key."""
    require("gpg")
    return someone("Bob", tmp_path_factory.mktemp("bob") / "home")


@pytest.fixture
def standard_tools() -> None:
    """Skip without the programs that open a backup; in CI fail, because there they must be."""
    require("gpg")
    require("zstd")


def require(program: str) -> None:
    """Skip without ``program``; in CI fail."""
    if shutil.which(program) is None:
        message = f"Install {program} to run this test: it is not on the path."
        pytest.fail(message) if os.environ.get("CI") else pytest.skip(message)
