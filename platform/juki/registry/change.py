"""異動: what a clerk enters from a paper form, one Struct per form, fields outside the form refused (R-1-3.2-MIN-02)."""

from __future__ import annotations

import datetime as dt
from enum import StrEnum
from typing import Final, TypeAlias

import msgspec

from juki.dates import RegistryDate
from juki.personal import Personal
from juki.registry.resident import Foreigner, Kind, Place, Sex


class Source(StrEnum):
    """入手元 (R-1-2.3-ACQ-01)."""

    PERSON = "person"  # 本人
    AGENT = "agent"  # 代理人, 同一世帯の者
    ADMINISTRATION = "administration"  # 行政機関
    LOCAL_GOVERNMENT = "local_government"  # 地方公共団体
    INTAKE = "intake"  # 申請管理システム


class Channel(StrEnum):
    """入手方法 (R-1-2.3-ACQ-01)."""

    PAPER = "paper"  # 窓口で受けた届出書
    DEDICATED_LINE = "dedicated_line"  # 専用線
    RESIDENT_NETWORK = "resident_network"  # 住民基本台帳ネットワーク
    E_APPLICATION = "e_application"  # サービス検索・電子申請機能


class Document(StrEnum):
    """本人確認書類 (R-A-3.2-ACQ-02)."""

    MY_NUMBER_CARD = "my_number_card"  # 個人番号カード
    DRIVING_LICENCE = "driving_licence"  # 運転免許証
    PASSPORT = "passport"  # 旅券
    RESIDENCE_CARD = "residence_card"  # 在留カード, 特別永住者証明書
    TWO_DOCUMENTS = "two_documents"  # 保険の資格確認書等の2点
    NOT_NEEDED = "not_needed"  # 職権, 他市区町村からの通知
    NONE = "none"  # 確認できず: a notice goes to the registered address (R-1-3.2-IDV-01)


class NumberSource(StrEnum):
    """個人番号 is recorded only as returned by the network or read from card or certificate (R-1-2.3-NUM-01)."""

    CARD = "card"  # 個人番号カード
    CERTIFICATE = "certificate"  # 転出証明書
    NETWORK = "network"  # 住民基本台帳ネットワーク
    STATED = "stated"  # said or written by hand: never recorded


