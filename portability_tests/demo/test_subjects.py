"""What the demo calls a database, so that nothing of another is ever written over."""

from __future__ import annotations

import re
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
import yaml

from portability_pipelines.demo.subjects import LONGEST_NAME, name_for
from portability_tests.projects import ProjectCopy

pytestmark = [pytest.mark.usefixtures("mongod_uri"), pytest.mark.timeout(400)]


@pytest.mark.parametrize(
    ("path", "stem"),
    [
        ("/srv/Strange Shop-1.db", "strange_shop_1"),
        ("/srv/2025.sqlite", "database_2025"),
        ("/srv/作.sqlite", "database"),
        ("/srv/sample.sqlite", "sample"),
        (f"/srv/{'a' * 100}.db", "a" * LONGEST_NAME),
    ],
)
def test_a_database_is_named_after_its_file_and_its_path(path: str, stem: str) -> None:
    name = name_for(Path(path), ())
    assert re.fullmatch(f"{stem}_[0-9a-f]{{8}}", name)
    assert name_for(Path(path), ()) == name
    assert name_for(Path("/elsewhere", Path(path).name), ()) != name


def test_a_name_that_is_declared_is_not_given() -> None:
    name = name_for(Path("/srv/shop.db"), ())
    assert name_for(Path("/srv/shop.db"), {name}) == f"{name}_2"
    assert name_for(Path("/srv/shop.db"), {name, f"{name}_2"}) == f"{name}_3"


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> ProjectCopy:
    """A copy of the project in which ``shop`` is declared, and has been backed up."""
    project = ProjectCopy.made(tmp_path_factory.mktemp("names") / "project")
    declare(project, "shop", {"path": str(database(project.folder / "declared", "theirs"))})
    return project


def database(folder: Path, said: str) -> Path:
    """A database ``shop.sqlite`` in ``folder`` whose only row says ``said``."""
    folder.mkdir()
    path = folder / "shop.sqlite"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE notes (said TEXT PRIMARY KEY)")
        connection.execute("INSERT INTO notes VALUES (?)", [said])
        connection.commit()
    return path


def declare(project: ProjectCopy, name: str, source: dict[str, str], **parts: object) -> None:
    """Write ``defs/<name>/defs.yaml``."""
    folder = project.folder / "portability_pipelines" / "defs" / name
    folder.mkdir()
    attributes = {"name": name, "source": source, "first_month": "2026-11", "backup": {}, **parts}
    component = "portability_pipelines.components.application_database.ApplicationDatabase"
    (folder / "defs.yaml").write_text(yaml.safe_dump({"type": component, "attributes": attributes}))


def demo(project: ProjectCopy, path: Path, **settings: str) -> subprocess.CompletedProcess[str]:
    """Run the demo on the database at ``path``."""
    return subprocess.run(
        [sys.executable, "-m", "portability_pipelines.demo", str(path)],
        cwd=project.folder,
        env={**project.environment, **settings},
        capture_output=True,
        text=True,
        check=False,
    )


def archives(project: ProjectCopy) -> dict[str, set[str]]:
    """The manifests in the store, by the name of their database."""
    root = project.folder / ".portability" / "store"
    found: dict[str, set[str]] = {}
    for manifest in root.glob("*/*/*/*/*/manifest.json"):
        relative = manifest.relative_to(root)
        found.setdefault(relative.parts[0], set()).add(str(relative))
    return found


def test_another_database_of_a_declared_name_gets_a_place_of_its_own(
    project: ProjectCopy, tmp_path: Path
) -> None:
    path = database(tmp_path / "mine", "mine")
    done = demo(project, path)
    assert done.returncode == 0, done.stdout + done.stderr
    (name,) = archives(project)
    assert name != "shop"
    assert name == name_for(path, ())
    kept = project.folder / ".portability" / f"{name}.yaml"
    assert yaml.safe_load(kept.read_text())["attributes"]["migration"] == {"target": name}


@pytest.mark.parametrize("variable", [None, "SHOP_DATABASE"])
def test_a_declared_database_is_shown_as_it_is_declared(
    project: ProjectCopy, tmp_path: Path, variable: str | None
) -> None:
    path = database(tmp_path / "ours", "ours")
    link = tmp_path / "link.sqlite"
    link.symlink_to(path)
    name = f"ours_{variable or 'path'}".lower()
    declare(project, name, {"path_env": variable} if variable else {"path": str(link)})
    done = demo(project, path, **({variable: str(link)} if variable else {}))
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{path} is declared as {name}" in done.stdout
    assert {key.split("/")[1] for key in archives(project)[name]} == {"backup"}
    assert name_for(path, ()) not in archives(project)


def test_a_kept_declaration_goes_on_with_its_archives_until_it_names_another_database(
    project: ProjectCopy, tmp_path: Path
) -> None:
    path = database(tmp_path / "kept", "kept")
    name = name_for(path, ())
    first = demo(project, path)
    assert first.returncode == 0, first.stdout + first.stderr
    made = archives(project)[name]

    folder = project.folder / "portability_pipelines" / "defs" / name
    folder.mkdir()
    text = (project.folder / ".portability" / f"{name}.yaml").read_text()
    (folder / "defs.yaml").write_text(text)
    second = demo(project, path)
    assert "nothing changed" in second.stdout, second.stdout + second.stderr
    assert archives(project)[name] == made

    (folder / "defs.yaml").write_text(text.replace(str(path), str(tmp_path / "production.sqlite")))
    third = demo(project, path)
    assert third.returncode == 0, third.stdout + third.stderr
    assert archives(project)[name] == made
    assert f"{name}_2" in archives(project)


def test_a_declaration_that_cannot_be_read_is_named(project: ProjectCopy, tmp_path: Path) -> None:
    wrong = ProjectCopy.made(tmp_path / "project")
    declare(wrong, "broken", {"path": "one", "path_env": "TWO"})
    done = demo(wrong, database(tmp_path / "any", "any"))
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert "defs/broken/defs.yaml:" in line
    assert "Give exactly one of path and path_env." in line
