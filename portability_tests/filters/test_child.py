"""A child process as a filter, at its failures: none hangs, none passes, none leaves a process."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from portability_pipelines.domain.errors import PermanentError, PortabilityError, TransientError
from portability_pipelines.filters.child import (
    DESCRIPTOR,
    Command,
    plain_environment,
    reading_through,
    writing_through,
)
from portability_pipelines.filters.streams import CHUNK_BYTES

CHUNK = b"x" * CHUNK_BYTES
COPY = "import shutil, sys; shutil.copyfileobj(sys.stdin.buffer, sys.stdout.buffer)"
DIE = "import sys; sys.stderr.write('no more'); sys.exit(7)"
FORGET = "import os; os.read(0, 10)"


def judge(code: int, complaints: str) -> PortabilityError | None:
    return PermanentError(f"It ended with {code}: {complaints}", "Look.") if code else None


def python(program: str, *arguments: str, secret: bytes = b"") -> Command:
    argv = (sys.executable, "-c", program, *arguments)
    return Command(argv, plain_environment(), judge, secret)


def endless() -> Iterator[bytes]:
    while True:
        yield CHUNK


class FullDisk(io.BytesIO):
    """Takes one chunk and fails at the next."""

    def write(self, data: object, /) -> int:
        if self.tell():
            raise TransientError("The disk is full", "Free some space.")
        return super().write(b"taken")


def write_chunks(command: Command, sink: io.BytesIO, scratch: Path, count: int) -> None:
    with writing_through(command, sink, scratch) as stream:
        for _ in range(count):
            stream.write(CHUNK)


def read_then(command: Command, scratch: Path, then: Callable[[bytes], object]) -> None:
    with reading_through(command, endless(), scratch) as stream:
        then(stream.read(10))


@pytest.mark.parametrize("count", [0, 1, 20])
def test_bytes_go_through_a_child(count: int, scratch: Path) -> None:
    sink = io.BytesIO()
    write_chunks(python(COPY), sink, scratch, count)
    assert sink.getvalue() == CHUNK * count
    with reading_through(python(COPY), iter([sink.getvalue()]), scratch) as stream:
        assert stream.read() == CHUNK * count


@pytest.mark.parametrize("count", [0, 1, 20])
def test_a_child_that_fails_at_once_is_heard_instead_of_a_broken_pipe(
    count: int, scratch: Path
) -> None:
    with pytest.raises(PermanentError, match="It ended with 7: no more"):
        write_chunks(python(DIE), io.BytesIO(), scratch, count)
    with pytest.raises(PermanentError, match="It ended with 7: no more"):
        read_then(python(DIE), scratch, lambda _: None)


def test_a_child_that_fails_after_its_output_fails_the_last_read(scratch: Path) -> None:
    seen = []

    def read_all() -> None:
        with reading_through(python(f"{COPY}; {DIE}"), iter([b"plain"]), scratch) as stream:
            seen.append(stream.read(5))
            stream.read(1)
            seen.append(b"the end")

    with pytest.raises(PermanentError, match="It ended with 7"):
        read_all()
    assert seen == [b"plain"]


def test_a_body_that_stops_early_still_hears_of_a_failure_at_the_end(scratch: Path) -> None:
    def read_a_little() -> None:
        with reading_through(python(f"{COPY}; {DIE}"), iter([CHUNK] * 20), scratch) as stream:
            stream.read(10)

    with pytest.raises(PermanentError, match="It ended with 7"):
        read_a_little()


def test_a_child_that_leaves_input_unread_is_an_error(scratch: Path) -> None:
    with pytest.raises(PermanentError, match="before it had read its whole input"):
        write_chunks(python(FORGET), io.BytesIO(), scratch, 20)
    with pytest.raises(PermanentError, match="before it had read its whole input"):
        read_then(python(FORGET), scratch, lambda _: None)


def test_an_error_of_the_sink_comes_through(scratch: Path) -> None:
    with pytest.raises(TransientError, match="The disk is full"):
        write_chunks(python(COPY), FullDisk(), scratch, 50)


def test_an_error_of_the_source_comes_through(scratch: Path) -> None:
    def unreliable() -> Iterator[bytes]:
        yield CHUNK
        raise TransientError("The store went away", "Try again.")

    def read_all() -> None:
        with reading_through(python(COPY), unreliable(), scratch) as stream:
            stream.read()

    with pytest.raises(TransientError, match="The store went away"):
        read_all()


@pytest.mark.parametrize("failure", [RuntimeError, KeyboardInterrupt])
def test_a_body_that_fails_ends_the_child_before_its_input_ends(
    failure: type[BaseException], scratch: Path
) -> None:
    program = "import sys; sys.stdin.buffer.read(); sys.stdout.write('complete')"
    sink = io.BytesIO()

    def write_and_fail() -> None:
        with writing_through(python(program), sink, scratch) as stream:
            stream.write(b"some")
            raise failure

    def fail(_: bytes) -> None:
        raise failure

    with pytest.raises(failure):
        write_and_fail()
    assert sink.getvalue() == b""
    with pytest.raises(failure):
        read_then(python(COPY), scratch, fail)


def test_a_secret_of_any_size_reaches_the_child_and_its_command_shows_none(scratch: Path) -> None:
    secret = b"s" * 300_000
    program = "import os, sys; sys.stdout.write(str(len(os.fdopen(int(sys.argv[1])).read())))"
    command = python(program, DESCRIPTOR, secret=secret)
    with reading_through(command, iter([]), scratch) as stream:
        assert stream.read() == b"300000"
    assert "sss" not in repr(command)


def test_a_child_inherits_no_variable_of_ours(
    scratch: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BACKUP_PASSPHRASE", "hidden")
    program = "import os; print(sorted(os.environ))"
    with reading_through(python(program), iter([]), scratch) as stream:
        assert b"BACKUP_PASSPHRASE" not in stream.read()
