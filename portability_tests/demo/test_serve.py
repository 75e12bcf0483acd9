"""``make up``: what it starts, and that nothing of it stays."""

from __future__ import annotations

import os
import shlex
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path

import dagster as dg
import pytest
from dagster_graphql import DagsterGraphQLClient

from portability_tests.processes import eventually, working_in
from portability_tests.projects import ProjectCopy
from portability_tests.servers import free_ports

# Deaf to SIGINT, as shells start what a script runs in the background.
IN_BACKGROUND = ("sh", "-c", "trap '' INT; exec \"$@\"", "sh")
WITH_NOHUP = ("sh", "-c", "trap '' INT HUP; exec \"$@\"", "sh")

# Alone in a terminal, as make is in a new window of tmux: it hears SIGHUP and tells nobody. What it
# starts in the background, or with nohup, is to outlive the terminal.
IN_TERMINAL = ("setsid", "--ctty", "sh", "-c", 'trap : HUP; "$@"', "sh")
IN_TERMINALS_BACKGROUND = (
    "setsid",
    "--ctty",
    "bash",
    "-c",
    'trap : HUP; set -m; "$@" & wait; wait',
    "sh",
)

RUN_SECONDS = 120

pytestmark = pytest.mark.usefixtures("mongod_uri")


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> ProjectCopy:
    """A copy of the project with a small sample."""
    return ProjectCopy.made(tmp_path_factory.mktemp("up") / "project").with_sample(100)


