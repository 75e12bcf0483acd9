"""Mistakes in YAML: each is one error that names the file, the line, and what to do instead."""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable
from pathlib import Path

import dagster as dg
import pytest
from pydantic import ValidationError

from portability_pipelines.components.loading import declared_definitions
from portability_pipelines.orchestration.build import project_definitions
from portability_pipelines.workflows.discover import COMPONENT
from portability_tests.projects import ProjectCopy

YAML = f"""\
type: {COMPONENT}
attributes:
  name: shop
  source:
    path: shop.sqlite
  first_month: "2026-01"
  timezone: UTC
  owners:
    - "team:shop"
  tables:
    - {{ name: orders, month_column: placed_at }}
    - {{ name: settings }}
  exports:
    formats: [parquet, csv]
    schedule: "0 3 * * *"
  backup:
    schedule: "0 2 * * *"
  migration:
    target: shop
    schedule: "30 3 * * *"
"""

Load = Callable[..., dg.Definitions]


@pytest.fixture
def load(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Load:
    """Load a project in which each keyword is a folder of ``defs/`` with that ``defs.yaml``."""
    root = f"project_{secrets.token_hex(4)}"
    (tmp_path / "pyproject.toml").write_text(
        f'[tool.dg]\ndirectory_type = "project"\n[tool.dg.project]\nroot_module = "{root}"\n'
    )
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.chdir(tmp_path)

    def load(**files: str) -> dg.Definitions:
        for name, text in files.items():
            folder = tmp_path / root / "defs" / name
            folder.mkdir(parents=True)
            (folder / "defs.yaml").write_text(text)
        return declared_definitions(tmp_path)

    return load


def changed(old: str, new: str) -> str:
    """The YAML with one attribute that is different."""
    assert YAML.count(old) == 1
    return YAML.replace(old, new)


def test_what_all_mistakes_are_made_in_is_right(load: Load) -> None:
    loaded = dg.Definitions.merge(load(shop=YAML), project_definitions())
    repository = loaded.get_repository_def()
    assert {schedule.cron_schedule for schedule in repository.schedule_defs} == {
        "0 2 * * *",
        "0 3 * * *",
        "30 3 * * *",
    }


def test_what_the_schema_does_not_know_is_told_alone_in_whichever_file(load: Load) -> None:
    with pytest.raises(ValidationError) as refused:
        load(a=changed("timezone:", "time_zone:"), b=changed("name: shop", "name: other"))
    assert re.search(r"attributes\.time_zone at \S+/defs/a/defs\.yaml:7", str(refused.value))
    assert refused.value.__cause__ is None


def test_what_is_no_mistake_in_a_declaration_is_told_as_dagster_tells_it(load: Load) -> None:
    with pytest.raises(Exception, match="has no attribute `NoSuchComponent`"):
        load(a=changed(COMPONENT, "dagster.NoSuchComponent"))


def test_dg_check_defs_prints_one_error(tmp_path: Path) -> None:
    copy = ProjectCopy.made(tmp_path)
    text = copy.yaml.read_text().replace(
        "path: .portability/sample/sample.sqlite", "engine: sqlite"
    )
    copy.yaml.write_text(text)
    line = text[: text.index("source:")].count("\n") + 1
    checked = copy.dg("check", "defs")
    said = checked.stdout + checked.stderr
    assert checked.returncode == 1
    assert (
        f"RefusedError: portability_pipelines/defs/sample/defs.yaml:{line}: source needs a path. "
        "Give exactly one of path and path_env."
    ) in said
    assert "ComponentTreeException" not in said
    assert said.count("Error: ") == 1
