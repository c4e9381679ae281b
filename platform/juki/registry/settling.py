"""本登録: what a confirmed change writes, in one transaction: versions, indexes, ledger, numbers drawn, course of the case."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Final

import msgspec

from juki import numbers as numbering
from juki.audit import Operation
from juki.dates import today_in_japan
from juki.registry import case_store, changes, store
from juki.registry.case_store import Draft
from juki.registry.change import Cancel, Change
from juki.registry.index import searchable
from juki.registry.resident import Record, Status
from juki.registry.scene import Drawn, Needs, Scene
from juki.registry.timeline import Event

_STRIDE_MAX: Final = 10_000


class ConfirmResult(msgspec.Struct, frozen=True, kw_only=True):
    """本登録の結果: the number to quote, and whose records have a new version."""

    case_no: int
    event_no: int
    atena_nos: tuple[str, ...]
    new_atena_nos: tuple[str, ...] = ()


async def hold(op: Operation, change: Change, base: Mapping[str, int]) -> None:
    """Hold the residents, households and numbers of a change against everyone else until it is written."""
    atena_nos, setai_nos = changes.subjects(change)
    homes = await store.setai_nos_of(op.session, (*atena_nos, *base))
    await store.lock(op.session, "setai", {*homes, *setai_nos})
    await store.lock(op.session, "atena", {*atena_nos, *base})
    numbers = changes.numbers(change).values()
    await store.lock(op.session, "number", {op.ring.index.unique(kind, number).hex() for kind, number in numbers})
    if any(not p.resident_code for p in changes.newcomers(change).values()) or change.reason.startswith(
        "resident_code"
    ):
        await store.lock(op.session, "stock", ("resident_code",))


async def settle(op: Operation, draft: Draft, change: Change, scene: Scene, needs: Needs) -> ConfirmResult:
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
    """宛名番号 or 世帯番号 from a sequence, never one that an incumbent gave out before.

    Serials whose check digit would be 10 are skipped; through a stretch of taken numbers it goes in growing strides.
    """
    digits = op.tenant.settings.numbering
    width = digits.atena_digits if sequence == "atena_seq" else digits.setai_digits
    found: list[str] = []
    stride = count
    while len(found) < count:
        drawn = (
            await store.draw(op.session, "atena_seq", stride)
            if sequence == "atena_seq"
            else await store.draw(op.session, "setai_seq", stride)
        )
        numbers = [number for serial in drawn if (number := numbering.in_house_number(serial, digits=width))]
        taken = (
            await store.known_atena_nos(op.session, numbers)
            if sequence == "atena_seq"
            else await store.known_setai_nos(op.session, numbers)
        )
        found += [number for number in numbers if number not in taken]
        stride = min(stride * 2, _STRIDE_MAX) if taken else count
    return tuple(found[:count])
