"""端末: registered, given a token by a one-time code, suspended.

A browser keeps the token in a cookie. The administrator registers a terminal and gets a one-time code; whoever stands at
the terminal types the code once. No other machine can present the token, so a valid user at an unregistered machine is
refused (R-1-3.3-USE-02).
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Sequence
from typing import Final

from juki.access import credentials, sessions, terminal_store
from juki.access.model import FUNCTIONS
from juki.access.terminal_store import TerminalRow
from juki.access.work import Work
from juki.problem import Invalid, NotFound, Refused

_TERMINAL_ID: Final = re.compile(r"[A-Z0-9][A-Z0-9-]{2,31}")


async def register(work: Work, terminal_id: str, label: str, office: str, functions: Sequence[str]) -> str:
    """端末登録; the one-time enrolment code. Invalid `access.terminal`, Conflict `db.twice`."""
    faults: dict[str, str] = {}
    if _TERMINAL_ID.fullmatch(terminal_id) is None:
        faults["terminal_id"] = "capital_ascii_3_to_32"
    if unknown := set(functions) - set(FUNCTIONS):
        faults["functions"] = f"unknown: {', '.join(sorted(unknown))}"
    if not functions:
        faults["functions"] = "empty"
    if faults:
        raise Invalid("access.terminal", "the registration is not right", fields=faults)
    row = TerminalRow(terminal_id=terminal_id, label=label, office=office, functions=tuple(functions), state="active")
    await terminal_store.add_terminal(work.session, row, work.now, work.by.actor_id)
    return await offer(work, terminal_id)


async def offer(work: Work, terminal_id: str) -> str:
    """A new one-time code for a registered terminal; NotFound `access.terminal_unknown`."""
    if await terminal_store.terminal_by_id(work.session, terminal_id) is None:
        raise NotFound("access.terminal_unknown", "no such terminal")
    code = credentials.new_enrol_code()
    until = work.now + dt.timedelta(seconds=work.policy.enrol_seconds)
    await terminal_store.offer_enrolment(work.session, terminal_id, credentials.digest(code), until)
    return code


async def enrol(work: Work, code: str) -> tuple[str, TerminalRow]:
    """Use the one-time code up; the terminal's token and its row. Refused `access.enrol_code`."""
    token = credentials.new_token(work.session.tenant.code)
    typed = code.strip().upper()
    found = await terminal_store.take_enrolment(
        work.session, credentials.digest(typed), credentials.digest(token), work.now
    )
    if found is None:
        raise Refused("access.enrol_code", "the code is wrong, used or too old")
    return token, found


async def identify(work: Work, token: str) -> TerminalRow | None:
    """The active terminal that holds this token, or None."""
    if not token.startswith(f"{work.session.tenant.code}."):
        return None
    found = await terminal_store.terminal_by_token(work.session, credentials.digest(token))
    return found if found and found.state == "active" else None


async def suspend(work: Work, terminal_id: str) -> None:
    """停止: calls from it are refused at once, its sessions end."""
    if not await terminal_store.set_terminal_state(work.session, terminal_id, "suspended"):
        raise NotFound("access.terminal_unknown", "no such terminal")
    await sessions.end_on_terminal(work, terminal_id, "terminal_suspended")
