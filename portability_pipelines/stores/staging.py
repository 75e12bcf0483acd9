"""Private folders in which archives are prepared, and what dead processes left of them.

Under the staging root each writer has ``stage-<random>/``:

- ``lock``: held with ``flock`` while the writer lives; the kernel drops it when the process dies.
- ``intent.json``: the store and the prefix that the archive is bound for, if it is for one.
- ``files/``: what the writer is given.

The root's own ``.lock`` is held while a folder is created or judged, so no folder is ever judged
between its creation and the taking of its lock.
"""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from portability_pipelines.domain.errors import PortabilityError, RefusedError
from portability_pipelines.stores.disk import (
    FULL,
    disk_errors,
    disk_is_full,
    make_folder,
    remove_folder,
)
from portability_pipelines.stores.intents import Intent, read_intent, write_intent
from portability_pipelines.stores.keys import within
from portability_pipelines.stores.locks import lock_if_free, locked

Withdraw = Callable[[str], Iterable[str]]
"""Removes what was put under a prefix and never published; gives what it removed."""


class Staging:
    """The staging folders of one store under ``root``, which several stores may share."""

    def __init__(self, root: Path, store_url: str) -> None:
        self.root = root
        self._store_url = store_url

    @contextmanager
    def folder(self, prefix: str, withdraw: Withdraw) -> Iterator[Path]:
        """Give a folder of mode 0700; on an error also ``withdraw`` what was put from it.

        Where the withdrawing fails, the intent stays behind for a later ``sweep``.
        """
        with ExitStack() as held:
            place = self._create(prefix, held)
            try:
                yield place / "files"
            except BaseException as error:
                self._give_up(place, prefix, withdraw, error)
                if isinstance(error, OSError) and error.errno in FULL:
                    raise disk_is_full(f"preparing {prefix}", self.root) from error
                raise
            self._remove(place)

    @contextmanager
    def draft(self) -> Iterator[Path]:
        """Give a folder that no object in the store depends on."""
        with ExitStack() as held:
            place = self._create(None, held)
            try:
                yield place / "files"
            finally:
                self._remove(place)

    @contextmanager
    def exclusive(self) -> Iterator[None]:
        """Keep every other process from creating or judging staging folders meanwhile."""
        with ExitStack() as held:
            with disk_errors("locking the staging area", self.root):
                # Of a local store, the folder above is the store itself: exports are plaintext.
                make_folder(self.root.parent, 0o700)
                make_folder(self.root)
                held.callback(os.close, locked(self.root / ".lock"))
            yield

    def check_bound(self, source: Path, key: str) -> None:
        """Refuse a ``source`` not staged for a prefix of ``key``: a sweep would miss it."""
        if not source.is_file():
            raise RefusedError(
                f"There is no file {source.name} to put as {key}",
                "Write it into the folder that stage() gives first.",
            )
        place = next((p for p in source.parents if p.parent == self.root), None)
        intent = place and read_intent(place)
        if not intent or not within(key, intent.prefix):
            raise RefusedError(
                f"{source.name} was not staged for {key}",
                "Write it into the folder that stage() gives for the prefix of that key.",
            )

    def sweep(self, withdraw: Withdraw) -> tuple[str, ...]:
        """Remove the folders of dead writers, their unpublished objects first; give both.

        A dead writer whose prefix a live one shares is left for a later sweep.
        """
        if not self.root.is_dir():
            return ()
        removed: list[str] = []
        with ExitStack() as held:
            for place, prefix in self._dead(held):
                if prefix is not None:
                    removed.extend(withdraw(prefix))
                self._remove(place)
                removed.append(str(place))
        return tuple(removed)

    def _create(self, prefix: str | None, held: ExitStack) -> Path:
        with self.exclusive(), disk_errors("preparing a staging folder", self.root):
            place = self.root / f"stage-{secrets.token_hex(8)}"
            place.mkdir(mode=0o700)
            try:
                held.callback(os.close, locked(place / "lock"))
                (place / "files").mkdir(mode=0o700)
                if prefix is not None:
                    write_intent(place, Intent(self._store_url, prefix))
            except BaseException:
                shutil.rmtree(place)
                raise
        return place

    def _give_up(self, place: Path, prefix: str, withdraw: Withdraw, error: BaseException) -> None:
        try:
            self._empty(place)
            for _ in withdraw(prefix):
                pass
            self._remove(place)
        except PortabilityError as second:
            error.add_note(f"Objects under {prefix} wait for the next sweep: {second}")

    def _remove(self, place: Path) -> None:
        self._empty(place)
        with self.exclusive(), disk_errors("removing a staging folder", self.root):
            shutil.rmtree(place)

    def _empty(self, place: Path) -> None:
        with disk_errors("removing staged files", self.root):
            remove_folder(place / "files")

    def _dead(self, held: ExitStack) -> list[tuple[Path, str | None]]:
        """Lock every dead folder of this store until ``held`` closes."""
        dead, live = [], []
        with self.exclusive(), disk_errors("looking for dead writers", self.root):
            for place in sorted(self.root.glob("stage-*")):
                intent = read_intent(place)
                if intent and intent.store_url != self._store_url:
                    continue
                prefix = intent.prefix if intent else None
                lock = lock_if_free(place / "lock")
                if lock is None:
                    live.append(prefix)
                    continue
                held.callback(os.close, lock)
                dead.append((place, prefix))
        return [(p, prefix) for p, prefix in dead if not _shared(prefix, live)]


def _shared(prefix: str | None, others: Iterable[str | None]) -> bool:
    known = [other for other in others if other is not None]
    return prefix is not None and any(within(prefix, o) or within(o, prefix) for o in known)
