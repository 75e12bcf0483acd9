"""A sample database for each test, an instance, and a passphrase."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest

from portability_pipelines.sample import generate

PASSPHRASE = "correct-horse-battery-staple-never-shown"


@pytest.fixture(scope="session")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("sample") / "sample.sqlite"
    generate(path, activity_rows=1000)
    return path


@pytest.fixture
def source(sample: Path, tmp_path: Path) -> Path:
    return Path(shutil.copy(sample, tmp_path / "source.sqlite"))


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as ephemeral:
        yield ephemeral


@pytest.fixture
def passphrase(private_home: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("PORTABILITY_PASSPHRASE", PASSPHRASE)
    return PASSPHRASE
