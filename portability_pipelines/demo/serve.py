"""``python -m portability_pipelines.demo.serve``: Dagster's UI and schedules, until Ctrl-C."""

from __future__ import annotations

import errno
import os
import signal
import socket
import subprocess
import sys
import sysconfig
import time
import urllib.error
import urllib.request
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager, suppress
from pathlib import Path
from types import FrameType

import dagster as dg

from portability_pipelines.definitions import defs
from portability_pipelines.demo.console import Console
from portability_pipelines.demo.left_behind import end_launched_runs_left_behind
from portability_pipelines.demo.servers import mongodb, undisturbed
from portability_pipelines.demo.settings import prepare
from portability_pipelines.demo.subjects import SAMPLE_ROWS, generate_sample
from portability_pipelines.domain.errors import PermanentError, PortabilityError, RefusedError
from portability_pipelines.orchestration.folders import private_folder, project_folder
from portability_pipelines.stores.locks import lock_if_free

HOST = "127.0.0.1"
PORT = 3000
SECONDS_TO_END = 20
POLL_SECONDS = 0.2
STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def main() -> int:
    """Serve until told to stop, which is 0; 1 where a server does not start or ends by itself.

    A mistake in what is declared is 1 too, before anything starts. SIGHUP, which a closing terminal
    sends, stops it, unless it was started with ``nohup``.
    """
    for number in STOPPING:
        if number != signal.SIGHUP or _heeds(number):
            signal.signal(number, _interrupt)
    console = Console()
    try:
        _serve(console)
    except KeyboardInterrupt:
        with suppress(OSError):  # the terminal may be gone
            console.step("stopped")
        return 0
    except PortabilityError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 1


def _heeds(number: signal.Signals) -> bool:
    return signal.getsignal(number) != signal.SIG_IGN


def _interrupt(_: int, __: FrameType | None) -> None:
    raise KeyboardInterrupt


def _serve(console: Console) -> None:
    defs()  # refused here, as the servers would start without a schedule and say nothing
    for made in prepare():
        console.step(made)
    with ExitStack() as stack:
        lock = stack.enter_context(_only_one())
        port = _port()
        address = f"http://{HOST}:{port}"
        _note(lock, address, [os.getpid()])
        with dg.DagsterInstance.get() as instance:
            for ended in end_launched_runs_left_behind(instance):
                console.step(ended)
        generate_sample(SAMPLE_ROWS, console, replace=False)
        try:
            console.step(f"MongoDB: {stack.enter_context(mongodb(private_folder() / 'mongodb'))}")
        except RefusedError as error:
            console.step(f"no migrations: {error}")
        children = stack.enter_context(_children(port, lock))
        _note(lock, address, [os.getpid(), *(child.pid for child in children.values())])
        console.step(f"starting {' and '.join(children)}; their logs are in {_logs()}")
        _watch(children, address, console)


@contextmanager
def _only_one() -> Iterator[int]:
    """Hold the lock of those who serve this DAGSTER_HOME, where a second scheduler doubles runs.

    Gives its descriptor, for the servers to hold it too: they outlive a process that is killed.
    Raises ``RefusedError`` where somebody holds it.
    """
    file = Path(os.environ["DAGSTER_HOME"], "serving.lock")
    lock = lock_if_free(file)
    if lock is None:
        raise _served_already(file)
    try:
        yield lock
    finally:
        os.close(lock)


def _note(lock: int, address: str, pids: Iterable[int]) -> None:
    """Write down who serves, this process first, for whoever finds the lock held."""
    os.ftruncate(lock, 0)
    os.pwrite(lock, " ".join([address, *map(str, pids)]).encode(), 0)


def _served_already(file: Path) -> RefusedError:
    address, *pids = file.read_text().split() or ["an address that is not known yet"]
    alive = [pid for pid in pids if _alive(int(pid))]
    serving = " ".join(alive[:1] if alive[:1] == pids[:1] else alive)
    return RefusedError(
        f"{file.parent} is served already, at {address}",
        f"Use that, or end it first: kill {serving}" if serving else "Try again in a moment.",
    )


def _alive(pid: int) -> bool:
    with suppress(OSError):
        os.kill(pid, 0)
        return True
    return False


