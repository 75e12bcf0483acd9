"""What is read from the buffers of Arrow arrays is there, and not what lies beside it."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from portability_pipelines.formats.buffers import overflows


def texts(*offsets: int) -> pa.Array:
    """An array with just these ``offsets``, of which Arrow looks at the first and the last."""
    buffers = [None, pa.py_buffer(np.array(offsets, np.int32)), pa.py_buffer(bytes(offsets[-1]))]
    return pa.Array.from_buffers(pa.string(), len(offsets) - 1, buffers)


@pytest.mark.parametrize(
    ("offsets", "wrapped"),
    [
        ((0, 5, 5, 9), False),
        ((2, 5, 9), False),
        ((0, 2_000_000_000, -294_967_296, 1_000), True),
        ((0, 2_147_000_000, 100, 200), True),
        ((0, -294_967_296, 100), True),
    ],
)
def test_offsets_that_passed_their_limit_are_seen(offsets: tuple[int, ...], wrapped: bool) -> None:
    assert overflows(texts(*offsets)) is wrapped
    assert overflows(texts(*offsets).cast(pa.binary())) is wrapped


def test_a_slice_is_judged_by_its_own_offsets() -> None:
    values = texts(0, 7, 3, 4, 9)
    assert overflows(values)
    assert overflows(values.slice(1))
    assert not overflows(values.slice(2))


def test_what_has_no_offsets_never_overflows() -> None:
    assert not overflows(pa.array([1, None]))
    assert not overflows(pa.array([], pa.string()))
    assert not overflows(pa.nulls(3))
