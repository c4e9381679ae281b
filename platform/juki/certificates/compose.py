"""証明書の記載: records become the words of the form, in the order of the form. Pure; knows no typst and no pixel.

Form 20.1.1 (one person), 20.1.2 (世帯連記式, four members a page) and 20.1.3 (除票). An item not asked for prints 省略,
the word and not a blank; an item that does not exist prints marks, so that nobody writes into an empty box.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import Final, TypeVar

import msgspec

from juki.certificates.model import FOREIGN_ITEMS, Application, CertificateKind, Item
from juki.certificates.rules import is_leaving
from juki.dates import JST, RegistryDate, from_date, wareki, western
from juki.personal import Personal, SealedGroup
from juki.problem import JukiError
from juki.registry.model import (
    Address,
    Basic,
    Domicile,
    Foreigner,
    Household,
    Kind,
    Place,
    Record,
    Removal,
    Sex,
    Status,
)

Group = TypeVar("Group", bound=SealedGroup)

OMITTED: Final = "省略"
ABSENT: Final = "＊＊＊"
MEMBERS_A_PAGE: Final = 4
_SEX: Final = {Sex.MALE: "男", Sex.FEMALE: "女", Sex.UNKNOWN: ABSENT}
_REMOVED_BY: Final = {Status.MOVED_OUT: "転出", Status.DECEASED: "死亡", Status.REMOVED: "職権消除"}
_STATEMENT: Final = {
    CertificateKind.RESIDENT: "この写しは、住民票の原本と相違ないことを証明する。",
    CertificateKind.REMOVED: "この写しは、除票の原本と相違ないことを証明する。",
}


class Office(msgspec.Struct, frozen=True, kw_only=True):
    """交付する市区町村: what its settings say about the paper. No personal data but the head's public name."""

    prefecture: str
    municipality: str
    head_title: str  # いわき市長
    head_name: str
    seal_svg: str  # 公印 as a picture
    seal_mm: float = 21.0
    counter: str = "本庁1"  # office and number of the terminal
    fees_yen: dict[CertificateKind, int] = {}
    glyphs: dict[str, str] = {}  # 外字 of the user area -> its glyph as SVG


class Field(Personal, frozen=True, kw_only=True):
    """One box of the form."""

    item: str
    label: str
    value: str


class Block(Personal, frozen=True, kw_only=True):
    """One person on the form. `layout` names the arrangement of boxes in the template."""

    layout: str
    fields: tuple[Field, ...]


class Page(Personal, frozen=True, kw_only=True):
    """One page of one copy."""

    common: tuple[Field, ...]
    blocks: tuple[Block, ...]


class Sheet(Personal, frozen=True, kw_only=True):
    """One certificate before it is set: every word that the paper will carry, except its numbers."""

    title: str
    subtitle: str
    form: str  # single | joint
    pages: tuple[Page, ...]
    statement: str
    date: str
    head: str
    official_use: bool

    def words(self) -> list[tuple[str, str]]:
        """(label, value) in the order of the form: what a golden file holds."""
        lines = [("表題", f"{self.title}{self.subtitle}")]
        for page in self.pages:
            lines += [(f.label, f.value) for f in page.common]
            lines += [(f.label, f.value) for block in page.blocks for f in block.fields]
        return [*lines, ("認証文", self.statement), ("交付年月日", self.date), ("認証者", self.head)]


def compose(application: Application, household: Household, office: Office, *, now: dt.datetime) -> Sheet:
    """Page values of an application that passed the rules. `household` holds the persons asked for, in register order."""
    members = [m for m in household.members if m.atena_no in application.persons]
    if not members:
        raise JukiError("certificates.nobody", "no member of the household is among the persons asked for")
    joint = application.is_whole_group_form()
    removed = application.kind is CertificateKind.REMOVED
    title = "除票" if removed else "住民票"
    return Sheet(
        title=title,
        subtitle="（世帯連記式）" if joint else "",
        form="joint" if joint else "single",
        pages=_joint_pages(application, members) if joint else (_single_page(application, members[0]),),
        statement=_STATEMENT[application.kind],
        date=wareki(from_date(now.astimezone(JST).date())),
        head=f"{office.prefecture}{office.head_title}　{office.head_name}",
        official_use=application.official_use,
    )


def _single_page(application: Application, record: Record) -> Page:
    fields = _person(application, record)
    layout = f"single_{record.kind.value}" + ("_removed" if application.kind is CertificateKind.REMOVED else "")
    return Page(common=(), blocks=(Block(layout=layout, fields=fields),))