class Reception(Personal, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """受付記録: the form in hand, who brought it and how they were known, before anything is entered (P-1-1)."""

    form_no: str  # 受付番号 on the paper
    source: Source = Source.PERSON
    channel: Channel = Channel.PAPER
    notifier: str = ""  # 届出人の氏名
    document: Document = Document.NONE
    checked_by: str = ""  # 確認した職員, the operator id


class Position(Personal, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """世帯での位置: one resident and the 続柄 that follows from the change."""

    atena_no: str
    relationship: str


class Newcomer(Personal, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """記載する人: one person of a 転入届, 出生届 or 職権記載."""

    name: str
    birth: RegistryDate
    relationship: str
    name_kana: str = ""
    sex: Sex = Sex.UNKNOWN
    kind: Kind = Kind.JAPANESE
    registered_domicile: str = ""  # 本籍
    family_head: str = ""  # 筆頭者
    former_surname: str = ""
    former_surname_kana: str = ""
    name_roman: str = ""
    name_kanji: str = ""
    alias: str = ""
    alias_kana: str = ""
    my_number: str = ""
    my_number_source: NumberSource = NumberSource.STATED
    resident_code: str = ""
    foreigner: Foreigner | None = None
    returning_atena_no: str = ""  # 再転入: the removed record that goes on, where a match was found


class _Notice(Personal, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Days every form carries. 処理日 is today and nobody can enter it."""

    occurred_on: RegistryDate  # 異動日
    notified_on: dt.date | None = None  # 届出日, today where left out
    remarks: str = ""  # 留意事項


class MoveIn(_Notice, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="move_in", tag_field="form"):
    """転入: a family or one person comes in. `setai_no` empty makes a new household whose first person is head."""

    reason: str = "move_in"  # move_in, move_in_abroad, entry
    persons: tuple[Newcomer, ...]
    address: Place
    previous_address: Place = Place()
    former_head_name: str = ""  # 旧世帯主
    setai_no: str = ""


class Relocate(_Notice, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="relocate", tag_field="form"):
    """転居: the whole or part of one household moves within the municipality.

    `setai_no` names the household joined; empty keeps the household where all move and makes a new one where part does.
    `positions` gives 続柄 wherever the move changes it, also for those who stay.
    """

    reason: str = "relocate"
    atena_nos: tuple[str, ...]
    address: Place
    setai_no: str = ""
    positions: tuple[Position, ...] = ()


class Birth(_Notice, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="birth", tag_field="form"):
    """出生: 住民票コード comes from the stock, 個人番号 stays pending until the network returns it."""

    reason: str = "birth"
    setai_no: str
    person: Newcomer


class Death(_Notice, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="death", tag_field="form"):
    """死亡, 職権消除: one resident is struck out. `positions` settles who heads those left behind."""

    reason: str = "death"  # death, removal, removal_nationality_lost
    atena_no: str
    positions: tuple[Position, ...] = ()


class MoveOut(_Notice, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="move_out", tag_field="form"):
    """転出: `occurred_on` is 転出予定日 and may lie ahead."""

    reason: str = "move_out"  # move_out, move_out_abroad
    atena_nos: tuple[str, ...]
    destination: Place
    positions: tuple[Position, ...] = ()


class MoveInNotice(
    _Notice, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="move_in_notice", tag_field="form"
):
    """転入通知の受理: `occurred_on` is the day of moving in that the new municipality tells us (R-1-B2-DAT-03)."""

    reason: str = "amend"
    atena_nos: tuple[str, ...]
    settled_address: Place


class Correct(_Notice, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="correct", tag_field="form"):
    """誤記修正, 職権修正: `items` maps an item path to the value that should have stood in version `version_no`.

    Values are texts as typed (dates in any form `juki.dates.parse` reads) or flags. `my_number_source` is asked where 個人番号
    is among them (R-1-2.3-NUM-01).
    """

    reason: str = "correct"
    atena_no: str
    version_no: int
    items: dict[str, str | bool]
    my_number_source: NumberSource = NumberSource.STATED


class Amend(_Notice, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="amend", tag_field="form"):
    """軽微な修正, 旧氏, 通称, 個人番号, 住民票コード: items that read differently from `occurred_on` on."""

    reason: str
    atena_no: str
    items: dict[str, str | bool]
    my_number_source: NumberSource = NumberSource.STATED


class NationalityChange(
    _Notice, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="nationality", tag_field="form"
):
    """帰化等, 国籍喪失 of a resident who stays one: `name` is the name from `occurred_on` on.

    本籍 and 筆頭者 belong to 帰化等; `foreigner` and the names in other letters belong to 国籍喪失. Who may not stay after losing the
    nationality is struck out by `Death` with the reason 職権消除（国籍喪失）.
    """

    reason: str  # entry_naturalised, entry_nationality_lost
    atena_no: str
    name: str
    name_kana: str = ""
    registered_domicile: str = ""  # 本籍
    family_head: str = ""  # 筆頭者
    name_roman: str = ""
    name_kanji: str = ""
    foreigner: Foreigner | None = None


class Remake(_Notice, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="remake", tag_field="form"):
    """改製, 再製: the record of one resident is written anew. `carried_remarks` is the 備考 that goes over at 改製."""

    reason: str  # entry_reissue, entry_restored
    atena_no: str
    carried_remarks: str = ""


class HeadChange(_Notice, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="head_change", tag_field="form"):
    """世帯主変更, 世帯分離, 世帯合併, 世帯変更: people keep their address and change their place.

    Those in `atena_nos` go to `setai_no` (empty: a new household); both empty for 世帯主変更.
    """

    reason: str = "head_change"
    household: str  # 世帯番号 that the form is about
    positions: tuple[Position, ...]
    atena_nos: tuple[str, ...] = ()
    setai_no: str = ""


class Cancel(_Notice, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="cancel", tag_field="form"):
    """異動の取消し: the change `event_no` is taken back; which of the three kinds follows from what it was."""

    reason: str = "cancel_amend"
    event_no: int


Change: TypeAlias = (
    MoveIn
    | Relocate
    | Birth
    | Death
    | MoveOut
    | MoveInNotice
    | Correct
    | Amend
    | NationalityChange
    | Remake
    | HeadChange
    | Cancel
)

REASONS_OF: Final[dict[type[Change], tuple[str, ...]]] = {
    MoveIn: ("move_in", "move_in_abroad", "entry"),
    Relocate: ("relocate",),
    Birth: ("birth",),
    Death: ("death", "removal", "removal_nationality_lost"),
    MoveOut: ("move_out", "move_out_abroad"),
    MoveInNotice: ("amend",),
    Correct: ("correct", "amend"),
    Amend: (
        "minor",
        "amend",
        "my_number_change",
        "my_number_amend",
        "my_number_entry",
        "resident_code_change",
        "resident_code_entry",
        "former_surname_entry",
        "former_surname_change",
        "former_surname_removal",
        "alias_entry",
        "alias_removal",
    ),
    NationalityChange: ("entry_naturalised", "entry_nationality_lost"),
    Remake: ("entry_reissue", "entry_restored"),
    HeadChange: ("head_change", "household_split", "household_merge", "household_move"),
    Cancel: ("cancel_add", "cancel_remove", "cancel_amend"),
}
"""Which reasons each form serves. 職権消除（帰化等）, 改製 and 再製 among the removals have no form of their own: they are written
on the version struck out by the entry of the same day.
"""


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """エラー or アラート: the rule that spoke and the field it is about; no value."""

    code: str
    field: str = ""


class Findings(msgspec.Struct, frozen=True, kw_only=True):
    """エラー cannot be finished; アラート may go on once acknowledged with a reason."""

    errors: tuple[Finding, ...] = ()
    alerts: tuple[Finding, ...] = ()

    def __add__(self, other: Findings) -> Findings:
        return Findings(errors=self.errors + other.errors, alerts=self.alerts + other.alerts)
