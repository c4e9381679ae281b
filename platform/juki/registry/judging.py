"""審査: a change made ready and held against the register: the scene it acts on, what the rules say, before and after."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from itertools import groupby

import msgspec

from juki.audit import Operation
from juki.dates import today_in_japan
from juki.problem import Invalid
from juki.registry import changes, find, protect, rules, store
from juki.registry.cancel import cancelling_reason
from juki.registry.change import (
    Cancel,
    Change,
    Death,
    Findings,
    HeadChange,
    MoveIn,
    MoveOut,
    Reception,
    Relocate,
)
from juki.registry.index import numbers_of
from juki.registry.measures import Level, Process
from juki.registry.resident import GROUPS, Record, Status
from juki.registry.scene import Drawn, Needs, Scene
from juki.registry.timeline import Event, timeline


async def prepared(op: Operation, change: Change) -> tuple[Change, Scene]:
    """The change with what follows by itself filled in, and the residents it acts on, read whole."""
    today = today_in_japan(op.now)
    if change.notified_on is None:
        change = msgspec.structs.replace(change, notified_on=today)
    event: Event | None = None
    made: dict[str, tuple[int, ...]] = {}
    if isinstance(change, Cancel):
        event = (await store.events(op.session, op.ring, [change.event_no])).get(change.event_no)
        made = await store.versions_of_event(op.session, change.event_no)
    wanted = changes.numbers(change)
    found = await store.holders(op, wanted.values())
    held_by = {a for holders in found.values() for a in holders}
    atena_nos, setai_nos = changes.subjects(change)
    records = await _records(op, (*atena_nos, *made), setai_nos, held_by)
    holders = {path: _standing(records, pair, found.get(pair, ())) for path, pair in wanted.items()}
    change = _returning(change, records, holders)
    namesakes = {
        path: await find.namesakes(op, person.name, person.birth, person.sex.value)
        for path, person in changes.newcomers(change).items()
    }
    scene = Scene(today=today, records=records, holders=holders, namesakes=namesakes, event=event, event_versions=made)
    if isinstance(change, Cancel) and cancelling_reason(scene):
        change = msgspec.structs.replace(change, reason=cancelling_reason(scene))
    return change, await _whole(op, change, scene)


async def _whole(op: Operation, change: Change, scene: Scene) -> Scene:
    """The scene with everyone of every household that the change would write: a housemate of those it names may live in
    another household by now, or have gone there later with the same mistake.
    """
    while homes := {version.setai_no for version in _tried(op, change, scene)}:
        beyond = await store.others_of(op.session, homes, scene.records)
        if not beyond:
            break
        scene = msgspec.structs.replace(scene, records=scene.records | await _records(op, (), (), {*beyond}))
    return scene


def _tried(op: Operation, change: Change, scene: Scene) -> tuple[Record, ...]:
    """The versions that the change would make in this scene, none where a rule of its form forbids it."""
    code_rule = op.tenant.settings.numbering.resident_code_check
    if rules.reason_of(change) is None or changes.check(change, scene, code_rule).errors:
        return ()
    return changes.apply(change, scene, not_drawn_yet(changes.needs(change, scene)))


async def _records(
    op: Operation, atena_nos: tuple[str, ...], setai_nos: tuple[str, ...], held_by: set[str]
) -> dict[str, tuple[Record, ...]]:
    rows = await store.rows_around(op.session, atena_nos, setai_nos) if atena_nos or setai_nos else []
    known = {row[0] for row in rows}
    if held_by - known:
        rows += await store.rows_of(op.session, sorted(held_by - known))
    return {
        atena_no: tuple(store.open_record(op.ring, row, GROUPS) for row in group)
        for atena_no, group in groupby(rows, key=lambda row: row[0])
    }


def _standing(
    records: Mapping[str, tuple[Record, ...]], pair: tuple[str, str], atena_nos: list[str] | tuple[str, ...]
) -> tuple[str, ...]:
    """Of those who ever held a number, the ones on whose time line it still stands last."""
    found: list[str] = []
    for atena_no in atena_nos:
        line = timeline(records.get(atena_no, ()))
        if line and pair in numbers_of(line[-1]):
            found.append(atena_no)
    return tuple(found)


def _returning(
    change: Change, records: Mapping[str, tuple[Record, ...]], holders: Mapping[str, tuple[str, ...]]
) -> Change:
    """再転入: whoever brings the 個人番号 or 住民票コード of a removed resident goes on under that 宛名番号 (R-1-2.3-LNK-01)."""
    if not isinstance(change, MoveIn):
        return change
    persons = list(change.persons)
    for i, person in enumerate(persons):
        matched = {*holders.get(f"persons.{i}.my_number", ()), *holders.get(f"persons.{i}.resident_code", ())}
        line = timeline(records[next(iter(matched))]) if len(matched) == 1 else ()
        if not person.returning_atena_no and line and line[-1].status in (Status.MOVED_OUT, Status.REMOVED):
            persons[i] = msgspec.structs.replace(person, returning_atena_no=line[-1].atena_no)
    return msgspec.structs.replace(change, persons=tuple(persons))


async def judge(
    op: Operation, change: Change, scene: Scene, reception: Reception, drawn: Drawn
) -> tuple[Findings, tuple[Record, ...]]:
    """Everything the rules say, and the versions the change would make where it can be applied at all."""
    reason = rules.reason_of(change)
    if reason is None:
        return rules.error("registry.reason_not_of_form", "reason"), ()
    found = rules.total(
        (
            rules.check_texts(change),
            rules.check_texts(reception, "reception"),
            rules.check_reception(reception, reason),
            rules.check_days(change.occurred_on, change.notified_on, scene.today, reason),
            changes.check(change, scene, op.tenant.settings.numbering.resident_code_check),
            await _check_notices(op, change, scene),
        )
    )
    if found.errors:
        return found, ()
    fresh = changes.apply(change, scene, drawn)
    if not fresh:
        return rules.total((found, rules.error("registry.nothing_changes", "occurred_on"))), ()
    head_gone = isinstance(change, Death | MoveOut | Relocate)
    restored = await _check_restored(op, scene, fresh) if isinstance(change, Cancel) else Findings()
    outcome = rules.check_outcome(scene, fresh, head_gone=head_gone)
    kept = Findings()
    if isinstance(change, Relocate | Death | MoveOut | HeadChange) and not outcome.errors:
        kept = rules.check_kept_relationships(scene, fresh, change.positions)
    return rules.total((found, restored, outcome, kept)), fresh


async def _check_restored(op: Operation, scene: Scene, fresh: tuple[Record, ...]) -> Findings:
    """A cancellation gives a number back only where nobody else was given it since; held until the transaction ends."""
    back: dict[tuple[str, str], str] = {}
    for atena_no in {v.atena_no for v in fresh}:
        last = timeline((*scene.records[atena_no], *(v for v in fresh if v.atena_no == atena_no)))[-1]
        before = scene.now(atena_no)
        had = numbers_of(before) if before is not None and before.status is not Status.VOID else ()
        if last.status is not Status.VOID:
            back |= {pair: atena_no for pair in numbers_of(last) if pair not in had}
    await store.lock(op.session, "number", {op.ring.index.unique(kind, number).hex() for kind, number in back})
    holders = {pair: {*found} - {back[pair]} for pair, found in (await store.holders(op, back)).items()}
    records = await _records(op, (), (), {a for others in holders.values() for a in others})
    standing = {pair: _standing(records, pair, sorted(others)) for pair, others in holders.items()}
    now = (timeline(records[atena_no])[-1] for others in standing.values() for atena_no in others)
    held = any(record.status is not Status.VOID for record in now)
    return rules.error("registry.number_held", "event_no") if held else Findings()


async def _check_notices(op: Operation, change: Change, scene: Scene) -> Findings:
    """抑止 of 異動 and 支援措置 of those a form names, each by 宛名番号 where it names several."""
    named = list(dict.fromkeys(a for a in (*changes.subjects(change)[0], *scene.event_versions) if a in scene.records))
    parts: list[Findings] = []
    for atena_no, standing in (await protect.protections(op, named)).items() if named else ():
        field = f"standing.{atena_no}" if len(named) > 1 else "change"
        level = standing.level(Process.CHANGE)
        if level is Level.ERROR:
            parts.append(rules.error("registry.change_suppressed", field))
        elif level is Level.ALERT:
            parts.append(rules.alert("registry.change_held", field))
        if standing.protected:
            parts.append(rules.alert("registry.protected_subject", field))
    parts.append(await _check_hosts(op, change, scene, named))
    return rules.total(parts)


async def _check_hosts(op: Operation, change: Change, scene: Scene, named: Collection[str]) -> Findings:
    """支援措置 of those whose household somebody joins: whoever lives there is given papers as one of them."""
    setai_no: str = getattr(change, "setai_no", "")
    if not setai_no:
        return Findings()
    days = (change.occurred_on.sort_date(), scene.today)
    hosts = {a for day in days for a in scene.members(setai_no, day)} - {*named}
    under = await protect.protections(op, sorted(hosts))
    if any(standing.protected for standing in under.values()):
        return rules.alert("registry.protected_host", "setai_no")
    return Findings()


def insist(findings: Findings, passed: Mapping[str, str]) -> None:
    """Raises Invalid where an error stands or an alert was not passed with a reason."""
    if findings.errors:
        fields = {finding.field or "change": finding.code for finding in findings.errors}
        raise Invalid("registry.change_invalid", "the change breaks a rule", fields=fields)
    unread = {f"alert.{a.code}": a.code for a in findings.alerts if not passed.get(a.code)}
    if unread:
        raise Invalid("registry.alerts_open", "an alert needs a reason for going on", fields=unread)


def base_of(scene: Scene, fresh: tuple[Record, ...]) -> dict[str, int]:
    """Newest version of everyone the change rests on: those it writes, and those who live with them."""
    known = {v.atena_no for v in fresh}
    homes = {v.setai_no for v in fresh}
    base: dict[str, int] = {}
    for atena_no, versions in scene.records.items():
        held = scene.now(atena_no)
        if atena_no in known or (held is not None and held.setai_no in homes):
            base[atena_no] = max(v.version_no for v in versions)
    return base


def not_drawn_yet(needs: Needs) -> Drawn:
    """What stands for the numbers of a change before 本登録, where they are drawn: a draft uses up none."""
    return Drawn(
        atena_nos=tuple(f"新規{i + 1}" for i in range(needs.atena_nos)),
        setai_no="新規世帯" if needs.setai_nos else "",
        resident_codes=("",) * needs.resident_codes,
    )


def side_by_side(
    op: Operation, scene: Scene, fresh: tuple[Record, ...]
) -> tuple[tuple[Record, ...], tuple[Record, ...]]:
    """Records before and after, without the numbers for whoever lacks their rights.

    Of several new versions of one resident the one that stands at the end of the first day is shown: where a record is
    struck out and written anew on one day, the one written.
    """
    shown: dict[str, Record] = {}
    for version in fresh:
        if version.valid_from <= shown.get(version.atena_no, version).valid_from:
            shown[version.atena_no] = version
    before = [scene.now(v.atena_no, v.valid_from) for v in shown.values()]
    hidden = {
        group: None
        for group, right in (("my_number", "resident.my_number"), ("resident_code", "resident.code"))
        if not op.caller.may(right)
    }
    touch(op, scene, fresh, my_number="my_number" not in hidden)
    return (
        tuple(msgspec.structs.replace(r, **hidden) for r in before if r is not None),
        tuple(msgspec.structs.replace(r, **hidden) for r in shown.values()),
    )


def touch(op: Operation, scene: Scene, fresh: tuple[Record, ...], *, my_number: bool) -> None:
    for version in fresh:
        if version.atena_no in scene.records:
            op.touch(version.atena_no, my_number=my_number and version.my_number is not None)