def _port() -> int:
    """The port that ``PORT`` names, if nobody listens there."""
    written = os.environ.get("PORT") or str(PORT)
    if not written.isdecimal() or not 0 < int(written) < 65536:
        raise RefusedError(f"PORT is {written!r}, which is no port", "Set it to 1024 to 65535.")
    with closing(socket.socket()) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, int(written)))
        except OSError as error:
            raise RefusedError(
                f"Port {written} of {HOST} cannot be used ({error.strerror})",
                "Name a free one: make up PORT=3001.",
            ) from error
    return int(written)


@contextmanager
def _children(port: int, lock: int) -> Iterator[dict[str, subprocess.Popen[bytes]]]:
    """Run the UI and the scheduler, each in a session of its own; end all of it with the context.

    What they start themselves (code servers, runs) belongs to their sessions and ends with them.
    """
    workspace = project_folder() / "workspace.yaml"
    if not workspace.is_file():
        raise RefusedError(
            f"There is no workspace.yaml in {workspace.parent}", "Run this in the project's folder."
        )
    words = {
        "dagster-webserver": ["-h", HOST, "-p", str(port)],
        "dagster-daemon": ["run"],
    }
    children: dict[str, subprocess.Popen[bytes]] = {}
    try:
        for name, arguments in words.items():
            with undisturbed():
                children[name] = _start(name, [*arguments, "-w", str(workspace)], lock)
        yield children
    finally:
        _end(children)


def _start(name: str, arguments: list[str], lock: int) -> subprocess.Popen[bytes]:
    _logs().mkdir(exist_ok=True)
    with (_logs() / f"{name}.log").open("wb") as log:
        return subprocess.Popen(
            [Path(sysconfig.get_path("scripts"), name), *arguments],
            cwd=project_folder(),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            pass_fds=[lock],
        )


def _logs() -> Path:
    return private_folder() / "logs"


def _last(name: str) -> str:
    """The last line of a child's log."""
    lines = (_logs() / f"{name}.log").read_text(errors="replace").split("\n")
    return next((line.strip() for line in reversed(lines) if line.strip()), "it said nothing")


def _watch(children: Mapping[str, subprocess.Popen[bytes]], address: str, console: Console) -> None:
    """Say once that the UI answers; raise ``PermanentError`` as soon as a child has ended.

    A terminal that closes tells only who came first in it, which may be a make that waits for us.
    So where we were in its foreground, its end is ours.
    """
    said, was_in_foreground = False, False
    while True:
        in_foreground = _in_foreground()
        if was_in_foreground and in_foreground is None and _heeds(signal.SIGHUP):
            raise KeyboardInterrupt
        was_in_foreground = bool(in_foreground)
        for name, child in children.items():
            if child.poll() is not None:
                raise PermanentError(
                    f"{name} ended by itself with exit code {child.returncode}: {_last(name)}",
                    f"The whole of it is in {_logs() / name}.log.",
                )
        if not said and _answers(address):
            said = True
            console.step(f"{address} answers; Ctrl-C stops everything")
        time.sleep(POLL_SECONDS)


def _in_foreground() -> bool | None:
    """Whether what is typed in our terminal is for us; None where there is no terminal any more."""
    try:
        return os.tcgetpgrp(0) == os.getpgrp()
    except OSError as error:
        return None if error.errno == errno.EIO else False


def _answers(address: str) -> bool:
    try:
        with urllib.request.urlopen(f"{address}/server_info", timeout=5) as answer:  # noqa: S310
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False


def _end(children: Mapping[str, subprocess.Popen[bytes]]) -> None:
    """Ask every session to end, wait, and kill what is left; further signals are not heard."""
    for number in STOPPING:
        signal.signal(number, signal.SIG_IGN)
    for child in children.values():
        _signal(child, signal.SIGTERM)
    deadline = time.monotonic() + SECONDS_TO_END
    for child in children.values():
        with suppress(subprocess.TimeoutExpired):
            child.wait(max(0.0, deadline - time.monotonic()))
        _signal(child, signal.SIGKILL)
        child.wait()


def _signal(child: subprocess.Popen[bytes], number: signal.Signals) -> None:
    with suppress(ProcessLookupError):
        os.killpg(child.pid, number)


if __name__ == "__main__":
    sys.exit(main())
