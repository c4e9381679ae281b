"""移行の媒体の保管: media and their course."""

from __future__ import annotations

import datetime as dt

from juki.audit import Operation
from juki.legacy.model import Medium, MediumState, MediumStep


async def read(op: Operation) -> list[Medium]:
    """Every medium with its course, oldest registration first."""
    rows = await op.session.fetch(
        "SELECT medium_no, step_no, state, on_day, noted_at, noted_by, person_sealed FROM {t}.import_medium_step "
        "ORDER BY medium_no, step_no"
    )
    course: dict[str, list[MediumStep]] = {}
    for number, step_no, state, on_day, noted_at, noted_by, sealed in rows:
        person = op.ring.open("import_medium_step", "medium", number, step_no, sealed, bytes).decode()
        step = MediumStep(state=MediumState(state), on_day=on_day, person=person, noted_at=noted_at, noted_by=noted_by)
        course.setdefault(number, []).append(step)
    media = await op.session.fetch(
        "SELECT medium_no, kind, encryption FROM {t}.import_medium ORDER BY registered_at, medium_no"
    )
    return [
        Medium(medium_no=number, kind=kind, encryption=encryption, steps=tuple(course.get(number, ())))
        for number, kind, encryption in media
    ]


async def state_of(op: Operation, medium_no: str) -> tuple[str, MediumState, dt.date, int] | None:
    """(kind, where it is, since when, last step) of one medium, None where it is not registered."""
    row = await op.session.fetch_one(
        "SELECT m.kind, s.state, s.on_day, s.step_no FROM {t}.import_medium m JOIN {t}.import_medium_step s "
        "USING (medium_no) WHERE m.medium_no = %(medium_no)s ORDER BY s.step_no DESC LIMIT 1",
        {"medium_no": medium_no},
    )
    return None if row is None else (row[0], MediumState(row[1]), row[2], row[3])


async def add(op: Operation, medium_no: str, kind: str, encryption: str) -> None:
    """Register a medium. Conflict `db.twice` where somebody did so at the same moment."""
    await op.session.execute(
        "INSERT INTO {t}.import_medium (medium_no, kind, encryption, registered_at, registered_by, op_no) VALUES "
        "(%(medium_no)s, %(kind)s, %(encryption)s, %(now)s, %(by)s, %(op_no)s)",
        {
            "medium_no": medium_no,
            "kind": kind,
            "encryption": encryption,
            "now": op.now,
            "by": op.caller.actor_id,
            "op_no": op.op_no,
        },
    )


async def add_step(op: Operation, medium_no: str, step_no: int, state: MediumState, day: dt.date, person: str) -> None:
    """Note where a medium is from a day on. Conflict `db.twice` where somebody noted something at the same moment."""
    await op.session.execute(
        "INSERT INTO {t}.import_medium_step (medium_no, step_no, state, on_day, noted_at, noted_by, op_no, person_sealed) "
        "VALUES (%(medium_no)s, %(step_no)s, %(state)s, %(day)s, %(now)s, %(by)s, %(op_no)s, %(sealed)s)",
        {
            "medium_no": medium_no,
            "step_no": step_no,
            "state": state.value,
            "day": day,
            "now": op.now,
            "by": op.caller.actor_id,
            "op_no": op.op_no,
            "sealed": op.ring.seal("import_medium_step", "medium", medium_no, step_no, person.encode()),
        },
    )
