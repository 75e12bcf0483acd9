"""What a killed reader leaves of a secret key: nothing that the next one does not take away."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from portability_pipelines.stores.working import working_folder
from portability_tests.filters.keys import Person
from portability_tests.processes import eventually, working_in

READER = """
import os, signal, sys
from pathlib import Path
from portability_pipelines.filters.gnupg import Gnupg
from portability_pipelines.filters.openpgp import decrypting, encrypting
from portability_pipelines.filters.openpgp_keys import Recipients, SecretKey
from portability_pipelines.stores.working import working_folder

scratch, certificate, secret = map(Path, sys.argv[1:])
with working_folder(scratch, "verify-") as folder:
    stored = folder / "stored"
    with stored.open("wb") as sink, encrypting(
        sink, Recipients.from_files([certificate]), scratch=folder, tool=Gnupg()
    ) as stream:
        stream.write(os.urandom(1 << 22))
    key = SecretKey(secret.read_bytes())
    with stored.open("rb") as source, decrypting(
        source, key, scratch=folder, tool=Gnupg()
    ) as plain:
        plain.read(1)
        os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture
def short() -> Iterator[Path]:
    """A folder with a path so short that gpg's sockets find room in it."""
    with TemporaryDirectory(prefix="k") as folder:
        yield Path(folder)


@pytest.mark.parametrize("depth", [1, 60], ids=["short path", "long path"])
def test_a_key_that_a_killed_reader_had_in_use_is_removed_and_its_agent_ends(
    short: Path, tmp_path: Path, alice: Person, depth: int
) -> None:
    scratch, temporary = short / ("s" * depth), short / "t"
    temporary.mkdir()
    (tmp_path / "alice.pub").write_bytes(alice.certificate)
    (tmp_path / "alice.sec").write_bytes(alice.secret_key.content)
    arguments = [str(scratch), str(tmp_path / "alice.pub"), str(tmp_path / "alice.sec")]

    done = subprocess.run(
        [sys.executable, "-c", READER, *arguments],
        env={**os.environ, "TMPDIR": str(temporary)},
        check=False,
    )

    assert done.returncode == -signal.SIGKILL
    assert eventually(lambda: "gpg-agent" in str(working_in(short)))
    assert list(scratch.rglob("*.key")), "the key lies in scratch"
    assert not [path for path in temporary.rglob("*") if path.is_file()]

    with working_folder(scratch, "frozen-"):
        pass

    assert list(scratch.iterdir()) == []
    assert eventually(lambda: not working_in(short)), working_in(short)
