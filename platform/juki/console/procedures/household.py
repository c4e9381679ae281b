"""世帯: who of the household a form is about, and the 続柄 that follow; 世帯主変更."""

from __future__ import annotations

from typing import Final

from juki.console.form import Field, Form
from juki.console.procedures.notice import first_page, notice_of
from juki.console.procedures.procedure import About, Step
from juki.registry.model import Change, HeadChange, Position

UNCHANGED: Final = "変わらない人は空欄のままにします。世帯主がいなくなるときは、新しい世帯主と各人の続柄を入れます。"


def who(about: About, label: str) -> Field:
    """対象者: the members of the household as boxes to tick."""
    options = [(m.atena_no, f"{m.name}（{m.relationship}）") for m in about.members]
    first = next((m.atena_no for m in about.members if m.chosen), "")
    return Field(name="who", label=label, kind="checks", required=True, options=options, default=first)


def positions(about: About, but: str = "") -> list[Field]:
    """続柄: one field per member save `but`, blank where nothing changes."""
    return [
        Field(name=f"rel_{m.atena_no}", label=f"{m.name}の新しい続柄", width="s", hint=f"今は{m.relationship}")
        for m in about.members
        if m.atena_no != but
    ]


def placed(about: About, form: Form) -> tuple[Position, ...]:
    """The 続柄 that were given."""
    said = ((m.atena_no, form.text(f"rel_{m.atena_no}")) for m in about.members)
    return tuple(Position(atena_no=no, relationship=text) for no, text in said if text)


def head_change_steps(about: About, persons: int) -> list[Step]:
    """世帯主変更: the pages."""
    return [
        first_page("異動日（変更した日）"),
        Step(title="新しい世帯主と続柄", fields=positions(about), lead=UNCHANGED),
    ]


def head_change(about: About, form: Form) -> Change:
    """世帯主変更 as given."""
    return HeadChange(household=about.setai_no, positions=placed(about, form), **notice_of(form))
