"""支援措置・抑止の受付: begin provisionally or in full, renew, amend; hold a process back and let it go for a while.

Everything here holds at once and needs one person. What would protect somebody less is asked for in `loosen`.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from typing import Final

import msgspec

from juki.audit import Operation
from juki.dates import today_in_japan
from juki.problem import Invalid, NotFound, Refused
from juki.registry import loosening_store, protection_store, store
from juki.registry.measures import (
    Level,
    LooseningKind,
    Measure,
    MeasureState,
    Process,
    Protection,
    SupportMeasure,
    Suppression,
    ends_of,
    last_day,
    may_release,
    renewable_from,
    warning,
)

RELEASE_MINUTES_MAX: Final = 480
"""Eight hours: a temporary release outlasts no working day."""


async def protections(op: Operation, atena_nos: Sequence[str]) -> dict[str, Protection]:
    """What stands over each of the residents named; measures and the reason of a 抑止 only with the right protection.read."""
    today = today_in_japan(op.now)
    under = await protection_store.protected_among(op, atena_nos)
    held = await protection_store.suppressions(op, atena_nos)
    in_full = op.caller.may("protection.read")
    numbers = {measure.measure_no for found in under.values() for measure in found}
    asked = await loosening_store.waiting_of_measures(op, sorted(numbers)) if numbers else {}
    return {
        atena_no: _protection(atena_no, under.get(atena_no, []), held, asked, today, in_full=in_full)
        for atena_no in atena_nos
    }


def _protection(
    atena_no: str,
    under: Sequence[Measure],
    held: Sequence[Suppression],
    asked: Mapping[int, tuple[int, LooseningKind]],
    today: dt.date,
    *,
    in_full: bool,
) -> Protection:
    return Protection(
        atena_no=atena_no,
        protected=bool(under),
        provisional=any(m.state is MeasureState.PROVISIONAL for m in under),
        overdue=any(warning(ends_of(m), today) == "overdue" for m in under),
        suppressions=tuple(
            s if in_full else msgspec.structs.replace(s, reason="") for s in held if s.atena_no == atena_no
        ),
        measures=tuple(under) if in_full else (),
        asked=tuple(dict.fromkeys(asked[m.measure_no][1] for m in under if m.measure_no in asked)),
    )


async def protection(op: Operation, atena_no: str) -> Protection:
    """What stands over one resident; an unknown one answers as one without any notice."""
    return (await protections(op, [atena_no]))[atena_no]


async def hold_guards(op: Operation, atena_nos: Sequence[str]) -> None:
    """Until this operation ends nobody puts these residents under 支援措置 or 抑止; whoever is doing so is waited for."""
    await store.lock(op.session, protection_store.GUARD, atena_nos)


async def enter_protection(op: Operation, content: SupportMeasure) -> int:
    """支援措置の開始: a new measure, provisional where item 23 says so; the last day is computed. Returns its number.

    Raises Refused `access.right_missing`, Invalid naming the item, NotFound `registry.unknown_resident`.
    """
    need(op, "protection.enter")
    if not content.atena_no:
        raise NotFound("registry.unknown_resident", "no such resident here")
    await need_known(op, (content.atena_no, *content.protected_with))
    measure_no = (await store.draw(op.session, "measure_seq", 1))[0]
    state = MeasureState.PROVISIONAL if content.provisional else MeasureState.IN_FORCE
    await append(op, measure_no, 1, state, _with_period(content, state))
    return measure_no


async def confirm_protection(op: Operation, measure_no: int, starts_on: dt.date) -> None:
    """仮支援措置 becomes 支援措置 from a day on."""
    now = await latest(op, measure_no)
    if now.state is not MeasureState.PROVISIONAL:
        raise Invalid("registry.measure_state", "only a provisional measure can be confirmed")
    content = msgspec.structs.replace(now.content, starts_on=starts_on, ends_on=None)
    await append(
        op, measure_no, now.version_no + 1, MeasureState.IN_FORCE, _with_period(content, MeasureState.IN_FORCE)
    )


async def renew_protection(op: Operation, measure_no: int) -> dt.date:
    """支援措置の延長: one more year from the day after the last, possible from one month before; the new last day.

    A measure past its last day is renewed without a gap. Raises Invalid `registry.too_early_to_renew`.
    """
    now = await latest(op, measure_no)
    ends_on = ends_of(now)
    if now.state is not MeasureState.IN_FORCE or ends_on is None:
        raise Invalid("registry.measure_state", "only a measure in force can be renewed")
    if today_in_japan(op.now) < renewable_from(ends_on):
        raise Invalid("registry.too_early_to_renew", "renewal opens one month before the last day")
    renewed = last_day(ends_on + dt.timedelta(days=1))
    content = msgspec.structs.replace(now.content, ends_on=renewed)
    await append(op, measure_no, now.version_no + 1, MeasureState.IN_FORCE, content)
    return renewed


async def protection_alerts(op: Operation) -> tuple[tuple[Measure, str], ...]:
    """期間終了の知らせ: measures whose last day is near (`ending`) or has passed (`overdue`), soonest first."""
    need(op, "protection.read")
    today = today_in_japan(op.now)
    found: list[tuple[Measure, str]] = []
    for measure in await protection_store.latest_measures(op, ended=False):
        if told := warning(ends_of(measure), today):
            op.touch(measure.content.atena_no)
            found.append((measure, told))
    return tuple(found)


async def measure_history(op: Operation, measure_no: int) -> tuple[Measure, ...]:
    """Every version of one measure, oldest first. NotFound `registry.unknown_measure`."""
    need(op, "protection.read")
    found = await protection_store.measures(op, [measure_no])
    if not found:
        raise NotFound("registry.unknown_measure", "no such measure")
    op.touch(found[-1].content.atena_no)
    return tuple(found)


async def measures_in_force(op: Operation) -> tuple[Measure, ...]:
    """支援措置の一覧: every measure that nobody has ended, soonest last day first."""
    need(op, "protection.read")
    found = await protection_store.latest_measures(op, ended=False)
    for measure in found:
        op.touch(measure.content.atena_no)
    return tuple(found)


async def suppress(
    op: Operation,
    atena_nos: Sequence[str],
    process: Process,
    level: Level,
    *,
    starts_on: dt.date,
    ends_on: dt.date | None = None,
    reason: str,
) -> tuple[int, ...]:
    """抑止の設定 on a person or a whole household; `ends_on` reminds and lifts nothing. Returns the numbers."""
    need(op, "protection.enter")
    need_reason(reason)
    await need_known(op, atena_nos)
    await hold_guards(op, atena_nos)
    numbers = await store.draw(op.session, "suppression_seq", len(atena_nos))
    for number, atena_no in zip(numbers, atena_nos, strict=True):
        op.touch(atena_no)
        await protection_store.add_suppression(
            op,
            Suppression(
                suppression_no=number,
                atena_no=atena_no,
                process=process,
                level=level,
                starts_on=starts_on,
                ends_on=ends_on,
                set_by=op.caller.actor_id,
                reason=reason,
            ),
        )
    return tuple(numbers)


async def release(op: Operation, atena_no: str, suppression_no: int, *, minutes: int, reason: str) -> None:
    """抑止の一時解除 with a reason: it comes back by itself after at most eight hours, so one person is enough, and another
    one for the next within a day.

    Raises Invalid `registry.release_minutes`, `registry.reason_missing`, NotFound `registry.unknown_suppression`, Refused
    `registry.release_again`.
    """
    need(op, "protection.enter")
    need_reason(reason)
    if not 1 <= minutes <= RELEASE_MINUTES_MAX:
        raise Invalid("registry.release_minutes", "between 1 and 480", fields={"minutes": "registry.release_minutes"})
    await loosening_store.hold(op, suppression_no=suppression_no)
    await held_back(op, atena_no, suppression_no)
    if not may_release(await protection_store.releases(op, suppression_no), op.caller.actor_id, op.now):
        raise Refused("registry.release_again", "whoever let it go yesterday or today does not do so again")
    until = op.now + dt.timedelta(minutes=minutes)
    await protection_store.add_release(op, suppression_no, until, reason, op.caller.actor_id)


async def held_back(op: Operation, atena_no: str, suppression_no: int) -> None:
    """抑止 that stands over this resident; noted as touched. NotFound `registry.unknown_suppression`."""
    held = await protection_store.suppressions(op, [atena_no])
    if all(s.suppression_no != suppression_no for s in held):
        raise NotFound("registry.unknown_suppression", "no such suppression")
    op.touch(atena_no)


async def suppressions(op: Operation, atena_no: str) -> tuple[Suppression, ...]:
    """抑止 of one resident that were not released for good."""
    return tuple(await protection_store.suppressions(op, [atena_no]))


def need(op: Operation, right: str) -> None:
    """Refused `access.right_missing` where the caller's duty does not carry the right."""
    if not op.caller.may(right):
        raise Refused("access.right_missing", "the duty does not carry this right", right=right)


