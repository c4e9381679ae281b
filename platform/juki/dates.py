"""和暦 and the dates a register really holds: unknown days, impossible days, two-era days, open ends.

Source: 住民記録システム標準仕様書 (dates of birth, of becoming a resident, of fixing an address and of 出生・死亡・失踪 may be
unknown or impossible; every other date is a calendar day); 基本データリスト (0000-01-01 open start, 9999-12-31 open end).
"""

from __future__ import annotations

import calendar
import datetime as dt
import re
import unicodedata
from typing import Final

import msgspec

from juki.problem import Invalid


class Era(msgspec.Struct, frozen=True):
    """元号: a new era is one more row, no code."""

    letter: str
    name: str
    start: dt.date


ERAS: Final = (
    Era("M", "明治", dt.date(1868, 1, 25)),
    Era("T", "大正", dt.date(1912, 7, 30)),
    Era("S", "昭和", dt.date(1926, 12, 25)),
    Era("H", "平成", dt.date(1989, 1, 8)),
    Era("R", "令和", dt.date(2019, 5, 1)),
)
BY_LETTER: Final = {era.letter: era for era in ERAS}
BY_NAME: Final = {era.name: era for era in ERAS}
SHORT_NAMES: Final = {"明": "M", "大": "T", "昭": "S", "平": "H", "令": "R"}
_DAYS: Final = (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)


class RegistryDate(msgspec.Struct, frozen=True, array_like=True, omit_defaults=True):
    """記録上の日付. `month` and `day` 0 mean unknown; year 0 is the open start, year 9999 the open end.

    `era` is the letter as written, where it matters (明治45年7月30日 and 大正元年7月30日 are the same day).
    `note` is the expression as it stands on paper where it is more than year, month and day (春, 上旬, 頃, 年月日不詳).
    """

    year: int
    month: int = 0
    day: int = 0
    era: str = ""
    note: str = ""

    def is_exact(self) -> bool:
        """True where this is one real calendar day."""
        return self.to_date() is not None

    def to_date(self) -> dt.date | None:
        """The calendar day, or None where it is unknown, impossible or open."""
        if not (1 <= self.year <= 9998) or self.month == 0 or self.day == 0 or self.note:
            return None
        try:
            return dt.date(self.year, self.month, self.day)
        except ValueError:
            return None

    def sort_date(self) -> dt.date:
        """A day for ordering only: unknown parts sort first, an impossible day becomes the last of its month."""
        if self.year <= 0:
            return dt.date.min
        if self.year >= 9999:
            return dt.date.max
        month = min(self.month or 1, 12)
        last = calendar.monthrange(self.year, month)[1]
        return dt.date(self.year, month, min(self.day or 1, last))

    def iso(self) -> str:
        """YYYY-MM-DD with 00 for unknown parts, as stored and exchanged."""
        return f"{self.year:04d}-{self.month:02d}-{self.day:02d}"


UNKNOWN: Final = RegistryDate(0, note="年月日不詳")
OPEN_START: Final = RegistryDate(0, 1, 1)
OPEN_END: Final = RegistryDate(9999, 12, 31)


def from_date(day: dt.date) -> RegistryDate:
    """A calendar day as a registry date."""
    return RegistryDate(day.year, day.month, day.day)


def era_of(day: dt.date) -> Era | None:
    """元号 in force on a day, None before 明治."""
    for era in reversed(ERAS):
        if day >= era.start:
            return era
    return None


