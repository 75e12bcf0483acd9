"""MongoDB as a target of migrations, from server 5.0 on (earlier ones refuse ``$`` in names)."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property
from typing import TYPE_CHECKING, Any, Self

from portability_pipelines.domain.documents import METADATA_FIELD, DocumentId, Origin
from portability_pipelines.domain.errors import PermanentError, RefusedError, TransientError
from portability_pipelines.domain.months import Period
from portability_pipelines.engines.documents import (
    MAX_DOCUMENT_BYTES,
    Document,
    Mark,
    Refusal,
)
from portability_pipelines.engines.mongodb_errors import (
    DUPLICATE_KEY,
    REFUSED_DOCUMENT,
    failure,
)

if TYPE_CHECKING:
    from bson.codec_options import CodecOptions
    from pymongo import MongoClient, ReplaceOne, UpdateOne
    from pymongo.collection import Collection
    from pymongo.errors import BulkWriteError

UNIQUE_KEY = f"{METADATA_FIELD}.unique_key"
SOURCE_DATABASE = f"{METADATA_FIELD}.source_database"
SOURCE_TABLE = f"{METADATA_FIELD}.source_table"
PERIOD = f"{METADATA_FIELD}.period"
SNAPSHOT_AT = f"{METADATA_FIELD}.snapshot_at"

# It knew unique keys only, from when documents did not name their databases.
_FORMER_INDEX = "export_unique_key"

# Leaves room for one more id, however long, and for as many unique keys as there are ids.
_QUERY_BYTES = MAX_DOCUMENT_BYTES // 3

SOCKET_TIMEOUT_MS = 120_000
WRITE_TIMEOUT_MS = 60_000

_AT_AFTER_HOSTS = re.compile(r"://[^/?]*[/?].*@", re.DOTALL)


class MongoTarget:
    """One database of a MongoDB deployment; connects on first use.

    Writes are acknowledged by a majority and journaled, whatever the URI says, and reads go to
    the primary. ``uri`` may hold credentials: neither ``repr`` nor an error shows them.
    """

    def __init__(self, uri: str, database: str, *, timeout_seconds: float = 10) -> None:
        self._uri = uri
        self._database = database
        self._timeout_ms = int(timeout_seconds * 1000)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close every connection; the next use opens new ones."""
        if client := self.__dict__.pop("_client", None):
            client.close()

    def prepare(self, collection: str) -> None:
        """Create the unique index of survivors and the index that finds a period, if absent.

        Both are partial, so documents of the application cost nothing.
        """
        with self._translated("Creating the indexes of", collection):
            target = self._collection(collection)
            target.create_index(
                [(UNIQUE_KEY, 1), (SOURCE_DATABASE, 1)],
                name="export_unique_key_by_database",
                unique=True,
                partialFilterExpression={UNIQUE_KEY: {"$exists": True}},
            )
            target.create_index(
                [(SOURCE_TABLE, 1), (PERIOD, 1)],
                name="export_source",
                partialFilterExpression={SOURCE_TABLE: {"$exists": True}},
            )
            if _FORMER_INDEX in target.index_information():
                target.drop_index(_FORMER_INDEX)

    def encode(self, fields: Mapping[str, Any]) -> bytes:
        """``fields`` as BSON; raises ``PermanentError`` where BSON cannot hold them."""
        import bson
        from bson.errors import BSONError

        try:
            return bson.encode(fields)
        except (BSONError, OverflowError, UnicodeError) as error:
            kind = type(error).__name__
        raise PermanentError(
            f"BSON cannot hold the row ({kind})",
            "Correct its texts to valid Unicode and its column names to plain text.",
        )

    def decode(self, content: bytes) -> Document:
        """The fields that ``encode`` made ``content`` of."""
        import bson

        return dict(bson.decode(content, self._every_date))

    def marks(
        self, collection: str, ids: Sequence[DocumentId], unique_keys: Sequence[str]
    ) -> list[Mark]:
        """The marks of the documents that have one of ``ids`` or one of ``unique_keys``."""
        queries: list[dict[str, Any]] = [{"_id": {"$in": portion}} for portion in _portions(ids)]
        if unique_keys:
            queries[:1] = [{"$or": [*queries[:1], {UNIQUE_KEY: {"$in": unique_keys}}]}]
        found = {}
        with self._translated("Reading from", collection):
            for query in queries:
                for document in self._collection(collection).find(query, {METADATA_FIELD: 1}):
                    found[document["_id"]] = _mark(document)
        return list(found.values())

    def write(
        self, collection: str, inserts: Sequence[Document], replacements: Sequence[Document]
    ) -> dict[DocumentId, Refusal]:
        """Write all documents that can be written, in one unordered bulk, and name the others."""
        from pymongo import InsertOne
        from pymongo.errors import BulkWriteError

        operations = [*map(InsertOne, inserts), *map(_replacement, replacements)]
        if not operations:
            return {}
        with self._translated("Writing to", collection):
            try:
                self._collection(collection).bulk_write(operations, ordered=False)
            except BulkWriteError as error:
                documents = [*inserts, *replacements]
                return {
                    documents[problem["index"]]["_id"]: _refusal(problem)
                    for problem in _about_documents(error)
                }
        return {}

    def release(self, collection: str, marks: Sequence[Mark]) -> None:
        """Take their unique keys from those documents that are still as ``marks`` say."""
        from pymongo import UpdateOne

        operations = []
        for mark in marks:
            told = {UNIQUE_KEY: mark.unique_key, SNAPSHOT_AT: mark.metadata.get("snapshot_at")}
            operations.append(UpdateOne({"_id": mark.id, **told}, {"$unset": {UNIQUE_KEY: ""}}))
        with self._translated("Writing to", collection):
            self._collection(collection).bulk_write(operations, ordered=False)

    def contents(
        self, collection: str, ids: Sequence[DocumentId]
    ) -> Iterator[tuple[DocumentId, bytes]]:
        """The BSON of each document's fields, without ``_id`` and ``export_metadata``."""
        from bson.codec_options import CodecOptions
        from bson.raw_bson import RawBSONDocument

        # Decoded by pymongo, a document with the fields $ref and $id would become a DBRef.
        raw = CodecOptions(document_class=RawBSONDocument)
        with self._translated("Reading from", collection):
            documents = self._collection(collection).with_options(codec_options=raw)
            for portion in _portions(ids):
                for found in documents.find({"_id": {"$in": portion}}):
                    document = self.decode(bytes(found.raw))
                    document.pop(METADATA_FIELD, None)
                    yield document.pop("_id"), self.encode(document)

    def count(self, collection: str, origin: Origin, period: Period) -> int:
        """How many documents came from ``period`` of ``origin``."""
        with self._translated("Counting in", collection):
            return self._collection(collection).count_documents({**_from(origin), PERIOD: period})

    def count_outside(self, collection: str, origin: Origin, periods: Sequence[Period]) -> int:
        """How many documents of the origin's database came from other tables or other periods."""
        periods_no_more = {**_from(origin), PERIOD: {"$nin": list(periods)}}
        other_table = {"$exists": True, "$ne": origin.table}
        tables_no_more = {SOURCE_TABLE: other_table, SOURCE_DATABASE: origin.database}
        with self._translated("Counting in", collection):
            either = {"$or": [periods_no_more, tables_no_more]}
            return self._collection(collection).count_documents(either)

    @cached_property
    def _every_date(self) -> CodecOptions[Document]:
        """Decodes dates that Python has not, which others may have written."""
        from bson.codec_options import CodecOptions, DatetimeConversion

        return CodecOptions(datetime_conversion=DatetimeConversion.DATETIME_AUTO)

    def _collection(self, name: str) -> Collection[Document]:
        from pymongo import ReadPreference, WriteConcern
        from pymongo.errors import InvalidName

        if name.startswith("system."):
            raise InvalidName("The server keeps such names for itself")
        return self._client[self._database].get_collection(
            name,
            read_preference=ReadPreference.PRIMARY,
            write_concern=WriteConcern(w="majority", j=True, wtimeout=WRITE_TIMEOUT_MS),
        )

    @cached_property
    def _client(self) -> MongoClient[Document]:
        from pymongo import MongoClient

        return MongoClient(
            self._uri,
            serverSelectionTimeoutMS=self._timeout_ms,
            connectTimeoutMS=self._timeout_ms,
            socketTimeoutMS=SOCKET_TIMEOUT_MS,
        )

    @contextmanager
    def _translated(self, doing: str, collection: str) -> Iterator[None]:
        """Raise what pymongo raises as our own errors.

        Without their causes, because pymongo's texts hold whole documents, or parts of the URI.
        """
        from bson.errors import BSONError
        from pymongo.errors import PyMongoError

        try:
            self._connect()
            yield
        except PyMongoError as error:
            raise failure(error, f"{doing} {self._name(collection)} failed") from None
        except BSONError as error:
            raise PermanentError(
                f"{doing} {self._name(collection)} failed: {type(error).__name__}",
                "A document of the collection is damaged; run MongoDB's validate command on it.",
            ) from None

    def _connect(self) -> None:
        """Make the client. An unusable URI is refused without any of its text."""
        from dns.exception import DNSException
        from pymongo.errors import ConfigurationError, InvalidURI
        from pymongo.uri_parser import split_options

        try:
            # pymongo takes a text without a scheme as the name of a host, and errors show hosts.
            if not self._uri.startswith(("mongodb://", "mongodb+srv://")):
                raise ValueError
            # It takes what precedes an unencoded / or ? in a password for a host and its port.
            if _AT_AFTER_HOSTS.search(self._uri):
                raise ValueError
            # It leaves out an option that it does not know, so that a mistyped tls is none.
            if options := self._uri.partition("?")[2]:
                split_options(options, validate=True, warn=False)
            _ = self._client
        except (InvalidURI, ConfigurationError, ValueError, TypeError) as error:
            if isinstance(error.__cause__, DNSException):
                raise TransientError(
                    f"MongoDB at {self._hosts()} was not found: {type(error.__cause__).__name__}",
                    "Check the name in the URI, and that this machine's DNS answers.",
                ) from None
            raise RefusedError(
                f"The MongoDB URI cannot be used ({type(error).__name__})",
                "Write it as mongodb://user:password@host:27017/?authSource=admin, with the user "
                "and the password percent-encoded, and with %40 for an @ in an option.",
            ) from None

    def _name(self, collection: str) -> str:
        return f"{self._database}.{collection} on MongoDB at {self._hosts()}"

    def _hosts(self) -> str:
        """The servers; only for a URI that was understood."""
        return self._uri.partition("://")[2].rpartition("@")[2].split("/")[0].split("?")[0]