def need_reason(reason: str) -> None:
    """Invalid `registry.reason_missing` where nothing was said."""
    if not reason.strip():
        raise Invalid("registry.reason_missing", "needs a reason", fields={"reason": "registry.reason_missing"})


async def need_known(op: Operation, atena_nos: Sequence[str]) -> None:
    """NotFound `registry.unknown_resident` where nobody is named, or somebody who is not in this register."""
    known = {row[0] for row in await store.rows_of(op.session, atena_nos)}
    if not atena_nos or not set(atena_nos) <= known:
        raise NotFound("registry.unknown_resident", "no such resident here")


async def latest(op: Operation, measure_no: int) -> Measure:
    """支援措置の最新の版 for whoever may change it; NotFound `registry.unknown_measure`, Invalid `registry.measure_state` ended."""
    need(op, "protection.enter")
    found = await protection_store.measures(op, [measure_no])
    if not found:
        raise NotFound("registry.unknown_measure", "no such measure")
    if found[-1].state is MeasureState.ENDED:
        raise Invalid("registry.measure_state", "this measure has ended")
    return found[-1]


async def append(
    op: Operation,
    measure_no: int,
    version_no: int,
    state: MeasureState,
    content: SupportMeasure,
    *,
    entered_by: str | None = None,
) -> None:
    """支援措置の次の版, by the caller unless somebody else entered what the caller approves. Conflict `registry.stale`."""
    for atena_no in protection_store.subjects(content):
        op.touch(atena_no)
    await protection_store.add_measure(
        op,
        Measure(
            measure_no=measure_no,
            version_no=version_no,
            state=state,
            content=content,
            known_from=op.now,
            entered_by=entered_by or op.caller.actor_id,
        ),
    )


def _with_period(content: SupportMeasure, state: MeasureState) -> SupportMeasure:
    """The period that follows from the first day: one year, 仮支援措置 until it is decided."""
    if state is MeasureState.PROVISIONAL:
        if content.provisional_from is None:
            code = "registry.required"
            raise Invalid(code, "a provisional measure needs its first day", fields={"provisional_from": code})
        return content
    if content.starts_on is None:
        code = "registry.required"
        raise Invalid(code, "a measure needs its first day", fields={"starts_on": code})
    return msgspec.structs.replace(content, ends_on=last_day(content.starts_on))
