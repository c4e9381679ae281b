"""緩和の申請と承認: what would protect somebody less is asked for by one person and approved by another.

支援措置の終了, 支援措置の縮小 and 抑止の解除 change nothing when they are asked for; the approval writes the next version, or the
release, in its own transaction. Control R-12-3.2-QUA-01: whoever asked cannot approve (docs/adr/0011).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec

from juki.audit import Operation
from juki.personal import Personal
from juki.problem import Conflict, Invalid, Refused
from juki.registry import loosening_store, protection_store, store
from juki.registry.measures import (
    Asked,
    Loosening,
    LooseningKind,
    LooseningState,
    Measure,
    MeasureState,
    SupportMeasure,
    Suppression,
    loosened,
    tightened,
)
from juki.registry.protect import append, held_back, latest, need, need_known, need_reason

QUEUE_MAX: Final = 200
RIGHT: Final = "protection.enter"
_KEPT: Final = (
    "atena_no",
    "starts_on",
    "ends_on",
    "provisional",
    "provisional_from",
    "provisional_until",
    "ended_because",
)
"""What no amendment touches: whom the measure is for, its state and its period."""


class Amended(msgspec.Struct, frozen=True, kw_only=True):
    """支援措置の変更の結果: the newest version, and the number of the ask for what needs a second person (None: nothing does)."""

    version_no: int
    loosening_no: int | None = None


class LooseningView(Personal, frozen=True, kw_only=True):
    """緩和の申請の内容: the ask, what it is about as it stood when it was asked for, and what this caller may do."""

    loosening: Loosening
    measure: Measure | None = None
    suppression: Suppression | None = None
    items: tuple[str, ...] = ()  # 縮小: the items that would protect less
    own: bool = False
    may_approve: bool = False
    may_decline: bool = False
    may_withdraw: bool = False


async def amend_protection(op: Operation, measure_no: int, content: SupportMeasure, *, reason: str = "") -> Amended:
    """支援措置の変更: what protects nobody less holds at once, the rest is asked for with a reason; state and period stay.

    Raises Invalid `registry.loosening_reason` where something is loosened and no reason given, `registry.nothing_changes`,
    `registry.measure_state`, Conflict `registry.loosening_waits`, NotFound `registry.unknown_measure` or
    `registry.unknown_resident`, Refused `access.right_missing`.
    """
    await loosening_store.hold(op, measure_no=measure_no)
    now = await latest(op, measure_no)
    wanted = msgspec.structs.replace(content, **{name: getattr(now.content, name) for name in _KEPT})
    if joining := [atena_no for atena_no in wanted.protected_with if atena_no not in now.content.protected_with]:
        await need_known(op, joining)
    if wanted == now.content:
        raise Invalid("registry.nothing_changes", "nothing reads differently")
    at_once = tightened(now.content, wanted)
    if at_once != wanted and not reason.strip():
        code = "registry.loosening_reason"
        raise Invalid(code, "this protects somebody less and needs a second person", fields={"reason": code})
    version_no = now.version_no
    if at_once != now.content:
        version_no += 1
        await append(op, measure_no, version_no, now.state, at_once)
    if at_once == wanted:
        return Amended(version_no=version_no)
    asked = Asked(reason=reason, content=wanted)
    number = await _ask_of_measure(op, LooseningKind.NARROW, now, version_no, asked)
    return Amended(version_no=version_no, loosening_no=number)


async def ask_end(op: Operation, measure_no: int, reason: str) -> int:
    """支援措置の終了の申請: only ever by a person, with a reason (never silently); the measure goes on. Returns its number.

    Raises Invalid `registry.reason_missing` or `registry.measure_state`, Conflict `registry.loosening_waits`, NotFound
    `registry.unknown_measure`, Refused `access.right_missing`.
    """
    need_reason(reason)
    await loosening_store.hold(op, measure_no=measure_no)
    now = await latest(op, measure_no)
    return await _ask_of_measure(op, LooseningKind.END, now, now.version_no, Asked(reason=reason))


async def ask_release(op: Operation, atena_no: str, suppression_no: int, reason: str) -> int:
    """抑止の解除の申請, for good; the process stays held back. Returns its number.

    Raises Invalid `registry.reason_missing`, Conflict `registry.loosening_waits`, NotFound `registry.unknown_suppression`,
    Refused `access.right_missing`.
    """
    need(op, RIGHT)
    need_reason(reason)
    await loosening_store.hold(op, suppression_no=suppression_no)
    await held_back(op, atena_no, suppression_no)
    if waits := await loosening_store.waiting_of_suppression(op, suppression_no):
        raise _waits(waits)
    return await _ask(op, LooseningKind.RELEASE, Asked(reason=reason), suppression_no=suppression_no)


async def approve_loosening(op: Operation, loosening_no: int) -> None:
    """緩和の承認 by a second person: the next version of the measure, or the release, in the transaction of this step.

    Raises Refused `registry.own_loosening`, Conflict `registry.loosening_ended` or `registry.loosening_stale`, NotFound
    `registry.unknown_loosening`, Refused `access.right_missing`.
    """
    loosening = await _open(op, loosening_no)
    _not_own(op, loosening)
    if loosening.stale:
        raise _stale()
    done = await (_let_go if loosening.kind is LooseningKind.RELEASE else _next_version)(op, loosening)
    await loosening_store.end(op, loosening, LooseningState.APPROVED, version_no=done)


async def decline_loosening(op: Operation, loosening_no: int, reason: str) -> None:
    """緩和の却下 with a reason, by a second person; everything holds as before. Raises as `approve_loosening`, but for stale."""
    need_reason(reason)
    loosening = await _open(op, loosening_no)
    _not_own(op, loosening)
    await _touch(op, loosening)
    await loosening_store.end(op, loosening, LooseningState.DECLINED, comment=reason)


async def withdraw_loosening(op: Operation, loosening_no: int) -> None:
    """緩和の申請の取下げ by whoever asked. Refused `registry.not_own_loosening`, Conflict `registry.loosening_ended`."""
    loosening = await _open(op, loosening_no)
    if loosening.asked_by != op.caller.actor_id:
        raise Refused("registry.not_own_loosening", "only whoever asked withdraws it")
    await _touch(op, loosening)
    await loosening_store.end(op, loosening, LooseningState.WITHDRAWN)


async def loosenings(op: Operation) -> tuple[LooseningView, ...]:
    """承認待ちの一覧: asks that wait, oldest first, at most 200; one's own are there and cannot be approved."""
    need(op, RIGHT)
    found = await loosening_store.waiting(op, QUEUE_MAX)
    measures = await _measures(op, found)
    return tuple([await _view(op, asked, measures) for asked in found])


