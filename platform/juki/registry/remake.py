"""改製・再製: a record is written anew. 改製 carries over what holds now and leaves the past on the record struck out; 再製 makes a
record that was lost or damaged again as it was. Source: 住民記録システム標準仕様書 1.2.2, 4.2 (改製 is done by hand, never by itself).
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from juki.dates import RegistryDate
from juki.registry import rules
from juki.registry.change import Findings, Remake
from juki.registry.reason import reason_name
from juki.registry.resident import Basic, Notes, Place, Record, Removal, Status
from juki.registry.scene import Drawn, Scene, halves, outcome
from juki.registry.timeline import timeline

REISSUE: Final = "entry_reissue"
_STRUCK: Final = {REISSUE: "removal_reissue", "entry_restored": "removal_restored"}
_BLANK: Final = Basic(name="", birth=RegistryDate(0))
_PAST_ALIAS: Final[dict[str, Any]] = {
    name: getattr(_BLANK, name) for name in Basic.__struct_fields__ if name.startswith("alias_")
}


def check(change: Remake, scene: Scene) -> Findings:
    """A resident on that day, after whose record nothing later is known; 備考 is chosen at 改製 only."""
    day = change.occurred_on.sort_date()
    found = rules.check_resident(scene, change.atena_no, day, "atena_no")
    line = timeline(scene.records.get(change.atena_no, ()))
    if any(version.valid_from > day for version in line):
        found += rules.error("registry.later_change", "occurred_on")
    if change.carried_remarks and change.reason != REISSUE:
        found += rules.error("registry.not_for_reason", "carried_remarks")
    return found


def apply(change: Remake, scene: Scene, drawn: Drawn) -> tuple[Record, ...]:
    """The version struck out and the version written anew, on one day."""
    del drawn
    day = change.occurred_on.sort_date()
    before = scene.now(change.atena_no, day)
    if before is None:
        return ()
    reissued = change.reason == REISSUE
    gone = msgspec.structs.replace(
        before,
        status=Status.REMOVED,
        is_head=False,
        removal=Removal(
            reason=reason_name(_STRUCK[change.reason]),
            occurred_on=change.occurred_on,
            reissue_removed_on=change.occurred_on if reissued else None,
        ),
    )
    if reissued:
        after = _current(before, change.carried_remarks)
        mark = Removal(reissue_entered_on=change.occurred_on)
    else:
        after, mark = before, Removal(restored_entered_on=change.occurred_on)
    after = msgspec.structs.replace(after, removal=mark)
    return halves(scene, gone, day, outcome(scene, {change.atena_no: after}, day, households=(before.setai_no,)))


def _current(before: Record, remarks: str) -> Record:
    """What a 住民票 shows after 改製: everything that holds, without former addresses here, removed 通称 and old 備考.

    転入前住所 and 旧世帯主 stay: the law records them (法7条). 通称 in force keeps the place and day of its entry.
    """
    basic, address = before.basic, before.address
    if basic is not None and not basic.alias:
        basic = msgspec.structs.replace(basic, **_PAST_ALIAS)
    if address is not None:
        address = msgspec.structs.replace(address, moved_within_from=Place())
    notes = before.notes
    if notes is not None or remarks:
        notes = msgspec.structs.replace(notes or Notes(), remarks=remarks)
    return msgspec.structs.replace(before, basic=basic, address=address, notes=notes)
