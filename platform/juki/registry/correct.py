"""誤記修正・職権修正 names the version it corrects; 軽微な修正, 旧氏, 通称 and the numbers change from a day on."""

from __future__ import annotations

import datetime as dt

import msgspec

from juki import letters, numbers
from juki.dates import RegistryDate
from juki.problem import Invalid
from juki.registry import items, rules
from juki.registry.change import Amend, Correct, Finding, Findings, NumberSource
from juki.registry.relocate import moved_on
from juki.registry.resident import Kind, Record, ResidentCode
from juki.registry.scene import Drawn, Needs, Scene, outcome
from juki.registry.timeline import as_of, correct_from, timeline, weave

_NUMBER = "my_number.my_number"
_CODE = "resident_code.resident_code"
_CARD = "foreigner.card_number"
_NAMES = ("basic.former_surname", "basic.alias", "basic.name_kanji")
_OF_REASON: dict[str, tuple[str, ...]] = {
    "my_number_change": (_NUMBER,),
    "my_number_amend": (_NUMBER,),
    "my_number_entry": (_NUMBER,),
    "resident_code_change": (_CODE,),
    "resident_code_entry": (_CODE,),
    "former_surname_entry": ("basic.former_surname",),
    "former_surname_change": ("basic.former_surname",),
    "former_surname_removal": ("basic.former_surname",),
    "alias_entry": ("basic.alias",),
    "alias_removal": ("basic.alias",),
    "minor": ("basic.", "address.address.", "domicile.", "foreigner.", "entitlements.", "notes."),
}
"""Items each form holds; a form not listed holds them all."""

_ASKS_STOCK = ("resident_code_change", "resident_code_entry")


def needs(change: Amend) -> Needs:
    """A 住民票コード from the stock where a new one is asked for."""
    return Needs(resident_codes=1 if change.reason in _ASKS_STOCK and _CODE not in change.items else 0)


def _check_items(
    typed: dict[str, str | bool], reason: str, kind: Kind | None, code_rule: str, today: dt.date
) -> Findings:
    parts: list[Findings] = []
    allowed = _OF_REASON.get(reason)
    for path, text in typed.items():
        try:
            value = items.read_value(path, text)
        except Invalid as fault:
            parts.append(Findings(errors=tuple(Finding(code=c, field=f) for f, c in fault.fields.items())))
            continue
        if items.is_derived(path):
            parts.append(rules.error("registry.use_head_change", f"items.{path}"))
        elif allowed is not None and not path.startswith(allowed):
            parts.append(rules.error("registry.not_for_reason", f"items.{path}"))
        parts += [_check_value(path, value, kind, code_rule), _check_shape(path, value, today)]
    return rules.total(parts)


def _check_value(path: str, value: object, kind: Kind | None, code_rule: str) -> Findings:
    field = f"items.{path}"
    if path == _NUMBER and not numbers.is_my_number(str(value)):
        return rules.error("registry.my_number_invalid", field)
    if path == _CODE and not numbers.is_resident_code(str(value), rule=code_rule):
        return rules.error("registry.resident_code_invalid", field)
    if (path == "basic.name" or (path in _NAMES and value)) and not letters.is_name(str(value)):
        return rules.error("registry.name_unusable", field)
    if kind is Kind.JAPANESE and (path.startswith("foreigner.") or (value and path.startswith("basic.alias"))):
        return rules.error("registry.not_for_japanese", field)
    if kind is Kind.FOREIGN and (path.startswith("domicile.") or (value and path.startswith("basic.former_surname"))):
        return rules.error("registry.not_for_foreigner", field)
    if value is None and path in ("basic.birth", "address.resident_since"):
        return rules.error("registry.required", field)
    if path == "address.address.text" and not str(value).strip():
        return rules.error("registry.required", field)
    return Findings()


def _check_shape(path: str, value: object, today: dt.date) -> Findings:
    """What the forms of entry check of the same items."""
    field = f"items.{path}"
    if path == "basic.birth" and isinstance(value, RegistryDate) and value.sort_date() > today:
        return rules.error("registry.born_in_future", field)
    if path == _CARD and value and not numbers.is_residence_card_number(str(value)):
        return rules.error("registry.card_number_invalid", field)
    if path == "basic.name_priority" and value not in ("", "name", "alias"):
        return rules.error("registry.item_unreadable", field)
    return Findings()


def _check_source(change: Correct | Amend) -> Findings:
    """個人番号 only as the network gave it or a card or certificate shows it (R-1-2.3-NUM-01)."""
    if _NUMBER in change.items and change.my_number_source is NumberSource.STATED:
        return rules.error("registry.my_number_source", "my_number_source")
    return Findings()


def check(change: Correct, scene: Scene, code_rule: str) -> Findings:
    """The version must stand on the time line, the items exist, 個人番号 name its source, and the correction change something."""
    versions = scene.records.get(change.atena_no, ())
    wrong = next((v for v in timeline(versions) if v.version_no == change.version_no), None)
    if not versions:
        return rules.error("registry.unknown_resident", "atena_no")
    if wrong is None:
        return rules.error("registry.not_on_timeline", "version_no")
    found = _check_items(change.items, change.reason, wrong.kind, code_rule, scene.today)
    holders = rules.check_holders(scene, {f"items.{p}": change.atena_no for p in (_NUMBER, _CODE, _CARD)})
    if not found.errors and items.set_items(wrong, change.items) == wrong:
        found += rules.error("registry.nothing_changes", "items")
    return rules.total((found, holders, _check_source(change)))


