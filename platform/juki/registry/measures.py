"""支援措置・抑止: whose record is held back, from whom, and what the clerk at the counter is told.

Source: 住民記録システム標準仕様書 3.4 (支援措置), 3.1 (抑止). One year, renewable, never ending silently (R-1-B2-DAT-05).
What protects somebody more holds at once; what protects somebody less needs a second person (docs/adr/0011).
"""

from __future__ import annotations

import calendar
import datetime as dt
from collections.abc import Iterable
from enum import StrEnum
from typing import Any, Final

import msgspec

from juki.dates import RegistryDate
from juki.personal import Personal, SealedGroup
from juki.registry.resident import Sex


class MeasureState(StrEnum):
    """支援措置の状態."""

    PROVISIONAL = "provisional"  # 仮支援措置
    IN_FORCE = "in_force"  # 支援措置中, also past its last day until somebody ends it
    ENDED = "ended"  # 終了


class Process(StrEnum):
    """抑止する処理."""

    CHANGE = "change"  # 異動
    ISSUE = "issue"  # 発行
    INQUIRY = "inquiry"  # 照会


class Level(StrEnum):
    """抑止の強さ."""

    ERROR = "error"
    ALERT = "alert"


class LooseningKind(StrEnum):
    """緩和の種類: what a second person is asked to approve."""

    END = "end"  # 支援措置の終了
    NARROW = "narrow"  # 支援措置の縮小: somebody or something is no longer protected
    RELEASE = "release"  # 抑止の解除, for good


class LooseningState(StrEnum):
    """緩和の申請の状態."""

    ASKED = "asked"
    APPROVED = "approved"
    DECLINED = "declined"
    WITHDRAWN = "withdrawn"


class Wish(msgspec.Struct, frozen=True, kw_only=True, array_like=True, omit_defaults=True):
    """支援措置希望有無, with the place it is about where the item names one."""

    wanted: bool = False
    place: str = ""

    def __repr__(self) -> str:
        return "<Wish withheld>"


class SupportMeasure(SealedGroup, frozen=True, kw_only=True):
    """支援措置の申出: the 29 items in the order of the list, and who else is under the same measure."""

    name: str  # [1]
    birth: RegistryDate  # [2]
    address: str  # [3]
    contact: str = ""  # [4] 連絡先
    situation: str = ""  # [5] 申出者の状況
    browsing: Wish = Wish()  # [6] 住民基本台帳の閲覧(現住所)
    copies: Wish = Wish()  # [7] 住民票の写し等の交付(現住所)
    removed_copies: Wish = Wish()  # [8] 住民票の除票の写し等の交付(前住所等)
    domicile_copies: Wish = Wish()  # [9] 戸籍の附票の写しの交付(現本籍)
    former_domicile_copies: Wish = Wish()  # [10] 戸籍の附票(除票)の写しの交付(前本籍等)
    property_support: Wish = Wish()  # [11] 固定資産所在市区町村における準じた支援
    other: str = ""  # [12] その他
    name_kana: str = ""  # [13] 日本人氏名の振り仮名
    foreign_name_kana: str = ""  # [14] 外国人氏名のフリガナ
    alias: str = ""  # [15] 通称
    alias_kana: str = ""  # [15] 通称のフリガナ
    former_surname: str = ""  # [16] 旧氏
    former_surname_kana: str = ""  # [16] 旧氏のフリガナ
    atena_no: str = ""  # [17]
    sex: Sex = Sex.UNKNOWN  # [18]
    forwarded_to: str = ""  # [19] 転送先市区町村名
    forwarded_on: dt.date | None = None  # [20]
    starts_on: dt.date | None = None  # [21]
    ends_on: dt.date | None = None  # [22]
    provisional: bool = False  # [23]
    provisional_from: dt.date | None = None  # [24]
    provisional_until: dt.date | None = None  # [25]
    forwarded_duties: str = ""  # [26] 転送を受けた市区町村が支援を求められている事務
    forwarded_received_on: dt.date | None = None  # [27]
    found_needless_on: dt.date | None = None  # [28] 支援の必要性がないことを確認したときの連絡年月日
    first_received_by: str = ""  # [29] 当初受付市区町村
    protected_with: tuple[str, ...] = ()  # 併せて支援を求める者の宛名番号
    feared: str = ""  # 加害者とされる者
    ended_because: str = ""  # 終了の理由


