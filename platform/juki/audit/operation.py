"""操作: the only way to personal data. Written down before it begins, written down when it has ended.

The intent is committed before anything is read or changed; the outcome commits together with the effect. The primary
key (op_no, part) allows one outcome: when the sweeper has closed an operation as `unknown`, its late effect cannot
commit any more.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import weakref
from collections import deque
from collections.abc import AsyncGenerator, Collection, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Final, Literal

from juki.access.model import Caller, Policy, visitor
from juki.access.work import Work, policy_of
from juki.audit import store
from juki.audit.keys import AuditRing, audit_ring, seal_body
from juki.audit.model import (
    INTENT_PART,
    OUTCOME_PART,
    Body,
    Disclosure,
    Fact,
    Intent,
    Kind,
    Outcome,
    Result,
    SealedRow,
    Subject,
    Subjects,
)
from juki.audit.scribe import scribe_of
from juki.problem import Conflict, JukiError, Refused, Unavailable
from juki.tenancy import Fleet, Tenant
from juki.tenancy.directory import OPEN_STATES
from juki.tenancy.session import OUTCOME_UNKNOWN, TenantSession
from juki.vault import TenantRing

SUBJECTS_PER_ROW: Final = 500
NUMBERS_PER_DRAW: Final = 64
TEXT_MAX: Final = 200

_written: weakref.WeakKeyDictionary[Fleet, set[str]] = weakref.WeakKeyDictionary()
_numbers: weakref.WeakKeyDictionary[Fleet, dict[str, deque[int]]] = weakref.WeakKeyDictionary()


class Operation:
    """One operation under way: whom it touches, what leaves the building, and the session it works in."""

    def __init__(
        self,
        caller: Caller,
        session: TenantSession,
        ring: TenantRing,
        now: dt.datetime,
        op_no: int,
        action: str,
        policy: Policy,
        log: AuditRing,
    ) -> None:
        self.caller = caller
        self.session = session
        self.ring = ring
        self.tenant: Tenant = session.tenant
        self.now = now
        self.op_no = op_no
        self.action = action
        self.policy = policy
        self.log = log
        self.subjects: dict[str, bool] = {}
        self.disclosures: list[Disclosure] = []
        self.facts: dict[str, Fact] = {}
        self.refusal: JukiError | None = None
        self.ended = False

    @property
    def work(self) -> Work:
        """What the use cases of access work with, inside this operation."""
        return Work(session=self.session, ring=self.ring, now=self.now, by=self.caller, policy=self.policy)

    def touch(self, atena_no: str, *, my_number: bool = False) -> None:
        """操作対象者: this person's record was looked at or changed; `my_number` where 個人番号 was."""
        self.subjects[atena_no] = my_number or self.subjects.get(atena_no, False)

    def disclose(
        self, atena_no: str, items: Sequence[str], to: str, basis: str, medium: str, *, my_number: bool = False
    ) -> None:
        """提供: these items of one person leave the building; `items` are names of items, never their values."""
        self.touch(atena_no, my_number=my_number)
        self.disclosures.append(
            Disclosure(atena_no=atena_no, items=tuple(items), to=to, basis=basis, medium=medium, my_number=my_number)
        )

    def fact(self, **counts: Fact) -> None:
        """Counts and codes for the log, never personal data."""
        self.facts.update(counts)

    def fingerprints(self) -> list[bytes]:
        """Where this operation is filed, so that it is found by the persons it touched."""
        return [self.log.fingerprint(person) for person in self.subjects]

    def refuse(self, error: JukiError) -> None:
        """End as refused and raise `error`, but keep what was written so far (a counted failure, a ledger row)."""
        self.refusal = error


