"""Exports as Dagster ends up holding them: archives, metadata by month, and checks."""

from __future__ import annotations

import resource
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path

import dagster as dg
import pytest

from portability_pipelines.domain.declarations import Exports, Place, TableDeclaration
from portability_pipelines.domain.manifest import Manifest
from portability_pipelines.domain.months import Month
from portability_pipelines.stores.registry import open_store
from portability_tests.archives import archives
from portability_tests.conformance.writer import PREFIX
from portability_tests.conftest import MakeStoreUrl
from portability_tests.orchestration.databases import declared, definitions, failure, run

KEY = dg.AssetKey(["shop", "exports", "user_activity"])
MONTHS = ("2026-02-01", "2026-03-01", "2026-04-01")


def held(store_url: str, staging: Path, prefix: str = "shop") -> list[Manifest]:
    return list(archives(open_store(store_url, staging_root=staging), prefix))


def content(manifests: list[Manifest]) -> list[tuple[object, ...]]:
    return [
        (m.dataset, m.period, m.tables, [f.plaintext_sha256 for f in m.files]) for m in manifests
    ]


def test_a_month_is_archived_checked_and_described(
    source: Path, store_url: str, staging_root: Path, instance: dg.DagsterInstance
) -> None:
    defs = definitions(declared(source), store_url)
    result = run(defs, "shop_exports", instance, months=["2026-03-01"])
    assert result.success
    (record,) = instance.fetch_materializations(KEY, limit=9).records
    assert record.partition_key == "2026-03-01"
    metadata = record.asset_materialization.metadata if record.asset_materialization else {}
    with closing(sqlite3.connect(source)) as connection:
        (rows,) = connection.execute(
            "SELECT count(*) FROM user_activity WHERE timestamp LIKE '2026-03%'"
        ).fetchone()
    assert metadata["dagster/partition_row_count"].value == rows > 0
    assert metadata["changed"].value is True
    (manifest,) = [m for m in held(store_url, staging_root) if m.dataset == "user_activity"]
    assert metadata["archive_id"].value == manifest.archive_id
    assert manifest.lineage.run_id == result.run_id
    checks = {
        (c.check_name, c.passed, c.partition)
        for c in result.get_asset_check_evaluations()
        if c.asset_key == KEY
    }
    assert checks == {("equals_source", True, "2026-03-01"), ("keeps_types", False, "2026-03-01")}


def test_no_value_of_the_source_is_shown_in_the_preview(
    source: Path, store_url: str, instance: dg.DagsterInstance
) -> None:
    run(definitions(declared(source), store_url), "shop_exports", instance, months=["2026-03-01"])
    (record,) = instance.fetch_materializations(KEY, limit=9).records
    assert record.asset_materialization
    preview = str(record.asset_materialization.metadata["preview"].value)
    with closing(sqlite3.connect(source)) as connection:
        users = connection.execute("SELECT DISTINCT user_id FROM user_activity").fetchall()
    assert "9999-99-99" in preview
    assert not [user for (user,) in users if user in preview]


def test_a_run_sweeps_away_what_a_killed_one_left_and_says_so(
    source: Path,
    make_store_url: MakeStoreUrl,
    staging_root: Path,
    tmp_path: Path,
    instance: dg.DagsterInstance,
) -> None:
    url = make_store_url("local")
    writer = [sys.executable, "-m", "portability_tests.conformance.writer", url, str(staging_root)]
    with subprocess.Popen([*writer, "put"], stdout=subprocess.PIPE, text=True) as killed:
        assert killed.stdout
        assert killed.stdout.readline() == "put\n"
        killed.kill()
    (dead,) = tmp_path.glob("**/stage-*")
    store = open_store(url, staging_root=staging_root)
    left = [store.locate(stored.key) for stored in store.list(PREFIX)]
    assert left

    result = run(definitions(declared(source), url), "shop_exports", instance, months=[MONTHS[0]])

    assert result.success
    assert list(tmp_path.glob("**/stage-*")) == []
    assert list(store.list(PREFIX)) == []
    said = [entry.user_message for entry in instance.all_logs(result.run_id)]
    for leftover in (*left, dead):
        assert f"Removed what a killed run left behind: {leftover}" in said


def test_one_run_for_many_months_leaves_what_a_run_a_month_leaves(
    source: Path,
    make_store_url: MakeStoreUrl,
    staging_root: Path,
) -> None:
    kept = {}
    for backfill in ("single_run", "run_per_month"):
        url = make_store_url("local")
        defs = definitions(declared(source, backfill=backfill), url)
        with dg.DagsterInstance.ephemeral() as instance:
            for months in [MONTHS] if backfill == "single_run" else [[m] for m in MONTHS]:
                assert run(defs, "shop_exports", instance, months=months).success
            records = instance.fetch_materializations(KEY, limit=9).records
            rows = {
                record.partition_key: record.asset_materialization.metadata["rows"].value
                for record in records
                if record.asset_materialization
            }
        kept[backfill] = (rows, content(held(url, staging_root)))
    assert kept["single_run"] == kept["run_per_month"]
    assert len(kept["single_run"][0]) == len(MONTHS)


