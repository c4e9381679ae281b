"""異動の様式: each paper form as steps of fields, and the change that the fields say. No request, no database."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Sequence
from typing import Any, Final

import msgspec

from juki.console import words
from juki.console.form import Field, Form, Option
from juki.dates import RegistryDate
from juki.problem import Invalid, JukiError
from juki.registry.model import (
    Birth,
    Cancel,
    Change,
    Channel,
    Correct,
    Death,
    Document,
    Foreigner,
    HeadChange,
    Kind,
    MoveIn,
    MoveOut,
    Newcomer,
    NumberSource,
    Place,
    Position,
    Reception,
    Relocate,
    Sex,
    Source,
)
from juki.web import text_of

MAX_PERSONS: Final = 12
LAST: Final = "内容の確認"
SOURCES: Final[tuple[Option, ...]] = (
    (Source.PERSON.value, "本人"),
    (Source.AGENT.value, "代理人・同一世帯の者"),
    (Source.ADMINISTRATION.value, "行政機関"),
    (Source.LOCAL_GOVERNMENT.value, "他の市区町村"),
)
DOCUMENTS: Final[tuple[Option, ...]] = (
    (Document.MY_NUMBER_CARD.value, "個人番号カード"),
    (Document.DRIVING_LICENCE.value, "運転免許証"),
    (Document.PASSPORT.value, "旅券"),
    (Document.RESIDENCE_CARD.value, "在留カード・特別永住者証明書"),
    (Document.TWO_DOCUMENTS.value, "資格確認書等の2点"),
    (Document.NOT_NEEDED.value, "不要（職権・通知による）"),
    (Document.NONE.value, "確認できず（住所あてに通知）"),
)
NUMBER_SOURCES: Final[tuple[Option, ...]] = (
    (NumberSource.CARD.value, "個人番号カード"),
    (NumberSource.CERTIFICATE.value, "転出証明書"),
    (NumberSource.NETWORK.value, "住民基本台帳ネットワーク"),
)
DATE_HINT: Final = "例: R8.11.20、令和8年11月20日、20261120"


class Member(msgspec.Struct, frozen=True, kw_only=True):
    """One member of the household the form is about, as far as a form must name them."""

    atena_no: str
    name: str
    relationship: str
    is_head: bool = False
    chosen: bool = False  # the person the form was opened from


class About(msgspec.Struct, frozen=True, kw_only=True):
    """What the form starts from: the person, the household, the changes made so far."""

    atena_no: str = ""
    setai_no: str = ""
    version_no: int = 0
    members: Sequence[Member] = ()
    events: Sequence[Option] = ()
    versions: Sequence[Option] = ()
    items: Sequence[Option] = ()


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """One page of a form."""

    title: str
    fields: Sequence[Field]
    lead: str = ""


class Procedure(msgspec.Struct, frozen=True, kw_only=True):
    """One paper form: its name, its pages, and what it amounts to."""

    slug: str
    title: str
    steps: Callable[[About, int], list[Step]]
    build: Callable[[About, Form], Change]
    grows: bool = False  # a person can be added


def reception(form: Form, operator: str) -> Reception:
    """受付記録 from the first page."""
    return Reception(
        form_no=form.text("form_no"),
        source=Source(form.text("source") or Source.PERSON.value),
        channel=Channel.PAPER,
        notifier=form.text("notifier"),
        document=Document(form.text("document") or Document.NONE.value),
        checked_by=operator,
    )


def _first(occurred: str, reasons: Sequence[Option] = (), *, unknown: bool = False, hint: str = DATE_HINT) -> Step:
    asked = [
        Field(name="form_no", label="届出書の受付番号", required=True, width="s", max=40, autofocus=True),
        Field(
            name="occurred_on",
            label=occurred,
            kind="date",
            required=True,
            width="s",
            hint=hint,
            unknown_allowed=unknown,
        ),
        Field(name="notified_on", label="届出日", kind="date", width="s", hint="空欄は今日"),
        Field(name="notifier", label="届出人の氏名", width="m"),
        Field(
            name="source",
            label="届出人の区分",
            kind="select",
            required=True,
            default=Source.PERSON.value,
            options=SOURCES,
            width="m",
        ),
        Field(name="document", label="本人確認", kind="select", required=True, options=DOCUMENTS, width="m"),
        Field(name="remarks", label="留意事項", kind="textarea", width="l", max=500),
    ]
    if reasons:
        asked.insert(
            1,
            Field(
                name="reason",
                label="異動事由",
                kind="select",
                required=True,
                options=reasons,
                width="m",
                default=reasons[0][0],
            ),
        )
    return Step(title="届出", fields=asked)


def _address(prefix: str, label: str, *, required: bool = True, country: bool = False, group: str = "") -> list[Field]:
    asked = [
        Field(
            name=f"{prefix}_text",
            group=group,
            label=label,
            required=required,
            width="xl",
            max=200,
            hint="都道府県から番地まで",
        ),
        Field(name=f"{prefix}_building", group=group, label="方書", width="l", max=200, hint="建物の名前と部屋番号"),
        Field(name=f"{prefix}_postal", group=group, label="郵便番号", kind="number", width="xs", max=8),
    ]
    if country:
        asked.append(Field(name=f"{prefix}_country", group=group, label="国名（国外の場合）", width="m", max=60))
    return asked


def _place(form: Form, prefix: str) -> Place:
    return Place(
        text=form.text(f"{prefix}_text"),
        building=form.text(f"{prefix}_building"),
        postal=form.text(f"{prefix}_postal").replace("-", ""),
        country=form.text(f"{prefix}_country"),
    )


def _person(n: int, *, newborn: bool = False) -> list[Field]:
    p = f"p{n}_"
    domicile, numbers, abroad = "戸籍の表示・旧氏", "番号", "外国人住民の場合"
    asked = [
        Field(name=p + "name", label="氏名", required=True, width="m", autofocus=True, hint="氏と名の間に全角の空白"),
        Field(name=p + "name_kana", label="フリガナ", required=True, width="m", hint="全角カタカナ"),
        Field(
            name=p + "birth",
            label="生年月日",
            kind="date",
            required=True,
            width="s",
            hint="例: S55.4.1、19800401",
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
        Field(name=p + "registered_domicile", group=domicile, label="本籍", width="l", max=200),
        Field(name=p + "family_head", group=domicile, label="筆頭者", width="m"),
        Field(name=p + "former_surname", group=domicile, label="旧氏", width="s"),
        Field(name=p + "former_surname_kana", group=domicile, label="旧氏のフリガナ", width="s"),
    ]
    if not newborn:
        asked += [
            Field(
                name=p + "my_number",
                group=numbers,
                label="個人番号",
                kind="number",
                width="s",
                max=14,
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
                hint="11桁。不明は空欄",
            ),
        ]
    return [
        *asked,
        Field(name=p + "nationality", group=abroad, label="国籍・地域", width="m"),
        Field(name=p + "name_roman", group=abroad, label="氏名（ローマ字）", width="m"),
        Field(name=p + "category", group=abroad, label="法第30条の45の区分", width="m"),
        Field(name=p + "residence_status", group=abroad, label="在留資格", width="m"),
        Field(name=p + "residence_period", group=abroad, label="在留期間", width="s"),
        Field(name=p + "residence_expires", group=abroad, label="在留期間の満了の日", kind="date", width="s"),
        Field(name=p + "card_number", group=abroad, label="在留カード等の番号", width="s", max=12),
    ]


def _newcomer(form: Form, n: int) -> Newcomer:
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
        name=_spaced(said("name")),
        name_kana=_spaced(said("name_kana")),
        birth=form.date(f"p{n}_birth") or RegistryDate(0),
        sex=Sex(said("sex") or "0"),
        relationship=said("relationship"),
        kind=kind,
        registered_domicile=said("registered_domicile"),
        family_head=_spaced(said("family_head")),
        former_surname=said("former_surname"),
        former_surname_kana=said("former_surname_kana"),
        name_roman=said("name_roman"),
        my_number="".join(c for c in said("my_number") if c.isdigit()),
        my_number_source=NumberSource(said("my_number_source") or NumberSource.STATED.value),
        resident_code=said("resident_code"),
        foreigner=foreigner if kind is Kind.FOREIGN else None,
    )


def _spaced(text: str) -> str:
    """Family and given name are parted by one full-width space, however the clerk typed it."""
    return "　".join(text.split())


def _notice(form: Form) -> dict[str, Any]:
    notified = form.date("notified_on")
    return {
        "occurred_on": form.date("occurred_on") or RegistryDate(0),
        "notified_on": notified.to_date() if notified else None,
        "remarks": form.text("remarks"),
    }


def _who(about: About, label: str) -> Field:
    options = [(m.atena_no, f"{m.name}（{m.relationship}）") for m in about.members]
    return Field(name="who", label=label, kind="checks", required=True, options=options)


def _positions(about: About) -> list[Field]:
    hint = "変わらない人は空欄。世帯主がいなくなるときは、新しい世帯主と各人の続柄を入れます。"
    return [
        Field(name=f"rel_{m.atena_no}", label=f"{m.name} の新しい続柄", width="s", hint=hint if i == 0 else "")
        for i, m in enumerate(about.members)
    ]


def _placed(about: About, form: Form) -> tuple[Position, ...]:
    said = ((m.atena_no, form.text(f"rel_{m.atena_no}")) for m in about.members)
    return tuple(Position(atena_no=no, relationship=text) for no, text in said if text)


def _move_in_steps(about: About, persons: int) -> list[Step]:
    reasons = (("move_in", "国内転入"), ("move_in_abroad", "国外転入等"), ("entry", "職権記載"))
    there = [
        *_address("to", "新しい住所", group="新しい住所"),
        Field(
            name="setai_no",
            group="新しい住所",
            label="入る世帯の世帯番号",
            kind="number",
            width="s",
            max=15,
            hint="空欄は新しい世帯",
        ),
        *_address("from", "転入前住所", required=False, country=True, group="転入前"),
        Field(name="former_head_name", group="転入前", label="旧世帯主", width="m"),
    ]
    people = [Step(title=f"{n + 1}人目", fields=_person(n)) for n in range(persons)]
    return [_first("異動日（転入した日）", reasons), Step(title="住所と世帯", fields=there), *people]


def _move_in(about: About, form: Form) -> Change:
    count = persons_of(form)
    return MoveIn(
        reason=form.text("reason"),
        persons=tuple(_newcomer(form, n) for n in range(count)),
        address=_place(form, "to"),
        previous_address=_place(form, "from"),
        former_head_name=_spaced(form.text("former_head_name")),
        setai_no=form.text("setai_no"),
        **_notice(form),
    )


def _relocate_steps(about: About, persons: int) -> list[Step]:
    return [
        _first("異動日（転居した日）"),
        Step(
            title="転居する人と新しい住所",
            fields=[
                _who(about, "転居する人"),
                *_address("to", "新しい住所"),
                Field(
                    name="setai_no",
                    label="入る世帯の世帯番号",
                    kind="number",
                    width="s",
                    max=15,
                    hint="空欄は今の世帯のまま、一部の人だけが移るときは新しい世帯",
                ),
            ],
        ),
        Step(title="続柄", fields=_positions(about)),
    ]


def _relocate(about: About, form: Form) -> Change:
    return Relocate(
        atena_nos=tuple(form.texts("who")),
        address=_place(form, "to"),
        setai_no=form.text("setai_no"),
        positions=_placed(about, form),
        **_notice(form),
    )


def _birth_steps(about: About, persons: int) -> list[Step]:
    return [
        _first("異動日（出生の日）", unknown=True),
        Step(
            title="出生した子",
            fields=_person(0, newborn=True),
            lead="住民票コードは在庫から割り当てます。個人番号は付番の通知を待ちます。",
        ),
    ]


def _birth(about: About, form: Form) -> Change:
    return Birth(setai_no=about.setai_no, person=_newcomer(form, 0), **_notice(form))


def _death_steps(about: About, persons: int) -> list[Step]:
    return [
        _first("異動日（死亡の日）", (("death", "死亡"), ("removal", "職権消除")), unknown=True),
        Step(title="残る人の続柄", fields=_positions(about)),
    ]


def _death(about: About, form: Form) -> Change:
    return Death(reason=form.text("reason"), atena_no=about.atena_no, positions=_placed(about, form), **_notice(form))


def _move_out_steps(about: About, persons: int) -> list[Step]:
    return [
        _first("転出予定日", (("move_out", "国内転出"), ("move_out_abroad", "国外転出"))),
        Step(
            title="転出する人と転出先",
            fields=[_who(about, "転出する人"), *_address("to", "転出先住所（予定）", country=True)],
        ),
        Step(title="残る人の続柄", fields=_positions(about)),
    ]


def _move_out(about: About, form: Form) -> Change:
    return MoveOut(
        reason=form.text("reason"),
        atena_nos=tuple(form.texts("who")),
        destination=_place(form, "to"),
        positions=_placed(about, form),
        **_notice(form),
    )


CORRECTIONS: Final = 4


def _correct_steps(about: About, persons: int) -> list[Step]:
    rows = [
        Field(name="version_no", label="直す履歴", kind="select", required=True, options=about.versions, width="l"),
    ]
    for n in range(CORRECTIONS):
        rows += [
            Field(
                name=f"item_{n}",
                label=f"直す項目 {n + 1}",
                kind="select",
                required=n == 0,
                options=about.items,
                width="m",
            ),
            Field(name=f"value_{n}", label="正しい内容", width="l", max=300),
        ]
    reasons = (("correct", "誤記修正"), ("amend", "職権修正"))
    return [_first("異動日（修正する日）", reasons), Step(title="誤りと正しい内容", fields=rows)]


def _correct(about: About, form: Form) -> Change:
    items: dict[str, str | bool] = {
        form.text(f"item_{n}"): form.text(f"value_{n}") for n in range(CORRECTIONS) if form.text(f"item_{n}")
    }
    return Correct(
        reason=form.text("reason"),
        atena_no=about.atena_no,
        version_no=int(form.text("version_no") or about.version_no),
        items=items,
        **_notice(form),
    )


def _cancel_steps(about: About, persons: int) -> list[Step]:
    asked = Field(name="event_no", label="取り消す異動", kind="select", required=True, options=about.events, width="l")
    lead = "取消しは新しい履歴として残り、元の内容に戻ります。取り消した異動も履歴に残ります。"
    return [_first("異動日（取消しの日）"), Step(title="取り消す異動", fields=[asked], lead=lead)]


def _cancel(about: About, form: Form) -> Change:
    return Cancel(event_no=int(form.text("event_no")), **_notice(form))


def _head_steps(about: About, persons: int) -> list[Step]:
    return [_first("異動日（変更した日）"), Step(title="新しい世帯主と続柄", fields=_positions(about))]


def _head(about: About, form: Form) -> Change:
    return HeadChange(household=about.setai_no, positions=_placed(about, form), **_notice(form))


PROCEDURES: Final = {
    p.slug: p
    for p in (
        Procedure(slug="move-in", title="転入", steps=_move_in_steps, build=_move_in, grows=True),
        Procedure(slug="relocate", title="転居", steps=_relocate_steps, build=_relocate),
        Procedure(slug="birth", title="出生", steps=_birth_steps, build=_birth),
        Procedure(slug="death", title="死亡・職権消除", steps=_death_steps, build=_death),
        Procedure(slug="move-out", title="転出", steps=_move_out_steps, build=_move_out),
        Procedure(slug="head-change", title="世帯主変更", steps=_head_steps, build=_head),
        Procedure(slug="correct", title="誤記修正・職権修正", steps=_correct_steps, build=_correct),
        Procedure(slug="cancel", title="異動の取消し", steps=_cancel_steps, build=_cancel),
    )
}


def persons_of(form: Form) -> int:
    """How many persons the form has pages for."""
    text = form.text("persons")
    return min(max(int(text) if text.isdecimal() else 1, 1), MAX_PERSONS)


def place_findings(form: Form, fields: dict[str, str]) -> None:
    """Put a rule's finding beside the field of the paper that it is about."""
    for path, code in fields.items():
        form.wrong(field_of(path), text_of(code, 422))


