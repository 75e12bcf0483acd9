"""Writing an archive: staged out of sight, moved into place file by file, its manifest last."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
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
)
from portability_pipelines.domain.months import Period
from portability_pipelines.filters.openpgp_keys import DecryptionKey, EncryptionKey
from portability_pipelines.stores.base import Store


@dataclass(frozen=True)
class Secrets:
    """What archives are encrypted with, decrypted with and sealed with; none is ever shown."""

    encrypt: EncryptionKey | None = field(default=None, repr=False)
    decrypt: DecryptionKey | None = field(default=None, repr=False)
    seal: bytes | None = field(default=None, repr=False)


@dataclass(frozen=True)
class Written:
    """An archive that stands in the store; ``fresh`` is False where it stood there before.

    ``sample`` holds a few rows of an export, for a preview that masks them.
    """

    manifest: Manifest
    fresh: bool
    sample: tuple[Mapping[str, object], ...] = ()


@dataclass(frozen=True)
class Archivist:
    """Writes archives of one run into one store."""

    store: Store
    secrets: Secrets
    lineage: Lineage
    clock: Callable[[], datetime] = lambda: datetime.now(UTC)

    @contextmanager
    def draft(self, source: Source, kind: Kind, dataset: str, period: Period) -> Iterator[Draft]:
        """Begin an archive. Whatever ends the context, nothing of an unpublished one remains."""
        blank = Manifest(
            archive_id=new_archive_id(self.clock()),
            kind=kind,
            dataset=dataset,
            period=period,
            created_at=self.clock().astimezone(UTC).isoformat(),
            source=source,
            tables=(),
            files=(),
            lineage=self.lineage,
        )
        with self.store.stage(blank.prefix) as folder:
            try:
                yield Draft(self, blank, folder)
            except OSError as error:
                raise PermanentError(
                    f"Preparing {blank.prefix} for {self.store.url} failed: {error.strerror or error}",
                    "Free space on the disk or allow this user to write there; nothing was lost.",
                ) from error


@dataclass(frozen=True)
class Draft:
    """An archive in preparation: write files into ``folder``, then publish."""

    archivist: Archivist
    blank: Manifest
    folder: Path

    def publish(
        self,
        tables: tuple[TableEntry, ...],
        files: tuple[FileEntry, ...],
        encryption: Encryption | None = None,
    ) -> Written:
        """Move ``files`` into the store and then the manifest, which makes the archive exist.

        Where the newest archive of the same period holds the same content in the same form, that
        one stays and nothing is written.
        """
        manifest = replace(self.blank, tables=tables, files=files, encryption=encryption)
        standing = self._standing()
        if standing is not None and _same_content(standing, manifest):
            return Written(standing, fresh=False)
        store, seal = self.archivist.store, self.archivist.secrets.seal
        for file in files:
            store.put(self.folder / file.name, f"{manifest.prefix}/{file.name}")
        sealed = manifest.sealed(seal) if seal else manifest
        store.publish(f"{manifest.prefix}/{MANIFEST_NAME}", sealed.to_json())
        return Written(sealed, fresh=True)

    def _standing(self) -> Manifest | None:
        blank = self.blank
        return archives.latest(
            self.archivist.store, blank.source.database, blank.kind, blank.dataset, blank.period
        )


def _same_content(one: Manifest, other: Manifest) -> bool:
    """Equal tables, and files equal in everything that encryption's randomness does not touch."""

    def form(manifest: Manifest) -> tuple[object, ...]:
        files = [
            (f.name, f.format, f.compression, f.encryption, f.plaintext_sha256)
            for f in manifest.files
        ]
        return manifest.tables, files, manifest.encryption, manifest.seal is None

    sealed_alike = replace(other, seal=one.seal) if one.seal else other
    return form(one) == form(sealed_alike)