MEASURE_ITEMS: Final[dict[int, tuple[str, ...]]] = {
    1: ("name",),
    2: ("birth",),
    3: ("address",),
    4: ("contact",),
    5: ("situation",),
    6: ("browsing",),
    7: ("copies",),
    8: ("removed_copies",),
    9: ("domicile_copies",),
    10: ("former_domicile_copies",),
    11: ("property_support",),
    12: ("other",),
    13: ("name_kana",),
    14: ("foreign_name_kana",),
    15: ("alias", "alias_kana"),
    16: ("former_surname", "former_surname_kana"),
    17: ("atena_no",),
    18: ("sex",),
    19: ("forwarded_to",),
    20: ("forwarded_on",),
    21: ("starts_on",),
    22: ("ends_on",),
    23: ("provisional",),
    24: ("provisional_from",),
    25: ("provisional_until",),
    26: ("forwarded_duties",),
    27: ("forwarded_received_on",),
    28: ("found_needless_on",),
    29: ("first_received_by",),
}
"""Home of each of the 29 items of 支援措置."""


_DESCRIBING: Final = frozenset(
    {
        *("name", "birth", "address", "contact", "situation", "sex", "name_kana", "foreign_name_kana"),
        *("alias", "alias_kana", "former_surname", "former_surname_kana"),
        *("forwarded_on", "forwarded_received_on", "first_received_by"),
    }
)
"""Items that say who somebody is and how the request came; they may read differently without protecting anybody less."""

_GROWING: Final = frozenset({"other", "forwarded_to", "forwarded_duties", "feared"})
"""Items in words that say from whom, where and from what somebody is protected; one person may add to them."""


class Measure(Personal, frozen=True, kw_only=True):
    """支援措置の一版: the state of one measure at one moment; `version_no` counts from 1."""

    measure_no: int
    version_no: int
    state: MeasureState
    content: SupportMeasure
    known_from: dt.datetime
    entered_by: str


class Suppression(Personal, frozen=True, kw_only=True):
    """抑止: one process of one resident held back. `released` is true while a release is in effect."""

    suppression_no: int
    atena_no: str
    process: Process
    level: Level
    starts_on: dt.date
    ends_on: dt.date | None
    set_by: str
    reason: str
    released: bool = False
    release_asked: bool = False  # a release for good waits for a second person; nothing is lifted meanwhile


class Release(msgspec.Struct, frozen=True, kw_only=True):
    """抑止の一時解除: who let a 抑止 go for a while, and until when."""

    by: str
    until: dt.datetime


RELEASE_PAUSE: Final = dt.timedelta(hours=24)
"""How long after the end of a temporary release the same person may not let the same 抑止 go again (docs/adr/0011)."""


def may_release(releases: Iterable[Release], by: str, now: dt.datetime) -> bool:
    """抑止の一時解除 by one person: True unless that person let this 抑止 go before and a day has not passed since it came back."""
    return all(release.by != by or now >= release.until + RELEASE_PAUSE for release in releases)


class Protection(Personal, frozen=True, kw_only=True):
    """What stands over one resident today, as this caller may know it."""

    atena_no: str
    protected: bool = False
    provisional: bool = False
    overdue: bool = False  # the last day has passed and nobody has ended or renewed it
    suppressions: tuple[Suppression, ...] = ()
    measures: tuple[Measure, ...] = ()  # only with the right protection.read
    asked: tuple[LooseningKind, ...] = ()  # END, NARROW: asked for and not approved, so everything holds as before

    def level(self, process: Process) -> Level | None:
        """Strongest 抑止 in effect on a process, None where none is."""
        levels = {s.level for s in self.suppressions if s.process is process and not s.released}
        return Level.ERROR if Level.ERROR in levels else Level.ALERT if levels else None


class Asked(SealedGroup, frozen=True, kw_only=True):
    """緩和の申請の内容 as it is sealed: why, and for 縮小 how the measure would read afterwards."""

    reason: str
    content: SupportMeasure | None = None


