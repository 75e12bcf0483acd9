"""``dg launch`` as a CI job uses it: exit codes, and a reason in one line."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from portability_pipelines.stores.registry import open_store
from portability_tests.archives import archives
from portability_tests.projects import ProjectCopy

ACTIVITY = 'key:"sample/exports/user_activity"'
NOWHERE = {
    "PORTABILITY_STORE": "s3://archives/ci",
    "AWS_ENDPOINT_URL_S3": "http://127.0.0.1:9",
    "AWS_ACCESS_KEY_ID": "NOBODY",
    "AWS_SECRET_ACCESS_KEY": "never-shown-in-any-output",
    "AWS_DEFAULT_REGION": "us-east-1",
}


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> ProjectCopy:
    return ProjectCopy.made(tmp_path_factory.mktemp("clone")).with_sample()


def test_a_partition_is_materialised_and_proven(
    project: ProjectCopy, store_url: str, staging_root: Path
) -> None:
    launched = project.dg(
        "launch", "--assets", ACTIVITY, "--partition", "2026-10-01", PORTABILITY_STORE=store_url
    )
    assert launched.returncode == 0, launched.stderr
    (manifest,) = archives(open_store(store_url, staging_root=staging_root), "sample")
    assert (manifest.dataset, manifest.period) == ("user_activity", "2026-10")
    assert "equals_source" in launched.stderr


def one_line(words: str) -> Callable[[str], bool]:
    return lambda output: any(words in line for line in output.splitlines())


@pytest.mark.parametrize(
    ("assets", "partition", "settings", "reason"),
    [
        ('key:"sample/exports/nothing"', "2026-10-01", {}, "none of the assets are partitioned"),
        (ACTIVITY, "2031-10-01", {}, "the passed partition key `2031-10-01`"),
        (ACTIVITY, "2026-10-01", NOWHERE, "Check that the endpoint (AWS_ENDPOINT_URL_S3) is up"),
        ('key:"sample/backup"', None, {}, "There is no passphrase to encrypt the backup with"),
        ('key:"sample/backup"', "2025-01-01", {}, "Launch the partition"),
    ],
    ids=["unknown asset", "bad partition", "unreachable store", "no passphrase", "closed month"],
)
def test_what_cannot_be_done_exits_non_zero_with_a_reason(
    project: ProjectCopy,
    open_month_key: str,
    assets: str,
    partition: str | None,
    settings: dict[str, str],
    reason: str,
) -> None:
    launched = project.dg(
        "launch", "--assets", assets, "--partition", partition or open_month_key, **settings
    )
    said = launched.stdout + launched.stderr
    assert launched.returncode != 0
    assert one_line(reason)(said), said
    assert "never-shown" not in said
