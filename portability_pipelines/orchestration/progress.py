"""Progress of long work, said by time: every few seconds, never per batch."""

from __future__ import annotations

import time
from collections.abc import Callable

INTERVAL_SECONDS = 5.0


class Progress:
    """Says how far ``what`` has come, at most once in ``INTERVAL_SECONDS``."""

    def __init__(
        self,
        what: str,
        say: Callable[[str], None],
        unit: str = "rows",
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._what = what
        self._say = say
        self._unit = unit
        self._clock = clock
        self._began = self._said = clock()

    def __call__(self, done: int, total: int) -> None:
        """Take note that ``done`` of ``total`` is done."""
        now = self._clock()
        if now - self._said < INTERVAL_SECONDS:
            return
        self._said = now
        speed = done / (now - self._began)
        left = f", about {(total - done) / speed:,.0f} s left" if speed and total >= done else ""
        share = f" ({done / total:.0%})" if total else ""
        self._say(
            f"{self._what}: {done:,} of {total:,} {self._unit}{share}, "
            f"{speed:,.0f} {self._unit}/s{left}"
        )
