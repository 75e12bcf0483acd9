"""What only a store behind a network can meet: refusals, absence, silence, lost answers."""

from __future__ import annotations

import traceback
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from portability_pipelines.domain.errors import PermanentError, PortabilityError, TransientError
from portability_pipelines.stores.registry import open_store
from portability_pipelines.stores.s3 import S3Store
from portability_pipelines.stores.s3_client import default_client
from portability_tests.conftest import MakeStore
from portability_tests.servers import WRITER, Identity, S3Server, free_ports
from portability_tests.stores.cutting_proxy import cutting_proxy

if TYPE_CHECKING:
    from types_boto3_s3 import S3Client

PREFIX = "sample/exports/clients/all/1"


def refused(
    server: S3Server,
    staging_root: Path,
    identity: Identity = WRITER,
    bucket: str | None = None,
    endpoint: str | None = None,
) -> list[PortabilityError]:
    """The error of every kind of request to a store that cannot answer it."""
    bucket = bucket or server.bucket
    store = S3Store(bucket, "p", lambda: server.client(identity, endpoint), staging_root)
    requests: list[Callable[[], object]] = [
        lambda: put(store),
        lambda: store.publish("k", b""),
        lambda: store.delete("k"),
        lambda: list(store.list("")),
        lambda: store.open("k"),
    ]
    errors = [error_of(request) for request in requests]
    for error in errors:
        shown = "".join(traceback.format_exception(error))
        assert identity.secret_key not in shown
        assert bucket in error.message
    return errors


def put(store: S3Store) -> None:
    with store.stage(PREFIX) as folder:
        (folder / "data").write_bytes(b"1")
        store.put(folder / "data", f"{PREFIX}/data")


def error_of(request: Callable[[], object]) -> PortabilityError:
    with pytest.raises(PortabilityError) as caught:
        request()
    return caught.value


def test_a_bucket_that_may_only_be_read(s3_server: S3Server, staging_root: Path) -> None:
    store = S3Store(s3_server.bucket, "p", lambda: s3_server.client(s3_server.reader), staging_root)

    for request in (lambda: put(store), lambda: store.publish("k", b""), lambda: store.delete("k")):
        error = error_of(request)
        assert isinstance(error, PermanentError)
        assert f"in the bucket {s3_server.bucket} (AccessDenied" in error.message
        assert "list, read, write and delete" in error.advice


@pytest.mark.parametrize(
    ("identity", "code", "advice"),
    [
        (Identity("UNKNOWN", "some-secret"), "InvalidAccessKeyId", "AWS_ACCESS_KEY_ID"),
        (
            Identity(WRITER.access_key, "wrong-secret"),
            "SignatureDoesNotMatch",
            "AWS_SECRET_ACCESS_KEY",
        ),
    ],
)
def test_wrong_credentials(
    s3_server: S3Server, staging_root: Path, identity: Identity, code: str, advice: str
) -> None:
    for error in refused(s3_server, staging_root, identity):
        assert isinstance(error, PermanentError)
        assert code in error.message
        assert advice in error.advice


