"""The only writer of archives: assets hand it what to write, it hands on what was written.

An asset returns a small ``Pending`` that reads nothing until it is written here; a downstream
asset gets an ``Archive`` that opens nothing until it is read. Nothing is ever pickled.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Any, BinaryIO

import dagster as dg

from portability_pipelines.catalog import archives as catalog
from portability_pipelines.domain.errors import PermanentError, RefusedError
from portability_pipelines.domain.manifest import Kind, Lineage, Manifest
from portability_pipelines.domain.months import ALL, Month, Period
from portability_pipelines.filters.openpgp_keys import DecryptionKey
from portability_pipelines.orchestration.failures import as_dagster_outcomes
from portability_pipelines.orchestration.metadata import archive_metadata
from portability_pipelines.orchestration.resources import Archives, scratch_folder
from portability_pipelines.stores.base import Store
from portability_pipelines.stores.working import working_folder
from portability_pipelines.workflows.drafts import Archivist, Written
from portability_pipelines.workflows.stored_files import StoredFile
from portability_pipelines.workflows.verify import seal_proof

CODE_VERSION = version("portability-pipelines")

_ADDRESS = tuple(f"portability/{part}" for part in ("database", "kind", "dataset", "period"))


@dataclass(frozen=True)
class Pending:
    """What an asset wants written: where it belongs, and the work that writes it."""

    database: str
    kind: Kind
    dataset: str
    write: Callable[[Archivist], dict[Period, Written]]
    encrypted: bool = False


@dataclass(frozen=True)
class Archive:
    """An archive in the store, whose seal held; nothing of its files is read until it is asked for.

    ``key`` is what opens files that are encrypted.
    """

    manifest: Manifest
    store: Store
    key: DecryptionKey | None = field(default=None, repr=False)

    @contextmanager
    def open(self, name: str) -> Iterator[BinaryIO]:
        """Give the plaintext of a file of the archive as a stream.

        The read that meets the end raises ``PermanentError`` where the file is not what the
        manifest says, so that nothing may be kept before the context has ended without an error.
        """
        entry = next((file for file in self.manifest.files if file.name == name), None)
        if entry is None:
            raise RefusedError(
                f"The archive {self.manifest.archive_id} has no file {name!r}",
                f"Its files are: {', '.join(file.name for file in self.manifest.files)}.",
            )
        file = StoredFile(self.store, self.manifest, entry, self.key)
        with working_folder(scratch_folder(), "open-") as scratch, file.open(scratch) as plain:
            yield plain


class ArchiveIOManager(dg.ConfigurableIOManager):
    """Writes and opens archives in the configured store."""

    archives: dg.ResourceDependency[Archives]

    def handle_output(self, context: dg.OutputContext, obj: Any) -> None:
        """Write ``obj`` and say of every partition what now stands in the store."""
        if not isinstance(obj, Pending):
            raise dg.Failure(
                f"{context.asset_key.to_user_string()} returned {type(obj).__name__}; only "
                "archives are stored here. Return a Pending, or a MaterializeResult to store "
                "nothing.",
                allow_retries=False,
            )
        with as_dagster_outcomes():
            store = self.archives.store()
            for leftover in store.sweep():
                context.log.info(f"Removed what a killed run left behind: {leftover}")
            secrets = self.archives.secrets(encrypted=obj.encrypted)
            lineage = Lineage(context.run_id, context.asset_key.to_user_string(), CODE_VERSION)
            began = time.monotonic()
            written = obj.write(Archivist(store, secrets, lineage, lambda: datetime.now(UTC)))
            seconds = (time.monotonic() - began) / max(len(written), 1)
        for period, result in written.items():
            if result.replaces:
                context.log.warning(
                    f"Wrote {result.manifest.archive_id}, as what stood there could not stay: "
                    f"{result.replaces}"
                )
            self._describe(context, period, archive_metadata(result, store, seconds))

    def load_input(self, context: dg.InputContext) -> Archive | dict[str, Archive]:
        """The newest archive of the upstream asset: one, or one for each partition key."""
        with as_dagster_outcomes():
            database, kind, dataset, period = _address(context)
            if not context.has_asset_partitions:
                return self._newest(database, kind, dataset, period)
            found = {
                key: self._newest(database, kind, dataset, str(Month.parse(key)))
                for key in context.asset_partition_keys
            }
        return next(iter(found.values())) if len(found) == 1 else found

    def _newest(self, database: str, kind: str, dataset: str, period: Period) -> Archive:
        store = self.archives.store()
        manifest = catalog.require(store, database, kind, dataset, period)
        secrets = self.archives.secrets_to_read(manifest)
        seal = seal_proof(manifest, secrets)
        if seal.failed:
            raise PermanentError(
                f"The archive is not opened: {seal.detail}",
                "Check PORTABILITY_MANIFEST_KEY, or materialise the asset again.",
            )
        return Archive(manifest, store, secrets.decrypt)

    def _describe(
        self, context: dg.OutputContext, period: Period, metadata: dict[str, Any]
    ) -> None:
        if context.has_asset_partitions:
            context.step_context.add_asset_metadata(
                metadata, context.asset_key, Month.parse(period).partition_key
            )
        else:
            metadata["dagster/row_count"] = metadata.pop("dagster/partition_row_count")
            context.add_output_metadata(metadata)


def archive_address(database: str, kind: Kind, dataset: str, period: str = ALL) -> dict[str, str]:
    """Definition metadata by which a downstream asset's input finds the archive."""
    return dict(zip(_ADDRESS, (database, kind, dataset, period), strict=True))


def _address(context: dg.InputContext) -> list[str]:
    """What ``archive_address`` says of the upstream asset; refused where it has no archive."""
    upstream = context.upstream_output
    metadata = (upstream.definition_metadata if upstream else None) or {}
    if not metadata.keys() >= set(_ADDRESS):
        raise RefusedError(
            f"{context.asset_key.to_user_string()} has no archive to hand on: exports and backups "
            "have one, tables and migrated collections do not",
            f"Depend on it by deps=[{context.asset_key}] and read it in the asset itself, or load "
            "the export of its table.",
        )
    return [str(metadata[part]) for part in _ADDRESS]
