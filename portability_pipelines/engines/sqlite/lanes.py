"""Connections that read the ranges of one table side by side."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import ExitStack, closing
from functools import partial
from typing import TypeVar

from portability_pipelines.engines.prefetch import Prefetched
from portability_pipelines.engines.sqlite.adbc import Connection

Item = TypeVar("Item")
Read = Callable[[Connection, str], Iterable[Item]]
"""Reads what lies in one range."""

_END = None

_AHEAD = 2
"""So many items wait, or one and the end of its part, so that a lane reads on in its next part."""


def side_by_side(
    connections: Sequence[Connection], parts: Sequence[str], read: Read[Item]
) -> Generator[Item]:
    """What ``read`` gives of ``parts``, in their order.

    Every connection reads ahead in parts of its own, in a thread that ends with the iteration.
    """
    lanes = min(len(connections), len(parts))
    with ExitStack() as stack:
        readers = [
            stack.enter_context(
                closing(Prefetched(_lane(connection, parts[i::lanes], read), _AHEAD))
            )
            for i, connection in enumerate(connections[:lanes])
        ]
        for i in range(len(parts)):
            yield from iter(partial(next, readers[i % lanes]), _END)


def _lane(connection: Connection, parts: Sequence[str], read: Read[Item]) -> Iterator[Item | None]:
    """The items of ``parts``, with ``_END`` after each part."""
    for part in parts:
        yield from read(connection, part)
        yield _END
