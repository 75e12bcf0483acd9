"""Files of archives, read back from the store and proven on the way."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from portability_pipelines.domain.errors import PermanentError
from portability_pipelines.domain.manifest import FileEntry, Manifest
from portability_pipelines.filters.chain import reading
from portability_pipelines.filters.checksum import CheckedReader
from portability_pipelines.filters.openpgp import decrypting
from portability_pipelines.filters.openpgp_keys import DecryptionKey
from portability_pipelines.stores.base import Store

CHUNK_BYTES = 1 << 20


class _EnoughRead(Exception):  # noqa: N818 - it reports no error
    """Ends a decryption whose rest is not needed."""


@dataclass(frozen=True)
class StoredFile:
    """One file of an archive: where it is stored, what it must be, and the key that opens it.

    Every method raises ``PermanentError`` where the file is not what its entry says. ``scratch``
    is an existing private folder.
    """

    store: Store
    manifest: Manifest
    entry: FileEntry
    key: DecryptionKey | None = field(default=None, repr=False)

    @property
    def key_is_elsewhere(self) -> bool:
        """Whether it is encrypted to recipients, and no secret key is here that may open it."""
        encryption = self.manifest.encryption
        to_recipients = encryption is not None and encryption.mode == "recipients"
        return self.entry.encryption != "none" and to_recipients and self.key is None

    @contextmanager
    def open(self, scratch: Path) -> Iterator[BinaryIO]:
        """Give the plaintext as a stream, in bounded memory; see ``filters.chain.reading``."""
        with (
            self._stored() as stored,
            reading(stored, self.entry, self._usable_key(), scratch=scratch) as plain,
        ):
            yield plain

    def fetch(self, target: Path, scratch: Path) -> None:
        """Write the plaintext to the new file ``target`` (mode 0600), in bounded memory.

        After an error ``target`` is not to be used.
        """
        target.touch(mode=0o600, exist_ok=False)
        with self.open(scratch) as plain, target.open("wb") as sink:
            shutil.copyfileobj(plain, sink, CHUNK_BYTES)

    def check_stored(self) -> None:
        """Prove the stored bytes by size and SHA-256, without a key."""
        with self._stored() as stored:
            self._checked(stored).finish()

    def check_decrypts(self, scratch: Path) -> None:
        """Prove that the key opens the whole file, without a look at what is inside."""
        with self._stored() as stored, self._decrypted(self._checked(stored), scratch):
            pass

    def opens(self, scratch: Path) -> bool:
        """Whether the key opens the first bytes; true where there is nothing to decrypt."""
        try:
            with (
                suppress(_EnoughRead),
                self._stored() as stored,
                self._decrypted(stored, scratch) as plain,
            ):
                plain.read(1)
                raise _EnoughRead
        except PermanentError:
            return False
        return True

    def _stored(self) -> BinaryIO:
        return self.store.open(f"{self.manifest.prefix}/{self.entry.name}")

    def _checked(self, stored: BinaryIO) -> CheckedReader:
        entry = self.entry
        return CheckedReader(
            stored, size_bytes=entry.size_bytes, sha256=entry.sha256, name=entry.name
        )

    def _decrypted(self, stored: BinaryIO, scratch: Path) -> AbstractContextManager[BinaryIO]:
        key = self._usable_key()
        if key is None:
            return nullcontext(stored)
        return decrypting(stored, key, scratch=scratch, name=self.entry.name)

    def _usable_key(self) -> DecryptionKey | None:
        if self.entry.encryption == "none":
            return None
        if self.key is None:
            raise _no_key(self.manifest, self.entry)
        return self.key


def _no_key(manifest: Manifest, file: FileEntry) -> PermanentError:
    """The error for a file that nothing here decrypts; says which key would."""
    recipients = manifest.encryption.recipients if manifest.encryption else ()
    if recipients:
        return PermanentError(
            f"{file.name} is encrypted to {', '.join(recipients)}, whose private key is not here",
            "Do this where that key is, or set PORTABILITY_SECRET_KEY to its file.",
        )
    return PermanentError(
        f"{file.name} is encrypted with a passphrase, which is not here",
        "Set PORTABILITY_PASSPHRASE to the one that the archive was written with.",
    )
