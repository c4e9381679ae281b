"""利用終了の記録: the wish in the municipality's own tables, the case in the control schema that outlives them."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Final, LiteralString, TypeAlias

import msgspec
import psycopg

from juki.config import Config
from juki.offboarding.model import Case, CaseState, ProcessAcknowledgement, Step, StepRecord, advance
from juki.problem import Conflict, NotFound
from juki.tenancy import TenantSession, connect
from juki.tenancy.directory import PLATFORM_ALIAS
from juki.vault import Kms, WrappedRoot, new_root

Connection: TypeAlias = "psycopg.Connection[tuple[Any, ...]]"
Facts: TypeAlias = Mapping[str, str | int]

PLATFORM: Final = "platform"
_WISH_LOCK: Final = 19282
_AGAIN: Final = "again"  # no step of its own: where in the list a rejected erasure begins anew


class Wish(msgspec.Struct, frozen=True, kw_only=True):
    """申出 with its decision, as the municipality keeps it."""

    request_no: int
    requested_at: dt.datetime
    requested_by: str
    public_key: str
    decision: str = ""  # "" | "approved" | "withdrawn"
    decided_at: dt.datetime | None = None
    decided_by: str = ""


# --- the municipality's own rows


async def lock_wish(session: TenantSession) -> None:
    """From here to the end of the transaction nobody else takes the request back or begins the erasure."""
    await session.execute(
        "SELECT pg_advisory_xact_lock(%(lock)s, %(code)s)", {"lock": _WISH_LOCK, "code": int(session.tenant.code)}
    )


async def last_wish(session: TenantSession) -> Wish | None:
    """The newest request, decided or not."""
    row = await session.fetch_one(
        "SELECT r.request_no, r.requested_at, r.requested_by, r.public_key, coalesce(d.decision, ''), d.decided_at,"
        " coalesce(d.decided_by, '') FROM {t}.offboard_request r LEFT JOIN {t}.offboard_decision d USING (request_no)"
        " ORDER BY r.request_no DESC, d.decision DESC NULLS LAST LIMIT 1"
    )
    return _wish(row) if row else None


def _wish(row: Sequence[Any]) -> Wish:
    number, at, by, key, decision, decided_at, decided_by = row
    return Wish(
        request_no=number, requested_at=at, requested_by=by, public_key=key, decision=decision,
        decided_at=decided_at, decided_by=decided_by,
    )  # fmt: skip


async def add_request(session: TenantSession, *, now: dt.datetime, by: str, public_key: str, op_no: int) -> int:
    """A new request; its number."""
    row = await session.fetch_one(
        "INSERT INTO {t}.offboard_request (requested_at, requested_by, public_key, op_no)"
        " VALUES (%(now)s, %(by)s, %(key)s, %(op_no)s) RETURNING request_no",
        {"now": now, "by": by, "key": public_key, "op_no": op_no},
    )
    if row is None:
        raise RuntimeError("an insert that returns a row gave none")
    return int(row[0])


async def add_decision(
    session: TenantSession, request_no: int, decision: str, *, now: dt.datetime, by: str, op_no: int
) -> None:
    """Approve or withdraw; Conflict `db.twice` where somebody has decided before."""
    await session.execute(
        "INSERT INTO {t}.offboard_decision (request_no, decision, decided_at, decided_by, op_no)"
        " VALUES (%(request_no)s, %(decision)s, %(now)s, %(by)s, %(op_no)s)",
        {"request_no": request_no, "decision": decision, "now": now, "by": by, "op_no": op_no},
    )


# --- the case


@contextmanager
def control(config: Config) -> Generator[Connection, None, None]:
    """A connection of the control login; each statement stands for itself."""
    connection = connect(config, "control", autocommit=True)
    try:
        yield connection
    finally:
        connection.close()


_CASE: Final[LiteralString] = (
    "case_no, tenant_code, state, requested_by, requested_at, public_key, approved_by, approved_at, exported_at,"
    " export_digest, erase_after, erased_by, erased_at, key_disabled_at, key_deletion_due, certificate_no"
)


def case_of(connection: Connection, code: str) -> Case:
    """The case of a municipality that is not withdrawn; NotFound `offboarding.no_case`."""
    found = find_case(connection, code)
    if found is None:
        raise NotFound("offboarding.no_case", "this municipality has not asked to leave")
    return found


def find_case(connection: Connection, code: str) -> Case | None:
    """The case of a municipality, or None."""
    row = connection.execute(
        f"SELECT {_CASE} FROM control.offboarding WHERE tenant_code = %s AND state <> 'withdrawn'", (code,)
    ).fetchone()
    return _case(row) if row else None


def _case(row: Sequence[Any]) -> Case:
    names = [name.strip() for name in _CASE.split(",")]
    return msgspec.convert(dict(zip(names, row, strict=True)), Case)


def open_case(connection: Connection, code: str, wish: Wish) -> Case:
    """Take over an approved request; the same case where it was taken over before."""
    connection.execute(
        "INSERT INTO control.offboarding (tenant_code, state, requested_by, requested_at, public_key, approved_by,"
        " approved_at) VALUES (%s, 'approved', %s, %s, %s, %s, %s) ON CONFLICT DO NOTHING",
        (code, wish.requested_by, wish.requested_at, wish.public_key, wish.decided_by, wish.decided_at),
    )
    return case_of(connection, code)


def move(connection: Connection, case: Case, to: CaseState) -> Case:
    """The case's next state; Conflict where it moved meanwhile or the road does not go there."""
    advance(case.state, to)
    moved = connection.execute(
        "UPDATE control.offboarding SET state = %s WHERE case_no = %s AND state = %s", (to, case.case_no, case.state)
    )
    if not moved.rowcount:
        raise Conflict("offboarding.wrong_state", "the case moved on meanwhile")
    return case_of(connection, case.tenant_code) if to is not CaseState.WITHDRAWN else case


