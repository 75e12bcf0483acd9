"""The digest of stored values depends on the values, their kinds and their order alone."""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Sequence

import pyarrow as pa
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from portability_pipelines.domain.tables import StorageClass
from portability_pipelines.formats.records import ARROW_TYPES
from portability_pipelines.formats.value_digest import ValueDigest
from portability_tests.strategies import Value, any_value

thorough = settings(max_examples=200, deadline=None)

ROWS = st.lists(st.tuples(any_value, any_value), max_size=12)
KINDS: dict[type, StorageClass] = {int: "integer", float: "real", str: "text", bytes: "blob"}


def kind_of(value: Value) -> StorageClass | None:
    return KINDS.get(type(value))


def kinded(values: Sequence[Value], *more: StorageClass) -> dict[StorageClass, pa.Array]:
    """A column as an engine gives it, with arrays of no value for the kinds in ``more``."""
    held = {kind for value in values if (kind := kind_of(value))} | set(more)
    return {
        kind: pa.array([v if kind_of(v) == kind else None for v in values], ARROW_TYPES[kind])
        for kind in held or {"integer"}
    }


def digest(*batches: Sequence[tuple[Value, ...]], more: Sequence[StorageClass] = ()) -> str:
    """The digest of the columns ``a``, ``b`` and so on."""
    width = len(batches[0][0]) if batches[0] else 2
    content = ValueDigest("abcdef"[:width])
    for rows in batches:
        content.update([kinded([row[i] for row in rows], *more) for i in range(width)])
    return content.hexdigest()


def by_the_book(rows: Sequence[tuple[Value, ...]]) -> str:
    """The digest as the module's text defines it, value by value."""
    table = struct.pack("<Q", len(rows))
    for place, name in enumerate("ab"):
        streams = dict.fromkeys(("kinds", "i", "r", "tl", "t", "bl", "b"), b"")
        for row in rows:
            match row[place]:
                case None:
                    streams["kinds"] += b"\0"
                case int(value):
                    streams["kinds"] += b"\1"
                    streams["i"] += struct.pack("<q", value)
                case float(value):
                    streams["kinds"] += b"\2"
                    streams["r"] += struct.pack("<d", value)
                case str(value):
                    streams["kinds"] += b"\3"
                    streams["tl"] += struct.pack("<i", len(value.encode()))
                    streams["t"] += value.encode()
                case bytes(value):
                    streams["kinds"] += b"\4"
                    streams["bl"] += struct.pack("<i", len(value))
                    streams["b"] += value
        column = struct.pack("<I", 1) + name.encode()
        column += b"".join(hashlib.sha256(stream).digest() for stream in streams.values())
        table += hashlib.sha256(column).digest()
    return f"values-sha256-v1:{hashlib.sha256(table).hexdigest()}"


@thorough
@given(rows=ROWS)
def test_it_is_what_its_definition_says(rows: list[tuple[Value, ...]]) -> None:
    assert digest(rows) == by_the_book(rows)


@thorough
@given(
    data=st.data(),
    rows=st.lists(st.tuples(any_value, any_value), min_size=2, max_size=12),
    more=st.lists(st.sampled_from(list(ARROW_TYPES))),
)
def test_cuts_and_kinds_without_values_do_not_matter(
    data: st.DataObject, rows: list[tuple[Value, ...]], more: list[StorageClass]
) -> None:
    cut = data.draw(st.integers(1, len(rows) - 1))
    assert digest(rows[:cut], rows[cut:], more=more) == digest(rows)


@thorough
@given(rows=st.lists(st.tuples(any_value, any_value), min_size=1, max_size=12), data=st.data())
def test_one_other_value_changes_it(rows: list[tuple[Value, ...]], data: st.DataObject) -> None:
    row = data.draw(st.integers(0, len(rows) - 1))
    other = data.draw(any_value)
    assume(repr(other) != repr(rows[row][1]))
    changed = [*rows[:row], (rows[row][0], other), *rows[row + 1 :]]
    assert digest(changed) != digest(rows)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ([("1",)], [(1,)]),
        ([(1,)], [(1.0,)]),
        ([("a",)], [(b"a",)]),
        ([(None,)], [("",)]),
        ([("",)], [(b"",)]),
        ([(0.0,)], [(-0.0,)]),
        ([("a",), ("b",)], [("b",), ("a",)]),
        ([("ab",), ("c",)], [("a",), ("bc",)]),
        ([(1,), ("a",)], [("a",), (1,)]),
        ([(None,), (1,)], [(1,), (None,)]),
        ([(1, 2)], [(2, 1)]),
        ([(1,)], [(1,), (None,)]),
    ],
)
def test_what_looks_alike_is_told_apart(
    one: list[tuple[Value, ...]], other: list[tuple[Value, ...]]
) -> None:
    assert digest(one) != digest(other)


def test_values_are_counted_by_kind() -> None:
    content = ValueDigest(["a"])
    content.update([kinded([1, "x", None, 2.5, b"", 3])])
    content.update([kinded([7])])
    assert content.rows == 7
    assert dict(content.counts(0)) == {"integer": 3, "real": 1, "text": 1, "blob": 1}
