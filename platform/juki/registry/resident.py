"""住民・世帯・異動: the resident record as one value, cut into disclosure groups that are sealed apart.

Item numbers in brackets are those of the 82 recorded items (住民基本台帳ファイル, 別添2); `ITEMS` gives each one its home.
"""

from __future__ import annotations

import datetime as dt
from enum import StrEnum
from typing import Final

import msgspec

from juki.dates import RegistryDate
from juki.personal import Personal, SealedGroup


class Status(StrEnum):
    """住民状態 [29][55]."""

    RESIDENT = "resident"  # 住民
    MOVED_OUT = "moved_out"  # 転出
    DECEASED = "deceased"  # 死亡
    REMOVED = "removed"  # 職権消除その他の消除
    VOID = "void"  # 記載の取消し


class Kind(StrEnum):
    """住民種別 [30]."""

    JAPANESE = "japanese"
    FOREIGN = "foreign"


class Sex(StrEnum):
    """性別 [5]; interface codes 0, 1, 2."""

    UNKNOWN = "0"
    MALE = "1"
    FEMALE = "2"


class Place(msgspec.Struct, frozen=True, kw_only=True, array_like=True, omit_defaults=True):
    """住所: as printed, plus the keys that link it to an address base. Not Personal: it lives only inside sealed groups."""

    text: str = ""  # whole address as printed, without 方書
    building: str = ""  # 方書
    code: str = ""  # 住所コード (11 digits, or municipality code + 町字ID)
    postal: str = ""  # 7 digits
    country: str = ""  # 国名 where abroad

    def __repr__(self) -> str:
        return "<Place withheld>"


class Basic(SealedGroup, frozen=True, kw_only=True):
    """基本: names with kana, birth, sex and place in the household. Group `basic`."""

    name: str  # [1] 氏名; family and given joined by U+3000
    birth: RegistryDate  # [4][66] printed in 和暦 for a Japanese, 西暦 for a foreign resident
    name_kana: str = ""  # [2][70] 振り仮名, フリガナ
    sex: Sex = Sex.UNKNOWN  # [5]
    former_surname: str = ""  # [3] 旧氏
    former_surname_kana: str = ""  # [36]
    former_surname_kana_confirmed: bool = False  # [37]
    head_name: str = ""  # [6] 世帯主の氏名
    relationship: str = ""  # [6] 続柄
    name_kana_certified: bool = False  # [35] 公証フラグ
    name_roman: str = ""  # [59]
    name_kanji: str = ""  # [60]
    alias: str = ""  # [61] 通称
    alias_kana: str = ""  # [72]
    alias_kana_confirmed: bool = False  # [73]
    alias_entered_on: RegistryDate | None = None  # [62]
    alias_entered_at: str = ""  # [63] 市区町村
    alias_entered_code: str = ""  # [74]
    alias_removed_on: RegistryDate | None = None  # [64]
    alias_removed_at: str = ""  # [65]
    alias_removed_code: str = ""  # [75]
    name_kana_confirmed: bool = False  # [71]
    name_katakana: str = ""  # [76] 氏名のカタカナ表記
    name_priority: str = ""  # [80] "name" or "alias"


class Address(SealedGroup, frozen=True, kw_only=True):
    """住所に関する事項. Group `address`."""

    address: Place = Place()  # [10][38][39]
    resident_since: RegistryDate | None = None  # [9] 住民となった年月日
    address_since: RegistryDate | None = None  # [11] 住所を定めた年月日
    notified_on: RegistryDate | None = None  # [12] 届出の年月日
    previous_address: Place = Place()  # [13][40] 転入前住所
    last_registered_address: Place = Place()  # [41] 最終登録住所地
    former_head_name: str = ""  # [58] 旧世帯主
    moved_within_from: Place = Place()  # 異動前住所 of the certificate form


class Domicile(SealedGroup, frozen=True, kw_only=True):
    """戸籍の表示 [8]. Group `domicile`."""

    registered_domicile: str = ""  # 本籍
    family_head: str = ""  # 筆頭者


class Foreigner(SealedGroup, frozen=True, kw_only=True):
    """外国人住民に関する事項. Group `foreigner`."""

    foreign_resident_since: RegistryDate | None = None  # [67]
    nationality: str = ""  # [68] 国籍・地域
    category: str = ""  # [69] 法第30条の45の表の区分
    residence_status: str = ""  # [69] 在留資格
    residence_period: str = ""  # [69] 在留期間
    residence_expires: RegistryDate | None = None  # [69] 在留期間の満了の日
    card_number: str = ""  # [69] 在留カード等の番号
    dwelling_notified: bool = False  # [77]
    article_30_46: bool = False  # [78]
    article_30_47: bool = False  # [79]
    special_card_issued_on: RegistryDate | None = None  # [81]
    special_card_expires: RegistryDate | None = None  # [82]


