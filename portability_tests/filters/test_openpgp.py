"""OpenPGP: each program opens the other's files, and gpg opens them without this project."""

from __future__ import annotations

import io
import os
import random
import subprocess
from collections.abc import Generator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from portability_pipelines.domain.errors import PermanentError, RefusedError
from portability_pipelines.domain.manifest import Encryption
from portability_pipelines.filters import openpgp
from portability_pipelines.filters.gnupg import Gnupg
from portability_pipelines.filters.openpgp import available_tools, choose_tool
from portability_pipelines.filters.openpgp_keys import (
    DecryptionKey,
    EncryptionKey,
    Passphrase,
    Recipients,
    described,
    fingerprints,
)
from portability_pipelines.filters.openpgp_tool import Tool
from portability_pipelines.filters.sequoia import Sequoia
from portability_tests.filters.keys import Person
from portability_tests.processes import children, eventually

MIB = 1 << 20
PASSPHRASE = Passphrase("correct horse, größe 7 ", "environment variable BACKUP_PASSPHRASE")
CONTENT = random.Random(5).randbytes(300_000)


def encrypted(content: bytes, key: EncryptionKey, scratch: Path, tool: Tool) -> bytes:
    sink = io.BytesIO()
    with openpgp.encrypting(sink, key, scratch=scratch, tool=tool) as stream:
        stream.write(content)
    return sink.getvalue()


def decrypted(content: bytes, key: DecryptionKey, scratch: Path, tool: Tool) -> bytes:
    source = io.BytesIO(content)
    with openpgp.decrypting(source, key, scratch=scratch, name="a.gpg", tool=tool) as stream:
        return stream.read()


@pytest.mark.parametrize("size", [0, 1, 5 * MIB])
def test_each_program_opens_what_the_other_wrote(size: int, tool: Tool, scratch: Path) -> None:
    content = random.Random(size).randbytes(size)
    stored = encrypted(content, PASSPHRASE, scratch, tool)
    for opener in available_tools():
        assert decrypted(stored, PASSPHRASE, scratch, opener) == content


def test_each_recipient_opens_it_with_each_program(
    tool: Tool, alice: Person, bob: Person, scratch: Path
) -> None:
    both = Recipients((alice.certificate, bob.certificate))
    stored = encrypted(CONTENT, both, scratch, tool)
    for opener in available_tools():
        for person in (alice, bob):
            assert decrypted(stored, person.secret_key, scratch, opener) == CONTENT


