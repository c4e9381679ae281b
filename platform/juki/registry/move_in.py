"""転入・職権記載: a family or one person comes in; who lived here before goes on under the same 宛名番号 (R-1-2.3-LNK-01)."""

from __future__ import annotations

import datetime as dt

import msgspec

from juki.dates import from_date
from juki.registry import rules
from juki.registry.change import Findings, MoveIn, Newcomer
from juki.registry.members import relationship_key
from juki.registry.resident import (
    Address,
    Basic,
    Domicile,
    Kind,
    MyNumber,
    Notes,
    Record,
    ResidentCode,
    Status,
)
from juki.registry.scene import Drawn, Needs, Scene, outcome


def needs(change: MoveIn, scene: Scene) -> Needs:
    """One 宛名番号 for each who never lived here, a 世帯番号 for a new household, a 住民票コード for each who has none."""
    return Needs(
        atena_nos=sum(1 for p in change.persons if not p.returning_atena_no),
        setai_nos=0 if change.setai_no else 1,
        resident_codes=sum(1 for p in change.persons if not _code(p, scene)),
    )


def _code(person: Newcomer, scene: Scene) -> str:
    """住民票コード that the form says, or that whoever returns had here last: nobody is given a second one (法30条の3)."""
    held = scene.now(person.returning_atena_no) if person.returning_atena_no and not person.resident_code else None
    return held.resident_code.resident_code if held is not None and held.resident_code else person.resident_code


def check(change: MoveIn, scene: Scene, code_rule: str) -> Findings:
    """Each person, numbers held by others, namesakes, an existing household and its address."""
    day = change.occurred_on.sort_date()
    parts = [rules.check_newcomer(p, f"persons.{i}", day, code_rule) for i, p in enumerate(change.persons)]
    if not change.persons:
        parts.append(rules.error("registry.nobody", "persons"))
    if not change.address.text.strip():
        parts.append(rules.error("registry.required", "address.text"))
    if change.setai_no:
        parts.append(rules.check_joined(scene, change.setai_no, day))
    own: dict[str, str] = {}
    for i, person in enumerate(change.persons):
        own |= {f"persons.{i}.{name}": person.returning_atena_no for name in ("my_number", "resident_code", "card")}
        parts.append(_check_returning(person, scene, day, f"persons.{i}"))
        if any(a != person.returning_atena_no for a in scene.namesakes.get(f"persons.{i}", ())):
            parts.append(rules.alert("registry.namesake", f"persons.{i}"))
    if any(len(set(held)) < len(held) for held in _held_once(change)):
        parts.append(rules.error("registry.number_held", "persons"))
    return rules.total((*parts, rules.check_holders(scene, own)))


def _held_once(change: MoveIn) -> tuple[list[str], ...]:
    """What no two persons of one form can share: each number, and the record that goes on."""
    people = change.persons
    return (
        [p.my_number for p in people if p.my_number],
        [p.resident_code for p in people if p.resident_code],
        [p.foreigner.card_number for p in people if p.foreigner is not None and p.foreigner.card_number],
        [p.returning_atena_no for p in people if p.returning_atena_no],
    )


def _check_returning(person: Newcomer, scene: Scene, day: dt.date, field: str) -> Findings:
    if not person.returning_atena_no:
        return Findings()
    held = scene.now(person.returning_atena_no)
    if held is None:
        return rules.error("registry.unknown_resident", f"{field}.returning_atena_no")
    then = scene.now(person.returning_atena_no, day)  # a 転出 that lies ahead is taken back, not followed by a 転入
    if Status.RESIDENT in (held.status, then.status if then is not None else held.status):
        return rules.error("registry.still_resident", f"{field}.returning_atena_no")
    if held.status is Status.DECEASED:
        return rules.error("registry.deceased", f"{field}.returning_atena_no")
    return Findings()


def apply(change: MoveIn, scene: Scene, drawn: Drawn) -> tuple[Record, ...]:
    """First versions of the new records, next versions of the returning ones, and of members whose place shifts."""
    day = change.occurred_on.sort_date()
    atena_nos, codes = iter(drawn.atena_nos), iter(drawn.resident_codes)
    setai_no = change.setai_no or drawn.setai_no
    after: dict[str, Record] = {}
    for person in change.persons:
        atena_no = person.returning_atena_no or next(atena_nos)
        code = _code(person, scene) or next(codes)
        record = newcomer(person, atena_no, setai_no, code)
        after[atena_no] = msgspec.structs.replace(record, address=_address(change, scene))
    return outcome(scene, after, day, households=(setai_no,))


def _address(change: MoveIn, scene: Scene) -> Address:
    abroad = bool(change.previous_address.country) or change.reason == "move_in_abroad"
    return Address(
        address=change.address,
        resident_since=change.occurred_on,
        address_since=change.occurred_on,
        notified_on=from_date(change.notified_on or scene.today),
        previous_address=change.previous_address,
        last_registered_address=Address().last_registered_address if abroad else change.previous_address,
        former_head_name=change.former_head_name,
    )


def newcomer(person: Newcomer, atena_no: str, setai_no: str, resident_code: str) -> Record:
    """A record as it begins, without address: version, order and head's name are set when the household settles."""
    foreign = person.kind is Kind.FOREIGN
    return Record(
        atena_no=atena_no,
        version_no=1,
        setai_no=setai_no,
        member_order=0,
        is_head=False,
        status=Status.RESIDENT,
        kind=person.kind,
        basic=Basic(
            name=person.name,
            birth=person.birth,
            name_kana=person.name_kana,
            sex=person.sex,
            former_surname=person.former_surname,
            former_surname_kana=person.former_surname_kana,
            relationship=relationship_key(person.relationship),
            name_roman=person.name_roman,
            name_kanji=person.name_kanji,
            alias=person.alias,
            alias_kana=person.alias_kana,
        ),
        domicile=None
        if foreign
        else Domicile(registered_domicile=person.registered_domicile, family_head=person.family_head),
        my_number=MyNumber(my_number=person.my_number) if person.my_number else None,
        resident_code=ResidentCode(resident_code=resident_code) if resident_code else None,
        foreigner=person.foreigner,
        notes=Notes(),
    )
