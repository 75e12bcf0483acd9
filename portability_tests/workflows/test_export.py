"""Exports: what is written, what is left alone, and that nothing stands after a failure."""

from __future__ import annotations

import errno
import os
import shutil
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from textwrap import dedent

import pytest

from portability_pipelines.catalog.archives import latest
from portability_pipelines.domain.errors import PermanentError, RefusedError
from portability_pipelines.domain.manifest import MANIFEST_NAME, Manifest
from portability_pipelines.domain.months import ALL, UNDATED, Month, Period
from portability_pipelines.engines.sqlite import survey
from portability_pipelines.engines.sqlite.scans import Scan
from portability_pipelines.stores.base import Store
from portability_pipelines.workflows.drafts import Secrets
from portability_pipelines.workflows.export import export_table
from portability_tests.conftest import MakeStore
from portability_tests.workflows.disturbed import losing_rows
from portability_tests.workflows.walks import (
    EVERY_FORMAT,
    MONTHS,
    NOVEMBER,
    PARQUET,
    SECRETS,
    archives_are_whole,
    archivist,
    change,
    constant_writer,
    content_of,
    export,
    export_whole,
    failed,
    keys,
    replace_object,
    selected,
    silent,
    snapshot_of,
    verify,
)

MEMORY_LIMIT_MIB = 300


def test_every_month_becomes_an_archive_that_is_proven(
    database: Path, store: Store, scratch: Path
) -> None:
    written = export(database, store, "user_activity", "timestamp")

    assert list(written) == [str(month) for month in MONTHS]
    for period, result in written.items():
        assert result.fresh
        assert failed(verify(store, result.manifest, scratch)) == {}
        assert latest(store, "shop", "exports", "user_activity", period) == result.manifest
        assert [f.format for f in result.manifest.files] == ["parquet", "csv", "jsonl"]
    assert len(archives_are_whole(store)) == len(MONTHS)


def test_months_and_undated_rows_are_the_whole_table(database: Path, store: Store) -> None:
    change(database, "UPDATE clients SET created_at = 'long ago' WHERE rowid IN (2, 3)")
    monthly = export(database, store, "clients", "created_at", PARQUET)
    with snapshot_of(database) as snapshot:
        selection = selected(snapshot, "clients", "created_at", undated=True)
        undated = export_table(snapshot, "shop", selection, PARQUET, archivist(store), silent)
    whole = export(database, store, "clients", options=PARQUET)

    parts = [result.manifest.rows for result in (*monthly.values(), undated[UNDATED])]
    assert sum(parts) == whole[ALL].manifest.rows
    assert undated[UNDATED].manifest.rows == 2


def test_the_same_content_is_not_written_again(database: Path, store: Store) -> None:
    first = export_whole(database, store)
    before = keys(store)

    second = export_whole(database, store)

    assert not second.fresh
    assert second.manifest == first.manifest
    assert keys(store) == before


def test_a_changed_row_makes_a_new_archive_of_its_month_alone(
    database: Path, store: Store, scratch: Path
) -> None:
    export(database, store, "credit_consumption", "consumed_at", PARQUET)
    change(
        database, f"UPDATE credit_consumption SET amount = 7 WHERE consumed_at GLOB '{NOVEMBER}*'"
    )

    written = export(database, store, "credit_consumption", "consumed_at", PARQUET)

    assert [period for period, result in written.items() if result.fresh] == [NOVEMBER]
    assert failed(verify(store, written[NOVEMBER].manifest, scratch)) == {}
    assert len(archives_are_whole(store)) == len(MONTHS) + 1


@pytest.mark.parametrize(
    "damage",
    [
        pytest.param(lambda store, m: store.delete(f"{m.prefix}/{m.files[0].name}"), id="missing"),
        pytest.param(lambda store, m: _cut(store, f"{m.prefix}/{m.files[0].name}"), id="short"),
        pytest.param(lambda store, m: _cut(store, f"{m.prefix}/{MANIFEST_NAME}"), id="manifest"),
    ],
)
def test_an_archive_that_does_not_stand_is_written_again(
    database: Path, local: Store, scratch: Path, damage: Callable[[Store, Manifest], None]
) -> None:
    secrets = Secrets(seal=SECRETS.seal)
    damage(local, export(database, local, "clients", secrets=secrets)[ALL].manifest)

    again = export(database, local, "clients", secrets=secrets)[ALL]

    assert again.fresh
    assert failed(verify(local, again.manifest, scratch)) == {}


def _cut(store: Store, key: str) -> None:
    replace_object(store, key, content_of(store, key)[:-1])


def test_an_archive_without_the_seal_of_today_is_written_again(
    database: Path, store: Store, scratch: Path
) -> None:
    export(database, store, "clients", secrets=Secrets())

    again = export_whole(database, store)

    assert again.fresh
    assert failed(verify(store, again.manifest, scratch)) == {}


