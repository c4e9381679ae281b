"""交付の可否: every rule that stands between an application and a paper, as one pure function.

Two voices on purpose. What may be said to the person at the counter is one neutral code, the same for a protected, a
suppressed and a struck-out record, so that a refusal teaches nothing; why it is so goes to the clerk alone.
Sources: 住民基本台帳法 第12条から第12条の3, 住民基本台帳事務処理要領 第5-10 (支援措置).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from juki.certificates.model import (
    FOREIGN_ITEMS,
    MAX_COPIES,
    MAX_PERSONS,
    RIGHT_OF_ITEM,
    Application,
    CertificateKind,
    Guard,
    IdentityCheck,
    Item,
    Relation,
    Verdict,
    purposes,
)
from juki.registry.model import Kind, Record, Status

NOT_AVAILABLE: Final = "certificates.not_available"
_OWN: Final = frozenset({Relation.SELF, Relation.HOUSEHOLD})
_OUTSIDE: Final = frozenset({Relation.THIRD, Relation.OFFICIAL})
_STRANGERS: Final = frozenset({Relation.AGENT, Relation.THIRD})
_HOME_NOTICE: Final = {
    "protected": "certificates.clerk_protected_home",
    "suppressed": "certificates.clerk_suppressed_home",
}
_HOME_WARNING: Final = {
    "protected": "certificates.warn_protected_home",
    "suppressed": "certificates.warn_suppressed_home",
}
_SHORT_MAX: Final = 100
_LONG_MAX: Final = 300


def check_form(application: Application) -> dict[str, str]:
    """記入漏れ: field -> code of what is missing or wrong on the form itself; looks at no resident."""
    wrong: dict[str, str] = {}
    requester = application.requester
    if not requester.name.strip() or len(requester.name) > _SHORT_MAX:
        wrong["requester.name"] = "certificates.requester_missing"
    if requester.identity is IdentityCheck.NONE:
        wrong["requester.identity"] = "certificates.identity_missing"
    if application.purpose not in purposes():
        wrong["purpose"] = "certificates.purpose_missing"
    if not 1 <= application.copies <= MAX_COPIES:
        wrong["copies"] = "certificates.copies_range"
    if not 1 <= len(application.persons) <= MAX_PERSONS or len(set(application.persons)) != len(application.persons):
        wrong["persons"] = "certificates.persons_range"
    if application.relation in _OUTSIDE and not application.ground.strip():
        wrong["ground"] = "certificates.ground_missing"
    if application.relation is Relation.OFFICIAL and not requester.organisation.strip():
        wrong["requester.organisation"] = "certificates.organisation_missing"
    if application.relation is Relation.AGENT and not requester.authority.strip():
        wrong["requester.authority"] = "certificates.authority_missing"
    if application.official_use and application.relation is not Relation.OFFICIAL:
        wrong["official_use"] = "certificates.official_use_only"
    if not 1 <= application.printer_no <= 999:
        wrong["printer_no"] = "certificates.printer_range"
    long = {
        "ground": application.ground,
        "purpose_detail": application.purpose_detail,
        "requester.address": requester.address,
        "requester.authority": requester.authority,
        "requester.organisation": requester.organisation,
    }
    wrong |= {field: "certificates.too_long" for field, text in long.items() if len(text) > _LONG_MAX}
    return wrong | _check_items(application)


def _check_items(application: Application) -> dict[str, str]:
    asked = set(application.items)
    purpose = purposes().get(application.purpose)
    if Item.MY_NUMBER in asked and application.relation not in _OWN:
        return {"items": "certificates.my_number_own_only"}
    if Item.RESIDENT_CODE in asked and application.relation not in _OWN:
        return {"items": "certificates.resident_code_own_only"}
    if Item.MY_NUMBER in asked and (purpose is None or not purpose.my_number):
        return {"items": "certificates.my_number_purpose"}
    needs_reason = application.relation is Relation.THIRD and asked - {Item.KANA}
    if needs_reason and not application.purpose_detail.strip():
        return {"purpose_detail": "certificates.items_need_reason"}
    return {}


def judge(
    application: Application,
    records: Sequence[Record],
    *,
    household: frozenset[str],
    guards: Mapping[str, Guard],
    rights: frozenset[str],
) -> Verdict:
    """交付の可否 of a whole application. `household` holds the 宛名番号 of all who share the 世帯番号, `guards` what stands
    over each of them and over whoever else's home the paper shows.

    Looks only at confirmed records: a 仮登録 is not among them, so the state before it is what is judged and printed.
    """
    if wrong := check_form(application):
        return Verdict(refusal="certificates.form_incomplete", fields=wrong)
    for item, right in RIGHT_OF_ITEM.items():
        if item in application.items and right not in rights:
            return Verdict(
                refusal="certificates.item_right_missing", fields={"items": "certificates.item_right_missing"}
            )
    found = {record.atena_no: record for record in records}
    if any(atena_no not in found for atena_no in application.persons):
        return Verdict(refusal=NOT_AVAILABLE, notice="certificates.clerk_unknown")
    if mismatch := _mismatch(application, records, household):
        return Verdict(refusal=mismatch, fields={"relation": mismatch})
    if notice := held_back(application, records, guards, household):
        return Verdict(refusal=NOT_AVAILABLE, notice=notice)
    home = _kept_home(records, guards)
    warnings = [_HOME_WARNING[home]] if home else []
    for record in records:
        guard = guards.get(record.atena_no, Guard())
        if _requester_is_dead(application, record):
            return Verdict(
                refusal="certificates.requester_deceased", fields={"relation": "certificates.requester_deceased"}
            )
        if against := _against_record(application, record):
            return Verdict(refusal=against, fields={"persons": against})
        warnings += _warnings(application, record, guard)
    return Verdict(warnings=tuple(dict.fromkeys(warnings)))


def held_back(
    application: Application, records: Sequence[Record], guards: Mapping[str, Guard], household: frozenset[str]
) -> str:
    """Notice for the clerk where protection or suppression stands against this paper, empty where none does."""
    home = ""
    if application.relation in _STRANGERS:
        home = _kept_home(records, guards)
    elif application.relation is Relation.HOUSEHOLD:
        # Who lives with that person, or lived there, knows where; who was left behind, or took a child in, must not read it.
        asker = application.requester.atena_no
        away = {
            a: guard
            for a, guard in guards.items()
            if a not in household and asker not in guard.co_protected | guard.known_to
        }
        home = _kept_home(records, away)
    if home:
        return _HOME_NOTICE[home]
    found = (_guarded(application, record, guards.get(record.atena_no, Guard())) for record in records)
    return next((notice for notice in found if notice), "")


def _kept_home(records: Sequence[Record], guards: Mapping[str, Guard]) -> str:
    """`protected` or `suppressed` where the paper shows the home of somebody else who keeps it, empty where it does not.

    Who lives with such a person shows where that person lives, and who the 世帯主 is; who lived with them, by 異動前住所,
    転入前住所 or 転出先.
    """
    found = {record.atena_no for record in records}
    kept = [guard for atena_no, guard in guards.items() if atena_no not in found and guard.keeps_home]
    if not kept:
        return ""
    return "protected" if any(guard.protected for guard in kept) else "suppressed"


def _mismatch(application: Application, records: Sequence[Record], household: frozenset[str]) -> str:
    """The relation as claimed against the register; one application is for one household."""
    requester = application.requester.atena_no
    if len({record.setai_no for record in records}) > 1:
        return "certificates.one_household"
    if not _share_a_home(application, records):
        return "certificates.one_home"
    if application.relation is Relation.SELF and set(application.persons) != {requester}:
        return "certificates.not_self"
    if application.relation is Relation.HOUSEHOLD and requester not in household:
        return "certificates.not_household"
    return ""


def _share_a_home(application: Application, records: Sequence[Record]) -> bool:
    """The joint form has one box for 住所 and one for 世帯主; people struck out in different years may differ in both."""
    homes = {
        (r.address.address.text, r.address.address.building, r.address.address.country) for r in records if r.address
    }
    heads = {r.basic.head_name for r in records if r.basic} if Item.RELATIONSHIP in application.items else set[str]()
    return len(homes) <= 1 and len(heads) <= 1


def _guarded(application: Application, record: Record, guard: Guard) -> str:
    """Notice for the clerk where nothing may be issued, empty where it may."""
    if record.status is Status.VOID:
        return "certificates.clerk_void"
    if guard.suppressed == "error":
        return "certificates.clerk_suppressed"
    if not guard.protected:
        return ""
    requester = application.requester
    if application.relation is Relation.SELF:
        return "" if requester.identity is IdentityCheck.PHOTO else "certificates.clerk_protected_photo"
    # A member of the household may be the very person whom the measure is against: only co-protected members pass.
    if application.relation is Relation.HOUSEHOLD and requester.atena_no in {record.atena_no, *guard.co_protected}:
        return "" if requester.identity is IdentityCheck.PHOTO else "certificates.clerk_protected_photo"
    if application.relation is Relation.OFFICIAL:
        return ""
    return "certificates.clerk_protected"


def _requester_is_dead(application: Application, record: Record) -> bool:
    """Nobody asks for a paper after death: for the 除票 of a deceased resident comes a third party or an authority."""
    return record.status is Status.DECEASED and application.requester.atena_no == record.atena_no


def _against_record(application: Application, record: Record) -> str:
    removed = record.status is not Status.RESIDENT
    if application.kind is CertificateKind.RESIDENT and removed:
        return "certificates.removed"
    if application.kind is CertificateKind.REMOVED and not removed:
        return "certificates.not_removed"
    if record.status is Status.DECEASED and Item.MY_NUMBER in application.items:
        return "certificates.my_number_deceased"
    return ""


def _warnings(application: Application, record: Record, guard: Guard) -> list[str]:
    told: list[str] = []
    if guard.protected:
        official = application.relation is Relation.OFFICIAL
        told.append("certificates.warn_protected_official" if official else "certificates.warn_protected")
    if guard.suppressed:
        told.append("certificates.warn_suppressed")
    if guard.draft_pending:
        told.append("certificates.warn_draft_pending")
    if is_leaving(record):
        told.append("certificates.warn_leaving")
    if record.kind is Kind.JAPANESE and FOREIGN_ITEMS & set(application.items):
        told.append("certificates.warn_foreign_items")
    return told


def is_leaving(record: Record) -> bool:
    """転出予定者: still a resident, with a planned new address."""
    if record.status is not Status.RESIDENT or record.removal is None:
        return False
    planned = record.removal.planned_address
    return bool(planned.text or planned.country)


def fee_yen(application: Application, unit_yen: int) -> int:
    """手数料 of the whole application: copies times the unit; none for 公用 and for purposes that the law frees."""
    purpose = purposes().get(application.purpose)
    if application.official_use or (purpose is not None and purpose.free_of_fee):
        return 0
    return unit_yen * application.copies