@asynccontextmanager
async def operation(
    fleet: Fleet,
    caller: Caller,
    action: str,
    *,
    purpose: str,
    right: str | None = None,
    basis: str = "",
    write: bool = True,
    states: Collection[str] = OPEN_STATES,
    patience_seconds: int = 3600,
) -> AsyncGenerator[Operation, None]:
    """Run a block of work as one recorded operation in the caller's municipality.

    `action` is the name in the log (`resident.search`), `purpose` why, `right` what the caller must hold, `basis` the
    legal basis where data leaves. With `write=False` a block that writes fails instead of committing. Refused
    `access.right_missing` without the right; every JukiError rolls back, is recorded and raised again.
    """
    code = caller.tenant
    begun = fleet.clock()
    await fleet.tenant(code, states=states)  # asked before its keys: of whoever is half erased there are none any more
    ring = await fleet.keyring.get(code)
    log = await audit_ring(fleet, code, ring, begun, states)
    intent = intent_of(caller, right or "", purpose, basis, patience_seconds)
    op_no = await _begin(fleet, code, log, action, begun, intent, states)
    op = None
    try:
        if right is not None and not caller.may(right):
            raise Refused("access.right_missing", "the duty does not carry this right", right=right)
        async with fleet.session(code, write=write, states=states) as session:
            op = Operation(caller, session, ring, begun, op_no, action, policy_of(fleet.config), log)
            yield op
            if write:
                await _finish(op, fleet.clock())
        if not write:
            # reading has no effect to commit with; the answer leaves after this commit all the same
            await scribe_of(fleet, code, states).write(outcome_rows(op, fleet.clock()), op.fingerprints())
        op.ended = True
        _mark_written(fleet, code)
        if op.refusal is not None:
            raise op.refusal
    except (Exception, asyncio.CancelledError) as error:
        if op is None or not op.ended:
            result = await _record_failure(fleet, code, log, op_no, action, error, op.subjects if op else {}, states)
            if op is not None and isinstance(error, Unavailable) and error.code == OUTCOME_UNKNOWN:
                raise _as_it_ended(op, error, result) from None
        raise


async def refused(fleet: Fleet, code: str, caller: Caller | None, action: str, reason: str) -> int:
    """Record an attempt turned away before an operation could begin, in the municipality it was aimed at; its number.

    A caller of another municipality stands in the row by id and municipality, so both sides can look.
    """
    who = caller or visitor(code)
    now = fleet.clock()
    await fleet.tenant(code)
    ring = await fleet.keyring.get(code)
    log = await audit_ring(fleet, code, ring, now)
    purpose = "" if who.tenant == code else f"from {who.tenant}"
    op_no = await _number(fleet, code, OPEN_STATES)
    rows = [
        sealed_row(log, op_no, INTENT_PART, "intent", action, "", now, intent_of(who, "", purpose, "")),
        sealed_row(log, op_no, OUTCOME_PART, "outcome", action, "refused", now, Outcome(code=reason[:TEXT_MAX])),
    ]
    await scribe_of(fleet, code, OPEN_STATES).write(rows)
    _mark_written(fleet, code)
    return op_no


def written_since(fleet: Fleet) -> frozenset[str]:
    """Municipalities whose log this process has written to since it was last asked."""
    return frozenset(_written.pop(fleet, ()))


def intent_of(caller: Caller, right: str, purpose: str, basis: str, patience_seconds: int = 0) -> Intent:
    """What the log says of a caller and the reason given."""
    return Intent(
        actor_id=caller.actor_id,
        actor_kind=caller.actor_kind,
        terminal_id=caller.terminal_id,
        office=caller.office,
        duty=caller.duty,
        session_id=caller.session_id,
        contract=caller.contract,
        right=right,
        purpose=purpose[:TEXT_MAX],
        basis=basis[:TEXT_MAX],
        patience_seconds=patience_seconds,
    )


def sealed_row(
    log: AuditRing,
    op_no: int,
    part: int,
    kind: Kind,
    action: str,
    result: Result | Literal[""],
    at: dt.datetime,
    body: Body,
) -> SealedRow:
    """One row ready for the table."""
    sealed = seal_body(log, kind, op_no, part, body)
    return SealedRow(op_no=op_no, part=part, kind=kind, action=action, result=result, at=at, body_sealed=sealed)


async def _begin(
    fleet: Fleet, code: str, log: AuditRing, action: str, now: dt.datetime, intent: Intent, states: Collection[str]
) -> int:
    """Commit the intent; a number drawn before the schema was made anew is dropped and drawn again."""
    for last in (False, True):
        op_no = await _number(fleet, code, states)
        row = sealed_row(log, op_no, INTENT_PART, "intent", action, "", now, intent)
        try:
            await scribe_of(fleet, code, states).write([row])
        except Conflict:
            _numbers.pop(fleet, None)
            if last:
                raise
        else:
            _mark_written(fleet, code)
            return op_no
    raise AssertionError("unreachable")