@given(st.binary(max_size=3000))
@settings(
    deadline=None, max_examples=5, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_any_content_comes_back(tool: Tool, scratch: Path, content: bytes) -> None:
    stored = encrypted(content, PASSPHRASE, scratch, tool)
    assert decrypted(stored, PASSPHRASE, scratch, tool) == content


@pytest.mark.usefixtures("gpg")
def test_gpg_on_the_command_line_opens_it_and_finds_aes256(tool: Tool, tmp_path: Path) -> None:
    stored, secret = tmp_path / "a.gpg", tmp_path / "passphrase"
    stored.write_bytes(encrypted(CONTENT, PASSPHRASE, tmp_path, tool))
    secret.write_text(PASSPHRASE.secret, encoding="utf-8")
    options = ("--homedir", str(tmp_path), "--batch", "--no-autostart", "--status-fd", "2")
    unlocking = ("--pinentry-mode", "loopback", "--passphrase-file", str(secret))
    done = subprocess.run(
        ["gpg", *options, *unlocking, "-d", str(stored)], capture_output=True, check=True
    )
    assert done.stdout == CONTENT
    assert b"DECRYPTION_INFO 2 9" in done.stderr, "an integrity code, and cipher 9: AES-256"


def test_gpg_opens_it_with_a_protected_key_that_was_rotated(
    gpg: Tool, tool: Tool, rita: Person, scratch: Path
) -> None:
    stored = encrypted(CONTENT, rita.recipients, scratch, tool)
    assert decrypted(stored, rita.secret_key, scratch, gpg) == CONTENT


def test_a_passphrase_that_a_key_does_not_need_is_no_obstacle(
    tool: Tool, alice: Person, scratch: Path
) -> None:
    stored = encrypted(CONTENT, alice.recipients, scratch, tool)
    key = replace(alice.secret_key, passphrase=PASSPHRASE.secret)
    assert decrypted(stored, key, scratch, tool) == CONTENT


@pytest.mark.parametrize("length", [72, 73, 74, 75, 120])
def test_a_long_scratch_path_is_no_obstacle(length: int, gpg: Tool, alice: Person) -> None:
    with TemporaryDirectory(prefix="f") as short:
        deep = Path(short) / ("d" * (length - len(short) - 1))
        deep.mkdir()
        stored = encrypted(CONTENT, alice.recipients, deep, gpg)
        assert decrypted(stored, alice.secret_key, deep, gpg) == CONTENT


def test_only_links_that_lead_nowhere_are_taken_away(
    gpg: Tool, alice: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    with TemporaryDirectory(prefix="f") as short:
        deep, temporary, home = (Path(short) / name for name in ("d" * 90, "t", "h"))
        for folder in (deep, temporary, home):
            folder.mkdir()
        (temporary / "portability-gpg-dead").symlink_to(Path(short) / "gone")
        kept = {temporary / "portability-gpg-living", temporary / "portability-gpg-file"}
        (temporary / "portability-gpg-living").symlink_to(home)
        (temporary / "portability-gpg-file").touch()
        monkeypatch.setattr("tempfile.tempdir", str(temporary))
        stored = encrypted(CONTENT, alice.recipients, deep, gpg)
        assert decrypted(stored, alice.secret_key, deep, gpg) == CONTENT
        assert set(temporary.iterdir()) == kept


def test_no_secret_shows_in_the_command_or_the_environment(
    tool: Tool, scratch: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BACKUP_PASSPHRASE", PASSPHRASE.secret)
    before = children()
    with openpgp.encrypting(io.BytesIO(), PASSPHRASE, scratch=scratch, tool=tool) as stream:
        stream.write(CONTENT)
        (pid,) = children() - before
        places = [Path(f"/proc/{pid}/{part}") for part in ("cmdline", "environ")]
        assert eventually(lambda: all(place.read_bytes() for place in places))
        shown = [place.read_bytes() for place in places]
        assert not any(PASSPHRASE.secret.encode() in part for part in shown)
        kept = [path.read_bytes() for path in scratch.rglob("*") if path.is_file()]
        assert not any(PASSPHRASE.secret.encode() in part for part in kept)


def test_no_descriptor_stays_open(tool: Tool, scratch: Path) -> None:
    descriptors = Path("/proc/self/fd")
    stored = encrypted(CONTENT, PASSPHRASE, scratch, tool)
    before = len(list(descriptors.iterdir()))
    for _ in range(3):
        decrypted(stored, PASSPHRASE, scratch, tool)
    assert len(list(descriptors.iterdir())) == before


def test_representations_hide_secrets(alice: Person) -> None:
    assert PASSPHRASE.secret not in repr(PASSPHRASE)
    assert "BEGIN" not in repr(alice.secret_key)
    assert "BEGIN" not in repr(alice.recipients)


def test_the_manifest_names_cipher_and_recipients(alice: Person, bob: Person) -> None:
    both = Recipients((alice.certificate, bob.certificate))
    assert described(both) == Encryption("openpgp", "AES256", "recipients", fingerprints(both))
    assert [len(fingerprint) for fingerprint in fingerprints(both)] == [40, 40]
    assert described(PASSPHRASE) == Encryption("openpgp", "AES256", "passphrase")


def test_gpg_is_preferred_and_sequoia_serves_without_it(
    monkeypatch: pytest.MonkeyPatch, gpg: Tool
) -> None:
    assert choose_tool() == gpg
    monkeypatch.setenv("PATH", os.devnull)
    assert choose_tool() == Sequoia()
    assert Gnupg() not in available_tools()


def test_without_any_program_the_advice_is_to_install_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(openpgp, "available_tools", tuple)
    with pytest.raises(RefusedError, match="Install GnuPG"):
        choose_tool()


def test_a_failing_body_leaves_what_cannot_be_opened(tool: Tool, scratch: Path) -> None:
    sink = io.BytesIO()

    def write_and_fail() -> None:
        with openpgp.encrypting(sink, PASSPHRASE, scratch=scratch, tool=tool) as stream:
            stream.write(CONTENT * 20)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_and_fail()
    with pytest.raises(PermanentError):
        decrypted(sink.getvalue(), PASSPHRASE, scratch, tool)


def test_a_consumer_that_stops_leaves_nothing_behind(
    tool: Tool, alice: Person, scratch: Path
) -> None:
    stored = encrypted(CONTENT * 50, alice.recipients, scratch, tool)
    with closing(pieces_of(stored, alice.secret_key, scratch, tool)) as pieces:
        assert next(pieces) == CONTENT[:1000]


def pieces_of(
    stored: bytes, key: DecryptionKey, scratch: Path, tool: Tool
) -> Generator[bytes, None, None]:
    with openpgp.decrypting(io.BytesIO(stored), key, scratch=scratch, tool=tool) as stream:
        yield from iter(lambda: stream.read(1000), b"")
