"""異動の流れ: 仮登録 by one person, 照合 against the form by another, 本登録. A draft is seen by nobody outside this flow.

Control R-12-3.2-QUA-01: whoever entered a change cannot confirm it; numbers and dates are typed a second time, blind.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from itertools import groupby
from typing import Final

import msgspec

from juki import numbers as numbering
from juki.audit import Operation
from juki.dates import today_in_japan
from juki.personal import Personal
from juki.problem import Conflict, Invalid, Refused
from juki.registry import case_store, changes, find, protect, rules, store
from juki.registry.cancel import cancelling_reason
from juki.registry.case_store import Draft, Numbers, Step
from juki.registry.change import Cancel, Change, Death, Findings, MoveIn, MoveOut, Reception, Relocate
from juki.registry.index import numbers_of, searchable
from juki.registry.measures import Level, Process
from juki.registry.resident import GROUPS, Record, Status
from juki.registry.scene import Drawn, Needs, Scene
from juki.registry.timeline import Event, timeline

QUEUE_MAX: Final = 200


class Examined(Personal, frozen=True, kw_only=True):
    """審査: what the rules say of a change, and the records before and after side by side."""

    change: Change  # as it would be kept: reason, 届出日 and 再転入 settled
    findings: Findings
    before: tuple[Record, ...]
    after: tuple[Record, ...]


class CaseSummary(msgspec.Struct, frozen=True, kw_only=True):
    """照合待ちの一行."""

    case_no: int
    state: str
    reason: str
    form_no: str
    entered_by: str
    entered_at: dt.datetime
    atena_nos: tuple[str, ...]
    identity_checked: bool
    may_confirm: bool


class CaseView(Personal, frozen=True, kw_only=True):
    """仮登録の内容, without 個人番号 for whoever lacks its right; `reentry` names the fields to type again."""

    summary: CaseSummary
    reception: Reception
    change: Change
    acknowledged: dict[str, str]
    findings: Findings
    before: tuple[Record, ...]
    after: tuple[Record, ...]
    reentry: tuple[str, ...]
    steps: tuple[Step, ...]
    replaces_case: int | None = None


class ConfirmResult(msgspec.Struct, frozen=True, kw_only=True):
    """本登録の結果: the number to quote, and whose records have a new version."""

    case_no: int
    event_no: int
    atena_nos: tuple[str, ...]
    new_atena_nos: tuple[str, ...] = ()


async def examine(op: Operation, change: Change, reception: Reception) -> Examined:
    """Check a change against the register without keeping anything. Raises Refused `access.right_missing`."""
    _need(op, "change.enter")
    change, scene = await _prepared(op, change)
    findings, fresh = await _judge(op, change, scene, reception, _placeholders(changes.needs(change, scene)))
    before, after = _side_by_side(op, scene, fresh)
    return Examined(change=change, findings=findings, before=before, after=after)


async def enter(
    op: Operation,
    change: Change,
    reception: Reception,
    *,
    acknowledged: Mapping[str, str] | None = None,
    replaces: int | None = None,
) -> int:
    """仮登録: keep a change for a second person; the case number. `acknowledged` gives a reason for each alert passed.

    `replaces` names a case that was handed back and is withdrawn by this entry. Raises Invalid `registry.change_invalid`
    (fields say which rule), Invalid `registry.alerts_open`, Refused `access.right_missing`.
    """
    _need(op, "change.enter")
    change, scene = await _prepared(op, change)
    findings, fresh = await _judge(op, change, scene, reception, _placeholders(changes.needs(change, scene)))
    passed = {code: why.strip() for code, why in (acknowledged or {}).items() if why.strip()}
    _insist(findings, passed)
    if replaces is not None:
        await case_store.move(op, replaces, ("handed_back",), "withdrawn")
        await case_store.add_step(op, replaces, "withdrawn")
    case_no = (await store.draw(op.session, "case_seq", 1))[0]
    held = changes.my_numbers(change)
    bare = changes.with_my_numbers(change, dict.fromkeys(held, ""))
    kept = {a.code: passed[a.code] for a in findings.alerts}
    change_sealed, numbers_sealed = case_store.seal_change(
        op, case_no, bare, Numbers(my_numbers=tuple(held.items())), kept
    )
    await case_store.add(
        op,
        Draft(
            case_no=case_no,
            state="entered",
            reason=change.reason,
            form_no=reception.form_no.strip(),
            entered_by=op.caller.actor_id,
            entered_at=op.now,
            terminal=op.caller.terminal_id,
            replaces_case=replaces,
            base=_base(scene, fresh),
            acknowledged=kept,
            change_sealed=change_sealed,
            numbers_sealed=numbers_sealed,
            reception=reception,
        ),
    )
    _touch(op, scene, fresh, my_number=bool(held))
    op.fact(case_no=case_no, reason=change.reason)
    return case_no


async def confirm(op: Operation, case_no: int, reentry: Mapping[str, str]) -> ConfirmResult:
    """照合・本登録 by a second person who typed numbers and dates again. Sent twice by the same person it answers the same.

    Raises Refused `registry.same_person`, Invalid `registry.reentry_mismatch`, Conflict `registry.stale` or
    `registry.case_closed`, Invalid `registry.change_invalid`, NotFound `registry.unknown_case`.
    """
    _need(op, "change.confirm")
    draft = await case_store.read(op, case_no)
    if draft.entered_by == op.caller.actor_id:
        raise Refused("registry.same_person", "whoever entered a change cannot confirm it")
    if draft.state == "confirmed" and (done := await _already(op, case_no)):
        return done
    await case_store.move(op, case_no, ("entered",), "confirmed")
    change, acknowledged = case_store.open_change(op, case_no, draft.change_sealed)
    held = case_store.open_numbers(op, case_no, draft.numbers_sealed)
    change = changes.with_my_numbers(change, dict(held.my_numbers))
    changes.check_reentry(change, reentry)
    await _hold(op, change, draft.base)
    change, scene = await _prepared(op, change)
    needs = changes.needs(change, scene)
    findings, preview = await _judge(op, change, scene, draft.reception, _placeholders(needs))
    if _base(scene, preview) != draft.base:
        raise Conflict("registry.stale", "a record changed since the entry", remedy="hand the case back and enter anew")
    _insist(findings, acknowledged)
    return await _settle(op, draft, change, scene, needs)


async def hand_back(op: Operation, case_no: int, reason: str) -> None:
    """差戻し with a reason, by a second person. Raises Refused `registry.same_person`, Conflict `registry.case_closed`."""
    _need(op, "change.confirm")
    _need_reason(reason)
    draft = await case_store.read(op, case_no)
    if draft.entered_by == op.caller.actor_id:
        raise Refused("registry.same_person", "whoever entered a change withdraws it instead")
    await case_store.move(op, case_no, ("entered",), "handed_back")
    await case_store.add_step(op, case_no, "handed_back", comment=reason)
    op.fact(case_no=case_no)


async def withdraw(op: Operation, case_no: int, reason: str) -> None:
    """取下げ by whoever entered it. Raises Refused `registry.not_own_case`, Conflict `registry.case_closed`."""
    _need(op, "change.enter")
    _need_reason(reason)
    draft = await case_store.read(op, case_no)
    if draft.entered_by != op.caller.actor_id:
        raise Refused("registry.not_own_case", "only whoever entered a case withdraws it")
    await case_store.move(op, case_no, ("entered", "handed_back"), "withdrawn")
    await case_store.add_step(op, case_no, "withdrawn", comment=reason)
    op.fact(case_no=case_no)


async def queue(op: Operation) -> tuple[CaseSummary, ...]:
    """照合待ちの一覧: cases that wait, oldest first, at most 200; one's own are there and cannot be confirmed."""
    _need_any(op, "change.enter", "change.confirm")
    return tuple(_summary(op, draft) for draft in await case_store.waiting(op, QUEUE_MAX))


