"""項目の読取り: one cell of a row becomes one value, or a fault that names the rule and the class of what stood there.

A register repeats itself (towns, codes, dates, names), so every column remembers what it has read before; the memory is bounded.
"""

from __future__ import annotations

import datetime as dt
import re
import struct
import unicodedata
from collections.abc import Callable, Sequence
from functools import lru_cache
from itertools import chain
from operator import getitem
from typing import Any, Final

from juki import dates, letters
from juki.dates import RegistryDate
from juki.legacy.layout import Field, Layout
from juki.legacy.model import Fault
from juki.numbers import is_municipality_code, is_my_number, is_residence_card_number, is_resident_code
from juki.problem import Invalid
from juki.registry.model import is_relationship

_REMEMBERED: Final = 4096
_NOTHING: Final = (None,)
_DAYS_REMEMBERED: Final = 1 << 16
_DIGITS: Final = re.compile(r"[0-9]+")
_NO_CP932: Final = frozenset("\x80\xa0\uf8f0\uf8f1\uf8f2\uf8f3")
_PADDING: Final = " \u3000\x00"
UNIDENTIFIED: Final = "gaiji.unidentified"

_PLAIN_MOST: Final = 100
_PLAIN_NAME: Final = re.compile("[\u3000\u3005-\u3007\u3041-\u3096\u30a1-\u30fa\u30fc\u4e00-\u9fff]+")
_PLAIN_TEXT: Final = re.compile(
    "[\u3000\u3005-\u3007\u3041-\u3096\u30a1-\u30fc\u4e00-\u9fff\uff08\uff09\uff0d\uff10-\uff19\uff21-\uff3a]+"
)
_HALF_KANA: Final = re.compile("[\uff66-\uff9f ]+")

Convert = Callable[[str], Any]
Load = Callable[[Any], Any]


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


values_of: Final[Callable[[Any, Any], tuple[Any, ...]]] = getitem
"""What a Column or a ColumnRun makes of a cell: its values, in order."""


class Column(dict[Any, tuple[Any, ...]]):
    """One column of one file: raw cell -> its value, alone in a tuple, as a run of columns has several. A fault or an alert
    is put down for the row at hand and not remembered."""

    def __init__(self, field: Field, load: Load, faults: list[Fault], alerts: list[Fault]) -> None:
        super().__init__()
        self.field = field
        self._load = load
        self._faults, self._alerts = faults, alerts

    def __missing__(self, cell: bytes | str) -> tuple[Any, ...]:
        try:
            value = self._load(cell)
        except BadValue as e:
            self._faults.append(Fault(self.field.title, e.reason, _class_of(cell)))
            return _NOTHING
        except UnicodeDecodeError:
            self._faults.append(Fault(self.field.title, "text.undecodable", f"bytes({len(cell)})"))
            return _NOTHING
        if value.__class__ is _Marked:
            self._alerts.append(Fault(self.field.title, UNIDENTIFIED, value_class(value.text)))
            return (value.text,)
        if len(self) >= _REMEMBERED:  # a day read before is still at hand below
            self.clear()
        self[cell] = found = (value,)
        return found


class ColumnRun(dict[bytes, tuple[Any, ...]]):
    """Neighbouring columns of a fixed-length row, remembered as one stretch of bytes: most of them are blank or repeat as a
    whole, in a household or in the whole town."""

    def __init__(self, columns: Sequence[Column], faults: list[Fault], alerts: list[Fault]) -> None:
        super().__init__()
        self._columns = columns
        self._faults, self._alerts = faults, alerts
        self._cut = struct.Struct("".join(f"{column.field.width}s" for column in columns)).unpack

    def __missing__(self, cells: bytes) -> tuple[Any, ...]:
        before = len(self._faults) + len(self._alerts)
        found = tuple(chain.from_iterable(map(values_of, self._columns, self._cut(cells))))
        if len(self._faults) + len(self._alerts) == before:
            if len(self) >= _REMEMBERED:
                self.clear()
            self[cells] = found
        return found


class _Marked:
    """A text taken over as it is, with a 外字 that nobody has identified."""

    __slots__ = ("text",)

    def __init__(self, text: str) -> None:
        self.text = text


def _class_of(cell: bytes | str) -> str:
    return value_class(cell if isinstance(cell, str) else cell.decode("cp932", "replace"))


def loader(field: Field, layout: Layout, gaiji: letters.Gaiji, rules: dict[str, Convert], encoding: str) -> Load:
    """How a field's cell becomes its value; `rules` are further checks by item path.

    The common cases (plain kanji, half-width kana, digits) are told by one look and skip every other test: they are a
    million cells of a city's extract.
    """
    rule = rules.get(field.to)
    convert = _base(field, layout, gaiji)
    if rule is not None:
        convert = _chained(convert, rule)
    if field.type == "kana":
        return _kana_cells(convert, encoding)
    plain = _PLAIN_NAME if rule is _name else _PLAIN_TEXT if field.type == "text" and rule is None else None

    def load(cell: bytes | str) -> Any:
        text = (cell if isinstance(cell, str) else cell.decode(encoding)).strip(_PADDING)
        if not text:
            return None
        if plain is not None and plain.fullmatch(text) and len(text) <= _PLAIN_MOST:
            return text
        return convert(text)

    return load


def _chained(first: Convert, then: Convert) -> Convert:
    def both(text: str) -> Any:
        found = first(text)
        if found.__class__ is _Marked:
            then(found.text)
            return found
        return then(found)

    return both


def _kana_cells(convert: Convert, encoding: str) -> Load:
    def load(cell: bytes | str) -> Any:
        text = (cell if isinstance(cell, str) else cell.decode(encoding)).strip(_PADDING)
        if not text:
            return None
        if _HALF_KANA.fullmatch(text):
            return _wide(unicodedata.normalize("NFKC", text)).replace(" ", "\u3000")
        return convert(text)

    return load


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


def _wide(kana: str) -> str:
    """The hyphen of a reading in half width stands for the full one, as its letters do."""
    return kana.replace("-", "\uff0d")


def _texts(type: str, gaiji: letters.Gaiji) -> Convert:
    def read(text: str) -> str | _Marked:
        if not _NO_CP932.isdisjoint(text):
            raise BadValue("text.undecodable")
        found, left = gaiji.identify(text)
        if type == "kana":
            found = _wide(letters.full_kana(found))
        shown = found.replace("\r\n", "").replace("\n", "") if type == "memo" else found
        if letters.forbidden(shown):
            raise BadValue("text.forbidden")
        if type == "relationship" and not is_relationship(found):
            raise BadValue("code.unknown")
        return _Marked(found) if left else found

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
