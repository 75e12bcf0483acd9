"""Databases with a table that only its application can read: backed up whole, and said so."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from portability_pipelines.domain.declarations import (
    Database,
    Place,
    SourceReference,
    TableDeclaration,
)
from portability_pipelines.domain.errors import PermanentError, RefusedError
from portability_pipelines.domain.months import Month
from portability_pipelines.stores.base import Store
from portability_pipelines.workflows.select import select
from portability_tests.engines.test_sqlite_recovery import made_by_its_application
from portability_tests.workflows.walks import (
    SECRETS,
    backup,
    export_whole,
    failed,
    snapshot_of,
    verify,
)

REWRITTEN = "UPDATE sqlite_schema SET sql = 'CREATE VIRTUAL TABLE awkward USING {}'"
TOKENIZED = "CREATE VIRTUAL TABLE awkward USING {} (body)"
CHANGE_THE_SCHEMA = "PRAGMA writable_schema = ON"
LATIN = "CREATE TABLE awkward (n TEXT, café TEXT)".encode("latin-1")

AWKWARD = {
    "contentless FTS4": (
        ("CREATE VIRTUAL TABLE awkward USING fts4 (body, content='')",),
        "INSERT INTO awkward (docid, body) VALUES (1, 'x')",
        "SQL logic error",
    ),
    "dropped content": (
        (
            "CREATE TABLE source (body)",
            "CREATE VIRTUAL TABLE awkward USING fts5 (body, content='source')",
        ),
        "DROP TABLE source",
        "no such table: main.source",
    ),
    "renamed content": (
        (
            "CREATE TABLE source (body)",
            "INSERT INTO source VALUES ('x')",
            "CREATE VIRTUAL TABLE awkward USING fts5 (body, content='source')",
        ),
        "ALTER TABLE source RENAME body TO text",
        "no such column: T.body",
    ),
    "unknown tokenizer": (
        (TOKENIZED.format("fts4"), "INSERT INTO awkward VALUES ('x')", CHANGE_THE_SCHEMA),
        REWRITTEN.format("fts4 (body, tokenize=ours)") + " WHERE name = 'awkward'",
        "unknown tokenizer: ours",
    ),
    "missing module": (
        (CHANGE_THE_SCHEMA,),
        "INSERT INTO sqlite_schema VALUES ('table', 'awkward', 'awkward', 0, "
        "'CREATE VIRTUAL TABLE awkward USING elsewhere (x)')",
        "no such module: elsewhere",
    ),
    "missing module of an unlucky name": (
        (CHANGE_THE_SCHEMA,),
        "INSERT INTO sqlite_schema VALUES ('table', 'awkward', 'awkward', 0, "
        "'CREATE VIRTUAL TABLE awkward USING unlocked_or_busy (x)')",
        "no such module: unlocked_or_busy",
    ),
    "function": (
        ("CREATE TABLE awkward (n TEXT, loud TEXT AS (shout(n)) VIRTUAL)",),
        "INSERT INTO awkward (n) VALUES ('x')",
        "unknown function: shout()",
    ),
    "collation": (
        ("CREATE TABLE awkward (n TEXT COLLATE german PRIMARY KEY, at TEXT) WITHOUT ROWID",),
        "INSERT INTO awkward VALUES ('x', '2026-01-05')",
        "no such collation sequence: german",
    ),
    "generated column of broken JSON": (
        ("CREATE TABLE awkward (n TEXT)", "INSERT INTO awkward VALUES ('{broken')"),
        "ALTER TABLE awkward ADD COLUMN a TEXT AS (json_extract(n, '$.a')) VIRTUAL",
        "malformed JSON",
    ),
    "generated column that overflows": (
        ("CREATE TABLE awkward (n INTEGER)", f"INSERT INTO awkward VALUES ({-(2**63)})"),
        "ALTER TABLE awkward ADD COLUMN a INTEGER AS (abs(n)) VIRTUAL",
        "integer overflow",
    ),
    "column whose name is not UTF-8": (
        (
            "CREATE TABLE awkward (n TEXT, cafe TEXT)",
            "INSERT INTO awkward VALUES ('x', 'y')",
            CHANGE_THE_SCHEMA,
        ),
        f"UPDATE sqlite_schema SET sql = CAST(x'{LATIN.hex()}' AS TEXT) WHERE name = 'awkward'",
        "no such column: caf\\xe9",
    ),
}


def made(tmp_path: Path, awkward: str) -> tuple[Path, str]:
    """A database with a table that cannot be read, and the reason."""
    statements, last, reason = AWKWARD[awkward]
    path = made_by_its_application(
        tmp_path / "shop.sqlite",
        "CREATE TABLE clients (name TEXT)",
        "INSERT INTO clients VALUES ('Ann'), ('Bob')",
        *statements,
        last,
    )
    return path, reason


@pytest.mark.parametrize("awkward", AWKWARD)
def test_a_table_that_cannot_be_read_is_backed_up_and_said_to_be_unproven(
    tmp_path: Path, local: Store, scratch: Path, awkward: str
) -> None:
    database, reason = made(tmp_path, awkward)

    manifest = backup(database, local).manifest

    tables = {table.name: table for table in manifest.tables}
    assert tables["awkward"].undigested == reason
    assert (tables["clients"].rows, tables["clients"].undigested) == (2, None)
    proofs = {proof.name: proof for proof in verify(local, manifest, scratch)}
    assert failed(tuple(proofs.values())) == {}
    for name in ("row_counts", "content_digest"):
        assert proofs[name].unproven == (f"table awkward ({reason})",)
        assert f"not looked at: table awkward ({reason})" in proofs[name].full_detail
    assert not backup(database, local).fresh


def test_a_drill_fails_where_another_table_cannot_be_read(
    tmp_path: Path, local: Store, scratch: Path
) -> None:
    database, reason = made(tmp_path, "function")
    manifest = backup(database, local).manifest
    assert SECRETS.seal is not None
    digested = tuple(replace(table, digest="values-sha256-v1:00") for table in manifest.tables)

    other = replace(manifest, tables=digested).sealed(SECRETS.seal)

    said = failed(verify(local, other, scratch))["content_digest"]
    assert f"'awkward' is not digested: {reason}; in its snapshot it was digested" in said


def test_a_declared_table_that_cannot_be_opened_is_refused(tmp_path: Path) -> None:
    path, _ = made(tmp_path, "missing module")
    table = TableDeclaration("awkward", "created_at", place=Place("defs.yaml", 12))
    database = Database("shop", SourceReference("sqlite", str(path)), Month(2026, 1), (table,))
    with snapshot_of(path) as snapshot, pytest.raises(RefusedError) as refusal:
        select(snapshot, database, table)
    assert "defs.yaml:12: table 'awkward' cannot be opened here" in str(refusal.value)


@pytest.mark.parametrize("awkward", ["function", "column whose name is not UTF-8"])
def test_an_export_of_a_table_that_cannot_be_read_says_why(
    tmp_path: Path, local: Store, awkward: str
) -> None:
    database, reason = made(tmp_path, awkward)
    with pytest.raises(PermanentError, match="only the application brings") as refusal:
        export_whole(database, local, "awkward")
    assert reason in refusal.value.message
