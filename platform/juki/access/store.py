"""SQL of accounts, grants, terminals and sessions."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import Any, Final

import msgspec

from juki.access.model import Profile, Secret
from juki.tenancy.session import TenantSession
from juki.vault import TenantRing

_ACCOUNTS_LOCK: Final = 19278


class OperatorRow(msgspec.Struct, frozen=True, kw_only=True):
    """操作者, as the table holds it, with the seal opened."""

    operator_id: str
    login_name: str
    employment: str
    contract_no: str
    office: str
    state: str
    valid_from: dt.date
    valid_until: dt.date | None
    pledged_on: dt.date | None
    rule_accepted_on: dt.date | None
    registered_at: dt.datetime
    registered_by: str
    row_version: int
    profile: Profile


class CredentialRow(msgspec.Struct, frozen=True, kw_only=True):
    """Password digest, one-time secret and the state of failures."""

    operator_id: str
    changed_at: dt.datetime
    must_change: bool
    last_step: int
    failures: int
    locked_until: dt.datetime | None
    row_version: int
    secret: Secret


class GrantRow(msgspec.Struct, frozen=True, kw_only=True):
    """One duty of one operator."""

    grant_no: int
    operator_id: str
    duty: str
    requested_by: str
    requested_at: dt.datetime
    approved_by: str | None
    approved_at: dt.datetime | None
    valid_from: dt.date
    valid_until: dt.date
    state: str


class TerminalRow(msgspec.Struct, frozen=True, kw_only=True):
    """端末, as registered."""

    terminal_id: str
    label: str
    office: str
    functions: tuple[str, ...]
    state: str


async def lock_accounts(session: TenantSession) -> None:
    """One registration at a time in a municipality, so that no person gets two accounts."""
    await session.execute(
        "SELECT pg_advisory_xact_lock(%(lock)s, %(tenant)s)",
        {"lock": _ACCOUNTS_LOCK, "tenant": int(session.tenant.code)},
    )


async def operators(session: TenantSession, ring: TenantRing) -> list[OperatorRow]:
    """Every account, ordered by log-in name."""
    rows = await session.fetch(
        """
        SELECT operator_id, login_name, employment, contract_no, office, state, valid_from, valid_until, pledged_on,
               rule_accepted_on, registered_at, registered_by, row_version, profile_sealed
        FROM {t}.operator ORDER BY login_name
        """
    )
    return [_operator(row, ring) for row in rows]


async def operator_by(session: TenantSession, ring: TenantRing, key: str) -> OperatorRow | None:
    """One account by its id or log-in name."""
    row = await session.fetch_one(
        """
        SELECT operator_id, login_name, employment, contract_no, office, state, valid_from, valid_until, pledged_on,
               rule_accepted_on, registered_at, registered_by, row_version, profile_sealed
        FROM {t}.operator WHERE operator_id = %(key)s OR login_name = %(key)s
        """,
        {"key": key},
    )
    return _operator(row, ring) if row else None


async def add_operator(session: TenantSession, ring: TenantRing, row: OperatorRow) -> None:
    """A new account; Conflict `db.twice` where the log-in name exists."""
    await session.execute(
        """
        INSERT INTO {t}.operator (operator_id, login_name, employment, contract_no, office, state, valid_from,
            valid_until, pledged_on, rule_accepted_on, registered_at, registered_by, row_version, profile_sealed)
        VALUES (%(operator_id)s, %(login_name)s, %(employment)s, %(contract_no)s, %(office)s, %(state)s,
            %(valid_from)s, %(valid_until)s, %(pledged_on)s, %(rule_accepted_on)s, %(registered_at)s,
            %(registered_by)s, %(row_version)s, %(profile_sealed)s)
        """,
        {
            **_without(row, "profile"),
            "profile_sealed": ring.seal("operator", "profile", row.operator_id, row.row_version, row.profile),
        },
    )


async def set_operator_state(session: TenantSession, operator_id: str, state: str, until: dt.date | None) -> None:
    """Suspend, reopen or end an account."""
    await session.execute(
        "UPDATE {t}.operator SET state = %(state)s, valid_until = coalesce(%(until)s, valid_until)"
        " WHERE operator_id = %(operator_id)s",
        {"operator_id": operator_id, "state": state, "until": until},
    )


async def set_rules_accepted(session: TenantSession, operator_id: str, on: dt.date) -> None:
    """The password rule was accepted."""
    await session.execute(
        "UPDATE {t}.operator SET rule_accepted_on = %(on)s WHERE operator_id = %(operator_id)s",
        {"operator_id": operator_id, "on": on},
    )


async def set_pledged(session: TenantSession, operator_id: str, on: dt.date) -> None:
    """A contractor's written pledge was received."""
    await session.execute(
        "UPDATE {t}.operator SET pledged_on = %(on)s WHERE operator_id = %(operator_id)s",
        {"operator_id": operator_id, "on": on},
    )


