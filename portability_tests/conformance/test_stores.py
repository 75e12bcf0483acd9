"""What every store promises, asked of each backend."""

from __future__ import annotations

import hashlib
import stat
import tracemalloc
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Barrier

import pytest

from portability_pipelines.domain.errors import PermanentError, PortabilityError, RefusedError
from portability_pipelines.stores.base import Store
from portability_pipelines.stores.registry import open_store

PREFIX = "sample/exports/clients/all/1"
MEBIBYTE = 1024**2


def put(store: Store, key: str, content: bytes) -> None:
    with store.stage(key.rpartition("/")[0] or key) as folder:
        (folder / "content").write_bytes(content)
        store.put(folder / "content", key)


def keys(store: Store, prefix: str = "") -> list[str]:
    return [stored.key for stored in store.list(prefix)]


def read(store: Store, key: str) -> bytes:
    with store.open(key) as stream:
        return stream.read()


def blocks(size: int) -> Iterator[bytes]:
    for number in range(size // MEBIBYTE):
        yield number.to_bytes(4, "big") * (MEBIBYTE // 4)


@pytest.mark.parametrize("content", [b"", b"x", bytes(range(256)) * 5000])
def test_what_is_put_is_read_back(store: Store, content: bytes) -> None:
    put(store, f"{PREFIX}/data", content)

    assert read(store, f"{PREFIX}/data") == content


def test_a_stream_gives_what_it_is_asked_for(store: Store) -> None:
    put(store, f"{PREFIX}/data", b"0123456789")

    with store.open(f"{PREFIX}/data") as stream:
        assert [stream.read(4), stream.read(4), stream.read(4), stream.read(4)] == [
            b"0123",
            b"4567",
            b"89",
            b"",
        ]


def test_put_overwrites(store: Store) -> None:
    put(store, f"{PREFIX}/data", b"first")
    put(store, f"{PREFIX}/data", b"second")

    assert read(store, f"{PREFIX}/data") == b"second"


def test_publish_writes_once_and_keeps_the_first(store: Store) -> None:
    store.publish(f"{PREFIX}/manifest.json", b"first")

    with pytest.raises(PermanentError, match="already has sample/exports"):
        store.publish(f"{PREFIX}/manifest.json", b"second")
    assert read(store, f"{PREFIX}/manifest.json") == b"first"


def test_one_of_several_publishers_at_once_wins(
    store: Store, store_url: str, staging_root: Path
) -> None:
    writers, rounds = 4, 3
    others = [open_store(store_url, staging_root=staging_root) for _ in range(writers)]
    together = Barrier(writers)

    def publish(number: int) -> list[int]:
        won = []
        for key in range(rounds):
            together.wait(timeout=30)
            try:
                others[number].publish(f"race/{key}", b"%d" % number * 1000)
                won.append(key)
            except PermanentError:
                continue
        return won

    with ThreadPoolExecutor(writers) as pool:
        wins = list(pool.map(publish, range(writers)))

    assert sorted(key for won in wins for key in won) == list(range(rounds))
    for number, won in enumerate(wins):
        assert all(read(store, f"race/{key}") == b"%d" % number * 1000 for key in won)


def test_a_listing_is_in_key_order_with_sizes_and_times(store: Store) -> None:
    began = datetime.now(UTC) - timedelta(seconds=2)
    wanted = sorted(["o/a/x", "o/a-b", "o/a.c", "o/a0", "o/Z/é/1", "o/a b/%2E", "app-2/x", "app/x"])
    for key in reversed(wanted):
        store.publish(key, key.encode())

    listed = list(store.list(""))

    assert [stored.key for stored in listed] == wanted
    assert [stored.size_bytes for stored in listed] == [len(key.encode()) for key in wanted]
    assert all(began <= stored.modified_at <= datetime.now(UTC) for stored in listed)
    assert {stored.modified_at.tzinfo for stored in listed} == {UTC}


def test_a_prefix_is_a_folder(store: Store) -> None:
    for key in ("a/b/1", "a/bc", "a/b.1", "a/b-c/1", "z"):
        store.publish(key, b"")

    assert keys(store, "a/b") == ["a/b/1"]
    assert keys(store, "a/b/1") == []
    assert keys(store, "absent") == []


def test_a_fresh_store_is_empty(store: Store) -> None:
    assert keys(store) == []
    assert store.sweep() == ()


def test_staged_files_are_private_and_not_listed(store: Store) -> None:
    with store.stage(PREFIX) as folder:
        (folder / "data").write_bytes(b"secret")

        for private in (folder, folder.parent):
            assert stat.S_IMODE(private.stat().st_mode) == stat.S_IRWXU
        assert keys(store) == []
        assert not list(folder.parent.glob("**/manifest.json"))


def test_a_folder_is_gone_after_success_and_its_objects_stay(store: Store) -> None:
    with store.stage(PREFIX) as folder:
        (folder / "data").write_bytes(b"1")
        (folder / "forgotten").write_bytes(b"1")
        store.put(folder / "data", f"{PREFIX}/data")

    assert not folder.parent.exists()
    assert keys(store) == [f"{PREFIX}/data"]


@pytest.mark.parametrize("failure", [ValueError("broken row"), KeyboardInterrupt()])
def test_an_error_takes_the_folder_and_the_objects_with_it(
    store: Store, failure: BaseException
) -> None:
    store.publish(f"{PREFIX}2/data", b"neighbour")

    with pytest.raises(type(failure)), store.stage(PREFIX) as folder:  # noqa: PT012
        (folder / "data").write_bytes(b"1")
        store.put(folder / "data", f"{PREFIX}/data")
        raise failure

    assert not folder.parent.exists()
    assert keys(store) == [f"{PREFIX}2/data"]


def test_an_error_after_publishing_keeps_the_archive(store: Store) -> None:
    with pytest.raises(ValueError, match="late"), store.stage(PREFIX) as folder:  # noqa: PT012
        (folder / "data").write_bytes(b"1")
        store.put(folder / "data", f"{PREFIX}/tables/data")
        store.publish(f"{PREFIX}/manifest.json", b"{}")
        raise ValueError("late")

    assert keys(store) == [f"{PREFIX}/manifest.json", f"{PREFIX}/tables/data"]


def test_delete_removes_one_key_and_may_be_repeated(store: Store) -> None:
    store.publish("a/b/1", b"")
    store.publish("a/b/2", b"")

    store.delete("a/b/1")
    store.delete("a/b/1")
    store.delete("never/there")
    store.delete("a/b/2/below")

    assert keys(store) == ["a/b/2"]


def test_a_key_can_come_back_after_deletion(store: Store) -> None:
    store.publish("a/b/1", b"first")
    store.delete("a/b/1")

    store.publish("a/b/1", b"second")

    assert read(store, "a/b/1") == b"second"


@pytest.mark.parametrize("key", ["absent", "a/b", "a/b/1/2"])
def test_a_missing_key_is_named(store: Store, key: str) -> None:
    store.publish("a/b/1", b"")

    with pytest.raises(PermanentError) as caught:
        store.open(key)

    assert f"{store.url} has no {key}" in str(caught.value)


BAD_KEYS = ["", "/", "/etc/passwd", "a//b", "a/", "./a", "a/../b", "..", "a\\b", "a\0b"]
BAD_KEYS += [".staging/x", "lost+found/x"]


@pytest.mark.parametrize("key", BAD_KEYS)
def test_bad_keys_are_refused(store: Store, tmp_path: Path, key: str) -> None:
    with pytest.raises(RefusedError):
        store.put(tmp_path / "any", key)
    with pytest.raises(RefusedError):
        store.publish(key, b"")
    with pytest.raises(RefusedError):
        store.open(key)
    with pytest.raises(RefusedError):
        store.delete(key)
    with pytest.raises(RefusedError):
        store.locate(key)
    with pytest.raises(RefusedError), store.stage(key):
        pass
    if key:
        with pytest.raises(RefusedError):
            keys(store, key)


def test_only_files_staged_for_the_key_are_put(store: Store, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").write_bytes(b"")
    with pytest.raises(RefusedError, match="was not staged"):
        store.put(tmp_path / "elsewhere", f"{PREFIX}/data")

    with store.stage(PREFIX) as folder:
        (folder / "data").write_bytes(b"")
        with pytest.raises(RefusedError, match="was not staged"):
            store.put(folder / "data", f"{PREFIX}2/data")

    assert keys(store) == []


def test_a_missing_staged_file_is_an_error_of_ours(store: Store) -> None:
    with store.stage(PREFIX) as folder, pytest.raises(PortabilityError, match="absent"):
        store.put(folder / "absent", f"{PREFIX}/data")


def test_a_big_object_passes_in_bounded_memory(store: Store) -> None:
    size = 40 * MEBIBYTE
    written, found = hashlib.sha256(), hashlib.sha256()
    tracemalloc.start()
    with store.stage(PREFIX) as folder:
        with (folder / "big").open("wb") as file:
            for block in blocks(size):
                written.update(block)
                file.write(block)
        store.put(folder / "big", f"{PREFIX}/big")
    with store.open(f"{PREFIX}/big") as stream:
        while chunk := stream.read(MEBIBYTE):
            found.update(chunk)
    peak_bytes = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()

    assert found.digest() == written.digest()
    assert [stored.size_bytes for stored in store.list(PREFIX)] == [size]
    assert peak_bytes < size / 2


def test_a_place_can_be_shown(store: Store) -> None:
    place = store.locate("a/b")

    assert place.endswith("/a/b")
    assert place.startswith(store.url.removeprefix("file://"))
