"""What archives exist, read from the manifests in the store: there is no second truth to drift."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from portability_pipelines.catalog.manifests import parse_manifest
from portability_pipelines.domain.archive_ids import is_archive_id, new_archive_id
from portability_pipelines.domain.errors import PermanentError, RefusedError
from portability_pipelines.domain.manifest import (
    MANIFEST_NAME,
    Manifest,
    dataset_prefix,
    period_prefix,
)
from portability_pipelines.domain.months import Period
from portability_pipelines.stores.base import Store

CLOCKS_DIFFER = timedelta(minutes=5)
"""So much may the clocks of two machines differ that write to one store."""


def latest(store: Store, database: str, kind: str, dataset: str, period: Period) -> Manifest | None:
    """The newest archive of a dataset's period, or None where there is none yet."""
    keys = _manifest_keys(store, period_prefix(database, kind, dataset, period))
    return _newest(store, keys) if keys else None


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
    return read_manifest(store, keys[-1]) if archive_id else _newest(store, keys)


def chosen(
    store: Store, database: str, kind: str, dataset: str, archive_id: str | None = None
) -> Manifest | None:
    """The archive of a dataset that has this id, by default the newest of all; None where none is.

    No other manifest is read, so a damaged one is in nobody's way.
    """
    keys = _manifest_keys(store, dataset_prefix(database, kind, dataset))
    if archive_id is None:
        return _newest(store, keys) if keys else None
    named = [key for key in keys if _id(key) == archive_id]
    return read_manifest(store, named[0]) if named else None


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


def _newest(store: Store, keys: list[str]) -> Manifest:
    """The manifest of the archive that was taken last; refused where that lies in the future.

    Such an archive would stay the newest, whatever is archived after it, until its time has come.
    """
    newest = max(keys, key=_id)
    if _id(newest) > new_archive_id(datetime.now(UTC) + CLOCKS_DIFFER):
        raise PermanentError(
            f"{store.locate(newest)} is the newest, and was taken later than now: the clock is "
            "wrong here, or was where it was taken",
            "Set the clock right; or remove that archive's folder, or name an archive by its id.",
        )
    return read_manifest(store, newest)


def _id(key: str) -> str:
    return key.split("/")[-2]


def _manifest_keys(store: Store, prefix: str) -> list[str]:
    return [found.key for found in store.list(prefix) if _is_manifest(found.key)]


def _is_manifest(key: str) -> bool:
    """Whether an archive's manifest lies at ``key``; a person may keep other folders beside it."""
    folder, _, name = key.rpartition("/")
    return name == MANIFEST_NAME and is_archive_id(folder.rpartition("/")[2])
