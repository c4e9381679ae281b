"""表示中の人: the strip that names whose record is open, and what stands over that person, on every page of theirs."""

from __future__ import annotations

from typing import Final

import msgspec

from juki.console import sections, words
from juki.personal import Personal
from juki.registry.model import Level, LooseningKind, Process, Protection, Record, Status, Suppression

_PROCESS: Final = {Process.CHANGE: "異動", Process.ISSUE: "発行", Process.INQUIRY: "照会"}
_LEVEL: Final = {Level.ERROR: "できません", Level.ALERT: "係長の確認が必要です"}
ASKED: Final = {
    LooseningKind.END: "支援措置の終了",
    LooseningKind.NARROW: "支援措置の縮小",
    LooseningKind.RELEASE: "抑止の解除",
}
"""What a second person is asked for, in words."""


class Person(Personal, frozen=True, kw_only=True):
    """The strip: name, kana, 生年月日, 住所, number and state."""

    atena_no: str
    name: str
    kana: str
    birth: str
    address: str
    status: str
    removed: bool
    known_as: tuple[tuple[str, str], ...] = ()  # 通称, 旧氏: what the person at the counter may be called


class Notice(msgspec.Struct, frozen=True, kw_only=True):
    """注意: words to read before speaking. `soft` ones may be passed."""

    title: str
    text: str
    soft: bool = False


_UNDER_CHANGE: Final = Notice(
    title="異動受付中です",
    text="この人又は同じ世帯の人の仮登録が、本登録を待っています。本登録されるまで、住民票の記録と証明書は変わりません。",
    soft=True,
)


def person_of(record: Record) -> Person:
    """The strip of a record whose groups `basic` and `address` are open."""
    basic, address = record.basic, record.address
    return Person(
        atena_no=record.atena_no,
        name=basic.name if basic else "",
        kana=basic.name_kana if basic else "",
        birth=words.birth(basic.birth, record.kind) if basic else "",
        address=sections.place(address.address) if address else "",
        status=words.STATUS[record.status],
        removed=record.status is not Status.RESIDENT,
        known_as=known_as(basic.alias, basic.former_surname) if basic else (),
    )


def known_as(alias: str, former_surname: str) -> tuple[tuple[str, str], ...]:
    """通称 and 旧氏 with their words, where there are any."""
    return tuple((word, name) for word, name in (("通称", alias), ("旧氏", former_surname)) if name)


def notices_of(protection: Protection, *, under_change: bool = False) -> list[Notice]:
    """Everything the clerk must know before acting, the gravest first. `under_change`: a 仮登録 waits about this person."""
    found: list[Notice] = []
    if protection.protected:
        kind = "仮支援措置" if protection.provisional else "支援措置"
        found.append(
            Notice(
                title=f"{kind}の対象者です",
                text="本人であることを厳格に確かめてください。住所や異動先を口頭で伝えないでください。"
                "本人以外からの請求には応じず、理由も告げずに係長を呼んでください。",
            )
        )
    if protection.overdue:
        found.append(
            Notice(
                title="支援措置の期間が過ぎています",
                text="延長又は終了の手続が済むまで、支援措置は続きます。担当に連絡してください。",
                soft=True,
            )
        )
    found.extend(
        Notice(
            title=f"{ASKED[kind]}が申請されています",
            text="まだ承認されていません。承認されるまで、支援措置はこれまでどおり続きます。",
            soft=True,
        )
        for kind in protection.asked
    )
    found.extend(_held(protection))
    if under_change:
        found.append(_UNDER_CHANGE)
    return found


def leaving(record: Record) -> list[Notice]:
    """転出予定者, of a record whose group `removal` is open."""
    removal = record.removal
    if record.status is not Status.RESIDENT or removal is None:
        return []
    if not (removal.planned_address.text or removal.planned_address.country):
        return []
    text = f"{words.day(removal.occurred_on)}に転出する予定です。その日に除票になります。それまでの証明書には、備考に予定を印字します。"
    return [Notice(title="転出予定者です", text=text, soft=True)]


def _held(protection: Protection) -> list[Notice]:
    return [
        Notice(
            title=f"{_PROCESS[s.process]}の抑止が設定されています",
            text=f"この人の{_PROCESS[s.process]}は{_LEVEL[s.level]}。",
            soft=s.level is Level.ALERT,
        )
        for s in protection.suppressions
        if not s.released
    ]


def suppression_lines(protection: Protection) -> list[tuple[int, str]]:
    """抑止 [32] as lines of the resident page, each with its number."""
    return [(s.suppression_no, suppression_line(s)) for s in protection.suppressions]


def suppression_line(s: Suppression) -> str:
    """One 抑止 in words."""
    return (
        f"{_PROCESS[s.process]}　{'停止' if s.level is Level.ERROR else '注意'}　{words.calendar(s.starts_on)}から"
        f"{words.calendar(s.ends_on) + 'まで' if s.ends_on else ''}{'　一時解除中' if s.released else ''}"
        f"{'　解除の申請中（承認されるまで続きます）' if s.release_asked else ''}"
    )
