"""A child process as a filter: bytes go in at its standard input and come out at its output.

A thread moves the bytes on the side that the caller does not hold, so neither can block the other.
However the context ends, the child has been ended and reaped by then.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from threading import Thread
from typing import IO, TYPE_CHECKING, BinaryIO, cast

from portability_pipelines.domain.errors import PermanentError, PortabilityError
from portability_pipelines.filters.streams import CHUNK_BYTES, Readable, Writable, size_of

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

DESCRIPTOR = "{descriptor}"
"""Stands in ``Command.argv`` for the descriptor at which the child reads its secret."""

_COMPLAINT_BYTES = 1 << 14

Verdict = Callable[[int, str], PortabilityError | None]
"""Judges a child by its exit code and the end of its standard error; None where all is well."""


@dataclass(frozen=True)
class Command:
    """A child to run. ``secret`` reaches it through an inherited pipe and in no other way.

    ``environment`` is all the environment it gets, so it inherits no secret of ours.
    """

    argv: tuple[str, ...]
    environment: Mapping[str, str]
    verdict: Verdict
    secret: bytes = field(default=b"", repr=False)


def plain_environment() -> dict[str, str]:
    """What a program needs to start, and nothing of what this process was given in confidence."""
    kept = ("PATH", "LD_LIBRARY_PATH")
    return {"LC_ALL": "C", **{name: os.environ[name] for name in kept if name in os.environ}}


@contextmanager
def writing_through(command: Command, sink: BinaryIO, scratch: Path) -> Iterator[BinaryIO]:
    """Give a stream whose bytes reach ``sink`` through the child; complete once the context ends.

    Raises the child's verdict or the error of ``sink``. Where the body raises, the child is killed
    before its input ends, so that it cannot finish its output.
    """
    with _running(command, scratch) as child:
        child.deliver(sink)
        yield _ChildWriter(child)
        child.close_input()
        child.conclude()


@contextmanager
def reading_through(command: Command, chunks: Iterable[bytes], scratch: Path) -> Iterator[BinaryIO]:
    """Give the child's output as a stream while ``chunks`` are fed to it.

    The read that meets the end raises the child's verdict or the error of ``chunks``; nothing read
    before is proven. A body that ends early has the rest read for it, so a context that ends
    without an error is the proof; a body that raises ends the child at once.
    """
    with _running(command, scratch) as child:
        child.feed(chunks)
        reader = _ChildReader(child)
        yield reader
        reader.finish()


@contextmanager
def _running(command: Command, scratch: Path) -> Iterator[_Child]:
    with tempfile.TemporaryFile(dir=scratch) as complaints:
        child = _Child(command, _start(command, complaints), complaints)
        try:
            yield child
        finally:
            child.end()


def _start(command: Command, complaints: IO[bytes]) -> subprocess.Popen[bytes]:
    secret_fd, entry = os.pipe()
    # A child that fails before it reads its secret has a verdict of its own.
    with contextlib.suppress(BrokenPipeError), os.fdopen(entry, "wb", 0) as pipe:
        try:
            process = subprocess.Popen(
                [part.replace(DESCRIPTOR, str(secret_fd)) for part in command.argv],
                bufsize=CHUNK_BYTES,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=complaints,
                env=command.environment,
                pass_fds=(secret_fd,),
            )
        finally:
            os.close(secret_fd)
        pipe.write(command.secret)
    return process


class _Child:
    """One running child and the thread that moves bytes into it or out of it."""

    def __init__(
        self, command: Command, process: subprocess.Popen[bytes], complaints: IO[bytes]
    ) -> None:
        self.input = cast("IO[bytes]", process.stdin)
        self.output = cast("IO[bytes]", process.stdout)
        self._command = command
        self._process = process
        self._complaints = complaints
        self._mover: Thread | None = None
        self._failure: BaseException | None = None
        self._deaf = False
        for pipe in (self.input, self.output):
            _widen(pipe)

    def deliver(self, sink: BinaryIO) -> None:
        """Move the output to ``sink`` in a thread."""
        self._move(lambda: _copy(self.output, sink))

    def feed(self, chunks: Iterable[bytes]) -> None:
        """Move ``chunks`` to the input in a thread."""

        def work() -> None:
            if all(self.put(chunk) for chunk in chunks):
                self.close_input()

        self._move(work)

    def put(self, data: ReadableBuffer) -> bool:
        """Hand ``data`` to the child; false where it reads no more."""
        try:
            self.input.write(data)
        except BrokenPipeError:
            self._deaf = True
        return not self._deaf

    def close_input(self) -> None:
        """Let the child see the end of its input."""
        try:
            self.input.close()
        except BrokenPipeError:
            self._deaf = True

    def conclude(self) -> None:
        """Wait for the child and raise what went wrong, if anything did."""
        returncode = self._wait()
        if self._failure is not None:
            raise self._failure
        verdict = self._command.verdict(returncode, self._last_complaints())
        if verdict is not None:
            raise verdict
        if self._deaf:
            raise PermanentError(
                f"{self._name} ended before it had read its whole input",
                "Something follows the end of the data; use another copy of it.",
            )

    def end(self) -> None:
        """Kill the child if it still runs, reap it and close its pipes."""
        self._process.kill()
        self._wait()
        self.close_input()
        self.output.close()

    @property
    def _name(self) -> str:
        return Path(self._command.argv[0]).name

    def _move(self, work: Callable[[], None]) -> None:
        def run() -> None:
            try:
                work()
            except BaseException as error:
                self._failure = error
                self._process.kill()

        self._mover = Thread(target=run, name=f"bytes of {self._name}", daemon=True)
        self._mover.start()

    def _wait(self) -> int:
        returncode = self._process.wait()
        if self._mover is not None:
            self._mover.join()
        return returncode

    def _last_complaints(self) -> str:
        size = self._complaints.seek(0, os.SEEK_END)
        self._complaints.seek(max(0, size - _COMPLAINT_BYTES))
        return self._complaints.read().decode(errors="replace")


class _ChildWriter(Writable):
    def __init__(self, child: _Child) -> None:
        self._child = child

    def write(self, data: ReadableBuffer, /) -> int:
        if not self._child.put(data):
            self._child.conclude()
        return size_of(data)


class _ChildReader(Readable):
    def __init__(self, child: _Child) -> None:
        self._child = child
        self._ended = False

    def next_bytes(self, size: int) -> bytes:
        if self._ended:
            return b""
        chunk = self._child.output.read(size)
        if len(chunk) < size:
            self._child.conclude()
            self._ended = True
        return chunk

    def finish(self) -> None:
        while self.read(CHUNK_BYTES):
            pass


def _copy(output: IO[bytes], sink: BinaryIO) -> None:
    while chunk := output.read(CHUNK_BYTES):
        sink.write(chunk)


def _widen(pipe: IO[bytes]) -> None:
    # Users without privileges may hold only so many wide pipes; a narrow one works as well.
    if sys.platform == "linux":
        with contextlib.suppress(PermissionError):
            fcntl.fcntl(pipe, fcntl.F_SETPIPE_SZ, CHUNK_BYTES)
