"""移行の媒体: an extract comes in on a dedicated, encrypted medium that the municipality registered, and on no other.

Control R-1-3.2-MED-01. The course of a medium (received, returned, destroyed; when, from or by whom) is only added to.
"""

from __future__ import annotations

import datetime as dt
import re
from typing import Final

from juki.audit import Operation
from juki.dates import today_in_japan
from juki.legacy.model import MEDIUM_KINDS, Medium, MediumState
from juki.legacy.store import media as store
from juki.problem import Conflict, Invalid, NotFound, Refused

_NUMBER: Final = re.compile(r"[A-Z0-9][A-Z0-9-]{1,39}")
_TEXT_MAX: Final = 200


async def add_medium(
    op: Operation, medium_no: str, *, kind: str, encryption: str, received_on: dt.date, received_from: str
) -> None:
    """媒体の登録: a medium was received; one that went back before may come again under its number.

    Raises Invalid `legacy.medium_*` with the field, Conflict `legacy.medium_known` or `legacy.medium_destroyed`, Refused
    `access.right_missing` without import.run.
    """
    _need(op)
    number, person = _number(medium_no), _text(received_from, "received_from")
    how = _text(encryption, "encryption")
    if kind not in MEDIUM_KINDS:
        raise Invalid("legacy.medium_kind", "no such kind of medium", fields={"kind": "legacy.medium_kind"})
    known = await store.state_of(op, number)
    _check_day(op, received_on, known[2] if known else None)
    if known is None:
        await store.add(op, number, kind, how)
    elif known[1] is MediumState.DESTROYED:
        raise Conflict("legacy.medium_destroyed", "a destroyed medium does not come back", medium=number)
    elif known[1] is MediumState.IN or known[0] != kind:
        raise Conflict(
            "legacy.medium_known", "this number is registered", remedy="see `juki legacy medium list`", medium=number
        )
    await store.add_step(op, number, known[3] + 1 if known else 1, MediumState.IN, received_on, person)
    op.fact(medium=number, state=MediumState.IN.value)


async def return_medium(op: Operation, medium_no: str, *, on: dt.date, to: str) -> None:
    """媒体の返却, to whom and when. Conflict `legacy.medium_gone` where it is not here."""
    await _leave(op, medium_no, MediumState.RETURNED, on, to)


async def destroy_medium(op: Operation, medium_no: str, *, on: dt.date, by: str) -> None:
    """媒体の廃棄, by whom and when. Conflict `legacy.medium_gone` where it is not here."""
    await _leave(op, medium_no, MediumState.DESTROYED, on, by)


async def media(op: Operation) -> list[Medium]:
    """媒体の一覧 with the course of each. Refused `access.right_missing` without import.run or import.review."""
    if not (op.caller.may("import.run") or op.caller.may("import.review")):
        raise Refused("access.right_missing", "the duty does not carry this right", right="import.review")
    return await store.read(op)


async def insist_on_medium(op: Operation, medium_no: str) -> None:
    """Refuse an import from a medium that is not registered here or has left: Conflict `legacy.medium_unregistered`,
    `legacy.medium_gone`.
    """
    number = medium_no.strip().upper()
    known = await store.state_of(op, number)
    if known is None:
        raise Conflict(
            "legacy.medium_unregistered",
            f"{number if _NUMBER.fullmatch(number) else 'the number given'} is no registered medium",
            remedy="register it with `juki legacy medium add`, or name the right one with --medium",
        )
    if known[1] is not MediumState.IN:
        raise Conflict(
            "legacy.medium_gone",
            f"medium {number} was {known[1].value} on {known[2].isoformat()}",
            remedy="a medium that came again is registered again with `juki legacy medium add`",
            medium=number,
        )


async def _leave(op: Operation, medium_no: str, state: MediumState, on: dt.date, person: str) -> None:
    _need(op)
    number, who = _number(medium_no), _text(person, "person")
    known = await store.state_of(op, number)
    if known is None:
        raise NotFound("legacy.medium_unregistered", "no such medium here", remedy="see `juki legacy medium list`")
    if known[1] is not MediumState.IN:
        raise Conflict("legacy.medium_gone", f"medium {number} was {known[1].value} before", medium=number)
    _check_day(op, on, known[2])
    await store.add_step(op, number, known[3] + 1, state, on, who)
    op.fact(medium=number, state=state.value)


def _need(op: Operation) -> None:
    if not op.caller.may("import.run"):
        raise Refused("access.right_missing", "the duty does not carry this right", right="import.run")


def _number(text: str) -> str:
    number = text.strip().upper()
    if _NUMBER.fullmatch(number) is None:
        raise Invalid(
            "legacy.medium_no", "two to forty letters, digits and dashes", fields={"medium": "legacy.medium_no"}
        )
    return number


def _text(text: str, field: str) -> str:
    said = text.strip()
    if not said or len(said) > _TEXT_MAX:
        raise Invalid("legacy.medium_text", "must be said, in 200 characters", fields={field: "legacy.medium_text"})
    return said


def _check_day(op: Operation, day: dt.date, since: dt.date | None) -> None:
    if day > today_in_japan(op.now) or (since is not None and day < since):
        raise Invalid("legacy.medium_day", "not ahead, nor before its last step", fields={"on": "legacy.medium_day"})
