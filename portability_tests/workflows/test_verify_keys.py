"""Verification with the keys of an archive, with others, and with none."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from portability_pipelines.filters.openpgp_keys import Passphrase
from portability_pipelines.stores.base import Store
from portability_pipelines.workflows.drafts import Secrets
from portability_tests.filters.keys import Person
from portability_tests.workflows.walks import SECRETS, backup, failed, verify


def test_a_wrong_passphrase_is_said_and_not_shown(
    database: Path, local: Store, scratch: Path
) -> None:
    manifest = backup(database, local).manifest
    wrong = replace(SECRETS, decrypt=Passphrase("hunter2-hunter2"))

    proofs = verify(local, manifest, scratch, wrong)

    reasons = failed(proofs)
    assert list(reasons) == ["decryption_test", "restore_drill"]
    assert "wrong passphrase" in reasons["decryption_test"]
    assert "hunter2" not in repr(proofs)
    assert "hunter2" not in repr(wrong)
    assert list(scratch.iterdir()) == []


def test_without_the_private_key_the_stored_bytes_are_proven_and_nothing_else(
    database: Path, local: Store, scratch: Path, alice: Person
) -> None:
    secrets = Secrets(alice.recipients)
    manifest = backup(database, local, secrets).manifest

    proofs = verify(local, manifest, scratch, secrets)

    assert failed(proofs) == {}
    held = [proof.name for proof in proofs if proof.passed]
    assert held == ["file_existence", "checksum_validation"]
    unseen = {proof.name: proof.full_detail for proof in proofs if proof.passed is None}
    assert list(unseen) == ["seal", "decryption_test", "restore_drill"]
    assert "the secret key is not here; run the drill where it is" in unseen["restore_drill"]


@pytest.mark.parametrize("left", [0.0, 0.5, 0.999])
def test_without_the_private_key_a_truncated_file_fails_still(
    database: Path, local: Store, scratch: Path, alice: Person, left: float
) -> None:
    secrets = Secrets(alice.recipients)
    manifest = backup(database, local, secrets).manifest
    path = Path(local.locate(f"{manifest.prefix}/{manifest.files[0].name}"))
    path.write_bytes(path.read_bytes()[: int(manifest.files[0].size_bytes * left)])

    wrong = failed(verify(local, manifest, scratch, secrets))

    assert list(wrong) == ["checksum_validation", "restore_drill"]


def test_a_private_key_that_cannot_open_it_fails(
    database: Path, local: Store, scratch: Path, alice: Person, bob: Person
) -> None:
    secrets = Secrets(alice.recipients, bob.secret_key)
    manifest = backup(database, local, secrets).manifest

    assert list(failed(verify(local, manifest, scratch, secrets))) == [
        "decryption_test",
        "restore_drill",
    ]


def test_without_the_passphrase_the_stored_bytes_are_proven_still(
    database: Path, local: Store, scratch: Path
) -> None:
    manifest = backup(database, local).manifest

    reasons = failed(verify(local, manifest, scratch, replace(SECRETS, decrypt=None)))

    assert list(reasons) == ["decryption_test", "restore_drill"]
    assert "a passphrase, which is not here" in reasons["decryption_test"]
