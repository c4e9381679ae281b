"""Clerks, forms and people for the tests of the register; every person is made up."""

from __future__ import annotations

import datetime as dt
import itertools
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from juki import certificates, registry
from juki.access.model import Caller
from juki.audit import Operation, operation
from juki.certificates.model import Application, IdentityCheck, Relation, Requester
from juki.dates import JST, RegistryDate, from_date
from juki.numbers import my_number_check_digit, resident_code_check_digit
from juki.registry.model import (
    Change,
    Document,
    MoveIn,
    Newcomer,
    NumberSource,
    Place,
    Reception,
    Record,
    Sex,
    Source,
)
from juki.tenancy import Fleet

ENTRY = frozenset(
    {"resident.search", "resident.read", "resident.my_number", "resident.code", "change.enter", "protection.read"}
)
CHECK = frozenset({"resident.search", "resident.read", "resident.my_number", "change.confirm", "protection.read"})
_serial = itertools.count(1)


def my_number(serial: int) -> str:
    """A 個人番号 with a right check digit and the visible prefix 99."""
    body = f"99{serial:09d}"
    return body + str(my_number_check_digit(body))


def resident_code(serial: int) -> str:
    """A 住民票コード with a right check digit."""
    body = f"{9_000_000_000 + serial:010d}"
    return body + str(resident_code_check_digit(body))


def newcomer(name: str, relationship: str, birth: RegistryDate | None = None, **more: Any) -> Newcomer:
    """A person of a 転入届 with numbers of their own."""
    serial = next(_serial)
    given: dict[str, Any] = {
        "name_kana": "テスト　タロウ",
        "sex": Sex.MALE,
        "registered_domicile": "福島県いわき市平字梅本21番地",
        "family_head": name,
        "my_number": my_number(serial),
        "my_number_source": NumberSource.CERTIFICATE,
        "resident_code": resident_code(serial),
    }
    return Newcomer(
        name=name, relationship=relationship, birth=birth or RegistryDate(1980, 4, 1, "S"), **(given | more)
    )


def family(*persons: Newcomer, day: dt.date = dt.date(2026, 11, 1), **more: Any) -> MoveIn:
    """A 転入届 from 仙台市."""
    given: dict[str, Any] = {
        "address": Place(text="福島県いわき市平字梅本21番地の1", postal="9700000"),
        "previous_address": Place(text="宮城県仙台市青葉区国分町三丁目7番1号"),
        "notified_on": day,
    }
    return MoveIn(occurred_on=from_date(day), persons=persons, **(given | more))


def three(surname: str = "渡邊", day: dt.date = dt.date(2026, 11, 1), **more: Any) -> MoveIn:
    """A family of three: head, wife, child."""
    return family(
        newcomer(f"{surname}　一郎", "世帯主", RegistryDate(1984, 5, 2, "S"), name_kana="ワタナベ　イチロウ"),
        newcomer(f"{surname}　花子", "妻", RegistryDate(1986, 8, 9, "S"), name_kana="ワタナベ　ハナコ", sex=Sex.FEMALE),
        newcomer(f"{surname}　三郎", "子", RegistryDate(2015, 2, 3, "H"), name_kana="ワタナベ　サブロウ"),
        day=day,
        **more,
    )


def reception(**more: Any) -> Reception:
    """A form brought to the counter by the person, who showed a card."""
    given: dict[str, Any] = {
        "form_no": f"R8-{next(_serial):06d}",
        "notifier": "届出　太郎",
        "document": Document.MY_NUMBER_CARD,
        "checked_by": "op-entry",
    }
    return Reception(**(given | more))


def authority(**more: Any) -> Reception:
    """職権."""
    return reception(
        **({"source": Source.ADMINISTRATION, "document": Document.NOT_NEEDED, "notifier": "", "checked_by": ""} | more)
    )


class Desk:
    """Two clerks and a clock in one municipality."""

    def __init__(self, fleet: Fleet, make: Callable[..., Caller], tenant: str) -> None:
        self.fleet = fleet
        self.tenant = tenant
        self.clerk = make(rights=ENTRY, tenant=tenant, actor="op-entry")
        self.checker = make(rights=CHECK, tenant=tenant, actor="op-check")
        self.guardian = make(rights=ENTRY | {"protection.enter", "protection.read"}, tenant=tenant, actor="op-protect")
        self.other_guardian = make(rights=self.guardian.rights, tenant=tenant, actor="op-approve")

    async def do(self, who: Caller, work: Callable[[Operation], Awaitable[Any]], action: str = "test") -> Any:
        """Run one operation and return what it returns."""
        async with operation(self.fleet, who, f"registry.{action}", purpose="試験") as op:
            return await work(op)

    async def enter(self, change: Change, paper: Reception | None = None, **more: Any) -> int:
        """仮登録 by the first clerk."""
        return await self.do(self.clerk, lambda op: registry.enter(op, change, paper or reception(), **more), "enter")

    async def paper_refused(self, atena_no: str, relation: str = "third") -> str:
        """What is said aloud of an application for somebody's 住民票の写し; empty where it is issued."""
        requester = Requester(name="請求　人", identity=IdentityCheck.PHOTO, atena_no=atena_no)
        asked = Application(
            relation=Relation(relation),
            requester=requester,
            persons=(atena_no,),
            purpose="residence",
            ground="債権の保全",
        )
        return (await self.do(self.clerk, lambda op: certificates.check(op, asked))).refusal

    async def typed(self, case_no: int, change: Change) -> dict[str, str]:
        """What the second clerk types again: what the form says."""
        from juki.registry import changes

        typed = changes.twice_typed(change)
        view = await self.do(self.checker, lambda op: registry.case(op, case_no))
        if "notified_on" in view.reentry and "notified_on" not in typed:
            typed["notified_on"] = view.change.notified_on.isoformat()
        return typed

    async def confirm(self, case_no: int, change: Change, **wrong: str) -> registry.ConfirmResult:
        """本登録 by the second clerk, who types what the form says, but for `wrong`."""
        typed = await self.typed(case_no, change)
        typed |= {k.replace("__", "."): v for k, v in wrong.items()}
        return await self.do(self.checker, lambda op: registry.confirm(op, case_no, typed), "confirm")

    async def make(self, change: Change, paper: Reception | None = None, **acknowledged: str) -> registry.ConfirmResult:
        """Enter and confirm; `acknowledged` alerts by the last part of their code."""
        passed = {f"registry.{code}": why for code, why in acknowledged.items()}
        case_no = await self.enter(change, paper, acknowledged=passed)
        return await self.confirm(case_no, change)

    async def approve(self, loosening_no: int) -> None:
        """緩和の承認 by the other person with the right."""
        await self.do(self.other_guardian, lambda op: registry.approve_loosening(op, loosening_no), "approve")

    async def read(self, atena_no: str, **more: Any) -> Record:
        """The record with every group."""
        from juki.registry.model import GROUPS

        return await self.do(self.clerk, lambda op: registry.record(op, atena_no, groups=tuple(GROUPS), **more))


@pytest.fixture
def desk(fleet: Fleet, caller: Callable[..., Caller]) -> Desk:
    """A counter in いわき市 on 2026-11-20."""
    fleet.clock = lambda: dt.datetime(2026, 11, 20, 10, 0, tzinfo=JST)
    return Desk(fleet, caller, "072044")


@pytest.fixture
def other_desk(fleet: Fleet, caller: Callable[..., Caller]) -> Desk:
    """A counter in 広野町."""
    fleet.clock = lambda: dt.datetime(2026, 11, 20, 10, 0, tzinfo=JST)
    return Desk(fleet, caller, "075418")
