"""Restore: a backup back into a new file, verified on the way."""

from __future__ import annotations

import os
from pathlib import Path

from portability_pipelines.domain.errors import PermanentError, RefusedError
from portability_pipelines.domain.manifest import Manifest
from portability_pipelines.stores.base import Store
from portability_pipelines.stores.disk import sync
from portability_pipelines.stores.working import working_folder
from portability_pipelines.workflows.drafts import Secrets
from portability_pipelines.workflows.stored_files import StoredFile
from portability_pipelines.workflows.verify import Proof, seal_proof

JOURNALS = ("-journal", "-wal", "-shm")
"""The ends of the files that SQLite keeps beside a database."""


def restore(
    store: Store, manifest: Manifest, secrets: Secrets, target: Path, scratch: Path
) -> Proof:
    """Write the database of a backup to the new file ``target`` (mode 0600), all or nothing.

    It is written in a private folder beside ``target``, checked against the manifest, synced, and
    only then named ``target``. A file that exists is refused and never touched. A secret key in
    use lies in a private folder under ``scratch``. Returns what is known of the manifest's seal.
    """
    if manifest.kind != "backup":
        raise RefusedError(
            f"{manifest.archive_id} is not a backup but {manifest.kind}", "Choose a backup."
        )
    seal = seal_proof(manifest, secrets)
    if seal.failed:
        raise PermanentError(
            f"The backup is not restored: {seal.detail}",
            "Check PORTABILITY_MANIFEST_KEY, or restore another backup.",
        )
    _require_new(target)
    (entry,) = manifest.files
    with (
        working_folder(scratch, "open-") as keys,
        working_folder(target.parent, ".restoring-") as folder,
    ):
        restored = folder / "restored"
        StoredFile(store, manifest, entry, secrets.decrypt).fetch(restored, keys)
        sync(restored)
        _name(restored, target)
        sync(target.parent)
    return seal


def _require_new(target: Path) -> None:
    if _exists(target) and target.is_dir():
        raise RefusedError(f"{target} is a folder", "Give the path of a new file.")
    if not target.parent.is_dir():
        raise RefusedError(f"There is no folder {target.parent}", "Make it, or choose another.")
    # A database would take the journal of another, left there, for its own.
    for path in (target, *(target.with_name(target.name + end) for end in JOURNALS)):
        if _exists(path):
            raise RefusedError(f"{path} exists already", "Restore to a new file, then move it.")
    for name in {target.name.removesuffix(end) for end in JOURNALS} - {target.name, ""}:
        if _exists(target.with_name(name)):
            raise RefusedError(
                f"{target} has the name of a journal of {name}, which SQLite would delete",
                "Give the new file another name.",
            )


def _exists(path: Path) -> bool:
    """Whether anything has that name, a link that leads nowhere included."""
    try:
        path.lstat()
    except FileNotFoundError:
        return False
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or error
        raise RefusedError(
            f"{str(path)!r} cannot name a file: {why}", "Choose another name."
        ) from error
    return True


def _name(restored: Path, target: Path) -> None:
    try:
        os.link(restored, target)
    except FileExistsError as error:
        raise RefusedError(
            f"{target} appeared while it was being restored", "Restore to another new file."
        ) from error
