"""修正・取消し: forms about what the register already says."""

from __future__ import annotations

from typing import Final

from juki.console import words
from juki.console.form import Field, Form, kana
from juki.console.procedures.newcomer import NUMBER_SOURCES, spaced
from juki.console.procedures.notice import first_page, notice_of
from juki.console.procedures.procedure import About, Step
from juki.problem import Invalid
from juki.registry.model import Cancel, Change, Correct, NumberSource

CORRECTIONS: Final = 4
_YES: Final = "該当"
_FLAGS: Final = ("_confirmed", "_certified", "_notified", ".article_30_46", ".article_30_47")
_NAMES: Final = frozenset(
    {
        "basic.name",
        "basic.alias",
        "basic.name_kanji",
        "basic.name_roman",
        "domicile.family_head",
        "address.former_head_name",
    }
)
_CODES: Final = {
    "basic.sex": {word: sex.value for sex, word in words.SEX.items()},
    "basic.name_priority": {word: code for code, word in words.NAME_PRIORITY.items()},
}
"""Items whose value has a word on the screen and a code in the record."""


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
    rows.append(
        Field(
            name="my_number_source",
            group="個人番号を直すとき",
            label="個人番号の確認元",
            kind="select",
            options=NUMBER_SOURCES,
            width="m",
        )
    )
    reasons = (("correct", "誤記修正"), ("amend", "職権修正"))
    lead = "画面のとおりの言葉で入力します（性別は男・女・不明）。「該当」と表示する項目は、該当か空欄にします。"
    return [first_page("異動日（修正する日）", reasons), Step(title="誤りと正しい内容", fields=rows, lead=lead)]


def correct(about: About, form: Form) -> Change:
    """誤記修正・職権修正 as given. Invalid where an item is to read in two ways, or a 正しい内容 is of no item."""
    items: dict[str, str | bool] = {}
    for n in range(CORRECTIONS):
        path = form.text(f"item_{n}")
        if path in items:
            raise Invalid("registry.item_twice", "an item chosen twice", fields={f"item_{n}": "registry.item_twice"})
        if not path and form.text(f"value_{n}"):
            raise Invalid("registry.required", "a value of no item", fields={f"item_{n}": "registry.required"})
        if path:
            items[path] = as_written(path, form.text(f"value_{n}"))
    return Correct(
        reason=form.text("reason"),
        atena_no=about.atena_no,
        version_no=int(form.text("version_no") or about.version_no),
        items=items,
        my_number_source=NumberSource(form.text("my_number_source") or NumberSource.STATED.value),
        **notice_of(form),
    )


def as_written(path: str, text: str) -> str:
    """フリガナ and names as the register writes them, words as their codes, everything else as typed."""
    if path.endswith("_kana"):
        return kana(text)
    if path.endswith(_FLAGS):
        return {_YES: "1", "": "0"}.get(text, text)
    return _CODES.get(path, {}).get(text, spaced(text) if path in _NAMES else text)


def as_said(path: str, written: str | bool) -> str:
    """The words that a clerk types for an item as it was written."""
    if path.endswith(_FLAGS):
        return _YES if written in (True, "1") else ""
    return next((word for word, code in _CODES.get(path, {}).items() if code == written), str(written))


def cancel_steps(about: About, persons: int) -> list[Step]:
    """異動の取消し: the pages."""
    asked = Field(name="event_no", label="取り消す異動", kind="select", required=True, options=about.events, width="l")
    lead = "取消しは新しい履歴として残り、元の内容に戻ります。取り消した異動も履歴に残ります。"
    return [first_page("異動日（取消しの日）"), Step(title="取り消す異動", fields=[asked], lead=lead)]


def cancel(about: About, form: Form) -> Change:
    """異動の取消し as given."""
    return Cancel(event_no=int(form.text("event_no")), **notice_of(form))
