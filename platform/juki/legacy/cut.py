"""行を項目に分ける: a kept row shown item by item, as far as it can be read; nothing is judged.

A row is cut only where it is certain that its items lie where the layout says. A number under another item's name would
be shown to whoever may not see it, and a clerk would take one item for another.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Collection
from typing import Final

from juki.legacy.layout import Field, FileLayout, Layout

HIDDEN: Final = "（表示する権限がありません）"
_NUMBER: Final = re.compile(r"\d{11,}")
_FILLER: Final = re.compile("[ \u3000\x00]{2,}")


def cells_of(
    raw: bytes, file: str, layout: Layout | None, *, hidden: Collection[str] = ()
) -> tuple[tuple[str, str], ...]:
    """(item, text) of each filled item; the whole row as one where it does not fit. Unreadable bytes show as U+FFFD.

    `layout` is the layout as the extract was found. Of items whose path is in `hidden` nothing is shown but that they are
    filled; in what has no place in the record, and where items cannot be told apart, no row of digits as long as such a
    number is.
    """
    spec = next((f for f in layout.file if file in f.names), None) if layout else None
    if layout is None or spec is None:
        return _whole(_guessed(raw), hidden)
    cells = _fixed(raw, spec) if layout.form == "fixed" and spec.kind != "gaiji" else _csv(raw, spec, layout.encoding)
    if cells is None:
        return _whole(raw.decode(layout.encoding, "replace"), hidden)
    texts = [
        (field, (cell if isinstance(cell, str) else cell.decode(layout.encoding, "replace")).strip(" \u3000\x00"))
        for field, cell in zip(spec.fields, cells, strict=True)
    ]
    return tuple((field.title, _shown(field, text, hidden)) for field, text in texts if text)


def _guessed(raw: bytes) -> str:
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        return raw.decode("cp932", "replace")


def _whole(text: str, hidden: Collection[str]) -> tuple[tuple[str, str], ...]:
    return (("", _FILLER.sub("\u3000", _without_numbers(text, hidden))),)


def _without_numbers(text: str, hidden: Collection[str]) -> str:
    return _NUMBER.sub(HIDDEN, text) if hidden else text


def _shown(field: Field, text: str, hidden: Collection[str]) -> str:
    if field.to == "-":
        return _without_numbers(text, hidden)
    return HIDDEN if field.to in hidden else text


def _fixed(raw: bytes, spec: FileLayout) -> list[bytes] | None:
    if len(raw) != spec.length:
        return None
    return [raw[field.at - 1 : field.at - 1 + field.width] for field in spec.fields]


def _csv(raw: bytes, spec: FileLayout, encoding: str) -> list[str] | None:
    try:
        cells = next(csv.reader([raw.decode(encoding, "replace")], strict=True), list[str]())
    except csv.Error:
        return None
    return cells if len(cells) == len(spec.fields) else None
