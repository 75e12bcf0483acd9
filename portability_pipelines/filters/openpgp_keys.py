"""What OpenPGP encrypts to and decrypts with. No representation of these values shows a secret."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from portability_pipelines.domain.errors import RefusedError
from portability_pipelines.domain.manifest import Encryption

if TYPE_CHECKING:
    from pysequoia import Cert

# RFC 9580, section 5.5.4: version 6 keys have 32-byte fingerprints; GnuPG cannot read them.
_VERSION_6_DIGITS = 64


@dataclass(frozen=True)
class Passphrase:
    """A shared secret, for both directions. ``origin`` says in errors where it was taken from."""

    secret: str = field(repr=False)
    origin: str = "the passphrase"

    def __post_init__(self) -> None:
        if not self.secret:
            raise RefusedError(f"{self.origin} is empty", "Set it to a generated secret.")
        if set(self.secret) & set("\n\r\0"):
            raise RefusedError(
                f"{self.origin} has more than one line", "Use a secret of one line of text."
            )
        if not _is_utf8(self.secret):
            raise RefusedError(f"{self.origin} is not UTF-8", "Use a secret of plain letters.")


@dataclass(frozen=True)
class Recipients:
    """The public certificates to encrypt to, one each, armored or binary."""

    certificates: tuple[bytes, ...] = field(repr=False)

    @classmethod
    def from_files(cls, paths: Iterable[Path]) -> Recipients:
        """Read one certificate from each file."""
        return cls(tuple(path.read_bytes() for path in paths))


@dataclass(frozen=True)
class SecretKey:
    """A secret key to decrypt with, armored or binary, and the passphrase that protects it.

    ``origin`` and ``unlocked_by`` say in errors where the two were taken from.
    """

    content: bytes = field(repr=False)
    passphrase: str = field(default="", repr=False)
    origin: str = "the secret key"
    unlocked_by: str = "its passphrase"


EncryptionKey = Passphrase | Recipients
DecryptionKey = Passphrase | SecretKey


def _is_utf8(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def fingerprints(key: EncryptionKey) -> tuple[str, ...]:
    """The fingerprints of the certificates, in lower-case hex; none for a passphrase."""
    if isinstance(key, Passphrase):
        return ()
    return tuple(_certificate(content).fingerprint for content in key.certificates)


def described(key: EncryptionKey) -> Encryption:
    """What a manifest says about files encrypted to ``key``."""
    if isinstance(key, Passphrase):
        return Encryption("openpgp", "AES256", "passphrase")
    return Encryption("openpgp", "AES256", "recipients", fingerprints(key))


def require_usable(key: EncryptionKey, now: datetime | None = None) -> None:
    """Refuse certificates that GnuPG would not encrypt to or that would not be read back."""
    if isinstance(key, Passphrase):
        return
    if not key.certificates:
        raise RefusedError("There is nobody to encrypt to", "Give at least one certificate.")
    for content in key.certificates:
        certificate = _certificate(content)
        fault = _fault(certificate, content, now or datetime.now(UTC))
        if fault:
            raise RefusedError(f"The certificate {certificate.fingerprint} {fault[0]}", fault[1])


def _fault(certificate: Cert, content: bytes, now: datetime) -> tuple[str, str] | None:
    from pysequoia.packet import PacketPile, Tag

    if any(packet.tag == Tag.SecretKey for packet in PacketPile.from_bytes(content)):
        return "holds a secret key", "Export the public part alone and give that."
    if certificate.is_revoked:
        return "is revoked", "Encrypt to a valid certificate."
    if certificate.expiration is not None and certificate.expiration <= now:
        return "has expired", "Extend it with its secret key, or encrypt to another."
    if len(certificate.fingerprint) == _VERSION_6_DIGITS:
        return "has version 6, which GnuPG cannot read", "Make one of version 4."
    return None


def _certificate(content: bytes) -> Cert:
    from pysequoia import Cert

    try:
        found = Cert.split_bytes(content)
    except RuntimeError as error:
        raise RefusedError(
            "A recipient is not an OpenPGP certificate",
            "Give the output of: gpg --armor --export <fingerprint>",
        ) from error
    if len(found) != 1:
        raise RefusedError(
            f"A recipient's file holds {len(found)} certificates",
            "Put each certificate in a file of its own, so that none is overlooked.",
        )
    return found[0]
