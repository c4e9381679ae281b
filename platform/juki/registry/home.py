"""居所の秘匿: whose record would show to the outside where somebody lives of whom that is told to nobody.

One rule for what is printed and for what a machine is answered: who keeps a home (`measures.keeps_home`), and whose record
shows it (`shares_home`). Source: 住民基本台帳事務処理要領 第5-10 (支援措置), 住民記録システム標準仕様書 3.1 (抑止).
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Iterable, Sequence
from itertools import groupby
from typing import Any

import msgspec

from juki.audit import Operation
from juki.dates import today_in_japan
from juki.personal import Personal
from juki.registry import store
from juki.registry.measures import Process, keeps_home
from juki.registry.protect import protections
from juki.registry.resident import Place, Record, Status
from juki.registry.timeline import Version, timeline
from juki.registry.timeline import as_of as in_force


def shares_home(shown: Record, other: Record) -> bool:
    """True where `shown` tells where the other lives, by the version of the other that is in force today.

    They stand in one 世帯, and the other lives there still; a 除票 tells it of whoever left the same 世帯 as well.
    """
    if shown.setai_no != other.setai_no or other.status is Status.VOID:
        return False
    return other.status is Status.RESIDENT or shown.status is not Status.RESIDENT


async def known_at_home(op: Operation, setai_nos: Collection[str]) -> list[Record]:
    """The version in force today, without any group, of everyone who was ever in one of the households."""
    today = today_in_japan(op.now)
    rows = await store.places_of_households(op.session, setai_nos)
    lines = (
        timeline(store.open_record(op.ring, row, ()) for row in own) for _, own in groupby(rows, lambda row: row[0])
    )
    return [held for line in lines if (held := in_force(line, today)) is not None]


async def living_with(op: Operation, records: Collection[Record]) -> frozenset[str]:
    """宛名番号 of everyone whose home a paper of the records shows, as 住所 or as 異動前住所."""
    shown = [*records, *await _left_behind(op, records)]
    known = await known_at_home(op, {record.setai_no for record in shown})
    return frozenset(other.atena_no for other in known if any(shares_home(record, other) for record in shown))


async def _left_behind(op: Operation, records: Collection[Record]) -> list[Record]:
    """The versions of the time in the household whose address is 異動前住所 today: whoever stayed there lives there still.

    Where an incumbent wrote that address otherwise than the version itself, every version counts.
    """
    today = today_in_japan(op.now)
    rows = await store.rows_of(op.session, [record.atena_no for record in records])
    found: list[Record] = []
    for _, own in groupby(rows, lambda row: row[0]):
        line = timeline(store.open_record(op.ring, row, ("address",)) for row in own)
        held = in_force(line, today)
        if held is None or held.address is None or held.address.moved_within_from == Place():
            continue
        there = [v for v in line if v.address is not None and v.address.address == held.address.moved_within_from]
        found += there or line
    return found


class Kept(Personal, frozen=True, kw_only=True):
    """Who of some households keeps their home to themselves, as they stand today."""

    people: tuple[Record, ...] = ()

    def shown_by(self, record: Record) -> bool:
        """True where a version shows the home of one of them."""
        return any(shares_home(record, one) for one in self.people)


def from_outside(op: Operation) -> bool:
    """True for a machine: it is told of nobody's home that is kept. Staff see the notice and act on it."""
    return op.caller.actor_kind == "machine" and not op.caller.may("protection.read")


async def kept_homes(op: Operation, versions: Iterable[Record]) -> Kept:
    """Whose home the versions might show that this caller is not told of; nobody where the caller is told."""
    setai_nos = {version.setai_no for version in versions}
    if not from_outside(op) or not setai_nos:
        return Kept()
    people = await store.others_of(op.session, setai_nos, ())
    over = await protections(op, people)
    keeping = {a for a, p in over.items() if keeps_home(p.protected, p.level(Process.ISSUE), p.level(Process.INQUIRY))}
    known = await known_at_home(op, setai_nos) if keeping else []
    return Kept(people=tuple(record for record in known if record.atena_no in keeping))


def veiled(shown: Record, line: Sequence[Record], kept: Kept, today: dt.date) -> Record:
    """A version without whatever shows a home that is kept: all of it where the resident lives there, or did on that day.
    `line` is the whole life of the record.

    本籍 goes whatever the measure says of it: it leads to the 附票 and so to the address, and what a measure covers would show
    in what is left out. 異動前住所 goes where one of the homes before was such a one.
    """
    now = in_force(line, today)
    if kept.shown_by(shown) or (now is not None and kept.shown_by(now)):
        return without_place(shown)
    if shown.address is not None and any(kept.shown_by(version) for version in line):
        return msgspec.structs.replace(shown, address=msgspec.structs.replace(shown.address, moved_within_from=Place()))
    return shown


def without_place(record: Record) -> Record:
    """Who somebody is, and nothing of where or with whom they live or lived: 住所, 世帯, 本籍, 消除, 備考."""
    basic = record.basic
    nothing: dict[str, Any] = dict.fromkeys(("address", "domicile", "removal", "notes"))
    return msgspec.structs.replace(
        record,
        **nothing,
        setai_no="",
        member_order=0,
        is_head=False,
        basic=basic and msgspec.structs.replace(basic, head_name="", relationship=""),
    )


def silent(version: Version, record: Record) -> Version:
    """履歴の一行 with the veiled record; 留意事項 goes with the place, for it may name it."""
    event = version.event if record.setai_no else msgspec.structs.replace(version.event, remarks="")
    return msgspec.structs.replace(version, record=record, event=event)
