"""What archives a store holds."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from portability_pipelines.catalog.archives import read_manifest
from portability_pipelines.domain.archive_ids import new_archive_id
from portability_pipelines.domain.manifest import MANIFEST_NAME, Manifest
from portability_pipelines.stores.base import Store


def archives(store: Store, prefix: str) -> Iterator[Manifest]:
    """Every archive below ``prefix``, oldest first within a period."""
    for found in store.list(prefix):
        if found.key.endswith(f"/{MANIFEST_NAME}"):
            yield read_manifest(store, found.key)


def taken_ahead(store: Store, archive: Manifest, ahead: timedelta, **changes: str) -> Manifest:
    """A copy of ``archive`` with ``changes``, by a clock that was so far ``ahead`` of ours."""
    archive_id = new_archive_id(datetime.now(UTC) + ahead)
    copy = replace(archive, archive_id=archive_id, **changes)  # type: ignore[arg-type]
    for file in archive.files:
        with store.open(f"{archive.prefix}/{file.name}") as stream:
            store.publish(f"{copy.prefix}/{file.name}", stream.read())
    store.publish(f"{copy.prefix}/{MANIFEST_NAME}", copy.to_json())
    return copy
