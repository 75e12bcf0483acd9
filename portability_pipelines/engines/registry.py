"""The engines by name: the one table to extend when a database is added."""

from __future__ import annotations

from pathlib import Path

from portability_pipelines.domain.errors import RefusedError
from portability_pipelines.engines.base import Engine, Recovery


def open_engine(name: str, path: Path, scratch: Path) -> Engine:
    """The engine called ``name`` on the database at ``path``; does no I/O yet."""
    from portability_pipelines.engines.sqlite.engine import SqliteEngine

    engines = {"sqlite": SqliteEngine}
    if name not in engines:
        raise RefusedError(
            f"There is no engine called {name!r}", f"Use one of: {', '.join(engines)}."
        )
    return engines[name](path, scratch)


def recovery(name: str) -> Recovery:
    """What opens and inspects restored databases of the engine called ``name``."""
    from portability_pipelines.engines.sqlite.recovery import SqliteRecovery

    return {"sqlite": SqliteRecovery}[name]()
