"""異動の一覧: which file answers for which form, whom a form names, and which of its fields are typed twice."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from juki import dates
from juki.dates import RegistryDate
from juki.problem import Invalid
from juki.registry import (
    birth,
    cancel,
    correct,
    death,
    head_change,
    items,
    move_in,
    move_out,
    nationality,
    relocate,
    remake,
)
from juki.registry.change import (
    Amend,
    Birth,
    Cancel,
    Change,
    Correct,
    Death,
    Findings,
    HeadChange,
    MoveIn,
    MoveInNotice,
    MoveOut,
    NationalityChange,
    Newcomer,
    Relocate,
    Remake,
)
from juki.registry.query import digits
from juki.registry.resident import Record
from juki.registry.scene import Drawn, Needs, Scene, reseat
from juki.registry.timeline import headless

_MY_NUMBER = "my_number.my_number"
_RESIDENT_CODE = "resident_code.resident_code"
_CARD = "foreigner.card_number"


def check(change: Change, scene: Scene, code_rule: str) -> Findings:
    """The rules of a form's own; days, reception and the households that result are checked for all alike."""
    match change:
        case MoveIn():
            return move_in.check(change, scene, code_rule)
        case Relocate():
            return relocate.check(change, scene)
        case Birth():
            return birth.check(change, scene, code_rule)
        case Death():
            return death.check(change, scene)
        case MoveOut():
            return move_out.check(change, scene)
        case MoveInNotice():
            return move_out.check_notice(change, scene)
        case Correct():
            return correct.check(change, scene, code_rule)
        case Amend():
            return correct.check_amend(change, scene, code_rule)
        case NationalityChange():
            return nationality.check(change, scene)
        case Remake():
            return remake.check(change, scene)
        case HeadChange():
            return head_change.check(change, scene)
        case Cancel():
            return cancel.check(change, scene)


def apply(change: Change, scene: Scene, drawn: Drawn) -> tuple[Record, ...]:
    """New versions that the change makes, unstamped, every household whole on every day from then on.

    Pure: the same change on the same scene with the same numbers gives the same versions. A 除票 that an incumbent still
    marked as 世帯主 loses the mark with its first change here.
    """
    return tuple(headless(version) for version in reseat(scene, _apply(change, scene, drawn)))


def _apply(change: Change, scene: Scene, drawn: Drawn) -> tuple[Record, ...]:
    match change:
        case MoveIn():
            return move_in.apply(change, scene, drawn)
        case Relocate():
            return relocate.apply(change, scene, drawn)
        case Birth():
            return birth.apply(change, scene, drawn)
        case Death():
            return death.apply(change, scene, drawn)
        case MoveOut():
            return move_out.apply(change, scene, drawn)
        case MoveInNotice():
            return move_out.apply_notice(change, scene, drawn)
        case Correct():
            return correct.apply(change, scene, drawn)
        case Amend():
            return correct.apply_amend(change, scene, drawn)
        case NationalityChange():
            return nationality.apply(change, scene, drawn)
        case Remake():
            return remake.apply(change, scene, drawn)
        case HeadChange():
            return head_change.apply(change, scene, drawn)
        case Cancel():
            return cancel.apply(change, scene, drawn)


def needs(change: Change, scene: Scene) -> Needs:
    """How many new numbers the change draws."""
    match change:
        case MoveIn():
            return move_in.needs(change, scene)
        case Relocate():
            return relocate.needs(change, scene)
        case Birth():
            return birth.needs(change)
        case Amend():
            return correct.needs(change)
        case HeadChange():
            return head_change.needs(change)
        case _:
            return Needs()


def subjects(change: Change) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """(宛名番号, 世帯番号) that a form names."""
    match change:
        case MoveIn():
            return tuple(p.returning_atena_no for p in change.persons if p.returning_atena_no), _some(change.setai_no)
        case Birth():
            return (), _some(change.setai_no)
        case Relocate():
            return (*change.atena_nos, *(p.atena_no for p in change.positions)), _some(change.setai_no)
        case MoveOut():
            return (*change.atena_nos, *(p.atena_no for p in change.positions)), ()
        case MoveInNotice():
            return change.atena_nos, ()
        case Death():
            return (change.atena_no, *(p.atena_no for p in change.positions)), ()
        case Correct() | Amend() | NationalityChange() | Remake():
            return (change.atena_no,), ()
        case HeadChange():
            return change.atena_nos, (change.household, *_some(change.setai_no))
        case Cancel():
            return (), ()


def about(change: Change) -> tuple[str, ...]:
    """対象: the residents a form is about; nobody where it names a household or another change."""
    match change:
        case Relocate() | MoveOut() | MoveInNotice() | HeadChange():
            return change.atena_nos
        case Death() | Correct() | Amend() | NationalityChange() | Remake():
            return (change.atena_no,)
        case _:
            return ()