async def case(op: Operation, case_no: int) -> CaseView:
    """仮登録の内容 with before and after. NotFound `registry.unknown_case`."""
    _need_any(op, "change.enter", "change.confirm")
    draft = await case_store.read(op, case_no)
    change, acknowledged = case_store.open_change(op, case_no, draft.change_sealed)
    held = dict(case_store.open_numbers(op, case_no, draft.numbers_sealed).my_numbers)
    full = changes.with_my_numbers(change, held)
    before: tuple[Record, ...] = ()
    after: tuple[Record, ...] = ()
    findings = Findings()
    if draft.state in ("entered", "handed_back"):
        full, scene = await _prepared(op, full)
        findings, fresh = await _judge(op, full, scene, draft.reception, _placeholders(changes.needs(full, scene)))
        before, after = _side_by_side(op, scene, fresh)
    return CaseView(
        summary=_summary(op, draft),
        reception=draft.reception,
        change=full if op.caller.may("resident.my_number") else change,
        acknowledged=acknowledged,
        findings=findings,
        before=before,
        after=after,
        reentry=tuple(changes.twice_typed(full)),
        steps=await case_store.steps(op, case_no),
        replaces_case=draft.replaces_case,
    )


def _summary(op: Operation, draft: Draft) -> CaseSummary:
    own = draft.entered_by == op.caller.actor_id
    return CaseSummary(
        case_no=draft.case_no,
        state=draft.state,
        reason=draft.reason,
        form_no=draft.form_no,
        entered_by=draft.entered_by,
        entered_at=draft.entered_at,
        atena_nos=tuple(draft.base),
        identity_checked=draft.reception.document.value != "none",
        may_confirm=not own and draft.state == "entered" and op.caller.may("change.confirm"),
    )


