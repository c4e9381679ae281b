"""What the incumbent hands over: every column of one resident row, its printed name and its place in the fixed-length form."""

from __future__ import annotations

from typing import Final

import msgspec


class Column(msgspec.Struct, frozen=True):
    """One item of a resident row. `form`: 9 digits, X half-width, K half-width kana, N full-width, D GYYMMDD, W YYYYMMDD."""

    key: str
    title: str
    form: str
    width: int  # bytes in the fixed-length form


def _columns(*rows: tuple[str, str, str, int]) -> tuple[Column, ...]:
    return tuple(Column(*row) for row in rows)


RESIDENT: Final = _columns(
    ("atena_no", "宛名番号", "9", 10),
    ("version_no", "履歴番号", "9", 3),
    ("setai_no", "世帯番号", "9", 10),
    ("member_order", "世帯員並び順", "9", 2),
    ("is_head", "世帯主区分", "9", 1),
    ("status", "住民状態", "9", 1),
    ("kind", "住民種別", "9", 1),
    ("reason", "異動事由", "9", 2),
    ("occurred_on", "異動日", "D", 7),
    ("occurred_note", "異動日不詳表記", "N", 24),
    ("notified_on", "届出日", "D", 7),
    ("processed_on", "処理日", "D", 7),
    ("name", "氏名", "N", 60),
    ("name_kana", "氏名カナ", "K", 40),
    ("name_kana_certified", "振り仮名公証", "9", 1),
    ("name_kana_confirmed", "フリガナ確認", "9", 1),
    ("birth", "生年月日", "D", 7),
    ("birth_note", "生年月日不詳表記", "N", 24),
    ("birth_western", "生年月日西暦", "W", 8),
    ("sex", "性別", "9", 1),
    ("former_surname", "旧氏", "N", 20),
    ("former_surname_kana", "旧氏カナ", "K", 20),
    ("former_surname_kana_confirmed", "旧氏カナ確認", "9", 1),
    ("head_name", "世帯主氏名", "N", 60),
    ("relationship", "続柄", "9", 8),
    ("domicile", "本籍", "N", 80),
    ("family_head", "筆頭者", "N", 40),
    ("resident_since", "住民となった日", "D", 7),
    ("address", "住所", "N", 80),
    ("building", "方書", "N", 40),
    ("address_code", "住所コード", "9", 11),
    ("postal", "郵便番号", "9", 7),
    ("address_since", "住所を定めた日", "D", 7),
    ("address_notified_on", "住所の届出日", "D", 7),
    ("previous_address", "転入前住所", "N", 80),
    ("previous_code", "転入前住所コード", "9", 11),
    ("previous_postal", "転入前郵便番号", "9", 7),
    ("previous_country", "転入前国名", "N", 20),
    ("former_head_name", "旧世帯主", "N", 40),
    ("last_registered_address", "最終登録住所地", "N", 80),
    ("moved_within_from", "異動前住所", "N", 80),
    ("my_number", "個人番号", "9", 12),
    ("resident_code", "住民票コード", "9", 11),
    ("voter", "選挙人名簿", "9", 1),
    ("health", "国保資格", "9", 1),
    ("health_acquired", "国保取得日", "D", 7),
    ("health_lost", "国保喪失日", "D", 7),
    ("elderly", "後期高齢資格", "9", 1),
    ("elderly_acquired", "後期高齢取得日", "D", 7),
    ("elderly_lost", "後期高齢喪失日", "D", 7),
    ("care", "介護資格", "9", 1),
    ("care_acquired", "介護取得日", "D", 7),
    ("care_lost", "介護喪失日", "D", 7),
    ("pension", "年金資格", "9", 1),
    ("pension_number", "基礎年金番号", "9", 10),
    ("pension_category", "年金種別", "9", 1),
    ("pension_changed", "年金種別変更日", "D", 7),
    ("pension_acquired", "年金取得日", "D", 7),
    ("pension_lost", "年金喪失日", "D", 7),
    ("child_from", "児童手当開始", "D", 7),
    ("child_until", "児童手当終了", "D", 7),
    ("card_status", "カード発行状況", "9", 1),
    ("ward", "成年被後見人", "9", 1),
    ("ward_decided", "審判確定日", "D", 7),
    ("ward_registered", "後見登記日", "D", 7),
    ("ward_known", "後見了知日", "D", 7),
    ("signing_serial", "署名用証明書番号", "X", 20),
    ("authentication_serial", "利用者証明用証明書番号", "X", 20),
    ("removal_reason", "消除事由", "9", 2),
    ("removal_on", "消除事由発生日", "D", 7),
    ("planned_address", "転出先住所予定", "N", 80),
    ("planned_code", "転出先予定コード", "9", 11),
    ("planned_postal", "転出先予定郵便番号", "9", 7),
    ("settled_address", "転出先住所確定", "N", 80),
    ("settled_code", "転出先確定コード", "9", 11),
    ("settled_postal", "転出先確定郵便番号", "9", 7),
    ("move_in_notified", "転入通知日", "D", 7),
    ("moved_out", "転出確定日", "D", 7),
    ("reissue_entered", "改製記載日", "D", 7),
    ("restored_entered", "再製記載日", "D", 7),
    ("reissue_removed", "改製消除日", "D", 7),
    ("name_roman", "氏名ローマ字", "X", 40),
    ("name_kanji", "氏名漢字", "N", 40),
    ("name_katakana", "氏名カタカナ表記", "K", 40),
    ("alias", "通称", "N", 40),
    ("alias_kana", "通称カナ", "K", 40),
    ("alias_kana_confirmed", "通称カナ確認", "9", 1),
    ("alias_entered_on", "通称記載日", "D", 7),
    ("alias_entered_at", "通称記載市区町村", "N", 24),
    ("alias_entered_code", "通称記載団体コード", "9", 6),
    ("alias_removed_on", "通称削除日", "D", 7),
    ("alias_removed_at", "通称削除市区町村", "N", 24),
    ("alias_removed_code", "通称削除団体コード", "9", 6),
    ("name_priority", "氏名優先区分", "9", 1),
    ("foreign_since", "外国人住民となった日", "W", 8),
    ("nationality", "国籍地域", "N", 24),
    ("category", "法30条の45区分", "9", 1),
    ("residence_status", "在留資格", "N", 40),
    ("residence_period", "在留期間", "N", 16),
    ("residence_expires", "在留満了日", "W", 8),
    ("card_number", "在留カード番号", "X", 12),
    ("dwelling_notified", "住居地届出", "9", 1),
    ("article_30_46", "法30条の46転入", "9", 1),
    ("article_30_47", "法30条の47届出", "9", 1),
    ("special_card_issued", "特永証交付日", "W", 8),
    ("special_card_expires", "特永証有効期限", "W", 8),
    ("remarks", "備考", "N", 80),
    ("memo", "メモ", "N", 80),
)

