"""What archives a store holds."""

from __future__ import annotations

from collections.abc import Iterator

from portability_pipelines.catalog.archives import read_manifest
from portability_pipelines.domain.manifest import MANIFEST_NAME, Manifest
from portability_pipelines.stores.base import Store


def archives(store: Store, prefix: str) -> Iterator[Manifest]:
    """Every archive below ``prefix``, oldest first within a period."""
    for found in store.list(prefix):
        if found.key.endswith(f"/{MANIFEST_NAME}"):
            yield read_manifest(store, found.key)
