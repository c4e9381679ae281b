"""The words of the counter: what each code is called on a screen. The standard specification's terms, nothing else."""

from __future__ import annotations

import datetime as dt
from typing import Final

from juki import dates
from juki.dates import RegistryDate
from juki.registry.model import Kind, Sex, Status

STATUS: Final = {
    Status.RESIDENT: "住民",
    Status.MOVED_OUT: "転出",
    Status.DECEASED: "死亡",
    Status.REMOVED: "消除",
    Status.VOID: "記載取消し",
}
NAME_PRIORITY: Final = {"name": "氏名", "alias": "通称"}  # 氏名優先区分
KIND: Final = {Kind.JAPANESE: "日本人住民", Kind.FOREIGN: "外国人住民"}
SEX: Final = {Sex.UNKNOWN: "不明", Sex.MALE: "男", Sex.FEMALE: "女"}
SEX_OPTIONS: Final = ((Sex.MALE.value, "男"), (Sex.FEMALE.value, "女"), (Sex.UNKNOWN.value, "不明"))
PURPOSES: Final = (
    ("notification", "届出の受付（転入・転居・転出など）"),
    ("certificate", "証明書の交付"),
    ("inquiry", "本人又は世帯員からの問合せ"),
    ("official", "公用（官公署からの請求）"),
    ("correction", "職権による記載・修正の調査"),
    ("protection", "支援措置の申出の受付"),
    ("numbers", "個人番号・住民票コードに関する手続"),
)
PURPOSE_NAMES: Final = dict(PURPOSES)
WEEKDAYS: Final = "月火水木金土日"
OUTCOMES: Final = {  # of the log
    "": "処理中",
    "done": "完了",
    "refused": "拒否",
    "failed": "失敗",
    "unknown": "結果不明",
}


def day(value: RegistryDate | None) -> str:
    """和暦 of a registry date, blank where there is none."""
    return dates.wareki(value) if value is not None else ""


def birth(value: RegistryDate, kind: Kind) -> str:
    """生年月日: 和暦 for a Japanese resident, 西暦 for a foreign one."""
    return dates.western(value) if kind is Kind.FOREIGN else dates.wareki(value)


def instant(value: dt.datetime | None) -> str:
    """記録日時 in Japan, 和暦 with hour and minute."""
    if value is None:
        return ""
    local = value.astimezone(dates.JST)
    return f"{dates.wareki(dates.from_date(local.date()))} {local:%H:%M}"


def calendar(value: dt.date) -> str:
    """A calendar day in 和暦; the open ends of time are blank."""
    if value in (dt.date.min, dt.date.max):
        return ""
    return dates.wareki(dates.from_date(value))


def today(now: dt.datetime) -> str:
    """令和8年11月23日(月), as the top bar shows it."""
    local = now.astimezone(dates.JST).date()
    return f"{dates.wareki(dates.from_date(local))}({WEEKDAYS[local.weekday()]})"