def test_no_credentials(
    s3_environment: S3Server, staging_root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    store = open_store(f"s3://{s3_environment.bucket}/p", staging_root=staging_root)

    error = error_of(lambda: store.publish("k", b""))

    assert isinstance(error, PermanentError)
    assert "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY" in error.advice


def test_a_missing_bucket(s3_server: S3Server, staging_root: Path) -> None:
    for error in refused(s3_server, staging_root, bucket="nowhere"):
        assert isinstance(error, PermanentError)
        assert "the bucket nowhere (NoSuchBucket" in error.message


def test_an_endpoint_that_does_not_answer(s3_server: S3Server, staging_root: Path) -> None:
    (port,) = free_ports(1)
    for error in refused(s3_server, staging_root, endpoint=f"http://127.0.0.1:{port}"):
        assert isinstance(error, TransientError)
        assert "AWS_ENDPOINT_URL_S3" in error.advice


def test_a_broken_endpoint_setting_is_not_repeated(
    staging_root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "user:secret-word@nowhere")
    store = open_store("s3://bucket/p", staging_root=staging_root)

    error = error_of(lambda: store.open("k"))

    assert isinstance(error, PermanentError)
    assert "secret-word" not in "".join(traceback.format_exception(error))


def test_a_connection_that_breaks_while_reading(s3_server: S3Server, staging_root: Path) -> None:
    through = S3Store(s3_server.bucket, "cut", s3_server.client, staging_root)
    through.publish("data", bytes(3_000_000))

    with cutting_proxy(s3_server.endpoint, answer_bytes=1_000_000) as endpoint:
        store = S3Store(
            s3_server.bucket, "cut", lambda: s3_server.client(WRITER, endpoint), staging_root
        )
        with store.open("data") as stream:
            assert stream.read(1000) == bytes(1000)
            with pytest.raises(TransientError, match="reading data failed"):
                stream.read(3_000_000)


def test_a_publication_whose_answer_was_lost_is_known_again(
    s3_environment: S3Server, staging_root: Path
) -> None:
    repeats: list[object] = []

    def client_that_misses_the_first_answer() -> S3Client:
        client = default_client()

        def repeat(**_: object) -> float | None:
            """Ask botocore once to send the request again, in zero seconds."""
            repeats.append(1)
            return 0.0 if len(repeats) == 1 else None

        hooks: Any = client.meta.events
        hooks.register_first("needs-retry.s3.PutObject", repeat)
        return client

    store = S3Store(
        s3_environment.bucket, "lost", client_that_misses_the_first_answer, staging_root
    )

    store.publish("manifest.json", b"first")

    assert len(repeats) > 1
    assert store.open("manifest.json").read() == b"first"
    with pytest.raises(PermanentError, match="already has"):
        store.publish("manifest.json", b"second")


def test_an_upload_that_arrives_short_is_noticed(s3_server: S3Server, staging_root: Path) -> None:
    def lossy_client() -> S3Client:
        client = s3_server.client()

        def lose(params: dict[str, Any], **_: object) -> None:
            params["body"] = b"12"

        client.meta.events.register("before-call.s3.PutObject", lose)
        return client

    store = S3Store(s3_server.bucket, "short", lossy_client, staging_root)

    with pytest.raises(TransientError, match="stored 2 of the 1 bytes"):
        put(store)
    assert list(store.list("")) == []


def test_what_could_not_be_taken_back_waits_for_the_sweep(
    s3_server: S3Server, staging_root: Path
) -> None:
    bucket = s3_server.bucket
    writer = S3Store(bucket, "later", s3_server.client, staging_root)
    (port,) = free_ports(1)
    dead_end = f"http://127.0.0.1:{port}"
    cut_off = S3Store(bucket, "later", lambda: s3_server.client(WRITER, dead_end), staging_root)

    with pytest.raises(ValueError, match="broken") as caught, cut_off.stage(PREFIX) as folder:  # noqa: PT012
        (folder / "data").write_bytes(b"1")
        writer.put(folder / "data", f"{PREFIX}/data")
        raise ValueError("broken")

    assert "wait for the next sweep" in caught.value.__notes__[0]
    assert not folder.exists()
    assert len(writer.sweep()) == 2
    assert list(writer.list("")) == []


def test_folder_marks_of_consoles_are_no_objects(
    make_store: MakeStore, s3_environment: S3Server
) -> None:
    store = make_store("s3")
    prefix = store.url.removeprefix(f"s3://{s3_environment.bucket}/")
    s3_environment.client().put_object(
        Bucket=s3_environment.bucket, Key=f"{prefix}/folder/", Body=b""
    )

    assert list(store.list("")) == []


def test_the_whole_bucket_may_be_the_store(s3_environment: S3Server, staging_root: Path) -> None:
    s3_environment.client().create_bucket(Bucket="whole")
    store = open_store("s3://whole", staging_root=staging_root)
    store.publish("a/data", b"1")

    assert [stored.key for stored in store.list("")] == ["a/data"]
    assert (store.url, store.locate("a/data")) == ("s3://whole", "s3://whole/a/data")