async def credential(session: TenantSession, ring: TenantRing, operator_id: str) -> CredentialRow | None:
    """The secrets of one operator, locked until the transaction ends: two attempts are counted one after the other."""
    row = await session.fetch_one(
        """
        SELECT operator_id, changed_at, must_change, last_step, failures, locked_until, row_version, secret_sealed
        FROM {t}.credential WHERE operator_id = %(operator_id)s FOR UPDATE
        """,
        {"operator_id": operator_id},
    )
    if row is None:
        return None
    return CredentialRow(
        operator_id=row[0],
        changed_at=row[1],
        must_change=row[2],
        last_step=row[3],
        failures=row[4],
        locked_until=row[5],
        row_version=row[6],
        secret=ring.open("credential", "secret", row[0], row[6], bytes(row[7]), Secret),
    )


async def add_credential(
    session: TenantSession, ring: TenantRing, operator_id: str, now: dt.datetime, secret: Secret, *, must_change: bool
) -> None:
    """First secrets of an account."""
    await session.execute(
        """
        INSERT INTO {t}.credential (operator_id, changed_at, must_change, row_version, secret_sealed)
        VALUES (%(operator_id)s, %(now)s, %(must_change)s, 1, %(secret_sealed)s)
        """,
        {
            "operator_id": operator_id,
            "now": now,
            "must_change": must_change,
            "secret_sealed": ring.seal("credential", "secret", operator_id, 1, secret),
        },
    )


async def change_credential(
    session: TenantSession, ring: TenantRing, old: CredentialRow, now: dt.datetime, secret: Secret, *, must_change: bool
) -> None:
    """New secrets; failures and locks end with the old ones."""
    version = old.row_version + 1
    await session.execute(
        """
        UPDATE {t}.credential SET changed_at = %(now)s, must_change = %(must_change)s, failures = 0,
            locked_until = NULL, row_version = %(version)s, secret_sealed = %(secret_sealed)s
        WHERE operator_id = %(operator_id)s
        """,
        {
            "operator_id": old.operator_id,
            "now": now,
            "must_change": must_change,
            "version": version,
            "secret_sealed": ring.seal("credential", "secret", old.operator_id, version, secret),
        },
    )


async def count_failure(
    session: TenantSession, operator_id: str, failures: int, locked_until: dt.datetime | None
) -> None:
    """One more failure in a row, perhaps with a lock."""
    await session.execute(
        "UPDATE {t}.credential SET failures = %(failures)s, locked_until = %(locked_until)s"
        " WHERE operator_id = %(operator_id)s",
        {"operator_id": operator_id, "failures": failures, "locked_until": locked_until},
    )


async def note_success(session: TenantSession, operator_id: str, step: int) -> None:
    """The one-time step is used up and the failures are over."""
    await session.execute(
        "UPDATE {t}.credential SET failures = 0, locked_until = NULL, last_step = %(step)s"
        " WHERE operator_id = %(operator_id)s",
        {"operator_id": operator_id, "step": step},
    )


async def add_login_failure(
    session: TenantSession, now: dt.datetime, operator_id: str, terminal_id: str, reason: str
) -> None:
    """One refused log-in."""
    await session.execute(
        "INSERT INTO {t}.login_failure (at, operator_id, terminal_id, reason)"
        " VALUES (%(at)s, %(operator_id)s, %(terminal_id)s, %(reason)s)",
        {"at": now, "operator_id": operator_id, "terminal_id": terminal_id, "reason": reason},
    )


