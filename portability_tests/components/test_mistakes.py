"""Mistakes in YAML: each is one error that names the file, the line, and what to do instead."""

from __future__ import annotations

import re
import secrets
import tomllib
from collections.abc import Callable
from pathlib import Path

import dagster as dg
import pytest
from pydantic import ValidationError

from portability_pipelines.components.loading import declared
from portability_pipelines.domain.errors import RefusedError
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
        return declared(tmp_path).definitions

    return load


def changed(old: str, new: str) -> str:
    """The YAML with one attribute that is different."""
    assert YAML.count(old) == 1
    return YAML.replace(old, new)


def refusal(load: Load, **files: str) -> str:
    """What loading is refused with, where paths begin at ``defs/``."""
    with pytest.raises(RefusedError) as refused:
        load(**files)
    assert refused.value.advice
    return re.sub(r"project_\w+/", "", str(refused.value))


def test_what_all_mistakes_are_made_in_is_right(load: Load) -> None:
    loaded = dg.Definitions.merge(load(shop=YAML), project_definitions())
    repository = loaded.get_repository_def()
    assert {schedule.cron_schedule for schedule in repository.schedule_defs} == {
        "0 2 * * *",
        "0 3 * * *",
        "30 3 * * *",
    }


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("name: shop\n", "name: 2shop\n", "'2shop' cannot name a database"),
        ("name: shop\n", "name: restore\n", "'restore_backup', which is the one that restores"),
        ("source:\n    path: shop.sqlite", "source: {}", "source needs a path"),
        ("path: shop.sqlite", "path: ''", "path is empty"),
        ("path: shop.sqlite", 'path: "{{ env.SHOP }}"', "path_env: SHOP_DATABASE"),
        ("path: shop.sqlite", "path: \"{{ env('SHOP') }}\"", "path_env: SHOP_DATABASE"),
        ("path: shop.sqlite", "path_env: ''", "'' cannot name an environment variable"),
        ("path: shop.sqlite", 'path_env: "{{ env.X }}"', "cannot name an environment variable"),
        ('"2026-01"', '"2026-13"', "'2026-13' is not a month"),
        ('"2026-01"', '"0000-01"', "0000-01 is before 1000-01"),
        ('"2026-01"', '"0002-01"', "0002-01 is before 1000-01"),
        ('"2026-01"', '"9999-12"', "9999-12 has not begun"),
        ("timezone: UTC", "timezone: Europe/Berln", "'Europe/Berln' is no time zone"),
        ("timezone: UTC", "timezone: ''", "'' is no time zone"),
        ("timezone: UTC", "timezone: utc", "'utc' is no time zone"),
        ("timezone: UTC", "timezone: America", "'America' is no time zone"),
        ("team:shop", "shop", "'shop' cannot own an asset"),
        ("team:shop", "team:", "'team:' cannot own an asset"),
        ("[parquet, csv]", "[csv, parquet, csv]", "formats name csv twice"),
        ('"0 3 * * *', '"0 25 * * *', "'0 25 * * *' is no schedule"),
        ("0 2 * * *", "nightly", "'nightly' is no schedule"),
        ("0 2 * * *", "", "'' is no schedule"),
        ("30 3 * * *", "0 0 31 4 *", "'0 0 31 4 *' is no schedule, or one that never comes due"),
        ("target: shop", "target: ''", "target cannot name a MongoDB database"),
        ("target: shop", "target: Admin", "target cannot name a MongoDB database"),
        ("target: shop", "target: shop.copy", "target cannot name a MongoDB database"),
        ("target: shop", f"target: {'é' * 32}", "at most 63 bytes"),
        ("name: settings", "name: settings, collection: ''", "'settings' cannot be migrated to"),
        ("name: settings", "name: settings, collection: system.js", "a collection 'system.js'"),
        ("name: settings", 'name: settings, collection: "a\\0b"', "cannot be migrated to"),
        ("name: settings", "name: set$tings", "table 'set$tings' cannot be migrated to"),
        ("name: settings", "name: settings, collection: orders", "as 'orders' is"),
        ("name: settings", "name: settings, name: notes", "'name' stands here for the second"),
        ("  exports:\n", "  tables: []\n  exports:\n", "'tables' stands here for the second time"),
        ("timezone: UTC\n", "timezone: [UTC: }\n", "this is no YAML: "),
        ("attributes:", "attribute:", "'attribute' is not known here. Mend"),
        ("  backup:\n", "  backups:\n", "'backups' is not known here, only name, source, first_"),
        ("month_column:", "month_colum:", "not known here, only name, month_column, dates, coll"),
        ("formats: [parquet, csv]", "format: csv", "only formats, compression, on_mixed_types, "),
        ("[parquet, csv]", "csv", "exports.formats: Input should be a valid array"),
        ("[parquet, csv]", "[xml]", "exports.formats.0: Input should be 'parquet', 'csv' or 'j"),
        (YAML[YAML.index("  backup") : YAML.index("  migr")], "  backup: # soon\n", "is empty, wh"),
        (YAML[YAML.index("  migr") :], "  migration: {}\n", "migration.target is missing"),
        (YAML[YAML.index("attr") :], "attributes: [shop]\n", "attributes: Input should be an obj"),
        ("timezone:", "time.zone:", "'zone' is not known here, only name, source, first_month, "),
        (YAML, "shop\n", "the file: Input should be an object"),
    ],
)
def test_a_mistake_is_refused_with_its_file_and_line(
    load: Load, old: str, new: str, words: str
) -> None:
    text = changed(old, new)
    line = next(n for n, line in enumerate(text.splitlines(), 1) if line not in YAML.splitlines())
    said = refusal(load, shop=text)
    assert said.startswith(f"defs/shop/defs.yaml:{line}: "), said
    assert words in said


