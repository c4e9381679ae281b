"""照会: one record, a household or a whole history, on a day and as known at an instant; only the groups the caller may see."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Iterable, Sequence
from itertools import groupby
from typing import Any, Final

import msgspec

from juki.audit import Operation
from juki.dates import from_date, today_in_japan
from juki.problem import NotFound, Refused
from juki.registry import home, store
from juki.registry.protection_store import protected_among
from juki.registry.reason import MIGRATION
from juki.registry.resident import GROUPS, Household, Record, Status
from juki.registry.timeline import Event, Version, superseded, timeline
from juki.registry.timeline import as_of as in_force

OPEN_GROUPS: Final = frozenset(("basic", "address", "domicile", "foreigner", "entitlements", "removal", "notes"))
"""Groups that go with the right to read a resident."""

GUARDED: Final = {"my_number": "resident.my_number", "resident_code": "resident.code"}
"""Groups that need a right of their own."""

_OTHER_PROCESSES: Final = ("certificate.", "change.", "protection.", "legacy.", "import.", "offboard.")
"""Operations that are no 照会, by the beginning of their name in the log."""


def check_groups(op: Operation, groups: Collection[str]) -> None:
    """Raises Refused `registry.group_not_allowed` where a group needs a right the caller lacks, NotFound for no group."""
    for group in groups:
        if group not in GROUPS:
            raise NotFound("registry.group_unknown", "no such group of items")
        if not op.caller.may(GUARDED.get(group, "resident.read")):
            raise Refused("registry.group_not_allowed", "this group needs a right of its own", group=group)


def _heeds(op: Operation) -> bool:
    """True where this look is a 照会 that a suppression holds back: not for those who set and release it.

    Other processes (異動, 発行) have suppressions of their own and read on.
    """
    return not op.action.startswith(_OTHER_PROCESSES) and not op.caller.may("protection.enter")


def _heed(op: Operation, *, held: bool) -> None:
    """Raises Refused `registry.inquiry_suppressed` where 照会 is held back from this caller."""
    if held and _heeds(op):
        raise Refused("registry.inquiry_suppressed", "looking at this record is held back")


def _touch(op: Operation, record: Record) -> None:
    op.touch(record.atena_no, my_number=record.my_number is not None)


async def record(
    op: Operation,
    atena_no: str,
    *,
    groups: Collection[str] = OPEN_GROUPS,
    as_of: dt.date | None = None,
    known_at: dt.datetime | None = None,
) -> Record:
    """住民票: the version in force on a day (today in Japan by default) as known at an instant (now by default).

    Raises NotFound `registry.unknown_resident` for whoever is unknown here, was not yet entered then, or is not for this
    caller to know of; Refused `registry.group_not_allowed`.
    """
    check_groups(op, groups)
    rows = await store.rows_to_show(op, [atena_no])
    line = timeline((store.open_record(op.ring, row, ()) for row in rows), known_at)
    held = in_force(line, as_of or today_in_japan(op.now))
    if held is None or await _hidden(op, [atena_no]):
        raise NotFound("registry.unknown_resident", "no such resident here")
    kept = rows[0][-1]
    _heed(op, held=atena_no in kept)
    opened = store.open_record(op.ring, next(r for r in rows if r[1] == held.version_no), home.groups_for(op, groups))
    _touch(op, opened)
    (shown,) = await _veiled(op, await _unnamed(op, [opened], kept))
    life = timeline(store.open_record(op.ring, row, home.groups_for(op, ())) for row in rows)
    told = home.veiled(shown, life, await home.kept_homes(op, life), today_in_japan(op.now))
    return home.asked_only(told, groups)


async def _hidden(op: Operation, atena_nos: Sequence[str]) -> Collection[str]:
    """A machine never learns of a person under 支援措置; staff see the notice and act on it."""
    if not home.from_outside(op):
        return ()
    return await protected_among(op, atena_nos)


async def _veiled(op: Operation, records: Sequence[Record]) -> list[Record]:
    """To a machine nobody's record names a 世帯主 who may be one of the persons hidden from it."""
    near = (
        await store.housemates(op.session, [r.atena_no for r in records]) if op.caller.actor_kind == "machine" else ()
    )
    return [_without_heads(r) for r in records] if await _hidden(op, near) else list(records)