_WAREKI: Final = re.compile(
    r"^(明治|大正|昭和|平成|令和|[明大昭平令]|[MTSHRmtshr])\s*(元|\d{1,2})(?:年|[./\-])(?:\s*(\d{1,2})(?:月|[./\-]))?(?:\s*(\d{1,2})日?)?$"
)
_WESTERN: Final = re.compile(r"^(\d{4})(?:年|[./\-])(?:\s*(\d{1,2})(?:月|[./\-]))?(?:\s*(\d{1,2})日?)?$")
_COMPACT: Final = re.compile(r"^(\d{4})(\d{2})(\d{2})$")
_COMPACT_ERA: Final = re.compile(r"^([MTSHRmtshr1-5])(\d{2})(\d{2})(\d{2})$")
_ERA_DIGIT: Final = {"1": "M", "2": "T", "3": "S", "4": "H", "5": "R"}
_PERIOD: Final = re.compile(r"^(.+)から(.+)まで(?:の間)?$")
_UNKNOWN_ENDINGS: Final = ("月日不詳", "日不詳", "不詳", "推定", "頃", "春", "夏", "秋", "冬")
_TEN_DAYS: Final = ("上旬", "中旬", "下旬")
_ISO: Final = re.compile(r"^(\d{4})-(\d{2})-(\d{2})$")


def parse(text: str, *, unknown_allowed: bool = False) -> RegistryDate:
    """Read a date as a clerk types it: S55.4.1, 昭和55年4月1日, 19800401, 1980-04-01, 令和元年5月1日.

    With `unknown_allowed` also 昭和40年頃, 昭和40年4月, 年月日不詳, 1999-02-00 and days that the calendar lacks.
    Raises Invalid `date.unreadable`, `date.no_such_day`, `date.outside_era` or `date.unknown_not_allowed`.
    """
    given = unicodedata.normalize("NFKC", text).strip()
    if not given or len(given) > 72:
        raise Invalid("date.unreadable", "empty or too long")
    found = _read(given)
    if found is None and unknown_allowed:
        found = _read_unknown(given)
    if found is None:
        raise Invalid("date.unreadable", "not a date in a known form")
    _check(found, unknown_allowed=unknown_allowed)
    return found


def parse_iso(text: str) -> RegistryDate:
    """Read YYYY-MM-DD as exchanged: 00 for unknown parts, 0000-01-01 open start, days that the calendar lacks allowed.

    Raises Invalid `date.unreadable` or `date.no_such_day`.
    """
    m = _ISO.match(text)
    if m is None or not text.isascii():
        raise Invalid("date.unreadable", "not YYYY-MM-DD")
    found = RegistryDate(int(m[1]), int(m[2]), int(m[3]))
    _check(found, unknown_allowed=True)
    return found


def _read(given: str) -> RegistryDate | None:
    if m := _COMPACT.match(given):
        return RegistryDate(int(m[1]), int(m[2]), int(m[3]))
    if m := _COMPACT_ERA.match(given):
        letter = _ERA_DIGIT.get(m[1], m[1].upper())
        return _from_era(letter, int(m[2]), int(m[3]), int(m[4]))
    if m := _WESTERN.match(given):
        return RegistryDate(int(m[1]), int(m[2] or 0), int(m[3] or 0))
    if m := _WAREKI.match(given):
        name = m[1]
        letter = BY_NAME[name].letter if name in BY_NAME else SHORT_NAMES.get(name, name.upper())
        number = 1 if m[2] == "元" else int(m[2])
        return _from_era(letter, number, int(m[3] or 0), int(m[4] or 0))
    return None


def _from_era(letter: str, number: int, month: int, day: int) -> RegistryDate | None:
    if number < 1:
        return None
    return RegistryDate(BY_LETTER[letter].start.year + number - 1, month, day, letter)


def _read_unknown(given: str) -> RegistryDate | None:
    """The expressions of the specification: 頃, 季節, 旬, 推定, 不詳 and periods; the text is kept, the known parts order it."""
    if given in {"年月日不詳", "不詳"}:
        return UNKNOWN
    if period := _PERIOD.match(given):
        known = _read_stem(period[1])
        return RegistryDate(known.year, known.month, known.day, known.era, given) if known else None
    stem, marked = _stem(given)
    known = _read_stem(stem)
    if known is not None:
        if "年" not in stem and known.day:  # S40.4.1頃 stands on paper as 昭和40年4月1日頃
            given = given.replace(stem, wareki(known) if known.era else western(known))
        return RegistryDate(known.year, known.month, known.day, known.era, given if marked else "")
    return RegistryDate(0, note=given) if marked else None


