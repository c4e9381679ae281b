"""証明書: who asks, for whom, for what, with which items; and what was prepared and issued.

Sources: 住民基本台帳法 第12条 (本人等), 第12条の2 (国・地方公共団体の機関), 第12条の3 (本人等以外の者), 第15条の4 (除票);
住民記録システム標準仕様書 様式 20.1.1 (住民票の写し), 20.1.2 (世帯連記式), 20.1.3 (除票の写し).
"""

from __future__ import annotations

import datetime as dt
import tomllib
from enum import StrEnum
from functools import lru_cache
from pathlib import Path
from typing import Final

import msgspec

from juki.personal import Personal
from juki.registry.model import keeps_home

MAX_PERSONS: Final = 40
MAX_COPIES: Final = 20
PREPARED_MINUTES: Final = 30
SEALED: Final = (
    ("certificate_application", "application", "application_no", "1", "application_sealed"),
    ("certificate_spool", "paper", "application_no", "1", "pdf_sealed"),
)
"""Sealed columns for re-keying: table, group, column of the row key, row version, sealed column."""


class CertificateKind(StrEnum):
    """証明書の種類."""

    RESIDENT = "resident"  # 住民票の写し
    REMOVED = "removed"  # 除票の写し


class Relation(StrEnum):
    """請求者の区分 (住基法 第12条, 第12条の2, 第12条の3)."""

    SELF = "self"  # 本人
    HOUSEHOLD = "household"  # 同一世帯員
    AGENT = "agent"  # 代理人
    THIRD = "third"  # 第三者
    OFFICIAL = "official"  # 公用 (国・地方公共団体の機関)


class IdentityCheck(StrEnum):
    """本人確認の方法 (住基法 第12条第3項; 省令)."""

    PHOTO = "photo"  # 官公署発行の顔写真付き書類 1点 (個人番号カード, 運転免許証, 在留カード)
    TWO_PAPERS = "two_papers"  # 顔写真のない書類 2点
    NONE = "none"  # 確認できない


class Item(StrEnum):
    """選択できる記載事項; everything else of the form is always printed."""

    KANA = "kana"  # 振り仮名
    RELATIONSHIP = "relationship"  # 世帯主・続柄
    DOMICILE = "domicile"  # 本籍・筆頭者
    MY_NUMBER = "my_number"  # 個人番号
    RESIDENT_CODE = "resident_code"  # 住民票コード
    NATIONALITY = "nationality"  # 国籍・地域
    RESIDENCE = "residence"  # 法第30条の45区分, 在留資格, 在留期間等, 満了日
    CARD_NUMBER = "card_number"  # 在留カード等の番号
    ALIAS_HISTORY = "alias_history"  # 通称の記載・削除の履歴
    REMARKS = "remarks"  # 備考


FOREIGN_ITEMS: Final = frozenset({Item.NATIONALITY, Item.RESIDENCE, Item.CARD_NUMBER, Item.ALIAS_HISTORY})
RIGHT_OF_ITEM: Final = {Item.MY_NUMBER: "resident.my_number", Item.RESIDENT_CODE: "resident.code"}
GROUP_OF_ITEM: Final = {
    Item.DOMICILE: "domicile",
    Item.MY_NUMBER: "my_number",
    Item.RESIDENT_CODE: "resident_code",
    Item.NATIONALITY: "foreigner",
    Item.RESIDENCE: "foreigner",
    Item.CARD_NUMBER: "foreigner",
    Item.REMARKS: "notes",
}