def test_a_table_without_rows_is_an_archive_too(
    database: Path, store: Store, scratch: Path
) -> None:
    change(database, "DELETE FROM charts")

    written = export_whole(database, store, "charts")

    assert written.manifest.rows == 0
    assert written.sample == ()
    assert [c.name for c in written.manifest.tables[0].columns][:2] == ["id", "client_id"]
    assert failed(verify(store, written.manifest, scratch)) == {}


def test_the_first_rows_are_given_for_a_preview(database: Path, store: Store) -> None:
    written = export(database, store, "user_activity", "timestamp", PARQUET)

    with closing(sqlite3.connect(database)) as connection:
        connection.row_factory = sqlite3.Row
        rows = connection.execute(
            f"SELECT * FROM user_activity WHERE timestamp GLOB '{NOVEMBER}*' ORDER BY rowid LIMIT 5"
        )
        assert written[NOVEMBER].sample == tuple(map(dict, rows))
    assert export(database, store, "user_activity", "timestamp", PARQUET)[NOVEMBER].sample


def test_mixed_values_are_refused_where_that_is_wanted(database: Path, store: Store) -> None:
    change(database, "UPDATE clients SET notes = x'0102' WHERE rowid IN (2, 3)")
    options = replace(EVERY_FORMAT, on_mixed_types="refuse")

    with pytest.raises(RefusedError, match=r"'notes' of 'clients' mixes .* 2 blob") as caught:
        export(database, store, "clients", options=options)

    with closing(sqlite3.connect(database)) as connection:
        ids = connection.execute("SELECT id FROM clients WHERE rowid IN (2, 3)").fetchall()
    assert all(repr(identifier) in str(caught.value) for (identifier,) in ids)
    assert keys(store) == []


def test_reals_among_integers_are_mixed_and_integers_among_reals_are_not(
    tmp_path: Path, store: Store
) -> None:
    database = tmp_path / "amounts.sqlite"
    with closing(sqlite3.connect(database)) as connection, connection:
        connection.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, n INTEGER, amount DECIMAL)")
        connection.execute("INSERT INTO t VALUES (1, 1, 1), (2, 2, 2.5), (3, 2.5, 2.5)")
    refuse = replace(EVERY_FORMAT, on_mixed_types="refuse")

    with pytest.raises(RefusedError, match=r"'n' of 't' mixes 2 integer, 1 real .* keys 3\."):
        export(database, store, "t", options=refuse)

    columns = export_whole(database, store, "t").manifest.tables[0].columns
    stored = {c.name: (c.stored_type, c.lost_types) for c in columns}
    assert stored == {"id": ("integer", False), "n": ("text", True), "amount": ("real", False)}


@pytest.mark.parametrize(
    ("table", "text", "month"),
    [("clients", "phone", None), ("user_activity", "details", "timestamp")],
    ids=["surveyed", "trusted"],
)
def test_texts_that_are_not_utf8_are_refused_where_that_is_wanted(
    database: Path, store: Store, table: str, text: str, month: str | None
) -> None:
    dated = f"WHERE {month} LIKE '{NOVEMBER}%'" if month else ""
    change(
        database,
        f"UPDATE {table} SET {text} = CAST(x'636166e9' AS TEXT) "
        f"WHERE rowid IN (SELECT rowid FROM {table} {dated} LIMIT 3)",
    )
    options = replace(EVERY_FORMAT, on_mixed_types="refuse")

    with pytest.raises(RefusedError, match=rf"{text!r} of {table!r} holds 3 texts .* not UTF-8"):
        export(database, store, table, month, options, months=(Month.parse(NOVEMBER),))

    assert keys(store) == []


def test_a_month_that_breaks_its_word_is_like_that_of_a_range(
    database: Path, store: Store, make_store: MakeStore, scratch: Path
) -> None:
    change(
        database,
        "UPDATE user_activity SET duration_ms = 'slow' WHERE id = (SELECT max(id) "
        f"FROM user_activity WHERE timestamp LIKE '{NOVEMBER}%')",
    )
    month = (Month.parse(NOVEMBER),)
    alone = export(database, store, "user_activity", "timestamp", months=month)[NOVEMBER].manifest
    other = make_store("local")
    among = export(database, other, "user_activity", "timestamp")[NOVEMBER].manifest

    assert alone.tables == among.tables
    (mixed,) = (c for c in alone.tables[0].columns if c.name == "duration_ms")
    assert mixed.stored_type == "text"
    assert mixed.storage_classes["text"] == 1
    assert failed(verify(store, alone, scratch)) == {}
    assert archives_are_whole(store) == [alone]


def test_texts_that_are_not_utf8_are_counted_in_their_column(
    database: Path, store: Store, scratch: Path
) -> None:
    change(database, "UPDATE clients SET phone = CAST(x'ff00' AS TEXT) WHERE rowid < 4")

    written = export_whole(database, store)

    (note,) = (c.note for c in written.manifest.tables[0].columns if c.name == "phone")
    assert note is not None
    assert "3 texts are not UTF-8" in note
    assert failed(verify(store, written.manifest, scratch)) == {}