async def loosening(op: Operation, loosening_no: int) -> LooseningView:
    """緩和の申請の内容, finished ones too. NotFound `registry.unknown_loosening`."""
    need(op, RIGHT)
    asked = await loosening_store.read(op, loosening_no)
    op.fact(loosening_no=loosening_no)
    return await _view(op, asked, await _measures(op, [asked]))


async def waiting_for(op: Operation, measure_nos: Sequence[int]) -> dict[int, tuple[int, LooseningKind]]:
    """Measure -> (number, kind) of the ask that waits for a second person, for pages that list measures."""
    need(op, "protection.read")
    return await loosening_store.waiting_of_measures(op, measure_nos)


async def approvals(op: Operation, measure_no: int) -> dict[int, tuple[int, str]]:
    """Version of a measure -> (number of the ask, who approved it), for the versions that two persons made."""
    need(op, "protection.read")
    return await loosening_store.approved_of_measure(op, measure_no)


async def _open(op: Operation, loosening_no: int) -> Loosening:
    """An ask that still waits, held until the transaction ends."""
    need(op, RIGHT)
    found = await loosening_store.read(op, loosening_no)
    op.fact(loosening_no=loosening_no)
    await loosening_store.hold(op, measure_no=found.measure_no, suppression_no=found.suppression_no)
    found = await loosening_store.read(op, loosening_no)
    if found.state is not LooseningState.ASKED:
        raise loosening_store.ended_already()
    return found


