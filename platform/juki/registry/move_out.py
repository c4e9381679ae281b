"""転出 and 転入通知: leaving takes effect at the earlier of the planned day and the day the new municipality reports.

The clerk enters neither of the two a second time: the effective day is computed, and no form has a field for it (R-1-B2-DAT-03).
"""

from __future__ import annotations

import msgspec

from juki.dates import from_date
from juki.registry import rules
from juki.registry.change import Findings, MoveInNotice, MoveOut
from juki.registry.death import REMOVED
from juki.registry.members import place
from juki.registry.reason import reason_name
from juki.registry.resident import Place, Record, Removal, Status
from juki.registry.scene import Drawn, Scene, outcome
from juki.registry.timeline import next_version_no, timeline


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
    """Everyone named must be struck out for 転出."""
    parts: list[Findings] = []
    for i, atena_no in enumerate(change.atena_nos):
        held = scene.now(atena_no)
        if held is None:
            parts.append(rules.error("registry.unknown_resident", f"atena_nos.{i}"))
        elif held.status is not Status.MOVED_OUT or held.removal is None:
            parts.append(rules.error("registry.not_moved_out", f"atena_nos.{i}"))
    if not change.atena_nos:
        parts.append(rules.error("registry.nobody", "atena_nos"))
    return rules.total(parts)


def apply_notice(change: MoveInNotice, scene: Scene, drawn: Drawn) -> tuple[Record, ...]:
    """Corrections of the 除票 with the settled address and the effective day; those who stayed follow its day."""
    del drawn
    fresh: list[Record] = []
    for atena_no, versions in scene.records.items():
        line = timeline(versions)
        gone = [scene.now(a) for a in change.atena_nos]
        leaving = next((g for g in gone if g is not None and g.event_no in {v.event_no for v in line}), None)
        if leaving is None or leaving.removal is None:
            continue
        planned = leaving.removal.occurred_on or change.occurred_on
        effective = min(planned.sort_date(), change.occurred_on.sort_date())
        version = next(v for v in line if v.event_no == leaving.event_no)
        if atena_no in change.atena_nos and version.removal is not None:
            content = msgspec.structs.replace(version, removal=_settled(version.removal, change, scene))
        elif version.status is Status.RESIDENT and effective != version.valid_from:
            content = version
        else:
            continue
        fresh.append(
            msgspec.structs.replace(
                content,
                version_no=next_version_no(versions),
                valid_from=effective,
                corrects_version=version.version_no,
                cancels_version=None,
            )
        )
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
