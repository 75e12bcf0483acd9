"""Verify: read an archive back from the store and compare it with what its snapshot said."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import BinaryIO

from portability_pipelines.domain.errors import PermanentError, PortabilityError, TransientError
from portability_pipelines.domain.manifest import FileEntry, Manifest, TableEntry
from portability_pipelines.domain.tables import Selection
from portability_pipelines.engines.base import Recovery, Snapshot
from portability_pipelines.filters.chain import reading
from portability_pipelines.formats.digest import ContentDigest
from portability_pipelines.formats.records import records_schema
from portability_pipelines.formats.registry import FORMATS
from portability_pipelines.stores.base import Store
from portability_pipelines.workflows.digests import digest_table
from portability_pipelines.workflows.drafts import Secrets

CHUNK_BYTES = 1 << 20


@dataclass(frozen=True)
class Proof:
    """One thing that was looked at, and whether it held."""

    name: str
    passed: bool
    detail: str


@dataclass(frozen=True)
class BackupProofs:
    """What proves a backup: that it is whole, and that it restores to what was backed up."""

    verified: tuple[Proof, ...]
    drill: tuple[Proof, ...] = ()


def verify_export(
    store: Store, manifest: Manifest, secrets: Secrets, scratch: Path
) -> tuple[Proof, ...]:
    """Read every file of an export back: bytes, rows and content must be the manifest's.

    What is wrong with the archive is a failed proof; a store that cannot be reached raises.
    """
    with _private_folder(scratch) as folder:
        return (
            _seal(manifest, secrets),
            _listing(store, manifest),
            *(
                _attempt(file.name, partial(_equals, store, manifest, file, folder))
                for file in manifest.files
            ),
        )


def verify_backup(
    store: Store,
    manifest: Manifest,
    secrets: Secrets,
    scratch: Path,
    recovery: Recovery,
    *,
    drill: bool = True,
) -> BackupProofs:
    """Restore a backup into scratch and prove it; with ``drill`` compare every table too.

    The plaintext is in a private folder under ``scratch`` meanwhile and gone afterwards.
    """
    verified = [_seal(manifest, secrets), _listing(store, manifest)]
    with _private_folder(scratch) as folder:
        restored = folder / "restored"
        found = _attempt(
            "checksum_validation, decryption_test, decompression_test",
            lambda: _restored(store, manifest, secrets, restored),
        )
        verified.append(found)
        if not found.passed:
            failed = Proof("restore_drill", False, f"there is nothing to restore: {found.detail}")
            return BackupProofs(tuple(verified), (failed,) if drill else ())
        verified.append(_attempt("integrity_check", lambda: _sound(recovery, restored)))
        if not drill:
            return BackupProofs(tuple(verified))
        with recovery.open(restored) as snapshot:
            return BackupProofs(tuple(verified), _drilled(snapshot, manifest))


def fetch(
    store: Store, manifest: Manifest, file: FileEntry, secrets: Secrets, target: Path
) -> None:
    """Write the plaintext of a stored file to the new file ``target`` (mode 0600).

    Raises where a size or a SHA-256 is not the manifest's; ``target`` is not to be used then.
    """
    target.touch(mode=0o600, exist_ok=False)
    with (
        store.open(f"{manifest.prefix}/{file.name}") as stored,
        reading(stored, file, secrets.decrypt, scratch=target.parent) as plain,
        target.open("wb") as sink,
    ):
        shutil.copyfileobj(plain, sink, CHUNK_BYTES)


def _attempt(name: str, prove: Callable[[], str]) -> Proof:
    """A failure that a retry cannot mend is the archive's; any other is not its fault."""
    try:
        return Proof(name, True, prove())
    except TransientError:
        raise
    except PortabilityError as error:
        return Proof(name, False, error.message)


def _seal(manifest: Manifest, secrets: Secrets) -> Proof:
    if secrets.seal is None:
        return Proof("seal", True, "not looked at: PORTABILITY_MANIFEST_KEY is not set")
    if manifest.seal is None:
        return Proof("seal", False, "the manifest has no seal, though a key for seals is set")
    if not manifest.seal_holds(secrets.seal):
        return Proof("seal", False, "the manifest is not what was sealed, or the key is another")
    return Proof("seal", True, "made with this key over this manifest")