def note_export(connection: Connection, case: Case, *, at: dt.datetime, digest: str, erase_after: dt.datetime) -> None:
    """What was handed over, and from when the erasure may begin."""
    connection.execute(
        "UPDATE control.offboarding SET exported_at = %s, export_digest = %s, erase_after = %s WHERE case_no = %s",
        (at, digest, erase_after, case.case_no),
    )


def note_erase_after(connection: Connection, case: Case, at: dt.datetime) -> None:
    """A grace period cut short, where the municipality's settings allow it."""
    connection.execute("UPDATE control.offboarding SET erase_after = %s WHERE case_no = %s", (at, case.case_no))


def note_performer(connection: Connection, case: Case, account: str) -> None:
    """Who started the erasure; the first stays."""
    connection.execute(
        "UPDATE control.offboarding SET erased_by = %s WHERE case_no = %s AND erased_by = ''", (account, case.case_no)
    )


def note_key(connection: Connection, case: Case, *, disabled_at: dt.datetime, due: dt.datetime) -> None:
    """The two dates of the KMS key."""
    connection.execute(
        "UPDATE control.offboarding SET key_disabled_at = %s, key_deletion_due = %s WHERE case_no = %s",
        (disabled_at, due, case.case_no),
    )


def forget_key_dates(connection: Connection, case: Case) -> None:
    """Before a deletion is scheduled anew: a run that is cut then finds no day that the KMS does not keep."""
    connection.execute(
        "UPDATE control.offboarding SET key_disabled_at = NULL, key_deletion_due = NULL WHERE case_no = %s",
        (case.case_no,),
    )


def note_erased(connection: Connection, case: Case, at: dt.datetime) -> None:
    """The instant at which the last step was done, of an erasure done again the last time."""
    connection.execute("UPDATE control.offboarding SET erased_at = %s WHERE case_no = %s", (at, case.case_no))


def note_certificate(connection: Connection, case: Case, number: int) -> None:
    """The newest certificate's number."""
    connection.execute("UPDATE control.offboarding SET certificate_no = %s WHERE case_no = %s", (number, case.case_no))


