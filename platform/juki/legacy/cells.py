"""項目の読取り: one cell of a row becomes one value, or a fault that names the rule and the class of what stood there.

A register repeats itself (towns, codes, dates, names), so every column remembers what it has read before; the memory is bounded.
"""

from __future__ import annotations

import datetime as dt
import re
import sys
import unicodedata
from calendar import monthrange
from collections.abc import Callable, Sequence
from enum import StrEnum
from functools import lru_cache
from typing import Any, Final

from juki import dates, letters
from juki.dates import RegistryDate
from juki.legacy.layout import Field, Layout
from juki.numbers import is_municipality_code, is_my_number, is_residence_card_number, is_resident_code
from juki.problem import Invalid
from juki.registry.model import Kind, Sex, Status, is_relationship

_DAYS_REMEMBERED: Final = 1 << 16
_DIGITS: Final = re.compile(r"[0-9]+")
_NO_CP932: Final = frozenset("\x80\xa0\uf8f0\uf8f1\uf8f2\uf8f3")
_BLANK: Final = (None,)
PADDING: Final = " \u3000\x00"
UNIDENTIFIED: Final = "gaiji.unidentified"

_PLAIN_MOST: Final = 100
_IN_HOUSE_MOST: Final = 15
_PLAIN_NAME: Final = re.compile("[\u3000\u3005-\u3007\u3041-\u3096\u30a1-\u30fa\u30fc\u4e00-\u9fff]+")
_PLAIN_TEXT: Final = re.compile(
    "[\u3000\u3005-\u3007\u3041-\u3096\u30a1-\u30fc\u4e00-\u9fff\uff08\uff09\uff0d\uff10-\uff19\uff21-\uff3a]+"
)
_PLAIN_HALF: Final = re.compile("[ -~]+")
_PLAIN_DIGITS: Final = re.compile("[0-9]+")
_HALF_KANA: Final = re.compile("[\uff66-\uff9f ]+")
_NEVER: Final = re.compile("(?!)")

Convert = Callable[[str], Any]


class BadValue(Exception):
    """A cell breaks a rule; the code says which."""

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(reason)


def value_class(text: str) -> str:
    """What kind of text and how long, as work lists and logs may say it: digits(12), kana(5), kanji(3), mixed(9)."""
    bare = text.strip(PADDING)
    if not bare:
        return "empty"
    kinds = {_kind(c) for c in bare if c not in PADDING}
    return f"{kinds.pop() if len(kinds) == 1 else 'mixed'}({len(bare)})"


def _kind(character: str) -> str:
    if character.isascii():
        return "digits" if character.isdigit() else "latin" if character.isalpha() else "signs"
    if letters.is_private_use(character):
        return "gaiji"
    category = unicodedata.category(character)
    if category.startswith("C"):
        return "control"
    name = unicodedata.name(character, "")
    if "KATAKANA" in name or "HIRAGANA" in name:
        return "kana"
    return "kanji" if "IDEOGRAPH" in name else "wide"


class Marked:
    """A text taken over as it is, with a 外字 that nobody has identified."""

    __slots__ = ("text",)

    def __init__(self, text: str) -> None:
        self.text = text


def class_of(cell: bytes | str) -> str:
    return value_class(cell if isinstance(cell, str) else cell.decode("cp932", "replace"))