async def _unnamed(op: Operation, records: Sequence[Record], kept: Collection[str]) -> list[Record]:
    """Records that do not name as 世帯主 anybody of those whose 照会 is held back from this caller."""
    if not kept or not _heeds(op):
        return list(records)
    rows = await store.rows_of(op.session, sorted(kept))
    named = {r.basic.name for r in (store.open_record(op.ring, row, ("basic",)) for row in rows) if r.basic}
    return [_without_heads(r, named) for r in records]


def _without_heads(record: Record, named: Collection[str] | None = None) -> Record:
    """A record without the names of 世帯主, of those `named` only where that is given."""
    basic, address = record.basic, record.address
    if basic is not None and (named is None or basic.head_name in named):
        basic = msgspec.structs.replace(basic, head_name="")
    if address is not None and (named is None or address.former_head_name in named):
        address = msgspec.structs.replace(address, former_head_name="")
    return msgspec.structs.replace(record, basic=basic, address=address)


def _withheld(record: Record) -> Record:
    """照会の抑止: that somebody is there, and nothing else."""
    return Record(
        atena_no=record.atena_no,
        version_no=0,
        setai_no=record.setai_no,
        member_order=record.member_order,
        is_head=False,
        status=record.status,
        kind=record.kind,
    )


async def household(
    op: Operation,
    setai_no: str,
    *,
    groups: Collection[str] = OPEN_GROUPS,
    as_of: dt.date | None = None,
    known_at: dt.datetime | None = None,
) -> Household:
    """世帯: its residents on a day, head first; those whose 照会 is held back are there without anything of theirs.

    Raises NotFound `registry.unknown_household`, Refused `registry.inquiry_suppressed` where nobody else is left.
    """
    check_groups(op, groups)
    day = as_of or today_in_japan(op.now)
    rows = await store.rows_of_household(op.session, setai_no)
    found: list[Record] = []
    for _, group in groupby(rows, key=lambda row: row[0]):
        own = list(group)
        held = in_force(timeline((store.open_record(op.ring, row, ()) for row in own), known_at), day)
        if held is None or held.setai_no != setai_no or held.status is not Status.RESIDENT:
            continue
        row = next(r for r in own if r[1] == held.version_no)
        found.append(store.open_record(op.ring, row, home.groups_for(op, groups)))
    hidden = await _hidden(op, [member.atena_no for member in found])
    found = await _veiled(op, [member for member in found if member.atena_no not in hidden])
    found = [home.asked_only(member, groups) for member in await _told_outside(op, rows, found)]
    if not found and (hidden or not rows):
        raise NotFound("registry.unknown_household", "no such household here")
    atena_nos = [member.atena_no for member in found]
    kept = await store.held_from_inquiry(op, atena_nos) if found and _heeds(op) else frozenset[str]()
    _heed(op, held=bool(kept) and (kept >= {*atena_nos} or op.caller.actor_kind == "machine"))
    for member in found:
        if member.atena_no not in kept:
            _touch(op, member)
    found = [_withheld(m) if m.atena_no in kept else m for m in await _unnamed(op, found, kept)]
    members = tuple(sorted(found, key=lambda m: m.member_order))
    return Household(setai_no=setai_no, members=members, held=tuple(m.atena_no for m in members if m.atena_no in kept))


async def _told_outside(op: Operation, rows: Sequence[Sequence[Any]], members: list[Record]) -> list[Record]:
    """Members as this caller may know where they live or lived; a household that shows a home that is kept is unknown."""
    if not home.from_outside(op):
        return members
    lives = {
        a: timeline(store.open_record(op.ring, row, home.SHOWING) for row in own)
        for a, own in groupby(rows, lambda r: r[0])
    }
    kept = await home.kept_homes(op, (version for life in lives.values() for version in life))
    today = today_in_japan(op.now)
    told = [home.veiled(member, lives[member.atena_no], kept, today) for member in members]
    if any(not member.setai_no for member in told):
        raise NotFound("registry.unknown_household", "no such household here")
    return told


