"""Reading ahead, so that the database and the writers work at the same time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import suppress
from queue import Empty, Queue
from threading import Event, Thread
from typing import TypeVar

Item = TypeVar("Item")


class Prefetched(Iterator[Item]):
    """``items``, read by another thread at most ``ahead`` items ahead, from now on.

    What the reading raises is raised here. ``close`` ends the thread before it returns, so that
    whatever the reading holds may be closed next.
    """

    def __init__(self, items: Iterable[Item], ahead: int = 1) -> None:
        self._queue: Queue[Item | _End] = Queue(ahead)
        self._stop = Event()
        self._ended = False
        self._reader = Thread(target=self._read, args=(items,), name="prefetch", daemon=True)
        self._reader.start()

    def __next__(self) -> Item:
        if self._ended:
            raise StopIteration
        item = self._queue.get()
        if not isinstance(item, _End):
            return item
        self._ended = True
        raise item.error or StopIteration

    def close(self) -> None:
        """End the reading; what was read ahead is lost."""
        self._ended = True
        self._stop.set()
        while self._reader.is_alive():
            with suppress(Empty):
                self._queue.get(timeout=0.05)

    def _read(self, items: Iterable[Item]) -> None:
        try:
            for item in items:
                self._queue.put(item)
                if self._stop.is_set():
                    return
        except BaseException as error:
            self._queue.put(_End(error))
        else:
            self._queue.put(_End(None))


class _End:
    """The reader stopped: with ``error``, or at the end."""

    def __init__(self, error: BaseException | None) -> None:
        self.error = error
