"""Where this project keeps what it makes on this machine."""

from __future__ import annotations

import os
from pathlib import Path

import portability_pipelines
from portability_pipelines.domain.errors import RefusedError


def project_folder() -> Path:
    """The checkout this package runs from, or the working folder where it is installed."""
    checkout = Path(portability_pipelines.__file__).resolve().parents[1]
    return checkout if (checkout / "workspace.yaml").is_file() else Path.cwd()


def private_folder() -> Path:
    """``PORTABILITY_HOME``, or ``.portability`` in the project.

    Holds what is made here: the default store, staging, scratch, and the demo's own servers.
    Raises ``RefusedError`` for a name that is not UTF-8, which an address cannot hold, and for
    one with a ``~`` that no shell has expanded.
    """
    chosen = os.environ.get("PORTABILITY_HOME")
    try:
        (chosen or "").encode()
    except UnicodeEncodeError:
        raise RefusedError(
            "PORTABILITY_HOME is not UTF-8", "Set it to a folder with a plain name."
        ) from None
    if chosen and chosen.startswith("~"):
        raise RefusedError(
            f"PORTABILITY_HOME is {chosen!r}, in which nothing has expanded the ~",
            "Write the path out from the root, as in /srv/portability.",
        )
    return Path(chosen).absolute() if chosen else project_folder() / ".portability"