def place_problem(form: Form, error: JukiError) -> None:
    """Put a refusal of the whole form where the clerk finds it: a number used before beside the number itself."""
    fields = error.fields if isinstance(error, Invalid) else {}
    if fields:
        place_findings(form, fields)
    else:
        spot = "form_no" if error.code in ("registry.form_used", "registry.form_handed_back") else "form"
        form.wrong(spot, text_of(error.code, error.status, error.facts))


def field_of(path: str) -> str:
    """`persons.0.birth` -> `p0_birth`, `address.text` -> `to_text`; an unknown path names the page."""
    parts = path.split(".")
    if parts[0] == "persons" and len(parts) > 2 and parts[1].isdecimal():
        return f"p{parts[1]}_{parts[-1]}"
    if parts[0] == "person" and len(parts) > 1:
        return f"p0_{parts[-1]}"
    heads = {"address": "to", "destination": "to", "previous_address": "from"}
    if parts[0] in heads:
        return f"{heads[parts[0]]}_{parts[1] if len(parts) > 1 else 'text'}"
    if parts[0] == "reception" and len(parts) > 1:
        return parts[1]
    return {"atena_nos": "who", "items": "item_0"}.get(parts[0], parts[0])


def today_text(now: dt.date) -> str:
    """Today as a clerk would type it, to start a form with."""
    return f"R{now.year - 2018}.{now.month}.{now.day}"