async def add_account_event(
    session: TenantSession, operator_id: str, what: str, now: dt.datetime, by_whom: str, note: str = ""
) -> None:
    """One line in the life of an account."""
    await session.execute(
        "INSERT INTO {t}.account_event (operator_id, what, at, by_whom, note)"
        " VALUES (%(operator_id)s, %(what)s, %(at)s, %(by_whom)s, %(note)s)",
        {"operator_id": operator_id, "what": what, "at": now, "by_whom": by_whom, "note": note},
    )


async def account_events(session: TenantSession, operator_id: str) -> list[tuple[str, dt.datetime, str, str]]:
    """What happened to an account, oldest first: what, when, by whom, note."""
    rows = await session.fetch(
        "SELECT what, at, by_whom, note FROM {t}.account_event WHERE operator_id = %(operator_id)s ORDER BY event_no",
        {"operator_id": operator_id},
    )
    return [(row[0], row[1], row[2], row[3]) for row in rows]


async def grants(session: TenantSession, operator_id: str | None = None) -> list[GrantRow]:
    """Grants of one operator or of all, oldest first."""
    rows = await session.fetch(
        """
        SELECT grant_no, operator_id, duty, requested_by, requested_at, approved_by, approved_at, valid_from,
               valid_until, state
        FROM {t}.duty_grant WHERE %(operator_id)s::text IS NULL OR operator_id = %(operator_id)s ORDER BY grant_no
        """,
        {"operator_id": operator_id},
    )
    return [_grant(row) for row in rows]


async def grant_by_no(session: TenantSession, grant_no: int) -> GrantRow | None:
    """One grant, locked until the transaction ends."""
    row = await session.fetch_one(
        """
        SELECT grant_no, operator_id, duty, requested_by, requested_at, approved_by, approved_at, valid_from,
               valid_until, state
        FROM {t}.duty_grant WHERE grant_no = %(grant_no)s FOR UPDATE
        """,
        {"grant_no": grant_no},
    )
    return _grant(row) if row else None


async def add_grant(
    session: TenantSession,
    operator_id: str,
    duty: str,
    requested_by: str,
    now: dt.datetime,
    valid_from: dt.date,
    valid_until: dt.date,
) -> int:
    """A request for a duty; its number. Conflict `db.twice` where one is open."""
    row = await session.fetch_one(
        """
        INSERT INTO {t}.duty_grant (operator_id, duty, requested_by, requested_at, valid_from, valid_until, state)
        VALUES (%(operator_id)s, %(duty)s, %(requested_by)s, %(now)s, %(valid_from)s, %(valid_until)s, 'requested')
        RETURNING grant_no
        """,
        {
            "operator_id": operator_id,
            "duty": duty,
            "requested_by": requested_by,
            "now": now,
            "valid_from": valid_from,
            "valid_until": valid_until,
        },
    )
    return _number(row)


async def decide_grant(session: TenantSession, grant_no: int, state: str, approved_by: str, now: dt.datetime) -> None:
    """Grant or refuse a request."""
    await session.execute(
        "UPDATE {t}.duty_grant SET state = %(state)s, approved_by = %(approved_by)s, approved_at = %(now)s"
        " WHERE grant_no = %(grant_no)s",
        {"grant_no": grant_no, "state": state, "approved_by": approved_by, "now": now},
    )


async def revoke_grant(session: TenantSession, grant_no: int) -> None:
    """A granted duty is taken away."""
    await session.execute(
        "UPDATE {t}.duty_grant SET state = 'revoked' WHERE grant_no = %(grant_no)s", {"grant_no": grant_no}
    )


async def shorten_grant(session: TenantSession, grant_no: int, last_day: dt.date) -> None:
    """A granted duty ends earlier."""
    await session.execute(
        "UPDATE {t}.duty_grant SET valid_until = %(last_day)s"
        " WHERE grant_no = %(grant_no)s AND valid_until > %(last_day)s",
        {"grant_no": grant_no, "last_day": last_day},
    )


