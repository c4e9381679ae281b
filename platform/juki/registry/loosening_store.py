"""緩和の申請の保管: SQL and sealing of what waits for a second person; rows are added and never touched again."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from juki.audit import Operation
from juki.problem import Conflict, NotFound
from juki.registry.measures import Asked, Loosening, LooseningKind, LooseningState, LooseningStep
from juki.registry.store import lock


async def hold(op: Operation, *, measure_no: int | None = None, suppression_no: int | None = None) -> None:
    """Asks, decisions and temporary releases about one measure or suppression come one after another."""
    await lock(op.session, "loosening", (f"{measure_no} {suppression_no}",))


async def add(op: Operation, loosening: Loosening) -> None:
    """Write an ask and its first step."""
    await op.session.execute(
        "INSERT INTO {t}.loosening (loosening_no, kind, measure_no, base_version, suppression_no, asked_by, asked_at, "
        "terminal, asked_sealed) VALUES (%(loosening_no)s, %(kind)s, %(measure_no)s, %(base_version)s, "
        "%(suppression_no)s, %(asked_by)s, %(asked_at)s, %(terminal)s, %(asked_sealed)s)",
        {
            "loosening_no": loosening.loosening_no,
            "kind": loosening.kind.value,
            "measure_no": loosening.measure_no,
            "base_version": loosening.base_version,
            "suppression_no": loosening.suppression_no,
            "asked_by": loosening.asked_by,
            "asked_at": loosening.asked_at,
            "terminal": loosening.terminal,
            "asked_sealed": op.ring.seal("loosening", "support", str(loosening.loosening_no), 1, loosening.asked),
        },
    )
    await _add_step(op, loosening, 1, LooseningState.ASKED)


async def end(
    op: Operation, loosening: Loosening, state: LooseningState, *, version_no: int | None = None, comment: str = ""
) -> None:
    """Write the second and last step. Conflict `registry.loosening_ended` where somebody wrote it first."""
    try:
        await _add_step(op, loosening, 2, state, version_no=version_no, comment=comment)
    except Conflict:
        raise ended_already() from None


def ended_already() -> Conflict:
    """What is told to whoever decides what has been decided."""
    return Conflict("registry.loosening_ended", "this ask was decided or withdrawn", remedy="open the list again")


async def _add_step(
    op: Operation,
    loosening: Loosening,
    step_no: int,
    state: LooseningState,
    *,
    version_no: int | None = None,
    comment: str = "",
) -> None:
    key = str(loosening.loosening_no)
    await op.session.execute(
        "INSERT INTO {t}.loosening_step (loosening_no, step_no, state, asked_by, done_by, done_at, version_no, "
        "comment_sealed) VALUES (%(loosening_no)s, %(step_no)s, %(state)s, %(asked_by)s, %(done_by)s, %(done_at)s, "
        "%(version_no)s, %(comment_sealed)s)",
        {
            "loosening_no": loosening.loosening_no,
            "step_no": step_no,
            "state": state.value,
            "asked_by": loosening.asked_by,
            "done_by": op.caller.actor_id,
            "done_at": op.now,
            "version_no": version_no,
            "comment_sealed": op.ring.seal("loosening_step", "support", key, step_no, comment.encode())
            if comment
            else None,
        },
    )


async def read(op: Operation, loosening_no: int) -> Loosening:
    """One ask with its course. NotFound `registry.unknown_loosening`."""
    rows = await op.session.fetch(
        "SELECT l.loosening_no, l.kind, l.measure_no, l.base_version, l.suppression_no, l.asked_by, l.asked_at, "
        "l.terminal, l.asked_sealed, EXISTS (SELECT 1 FROM {t}.support_measure m WHERE m.measure_no = l.measure_no "
        "AND m.version_no > l.base_version) OR EXISTS (SELECT 1 FROM {t}.suppression_release r "
        "WHERE r.suppression_no = l.suppression_no AND r.until IS NULL) "
        "FROM {t}.loosening l WHERE l.loosening_no = %(loosening_no)s",
        {"loosening_no": loosening_no},
    )
    if not rows:
        raise NotFound("registry.unknown_loosening", "no such ask here")
    return (await _with_steps(op, rows))[0]


async def waiting(op: Operation, limit: int) -> list[Loosening]:
    """Asks that nobody has decided or withdrawn, oldest first, stale ones too."""
    rows = await op.session.fetch(
        "SELECT l.loosening_no, l.kind, l.measure_no, l.base_version, l.suppression_no, l.asked_by, l.asked_at, "
        "l.terminal, l.asked_sealed, EXISTS (SELECT 1 FROM {t}.support_measure m WHERE m.measure_no = l.measure_no "
        "AND m.version_no > l.base_version) OR EXISTS (SELECT 1 FROM {t}.suppression_release r "
        "WHERE r.suppression_no = l.suppression_no AND r.until IS NULL) "
        "FROM {t}.loosening l WHERE NOT EXISTS (SELECT 1 FROM {t}.loosening_step s "
        "WHERE s.loosening_no = l.loosening_no AND s.step_no = 2) ORDER BY l.loosening_no LIMIT %(limit)s",
        {"limit": limit},
    )
    return await _with_steps(op, rows)


async def waiting_of_measures(op: Operation, measure_nos: Sequence[int]) -> dict[int, tuple[int, LooseningKind]]:
    """Measure -> (number, kind) of the ask that waits for its newest version."""
    rows = await op.session.fetch(
        "SELECT l.measure_no, l.loosening_no, l.kind FROM {t}.loosening l WHERE l.measure_no = ANY(%(measure_nos)s) "
        "AND NOT EXISTS (SELECT 1 FROM {t}.loosening_step s WHERE s.loosening_no = l.loosening_no AND s.step_no = 2) "
        "AND NOT EXISTS (SELECT 1 FROM {t}.support_measure m WHERE m.measure_no = l.measure_no "
        "AND m.version_no > l.base_version)",
        {"measure_nos": list(measure_nos)},
    )
    return {row[0]: (row[1], LooseningKind(row[2])) for row in rows}


async def waiting_of_suppression(op: Operation, suppression_no: int) -> int | None:
    """Number of the ask that waits for this suppression, None where none does."""
    row = await op.session.fetch_one(
        "SELECT l.loosening_no FROM {t}.loosening l WHERE l.suppression_no = %(suppression_no)s AND NOT EXISTS "
        "(SELECT 1 FROM {t}.loosening_step s WHERE s.loosening_no = l.loosening_no AND s.step_no = 2)",
        {"suppression_no": suppression_no},
    )
    return row[0] if row else None


async def approved_of_measure(op: Operation, measure_no: int) -> dict[int, tuple[int, str]]:
    """Version of a measure -> (number of the ask, who approved it), for those versions that two persons made."""
    rows = await op.session.fetch(
        "SELECT s.version_no, l.loosening_no, s.done_by FROM {t}.loosening l JOIN {t}.loosening_step s "
        "ON s.loosening_no = l.loosening_no AND s.state = 'approved' WHERE l.measure_no = %(measure_no)s",
        {"measure_no": measure_no},
    )
    return {row[0]: (row[1], row[2]) for row in rows}


async def _with_steps(op: Operation, rows: Sequence[Sequence[Any]]) -> list[Loosening]:
    steps = await op.session.fetch(
        "SELECT loosening_no, step_no, state, done_by, done_at, version_no, comment_sealed FROM {t}.loosening_step "
        "WHERE loosening_no = ANY(%(numbers)s) ORDER BY loosening_no, step_no",
        {"numbers": [row[0] for row in rows]},
    )
    course: dict[int, list[LooseningStep]] = {}
    for row in steps:
        course.setdefault(row[0], []).append(_step(op, row))
    return [_loosening(op, row, course[row[0]]) for row in rows]


def _loosening(op: Operation, row: Sequence[Any], steps: Sequence[LooseningStep]) -> Loosening:
    return Loosening(
        loosening_no=row[0],
        kind=LooseningKind(row[1]),
        measure_no=row[2],
        base_version=row[3],
        suppression_no=row[4],
        asked_by=row[5],
        asked_at=row[6],
        terminal=row[7],
        asked=op.ring.open("loosening", "support", str(row[0]), 1, row[8], Asked),
        steps=tuple(steps),
        stale=row[9] and steps[-1].state is LooseningState.ASKED,
    )


def _step(op: Operation, row: Sequence[Any]) -> LooseningStep:
    sealed = row[6]
    comment = op.ring.open("loosening_step", "support", str(row[0]), row[1], sealed, bytes).decode() if sealed else ""
    return LooseningStep(
        state=LooseningState(row[2]), done_by=row[3], done_at=row[4], version_no=row[5], comment=comment
    )
