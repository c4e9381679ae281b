"""Forms as values: what a page asks, what came back, and what is wrong beside which field."""

from __future__ import annotations

import re
import secrets
import unicodedata
from collections.abc import Mapping, Sequence
from typing import Final, Literal, TypeAlias

import msgspec

from juki import dates, letters, numbers
from juki.dates import RegistryDate
from juki.problem import Invalid
from juki.web import text_of

Kind: TypeAlias = Literal[
    "text", "password", "number", "date", "select", "radio", "checks", "check", "textarea", "hidden"
]
Rule: TypeAlias = Literal["", "my_number", "resident_code", "postal", "kana"]
Option: TypeAlias = tuple[str, str]
NEEDED: Final = "入力されていません。入力してください。"
NOT_OFFERED: Final = "選べない値です。選び直してください。"
TOO_LONG: Final = "文字数が多すぎます。{max}文字以内にしてください。"
NOT_KANA: Final = "カタカナで入力してください。"
DIGITS: Final = "{count}桁の数字で入力してください。"
CHECK_DIGIT: Final = "検査用数字（末尾の1桁）が合いません。写し間違いがないか、カード等で確かめてください。"
_SEPARATORS: Final = str.maketrans("", "", " -‐‑‒–—−ー―")
_HIRAGANA: Final = {point: point + 0x60 for point in range(0x3041, 0x3097)}
_KANA: Final = re.compile(r"[ァ-ヺー・ヽヾ\u3000]+")


class Field(msgspec.Struct, frozen=True, kw_only=True):
    """One question of a form, in the words of the paper."""

    name: str
    label: str
    kind: Kind = "text"
    required: bool = False
    hint: str = ""
    options: Sequence[Option] = ()
    width: Literal["xs", "s", "m", "l", "xl"] = "m"
    max: int = 100
    autocomplete: str = "off"
    autofocus: bool = False
    default: str = ""  # shown until the clerk says otherwise
    follows: str = ""  # another field whose value is shown here until the clerk says otherwise
    group: str = ""  # heading under which it stands, where a page has several
    unknown_allowed: bool = False  # 年月日不詳 and the like, where the register allows it
    needed_when: tuple[str, Sequence[str]] = ("", ())  # required where another field says one of these
    rule: Rule = ""  # what the text must be besides present and short enough
    folded: bool = False  # asked of few: closed until something stands in it


