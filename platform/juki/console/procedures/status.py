"""国籍の異動・改製・再製: forms by which a record is struck out and written anew for the same person."""

from __future__ import annotations

from juki.console.form import Field, Form, kana
from juki.console.procedures.newcomer import spaced
from juki.console.procedures.notice import first_page, notice_of
from juki.console.procedures.procedure import About, Step
from juki.registry.model import Change, Foreigner, NationalityChange, Remake

NATURALISED = "entry_naturalised"
REISSUE = "entry_reissue"
_DOMICILE, _ABROAD = "帰化等の場合（戸籍の表示）", "国籍喪失の場合（外国人住民の事項）"


def nationality_steps(about: About, persons: int) -> list[Step]:
    """帰化等・国籍喪失: the pages."""
    reasons = ((NATURALISED, "職権記載（帰化等）"), ("entry_nationality_lost", "職権記載（国籍喪失）"))
    return [
        first_page("異動日（帰化・国籍喪失の日）", reasons),
        Step(
            title="新しい記載",
            lead="法務局や他の市区町村からの通知により処理します。届出人の区分は行政機関か他の市区町村を選びます。"
            "在留資格のない方の国籍喪失は、死亡・職権消除の様式で消除します。",
            fields=[
                Field(name="name", label="氏名", required=True, width="m", hint="氏と名の間に全角の空白"),
                Field(name="name_kana", label="フリガナ", required=True, width="m", rule="kana", hint="カタカナ"),
                Field(name="registered_domicile", group=_DOMICILE, label="本籍", width="l", max=200),
                Field(name="family_head", group=_DOMICILE, label="筆頭者", width="m"),
                Field(name="name_roman", group=_ABROAD, label="氏名（ローマ字）", width="m"),
                Field(name="nationality", group=_ABROAD, label="国籍・地域", width="m"),
                Field(name="category", group=_ABROAD, label="法第30条の45の区分", width="m"),
                Field(name="residence_status", group=_ABROAD, label="在留資格", width="m"),
                Field(name="residence_period", group=_ABROAD, label="在留期間", width="s"),
                Field(name="residence_expires", group=_ABROAD, label="在留期間の満了の日", kind="date", width="s"),
                Field(name="card_number", group=_ABROAD, label="在留カード等の番号", width="s", max=12),
            ],
        ),
    ]


def nationality(about: About, form: Form) -> Change:
    """帰化等・国籍喪失 as given; what the clerk left blank of the other kind is not there."""
    held = Foreigner(
        nationality=form.text("nationality"),
        category=form.text("category"),
        residence_status=form.text("residence_status"),
        residence_period=form.text("residence_period"),
        residence_expires=form.date("residence_expires"),
        card_number=form.text("card_number"),
    )
    lost = form.text("reason") != NATURALISED
    return NationalityChange(
        reason=form.text("reason"),
        atena_no=about.atena_no,
        name=spaced(form.text("name")),
        name_kana=kana(spaced(form.text("name_kana"))),
        registered_domicile=form.text("registered_domicile"),
        family_head=spaced(form.text("family_head")),
        name_roman=form.text("name_roman"),
        foreigner=held if lost or held != Foreigner() else None,
        **notice_of(form),
    )


def nationality_values(change: NationalityChange) -> dict[str, list[str]]:
    """The fields of a form handed back, but for days, which are written by whoever fills it in again."""
    held = change.foreigner or Foreigner()
    values = {
        "name": change.name,
        "name_kana": change.name_kana,
        "registered_domicile": change.registered_domicile,
        "family_head": change.family_head,
        "name_roman": change.name_roman,
        "nationality": held.nationality,
        "category": held.category,
        "residence_status": held.residence_status,
        "residence_period": held.residence_period,
        "card_number": held.card_number,
    }
    return {name: [text] for name, text in values.items()}


def remake_steps(about: About, persons: int) -> list[Step]:
    """改製・再製: the pages."""
    lead = (
        "改製では、現在の内容だけを新しい住民票に移します。異動前住所、削除した通称と以前の備考は、消除した住民票に残ります。"
        "再製では、すべての内容をそのまま移します。"
    )
    asked = Field(
        name="carried_remarks",
        label="移記する備考（改製の場合）",
        kind="textarea",
        width="l",
        max=500,
        hint="空欄は移記しない",
    )
    return [
        first_page("異動日（改製・再製の日）", ((REISSUE, "改製"), ("entry_restored", "再製"))),
        Step(title="移記する内容", fields=[asked], lead=lead),
    ]


def remake(about: About, form: Form) -> Change:
    """改製・再製 as given."""
    return Remake(
        reason=form.text("reason"),
        atena_no=about.atena_no,
        carried_remarks=form.text("carried_remarks"),
        **notice_of(form),
    )
