"""証跡の閲覧: lists and single entries for those who may read the log; reading it is an operation like any other."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from juki.audit import log, log_store, store
from juki.audit.keys import AuditRing, open_body
from juki.audit.model import (
    INTENT_PART,
    Disclosure,
    Entry,
    Filter,
    Intent,
    Outcome,
    SealedRow,
    Subject,
    Subjects,
)
from juki.audit.operation import Operation
from juki.problem import Invalid, NotFound, Refused

LIMIT_MAX: Final = 500
_SCAN_MAX: Final = 20_000


async def listing(op: Operation, filter: Filter) -> list[Entry]:
    """Operations of a part of the log, newest first, at most `filter.limit`.

    Refused `access.right_missing` without audit.read. What is sealed (operator, result of a refusal) is opened to be
    compared, so a filter on `actor_id` looks through at most 20,000 operations.
    """
    _must_read(op)
    if not 1 <= filter.limit <= LIMIT_MAX:
        raise Invalid("audit.limit", "too many rows asked for", fields={"limit": f"1_to_{LIMIT_MAX}"})
    found: list[Entry] = []
    before, scanned = filter.before_op, 0
    per_page = LIMIT_MAX if filter.actor_id or filter.result else filter.limit
    while len(found) < filter.limit and scanned < _SCAN_MAX:
        page = await store.intents(
            op.session,
            since=filter.since,
            until=filter.until,
            action=filter.action,
            before_op=before,
            limit=per_page,
        )
        if not page:
            break
        scanned += len(page)
        before = page[-1][0]
        wanted = [no for no, _, _, sealed in page if _by(op.log, no, sealed, filter.actor_id)]
        entries = await _entries(op, wanted)
        found += [entry for entry in entries if filter.result in ("", entry.result or "open")]
    return found[: filter.limit]


async def about(op: Operation, atena_no: str, *, limit: int = 200) -> list[Entry]:
    """Every operation that touched one person, newest first: who looked, when, why, from which terminal.

    Refused `access.right_missing` without audit.read.
    """
    _must_read(op)
    op.touch(atena_no)
    numbers = await store.operations_on(op.session, op.log.fingerprints(atena_no), min(limit, LIMIT_MAX))
    return await _entries(op, numbers)


async def entry(op: Operation, op_no: int) -> Entry:
    """One operation; NotFound `audit.operation_unknown`, Refused `access.right_missing` without audit.read."""
    _must_read(op)
    found = await _entries(op, [op_no])
    if not found:
        raise NotFound("audit.operation_unknown", "no such operation")
    return found[0]


async def heads(op: Operation, limit: int = 20) -> list[tuple[int, str]]:
    """The newest signed heads: size and note, newest first; Refused `access.right_missing` without audit.read."""
    _must_read(op)
    return await log_store.newest_notes(op.session, limit)


async def proof(op: Operation, op_no: int, part: int) -> log.Proof:
    """Proof that a row is in the log; NotFound `audit.not_placed`, Refused `access.right_missing` without audit.read."""
    _must_read(op)
    return await log.prove_inclusion(op.session, op_no, part)


def _must_read(op: Operation) -> None:
    if not op.caller.may("audit.read"):
        raise Refused("access.right_missing", "reading the log needs audit.read")


def _by(ring: AuditRing, op_no: int, sealed: bytes, actor_id: str) -> bool:
    return not actor_id or open_body(ring, "intent", op_no, INTENT_PART, sealed, Intent).actor_id == actor_id


async def _entries(op: Operation, op_nos: Sequence[int]) -> list[Entry]:
    rows: dict[int, list[SealedRow]] = {}
    for row in await store.rows_of(op.session, op_nos):
        rows.setdefault(row.op_no, []).append(row)
    return [entry_of(op.log, rows[op_no]) for op_no in op_nos if op_no in rows]


def entry_of(ring: AuditRing, rows: Sequence[SealedRow]) -> Entry:
    """One operation from its rows, opened."""
    first = rows[0]
    intent = open_body(ring, "intent", first.op_no, first.part, first.body_sealed, Intent)
    outcome, ended, result = Outcome(code=""), None, ""
    more: list[Subject] = []
    disclosures: list[Disclosure] = []
    for row in rows[1:]:
        if row.kind == "outcome":
            outcome = open_body(ring, "outcome", row.op_no, row.part, row.body_sealed, Outcome)
            ended, result = row.at, row.result
        elif row.kind == "subjects":
            more += open_body(ring, "subjects", row.op_no, row.part, row.body_sealed, Subjects).subjects
        else:
            disclosures.append(open_body(ring, "disclosure", row.op_no, row.part, row.body_sealed, Disclosure))
    return Entry(
        op_no=first.op_no,
        action=first.action,
        at=first.at,
        result=result,
        ended_at=ended,
        intent=intent,
        code=outcome.code,
        subjects=(*outcome.subjects, *more),
        facts=outcome.facts,
        disclosures=tuple(disclosures),
    )