async def _number(fleet: Fleet, code: str, states: Collection[str]) -> int:
    """The next operation number; numbers are drawn in blocks to spare a round trip."""
    blocks = _numbers.setdefault(fleet, {})
    block = blocks.get(code)
    if not block:
        async with fleet.session(code, write=True, states=states) as session:
            fresh = deque(await store.draw_numbers(session, NUMBERS_PER_DRAW))
        block = blocks.get(code)  # another operation may have drawn meanwhile: use its rest up first
        if block:
            block.extend(fresh)
        else:
            block = blocks[code] = fresh
    return block.popleft()


async def _finish(op: Operation, now: dt.datetime) -> None:
    """Outcome, disclosures and the person index, in the transaction of the effect."""
    filed = [(op.op_no, fingerprint) for fingerprint in op.fingerprints()]
    await store.add_rows(op.session, outcome_rows(op, now), filed)


def outcome_rows(op: Operation, now: dt.datetime) -> list[SealedRow]:
    """The rows that end an operation, outcome first."""
    subjects = [Subject(atena_no=atena_no, my_number=touched) for atena_no, touched in op.subjects.items()]
    result: Result = "refused" if op.refusal else "done"
    outcome = Outcome(
        code=op.refusal.code if op.refusal else "",
        subjects=tuple(subjects[:SUBJECTS_PER_ROW]),
        facts=op.facts,
        subject_count=len(subjects),
    )
    rows = [sealed_row(op.log, op.op_no, OUTCOME_PART, "outcome", op.action, result, now, outcome)]
    part = OUTCOME_PART
    for start in range(SUBJECTS_PER_ROW, len(subjects), SUBJECTS_PER_ROW):
        part += 1
        more = Subjects(subjects=tuple(subjects[start : start + SUBJECTS_PER_ROW]))
        rows.append(sealed_row(op.log, op.op_no, part, "subjects", op.action, "", now, more))
    for disclosure in op.disclosures:
        part += 1
        rows.append(sealed_row(op.log, op.op_no, part, "disclosure", op.action, "", now, disclosure))
    return rows


async def _record_failure(
    fleet: Fleet,
    code: str,
    log: AuditRing,
    op_no: int,
    action: str,
    error: BaseException,
    touched: dict[str, bool],
    states: Collection[str],
) -> str:
    """Outcome of an operation that rolled back, in a transaction of its own; what the log has now, empty where unknown.

    A Conflict means the outcome is there already: the commit did arrive. When the database is gone the intent stays open
    for the sweeper.
    """
    problem = error.code if isinstance(error, JukiError) else "juki.fault"
    result: Result = "refused" if isinstance(error, JukiError) and error.status < 500 else "failed"
    subjects = tuple(Subject(atena_no=person, my_number=number) for person, number in touched.items())
    outcome = Outcome(code=problem, subjects=subjects[:SUBJECTS_PER_ROW], subject_count=len(subjects))
    row = sealed_row(log, op_no, OUTCOME_PART, "outcome", action, result, fleet.clock(), outcome)
    fingerprints = [log.fingerprint(person) for person in touched]
    try:
        await scribe_of(fleet, code, states).write([row], fingerprints)
    except Conflict:
        return await _result(fleet, code, op_no, states)
    except JukiError:
        return ""
    finally:
        _mark_written(fleet, code)
    return result


async def _result(fleet: Fleet, code: str, op_no: int, states: Collection[str]) -> str:
    with suppress(JukiError):
        async with fleet.session(code, write=False, states=states) as session:
            return await store.result_of(session, op_no)
    return ""


def _as_it_ended(op: Operation, lost: JukiError, result: str) -> JukiError:
    """What to tell after the answer to a commit was lost, by what the log has: one outcome excludes the other."""
    if result == "done":
        return Conflict("audit.done_already", "the answer was lost, the work was done", remedy="do not send it again")
    if op.refusal is not None and result == "refused":
        return op.refusal
    if result == "failed":
        return Unavailable("db.gone", "the connection broke before the commit", remedy="send it again")
    return lost


def _mark_written(fleet: Fleet, code: str) -> None:
    _written.setdefault(fleet, set()).add(code)