def test_a_target_is_not_repeated_as_it_may_be_an_address_with_a_password(load: Load) -> None:
    said = refusal(load, shop=changed("target: shop", "target: mongodb://me:secret@host/shop"))
    assert "secret" not in said


def test_names_that_are_no_collection_may_be_exported(load: Load) -> None:
    migration = YAML[YAML.index("  migration:") :]
    text = changed(migration, "").replace("name: settings", "name: set$tings")
    graph = dg.Definitions.merge(load(shop=text), project_definitions()).resolve_asset_graph()
    assert dg.AssetKey(["shop", "exports", "set_tings"]) in graph.get_all_asset_keys()


@pytest.mark.parametrize(
    ("first", "second", "line", "claim"),
    [
        ("x", "x", 3, "the name 'x'"),
        ("x", "X", 3, "the name 'X'"),
        ("x", "x_whole", 3, "the job 'x_whole_exports'"),
        ("x", "y", 19, "the collection shop.orders"),
    ],
)
def test_two_databases_that_would_get_in_each_others_way_are_refused_with_both_files(
    load: Load, first: str, second: str, line: int, claim: str
) -> None:
    names = {"a": f"name: {first}\n", "b": f"name: {second}\n"}
    said = refusal(load, **{file: changed("name: shop\n", name) for file, name in names.items()})
    assert said.startswith(
        f"defs/b/defs.yaml:{line}: {claim} is taken by the database {first!r}, declared in "
        f"defs/a/defs.yaml:{line}. Give one of the two databases another "
    )


def test_databases_may_share_a_target_where_their_collections_differ(load: Load) -> None:
    other = changed("name: shop", "name: other").replace("name: orders", "name: clients")
    other = other.replace("name: settings", "name: settings, collection: other_settings")
    assert len(list(load(a=YAML, b=other).jobs or [])) == 10


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("", 1, "the file declares nothing"),
        ("# later\n\n", 1, "the file declares nothing"),
        ("name: \x07\n", 1, "this is no YAML: "),
        (f"type: {COMPONENT}\n", 1, "declared without attributes"),
        (f"type: {COMPONENT}\nattributes:\n", 2, "declared without attributes"),
        (f"# the shop\ntype: {COMPONENT}\nattributes: {{}}\n", 3, "declared without attributes"),
    ],
    ids=[
        "empty",
        "a comment",
        "no text",
        "no attributes",
        "null for attributes",
        "none of the attributes",
    ],
)
def test_a_file_that_declares_nothing_is_refused(
    load: Load, text: str, line: int, words: str
) -> None:
    said = refusal(load, a=YAML, shop=text)
    assert said.startswith(f"defs/shop/defs.yaml:{line}: "), said
    assert words in said


