"""The little world a change acts on: the residents and households it names, read under lock, and what it may draw."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from juki.personal import Personal
from juki.registry.members import settle
from juki.registry.resident import Record, Status
from juki.registry.timeline import Event, as_of, next_version_no, same_content, timeline, weave


class Scene(Personal, frozen=True, kw_only=True):
    """Everything known of the residents a change touches, every group open, every version there."""

    today: dt.date
    records: dict[str, tuple[Record, ...]]  # 宛名番号 -> every version
    # "persons.0.my_number" -> 宛名番号 of whoever holds that number
    holders: dict[str, tuple[str, ...]] = msgspec.field(default_factory=dict[str, tuple[str, ...]])
    # "persons.0" -> 宛名番号 with the same name, sex and birth
    namesakes: dict[str, tuple[str, ...]] = msgspec.field(default_factory=dict[str, tuple[str, ...]])
    event: Event | None = None  # the change to cancel
    # 宛名番号 -> versions that the change to cancel made
    event_versions: dict[str, tuple[int, ...]] = msgspec.field(default_factory=dict[str, tuple[int, ...]])

    def now(self, atena_no: str, day: dt.date | None = None) -> Record | None:
        """The version in force on a day, by default the last of the time line."""
        return as_of(timeline(self.records.get(atena_no, ())), day)

    def members(self, setai_no: str, day: dt.date) -> dict[str, Record]:
        """Residents of a household on a day, by 宛名番号."""
        found: dict[str, Record] = {}
        for atena_no in self.records:
            held = self.now(atena_no, day)
            if held is not None and held.setai_no == setai_no and held.status is Status.RESIDENT:
                found[atena_no] = held
        return found


class Drawn(Personal, frozen=True, kw_only=True):
    """Numbers drawn for one change: as many as `needs` of the change asked for."""

    atena_nos: tuple[str, ...] = ()
    setai_no: str = ""
    resident_codes: tuple[str, ...] = ()


class Needs(msgspec.Struct, frozen=True, kw_only=True):
    """How many numbers a change draws."""

    atena_nos: int = 0
    setai_nos: int = 0
    resident_codes: int = 0


def outcome(
    scene: Scene,
    after: Mapping[str, Record],
    day: dt.date,
    *,
    households: Iterable[str],
    force: Mapping[str, frozenset[str]] | None = None,
) -> tuple[Record, ...]:
    """New versions that turn the scene into `after` from `day`, with every household named made whole again.

    `after` holds those who change; the other members of the households are taken from the scene. Who comes out unchanged
    gets no version.
    """
    wanted: dict[str, Record] = dict(after)
    for setai_no in dict.fromkeys(households):
        living = {a: r for a, r in scene.members(setai_no, day).items() if a not in after}
        living |= {a: r for a, r in after.items() if r.setai_no == setai_no and r.status is Status.RESIDENT}
        wanted |= {member.atena_no: member for member in settle(living.values())}
    fresh: list[Record] = []
    for atena_no, record in wanted.items():
        versions = scene.records.get(atena_no, ())
        before = scene.now(atena_no, day)
        if before is not None and msgspec.structs.replace(record, **_marks(before)) == before:
            continue
        fresh += weave(versions, before or record, record, day, force=(force or {}).get(atena_no, frozenset()))
    return tuple(fresh)


def halves(scene: Scene, gone: Record, day: dt.date, fresh: tuple[Record, ...]) -> tuple[Record, ...]:
    """消除 and 記載 on one day: the version struck out comes before the new ones of the same resident, which move up by one.

    Nobody is struck out without the record that is written: where that one would say the same, nothing is made at all.
    """
    if all(v.atena_no != gone.atena_no for v in fresh):
        return ()
    first = next_version_no(scene.records.get(gone.atena_no, ()))
    struck = msgspec.structs.replace(
        gone, version_no=first, valid_from=day, corrects_version=None, cancels_version=None
    )
    moved = (
        msgspec.structs.replace(v, version_no=v.version_no + 1) if v.atena_no == gone.atena_no else v for v in fresh
    )
    return (struck, *moved)


def reseat(scene: Scene, fresh: tuple[Record, ...]) -> tuple[Record, ...]:
    """The new versions, and more where the change moves someone's place in the household on a later day.

    A change may lie before others that are already recorded. From its first day on, every day on which the households
    change is gone through, and head, order and the head's name are made to agree with who lives there on that day.
    """
    if not fresh:
        return fresh
    made = {(v.atena_no, v.version_no): v for v in fresh}
    known: dict[str, dict[int, Record]] = {a: {v.version_no: v for v in held} for a, held in scene.records.items()}
    for version in fresh:
        known.setdefault(version.atena_no, {})[version.version_no] = version
    start = min(v.valid_from for v in fresh)
    lines = [v for held in known.values() for v in timeline(held.values())]
    written = {v.atena_no for v in fresh}
    homes = {v.setai_no for v in fresh} | {v.setai_no for v in lines if v.atena_no in written}
    homes |= {v.setai_no for a in written for v in timeline(scene.records.get(a, ()))}  # that nobody is in any more
    for day in sorted({v.valid_from for v in lines if v.valid_from >= start}):
        for record in _unseated(known, homes, day):
            held = known[record.atena_no][record.version_no]
            if held.valid_from == day and (held.atena_no, held.version_no) in made:
                version = record
            else:
                version = msgspec.structs.replace(
                    record,
                    version_no=max(known[record.atena_no]) + 1,
                    valid_from=day,
                    corrects_version=held.version_no if held.valid_from == day else None,
                    cancels_version=None,
                )
            made[version.atena_no, version.version_no] = version
            known[version.atena_no][version.version_no] = version
    return tuple(made.values())


def _unseated(known: Mapping[str, Mapping[int, Record]], homes: Iterable[str], day: dt.date) -> list[Record]:
    """Residents of the households whose place on a day is not what it should be, as they should stand."""
    held = {a: as_of(timeline(versions.values()), day) for a, versions in known.items()}
    wrong: list[Record] = []
    for setai_no in sorted(homes):
        members = {a: r for a, r in held.items() if r and r.setai_no == setai_no and r.status is Status.RESIDENT}
        wrong += [s for s in settle(members.values()) if not same_content(s, members[s.atena_no])]
    return wrong


def _marks(record: Record) -> dict[str, Any]:
    """What does not belong to the content of a version."""
    names = ("version_no", "event_no", "valid_from", "known_from", "corrects_version", "cancels_version")
    return {name: getattr(record, name) for name in names}
