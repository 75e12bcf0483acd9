"""OpenPGP by GnuPG: fast, in 5 MB of memory, and by the program that people restore with.

Every command runs in a home of its own, which is private and removed afterwards. A passphrase is
never written anywhere. A secret key lies in that home while it is used, protected there by its own
passphrase; GnuPG starts an agent for it, which is ended with the home.
"""

from __future__ import annotations

import os
import secrets
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from portability_pipelines.domain.errors import PortabilityError
from portability_pipelines.filters.child import DESCRIPTOR, Command, plain_environment
from portability_pipelines.filters.openpgp_keys import (
    DecryptionKey,
    EncryptionKey,
    Passphrase,
    SecretKey,
)
from portability_pipelines.filters.openpgp_tool import (
    damaged,
    locked_key,
    not_encrypted,
    wrong_key,
)

# sockaddr_un holds 108 bytes; gpg-agent 2.2 takes names of up to 106. This is its longest socket.
_SOCKET_PATH_BYTES = 106
_LONGEST_SOCKET = "S.gpg-agent.browser"
_LINK = "portability-gpg-"

# RFC 4880, section 3.7.1.3: the largest count, and the one that gpg takes by default when fast.
_S2K_COUNT = "65011712"

_AGENT_TIMEOUT_SECONDS = 60


@dataclass(frozen=True)
class Gnupg:
    """The ``gpg`` on the path, version 2.2 or later."""

    name: str = "gpg"

    def available(self) -> bool:
        """Whether ``gpg`` is on the path."""
        return shutil.which(self.name) is not None

    @contextmanager
    def encryption(self, key: EncryptionKey, scratch: Path) -> Iterator[Command]:
        """Encrypt with AES-256 and without compression, which happens before."""
        with _home(scratch) as home:
            yield Command(
                argv=(*_gpg(home), "--no-autostart", *_ENCRYPT, *_target(key, home)),
                environment=plain_environment(),
                verdict=_judge_encryption,
                secret=key.secret.encode() if isinstance(key, Passphrase) else b"",
            )

    @contextmanager
    def decryption(self, key: DecryptionKey, scratch: Path, name: str) -> Iterator[Command]:
        """Decrypt; a secret key is imported into the command's home first."""
        secret = key.secret if isinstance(key, Passphrase) else key.passphrase
        with _home(scratch) as home, _key_imported(key, home):
            yield Command(
                argv=(*_gpg(home), "--passphrase-fd", DESCRIPTOR, "--decrypt"),
                environment=plain_environment(),
                verdict=lambda code, complaints: _judge_decryption(code, complaints, key, name),
                secret=secret.encode(),
            )


_ENCRYPT = ("--cipher-algo", "AES256", "--compress-algo", "none")


def _gpg(home: Path) -> tuple[str, ...]:
    return (
        *("gpg", "--homedir", str(home), "--no-options", "--batch", "--no-tty"),
        *("--status-fd", "2", "--trust-model", "always"),
        *("--pinentry-mode", "loopback", "--no-symkey-cache"),
    )


def _target(key: EncryptionKey, home: Path) -> tuple[str, ...]:
    if isinstance(key, Passphrase):
        strengthened = ("--s2k-digest-algo", "SHA256", "--s2k-count", _S2K_COUNT)
        return ("--passphrase-fd", DESCRIPTOR, *strengthened, "--symmetric")
    arguments = ["--no-keyring", "--encrypt"]
    for number, certificate in enumerate(key.certificates):
        path = home / f"recipient-{number}"
        path.write_bytes(certificate)
        arguments += ["--recipient-file", str(path)]
    return tuple(arguments)


@contextmanager
def _home(scratch: Path) -> Iterator[Path]:
    """A home in ``scratch``, whose sweep takes away what a killed process leaves of it.

    The agent ends when its home vanishes. A home whose path is too long for the names of sockets
    is reached by a link in the system's folder for temporary files; only the link lies there.
    """
    with tempfile.TemporaryDirectory(prefix="gpg-", dir=scratch) as made:
        home = Path(made).absolute()
        if len(os.fsencode(home / _LONGEST_SOCKET)) <= _SOCKET_PATH_BYTES:
            yield home
            return
        with _link_to(home) as link:
            yield link


@contextmanager
def _link_to(home: Path) -> Iterator[Path]:
    folder = Path(tempfile.gettempdir())
    for left in folder.glob(f"{_LINK}*"):
        _remove_if_dangling(left)
    link = folder / (_LINK + secrets.token_hex(8))
    link.symlink_to(home)
    try:
        yield link
    finally:
        link.unlink(missing_ok=True)


def _remove_if_dangling(link: Path) -> None:
    """Remove a ``link`` of this user's whose home is gone; a living process's leads to its home."""
    with suppress(OSError):
        if link.lstat().st_uid == os.geteuid() and link.is_symlink() and not link.exists():
            link.unlink()


@contextmanager
def _key_imported(key: DecryptionKey, home: Path) -> Iterator[None]:
    if isinstance(key, Passphrase):
        yield
        return
    try:
        _import(key, home)
        yield
    finally:
        subprocess.run(
            ["gpgconf", "--homedir", str(home), "--kill", "gpg-agent"],
            env=plain_environment(),
            capture_output=True,
            check=False,
            timeout=_AGENT_TIMEOUT_SECONDS,
        )


def _import(key: SecretKey, home: Path) -> None:
    done = subprocess.run(
        [*_gpg(home), "--import"],
        input=key.content,
        env=plain_environment(),
        capture_output=True,
        check=False,
        timeout=_AGENT_TIMEOUT_SECONDS,
    )
    complaints = done.stderr.decode(errors="replace")
    if done.returncode != 0 or "[GNUPG:] IMPORT_OK 17 " not in complaints:
        raise locked_key(key, _last_words(complaints))


def _judge_encryption(code: int, complaints: str) -> PortabilityError | None:
    # BEGIN_ENCRYPTION <mdc method> <cipher>: method 2 is SHA-1, cipher 9 is AES-256 (doc/DETAILS).
    if code != 0:
        return not_encrypted("gpg", _last_words(complaints))
    if "[GNUPG:] BEGIN_ENCRYPTION 2 9" not in complaints:
        return not_encrypted("gpg", "what it wrote is not by AES-256 with an integrity code")
    return None


def _judge_decryption(
    code: int, complaints: str, key: DecryptionKey, name: str
) -> PortabilityError | None:
    if code == 0 and "[GNUPG:] DECRYPTION_OKAY" in complaints:
        return None
    if isinstance(key, SecretKey):
        for fault in ("Bad passphrase", "No passphrase given"):
            if fault in complaints:
                return locked_key(key, fault)
    if "BAD_PASSPHRASE" in complaints or "NO_SECKEY" in complaints:
        return wrong_key(name, key)
    broken = "[GNUPG:] BADMDC" in complaints
    return damaged(name, "bad integrity code" if broken else _last_words(complaints))


def _last_words(complaints: str) -> str:
    said = [line.removeprefix("gpg: ") for line in complaints.splitlines() if _tells(line)]
    return said[-1] if said else "gpg said nothing"


def _tells(line: str) -> bool:
    counts = line.startswith(("gpg:  ", "gpg: Total number processed"))
    return line.startswith("gpg: ") and not counts
