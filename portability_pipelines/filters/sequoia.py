"""OpenPGP by Sequoia, where GnuPG is not installed.

pysequoia holds the interpreter's lock for a whole file, so it works in a child process; that takes
25 MB to encrypt and 250 MB to decrypt, whatever the size of the file. Of a secret key it tries one
encryption subkey that has not expired; GnuPG tries them all.
"""

from __future__ import annotations

import base64
import importlib.util
import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from portability_pipelines.domain.errors import PermanentError, PortabilityError, RefusedError
from portability_pipelines.filters.child import DESCRIPTOR, Command, Verdict, plain_environment
from portability_pipelines.filters.openpgp_keys import (
    DecryptionKey,
    EncryptionKey,
    Passphrase,
    Recipients,
    SecretKey,
)
from portability_pipelines.filters.openpgp_tool import (
    damaged,
    locked_key,
    not_encrypted,
    wrong_key,
)
from portability_pipelines.filters.sequoia_child import LOCKED_KEY, WRONG_KEY

# RFC 9580, section 5.13: version 1 has the integrity code of RFC 4880, version 2 has AEAD.
_SEIP_VERSION_OF_GNUPG = 1


@dataclass(frozen=True)
class Sequoia:
    """The installed pysequoia."""

    name: str = "pysequoia"

    def available(self) -> bool:
        """Whether pysequoia is installed."""
        return importlib.util.find_spec(self.name) is not None

    @contextmanager
    def encryption(self, key: EncryptionKey, scratch: Path) -> Iterator[Command]:
        """Encrypt with AES-256 and without compression, which happens before.

        Refused where all the recipients announce the encryption of RFC 9580: Sequoia would use it,
        and GnuPG cannot read it.
        """
        if isinstance(key, Recipients) and _seip_version(key) != _SEIP_VERSION_OF_GNUPG:
            raise RefusedError(
                "pysequoia would encrypt to these recipients in a form that GnuPG cannot read",
                "Install GnuPG here, or encrypt to a certificate that GnuPG made.",
            )
        yield _command("encrypt", _encryption_order(key), _judge_encryption)

    @contextmanager
    def decryption(self, key: DecryptionKey, scratch: Path, name: str) -> Iterator[Command]:
        """Decrypt; a secret key stays in the child's memory."""

        def judge(code: int, complaints: str) -> PortabilityError | None:
            return _judge_decryption(code, complaints, key, name)

        yield _command("decrypt", _decryption_order(key), judge)


def _seip_version(key: Recipients) -> int:
    from pysequoia import Cert, encrypt
    from pysequoia.packet import PacketPile, Tag

    recipients = [Cert.from_bytes(content) for content in key.certificates]
    sample = PacketPile.from_bytes(encrypt(b"", recipients, armor=False))
    version: int = next(packet.body[0] for packet in sample if packet.tag == Tag.SEIP)
    return version


def _command(verb: str, order: dict[str, Any], verdict: Verdict) -> Command:
    module = "portability_pipelines.filters.sequoia_child"
    return Command(
        argv=(sys.executable, "-P", "-m", module, verb, DESCRIPTOR),
        environment={**plain_environment(), "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        verdict=verdict,
        secret=json.dumps(order).encode(),
    )


def _encryption_order(key: EncryptionKey) -> dict[str, Any]:
    if isinstance(key, Passphrase):
        return {"passwords": [key.secret], "certificates": []}
    certificates = [base64.b64encode(item).decode() for item in key.certificates]
    return {"passwords": [], "certificates": certificates}


def _decryption_order(key: DecryptionKey) -> dict[str, Any]:
    if isinstance(key, Passphrase):
        return {"passwords": [key.secret]}
    secret_key = base64.b64encode(key.content).decode()
    return {"passwords": [], "secret_key": secret_key, "key_password": key.passphrase}


def _judge_encryption(code: int, complaints: str) -> PortabilityError | None:
    return not_encrypted("pysequoia", _last_words(complaints)) if code else None


def _judge_decryption(
    code: int, complaints: str, key: DecryptionKey, name: str
) -> PortabilityError | None:
    if code == 0:
        return None
    if code == LOCKED_KEY and isinstance(key, SecretKey):
        return locked_key(key, _last_words(complaints))
    if code == WRONG_KEY and isinstance(key, SecretKey):
        return PermanentError(
            f"{name} cannot be decrypted: pysequoia found no match for it in {key.origin}",
            "Give the secret key of a recipient in the manifest; where it has several encryption "
            "subkeys, install GnuPG, which tries them all.",
        )
    if code == WRONG_KEY:
        return wrong_key(name, key)
    return damaged(name, _last_words(complaints))


def _last_words(complaints: str) -> str:
    said = complaints.strip().splitlines()
    return said[-1] if said else "pysequoia said nothing"
