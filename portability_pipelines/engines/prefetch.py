"""Reading ahead, so that the database and the writers work at the same time."""

from __future__ import annotations

from collections.abc import Generator, Iterable
from queue import Empty, Queue
from threading import Event, Thread
from typing import TypeVar

Item = TypeVar("Item")
AHEAD = 2


class _End:
    """The reader stopped: with ``error``, or at the end."""

    def __init__(self, error: BaseException | None) -> None:
        self.error = error


def prefetched(items: Iterable[Item]) -> Generator[Item]:
    """Yield ``items``, read by another thread at most ``AHEAD`` items ahead.

    What the reading raises is raised here. Closing this iterator ends the thread before it
    returns, so that whatever the reading holds may be closed next.
    """
    queue: Queue[Item | _End] = Queue(AHEAD)
    stop = Event()
    reader = Thread(target=_read, args=(items, queue, stop), name="prefetch", daemon=True)
    reader.start()
    try:
        while not isinstance(item := queue.get(), _End):
            yield item
        if item.error is not None:
            raise item.error
    finally:
        stop.set()
        _drain(queue, reader)


def _read(items: Iterable[Item], queue: Queue[Item | _End], stop: Event) -> None:
    try:
        for item in items:
            queue.put(item)
            if stop.is_set():
                return
    except BaseException as error:
        queue.put(_End(error))
    else:
        queue.put(_End(None))


def _drain(queue: Queue[Item | _End], reader: Thread) -> None:
    while reader.is_alive():
        try:
            queue.get(timeout=0.05)
        except Empty:
            continue
