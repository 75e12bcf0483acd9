"""What counts as an archive: a manifest of the right form, in the place that it names."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from portability_pipelines.catalog.archives import chosen, latest, read_manifest
from portability_pipelines.domain.errors import PermanentError
from portability_pipelines.domain.manifest import MANIFEST_NAME, Manifest
from portability_pipelines.domain.months import ALL
from portability_pipelines.stores.base import Store
from portability_pipelines.workflows.verify import newest_proof
from portability_tests.archives import taken_ahead
from portability_tests.conftest import MakeStore
from portability_tests.workflows.walks import (
    SECRETS,
    change,
    content_of,
    export,
    export_whole,
    replace_object,
    sample,
)

Fields = dict[str, Any]


@pytest.fixture
def database(tmp_path: Path) -> Path:
    return sample(tmp_path / "shop.sqlite", 50)


@pytest.fixture
def store(make_store: MakeStore) -> Store:
    return make_store("local")


def clients(database: Path, store: Store) -> Manifest:
    return export(database, store, "clients")[ALL].manifest


def key_of(manifest: Manifest) -> str:
    return f"{manifest.prefix}/{MANIFEST_NAME}"


def copied(store: Store, archive: Manifest, prefix: str) -> None:
    """Copy everything of ``archive`` to ``prefix``."""
    for stored in list(store.list(archive.prefix)):
        name = stored.key.rpartition("/")[2]
        store.publish(f"{prefix}/{name}", content_of(store, stored.key))


def test_an_older_manifest_in_the_place_of_a_newer_is_not_taken_for_it(
    database: Path, store: Store
) -> None:
    older = clients(database, store)
    change(database)
    newer = clients(database, store)
    replace_object(store, key_of(newer), content_of(store, key_of(older)))

    with pytest.raises(PermanentError, match=f"is the manifest of .*{older.archive_id}"):
        latest(store, "shop", "exports", "clients", ALL)
    with pytest.raises(PermanentError, match="It was copied there"):
        chosen(store, "shop", "exports", "clients", newer.archive_id)


def test_an_archive_is_not_one_of_another_month_because_it_was_copied_there(
    database: Path, store: Store
) -> None:
    months = export(database, store, "credit_consumption", "consumed_at")
    (first, second, *_) = (written.manifest for written in months.values())
    folder, _, _ = second.prefix.rpartition("/")
    copied(store, first, f"{folder}/{first.archive_id[:-12]}{'f' * 12}")

    with pytest.raises(PermanentError, match="is the manifest of"):
        latest(store, "shop", "exports", "credit_consumption", second.period)


def test_a_copy_that_a_person_keeps_under_another_name_is_no_archive(
    database: Path, store: Store
) -> None:
    archive = clients(database, store)
    folder, _, name = archive.prefix.rpartition("/")
    copied(store, archive, f"{folder}/zz-keep-{name}")

    assert latest(store, "shop", "exports", "clients", ALL) == archive
    assert chosen(store, "shop", "exports", "clients") == archive


def test_an_archive_from_a_clock_that_was_ahead_is_not_taken_for_the_newest(
    database: Path, store: Store
) -> None:
    first = clients(database, store)
    change(database)
    ahead = taken_ahead(store, clients(database, store), timedelta(minutes=6)).archive_id
    change(database)
    written = export_whole(database, store)

    for newest in (partial(latest, period=ALL), chosen):
        with pytest.raises(PermanentError, match="was taken later than now"):
            newest(store, "shop", "exports", "clients")
    assert ahead in written.replaces
    proof = newest_proof(store, written.manifest)
    assert proof.failed
    assert ahead in proof.detail
    assert chosen(store, "shop", "exports", "clients", first.archive_id) == first
    assert chosen(store, "shop", "exports", "clients", ahead) is not None


def test_clocks_may_differ_by_a_little(database: Path, store: Store) -> None:
    ahead = taken_ahead(store, clients(database, store), timedelta(minutes=4))
    assert latest(store, "shop", "exports", "clients", ALL) == ahead
    assert newest_proof(store, ahead).passed


def without_files(fields: Fields) -> None:
    fields["files"] = []


def without_tables(fields: Fields) -> None:
    fields["tables"] = []


def with_rows_as_text(fields: Fields) -> None:
    fields["tables"][0]["rows"] = "20"


def with_size_as_text(fields: Fields) -> None:
    fields["files"][0]["size_bytes"] = "20"


def with_an_unknown_kind_of_value(fields: Fields) -> None:
    fields["tables"][0]["columns"][0]["stored_type"] = "complex"


def with_a_number_for_a_seal(fields: Fields) -> None:
    fields["seal"] = 5


def with_an_unknown_field(fields: Fields) -> None:
    fields["tables"][0]["more"] = 1


@pytest.mark.parametrize(
    "damage",
    [
        without_files,
        without_tables,
        with_rows_as_text,
        with_size_as_text,
        with_an_unknown_kind_of_value,
        with_a_number_for_a_seal,
        with_an_unknown_field,
    ],
)
def test_a_manifest_of_another_form_is_refused_and_written_anew(
    database: Path, store: Store, damage: Callable[[Fields], None]
) -> None:
    archive = clients(database, store)
    fields = json.loads(content_of(store, key_of(archive)))
    damage(fields)
    replace_object(store, key_of(archive), json.dumps(fields).encode())

    with pytest.raises(PermanentError, match="is not a manifest"):
        read_manifest(store, key_of(archive))
    assert export(database, store, "clients")[ALL].fresh


@pytest.mark.parametrize("content", [b"", b"[]", b"[" * 100_000, b'{"format_version": 1}', b"\xff"])
def test_what_is_no_manifest_at_all_is_refused(
    database: Path, store: Store, content: bytes
) -> None:
    key = key_of(clients(database, store))
    replace_object(store, key, content)

    with pytest.raises(PermanentError, match="is not a manifest"):
        read_manifest(store, key)


def test_a_seal_of_other_letters_is_another_seal(database: Path, store: Store) -> None:
    assert SECRETS.seal
    assert not replace(clients(database, store), seal="é" * 64).seal_holds(SECRETS.seal)
