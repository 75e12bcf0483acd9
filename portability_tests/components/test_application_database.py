"""The YAML by which people declare a database: what it makes, and how mistakes are told."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import dagster as dg
import pytest
import yaml

from portability_pipelines.components.application_database import ApplicationDatabase
from portability_pipelines.definitions import defs as project_defs
from portability_pipelines.domain.errors import RefusedError
from portability_tests.projects import ProjectCopy

SAMPLE = Path(__file__).parents[2] / "portability_pipelines" / "defs" / "sample" / "defs.yaml"


def sample_definitions() -> dg.Definitions:
    loaded: dg.Definitions = project_defs()
    return loaded


def test_definitions_load_with_an_empty_environment_and_no_network(tmp_path: Path) -> None:
    load = (
        "import socket\n"
        "def refuse(*_): raise AssertionError('network')\n"
        "socket.socket.connect = refuse\n"
        "from portability_pipelines.definitions import defs\n"
        "defs().get_repository_def()\n"
    )
    before = sorted(tmp_path.iterdir())
    subprocess.run([sys.executable, "-W", "ignore", "-c", load], env={}, cwd=tmp_path, check=True)
    assert sorted(tmp_path.iterdir()) == before


def test_loading_definitions_warns_of_nothing_of_dagsters() -> None:
    load = "from portability_pipelines.definitions import defs; defs().get_repository_def()"
    loaded = subprocess.run(
        [sys.executable, "-W", "default", "-c", load], capture_output=True, text=True, check=True
    )
    assert not re.search("Beta|Preview", loaded.stderr)


def test_loading_definitions_leaves_the_heavy_libraries_alone() -> None:
    load = (
        "import sys; from portability_pipelines.definitions import defs; defs();"
        "print([n for n in ('polars', 'pandas', 'pymongo', 'pysequoia', 'adbc_driver_manager') "
        "if n in sys.modules])"
    )
    found = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", load], capture_output=True, text=True, check=True
    )
    assert found.stdout.strip() == "[]"


def test_the_sample_makes_these_jobs_and_schedules() -> None:
    repository = sample_definitions().get_repository_def()
    jobs = {job.name: job for job in repository.get_all_jobs() if job.name != "__ASSET_JOB"}
    assert [name for name, job in jobs.items() if not job.description] == []
    assert set(jobs) == {
        "backup_drill",
        "restore_backup",
        "sample_backup",
        "sample_exports",
        "sample_migration",
        "sample_whole_exports",
        "sample_whole_migration",
    }
    assert {
        s.name: (s.cron_schedule, s.default_status.value) for s in repository.schedule_defs
    } == {
        "sample_backup_schedule": ("0 2 * * *", "RUNNING"),
        "sample_exports_schedule": ("0 3 * * *", "RUNNING"),
        "sample_migration_schedule": ("30 3 * * *", "RUNNING"),
        "sample_whole_exports_schedule": ("0 3 * * *", "RUNNING"),
        "sample_whole_migration_schedule": ("30 3 * * *", "RUNNING"),
    }


def test_a_backup_says_where_those_of_every_night_are() -> None:
    backup = sample_definitions().resolve_asset_graph().get(dg.AssetKey(["sample", "backup"]))
    assert "under Events" in str(backup.description)


def test_the_sample_makes_these_assets() -> None:
    graph = sample_definitions().resolve_asset_graph()
    tables = [table["name"] for table in yaml.safe_load(SAMPLE.read_text())["attributes"]["tables"]]
    dated = [table for table in tables if table != "location_cache"]
    expected: set[tuple[str, ...]] = {("sample", "backup")}
    for table in tables:
        expected |= {("sample", table), *(("sample", k, table) for k in ("exports", "mongodb"))}
    for table in dated:
        expected |= {("sample", kind, f"{table}__undated") for kind in ("exports", "mongodb")}
    assert {tuple(key.path) for key in graph.get_all_asset_keys()} == expected
    upstream = graph.get(dg.AssetKey(["sample", "exports", "clients"])).parent_keys
    assert upstream == {dg.AssetKey(["sample", "clients"])}


@pytest.mark.parametrize(
    ("names", "words"),
    [
        (("orders", "orders"), "'orders' is declared twice"),
        (("orders", "Orders"), "'Orders' is declared twice, also as 'orders'"),
        (("ÄRZTE", "ärzte"), None),
    ],
)
def test_a_table_is_declared_once_in_whatever_case(
    names: tuple[str, ...], words: str | None
) -> None:
    attributes = {
        "name": "shop",
        "source": {"path": "shop.sqlite"},
        "first_month": "2026-01",
        "tables": [{"name": name} for name in names],
    }
    if words is None:
        component = ApplicationDatabase.from_attributes_dict(attributes=attributes)
        assert tuple(table.name for table in component.database.tables) == names
        return
    with pytest.raises(RefusedError, match=f"^table {words}"):
        ApplicationDatabase.from_attributes_dict(attributes=attributes)


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("name: sample", "name: sample", None),
        ("formats: [parquet, csv, jsonl]", "formast: [parquet]", "formast"),
        ("formats: [parquet, csv, jsonl]", "formats: [parquet, xls]", "xls"),
        ("month_column: timestamp", "month_colum: timestamp", "month_colum"),
        ("name: sample", "nam: sample", "nam"),
    ],
    ids=["fine", "unknown key", "unknown format", "unknown key in a table", "missing name"],
)
def test_dg_check_yaml_names_the_file_and_the_line(
    tmp_path: Path, old: str, new: str, words: str | None
) -> None:
    copy = ProjectCopy.made(tmp_path)
    text = copy.yaml.read_text()
    assert old in text
    copy.yaml.write_text(text.replace(old, new, 1))
    checked = copy.dg("check", "yaml")
    said = checked.stdout + checked.stderr
    assert (checked.returncode == 0) is (words is None), said
    if words is not None:
        lines = copy.yaml.read_text().splitlines()
        line = next(number for number, text in enumerate(lines, 1) if new in text)
        assert f"defs.yaml:{line}" in said, said