def test_a_run_of_many_years_opens_few_files_at_a_time(
    source: Path, make_store_url: MakeStoreUrl, staging_root: Path, instance: dg.DagsterInstance
) -> None:
    store_url = make_store_url("local")
    with closing(sqlite3.connect(source)) as connection:
        connection.execute(
            "UPDATE user_activity SET timestamp = (2019 + rowid % 7) || substr(timestamp, 5)"
        )
        connection.commit()
        (rows,) = connection.execute("SELECT count(*) FROM user_activity").fetchone()
    database = declared(source, backfill="single_run", first_month=Month(2019, 1))
    with few_files():
        months = ["2019-01-01", "2025-12-01"]
        assert run(
            definitions(database, store_url), "shop_exports", instance, months=months
        ).success
    found = [m for m in held(store_url, staging_root) if m.dataset == "user_activity"]
    assert len(found) == 84
    assert sum(m.rows for m in found) == rows


@contextmanager
def few_files() -> Iterator[None]:
    """A limit of 150 files more than are open now."""
    _, hard = limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    used = sum(1 for _ in Path("/proc/self/fd").iterdir())
    resource.setrlimit(resource.RLIMIT_NOFILE, (used + 150, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)


def test_a_second_run_changes_nothing_and_says_so(
    source: Path, store_url: str, staging_root: Path, instance: dg.DagsterInstance
) -> None:
    defs = definitions(declared(source), store_url)
    for _ in range(2):
        assert run(defs, "shop_exports", instance, months=["2026-03-01"]).success
        before = held(store_url, staging_root)
    records = instance.fetch_materializations(KEY, limit=9).records
    changed = [
        r.asset_materialization.metadata["changed"].value
        for r in records
        if r.asset_materialization
    ]
    assert changed == [False, True]
    assert held(store_url, staging_root) == before
    assert len(before) == 2


def test_months_and_undated_rows_together_are_the_whole_table(
    source: Path, store_url: str, staging_root: Path, instance: dg.DagsterInstance
) -> None:
    with closing(sqlite3.connect(source)) as connection:
        connection.execute("UPDATE credit_consumption SET consumed_at = 'soon' WHERE rowid % 9 = 0")
        (rows,) = connection.execute("SELECT count(*) FROM credit_consumption").fetchone()
        connection.commit()
    defs = definitions(declared(source, backfill="single_run"), store_url)
    months = [f"{year}-{month:02d}-01" for year in (2025, 2026) for month in range(1, 13)]
    assert run(defs, "shop_exports", instance, months=["2024-12-01", *months[:-1]]).success
    assert run(defs, "shop_whole_exports", instance).success
    found = [m for m in held(store_url, staging_root) if m.dataset == "credit_consumption"]
    assert sum(m.rows for m in found) == rows
    assert next(m.rows for m in found if m.period == "undated") == rows // 9


UNFIT = {
    "missing table": (
        TableDeclaration("missing", place=Place("x.yaml", 7)),
        "x.yaml:7: database 'shop' has no table",
    ),
    "missing column": (
        TableDeclaration("clients", "born", place=Place("x.yaml", 8)),
        "x.yaml:8: table 'clients' has no column 'born'",
    ),
    "no dates": (
        TableDeclaration("clients", "notes", place=Place("x.yaml", 9)),
        "x.yaml:9: column 'notes' of 'clients' holds no dates",
    ),
    "other dates": (
        TableDeclaration("error_logs", "occurred_at", place=Place("x.yaml", 5)),
        "Declare dates: epoch_seconds",
    ),
}


@pytest.mark.parametrize(("table", "words"), UNFIT.values(), ids=UNFIT)
def test_a_declaration_that_does_not_fit_is_refused_by_file_and_line(
    source: Path,
    make_store_url: MakeStoreUrl,
    instance: dg.DagsterInstance,
    table: TableDeclaration,
    words: str,
) -> None:
    job = "shop_exports" if table.month_column else "shop_whole_exports"
    defs = definitions(declared(source, tables=(table,)), make_store_url("local"))
    months = ["2026-03-01"] if table.month_column else []
    result = run(defs, job, instance, months=months)
    assert not result.success
    assert words in failure(result)
    assert "\n" not in failure(result)


def test_a_refused_run_leaves_the_archive_of_the_month_as_it_was(
    source: Path, make_store_url: MakeStoreUrl, staging_root: Path, instance: dg.DagsterInstance
) -> None:
    url = make_store_url("local")
    defs = definitions(declared(source), url)
    assert run(defs, "shop_exports", instance, months=["2026-03-01"], assets=[KEY]).success
    before = held(url, staging_root)
    with closing(sqlite3.connect(source)) as connection:
        connection.execute("UPDATE user_activity SET timestamp = unixepoch(timestamp)")
        connection.commit()

    result = run(defs, "shop_exports", instance, months=["2026-03-01"], assets=[KEY])

    assert not result.success
    assert "'timestamp' of 'user_activity' holds no dates" in failure(result)
    assert held(url, staging_root) == before


def test_a_table_may_be_declared_in_another_case(
    source: Path, make_store_url: MakeStoreUrl, instance: dg.DagsterInstance
) -> None:
    tables = (TableDeclaration("User_Activity", "TIMESTAMP"), TableDeclaration("CLIENTS"))
    defs = definitions(declared(source, tables=tables), make_store_url("local"))
    for job, months in (("shop_exports", ["2026-03-01"]), ("shop_whole_exports", [])):
        result = run(defs, job, instance, months=months)
        assert result.success, failure(result)
        proven = [c for c in result.get_asset_check_evaluations() if c.blocking]
        assert proven
        assert all(check.passed for check in proven)


def test_mixed_types_are_refused_with_row_keys_where_that_was_chosen(
    source: Path, store_url: str, staging_root: Path, instance: dg.DagsterInstance
) -> None:
    exports = Exports(on_mixed_types="refuse")
    defs = definitions(declared(source, exports=exports), store_url)
    result = run(defs, "shop_exports", instance, months=["2026-03-01"], assets=[KEY])
    assert not result.success
    assert "duration_ms" in failure(result)
    assert "on_mixed_types: text" in failure(result)
    assert held(store_url, staging_root) == []


UNDATED = dg.AssetKey(["shop", "exports", "user_activity__undated"])


def test_a_month_and_the_undated_rows_may_be_launched_together(
    source: Path, make_store_url: MakeStoreUrl, staging_root: Path, instance: dg.DagsterInstance
) -> None:
    with closing(sqlite3.connect(source)) as connection:
        connection.execute("UPDATE user_activity SET timestamp = 'soon' WHERE rowid % 9 = 0")
        (undated,) = connection.execute(
            "SELECT count(*) FROM user_activity WHERE timestamp = 'soon'"
        ).fetchone()
        connection.commit()
    url = make_store_url("local")
    job = definitions(declared(source), url).resolve_implicit_global_asset_job_def()

    result = job.execute_in_process(
        instance=instance, partition_key="2026-03-01", asset_selection=[KEY, UNDATED]
    )

    found = {m.period: m.rows for m in held(url, staging_root)}
    assert set(found) == {"2026-03", "undated"}
    alone = run(definitions(declared(source), url), "shop_whole_exports", instance)
    assert alone.success
    of_table = [m for m in held(url, staging_root) if m.dataset == "user_activity"]
    assert {m.period: m.rows for m in of_table} == found
    assert len(of_table) == 2
    assert found["undated"] >= undated > 0
    checks = [c for c in result.get_asset_check_evaluations() if c.check_name == "equals_source"]
    assert {(c.asset_key, c.passed) for c in checks} == {(KEY, True), (UNDATED, True)}


def test_a_run_that_names_no_month_is_refused(
    source: Path, make_store_url: MakeStoreUrl, staging_root: Path, instance: dg.DagsterInstance
) -> None:
    url = make_store_url("local")
    result = run(definitions(declared(source), url), "shop_exports", instance)
    assert not result.success
    assert "is made by month, and the run names no month" in failure(result)
    assert held(url, staging_root) == []


def test_a_warning_names_a_few_columns_of_many(
    tmp_path: Path, store_url: str, instance: dg.DagsterInstance
) -> None:
    path = tmp_path / "wide.sqlite"
    columns = ", ".join(f"c{i} INTEGER" for i in range(30))
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(f"CREATE TABLE wide (id INTEGER PRIMARY KEY, {columns})")
        for value in ("1", "'one'"):
            connection.execute(f"INSERT INTO wide VALUES (NULL, {', '.join([value] * 30)})")
    database = replace(declared(path), tables=(TableDeclaration("wide"),))
    result = run(definitions(database, store_url), "shop_whole_exports", instance)
    (check,) = (c for c in result.get_asset_check_evaluations() if c.check_name == "keeps_types")
    assert check.description
    assert check.description.endswith("; and 20 more")
    assert len(check.metadata["columns"].value) == 30  # type: ignore[arg-type]