async def history(
    op: Operation, atena_no: str, *, groups: Collection[str] = OPEN_GROUPS, known_at: dt.datetime | None = None
) -> tuple[Version, ...]:
    """異動履歴: every version with its change, oldest first, corrected and cancelled ones included and marked.

    Raises NotFound `registry.unknown_resident`.
    """
    check_groups(op, groups)
    rows = await store.rows_to_show(op, [atena_no])
    records = [store.open_record(op.ring, row, home.groups_for(op, groups)) for row in rows]
    known = [r for r in records if known_at is None or (r.known_from is not None and r.known_from <= known_at)]
    if not known or await _hidden(op, [atena_no]):
        raise NotFound("registry.unknown_resident", "no such resident here")
    kept = rows[0][-1]
    _heed(op, held=atena_no in kept)
    known = await _veiled(op, await _unnamed(op, known, kept))
    made = await store.events(op.session, op.ring, (r.event_no for r in known))
    gone = superseded(known)
    for version in known:
        _touch(op, version)
    away = await home.kept_homes(op, records)
    line, today = timeline(records), today_in_japan(op.now)
    told = (
        Version(record=r, event=made.get(r.event_no) or _arrival(r, op.now), superseded_by=gone.get(r.version_no))
        for r in known
    )
    veiled = (home.silent(version, home.veiled(version.record, line, away, today)) for version in told)
    return tuple(msgspec.structs.replace(v, record=home.asked_only(v.record, groups)) for v in veiled)


def _arrival(version: Record, now: dt.datetime) -> Event:
    """データ移行: what a version that came with the incumbent's data tells of its own change."""
    known_from = version.known_from or now
    return Event(
        event_no=version.event_no,
        reason=MIGRATION.code,
        occurred_on=from_date(version.valid_from),
        notified_on=None,
        processed_on=today_in_japan(known_from),
        known_from=known_from,
    )


async def current(op: Operation, atena_nos: Iterable[str], groups: Collection[str]) -> dict[str, Record]:
    """The versions in force today of the residents named, with the groups named; unknown ones are left out.

    Whoever has told that they will move out carries what is planned in `removal`, where that group is asked for.
    """
    check_groups(op, groups)
    day = today_in_japan(op.now)
    rows = await store.rows_of(op.session, list(atena_nos))
    found: dict[str, Record] = {}
    for atena_no, group in groupby(rows, key=lambda row: row[0]):
        own = list(group)
        line = timeline(store.open_record(op.ring, row, ()) for row in own)
        held = in_force(line, day)
        if held is not None:
            by_number = {row[1]: row for row in own}
            opened = store.open_record(op.ring, by_number[held.version_no], groups)
            if "removal" in groups and (leaving := _planned(held, line)) is not None:
                planned = store.open_record(op.ring, by_number[leaving.version_no], ("removal",)).removal
                opened = msgspec.structs.replace(opened, removal=planned)
            found[atena_no] = opened
            _touch(op, opened)
    return found


async def disclose_everyone(op: Operation, to: str, basis: str, medium: str) -> int:
    """提供の記録 of a register that leaves whole: one row a person, with every item; how many persons."""
    people = await store.everyone(op.session)
    for atena_no, numbered in people.items():
        op.disclose(atena_no, ("record",), to, basis, medium, my_number=numbered)
    return len(people)


def _planned(held: Record, line: Sequence[Record]) -> Record | None:
    """転出予定: the coming version by which a resident leaves, None where none is known."""
    if held.status is not Status.RESIDENT:
        return None
    coming = next((v for v in line if v.valid_from > held.valid_from and v.status is not Status.RESIDENT), None)
    return coming if coming is not None and coming.status is Status.MOVED_OUT else None
