"""What lies in the buffers of Arrow arrays, sliced ones too, as numpy sees it; and back.

That also spares ``Array.to_numpy``, ``pa.array`` and ``pa.scalar``, which import pandas where it is
installed: a second and a half.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa


def validity_bytes(values: pa.Array) -> npt.NDArray[np.uint8]:
    """One byte for each of ``values``: 0 for NULL, else 1."""
    if not values.null_count:
        return np.ones(len(values), np.uint8)
    valid = values.is_valid().cast(pa.uint8())
    return np.frombuffer(valid.buffers()[1], np.uint8, len(valid), valid.offset)


def numbers(values: pa.Array, kind: npt.DTypeLike) -> npt.NDArray[Any]:
    """The numbers of an array whose values take 8 bytes each; what lies under a NULL included."""
    if len(values) == 0:
        return np.zeros(0, kind)
    return np.frombuffer(values.buffers()[1], kind, len(values), values.offset * 8)


def value_bytes(values: pa.Array) -> tuple[npt.NDArray[np.int32], memoryview]:
    """The bytes of text or binary ``values``, and the offsets from 0 on that divide them.

    What lies under a NULL is included.
    """
    if len(values) == 0:
        return np.zeros(1, np.int32), memoryview(b"")
    _, offset_buffer, data = values.buffers()
    offsets = np.frombuffer(offset_buffer, np.int32, len(values) + 1, values.offset * 4)
    start, end = int(offsets[0]), int(offsets[-1])
    return offsets - offsets[0], memoryview(data or b"")[start:end]


def array_of(
    kind: pa.DataType, valid: npt.NDArray[np.uint8 | np.bool_], *buffers: npt.NDArray[Any] | bytes
) -> pa.Array:
    """An array of ``kind`` over ``buffers``, as ``numbers`` or ``value_bytes`` give them.

    It is NULL where ``valid`` is 0.
    """
    validity = None if valid.all() else pa.py_buffer(np.packbits(valid, bitorder="little"))
    return pa.Array.from_buffers(kind, len(valid), [validity, *map(pa.py_buffer, buffers)])


def overflows(values: pa.Array) -> bool:
    """Whether ``values`` have more bytes than their 32-bit offsets can count.

    No single value has, so that where the offsets pass their limit they fall.
    """
    if not (pa.types.is_string(values.type) or pa.types.is_binary(values.type)) or not len(values):
        return False
    offsets = np.frombuffer(values.buffers()[1], np.int32, len(values) + 1, values.offset * 4)
    return bool(offsets[0] < 0 or (offsets[1:] < offsets[:-1]).any())


def little_endian(data: npt.NDArray[Any]) -> memoryview:
    """``data`` for hashing, its bytes swapped on the machines that need it."""
    return np.ascontiguousarray(data, data.dtype.newbyteorder("<")).data
