"""People with OpenPGP keys, made when the tests run."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from portability_pipelines.filters.openpgp_keys import Recipients, SecretKey

KEY_PASSPHRASE = "passphrase-of-a-key"


@dataclass(frozen=True)
class Person:
    """Somebody to whom one encrypts."""

    certificate: bytes = field(repr=False)
    secret_key: SecretKey

    @property
    def recipients(self) -> Recipients:
        """This person alone."""
        return Recipients((self.certificate,))


def someone_of_sequoia(name: str, validity_seconds: int | None = None) -> Person:
    """A person with a key of Sequoia without a passphrase, which announces RFC 9580."""
    from pysequoia import Tsk

    key = Tsk.generate(f"{name} <{name}@example.org>", validity_seconds=validity_seconds)
    return Person(
        str(key.extract_certificate()).encode(),
        SecretKey(str(key).encode(), origin=f"{name}'s secret key"),
    )


def someone(name: str, home: Path) -> Person:
    """A person with a key of GnuPG without a passphrase."""
    with _agent(home):
        _gpg(home, "", "--quick-gen-key", name, "future-default", "default", "never")
        return _exported(home, "", name)


def someone_who_rotated(name: str, home: Path) -> Person:
    """A person of GnuPG with two encryption subkeys, all behind ``KEY_PASSPHRASE``."""
    with _agent(home):
        _gpg(home, KEY_PASSPHRASE, "--quick-gen-key", name, "ed25519", "cert", "never")
        listing = _gpg(home, KEY_PASSPHRASE, "--with-colons", "--list-keys").decode()
        lines = (line.split(":") for line in listing.splitlines())
        fingerprint = next(fields[9] for fields in lines if fields[0] == "fpr")
        for _ in range(2):
            _gpg(home, KEY_PASSPHRASE, "--quick-add-key", fingerprint, "cv25519", "encr", "never")
        return _exported(home, KEY_PASSPHRASE, name)


@contextmanager
def _agent(home: Path) -> Iterator[None]:
    home.mkdir(mode=0o700)
    try:
        yield
    finally:
        subprocess.run(["gpgconf", "--homedir", str(home), "--kill", "gpg-agent"], check=True)


def _exported(home: Path, passphrase: str, name: str) -> Person:
    secret = _gpg(home, passphrase, "--armor", "--export-secret-keys", name)
    certificate = _gpg(home, passphrase, "--export", name)
    return Person(certificate, SecretKey(secret, passphrase, f"{name}'s secret key"))


def _gpg(home: Path, passphrase: str, *arguments: str) -> bytes:
    common = ("--homedir", str(home), "--batch", "--no-tty", "--pinentry-mode", "loopback")
    done = subprocess.run(
        ["gpg", *common, "--passphrase", passphrase, *arguments], check=True, capture_output=True
    )
    return done.stdout
