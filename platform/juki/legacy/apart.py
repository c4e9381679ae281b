"""二度目の抽出データ: an extract for a register that is not empty must bring nobody, no number, no household and no free code
that is there already. The judge sees one extract only; what two of them share, or one and the counter, is found here."""

from __future__ import annotations

from juki.audit import Operation
from juki.legacy.plan import Plan
from juki.legacy.store import here
from juki.legacy.survey import Place
from juki.problem import Conflict
from juki.registry import holders, numbers_of

Number = tuple[str, str]
"""(kind, number) of what one person alone can hold."""


class Brought:
    """What an extract would bring, each with a row that says so."""

    def __init__(self, plan: Plan) -> None:
        self.persons: dict[Number, tuple[str, Place]] = {}  # number -> 宛名番号 of whoever holds it in the extract
        self.codes: dict[Number, Place] = {}
        self.homes: dict[str, Place] = {}
        for chunk in range(plan.chunks):
            result = plan.chunk(chunk)
            for taken in result.taken:
                if taken.incoming is None:
                    continue
                record = taken.incoming.record
                self.homes.setdefault(record.setai_no, taken.place)
                for number in numbers_of(record):
                    self.persons.setdefault(number, (record.atena_no, taken.place))
            self.codes |= {("resident_code", code): place for place, _, code in result.codes}


async def insist_on_nobody_known(op: Operation, plan: Plan) -> None:
    """Conflict `legacy.already_there` where a person of the extract is in the register."""
    known = await here.persons(op, list(plan.survey.persons))
    if known:
        place = plan.survey.place(plan.survey.persons[known[0]].latest)
        raise Conflict(
            "legacy.already_there",
            f"{_at(place)}: this person is in the register already ({len(known)} such); nothing was written",
            remedy="have the sender leave out whoever was taken over before",
        )


async def insist_on_nothing_shared(op: Operation, plan: Plan, brought: Brought) -> None:
    """Conflict `legacy.held_already` where a number, a household or a free code of the extract is somebody's already."""
    held = await holders(op, [*brought.persons, *brought.codes])
    stock = {("resident_code", code) for code in await here.free_codes(op)}
    homes = await here.homes(op, list(brought.homes), list(plan.survey.persons))
    clashes = [
        (place, number[0]) for number, (_, place) in brought.persons.items() if number in held or number in stock
    ]
    clashes += [(place, "free code") for number, place in brought.codes.items() if number in held or number in stock]
    clashes += [(brought.homes[setai_no], "household") for setai_no in homes]
    if clashes:
        place, what = clashes[0]
        raise Conflict(
            "legacy.held_already",
            f"{_at(place)}: its {what} is somebody else's already, or in the stock ({len(clashes)} such); nothing was written",
            remedy="ask the sender; leave the file of free codes empty where they came with an earlier extract",
        )


def _at(place: Place) -> str:
    return f"{place.file.name}, line {place.line}"