def _stem(given: str) -> tuple[str, bool]:
    """The part of an expression that is a date, and whether anything was said beside it."""
    stem = given.removeprefix("推定")
    for ending in _UNKNOWN_ENDINGS:
        # 昭和40年4月日不詳 lacks the day alone, though it also ends in 月日不詳
        if stem.endswith(ending) and not (ending == "月日不詳" and stem[: -len(ending)][-1:].isdigit()):
            stem = stem[: -len(ending)]
            break
    for part in _TEN_DAYS:
        stem = stem.removesuffix(part)
    return stem, stem != given


def _read_stem(stem: str) -> RegistryDate | None:
    found = _read(stem)
    if found is None or (found.day and not found.month):
        return None
    return found


def _check(found: RegistryDate, *, unknown_allowed: bool) -> None:
    if not unknown_allowed and (found.note or 0 in (found.year, found.month, found.day)):
        raise Invalid("date.unknown_not_allowed", "this item needs a full calendar day")
    if found.month > 12 or (found.month and found.day > _DAYS[found.month - 1]) or (found.day and not found.month):
        raise Invalid("date.no_such_day", "month or day out of range")
    if not unknown_allowed and found.to_date() is None:
        raise Invalid("date.no_such_day", "this day is not in the calendar")
    if found.era:
        check_era(found)


def check_era(found: RegistryDate) -> None:
    """Raises Invalid `date.outside_era` where a date is written in an era that did not hold on its day.

    An unknown month or day may be any.
    """
    first = found.sort_date()
    day = RegistryDate(found.year, found.month or 12, found.day or 31).sort_date()
    position = next(i for i, era in enumerate(ERAS) if era.letter == found.era)
    last = ERAS[position + 1].start if position + 1 < len(ERAS) else dt.date.max
    if position + 1 < len(ERAS) and ERAS[position + 1].letter in {"H", "R"}:
        last -= dt.timedelta(days=1)  # 昭和64年1月7日 and 平成31年4月30日 end their era; only 1912 and 1926 share a day
    if day < ERAS[position].start or first > last:
        raise Invalid("date.outside_era", "the era had not begun or had ended on this day")


def wareki(date: RegistryDate) -> str:
    """和暦 as printed on a 住民票: 令和元年5月1日, 昭和40年, 昭和40年頃, 年月日不詳."""
    if date.note and (date.year <= 0 or not date.note.startswith(f"{date.year}年")):
        return date.note
    if date.year <= 0:
        return "" if date == OPEN_START else "年月日不詳"
    if date.year >= 9999:
        return ""
    era = BY_LETTER[date.era] if date.era else era_of(date.sort_date())
    if era is None:
        return western(date)
    number = date.year - era.start.year + 1
    head = f"{era.name}{'元' if number == 1 else number}年"
    if date.note:  # an expression written with the western year keeps its words
        return head + date.note.removeprefix(f"{date.year}年")
    if not date.month:
        return head + "月日不詳"
    if not date.day:
        return f"{head}{date.month}月日不詳"
    return f"{head}{date.month}月{date.day}日"


def western(date: RegistryDate) -> str:
    """西暦 as printed for a foreign resident: 1980年4月1日."""
    if date.year <= 0 or date.note:
        return date.note or ("" if date == OPEN_START else "年月日不詳")
    if date.year >= 9999:
        return ""
    if not date.month:
        return f"{date.year}年月日不詳"
    if not date.day:
        return f"{date.year}年{date.month}月日不詳"
    return f"{date.year}年{date.month}月{date.day}日"


def age_on(birth: RegistryDate, day: dt.date) -> int:
    """満年齢 on a day; an unknown month or day counts from the first."""
    born = birth.sort_date()
    return day.year - born.year - ((day.month, day.day) < (born.month, born.day))


def today_in_japan(now: dt.datetime) -> dt.date:
    """The business day of an instant: registers work in Japan Standard Time wherever the machine stands."""
    return now.astimezone(JST).date()


JST: Final = dt.timezone(dt.timedelta(hours=9), "JST")
