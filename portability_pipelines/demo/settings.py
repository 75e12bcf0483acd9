"""What the demo sets up where a person has set nothing: a passphrase, and Dagster's home."""

from __future__ import annotations

import os
import secrets
import shutil
from pathlib import Path
from tempfile import TemporaryDirectory

from portability_pipelines.demo.left_behind import end_runs_left_behind
from portability_pipelines.domain.errors import RefusedError
from portability_pipelines.orchestration.folders import private_folder, project_folder
from portability_pipelines.orchestration.resources import passphrase_file
from portability_pipelines.stores.locks import locked

PASSPHRASE_BYTES = 32


def prepare() -> list[str]:
    """Make what is missing, end runs that were left behind, and say so in a sentence each.

    Repeating it changes nothing; processes that do so at the same time agree on one passphrase.
    """
    ended = prepare_dagster()
    made = [f"made a passphrase for backups in {passphrase_file()}"] if _make_passphrase() else []
    return made + ended


def prepare_dagster() -> list[str]:
    """The same without the passphrase, which must not be made where it cannot be kept."""
    _make(private_folder(), "PORTABILITY_HOME")
    _set_dagster_home()
    return _open_storage()


def _make(folder: Path, setting: str) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        raise RefusedError(
            f"The folder {folder} cannot be made: {error.strerror}",
            f"Set {setting} to one in which this user may write.",
        ) from error


def _make_passphrase() -> bool:
    """Write a passphrase, complete from the moment it can be seen, unless there is a key already.

    A link is made only where nothing has that name, so of two writers one gives way.
    """
    given = os.environ.get("PORTABILITY_PASSPHRASE") or os.environ.get("PORTABILITY_RECIPIENT")
    file = passphrase_file()
    if given or file.exists():
        return False
    with TemporaryDirectory(dir=file.parent, prefix=".passphrase-") as folder:
        written = Path(folder, file.name)
        written.touch(mode=0o600)
        with written.open("w") as stream:
            stream.write(f"{secrets.token_urlsafe(PASSPHRASE_BYTES)}\n")
            stream.flush()
            os.fsync(stream.fileno())
        try:
            file.hardlink_to(written)
        except FileExistsError:
            return False
    return True


def _set_dagster_home() -> None:
    """Make the home of Dagster that is named, or else one in the project, with its settings.

    The project's own home takes on every change of the project's settings; one that a person has
    named keeps what is there. Raises ``RefusedError`` for a path that depends on where one stands.
    """
    own = private_folder() / "dagster"
    home = Path(os.environ.get("DAGSTER_HOME") or own)
    if not home.is_absolute():
        raise RefusedError(
            f"DAGSTER_HOME is {str(home)!r}, which is no absolute path",
            "Write it out from the root, as in /srv/dagster.",
        )
    _make(home, "DAGSTER_HOME")
    settings = project_folder() / "dagster.yaml"
    if settings.is_file() and (home == own or not (home / settings.name).exists()):
        shutil.copyfile(settings, home / settings.name)
    elif not (home / settings.name).exists():
        (home / settings.name).write_text("telemetry:\n  enabled: false\n")
    os.environ["DAGSTER_HOME"] = str(home)


def _open_storage() -> list[str]:
    """Create Dagster's databases, one process at a time, and end runs that were left behind.

    Opening them creates them; two that do so together leave some that nobody can open again.
    """
    import dagster as dg

    lock = locked(Path(os.environ["DAGSTER_HOME"], "storage.lock"))
    try:
        with dg.DagsterInstance.get() as instance:
            return end_runs_left_behind(instance)
    finally:
        os.close(lock)
