"""異動履歴: versions on two axes, which one holds on a day as known at an instant, and how a new one is woven in.

A version is never changed. One that another known version corrects or cancels drops out of the time line; what is left,
in the order of days and, on one day, of writing, is the life of the record. A version that takes the place of another on
the same day stands where that one stood, however late it was written. Source: 住民記録システム標準仕様書 1.2.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Sequence
from typing import Any, Final

import msgspec

from juki.dates import RegistryDate
from juki.personal import Personal
from juki.problem import Invalid
from juki.registry.resident import GROUPS, Record, Status

_PLAIN: Final = ("setai_no", "member_order", "is_head", "status", "kind")
_SEAT: Final = ("member_order", "is_head", "basic.relationship", "basic.head_name")
"""What a version says of a place in one household: it does not follow anyone into another."""


class EventDetail(Personal, frozen=True, kw_only=True, array_like=True, omit_defaults=True):
    """異動日 as written and 留意事項: sealed with the event, because a day of death may be an expression."""

    occurred_on: RegistryDate
    remarks: str = ""


class Event(msgspec.Struct, frozen=True, kw_only=True):
    """異動: one row of the change ledger, for one resident or a whole household."""

    event_no: int
    reason: str  # code of juki.registry.reason
    occurred_on: RegistryDate  # 異動日
    notified_on: dt.date | None  # 届出日
    processed_on: dt.date  # 処理日
    known_from: dt.datetime  # 記録日時
    case_no: int | None = None
    cancels_event: int | None = None
    entered_by: str = ""
    confirmed_by: str = ""
    terminal: str = ""
    remarks: str = ""  # 留意事項


class Version(Personal, frozen=True, kw_only=True):
    """履歴の一行: a version, the change that made it, and the version that took its place, if one did."""

    record: Record
    event: Event
    superseded_by: int | None = None  # version that corrected or cancelled this one, as known now


def timeline(versions: Iterable[Record], known_at: dt.datetime | None = None) -> tuple[Record, ...]:
    """The life of one record as known at an instant (now where None), oldest first."""
    known = [v for v in versions if known_at is None or (v.known_from is not None and v.known_from <= known_at)]
    gone = {v.corrects_version for v in known} | {v.cancels_version for v in known}
    stands = _stands(known)
    kept = (v for v in known if v.version_no not in gone)
    return tuple(sorted(kept, key=lambda v: (stands[v.version_no], v.version_no)))


def _stands(versions: Iterable[Record]) -> dict[int, tuple[dt.date, int]]:
    """Version -> (day, version whose turn on that day it has): its own, or that of the one it took the place of."""
    found: dict[int, tuple[dt.date, int]] = {}
    for version in sorted(versions, key=lambda v: v.version_no):
        named = found.get(version.corrects_version or version.cancels_version or 0)
        taken_over = named is not None and named[0] == version.valid_from
        found[version.version_no] = named if named and taken_over else (version.valid_from, version.version_no)
    return found


def made_by(versions: Iterable[Record], version: Record) -> int:
    """異動 that first wrote what a version has since corrected or restored."""
    known = {v.version_no: v for v in versions}
    while (named := known.get(version.corrects_version or version.cancels_version or 0)) is not None:
        version = named
    return version.event_no


def as_of(line: Sequence[Record], day: dt.date | None = None) -> Record | None:
    """The version that holds on a day (the last one where None), None before the record begins."""
    held: Record | None = None
    for version in line:
        if day is not None and version.valid_from > day:
            break
        held = version
    return held


def superseded(versions: Iterable[Record]) -> dict[int, int]:
    """Version -> the first later version that corrected or cancelled it."""
    found: dict[int, int] = {}
    for version in sorted(versions, key=lambda v: v.version_no):
        for named in (version.corrects_version, version.cancels_version):
            if named is not None:
                found.setdefault(named, version.version_no)
    return found


def next_version_no(versions: Iterable[Record]) -> int:
    """履歴番号 of the version to come: one more than the largest, cancelled ones counted."""
    return max((v.version_no for v in versions), default=0) + 1


def weave(
    versions: Sequence[Record], before: Record, after: Record, day: dt.date, *, force: frozenset[str] = frozenset()
) -> tuple[Record, ...]:
    """New versions that make `after` true from `day`, and carry the difference into what is already known to follow.

    A later version takes over each item that `after` changed as long as it still reads as `before` did; the plain columns,
    groups and items (`basic.relationship`) named in `force` are taken over whatever it reads. Raises nothing; returns versions numbered from the next
    one on, without event and instant, which the caller stamps.
    """
    number = next_version_no(versions)
    line = timeline(versions)
    fresh = [
        msgspec.structs.replace(after, version_no=number, valid_from=day, corrects_version=None, cancels_version=None)
    ]
    for later in line:
        if later.valid_from <= day:
            continue
        merged = merge(before, after, later, force=force)
        if not same_content(merged, later):
            fresh.append(correction(merged, later, number + len(fresh)))
    return tuple(fresh)


def correct_from(
    versions: Sequence[Record], wrong: Record, right: Record, *, force: frozenset[str] = frozenset()
) -> tuple[Record, ...]:
    """New versions that put `right` in the place of `wrong`, and set right each later version that repeats the mistake.

    Raises Invalid `registry.not_on_timeline` where `wrong` no longer stands.
    """
    line = timeline(versions)
    if all(v.version_no != wrong.version_no for v in line):
        raise Invalid("registry.not_on_timeline", "this version was corrected or cancelled before")
    number = next_version_no(versions)
    fresh = [correction(right, wrong, number)]
    for later in line[1 + next(i for i, v in enumerate(line) if v.version_no == wrong.version_no) :]:
        merged = merge(wrong, right, later, force=force)
        if not same_content(merged, later):
            fresh.append(correction(merged, later, number + len(fresh)))
    return tuple(fresh)


def correction(content: Record, named: Record, number: int) -> Record:
    """`content` as a version that corrects `named`, from the same day on."""
    return msgspec.structs.replace(
        content,
        version_no=number,
        valid_from=named.valid_from,
        corrects_version=named.version_no,
        cancels_version=None,
    )


def merge(before: Record, after: Record, later: Record, *, force: frozenset[str] = frozenset()) -> Record:
    """`later` with every item that changed from `before` to `after`, where `later` still reads as `before`.

    The place in a household goes over only into versions of the same household; nobody struck out becomes 世帯主 by it.
    """
    plain: dict[str, Any] = {}
    if later.setai_no != before.setai_no:
        after = _seated_as(before, after, force)
    for name in _PLAIN:
        old, new, now = getattr(before, name), getattr(after, name), getattr(later, name)
        if new != now and (name in force or (old != new and now == old)):
            plain[name] = new
    for group in GROUPS:
        old, new, now = getattr(before, group), getattr(after, group), getattr(later, group)
        if group in force:
            plain[group] = new
        elif old != new:
            plain[group] = _merge_group(old, new, now)
    for group, item in (name.split(".") for name in force if "." in name):
        held, given = plain.get(group, getattr(later, group)), getattr(after, group)
        if held is not None and given is not None:
            plain[group] = msgspec.structs.replace(held, **{item: getattr(given, item)})
    return headless(msgspec.structs.replace(later, **plain) if plain else later)


def headless(version: Record) -> Record:
    """A version as it may stand: 除票 keeps its 続柄, but whoever was struck out is 世帯主 of nobody (item 7)."""
    if version.is_head and version.status is not Status.RESIDENT:
        return msgspec.structs.replace(version, is_head=False)
    return version


def _seated_as(before: Record, after: Record, force: frozenset[str]) -> Record:
    """`after` with the place in the household that `before` has, but for what is forced."""
    kept = [name for name in _SEAT if name not in force]
    plain = {name: getattr(before, name) for name in kept if "." not in name}
    if before.basic is not None and after.basic is not None:
        seat = {item: getattr(before.basic, item) for _, item in (n.split(".") for n in kept if "." in n)}
        plain["basic"] = msgspec.structs.replace(after.basic, **seat)
    return msgspec.structs.replace(after, **plain)


def _merge_group(old: Any, new: Any, now: Any) -> Any:
    if now == old:
        return new
    if old is None or new is None or now is None:
        return now
    items = {
        name: getattr(new, name)
        for name in new.__struct_fields__
        if getattr(old, name) != getattr(new, name) and getattr(now, name) == getattr(old, name)
    }
    return msgspec.structs.replace(now, **items) if items else now


def same_content(one: Record, other: Record) -> bool:
    """True where two versions say the same of the resident, whatever their numbers and days."""
    return all(getattr(one, name) == getattr(other, name) for name in (*_PLAIN, *GROUPS))