async def _ask_of_measure(op: Operation, kind: LooseningKind, now: Measure, base: int, asked: Asked) -> int:
    waits = await loosening_store.waiting_of_measures(op, [now.measure_no])
    if now.measure_no in waits:
        raise _waits(waits[now.measure_no][0])
    for atena_no in protection_store.subjects(now.content):
        op.touch(atena_no)
    return await _ask(op, kind, asked, measure_no=now.measure_no, base_version=base)


async def _ask(
    op: Operation,
    kind: LooseningKind,
    asked: Asked,
    *,
    measure_no: int | None = None,
    base_version: int | None = None,
    suppression_no: int | None = None,
) -> int:
    number = (await store.draw(op.session, "loosening_seq", 1))[0]
    await loosening_store.add(
        op,
        Loosening(
            loosening_no=number,
            kind=kind,
            measure_no=measure_no,
            base_version=base_version,
            suppression_no=suppression_no,
            asked_by=op.caller.actor_id,
            asked_at=op.now,
            terminal=op.caller.terminal_id,
            asked=asked,
        ),
    )
    op.fact(loosening_no=number)
    return number


async def _next_version(op: Operation, loosening: Loosening) -> int:
    """終了 or 縮小 as asked for; entered by whoever asked. Conflict where the measure moved on in the meantime."""
    now = (await _measures(op, [loosening]))[-1]
    asked, ends = loosening.asked, loosening.kind is LooseningKind.END
    content = asked.content or msgspec.structs.replace(now.content, ended_because=asked.reason)
    state = MeasureState.ENDED if ends else now.state
    for atena_no in protection_store.subjects(now.content):
        op.touch(atena_no)
    try:
        await append(op, now.measure_no, now.version_no + 1, state, content, entered_by=loosening.asked_by)
    except Conflict:
        raise _stale() from None
    return now.version_no + 1


async def _let_go(op: Operation, loosening: Loosening) -> int:
    await _touch(op, loosening)
    number, reason = loosening.suppression_no or 0, loosening.asked.reason
    return await protection_store.add_release(op, number, None, reason, loosening.asked_by)


async def _view(op: Operation, asked: Loosening, measures: Sequence[Measure]) -> LooseningView:
    base = (asked.measure_no, asked.base_version)
    measure = next((m for m in measures if (m.measure_no, m.version_no) == base), None)
    held = await protection_store.suppression(op, asked.suppression_no) if asked.suppression_no else None
    for atena_no in protection_store.subjects(measure.content) if measure else [held.atena_no] if held else []:
        op.touch(atena_no)
    own = asked.asked_by == op.caller.actor_id
    waits = asked.state is LooseningState.ASKED
    return LooseningView(
        loosening=asked,
        measure=measure,
        suppression=held,
        items=loosened(measure.content, asked.asked.content) if measure and asked.asked.content else (),
        own=own,
        may_approve=waits and not own and not asked.stale,
        may_decline=waits and not own,
        may_withdraw=waits and own,
    )


async def _touch(op: Operation, asked: Loosening) -> None:
    """Everyone an ask concerns stands in the log, whatever comes of it."""
    await _view(op, asked, await _measures(op, [asked]))


async def _measures(op: Operation, asked: Sequence[Loosening]) -> list[Measure]:
    """Every version of the measures that asks are about, oldest first."""
    numbers = sorted({a.measure_no for a in asked if a.measure_no is not None})
    return await protection_store.measures(op, numbers) if numbers else []


def _not_own(op: Operation, loosening: Loosening) -> None:
    if loosening.asked_by == op.caller.actor_id:
        raise Refused("registry.own_loosening", "whoever asked does not decide")


def _waits(number: int) -> Conflict:
    remedy = f"open ask {number}"
    return Conflict("registry.loosening_waits", "an ask waits already", remedy=remedy, loosening_no=number)


def _stale() -> Conflict:
    remedy = "decline or withdraw it and ask anew"
    return Conflict("registry.loosening_stale", "the measure moved on since it was asked for", remedy=remedy)
