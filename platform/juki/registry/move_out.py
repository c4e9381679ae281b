"""転出 and 転入通知: leaving takes effect at the earlier of the planned day and the day the new municipality reports.

The clerk enters neither of the two a second time: the effective day is computed, and no form has a field for it (R-1-B2-DAT-03).
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from itertools import takewhile

import msgspec

from juki.dates import from_date
from juki.personal import Personal
from juki.registry import rules
from juki.registry.change import Findings, MoveInNotice, MoveOut
from juki.registry.death import REMOVED
from juki.registry.members import place
from juki.registry.reason import reason_name
from juki.registry.resident import Place, Record, Removal, Status
from juki.registry.scene import Drawn, Scene, outcome
from juki.registry.timeline import correct_from, made_by, timeline


def check(change: MoveOut, scene: Scene) -> Findings:
    """Residents of one household with somewhere to go."""
    day = change.occurred_on.sort_date()
    parts: list[Findings] = []
    for i, atena_no in enumerate(change.atena_nos):
        found = rules.check_resident(scene, atena_no, day, f"atena_nos.{i}")
        already = any(a.code == "registry.leaving" for a in found.alerts)
        parts.append(rules.error("registry.already_leaving", f"atena_nos.{i}") if already else found)
    if not change.atena_nos:
        parts.append(rules.error("registry.nobody", "atena_nos"))
    if not (change.destination.text.strip() or change.destination.country.strip()):
        parts.append(rules.error("registry.required", "destination.text"))
    held = [h for h in (scene.now(a, day) for a in change.atena_nos) if h is not None]
    if len({h.setai_no for h in held}) > 1:
        parts.append(rules.error("registry.two_households", "atena_nos"))
    parts.append(rules.check_positions(scene, change.positions, {h.setai_no for h in held}, day))
    return rules.total(parts)


def apply(change: MoveOut, scene: Scene, drawn: Drawn) -> tuple[Record, ...]:
    """除票 versions from the planned day on, and versions of whoever stays and moves up."""
    del drawn
    day = change.occurred_on.sort_date()
    movers = {a: r for a in change.atena_nos if (r := scene.now(a, day)) is not None}
    removal = Removal(
        reason=reason_name(change.reason), planned_address=change.destination, occurred_on=change.occurred_on
    )
    gone = {
        a: msgspec.structs.replace(record, status=Status.MOVED_OUT, is_head=False, removal=removal)
        for a, record in movers.items()
    }
    homes = tuple(dict.fromkeys(r.setai_no for r in movers.values()))
    left = {a: r for s in homes for a, r in scene.members(s, day).items() if a not in gone}
    after = {**place(left, change.positions), **gone}
    return outcome(scene, after, day, households=homes, force=dict.fromkeys(gone, REMOVED))


def check_notice(change: MoveInNotice, scene: Scene) -> Findings:
    """Everyone named must be struck out for 転出; a change recorded for a day after the effective one is taken back first."""
    parts: list[Findings] = []
    for i, atena_no in enumerate(change.atena_nos):
        held = scene.now(atena_no)
        if held is None:
            parts.append(rules.error("registry.unknown_resident", f"atena_nos.{i}"))
        elif held.status is not Status.MOVED_OUT or held.removal is None:
            parts.append(rules.error("registry.not_moved_out", f"atena_nos.{i}"))
    if not change.atena_nos:
        parts.append(rules.error("registry.nobody", "atena_nos"))
    for leaving in _leavings(change, scene):
        for atena_no, version in leaving.versions.items():
            line = timeline(scene.records[atena_no])
            if any(leaving.effective < v.valid_from for v in line[: line.index(version)]):
                parts.append(rules.error("registry.later_change", "occurred_on"))
    return rules.total(parts)


class _Leaving(Personal, frozen=True, kw_only=True):
    """転出 of one change as it stands: the version of everyone whom it struck out or moved up, and the day it takes effect."""

    versions: dict[str, Record]  # 宛名番号 -> version in force from the day recorded so far
    effective: dt.date


def _leavings(change: MoveInNotice, scene: Scene) -> list[_Leaving]:
    """Each 転出 by which those named left; several may have left by one."""
    found: dict[tuple[int, dt.date], _Leaving] = {}
    for atena_no in change.atena_nos:
        struck = _struck(timeline(scene.records.get(atena_no, ())))
        if struck is None or struck.removal is None:
            continue
        event_no = made_by(scene.records[atena_no], struck)
        planned = (struck.removal.occurred_on or change.occurred_on).sort_date()
        versions = {
            a: v
            for a, known in scene.records.items()
            for v in timeline(known)
            if v.valid_from == struck.valid_from and made_by(known, v) == event_no
            if v.status is Status.RESIDENT or a in change.atena_nos
        }
        found[event_no, struck.valid_from] = _Leaving(
            versions=versions, effective=min(planned, change.occurred_on.sort_date())
        )
    return list(found.values())


def _struck(line: Sequence[Record]) -> Record | None:
    """The version from which on a resident is struck out for 転出, None where the last version says otherwise."""
    last = list(takewhile(lambda v: v.status is Status.MOVED_OUT, reversed(line)))
    return last[-1] if last else None


def apply_notice(change: MoveInNotice, scene: Scene, drawn: Drawn) -> tuple[Record, ...]:
    """Corrections of the 除票 with the settled address and the effective day; those who stayed follow its day."""
    del drawn
    fresh: list[Record] = []
    for leaving in _leavings(change, scene):
        for atena_no, version in leaving.versions.items():
            stayed = version.status is Status.RESIDENT
            if stayed and version.valid_from == leaving.effective:
                continue
            settled = version.removal if stayed else _settled(version.removal or Removal(), change, scene)
            right = msgspec.structs.replace(version, removal=settled)
            first, *later = correct_from(scene.records[atena_no], version, right)
            fresh += (msgspec.structs.replace(first, valid_from=leaving.effective), *later)
    return tuple(fresh)


def _settled(removal: Removal, change: MoveInNotice, scene: Scene) -> Removal:
    planned = removal.occurred_on or change.occurred_on
    earlier = planned if planned.sort_date() <= change.occurred_on.sort_date() else change.occurred_on
    return msgspec.structs.replace(
        removal,
        settled_address=change.settled_address or Place(),
        move_in_notified_on=from_date(change.notified_on or scene.today),
        moved_out_on=earlier,
        occurred_on=earlier,
    )
