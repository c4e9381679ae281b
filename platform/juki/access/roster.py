"""操作者名簿: whose id stands in the log, with what duties and since when; for a municipality that takes its log along.

No secret is read here: neither passwords nor one-time secrets nor keys of machines, not even as digests.
"""

from __future__ import annotations

import datetime as dt
from typing import TypeAlias

import msgspec

from juki.access import grant_store, machine_store, store, terminal_store
from juki.access.model import duties
from juki.access.work import Work
from juki.personal import Personal
from juki.problem import Refused


class DutyHeld(msgspec.Struct, frozen=True, kw_only=True):
    """事務の付与: one duty asked for, by whom it was approved, and when it held."""

    duty: str
    rights: tuple[str, ...]  # what the duty carries on the day of the list
    state: str  # requested, granted, refused, revoked
    valid_from: dt.date
    valid_until: dt.date
    requested_by: str
    requested_at: dt.datetime
    approved_by: str | None
    approved_at: dt.datetime | None


class AccountStep(msgspec.Struct, frozen=True, kw_only=True):
    """ID管理簿の一行: what happened to an account."""

    what: str
    at: dt.datetime
    by_whom: str
    note: str


class StaffEntry(Personal, frozen=True, kw_only=True, tag="operator", tag_field="kind"):
    """操作者: one account of one named person, ended ones too."""

    actor_id: str
    name: str
    staff_no: str
    login_name: str
    employment: str
    contract_no: str
    office: str
    office_name: str
    state: str
    valid_from: dt.date
    valid_until: dt.date | None
    pledged_on: dt.date | None
    rule_accepted_on: dt.date | None
    registered_at: dt.datetime
    registered_by: str
    duties: tuple[DutyHeld, ...]
    steps: tuple[AccountStep, ...]


class MachineEntry(msgspec.Struct, frozen=True, kw_only=True, tag="machine", tag_field="kind"):
    """連携先システム: one client of one system."""

    actor_id: str
    system: str
    scopes: tuple[str, ...]
    state: str
    valid_until: dt.date


class TerminalEntry(msgspec.Struct, frozen=True, kw_only=True, tag="terminal", tag_field="kind"):
    """端末: where an operation was done."""

    terminal_id: str
    label: str
    office: str
    office_name: str
    functions: tuple[str, ...]
    state: str


Entry: TypeAlias = StaffEntry | MachineEntry | TerminalEntry


async def listing(work: Work) -> list[Entry]:
    """Everybody and everything whose id can stand in the log: accounts by log-in name, then machines, then terminals.

    Raises Refused `access.right_missing` for a caller who neither keeps accounts nor takes the register along.
    """
    if not (work.by.may("account.manage") or work.by.may("offboard.request")):
        raise Refused("access.right_missing", "the duty does not carry this right", right="account.manage")
    settings = work.session.tenant.settings
    offices = {d.code: d.name for d in settings.departments}
    places = {o.code: o.name for o in settings.offices}
    held: dict[str, list[DutyHeld]] = {}
    for grant in await grant_store.grants(work.session):
        held.setdefault(grant.operator_id, []).append(_duty(grant))
    found: list[Entry] = []
    for row in await store.operators(work.session, work.ring):
        steps = await store.account_events(work.session, row.operator_id)
        found.append(_staff(row, offices, held.get(row.operator_id, []), steps))
    for client in await machine_store.clients(work.session):
        found.append(
            MachineEntry(
                actor_id=client.client_id,
                system=client.system_name,
                scopes=client.scopes,
                state=client.state,
                valid_until=client.valid_until,
            )
        )
    for terminal in await terminal_store.terminals(work.session):
        found.append(
            TerminalEntry(
                terminal_id=terminal.terminal_id,
                label=terminal.label,
                office=terminal.office,
                office_name=places.get(terminal.office, ""),
                functions=terminal.functions,
                state=terminal.state,
            )
        )
    return found


def _duty(grant: grant_store.GrantRow) -> DutyHeld:
    known = duties().get(grant.duty)
    return DutyHeld(
        duty=grant.duty,
        rights=tuple(sorted(known.rights)) if known else (),
        state=grant.state,
        valid_from=grant.valid_from,
        valid_until=grant.valid_until,
        requested_by=grant.requested_by,
        requested_at=grant.requested_at,
        approved_by=grant.approved_by,
        approved_at=grant.approved_at,
    )


def _staff(
    row: store.OperatorRow,
    offices: dict[str, str],
    held: list[DutyHeld],
    steps: list[tuple[str, dt.datetime, str, str]],
) -> StaffEntry:
    return StaffEntry(
        actor_id=row.operator_id,
        name=row.profile.name,
        staff_no=row.profile.staff_no,
        login_name=row.login_name,
        employment=row.employment,
        contract_no=row.contract_no,
        office=row.office,
        office_name=offices.get(row.office, ""),
        state=row.state,
        valid_from=row.valid_from,
        valid_until=row.valid_until,
        pledged_on=row.pledged_on,
        rule_accepted_on=row.rule_accepted_on,
        registered_at=row.registered_at,
        registered_by=row.registered_by,
        duties=tuple(held),
        steps=tuple(AccountStep(what=what, at=at, by_whom=by_whom, note=note) for what, at, by_whom, note in steps),
    )