def _portions(ids: Sequence[DocumentId]) -> Iterator[list[DocumentId]]:
    """``ids`` in lists that are each small enough for one query."""
    portion: list[DocumentId] = []
    size = 0
    for each in ids:
        length = len(each.encode()) if isinstance(each, str) else 8
        if portion and size + length > _QUERY_BYTES:
            yield portion
            portion, size = [], 0
        portion.append(each)
        size += length
    if portion:
        yield portion


def _mark(document: Document) -> Mark:
    metadata = document.get(METADATA_FIELD)
    return Mark(document["_id"], metadata if isinstance(metadata, dict) else {})


def _from(origin: Origin) -> dict[str, Any]:
    """Matches the documents of ``origin``, and those of its table that name no database."""
    return {SOURCE_TABLE: origin.table, SOURCE_DATABASE: {"$in": [origin.database, None]}}


def _replacement(document: Document) -> ReplaceOne[Document] | UpdateOne:
    """Replace the document of the same ``_id`` and origin, or put it back where it is gone.

    Where another origin or a newer snapshot wrote it, this fails as a duplicate key.
    """
    from pymongo import ReplaceOne, UpdateOne

    metadata = document[METADATA_FIELD]
    origin = Origin(metadata["source_database"], metadata["source_table"])
    no_newer = {"$not": {"$gt": metadata["snapshot_at"]}}
    same = {"_id": document["_id"], **_from(origin), SNAPSHOT_AT: no_newer}
    if any(name.startswith("$") for name in document):
        # The server takes such names in a literal only, not in a plain replacement.
        return UpdateOne(same, [{"$replaceWith": {"$literal": document}}], upsert=True)
    return ReplaceOne(same, document, upsert=True)


def _about_documents(error: BulkWriteError) -> list[dict[str, Any]]:
    """The write errors, where each is about its document; raises ``error`` where one is not."""
    details = error.details
    problems: list[dict[str, Any]] = details["writeErrors"]
    known = {DUPLICATE_KEY, *REFUSED_DOCUMENT}
    if details["writeConcernErrors"] or any(p["code"] not in known for p in problems):
        raise error
    return problems


def _refusal(problem: Mapping[str, Any]) -> Refusal:
    if problem["code"] != DUPLICATE_KEY:
        return Refusal(REFUSED_DOCUMENT[problem["code"]])
    fields = list(problem.get("keyPattern", {}))
    reason = f"another document of the collection has the same {', '.join(fields)}"
    return Refusal(reason, contested=fields[:1] in (["_id"], [UNIQUE_KEY]))
