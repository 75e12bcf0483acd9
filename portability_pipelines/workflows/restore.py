"""Restore: a backup back into a file, verified on the way."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from portability_pipelines.domain.errors import PermanentError, RefusedError
from portability_pipelines.domain.manifest import Manifest
from portability_pipelines.stores.base import Store
from portability_pipelines.workflows.drafts import Secrets
from portability_pipelines.workflows.verify import fetch


def restore(store: Store, manifest: Manifest, secrets: Secrets, target: Path) -> None:
    """Write the database of a backup to the new file ``target`` (mode 0600), all or nothing.

    It is written beside ``target`` under another name, checked against the manifest, synced, and
    only then named ``target``. An existing file is refused.
    """
    if secrets.seal is not None and not manifest.seal_holds(secrets.seal):
        raise PermanentError(
            f"The manifest of {manifest.archive_id} does not bear the seal of this key",
            "Check PORTABILITY_MANIFEST_KEY, or restore another backup.",
        )
    if target.exists():
        raise RefusedError(f"{target} exists already", "Restore to a new file, then move it.")
    if not target.parent.is_dir():
        raise RefusedError(f"There is no folder {target.parent}", "Make it, or choose another.")
    (file,) = manifest.files
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".restoring-") as folder:
        restored = Path(folder) / "restored"
        fetch(store, manifest, file, secrets, restored)
        _sync(restored)
        _name(restored, target)
    _sync(target.parent)


def _name(restored: Path, target: Path) -> None:
    try:
        os.link(restored, target)
    except FileExistsError as error:
        raise RefusedError(
            f"{target} appeared while it was being restored", "Restore to a new file."
        ) from error


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