async def _prepared(op: Operation, change: Change) -> tuple[Change, Scene]:
    """The change with what follows by itself filled in, and the residents it acts on, read whole."""
    today = today_in_japan(op.now)
    if change.notified_on is None:
        change = msgspec.structs.replace(change, notified_on=today)
    event: Event | None = None
    made: dict[str, tuple[int, ...]] = {}
    if isinstance(change, Cancel):
        event = (await store.events(op.session, op.ring, [change.event_no])).get(change.event_no)
        made = await store.versions_of_event(op.session, change.event_no)
    wanted = changes.numbers(change)
    found = await store.holders(op, wanted.values())
    held_by = {a for holders in found.values() for a in holders}
    atena_nos, setai_nos = changes.subjects(change)
    records = await _records(op, (*atena_nos, *made), setai_nos, held_by)
    holders = {path: _standing(records, pair, found.get(pair, ())) for path, pair in wanted.items()}
    change = _returning(change, records, holders)
    namesakes = {
        path: await find.namesakes(op, person.name, person.birth, person.sex.value)
        for path, person in changes.newcomers(change).items()
    }
    scene = Scene(today=today, records=records, holders=holders, namesakes=namesakes, event=event, event_versions=made)
    if isinstance(change, Cancel) and cancelling_reason(scene):
        change = msgspec.structs.replace(change, reason=cancelling_reason(scene))
    return change, scene


async def _records(
    op: Operation, atena_nos: tuple[str, ...], setai_nos: tuple[str, ...], held_by: set[str]
) -> dict[str, tuple[Record, ...]]:
    rows = await store.rows_around(op.session, atena_nos, setai_nos) if atena_nos or setai_nos else []
    known = {row[0] for row in rows}
    if held_by - known:
        rows += await store.rows_of(op.session, sorted(held_by - known))
    return {
        atena_no: tuple(store.open_record(op.ring, row, GROUPS) for row in group)
        for atena_no, group in groupby(rows, key=lambda row: row[0])
    }


def _standing(
    records: Mapping[str, tuple[Record, ...]], pair: tuple[str, str], atena_nos: list[str] | tuple[str, ...]
) -> tuple[str, ...]:
    """Of those who ever held a number, the ones on whose time line it still stands last."""
    found: list[str] = []
    for atena_no in atena_nos:
        line = timeline(records.get(atena_no, ()))
        if line and pair in numbers_of(line[-1]):
            found.append(atena_no)
    return tuple(found)


