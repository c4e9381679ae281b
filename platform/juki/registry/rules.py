"""異動の規則: what every change must satisfy, as errors (cannot be finished) and alerts (may go on, with a reason).

Each rule has a code; the Japanese sentence stands in messages.toml and the decision tables in tests/rules.
Sources: 住民記録システム標準仕様書 1.1, 1.2, 4 and 11; 住民基本台帳法 22条 to 25条 (the fourteen days).
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping
from typing import Any, Final, cast

import msgspec

from juki import letters, numbers
from juki.dates import RegistryDate
from juki.registry.change import (
    REASONS_OF,
    Change,
    Channel,
    Document,
    Finding,
    Findings,
    Newcomer,
    NumberSource,
    Position,
    Reception,
    Source,
)
from juki.registry.members import faults, is_relationship, stays_right
from juki.registry.reason import REASONS, Ground, Reason
from juki.registry.resident import Kind, Record, Status
from juki.registry.scene import Scene
from juki.registry.timeline import timeline

_TEXT_MAX: Final = 4000  # characters
_AUTHORITIES = (Source.ADMINISTRATION, Source.LOCAL_GOVERNMENT)
_WAYS: dict[Source, tuple[Channel, ...]] = {
    Source.PERSON: (Channel.PAPER, Channel.E_APPLICATION),
    Source.AGENT: (Channel.PAPER, Channel.E_APPLICATION),
    Source.ADMINISTRATION: (Channel.PAPER, Channel.DEDICATED_LINE),
    Source.LOCAL_GOVERNMENT: (Channel.PAPER, Channel.DEDICATED_LINE, Channel.RESIDENT_NETWORK),
    Source.INTAKE: (Channel.E_APPLICATION,),
}


def error(code: str, field: str = "") -> Findings:
    """One finding that cannot be passed."""
    return Findings(errors=(Finding(code=code, field=field),))


def alert(code: str, field: str = "") -> Findings:
    """One finding that may be passed with a reason."""
    return Findings(alerts=(Finding(code=code, field=field),))


def total(parts: Iterable[Findings]) -> Findings:
    """Findings put together, each said once."""
    errors: dict[Finding, None] = {}
    alerts: dict[Finding, None] = {}
    for part in parts:
        errors |= dict.fromkeys(part.errors)
        alerts |= dict.fromkeys(part.alerts)
    return Findings(errors=tuple(errors), alerts=tuple(alerts))


def reason_of(change: Change) -> Reason | None:
    """異動事由 of a change, None where its form does not serve that reason."""
    return REASONS[change.reason] if change.reason in REASONS_OF[type(change)] else None


def check_reception(reception: Reception, reason: Reason) -> Findings:
    """受付: form number, allowed source and channel, identity of whoever brought it (R-1-2.3-ACQ-01, R-A-3.2-ACQ-02)."""
    found = Findings()
    if not reception.form_no.strip():
        found += error("registry.form_no_missing", "reception.form_no")
    if reception.channel not in _WAYS[reception.source]:
        found += error("registry.channel_not_allowed", "reception.channel")
    by_form = reception.source not in _AUTHORITIES
    if reason.authority_only and by_form:
        found += error("registry.notice_needed", "reception.source")
    if reason.ground is Ground.NOTIFICATION and not by_form:
        found += error("registry.ground_mismatch", "reception.source")
    if by_form and not reception.notifier.strip():
        found += error("registry.notifier_missing", "reception.notifier")
    if by_form and reception.document is Document.NOT_NEEDED:
        found += error("registry.identity_needed", "reception.document")
    if by_form and reception.document is Document.NONE:
        found += alert("registry.identity_not_confirmed", "reception.document")
    if by_form and reception.document is not Document.NONE and not reception.checked_by:
        found += error("registry.checker_missing", "reception.checked_by")
    return found


def check_texts(form: object, path: str = "") -> Findings:
    """文字: no text of a form holds controls, marks of direction or surrogates, or is longer than any paper has room for.

    A name may look like another's by such a mark; 備考 and メモ alone may have several lines.
    """
    lines = path.endswith(("remarks", "memo"))
    if isinstance(form, str):
        shown = form.replace("\r\n", "").replace("\n", "") if lines else form
        unusable = len(form) > _TEXT_MAX or bool(letters.forbidden(shown))
        return error("registry.text_unusable", path) if unusable else Findings()
    parts: list[tuple[str, object]] = []
    if isinstance(form, msgspec.Struct):
        parts = [(name, getattr(form, name)) for name in form.__struct_fields__]
    elif isinstance(form, dict):
        parts = [(str(name), value) for name, value in cast("dict[Any, object]", form).items()]
    elif isinstance(form, tuple):
        parts = [(str(i), value) for i, value in enumerate(cast("tuple[object, ...]", form))]
    return total(check_texts(value, f"{path}.{name}".lstrip(".")) for name, value in parts)


def check_days(occurred_on: RegistryDate, notified_on: dt.date | None, today: dt.date, reason: Reason) -> Findings:
    """異動日・届出日・処理日: 処理日 is today; the others not ahead of it, but for 転出; late notices are alerts."""
    notified = notified_on or today
    found = error("registry.notified_in_future", "notified_on") if notified > today else Findings()
    day = occurred_on.to_date()
    if day is None:
        if not reason.unknown_allowed:
            return found + error("registry.day_needed", "occurred_on")
        return found + (
            error("registry.occurred_in_future", "occurred_on") if occurred_on.sort_date() > today else Findings()
        )
    if day > today and not reason.future_allowed:
        found += error("registry.occurred_in_future", "occurred_on")
    if reason.notify_within_days and (notified - day).days > reason.notify_within_days:
        leaving = reason.future_allowed
        found += alert("registry.move_out_late" if leaving else "registry.notified_late", "notified_on")
    return found


def check_newcomer(person: Newcomer, field: str, day: dt.date, code_rule: str) -> Findings:
    """記載する人: items that must stand, numbers with right check digits, numbers only from where they may come."""
    found = Findings()
    if not letters.is_name(person.name):
        found += error("registry.name_unusable", f"{field}.name")
    for item in ("former_surname", "alias", "name_kanji"):
        if (given := getattr(person, item)) and not letters.is_name(given):
            found += error("registry.name_unusable", f"{field}.{item}")
    if not person.name_kana.strip():
        found += alert("registry.kana_missing", f"{field}.name_kana")
    if person.birth.sort_date() > day:
        found += error("registry.born_after", f"{field}.birth")
    if not is_relationship(person.relationship):
        found += error("registry.relationship_unknown", f"{field}.relationship")
    return total((found, _check_kind(person, field), _check_numbers(person, field, code_rule)))


def _check_kind(person: Newcomer, field: str) -> Findings:
    if person.kind is Kind.JAPANESE:
        missing = [n for n in ("registered_domicile", "family_head") if not getattr(person, n).strip()]
        found = total(error("registry.required", f"{field}.{name}") for name in missing)
        if person.foreigner is not None or person.alias:
            found += error("registry.not_for_japanese", f"{field}.kind")
        return found
    if person.foreigner is None:
        return error("registry.foreigner_missing", f"{field}.foreigner")
    missing = [n for n in ("nationality", "category") if not getattr(person.foreigner, n).strip()]
    found = total(error("registry.required", f"{field}.foreigner.{name}") for name in missing)
    card = person.foreigner.card_number
    if card and not numbers.is_residence_card_number(card):
        found += error("registry.card_number_invalid", f"{field}.foreigner.card_number")
    return found


def _check_numbers(person: Newcomer, field: str, code_rule: str) -> Findings:
    found = Findings()
    if person.my_number:
        if not numbers.is_my_number(person.my_number):
            found += error("registry.my_number_invalid", f"{field}.my_number")
        if person.my_number_source is NumberSource.STATED:
            found += error("registry.my_number_source", f"{field}.my_number_source")
    if person.resident_code and not numbers.is_resident_code(person.resident_code, rule=code_rule):
        found += error("registry.resident_code_invalid", f"{field}.resident_code")
    return found


def check_holders(scene: Scene, own: Mapping[str, str]) -> Findings:
    """A number that another resident holds is refused; one that a removed person holds must go on with that record.

    `own` says which 宛名番号 may hold each number: path of the number -> 宛名番号, empty for a new record.
    """
    found = Findings()
    for path, holders in scene.holders.items():
        for holder in holders:
            if holder == own.get(path):
                continue
            held = scene.now(holder)
            if held is None or held.status is Status.VOID:
                continue
            living = held.status is Status.RESIDENT
            found += error("registry.number_held" if living else "registry.returning_resident", path)
    return found


def check_resident(scene: Scene, atena_no: str, day: dt.date, field: str) -> Findings:
    """The person must be a resident on the day; someone who is known to leave after it is an alert."""
    held = scene.now(atena_no, day)
    if held is None:
        return error("registry.unknown_resident" if atena_no not in scene.records else "registry.before_first", field)
    if held.status is not Status.RESIDENT:
        return error("registry.not_resident", field)
    later = (v for v in timeline(scene.records[atena_no]) if v.valid_from > day)
    if any(v.status is not Status.RESIDENT for v in later):
        return alert("registry.leaving", field)
    return Findings()


def check_joined(scene: Scene, setai_no: str, day: dt.date) -> Findings:
    """The household that somebody joins must be there on the day; whoever would be left in it alone by what is known already
    is an alert, for a child or a guest becomes 世帯主 by it.
    """
    members = scene.members(setai_no, day)
    if not members:
        return error("registry.unknown_household", "setai_no")
    last = [scene.now(atena_no) for atena_no in members]
    stays = any(v is not None and v.status is Status.RESIDENT and v.setai_no == setai_no for v in last)
    return Findings() if stays else alert("registry.household_leaves", "setai_no")


def check_positions(scene: Scene, positions: Iterable[Position], households: Iterable[str], day: dt.date) -> Findings:
    """続柄 is given to whoever lives in the households of the form on that day, and to nobody else."""
    members = {atena_no for setai_no in households for atena_no in scene.members(setai_no, day)}
    if all(position.atena_no in members for position in positions):
        return Findings()
    return error("registry.not_a_member", "positions")


def check_kept_relationships(scene: Scene, fresh: Iterable[Record], positions: Iterable[Position]) -> Findings:
    """続柄 is said of the 世帯主: where another one heads a member, and the form says nothing of that member, the old word stays.

    It stays right for a child whose other parent follows, and for those who are nobody's kin; anything else is an alert.
    """
    made = tuple(fresh)
    stated = {position.atena_no for position in positions}
    records = dict(scene.records)
    for version in made:
        records[version.atena_no] = (*records.get(version.atena_no, ()), version)
    after = Scene(today=scene.today, records=records)
    day = min((v.valid_from for v in made), default=scene.today)
    for version in made:
        before = scene.now(version.atena_no, day)
        if before is None or version.valid_from != day or version.atena_no in stated:
            continue
        if version.status is not Status.RESIDENT or version.is_head:
            continue
        was = _head(scene.members(before.setai_no, day))
        now = _head(after.members(version.setai_no, day))
        if was is None or now is None or was.atena_no == now.atena_no:
            continue
        if not stays_right(version, scene.now(now.atena_no, day)):
            return alert("registry.relationship_kept", "positions")
    return Findings()


def _head(members: Mapping[str, Record]) -> Record | None:
    return next((member for member in members.values() if member.is_head), None)


def check_outcome(scene: Scene, fresh: Iterable[Record], *, head_gone: bool = False) -> Findings:
    """The households as they would stand: one 世帯主, known 続柄, one address, on every later day on which they change."""
    made = tuple(fresh)
    records = dict(scene.records)
    for version in made:
        records[version.atena_no] = (*records.get(version.atena_no, ()), version)
    after = Scene(today=scene.today, records=records)
    households = {v.setai_no for v in made} | {
        v.setai_no for atena_no in {m.atena_no for m in made} for v in timeline(scene.records.get(atena_no, ()))
    }
    found: dict[Finding, None] = {}
    start = min((v.valid_from for v in made), default=scene.today)
    lives = [line for line in map(timeline, records.values()) if any(v.setai_no in households for v in line)]
    turns = {v.valid_from for line in lives for v in line if v.valid_from >= start}
    for day in sorted(turns | {start, scene.today, dt.date.max}):
        for setai_no in sorted(households):
            for fault in faults(tuple(after.members(setai_no, day).values())):
                needs_head = head_gone and fault.code == "registry.no_head"
                found[Finding(code="registry.head_needed", field="positions") if needs_head else fault] = None
    return Findings(errors=tuple(found))
