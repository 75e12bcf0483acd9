"""What runs are given from outside, and what its failures say."""

from __future__ import annotations

import os
import traceback
from pathlib import Path
from typing import Any

import pytest

from portability_pipelines.domain.errors import PortabilityError, RefusedError
from portability_pipelines.orchestration.folders import private_folder
from portability_pipelines.orchestration.resources import Archives
from portability_pipelines.orchestration.s3 import StoreS3Resource
from portability_pipelines.stores.s3_client import default_client


@pytest.fixture
def _credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret-word")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")


@pytest.mark.usefixtures("_credentials")
def test_runs_talk_to_s3_as_any_other_store_does() -> None:
    of_a_run, of_a_store = StoreS3Resource().get_client(), default_client()

    configs: list[Any] = [of_a_run.meta.config, of_a_store.meta.config]
    for config in configs:
        assert config.retries == {"mode": "standard", "total_max_attempts": 4}
        assert (config.connect_timeout, config.read_timeout) == (10, 60)
        assert config.request_checksum_calculation == "when_required"


@pytest.mark.usefixtures("_credentials")
def test_the_resource_of_s3_heeds_its_settings() -> None:
    resource = StoreS3Resource(region_name="eu-west-1", endpoint_url="http://127.0.0.1:1")

    client = resource.get_client()

    assert (client.meta.region_name, client.meta.endpoint_url) == (
        "eu-west-1",
        "http://127.0.0.1:1",
    )


@pytest.mark.usefixtures("_credentials")
@pytest.mark.parametrize(
    "endpoint",
    [
        "user:secret-word@nowhere",
        "http://user:secret-word@ nowhere:9000",
        "http://user:secret-word@127.0.0.1:99999",
        "http://user:secret-word@127.0.0.1:1",
    ],
)
def test_an_endpoint_is_not_repeated(endpoint: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", endpoint)
    store = Archives(store_url="s3://bucket/p").store()

    with pytest.raises(PortabilityError, match="AWS_ENDPOINT_URL_S3") as caught:
        list(store.list(""))

    assert "secret-word" not in "".join(traceback.format_exception(caught.value))


def test_a_store_that_is_none_is_refused_by_the_name_of_its_setting(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PORTABILITY_STORE", "/srv/archives")

    with pytest.raises(RefusedError, match="PORTABILITY_STORE does not name a store"):
        Archives().store()
    with pytest.raises(RefusedError, match=r"store_url ftp://\.\.\. does not name a store"):
        Archives(store_url="ftp://host/archives").store()


@pytest.mark.parametrize("empty", ["", " ", "\n"])
def test_an_empty_key_of_seals_is_refused(empty: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert Archives().seal() is None
    monkeypatch.setenv("PORTABILITY_MANIFEST_KEY", empty)

    with pytest.raises(RefusedError, match="PORTABILITY_MANIFEST_KEY is empty"):
        Archives().secrets(encrypted=False)


@pytest.mark.parametrize("key", [b"plain", "größe".encode(), b"k\xffey"])
def test_a_key_of_seals_is_the_bytes_that_were_set(
    key: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PORTABILITY_MANIFEST_KEY", os.fsdecode(key))

    assert Archives().seal() == key


@pytest.mark.parametrize("kept", ["in the environment", "in the file of the demo"])
def test_a_passphrase_that_is_not_utf_8_is_refused_unseen(
    kept: str, private_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if kept == "in the environment":
        monkeypatch.setenv("PORTABILITY_PASSPHRASE", os.fsdecode(b"secret-word\xff"))
    else:
        private_home.mkdir()
        (private_home / "passphrase").write_bytes(b"secret-word\xff")

    with pytest.raises(RefusedError, match=r"(passphrase|PASSPHRASE) is not UTF-8") as caught:
        Archives().secrets(encrypted=True)

    assert "secret-word" not in "".join(traceback.format_exception(caught.value))


@pytest.mark.parametrize("lines", [1, 100])
@pytest.mark.parametrize("variable", ["PORTABILITY_RECIPIENT", "PORTABILITY_SECRET_KEY"])
def test_a_key_in_place_of_its_path_is_not_repeated(
    monkeypatch: pytest.MonkeyPatch, variable: str, lines: int
) -> None:
    monkeypatch.setenv("PORTABILITY_RECIPIENT", __file__)
    monkeypatch.setenv(
        variable, "-----BEGIN PGP PRIVATE KEY BLOCK-----\n" + "secret-word\n" * lines
    )

    with pytest.raises(RefusedError, match=f"{variable} does not name a file") as caught:
        Archives().secrets(encrypted=True)

    assert "secret-word" not in "".join(traceback.format_exception(caught.value))


def test_a_home_whose_name_is_not_utf_8_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PORTABILITY_HOME", os.fsdecode(bytes(tmp_path) + b"/h\xf4me"))

    with pytest.raises(RefusedError, match="PORTABILITY_HOME is not UTF-8"):
        private_folder()
