"""The chain: what is stored opens with standard programs, and any change to it is an error."""

from __future__ import annotations

import gzip
import hashlib
import io
import random
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from portability_pipelines.domain.errors import PermanentError, RefusedError
from portability_pipelines.domain.manifest import FileEntry
from portability_pipelines.filters.chain import reading, stored_suffix, writing
from portability_pipelines.filters.compress import Codec
from portability_pipelines.filters.openpgp_keys import Passphrase
from portability_tests.filters.keys import Person

KEY = Passphrase("correct-horse-battery-staple")
CONTENT = b"id,name\n" + b"".join(b"%d,client\n" % number for number in range(50_000))
CODECS: tuple[Codec, ...] = ("zstd", "gzip", "none")


def stored(
    content: bytes, compression: Codec, key: Passphrase | None = None, threads: int = 0
) -> tuple[bytes, FileEntry]:
    sink = io.BytesIO()
    with writing(sink, compression=compression, key=key, threads=threads) as stream:
        stream.write(content)
    return sink.getvalue(), stream.entry("clients.csv", "csv")


def read_back(content: bytes, entry: FileEntry, key: Passphrase | None = None) -> bytes:
    with reading(io.BytesIO(content), entry, key) as stream:
        return stream.read()


def read_a_little(content: bytes, entry: FileEntry, key: Passphrase | None = None) -> bytes:
    with reading(io.BytesIO(content), entry, key) as stream:
        return stream.read(10)


@pytest.mark.parametrize("key", [None, KEY], ids=["clear", "encrypted"])
@pytest.mark.parametrize("compression", CODECS)
def test_the_entry_describes_both_sides(compression: Codec, key: Passphrase | None) -> None:
    content, entry = stored(CONTENT, compression, key)
    assert entry == FileEntry(
        name="clients.csv",
        format="csv",
        size_bytes=len(content),
        sha256=hashlib.sha256(content).hexdigest(),
        plaintext_size_bytes=len(CONTENT),
        plaintext_sha256=hashlib.sha256(CONTENT).hexdigest(),
        compression=compression,
        encryption="openpgp" if key else "none",
    )
    assert read_back(content, entry, key) == CONTENT


@given(st.binary(max_size=5000), st.sampled_from(CODECS), st.integers(0, 2))
@settings(deadline=None, max_examples=50)
def test_any_content_comes_back(content: bytes, compression: Codec, threads: int) -> None:
    assert read_back(*stored(content, compression, threads=threads)) == content


def test_names_say_what_was_done() -> None:
    assert stored_suffix("zstd", KEY) == ".zst.gpg"
    assert stored_suffix("gzip", None) == ".gz"
    assert stored_suffix("none", KEY) == ".gpg"


def test_without_filters_the_file_is_the_plaintext() -> None:
    assert stored(CONTENT, "none")[0] == CONTENT
    assert gzip.decompress(stored(CONTENT, "gzip")[0]) == CONTENT


@pytest.mark.parametrize("key", [None, KEY], ids=["clear", "encrypted"])
@pytest.mark.parametrize("read", [read_back, read_a_little])
@pytest.mark.parametrize("compression", CODECS)
def test_any_change_to_the_stored_bytes_is_an_error(
    compression: Codec, read: type[object], key: Passphrase | None
) -> None:
    content, entry = stored(CONTENT, compression, key)
    place = random.Random(1).randrange(len(content))
    flipped = bytearray(content)
    flipped[place] ^= 4
    longer = (content + b"x", content + bytes(9), content + content, content + bytes(3 << 20))
    for broken in (bytes(flipped), content[:-1], content[:place], *longer, b""):
        with pytest.raises(PermanentError, match=r"clients\.csv"):
            read(broken, entry, key)  # type: ignore[call-arg]


@pytest.mark.parametrize("key", [None, KEY], ids=["clear", "encrypted"])
def test_plaintext_other_than_the_entry_says_is_an_error(key: Passphrase | None) -> None:
    content, entry = stored(CONTENT, "zstd", key)
    other = replace(entry, plaintext_sha256=hashlib.sha256(b"other").hexdigest())
    with pytest.raises(PermanentError, match=r"The plaintext of clients\.csv is damaged"):
        read_a_little(content, other, key)


def test_an_encrypted_file_needs_a_key() -> None:
    content, entry = stored(CONTENT, "zstd", KEY)
    with pytest.raises(RefusedError, match=r"clients\.csv is encrypted and no key was given"):
        read_back(content, entry)


def test_a_failing_body_leaves_what_cannot_be_read(scratch: Path, alice: Person) -> None:
    sink = io.BytesIO()

    def write_and_fail() -> None:
        with writing(sink, key=alice.recipients, threads=2, scratch=scratch) as stream:
            stream.write(CONTENT)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_and_fail()
    entry = replace(
        stored(CONTENT, "none")[1],
        size_bytes=len(sink.getvalue()),
        sha256=hashlib.sha256(sink.getvalue()).hexdigest(),
        compression="zstd",
        encryption="openpgp",
    )
    with (
        pytest.raises(PermanentError),
        reading(io.BytesIO(sink.getvalue()), entry, alice.secret_key, scratch=scratch) as stream,
    ):
        stream.read()
