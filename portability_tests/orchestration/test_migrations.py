"""The migration as Dagster ends up holding it, on a real MongoDB."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from pymongo import MongoClient

from portability_pipelines.domain.declarations import Migration, Place, TableDeclaration
from portability_pipelines.domain.months import Month
from portability_tests.orchestration.databases import declared, definitions, failure, run

INQUIRIES = TableDeclaration(
    "chat_inquiry_information",
    "created_at",
    unique_by=("email", "mobile", "childName", "academicYear"),
)
KEY = dg.AssetKey(["shop", "mongodb", "chat_inquiry_information"])
OUTCOMES = ("inserted", "unchanged", "updated", "duplicates", "rejected")
MONTH = "2026-03-01"


@pytest.fixture
def defs(
    source: Path, mongod_uri: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> dg.Definitions:
    monkeypatch.setenv("PORTABILITY_MONGODB_URI", mongod_uri)
    target = Migration(f"shop_{abs(hash(tmp_path))}", batch_size=100)
    return definitions(declared(source, tables=(INQUIRIES,), migration=target, backup=None))


def latest(instance: dg.DagsterInstance, key: dg.AssetKey = KEY) -> dict[str, Any]:
    (record,) = instance.fetch_materializations(key, limit=1).records
    assert record.asset_materialization
    return {k: v.value for k, v in record.asset_materialization.metadata.items()}


def test_counts_close_and_a_second_run_changes_nothing(
    defs: dg.Definitions, instance: dg.DagsterInstance
) -> None:
    told = []
    for _ in range(2):
        result = run(defs, "shop_migration", instance, months=[MONTH])
        assert result.success
        assert {(c.check_name, c.passed) for c in result.get_asset_check_evaluations()} == {
            ("matches_source", True)
        }
        told.append(latest(instance))
    first, second = told
    assert first["rows"] == sum(first[outcome] for outcome in OUTCOMES) > 0
    assert first["inserted"] > 0
    assert first["changed"] is True
    assert (second["inserted"], second["updated"]) == (0, 0)
    assert second["unchanged"] == first["inserted"]
    assert second["changed"] is False


def test_a_changed_row_is_updated(
    defs: dg.Definitions, instance: dg.DagsterInstance, source: Path
) -> None:
    assert run(defs, "shop_migration", instance, months=[MONTH]).success
    with closing(sqlite3.connect(source)) as connection:
        connection.execute(
            "UPDATE chat_inquiry_information SET city = 'Elsewhere' WHERE id = (SELECT min(id) "
            "FROM chat_inquiry_information WHERE created_at LIKE '2026-03%')"
        )
        connection.commit()
    assert run(defs, "shop_migration", instance, months=[MONTH]).success
    assert latest(instance)["updated"] == 1


def test_a_document_whose_row_is_gone_is_warned_of(
    defs: dg.Definitions, instance: dg.DagsterInstance, source: Path
) -> None:
    assert run(defs, "shop_migration", instance, months=[MONTH]).success
    with closing(sqlite3.connect(source)) as connection:
        connection.execute(
            "DELETE FROM chat_inquiry_information WHERE id = (SELECT min(id) "
            "FROM chat_inquiry_information WHERE created_at LIKE '2026-03%')"
        )
        connection.commit()
    result = run(defs, "shop_migration", instance, months=[MONTH])
    assert result.success
    (check,) = result.get_asset_check_evaluations()
    assert (check.passed, check.severity) == (False, dg.AssetCheckSeverity.WARN)
    assert "1 stale documents" in str(check.description)


def test_a_document_that_somebody_edited_fails_and_is_mended_as_advised(
    defs: dg.Definitions, instance: dg.DagsterInstance, mongod_uri: str, tmp_path: Path
) -> None:
    assert run(defs, "shop_migration", instance, months=[MONTH]).success
    with MongoClient[dict[str, Any]](mongod_uri) as client:
        collection = client[f"shop_{abs(hash(tmp_path))}"]["chat_inquiry_information"]
        edited = collection.find_one_and_update({}, {"$set": {"city": "Elsewhere"}})
        result = run(defs, "shop_migration", instance, months=[MONTH])
        (check,) = result.get_asset_check_evaluations()
        assert (result.success, check.severity) == (False, dg.AssetCheckSeverity.ERROR)
        assert "1 documents differ from their rows" in str(check.description)
        assert "delete them, and migrate again" in str(check.metadata["advice"].value)
        assert edited
        collection.delete_one({"_id": edited["_id"]})
    assert run(defs, "shop_migration", instance, months=[MONTH]).success


@pytest.mark.parametrize(
    ("first_month", "month_column"), [(Month(2026, 4), "created_at"), (Month(2026, 3), None)]
)
def test_documents_of_periods_that_are_declared_no_more_are_warned_of(
    source: Path,
    mongod_uri: str,
    instance: dg.DagsterInstance,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    first_month: Month,
    month_column: str | None,
) -> None:
    monkeypatch.setenv("PORTABILITY_MONGODB_URI", mongod_uri)

    def made(first: Month, column: str | None) -> dg.Definitions:
        table = TableDeclaration("chat_inquiry_information", column)
        target = Migration(f"shop_{abs(hash(tmp_path))}")
        return definitions(
            declared(source, tables=(table,), first_month=first, migration=target, backup=None)
        )

    before = made(Month(2026, 3), "created_at")
    assert run(before, "shop_migration", instance, months=[MONTH]).success
    (check,) = run(before, "shop_whole_migration", instance).get_asset_check_evaluations()
    assert check.passed
    with closing(sqlite3.connect(source)) as connection, connection:
        connection.execute(
            "DELETE FROM chat_inquiry_information WHERE id IN (SELECT id "
            "FROM chat_inquiry_information WHERE created_at LIKE '2026-03%' LIMIT 2)"
        )
    now = made(first_month, month_column)
    (check,) = run(now, "shop_whole_migration", instance).get_asset_check_evaluations()
    assert (check.passed, check.severity) == (False, dg.AssetCheckSeverity.WARN)
    assert "2 documents of former declarations" in str(check.description)
    assert "first_month" in str(check.metadata["advice"].value)


def test_texts_that_no_document_can_hold_are_warned_of(
    source: Path, defs: dg.Definitions, instance: dg.DagsterInstance
) -> None:
    with closing(sqlite3.connect(source)) as connection, connection:
        connection.execute(
            "UPDATE chat_inquiry_information SET childName = CAST(x'4dfc' AS TEXT) WHERE id IN ("
            "SELECT id FROM chat_inquiry_information WHERE created_at LIKE '2026-03%' LIMIT 2)"
        )
    for _ in range(2):
        result = run(defs, "shop_migration", instance, months=[MONTH])
        assert result.success
        (check,) = result.get_asset_check_evaluations()
        assert (check.passed, check.severity) == (False, dg.AssetCheckSeverity.WARN)
        assert "2 texts that are not UTF-8, written as X'..'" in str(check.description)
        assert latest(instance)["texts_not_utf8"] == 2


def test_a_month_whose_rows_are_all_rejected_fails(
    defs: dg.Definitions,
    instance: dg.DagsterInstance,
    source: Path,
    mongod_uri: str,
    tmp_path: Path,
) -> None:
    with closing(sqlite3.connect(source)) as connection:
        taken = connection.execute("SELECT id FROM chat_inquiry_information").fetchall()
    with MongoClient[dict[str, Any]](mongod_uri) as client:
        collection = client[f"shop_{abs(hash(tmp_path))}"]["chat_inquiry_information"]
        collection.insert_many([{"_id": key} for (key,) in taken])
    result = run(defs, "shop_migration", instance, months=[MONTH])
    (check,) = result.get_asset_check_evaluations()
    assert (check.passed, check.severity) == (False, dg.AssetCheckSeverity.ERROR)
    assert "rows were rejected" in str(check.description)


def test_progress_is_told_while_documents_are_written_and_while_they_are_compared(
    defs: dg.Definitions, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("portability_pipelines.orchestration.progress.INTERVAL_SECONDS", 1e-9)
    result = run(defs, "shop_migration", instance, months=[MONTH])
    rows = latest(instance)["rows"]
    said = [entry.user_message for entry in instance.all_logs(result.run_id)]
    for work in ("chat_inquiry_information to MongoDB (2026-03)", "compared with its documents"):
        assert any(work in line and f": {rows:,} of {rows:,} rows (100%)" in line for line in said)


def test_rows_that_no_month_claims_are_migrated_too(
    defs: dg.Definitions, instance: dg.DagsterInstance
) -> None:
    assert run(defs, "shop_whole_migration", instance).success
    told = latest(instance, dg.AssetKey([*KEY.path[:-1], "chat_inquiry_information__undated"]))
    assert told["rows"] == told["inserted"] + told["duplicates"] > 0


def test_without_a_server_the_run_fails_in_one_line(
    defs: dg.Definitions, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PORTABILITY_MONGODB_URI")
    result = run(defs, "shop_migration", instance, months=[MONTH])
    assert not result.success
    assert "PORTABILITY_MONGODB_URI is not set" in failure(result)


def test_a_column_to_be_unique_by_that_does_not_exist_is_refused_with_its_line(
    source: Path, mongod_uri: str, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PORTABILITY_MONGODB_URI", mongod_uri)
    table = TableDeclaration("clients", unique_by=("email", "mail"), place=Place("x.yaml", 7))
    result = run(definitions(declared(source, tables=(table,))), "shop_whole_migration", instance)
    assert not result.success
    assert failure(result).startswith(
        "x.yaml:7: table 'clients' has no column 'mail'. Its columns are: "
    )


def test_a_column_that_holds_no_dates_is_refused_and_a_quiet_month_is_not(
    defs: dg.Definitions, instance: dg.DagsterInstance, source: Path
) -> None:
    for held, refused in (("2026-04-01", False), ("never", True)):
        with closing(sqlite3.connect(source)) as connection:
            connection.execute("UPDATE chat_inquiry_information SET created_at = ?", (held,))
            connection.commit()
        result = run(defs, "shop_migration", instance, months=[MONTH])
        assert result.success is not refused
    assert "'created_at' of 'chat_inquiry_information' holds no dates" in failure(result)
