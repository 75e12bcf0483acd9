"""Verification: whatever is wrong with an archive is a failed proof that says what it is."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from portability_pipelines.catalog.archives import read_manifest
from portability_pipelines.domain.errors import PermanentError, TransientError
from portability_pipelines.domain.manifest import MANIFEST_NAME, FileEntry, Manifest, TableEntry
from portability_pipelines.stores.base import Store
from portability_pipelines.stores.registry import open_store
from portability_tests.conftest import MakeStore
from portability_tests.servers import S3Server, free_ports
from portability_tests.workflows.walks import (
    SECRETS,
    backup,
    content_of,
    export_whole,
    failed,
    flipped,
    replace_object,
    verify,
)

POSITIONS = 40
UNSEALED = replace(SECRETS, seal=None)

Write = Callable[[Path, Store], Manifest]


def _export(database: Path, store: Store) -> Manifest:
    return export_whole(database, store).manifest


def _backup(database: Path, store: Store) -> Manifest:
    return backup(database, store).manifest


@pytest.fixture(params=[_export, _backup], ids=["export", "backup"])
def write(request: pytest.FixtureRequest) -> Write:
    """Writes an archive of each kind in turn."""
    made: Write = request.param
    return made


def spread(size: int) -> list[int]:
    """Positions all over ``size`` bytes, both ends among them."""
    return sorted({place * (size - 1) // (POSITIONS - 1) for place in range(POSITIONS)})


def stored_keys(manifest: Manifest) -> list[str]:
    return [f"{manifest.prefix}/{file.name}" for file in manifest.files]


def test_a_flipped_bit_anywhere_in_a_file_fails(
    database: Path, local: Store, scratch: Path, write: Write
) -> None:
    manifest = write(database, local)
    for key in stored_keys(manifest):
        content = content_of(local, key)
        for position in spread(len(content)):
            replace_object(local, key, flipped(content, position))
            wrong = failed(verify(local, manifest, scratch))
            assert "SHA-256" in wrong["checksum_validation"], (key, position)
        replace_object(local, key, content)
    assert failed(verify(local, manifest, scratch)) == {}
    assert list(scratch.iterdir()) == []


def test_a_flipped_bit_anywhere_in_a_sealed_manifest_fails(
    database: Path, local: Store, scratch: Path, write: Write
) -> None:
    key = f"{write(database, local).prefix}/{MANIFEST_NAME}"
    content = content_of(local, key)
    for position in spread(len(content)):
        replace_object(local, key, flipped(content, position))
        try:
            manifest = read_manifest(local, key)
        except PermanentError:
            continue
        assert list(failed(verify(local, manifest, scratch))) == ["seal", *_drill(manifest)]


def _drill(manifest: Manifest) -> list[str]:
    return ["restore_drill"] if manifest.kind == "backup" else []


@pytest.mark.parametrize("left", [0.0, 0.5, 0.999])
def test_a_truncated_file_fails(
    database: Path, store: Store, scratch: Path, write: Write, left: float
) -> None:
    manifest = write(database, store)
    for key in stored_keys(manifest):
        content = content_of(store, key)
        size = int(len(content) * left)
        replace_object(store, key, content[:size])
        wrong = failed(verify(store, manifest, scratch))
        assert f"{size:,} bytes where {len(content):,}" in wrong["checksum_validation"]
        replace_object(store, key, content)


def test_a_longer_file_fails(database: Path, local: Store, scratch: Path, write: Write) -> None:
    manifest = write(database, local)
    key = stored_keys(manifest)[0]
    replace_object(local, key, content_of(local, key) + b"\n")

    assert "more bytes" in failed(verify(local, manifest, scratch))["checksum_validation"]


def test_a_deleted_file_is_named(database: Path, store: Store, scratch: Path, write: Write) -> None:
    manifest = write(database, store)
    store.delete(stored_keys(manifest)[0])

    wrong = failed(verify(store, manifest, scratch))

    assert wrong["file_existence"] == f"{manifest.files[0].name} is missing"
    assert "checksum_validation" in wrong


def test_a_format_of_another_release_fails(database: Path, local: Store, scratch: Path) -> None:
    manifest = export_whole(database, local).manifest
    other = replace(manifest, files=tuple(replace(f, format="xlsx") for f in manifest.files))
    assert SECRETS.seal

    wrong = failed(verify(local, other.sealed(SECRETS.seal), scratch))

    assert "does not read 'xlsx'" in wrong["content_digest"]


def test_a_file_that_is_not_listed_is_mentioned(
    database: Path, store: Store, scratch: Path, write: Write
) -> None:
    manifest = write(database, store)
    store.publish(f"{manifest.prefix}/notes.txt", b"left by a person")

    proofs = verify(store, manifest, scratch)

    assert failed(proofs) == {}
    (there,) = (proof for proof in proofs if proof.name == "file_existence")
    assert "does not list notes.txt" in there.detail


@pytest.mark.parametrize(
    ("seal", "reason"),
    [(b"another key", "is not what was sealed, or the key is another"), (None, None)],
)
def test_the_seal_is_proven_with_the_key_of_today(
    database: Path, local: Store, scratch: Path, write: Write, seal: bytes, reason: str | None
) -> None:
    manifest = write(database, local)

    proofs = verify(local, manifest, scratch, replace(SECRETS, seal=seal))

    if reason is None:
        assert failed(proofs) == {}
        assert (proofs[0].name, proofs[0].passed) == ("seal", None)
        assert "PORTABILITY_MANIFEST_KEY is not set" in proofs[0].full_detail
    else:
        assert reason in failed(proofs)["seal"]
        assert {proof.name for proof in proofs} <= {"seal", "restore_drill"}


def test_a_manifest_that_lost_its_seal_fails(
    database: Path, local: Store, scratch: Path, write: Write
) -> None:
    manifest = replace(write(database, local), seal=None)

    assert "has no seal" in failed(verify(local, manifest, scratch))["seal"]


def altered(manifest: Manifest, **changes: object) -> Manifest:
    """``manifest`` with its tables' or files' entries changed."""
    tables, files = manifest.tables, manifest.files
    if set(changes) <= set(TableEntry.__dataclass_fields__):
        tables = tuple(replace(table, **changes) for table in tables)  # type: ignore[arg-type]
    else:
        assert set(changes) <= set(FileEntry.__dataclass_fields__)
        files = tuple(replace(file, **changes) for file in files)  # type: ignore[arg-type]
    return replace(manifest, tables=tables, files=files)


@pytest.mark.parametrize(
    ("changes", "name", "reason"),
    [
        ({"rows": 3}, "row_counts", "in its snapshot 3"),
        ({"digest": "columns-sha256-v1:00"}, "content_digest", "other values"),
        ({"plaintext_sha256": "00"}, "decompression_test", "The plaintext of"),
        ({"plaintext_size_bytes": 7}, "decompression_test", "where 7 were written"),
    ],
)
def test_what_an_unsealed_manifest_claims_is_compared_too(
    database: Path,
    local: Store,
    scratch: Path,
    write: Write,
    changes: dict[str, object],
    name: str,
    reason: str,
) -> None:
    manifest = altered(write(database, local), **changes)

    assert reason in failed(verify(local, manifest, scratch, UNSEALED))[name]


def test_tables_that_came_or_went_fail_the_drill(
    database: Path, local: Store, scratch: Path
) -> None:
    manifest = _backup(database, local)
    first, *others = manifest.tables
    renamed = replace(manifest, tables=(replace(first, name="gone"), *others))

    wrong = failed(verify(local, renamed, scratch, UNSEALED))

    assert wrong == {"restore_drill": f"gone is missing; {first.name} was not backed up"}


def test_what_the_engine_finds_wrong_fails(tmp_path: Path, local: Store, scratch: Path) -> None:
    database = tmp_path / "unsound.sqlite"
    with closing(sqlite3.connect(database)) as connection, connection:
        connection.execute("CREATE TABLE t (x)")
        connection.execute("INSERT INTO t VALUES (NULL)")
        connection.execute("PRAGMA writable_schema = ON")
        connection.execute("UPDATE sqlite_schema SET sql = 'CREATE TABLE t (x NOT NULL)'")

    wrong = failed(verify(local, _backup(database, local), scratch))

    assert wrong == {"sqlite_integrity_check": "NULL value in t.x"}


def test_a_store_that_cannot_be_reached_raises(
    database: Path, make_store: MakeStore, s3_environment: S3Server, scratch: Path, write: Write
) -> None:
    manifest = write(database, make_store("s3"))
    (port,) = free_ports(1)
    client = replace(s3_environment, endpoint=f"http://127.0.0.1:{port}").client
    gone = open_store("s3://archives/x", staging_root=scratch, s3_client=client)

    with pytest.raises(TransientError):
        verify(gone, manifest, scratch)
