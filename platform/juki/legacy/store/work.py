"""作業一覧の保管: rows turned away, and what was decided on each."""

from __future__ import annotations

from juki.audit import Operation
from juki.legacy.model import Outcome, WorkItem
from juki.legacy.original import restore
from juki.problem import Conflict


async def work_items(
    op: Operation, *, outcome: str, open_only: bool, after: int, limit: int, entry_no: int = 0
) -> list[WorkItem]:
    """Rows of the work list in order; `outcome` empty for all, `entry_no` for one."""
    rows = await op.session.fetch(
        "SELECT r.entry_no, r.run_no, r.outcome, r.file, r.line, r.item, r.value_class, r.reason, d.decision, d.decided_by, "
        "d.decided_at FROM {t}.import_reject r LEFT JOIN {t}.import_decision d ON d.entry_no = r.entry_no "
        "WHERE r.entry_no > %(after)s AND (%(entry_no)s = 0 OR r.entry_no = %(entry_no)s) "
        "AND (%(outcome)s = '' OR r.outcome = %(outcome)s) AND (NOT %(open_only)s OR d.entry_no IS NULL) "
        "ORDER BY r.entry_no LIMIT %(limit)s",
        {"after": after, "entry_no": entry_no, "outcome": outcome, "open_only": open_only, "limit": limit},
    )
    return [
        WorkItem(
            entry_no=row[0],
            run_no=row[1],
            outcome=Outcome(row[2]),
            file=row[3],
            line=row[4],
            item=row[5],
            value_class=row[6],
            reason=row[7],
            decision=row[8] or "",
            decided_by=row[9] or "",
            decided_at=row[10],
        )
        for row in rows
    ]


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