class Insured(msgspec.Struct, frozen=True, kw_only=True, array_like=True, omit_defaults=True):
    """被保険者該当の有無と資格取得・喪失年月日."""

    entitled: bool = False
    acquired_on: RegistryDate | None = None
    lost_on: RegistryDate | None = None


class Pension(msgspec.Struct, frozen=True, kw_only=True, array_like=True, omit_defaults=True):
    """国民年金."""

    entitled: bool = False
    number: str = ""  # 基礎年金番号
    category: str = ""  # 種別
    category_changed_on: RegistryDate | None = None
    acquired_on: RegistryDate | None = None
    lost_on: RegistryDate | None = None

    def __repr__(self) -> str:
        return "<Pension withheld>"


class Entitlements(SealedGroup, frozen=True, kw_only=True):
    """資格・給付, 成年被後見人, カードと電子証明書. Group `entitlements`."""

    voter: bool = False  # [15]
    health: Insured = Insured()  # [16]
    elderly_health: Insured = Insured()  # [17]
    care: Insured = Insured()  # [18]
    pension: Pension = Pension()  # [19]
    child_allowance_from: RegistryDate | None = None  # [20]
    child_allowance_until: RegistryDate | None = None  # [20]
    card_status: str = ""  # [42]
    ward: bool = False  # [43] 成年被後見人
    ward_decided_on: RegistryDate | None = None  # [44]
    ward_registered_on: RegistryDate | None = None  # [45]
    ward_known_on: RegistryDate | None = None  # [46]
    signing_serial: str = ""  # [49]
    authentication_serial: str = ""  # [50]


class Removal(SealedGroup, frozen=True, kw_only=True):
    """消除, 転出, 改製, 再製. Group `removal`."""

    reason: str = ""  # [22] 消除事由
    planned_address: Place = Place()  # [23][56] 転出先住所(予定)
    occurred_on: RegistryDate | None = None  # [24] 事由の生じた年月日
    settled_address: Place = Place()  # [51][57] 転出先住所(確定)
    move_in_notified_on: RegistryDate | None = None  # [52] 転入通知年月日
    moved_out_on: RegistryDate | None = None  # [53] 転出年月日(確定)
    reissue_entered_on: RegistryDate | None = None  # [47] 改製記載年月日
    restored_entered_on: RegistryDate | None = None  # [48] 再製記載年月日
    reissue_removed_on: RegistryDate | None = None  # [54] 改製消除年月日


class Notes(SealedGroup, frozen=True, kw_only=True):
    """備考 [33], メモ [34]. Group `notes`."""

    remarks: str = ""
    memo: str = ""


class MyNumber(SealedGroup, frozen=True, kw_only=True):
    """個人番号 [14]. Group `my_number`: own key, own right, every touch marked in the log."""

    my_number: str = ""


class ResidentCode(SealedGroup, frozen=True, kw_only=True):
    """住民票コード [21]. Group `resident_code`."""

    resident_code: str = ""


GROUPS: Final[dict[str, type[SealedGroup]]] = {
    "basic": Basic,
    "address": Address,
    "domicile": Domicile,
    "my_number": MyNumber,
    "resident_code": ResidentCode,
    "foreigner": Foreigner,
    "entitlements": Entitlements,
    "removal": Removal,
    "notes": Notes,
}


class Record(Personal, frozen=True, kw_only=True):
    """住民票: one version of one resident, every item of it. A group the reader may not see is None.

    `version_no` is 履歴番号, counted from 1; a version is never changed, a later one replaces it.
    """

    atena_no: str  # [25] 宛名番号
    version_no: int  # 履歴番号
    setai_no: str  # [26] 世帯番号
    member_order: int  # [27] 世帯員の並び順, head 1
    is_head: bool  # [7]
    status: Status  # [29][55]
    kind: Kind  # [30]
    event_no: int = 0  # [28] the 異動 that made this version
    valid_from: dt.date = dt.date.min  # day the content is true from, for ordering
    known_from: dt.datetime | None = None  # 記録日時
    corrects_version: int | None = None
    cancels_version: int | None = None
    basic: Basic | None = None
    address: Address | None = None
    domicile: Domicile | None = None
    my_number: MyNumber | None = None
    resident_code: ResidentCode | None = None
    foreigner: Foreigner | None = None
    entitlements: Entitlements | None = None
    removal: Removal | None = None
    notes: Notes | None = None


