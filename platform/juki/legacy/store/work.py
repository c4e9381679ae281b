"""作業一覧の保管: rows turned away, and what was decided on each."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, LiteralString

from juki.audit import Operation
from juki.legacy.model import Outcome, WorkItem
from juki.legacy.original import restore
from juki.problem import Conflict

_ITEMS: Final[LiteralString] = (
    "SELECT r.entry_no, r.run_no, r.outcome, r.file, r.line, r.item, r.value_class, r.reason, coalesce(d.decision, ''), "
    "coalesce(d.decided_by, ''), d.decided_at, r.atena_no, r.setai_no, r.atena_no <> '' AND EXISTS (SELECT 1 FROM "
    "{t}.resident_version v WHERE v.atena_no = r.atena_no) FROM {t}.import_reject r LEFT JOIN {t}.import_decision d "
    "ON d.entry_no = r.entry_no "
)
_WAITS_FOR_MOST: Final = 50


async def work_items(
    op: Operation, *, outcome: str, open_only: bool, after: int, limit: int, entry_no: int = 0
) -> list[WorkItem]:
    """Rows of the work list in order; `outcome` empty for all, `entry_no` for one."""
    rows = await op.session.fetch(
        _ITEMS + "WHERE r.entry_no > %(after)s AND (%(entry_no)s = 0 OR r.entry_no = %(entry_no)s) "
        "AND (%(outcome)s = '' OR r.outcome = %(outcome)s) AND (NOT %(open_only)s OR d.entry_no IS NULL) "
        "ORDER BY r.entry_no LIMIT %(limit)s",
        {"after": after, "entry_no": entry_no, "outcome": outcome, "open_only": open_only, "limit": limit},
    )
    return list(map(_item, rows))


async def waits_for(op: Operation, item: WorkItem) -> list[WorkItem]:
    """The rows turned away of the same person in the same run; where there is none, those of the same household."""
    for column, number in (("atena_no", item.atena_no), ("setai_no", item.setai_no)):
        rows = await op.session.fetch(
            _ITEMS + "WHERE r.run_no = %(run_no)s AND r.outcome = 'rejected' AND %(number)s <> '' AND r.entry_no <> "
            "%(entry_no)s AND %(number)s = CASE %(column)s WHEN 'atena_no' THEN r.atena_no ELSE r.setai_no END "
            "ORDER BY r.entry_no LIMIT %(limit)s",
            {
                "run_no": item.run_no,
                "entry_no": item.entry_no,
                "column": column,
                "number": number,
                "limit": _WAITS_FOR_MOST,
            },
        )
        if rows:
            return list(map(_item, rows))
    return []


def _item(row: Sequence[Any]) -> WorkItem:
    return WorkItem(
        entry_no=row[0],
        run_no=row[1],
        outcome=Outcome(row[2]),
        file=row[3],
        line=row[4],
        item=row[5],
        value_class=row[6],
        reason=row[7],
        decision=row[8],
        decided_by=row[9],
        decided_at=row[10],
        atena_no=row[11],
        setai_no=row[12],
        arrived=row[13],
    )


async def work_counts(op: Operation) -> dict[str, int]:
    """Open rows by outcome."""
    rows = await op.session.fetch(
        "SELECT r.outcome, count(*) FROM {t}.import_reject r WHERE NOT EXISTS (SELECT 1 FROM {t}.import_decision d "
        "WHERE d.entry_no = r.entry_no) GROUP BY r.outcome"
    )
    return {row[0]: row[1] for row in rows}


async def raw_of(op: Operation, entry_no: int) -> tuple[bytes, str] | None:
    """The bytes of one row of the work list and the layout as its extract was found, empty where it was not noted."""
    row = await op.session.fetch_one(
        "SELECT r.raw_sealed, i.layout_found FROM {t}.import_reject r JOIN {t}.import_run i ON i.run_no = r.run_no "
        "WHERE r.entry_no = %(entry_no)s",
        {"entry_no": entry_no},
    )
    return (restore(op.ring.open("import_reject", "raw", str(entry_no), 1, row[0], bytes)), row[1]) if row else None


async def add_decision(op: Operation, entry_no: int, decision: str, reason: str) -> None:
    """Close one row of the work list. Conflict `legacy.decided` where somebody was first."""
    written = await op.session.execute(
        "INSERT INTO {t}.import_decision (entry_no, decision, decided_by, decided_at, reason_sealed) VALUES "
        "(%(entry_no)s, %(decision)s, %(by)s, %(at)s, %(reason_sealed)s) ON CONFLICT DO NOTHING",
        {
            "entry_no": entry_no,
            "decision": decision,
            "by": op.caller.actor_id,
            "at": op.now,
            "reason_sealed": op.ring.seal("import_decision", "reason", str(entry_no), 1, reason.encode()),
        },
    )
    if written == 0:
        raise Conflict("legacy.decided", "somebody decided on this row first", remedy="open the list again")
