"""Signals while ``make demo`` works: at any moment it ends cleanly, in one line."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from textwrap import indent

import pytest

from portability_tests.processes import eventually, working_in
from portability_tests.projects import ProjectCopy

pytestmark = [pytest.mark.usefixtures("mongod_uri"), pytest.mark.timeout(400)]

STOPPED = "Stopped. Nothing half-written counts; run it again to go on.\n"
SECONDS_TO_END = 30
"""Some five are enough on a machine that has nothing else to do."""


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> ProjectCopy:
    """A copy of the project in which every run before was interrupted."""
    return ProjectCopy.made(tmp_path_factory.mktemp("interrupted") / "project")


def is_heard(number: signal.Signals) -> Callable[[subprocess.Popen[str]], bool]:
    """Whether the process has a handler of its own for the signal, as Linux tells."""

    def heard(process: subprocess.Popen[str]) -> bool:
        status = Path(f"/proc/{process.pid}/status").read_text()
        caught = next(line for line in status.splitlines() if line.startswith("SigCgt:"))
        return bool(int(caught.split()[1], 16) >> (number - 1) & 1)

    return lambda process: eventually(lambda: heard(process))


def said(words: str) -> Callable[[subprocess.Popen[str]], bool]:
    """Whether the process says ``words``."""

    def found(process: subprocess.Popen[str]) -> bool:
        assert process.stdout
        return any(words in line for line in process.stdout)

    return found


def server_starts(process: subprocess.Popen[str]) -> bool:
    """Whether the process has a MongoDB server."""
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    deadline = time.monotonic() + 100
    while time.monotonic() < deadline:
        for child in children.read_text().split():
            if Path(f"/proc/{child}/comm").read_text().startswith("mongod"):
                return True
        time.sleep(0.02)
    return False


@pytest.mark.parametrize(
    ("moment", "number"),
    [
        (is_heard(signal.SIGHUP), signal.SIGINT),
        (said("sample database: "), signal.SIGTERM),
        (server_starts, signal.SIGINT),
        (said("exports, "), signal.SIGINT),
        (said("  exports, what belongs to no month"), signal.SIGTERM),
        (said("migration to MongoDB, "), signal.SIGHUP),
        (said("backup, read back and restored"), signal.SIGINT),
    ],
    ids=["imports", "sample", "server", "exports", "whole", "migration", "backup"],
)
def test_a_signal_ends_it_at_any_moment_and_leaves_nothing_running(
    project: ProjectCopy,
    moment: Callable[[subprocess.Popen[str]], bool],
    number: signal.Signals,
) -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "portability_pipelines.demo", "--rows", "3000"],
        cwd=project.folder,
        env=project.environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            assert moment(process)
            process.send_signal(number)
            _, errors = process.communicate(timeout=SECONDS_TO_END)
        finally:
            process.kill()
    assert (process.returncode, errors) == (128 + number, STOPPED)
    assert eventually(lambda: not working_in(project.folder)), working_in(project.folder)


def test_after_so_many_interruptions_a_run_makes_and_proves_everything(
    project: ProjectCopy,
) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "portability_pipelines.demo", "--rows", "3000"],
        cwd=project.folder,
        env=project.environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, ""), done.stdout
    assert "FAILED" not in done.stdout


READY = "print('ready', flush=True)"


def ended(body: str, number: signal.Signals, *before: str) -> tuple[int, str, str]:
    """How a process ends that gets the signal as soon as ``body`` says that it is ready."""
    script = (
        "import signal, sqlite3, sys, threading, time\n"
        "from portability_pipelines.demo.interruptions import Interruptions\n"
        "interruptions = Interruptions(lambda: print('closed', flush=True))\n"
        "try:\n"
        "    with interruptions:\n"
        f"{indent(body, ' ' * 8)}\n"
        "except KeyboardInterrupt:\n"
        "    interruptions.leave()\n"
    )
    with subprocess.Popen(
        [*before, sys.executable, "-c", script],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            assert process.stdout
            assert process.stdout.readline() == "ready\n"
            process.send_signal(number)
            output, errors = process.communicate(timeout=SECONDS_TO_END)
        finally:
            process.kill()
    return process.returncode, output, errors


def test_what_does_not_give_way_is_left_after_a_while() -> None:
    body = f"""
clock = time.pthread_getcpuclockid(threading.get_ident())
def watch(until=time.clock_gettime(clock) + 0.2):
    while time.clock_gettime(clock) < until:
        time.sleep(0.01)
    {READY}
threading.Thread(target=watch).start()
endless = 'WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT max(i) FROM n'
sqlite3.connect(':memory:').execute(endless)
"""
    assert ended(body, signal.SIGTERM) == (143, "closed\n", STOPPED)


def test_a_signal_that_another_handler_forgot_is_remembered() -> None:
    body = f"""
signal.signal(signal.SIGINT, lambda *_: print('forgotten', flush=True))
{READY}
sys.stdin.readline()
interruptions.check()
"""
    assert ended(body, signal.SIGINT) == (130, "forgotten\nclosed\n", STOPPED)


def test_a_hang_up_that_nohup_keeps_away_is_not_heard() -> None:
    body = f"{READY}\nsys.stdin.readline()\nprint(interruptions.heard)"
    assert ended(body, signal.SIGHUP, "nohup") == (0, "False\n", "")
