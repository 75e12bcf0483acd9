"""Runs whose process was killed: ended by the next start, and only they."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import dagster as dg
import pytest

from portability_pipelines.demo.left_behind import end_launched_runs_left_behind
from portability_tests.processes import eventually
from portability_tests.projects import ProjectCopy

START_SECONDS = 120
POOL = "database_sample"


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


# A run that a daemon launched, as far as it is recorded; then its id is another process's.
LAUNCHED = """
import os, sys
import dagster as dg

@dg.op
def held_up():
    print("started", flush=True)
    sys.stdin.readline()
    os.execve("/bin/sleep", ["sleep", "600"], {})

@dg.job
def launched():
    held_up()

with dg.DagsterInstance.get() as instance:
    launched.execute_in_process(instance=instance, tags={".dagster/grpc_info": sys.argv[1]})
"""


@pytest.mark.parametrize(
    ("code_server", "ended"),
    [
        ('{"host": "localhost", "socket": "/s"}', True),
        ('{"host": "far", "port": 4000}', False),
    ],
)
def test_a_launched_run_is_ended_once_its_process_of_this_machine_has_gone(
    project: ProjectCopy, code_server: str, ended: bool
) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", LAUNCHED, code_server],
        env=project.environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with process, dagster_of(project) as instance:
        try:
            assert process.stdout
            assert process.stdin
            assert process.stdout.readline() == "started\n"
            assert end_launched_runs_left_behind(instance) == []
            process.stdin.write("\n")
            process.stdin.flush()
            command = Path(f"/proc/{process.pid}/comm")
            assert eventually(lambda: command.read_text() == "sleep\n")
            assert bool(end_launched_runs_left_behind(instance)) is ended
            (run,) = instance.get_runs()
            assert run.is_finished is ended
        finally:
            process.kill()
