"""初期設定: the first accounts of a municipality, from a list its head of information policy has approved on paper.

Afterwards this road is closed: accounts are opened by one person and approved by another.
"""

from __future__ import annotations

import datetime as dt
import tomllib
from pathlib import Path
from typing import Any, Final

import msgspec

from juki.access import accounts, credentials, grant_store, grants, hours, store, terminal_store, terminals
from juki.access.accounts import FirstSecrets, NewOperator
from juki.access.model import Employment, duty
from juki.access.work import Work
from juki.problem import Invalid, Refused

LIST_ITSELF: Final = "system:first-list"
"""Approver of the approver's own rights: the signed list, since nobody approves the own ones."""


class Person(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One line of the list; `office` is the name or the code of a department."""

    login: str
    name: str
    staff_no: str
    office: str
    duties: tuple[str, ...]
    employment: Employment = "official"
    contract_no: str = ""
    pledged_on: dt.date | None = None


class OutsideHours(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """時間外利用の事前承認 in the list: for everybody listed, on every terminal, for some hours from now."""

    hours: int
    reason: str


class People(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """初期登録簿. Handing it in states that each person named has accepted the password rule in writing.

    `approved_by` is the log-in name of the person in the list who holds 管理者.
    """

    approved_by: str
    operator: tuple[Person, ...]
    outside_hours: OutsideHours | None = None
    change_password_at_first_login: bool = True


class FirstTerminal(msgspec.Struct, frozen=True, kw_only=True):
    """A terminal with its one-time code for a person, and a token for a program, void once the code is used."""

    id: str
    place: str
    functions: tuple[str, ...]
    enrol_code: str
    token: str

    def __repr__(self) -> str:
        return f"<FirstTerminal {self.id} withheld>"


class Made(msgspec.Struct, frozen=True, kw_only=True):
    """What a run of the list made; both empty where everything was there."""

    operators: tuple[FirstSecrets, ...] = ()
    terminals: tuple[FirstTerminal, ...] = ()


def read_people(path: Path) -> People:
    """The list, checked; Invalid `access.people_file` names the key that is wrong."""
    try:
        raw: dict[str, Any] = tomllib.loads(path.read_text(encoding="utf-8"))
        people = msgspec.convert(raw, People)
    except (OSError, UnicodeDecodeError) as e:
        raise Invalid("access.people_file", f"cannot read {path}", remedy="name an existing UTF-8 TOML file") from e
    except (tomllib.TOMLDecodeError, msgspec.ValidationError) as e:
        raise Invalid("access.people_file", f"{path}: {e}", remedy="correct the key named") from e
    logins = [person.login for person in people.operator]
    if len(set(logins)) != len(logins):
        raise Invalid("access.people_file", f"{path}: a log-in name stands twice", fields={"login": "twice"})
    for name in {name for person in people.operator for name in person.duties}:
        duty(name)
    approver = next((p for p in people.operator if p.login == people.approved_by), None)
    if approver is None or "管理者" not in approver.duties:
        raise Invalid(
            "access.people_file", f"{path}: approved_by must name a 管理者 of the list", fields={"approved_by": "duty"}
        )
    return people


async def bootstrap(work: Work, people: People) -> Made:
    """Open the listed accounts, grant their duties and register the municipality's terminals; all or nothing.

    Running it again changes nothing. Refused `access.bootstrapped` where other accounts exist.
    """
    await store.lock_accounts(work.session)
    known = {account.login_name for account in await store.operators(work.session, work.ring)}
    listed = {person.login for person in people.operator}
    if known and listed <= known:
        return Made(terminals=await _terminals(work))
    if known:
        raise Refused(
            "access.bootstrapped",
            "this municipality has accounts already",
            remedy="use `juki access operator add` and have the duty approved",
        )
    made: dict[str, FirstSecrets] = {}
    for person in people.operator:
        made[person.login] = await _register(work, person, must_change=people.change_password_at_first_login)
    head = made[people.approved_by].operator_id
    for person in people.operator:
        await _grant(work, made[person.login].operator_id, person, head)
    registered = await _terminals(work)
    if people.outside_hours is not None:
        await _approve_hours(work, people.outside_hours, [m.operator_id for m in made.values()], head)
    return Made(operators=tuple(made.values()), terminals=registered)


async def _register(work: Work, person: Person, *, must_change: bool) -> FirstSecrets:
    new = NewOperator(
        login=person.login,
        name=person.name,
        staff_no=person.staff_no,
        office=_department(work, person.office),
        employment=person.employment,
        contract_no=person.contract_no,
        pledged_on=person.pledged_on,
    )
    handed = await accounts.register(work, new, must_change=must_change)
    await store.set_rules_accepted(work.session, handed.operator_id, work.today)
    return handed


async def _grant(work: Work, operator_id: str, person: Person, head: str) -> None:
    until = work.today + dt.timedelta(days=365)
    approver = LIST_ITSELF if operator_id == head else head
    for name in person.duties:
        number = await grants.request(work, operator_id, name, work.today, until)
        await grant_store.decide_grant(work.session, number, "granted", approver, work.now)
        await store.add_account_event(work.session, operator_id, "duty_granted", work.now, approver, name)


async def _terminals(work: Work) -> tuple[FirstTerminal, ...]:
    known = {row.terminal_id for row in await terminal_store.terminals(work.session)}
    made: list[FirstTerminal] = []
    for planned in work.session.tenant.settings.terminals:
        if planned.id in known:
            continue
        code = await terminals.register(work, planned.id, planned.place, planned.office, planned.functions)
        token = credentials.new_token(work.session.tenant.code)
        await terminal_store.set_terminal_token(work.session, planned.id, credentials.digest(token))
        functions = tuple(planned.functions)
        made.append(
            FirstTerminal(id=planned.id, place=planned.place, functions=functions, enrol_code=code, token=token)
        )
    return tuple(made)


async def _approve_hours(work: Work, outside: OutsideHours, operator_ids: list[str], head: str) -> None:
    span = (work.now, work.now + dt.timedelta(hours=outside.hours))
    if not 0 < outside.hours <= hours.LONGEST_DAYS * 24:
        raise Invalid("access.hours_span", "the span is not right", fields={"hours": "span"})
    for terminal in await terminal_store.terminals(work.session):
        for operator_id in operator_ids:
            approver = LIST_ITSELF if operator_id == head else head
            await grant_store.add_hours_approval(
                work.session, operator_id, terminal.terminal_id, span, outside.reason[:100], approver, work.now
            )


def _department(work: Work, given: str) -> str:
    for department in work.session.tenant.settings.departments:
        if given in (department.code, department.name):
            return department.code
    return given