async def add_revocations(
    session: TenantSession,
    operator_id: str,
    duty: str,
    rights: Sequence[str],
    effective_on: dt.date,
    reason: str,
    executed_by: str,
    now: dt.datetime,
) -> None:
    """失効管理簿: one row a right."""
    await session.execute(
        """
        INSERT INTO {t}.revocation_ledger (operator_id, duty, access_right, effective_on, reason, executed_by,
            executed_at)
        SELECT %(operator_id)s, %(duty)s, r, %(effective_on)s, %(reason)s, %(executed_by)s, %(now)s
        FROM unnest(%(rights)s::text[]) AS r
        """,
        {
            "operator_id": operator_id,
            "duty": duty,
            "rights": list(rights),
            "effective_on": effective_on,
            "reason": reason,
            "executed_by": executed_by,
            "now": now,
        },
    )


async def revocations(session: TenantSession, operator_id: str) -> list[tuple[str, str, dt.date, str, str]]:
    """Duty, right, day, reason and executor of everything taken from an operator."""
    rows = await session.fetch(
        "SELECT duty, access_right, effective_on, reason, executed_by FROM {t}.revocation_ledger"
        " WHERE operator_id = %(operator_id)s ORDER BY ledger_no",
        {"operator_id": operator_id},
    )
    return [(row[0], row[1], row[2], row[3], row[4]) for row in rows]


async def add_review(
    session: TenantSession, operator_id: str, decision: str, decided_by: str, now: dt.datetime
) -> None:
    """One decision of a periodic review."""
    await session.execute(
        "INSERT INTO {t}.account_review (operator_id, decision, decided_by, decided_at)"
        " VALUES (%(operator_id)s, %(decision)s, %(decided_by)s, %(now)s)",
        {"operator_id": operator_id, "decision": decision, "decided_by": decided_by, "now": now},
    )


async def last_reviews(session: TenantSession) -> dict[str, dt.datetime]:
    """When each account was last decided upon."""
    rows = await session.fetch("SELECT operator_id, max(decided_at) FROM {t}.account_review GROUP BY operator_id")
    return {row[0]: row[1] for row in rows}


async def add_terminal(session: TenantSession, row: TerminalRow, now: dt.datetime, by_whom: str) -> None:
    """A new terminal; Conflict `db.twice` where the id exists."""
    await session.execute(
        """
        INSERT INTO {t}.terminal (terminal_id, label, office, functions, state, registered_at, registered_by)
        VALUES (%(terminal_id)s, %(label)s, %(office)s, %(functions)s, %(state)s, %(now)s, %(by_whom)s)
        """,
        {**_without(row), "functions": list(row.functions), "now": now, "by_whom": by_whom},
    )


async def terminals(session: TenantSession) -> list[TerminalRow]:
    """Every terminal, ordered by id."""
    rows = await session.fetch("SELECT terminal_id, label, office, functions, state FROM {t}.terminal ORDER BY 1")
    return [_terminal(row) for row in rows]


async def terminal_by_token(session: TenantSession, token_digest: bytes) -> TerminalRow | None:
    """The terminal that was given this token."""
    row = await session.fetch_one(
        "SELECT terminal_id, label, office, functions, state FROM {t}.terminal WHERE token_digest = %(token_digest)s",
        {"token_digest": token_digest},
    )
    return _terminal(row) if row else None


async def terminal_by_id(session: TenantSession, terminal_id: str) -> TerminalRow | None:
    """One terminal."""
    row = await session.fetch_one(
        "SELECT terminal_id, label, office, functions, state FROM {t}.terminal WHERE terminal_id = %(terminal_id)s",
        {"terminal_id": terminal_id},
    )
    return _terminal(row) if row else None


async def offer_enrolment(session: TenantSession, terminal_id: str, enrol_digest: bytes, until: dt.datetime) -> None:
    """A one-time code for a terminal; an older one is void."""
    await session.execute(
        "UPDATE {t}.terminal SET enrol_digest = %(enrol_digest)s, enrol_until = %(until)s"
        " WHERE terminal_id = %(terminal_id)s",
        {"terminal_id": terminal_id, "enrol_digest": enrol_digest, "until": until},
    )


