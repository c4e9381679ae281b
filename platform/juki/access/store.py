"""SQL of accounts: who a person is and what proves it."""

from __future__ import annotations

import datetime as dt
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


def _without(value: msgspec.Struct, *names: str) -> dict[str, Any]:
    return {name: getattr(value, name) for name in value.__struct_fields__ if name not in names}