HOUSEHOLD: Final = _columns(
    ("setai_no", "世帯番号", "9", 10),
    ("head_atena_no", "世帯主宛名番号", "9", 10),
    ("members", "世帯員数", "9", 2),
)

SUPPORT: Final = _columns(
    ("atena_no", "宛名番号", "9", 10),
    ("measure_serial", "申出番号", "9", 8),
    ("name", "氏名", "N", 60),
    ("name_kana", "日本人氏名振り仮名", "K", 40),
    ("foreign_kana", "外国人氏名フリガナ", "K", 40),
    ("alias", "通称", "N", 40),
    ("alias_kana", "通称フリガナ", "K", 40),
    ("former_surname", "旧氏", "N", 20),
    ("former_surname_kana", "旧氏フリガナ", "K", 20),
    ("birth", "生年月日", "W", 8),
    ("sex", "性別", "9", 1),
    ("address", "住所", "N", 80),
    ("contact", "連絡先", "N", 40),
    ("applicant_state", "申出者の状況", "N", 40),
    ("wish_inspection", "閲覧現住所", "9", 1),
    ("wish_copy", "写し交付現住所", "9", 1),
    ("wish_removed_copy", "除票写し前住所", "9", 1),
    ("removed_copy_address", "前住所等", "N", 80),
    ("wish_annex", "附票写し現本籍", "9", 1),
    ("annex_domicile", "現本籍", "N", 80),
    ("wish_former_annex", "附票写し前本籍", "9", 1),
    ("former_annex_domicile", "前本籍等", "N", 80),
    ("wish_property", "固定資産支援", "9", 1),
    ("property_city", "固定資産所在市区町村", "N", 40),
    ("other", "その他", "N", 80),
    ("forwarded_to", "転送先市区町村", "N", 40),
    ("forwarded_on", "転送日", "W", 8),
    ("starts_on", "支援開始日", "W", 8),
    ("ends_on", "支援終了日", "W", 8),
    ("provisional", "仮支援有無", "9", 1),
    ("provisional_from", "仮支援開始日", "W", 8),
    ("provisional_until", "仮支援終了日", "W", 8),
    ("forwarded_work", "転送受事務", "N", 40),
    ("application_received_on", "転送申出受付日", "W", 8),
    ("no_need_told_on", "不要確認連絡日", "W", 8),
    ("first_received_at", "当初受付市区町村", "N", 40),
)

