"""Verify: read an archive back from the store and compare it with what its snapshot said."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from portability_pipelines.catalog import archives
from portability_pipelines.domain.errors import PermanentError
from portability_pipelines.domain.manifest import MANIFEST_NAME, FileEntry, Manifest, TableEntry
from portability_pipelines.engines.base import Inspection, Recovery
from portability_pipelines.formats.digest import ContentDigest
from portability_pipelines.formats.records import records_schema
from portability_pipelines.formats.registry import FORMATS
from portability_pipelines.stores.base import Store
from portability_pipelines.stores.working import working_folder
from portability_pipelines.workflows.digests import digest_table
from portability_pipelines.workflows.drafts import Secrets
from portability_pipelines.workflows.stored_files import StoredFile

PROBLEMS_SHOWN = 5

Content = tuple[int, str]
"""How many rows a table has, and their digest."""


@dataclass(frozen=True)
class Proof:
    """One thing to look at, and whether it held; ``passed`` is None where it was not looked at.

    ``unproven`` names the parts of it that could not be looked at, each with its reason.
    """

    name: str
    passed: bool | None
    detail: str
    unproven: tuple[str, ...] = ()

    @property
    def failed(self) -> bool:
        """Whether it was looked at and did not hold."""
        return self.passed is False

    @property
    def full_detail(self) -> str:
        """``detail``, and in words what it is silent about."""
        if not self.unproven:
            return self.detail
        return f"{self.detail}; not looked at: {_shortened(list(self.unproven))}"


@dataclass(frozen=True)
class BackupProofs:
    """What proves a backup: that it is whole, and that it restores to what was backed up."""

    verified: tuple[Proof, ...]
    drill: tuple[Proof, ...] = ()


def verify_export(
    store: Store, manifest: Manifest, secrets: Secrets, scratch: Path
) -> tuple[Proof, ...]:
    """Read every file of an export back: bytes, rows and content must be the manifest's.

    What is wrong with the archive is a failed proof; a store that cannot be reached raises. No
    row is decoded before its whole file is proven. Bounded memory; one file's plaintext at a time
    lies in a private folder under ``scratch``.
    """
    seal = seal_proof(manifest, secrets)
    if seal.failed:
        return (seal,)
    proofs = [seal, _existence(store, manifest)]
    for entry in manifest.files:
        with working_folder(scratch, "verify-") as folder:
            plain = folder / "plain"
            fetched = _fetched(StoredFile(store, manifest, entry, secrets.decrypt), plain)
            proofs += fetched
            if all(proof.passed for proof in fetched):
                proofs += _decoded(plain, entry, manifest.tables[0])
    return tuple(proofs)


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

    One pass over the store. What is wrong with the archive is a failed proof; a store that cannot
    be reached raises. Of one encrypted to recipients, no secret key of whom is here, the stored
    bytes are proven, and the rest is not looked at. The plaintext lies in a private folder under
    ``scratch`` meanwhile.
    """
    seal = seal_proof(manifest, secrets)
    if seal.failed:
        return BackupProofs((seal,), _no_drill(seal) if drill else ())
    (entry,) = manifest.files
    with working_folder(scratch, "verify-") as folder, ThreadPoolExecutor(1) as pool:
        restored = folder / "restored"
        fetched = _fetched(StoredFile(store, manifest, entry, secrets.decrypt), restored)
        verified = (seal, _existence(store, manifest), *fetched)
        in_the_way = [proof for proof in verified if proof.failed]
        in_the_way += [proof for proof in fetched if not proof.passed]
        if in_the_way:
            return BackupProofs(verified, _no_drill(in_the_way[0]) if drill else ())
        sound = pool.submit(_integrity, recovery, restored, manifest.source.engine)
        drilled = _drilled(recovery, restored, manifest) if drill else ()
        return BackupProofs((*verified, sound.result()), drilled)


