"""What a program that speaks OpenPGP does for the filter, and how its failures read."""

from __future__ import annotations

from contextlib import AbstractContextManager
from pathlib import Path
from typing import Protocol

from portability_pipelines.domain.errors import PermanentError
from portability_pipelines.filters.child import Command
from portability_pipelines.filters.openpgp_keys import (
    DecryptionKey,
    EncryptionKey,
    Passphrase,
    SecretKey,
)


class Tool(Protocol):
    """A program that encrypts and decrypts its standard input to its standard output.

    The contexts prepare what a command needs in ``scratch`` and remove it again.
    """

    @property
    def name(self) -> str:
        """What people call it."""

    def available(self) -> bool:
        """Whether it is installed here."""

    def encryption(self, key: EncryptionKey, scratch: Path) -> AbstractContextManager[Command]:
        """The command that encrypts to ``key``."""

    def decryption(
        self, key: DecryptionKey, scratch: Path, name: str
    ) -> AbstractContextManager[Command]:
        """The command that decrypts ``name`` with ``key``."""


def wrong_key(name: str, key: DecryptionKey) -> PermanentError:
    """``name`` is encrypted to something else than ``key``."""
    if isinstance(key, Passphrase):
        return PermanentError(
            f"{name} cannot be decrypted: wrong passphrase",
            f"It was read from {key.origin}; give the one that was set when the file was written.",
        )
    return PermanentError(
        f"{name} cannot be decrypted: it is not encrypted to {key.origin}",
        "Give the secret key of one of the recipients that the manifest lists.",
    )


def locked_key(key: SecretKey, detail: str) -> PermanentError:
    """The secret key itself cannot be used."""
    return PermanentError(
        f"{key.origin} cannot be used: wrong passphrase, or not a secret key ({detail})",
        f"{key.origin} must be the output of gpg --export-secret-keys, and "
        f"{key.unlocked_by} what protects that key.",
    )


def damaged(name: str, detail: str) -> PermanentError:
    """``name`` is not the whole of what was encrypted."""
    return PermanentError(
        f"{name} cannot be decrypted: it is damaged or truncated ({detail})",
        "Trust nothing that was read from it; use another copy or another archive.",
    )


def not_encrypted(tool: str, detail: str) -> PermanentError:
    """Encrypting failed."""
    return PermanentError(
        f"{tool} could not encrypt ({detail})", "Check the certificates and the free disk space."
    )