class Purpose(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """請求の目的 and the least that it needs; `my_number` where a law lets the receiver take the number."""

    code: str
    text: str
    items: tuple[Item, ...] = ()
    my_number: bool = False
    free_of_fee: bool = False


@lru_cache(maxsize=1)
def purposes() -> dict[str, Purpose]:
    """請求の目的 by code, in the order shown at the counter."""
    raw = tomllib.loads((Path(__file__).parent / "purposes.toml").read_text(encoding="utf-8"))
    listed = msgspec.convert(raw["purpose"], tuple[Purpose, ...])
    return {purpose.code: purpose for purpose in listed}


def preset(purpose_code: str, *, foreign: bool) -> tuple[Item, ...]:
    """Items offered first for a purpose: the least that does; foreign items only for a foreign resident."""
    purpose = purposes().get(purpose_code)
    if purpose is None:
        return ()
    return tuple(item for item in purpose.items if item not in FOREIGN_ITEMS or foreign)


class Requester(Personal, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """請求者: the person at the counter, as the application form says."""

    name: str
    address: str = ""
    identity: IdentityCheck = IdentityCheck.NONE
    atena_no: str = ""  # where the requester is a resident too
    organisation: str = ""  # 公用 or a legal person
    authority: str = ""  # 委任状, 法定代理人, 職務上請求書 ...


class Application(Personal, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """交付申請: everything that must be on record before anything is issued (P-3-1)."""

    kind: CertificateKind = CertificateKind.RESIDENT
    relation: Relation
    requester: Requester
    persons: tuple[str, ...]  # 宛名番号, one household
    purpose: str  # code of purposes.toml
    purpose_detail: str = ""
    ground: str = ""  # 請求の根拠: 法令 or 利用の目的 where not of the household
    items: tuple[Item, ...] = ()
    copies: int = 1
    official_use: bool = False  # 公用: no fee, marked on paper
    printer_no: int = 1

    def is_whole_group_form(self) -> bool:
        """True where the joint form (世帯連記式) is used: more than one person."""
        return len(self.persons) > 1


class Held(Personal, frozen=True, kw_only=True):
    """交付準備の控え: what is sealed between preparing and issuing: the application and the versions it was judged on."""

    application: Application
    versions: dict[str, int]  # 宛名番号 -> 履歴番号


class Guard(msgspec.Struct, frozen=True, kw_only=True):
    """What stands over one person at this moment: measures and suppressions, as the registry tells them."""

    protected: bool = False  # 支援措置
    co_protected: frozenset[str] = frozenset()  # 宛名番号 protected by the same measure
    suppressed: str = ""  # 抑止 of 発行: "" | "alert" | "error"
    draft_pending: bool = False  # 仮登録 under way; the record before it is what is certified
    known_to: frozenset[str] = frozenset()  # 宛名番号 of who live or lived wherever the paper says this person does

    @property
    def keeps_home(self) -> bool:
        """True where no paper tells a stranger where this person lives."""
        return keeps_home(self.protected, self.suppressed)


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """Outcome of the rules. `refusal` is what may be said aloud; `notice` and `warnings` are for the clerk's eyes."""

    refusal: str = ""
    notice: str = ""
    warnings: tuple[str, ...] = ()
    fields: dict[str, str] = {}

    @property
    def is_allowed(self) -> bool:
        """True where nothing stands against it."""
        return not self.refusal


class Prepared(msgspec.Struct, frozen=True, kw_only=True):
    """交付準備済み: a checked application. The token is good once, for this clerk at this terminal, until `expires_at`."""

    token: str
    application_no: int
    expires_at: dt.datetime
    warnings: tuple[str, ...] = ()
    fee_yen: int = 0
    copies: int = 1
    pages: int = 1


class Issued(Personal, frozen=True, kw_only=True):
    """交付済み: the paper and its numbers. `pdf` holds every copy, one after the other."""

    pdf: bytes
    labels: tuple[str, ...]  # 発行番号, one a copy
    issue_nos: tuple[int, ...]
    application_no: int
    copies: int
    pages: int  # of one copy
    fee_yen: int
    issued_at: dt.datetime
    repeated: bool = False  # the same application was issued before; this is that paper again

    @property
    def issue_no(self) -> str:
        """発行番号 of the first copy, to be quoted."""
        return self.labels[0]


class Disposal(StrEnum):
    """書損・誤交付の理由."""

    MISPRINT = "misprint"  # 印字不良
    WRONG_PERSON = "wrong_person"  # 対象者の誤り
    WRONG_ITEMS = "wrong_items"  # 記載事項の誤り
    NOT_COLLECTED = "not_collected"  # 受け取りなし


class IssueEntry(msgspec.Struct, frozen=True, kw_only=True):
    """交付履歴 [31] of one resident: one sheet set."""

    issue_no: int
    label: str
    kind: CertificateKind
    relation: Relation
    copy_no: int
    version_no: int  # 履歴番号 that was certified
    items: tuple[str, ...]
    pages: int
    fee_yen: int
    official_use: bool
    terminal_id: str
    issued_at: dt.datetime
    issued_by: str
    disposed: str = ""
    disposed_at: dt.datetime | None = None