def newest_proof(store: Store, manifest: Manifest) -> Proof:
    """Whether those who name no archive of the dataset can tell and read the newest."""
    source, kind, dataset = manifest.source.database, manifest.kind, manifest.dataset
    try:
        if kind == "backup":
            newest = archives.chosen(store, source, kind, dataset)
        else:
            newest = archives.latest(store, source, kind, dataset, manifest.period)
    except PermanentError as error:
        return Proof("newest", False, error.message)
    which = f"{newest.archive_id} is the newest" if newest else "there is none"
    return Proof("newest", newest is not None, which)


def seal_proof(manifest: Manifest, secrets: Secrets) -> Proof:
    """Whether the manifest is one that was sealed with the key; not looked at without a key.

    Where there is a seal, that leaves something unproven; to do without seals is a choice.
    """
    name = f"the {MANIFEST_NAME} of {manifest.archive_id}"
    if secrets.seal is None:
        unset = "PORTABILITY_MANIFEST_KEY is not set"
        if manifest.seal is None:
            return Proof("seal", None, f"{name} has none, and {unset}")
        return Proof("seal", None, f"{name} has one", (f"the seal of {name} ({unset})",))
    if manifest.seal is None:
        return Proof("seal", False, f"{name} has no seal, though a key for seals is set")
    if not manifest.seal_holds(secrets.seal):
        return Proof("seal", False, f"{name} is not what was sealed, or the key is another")
    return Proof("seal", True, f"{name} was sealed with this key")


def _existence(store: Store, manifest: Manifest) -> Proof:
    prefix = f"{manifest.prefix}/"
    there = {stored.key.removeprefix(prefix) for stored in store.list(manifest.prefix)}
    listed = {file.name for file in manifest.files}
    missing = [f"{name} is missing" for name in sorted(listed - there)]
    more = ", ".join(sorted(there - listed - {MANIFEST_NAME}))
    detail = f"{len(listed)} files, as the manifest lists them"
    if more:
        detail += f"; it does not list {more}"
    return Proof("file_existence", not missing, "; ".join(missing) or detail)


def _fetched(file: StoredFile, target: Path) -> tuple[Proof, ...]:
    """Fetch ``file``; on a failure go through the stages again, to see which one it is."""
    entry = file.entry
    if file.key_is_elsewhere:
        return _stored_only(file)
    try:
        file.fetch(target, target.parent)
    except PermanentError as error:
        return tuple(_diagnosed(file, target.parent, error))
    proofs = [Proof("checksum_validation", True, f"{entry.name}: {entry.size_bytes:,} bytes")]
    if entry.encryption != "none":
        proofs.append(Proof("decryption_test", True, f"{entry.name}: whole and authentic"))
    if entry.compression != "none":
        plain = f"{entry.name}: {entry.plaintext_size_bytes:,} bytes of plaintext"
        proofs.append(Proof("decompression_test", True, plain))
    return tuple(proofs)


def _stored_only(file: StoredFile) -> tuple[Proof, ...]:
    """Prove the stored bytes of ``file``, which cannot be decrypted here."""
    name = file.entry.name
    try:
        file.check_stored()
    except PermanentError as error:
        return (Proof("checksum_validation", False, error.message),)
    why = "the secret key is not here; run the drill where it is"
    return (
        Proof("checksum_validation", True, f"{name}: {file.entry.size_bytes:,} bytes"),
        Proof("decryption_test", None, f"{name} is not decrypted", (f"what is in {name} ({why})",)),
    )


def _diagnosed(file: StoredFile, scratch: Path, error: PermanentError) -> Iterator[Proof]:
    stages: list[tuple[str, Callable[[], None]]] = [("checksum_validation", file.check_stored)]
    if file.entry.encryption != "none":
        stages.append(("decryption_test", partial(file.check_decrypts, scratch)))
    for name, check in stages:
        try:
            check()
        except PermanentError as found:
            yield Proof(name, False, found.message)
            return
        yield Proof(name, True, file.entry.name)
    yield Proof("decompression_test", False, error.message)