@pytest.mark.parametrize("name", ["", "a" * 260, "я" * 43, "表" * 400])
def test_a_table_of_any_name_is_exported(
    tmp_path: Path, store: Store, scratch: Path, name: str
) -> None:
    database = tmp_path / "named.sqlite"
    with closing(sqlite3.connect(database)) as connection, connection:
        connection.execute(f'CREATE TABLE "{name}" (n INTEGER)')
    manifest = export_whole(database, store, name).manifest
    assert manifest.tables[0].name == name
    assert failed(verify(store, manifest, scratch)) == {}
    assert not export_whole(database, store, name).fresh


@pytest.mark.parametrize(
    ("number", "advice"),
    [
        (errno.ENAMETOOLONG, "shorter path"),
        (errno.EMFILE, "ulimit -n"),
        (errno.ENOSPC, "Free space"),
    ],
)
def test_what_the_disk_refuses_is_told_with_its_remedy(
    local: Store, number: int, advice: str
) -> None:
    with (
        pytest.raises(PermanentError, match=advice),
        archivist(local).draft("shop", "exports", "clients", ALL, datetime.now(UTC)),
    ):
        raise OSError(number, os.strerror(number))


@pytest.mark.parametrize("fault", [None, RuntimeError("the database went away")])
def test_a_failure_while_reading_leaves_nothing(
    database: Path, store: Store, tmp_path: Path, fault: Exception | None
) -> None:
    expected = "gave .* rows where its snapshot counts" if fault is None else "went away"
    with snapshot_of(database) as snapshot:
        selection = selected(snapshot, "user_activity", "timestamp")
        with pytest.raises((PermanentError, RuntimeError), match=expected):
            export_table(
                losing_rows(snapshot, fault),
                "shop",
                selection,
                EVERY_FORMAT,
                archivist(store),
                silent,
            )

    assert keys(store) == []
    assert not list(tmp_path.rglob("stage-*"))


def test_rows_that_no_month_counts_are_not_taken_for_none(
    database: Path, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    def none(_: object, scan: Scan) -> dict[Period, int]:
        return dict.fromkeys(scan.selection.periods, 0)

    monkeypatch.setattr(survey, "_rows_by_period", none)
    with snapshot_of(database) as snapshot:
        selection = selected(snapshot, "user_activity", "timestamp")
        with pytest.raises(PermanentError, match=r"gave .* where its snapshot counts 0"):
            export_table(snapshot, "shop", selection, EVERY_FORMAT, archivist(store), silent)

    assert keys(store) == []


def test_a_failure_of_the_caller_stops_the_reading(
    database: Path, store: Store, tmp_path: Path
) -> None:
    def cancel(done: int, total: int) -> None:
        raise KeyboardInterrupt

    with snapshot_of(database) as snapshot:
        selection = selected(snapshot, "user_activity", "timestamp")
        try:
            export_table(snapshot, "shop", selection, EVERY_FORMAT, archivist(store), cancel)
        except KeyboardInterrupt:
            # The traceback still holds the frames, which must not hold the reading.
            assert "prefetch" not in [thread.name for thread in threading.enumerate()]
        else:
            pytest.fail("the cancellation was lost")

    assert keys(store) == []
    assert not list(tmp_path.rglob("stage-*"))


def test_every_archive_agrees_with_its_own_snapshot_while_others_write(
    database: Path, store: Store, scratch: Path
) -> None:
    with constant_writer(database):
        rounds = [export_whole(database, store) for _ in range(4)]
        rounds += [export_whole(database, store, "credit_consumption") for _ in range(4)]

    assert len({result.manifest.tables[0].digest for result in rounds}) > 4
    for result in rounds:
        assert failed(verify(store, result.manifest, scratch)) == {}
    archives_are_whole(store)


def test_the_newest_archive_is_the_one_that_was_read_last_not_written_last(
    database: Path, local: Store, tmp_path: Path
) -> None:
    with snapshot_of(database) as earlier:
        changed = Path(shutil.copy(database, tmp_path / "changed.sqlite"))
        change(changed)
        later = export_whole(changed, local).manifest
        selection = selected(earlier, "clients")
        export_table(earlier, "shop", selection, EVERY_FORMAT, archivist(local), silent)

    assert latest(local, "shop", "exports", "clients", ALL) == later


def test_memory_does_not_grow_with_the_rows(tmp_path: Path) -> None:
    program = dedent(
        """
        import sys
        from pathlib import Path
        from portability_pipelines.stores.local import LocalStore
        from portability_tests.workflows.walks import EVERY_FORMAT, export, sample
        database = sample(Path(sys.argv[1]) / "big.sqlite", 300_000)
        store = LocalStore(Path(sys.argv[1]) / "store")
        export(database, store, "user_activity", "timestamp", EVERY_FORMAT)
        # ru_maxrss would count the peak of the process that started this one.
        status = Path("/proc/self/status").read_text().splitlines()
        peak = next(line for line in status if line.startswith("VmHWM"))
        print(int(peak.split()[1]) // 1024)
        """
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) < MEMORY_LIMIT_MIB