def _joint_pages(application: Application, members: Sequence[Record]) -> tuple[Page, ...]:
    first = members[0]
    common = (_address(first), _head(first, frozenset(application.items)))
    blocks = [Block(layout=f"joint_{m.kind.value}", fields=_joint_member(application, m)) for m in members]
    cuts = range(0, len(blocks), MEMBERS_A_PAGE)
    return tuple(Page(common=common, blocks=tuple(blocks[i : i + MEMBERS_A_PAGE])) for i in cuts)


def _joint_member(application: Application, record: Record) -> tuple[Field, ...]:
    shared = {"address", "head_name"}
    fields = [f for f in _person(application, record) if f.item not in shared]
    if application.kind is CertificateKind.REMOVED:
        # The joint form has no rows for a removal; they go to 備考, before anything else.
        removal = "　".join(f"{f.label}：{f.value}" for f in _removal(record) if f.value != ABSENT)
        fields = [f for f in fields if not f.item.startswith("removal")]
        fields = [_joined(f, removal) if f.item == "remarks" else f for f in fields]
    return tuple(fields)


def _joined(field: Field, more: str) -> Field:
    rest = "" if field.value in {ABSENT, OMITTED} else f"　{field.value}"
    return Field(item=field.item, label=field.label, value=more + rest)


# --- one person, in the order of the form -------------------------------------------------------------------------


def _person(application: Application, record: Record) -> tuple[Field, ...]:
    basic, address = _held(record.basic), _held(record.address)
    asked = frozenset(application.items)
    origin = _foreign(record, asked) if record.kind is Kind.FOREIGN else _domicile(record, asked)
    number = record.my_number.my_number if record.my_number else ""
    code = record.resident_code.resident_code if record.resident_code else ""
    return (
        *_names(record, basic, asked),
        *_birth(record, basic, asked),
        _head(record, asked),
        _address(record),
        *_dates(record, address),
        *origin,
        _field("my_number", "個人番号", _grouped(number), Item.MY_NUMBER in asked),
        _field("resident_code", "住民票コード", _grouped(code), Item.RESIDENT_CODE in asked),
        *(_removal(record) if application.kind is CertificateKind.REMOVED else ()),
        _remarks(record, asked),
    )


def _names(record: Record, basic: Basic, asked: frozenset[Item]) -> tuple[Field, ...]:
    kana = basic.name_kana if Item.KANA in asked else ""
    written = _written_name(basic) if record.kind is Kind.FOREIGN else basic.name
    name = _field("name", "氏名", f"（{kana}）\n{written}" if kana else written)
    if record.kind is Kind.FOREIGN:
        return name, _field("alias", "通称", basic.alias)
    return name, _field("former_surname", "旧氏", basic.former_surname)


def _written_name(basic: Basic) -> str:
    """氏名 of a foreign resident as on the residence card: in roman letters, and in kanji beside them where both are held."""
    once: dict[str, str] = {}
    for name in (basic.name_roman, basic.name, basic.name_kanji):
        once.setdefault(" ".join(name.split()), name)  # the same but for its spaces is printed once
    return "　".join(name for bare, name in once.items() if bare)


def _birth(record: Record, basic: Basic, asked: frozenset[Item]) -> tuple[Field, ...]:
    written = western if record.kind is Kind.FOREIGN else wareki
    return (
        _field("birth", "生年月日", written(basic.birth)),
        _field("sex", "性別", _SEX[basic.sex]),
        _field("relationship", "続柄", basic.relationship, Item.RELATIONSHIP in asked),
    )


def _head(record: Record, asked: frozenset[Item]) -> Field:
    basic = _held(record.basic)
    name = basic.head_name or (basic.name if record.is_head else "")
    return _field("head_name", "世帯主", name, Item.RELATIONSHIP in asked)


def _address(record: Record) -> Field:
    return _field("address", "住所", _place(_held(record.address).address))


def _dates(record: Record, address: Address) -> tuple[Field, ...]:
    since, label = address.resident_since, "住民となった年月日"
    if record.kind is Kind.FOREIGN:
        label = "外国人住民となった年月日"
        since = (record.foreigner.foreign_resident_since if record.foreigner else None) or since
    return (
        _field("resident_since", label, _day(since)),
        _field("address_since", "住所を定めた年月日", _day(address.address_since)),
        _field("notified_on", "届出の年月日", _day(address.notified_on)),
        _field("previous_address", "転入前住所", _place(address.previous_address)),
        _field("moved_within_from", "異動前住所", _place(address.moved_within_from)),
    )


