"""This project's backup workflow as its asset calls it, without Dagster."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.contestants.ours import READING, archivist, engine, in_silence, place
from benchmarks.tasks import PASSPHRASE, Task
from portability_pipelines.filters.chain import writing
from portability_pipelines.filters.openpgp_keys import Passphrase
from portability_pipelines.stores.disk import sync
from portability_pipelines.workflows.backup import CHUNK_BYTES, ZSTD_THREADS, back_up
from portability_pipelines.workflows.drafts import Secrets

LIBRARIES = {"backup": (*READING, "zstandard")}


def backup(task: Task) -> dict[str, str]:
    """The file, compressed and encrypted to a passphrase, with the digest of every table."""
    secrets = Secrets(encrypt=Passphrase(PASSPHRASE))
    writer = archivist(task, secrets)
    written = back_up(engine(task), "app", "2026-11", writer, in_silence)
    manifest = written.manifest
    return {"backup": place(writer, manifest.prefix, manifest.files[0].name)}


def stream(task: Task) -> dict[str, str]:
    """What other tools do too: the file, compressed and encrypted, without a look at its tables."""
    target = Path(task.folder, "app.sqlite.zst.gpg")
    with (
        engine(task).freeze() as frozen,
        target.open("xb") as sink,
        writing(sink, key=Passphrase(PASSPHRASE), threads=ZSTD_THREADS) as chain,
    ):
        shutil.copyfileobj(frozen.content, chain, CHUNK_BYTES)
    sync(target)
    return {"backup": str(target)}


def restore(task: Task, files: dict[str, str]) -> Path:
    """Restore as somebody without this project would: gpg, then zstd."""
    restored = Path(task.folder, "restored.sqlite")
    with TemporaryDirectory() as home, restored.open("wb") as sink:
        decrypt = ("gpg", "--homedir", home, "--batch", "--pinentry-mode", "loopback")
        passphrase = ("--passphrase", PASSPHRASE)
        command = (*decrypt, *passphrase, "--decrypt", files["backup"])
        with subprocess.Popen(command, stdout=subprocess.PIPE) as plain:
            subprocess.run(("zstd", "-q", "-d"), stdin=plain.stdout, stdout=sink, check=True)
    return restored
