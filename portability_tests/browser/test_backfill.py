"""A person at the web UI: launches a backfill of three months and finds its archives."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from portability_pipelines.domain.manifest import Manifest
from portability_pipelines.stores.local import LocalStore
from portability_tests.archives import archives
from portability_tests.projects import ProjectCopy
from portability_tests.servers import free_ports

if TYPE_CHECKING:
    from playwright.sync_api import Page

MONTHS = ["2026-08", "2026-09", "2026-10"]
PROVEN = """{ assetNodeOrError(assetKey: {path: ["sample", "exports", "user_activity"]}) {
  ... on AssetNode { assetChecksOrError { ... on AssetChecks { checks {
    name partitionStatuses { ... on AssetCheckTimePartitionStatuses {
      ranges { startKey endKey status } } } } } } } } }"""
QUIET = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@dataclass(frozen=True)
class Served:
    """A running web UI with its daemon."""

    project: ProjectCopy
    address: str

    def archives(self) -> list[Manifest]:
        """What lies in the copy's default store."""
        store = LocalStore(self.project.folder / ".portability" / "store")
        return list(archives(store, "sample"))

    def checked(self) -> dict[str, list[dict[str, str]]]:
        """What the UI's Partitions tab says of the checks on user_activity, by month."""
        asked = urllib.request.Request(  # noqa: S310 (our own server)
            f"{self.address}/graphql",
            json.dumps({"query": PROVEN}).encode(),
            {"Content-Type": "application/json"},
        )
        with urllib.request.urlopen(asked, timeout=30) as answer:  # noqa: S310
            node = json.load(answer)["data"]["assetNodeOrError"]
        checks = node["assetChecksOrError"]["checks"]
        return {check["name"]: check["partitionStatuses"]["ranges"] for check in checks}


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    project = ProjectCopy.made(tmp_path_factory.mktemp("served")).with_sample()
    port = str(free_ports(1)[0])
    # Two processes that both make Dagster's databases leave them broken.
    made = [str(Path(sys.executable).with_name("dagster")), "instance", "info"]
    subprocess.run(made, cwd=project.folder, env=project.environment, check=True)
    with ExitStack() as running:
        words = ["-h", "127.0.0.1", "-p", port]
        running.enter_context(child(project, "dagster-webserver", *words))
        running.enter_context(child(project, "dagster-daemon", "run"))
        address = f"http://127.0.0.1:{port}"
        await_answer(f"{address}/server_info")
        yield Served(project, address)


@contextmanager
def child(project: ProjectCopy, program: str, *words: str) -> Iterator[None]:
    binary = str(Path(sys.executable).with_name(program))
    command = [binary, *words, "-w", "workspace.yaml"]
    log = (project.folder / f"{program}.log").open("wb")
    with (
        log,
        subprocess.Popen(
            command, cwd=project.folder, env=project.environment, stdout=log, stderr=log
        ) as process,
    ):
        try:
            yield
        finally:
            process.terminate()
            process.wait(30)


def await_answer(address: str, seconds: float = 90) -> None:
    deadline = time.monotonic() + seconds
    while True:
        try:
            with urllib.request.urlopen(address, timeout=5):  # noqa: S310 (our own server)
                return
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.5)


@pytest.fixture
def page() -> Iterator[Page]:
    playwright = pytest.importorskip("playwright.sync_api")
    chromium = shutil.which("chromium")
    if chromium is None:
        missing = "chromium is not installed; apt-get install chromium"
        if os.environ.get("CI"):
            pytest.fail(missing)
        pytest.skip(missing)
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=chromium, args=QUIET)
        shown = browser.new_page(viewport={"width": 1600, "height": 1000})
        shown.set_default_timeout(150_000)
        yield shown
        browser.close()


@pytest.mark.timeout(500)
def test_a_backfill_launched_from_the_ui_leaves_three_archives(served: Served, page: Page) -> None:
    page.goto(f"{served.address}/assets/sample/exports/user_activity")
    page.get_by_role("button", name="Materialize").first.click()
    page.get_by_role("button", name="Show all partitions").click()
    dialog = page.get_by_role("dialog")
    partitions = dialog.get_by_role("textbox").first
    partitions.fill(f"[{MONTHS[0]}-01...{MONTHS[-1]}-01]")
    partitions.press("Enter")
    dialog.get_by_role("button", name="Launch backfill").click()
    deadline = time.monotonic() + 180
    while time.monotonic() < deadline and len(served.archives()) < len(MONTHS):
        time.sleep(1)
    found = served.archives()
    assert sorted(manifest.period for manifest in found) == MONTHS
    assert {manifest.lineage.asset for manifest in found} == {"sample/exports/user_activity"}
    page.goto(f"{served.address}/assets/sample/exports/user_activity?view=partitions")
    page.get_by_text(f"{MONTHS[1]}-01").first.wait_for()
    page.goto(f"{served.address}/runs")
    page.get_by_text("Success").first.wait_for()
    proven = {"startKey": f"{MONTHS[0]}-01", "endKey": f"{MONTHS[-1]}-01", "status": "SUCCEEDED"}
    while time.monotonic() < deadline and served.checked()["equals_source"] != [proven]:
        time.sleep(1)
    assert served.checked()["equals_source"] == [proven]
