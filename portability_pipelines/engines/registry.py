"""The engines by name: the one table to extend when a database is added."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TypeVar

from portability_pipelines.domain.errors import RefusedError
from portability_pipelines.engines.base import Engine, Recovery

T = TypeVar("T")


def open_engine(name: str, path: Path, scratch: Path) -> Engine:
    """The engine called ``name`` on the database at ``path``; does no I/O yet."""
    from portability_pipelines.engines.sqlite.engine import SqliteEngine

    return _named(name, {"sqlite": SqliteEngine})(path, scratch)


def recovery(name: str) -> Recovery:
    """What opens and inspects restored databases of the engine called ``name``."""
    from portability_pipelines.engines.sqlite.recovery import SqliteRecovery

    return _named(name, {"sqlite": SqliteRecovery})()


def _named(name: str, engines: Mapping[str, T]) -> T:
    if name not in engines:
        raise RefusedError(
            f"There is no engine called {name!r}",
            f"This release has: {', '.join(engines)}. A later one may have more.",
        )
    return engines[name]