def _returning(
    change: Change, records: Mapping[str, tuple[Record, ...]], holders: Mapping[str, tuple[str, ...]]
) -> Change:
    """再転入: whoever brings the 個人番号 or 住民票コード of a removed resident goes on under that 宛名番号 (R-1-2.3-LNK-01)."""
    if not isinstance(change, MoveIn):
        return change
    persons = list(change.persons)
    for i, person in enumerate(persons):
        matched = {*holders.get(f"persons.{i}.my_number", ()), *holders.get(f"persons.{i}.resident_code", ())}
        line = timeline(records[next(iter(matched))]) if len(matched) == 1 else ()
        if not person.returning_atena_no and line and line[-1].status in (Status.MOVED_OUT, Status.REMOVED):
            persons[i] = msgspec.structs.replace(person, returning_atena_no=line[-1].atena_no)
    return msgspec.structs.replace(change, persons=tuple(persons))


async def _judge(
    op: Operation, change: Change, scene: Scene, reception: Reception, drawn: Drawn
) -> tuple[Findings, tuple[Record, ...]]:
    """Everything the rules say, and the versions the change would make where it can be applied at all."""
    reason = rules.reason_of(change)
    if reason is None:
        return rules.error("registry.reason_not_of_form", "reason"), ()
    found = rules.total(
        (
            rules.check_reception(reception, reason),
            rules.check_days(change.occurred_on, change.notified_on, scene.today, reason),
            changes.check(change, scene, op.tenant.settings.numbering.resident_code_check),
            await _check_notices(op, change, scene),
        )
    )
    if found.errors:
        return found, ()
    fresh = changes.apply(change, scene, drawn)
    if not fresh:
        return rules.total((found, rules.error("registry.nothing_changes", "occurred_on"))), ()
    head_gone = isinstance(change, Death | MoveOut | Relocate)
    return rules.total((found, rules.check_outcome(scene, fresh, head_gone=head_gone))), fresh


async def _check_notices(op: Operation, change: Change, scene: Scene) -> Findings:
    """抑止 of 異動 and 支援措置 of those a form names."""
    named = [a for a in (*changes.subjects(change)[0], *scene.event_versions) if a in scene.records]
    parts: list[Findings] = []
    for standing in (await protect.protections(op, named)).values() if named else ():
        level = standing.level(Process.CHANGE)
        if level is Level.ERROR:
            parts.append(rules.error("registry.change_suppressed", "change"))
        elif level is Level.ALERT:
            parts.append(rules.alert("registry.change_held", "change"))
        if standing.protected:
            parts.append(rules.alert("registry.protected_subject", "change"))
    return rules.total(parts)


def _insist(findings: Findings, passed: Mapping[str, str]) -> None:
    """Raises Invalid where an error stands or an alert was not passed with a reason."""
    if findings.errors:
        fields = {finding.field or "change": finding.code for finding in findings.errors}
        raise Invalid("registry.change_invalid", "the change breaks a rule", fields=fields)
    unread = {f"alert.{a.code}": a.code for a in findings.alerts if not passed.get(a.code)}
    if unread:
        raise Invalid("registry.alerts_open", "an alert needs a reason for going on", fields=unread)


def _base(scene: Scene, fresh: tuple[Record, ...]) -> dict[str, int]:
    """Newest version of everyone the change rests on: those it writes, and those who live with them."""
    known = {v.atena_no for v in fresh}
    homes = {v.setai_no for v in fresh}
    base: dict[str, int] = {}
    for atena_no, versions in scene.records.items():
        held = scene.now(atena_no)
        if atena_no in known or (held is not None and held.setai_no in homes):
            base[atena_no] = max(v.version_no for v in versions)
    return base


