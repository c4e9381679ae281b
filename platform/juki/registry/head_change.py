"""世帯主変更・世帯分離・世帯合併・世帯変更: places in a household change, addresses do not."""

from __future__ import annotations

import msgspec

from juki.registry import rules
from juki.registry.change import Findings, HeadChange
from juki.registry.members import place
from juki.registry.resident import Record
from juki.registry.scene import Drawn, Needs, Scene, outcome


def needs(change: HeadChange) -> Needs:
    """A 世帯番号 where people split off into a household of their own."""
    return Needs(setai_nos=1 if change.atena_nos and not change.setai_no else 0)


def check(change: HeadChange, scene: Scene) -> Findings:
    """Members of the household named, and a form that says who goes exactly when its reason says that people go."""
    day = change.occurred_on.sort_date()
    members = scene.members(change.household, day)
    parts = [rules.check_resident(scene, a, day, f"atena_nos.{i}") for i, a in enumerate(change.atena_nos)]
    if not members:
        parts.append(rules.error("registry.unknown_household", "household"))
    if any(a not in members for a in change.atena_nos):
        parts.append(rules.error("registry.not_a_member", "atena_nos"))
    goes = bool(change.atena_nos)
    if goes == (change.reason == "head_change"):
        parts.append(rules.error("registry.nobody" if not goes else "registry.not_for_reason", "atena_nos"))
    if change.reason == "household_split" and change.setai_no:
        parts.append(rules.error("registry.not_for_reason", "setai_no"))
    if change.reason in ("household_merge", "household_move") and not change.setai_no:
        parts.append(rules.error("registry.required", "setai_no"))
    if change.setai_no:
        parts.append(rules.check_joined(scene, change.setai_no, day))
    known = {**members, **(scene.members(change.setai_no, day) if change.setai_no else {})}
    if any(p.atena_no not in known for p in change.positions):
        parts.append(rules.error("registry.not_a_member", "positions"))
    return rules.total(parts)


def apply(change: HeadChange, scene: Scene, drawn: Drawn) -> tuple[Record, ...]:
    """Versions of everyone whose household, 続柄, order or head's name changes."""
    day = change.occurred_on.sort_date()
    target = (change.setai_no or drawn.setai_no) if change.atena_nos else change.household
    members = {**scene.members(change.household, day), **scene.members(target, day)}
    gone = {a: msgspec.structs.replace(members[a], setai_no=target) for a in change.atena_nos if a in members}
    after = place({**members, **gone}, change.positions)
    return outcome(scene, after, day, households=dict.fromkeys((change.household, target)))