def _decoded(plain: Path, entry: FileEntry, table: TableEntry) -> tuple[Proof, ...]:
    form = FORMATS.get(entry.format)
    if form is None:
        problem = f"{entry.name}: this release does not read {entry.format!r}"
        return (Proof("content_digest", False, problem),)
    schema = records_schema(table.columns)
    digest = ContentDigest(schema)
    try:
        with plain.open("rb") as source:
            for batch in form.read(source, schema):
                digest.update(batch)
    except PermanentError as error:
        return (Proof("content_digest", False, f"{entry.name}: {error.message}"),)
    found = {table.name: (digest.rows, digest.hexdigest())}
    where = f"{entry.name}: "
    return (_rows_proof([table], found, where), _digest_proof([table], found, where))


def _integrity(recovery: Recovery, restored: Path, engine: str) -> Proof:
    name = f"{engine}_integrity_check"
    try:
        found = recovery.inspect(restored)
    except PermanentError as error:
        found = Inspection((error.message,))
    detail = "; ".join(found.problems) or "the restored database is sound"
    return Proof(name, not found.problems, detail, found.unchecked)


def _no_drill(reason: Proof) -> tuple[Proof, ...]:
    detail = f"nothing could be restored: {reason.detail}"
    return (Proof("restore_drill", reason.passed, detail, reason.unproven),)


def _drilled(recovery: Recovery, restored: Path, manifest: Manifest) -> tuple[Proof, ...]:
    try:
        with recovery.open(restored) as snapshot:
            entries = [digest_table(snapshot, table) for table in snapshot.tables()]
    except PermanentError as error:
        return (Proof("restore_drill", False, error.message),)
    found = {entry.name: (entry.rows, entry.digest) for entry in entries}
    promised = {table.name for table in manifest.tables}
    problems = [f"{name} is missing" for name in sorted(promised - set(found))]
    problems += [f"{name} was not backed up" for name in sorted(set(found) - promised)]
    held = f"restored into scratch and opened: {len(found)} tables"
    there = [table for table in manifest.tables if table.name in found]
    return (
        Proof("restore_drill", not problems, _shortened(problems) or held),
        _rows_proof(there, found),
        _digest_proof(there, found),
    )


def _rows_proof(tables: list[TableEntry], found: dict[str, Content], where: str = "") -> Proof:
    problems = [
        f"{where}{table.name!r} has {found[table.name][0]:,} rows, in its snapshot {table.rows:,}"
        for table in tables
        if found[table.name][0] != table.rows
    ]
    held = f"{where}{sum(table.rows for table in tables):,} rows, as many as in the snapshot"
    return Proof("row_counts", not problems, _shortened(problems) or held, _unproven(tables))


def _digest_proof(tables: list[TableEntry], found: dict[str, Content], where: str = "") -> Proof:
    unproven = _unproven(tables)
    problems = [
        f"{where}{_difference(table, found[table.name][1])}"
        for table in tables
        if found[table.name][1] != table.digest
    ]
    digested = len(tables) - len(unproven)
    held = f"{where}every value is the snapshot's, by the digests of {digested} tables"
    return Proof("content_digest", not problems, _shortened(problems) or held, unproven)


def _unproven(tables: list[TableEntry]) -> tuple[str, ...]:
    return tuple(f"table {table.name} ({table.undigested})" for table in tables if table.undigested)


def _difference(table: TableEntry, digest: str) -> str:
    both = (table, replace(table, digest=digest))
    if any(entry.undigested for entry in both):
        then, now = (entry.digest if entry.undigested else "digested" for entry in both)
        return f"{table.name!r} is {now}; in its snapshot it was {then}"
    return f"other values of {table.name!r} than its snapshot held"


def _shortened(problems: list[str]) -> str:
    more = len(problems) - PROBLEMS_SHOWN
    return "; ".join(problems[:PROBLEMS_SHOWN]) + (f"; and {more} more" if more > 0 else "")
