"""出生: a child joins its household; 住民票コード from the stock, 個人番号 requested and awaited (R-1-2.3-NUM-01)."""

from __future__ import annotations

import msgspec

from juki.dates import from_date
from juki.registry import rules
from juki.registry.change import Birth, Findings
from juki.registry.move_in import newcomer
from juki.registry.resident import Address, Place, Record
from juki.registry.scene import Drawn, Needs, Scene, outcome


def needs(change: Birth) -> Needs:
    """One 宛名番号 and one 住民票コード."""
    return Needs(atena_nos=1, resident_codes=1)


def check(change: Birth, scene: Scene, code_rule: str) -> Findings:
    """The child, the household it joins, and that no number was written on the form."""
    day = change.occurred_on.sort_date()
    person = change.person
    parts = [rules.check_newcomer(person, "person", max(day, scene.today), code_rule)]
    if person.birth != change.occurred_on:
        parts.append(rules.error("registry.birth_not_occurred", "person.birth"))
    if person.my_number or person.resident_code or person.returning_atena_no:
        parts.append(rules.error("registry.number_not_yet", "person.my_number"))
    parts.append(rules.check_joined(scene, change.setai_no, day))
    if scene.namesakes.get("person"):
        parts.append(rules.alert("registry.namesake", "person"))
    return rules.total((*parts, rules.check_holders(scene, {})))


def apply(change: Birth, scene: Scene, drawn: Drawn) -> tuple[Record, ...]:
    """The child's first version, at the address of the household on the day of birth."""
    day = change.occurred_on.sort_date()
    record = newcomer(change.person, drawn.atena_nos[0], change.setai_no, drawn.resident_codes[0])
    members = scene.members(change.setai_no, day).values()
    home = next((m.address.address for m in members if m.address is not None), Place())
    address = Address(
        address=home,
        resident_since=change.occurred_on,
        address_since=change.occurred_on,
        notified_on=from_date(change.notified_on or scene.today),
    )
    after = {record.atena_no: msgspec.structs.replace(record, address=address)}
    return outcome(scene, after, day, households=(change.setai_no,))
