"""What runs need from outside: the store of archives, the secrets, MongoDB.

Settings are read when a run needs them, never at import. Secrets come from the environment or
from a file and never enter run config.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import dagster as dg
from pydantic import Field

from portability_pipelines.domain.declarations import Database, at
from portability_pipelines.domain.errors import RefusedError
from portability_pipelines.domain.manifest import Manifest
from portability_pipelines.engines.base import Engine
from portability_pipelines.engines.registry import open_engine
from portability_pipelines.orchestration.folders import private_folder, project_folder
from portability_pipelines.stores.base import Store
from portability_pipelines.stores.registry import open_store
from portability_pipelines.workflows.drafts import Secrets

if TYPE_CHECKING:
    from types_boto3_s3 import S3Client

    from portability_pipelines.engines.mongodb import MongoTarget
    from portability_pipelines.filters.openpgp_keys import (
        DecryptionKey,
        EncryptionKey,
        Passphrase,
    )


class Archives(dg.ConfigurableResource[None]):
    """The store of archives and the keys that protect them."""

    store_url: str | None = Field(
        default=None,
        description="file:///folder or s3://bucket/prefix; else PORTABILITY_STORE, else a folder "
        "of the project.",
    )

    def store(self) -> Store:
        """Open the store that the settings name; does no I/O yet."""
        folder = private_folder()
        url = self.store_url or os.environ.get("PORTABILITY_STORE") or (folder / "store").as_uri()
        return open_store(
            url,
            staging_root=folder / "staging",
            s3_client=_s3_client,
            setting="store_url" if self.store_url else "PORTABILITY_STORE",
        )

    def seal(self) -> bytes | None:
        """The key that seals manifests, as the bytes that were set; None where none is.

        An empty one is refused: it is a secret that did not arrive, and nothing would be sealed.
        """
        secret = os.environ.get("PORTABILITY_MANIFEST_KEY")
        if secret is None:
            return None
        if not secret.strip():
            raise RefusedError(
                "PORTABILITY_MANIFEST_KEY is empty",
                "Set it to a generated secret, or unset it to do without seals.",
            )
        return os.fsencode(secret)

    def secrets(self, *, encrypted: bool) -> Secrets:
        """The keys that archives are written with, and that open what is written.

        Refused where ``encrypted`` archives are wanted and nothing is set to encrypt them with.
        """
        if not encrypted:
            return Secrets(seal=self.seal())
        recipients = bool(os.environ.get("PORTABILITY_RECIPIENT"))
        return Secrets(_encryption_key(), _decryption_key(recipients), self.seal())

    def secrets_to_read(self, manifest: Manifest) -> Secrets:
        """The keys that open the archive of ``manifest``, whatever archives are written with now.

        Without the one that it needs; who decrypts then says which that is.
        """
        encryption = manifest.encryption
        if encryption is None:
            return Secrets(seal=self.seal())
        return Secrets(None, _decryption_key(encryption.mode == "recipients"), self.seal())


def _encryption_key() -> EncryptionKey:
    from portability_pipelines.filters.openpgp_keys import Recipients

    recipient = os.environ.get("PORTABILITY_RECIPIENT")
    if recipient:
        return Recipients.from_files([_existing("PORTABILITY_RECIPIENT", recipient)])
    passphrase = _passphrase()
    if passphrase is None:
        raise RefusedError(
            "There is no passphrase to encrypt the backup with",
            "Set PORTABILITY_PASSPHRASE, or PORTABILITY_RECIPIENT to the file of a public key.",
        )
    return passphrase


def _decryption_key(recipients: bool) -> DecryptionKey | None:
    """What opens archives encrypted to ``recipients`` or else to a passphrase, if it is here."""
    from portability_pipelines.filters.openpgp_keys import SecretKey

    passphrase = _passphrase()
    if not recipients:
        return passphrase
    path = os.environ.get("PORTABILITY_SECRET_KEY")
    if not path:
        return None
    content = _existing("PORTABILITY_SECRET_KEY", path).read_bytes()
    return SecretKey(
        content,
        passphrase.secret if passphrase else "",
        "PORTABILITY_SECRET_KEY",
        "PORTABILITY_PASSPHRASE",
    )


def _existing(variable: str, path: str) -> Path:
    """The file at ``path``, of which an error says nothing: it may be the key itself."""
    try:
        found = Path(path).is_file()
    except (OSError, ValueError):
        found = False
    if not found:
        raise RefusedError(f"{variable} does not name a file", "Set it to the path of a key file.")
    return Path(path)


def scratch_folder() -> Path:
    """A folder for private working files, on the project's disk."""
    return private_folder() / "scratch"


def source_engine(database: Database) -> Engine:
    """The declared database, opened for reading when it is used."""
    source = database.source
    path = source.path
    if source.path_env is not None:
        path = os.environ.get(source.path_env)
        if not path:
            place = database.places.get("source.path_env")
            raise RefusedError(
                f"{at(place)}the environment variable {source.path_env} is not set",
                f"Set it to the path of the database {database.name!r}.",
            )
    return open_engine(source.engine, project_folder() / (path or ""), scratch_folder())


def document_target(database: str) -> MongoTarget:
    """The MongoDB database that a migration writes to; connects when it is used."""
    from portability_pipelines.engines.mongodb import MongoTarget

    uri = os.environ.get("PORTABILITY_MONGODB_URI")
    if not uri:
        raise RefusedError(
            "PORTABILITY_MONGODB_URI is not set",
            "Set it to the mongodb:// address of the server to migrate to; 'make up' and "
            "'make demo' start one of their own where it is unset.",
        )
    return MongoTarget(uri, database)


def passphrase_file() -> Path:
    """Where the demo keeps the passphrase that it made."""
    return private_folder() / "passphrase"


def _passphrase() -> Passphrase | None:
    from portability_pipelines.filters.openpgp_keys import Passphrase

    secret = os.environ.get("PORTABILITY_PASSPHRASE")
    if secret is not None and not secret.strip():
        raise RefusedError(
            "PORTABILITY_PASSPHRASE is empty",
            "Set it to a generated secret, or unset it to do with the one that the demo made.",
        )
    if secret:
        return Passphrase(secret, "PORTABILITY_PASSPHRASE")
    file = passphrase_file()
    if not file.is_file():
        return None
    return Passphrase(os.fsdecode(file.read_bytes()).strip(), str(file))


def _s3_client() -> S3Client:
    from portability_pipelines.orchestration.s3 import StoreS3Resource

    return StoreS3Resource().get_client()
