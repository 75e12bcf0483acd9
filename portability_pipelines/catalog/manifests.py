"""Reading stored manifests: only what has the form of docs/FORMAT.md is taken for one."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from portability_pipelines.domain.errors import PermanentError
from portability_pipelines.domain.manifest import FORMAT_VERSION, Manifest

if TYPE_CHECKING:
    from pydantic import TypeAdapter


def parse_manifest(content: bytes, where: str) -> Manifest:
    """The manifest whose stored form is ``content``; ``where`` names it in errors."""
    import pydantic_core

    try:
        fields = pydantic_core.from_json(content)
        version = fields.get("format_version") if isinstance(fields, dict) else None
        if type(version) is int and version != FORMAT_VERSION:
            raise PermanentError(
                f"{where} has format version {version}",
                f"This release reads version {FORMAT_VERSION}; use the release that wrote it.",
            )
        manifest = _adapter().validate_json(content, strict=True)
        _require_whole(manifest, fields)
    except ValueError as error:
        raise PermanentError(
            f"{where} is not a manifest ({_in_one_line(error)})",
            "The archive was damaged or written by something else; use another archive.",
        ) from error
    return manifest


@cache
def _adapter() -> TypeAdapter[Manifest]:
    from pydantic import TypeAdapter

    return TypeAdapter(Manifest)


def _require_whole(manifest: Manifest, fields: object) -> None:
    """Raise ``ValueError`` for what the types let through: other counts, fields unknown here."""
    import pydantic_core

    if not manifest.files or (manifest.kind == "backup" and len(manifest.files) != 1):
        raise ValueError(f"it lists {len(manifest.files)} files")
    if manifest.kind == "exports" and len(manifest.tables) != 1:
        raise ValueError(f"it lists {len(manifest.tables)} tables")
    if pydantic_core.from_json(manifest.to_json()) != fields:
        raise ValueError("it has fields that this format does not have")


def _in_one_line(error: ValueError) -> str:
    from pydantic import ValidationError

    if not isinstance(error, ValidationError):
        return str(error)
    (first, *_) = error.errors(include_url=False, include_input=False, include_context=False)
    place = ".".join(map(str, first["loc"]))
    return f"{place}: {first['msg']}" if place else first["msg"]