class Household(Personal, frozen=True, kw_only=True):
    """世帯: its members at one moment, head first, in the order of the register.

    Of those in `held` (照会の抑止) nothing is told but that they are there: every group is None and nobody is the head.
    """

    setai_no: str
    members: tuple[Record, ...]
    held: tuple[str, ...] = ()

    def head(self) -> Record | None:
        """世帯主, None where no one is left."""
        return next((m for m in self.members if m.is_head), None)


# Home of each of the 82 recorded items: attribute paths of Record, or the table that answers for it.
ITEMS: Final[dict[int, tuple[str, ...]]] = {
    1: ("basic.name",),
    2: ("basic.name_kana",),
    3: ("basic.former_surname",),
    4: ("basic.birth",),
    5: ("basic.sex",),
    6: ("basic.head_name", "basic.relationship"),
    7: ("is_head",),
    8: ("domicile.registered_domicile", "domicile.family_head"),
    9: ("address.resident_since",),
    10: ("address.address.text", "address.address.building"),
    11: ("address.address_since",),
    12: ("address.notified_on",),
    13: ("address.previous_address.text", "address.previous_address.country"),
    14: ("my_number.my_number",),
    15: ("entitlements.voter",),
    16: ("entitlements.health",),
    17: ("entitlements.elderly_health",),
    18: ("entitlements.care",),
    19: ("entitlements.pension",),
    20: ("entitlements.child_allowance_from", "entitlements.child_allowance_until"),
    21: ("resident_code.resident_code",),
    22: ("removal.reason",),
    23: ("removal.planned_address.text",),
    24: ("removal.occurred_on",),
    25: ("atena_no",),
    26: ("setai_no",),
    27: ("member_order",),
    28: ("version_no", "event_no", "valid_from", "known_from", "corrects_version", "cancels_version"),
    29: ("status",),
    30: ("kind",),
    31: ("table:certificate_issue",),
    32: ("table:suppression",),
    33: ("notes.remarks",),
    34: ("notes.memo",),
    35: ("basic.name_kana_certified",),
    36: ("basic.former_surname_kana",),
    37: ("basic.former_surname_kana_confirmed",),
    38: ("address.address.code",),
    39: ("address.address.postal",),
    40: ("address.previous_address.code", "address.previous_address.postal"),
    41: ("address.last_registered_address.text",),
    42: ("entitlements.card_status",),
    43: ("entitlements.ward",),
    44: ("entitlements.ward_decided_on",),
    45: ("entitlements.ward_registered_on",),
    46: ("entitlements.ward_known_on",),
    47: ("removal.reissue_entered_on",),
    48: ("removal.restored_entered_on",),
    49: ("entitlements.signing_serial",),
    50: ("entitlements.authentication_serial",),
    51: ("removal.settled_address.text",),
    52: ("removal.move_in_notified_on",),
    53: ("removal.moved_out_on",),
    54: ("removal.reissue_removed_on",),
    55: ("status",),
    56: ("removal.planned_address.code", "removal.planned_address.postal"),
    57: ("removal.settled_address.code", "removal.settled_address.postal"),
    58: ("address.former_head_name",),
    59: ("basic.name_roman",),
    60: ("basic.name_kanji",),
    61: ("basic.alias",),
    62: ("basic.alias_entered_on",),
    63: ("basic.alias_entered_at",),
    64: ("basic.alias_removed_on",),
    65: ("basic.alias_removed_at",),
    66: ("basic.birth",),
    67: ("foreigner.foreign_resident_since",),
    68: ("foreigner.nationality",),
    69: (
        "foreigner.category",
        "foreigner.residence_status",
        "foreigner.residence_period",
        "foreigner.residence_expires",
        "foreigner.card_number",
    ),
    70: ("basic.name_kana",),
    71: ("basic.name_kana_confirmed",),
    72: ("basic.alias_kana",),
    73: ("basic.alias_kana_confirmed",),
    74: ("basic.alias_entered_code",),
    75: ("basic.alias_removed_code",),
    76: ("basic.name_katakana",),
    77: ("foreigner.dwelling_notified",),
    78: ("foreigner.article_30_46",),
    79: ("foreigner.article_30_47",),
    80: ("basic.name_priority",),
    81: ("foreigner.special_card_issued_on",),
    82: ("foreigner.special_card_expires",),
}
