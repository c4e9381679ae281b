"""Synthetic people and papers for the certificate tests: nobody here exists."""

from __future__ import annotations

import datetime as dt
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
import pytest

from juki import registry
from juki.audit import Operation
from juki.certificates.compose import Office
from juki.certificates.model import Application, IdentityCheck, Relation, Requester
from juki.certificates.seal import square_seal
from juki.dates import RegistryDate
from juki.registry.model import (
    Address,
    Basic,
    Domicile,
    Foreigner,
    Household,
    Kind,
    MyNumber,
    Notes,
    Place,
    Record,
    Removal,
    ResidentCode,
    Sex,
    Status,
)

SINCE = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
NOW = dt.datetime(2026, 11, 23, 1, 30, tzinfo=dt.UTC)
STREET = Place(text="福島県いわき市平字梅本21番地の4", building="いわきコーポ203号室")


def _japanese(number: int = 1, **changes: Any) -> Record:
    """A Japanese resident; `number` 1 is the head of the household."""
    given = ("太郎", "花子", "一郎", "二郎", "三郎", "四郎", "五郎", "六郎", "七郎", "八郎", "九郎")[number - 1]
    record = Record(
        atena_no=f"00000000{number:02d}",
        version_no=3,
        setai_no="9000000001",
        member_order=number,
        is_head=number == 1,
        status=Status.RESIDENT,
        kind=Kind.JAPANESE,
        basic=Basic(
            name=f"渡邉　{given}",
            name_kana="ワタナベ　タロウ",
            birth=RegistryDate(1950 + number, 4, number),
            sex=Sex.FEMALE if number == 2 else Sex.MALE,
            head_name="渡邉　太郎",
            relationship=("世帯主", "妻", "子")[min(number, 3) - 1],
        ),
        address=Address(
            address=STREET,
            resident_since=RegistryDate(1989, 1, 7),
            address_since=RegistryDate(2019, 5, 1),
            notified_on=RegistryDate(2019, 5, 7),
            previous_address=Place(text="福島県双葉郡広野町大字下北迫字苗代替35番地"),
            moved_within_from=Place(text="福島県いわき市小名浜花畑町34番地の2"),
        ),
        domicile=Domicile(registered_domicile="福島県いわき市平字梅本21番地", family_head="渡邉　太郎"),
        my_number=MyNumber(my_number="123456789018"),
        resident_code=ResidentCode(resident_code="12345678901"),
        notes=Notes(remarks="令和元年5月1日転居"),
    )
    return msgspec.structs.replace(record, **changes)


def _foreign(number: int = 1, **changes: Any) -> Record:
    """A foreign resident with a 通称."""
    record = Record(
        atena_no=f"00000001{number:02d}",
        version_no=1,
        setai_no="9000000001",
        member_order=number,
        is_head=number == 1,
        status=Status.RESIDENT,
        kind=Kind.FOREIGN,
        basic=Basic(
            name="RIVERA SANTOS MARIA CLARA",
            name_kana="リベラ　サントス　マリア　クララ",
            birth=RegistryDate(1988, 2, 29),
            sex=Sex.FEMALE,
            head_name="RIVERA SANTOS MARIA CLARA",
            relationship="世帯主",
            alias="山本　マリア",
            alias_entered_on=RegistryDate(2015, 7, 9),
            alias_entered_at="福島県いわき市",
        ),
        address=Address(
            address=STREET,
            resident_since=RegistryDate(2015, 7, 9),
            address_since=RegistryDate(2015, 7, 9),
            notified_on=RegistryDate(2015, 7, 10),
            previous_address=Place(country="フィリピン共和国"),
        ),
        foreigner=Foreigner(
            foreign_resident_since=RegistryDate(2015, 7, 9),
            nationality="フィリピン",
            category="中長期在留者",
            residence_status="永住者",
            residence_period="無期限",
            card_number="AB12345678CD",
        ),
        my_number=MyNumber(my_number="123456789018"),
        resident_code=ResidentCode(resident_code="12345678901"),
    )
    return msgspec.structs.replace(record, **changes)


@pytest.fixture(scope="session")
def japanese() -> Callable[..., Record]:
    return _japanese


@pytest.fixture(scope="session")
def foreign() -> Callable[..., Record]:
    return _foreign


@pytest.fixture(scope="session")
def removed(japanese: Callable[..., Record]) -> Record:
    """Moved out last year: only a 除票 remains."""
    gone = Removal(
        reason="転出",
        occurred_on=RegistryDate(2025, 3, 31),
        settled_address=Place(text="宮城県仙台市青葉区国分町三丁目7番1号"),
    )
    return japanese(1, status=Status.MOVED_OUT, removal=gone)


@pytest.fixture(scope="session")
def put() -> Callable[..., Awaitable[None]]:
    """Put confirmed records into the register, as an import does: `await put(op, record, ...)`."""

    async def store(op: Operation, *records: Record) -> None:
        for record in records:
            full = msgspec.structs.replace(record, event_no=1, known_from=SINCE, valid_from=SINCE.date())
            for table, rows in registry.copy_rows(op.ring, full).items():
                columns = ", ".join(registry.COPY_COLUMNS[table])
                statement: Any = f"COPY {{t}}.{table} ({columns}) FROM STDIN (FORMAT BINARY)"
                await op.session.copy_in(statement, registry.COPY_TYPES[table], rows)

    return store


@pytest.fixture(scope="session")
def now() -> dt.datetime:
    return NOW


@pytest.fixture(scope="session")
def office() -> Office:
    return Office(
        prefecture="福島県",
        municipality="いわき市",
        head_title="いわき市長",
        head_name="磐城　一郎",
        seal_svg=square_seal("いわき市長之印"),
    )


@pytest.fixture(scope="session")
def household(japanese: Callable[..., Record]) -> Callable[..., Household]:
    def of(*members: Record) -> Household:
        return Household(setai_no="9000000001", members=members or (japanese(1), japanese(2), japanese(3)))

    return of


@pytest.fixture(scope="session")
def application() -> Callable[..., Application]:
    def of(*persons: Record | str, **changes: Any) -> Application:
        numbers = tuple(p if isinstance(p, str) else p.atena_no for p in persons) or ("0000000001",)
        given: dict[str, Any] = {
            "relation": Relation.SELF if len(numbers) == 1 else Relation.HOUSEHOLD,
            "requester": Requester(name="渡邉　太郎", identity=IdentityCheck.PHOTO, atena_no=numbers[0]),
            "persons": numbers,
            "purpose": "residence",
        }
        return Application(**(given | changes))

    return of
