"""認証とセッション: log in with name, password and one-time code at a registered terminal; come back with the token."""

from __future__ import annotations

import datetime as dt
import secrets
from collections.abc import Collection, Sequence
from typing import Final

import msgspec

from juki.access import credentials, hours, session_store, store
from juki.access.model import JAPAN, Caller, NotSignedIn, rights_of
from juki.access.session_store import SessionRow
from juki.access.store import CredentialRow, OperatorRow
from juki.access.terminal_store import TerminalRow
from juki.access.work import Work
from juki.problem import Refused

_SEEN_STEP_SECONDS: Final = 60
_RULES_YEARLY_DAYS: Final = 366


class Login(msgspec.Struct, frozen=True, kw_only=True):
    """What was typed; withheld in every repr."""

    login_name: str
    password: str
    otp: str
    accepts_rules: bool = False

    def __repr__(self) -> str:
        return "<Login withheld>"


class Shown(msgspec.Struct, frozen=True, kw_only=True):
    """What a returning browser shows: the session's token and the terminal's; withheld in every repr."""

    token: str
    terminal_token: str

    def __repr__(self) -> str:
        return "<Shown withheld>"


class Opened(msgspec.Struct, frozen=True, kw_only=True):
    """An open session: the token for the cookie (shown once), and who came in."""

    token: str
    caller: Caller
    name: str

    def __repr__(self) -> str:
        return f"<Opened for {self.caller.actor_id}>"


class Denied(msgspec.Struct, frozen=True, kw_only=True):
    """A log-in turned away: the code for the log, and the account where it is known."""

    code: str
    operator_id: str = ""

    def error(self) -> Refused:
        """What the person at the terminal is told."""
        return NotSignedIn(self.code, "the log-in was refused")


async def login(work: Work, typed: Login, terminal: TerminalRow | None) -> Opened | Denied:
    """Open a session, or say why not; a refusal is counted and must be committed, so it is a value, not an error.

    A wrong name, a wrong password and a wrong one-time code answer the same and take as long.
    """
    if terminal is None:
        return await _deny(work, "", "", "access.terminal_unknown")
    account = await store.operator_by(work.session, work.ring, typed.login_name)
    held = await store.credential(work.session, work.ring, account.operator_id) if account else None
    if account is None or held is None or typed.login_name != account.login_name:
        await credentials.waste_time(typed.password, work.policy)
        return await _deny(work, "", terminal.terminal_id, "access.login_failed")
    step = await _prove(work, typed, account, held, terminal)
    if isinstance(step, Denied):
        return step
    await store.note_success(work.session, account.operator_id, step)
    reason = await _why_not(work, typed, account, terminal)
    if reason:
        return await _deny(work, account.operator_id, terminal.terminal_id, reason)
    return await _open(work, account, terminal, password_due=_password_due(work, held))


async def _prove(
    work: Work, typed: Login, account: OperatorRow, held: CredentialRow, terminal: TerminalRow
) -> int | Denied:
    """The one-time step, or the refusal with the failure counted."""
    if is_locked(work, held):
        await credentials.waste_time(typed.password, work.policy)
        return await _deny(work, account.operator_id, terminal.terminal_id, "access.locked")
    right = await credentials.verify_password(typed.password, held.secret.password_digest, work.policy)
    step = credentials.matching_step(held.secret.otp_secret, typed.otp, work.now, held.last_step)
    if right and step is not None:
        return step
    await count_failure(work, held)
    return await _deny(work, account.operator_id, terminal.terminal_id, "access.login_failed")


def is_locked(work: Work, held: CredentialRow) -> bool:
    """Whether too many wrong secrets were tried lately; a lock made under a clock that ran ahead does not wait for it."""
    until = held.locked_until
    return until is not None and work.now < until <= work.now + dt.timedelta(seconds=work.policy.lock_seconds)


async def count_failure(work: Work, held: CredentialRow) -> bool:
    """One more wrong secret; True where it was one too many and the account is locked for a time."""
    failures, until = held.failures + 1, None
    locked = failures >= work.policy.failures_max
    if locked:
        failures, until = 0, work.now + dt.timedelta(seconds=work.policy.lock_seconds)
        await store.add_account_event(work.session, held.operator_id, "locked", work.now, "system:login")
    await store.count_failure(work.session, held.operator_id, failures, until)
    return locked


async def _why_not(work: Work, typed: Login, account: OperatorRow, terminal: TerminalRow) -> str:
    """Why a proven person may still not come in; empty where nothing stands against it."""
    if account.state != "active" or not _in_validity(work, account.valid_from, account.valid_until):
        return "access.account_closed"
    if account.employment == "contractor" and account.pledged_on is None:
        return "access.pledge_missing"
    accepted = account.rule_accepted_on
    if accepted is None or (work.today - accepted).days > _RULES_YEARLY_DAYS:
        if not typed.accepts_rules:
            return "access.rules_not_accepted"
        await store.set_rules_accepted(work.session, account.operator_id, work.today)
    if not await hours.may_work_now(work, account.operator_id, terminal.terminal_id):
        return "access.out_of_hours"
    if not await _give_way(work, account.operator_id, terminal.terminal_id):
        return "access.session_elsewhere"
    return ""


