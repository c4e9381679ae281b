"""住所: the fields of an address, and the address they say."""

from __future__ import annotations

from juki.console.form import Field, Form
from juki.registry.model import Place


def place_fields(
    prefix: str, label: str, *, required: bool = True, country: bool = False, group: str = ""
) -> list[Field]:
    """住所, 方書, 郵便番号 under one prefix."""
    asked = [
        Field(
            name=f"{prefix}_text",
            group=group,
            label=label,
            required=required,
            width="xl",
            max=200,
            hint="都道府県から番地まで",
        ),
        Field(name=f"{prefix}_building", group=group, label="方書", width="l", max=200, hint="建物の名前と部屋番号"),
        Field(
            name=f"{prefix}_postal",
            group=group,
            label="郵便番号",
            kind="number",
            width="xs",
            max=12 if country else 7,
            rule="" if country else "postal",  # other countries write theirs otherwise
        ),
    ]
    if country:
        asked.append(Field(name=f"{prefix}_country", group=group, label="国名（国外の場合）", width="m", max=60))
    return asked


def place_of(form: Form, prefix: str) -> Place:
    """The address given under a prefix."""
    return Place(
        text=form.text(f"{prefix}_text"),
        building=form.text(f"{prefix}_building"),
        postal=form.text(f"{prefix}_postal"),
        country=form.text(f"{prefix}_country"),
    )
