"""住民票の82項目 in the order of the paper: which group shows which item, and how a value reads."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

import msgspec

from juki import dates
from juki.console import words
from juki.dates import RegistryDate
from juki.registry.model import Insured, Kind, Pension, Place, Record, Sex, Status


class Item(msgspec.Struct, frozen=True):
    """One line of the resident page: the numbers of the recorded items it shows, its label, and where the value lives."""

    numbers: tuple[int, ...]
    label: str
    path: str


class Section(msgspec.Struct, frozen=True):
    """A group of lines; `open` ones are always seen, the others are folded while blank."""

    title: str
    items: Sequence[Item]
    open: bool = False


class Line(msgspec.Struct, frozen=True):
    """A line as shown. `masked` lines need a right and a purpose before they show."""

    numbers: tuple[int, ...]
    label: str
    text: str
    path: str
    masked: bool = False


class Shown(msgspec.Struct, frozen=True):
    """A section with its values read."""

    title: str
    lines: list[Line]
    open: bool
    filled: int


def _i(numbers: int | tuple[int, ...], label: str, path: str) -> Item:
    return Item(numbers if isinstance(numbers, tuple) else (numbers,), label, path)


SECTIONS: Final[tuple[Section, ...]] = (
    Section(
        "氏名・生年月日・世帯",
        (
            _i(1, "氏名", "basic.name"),
            _i((2, 70), "フリガナ", "basic.name_kana"),
            _i(3, "旧氏", "basic.former_surname"),
            _i(61, "通称", "basic.alias"),
            _i((4, 66), "生年月日", "basic.birth"),
            _i(5, "性別", "basic.sex"),
            _i(6, "世帯主の氏名", "basic.head_name"),
            _i(6, "続柄", "basic.relationship"),
            _i(7, "世帯主である旨", "is_head"),
        ),
        open=True,
    ),
    Section(
        "住所",
        (
            _i(10, "住所", "address.address"),
            _i(9, "住民となった年月日", "address.resident_since"),
            _i(11, "住所を定めた年月日", "address.address_since"),
            _i(12, "届出の年月日", "address.notified_on"),
            _i(13, "転入前住所", "address.previous_address"),
            _i(41, "最終登録住所地", "address.last_registered_address"),
        ),
        open=True,
    ),
    Section(
        "戸籍の表示",
        (_i(8, "本籍", "domicile.registered_domicile"), _i(8, "筆頭者", "domicile.family_head")),
        open=True,
    ),
    Section(
        "番号",
        (
            _i(14, "個人番号", "my_number.my_number"),
            _i(21, "住民票コード", "resident_code.resident_code"),
            _i(25, "宛名番号", "atena_no"),
            _i(26, "世帯番号", "setai_no"),
            _i(27, "世帯員の並び順", "member_order"),
            _i((29, 55), "住民状態", "status"),
            _i(30, "住民種別", "kind"),
            _i(28, "履歴番号", "version_no"),
        ),
        open=True,
    ),
    Section(
        "氏名の付帯事項",
        (
            _i(71, "フリガナの確認", "basic.name_kana_confirmed"),
            _i(35, "フリガナの公証", "basic.name_kana_certified"),
            _i(36, "旧氏のフリガナ", "basic.former_surname_kana"),
            _i(37, "旧氏のフリガナの確認", "basic.former_surname_kana_confirmed"),
            _i(59, "氏名(ローマ字)", "basic.name_roman"),
            _i(60, "氏名(漢字)", "basic.name_kanji"),
            _i(76, "氏名のカタカナ表記", "basic.name_katakana"),
            _i(72, "通称のフリガナ", "basic.alias_kana"),
            _i(73, "通称のフリガナの確認", "basic.alias_kana_confirmed"),
            _i(62, "通称を記載した年月日", "basic.alias_entered_on"),
            _i(63, "通称を記載した市区町村", "basic.alias_entered_at"),
            _i(74, "通称を記載した市区町村コード", "basic.alias_entered_code"),
            _i(64, "通称を削除した年月日", "basic.alias_removed_on"),
            _i(65, "通称を削除した市区町村", "basic.alias_removed_at"),
            _i(75, "通称を削除した市区町村コード", "basic.alias_removed_code"),
            _i(80, "氏名優先区分", "basic.name_priority"),
        ),
    ),
    Section(
        "住所の付帯事項",
        (
            _i(38, "住所コード", "address.address.code"),
            _i(39, "郵便番号", "address.address.postal"),
            _i(40, "転入前住所コード", "address.previous_address.code"),
            _i(40, "転入前住所の郵便番号", "address.previous_address.postal"),
            _i(58, "旧世帯主", "address.former_head_name"),
            _i((), "異動前住所", "address.moved_within_from"),
        ),
    ),
    Section(
        "外国人住民に関する事項",
        (
            _i(67, "外国人住民となった年月日", "foreigner.foreign_resident_since"),
            _i(68, "国籍・地域", "foreigner.nationality"),
            _i(69, "法第30条の45の区分", "foreigner.category"),
            _i(69, "在留資格", "foreigner.residence_status"),
            _i(69, "在留期間", "foreigner.residence_period"),
            _i(69, "在留期間の満了の日", "foreigner.residence_expires"),
            _i(69, "在留カード等の番号", "foreigner.card_number"),
            _i(77, "住居地の届出", "foreigner.dwelling_notified"),
            _i(78, "法第30条の46の届出", "foreigner.article_30_46"),
            _i(79, "法第30条の47の届出", "foreigner.article_30_47"),
            _i(81, "特別永住者証明書の交付年月日", "foreigner.special_card_issued_on"),
            _i(82, "特別永住者証明書の有効期間の満了日", "foreigner.special_card_expires"),
        ),
    ),
    Section(
        "資格・給付",
        (
            _i(15, "選挙人名簿への登録", "entitlements.voter"),
            _i(16, "国民健康保険", "entitlements.health"),
            _i(17, "後期高齢者医療", "entitlements.elderly_health"),
            _i(18, "介護保険", "entitlements.care"),
            _i(19, "国民年金", "entitlements.pension"),
            _i(20, "児童手当の支給開始年月", "entitlements.child_allowance_from"),
            _i(20, "児童手当の支給終了年月", "entitlements.child_allowance_until"),
            _i(43, "成年被後見人", "entitlements.ward"),
            _i(44, "審判確定年月日", "entitlements.ward_decided_on"),
            _i(45, "登記年月日", "entitlements.ward_registered_on"),
            _i(46, "後見の登記を知った年月日", "entitlements.ward_known_on"),
            _i(42, "カードの状態", "entitlements.card_status"),
            _i(49, "署名用電子証明書のシリアル番号", "entitlements.signing_serial"),
            _i(50, "利用者証明用電子証明書のシリアル番号", "entitlements.authentication_serial"),
        ),
    ),
    Section(
        "消除・転出・改製",
        (
            _i(22, "消除事由", "removal.reason"),
            _i(24, "事由の生じた年月日", "removal.occurred_on"),
            _i(23, "転出先住所(予定)", "removal.planned_address"),
            _i(56, "転出先住所(予定)のコード", "removal.planned_address.code"),
            _i(56, "転出先住所(予定)の郵便番号", "removal.planned_address.postal"),
            _i(51, "転出先住所(確定)", "removal.settled_address"),
            _i(57, "転出先住所(確定)のコード", "removal.settled_address.code"),
            _i(57, "転出先住所(確定)の郵便番号", "removal.settled_address.postal"),
            _i(53, "転出年月日(確定)", "removal.moved_out_on"),
            _i(52, "転入通知年月日", "removal.move_in_notified_on"),
            _i(47, "改製記載年月日", "removal.reissue_entered_on"),
            _i(54, "改製消除年月日", "removal.reissue_removed_on"),
            _i(48, "再製記載年月日", "removal.restored_entered_on"),
        ),
    ),
    Section("備考・メモ", (_i(33, "備考", "notes.remarks"), _i(34, "メモ", "notes.memo"))),
)
# 31 交付履歴 and 32 抑止 are tables of their own on the same page.
ELSEWHERE: Final = frozenset({31, 32})
MASKED: Final = frozenset({"my_number.my_number", "resident_code.resident_code"})
OPEN_GROUPS: Final = ("basic", "address", "domicile", "foreigner", "entitlements", "removal", "notes")
MASK: Final = "表示していません"


def shown(record: Record, *, revealed: frozenset[str] = frozenset()) -> list[Shown]:
    """Every section with its values; `revealed` names the masked paths that were asked for with right and purpose."""
    return [_shown(section, record, revealed) for section in SECTIONS]


def _shown(section: Section, record: Record, revealed: frozenset[str]) -> Shown:
    lines = [_line(item, record, revealed) for item in section.items]
    return Shown(section.title, lines, section.open, sum(1 for line in lines if line.text or line.masked))


def _line(item: Item, record: Record, revealed: frozenset[str]) -> Line:
    if item.path in MASKED and item.path not in revealed:
        return Line(item.numbers, item.label, MASK, item.path, masked=True)
    return Line(item.numbers, item.label, read(value_at(record, item.path), record, item.path), item.path)


def value_at(record: Record, path: str) -> Any:
    """The value at a path; None where its group is not this reader's."""
    value: Any = record
    for part in path.split("."):
        value = getattr(value, part, None)
        if value is None:
            return None
    return value


