"""The filters of a stored file in their order: compress, encrypt, and digests on either side."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from portability_pipelines.domain.errors import RefusedError
from portability_pipelines.domain.manifest import FileEntry
from portability_pipelines.filters.checksum import CheckedReader, HashingWriter
from portability_pipelines.filters.compress import SUFFIXES, Codec, compressing, decompressing
from portability_pipelines.filters.openpgp import SUFFIX, decrypting, encrypting
from portability_pipelines.filters.openpgp_keys import DecryptionKey, EncryptionKey
from portability_pipelines.filters.streams import Writable

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

OPENPGP = "openpgp"


class FilteredWriter(Writable):
    """Takes the plaintext of one stored file and knows, afterwards, what was stored."""

    def __init__(
        self, plain: HashingWriter, stored: HashingWriter, compression: Codec, encryption: str
    ) -> None:
        self._plain = plain
        self._stored = stored
        self._compression = compression
        self._encryption = encryption

    def write(self, data: ReadableBuffer, /) -> int:
        """Write all of ``data``."""
        return self._plain.write(data)

    def entry(self, name: str, format_name: str) -> FileEntry:
        """What the manifest says of the file; true once the context has ended without an error."""
        return FileEntry(
            name=name,
            format=format_name,
            size_bytes=self._stored.size_bytes,
            sha256=self._stored.sha256,
            plaintext_size_bytes=self._plain.size_bytes,
            plaintext_sha256=self._plain.sha256,
            compression=self._compression,
            encryption=self._encryption,
        )


def stored_suffix(compression: Codec, key: EncryptionKey | None) -> str:
    """What a stored file's name has after its format's suffix, such as ``.zst.gpg``."""
    return SUFFIXES[compression] + (SUFFIX if key else "")


@contextmanager
def writing(
    sink: BinaryIO,
    *,
    compression: Codec = "zstd",
    key: EncryptionKey | None = None,
    threads: int = 0,
    scratch: Path | None = None,
) -> Iterator[FilteredWriter]:
    """Give a stream whose bytes reach ``sink`` compressed and then encrypted to ``key``, if any.

    Complete once the context ends; where the body raises, what reached ``sink`` cannot be read as
    a whole file. Bounded memory. ``threads`` are zstd's; ``scratch`` is an existing private folder
    for keys in use, by default the system's folder for temporary files.
    """
    stored = HashingWriter(sink)
    with ExitStack() as filters:
        outlet: BinaryIO = stored
        if key is not None:
            outlet = filters.enter_context(encrypting(outlet, key, scratch=_folder(scratch)))
        outlet = filters.enter_context(compressing(outlet, compression, threads=threads))
        # Where nothing lies between the two, one digest is both.
        plain = stored if outlet is stored else HashingWriter(outlet)
        yield FilteredWriter(plain, stored, compression, OPENPGP if key else "none")


@contextmanager
def reading(
    source: BinaryIO,
    entry: FileEntry,
    key: DecryptionKey | None = None,
    *,
    scratch: Path | None = None,
) -> Iterator[BinaryIO]:
    """Give the plaintext of the stored file that ``entry`` describes.

    The read that meets the end raises ``PermanentError`` where a size or a SHA-256, of the stored
    bytes or of the plaintext, is not the entry's. What the body leaves unread is read for it,
    unless it raises: a context that ends without an error is the proof of the whole file.
    """
    stored = CheckedReader(
        source, size_bytes=entry.size_bytes, sha256=entry.sha256, name=entry.name
    )
    with ExitStack() as filters:
        inlet: BinaryIO = stored
        if entry.encryption != "none":
            usable = _required(key, entry)
            inlet = filters.enter_context(
                decrypting(inlet, usable, scratch=_folder(scratch), name=entry.name)
            )
        plain = CheckedReader(
            decompressing(inlet, entry.compression, name=entry.name),
            size_bytes=entry.plaintext_size_bytes,
            sha256=entry.plaintext_sha256,
            name=f"The plaintext of {entry.name}",
        )
        yield plain
        # Every decoder reads on to the end of its source, so the stored bytes are proven as well.
        plain.finish()


def _required(key: DecryptionKey | None, entry: FileEntry) -> DecryptionKey:
    if key is None:
        raise RefusedError(
            f"{entry.name} is encrypted and no key was given",
            "Name the environment variable or the file that holds the passphrase or secret key.",
        )
    return key


def _folder(scratch: Path | None) -> Path:
    return scratch or Path(tempfile.gettempdir())
