"""Loading what is declared under ``defs/``, where a mistake is one error that says where it is."""

from __future__ import annotations

import os
import pkgutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any, get_args

import dagster as dg
import yaml
from pydantic import ValidationError

from portability_pipelines.components.application_database import (
    ApplicationDatabase,
    Attributes,
    place_in,
)
from portability_pipelines.domain.declarations import Database
from portability_pipelines.domain.errors import RefusedError
from portability_pipelines.orchestration.rules import require_apart

# What Dagster reads in a folder, the first that is there; the last is its former name.
_DECLARATIONS = ("defs.yaml", "defs.yml", "component.yaml")


@dataclass(frozen=True)
class Declared:
    """What a project declares: ``databases`` in YAML, and the definitions of all there is."""

    databases: tuple[Database, ...]
    definitions: dg.Definitions


def declared(path_within_project: Path) -> Declared:
    """Everything declared under the project's ``defs/``; reads its files and nothing else.

    Raises ``RefusedError`` with the file and line of a mistake.
    """
    tree = _tree(path_within_project)
    if tree is None:
        return Declared((), dg.Definitions())
    with _mistakes_alone():
        definitions = tree.build_defs()
        components = tree.get_all_components(ApplicationDatabase)
        databases = tuple(component.database for component in components)
        require_apart(databases)
        return Declared(databases, definitions)


def _tree(path_within_project: Path) -> dg.ComponentTree | None:
    """What is declared; None for nothing, of which Dagster makes an error."""
    try:
        tree = dg.ComponentTree.for_project(path_within_project)
    except ModuleNotFoundError as error:
        if (error.name or "").endswith(".defs"):
            return None
        raise
    defs = tree.defs_module_path
    files = _files(defs)
    for file in files:
        if file.name in _DECLARATIONS:
            _require_whole(file)
        elif file.suffix != ".py":
            raise RefusedError(
                f"{place_in(file, 1)}: nothing reads this file",
                "A database is declared in a folder of its own, in a file called defs.yaml; keep "
                "other YAML files elsewhere.",
            )
    return tree if files else None


def _files(defs: Path) -> list[Path]:
    """What Dagster takes for declarations under ``defs``; as it does, links are followed."""
    found = (
        Path(folder, name)
        for folder, _, names in os.walk(defs, followlinks=True)
        for name in names
        if name.endswith((".py", ".yaml", ".yml"))
    )
    return sorted(found)


def _require_whole(file: Path) -> None:
    """Refuse a file that holds nothing, an unknown component, or one name twice.

    YAML would keep the last of the two.
    """
    try:
        nodes = list(yaml.compose_all(file.read_text(encoding="utf-8"), yaml.SafeLoader))
        again = next(chain.from_iterable(map(_repeated, nodes)), None)
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        raise RefusedError(
            f"{place_in(file, mark.line + 1 if mark else 1)}: this is no YAML: "
            f"{getattr(error, 'problem', None) or error}",
            "Mend that line, or the one before it.",
        ) from error
    if not nodes:
        raise RefusedError(
            f"{place_in(file, 1)}: the file declares nothing",
            "Declare a database in it, as defs/sample/defs.yaml does, or remove the file.",
        )
    if again is not None:
        raise RefusedError(
            f"{place_in(file, again.start_mark.line + 1)}: {again.value!r} stands here for the "
            "second time",
            "Put what belongs together under one of the two.",
        )
    for node in filter(None, map(_type, nodes)):
        _require_there(file, node)


def _type(node: yaml.Node) -> yaml.ScalarNode | None:
    """The name of the component that the mapping ``node`` is the declaration of."""
    named = node.value if isinstance(node, yaml.MappingNode) else ()
    return next((v for k, v in named if k.value == "type" and isinstance(v, yaml.ScalarNode)), None)


def _require_there(file: Path, component: yaml.ScalarNode) -> None:
    """Refuse a component that is not to be found; Dagster would not say which file wants it."""
    name = str(component.value)
    if name.startswith("."):
        return
    try:
        pkgutil.resolve_name(name)
    except (ValueError, ImportError, AttributeError) as error:
        ours = f"{ApplicationDatabase.__module__}.{ApplicationDatabase.__name__}"
        raise RefusedError(
            f"{place_in(file, component.start_mark.line + 1)}: there is no {name!r}",
            f"Write type: {ours}",
        ) from error


def _repeated(node: yaml.Node) -> Iterator[yaml.ScalarNode]:
    """The names in mappings at or below ``node`` that stand there for the second time."""
    if isinstance(node, yaml.SequenceNode):
        yield from chain.from_iterable(map(_repeated, node.value))
    elif isinstance(node, yaml.MappingNode):
        names = set()
        for name, value in node.value:
            if isinstance(name, yaml.ScalarNode):
                if name.value in names:
                    yield name
                names.add(name.value)
            yield from _repeated(value)


@contextmanager
def _mistakes_alone() -> Iterator[None]:
    """Raise what is wrong with a declaration without the errors that Dagster puts around it."""
    try:
        yield
    except Exception as error:
        cause: BaseException | None = error
        while cause is not None:
            refused = _against_schema(cause) if isinstance(cause, ValidationError) else cause
            if isinstance(refused, RefusedError):
                raise refused from None
            cause = cause.__cause__
        raise


def _against_schema(error: ValidationError) -> RefusedError | None:
    """The mistakes in YAML that ``error`` is about, to which Dagster has added where they stand."""
    mistakes = error.errors()
    if not all("source_position" in mistake.get("ctx", {}) for mistake in mistakes):
        return None
    return RefusedError(
        "; ".join(_told(mistake, error.title) for mistake in mistakes),
        "Mend that; defs/sample/defs.yaml is the pattern.",
    )


def _told(mistake: Any, model: str) -> str:
    """Where a mistake in what ``model`` describes is, and what is wrong."""
    position, path = mistake["ctx"]["source_position"], mistake["loc"][0].rpartition(" at ")[0]
    path = path.removeprefix("attributes.")
    said = f"{path or 'the file'}: {mistake['msg']}"
    if mistake["type"] == "extra_forbidden":
        *above, name = path.split(".")
        said = f"{name!r} is not known here"
        if model == Attributes.__name__:
            said += f", only {', '.join(_known(above))}"
    elif mistake["type"] == "missing":
        said = f"{path} is missing"
    elif mistake["input"] is None:
        said = f"{path} is empty, where a value is wanted, or {{}} for the defaults"
    return f"{place_in(Path(position.filename), position.start.line)}: {said}"


def _known(path: Sequence[str]) -> Sequence[str]:
    """What may be said at ``path`` in the attributes."""
    model: Any = Attributes
    for name in path:
        if name in model.model_fields:
            kind = model.model_fields[name].annotation
            model = (*get_args(kind), kind)[0]
    return tuple(model.model_fields)