def _some(setai_no: str) -> tuple[str, ...]:
    return (setai_no,) if setai_no else ()


def newcomers(change: Change) -> dict[str, Newcomer]:
    """Path -> person of everyone a form enters."""
    if isinstance(change, MoveIn):
        return {f"persons.{i}": person for i, person in enumerate(change.persons)}
    return {"person": change.person} if isinstance(change, Birth) else {}


def numbers(change: Change) -> dict[str, tuple[str, str]]:
    """Path -> (kind, number) of every number on a form that only one person can hold."""
    found: dict[str, tuple[str, str]] = {}
    for path, person in newcomers(change).items():
        found[f"{path}.my_number"] = ("my_number", person.my_number)
        found[f"{path}.resident_code"] = ("resident_code", person.resident_code)
        found[f"{path}.card"] = ("card", person.foreigner.card_number if person.foreigner else "")
    if isinstance(change, NationalityChange) and change.foreigner is not None:
        found["foreigner.card_number"] = ("card", change.foreigner.card_number)
    if isinstance(change, Correct | Amend):
        for path, kind in ((_MY_NUMBER, "my_number"), (_RESIDENT_CODE, "resident_code"), (_CARD, "card")):
            found[f"items.{path}"] = (kind, str(change.items.get(path, "")))
    return {path: pair for path, pair in found.items() if pair[1]}


def my_numbers(change: Change) -> dict[str, str]:
    """Path -> 個人番号 on a form."""
    return {path: number for path, (kind, number) in numbers(change).items() if kind == "my_number"}


def with_my_numbers(change: Change, held: Mapping[str, str]) -> Change:
    """The form with 個人番号 put in (or, with empty values, taken out) at their paths."""
    if isinstance(change, MoveIn):
        persons = tuple(
            msgspec.structs.replace(p, my_number=held.get(f"persons.{i}.my_number", p.my_number))
            for i, p in enumerate(change.persons)
        )
        return msgspec.structs.replace(change, persons=persons)
    if isinstance(change, Birth):
        person = change.person
        number = held.get("person.my_number", person.my_number)
        return msgspec.structs.replace(change, person=msgspec.structs.replace(person, my_number=number))
    if isinstance(change, Correct | Amend) and f"items.{_MY_NUMBER}" in held:
        return msgspec.structs.replace(change, items={**change.items, _MY_NUMBER: held[f"items.{_MY_NUMBER}"]})
    return change


def without_resident_codes(change: Change) -> Change:
    """The form with 住民票コード blanked, for whoever may not see them."""
    if isinstance(change, MoveIn):
        persons = tuple(msgspec.structs.replace(p, resident_code="") for p in change.persons)
        return msgspec.structs.replace(change, persons=persons)
    if isinstance(change, Correct | Amend) and _RESIDENT_CODE in change.items:
        return msgspec.structs.replace(change, items={**change.items, _RESIDENT_CODE: ""})
    return change


def twice_typed(change: Change) -> dict[str, str]:
    """Path -> value as compared, of every number and date that a second person types again without seeing it."""
    found = {"occurred_on": _day(change.occurred_on)}
    if change.notified_on is not None:
        found["notified_on"] = change.notified_on.isoformat()
    for path, person in newcomers(change).items():
        found[f"{path}.birth"] = _day(person.birth)
    if isinstance(change, Correct | Amend):
        for path, typed in change.items.items():
            if items.item_type(path) is RegistryDate and isinstance(typed, str):
                value = items.read_value(path, typed)
                found[f"items.{path}"] = _day(value) if value is not None else ""
    for path, (kind, number) in numbers(change).items():
        if kind != "card":
            found[path] = number
    return found


def check_reentry(change: Change, typed: Mapping[str, str]) -> None:
    """Compare what the second person typed with the form as entered.

    Raises Invalid `registry.reentry_mismatch`: `fields` names each path that is missing or differs, never a value.
    """
    wrong: dict[str, str] = {}
    for path, expected in twice_typed(change).items():
        again = typed.get(path, "")
        if not again.strip() and expected:
            wrong[path] = "registry.reentry_missing"
        elif _as_compared(path, expected, again) != expected:
            wrong[path] = "registry.reentry_differs"
    if wrong:
        raise Invalid("registry.reentry_mismatch", "what was typed again differs from the entry", fields=wrong)


def _as_compared(path: str, expected: str, again: str) -> str:
    if path.endswith(("number", "code")):
        return digits(again)
    if not again.strip():
        return ""
    try:
        return _day(dates.parse(again, unknown_allowed=True))
    except Invalid:
        return "unreadable"


def _day(date: RegistryDate) -> str:
    return date.note or date.iso()
