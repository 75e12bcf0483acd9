"""What the failures of an S3 service mean."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from portability_pipelines.domain.errors import PermanentError, PortabilityError, TransientError

_ADVICE = {
    "NoSuchBucket": "Create the bucket, or correct its name in the store's setting.",
    "InvalidBucketName": "Correct the bucket's name in the store's setting.",
    "AccessDenied": "Let these credentials list, read, write and delete in the bucket.",
    "InvalidAccessKeyId": "Check AWS_ACCESS_KEY_ID and that AWS_ENDPOINT_URL_S3 is its service.",
    "SignatureDoesNotMatch": "Check AWS_SECRET_ACCESS_KEY and AWS_DEFAULT_REGION.",
    "ExpiredToken": "Renew AWS_SESSION_TOKEN and the credentials that belong to it.",
    "RequestTimeTooSkewed": "Set this machine's clock.",
    "PermanentRedirect": "Set AWS_DEFAULT_REGION to the region of the bucket.",
    "NotImplemented": "Use a service that supports conditional writes (If-None-Match).",
}
_ALIASES = {"403": "AccessDenied", "Forbidden": "AccessDenied", "301": "PermanentRedirect"}
_PASSING = frozenset(
    {
        "SlowDown",
        "RequestTimeout",
        "RequestTimeoutException",
        "Throttling",
        "ThrottlingException",
        "TooManyRequests",
        "OperationAborted",
        "ConditionalRequestConflict",
        "PreconditionFailed",
    }
)
_CREDENTIALS = (
    "Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or another source of credentials "
    "that boto3 reads."
)
_SETTINGS = (
    "Check what boto3 reads: AWS_ENDPOINT_URL_S3, AWS_DEFAULT_REGION, AWS_PROFILE, and its files."
)
_NOT_IMPLEMENTED = 501
_SERVER_ERROR = 500
_TOO_MANY = 429


@contextmanager
def s3_errors(action: str, bucket: str) -> Iterator[None]:
    """Raise a failed request of the block as a ``PortabilityError``: ``action`` failed."""
    from boto3.exceptions import S3UploadFailedError
    from botocore.exceptions import BotoCoreError, ClientError
    from urllib3.exceptions import HTTPError

    try:
        yield
    except ClientError as error:
        raise _answered(error, action, bucket) from error
    except S3UploadFailedError as error:
        cause = error.__context__
        if not isinstance(cause, ClientError):
            raise
        raise _answered(cause, action, bucket) from cause
    except (BotoCoreError, HTTPError, ConnectionError, TimeoutError) as error:
        raise _unanswered(error, action, bucket) from None


def error_code(error: Exception) -> str:
    """The code of a ``ClientError``, such as ``AccessDenied``; HEAD requests give a number."""
    answer = getattr(error, "response", {})
    code = str(answer.get("Error", {}).get("Code", "unknown"))
    return _ALIASES.get(code, code)


def _answered(error: Exception, action: str, bucket: str) -> PortabilityError:
    """The error for a request that the service answered with a refusal.

    The service's own message is left out: some services repeat parts of the request in it.
    """
    code = error_code(error)
    status = getattr(error, "response", {}).get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    message = f"{action} failed in the bucket {bucket} ({code}, HTTP status {status})"
    server_failed = status >= _SERVER_ERROR and status != _NOT_IMPLEMENTED
    if server_failed or status == _TOO_MANY or code in _PASSING:
        return TransientError(message, "Try again later; the service is busy or out of order.")
    return PermanentError(message, _ADVICE.get(code, "Look the code up in the S3 documentation."))


def _unanswered(error: Exception, action: str, bucket: str) -> PortabilityError:
    """The error for a request that nobody answered.

    Nothing of botocore's text is in it: that repeats the endpoint, which may hold a password.
    """
    from botocore import exceptions as known

    message = f"{action} failed in the bucket {bucket} ({type(error).__name__})"
    if isinstance(
        error,
        known.NoCredentialsError | known.PartialCredentialsError | known.CredentialRetrievalError,
    ):
        return PermanentError(message, _CREDENTIALS)
    if "CERTIFICATE_VERIFY_FAILED" in str(error):
        return PermanentError(message, "Name the service's certificate authority in AWS_CA_BUNDLE.")
    settings = isinstance(error, known.BotoCoreError) and not isinstance(
        error, known.ConnectionError | known.HTTPClientError | known.IncompleteReadError
    )
    if settings:
        return PermanentError(message, _SETTINGS)
    return TransientError(
        message, "Check that the endpoint (AWS_ENDPOINT_URL_S3) is up, then try again."
    )
