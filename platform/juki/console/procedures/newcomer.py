"""記載する人: the page of one person, and the person it says."""

from __future__ import annotations

from typing import Final

from juki.console import words
from juki.console.form import Field, Form, Option
from juki.dates import RegistryDate
from juki.registry.model import Foreigner, Kind, Newcomer, NumberSource, Sex

NUMBER_SOURCES: Final[tuple[Option, ...]] = (
    (NumberSource.CARD.value, "個人番号カード"),
    (NumberSource.CERTIFICATE.value, "転出証明書"),
    (NumberSource.NETWORK.value, "住民基本台帳ネットワーク"),
)


def person_fields(n: int, *, newborn: bool = False) -> list[Field]:
    """One person's page; a newborn has no numbers yet."""
    p = f"p{n}_"
    domicile, numbers, abroad = "戸籍の表示・旧氏", "番号", "外国人住民の場合"
    japanese, foreign = (p + "kind", (Kind.JAPANESE.value,)), (p + "kind", (Kind.FOREIGN.value,))
    asked = [
        Field(name=p + "name", label="氏名", required=True, width="m", autofocus=True, hint="氏と名の間に全角の空白"),
        Field(name=p + "name_kana", label="フリガナ", required=True, width="m", rule="kana", hint="カタカナ"),
        Field(
            name=p + "birth",
            label="生年月日",
            kind="date",
            required=True,
            width="s",
            hint="例: S55.4.1、19800401",
            follows="occurred_on" if newborn else "",
            unknown_allowed=True,
        ),
        Field(name=p + "sex", label="性別", kind="select", required=True, options=words.SEX_OPTIONS, width="xs"),
        Field(name=p + "relationship", label="続柄", required=True, width="s", hint="世帯主、妻、子、子の妻 など"),
        Field(
            name=p + "kind",
            default="japanese",
            label="住民種別",
            kind="select",
            required=True,
            width="s",
            options=(("japanese", "日本人住民"), ("foreign", "外国人住民")),
        ),
        Field(
            name=p + "registered_domicile",
            group=domicile,
            label="本籍",
            width="l",
            max=200,
            hint="日本人住民は必須",
            needed_when=japanese,
        ),
        Field(name=p + "family_head", group=domicile, label="筆頭者", width="m", needed_when=japanese),
        Field(name=p + "former_surname", group=domicile, label="旧氏", width="s"),
        Field(name=p + "former_surname_kana", group=domicile, label="旧氏のフリガナ", width="s", rule="kana"),
    ]
    if not newborn:
        asked += [
            Field(
                name=p + "my_number",
                group=numbers,
                label="個人番号",
                kind="number",
                width="s",
                max=12,
                rule="my_number",
                hint="12桁。カード等から転記",
            ),
            Field(
                name=p + "my_number_source",
                group=numbers,
                label="個人番号の確認元",
                kind="select",
                options=NUMBER_SOURCES,
                width="m",
            ),
            Field(
                name=p + "resident_code",
                group=numbers,
                label="住民票コード",
                kind="number",
                width="s",
                max=11,
                rule="resident_code",
                hint="11桁。不明は空欄",
            ),
        ]
    return [
        *asked,
        Field(name=p + "nationality", group=abroad, folded=True, label="国籍・地域", width="m", needed_when=foreign),
        Field(name=p + "name_roman", group=abroad, folded=True, label="氏名（ローマ字）", width="m"),
        Field(
            name=p + "category", group=abroad, folded=True, label="法第30条の45の区分", width="m", needed_when=foreign
        ),
        Field(name=p + "residence_status", group=abroad, folded=True, label="在留資格", width="m"),
        Field(name=p + "residence_period", group=abroad, folded=True, label="在留期間", width="s"),
        Field(
            name=p + "residence_expires", group=abroad, folded=True, label="在留期間の満了の日", kind="date", width="s"
        ),
        Field(name=p + "card_number", group=abroad, folded=True, label="在留カード等の番号", width="s", max=12),
    ]


def newcomer_of(form: Form, n: int) -> Newcomer:
    """The person given on one page."""

    def said(name: str) -> str:
        return form.text(f"p{n}_{name}")

    kind = Kind(said("kind") or "japanese")
    foreigner = Foreigner(
        nationality=said("nationality"),
        category=said("category"),
        residence_status=said("residence_status"),
        residence_period=said("residence_period"),
        residence_expires=form.date(f"p{n}_residence_expires"),
        card_number=said("card_number"),
        foreign_resident_since=form.date("occurred_on"),
    )
    return Newcomer(
        name=spaced(said("name")),
        name_kana=spaced(said("name_kana")),
        birth=form.date(f"p{n}_birth") or RegistryDate(0),
        sex=Sex(said("sex") or "0"),
        relationship=said("relationship"),
        kind=kind,
        registered_domicile=said("registered_domicile"),
        family_head=spaced(said("family_head")),
        former_surname=said("former_surname"),
        former_surname_kana=said("former_surname_kana"),
        name_roman=said("name_roman"),
        my_number=said("my_number"),
        my_number_source=NumberSource(said("my_number_source") or NumberSource.STATED.value),
        resident_code=said("resident_code"),
        foreigner=foreigner if kind is Kind.FOREIGN else None,
    )


def spaced(text: str) -> str:
    """One space between the parts of a name, however the clerk typed it: full-width, but half-width in roman letters."""
    parts = text.split()
    return (" " if "".join(parts).isascii() else "　").join(parts)
