"""``make launch`` as a CI job uses it: exit codes, and a reason in one line."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import dagster as dg
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


def launch(project: ProjectCopy, *words: str, **settings: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "portability_pipelines.demo.launch", *words],
        cwd=project.folder,
        env={**project.environment, **settings},
        capture_output=True,
        text=True,
        check=False,
    )


def test_only_what_was_named_is_materialised_proven_and_recorded(
    project: ProjectCopy, store_url: str, staging_root: Path
) -> None:
    done = launch(project, ACTIVITY, "2026-10-01", PORTABILITY_STORE=store_url)
    assert (done.returncode, done.stderr) == (0, "")
    assert "1 of 1 proven" in done.stdout
    (manifest,) = archives(open_store(store_url, staging_root=staging_root), "sample")
    assert (manifest.dataset, manifest.period) == ("user_activity", "2026-10")
    with dg.DagsterInstance.from_config(project.settings["DAGSTER_HOME"]) as instance:
        run = instance.get_runs(limit=1)[0]
        assert (run.is_success, run.tags["dagster/partition"]) == (True, "2026-10-01")


@pytest.mark.parametrize(
    ("words", "settings", "reason"),
    [
        (['key:"sample/exports/nothing"'], {}, "selects no asset that can be made"),
        (
            [f'{ACTIVITY},key:"sample/exports/nothing"', "2026-10-01"],
            {},
            "nothing\"' selects no asset",
        ),
        (['key:"sample/user_activity"'], {}, "selects no asset that can be made"),
        (["sample/exports/nothing"], {}, "AssetKey(s) ['sample/exports/nothing'] were selected"),
        ([ACTIVITY], {}, "None was named. Name one from 2024-12-01 to"),
        ([ACTIVITY, "2031-10-01"], {}, "2031-10-01 is none. Name one from 2024-12-01 to"),
        (['key:"sample/exports/location_cache"', "2026-10-01"], {}, "Leave out 2026-10-01"),
        ([ACTIVITY, "2026-10-01"], NOWHERE, "Check that the endpoint (AWS_ENDPOINT_URL_S3) is up"),
        (['key:"sample/backup"', "open"], {}, "There is no passphrase to encrypt the backup with"),
    ],
    ids=[
        *(
            "unknown asset",
            "second unknown",
            "table of the application",
            "unknown key",
            "no partition",
        ),
        *("unknown partition", "no partitions", "unreachable store", "no passphrase"),
    ],
)
def test_what_cannot_be_done_exits_non_zero_with_a_reason_in_one_line(
    project: ProjectCopy,
    open_month_key: str,
    words: list[str],
    settings: dict[str, str],
    reason: str,
) -> None:
    done = launch(
        project, *(open_month_key if word == "open" else word for word in words), **settings
    )
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert reason in line
    assert "never-shown" not in done.stdout + done.stderr


def test_make_shows_how_to_name_assets_where_none_are_named(project: ProjectCopy) -> None:
    line, _ = project.make("launch").stderr.splitlines()
    assert line.startswith("ASSETS is not set. Write, for example: make launch ASSETS='key:")