class LooseningStep(Personal, frozen=True, kw_only=True):
    """緩和の申請の経過: one step; the first asks, the second decides. `comment` is the reason of a refusal."""

    state: LooseningState
    done_by: str
    done_at: dt.datetime
    version_no: int | None = None  # the version of the measure, or the number of the release, that the approval wrote
    comment: str = ""


class Loosening(Personal, frozen=True, kw_only=True):
    """緩和の申請. `stale`: the measure moved on, or the suppression was released, so it can only be declined or withdrawn."""

    loosening_no: int
    kind: LooseningKind
    measure_no: int | None = None
    base_version: int | None = None
    suppression_no: int | None = None
    asked_by: str
    asked_at: dt.datetime
    terminal: str
    asked: Asked
    steps: tuple[LooseningStep, ...] = ()
    stale: bool = False

    @property
    def state(self) -> LooseningState:
        """What the last step says."""
        return self.steps[-1].state


def keeps_home(protected: bool, *levels: str | None) -> bool:
    """居所の秘匿: True where it is told to nobody outside where a resident lives.

    So it is under 支援措置, provisional or past its last day until somebody ends it, and where the process by which it would
    be told is held back (抑止, level error): 発行 for a paper, 発行 or 照会 for what a machine is answered.
    """
    return protected or Level.ERROR in levels


def tightened(old: SupportMeasure, new: SupportMeasure) -> SupportMeasure:
    """支援措置の変更のうち保護を弱めない部分: what one person may write at once; the rest of `new` stays as in `old`.

    Equal to `new` where nothing is loosened. An item that nobody has classed counts as protecting.
    """
    names = [name for name in SupportMeasure.__struct_fields__ if name not in _DESCRIBING]
    kept = {name: _tighter(name, getattr(old, name), getattr(new, name)) for name in names}
    return msgspec.structs.replace(new, **kept)


def loosened(old: SupportMeasure, new: SupportMeasure) -> tuple[str, ...]:
    """支援措置の縮小: names of the items by which `new` protects less than `old`; empty where it does not."""
    most = tightened(old, new)
    return tuple(n for n in SupportMeasure.__struct_fields__ if getattr(most, n) != getattr(new, n))


def _tighter(name: str, old: Any, new: Any) -> Any:
    """The stricter of two values of one item; `new` where both protect alike."""
    if name == "protected_with":
        return new if set(old) <= set(new) else tuple(dict.fromkeys((*old, *new)))
    if isinstance(old, Wish):
        return old if old.wanted else new
    if name in _GROWING:
        return new if new.startswith(old) else old
    if name == "found_needless_on":
        return new if new is None else old
    return old


def last_day(starts_on: dt.date) -> dt.date:
    """支援措置の終了年月日: one year, 2020-04-01 to 2021-03-31; a start on 29 February ends on 28 February."""
    year = starts_on.year + 1
    day = min(starts_on.day, calendar.monthrange(year, starts_on.month)[1])
    same = dt.date(year, starts_on.month, day)
    return same if day < starts_on.day else same - dt.timedelta(days=1)


def ends_of(measure: Measure) -> dt.date | None:
    """期間の末日, None until a provisional measure without one is decided; of a measure that came over from an incumbent
    without one, what its first day says."""
    content = measure.content
    if measure.state is MeasureState.PROVISIONAL:
        return content.provisional_until
    return content.ends_on or (last_day(content.starts_on) if content.starts_on is not None else None)


def renewable_from(ends_on: dt.date) -> dt.date:
    """First day on which a measure may be renewed: one month before its last day."""
    year, month = (ends_on.year, ends_on.month - 1) if ends_on.month > 1 else (ends_on.year - 1, 12)
    return dt.date(year, month, min(ends_on.day, calendar.monthrange(year, month)[1]))


def warning(ends_on: dt.date | None, today: dt.date) -> str:
    """期間終了の知らせ: `ending` within the month before the last day, `overdue` after it, empty otherwise."""
    if ends_on is None:
        return ""
    if today > ends_on:
        return "overdue"
    return "ending" if today >= renewable_from(ends_on) else ""
