"""Fixtures for whole runs of the demo and of ``make up``."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import closing

import pytest


@pytest.fixture
def silent_store() -> Iterator[dict[str, str]]:
    """The settings of a store that takes every request and never answers."""
    with closing(socket.socket()) as server:
        server.bind(("127.0.0.1", 0))
        server.listen(64)
        yield {
            "PORTABILITY_STORE": "s3://archives/silent",
            "AWS_ENDPOINT_URL_S3": f"http://127.0.0.1:{server.getsockname()[1]}",
            "AWS_ACCESS_KEY_ID": "nobody",
            "AWS_SECRET_ACCESS_KEY": "nothing",
            "AWS_DEFAULT_REGION": "us-east-1",
        }
