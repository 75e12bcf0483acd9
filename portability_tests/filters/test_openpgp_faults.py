"""OpenPGP, where the key is wrong or the bytes are: an error, the right one, without a secret."""

from __future__ import annotations

import os
import random
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from portability_pipelines.domain.errors import PermanentError, RefusedError
from portability_pipelines.filters.openpgp import available_tools
from portability_pipelines.filters.openpgp_keys import (
    DecryptionKey,
    Passphrase,
    Recipients,
    SecretKey,
    fingerprints,
    require_usable,
)
from portability_pipelines.filters.openpgp_tool import Tool
from portability_pipelines.filters.sequoia import Sequoia
from portability_tests.filters.keys import KEY_PASSPHRASE, Person, someone_of_sequoia
from portability_tests.filters.test_openpgp import CONTENT, PASSPHRASE, decrypted, encrypted

WRONG = Passphrase("not-the-passphrase", "environment variable BACKUP_PASSPHRASE")


def failure(stored: bytes, key: DecryptionKey, scratch: Path, tool: Tool) -> str:
    with pytest.raises(PermanentError) as caught:
        decrypted(stored, key, scratch, tool)
    return str(caught.value)


def test_a_wrong_passphrase_names_where_it_was_taken_from(tool: Tool, scratch: Path) -> None:
    stored = encrypted(CONTENT, PASSPHRASE, scratch, tool)
    for opener in available_tools():
        said = failure(stored, WRONG, scratch, opener)
        assert "a.gpg cannot be decrypted: wrong passphrase" in said
        assert "environment variable BACKUP_PASSPHRASE" in said
        assert WRONG.secret not in said


def test_a_key_of_somebody_else_does_not_open_it(
    tool: Tool, alice: Person, bob: Person, scratch: Path
) -> None:
    stored = encrypted(CONTENT, alice.recipients, scratch, tool)
    for opener in available_tools():
        assert "Bob's secret key" in failure(stored, bob.secret_key, scratch, opener)
        assert "a.gpg cannot be decrypted" in failure(stored, PASSPHRASE, scratch, opener)


@pytest.mark.parametrize("given", ["", "another"])
def test_a_protected_key_needs_its_passphrase(
    given: str, tool: Tool, rita: Person, scratch: Path
) -> None:
    stored = encrypted(CONTENT, rita.recipients, scratch, tool)
    locked = SecretKey(rita.secret_key.content, given, "Rita's secret key")
    said = failure(stored, locked, scratch, tool)
    assert "Rita's secret key cannot be used: wrong passphrase" in said
    assert KEY_PASSPHRASE not in said


def test_what_is_no_secret_key_cannot_be_used(tool: Tool, alice: Person, scratch: Path) -> None:
    stored = encrypted(CONTENT, alice.recipients, scratch, tool)
    for content in (b"junk", b"", alice.certificate):
        assert "or not a secret key" in failure(stored, SecretKey(content), scratch, tool)


@pytest.mark.parametrize("writer", available_tools(), ids=lambda tool: tool.name)
def test_every_flipped_bit_is_an_error(writer: Tool, tool: Tool, scratch: Path) -> None:
    stored = encrypted(CONTENT, PASSPHRASE, scratch, writer)
    places = [*range(0, 60, 5), *random.Random(2).sample(range(len(stored)), 6), len(stored) - 1]
    for place in places:
        broken = bytearray(stored)
        broken[place] ^= 1 << place % 8
        assert "a.gpg " in failure(bytes(broken), PASSPHRASE, scratch, tool)


@pytest.mark.parametrize("writer", available_tools(), ids=lambda tool: tool.name)
def test_every_truncation_is_an_error(writer: Tool, tool: Tool, scratch: Path) -> None:
    stored = encrypted(CONTENT, PASSPHRASE, scratch, writer)
    for size in (0, 1, 10, 14, 40, 70, 9000, 100_000, len(stored) - 22, len(stored) - 1):
        assert "a.gpg " in failure(stored[:size], PASSPHRASE, scratch, tool)


def test_bytes_behind_a_message_are_an_error_to_gpg(gpg: Tool, tool: Tool, scratch: Path) -> None:
    stored = encrypted(CONTENT, PASSPHRASE, scratch, tool)
    assert "a.gpg cannot be decrypted" in failure(stored + b"junk", PASSPHRASE, scratch, gpg)


def test_a_message_that_is_not_encrypted_is_an_error(
    tool: Tool, alice: Person, scratch: Path
) -> None:
    from pysequoia import SignatureMode, Tsk, sign

    signer = Tsk.from_bytes(alice.secret_key.content).signer()
    signed = sign(signer, CONTENT, mode=SignatureMode.INLINE, armor=False)
    assert "is not an OpenPGP file" in failure(signed, PASSPHRASE, scratch, tool)
    assert "is not an OpenPGP file" in failure(CONTENT, PASSPHRASE, scratch, tool)