def test_a_file_that_nothing_reads_is_refused(load: Load, tmp_path: Path) -> None:
    project = tomllib.loads((tmp_path / "pyproject.toml").read_text())["tool"]["dg"]["project"]
    folder = tmp_path / project["root_module"] / "defs" / "shop"
    folder.mkdir(parents=True)
    (folder / "shop.yaml").write_text(YAML)
    said = refusal(load, a=YAML)
    assert said.startswith("defs/shop/shop.yaml:1: nothing reads this file. "), said
    assert "defs.yaml" in said


def test_a_folder_that_is_a_link_declares_what_lies_in_it(load: Load, tmp_path: Path) -> None:
    project = tomllib.loads((tmp_path / "pyproject.toml").read_text())["tool"]["dg"]["project"]
    defs = tmp_path / project["root_module"] / "defs"
    defs.mkdir(parents=True)
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "defs.yaml").write_text(YAML)
    (defs / "shop").symlink_to(tmp_path / "elsewhere")
    assert len(list(load().jobs or [])) == 5


@pytest.mark.parametrize("folder", ["", "defs", "defs/sample"])
def test_a_project_that_declares_nothing_loads(load: Load, tmp_path: Path, folder: str) -> None:
    project = tomllib.loads((tmp_path / "pyproject.toml").read_text())["tool"]["dg"]["project"]
    (tmp_path / project["root_module"] / folder).mkdir(parents=True)
    graph = dg.Definitions.merge(load(), project_definitions()).resolve_asset_graph()
    assert not graph.get_all_asset_keys()


def test_several_mistakes_are_told_in_one_line_alone_in_whichever_file(load: Load) -> None:
    text = changed("timezone:", "time_zone:").replace("name: settings", "nam: settings")
    assert refusal(load, a=text, b=changed("name: shop", "name: other")) == (
        "defs/a/defs.yaml:12: tables.1.name is missing; "
        "defs/a/defs.yaml:12: 'nam' is not known here, only name, month_column, dates, collection, "
        "unique_by; "
        "defs/a/defs.yaml:7: 'time_zone' is not known here, only name, source, first_month, "
        "tables, timezone, backfill, exports, backup, migration, owners, schedules_run. "
        "Mend that; defs/sample/defs.yaml is the pattern."
    )


def test_what_is_no_mistake_in_a_declaration_is_told_as_dagster_tells_it(load: Load) -> None:
    with pytest.raises(Exception, match="must be a subclass of"):
        load(a=changed(COMPONENT, "dagster.Definitions"))


def test_what_breaks_a_schema_elsewhere_than_in_yaml_is_told_as_it_is(
    load: Load, tmp_path: Path
) -> None:
    project = tomllib.loads((tmp_path / "pyproject.toml").read_text())["tool"]["dg"]["project"]
    defs = tmp_path / project["root_module"] / "defs"
    defs.mkdir(parents=True)
    (defs / "own.py").write_text(
        "import pydantic\npydantic.TypeAdapter(int).validate_python('x')\n"
    )
    with pytest.raises(ValidationError, match="should be a valid integer"):
        load(a=YAML)


@pytest.mark.parametrize(
    "name", [f"{COMPONENT}s", "dagster.NoSuchComponent", "no.Such", "no such", "Component", ""]
)
def test_a_component_that_is_not_there_is_refused_with_its_line(load: Load, name: str) -> None:
    said = refusal(load, shop=f"# a comment\n{changed(COMPONENT, repr(name))}")
    assert said == f"defs/shop/defs.yaml:2: there is no {name!r}. Write type: {COMPONENT}"


def test_dg_check_defs_prints_one_error(tmp_path: Path) -> None:
    copy = ProjectCopy.made(tmp_path)
    text = copy.yaml.read_text().replace("backup: {}", "backup: { schedule: nightly }")
    copy.yaml.write_text(text)
    line = text[: text.index("nightly")].count("\n") + 1
    checked = copy.dg("check", "defs")
    said = checked.stdout + checked.stderr
    assert checked.returncode == 1
    assert (
        f"RefusedError: portability_pipelines/defs/sample/defs.yaml:{line}: 'nightly' is no "
        "schedule, or one that never comes due. Write the five fields of cron, such as "
    ) in said
    assert "ComponentTreeException" not in said
    assert said.count("Error: ") == 1