def apply(change: Correct, scene: Scene, drawn: Drawn) -> tuple[Record, ...]:
    """A version that corrects the one named, one for each later version with the same mistake, and those of the household
    where 住所 was wrong.
    """
    del drawn
    versions = scene.records[change.atena_no]
    wrong = next(v for v in timeline(versions) if v.version_no == change.version_no)
    right = items.set_items(wrong, change.items)
    fresh = (*correct_from(versions, wrong, right), *_set_right_together(scene, wrong, change.items))
    if wrong.address is None or right.address is None or wrong.address.address == right.address.address:
        return fresh
    left = dict.fromkeys((v.atena_no for v in fresh), wrong.address.address)
    return moved_on(scene, fresh, left, right.address.address, wrong.valid_from)


def _of_home(typed: dict[str, str | bool]) -> dict[str, str | bool]:
    """Of the items typed, those of 住所 itself, which all of a household share."""
    return {path: text for path, text in typed.items() if path.startswith("address.address.")}


def _at_home(one: Record, other: Record) -> bool:
    """True where two stand at one address."""
    return one.address is not None and other.address is not None and one.address.address == other.address.address


def _share_home(one: Record, other: Record) -> bool:
    """True where two stand in one household at one address."""
    return one.setai_no == other.setai_no and _at_home(one, other)


def _set_right_together(scene: Scene, wrong: Record, typed: dict[str, str | bool]) -> list[Record]:
    """A wrong 住所 is wrong for everyone of the household who is written there from that day on, also in a household that
    split off from it at the same address.
    """
    fresh: list[Record] = []
    alike = _written_alike(scene, wrong) if _of_home(typed) else {}
    for atena_no, first in alike.items():
        right = items.set_items(first, _of_home(typed))
        if first.valid_from >= wrong.valid_from:
            fresh += correct_from(scene.records[atena_no], first, right)
        else:
            fresh += weave(scene.records[atena_no], first, right, wrong.valid_from)
    return fresh


def _written_alike(scene: Scene, wrong: Record) -> dict[str, Record]:
    """宛名番号 -> the first version from the day of `wrong` on that shares its address, in its household or one split off."""
    there: dict[str, list[Record]] = {}
    for atena_no, versions in scene.records.items():
        line = timeline(versions)
        since = (as_of(line, wrong.valid_from), *(v for v in line if v.valid_from > wrong.valid_from))
        there[atena_no] = [v for v in since if v is not None and _at_home(v, wrong)]
    older = {v.setai_no for held in scene.records.values() for v in held if v.valid_from < wrong.valid_from}
    homes, people = {wrong.setai_no}, set[str]()
    while more := {a for a, line in there.items() if a not in people and any(v.setai_no in homes for v in line)}:
        people |= more
        # a household that was there before is there for reasons of its own
        homes |= {v.setai_no for a in more for v in there[a]} - older
    return {a: next(v for v in there[a] if v.setai_no in homes) for a in sorted(people - {wrong.atena_no})}


def check_amend(change: Amend, scene: Scene, code_rule: str) -> Findings:
    """A resident on the day, the items of the form, a number only as the network or a card gave it."""
    day = change.occurred_on.sort_date()
    held = scene.now(change.atena_no, day)
    found = [
        rules.check_resident(scene, change.atena_no, day, "atena_no"),
        _check_items(change.items, change.reason, held.kind if held else None, code_rule, scene.today),
        rules.check_holders(scene, {f"items.{p}": change.atena_no for p in (_NUMBER, _CODE, _CARD)}),
        _check_source(change),
    ]
    if not change.items and change.reason not in _ASKS_STOCK:
        found.append(rules.error("registry.nothing_changes", "items"))
    if change.reason in _OF_REASON and change.reason.startswith("alias") and held and held.kind is Kind.JAPANESE:
        found.append(rules.error("registry.not_for_japanese", "reason"))
    if change.reason.startswith("former_surname") and held and held.kind is Kind.FOREIGN:
        found.append(rules.error("registry.not_for_foreigner", "reason"))
    return rules.total(found)


def apply_amend(change: Amend, scene: Scene, drawn: Drawn) -> tuple[Record, ...]:
    """The resident's version from the day on, and the members' where their head's name or the 住所 of all changes."""
    day = change.occurred_on.sort_date()
    before = scene.now(change.atena_no, day)
    if before is None:
        return ()
    after = items.set_items(before, change.items)
    if drawn.resident_codes:
        after = msgspec.structs.replace(after, resident_code=ResidentCode(resident_code=drawn.resident_codes[0]))
    home = _of_home(change.items)
    members = scene.members(before.setai_no, day).items() if home else ()
    together = {a: items.set_items(member, home) for a, member in members if _share_home(member, before)}
    return outcome(scene, {**together, change.atena_no: after}, day, households=(before.setai_no,))
