"""死亡・職権消除: one resident is struck out, and those left behind keep a 世帯主."""

from __future__ import annotations

import datetime as dt

import msgspec

from juki.registry import rules
from juki.registry.change import Death, Findings
from juki.registry.members import place
from juki.registry.reason import reason_name
from juki.registry.resident import Kind, Record, Removal, Status
from juki.registry.scene import Drawn, Scene, outcome

REMOVED = frozenset(
    (
        *("status", "removal", "setai_no", "member_order", "is_head", "address"),
        *("basic.relationship", "basic.head_name"),
    )
)
"""A removal holds whatever later version was already there: from its day on nobody moved and no household counted them."""


def check(change: Death, scene: Scene) -> Findings:
    """A resident on that day; two or more left without a head need a 世帯主変更 in the same case."""
    found = rules.check_resident(scene, change.atena_no, _day(change, scene), "atena_no")
    held = scene.now(change.atena_no, _day(change, scene))
    if change.reason == "removal_nationality_lost" and held is not None and held.kind is Kind.FOREIGN:
        found += rules.error("registry.not_for_foreigner", "reason")
    home = (held.setai_no,) if held is not None else ()
    return rules.total((found, rules.check_positions(scene, change.positions, home, _day(change, scene))))


def _day(change: Death, scene: Scene) -> dt.date:
    """From when the 除票 holds: the day; where it is not known, no earlier than the last that is recorded of the living."""
    written = change.occurred_on
    last = scene.now(change.atena_no, scene.today)
    if last is None or not (written.note or 0 in (written.month, written.day)):
        return written.sort_date()
    return max(written.sort_date(), last.valid_from)


def apply(change: Death, scene: Scene, drawn: Drawn) -> tuple[Record, ...]:
    """The 除票 version, and versions of whoever moves up."""
    del drawn
    day = _day(change, scene)
    before = scene.now(change.atena_no, day)
    if before is None:
        return ()
    gone = msgspec.structs.replace(
        before,
        status=Status.DECEASED if change.reason == "death" else Status.REMOVED,
        is_head=False,
        removal=Removal(reason=reason_name(change.reason), occurred_on=change.occurred_on),
    )
    left = {a: r for a, r in scene.members(before.setai_no, day).items() if a != change.atena_no}
    after = {**place(left, change.positions), change.atena_no: gone}
    return outcome(scene, after, day, households=(before.setai_no,), force={change.atena_no: REMOVED})
