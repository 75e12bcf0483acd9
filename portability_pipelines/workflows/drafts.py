"""Writing an archive: staged out of sight, moved into place file by file, its manifest last."""

from __future__ import annotations

import errno
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from portability_pipelines.catalog import archives
from portability_pipelines.domain.archive_ids import new_archive_id
from portability_pipelines.domain.errors import PermanentError
from portability_pipelines.domain.manifest import (
    MANIFEST_NAME,
    Encryption,
    FileEntry,
    Kind,
    Lineage,
    Manifest,
    Source,
    TableEntry,
    period_prefix,
)
from portability_pipelines.domain.months import Period
from portability_pipelines.filters.openpgp_keys import DecryptionKey, EncryptionKey
from portability_pipelines.stores.base import Store
from portability_pipelines.workflows.stored_files import StoredFile


@dataclass(frozen=True)
class Secrets:
    """What archives are encrypted with, decrypted with and sealed with; none is ever shown."""

    encrypt: EncryptionKey | None = field(default=None, repr=False)
    decrypt: DecryptionKey | None = field(default=None, repr=False)
    seal: bytes | None = field(default=None, repr=False)


@dataclass(frozen=True)
class Written:
    """An archive that stands in the store; ``fresh`` is False where it stood there before.

    ``sample`` holds a few rows of an export, for a preview that masks them. ``replaces`` says what
    is wrong with an archive of the same content that stood there and could not stay.
    """

    manifest: Manifest
    fresh: bool
    sample: tuple[Mapping[str, object], ...] = ()
    replaces: str = ""


@dataclass(frozen=True)
class Archivist:
    """Writes archives of one run into one store."""

    store: Store
    secrets: Secrets
    lineage: Lineage
    clock: Callable[[], datetime] = lambda: datetime.now(UTC)

    @contextmanager
    def draft(
        self, database: str, kind: Kind, dataset: str, period: Period, taken_at: datetime
    ) -> Iterator[Draft]:
        """Begin an archive of what was there at ``taken_at`` (aware), the time that sorts archives.

        Whatever ends the context, nothing of an unpublished one remains.
        """
        now, archive_id = self.clock().astimezone(UTC), new_archive_id(taken_at)
        prefix = f"{period_prefix(database, kind, dataset, period)}/{archive_id}"
        with self.store.stage(prefix) as folder:
            try:
                yield Draft(self, kind, dataset, period, archive_id, now, folder)
            except OSError as error:
                raise PermanentError(
                    f"Preparing {prefix} for {self.store.url} failed: {error.strerror or error}",
                    f"{_ADVICE.get(error.errno or 0, _LOOK)} Nothing was lost.",
                ) from error


_LOOK = "Free space on the disk or allow this user to write there."
_ADVICE = {
    errno.ENAMETOOLONG: "Move the store, or PORTABILITY_HOME, to a shorter path.",
    errno.EMFILE: "Allow this process more open files (ulimit -n), or export fewer months a run.",
    errno.ENFILE: "Let the machine open more files at once (sysctl fs.file-max).",
}


@dataclass(frozen=True)
class Draft:
    """An archive in preparation: write files into ``folder``, then publish."""

    archivist: Archivist
    kind: Kind
    dataset: str
    period: Period
    archive_id: str
    begun_at: datetime
    folder: Path

    def publish(
        self,
        source: Source,
        tables: tuple[TableEntry, ...],
        files: tuple[FileEntry, ...],
        encryption: Encryption | None = None,
    ) -> Written:
        """Move ``files`` into the store and then the manifest, which makes the archive exist.

        Where the newest archive of the same period holds the same content in the same form, is
        whole, and the keys of today open it, that one stays and nothing is written.
        """
        manifest = Manifest(
            archive_id=self.archive_id,
            kind=self.kind,
            dataset=self.dataset,
            period=self.period,
            created_at=self.begun_at.isoformat(),
            source=source,
            tables=tables,
            files=files,
            lineage=self.archivist.lineage,
            encryption=encryption,
        )
        store, seal = self.archivist.store, self.archivist.secrets.seal
        standing, fault = self._standing(manifest)
        if standing is not None and not fault:
            return Written(standing, fresh=False)
        for file in files:
            store.put(self.folder / file.name, f"{manifest.prefix}/{file.name}")
        sealed = manifest.sealed(seal) if seal else manifest
        store.publish(f"{manifest.prefix}/{MANIFEST_NAME}", sealed.to_json())
        return Written(sealed, fresh=True, replaces=fault)

    def _standing(self, wanted: Manifest) -> tuple[Manifest | None, str]:
        """The newest archive of the period, if ``wanted`` has its content; and what is wrong."""
        try:
            found = archives.latest(
                self.archivist.store,
                wanted.source.database,
                wanted.kind,
                wanted.dataset,
                wanted.period,
            )
        except PermanentError as error:
            return None, error.message
        if found is None or not _same_content(found, wanted):
            return None, ""
        fault = self._fault(found)
        return found, f"{found.archive_id}: {fault}" if fault else ""

    def _fault(self, standing: Manifest) -> str:
        """What is wrong with its stored bytes, or that the seal or key of today is not its own.

        Read in full, so that running again mends an archive that was damaged in the store. One
        encrypted to a recipient whose secret key is elsewhere cannot be tried for its key.
        """
        store, secrets = self.archivist.store, self.archivist.secrets
        if secrets.seal and not standing.seal_holds(secrets.seal):
            return "the key of today did not seal it"
        files = [StoredFile(store, standing, file, secrets.decrypt) for file in standing.files]
        try:
            for file in files:
                file.check_stored()
        except PermanentError as error:
            return f"it is damaged: {error.message}"
        if secrets.decrypt and not all(file.opens(self.folder) for file in files):
            return "the key of today does not open it"
        return ""


def _same_content(one: Manifest, other: Manifest) -> bool:
    """Equal tables, and files equal in everything that encryption's randomness does not touch."""

    def form(manifest: Manifest) -> tuple[object, ...]:
        files = [
            (f.name, f.format, f.compression, f.encryption, f.plaintext_sha256)
            for f in manifest.files
        ]
        return manifest.tables, files, manifest.encryption

    return form(one) == form(other)
