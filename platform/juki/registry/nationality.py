"""帰化等・国籍喪失: the record of one kind is struck out and one of the other kind written for the same person, on one day.

宛名番号, 個人番号, 住民票コード, address, birth, sex and 続柄 go on; what only the other kind has comes and goes (法第30条の45 and
通称, against 本籍・筆頭者 and 旧氏). Source: 住民記録システム標準仕様書 1.2.2 and 4.2. The change rests on a notice of an authority.
"""

from __future__ import annotations

from typing import Final

import msgspec

from juki import letters, numbers
from juki.dates import RegistryDate
from juki.registry import rules
from juki.registry.change import Findings, NationalityChange
from juki.registry.reason import reason_name
from juki.registry.resident import Address, Basic, Domicile, Foreigner, Kind, Record, Removal, Status
from juki.registry.scene import Drawn, Scene, halves, outcome
from juki.registry.timeline import timeline

NATURALISED: Final = "entry_naturalised"
LOST: Final = "entry_nationality_lost"
_STRUCK: Final = {NATURALISED: "removal_naturalised", LOST: "removal_nationality_lost"}
_OTHER: Final = {NATURALISED: Kind.FOREIGN, LOST: Kind.JAPANESE}
_FORCED: Final = frozenset(("kind", "foreigner", "domicile"))
"""What later versions take over whatever they read: a record has the items of its own kind and no others."""

_BLANK: Final = Basic(name="", birth=RegistryDate(0))
_NO_ALIAS: Final = {
    name: getattr(_BLANK, name)
    for name in Basic.__struct_fields__
    if name.startswith("alias") or name in ("name_roman", "name_kanji", "name_katakana", "name_priority")
}
_NO_FORMER_SURNAME: Final = {
    "former_surname": "",
    "former_surname_kana": "",
    "former_surname_kana_confirmed": False,
    "name_kana_certified": False,
    "name_kana_confirmed": False,
}


def check(change: NationalityChange, scene: Scene) -> Findings:
    """A resident of the other kind on that day, the items of the new kind and none of the old one."""
    day = change.occurred_on.sort_date()
    held = scene.now(change.atena_no, day)
    parts = [rules.check_resident(scene, change.atena_no, day, "atena_no")]
    if held is not None and held.kind is not _OTHER[change.reason]:
        code = "registry.not_for_japanese" if change.reason == NATURALISED else "registry.not_for_foreigner"
        parts.append(rules.error(code, "reason"))
    line = timeline(scene.records.get(change.atena_no, ()))
    if held is not None and any(v.valid_from > day and v.kind is not held.kind for v in line):
        parts.append(rules.error("registry.later_change", "occurred_on"))
    if not letters.is_name(change.name):
        parts.append(rules.error("registry.name_unusable", "name"))
    if change.name_kanji and not letters.is_name(change.name_kanji):
        parts.append(rules.error("registry.name_unusable", "name_kanji"))
    if not change.name_kana.strip():
        parts.append(rules.alert("registry.kana_missing", "name_kana"))
    parts.append(_check_items(change))
    parts.append(rules.check_holders(scene, {"foreigner.card_number": change.atena_no}))
    return rules.total(parts)


def _check_items(change: NationalityChange) -> Findings:
    domicile = {"registered_domicile": change.registered_domicile, "family_head": change.family_head}
    if change.reason == NATURALISED:
        found = rules.total(rules.error("registry.required", n) for n, text in domicile.items() if not text.strip())
        if change.foreigner is not None or change.name_roman or change.name_kanji:
            found += rules.error("registry.not_for_japanese", "foreigner")
        return found
    found = rules.total(rules.error("registry.not_for_foreigner", n) for n, text in domicile.items() if text.strip())
    held = change.foreigner
    if held is None:
        return found + rules.error("registry.foreigner_missing", "foreigner")
    for name in ("nationality", "category"):
        if not getattr(held, name).strip():
            found += rules.error("registry.required", f"foreigner.{name}")
    if held.card_number and not numbers.is_residence_card_number(held.card_number):
        found += rules.error("registry.card_number_invalid", "foreigner.card_number")
    return found


def apply(change: NationalityChange, scene: Scene, drawn: Drawn) -> tuple[Record, ...]:
    """The version struck out, the version written, and versions of whoever lives under the new name of the head."""
    del drawn
    day = change.occurred_on.sort_date()
    before = scene.now(change.atena_no, day)
    if before is None or before.basic is None:
        return ()
    gone = msgspec.structs.replace(
        before,
        status=Status.REMOVED,
        is_head=False,
        removal=Removal(reason=reason_name(_STRUCK[change.reason]), occurred_on=change.occurred_on),
    )
    after = _japanese(change, before, before.basic) if change.reason == NATURALISED else _foreign(change, before)
    fresh = outcome(
        scene, {change.atena_no: after}, day, households=(before.setai_no,), force={change.atena_no: _FORCED}
    )
    return halves(scene, gone, day, fresh)


def _japanese(change: NationalityChange, before: Record, basic: Basic) -> Record:
    """住民となった年月日 goes on; where only the day as a foreign resident was held, that day."""
    address = before.address
    since = before.foreigner.foreign_resident_since if before.foreigner is not None else None
    if address is not None and address.resident_since is None and since is not None:
        address = msgspec.structs.replace(address, resident_since=since)
    named = {"name": change.name, "name_kana": change.name_kana, "name_kana_certified": False}
    return msgspec.structs.replace(
        before,
        kind=Kind.JAPANESE,
        basic=msgspec.structs.replace(basic, **_NO_ALIAS, **named, name_kana_confirmed=False),
        address=address,
        domicile=Domicile(registered_domicile=change.registered_domicile, family_head=change.family_head),
        foreigner=None,
    )


def _foreign(change: NationalityChange, before: Record) -> Record:
    """外国人住民となった年月日 is the day on which the nationality was lost, unless the form says another."""
    foreigner = change.foreigner or Foreigner()
    if foreigner.foreign_resident_since is None:
        foreigner = msgspec.structs.replace(foreigner, foreign_resident_since=change.occurred_on)
    named = {
        "name": change.name,
        "name_kana": change.name_kana,
        "name_roman": change.name_roman,
        "name_kanji": change.name_kanji,
    }
    basic = before.basic
    return msgspec.structs.replace(
        before,
        kind=Kind.FOREIGN,
        basic=msgspec.structs.replace(basic, **_NO_FORMER_SURNAME, **named) if basic is not None else None,
        address=before.address or Address(),
        domicile=None,
        foreigner=foreigner,
    )
