"""居所の秘匿: whose record would show to the outside where somebody lives of whom that is told to nobody.

One rule for what is printed and for what a machine is answered: who keeps a home (`measures.keeps_home`), and whose record
shows it (`tells_home`). Source: 住民基本台帳事務処理要領 第5-10 (支援措置), 住民記録システム標準仕様書 3.1 (抑止).
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Collection, Iterable, Sequence
from itertools import groupby
from typing import Any, Final

import msgspec

from juki import letters
from juki.audit import Operation
from juki.dates import today_in_japan
from juki.personal import Personal
from juki.registry import store
from juki.registry.measures import Process, keeps_home
from juki.registry.protect import protections
from juki.registry.resident import Address, Place, Record, Status
from juki.registry.timeline import Version, timeline
from juki.registry.timeline import as_of as in_force

SHOWING: Final = ("address", "removal")
"""Groups that name a place where somebody lives or lived."""

_PLACES_BEFORE: Final = ("moved_within_from", "previous_address", "last_registered_address")
_PLACES_AFTER: Final = ("planned_address", "settled_address")
_PREFECTURE: Final = re.compile(r"^(?:東京都|北海道|(?:京都|大阪)府|.{2,3}県)")


def shares_home(shown: Record, other: Record) -> bool:
    """True where `shown` tells as its own home where the other lives, by the version of the other that is in force today.

    They stand in one 世帯, and the other lives there still; a 除票 tells it of whoever left the same 世帯 as well. So it is
    where they live at one address in two 世帯 (世帯分離).
    """
    if other.status is Status.VOID:
        return False
    if shown.setai_no == other.setai_no and (other.status is Status.RESIDENT or shown.status is not Status.RESIDENT):
        return True
    return shown.address is not None and is_home_of(shown.address.address, other)


def tells_home(shown: Record, other: Record) -> bool:
    """True where `shown` tells at any place where the other lives: as 住所, or as one of `other_places`."""
    return shares_home(shown, other) or any(is_home_of(place, other) for place in other_places(shown))


def is_home_of(place: Place, other: Record) -> bool:
    """True for the 住所 of a resident, and for the 転出先 of somebody who moved out."""
    if other.status is Status.RESIDENT:
        return other.address is not None and _is_same(place, other.address.address)
    if other.status is not Status.MOVED_OUT or other.removal is None:
        return False
    return _is_same(place, other.removal.settled_address) or _is_same(place, other.removal.planned_address)


def other_places(record: Record) -> tuple[Place, ...]:
    """Every place that a record names but its 住所: 異動前住所, 転入前住所, 最終登録住所地, 転出先."""
    address, removal = record.address, record.removal
    before = (address.moved_within_from, address.previous_address, address.last_registered_address) if address else ()
    return before + ((removal.settled_address, removal.planned_address) if removal else ())


def _is_same(one: Place, other: Place) -> bool:
    """One address, however its numbers are written, with or without 都道府県, and where only one of them has 方書."""
    if not one.text.strip() or not other.text.strip():
        return False
    texts = [_key(place.country + place.text) for place in (one, other)]
    if texts[0] == texts[1]:
        buildings = {_key(place.building) for place in (one, other) if place.building.strip()}
        return len(buildings) <= 1
    # one has its 方書 within the text; a text without any number names a town and no home
    short, long = sorted((_key(p.country + p.text + p.building) for p in (one, other)), key=len)
    rest = long.removeprefix(short).lstrip("-")
    return long.startswith(short) and short[-1:].isdigit() and not rest[:1].isdigit()


def _key(text: str) -> str:
    return _PREFECTURE.sub("", letters.fold_address(text))


def came_from(line: Sequence[Record], held: Record, other: Record) -> bool:
    """True where 転入前住所 of somebody who returned may be where the other lives: they had left for there, together or later."""
    if held.status is not Status.RESIDENT or other.status is not Status.MOVED_OUT:
        return False
    gone = [v for v in line if v.status is Status.MOVED_OUT and v.valid_from <= held.valid_from]
    return any(
        (v.setai_no == other.setai_no and other.valid_from <= v.valid_from)
        or any(is_home_of(place, other) for place in other_places(v))
        for v in gone
    )


def _now_and_coming(line: Sequence[Record], today: dt.date) -> list[Record]:
    """The version in force today, and what is known to follow: whoever is planned to leave has told for where."""
    held = in_force(line, today)
    return [v for v in line if held is not None and (v is held or v.valid_from > today)]


async def living_with(op: Operation, atena_nos: Collection[str]) -> dict[str, frozenset[str]]:
    """宛名番号 of everyone whose home a paper of those named shows, each with those to whom it tells nothing, for they live
    or lived at every place by which it would.

    Other places on a paper are 異動前住所, 転入前住所 and 転出先. Whoever ever shared a 世帯 with those named is looked at.
    """
    today = today_in_japan(op.now)
    rows = await store.rows_around(op.session, list(atena_nos), ())
    lines = {
        a: timeline(store.open_record(op.ring, row, SHOWING) for row in own)
        for a, own in groupby(rows, lambda row: row[0])
    }
    told: dict[str, list[Place]] = {}
    for line in (lines[a] for a in atena_nos if a in lines):
        held = in_force(line, today)
        if held is None:
            continue
        for atena_no, others in lines.items():
            for other in _now_and_coming(others, today):
                if places := _telling(held, line, other):
                    told.setdefault(atena_no, []).extend(places)
    return {
        atena_no: frozenset(a for a, line in lines.items() if all(_lived_at(line, place) for place in places))
        for atena_no, places in told.items()
    }


def _telling(held: Record, line: Sequence[Record], other: Record) -> list[Place]:
    """The places of a record that tell where the other lives; none where nothing does."""
    found = [place for place in other_places(held) if is_home_of(place, other)]
    address = held.address or Address()
    if shares_home(held, other):
        found.append(address.address)
        if other.status is not Status.RESIDENT:  # by the 除票: they left together
            found += other_places(held)
    if any(shares_home(version, other) for version in _left_behind(line, held)):
        found.append(address.moved_within_from)
    if came_from(line, held, other):
        found.append(address.previous_address)
    return found


def _lived_at(line: Sequence[Record], place: Place) -> bool:
    """True for whoever was a resident there themselves."""
    return any(
        v.status is Status.RESIDENT and v.address is not None and _is_same(place, v.address.address) for v in line
    )


def _left_behind(line: Sequence[Record], held: Record) -> list[Record]:
    """The versions of the time in the household whose address is 異動前住所 today: whoever stayed there lives there still.

    Where an incumbent wrote that address otherwise than the version itself, every version counts.
    """
    if held.address is None or held.address.moved_within_from == Place():
        return []
    left = held.address.moved_within_from
    return [v for v in line if v.address is not None and v.address.address == left] or list(line)


class Kept(Personal, frozen=True, kw_only=True):
    """Who of some households keeps their home to themselves, as they stand today and are known to go on."""

    people: tuple[Record, ...] = ()
    lived_in: dict[str, frozenset[str]] = msgspec.field(
        default_factory=dict[str, frozenset[str]]
    )  # 宛名番号 -> every 世帯番号 that they were ever in

    def near(self, life: Iterable[Record]) -> Kept:
        """Those of them who ever shared a household with the resident whose versions are given."""
        setai_nos = {version.setai_no for version in life}
        near = tuple(one for one in self.people if not setai_nos.isdisjoint(self.lived_in[one.atena_no]))
        return Kept(people=near, lived_in=self.lived_in)

    def shown_by(self, record: Record) -> bool:
        """True where a version shows the home of one of them as its own."""
        return any(shares_home(record, one) for one in self.people)

    def is_home(self, place: Place) -> bool:
        """True for the home of one of them."""
        return any(is_home_of(place, one) for one in self.people)

    def sent(self, line: Sequence[Record], held: Record) -> bool:
        """True where somebody returned from the home of one of them."""
        return any(came_from(line, held, one) for one in self.people)


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
    if not keeping:
        return Kept()
    rows = await store.rows_of(op.session, sorted(keeping))
    lives = {
        a: [store.open_record(op.ring, row, SHOWING) for row in own] for a, own in groupby(rows, lambda row: row[0])
    }
    today = today_in_japan(op.now)
    return Kept(
        people=tuple(version for life in lives.values() for version in _now_and_coming(timeline(life), today)),
        lived_in={a: frozenset(version.setai_no for version in life) for a, life in lives.items()},
    )


def veiled(shown: Record, line: Sequence[Record], kept: Kept, today: dt.date) -> Record:
    """A version without whatever shows a home that is kept: all of it where the resident lives there, or did on that day.
    `line` is the whole life of the record; it and `shown` are read with `SHOWING`.

    本籍 goes whatever the measure says of it: it leads to the 附票 and so to the address, and what a measure covers would show
    in what is left out. Another place goes where it is such a home: 異動前住所 and 旧世帯主 also where one of the homes before
    was, 転入前住所 also where somebody returned from there.
    """
    kept = kept.near((*line, shown))
    if not kept.people:
        return shown
    now = in_force(line, today)
    if kept.shown_by(shown) or (now is not None and kept.shown_by(now)):
        return without_place(shown)
    address, removal = shown.address, shown.removal
    if address is not None:
        names = [name for name in _PLACES_BEFORE if kept.is_home(getattr(address, name))]
        gone: dict[str, Any] = dict.fromkeys(names, Place())
        if any(kept.shown_by(version) for version in line):
            gone |= {"moved_within_from": Place(), "former_head_name": ""}
        if kept.sent(line, shown):
            gone |= {"previous_address": Place(), "last_registered_address": Place()}
        address = msgspec.structs.replace(address, **gone)
    if removal is not None:
        gone = {name: Place() for name in _PLACES_AFTER if kept.is_home(getattr(removal, name))}
        removal = msgspec.structs.replace(removal, **gone)
    return msgspec.structs.replace(shown, address=address, removal=removal)


def groups_for(op: Operation, groups: Collection[str]) -> tuple[str, ...]:
    """The groups asked for, and for a machine those by which a home is found; `asked_only` takes them away again."""
    return (*groups, *(g for g in SHOWING if from_outside(op) and g not in groups))


def asked_only(record: Record, groups: Collection[str]) -> Record:
    """A record without the groups of `SHOWING` that nobody asked for."""
    return msgspec.structs.replace(record, **{g: None for g in SHOWING if g not in groups})


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
