"""入口: what runs before there is a session — log-in, resuming, enrolling a terminal, tokens of machines.

Each is an operation of its own, or leaves a refused row, so that whoever knocked is in the log of that municipality.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from juki.access import accounts, machines, pages, sessions, terminals
from juki.access.model import Caller, visitor
from juki.access.pages import Kept
from juki.access.sessions import Denied, Login, Opened, Shown
from juki.access.work import Work, policy_of
from juki.audit.gate import gate_of
from juki.audit.operation import operation, refused
from juki.problem import JukiError, Refused
from juki.tenancy import OPEN_STATES, Fleet


async def sign_in(
    fleet: Fleet, code: str, typed: Login, terminal_token: str, *, states: Collection[str] = OPEN_STATES
) -> Opened:
    """ログイン; NotSignedIn with the code of the refusal, which is counted and logged before it is raised."""
    async with operation(fleet, visitor(code), "session.login", purpose="ログイン", states=states) as op:
        terminal = await terminals.identify(op.work, terminal_token)
        answer = await sessions.login(op.work, typed, terminal)
        op.fact(terminal=terminal.terminal_id if terminal else "unregistered")
        if isinstance(answer, Denied):
            op.fact(operator=answer.operator_id or "unknown")
            op.refuse(answer.error())
        else:
            op.fact(operator=answer.caller.actor_id, session=answer.caller.session_id)
    return answer  # pyright: ignore[reportReturnType]  a refusal has been raised by the operation


async def resume(fleet: Fleet, code: str, token: str, terminal_token: str) -> Caller:
    """Who comes back with a session's token; NotSignedIn otherwise, with a refused row in the municipality addressed."""
    try:
        await fleet.tenant(code)  # a municipality that is not here gets no gate
        return await gate_of(fleet, code).resume(Shown(token=token, terminal_token=terminal_token))
    except Refused as error:
        await _note(fleet, code, "session.resume", error)
        raise


async def sign_out(fleet: Fleet, caller: Caller, *, states: Collection[str] = OPEN_STATES) -> None:
    """ログアウト."""
    async with operation(fleet, caller, "session.logout", purpose="ログアウト", states=states) as op:
        await sessions.logout(op.work)
        await pages.leave(op.work)


async def change_password(fleet: Fleet, caller: Caller, old: str, new: str) -> None:
    """パスワード変更 of the acting person."""
    async with operation(fleet, caller, "account.password", purpose="パスワード変更") as op:
        fault = await accounts.prove_password(op.work, old)
        if fault is not None:
            op.refuse(fault)
        else:
            await accounts.change_password(op.work, old, new)


async def change_otp(fleet: Fleet, caller: Caller, password: str, otp_secret: str, otp: str) -> None:
    """ワンタイムコードの登録し直し by the acting person."""
    async with operation(fleet, caller, "account.otp", purpose="ワンタイムコードの登録") as op:
        fault = await accounts.prove_password(op.work, password)
        if fault is not None:
            op.refuse(fault)
        else:
            await accounts.change_otp(op.work, password, otp_secret, otp)


async def enrol_terminal(fleet: Fleet, code: str, enrol_code: str) -> tuple[str, str]:
    """端末の登録コードを使う: the terminal's token for its cookie, and its id."""
    async with operation(fleet, visitor(code), "terminal.enrol", purpose="端末登録") as op:
        token, row = await terminals.enrol(op.work, enrol_code)
        op.fact(terminal=row.terminal_id)
    return token, row.terminal_id


async def terminal_id(fleet: Fleet, code: str, terminal_token: str) -> str | None:
    """Id of the registered terminal behind a cookie, or None."""
    await fleet.tenant(code)  # a municipality that is not here has no keys to ask for
    ring = await fleet.keyring.get(code)  # before the session: whoever waits for a KMS holds no connection
    async with fleet.session(code, write=True) as session:
        work = Work(session=session, ring=ring, now=fleet.clock(), by=visitor(code))
        found = await terminals.identify(work, terminal_token)
    return found.terminal_id if found else None


async def keep_page(fleet: Fleet, caller: Caller, kept: Kept) -> int:
    """画面の控え: what was sent to a page that only shows; its number. Nobody's record is touched, so no operation stands in
    the log: showing the page is one.
    """
    ring = await fleet.keyring.get(caller.tenant)
    async with fleet.session(caller.tenant, write=True) as session:
        return await pages.keep(Work(session=session, ring=ring, now=fleet.clock(), by=caller), kept)


async def kept_page(fleet: Fleet, caller: Caller, number: int, page: str) -> Kept | None:
    """What this session kept for this page under a number, None where it is gone; what is shown once goes now."""
    ring = await fleet.keyring.get(caller.tenant)
    now = fleet.clock()
    async with fleet.session(caller.tenant, write=False) as session:
        kept = await pages.find(Work(session=session, ring=ring, now=now, by=caller), number, page)
    if kept is not None and kept.once:
        async with fleet.session(caller.tenant, write=True) as session:
            await pages.forget(Work(session=session, ring=ring, now=now, by=caller), number)
    return kept


async def forget_pages(fleet: Fleet, code: str) -> int:
    """画面の控え of sessions that are over go; how many."""
    ring = await fleet.keyring.get(code)
    async with fleet.session(code, write=True) as session:
        by = visitor(code)
        work = Work(session=session, ring=ring, now=fleet.clock(), by=by, policy=policy_of(fleet.config))
        return await pages.clear(work)


async def machine_token(
    fleet: Fleet, code: str, assertion_type: str, assertion: str, scope: str, audiences: Collection[str]
) -> machines.Issued:
    """Token endpoint: NotSignedIn `access.client_assertion` where the proof fails."""
    async with operation(fleet, visitor(code), "machine.token", purpose="連携") as op:
        return await machines.issue(op.work, assertion_type, assertion, scope, audiences)


async def machine_caller(fleet: Fleet, code: str, token: str) -> Caller:
    """Who presents a bearer token; NotSignedIn otherwise, with a refused row in the municipality addressed."""
    try:
        await fleet.tenant(code)  # a municipality that is not here has no keys to ask for
        ring = await fleet.keyring.get(code)  # before the session: whoever waits for a KMS holds no connection
        async with fleet.session(code, write=True) as session:
            work = Work(session=session, ring=ring, now=fleet.clock(), by=visitor(code))
            return await machines.authenticate(work, token)
    except Refused as error:
        await _note(fleet, code, "machine.call", error)
        raise


async def introspect(fleet: Fleet, caller: Caller, token: str) -> dict[str, Any]:
    """Introspection endpoint (RFC 7662) for an authenticated machine; another client's token is not its business."""
    async with operation(fleet, caller, "machine.introspect", purpose="連携") as op:
        answer = await machines.introspect(op.work, token)
    if answer.get("client_id", caller.actor_id) != caller.actor_id:
        return {"active": False}
    return answer


async def revoke_token(fleet: Fleet, caller: Caller, token: str) -> None:
    """Revocation endpoint (RFC 7009)."""
    async with operation(fleet, caller, "machine.revoke", purpose="連携") as op:
        await machines.revoke(op.work, token)


async def _note(fleet: Fleet, code: str, action: str, error: JukiError) -> None:
    """A municipality that does not exist, or is closed, has no log to write to."""
    if not error.code.startswith("tenant."):
        await refused(fleet, code, None, action, error.code)