class Loader:
    """How the cells of a field become values: one by one, or many at once. `rules` are further checks by item path.

    The common cases (plain kanji, half-width kana, digits) are told by one look and skip every other test: they are tens of
    millions of cells of a city's extract.
    """

    def __init__(
        self, field: Field, layout: Layout, gaiji: letters.Gaiji, rules: dict[str, Convert], encoding: str
    ) -> None:
        rule = rules.get(field.to)
        convert = _base(field, layout, gaiji)
        self._convert = convert if rule is None else _chained(convert, rule)
        self._encoding = encoding
        self._plain, self._most = _NEVER, 0
        self._take: Callable[[str], str] | None = None
        if field.type == "kana" and rule is None:
            self._plain, self._most, self._take = _HALF_KANA, sys.maxsize, _full_width
        elif field.type == "text" and rule in {None, _name}:
            self._plain, self._most = _PLAIN_TEXT if rule is None else _PLAIN_NAME, _PLAIN_MOST
        elif field.type == "half" and rule is None:
            self._plain, self._most = _PLAIN_HALF, sys.maxsize
        elif field.type == "digits" and rule in {None, _in_house}:
            self._plain, self._most = _PLAIN_DIGITS, sys.maxsize if rule is None else _IN_HOUSE_MOST

    def load(self, cell: bytes | str) -> Any:
        """The value of one cell, None where it is blank, Marked where it holds a 外字 that nobody has identified.

        Raises BadValue or UnicodeDecodeError.
        """
        text = (cell if isinstance(cell, str) else cell.decode(self._encoding)).strip(PADDING)
        if not text:
            return None
        if len(text) <= self._most and self._plain.fullmatch(text):
            return text if self._take is None else self._take(text)
        return self._convert(text)

    def load_many(self, cells: Sequence[Any]) -> list[tuple[Any] | None]:
        """The value of each cell, alone in a tuple; None for one that `load` has to speak of."""
        texts = self._decoded(cells)
        if texts is None:
            return [None] * len(cells)
        one, take = self._one_of_many, self._take
        if not self._most or max(map(len, texts)) > self._most:
            return list(map(one, texts))
        plain = map(self._plain.fullmatch, texts)
        if take is None:
            return [(text,) if fits and text else one(text) for fits, text in zip(plain, texts, strict=True)]
        return [(take(text),) if fits and text else one(text) for fits, text in zip(plain, texts, strict=True)]

    def _one_of_many(self, text: str) -> tuple[Any] | None:
        if not text:
            return _BLANK
        try:
            value = self._convert(text)
        except BadValue:
            return None
        return None if value.__class__ is Marked else (value,)

    def _decoded(self, cells: Sequence[Any]) -> list[str] | None:
        """The text of every cell, decoded in one piece; None where one of them does not decode."""
        if isinstance(cells[0], str):
            return [cell.strip(PADDING) for cell in cells]
        joined = b"\n".join(cells)
        try:
            texts = joined.decode("ascii" if joined.isascii() else self._encoding).split("\n")
        except UnicodeDecodeError:
            return None
        if len(texts) != len(cells):
            return None
        return texts if joined.isalnum() else [text.strip(PADDING) for text in texts]


def _full_width(kana: str) -> str:
    return unicodedata.normalize("NFKC", kana).replace(" ", "\u3000")


def _chained(first: Convert, then: Convert) -> Convert:
    def both(text: str) -> Any:
        found = first(text)
        if found.__class__ is Marked:
            then(found.text)
            return found
        return then(found)

    return both


def _base(field: Field, layout: Layout, gaiji: letters.Gaiji) -> Convert:
    if field.type in {"text", "memo", "kana", "relationship"}:
        return _texts(field.type, gaiji)
    if field.type == "code":
        return _code(layout.codes[field.codes])
    if field.type == "chain":
        return _chain(layout.codes[field.codes])
    if field.type == "date":
        return _day(field.unknown)
    return {"half": _half, "digits": _only_digits, "number": _number, "flag": _flag}[field.type]


def _texts(type: str, gaiji: letters.Gaiji) -> Convert:
    def read(text: str) -> str | Marked:
        if not _NO_CP932.isdisjoint(text):
            raise BadValue("text.undecodable")
        found, left = gaiji.identify(text)
        if type == "kana":
            found = letters.full_kana(found)
        shown = found.replace("\r\n", "").replace("\n", "") if type == "memo" else found
        if letters.forbidden(shown):
            raise BadValue("text.forbidden")
        if type == "relationship" and not is_relationship(found):
            raise BadValue("code.unknown")
        return Marked(found) if left else found

    return read


def _half(text: str) -> str:
    if not text.isprintable() or (not text.isascii() and letters.forbidden(text)):
        raise BadValue("text.forbidden")
    return text


def _only_digits(text: str) -> str:
    if not (text.isascii() and text.isdigit()):
        raise BadValue("digits.form")
    return text


def _number(text: str) -> int:
    if _DIGITS.fullmatch(text) is None or len(text) > 9:
        raise BadValue("digits.form")
    return int(text)


def _flag(text: str) -> bool:
    if text not in {"0", "1"}:
        raise BadValue("code.unknown")
    return text == "1"


def _code(table: dict[str, str]) -> Convert:
    def read(text: str) -> str:
        if text not in table:
            raise BadValue("code.unknown")
        return table[text]

    return read


def _chain(table: dict[str, str]) -> Convert:
    """続柄 as codes of two digits a generation."""

    def read(text: str) -> str:
        parts = [table.get(text[at : at + 2]) for at in range(0, len(text), 2)]
        found = "の".join(part for part in parts if part)
        if None in parts or not is_relationship(found):
            raise BadValue("code.unknown")
        return found

    return read


