"""What an archive contains: the manifest, its JSON form and its seal (docs/FORMAT.md)."""

from __future__ import annotations

import hashlib
import hmac
import json
import re
from dataclasses import asdict, dataclass, field, replace
from typing import Literal

from portability_pipelines.domain.months import Period
from portability_pipelines.domain.tables import StorageClass

FORMAT_VERSION = 1
LONGEST_PART = 240
"""In bytes: with the longest ending of a data file it makes the 255 that a file system allows."""

_BEGINNING = 150
_UNDIGESTED = "not digested: "
MANIFEST_NAME = "manifest.json"

Kind = Literal["exports", "backup"]


@dataclass(frozen=True)
class ColumnEntry:
    """A column as declared, and as the archive's files store it.

    ``storage_classes`` counts the values of each storage class in the snapshot, NULLs left out;
    it is empty where every value is of the kind that the declaration promises.
    ``note`` says in words what became of values that could not keep their type.
    """

    name: str
    declared_type: str
    stored_type: StorageClass
    storage_classes: dict[str, int] = field(default_factory=dict)
    note: str | None = None

    @property
    def lost_types(self) -> bool:
        """Whether values of other kinds were written as text."""
        return self.stored_type == "text" and any(kind != "text" for kind in self.storage_classes)


@dataclass(frozen=True)
class TableEntry:
    """A table's rows in this archive, counted and digested in the data's own snapshot."""

    name: str
    rows: int
    digest: str
    columns: tuple[ColumnEntry, ...]
    key: tuple[str, ...] = ()
    month_column: str | None = None

    @classmethod
    def not_digested(
        cls, name: str, reason: str, columns: tuple[ColumnEntry, ...], key: tuple[str, ...]
    ) -> TableEntry:
        """A table of a backup whose rows could not be read for ``reason``; they are not counted."""
        return cls(name, 0, _UNDIGESTED + reason, columns, key)

    @property
    def undigested(self) -> str | None:
        """Why the rows could not be read, counted and digested; None where they were."""
        found = self.digest.startswith(_UNDIGESTED)
        return self.digest.removeprefix(_UNDIGESTED) if found else None


@dataclass(frozen=True)
class FileEntry:
    """A file beside the manifest: sizes in bytes, SHA-256 in hex, as stored and of the plaintext.

    The plaintext is what ``compression`` and ``encryption`` were applied to.
    """

    name: str
    format: str
    size_bytes: int
    sha256: str
    plaintext_size_bytes: int
    plaintext_sha256: str
    compression: str = "none"
    encryption: str = "none"


@dataclass(frozen=True)
class Encryption:
    """How files are encrypted: to a passphrase, or to the certificates in ``recipients``."""

    format: str
    cipher: str
    mode: Literal["passphrase", "recipients"]
    recipients: tuple[str, ...] = ()


@dataclass(frozen=True)
class Source:
    """Where the data came from. ``snapshot_at`` is ISO 8601 in UTC."""

    database: str
    engine: str
    engine_version: str
    tool: str
    snapshot_at: str


@dataclass(frozen=True)
class Lineage:
    """Which run of which code wrote the archive."""

    run_id: str
    asset: str
    code_version: str


@dataclass(frozen=True)
class Manifest:
    """The contents list of one archive; an archive without one does not exist."""

    archive_id: str
    kind: Kind
    dataset: str
    period: Period
    created_at: str
    source: Source
    tables: tuple[TableEntry, ...]
    files: tuple[FileEntry, ...]
    lineage: Lineage
    encryption: Encryption | None = None
    format_version: int = FORMAT_VERSION
    seal: str | None = None

    @property
    def prefix(self) -> str:
        """The store folder that holds the archive."""
        folder = period_prefix(self.source.database, self.kind, self.dataset, self.period)
        return f"{folder}/{self.archive_id}"

    @property
    def rows(self) -> int:
        """Rows over all tables."""
        return sum(table.rows for table in self.tables)

    @property
    def size_bytes(self) -> int:
        """Bytes as stored over all files, the manifest left out."""
        return sum(file.size_bytes for file in self.files)

    def sealed(self, key: bytes) -> Manifest:
        """The same manifest with an HMAC-SHA-256 under ``key`` over its canonical form."""
        return replace(self, seal=_seal(self, key))

    def seal_holds(self, key: bytes) -> bool:
        """Whether the seal was made with ``key`` over exactly this content."""
        return self.seal is not None and hmac.compare_digest(
            self.seal.encode(), _seal(self, key).encode()
        )

    def to_json(self) -> bytes:
        """The stored form: indented JSON in UTF-8."""
        return json.dumps(asdict(self), indent=2, ensure_ascii=False).encode()


def dataset_prefix(database: str, kind: str, dataset: str) -> str:
    """``<database>/<kind>/<dataset>``, each part made safe for a path."""
    return "/".join(map(path_part, (database, kind, dataset)))


def period_prefix(database: str, kind: str, dataset: str, period: Period) -> str:
    """``<database>/<kind>/<dataset>/<period>``, each part made safe for a path."""
    return f"{dataset_prefix(database, kind, dataset)}/{path_part(period)}"


def path_part(name: str) -> str:
    """``name`` as one path part: bytes outside ``A-Za-z0-9._-`` become ``%XX``, as in addresses.

    Where that takes more than ``LONGEST_PART`` bytes, its beginning, ``~`` and the SHA-256 of
    ``name``. Injective, so two tables never share a folder, whatever they are called.
    """
    safe = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-"
    whole = "".join(
        chr(byte) if byte in safe or (byte == ord(".") and place) else f"%{byte:02X}"
        for place, byte in enumerate(name.encode())
    )
    if len(whole) <= LONGEST_PART:
        return whole or "empty~"
    beginning = re.sub("%.?$", "", whole[:_BEGINNING])
    return f"{beginning}~{hashlib.sha256(name.encode()).hexdigest()}"


def _seal(manifest: Manifest, key: bytes) -> str:
    fields = asdict(replace(manifest, seal=None))
    canonical = json.dumps(fields, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hmac.new(key, canonical.encode(), hashlib.sha256).hexdigest()
