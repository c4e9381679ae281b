"""支援措置・抑止の保管: SQL and sealing. Whom a measure protects stands nowhere in plain sight: only in seal and blind index."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import Any, Final

from juki.audit import Operation
from juki.dates import today_in_japan
from juki.problem import Conflict
from juki.registry.measures import Level, Measure, MeasureState, Process, Release, SupportMeasure, Suppression
from juki.registry.store import in_slot, lock

SUBJECT = "support.subject"
GUARD: Final = "guard"
"""Whoever gives out a paper and whoever puts a person under protection hold this lock of theirs one after the other."""


async def protected_among(op: Operation, atena_nos: Sequence[str]) -> dict[str, list[Measure]]:
    """Of the residents named, those under a measure that nobody has ended, with its newest version."""
    wanted = {op.ring.index.unique(SUBJECT, atena_no): atena_no for atena_no in atena_nos}
    if not wanted:
        return {}
    rows = await op.session.fetch(
        in_slot(
            "SELECT m.measure_no, m.version_no, m.state, m.known_from, m.entered_by, m.measure_sealed, s.subject_fp "
            "FROM {t}.support_subject_{slot} s JOIN {t}.support_measure m ON m.measure_no = s.measure_no "
            "WHERE s.subject_fp = ANY(%(fps)s::bytea[]) AND m.state <> 'ended' AND NOT EXISTS ("
            "SELECT 1 FROM {t}.support_measure l WHERE l.measure_no = m.measure_no AND l.version_no > m.version_no)",
            op.ring.index.slot,
        ),
        {"fps": list(wanted)},
    )
    found: dict[str, list[Measure]] = {}
    for row in rows:
        measure, atena_no = _measure(op, row), wanted[bytes(row[6])]
        if atena_no in subjects(measure.content):  # an earlier version may have named someone who is no longer under it
            found.setdefault(atena_no, []).append(measure)
    return found


async def measures(op: Operation, measure_nos: Sequence[int]) -> list[Measure]:
    """Every version of the measures named, oldest first."""
    rows = await op.session.fetch(
        "SELECT measure_no, version_no, state, known_from, entered_by, measure_sealed FROM {t}.support_measure "
        "WHERE measure_no = ANY(%(measure_nos)s) ORDER BY measure_no, version_no",
        {"measure_nos": list(measure_nos)},
    )
    return [_measure(op, row) for row in rows]


async def latest_measures(op: Operation, *, ended: bool) -> list[Measure]:
    """The newest version of every measure; those already ended only where asked."""
    rows = await op.session.fetch(
        "SELECT m.measure_no, m.version_no, m.state, m.known_from, m.entered_by, m.measure_sealed "
        "FROM {t}.support_measure m WHERE NOT EXISTS (SELECT 1 FROM {t}.support_measure l "
        "WHERE l.measure_no = m.measure_no AND l.version_no > m.version_no) "
        "AND (%(ended)s OR m.state <> 'ended') ORDER BY m.ends_on NULLS FIRST, m.measure_no",
        {"ended": ended},
    )
    return [_measure(op, row) for row in rows]


def _measure(op: Operation, row: Sequence[Any]) -> Measure:
    content = op.ring.open("support_measure", "support", str(row[0]), row[1], row[5], SupportMeasure)
    return Measure(
        measure_no=row[0],
        version_no=row[1],
        state=MeasureState(row[2]),
        content=content,
        known_from=row[3],
        entered_by=row[4],
    )


async def add_measure(op: Operation, measure: Measure) -> None:
    """Append one version. Raises Conflict `registry.stale` where someone appended it first."""
    content = measure.content
    await lock(op.session, GUARD, subjects(content))
    ends_on = content.provisional_until if measure.state is MeasureState.PROVISIONAL else content.ends_on
    try:
        await op.session.execute(
            "INSERT INTO {t}.support_measure (measure_no, version_no, state, ends_on, known_from, entered_by, "
            "measure_sealed) VALUES (%(measure_no)s, %(version_no)s, %(state)s, %(ends_on)s, %(known_from)s, "
            "%(entered_by)s, %(measure_sealed)s)",
            {
                "measure_no": measure.measure_no,
                "version_no": measure.version_no,
                "state": measure.state.value,
                "ends_on": ends_on,
                "known_from": measure.known_from,
                "entered_by": measure.entered_by,
                "measure_sealed": op.ring.seal(
                    "support_measure", "support", str(measure.measure_no), measure.version_no, content
                ),
            },
        )
    except Conflict:
        raise Conflict("registry.stale", "somebody changed this measure first", remedy="open it again") from None
    for slot, indexer in op.ring.write_indexes().items():
        await op.session.execute_many(
            in_slot(
                "INSERT INTO {t}.support_subject_{slot} (subject_fp, measure_no) "
                "VALUES (%(subject_fp)s, %(measure_no)s) ON CONFLICT DO NOTHING",
                slot,
            ),
            [
                {"subject_fp": indexer.unique(SUBJECT, atena_no), "measure_no": measure.measure_no}
                for atena_no in subjects(content)
            ],
        )


def subjects(content: SupportMeasure) -> tuple[str, ...]:
    """宛名番号 of everyone a measure protects."""
    return tuple(dict.fromkeys(a for a in (content.atena_no, *content.protected_with) if a))


async def suppressions(op: Operation, atena_nos: Sequence[str]) -> list[Suppression]:
    """抑止 of the residents named that have begun and were not released for good, with whether a release is in effect or asked for.

    A clock that is put back undoes neither what had begun when it was set, nor lets a release begin before it was made.
    """
    rows = await op.session.fetch(
        "SELECT s.suppression_no, s.atena_no, s.process, s.level, s.starts_on, s.ends_on, s.set_by, s.reason_sealed, "
        "EXISTS (SELECT 1 FROM {t}.suppression_release r WHERE r.suppression_no = s.suppression_no "
        "AND r.released_at <= %(now)s AND r.until > %(now)s), EXISTS (SELECT 1 FROM {t}.loosening l WHERE l.suppression_no = s.suppression_no "
        "AND NOT EXISTS (SELECT 1 FROM {t}.loosening_step d WHERE d.loosening_no = l.loosening_no AND d.step_no = 2)) FROM {t}.suppression s WHERE s.atena_no = ANY(%(atena_nos)s) "
        "AND (s.starts_on <= %(today)s OR s.starts_on <= (s.set_at AT TIME ZONE 'Asia/Tokyo')::date) "
        "AND NOT EXISTS (SELECT 1 FROM {t}.suppression_release r "
        "WHERE r.suppression_no = s.suppression_no AND r.until IS NULL) ORDER BY s.suppression_no",
        {"atena_nos": list(atena_nos), "now": op.now, "today": today_in_japan(op.now)},
    )
    return [_suppression(op, row) for row in rows]


async def suppression(op: Operation, suppression_no: int) -> Suppression | None:
    """One 抑止, released or not; None where there is none of this number."""
    row = await op.session.fetch_one(
        "SELECT s.suppression_no, s.atena_no, s.process, s.level, s.starts_on, s.ends_on, s.set_by, s.reason_sealed, "
        "EXISTS (SELECT 1 FROM {t}.suppression_release r WHERE r.suppression_no = s.suppression_no "
        "AND r.released_at <= %(now)s AND r.until > %(now)s), false FROM {t}.suppression s WHERE s.suppression_no = %(no)s",
        {"no": suppression_no, "now": op.now},
    )
    return None if row is None else _suppression(op, row)


def _suppression(op: Operation, row: Sequence[Any]) -> Suppression:
    return Suppression(
        suppression_no=row[0],
        atena_no=row[1],
        process=Process(row[2]),
        level=Level(row[3]),
        starts_on=row[4],
        ends_on=row[5],
        set_by=row[6],
        reason=op.ring.open("suppression", "support", str(row[0]), 1, row[7], bytes).decode(),
        released=row[8],
        release_asked=row[9],
    )


async def add_suppression(op: Operation, suppression: Suppression) -> None:
    """Write one 抑止; its resident is held by whoever calls."""
    await op.session.execute(
        "INSERT INTO {t}.suppression (suppression_no, atena_no, process, level, starts_on, ends_on, set_by, set_at, "
        "reason_sealed) VALUES (%(suppression_no)s, %(atena_no)s, %(process)s, %(level)s, %(starts_on)s, "
        "%(ends_on)s, %(set_by)s, %(set_at)s, %(reason_sealed)s)",
        {
            "suppression_no": suppression.suppression_no,
            "atena_no": suppression.atena_no,
            "process": suppression.process.value,
            "level": suppression.level.value,
            "starts_on": suppression.starts_on,
            "ends_on": suppression.ends_on,
            "set_by": suppression.set_by,
            "set_at": op.now,
            "reason_sealed": op.ring.seal(
                "suppression", "support", str(suppression.suppression_no), 1, suppression.reason.encode()
            ),
        },
    )


async def releases(op: Operation, suppression_no: int) -> list[Release]:
    """抑止の一時解除 of one suppression, oldest first."""
    rows = await op.session.fetch(
        "SELECT released_by, until FROM {t}.suppression_release WHERE suppression_no = %(no)s AND until IS NOT NULL "
        "ORDER BY release_no",
        {"no": suppression_no},
    )
    return [Release(by=row[0], until=row[1]) for row in rows]


async def add_release(op: Operation, suppression_no: int, until: dt.datetime | None, reason: str, by: str) -> int:
    """Write one release by the one who entered it; its number. Conflict `registry.stale` where two were written at once."""
    row = await op.session.fetch_one(
        "SELECT coalesce(max(release_no), 0) + 1 FROM {t}.suppression_release WHERE suppression_no = %(no)s",
        {"no": suppression_no},
    )
    release_no = row[0] if row else 1
    try:
        await op.session.execute(
            "INSERT INTO {t}.suppression_release (suppression_no, release_no, released_by, released_at, until, "
            "reason_sealed) VALUES (%(no)s, %(release_no)s, %(by)s, %(at)s, %(until)s, %(reason_sealed)s)",
            {
                "no": suppression_no,
                "release_no": release_no,
                "by": by,
                "at": op.now,
                "until": until,
                "reason_sealed": op.ring.seal(
                    "suppression_release", "support", str(suppression_no), release_no, reason.encode()
                ),
            },
        )
    except Conflict:
        raise Conflict("registry.stale", "somebody released it first", remedy="open it again") from None
    return release_no
