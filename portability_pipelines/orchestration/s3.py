"""The S3 of dagster-aws, as stores need it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dagster_aws.s3 import S3Resource

from portability_pipelines.stores.s3_client import make_client

if TYPE_CHECKING:
    from types_boto3_s3 import S3Client

_SETTINGS = (
    "region_name",
    "endpoint_url",
    "use_ssl",
    "verify",
    "aws_access_key_id",
    "aws_secret_access_key",
    "aws_session_token",
)


class StoreS3Resource(S3Resource):
    """The resource of dagster-aws, whose client has the checksums, tries and timeouts of a store.

    ``max_attempts`` and ``use_unsigned_session`` have no effect.
    """

    def get_client(self) -> S3Client:
        """A new client; raises ``PermanentError`` for an endpoint that is no address."""
        settings = {name: getattr(self, name) for name in _SETTINGS}
        return make_client(self.profile_name, **settings)
