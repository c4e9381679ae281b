"""異動の取消し: a change is taken back by versions that restore what stood before; both stay in the history."""

from __future__ import annotations

import msgspec

from juki.registry import rules
from juki.registry.change import Cancel, Findings
from juki.registry.reason import CANCELLED_BY, MIGRATION, REASONS
from juki.registry.resident import Record, Status
from juki.registry.scene import Drawn, Scene
from juki.registry.timeline import as_of, next_version_no, timeline


def cancelling_reason(scene: Scene) -> str:
    """Which of the three kinds (増, 減, 修正) takes back the change of the scene; empty where none can."""
    known = REASONS.get(scene.event.reason) if scene.event is not None else None
    return CANCELLED_BY[known.group] if known is not None else ""


def check(change: Cancel, scene: Scene) -> Findings:
    """The change must exist, be ours, stand, and be the last one of everyone it touched; who is in the way is named in
    the field, as `event_no.<宛名番号>`: on a form of a whole household it need not be the person it was opened from.
    """
    if scene.event is None or not scene.event_versions:
        return rules.error("registry.unknown_event", "event_no")
    if scene.event.reason == MIGRATION.code or not cancelling_reason(scene):
        return rules.error("registry.not_cancellable", "event_no")
    if change.reason != cancelling_reason(scene):
        return rules.error("registry.not_for_reason", "reason")
    for atena_no, made in scene.event_versions.items():
        versions = scene.records.get(atena_no, ())
        standing = {v.version_no for v in timeline(versions)}
        if not set(made) <= standing:
            if set(made) & {v.cancels_version for v in versions}:
                return rules.error("registry.not_on_timeline", "event_no")
            return rules.error("registry.corrected_since", _about(atena_no))
        if next_version_no(versions) - 1 not in made:
            return rules.error("registry.later_change", _about(atena_no))
    return Findings()


def _about(atena_no: str) -> str:
    return f"event_no.{atena_no}"


def apply(change: Cancel, scene: Scene, drawn: Drawn) -> tuple[Record, ...]:
    """One restoring version for each version that the change had made."""
    del change, drawn
    fresh: list[Record] = []
    for atena_no, made in scene.event_versions.items():
        versions = scene.records[atena_no]
        by_number = {v.version_no: v for v in versions}
        before = timeline(v for v in versions if v.version_no not in made)  # the change is the last, so: as it was
        for position, number in enumerate(sorted(made)):
            taken_back = by_number[number]
            named = taken_back.corrects_version or taken_back.cancels_version
            restored = by_number[named] if named else as_of(before, taken_back.valid_from)
            fresh.append(
                msgspec.structs.replace(
                    restored or msgspec.structs.replace(taken_back, status=Status.VOID, is_head=False),
                    version_no=next_version_no(versions) + position,
                    valid_from=restored.valid_from if named and restored else taken_back.valid_from,
                    corrects_version=None,
                    cancels_version=number,
                )
            )
    return tuple(fresh)
