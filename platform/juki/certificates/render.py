"""証明書の印刷: words of a form become PDF bytes. Pure: bytes in, bytes out.

Every word is first settled against the font (variation sequences, 外字), then set; whatever cannot be drawn or does not
fit is Invalid and names the item (and whose, by place on the form), never its value.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Sequence
from itertools import count
from pathlib import Path
from typing import Any, Final

from juki import paper
from juki.certificates.compose import Field, Office, Page, Sheet
from juki.problem import Invalid

TEMPLATE: Final = Path(__file__).parent / "templates" / "resident.typ"


def certificate(
    sheet: Sheet, office: Office, labels: Sequence[str], *, mark: str, now: dt.datetime, preview: bool = False
) -> bytes:
    """PDF/A of every copy, one label (発行番号) a copy; equal arguments give equal bytes. `preview` leaves the seal off.

    `mark` is random and goes into the metadata, so that a digest of the file cannot be guessed from its content.
    Raises Invalid `certificates.overflow` or `certificates.glyph_missing` with the item in `fields`; on a joint form the
    item of one person as `members.1.name`, counted from 0 as the persons stand on the form.
    """
    try:
        values = page_values(sheet, office, labels, mark=mark) | {"preview": preview}
        return paper.pdf(TEMPLATE, values, stamp=int(now.timestamp()))
    except Invalid as fault:
        raise _told(fault) from None


def pictures(
    sheet: Sheet, office: Office, labels: Sequence[str], *, mark: str, now: dt.datetime, ppi: float = 144.0
) -> list[bytes]:
    """The same pages as PNG, for looking at and for comparing glyphs as drawn."""
    try:
        values = page_values(sheet, office, labels, mark=mark) | {"preview": False}
        return paper.png(TEMPLATE, values, stamp=int(now.timestamp()), ppi=ppi)
    except Invalid as fault:
        raise _told(fault) from None


def page_values(sheet: Sheet, office: Office, labels: Sequence[str], *, mark: str) -> dict[str, Any]:
    """What the template is given: the words of the sheet, settled against the font, and the marks of the office."""
    own = frozenset(office.glyphs)
    return {
        "title": sheet.title,
        "subtitle": sheet.subtitle,
        "form": sheet.form,
        "pages": _pages(sheet, own),
        "statement": sheet.statement,
        "date": sheet.date,
        "head": _settled("head", sheet.head, own),
        "official_use": sheet.official_use,
        "municipality": office.municipality,
        "seal": office.seal_svg,
        "seal_mm": office.seal_mm,
        "glyphs": office.glyphs,
        "labels": list(labels),
        "mark": mark,
    }


def _pages(sheet: Sheet, own: frozenset[str]) -> list[dict[str, Any]]:
    heads = (f"members.{n}." if sheet.form == "joint" else "" for n in count())
    return [_page(page, own, heads) for page in sheet.pages]


def _page(page: Page, own: frozenset[str], heads: Iterator[str]) -> dict[str, Any]:
    return {
        "common": [_box(field, own, "") for field in page.common],
        "blocks": [
            {"layout": b.layout, "fields": [_box(field, own, head) for field in b.fields]}
            for b, head in zip(page.blocks, heads, strict=False)
        ],
    }


def _box(field: Field, own: frozenset[str], head: str) -> dict[str, str]:
    path = head + field.item
    return {"item": field.item, "path": path, "label": field.label, "value": _settled(path, field.value, own)}


def _settled(path: str, value: str, own: frozenset[str]) -> str:
    """The value as the font must be given it. Line breaks are ours and stay."""
    try:
        return "\n".join(paper.mincho().settle(line, own=own) for line in value.split("\n"))
    except Invalid as fault:
        raise Invalid(fault.code, fault.detail, fields={path: fault.code}) from None


def _told(fault: Invalid) -> Invalid:
    """The paper's fault in the words of this slice."""
    code = fault.code.replace("paper.", "certificates.")
    fields = dict.fromkeys(fault.fields, code)
    return Invalid(code, fault.detail, fields=fields)