def _domicile(record: Record, asked: frozenset[Item]) -> tuple[Field, ...]:
    domicile = record.domicile or Domicile()
    chosen = Item.DOMICILE in asked
    return (
        _field("registered_domicile", "本籍", domicile.registered_domicile, chosen),
        _field("family_head", "筆頭者", domicile.family_head, chosen),
    )


def _foreign(record: Record, asked: frozenset[Item]) -> tuple[Field, ...]:
    held = record.foreigner or Foreigner()
    residence = Item.RESIDENCE in asked
    expires = western(held.residence_expires) if held.residence_expires else ""
    return (
        _field("nationality", "国籍・地域", held.nationality, Item.NATIONALITY in asked),
        _field("category", "法第30条の45に規定する区分", held.category, residence),
        _field("residence_status", "在留資格", held.residence_status, residence),
        _field("residence_period", "在留期間等", held.residence_period, residence),
        _field("residence_expires", "在留期間の満了の日", expires, residence),
        _field("card_number", "在留カード等の番号", held.card_number, Item.CARD_NUMBER in asked),
        _field("alias_history", "通称の記載・削除", _alias_history(_held(record.basic)), Item.ALIAS_HISTORY in asked),
    )


def _alias_history(basic: Basic) -> str:
    if not basic.alias_entered_on:
        return ""
    entered = f"{wareki(basic.alias_entered_on)} {basic.alias_entered_at} 記載"
    if basic.alias_removed_on is None:
        return entered
    return f"{entered}　{wareki(basic.alias_removed_on)} {basic.alias_removed_at} 削除"


def _removal(record: Record) -> tuple[Field, ...]:
    removal = record.removal or Removal()
    to = removal.settled_address if removal.settled_address.text else removal.planned_address
    return (
        _field("removal_reason", "消除の事由", removal.reason or _REMOVED_BY.get(record.status, "")),
        _field("removal_on", "事由の生じた年月日", _day(removal.occurred_on or removal.moved_out_on)),
        _field("removal_to", "転出先住所", _place(to)),
    )


def _remarks(record: Record, asked: frozenset[Item]) -> Field:
    written = OMITTED
    if Item.REMARKS in asked:
        written = record.notes.remarks if record.notes else ""
    if is_leaving(record) and record.removal is not None:
        planned = f"転出予定　{_day(record.removal.occurred_on)}"
        written = planned if written in {"", OMITTED} else f"{planned}　{written}"
    return _field("remarks", "備考", written)


# --- words --------------------------------------------------------------------------------------------------------


def _field(item: str, label: str, value: str, chosen: bool = True) -> Field:
    lines = value.strip().replace("\r\n", "\n")  # 備考 of several lines, as a browser or an extract writes them
    return Field(item=item, label=label, value=(lines or ABSENT) if chosen else OMITTED)


def _held(group: Group | None) -> Group:
    """A group that every certificate needs; a reader who did not load it has a defect, not a bad request."""
    if group is None:
        raise JukiError("certificates.group_missing", "a disclosure group was not read")
    return group


def _day(day: RegistryDate | None) -> str:
    return wareki(day) if day is not None else ""


def _place(place: Place) -> str:
    return "\n".join(part for part in (f"{place.country}{place.text}", place.building) if part)


def _grouped(digits: str, size: int = 4) -> str:
    return " ".join(digits[i : i + size] for i in range(0, len(digits), size))


def label(office: Office, application: Application, running_no: int, *, now: dt.datetime) -> str:
    """発行番号 without its page: date, municipality, counter, printer, running number of the terminal."""
    day = now.astimezone(JST)
    printer = f"プリンタ{application.printer_no:03d}"
    return f"{day:%Y%m%d} {office.municipality} {office.counter} {printer} {running_no:06d}"


def fiscal_year(now: dt.datetime) -> int:
    """年度: April to March; running numbers begin again at 1."""
    day = now.astimezone(JST)
    return day.year if day.month >= 4 else day.year - 1


def disclosed_items(application: Application, record: Record) -> tuple[str, ...]:
    """Names of what a paper says of one person, for the issue history and the disclosure row."""
    foreign = record.kind is Kind.FOREIGN
    names = ("name", "alias" if foreign else "former_surname", "birth", "sex")
    moves = ("address", "resident_since", "address_since", "notified_on", "previous_address", "moved_within_from")
    lacking = {Item.DOMICILE} if foreign else FOREIGN_ITEMS
    chosen = (i.value for i in Item if i in application.items and i not in lacking)
    removal = ("removal",) if application.kind is CertificateKind.REMOVED else ()
    leaving = ("leaving",) if is_leaving(record) else ()
    return (*names, *moves, *chosen, *removal, *leaving)
