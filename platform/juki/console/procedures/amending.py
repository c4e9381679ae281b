"""修正・取消し: forms about what the register already says."""

from __future__ import annotations

from typing import Final

from juki.console.form import Field, Form, kana
from juki.console.procedures.notice import first_page, notice_of
from juki.console.procedures.procedure import About, Step
from juki.registry.model import Cancel, Change, Correct

CORRECTIONS: Final = 4


def correct_steps(about: About, persons: int) -> list[Step]:
    """誤記修正・職権修正: the pages."""
    rows = [
        Field(name="version_no", label="直す履歴", kind="select", required=True, options=about.versions, width="l"),
    ]
    for n in range(CORRECTIONS):
        rows += [
            Field(
                name=f"item_{n}",
                group=f"{n + 1}件目",
                label="直す項目",
                kind="select",
                required=n == 0,
                options=about.items,
                width="m",
            ),
            Field(name=f"value_{n}", group=f"{n + 1}件目", label="正しい内容", width="l", max=300),
        ]
    reasons = (("correct", "誤記修正"), ("amend", "職権修正"))
    return [first_page("異動日（修正する日）", reasons), Step(title="誤りと正しい内容", fields=rows)]


def correct(about: About, form: Form) -> Change:
    """誤記修正・職権修正 as given."""
    items: dict[str, str | bool] = {
        path: _as_written(path, form.text(f"value_{n}")) for n in range(CORRECTIONS) if (path := form.text(f"item_{n}"))
    }
    return Correct(
        reason=form.text("reason"),
        atena_no=about.atena_no,
        version_no=int(form.text("version_no") or about.version_no),
        items=items,
        **notice_of(form),
    )


def _as_written(path: str, text: str) -> str:
    """フリガナ as the register writes it, everything else as typed."""
    return kana(text) if path.endswith("_kana") else text


def cancel_steps(about: About, persons: int) -> list[Step]:
    """異動の取消し: the pages."""
    asked = Field(name="event_no", label="取り消す異動", kind="select", required=True, options=about.events, width="l")
    lead = "取消しは新しい履歴として残り、元の内容に戻ります。取り消した異動も履歴に残ります。"
    return [first_page("異動日（取消しの日）"), Step(title="取り消す異動", fields=[asked], lead=lead)]


def cancel(about: About, form: Form) -> Change:
    """異動の取消し as given."""
    return Cancel(event_no=int(form.text("event_no")), **notice_of(form))