def _placeholders(needs: Needs) -> Drawn:
    """Numbers that stand in for those drawn at 本登録."""
    return Drawn(
        atena_nos=tuple(f"新規{i + 1}" for i in range(needs.atena_nos)),
        setai_no="新規世帯" if needs.setai_nos else "",
        resident_codes=("",) * needs.resident_codes,
    )


def _side_by_side(
    op: Operation, scene: Scene, fresh: tuple[Record, ...]
) -> tuple[tuple[Record, ...], tuple[Record, ...]]:
    """Records before and after, without the numbers for whoever lacks their rights."""
    last: dict[str, Record] = {}
    for version in fresh:
        last.setdefault(version.atena_no, version)
    before = [scene.now(v.atena_no, v.valid_from) for v in last.values()]
    hidden = {
        group: None
        for group, right in (("my_number", "resident.my_number"), ("resident_code", "resident.code"))
        if not op.caller.may(right)
    }
    _touch(op, scene, fresh, my_number="my_number" not in hidden)
    return (
        tuple(msgspec.structs.replace(r, **hidden) for r in before if r is not None),
        tuple(msgspec.structs.replace(r, **hidden) for r in last.values()),
    )


def _touch(op: Operation, scene: Scene, fresh: tuple[Record, ...], *, my_number: bool) -> None:
    for version in fresh:
        if version.atena_no in scene.records:
            op.touch(version.atena_no, my_number=my_number and version.my_number is not None)


async def _hold(op: Operation, change: Change, base: Mapping[str, int]) -> None:
    """Hold the residents, households and numbers of a change against everyone else until it is written."""
    atena_nos, setai_nos = changes.subjects(change)
    homes = await store.setai_nos_of(op.session, (*atena_nos, *base))
    await store.lock(op.session, "setai", {*homes, *setai_nos})
    await store.lock(op.session, "atena", {*atena_nos, *base})
    numbers = changes.numbers(change).values()
    await store.lock(op.session, "number", {op.ring.index.unique(kind, number).hex() for kind, number in numbers})
    if any(not p.my_number for p in changes.newcomers(change).values()) or change.reason.startswith("resident_code"):
        await store.lock(op.session, "stock", ("resident_code",))


async def _settle(op: Operation, draft: Draft, change: Change, scene: Scene, needs: Needs) -> ConfirmResult:
    """Draw numbers, apply, stamp and write: versions, indexes, ledger, stock, requests, course of the case."""
    codes = await case_store.take_codes(op, needs.resident_codes) if needs.resident_codes else []
    drawn = Drawn(
        atena_nos=await _in_house(op, "atena_seq", needs.atena_nos),
        setai_no="".join(await _in_house(op, "setai_seq", needs.setai_nos)),
        resident_codes=tuple(code for _, code in codes),
    )
    event_no = (await store.draw(op.session, "event_seq", 1))[0]
    known_from = _instant(op.now, scene)
    fresh = tuple(
        msgspec.structs.replace(version, event_no=event_no, known_from=known_from)
        for version in changes.apply(change, scene, drawn)
    )
    await store.add_event(op, _event(op, draft, change, event_no, known_from))
    await store.add_versions(op, fresh, _to_index(scene, fresh))
    numbers = {v.resident_code.resident_code: v.atena_no for v in fresh if v.resident_code is not None}
    await case_store.use_codes(op, [(no, numbers[code]) for no, code in codes if code in numbers], event_no)
    await _mind_numbers(op, scene, fresh, event_no)
    await case_store.add_step(op, draft.case_no, "confirmed", event_no=event_no)
    for version in fresh:
        op.touch(version.atena_no, my_number=version.my_number is not None)
    op.fact(case_no=draft.case_no, event_no=event_no, reason=change.reason, versions=len(fresh))
    return ConfirmResult(
        case_no=draft.case_no,
        event_no=event_no,
        atena_nos=tuple(dict.fromkeys(v.atena_no for v in fresh)),
        new_atena_nos=drawn.atena_nos,
    )


