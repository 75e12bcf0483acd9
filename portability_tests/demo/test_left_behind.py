"""Runs whose process was killed: ended by the next start, and only they."""

from __future__ import annotations

import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import dagster as dg
import pytest

from portability_tests.processes import eventually
from portability_tests.projects import ProjectCopy

START_SECONDS = 120
POOL = "database_sample"


@pytest.fixture
def silent_store() -> Iterator[dict[str, str]]:
    """The settings of a store that takes every request and never answers."""
    with closing(socket.socket()) as server:
        server.bind(("127.0.0.1", 0))
        server.listen(64)
        yield {
            "PORTABILITY_STORE": "s3://archives/silent",
            "AWS_ENDPOINT_URL_S3": f"http://127.0.0.1:{server.getsockname()[1]}",
            "AWS_ACCESS_KEY_ID": "nobody",
            "AWS_SECRET_ACCESS_KEY": "nothing",
            "AWS_DEFAULT_REGION": "us-east-1",
        }


@pytest.fixture
def project(tmp_path: Path, mongod_uri: str) -> ProjectCopy:
    """A copy of the project in which nothing has run; a step holds a slot of its pool."""
    home = tmp_path / "dagster"
    made = ProjectCopy.made(
        tmp_path / "project", DAGSTER_HOME=str(home), PORTABILITY_MONGODB_URI=mongod_uri
    ).with_sample(100)
    home.mkdir()
    settings = (made.folder / "dagster.yaml").read_text()
    (home / "dagster.yaml").write_text(settings.replace("granularity: run", "granularity: op"))
    start(made)
    return made


def start(project: ProjectCopy) -> str:
    """Start the demo on a database that is not there, which it says as soon as it is set up."""
    done = subprocess.run(
        [sys.executable, "-m", "portability_pipelines.demo", "absent.sqlite"],
        cwd=project.folder,
        env=project.environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert "absent.sqlite" in done.stderr, done.stderr
    return done.stdout


@contextmanager
def running(project: ProjectCopy, settings: dict[str, str]) -> Iterator[subprocess.Popen[str]]:
    """The demo with a store that holds up its first run."""
    demo = subprocess.Popen(
        [sys.executable, "-m", "portability_pipelines.demo", "--rows", "100"],
        cwd=project.folder,
        env={**project.environment, **settings},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    with demo:
        try:
            yield demo
        finally:
            demo.kill()


@contextmanager
def dagster_of(project: ProjectCopy) -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.from_config(project.settings["DAGSTER_HOME"]) as instance:
        yield instance


def found(instance: dg.DagsterInstance, run_id: str) -> dg.DagsterRun:
    run = instance.get_run_by_id(run_id)
    assert run
    return run


def slots_taken(instance: dg.DagsterInstance) -> int:
    return instance.event_log_storage.get_concurrency_info(POOL).active_slot_count


def test_a_run_of_a_killed_demo_is_ended_by_the_next_start_and_frees_its_slot(
    project: ProjectCopy, silent_store: dict[str, str]
) -> None:
    with dagster_of(project) as instance:
        with running(project, silent_store) as demo:
            assert eventually(lambda: slots_taken(instance) == 1, START_SECONDS)
            (run,) = instance.get_runs()
            start(project)
            assert not found(instance, run.run_id).is_finished, "it lives"
            demo.kill()
            demo.wait()
        assert not found(instance, run.run_id).is_finished
        said = start(project)
        assert f"{run.job_name} ({run.run_id[:8]})" in said
        ended = found(instance, run.run_id)
        assert ended.status == dg.DagsterRunStatus.FAILURE
        assert slots_taken(instance) == 0
        assert ended.tags["dagster/will_retry"] == "false"
        assert "ended" not in start(project)