def test_plaintext_behind_the_beginning_of_an_encrypted_message_is_an_error(
    gpg: Tool, tool: Tool, scratch: Path
) -> None:
    session_key_packet = encrypted(CONTENT, PASSPHRASE, scratch, gpg)[:15]
    literal_packet = b"\xcb\x0bb\x00\0\0\0\0plain"
    for forged in (session_key_packet + literal_packet, session_key_packet):
        assert "a.gpg cannot be decrypted" in failure(forged, PASSPHRASE, scratch, tool)


WEAKER_CIPHER = """
for each; do
    shift
    [ "$each" = AES256 ] && each=AES128
    set -- "$@" "$each"
done
exec {gpg} "$@"
"""
NO_INTEGRITY_CODE = """
{gpg} "$@" 2>{said} || exit
sed 's/BEGIN_ENCRYPTION 2 9/BEGIN_ENCRYPTION 0 9/' {said} >&2
"""
FAILS_AT_THE_END = """
{gpg} "$@"
echo 'gpg: something went wrong' >&2
exit 2
"""


@pytest.mark.parametrize(
    ("script", "words"),
    [
        (WEAKER_CIPHER, "not by AES-256 with an integrity code"),
        (NO_INTEGRITY_CODE, "not by AES-256 with an integrity code"),
        (FAILS_AT_THE_END, r"gpg could not encrypt \(something went wrong\)"),
    ],
    ids=["cipher", "code", "end"],
)
def test_what_gpg_does_otherwise_than_it_was_told_is_refused(
    script: str,
    words: str,
    gpg: Tool,
    alice: Person,
    scratch: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    real = shutil.which("gpg")
    folder = tmp_path / "bin"
    folder.mkdir()
    double = folder / "gpg"
    double.write_text("#!/bin/sh" + script.format(gpg=real, said=tmp_path / "said"))
    double.chmod(0o700)
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    for key in (PASSPHRASE, alice.recipients):
        with pytest.raises(PermanentError, match=words):
            encrypted(CONTENT, key, scratch, gpg)


@pytest.mark.parametrize("secret", ["", "two\nlines", "nul\0"])
def test_an_unusable_passphrase_is_refused(secret: str) -> None:
    with pytest.raises(RefusedError, match=r"^BACKUP_PASSPHRASE "):
        Passphrase(secret, "BACKUP_PASSPHRASE")


def test_unusable_recipients_are_refused(
    tool: Tool, alice: Person, bob: Person, scratch: Path
) -> None:
    unusable = {
        "nobody to encrypt to": (),
        "not an OpenPGP certificate": (b"junk",),
        "holds 2 certificates": (alice.certificate + bob.certificate,),
        "holds a secret key": (alice.secret_key.content,),
    }
    for reason, certificates in unusable.items():
        with pytest.raises(RefusedError, match=reason):
            encrypted(CONTENT, Recipients(certificates), scratch, tool)


def test_a_certificate_that_expired_is_refused_but_its_files_open(
    gpg: Tool, tool: Tool, alice: Person, scratch: Path
) -> None:
    from pysequoia import Cert, encrypt

    # Sequoia dates keys a minute back, so this one has expired before it is used.
    eve = someone_of_sequoia("Eve", validity_seconds=1)
    with pytest.raises(RefusedError, match=f"{fingerprints(eve.recipients)[0]} has expired"):
        encrypted(CONTENT, eve.recipients, scratch, tool)
    require_usable(eve.recipients, now=datetime.now(UTC) - timedelta(days=1))
    both = [Cert.from_bytes(person.certificate) for person in (eve, alice)]
    stored = encrypt(CONTENT, both, armor=False)
    assert decrypted(stored, eve.secret_key, scratch, gpg) == CONTENT


def test_sequoia_is_refused_recipients_whose_files_gpg_could_not_read(
    gpg: Tool, alice: Person, scratch: Path
) -> None:
    modern = someone_of_sequoia("Mona")
    with pytest.raises(RefusedError, match="a form that GnuPG cannot read"):
        encrypted(CONTENT, modern.recipients, scratch, Sequoia())
    for certificates in ((modern.certificate,), (modern.certificate, alice.certificate)):
        stored = encrypted(CONTENT, Recipients(certificates), scratch, gpg)
        for opener in available_tools():
            assert decrypted(stored, modern.secret_key, scratch, opener) == CONTENT


def test_a_certificate_that_gpg_cannot_read_is_refused(tool: Tool, scratch: Path) -> None:
    from pysequoia import Profile, Tsk

    modern = Tsk.generate("Vera <vera@example.org>", profile=Profile.RFC9580)
    recipients = Recipients((str(modern.extract_certificate()).encode(),))
    with pytest.raises(RefusedError, match="version 6"):
        encrypted(CONTENT, recipients, scratch, tool)
