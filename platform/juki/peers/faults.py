"""Planted faults: what an extract gets wrong, where, and the reason a careful import must give for it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import msgspec

from juki.peers.columns import INDEX, SUPPORT_INDEX
from juki.peers.people import HEAD, MY_NUMBER, OCCURRED, RELATIONSHIP, SETAI, HouseholdRows, Row


class Line(msgspec.Struct):
    """One row on its way into a file; `spoil` changes its bytes, `faults` are (item, reason) pairs of the truth."""

    kind: str  # latest | earlier | support
    row: Row
    spoil: Callable[[bytes], bytes] | None = None
    faults: tuple[tuple[str, str], ...] = ()
    again: bool = False  # the whole line a second time; the faults then belong to the second


Fault = Callable[[HouseholdRows], list[Line] | None]
"""Lines to write instead of the household's own, or None where this household does not suit."""


def lines_of(household: HouseholdRows) -> list[Line]:
    """The household as it is."""
    lines = [Line("earlier", row) for versions in household.persons for row in versions[:-1]]
    lines += [Line("latest", versions[-1]) for versions in household.persons]
    return lines + [Line("support", row) for row in household.support]


def _second(household: HouseholdRows) -> Row | None:
    return household.current[1] if len(household.current) > 1 else None


def _with(household: HouseholdRows, target: Row, *faults: tuple[str, str], also: Row | None = None) -> list[Line]:
    lines = lines_of(household)
    for line in lines:
        if line.row is target or line.row is also:
            line.faults = faults
    return lines


def _change(column: str, value: str, item: str, reason: str) -> Fault:
    def plant(household: HouseholdRows) -> list[Line] | None:
        row = _second(household)
        if row is None or row[INDEX["kind"]] == "foreign":
            return None
        row[INDEX[column]] = value
        return _with(household, row, (item, reason))

    return plant


def _my_number_digit(household: HouseholdRows) -> list[Line] | None:
    row = _second(household)
    if row is None:
        return None
    row[MY_NUMBER] = row[MY_NUMBER][:11] + str((int(row[MY_NUMBER][11]) + 3) % 10)
    return _with(household, row, ("個人番号", "my_number.check_digit"))


def _my_number_twice(household: HouseholdRows) -> list[Line] | None:
    row = _second(household)
    if row is None or len(household.persons) != len(household.current) or any(len(v) > 1 for v in household.persons):
        return None
    head = household.current[0]
    row[MY_NUMBER] = head[MY_NUMBER]
    return _with(household, row, ("個人番号", "my_number.duplicate"), also=head)


def _orphan(household: HouseholdRows) -> list[Line] | None:
    row = _second(household)
    if row is None:
        return None
    row[SETAI] = "9999999990"
    return _with(household, row, ("世帯番号", "household.unknown"))


def _two_heads(household: HouseholdRows) -> list[Line] | None:
    row = _second(household)
    if row is None:
        return None
    row[HEAD], row[RELATIONSHIP] = "1", "世帯主"
    return _with(household, row, ("世帯主区分", "household.two_heads"), also=household.current[0])


def _duplicate(household: HouseholdRows) -> list[Line] | None:
    row = _second(household)
    if row is None:
        return None
    lines = _with(household, row, ("", "row.duplicate"))
    for line in lines:
        line.again = line.row is row
    return lines


def _spoiled(reason: str, spoil: Callable[[bytes], bytes], item: str = "") -> Fault:
    def plant(household: HouseholdRows) -> list[Line] | None:
        row = _second(household)
        if row is None or row[INDEX["remarks"]] or row[INDEX["memo"]] or row[INDEX["kind"]] == "foreign":
            return None
        if any(line.kind == "earlier" for line in lines_of(household)):
            return None
        lines = _with(household, row, (item, reason))
        for line in lines:
            if line.row is row:
                line.spoil = spoil
        return lines

    return plant


def _bad_history(household: HouseholdRows) -> list[Line] | None:
    for versions in household.persons:
        if len(versions) > 1:
            versions[0][INDEX["processed_on"]] = "2001-13-01"
            return _with(household, versions[0], ("処理日", "date.no_such_day"))
    return None


def _bad_card(household: HouseholdRows) -> list[Line] | None:
    for row in household.current:
        if row[INDEX["card_number"]]:
            row[INDEX["card_number"]] = "AB1234567"
            return _with(household, row, ("在留カード番号", "card.form"))
    return None


def _stray_support(household: HouseholdRows) -> list[Line] | None:
    if not household.support:
        return None
    stray = list(household.support[0])
    stray[SUPPORT_INDEX["atena_no"]] = "9999999980"
    stray[SUPPORT_INDEX["measure_serial"]] = "99999999"
    return [*lines_of(household), Line("support", stray, faults=(("宛名番号", "support.unknown_person"),))]


def _in_future(day: str) -> Fault:
    def plant(household: HouseholdRows) -> list[Line] | None:
        row = _second(household)
        if row is None or row[INDEX["reason"]] in {"birth", "death"}:
            return None
        row[OCCURRED] = day
        return _with(household, row, ("異動日", "date.in_future"))

    return plant


def _middle(raw: bytes, piece: bytes, first: int = 20) -> bytes:
    """The blank inside the name replaced; the length stays, so that the line is whole but for its letters."""
    at = raw.index("\u3000".encode() if piece[0] == 0xFF else b"\x81\x40", first)
    return raw[:at] + piece + raw[at + len(piece) :]


_COMMON: Final[dict[str, Fault]] = {
    "my-number-digit": _my_number_digit,
    "birth-day": _change("birth", "1990-02-30", "生年月日", "date.no_such_day"),
    "orphan": _orphan,
    "two-heads": _two_heads,
    "duplicate": _duplicate,
    "sex-code": _change("sex", "7", "性別", "code.unknown"),
    "my-number-twice": _my_number_twice,
    "resident-code": _change("resident_code", "1234567890X", "住民票コード", "resident_code.form"),
    "bad-history": _bad_history,
    "bad-card": _bad_card,
    "no-name": _change("name", "", "氏名", "item.missing"),
    "relationship": _change("relationship", "祖父", "続柄", "code.unknown"),
    "stray-support": _stray_support,
}


def fixed_faults(future: str, name_at: int, era_at: int) -> dict[str, Fault]:
    """Faults of a fixed-length extract; `name_at` and `era_at` are the bytes where 氏名 and 生年月日 begin."""
    return _COMMON | {
        "in-future": _in_future(future),
        "truncated": _spoiled("line.length", lambda raw: raw[:300] + b"\r\n"),
        "undecodable": _spoiled("text.undecodable", lambda raw: _middle(raw, b"\xfd\xfe", name_at), "氏名"),
        "era": _spoiled("date.outside_era", lambda raw: raw[:era_at] + b"3650110" + raw[era_at + 7 :], "生年月日"),
        "control": _spoiled("text.forbidden", lambda raw: _middle(raw, b"\x07\x07", name_at), "氏名"),
    }


def csv_faults(future: str) -> dict[str, Fault]:
    """Faults of a CSV extract."""
    return _COMMON | {
        "in-future": _in_future(future),
        "truncated": _spoiled("line.columns", lambda raw: raw[: raw.index(b",", 60)] + b"\r\n"),
        "undecodable": _spoiled("text.undecodable", lambda raw: _middle(raw, b"\xff\xfe\xfd")),
        "quote": _spoiled("line.quote", lambda raw: raw.replace(b",", b',"', 1)),
        "control": _spoiled("text.forbidden", lambda raw: raw.replace("\u3000".encode(), "\u202e".encode(), 1), "氏名"),
    }