async def _give_way(work: Work, operator_id: str, terminal_id: str) -> bool:
    """End this person's former session where it stood on this terminal or has run out; False where one lives elsewhere."""
    former = await session_store.open_one(work.session, operator_id)
    if former is None:
        return True
    session_id, former_terminal, seen_at, expires_at = former
    idle = dt.timedelta(seconds=work.policy.idle_seconds)
    if expires_at <= work.now or seen_at + idle <= work.now:
        await session_store.end(work.session, session_id, work.now, "timeout")
        return True
    if former_terminal == terminal_id:
        await session_store.end(work.session, session_id, work.now, "replaced")
        return True
    return False


async def _open(work: Work, account: OperatorRow, terminal: TerminalRow, *, password_due: bool) -> Opened:
    token = credentials.new_token(work.session.tenant.code)
    token_digest = credentials.digest(token)
    await session_store.add(
        work.session,
        session_id=f"ss-{secrets.token_hex(8)}",
        token_digest=token_digest,
        operator_id=account.operator_id,
        terminal_id=terminal.terminal_id,
        now=work.now,
        expires_at=work.now + dt.timedelta(seconds=work.policy.session_seconds),
        password_due=password_due,
    )
    row = (await session_store.by_tokens(work.session, [token_digest], work.now, work.today)).get(token_digest)
    if row is None:
        raise RuntimeError("a session just written is not there")
    return Opened(token=token, caller=_caller(work, row), name=account.profile.name)


async def _deny(work: Work, operator_id: str, terminal_id: str, code: str) -> Denied:
    await store.add_login_failure(work.session, work.now, operator_id, terminal_id, code)
    return Denied(code=code, operator_id=operator_id)


async def resume(work: Work, shown: Sequence[Shown], seen: set[str]) -> list[Caller | NotSignedIn]:
    """Who stands behind each session's token at its terminal, with the rights of this moment, in the order asked.

    One statement answers for all of them and nothing of the answer is kept. Sessions whose last use should be noted now
    are added to `seen`, for `see`. NotSignedIn with `access.session_unknown`, `access.session_ended`, `access.session_terminal` (the token came from
    another terminal), `access.account_closed`, `access.terminal_suspended` or `access.out_of_hours`.
    """
    home = f"{work.session.tenant.code}."
    digests = [credentials.digest(one.token) if one.token.startswith(home) else b"" for one in shown]
    rows = await session_store.by_tokens(work.session, sorted({d for d in digests if d}), work.now, work.today)
    open_now = hours.within(work)
    found: list[Caller | NotSignedIn] = []
    for digest, one in zip(digests, shown, strict=True):
        row = rows.get(digest)
        if row is None:
            found.append(NotSignedIn("access.session_unknown", "no such session here"))
        elif reason := _run_out(work, row, one.terminal_token, open_now=open_now):
            found.append(NotSignedIn(reason, "the session is not open to this call"))
        else:
            found.append(_caller(work, row))
            if (work.now - row.seen_at).total_seconds() >= _SEEN_STEP_SECONDS:
                seen.add(row.session_id)
    return found


async def see(work: Work, session_ids: Collection[str]) -> None:
    """使用中: keep these sessions from running idle."""
    await session_store.see(work.session, sorted(session_ids), work.now)


def _run_out(work: Work, row: SessionRow, terminal_token: str, *, open_now: bool) -> str:
    idle = dt.timedelta(seconds=work.policy.idle_seconds)
    if row.ended_at is not None or row.expires_at <= work.now or row.seen_at + idle <= work.now:
        return "access.session_ended"
    if not credentials.same(terminal_token, row.terminal_digest):
        return "access.session_terminal"
    if row.account_state != "active" or not _in_validity(work, None, row.account_until):
        return "access.account_closed"
    if row.terminal_state != "active":
        return "access.terminal_suspended"
    if not open_now and not row.hours_approved:
        return "access.out_of_hours"
    return ""


async def logout(work: Work) -> None:
    """The acting person's session ends."""
    await session_store.end(work.session, work.by.session_id, work.now, "logout")


async def end_all(work: Work, operator_id: str, why: str) -> int:
    """Whatever session a person has open ends; how many were open."""
    return await session_store.end_of_operator(work.session, operator_id, work.now, why)


async def end_on_terminal(work: Work, terminal_id: str, why: str) -> int:
    """Whatever session is open on a terminal ends; how many were open."""
    return await session_store.end_of_terminal(work.session, terminal_id, work.now, why)


async def lift_password_due(work: Work, operator_id: str) -> None:
    """After the change of the password the open session gets its rights."""
    await session_store.lift_password_due(work.session, operator_id)


def _password_due(work: Work, held: CredentialRow) -> bool:
    """True where the password was set by others or is half a year old (R-1-3.3-AUT-04)."""
    changed_on = held.changed_at.astimezone(JAPAN).date()
    return held.must_change or (work.today - changed_on).days > work.policy.password_days


def _in_validity(work: Work, valid_from: dt.date | None, valid_until: dt.date | None) -> bool:
    return (valid_from is None or valid_from <= work.today) and (valid_until is None or work.today <= valid_until)


def _caller(work: Work, row: SessionRow) -> Caller:
    return Caller(
        tenant=work.session.tenant.code,
        actor_id=row.operator_id,
        actor_kind="operator",
        terminal_id=row.terminal_id,
        rights=frozenset() if row.password_due else rights_of(row.duties, row.functions),
        office=row.office,
        duty="・".join(row.duties),
        session_id=row.session_id,
        contract=row.contract_no,
        password_due=row.password_due,
    )
