"""What a staging folder is for, written down for whoever finds it after its writer died."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from portability_pipelines.domain.errors import PermanentError
from portability_pipelines.stores.disk import sync, write_synced

_NAME = "intent.json"


@dataclass(frozen=True)
class Intent:
    """The store, and the prefix in it, that the staged files are bound for."""

    store_url: str
    prefix: str


def write_intent(place: Path, intent: Intent) -> None:
    """Write ``intent`` into ``place``, all or nothing and durably.

    Objects that were put outlive a power cut, so what tells them from an archive must as well.
    """
    draft = place / f"{_NAME}.new"
    write_synced(draft, json.dumps(asdict(intent)).encode())
    draft.rename(place / _NAME)
    sync(place)
    sync(place.parent)


def read_intent(place: Path) -> Intent | None:
    """The intent in ``place``; ``None`` where nothing in a store depends on the folder."""
    path = place / _NAME
    try:
        return Intent(**json.loads(path.read_bytes()))
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (ValueError, TypeError) as error:
        raise PermanentError(
            f"{path} does not say what was staged ({error})",
            f"Nothing here writes such a file: look at it, then remove {place}.",
        ) from error
