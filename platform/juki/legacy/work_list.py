"""移行の作業一覧: rows that an import turned away or asks somebody to look at, opened one by one and closed with a reason."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec

from juki.audit import Operation
from juki.legacy.cut import cells_of
from juki.legacy.layout import Layout
from juki.legacy.model import OpenRow, Outcome, WorkItem
from juki.legacy.store import work
from juki.problem import Invalid, NotFound, Refused

PAGE_MAX: Final = 500
REASON_MAX: Final = 200
_GUARDED: Final = {"my_number.my_number": "resident.my_number", "resident_code.resident_code": "resident.code"}


async def worklist(
    op: Operation, *, outcome: str = "", open_only: bool = True, after: int = 0, limit: int = 100
) -> Sequence[WorkItem]:
    """作業一覧: rows in the order of the import, without any content; `after` goes on behind an entry.

    Refused `access.right_missing` without import.review or import.run.
    """
    _need(op)
    limit = max(1, min(limit, PAGE_MAX))
    items = await work.work_items(op, outcome=outcome, open_only=open_only, after=after, limit=limit)
    return [msgspec.structs.replace(item, atena_no="", setai_no="") for item in items]


async def work_counts(op: Operation) -> dict[str, int]:
    """Open rows by outcome: rejected, held, alert."""
    _need(op)
    return await work.work_counts(op)


async def open_row(op: Operation, entry_no: int) -> OpenRow:
    """One row with its content cut into items, for the clerk who puts it right, without the numbers that the clerk may
    not see. NotFound `legacy.unknown_entry`.
    """
    _need(op)
    item = await _item(op, entry_no)
    found = await work.raw_of(op, entry_no)
    if found is None:
        raise NotFound("legacy.unknown_entry", "no such row on the work list")
    raw, layout_found = found
    layout = msgspec.json.decode(layout_found, type=Layout) if layout_found else None
    hidden = frozenset(path for path, right in _GUARDED.items() if not op.caller.may(right))
    op.fact(entry_no=entry_no, my_number=int("my_number.my_number" not in hidden))
    waits_for = tuple(await work.waits_for(op, item)) if item.outcome is Outcome.HELD else ()
    return OpenRow(item=item, waits_for=waits_for, cells=cells_of(raw, item.file, layout, hidden=hidden))


async def resolve(op: Operation, entry_no: int, reason: str) -> None:
    """処理済み: the person was entered or corrected by another road; how is said in `reason`."""
    await _decide(op, entry_no, "resolved", reason)


async def dismiss(op: Operation, entry_no: int, reason: str) -> None:
    """対応不要: nothing is to be done about this row, and why."""
    await _decide(op, entry_no, "dismissed", reason)


async def _decide(op: Operation, entry_no: int, decision: str, reason: str) -> None:
    _need(op)
    text = reason.strip()
    if not text or len(text) > REASON_MAX:
        raise Invalid("legacy.reason_missing", "a reason is needed", fields={"reason": "legacy.reason_missing"})
    await _item(op, entry_no)
    await work.add_decision(op, entry_no, decision, text)
    op.fact(entry_no=entry_no, decision=decision)


async def _item(op: Operation, entry_no: int) -> WorkItem:
    items = await work.work_items(op, outcome="", open_only=False, after=0, limit=1, entry_no=entry_no)
    if not items:
        raise NotFound("legacy.unknown_entry", "no such row on the work list")
    return items[0]


def _need(op: Operation) -> None:
    if not (op.caller.may("import.review") or op.caller.may("import.run")):
        raise Refused("access.right_missing", "the duty does not carry this right", right="import.review")
