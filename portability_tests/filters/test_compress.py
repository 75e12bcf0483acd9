"""Compression: standard files, whole or an error."""

from __future__ import annotations

import gc
import gzip
import io
import random
import subprocess
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from portability_pipelines.domain.errors import PermanentError, RefusedError, TransientError
from portability_pipelines.filters.compress import SUFFIXES, compressing, decompressing
from portability_pipelines.filters.streams import CHUNK_BYTES
from portability_tests.filters.conftest import RequireProgram

CODECS = ("zstd", "gzip")
SAMPLE = random.Random(7).randbytes(20_000) + b"and a text that repeats " * 4000


def packed(content: bytes, codec: str, *, threads: int = 0, step: int = CHUNK_BYTES) -> bytes:
    sink = io.BytesIO()
    with compressing(sink, codec, threads=threads) as stream:
        for start in range(0, len(content), step):
            stream.write(content[start : start + step])
    return sink.getvalue()


def unpacked(content: bytes, codec: str, step: int = CHUNK_BYTES) -> bytes:
    stream = decompressing(io.BytesIO(content), codec, name="clients.csv")
    return b"".join(iter(lambda: stream.read(step), b""))


@pytest.mark.parametrize("codec", SUFFIXES)
@given(st.binary(max_size=10_000), st.integers(1, 4000))
@settings(deadline=None, max_examples=50)
def test_content_comes_back(codec: str, content: bytes, step: int) -> None:
    assert unpacked(packed(content, codec, step=step), codec, step) == content


@pytest.mark.parametrize("codec", SUFFIXES)
@pytest.mark.parametrize("threads", [0, 2])
@pytest.mark.parametrize("size", [0, 1, CHUNK_BYTES, 5 * CHUNK_BYTES + 1])
def test_every_size_comes_back(codec: str, threads: int, size: int) -> None:
    content = random.Random(size).randbytes(size)
    assert unpacked(packed(content, codec, threads=threads), codec) == content


def test_one_write_of_any_size_is_taken() -> None:
    assert unpacked(packed(SAMPLE * 50, "zstd", step=1 << 30), "zstd") == SAMPLE * 50


@pytest.mark.parametrize(("codec", "program"), [("zstd", "zstd"), ("gzip", "gzip")])
def test_the_standard_program_opens_it(
    codec: str, program: str, require_program: RequireProgram, tmp_path: Path
) -> None:
    command = require_program(program)
    path = tmp_path / "stored"
    path.write_bytes(packed(SAMPLE, codec))
    with path.open("rb") as stored:
        done = subprocess.run([command, "-d", "-c"], stdin=stored, capture_output=True, check=True)
    assert done.stdout == SAMPLE


def test_the_standard_library_opens_gzip_and_finds_no_time_in_it() -> None:
    stored = packed(SAMPLE, "gzip")
    assert gzip.decompress(stored) == SAMPLE
    assert stored[4:8] == bytes(4)


@pytest.mark.parametrize("codec", CODECS)
def test_the_same_bytes_give_the_same_file(codec: str) -> None:
    assert packed(SAMPLE, codec) == packed(SAMPLE, codec)


@pytest.mark.parametrize("codec", CODECS)
def test_frames_in_a_row_are_all_read(codec: str) -> None:
    stored = packed(SAMPLE, codec) + packed(b"", codec) + packed(b"more", codec)
    assert unpacked(stored, codec) == SAMPLE + b"more"


@pytest.mark.parametrize("codec", CODECS)
def test_every_truncation_is_an_error(codec: str) -> None:
    stored = packed(SAMPLE, codec)
    cuts = [*range(30), *range(30, len(stored), 499), *range(len(stored) - 12, len(stored))]
    for cut in cuts:
        with pytest.raises(PermanentError, match=r"clients\.csv is truncated"):
            unpacked(stored[:cut], codec)


@pytest.mark.parametrize("codec", CODECS)
def test_a_flipped_bit_is_an_error_or_changes_nothing(codec: str) -> None:
    stored = packed(SAMPLE, codec)
    places = [*range(40), *random.Random(3).sample(range(len(stored)), 150)]
    unharmed = []
    for place in places:
        broken = bytearray(stored)
        broken[place] ^= 1 << place % 8
        with suppress(PermanentError):
            assert unpacked(bytes(broken), codec) == SAMPLE
            unharmed.append(place)
    assert max(unharmed, default=0) < 10, "beyond the header every bit counts"


@pytest.mark.parametrize("codec", CODECS)
@pytest.mark.parametrize("failure", [RuntimeError, KeyboardInterrupt])
def test_a_body_that_fails_leaves_what_reads_as_truncated(
    codec: str, failure: type[BaseException]
) -> None:
    sink = io.BytesIO()

    def write_and_fail() -> None:
        with compressing(sink, codec) as stream:
            stream.write(SAMPLE * 20)
            raise failure

    with pytest.raises(failure):
        write_and_fail()
    gc.collect()
    with pytest.raises(PermanentError, match="truncated"):
        unpacked(sink.getvalue(), codec)


@pytest.mark.parametrize("codec", CODECS)
def test_an_error_of_the_source_comes_through(codec: str) -> None:
    stored = packed(SAMPLE * 20, codec)

    class Unreliable(io.BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            if self.tell():
                raise TransientError("The store went away", "Try again.")
            return super().read(1000)

    stream = decompressing(Unreliable(stored), codec)
    with pytest.raises(TransientError, match="went away"):
        stream.read()


@pytest.mark.parametrize("codec", CODECS)
def test_the_source_is_left_open(codec: str) -> None:
    source = io.BytesIO(packed(SAMPLE, codec))
    stream = decompressing(source, codec)
    stream.read(10)
    del stream
    gc.collect()
    assert not source.closed


@pytest.mark.parametrize("codec", CODECS)
def test_a_read_gives_no_more_than_was_asked_for(codec: str) -> None:
    stream = decompressing(io.BytesIO(packed(bytes(50_000_000), codec)), codec)
    assert [len(stream.read(1000)) for _ in range(3)] == [1000, 1000, 1000]


def test_an_unknown_codec_is_refused() -> None:
    with pytest.raises(RefusedError, match="'bz2' is not a compression"):
        decompressing(io.BytesIO(), "bz2")
    with pytest.raises(RefusedError, match="zstd, gzip, none"), compressing(io.BytesIO(), "bz2"):
        pass
