"""異動事由: the 37 reasons for which a resident record is written, struck out or amended, as one table.

Source: 住民記録システム標準仕様書 1.2.2. The numeric codes of the 基本データリスト are not public to us, so `official_code` stays
empty until a municipality is given them; `code` is ours and never changes.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final

import msgspec


class ReasonGroup(StrEnum):
    """記載・消除・修正."""

    ENTRY = "entry"  # 記載
    REMOVAL = "removal"  # 消除
    AMENDMENT = "amendment"  # 修正


class Ground(StrEnum):
    """根拠: a change rests on a notification or on official authority (R-1-1.1-DAT-02)."""

    NOTIFICATION = "notification"  # 届出, 申出, 請求
    AUTHORITY = "authority"  # 職権
    EITHER = "either"


class Reason(msgspec.Struct, frozen=True, kw_only=True):
    """異動事由 with the rules that hold whatever the change carries."""

    code: str
    name: str
    group: ReasonGroup
    official_code: str = ""
    ground: Ground = Ground.AUTHORITY
    future_allowed: bool = False  # 異動日 may lie ahead (転出 only)
    unknown_allowed: bool = False  # 異動日 may be an unknown or impossible day (出生, 死亡, 失踪)
    notify_within_days: int = 0  # a later notification is an alert; 0 where the law sets no such term
    authority_only: bool = False  # only on the notice or act of an authority, never brought to the counter
    only_kind: str = ""  # "japanese" or "foreign" where the reason exists for one kind alone


def _table(*rows: Reason) -> dict[str, Reason]:
    return {row.code: row for row in rows}


_E, _R, _A = ReasonGroup.ENTRY, ReasonGroup.REMOVAL, ReasonGroup.AMENDMENT
_BY_FORM, _EITHER = Ground.NOTIFICATION, Ground.EITHER

REASONS: Final[dict[str, Reason]] = _table(
    Reason(code="move_in", name="国内転入", group=_E, ground=_EITHER, notify_within_days=14),
    Reason(code="move_in_abroad", name="国外転入等", group=_E, ground=_EITHER, notify_within_days=14),
    Reason(code="birth", name="出生", group=_E, ground=_EITHER, unknown_allowed=True, notify_within_days=14),
    Reason(code="entry_naturalised", name="職権記載（帰化等）", group=_E, authority_only=True, only_kind="japanese"),
    Reason(
        code="entry_nationality_lost", name="職権記載（国籍喪失）", group=_E, authority_only=True, only_kind="foreign"
    ),
    Reason(code="entry", name="職権記載", group=_E),
    Reason(code="entry_reissue", name="改製", group=_E, authority_only=True),
    Reason(code="entry_restored", name="再製", group=_E, authority_only=True),
    Reason(code="cancel_add", name="異動の取消し（増）", group=_E),
    Reason(code="move_out", name="国内転出", group=_R, ground=_EITHER, future_allowed=True, notify_within_days=14),
    Reason(
        code="move_out_abroad", name="国外転出", group=_R, ground=_EITHER, future_allowed=True, notify_within_days=14
    ),
    Reason(code="death", name="死亡", group=_R, ground=_EITHER, unknown_allowed=True, notify_within_days=7),
    Reason(code="removal_naturalised", name="職権消除（帰化等）", group=_R, authority_only=True, only_kind="foreign"),
    Reason(
        code="removal_nationality_lost",
        name="職権消除（国籍喪失）",
        group=_R,
        authority_only=True,
        only_kind="japanese",
    ),
    Reason(code="removal", name="職権消除", group=_R, unknown_allowed=True),
    Reason(code="removal_reissue", name="改製", group=_R, authority_only=True),
    Reason(code="removal_restored", name="再製", group=_R, authority_only=True),
    Reason(code="cancel_remove", name="異動の取消し（減）", group=_R),
    Reason(code="relocate", name="転居", group=_A, ground=_EITHER, notify_within_days=14),
    Reason(code="minor", name="軽微な修正", group=_A),
    Reason(code="amend", name="職権修正", group=_A),
    Reason(code="correct", name="誤記修正", group=_A),
    Reason(code="my_number_change", name="個人番号の変更請求", group=_A, ground=_BY_FORM),
    Reason(code="my_number_amend", name="個人番号の職権修正", group=_A),
    Reason(code="my_number_entry", name="個人番号の職権記載", group=_A),
    Reason(code="resident_code_change", name="住民票コードの変更請求", group=_A, ground=_BY_FORM),
    Reason(code="resident_code_entry", name="住民票コードの職権記載", group=_A),
    Reason(code="household_split", name="世帯分離", group=_A, ground=_EITHER, notify_within_days=14),
    Reason(code="household_merge", name="世帯合併", group=_A, ground=_EITHER, notify_within_days=14),
    Reason(code="household_move", name="世帯変更", group=_A, ground=_EITHER, notify_within_days=14),
    Reason(code="head_change", name="世帯主変更", group=_A, ground=_EITHER, notify_within_days=14),
    Reason(code="former_surname_entry", name="旧氏の記載", group=_A, ground=_BY_FORM),
    Reason(code="former_surname_change", name="旧氏の変更", group=_A, ground=_BY_FORM),
    Reason(code="former_surname_removal", name="旧氏の削除", group=_A, ground=_BY_FORM),
    Reason(code="alias_entry", name="通称の記載", group=_A, ground=_BY_FORM, only_kind="foreign"),
    Reason(code="alias_removal", name="通称の削除", group=_A, ground=_EITHER, only_kind="foreign"),
    Reason(code="cancel_amend", name="異動の取消し（修正）", group=_A),
)

MIGRATION: Final = Reason(code="migration", name="データ移行", group=_E)
"""Not one of the 37: marks versions that came in from an incumbent and were never changed here."""


def reason_name(code: str) -> str:
    """Official name of a reason code, as shown in a history; the code itself where it is not in the table."""
    found = MIGRATION if code == MIGRATION.code else REASONS.get(code)
    return found.name if found else code


CANCELLED_BY: Final = {
    ReasonGroup.ENTRY: "cancel_remove",
    ReasonGroup.REMOVAL: "cancel_add",
    ReasonGroup.AMENDMENT: "cancel_amend",
}
"""異動の取消し: which of the three kinds takes back a change of each group."""