def _event(op: Operation, draft: Draft, change: Change, event_no: int, known_from: dt.datetime) -> Event:
    return Event(
        event_no=event_no,
        reason=change.reason,
        occurred_on=change.occurred_on,
        notified_on=change.notified_on,
        processed_on=today_in_japan(op.now),
        known_from=known_from,
        case_no=draft.case_no,
        cancels_event=change.event_no if isinstance(change, Cancel) else None,
        entered_by=draft.entered_by,
        confirmed_by=op.caller.actor_id,
        terminal=op.caller.terminal_id,
        remarks=change.remarks,
    )


def _instant(now: dt.datetime, scene: Scene) -> dt.datetime:
    """記録日時: now, and later than everything it rests on, even where two machines' clocks differ."""
    known = [v.known_from for versions in scene.records.values() for v in versions if v.known_from is not None]
    return max([now, *(instant + dt.timedelta(microseconds=1) for instant in known)])


def _to_index(scene: Scene, fresh: tuple[Record, ...]) -> list[Record]:
    """Versions whose names, birth or address no earlier version of the same resident had."""
    seen = {(a, searchable(v)) for a, versions in scene.records.items() for v in versions}
    found: list[Record] = []
    for version in fresh:
        key = (version.atena_no, searchable(version))
        if key not in seen:
            seen.add(key)
            found.append(version)
    return found


async def _mind_numbers(op: Operation, scene: Scene, fresh: tuple[Record, ...], event_no: int) -> None:
    """Ask for the 個人番号 of whoever came in without one; close the request of whoever has one now (R-1-2.3-NUM-01)."""
    entered = [v.atena_no for v in fresh if v.status is Status.RESIDENT and v.my_number is None and _is_entry(scene, v)]
    await case_store.request_number(op, list(dict.fromkeys(entered)), event_no)
    numbered = [v.atena_no for v in fresh if v.my_number is not None and _had_no_number(scene, v.atena_no)]
    if numbered:
        await case_store.close_requests(op, numbered, event_no)


def _is_entry(scene: Scene, version: Record) -> bool:
    held = scene.now(version.atena_no)
    return held is None or held.status is not Status.RESIDENT


def _had_no_number(scene: Scene, atena_no: str) -> bool:
    held = scene.now(atena_no)
    return held is not None and held.my_number is None


async def _in_house(op: Operation, sequence: str, count: int) -> tuple[str, ...]:
    """宛名番号 or 世帯番号 from a sequence; serials whose check digit would be 10 are skipped."""
    rules_ = op.tenant.settings.numbering
    width = rules_.atena_digits if sequence == "atena_seq" else rules_.setai_digits
    found: list[str] = []
    while len(found) < count:
        drawn = (
            await store.draw(op.session, "atena_seq", count - len(found))
            if sequence == "atena_seq"
            else await store.draw(op.session, "setai_seq", count - len(found))
        )
        found += [number for serial in drawn if (number := numbering.in_house_number(serial, digits=width))]
    return tuple(found)


async def _already(op: Operation, case_no: int) -> ConfirmResult | None:
    """The result of a confirmation that this very person made before: a double click answers the same."""
    done = [s for s in await case_store.steps(op, case_no) if s.state == "confirmed"]
    if not done or done[-1].done_by != op.caller.actor_id or done[-1].event_no is None:
        return None
    made = await store.versions_of_event(op.session, done[-1].event_no)
    new = tuple(atena_no for atena_no, versions in made.items() if versions[0] == 1)
    return ConfirmResult(case_no=case_no, event_no=done[-1].event_no, atena_nos=tuple(made), new_atena_nos=new)


def _need(op: Operation, right: str) -> None:
    if not op.caller.may(right):
        raise Refused("access.right_missing", "the duty does not carry this right", right=right)


def _need_any(op: Operation, *rights: str) -> None:
    if not any(op.caller.may(right) for right in rights):
        raise Refused("access.right_missing", "the duty does not carry this right", right=rights[0])


def _need_reason(reason: str) -> None:
    if not reason.strip():
        raise Invalid("registry.reason_missing", "needs a reason", fields={"reason": "registry.reason_missing"})
