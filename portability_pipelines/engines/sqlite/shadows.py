"""Shadow tables: those in which a virtual table keeps its rows, and those that only look alike.

SQLite takes a table for a shadow one by its name alone: ``posts_content`` beside a full-text table
``posts`` (https://www.sqlite.org/vtab.html, section 2.16). An application may have such a table of
its own, with rows that are nowhere else.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from portability_pipelines.domain.tables import folded

_FTS3 = r"using\W+fts3\b"
_NOT_MADE = {
    "content": r"content\s*=",
    "docsize": rf"columnsize\s*=\W*0|matchinfo\s*=|{_FTS3}",
    "stat": _FTS3,
}
"""By the end of its name, how a virtual table is declared whose module makes no such table
(https://www.sqlite.org/fts5.html, sections 4.4 and 4.5; https://www.sqlite.org/fts3.html,
sections 6.2 and 9.1). The other shadow tables are always made, so that no one else can."""


def repeats_rows(name: str, declared: Mapping[str, str]) -> bool:
    """Whether the shadow table ``name`` was made by a virtual table, which shows its rows.

    ``declared`` has the SQL of the virtual tables that can be opened, by their folded names. In
    doubt it was not: then its rows are read twice, instead of never.
    """
    owner, _, part = folded(name).rpartition("_")
    if owner not in declared:
        return False
    sign = _NOT_MADE.get(part)
    return sign is None or re.search(sign, declared[owner], re.IGNORECASE) is None
