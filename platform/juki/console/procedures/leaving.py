"""転居・転出・死亡: forms by which residents leave their address or the register."""

from __future__ import annotations

from juki.console.form import Field, Form
from juki.console.procedures.household import UNCHANGED, placed, positions, who
from juki.console.procedures.notice import first_page, notice_of
from juki.console.procedures.place import place_fields, place_of
from juki.console.procedures.procedure import About, Step
from juki.registry.model import Change, Death, MoveOut, Relocate


def relocate_steps(about: About, persons: int) -> list[Step]:
    """転居: the pages."""
    return [
        first_page("異動日（転居した日）"),
        Step(
            title="転居する人と新しい住所",
            fields=[
                who(about, "転居する人"),
                *place_fields("to", "新しい住所"),
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
        Step(title="続柄", fields=positions(about), lead=UNCHANGED),
    ]


def relocate(about: About, form: Form) -> Change:
    """転居 as given."""
    return Relocate(
        atena_nos=tuple(form.texts("who")),
        address=place_of(form, "to"),
        setai_no=form.text("setai_no"),
        positions=placed(about, form),
        **notice_of(form),
    )


def death_steps(about: About, persons: int) -> list[Step]:
    """死亡・職権消除: the pages."""
    return [
        first_page(
            "異動日（死亡の日）",
            (("death", "死亡"), ("removal", "職権消除"), ("removal_nationality_lost", "職権消除（国籍喪失）")),
            unknown=True,
        ),
        Step(title="残る人の続柄", fields=positions(about, but=about.atena_no), lead=UNCHANGED),
    ]


def death(about: About, form: Form) -> Change:
    """死亡・職権消除 as given."""
    return Death(reason=form.text("reason"), atena_no=about.atena_no, positions=placed(about, form), **notice_of(form))


def move_out_steps(about: About, persons: int) -> list[Step]:
    """転出: the pages."""
    return [
        first_page("転出予定日", (("move_out", "国内転出"), ("move_out_abroad", "国外転出"))),
        Step(
            title="転出する人と転出先",
            fields=[who(about, "転出する人"), *place_fields("to", "転出先住所（予定）", country=True)],
        ),
        Step(title="残る人の続柄", fields=positions(about), lead=UNCHANGED),
    ]


def move_out(about: About, form: Form) -> Change:
    """転出 as given."""
    return MoveOut(
        reason=form.text("reason"),
        atena_nos=tuple(form.texts("who")),
        destination=place_of(form, "to"),
        positions=placed(about, form),
        **notice_of(form),
    )
