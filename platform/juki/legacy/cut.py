"""行を項目に分ける: a kept row shown item by item, as far as it can be read; nothing is judged."""

from __future__ import annotations

import csv

from juki.legacy.layout import FileLayout, Layout


def cells_of(raw: bytes, file: str, layout: Layout | None) -> tuple[tuple[str, str], ...]:
    """(item, text) of each filled item; the whole row as one where no layout fits. Unreadable bytes show as U+FFFD."""
    spec = next((f for f in layout.file if file in f.names), None) if layout else None
    if layout is None or spec is None:
        return (("", raw.decode("utf-8", "replace")),)
    if layout.form == "fixed" and spec.kind != "gaiji":
        return _fixed(raw, spec, layout.encoding)
    return _csv(raw, spec, layout.encoding)


def _fixed(raw: bytes, spec: FileLayout, encoding: str) -> tuple[tuple[str, str], ...]:
    found: list[tuple[str, str]] = []
    for field in spec.fields:
        text = raw[field.at - 1 : field.at - 1 + field.width].decode(encoding, "replace").strip(" \u3000")
        if text:
            found.append((field.title, text))
    return tuple(found)


def _csv(raw: bytes, spec: FileLayout, encoding: str) -> tuple[tuple[str, str], ...]:
    """Items by place: the header is not kept with the row, so a file with its columns moved shows them by number."""
    try:
        cells = next(csv.reader([raw.decode(encoding, "replace")]), list[str]())
    except csv.Error:
        return (("", raw.decode(encoding, "replace")),)
    if len(cells) != len(spec.fields):
        return tuple((f"#{number}", cell) for number, cell in enumerate(cells, 1) if cell)
    return tuple((field.title, cell) for field, cell in zip(spec.fields, cells, strict=True) if cell)
