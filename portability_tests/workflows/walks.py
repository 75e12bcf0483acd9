"""The walk of a sample database through the workflows, for tests to repeat and to disturb."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from portability_pipelines.domain.manifest import MANIFEST_NAME, Lineage, Manifest
from portability_pipelines.domain.months import ALL, Month, Period, months_between
from portability_pipelines.domain.tables import MonthColumn, Selection
from portability_pipelines.engines.base import Snapshot
from portability_pipelines.engines.registry import open_engine, recovery
from portability_pipelines.filters.openpgp_keys import Passphrase
from portability_pipelines.sample import generate
from portability_pipelines.stores.base import Store
from portability_pipelines.workflows.backup import back_up
from portability_pipelines.workflows.drafts import Archivist, Secrets, Written
from portability_pipelines.workflows.export import ExportOptions, export_table
from portability_pipelines.workflows.verify import Proof, verify_backup, verify_export
from portability_tests.archives import archives

PASSPHRASE = Passphrase("correct horse battery staple", "PORTABILITY_PASSPHRASE")
SECRETS = Secrets(PASSPHRASE, PASSPHRASE, b"the key of seals")

MONTHS = months_between(Month(2024, 12), Month(2026, 11))
NOVEMBER = "2026-11"

EVERY_FORMAT = ExportOptions(("parquet", "csv", "jsonl"))
PARQUET = ExportOptions()


def archivist(store: Store, secrets: Secrets = SECRETS) -> Archivist:
    """Writes into ``store`` for a run that never was."""
    return Archivist(store, secrets, Lineage("run", "asset", "0"))


def silent(done: int, total: int) -> None:
    """Progress that nobody follows."""


def sample(path: Path, activity_rows: int = 1000) -> Path:
    """A sample database at ``path``."""
    generate(path, activity_rows=activity_rows)
    return path


@contextmanager
def snapshot_of(database: Path) -> Iterator[Snapshot]:
    """A snapshot of ``database``; scratch files lie beside it."""
    with open_engine("sqlite", database, database.parent / "scratch").snapshot() as snapshot:
        yield snapshot


def selected(
    snapshot: Snapshot, table: str, month_column: str | None = None, **which: object
) -> Selection:
    """The rows of ``table``: all, or those of every month of the sample."""
    (found,) = (each for each in snapshot.tables() if each.name == table)
    if month_column is None:
        return Selection(found)
    return Selection(found, MonthColumn(month_column), **{"months": MONTHS, **which})  # type: ignore[arg-type]


def export(
    database: Path,
    store: Store,
    table: str,
    month_column: str | None = None,
    options: ExportOptions = EVERY_FORMAT,
    secrets: Secrets = SECRETS,
    months: tuple[Month, ...] = MONTHS,
) -> dict[Period, Written]:
    """Export the rows of ``table``, by month where a column says the month."""
    with snapshot_of(database) as snapshot:
        selection = selected(snapshot, table, month_column, months=months)
        return export_table(snapshot, "shop", selection, options, archivist(store, secrets), silent)


def export_whole(database: Path, store: Store, table: str = "clients") -> Written:
    """Export ``table`` into one archive, in every format."""
    return export(database, store, table)[ALL]


def backup(database: Path, store: Store, secrets: Secrets = SECRETS) -> Written:
    """Back ``database`` up as of November."""
    engine = open_engine("sqlite", database, database.parent / "scratch")
    return back_up(engine, "shop", NOVEMBER, archivist(store, secrets), silent)


def verify(
    store: Store, manifest: Manifest, scratch: Path, secrets: Secrets = SECRETS
) -> tuple[Proof, ...]:
    """Everything that can be proven of an archive, the drill included."""
    if manifest.kind == "exports":
        return verify_export(store, manifest, secrets, scratch)
    engine = recovery(manifest.source.engine)
    proofs = verify_backup(store, manifest, secrets, scratch, engine)
    return proofs.verified + proofs.drill


def failed(proofs: tuple[Proof, ...]) -> dict[str, str]:
    """The details of the proofs that failed, by name."""
    assert proofs
    return {proof.name: proof.detail for proof in proofs if proof.failed}


def keys(store: Store) -> list[str]:
    """Every key in ``store``."""
    return [stored.key for stored in store.list("")]


def archives_lack_nothing(store: Store) -> list[Manifest]:
    """Every archive of ``store``; fails where one lacks a file or a byte of it."""
    sizes = {stored.key: stored.size_bytes for stored in store.list("")}
    found = list(archives(store, ""))
    expected = {f"{m.prefix}/{f.name}": f.size_bytes for m in found for f in m.files}
    assert {key: sizes.get(key) for key in expected} == expected
    return found


def archives_are_whole(store: Store) -> list[Manifest]:
    """Every archive of ``store``; fails where one lacks something, or something belongs to none."""
    found = archives_lack_nothing(store)
    names = [[MANIFEST_NAME, *(file.name for file in m.files)] for m in found]
    belonging = {
        f"{m.prefix}/{name}" for m, listed in zip(found, names, strict=True) for name in listed
    }
    assert set(keys(store)) == belonging
    return found


def change(database: Path, statement: str = "UPDATE clients SET notes = 'changed'") -> None:
    """Let the application write."""
    with closing(sqlite3.connect(database)) as connection, connection:
        connection.execute(statement)


@contextmanager
def constant_writer(database: Path) -> Iterator[None]:
    """A process that writes to ``database`` in a transaction after another, all the while."""
    program = (
        "import sqlite3, sys\n"
        "connection = sqlite3.connect(sys.argv[1], timeout=60)\n"
        "print('ready', flush=True)\n"
        "while True:\n"
        "    with connection:\n"
        '        connection.execute("INSERT INTO credit_consumption (user_id, workspace_id,"\n'
        "            \" amount, consumed_at) VALUES ('u', 'w', 1.5, '2026-11-20T00:00:00')\")\n"
        "        connection.execute('UPDATE clients SET notes = random()')\n"
    )
    argv = [sys.executable, "-c", program, str(database)]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as writer:
        assert writer.stdout
        try:
            assert writer.stdout.readline() == "ready\n"
            yield
            assert writer.poll() is None
        finally:
            writer.kill()


def replace_object(store: Store, key: str, content: bytes) -> None:
    """Put ``content`` in the place of what is stored at ``key``."""
    store.delete(key)
    store.publish(key, content)


def content_of(store: Store, key: str) -> bytes:
    """All the bytes at ``key``."""
    with store.open(key) as stream:
        return stream.read()


def flipped(content: bytes, position: int) -> bytes:
    """``content`` with one bit of the byte at ``position`` turned."""
    changed = bytes([content[position] ^ 1 << position % 8])
    return content[:position] + changed + content[position + 1 :]