STOCK: Final = _columns(("resident_code", "住民票コード", "9", 11))

INDEX: Final[dict[str, int]] = {column.key: position for position, column in enumerate(RESIDENT)}
SUPPORT_INDEX: Final[dict[str, int]] = {column.key: position for position, column in enumerate(SUPPORT)}

# 異動事由 of this incumbent: its own two-digit code and the word it prints.
REASONS: Final[dict[str, tuple[str, str]]] = {
    "move_in": ("01", "国内転入"),
    "move_in_abroad": ("02", "国外転入等"),
    "birth": ("03", "出生"),
    "entry": ("04", "職権記載"),
    "entry_naturalised": ("05", "職権記載（帰化等）"),
    "entry_reissue": ("06", "改製"),
    "move_out": ("11", "国内転出"),
    "move_out_abroad": ("12", "国外転出"),
    "death": ("13", "死亡"),
    "removal": ("14", "職権消除"),
    "relocate": ("21", "転居"),
    "amend": ("22", "職権修正"),
    "correct": ("23", "誤記修正"),
    "head_change": ("24", "世帯主変更"),
    "former_surname_entry": ("25", "旧氏の記載"),
    "alias_entry": ("26", "通称の記載"),
    "household_split": ("27", "世帯分離"),
    "household_merge": ("28", "世帯合併"),
}
STATUSES: Final[dict[str, tuple[str, str]]] = {
    "resident": ("1", "住民"),
    "moved_out": ("2", "転出"),
    "deceased": ("3", "死亡"),
    "removed": ("4", "職権消除"),
}
KINDS: Final[dict[str, tuple[str, str]]] = {"japanese": ("1", "日本人住民"), "foreign": ("2", "外国人住民")}
CATEGORIES: Final[dict[str, tuple[str, str]]] = {
    "中長期在留者": ("1", "中長期在留者"),
    "特別永住者": ("2", "特別永住者"),
}
# 続柄: two digits a generation, up to four, joined by の.
RELATIONSHIPS: Final[dict[str, str]] = {
    "世帯主": "02",
    "夫": "11",
    "妻": "12",
    "夫（未届）": "13",
    "妻（未届）": "14",
    "子": "20",
    "父": "31",
    "母": "32",
    "兄": "41",
    "姉": "42",
    "弟": "43",
    "妹": "44",
    "縁故者": "91",
    "同居人": "92",
}