async def take_enrolment(
    session: TenantSession, enrol_digest: bytes, token_digest: bytes, now: dt.datetime
) -> TerminalRow | None:
    """Use a one-time code up and give the terminal its token; None for a wrong, used or late code."""
    row = await session.fetch_one(
        """
        UPDATE {t}.terminal SET token_digest = %(token_digest)s, enrol_digest = NULL, enrol_until = NULL
        WHERE enrol_digest = %(enrol_digest)s AND enrol_until > %(now)s AND state = 'active'
        RETURNING terminal_id, label, office, functions, state
        """,
        {"enrol_digest": enrol_digest, "token_digest": token_digest, "now": now},
    )
    return _terminal(row) if row else None


async def set_terminal_token(session: TenantSession, terminal_id: str, token_digest: bytes) -> None:
    """Give a terminal its token without a code (first set-up only)."""
    await session.execute(
        "UPDATE {t}.terminal SET token_digest = %(token_digest)s WHERE terminal_id = %(terminal_id)s",
        {"terminal_id": terminal_id, "token_digest": token_digest},
    )


async def set_terminal_state(session: TenantSession, terminal_id: str, state: str) -> int:
    """Suspend, reopen or end a terminal."""
    return await session.execute(
        "UPDATE {t}.terminal SET state = %(state)s WHERE terminal_id = %(terminal_id)s",
        {"terminal_id": terminal_id, "state": state},
    )


async def add_hours_approval(
    session: TenantSession,
    operator_id: str,
    terminal_id: str,
    span: tuple[dt.datetime, dt.datetime],
    reason: str,
    approved_by: str,
    now: dt.datetime,
) -> int:
    """時間外利用承認; its number."""
    row = await session.fetch_one(
        """
        INSERT INTO {t}.hours_approval (operator_id, terminal_id, from_at, until_at, reason, approved_by, approved_at)
        VALUES (%(operator_id)s, %(terminal_id)s, %(from_at)s, %(until_at)s, %(reason)s, %(approved_by)s, %(now)s)
        RETURNING approval_no
        """,
        {
            "operator_id": operator_id,
            "terminal_id": terminal_id,
            "from_at": span[0],
            "until_at": span[1],
            "reason": reason,
            "approved_by": approved_by,
            "now": now,
        },
    )
    return _number(row)


async def has_hours_approval(session: TenantSession, operator_id: str, terminal_id: str, now: dt.datetime) -> bool:
    """True where this person may work on this terminal now although it is outside hours."""
    row = await session.fetch_one(
        """
        SELECT EXISTS (SELECT FROM {t}.hours_approval WHERE operator_id = %(operator_id)s
            AND terminal_id = %(terminal_id)s AND from_at <= %(now)s AND until_at > %(now)s)
        """,
        {"operator_id": operator_id, "terminal_id": terminal_id, "now": now},
    )
    return bool(row and row[0])


def _operator(row: tuple[Any, ...], ring: TenantRing) -> OperatorRow:
    return OperatorRow(
        operator_id=row[0],
        login_name=row[1],
        employment=row[2],
        contract_no=row[3],
        office=row[4],
        state=row[5],
        valid_from=row[6],
        valid_until=row[7],
        pledged_on=row[8],
        rule_accepted_on=row[9],
        registered_at=row[10],
        registered_by=row[11],
        row_version=row[12],
        profile=ring.open("operator", "profile", row[0], row[12], bytes(row[13]), Profile),
    )


def _grant(row: tuple[Any, ...]) -> GrantRow:
    return GrantRow(
        grant_no=row[0],
        operator_id=row[1],
        duty=row[2],
        requested_by=row[3],
        requested_at=row[4],
        approved_by=row[5],
        approved_at=row[6],
        valid_from=row[7],
        valid_until=row[8],
        state=row[9],
    )


def _terminal(row: tuple[Any, ...]) -> TerminalRow:
    return TerminalRow(terminal_id=row[0], label=row[1], office=row[2], functions=tuple(row[3]), state=row[4])


def _without(value: msgspec.Struct, *names: str) -> dict[str, Any]:
    return {name: getattr(value, name) for name in value.__struct_fields__ if name not in names}


def _number(row: tuple[Any, ...] | None) -> int:
    if row is None:
        raise RuntimeError("an insert that returns its number gave none")
    return int(row[0])