def _day(unknown: bool) -> Convert:
    def read(text: str) -> RegistryDate | None:
        if len(text) in {7, 8} and text.isascii() and text.isdigit():
            month = _month(text[:-2])
            if month is not None and 0 < (day := int(text[-2:])) <= month[2]:
                return RegistryDate(month[0], month[1], day, month[3])
        found = _parsed(text, unknown)
        if found.__class__ is str:
            raise BadValue(found)
        return found

    return read


@lru_cache(maxsize=_DAYS_REMEMBERED)
def _parsed(text: str, unknown: bool) -> Any:
    """A date, None for the zeros that stand for none, or the code of the rule it breaks."""
    if not text.strip("0-/. "):
        return None
    try:
        return dates.parse(text, unknown_allowed=unknown)
    except Invalid as e:
        return e.code


@lru_cache(maxsize=_DAYS_REMEMBERED)
def _month(text: str) -> tuple[int, int, int, str] | None:
    """Year, month, its days and the letter of the era of GYYMM or YYYYMM, where every day of that month reads: the digits of
    a day in it need no further look. None where only some do, or none."""
    first = _parsed(f"{text}01", False)
    if first.__class__ is not RegistryDate or (len(text) == 5 and not first.era):
        return None
    days = monthrange(first.year, first.month)[1]
    last = _parsed(f"{text}{days:02}", False)
    return None if last.__class__ is not RegistryDate else (first.year, first.month, days, first.era)


@lru_cache(maxsize=_DAYS_REMEMBERED)
def calendar_day(date: RegistryDate) -> dt.date | None:
    """The day a date is, None where it is unknown, impossible or open."""
    return date.to_date()


@lru_cache(maxsize=_DAYS_REMEMBERED)
def ordering_day(date: RegistryDate) -> dt.date:
    """The day a date sorts by; a register has some forty thousand of them."""
    return date.sort_date()


# --- rules of single items ----------------------------------------------------------------------------------------


def _checked(holds: Callable[[str], bool], reason: str) -> Convert:
    def check(text: str) -> str:
        if not holds(text):
            raise BadValue(reason)
        return text

    return check


def _name(text: str) -> str:
    if not letters.is_name(text):
        raise BadValue("name.form")
    return text


def _in_house(text: str) -> str:
    if not 0 < len(text) <= _IN_HOUSE_MOST:
        raise BadValue("digits.form")
    return text


def _member(kind: type[StrEnum]) -> Convert:
    """One of the words that the record knows; a layout may lead a code to one it does not."""

    def read(text: str) -> StrEnum:
        try:
            return kind(text)
        except ValueError:
            raise BadValue("code.unknown") from None

    return read


def item_rules(resident_code_rule: str) -> dict[str, Convert]:
    """Checks by item path: check digits, forms of numbers, letters of names. `resident_code_rule` is the tenant's setting."""
    names = ("basic.name", "basic.former_surname", "basic.alias", "basic.name_kanji", "basic.head_name", "name")
    postal = _checked(lambda t: len(t) == 7 and t.isdigit(), "postal.form")

    def resident_code(text: str) -> str:
        if not is_resident_code(text, rule=resident_code_rule):
            raise BadValue("resident_code.check_digit" if is_resident_code(text) else "resident_code.form")
        return text

    def my_number(text: str) -> str:
        if len(text) != 12:
            raise BadValue("my_number.form")
        if not is_my_number(text):
            raise BadValue("my_number.check_digit")
        return text

    return (
        dict.fromkeys(names, _name)
        | {f"address.{part}.postal": postal for part in ("address", "previous_address", "last_registered_address")}
        | {f"removal.{part}.postal": postal for part in ("planned_address", "settled_address")}
        | dict.fromkeys(("atena_no", "setai_no", "head_atena_no"), _in_house)
        | dict.fromkeys(("basic.sex", "sex"), _member(Sex))
        | {
            "status": _member(Status),
            "kind": _member(Kind),
            "my_number.my_number": my_number,
            "resident_code.resident_code": resident_code,
            "resident_code": resident_code,
            "foreigner.card_number": _checked(is_residence_card_number, "card.form"),
            "basic.alias_entered_code": _checked(is_municipality_code, "municipality.check_digit"),
            "basic.alias_removed_code": _checked(is_municipality_code, "municipality.check_digit"),
        }
    )
