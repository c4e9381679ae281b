"""差戻しの再入力: a change that was handed back, as the fields of its paper again, so that only the mistake is typed anew."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from juki import dates
from juki.console.procedures.amending import CORRECTIONS, as_said
from juki.console.procedures.status import nationality_values
from juki.personal import Personal
from juki.registry.model import (
    Birth,
    Cancel,
    Change,
    Correct,
    Death,
    Foreigner,
    HeadChange,
    MoveIn,
    MoveOut,
    NationalityChange,
    Newcomer,
    NumberSource,
    Place,
    Position,
    Reception,
    Relocate,
    Remake,
)


class Refilled(Personal, frozen=True, kw_only=True):
    """Which form, about whom, and what its fields hold."""

    slug: str
    atena_no: str
    values: dict[str, list[str]]


def refilled(change: Change, reception: Reception, known: Sequence[str]) -> Refilled | None:
    """The form of a change with its values; None for a change that has no form here. `known` are the residents it touches."""
    about = known[0] if known else ""
    match change:
        case MoveIn():
            return _form("move-in", "", _move_in(change), change, reception)
        case Relocate():
            values = {"who": [*change.atena_nos], "setai_no": [change.setai_no], **_positions(change.positions)}
            return _form("relocate", change.atena_nos[0], values | _place("to", change.address), change, reception)
        case Birth() if about:
            return _form("birth", about, _newcomer(0, change.person), change, reception)
        case Death():
            return _form("death", change.atena_no, _positions(change.positions), change, reception)
        case MoveOut():
            values = {"who": [*change.atena_nos], **_positions(change.positions)}
            return _form("move-out", change.atena_nos[0], values | _place("to", change.destination), change, reception)
        case HeadChange() if about and not change.atena_nos:
            return _form("head-change", about, _positions(change.positions), change, reception)
        case NationalityChange():
            values = nationality_values(change) | _expires(change.foreigner)
            return _form("nationality", change.atena_no, values, change, reception)
        case Remake():
            values = {"carried_remarks": [change.carried_remarks]}
            return _form("remake", change.atena_no, values, change, reception)
        case Correct() if len(change.items) <= CORRECTIONS:
            return _form("correct", change.atena_no, _corrections(change), change, reception)
        case Cancel() if about:
            return _form("cancel", about, {"event_no": [str(change.event_no)]}, change, reception)
        case _:
            return None


def _form(slug: str, atena_no: str, values: Mapping[str, list[str]], change: Change, reception: Reception) -> Refilled:
    first = {
        "form_no": reception.form_no,
        "reason": change.reason,
        "occurred_on": dates.wareki(change.occurred_on),
        "notified_on": dates.wareki(dates.from_date(change.notified_on)) if change.notified_on else "",
        "notifier": reception.notifier,
        "source": reception.source.value,
        "document": reception.document.value,
        "remarks": change.remarks,
    }
    return Refilled(slug=slug, atena_no=atena_no, values={k: [v] for k, v in first.items()} | dict(values))


def _move_in(change: MoveIn) -> dict[str, list[str]]:
    values = {
        "persons": [str(len(change.persons))],
        "setai_no": [change.setai_no],
        "former_head_name": [change.former_head_name],
        **_place("to", change.address),
        **_place("from", change.previous_address),
    }
    for n, person in enumerate(change.persons):
        values |= _newcomer(n, person)
    return values


def _newcomer(n: int, person: Newcomer) -> dict[str, list[str]]:
    held = person.foreigner
    values = {
        "name": person.name,
        "name_kana": person.name_kana,
        "birth": dates.wareki(person.birth),
        "sex": person.sex.value,
        "relationship": person.relationship,
        "kind": person.kind.value,
        "registered_domicile": person.registered_domicile,
        "family_head": person.family_head,
        "former_surname": person.former_surname,
        "former_surname_kana": person.former_surname_kana,
        "name_roman": person.name_roman,
        "my_number": person.my_number,
        "my_number_source": person.my_number_source.value if person.my_number else "",
        "resident_code": person.resident_code,
        "nationality": held.nationality if held else "",
        "category": held.category if held else "",
        "residence_status": held.residence_status if held else "",
        "residence_period": held.residence_period if held else "",
        "residence_expires": dates.wareki(held.residence_expires) if held and held.residence_expires else "",
        "card_number": held.card_number if held else "",
    }
    return {f"p{n}_{name}": [text] for name, text in values.items()}


def _expires(held: Foreigner | None) -> dict[str, list[str]]:
    expires = held.residence_expires if held is not None else None
    return {"residence_expires": [dates.wareki(expires) if expires else ""]}


def _place(prefix: str, place: Place) -> dict[str, list[str]]:
    parts = {"text": place.text, "building": place.building, "postal": place.postal, "country": place.country}
    return {f"{prefix}_{name}": [text] for name, text in parts.items()}


def _positions(given: Sequence[Position]) -> dict[str, list[str]]:
    return {f"rel_{p.atena_no}": [p.relationship] for p in given}


def _corrections(change: Correct) -> dict[str, list[str]]:
    stated = change.my_number_source is NumberSource.STATED
    values = {
        "version_no": [str(change.version_no)],
        "my_number_source": ["" if stated else change.my_number_source.value],
    }
    for n, (path, text) in enumerate(change.items.items()):
        values |= {f"item_{n}": [path], f"value_{n}": [as_said(path, text)]}
    return values
