"""項目の読取り: one cell of a row becomes one value, or a fault that names the rule and the class of what stood there.

A register repeats itself (towns, codes, dates, names), so every column remembers what it has read before; the memory is bounded.
"""

from __future__ import annotations

import datetime as dt
import re
import unicodedata
from collections.abc import Callable
from functools import lru_cache
from typing import Any, Final

from juki import dates, letters
from juki.dates import RegistryDate
from juki.legacy.layout import Field, Layout
from juki.legacy.model import Fault
from juki.numbers import is_municipality_code, is_my_number, is_residence_card_number, is_resident_code
from juki.problem import Invalid
from juki.registry.model import is_relationship

_REMEMBERED: Final = 8192
_DAYS_REMEMBERED: Final = 1 << 16
_DIGITS: Final = re.compile(r"[0-9]+")
_NO_CP932: Final = frozenset("\x80\xa0\uf8f0\uf8f1\uf8f2\uf8f3")
_PADDING: Final = " \u3000\x00"
UNIDENTIFIED: Final = "gaiji.unidentified"

Convert = Callable[[str], Any]


class BadValue(Exception):
    """A cell breaks a rule; the code says which."""

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(reason)


def value_class(text: str) -> str:
    """What kind of text and how long, as work lists and logs may say it: digits(12), kana(5), kanji(3), mixed(9)."""
    bare = text.strip(_PADDING)
    if not bare:
        return "empty"
    kinds = {_kind(c) for c in bare if c not in _PADDING}
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


class Column(dict[Any, Any]):
    """One column of one file: raw cell -> value. A fault or an alert is put down for the row at hand and not remembered."""

    def __init__(self, field: Field, convert: Convert, encoding: str, faults: list[Fault], alerts: list[Fault]) -> None:
        super().__init__()
        self.field = field
        self._convert, self._encoding = convert, encoding
        self._faults, self._alerts = faults, alerts

    def __missing__(self, cell: bytes | str) -> Any:
        title = self.field.title
        if isinstance(cell, str):
            text = cell.strip(_PADDING)
        else:
            try:
                text = _strict(cell.decode(self._encoding)).strip(_PADDING)
            except UnicodeDecodeError:
                self._faults.append(Fault(title, "text.undecodable", f"bytes({len(cell)})"))
                return None
        if not text:
            value = None
        else:
            try:
                value = self._convert(text)
            except BadValue as e:
                self._faults.append(Fault(title, e.reason, value_class(text)))
                return None
            if isinstance(value, str) and letters.private_use(value):
                self._alerts.append(Fault(title, UNIDENTIFIED, value_class(text)))
                return value
        if len(self) >= _REMEMBERED:
            self.clear()
        self[cell] = value
        return value


def _strict(text: str) -> str:
    """Python reads the bytes 80, A0, FD, FE and FF of cp932 as characters; no cp932 table holds them."""
    if not _NO_CP932.isdisjoint(text):
        raise UnicodeDecodeError("cp932", b"", 0, 1, "not a cp932 byte")
    return text


def converter(field: Field, layout: Layout, gaiji: letters.Gaiji, rules: dict[str, Convert]) -> Convert:
    """How a field's text becomes its value; `rules` are further checks by item path."""
    base = _base(field, layout, gaiji)
    rule = rules.get(field.to)
    if rule is None:
        return base
    return lambda text: rule(base(text))


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
    def read(text: str) -> str:
        found, _ = gaiji.identify(text)
        if type == "kana":
            found = letters.full_kana(found)
        shown = found.replace("\r\n", "").replace("\n", "") if type == "memo" else found
        if letters.forbidden(shown):
            raise BadValue("text.forbidden")
        if type == "relationship" and not is_relationship(found):
            raise BadValue("code.unknown")
        return found

    return read


def _half(text: str) -> str:
    if letters.forbidden(text) or not text.isprintable():
        raise BadValue("text.forbidden")
    return text


def _only_digits(text: str) -> str:
    if _DIGITS.fullmatch(text) is None:
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


def item_rules(resident_code_rule: str) -> dict[str, Convert]:
    """Checks by item path: check digits, forms of numbers, letters of names. `resident_code_rule` is the tenant's setting."""
    names = ("basic.name", "basic.former_surname", "basic.alias", "basic.name_kanji", "basic.head_name", "name")
    postal = _checked(lambda t: len(t) == 7 and t.isdigit(), "postal.form")
    code = _checked(lambda t: is_resident_code(t), "resident_code.form")

    def resident_code(text: str) -> str:
        if not is_resident_code(code(text), rule=resident_code_rule):
            raise BadValue("resident_code.check_digit")
        return text

    def my_number(text: str) -> str:
        if len(text) != 12 or _DIGITS.fullmatch(text) is None:
            raise BadValue("my_number.form")
        if not is_my_number(text):
            raise BadValue("my_number.check_digit")
        return text

    in_house = _checked(lambda t: 0 < len(t) <= 15, "digits.form")
    return (
        dict.fromkeys(names, _name)
        | {f"address.{part}.postal": postal for part in ("address", "previous_address", "last_registered_address")}
        | {f"removal.{part}.postal": postal for part in ("planned_address", "settled_address")}
        | dict.fromkeys(("atena_no", "setai_no", "head_atena_no"), in_house)
        | {
            "my_number.my_number": my_number,
            "resident_code.resident_code": resident_code,
            "resident_code": resident_code,
            "foreigner.card_number": _checked(is_residence_card_number, "card.form"),
            "basic.alias_entered_code": _checked(is_municipality_code, "municipality.check_digit"),
            "basic.alias_removed_code": _checked(is_municipality_code, "municipality.check_digit"),
        }
    )
