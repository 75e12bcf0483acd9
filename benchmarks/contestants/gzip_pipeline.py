"""The scripts that many people have: ``.backup``, then ``gzip -9`` into ``openssl enc``."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence
from pathlib import Path

from benchmarks.tasks import PASSPHRASE, Task

LIBRARIES: dict[str, Sequence[str]] = {}
_OPENSSL = ("openssl", "enc", "-aes-256-cbc", "-pbkdf2", "-pass", "env:BENCHMARK_PASSPHRASE")
_ENVIRONMENT = {**os.environ, "BENCHMARK_PASSPHRASE": PASSPHRASE}


def backup(task: Task) -> dict[str, str]:
    """One file, encrypted but not authenticated."""
    copy = Path(task.folder, "copy.sqlite")
    target = Path(task.folder, "copy.sqlite.gz.enc")
    subprocess.run(("sqlite3", task.database, f".backup '{copy}'"), check=True)
    gzip = ("gzip", "-9", "-c", str(copy))
    with target.open("wb") as sink, subprocess.Popen(gzip, stdout=subprocess.PIPE) as packed:
        subprocess.run(
            _OPENSSL,
            stdin=packed.stdout,
            stdout=sink,
            env=_ENVIRONMENT,
            check=True,
        )
    if packed.returncode:
        raise subprocess.CalledProcessError(packed.returncode, gzip)
    return {"backup": str(target)}


def restore(task: Task, files: dict[str, str]) -> Path:
    """Decrypt and unpack."""
    restored = Path(task.folder, "restored.sqlite")
    decrypt = (*_OPENSSL, "-d", "-in", files["backup"])
    with (
        restored.open("wb") as sink,
        subprocess.Popen(decrypt, stdout=subprocess.PIPE, env=_ENVIRONMENT) as packed,
    ):
        subprocess.run(("gzip", "-d", "-c"), stdin=packed.stdout, stdout=sink, check=True)
    return restored