@contextmanager
def serving(
    project: ProjectCopy,
    port: int,
    shell: Sequence[str] = IN_BACKGROUND,
    stdin: int = subprocess.DEVNULL,
) -> Iterator[subprocess.Popen[str]]:
    """Serve on ``port``, and end all of it whatever the test finds."""
    process = subprocess.Popen(
        [*shell, sys.executable, "-m", "portability_pipelines.demo.serve"],
        cwd=project.folder,
        env={**project.environment, "PORT": str(port)},
        stdin=stdin,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    with process:
        try:
            yield process
        finally:
            process.terminate()
            process.wait()


def wait_for(process: subprocess.Popen[str], words: str) -> str:
    """Read what is said up to the line with ``words``."""
    assert process.stdout
    said = ""
    for line in process.stdout:
        said += line
        if words in line:
            return line
    pytest.fail(f"{words!r} was not said, but: {said}")


def wait_for_process(folder: Path, name: str) -> int:
    """The id of the first process with ``name`` in its command that works in ``folder``."""

    def found() -> list[int]:
        return [pid for pid, command in working_in(folder).items() if name in command]

    assert eventually(found), f"no {name}, but: {working_in(folder)}"
    return min(found())


def nothing_is_left(folder: Path) -> bool:
    return eventually(lambda: not working_in(folder))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_it_answers_until_it_is_told_to_stop_and_leaves_nothing_behind(
    project: ProjectCopy, number: signal.Signals
) -> None:
    (port,) = free_ports(1)
    with serving(project, port) as process:
        wait_for(process, f"http://127.0.0.1:{port} answers")
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/server_info") as answer:
            assert answer.status == 200
        commands = " ".join(working_in(project.folder).values())
        assert "dagster-webserver" in commands
        assert "dagster-daemon" in commands
        assert "mongod" in commands
        process.send_signal(number)
        assert process.wait() == 0
    assert nothing_is_left(project.folder), working_in(project.folder)


@pytest.mark.parametrize(
    ("shell", "stops"), [(IN_TERMINAL, True), (IN_TERMINALS_BACKGROUND, False)]
)
def test_it_stops_with_the_terminal_whose_foreground_it_is_in(
    project: ProjectCopy, shell: Sequence[str], stops: bool
) -> None:
    (port,) = free_ports(1)
    terminal, stdin = os.openpty()
    with serving(project, port, shell, stdin) as process:
        os.close(stdin)
        wait_for(process, f"http://127.0.0.1:{port} answers")
        os.close(terminal)
        assert eventually(lambda: process.poll() is not None, 30 if stops else 3) == stops
        if not stops:
            subprocess.run(shlex.split(refusal(project).partition("end it first: ")[2]), check=True)
    assert nothing_is_left(project.folder), working_in(project.folder)


def test_where_one_server_dies_the_others_are_stopped_and_it_is_named(
    project: ProjectCopy,
) -> None:
    (port,) = free_ports(1)
    with serving(project, port) as process:
        wait_for(process, "starting dagster-webserver and dagster-daemon")
        os.kill(wait_for_process(project.folder, "dagster-daemon"), signal.SIGKILL)
        assert "exit code -9" in wait_for(process, "dagster-daemon ended by itself")
        assert process.wait() == 1
    assert nothing_is_left(project.folder), working_in(project.folder)


def test_a_port_that_is_taken_is_refused_before_anything_starts(project: ProjectCopy) -> None:
    with closing(socket.socket()) as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with serving(project, port) as process:
            assert f"Port {port}" in wait_for(process, "cannot be used")
            assert process.wait() == 1


def refusal(project: ProjectCopy) -> str:
    """Why it cannot be served on another port."""
    (port,) = free_ports(1)
    with serving(project, port) as process:
        assert process.wait(RUN_SECONDS) == 1
        assert process.stdout
        return process.stdout.readlines()[-1].strip()


def test_a_broken_declaration_is_refused_before_anything_starts(tmp_path: Path) -> None:
    broken = ProjectCopy.made(tmp_path / "project")
    broken.yaml.write_text(broken.yaml.read_text().replace("backup:", "backups:"))
    said = refusal(broken)
    assert said.startswith("portability_pipelines/defs/sample/defs.yaml:"), said
    assert "'backups' is not known here" in said
    assert not (broken.folder / ".portability" / "logs").exists()
    assert not (broken.folder / ".portability" / "sample").exists()


def test_a_second_one_is_refused_and_told_of_the_first(project: ProjectCopy) -> None:
    (port,) = free_ports(1)
    with serving(project, port, WITH_NOHUP) as process:
        wait_for(process, f"http://127.0.0.1:{port} answers")
        process.send_signal(signal.SIGHUP)
        said = refusal(project)
        assert f"served already, at http://127.0.0.1:{port}." in said
        assert said.endswith(f"kill {process.pid}")
        assert process.poll() is None


def test_servers_that_a_killed_one_left_behind_are_named_until_they_end(
    project: ProjectCopy,
) -> None:
    (port,) = free_ports(1)
    with serving(project, port) as process:
        wait_for(process, f"http://127.0.0.1:{port} answers")
        process.kill()
        process.wait()
    command = refusal(project).partition("end it first: ")[2]
    assert str(wait_for_process(project.folder, "dagster-daemon")) in command.split()
    subprocess.run(shlex.split(command), check=True)
    assert eventually(lambda: "dagster" not in " ".join(working_in(project.folder).values()))
    with serving(project, port) as process:
        wait_for(process, "starting dagster-webserver and dagster-daemon")
    assert nothing_is_left(project.folder), working_in(project.folder)


# Two starts, and a run twice.
@pytest.mark.timeout(600)
def test_what_was_running_when_the_machine_went_down_is_ended_and_run_again(
    project: ProjectCopy, silent_store: dict[str, str]
) -> None:
    (port,) = free_ports(1)
    held_up = replace(project, settings={**project.settings, **silent_store})
    with (
        dg.DagsterInstance.from_config(project.settings["DAGSTER_HOME"]) as instance,
        serving(held_up, port) as process,
    ):
        wait_for(process, f"http://127.0.0.1:{port} answers")
        run_id = launch(port)
        assert eventually(lambda: status(instance, run_id) == "STARTED", RUN_SECONDS)
        for pid in working_in(project.folder):
            os.kill(pid, signal.SIGKILL)
        assert nothing_is_left(project.folder)
        assert status(instance, run_id) == "STARTED"
        with serving(project, port) as again:
            wait_for(again, f"({run_id[:8]}) that a killed process left behind")
            assert status(instance, run_id) == "FAILURE"
            retried = dg.RunsFilter(tags={"dagster/parent_run_id": run_id})
            assert eventually(
                lambda: any(run.is_success for run in instance.get_runs(retried)), RUN_SECONDS
            )


def launch(port: int) -> str:
    """Launch a month of exports as the UI does; gives the id of the run."""
    client = DagsterGraphQLClient("127.0.0.1", port_number=port)
    return client.submit_job_execution("sample_exports", tags={"dagster/partition": "2026-10-01"})


def status(instance: dg.DagsterInstance, run_id: str) -> str:
    run = instance.get_run_by_id(run_id)
    return run.status.value if run else "absent"
