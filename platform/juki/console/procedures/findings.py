"""審査の結果: what a rule says of the record, put beside the field of the paper."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from juki.console.form import Form
from juki.console.procedures.amending import CORRECTIONS
from juki.problem import Invalid, JukiError
from juki.web import text_of

_NOBODY: Final[Mapping[str, str]] = MappingProxyType({})


def place_findings(form: Form, fields: Mapping[str, str], about: Mapping[str, str] = _NOBODY) -> None:
    """Put a rule's finding beside the field of the paper that it is about; `about` says whom, path by path."""
    for path, code in fields.items():
        form.wrong(_of_correction(form, path) or field_of(path), sentence(path, code, about))


def sentence(path: str, code: str, about: Mapping[str, str] = _NOBODY) -> str:
    """What a rule says, after the name of whom it is about; where no name is at hand, after the number the path bears."""
    head, _, number = path.partition(".")
    who = about.get(path, "") or (f"宛名番号 {number}" if head in {"event_no", "standing"} and number else "")
    return f"{who}: {text_of(code, 422)}" if who else text_of(code, 422)


def _of_correction(form: Form, path: str) -> str:
    """`items.basic.sex` -> the 正しい内容 of the row in which that item was chosen."""
    item = path.removeprefix("items.")
    return next((f"value_{n}" for n in range(CORRECTIONS) if item != path and form.text(f"item_{n}") == item), "")


def place_problem(form: Form, error: JukiError) -> None:
    """Put a refusal of the whole form where the clerk finds it: a number used before beside the number itself."""
    fields = error.fields if isinstance(error, Invalid) else {}
    if fields:
        place_findings(form, fields)
    else:
        spot = "form_no" if error.code in ("registry.form_used", "registry.form_handed_back") else "form"
        form.wrong(spot, text_of(error.code, error.status, error.facts))


def field_of(path: str) -> str:
    """`persons.0.birth` -> `p0_birth`, `address.text` -> `to_text`; an unknown path names the page."""
    parts = path.split(".")
    leaf = {"card": "card_number"}.get(parts[-1], parts[-1])
    if parts[0] == "persons" and len(parts) > 2 and parts[1].isdecimal():
        return f"p{parts[1]}_{leaf}"
    if parts[0] == "person" and len(parts) > 1:
        return f"p0_{leaf}"
    if parts[0] == "foreigner":
        return parts[1] if len(parts) > 1 else "nationality"
    heads = {"address": "to", "destination": "to", "previous_address": "from"}
    if parts[0] in heads:
        return f"{heads[parts[0]]}_{parts[1] if len(parts) > 1 else 'text'}"
    if parts[0] == "reception" and len(parts) > 1:
        return parts[1]
    return {"atena_nos": "who", "items": "item_0"}.get(parts[0], parts[0])