def keys_of(connection: Connection, code: str) -> tuple[str, ...]:
    """KMS keys that wrap or once wrapped the municipality's roots."""
    rows = connection.execute(
        "SELECT t.key_id FROM control.tenant t WHERE t.code = %(code)s UNION"
        " SELECT unnest(ARRAY[r.old_key, r.new_key]) FROM control.rotation r"
        "  WHERE r.tenant_code = %(code)s AND r.kind = 'kms' UNION"
        " SELECT unnest(string_to_array(s.facts ->> 'keys', ', ')) FROM control.offboarding_step s"
        "  JOIN control.offboarding o USING (case_no) WHERE o.tenant_code = %(code)s AND s.facts ? 'keys'",
        {"code": code},
    ).fetchall()
    return tuple(sorted(row[0] for row in rows if row[0]))


# --- the steps: written before and after


def note_step(connection: Connection, case_no: int, step: Step, phase: str, facts: Facts | None = None) -> None:
    """One line of the story; `facts` are counts and codes."""
    connection.execute(
        "INSERT INTO control.offboarding_step (case_no, step, phase, facts) VALUES (%s, %s, %s, %s)",
        (case_no, step, phase, json.dumps(dict(facts or {}), ensure_ascii=False)),
    )


def note_again(connection: Connection, case_no: int) -> None:
    """From here on the erasure is done once more: results written before count no longer."""
    connection.execute(
        "INSERT INTO control.offboarding_step (case_no, step, phase) VALUES (%s, %s, 'intent')", (case_no, _AGAIN)
    )


def steps_done(connection: Connection, case_no: int, once: Sequence[Step]) -> list[str]:
    """Steps with a written result, of an erasure done again since then; those of `once` whenever it was."""
    rows = connection.execute(
        "SELECT DISTINCT step FROM control.offboarding_step WHERE case_no = %(case)s AND phase = 'result'"
        " AND (step = ANY(%(once)s) OR entry_no > (SELECT coalesce(max(a.entry_no), 0) FROM control.offboarding_step a"
        "  WHERE a.case_no = %(case)s AND a.step = %(again)s))",
        {"case": case_no, "once": [str(step) for step in once], "again": _AGAIN},
    ).fetchall()
    return [row[0] for row in rows]


def step_records(connection: Connection, case_no: int) -> tuple[StepRecord, ...]:
    """Each step with its first beginning, its last result and how often it was begun."""
    rows = connection.execute(
        "SELECT i.step, min(i.at), count(DISTINCT i.entry_no),"
        " (SELECT max(r.at) FROM control.offboarding_step r"
        "  WHERE r.case_no = i.case_no AND r.step = i.step AND r.phase = 'result'),"
        " (SELECT r.facts FROM control.offboarding_step r WHERE r.case_no = i.case_no AND r.step = i.step"
        "  AND r.phase = 'result' ORDER BY r.entry_no DESC LIMIT 1)"
        " FROM control.offboarding_step i WHERE i.case_no = %s AND i.phase = 'intent' AND i.step <> %s"
        " GROUP BY i.case_no, i.step ORDER BY min(i.entry_no)",
        (case_no, _AGAIN),
    ).fetchall()
    return tuple(
        StepRecord(step=step, began_at=began, finished_at=finished, attempts=attempts, facts=facts or {})
        for step, began, attempts, finished, facts in rows
    )


def acknowledgements(connection: Connection, order_no: int) -> tuple[ProcessAcknowledgement, ...]:
    """Which processes answered an order, and how."""
    rows = connection.execute(
        "SELECT p.process_no || '@' || p.host || ':' || p.pid, p.started_at, a.outcome, a.at"
        " FROM control.purge_ack a JOIN control.process p USING (process_no) WHERE a.order_no = %s ORDER BY 1",
        (order_no,),
    ).fetchall()
    return tuple(
        ProcessAcknowledgement(process_id=who, started_at=since, outcome=outcome, at=at)
        for who, since, outcome, at in rows
    )


# --- witnesses: persons whose accounts end with the municipality


