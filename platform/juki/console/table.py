"""Lists as values: headings, rows, and what to do where there are none."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec


class Cell(msgspec.Struct, frozen=True):
    """A cell that is more than text: a way on (`path`), or a word with a look."""

    text: str
    path: str = ""
    look: str = ""


class Table(msgspec.Struct, frozen=True, kw_only=True):
    """One list of a page."""

    heads: Sequence[str]
    rows: Sequence[Sequence[str | Cell]]
    empty: str
    title: str = ""
    note: str = ""
