"""A digest of a table's values as they are stored, each with its own kind.

``values-sha256-v1`` is made as follows, with integers little-endian and texts in UTF-8.

Each column feeds its values, in row order, to seven SHA-256 streams:

- *kinds*: one byte for each row: 0 NULL, 1 integer, 2 real, 3 text, 4 blob.
- *integers*: 8 bytes two's complement each. *reals*: 8 bytes IEEE 754 binary64 each.
- *text lengths* and *blob lengths*: the length of each text or blob in bytes, as int32.
- *texts* and *blobs*: their bytes as they are stored, one after the other.

The digest of a column is SHA-256 over: the length of its name in bytes (uint32), the name, and the
32-byte digests of kinds, integers, reals, text lengths, texts, blob lengths and blobs. The digest
of the table is SHA-256 over: the number of rows (uint64) and the digests of the columns in order.
"""

from __future__ import annotations

import hashlib
import struct
from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np
import pyarrow as pa

from portability_pipelines.domain.tables import StorageClass
from portability_pipelines.formats.buffers import (
    little_endian,
    numbers,
    validity_bytes,
    value_bytes,
)

VERSION = "values-sha256-v1"

_CODES: dict[StorageClass, int] = {"integer": 1, "real": 2, "text": 3, "blob": 4}
_NUMBERS: dict[StorageClass, type] = {"integer": np.int64, "real": np.float64}


class ValueDigest:
    """Digests the columns called ``names`` batch by batch, in memory bounded by a batch.

    Does not depend on how rows are cut into batches. Releases the GIL while it hashes.
    """

    def __init__(self, names: Sequence[str]) -> None:
        self.rows = 0
        self._columns = [_Column(name) for name in names]

    def update(self, columns: Sequence[Mapping[StorageClass, pa.Array]]) -> None:
        """Append rows: for each column an array of every kind, NULL where a value has another."""
        for column, arrays in zip(self._columns, columns, strict=True):
            column.update(arrays)
        self.rows += len(next(iter(columns[0].values())))

    def counts(self, place: int) -> Mapping[StorageClass, int]:
        """How many values of each kind the column at ``place`` holds so far; NULL is none."""
        return self._columns[place].counts

    def hexdigest(self) -> str:
        """``values-sha256-v1:`` and 64 hex digits over all rows so far."""
        whole = hashlib.sha256(struct.pack("<Q", self.rows))
        for column in self._columns:
            whole.update(column.digest())
        return f"{VERSION}:{whole.hexdigest()}"


class _Column:
    def __init__(self, name: str) -> None:
        self.counts: Counter[StorageClass] = Counter()
        encoded = name.encode()
        self._heading = struct.pack("<I", len(encoded)) + encoded
        self._kinds = hashlib.sha256()
        self._lengths = {kind: hashlib.sha256() for kind in _CODES if kind not in _NUMBERS}
        self._data = {kind: hashlib.sha256() for kind in _CODES}

    def update(self, arrays: Mapping[StorageClass, pa.Array]) -> None:
        kinds = np.zeros(len(next(iter(arrays.values()))), np.uint8)
        for kind, array in arrays.items():
            kinds += validity_bytes(array) * np.uint8(_CODES[kind])
            values = array.drop_null() if array.null_count else array
            self.counts[kind] += len(values)
            self._feed(kind, values)
        self._kinds.update(kinds.data)

    def _feed(self, kind: StorageClass, values: pa.Array) -> None:
        if kind in _NUMBERS:
            self._data[kind].update(little_endian(numbers(values, _NUMBERS[kind])))
            return
        offsets, data = value_bytes(values)
        self._lengths[kind].update(little_endian(np.diff(offsets)))
        self._data[kind].update(data)

    def digest(self) -> bytes:
        streams = [self._kinds]
        for kind, data in self._data.items():
            streams += [self._lengths[kind], data] if kind in self._lengths else [data]
        return hashlib.sha256(
            b"".join((self._heading, *(stream.digest() for stream in streams)))
        ).digest()
