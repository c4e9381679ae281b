"""異動の流れ: 仮登録 by one person, 照合 against the form by another, 本登録. A draft is seen by nobody outside this flow.

Control R-12-3.2-QUA-01: whoever entered a change cannot confirm it; numbers and dates are typed a second time, blind.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from typing import Final

import msgspec

from juki.audit import Operation
from juki.personal import Personal
from juki.problem import Conflict, Invalid, Refused
from juki.registry import case_store, changes, store
from juki.registry.case_store import Draft, Numbers, Step
from juki.registry.change import Change, Findings, Reception
from juki.registry.judging import base_of, insist, judge, not_drawn_yet, prepared, side_by_side, touch
from juki.registry.resident import Record
from juki.registry.settling import ConfirmResult, hold, settle

QUEUE_MAX: Final = 200
NOTICE_DAYS: Final = 30


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
    atena_nos: tuple[str, ...]  # everyone the change rests on, those who live with them too
    about: tuple[str, ...]  # 対象: of these, the ones the form is about
    identity_checked: bool
    may_confirm: bool


class CaseView(Personal, frozen=True, kw_only=True):
    """仮登録の内容, without 個人番号 and 住民票コード for whoever lacks their rights; `reentry` names the fields to type again."""

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


async def examine(op: Operation, change: Change, reception: Reception, *, replaces: int | None = None) -> Examined:
    """Check a change against the register without keeping anything.

    Raises Refused `access.right_missing`, Conflict `registry.form_used` or `registry.form_handed_back` as `enter` would.
    """
    _need(op, "change.enter")
    await case_store.insist_on_form(op, reception.form_no, replaces)
    change, scene = await prepared(op, change)
    findings, fresh = await judge(op, change, scene, reception, not_drawn_yet(changes.needs(change, scene)))
    before, after = side_by_side(op, scene, fresh)
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

    `replaces` names a case that was handed back and is withdrawn by this entry; the same paper may come under its number
    again. Raises Invalid `registry.change_invalid` (fields say which rule), Invalid `registry.alerts_open`, Conflict
    `registry.form_used` or `registry.form_handed_back` (fact `case_no` names the case), Refused `access.right_missing`.
    """
    _need(op, "change.enter")
    form_no = case_store.form_number(reception.form_no)
    await store.lock(op.session, "form", (form_no.upper(),))
    await case_store.insist_on_form(op, form_no, replaces)
    change, scene = await prepared(op, change)
    findings, fresh = await judge(op, change, scene, reception, not_drawn_yet(changes.needs(change, scene)))
    passed = {code: why.strip() for code, why in (acknowledged or {}).items() if why.strip()}
    insist(findings, passed)
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
            form_no=form_no,
            entered_by=op.caller.actor_id,
            entered_at=op.now,
            terminal=op.caller.terminal_id,
            replaces_case=replaces,
            base=base_of(scene, fresh),
            acknowledged=kept,
            change_sealed=change_sealed,
            numbers_sealed=numbers_sealed,
            reception=reception,
        ),
    )
    touch(op, scene, fresh, my_number=bool(held))
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
    await hold(op, change, draft.base)
    change, scene = await prepared(op, change)
    needs = changes.needs(change, scene)
    findings, preview = await judge(op, change, scene, draft.reception, not_drawn_yet(needs))
    if base_of(scene, preview) != draft.base:
        raise Conflict("registry.stale", "a record changed since the entry", remedy="hand the case back and enter anew")
    insist(findings, acknowledged)
    return await settle(op, draft, change, scene, needs)


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


async def identity_notices(op: Operation) -> tuple[CaseSummary, ...]:
    """確認通知の対象 of the last NOTICE_DAYS: cases whose notifier was not identified, for a notice to the registered address
    (R-1-3.2-IDV-01)."""
    _need_any(op, "change.enter", "change.confirm")
    found = tuple(
        _summary(op, draft)
        for draft in await case_store.unconfirmed(op, op.now - dt.timedelta(days=NOTICE_DAYS), QUEUE_MAX)
    )
    for summary in found:
        for atena_no in summary.atena_nos:
            op.touch(atena_no)
    return found


async def case(op: Operation, case_no: int) -> CaseView:
    """仮登録の内容 with before and after; a case that is closed shows its form. NotFound `registry.unknown_case`."""
    _need_any(op, "change.enter", "change.confirm")
    draft = await case_store.read(op, case_no)
    change, acknowledged = case_store.open_change(op, case_no, draft.change_sealed)
    held = dict(case_store.open_numbers(op, case_no, draft.numbers_sealed).my_numbers)
    full = changes.with_my_numbers(change, held)
    before: tuple[Record, ...] = ()
    after: tuple[Record, ...] = ()
    findings = Findings()
    if draft.state in ("entered", "handed_back"):
        full, scene = await prepared(op, full)
        findings, fresh = await judge(op, full, scene, draft.reception, not_drawn_yet(changes.needs(full, scene)))
        before, after = side_by_side(op, scene, fresh)
    course = await case_store.steps(op, case_no)
    for atena_no in () if after else {*draft.base, *await _written(op, course)}:
        op.touch(atena_no, my_number=bool(held) and op.caller.may("resident.my_number"))
    shown = full if op.caller.may("resident.my_number") else change
    return CaseView(
        summary=_summary(op, draft),
        reception=draft.reception,
        change=shown if op.caller.may("resident.code") else changes.without_resident_codes(shown),
        acknowledged=acknowledged,
        findings=findings,
        before=before,
        after=after,
        reentry=tuple(changes.twice_typed(full)),
        steps=course,
        replaces_case=draft.replaces_case,
    )


def _summary(op: Operation, draft: Draft) -> CaseSummary:
    own = draft.entered_by == op.caller.actor_id
    change, _ = case_store.open_change(op, draft.case_no, draft.change_sealed)
    return CaseSummary(
        case_no=draft.case_no,
        state=draft.state,
        reason=draft.reason,
        form_no=draft.form_no,
        entered_by=draft.entered_by,
        entered_at=draft.entered_at,
        atena_nos=tuple(draft.base),
        about=changes.about(change) or tuple(draft.base),
        identity_checked=draft.reception.document.value != "none",
        may_confirm=not own and draft.state == "entered" and op.caller.may("change.confirm"),
    )


async def _written(op: Operation, course: Sequence[Step]) -> list[str]:
    """宛名番号 of those for whom a confirmed case wrote versions."""
    return [a for step in course if step.event_no for a in await store.versions_of_event(op.session, step.event_no)]


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