def _listing(store: Store, manifest: Manifest) -> Proof:
    """Which files are there, and whether each has its size."""
    prefix = f"{manifest.prefix}/"
    sizes = {o.key.removeprefix(prefix): o.size_bytes for o in store.list(manifest.prefix)}
    problems = []
    for file in manifest.files:
        if file.name not in sizes:
            problems.append(f"{file.name} is missing")
        elif sizes[file.name] != file.size_bytes:
            problems.append(f"{file.name} has {sizes[file.name]} bytes, not {file.size_bytes}")
    detail = f"{len(manifest.files)} files with the sizes of the manifest"
    return Proof("file_existence", not problems, "; ".join(problems) or detail)


def _equals(store: Store, manifest: Manifest, file: FileEntry, folder: Path) -> str:
    (table,) = manifest.tables
    form = FORMATS[file.format]
    schema = records_schema(table.columns)
    digest = ContentDigest(schema)
    with _readable(store, manifest, file, folder, seekable=form.compresses_itself) as source:
        for batch in form.read(source, schema):
            digest.update(batch)
    _compare(table, digest, file.name)
    return f"{digest.rows:,} rows and the digest of the snapshot"


@contextmanager
def _readable(
    store: Store, manifest: Manifest, file: FileEntry, folder: Path, *, seekable: bool
) -> Iterator[BinaryIO]:
    with (
        store.open(f"{manifest.prefix}/{file.name}") as stored,
        reading(stored, file, scratch=folder) as plain,
    ):
        if not seekable:
            yield plain
            return
        with tempfile.TemporaryFile(dir=folder) as copy:
            shutil.copyfileobj(plain, copy, CHUNK_BYTES)
            copy.seek(0)
            yield copy


def _compare(table: TableEntry, digest: ContentDigest, where: str) -> None:
    if digest.rows != table.rows:
        raise PermanentError(
            f"{where} holds {digest.rows} rows of {table.name!r}, its snapshot held {table.rows}",
            "Use another archive.",
        )
    if digest.hexdigest() != table.digest:
        raise PermanentError(
            f"{where} holds other values of {table.name!r} than its snapshot did",
            "Use another archive.",
        )


def _restored(store: Store, manifest: Manifest, secrets: Secrets, target: Path) -> str:
    (file,) = manifest.files
    fetch(store, manifest, file, secrets, target)
    return f"{file.size_bytes:,} bytes as stored and {file.plaintext_size_bytes:,} restored"


def _sound(recovery: Recovery, restored: Path) -> str:
    problems = recovery.inspect(restored)
    if problems:
        raise PermanentError("; ".join(problems), "Use another backup.")
    return "the engine finds the restored database sound"


def _drilled(snapshot: Snapshot, manifest: Manifest) -> tuple[Proof, ...]:
    tables = {table.name: table for table in snapshot.tables()}
    missing = [entry.name for entry in manifest.tables if entry.name not in tables]
    more = sorted(set(tables) - {entry.name for entry in manifest.tables})
    detail = [f"{name} is missing" for name in missing] + [
        f"{name} is not expected" for name in more
    ]
    proofs = [Proof("tables", not detail, "; ".join(detail) or f"{len(tables)} tables restored")]
    for entry in manifest.tables:
        if entry.name in tables:
            compare = partial(_table_equals, snapshot, Selection(tables[entry.name]), entry)
            proofs.append(_attempt(entry.name, compare))
    return tuple(proofs)


def _table_equals(snapshot: Snapshot, selection: Selection, entry: TableEntry) -> str:
    digest, _ = digest_table(snapshot, selection)
    _compare(entry, digest, "The restored database")
    return f"{digest.rows:,} rows and the digest of the snapshot"


@contextmanager
def _private_folder(scratch: Path) -> Iterator[Path]:
    scratch.mkdir(parents=True, exist_ok=True, mode=0o700)
    with tempfile.TemporaryDirectory(dir=scratch, prefix="verify-") as folder:
        yield Path(folder)
