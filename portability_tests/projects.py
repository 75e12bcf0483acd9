"""Copies of this project, as a person or a CI job has them after a clone."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

from portability_pipelines.orchestration.folders import project_folder
from portability_pipelines.sample import generate


@dataclass(frozen=True)
class ProjectCopy:
    """A copy of the project's files in ``folder``, with settings of its own."""

    folder: Path
    settings: dict[str, str] = field(default_factory=dict)

    @classmethod
    def made(cls, folder: Path, **settings: str) -> ProjectCopy:
        """Copy the package and its configuration into ``folder``."""
        root = project_folder()
        ignore = shutil.ignore_patterns("__pycache__")
        shutil.copytree(
            root / "portability_pipelines", folder / "portability_pipelines", ignore=ignore
        )
        for name in ("pyproject.toml", "workspace.yaml", "dagster.yaml"):
            shutil.copy(root / name, folder / name)
        home = folder / ".portability" / "dagster"
        home.mkdir(parents=True)
        shutil.copy(root / "dagster.yaml", home / "dagster.yaml")
        return cls(folder, {"DAGSTER_HOME": str(home), **settings})

    @property
    def yaml(self) -> Path:
        """Where the sample is declared."""
        return self.folder / "portability_pipelines" / "defs" / "sample" / "defs.yaml"

    @property
    def environment(self) -> dict[str, str]:
        """This process's variables without the project's own, and the copy's settings."""
        kept = {k: v for k, v in os.environ.items() if not k.startswith("PORTABILITY_")}
        return {**kept, "PYTHONPATH": str(self.folder), "PYTHONWARNINGS": "ignore", **self.settings}

    def with_sample(self, activity_rows: int = 1000) -> ProjectCopy:
        """Generate the sample's database where its declaration expects it."""
        path = self.folder / ".portability" / "sample" / "sample.sqlite"
        path.parent.mkdir(parents=True, exist_ok=True)
        generate(path, activity_rows=activity_rows)
        return self

    def dg(self, *words: str, **settings: str) -> subprocess.CompletedProcess[str]:
        """Run Dagster's ``dg`` in the copy."""
        return subprocess.run(
            [Path(sys.executable).with_name("dg"), *words],
            cwd=self.folder,
            env={**self.environment, **settings},
            capture_output=True,
            text=True,
            check=False,
        )

    def make(self, *words: str, **settings: str | None) -> subprocess.CompletedProcess[str]:
        """Run the real Makefile in the copy, with this environment, whatever its age."""
        installed = [f"BIN={Path(sys.executable).parent}", "--old-file=.venv/.installed"]
        given = {**self.environment, **settings}
        return subprocess.run(
            ["make", "-f", project_folder() / "Makefile", *installed, *words],
            cwd=self.folder,
            env={k: v for k, v in given.items() if v is not None and not k.startswith("MAKE")},
            capture_output=True,
            text=True,
            check=False,
        )
