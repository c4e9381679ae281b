"""行を項目に分ける: a kept row shown item by item, as far as it can be read; nothing is judged."""

from __future__ import annotations

import csv
import re
from collections.abc import Collection
from typing import Final

from juki.legacy.layout import Field, FileLayout, Layout

HIDDEN: Final = "（表示する権限がありません）"
_NUMBER: Final = re.compile(r"\d{11,}")


def cells_of(
    raw: bytes, file: str, layout: Layout | None, *, hidden: Collection[str] = ()
) -> tuple[tuple[str, str], ...]:
    """(item, text) of each filled item; the whole row as one where no layout fits. Unreadable bytes show as U+FFFD.

    Of items whose path is in `hidden` nothing is shown but that they are filled; where items cannot be told apart, no row
    of digits as long as such a number is.
    """
    spec = next((f for f in layout.file if file in f.names), None) if layout else None
    if layout is None or spec is None:
        return (("", _without_numbers(raw.decode("utf-8", "replace"), hidden)),)
    if layout.form == "fixed" and spec.kind != "gaiji":
        return _fixed(raw, spec, layout.encoding, hidden)
    return _csv(raw, spec, layout.encoding, hidden)


def _without_numbers(text: str, hidden: Collection[str]) -> str:
    return _NUMBER.sub(HIDDEN, text) if hidden else text


def _shown(field: Field, text: str, hidden: Collection[str]) -> tuple[str, str]:
    return field.title, HIDDEN if field.to in hidden else text


def _fixed(raw: bytes, spec: FileLayout, encoding: str, hidden: Collection[str]) -> tuple[tuple[str, str], ...]:
    found: list[tuple[str, str]] = []
    for field in spec.fields:
        text = raw[field.at - 1 : field.at - 1 + field.width].decode(encoding, "replace").strip(" \u3000")
        if text:
            found.append(_shown(field, text, hidden))
    return tuple(found)


def _csv(raw: bytes, spec: FileLayout, encoding: str, hidden: Collection[str]) -> tuple[tuple[str, str], ...]:
    """Items by place: the header is not kept with the row, so a file with its columns moved shows them by number."""
    try:
        cells = next(csv.reader([raw.decode(encoding, "replace")]), list[str]())
    except csv.Error:
        return (("", _without_numbers(raw.decode(encoding, "replace"), hidden)),)
    if len(cells) != len(spec.fields):
        return tuple((f"#{n}", _without_numbers(cell, hidden)) for n, cell in enumerate(cells, 1) if cell)
    return tuple(_shown(field, cell, hidden) for field, cell in zip(spec.fields, cells, strict=True) if cell)