def read(value: Any, record: Record, path: str = "") -> str:
    """A value in the words of the paper; blank where there is none."""
    if value is None:
        return ""
    if isinstance(value, RegistryDate):
        western = record.kind is Kind.FOREIGN and path in {"basic.birth", "foreigner.residence_expires"}
        return dates.western(value) if western else dates.wareki(value)
    if path == "basic.name_priority":
        return words.NAME_PRIORITY.get(str(value), str(value))
    for kind, reader in _READERS:
        if isinstance(value, kind):
            return reader(value)
    return str(value)


def place(value: Place) -> str:
    """住所 with 方書 and country, as one line."""
    return "　".join(part for part in (value.country, value.text, value.building) if part)


def _insured(value: Insured) -> str:
    if not value.entitled and value.acquired_on is None:
        return ""
    parts = ["該当" if value.entitled else "非該当"]
    if value.acquired_on:
        parts.append(f"取得 {words.day(value.acquired_on)}")
    if value.lost_on:
        parts.append(f"喪失 {words.day(value.lost_on)}")
    return "　".join(parts)


def _pension(value: Pension) -> str:
    insured = _insured(Insured(entitled=value.entitled, acquired_on=value.acquired_on, lost_on=value.lost_on))
    parts = [insured, value.category, f"基礎年金番号 {value.number}" if value.number else ""]
    if value.category_changed_on:
        parts.append(f"種別変更 {words.day(value.category_changed_on)}")
    return "　".join(part for part in parts if part)


_READERS: Final[tuple[tuple[type, Callable[[Any], str]], ...]] = (
    (bool, lambda v: "該当" if v else ""),
    (Status, lambda v: words.STATUS[v]),
    (Kind, lambda v: words.KIND[v]),
    (Sex, lambda v: words.SEX[v]),
    (Place, place),
    (Pension, _pension),
    (Insured, _insured),
)
