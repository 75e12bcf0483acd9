"""Digests taken on the way, and their proof at the end."""

from __future__ import annotations

import array
import hashlib
import io
from collections import deque

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from portability_pipelines.domain.errors import PermanentError
from portability_pipelines.filters.checksum import CheckedReader, HashingWriter
from portability_pipelines.filters.streams import CHUNK_BYTES

CONTENT = b"The quick brown fox" * 1000


def checked(stored: bytes, promised: bytes = CONTENT) -> CheckedReader:
    return CheckedReader(
        io.BytesIO(stored),
        size_bytes=len(promised),
        sha256=hashlib.sha256(promised).hexdigest(),
        name="clients.csv",
    )


@given(st.lists(st.binary(max_size=5000), max_size=20))
@settings(deadline=None)
def test_writer_knows_the_size_and_digest_of_what_reached_its_sink(chunks: list[bytes]) -> None:
    sink = io.BytesIO()
    writer = HashingWriter(sink)
    assert [writer.write(chunk) for chunk in chunks] == [len(chunk) for chunk in chunks]
    assert sink.getvalue() == b"".join(chunks)
    assert writer.size_bytes == len(sink.getvalue())
    assert writer.sha256 == hashlib.sha256(sink.getvalue()).hexdigest()


def test_writer_counts_bytes_where_items_are_wider() -> None:
    sink = io.BytesIO()
    writer = HashingWriter(sink)
    assert writer.write(array.array("q", [1, 2, 3])) == 24
    assert writer.size_bytes == len(sink.getvalue()) == 24


@given(st.integers(0, 3 * CHUNK_BYTES), st.sampled_from([5000, CHUNK_BYTES, 2 * CHUNK_BYTES, -1]))
@settings(deadline=None, max_examples=40)
def test_whole_content_passes_whatever_the_size_of_the_reads(size: int, step: int) -> None:
    content = bytes(size)
    reader = checked(content, content)
    assert b"".join(iter(lambda: reader.read(step), b"")) == content


@pytest.mark.parametrize(
    "stored",
    [b"", CONTENT[:-1], CONTENT + b"x", CONTENT[:-1] + b"X", b"x" + CONTENT[1:]],
    ids=["empty", "short", "long", "last byte altered", "first byte altered"],
)
@pytest.mark.parametrize("step", [1000, CHUNK_BYTES, -1])
def test_other_content_is_an_error_that_names_it(stored: bytes, step: int) -> None:
    reader = checked(stored)
    with pytest.raises(PermanentError, match=r"clients\.csv is damaged"):
        deque(iter(lambda: reader.read(step), b""), maxlen=0)


def test_source_that_goes_on_is_an_error_before_its_end() -> None:
    reader = checked(CONTENT * 100)
    with pytest.raises(PermanentError, match=f"more bytes where {len(CONTENT):,}"):
        reader.read(len(CONTENT) + 1)


def test_finish_proves_what_was_left_unread() -> None:
    checked(CONTENT).finish()
    reader = checked(CONTENT[:-1] + b"X")
    assert reader.read(10) == CONTENT[:10]
    with pytest.raises(PermanentError, match="SHA-256"):
        reader.finish()


def test_lines_can_be_read_through_a_buffer() -> None:
    content = b"a\nb\nc"
    assert list(io.BufferedReader(checked(content, content))) == [b"a\n", b"b\n", b"c"]
    assert list(io.TextIOWrapper(checked(content, content))) == ["a\n", "b\n", "c"]
