"""転居: the whole or part of a household moves within the municipality, into a new household or an existing one."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping

import msgspec

from juki.dates import from_date
from juki.registry import rules
from juki.registry.change import Findings, Relocate
from juki.registry.members import place
from juki.registry.resident import Address, Place, Record
from juki.registry.scene import Drawn, Needs, Scene, outcome
from juki.registry.timeline import correction, next_version_no, timeline


def _home(change: Relocate, scene: Scene) -> str:
    """世帯番号 that the movers leave; empty where nobody is known."""
    day = change.occurred_on.sort_date()
    held = [scene.now(atena_no, day) for atena_no in change.atena_nos]
    return next((h.setai_no for h in held if h is not None), "")


def _is_whole(change: Relocate, scene: Scene) -> bool:
    return set(scene.members(_home(change, scene), change.occurred_on.sort_date())) <= set(change.atena_nos)


def needs(change: Relocate, scene: Scene) -> Needs:
    """A 世帯番号 where part of a household moves into one of its own."""
    return Needs(setai_nos=0 if change.setai_no or _is_whole(change, scene) else 1)


def check(change: Relocate, scene: Scene) -> Findings:
    """Residents of one household, to another address, into a household that exists."""
    day = change.occurred_on.sort_date()
    parts = [rules.check_resident(scene, a, day, f"atena_nos.{i}") for i, a in enumerate(change.atena_nos)]
    if not change.atena_nos:
        parts.append(rules.error("registry.nobody", "atena_nos"))
    if not change.address.text.strip():
        parts.append(rules.error("registry.required", "address.text"))
    held = [h for h in (scene.now(a, day) for a in change.atena_nos) if h is not None]
    if len({h.setai_no for h in held}) > 1:
        parts.append(rules.error("registry.two_households", "atena_nos"))
    if change.setai_no:
        parts.append(rules.check_joined(scene, change.setai_no, day))
    if any(h.address is not None and h.address.address == change.address for h in held):
        parts.append(rules.alert("registry.same_address", "address"))
    homes = {h.setai_no for h in held} | {change.setai_no}
    parts.append(rules.check_positions(scene, change.positions, homes, day))
    return rules.total(parts)


def apply(change: Relocate, scene: Scene, drawn: Drawn) -> tuple[Record, ...]:
    """The movers' versions with 異動前住所, and those of whoever's place shifts in the household left or joined."""
    day = change.occurred_on.sort_date()
    home = _home(change, scene)
    target = change.setai_no or (home if _is_whole(change, scene) else drawn.setai_no)
    movers = {a: r for a in change.atena_nos if (r := scene.now(a, day)) is not None}
    moved = {a: _moved(record, change, scene, target) for a, record in movers.items()}
    others = {a: r for s in (home, target) for a, r in scene.members(s, day).items() if a not in moved}
    after = place({**others, **moved}, change.positions)
    fresh = outcome(scene, after, day, households=dict.fromkeys((home, target)))
    left = {a: r.address.address for a, r in movers.items() if r.address is not None}
    return moved_on(scene, fresh, left, change.address, day)


def moved_on(
    scene: Scene, fresh: tuple[Record, ...], left: Mapping[str, Place], to: Place, day: dt.date
) -> tuple[Record, ...]:
    """The new versions, and more for whoever is already known to have moved on after the day: 異動前住所 is then `to`.

    `left` says what stands as 異動前住所 so far: the address that each resident had until now, 宛名番号 -> address.
    """
    made = {(v.atena_no, v.version_no): v for v in fresh}
    for atena_no, before in left.items():
        known: list[Record] = [*scene.records[atena_no], *(v for v in fresh if v.atena_no == atena_no)]
        for later in timeline(known):
            address = later.address
            if later.valid_from <= day or address is None or address.moved_within_from != before:
                continue
            if address.address == to:
                continue
            address = msgspec.structs.replace(address, moved_within_from=to)
            right = msgspec.structs.replace(later, address=address)
            if (atena_no, later.version_no) not in made:
                right = correction(right, later, next_version_no(known))
                known.append(right)
            made[atena_no, right.version_no] = right
    return tuple(made.values())


def _moved(record: Record, change: Relocate, scene: Scene, setai_no: str) -> Record:
    old = record.address or Address()
    address = msgspec.structs.replace(
        old,
        address=change.address,
        address_since=change.occurred_on,
        notified_on=from_date(change.notified_on or scene.today),
        moved_within_from=old.address,
    )
    return msgspec.structs.replace(record, setai_no=setai_no, address=address)