class Form:
    """Fields with the values given, and what is to be said beside each."""

    def __init__(self, fields: Sequence[Field], given: Mapping[str, Sequence[str]] | None = None) -> None:
        self.fields = fields
        self.errors: dict[str, str] = {}
        self.alerts: dict[str, str] = {}
        self._given: dict[str, list[str]] = {k: list(v) for k, v in (given or {}).items()}

    def value(self, name: str) -> str | list[str]:
        """What was given, for showing again; a list for check boxes."""
        values = self._given.get(name, [])
        field = next((f for f in self.fields if f.name == name), None)
        if field is not None and field.kind == "checks":
            return values if name in self._given or not field.default else [field.default]
        if not values and field is not None and name not in self._given:
            return self.text(field.follows) if field.follows else field.default
        return values[0] if values else ""

    @property
    def given(self) -> Mapping[str, Sequence[str]]:
        """Everything that was sent, as it was sent."""
        return self._given

    def text(self, name: str) -> str:
        """The one value of a field without the blanks around it; numbers and kana as the register writes them."""
        values = self._given.get(name, [])
        field = next((f for f in self.fields if f.name == name), None)
        return _settled(values[0], field) if values else ""

    def texts(self, name: str) -> list[str]:
        """Every value of a field."""
        return list(self._given.get(name, []))

    def put(self, name: str, value: str) -> None:
        """Show a value before the clerk gave any."""
        self._given.setdefault(name, [value])

    def replace(self, name: str, values: Sequence[str]) -> None:
        """Show other values than the clerk gave."""
        self._given[name] = list(values)

    def field(self, name: str) -> Field:
        """One question by name."""
        return next(f for f in self.fields if f.name == name)

    def groups(self, names: Sequence[str] | None = None) -> list[tuple[str, list[Field]]]:
        """The questions under their headings, in order."""
        found: list[tuple[str, list[Field]]] = []
        for field in self.fields:
            if names is not None and field.name not in names:
                continue
            if not found or found[-1][0] != field.group:
                found.append((field.group, []))
            found[-1][1].append(field)
        return found

    def error(self, name: str) -> str:
        """What is wrong with a field, or nothing."""
        return self.errors.get(name, "")

    def alert(self, name: str) -> str:
        """What to look at twice, or nothing."""
        return self.alerts.get(name, "")

    def filled(self, fields: Sequence[Field]) -> bool:
        """True where one of these has something in it or wrong with it."""
        return any(self.error(f.name) or any(v.strip() for v in self._given.get(f.name, [])) for f in fields)

    def label(self, name: str) -> str:
        """The paper's word for a field, with its heading where two fields bear the same word."""
        field = next((f for f in self.fields if f.name == name), None)
        if field is None:
            return name
        shared = sum(1 for f in self.fields if f.label == field.label) > 1
        return f"{field.group}　{field.label}" if shared and field.group else field.label

    def wrong(self, name: str, text: str) -> None:
        """The first thing said about a field stands."""
        self.errors.setdefault(name, text)

    def check(self, names: Sequence[str] | None = None) -> bool:
        """The rules every form shares: required, offered, length, a readable date. True where nothing is wrong."""
        for field in self.fields:
            if names is None or field.name in names:
                self._check(field)
        return not self.errors

    def _check(self, field: Field) -> None:
        values = [v for v in self._given.get(field.name, []) if v.strip()]
        if not values:
            if field.required or self.text(field.needed_when[0]) in field.needed_when[1]:
                self.wrong(field.name, NEEDED)
            return
        if field.options and field.kind != "hidden" and not set(values) <= {code for code, _ in field.options}:
            self.wrong(field.name, NOT_OFFERED)
        if any(len(_settled(v, field)) > field.max for v in values) and not field.options:
            self.wrong(field.name, TOO_LONG.format(max=field.max))
        if field.kind == "date":
            self.date(field.name)
        if fault := fault_of(field.rule, _settled(values[0], field)):
            self.wrong(field.name, fault)

    def date(self, name: str) -> RegistryDate | None:
        """The date as typed, in any form a clerk uses; None where blank or unreadable (then the error is noted)."""
        given = self.text(name)
        if not given:
            return None
        unknown = next((f.unknown_allowed for f in self.fields if f.name == name), False)
        try:
            return dates.parse(given, unknown_allowed=unknown)
        except Invalid as e:
            self.wrong(name, text_of(e.code, 422))
            return None

    def take(self, error: Invalid, where: Mapping[str, str] | None = None) -> None:
        """Put a rule's refusal beside the fields it names; what names none of ours goes to the top of the page."""
        names = where or {}
        for path, code in (error.fields or {"": error.code}).items():
            name = names.get(path, path.rpartition(".")[2])
            known = name if any(f.name == name for f in self.fields) else ""
            self.wrong(known or "form", text_of(code, 422))

    def carried(self, but: Sequence[str] = ()) -> list[tuple[str, str]]:
        """Every given value as hidden fields for the next page, so nothing is typed twice."""
        skip = {"form_token", "go", *but}
        return [(name, v) for name, values in self._given.items() if name not in skip for v in values]


def digits(typed: str) -> str:
    """A number as pasted or typed: half-width, without the separators that papers print."""
    return unicodedata.normalize("NFKC", typed).translate(_SEPARATORS).strip()


def kana(typed: str) -> str:
    """フリガナ as the register writes it: full-width katakana, one full-width space between the names."""
    wide = letters.full_kana(typed).translate(_HIRAGANA)
    return "　".join(wide.split())


def fault_of(rule: Rule, text: str) -> str:
    """What a rule says of a settled text; nothing where it is in order."""
    if rule == "my_number":
        return length_fault(text, 12) or ("" if numbers.is_my_number(text) else CHECK_DIGIT)
    if rule == "resident_code":
        return length_fault(text, 11)
    if rule == "postal":
        return length_fault(text, 7)
    return NOT_KANA if rule == "kana" and not _KANA.fullmatch(text) else ""


def length_fault(text: str, count: int) -> str:
    """The hint for a number that is not of so many digits."""
    return "" if len(text) == count and text.isascii() and text.isdigit() else DIGITS.format(count=count)


def _settled(typed: str, field: Field | None) -> str:
    if field is not None and field.kind == "number":
        return digits(typed)
    if field is not None and field.rule == "kana":
        return kana(typed)
    return typed.strip()


def new_number() -> str:
    """様式の通し番号: the same page sent twice carries the same number, so it is recorded once."""
    return secrets.token_urlsafe(16)
