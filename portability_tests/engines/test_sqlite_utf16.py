"""Databases that keep their texts in UTF-16."""

from __future__ import annotations

from pathlib import Path

import pytest

from portability_pipelines.domain.errors import PermanentError
from portability_pipelines.domain.months import Month
from portability_pipelines.domain.tables import MonthColumn, Selection
from portability_pipelines.engines.sqlite.engine import SqliteEngine
from portability_tests.engines.databases import database, read_all, table_named

TEXTS = ["", "plain", "ü 😀", "\ufeffmarked", "a\0b"]


def _sound(folder: Path, encoding: str) -> SqliteEngine:
    codec = encoding.replace("16", "16-")
    rows = ", ".join(f"(CAST(x'{text.encode(codec).hex()}' AS TEXT), 5)" for text in TEXTS)
    return database(
        folder,
        f"PRAGMA encoding = '{encoding}'",
        "CREATE TABLE t (a TEXT, b)",
        f"INSERT INTO t VALUES {rows}, (NULL, x'00d8')",
        wal=False,
    )


@pytest.mark.parametrize("encoding", ["UTF-16le", "UTF-16be"])
def test_sound_texts_are_read_as_they_are(tmp_path: Path, encoding: str) -> None:
    engine = _sound(tmp_path, encoding)
    with engine.snapshot() as snapshot:
        found = read_all(snapshot, Selection(table_named(snapshot, "t")))
    assert found == {"all": [*((text, "5") for text in TEXTS), (None, "X'00D8'")]}


@pytest.mark.parametrize("encoding", ["UTF-16le", "UTF-16be"])
def test_rows_are_found_by_their_texts(tmp_path: Path, encoding: str) -> None:
    engine = _sound(tmp_path, encoding)
    with engine.snapshot() as snapshot:
        records = snapshot.read_stored(Selection(table_named(snapshot, "t")))
        batches = list(records.find(["a"], [(text,) for text in TEXTS], ["a"]))
    assert [text for batch in batches for text in batch.column("a").to_pylist()] == TEXTS


@pytest.mark.parametrize("indexed", [True, False])
@pytest.mark.parametrize("encoding", ["UTF-8", "UTF-16le", "UTF-16be"])
def test_a_date_with_a_letter_in_its_month_is_undated_and_of_no_month(
    tmp_path: Path, encoding: str, indexed: bool
) -> None:
    """In the bytes of UTF-16le these letters lie between the digits 1 and 2, and after 9."""
    engine = database(
        tmp_path,
        f"PRAGMA encoding = '{encoding}'",
        "CREATE TABLE t (at TEXT, n INTEGER)",
        "INSERT INTO t VALUES ('2026-01-06', 1), ('2026-0ı-05', 2), ('2026-0Ĺ', 3), ('2026-09', 4)",
        *(["CREATE INDEX t_at ON t (at)"] if indexed else []),
        wal=False,
    )
    months = (Month(2026, 1), Month(2026, 9))
    with engine.snapshot() as snapshot:
        month = MonthColumn("at")
        table = table_named(snapshot, "t")
        found = [read_all(snapshot, Selection(table, month, (each,))) for each in months]
        found.append(read_all(snapshot, Selection(table, month, months, undated=True)))
    numbers = [[n for _, n in rows] for each in found for rows in each.values()]
    assert numbers == [[1], [4], [2, 3]]


def test_what_looks_like_bytes_is_found_as_it_is(tmp_path: Path) -> None:
    """Bytes that are no text in UTF-8 may well be one in UTF-16."""
    engine = database(
        tmp_path,
        "PRAGMA encoding = 'UTF-16le'",
        "CREATE TABLE t (a TEXT)",
        "INSERT INTO t VALUES ('X''4DFC'''), (CAST(x'4dfc' AS TEXT))",
        wal=False,
    )
    with engine.snapshot() as snapshot:
        records = snapshot.read_stored(Selection(table_named(snapshot, "t")))
        batches = list(records.find(["a"], [("X'4DFC'",)], ["a"]))
    assert [text for batch in batches for text in batch.column("a").to_pylist()] == ["X'4DFC'"]


@pytest.mark.parametrize("broken", [b"a\0\x00\xd8b\0", b"a\0b\0\x00\xdc", b"a\0b\0c\xd8"])
def test_texts_that_would_be_changed_are_refused_with_their_rows(
    tmp_path: Path, broken: bytes
) -> None:
    whole = "abc"
    engine = database(
        tmp_path,
        "PRAGMA encoding = 'UTF-16le'",
        "CREATE TABLE t (id INTEGER PRIMARY KEY, at TEXT, a TEXT)",
        f"INSERT INTO t VALUES (7, '2026-01-05', '{whole}'), (8, '2026-02-05', 'fine')",
        wal=False,
    )
    file = tmp_path / "app.sqlite"
    content = file.read_bytes()
    assert content.count(whole.encode("utf-16le")) == 1
    file.write_bytes(content.replace(whole.encode("utf-16le"), broken))

    with engine.snapshot() as snapshot:
        table = table_named(snapshot, "t")
        for read in (snapshot.read, snapshot.read_stored):
            with pytest.raises(PermanentError, match=r"t\.a holds texts .* in the rows 7\."):
                read(Selection(table))
        february = Selection(table, MonthColumn("at", "iso"), (Month(2026, 2),))
        assert read_all(snapshot, february) == {"2026-02": [(8, "2026-02-05", "fine")]}
