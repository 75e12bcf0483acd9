"""OpenPGP encryption with AES-256: ``gpg -d`` opens what is written here, without this project.

GnuPG does the work where it is installed, else Sequoia does; each opens the other's files. The
integrity of a message is checked at its end (RFC 4880, section 5.14), so plaintext is to be trusted
only once its stream has ended without an error.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from portability_pipelines.domain.errors import PermanentError, RefusedError
from portability_pipelines.filters.child import reading_through, writing_through
from portability_pipelines.filters.gnupg import Gnupg
from portability_pipelines.filters.openpgp_keys import (
    DecryptionKey,
    EncryptionKey,
    require_usable,
)
from portability_pipelines.filters.openpgp_tool import Tool
from portability_pipelines.filters.sequoia import Sequoia
from portability_pipelines.filters.streams import CHUNK_BYTES

SUFFIX = ".gpg"
"""The end of an encrypted file's name."""

# RFC 4880, section 4.2: the first byte of a binary message that begins with an encrypted session
# key (packet type 1 or 3), in the old and in the new form.
_BEGINNINGS = frozenset([*range(0x84, 0x88), *range(0x8C, 0x90), 0xC1, 0xC3])


def available_tools() -> tuple[Tool, ...]:
    """The programs that are installed here, the preferred one first."""
    tools: tuple[Tool, ...] = (Gnupg(), Sequoia())
    return tuple(tool for tool in tools if tool.available())


def choose_tool() -> Tool:
    """The preferred program; ``RefusedError`` where there is none."""
    for tool in available_tools():
        return tool
    raise RefusedError(
        "There is no program for OpenPGP", "Install GnuPG, or pysequoia into this environment."
    )


@contextmanager
def encrypting(
    sink: BinaryIO, key: EncryptionKey, *, scratch: Path, tool: Tool | None = None
) -> Iterator[BinaryIO]:
    """Give a stream whose bytes reach ``sink`` encrypted; complete once the context ends.

    ``scratch`` is an existing private folder. Errors of ``sink`` come through unchanged. Where the
    body raises, the end of the message is never written.
    """
    require_usable(key)
    with (
        (tool or choose_tool()).encryption(key, scratch) as command,
        writing_through(command, sink, scratch) as plain,
    ):
        yield plain


@contextmanager
def decrypting(
    source: BinaryIO,
    key: DecryptionKey,
    *,
    scratch: Path,
    name: str = "the stream",
    tool: Tool | None = None,
) -> Iterator[BinaryIO]:
    """Give the plaintext of ``source``; trust it once the context has ended without an error.

    A read, or the end of the context, raises ``PermanentError`` naming ``name`` on a wrong key,
    damage or truncation. Errors of ``source`` come through unchanged. What the body leaves unread
    is read for it, unless it raises.
    """
    with (
        (tool or choose_tool()).decryption(key, scratch, name) as command,
        reading_through(command, _encrypted_chunks(source, name), scratch) as plain,
    ):
        yield plain


def _encrypted_chunks(source: BinaryIO, name: str) -> Iterator[bytes]:
    # Both programs would hand out a message that is not encrypted at all.
    first = source.read(CHUNK_BYTES)
    if not first or first[0] not in _BEGINNINGS:
        found = "it is empty" if not first else "it does not begin as an encrypted message does"
        raise PermanentError(
            f"{name} is not an OpenPGP file ({found})", "Use another copy or another archive."
        )
    yield first
    yield from iter(lambda: source.read(CHUNK_BYTES), b"")
