"""転入・出生: forms by which somebody becomes a resident."""

from __future__ import annotations

from juki.console.form import Field, Form
from juki.console.procedures.newcomer import newcomer_of, person_fields, spaced
from juki.console.procedures.notice import first_page, notice_of
from juki.console.procedures.place import place_fields, place_of
from juki.console.procedures.procedure import About, Step, persons_of
from juki.registry.model import Birth, Change, MoveIn


def move_in_steps(about: About, persons: int) -> list[Step]:
    """転入: the pages, one per person."""
    reasons = (("move_in", "国内転入"), ("move_in_abroad", "国外転入等"), ("entry", "職権記載"))
    there = [
        *place_fields("to", "新しい住所", group="新しい住所"),
        Field(
            name="setai_no",
            group="新しい住所",
            label="入る世帯の世帯番号",
            kind="number",
            width="s",
            max=15,
            hint="空欄は新しい世帯",
        ),
        *place_fields("from", "転入前住所", required=False, country=True, group="転入前"),
        Field(name="former_head_name", group="転入前", label="旧世帯主", width="m"),
    ]
    people = [Step(title=f"{n + 1}人目", fields=person_fields(n)) for n in range(persons)]
    return [first_page("異動日（転入した日）", reasons), Step(title="住所と世帯", fields=there), *people]


def move_in(about: About, form: Form) -> Change:
    """転入 as given."""
    count = persons_of(form)
    return MoveIn(
        reason=form.text("reason"),
        persons=tuple(newcomer_of(form, n) for n in range(count)),
        address=place_of(form, "to"),
        previous_address=place_of(form, "from"),
        former_head_name=spaced(form.text("former_head_name")),
        setai_no=form.text("setai_no"),
        **notice_of(form),
    )


def birth_steps(about: About, persons: int) -> list[Step]:
    """出生: the pages."""
    return [
        first_page("異動日（出生の日）", unknown=True),
        Step(
            title="出生した子",
            fields=person_fields(0, newborn=True),
            lead="住民票コードは在庫から割り当てます。個人番号は付番の通知を待ちます。",
        ),
    ]


def birth(about: About, form: Form) -> Change:
    """出生 as given."""
    return Birth(setai_no=about.setai_no, person=newcomer_of(form, 0), **notice_of(form))
