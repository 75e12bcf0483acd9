"""What archives exist, read from the manifests in the store: there is no second truth to drift."""

from __future__ import annotations

from portability_pipelines.catalog.manifests import parse_manifest
from portability_pipelines.domain.archive_ids import is_archive_id
from portability_pipelines.domain.errors import PermanentError, RefusedError
from portability_pipelines.domain.manifest import (
    MANIFEST_NAME,
    Manifest,
    dataset_prefix,
    period_prefix,
)
from portability_pipelines.domain.months import Period
from portability_pipelines.stores.base import Store


def latest(store: Store, database: str, kind: str, dataset: str, period: Period) -> Manifest | None:
    """The newest archive of a dataset's period, or None where there is none yet."""
    keys = _manifest_keys(store, period_prefix(database, kind, dataset, period))
    return read_manifest(store, keys[-1]) if keys else None


def require(
    store: Store,
    database: str,
    kind: str,
    dataset: str,
    period: Period,
    archive_id: str | None = None,
) -> Manifest:
    """The archive of a dataset's period that has this id, by default the newest; or refused."""
    folder = period_prefix(database, kind, dataset, period)
    keys = _manifest_keys(store, f"{folder}/{archive_id}" if archive_id else folder)
    if not keys:
        which = f"archive {archive_id}" if archive_id else "archive"
        raise RefusedError(
            f"There is no {which} of {database}/{kind}/{dataset} for {period} in {store.url}",
            "Materialise that partition first.",
        )
    return read_manifest(store, keys[-1])


def chosen(
    store: Store, database: str, kind: str, dataset: str, archive_id: str | None = None
) -> Manifest | None:
    """The archive of a dataset that has this id, by default the newest of all; None where none is.

    No other manifest is read, so a damaged one is in nobody's way.
    """
    keys = _manifest_keys(store, dataset_prefix(database, kind, dataset))
    by_id = {key.split("/")[-2]: key for key in keys}
    key = by_id.get(archive_id or max(by_id, default=""))
    return read_manifest(store, key) if key else None


def read_manifest(store: Store, key: str) -> Manifest:
    """Read the manifest at ``key``, which must be the place of the archive that it describes.

    Its seal holds wherever it lies, so only this tells a copy in another's place.
    """
    with store.open(key) as stream:
        manifest = parse_manifest(stream.read(), store.locate(key))
    if key != f"{manifest.prefix}/{MANIFEST_NAME}":
        raise PermanentError(
            f"{store.locate(key)} is the manifest of {manifest.prefix}",
            "It was copied there, or the folder was moved. Put back what was there, or remove it.",
        )
    return manifest


def _manifest_keys(store: Store, prefix: str) -> list[str]:
    return [found.key for found in store.list(prefix) if _is_manifest(found.key)]


def _is_manifest(key: str) -> bool:
    """Whether an archive's manifest lies at ``key``; a person may keep other folders beside it."""
    folder, _, name = key.rpartition("/")
    return name == MANIFEST_NAME and is_archive_id(folder.rpartition("/")[2])
