"""Names as parts of paths: each its own, short enough for a file, and never another tomorrow."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portability_pipelines.domain.manifest import path_part

LONGEST_ENDING = ".sqlite.zst.gpg"


@pytest.mark.parametrize(
    ("name", "part"),
    [
        ("clients", "clients"),
        ("Order Details", "Order%20Details"),
        ("a/b", "a%2Fb"),
        (".hidden", "%2Ehidden"),
        ("2026-10", "2026-10"),
        ("я", "%D1%8F"),
        ("~", "%7E"),
        ("", "empty~"),
        ("a" * 240, "a" * 240),
        ("я" * 40, "%D1%8F" * 40),
        (
            "a" * 241,
            "a" * 150 + "~ec6e326ef29fe322b62111584194c54efc8c4b6c25f098b24fa742a3918abf6f",
        ),
    ],
)
def test_a_name_is_always_the_same_part(name: str, part: str) -> None:
    assert path_part(name) == part


long_names = st.builds(
    lambda start, end: start * 60 + end, st.text(min_size=2, max_size=4), st.text(max_size=2)
)


@given(names=st.sets(st.text(max_size=6) | long_names, min_size=2))
def test_names_of_any_length_have_parts_of_their_own_that_fit(names: set[str]) -> None:
    parts = {path_part(name) for name in names}
    assert len(parts) == len(names)
    for part in parts:
        assert part
        assert "/" not in part
        assert not part.startswith(".")
        assert part.isascii()
        assert len(part + LONGEST_ENDING) <= 255


def test_a_part_is_not_cut_inside_a_byte() -> None:
    name = "a" + "я" * 100
    shown, _, checksum = path_part(name).partition("~")
    assert len(checksum) == 64
    assert shown == "a" + "%D1%8F" * 24 + "%D1"
