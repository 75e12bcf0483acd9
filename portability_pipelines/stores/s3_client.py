"""How this project talks to an S3 service through boto3."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from portability_pipelines.domain.errors import PermanentError

if TYPE_CHECKING:
    from botocore.config import Config
    from types_boto3_s3 import S3Client


def client_config() -> Config:
    """Settings for any S3 client that a store is given.

    Checksums only where the service requires them: botocore's default since 1.36 breaks MinIO, B2
    and Ceph (botocore issue 3352), and every file has its SHA-256 in the manifest. A request is
    tried four times with growing pauses; timeouts are in seconds.
    """
    from botocore.config import Config

    return Config(
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
        retries={"mode": "standard", "total_max_attempts": 4},
        connect_timeout=10,
        read_timeout=60,
        tcp_keepalive=True,
    )


def default_client() -> S3Client:
    """A client with the credentials, region and endpoint that boto3 finds (AWS_* and its files)."""
    return make_client()


def make_client(profile_name: str | None = None, **settings: Any) -> S3Client:
    """A client with ``client_config``; ``settings`` are boto3's, and it finds those not given."""
    import boto3

    session = boto3.session.Session(profile_name=profile_name)
    try:
        return session.client("s3", config=client_config(), **settings)
    except ValueError:
        # The message of boto3 repeats the address, which may hold a password.
        raise PermanentError(
            "boto3 does not accept the endpoint of S3",
            "Set AWS_ENDPOINT_URL_S3 to an address such as https://s3.example.org.",
        ) from None