def appoint(connection: Connection, case_no: int, duty: str, account: str, code: str, now: dt.datetime) -> None:
    """Remember who will act and by which code; Conflict where the duty or the person is taken."""
    added = connection.execute(
        "INSERT INTO control.offboarding_witness (case_no, duty, account, code_digest, appointed_at)"
        " VALUES (%s, %s, %s, %s, %s) ON CONFLICT DO NOTHING",
        (case_no, duty, account, _digest(code), now),
    )
    if not added.rowcount:
        raise Conflict("offboarding.duty_taken", "this duty is given, or this person has another one", duty=duty)


def witness(connection: Connection, case_no: int, duty: str) -> str:
    """Account of whoever has a duty; empty where nobody has."""
    row = connection.execute(
        "SELECT account FROM control.offboarding_witness WHERE case_no = %s AND duty = %s", (case_no, duty)
    ).fetchone()
    return str(row[0]) if row else ""


def witness_by_code(connection: Connection, case_no: int, duty: str, code: str) -> str | None:
    """Account behind a code, for this duty only."""
    row = connection.execute(
        "SELECT account FROM control.offboarding_witness WHERE case_no = %s AND duty = %s AND code_digest = %s",
        (case_no, duty, _digest(code)),
    ).fetchone()
    return str(row[0]) if row else None


def _digest(code: str) -> bytes:
    # the code is 128 random bits, so a plain digest gives nothing to guess at
    return hashlib.sha256(code.encode()).digest()


# --- papers: files the municipality receives, known here by their digest


def add_paper(
    connection: Connection, case_no: int, kind: str, content: bytes, *, accepted: bool, account: str, now: dt.datetime
) -> int:
    """Note a finding or a certificate; its number within its kind."""
    row = connection.execute(
        "INSERT INTO control.offboarding_paper (case_no, kind, paper_no, digest, accepted, account, made_at)"
        " SELECT %(case)s, %(kind)s, coalesce(max(paper_no), 0) + 1, %(digest)s, %(accepted)s, %(account)s, %(now)s"
        " FROM control.offboarding_paper WHERE case_no = %(case)s AND kind = %(kind)s RETURNING paper_no",
        {
            "case": case_no,
            "kind": kind,
            "digest": hashlib.sha256(content).digest(),
            "accepted": accepted,
            "account": account,
            "now": now,
        },
    ).fetchone()
    return int(row[0]) if row else 0


def is_known_paper(connection: Connection, case_no: int, kind: str, content: bytes) -> bool:
    """Whether the newest paper of a kind has exactly this content."""
    row = connection.execute(
        "SELECT digest FROM control.offboarding_paper WHERE case_no = %s AND kind = %s ORDER BY paper_no DESC LIMIT 1",
        (case_no, kind),
    ).fetchone()
    return row is not None and bytes(row[0]) == hashlib.sha256(content).digest()


# --- the platform's own signing root


def platform_root(connection: Connection, kms: Kms) -> WrappedRoot:
    """The root that signs certificates; made on first need."""
    key_id = kms.find_key(PLATFORM_ALIAS)
    found = _stored_root(connection)
    if found is None:
        fresh = new_root(kms, key_id or kms.create_key(PLATFORM_ALIAS), PLATFORM, "sign", 1)
        connection.execute(
            "INSERT INTO control.platform_root (purpose, version, key_id, blob, commitment)"
            " VALUES ('sign', 1, %s, %s, %s) ON CONFLICT DO NOTHING",
            (fresh.key_id, fresh.blob, fresh.commitment),
        )
        found = _stored_root(connection)
    if found is None:
        raise RuntimeError("a root just written is not there")
    return found


def _stored_root(connection: Connection) -> WrappedRoot | None:
    row = connection.execute(
        "SELECT version, key_id, blob, commitment FROM control.platform_root WHERE purpose = 'sign'"
        " ORDER BY version DESC LIMIT 1"
    ).fetchone()
    if row is None:
        return None
    version, key_id, blob, commitment = row
    return WrappedRoot(
        tenant=PLATFORM, purpose="sign", version=version, key_id=key_id, blob=bytes(blob), commitment=bytes(commitment)
    )
