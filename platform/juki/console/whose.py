"""対象者: whom a finding is about, by place on the form and by name, for a form that names several."""

from __future__ import annotations

from collections.abc import Iterable

from juki import registry
from juki.audit import Operation
from juki.registry.model import Change, Finding, MoveIn


async def whose(op: Operation, change: Change, findings: Iterable[Finding]) -> dict[str, str]:
    """Path of a finding -> `2人目　磐城　海`, or name and 宛名番号 of a resident; none where the form is about one."""
    paths = [f.field for f in findings]
    residents = {path: number for path in paths if (number := _resident(path, change))}
    wanted = list(dict.fromkeys(residents.values()))
    known = await registry.current(op, wanted, ("basic",)) if wanted else {}
    names = {no: record.basic.name for no, record in known.items() if record.basic}
    found = {path: newcomer for path in paths if (newcomer := _newcomer(path, change))}
    return found | {path: f"{names.get(no, '')}（宛名番号 {no}）" for path, no in residents.items()}


def _newcomer(path: str, change: Change) -> str:
    """One of several persons of a 転入届, as the pages of the form count them."""
    parts = path.split(".")
    if not isinstance(change, MoveIn) or len(change.persons) < 2 or len(parts) < 2 or parts[0] != "persons":
        return ""
    place = int(parts[1])
    return f"{place + 1}人目　{change.persons[place].name}"


def _resident(path: str, change: Change) -> str:
    """宛名番号 in a path, or at the place in the form's list that it names."""
    head, _, rest = path.partition(".")
    if head in {"event_no", "standing"}:
        return rest
    listed: tuple[str, ...] = getattr(change, "atena_nos", ())
    return listed[int(rest)] if head == "atena_nos" and rest.isdecimal() and len(listed) > 1 else ""
