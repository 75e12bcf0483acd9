"""Loading what is declared under ``defs/``, where a mistake is one error that says where it is."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import dagster as dg
from pydantic import ValidationError

from portability_pipelines.components.application_database import ApplicationDatabase, place_in
from portability_pipelines.domain.errors import RefusedError
from portability_pipelines.orchestration.rules import require_apart


def declared_definitions(path_within_project: Path) -> dg.Definitions:
    """Everything declared under the project's ``defs/``; reads its files and nothing else.

    Raises ``RefusedError`` with the file and line of a mistake; what the schema does not know is a
    ``ValidationError`` of pydantic's, with both as well.
    """
    tree = dg.ComponentTree.for_project(path_within_project)
    _require_contents(tree.defs_module_path)
    with _mistakes_alone():
        built = tree.build_defs()
        components = tree.get_all_components(ApplicationDatabase)
        require_apart([component.database for component in components])
        return built


def _require_contents(defs: Path) -> None:
    """Refuse a file that holds nothing; Dagster does too, but does not say which it is."""
    for file in sorted(defs.rglob("defs.y*ml")):
        lines = map(str.strip, file.read_text(encoding="utf-8").splitlines())
        if all(not line or line.startswith("#") for line in lines):
            raise RefusedError(
                f"{place_in(file, 1)}: the file declares nothing",
                "Declare a database in it, as defs/sample/defs.yaml does, or remove the file.",
            )


@contextmanager
def _mistakes_alone() -> Iterator[None]:
    """Raise what is wrong with a declaration without the errors that Dagster puts around it."""
    try:
        yield
    except Exception as error:
        cause: BaseException | None = error
        while cause is not None and not isinstance(cause, RefusedError | ValidationError):
            cause = cause.__cause__
        if cause is None:
            raise
        raise cause from None
