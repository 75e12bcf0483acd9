"""What the failures of a MongoDB server mean."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from portability_pipelines.domain.errors import (
    PermanentError,
    PortabilityError,
    RefusedError,
    TransientError,
)

if TYPE_CHECKING:
    from pymongo.errors import BulkWriteError, OperationFailure, PyMongoError

# Codes: https://github.com/mongodb/mongo/blob/v6.0/src/mongo/base/error_codes.yml
DUPLICATE_KEY = 11000
REFUSED_DOCUMENT = {
    2: "the server finds a bad value in it",
    52: "a column name starts with $",
    55: "a column called $ref, $id or $db makes it look like a reference",
    57: "a column name holds a dot",
    121: "the collection's validation rules refuse it",
    10334: "it is larger than the server stores",
    16755: "a geospatial index of the collection cannot take a value",
    17262: "a text index of the collection does not know its language",
    17280: "a value is too large for an index of the collection",
}
"""What is wrong with a document that the server refuses with such a code."""

_LOGIN_REFUSED = {18, 8000}
_NOT_ALLOWED = 13
_INVALID_NAMESPACE = 73
_RETRYABLE_CODES = {6, 7, 50, 64, 89, 91, 112, 189, 262, 9001, 10107, 11600, 11602, 13435, 13436}


def failure(error: PyMongoError, failed: str) -> PortabilityError:
    """What to raise for ``error``, which is not about single documents."""
    from pymongo.errors import BulkWriteError, ConnectionFailure, InvalidName, OperationFailure

    match error:
        case InvalidName():
            return _name_refused(failed)
        case BulkWriteError():
            return _bulk_failure(error, failed)
        case OperationFailure():
            return _operation_failure(error, failed)
        case ConnectionFailure():
            cause = re.split(r" \(configured|, full error|, Timeout:", str(error))[0][:200]
            return TransientError(
                f"{failed}: {cause}",
                "Check that the server runs and is reachable from here; then run this again, "
                "which continues where it stopped.",
            )
        case _:
            return PermanentError(
                f"{failed}: {type(error).__name__}", "Check the URI's options and the server's log."
            )


def _bulk_failure(error: BulkWriteError, failed: str) -> PortabilityError:
    """Writes that were not confirmed may be later; a write error that is unknown here may not."""
    unconfirmed = {int(problem["code"]) for problem in error.details["writeConcernErrors"]}
    refused = {int(problem["code"]) for problem in error.details["writeErrors"]}
    unknown = refused - REFUSED_DOCUMENT.keys() - _RETRYABLE_CODES - {DUPLICATE_KEY}
    if unknown:
        return PermanentError(
            f"{failed}: the server refuses a write (error codes {sorted(unknown)})",
            "Look the codes up in the server's log, which names the document.",
        )
    return TransientError(
        f"{failed}: the server did not confirm the writes (error codes "
        f"{sorted(unconfirmed | refused)})",
        "Check the server's disk, replica set and log; then run this again.",
    )


def _name_refused(failed: str) -> RefusedError:
    return RefusedError(
        f"{failed}: that cannot be the name of a collection",
        "Declare another collection for the table: without $, not empty, with no dot at either end "
        "nor two together, not in system., and of 255 bytes at most with its database's name.",
    )


def _operation_failure(error: OperationFailure, failed: str) -> PortabilityError:
    name = (error.details or {}).get("codeName", f"error code {error.code}")
    if error.code == _INVALID_NAMESPACE:
        return _name_refused(failed)
    if error.code in _LOGIN_REFUSED:
        return PermanentError(
            f"{failed}: the user or the password is wrong",
            "Check the URI's user, password and authSource.",
        )
    if error.code == _NOT_ALLOWED:
        return PermanentError(
            f"{failed}: the user may not do that", "Grant it the role readWrite on the database."
        )
    if error.code in _RETRYABLE_CODES or error.timeout:
        return TransientError(f"{failed}: {name}", "Run this again when the server has settled.")
    return PermanentError(f"{failed}: {name}", "Look the name up in MongoDB's error codes.")
