"""データ移行: what an import decides on and reports, as values. No value of a resident stands in any of them but `Entry.raw`."""

from __future__ import annotations

import datetime as dt
from enum import StrEnum
from typing import Any, Final

import msgspec

from juki.personal import Personal, SealedGroup

SEALED: Final = (
    ("import_chunk", "totals", "chunk_key", "1", "totals_sealed"),
    ("import_original", "raw", "original_no", "1", "raw_sealed"),
    ("import_reject", "raw", "entry_no", "1", "raw_sealed"),
    ("import_decision", "reason", "entry_no", "1", "reason_sealed"),
    ("import_medium_step", "medium", "medium_no", "step_no", "person_sealed"),
)
"""Sealed columns for re-keying: table, group, column of the row key, row version, sealed column."""


MEDIUM_KINDS: Final = ("usb", "disk", "optical", "tape")
"""媒体の種類."""


class MediumState(StrEnum):
    """媒体の所在."""

    IN = "in"  # 受領して保管中
    RETURNED = "returned"  # 返却
    DESTROYED = "destroyed"  # 廃棄


class MediumStep(Personal, frozen=True, kw_only=True):
    """媒体の経過: received from, returned to or destroyed by a person on a day."""

    state: MediumState
    on_day: dt.date
    person: str
    noted_at: dt.datetime
    noted_by: str


class Medium(Personal, frozen=True, kw_only=True):
    """移行の媒体 under its registered number, with its course, oldest first."""

    medium_no: str
    kind: str
    encryption: str
    steps: tuple[MediumStep, ...]


class Outcome(StrEnum):
    """What became of a row that was not simply taken over."""

    REJECTED = "rejected"  # its own content breaks a rule
    HELD = "held"  # right in itself, waits for another row of the same person or household
    ALERT = "alert"  # taken over, but somebody should look


class Fault(msgspec.Struct, frozen=True):
    """One rule broken by one row: item as the layout prints it (empty for the whole row), reason code, class of value."""

    item: str
    reason: str
    value_class: str = ""


class Entry(Personal, frozen=True, kw_only=True):
    """A row for the work list: where it stands in the extract, why it is here, and its bytes as they came."""

    outcome: Outcome
    file: str
    line: int
    fault: Fault
    raw: bytes
    atena_no: str = ""  # whose row it is, as far as it tells
    setai_no: str = ""


class Slip(msgspec.Struct, frozen=True, kw_only=True):
    """送付票 of the sender (`extract.json`): what was handed over, for which municipality, on which registered medium."""

    layout: str
    municipality: str
    medium: str
    as_of: str = ""
    versions: int | None = None
    residents: int | None = None
    files: list[SlipFile] = []
    statuses: dict[str, int] = {}


class SlipFile(msgspec.Struct, frozen=True, kw_only=True):
    """One file as the sender counted it."""

    name: str
    rows: int | None = None
    bytes: int | None = None
    sha256: str = ""


class Counts(msgspec.Struct, kw_only=True):
    """Counts of one chunk or of a whole run. Every row read is in exactly one of taken, used, rejected, held."""

    rows: dict[str, int] = {}  # file -> rows read
    taken: dict[str, int] = {}  # file -> rows taken over into the register
    used: dict[str, int] = {}  # file -> rows read for checking or identification only
    rejected: dict[str, int] = {}
    held: dict[str, int] = {}
    alerts: dict[str, int] = {}  # reason -> rows
    reasons: dict[str, int] = {}  # reason -> rows rejected or held for it
    residents: int = 0
    versions: int = 0
    households: int = 0
    measures: int = 0
    codes: int = 0
    statuses: dict[str, int] = {}
    kinds: dict[str, int] = {}

    def add(self, other: Counts) -> None:
        """Add another chunk's counts to these."""
        for name in self.__struct_fields__:
            mine: Any = getattr(self, name)
            theirs: Any = getattr(other, name)
            if isinstance(mine, int):
                setattr(self, name, mine + theirs)
            else:
                for key, count in theirs.items():
                    mine[key] = mine.get(key, 0) + count

    @staticmethod
    def bump(table: dict[str, int], key: str, by: int = 1) -> None:
        """Count one more of a kind."""
        table[key] = table.get(key, 0) + by


class Totals(SealedGroup, frozen=True, kw_only=True):
    """統制合計 over what was taken over: content of every version, birth years, digits of 個人番号. Sealed, since a chunk
    may hold few people."""

    content: int = 0  # sum of a 64-bit digest of every version, modulo 2^64
    birth_years: int = 0
    my_numbers: int = 0  # sum modulo 2^61
    measures: int = 0  # sum of a 64-bit digest of every 支援措置, modulo 2^64
    codes: int = 0  # sum modulo 2^61
    format: int = 0  # DIGEST_FORMAT of the release that made them; sums of two formats do not compare

    def plus(self, other: Totals) -> Totals:
        """The totals of both."""
        return Totals(
            content=(self.content + other.content) & _MASK_64,
            birth_years=self.birth_years + other.birth_years,
            my_numbers=(self.my_numbers + other.my_numbers) & _MASK_61,
            measures=(self.measures + other.measures) & _MASK_64,
            codes=(self.codes + other.codes) & _MASK_61,
            format=self.format or other.format,
        )


_MASK_64: Final = (1 << 64) - 1
_MASK_61: Final = (1 << 61) - 1


class Check(msgspec.Struct, frozen=True, kw_only=True):
    """One comparison of the reconciliation."""

    name: str
    ok: bool
    source: int | str
    stored: int | str


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """突合報告: what was read, what became of it, and whether both sides agree to the last row."""

    tenant: str
    layout: str
    medium: str
    run_no: int  # 0 for a dry run
    dry_run: bool
    balanced: bool
    counts: Counts
    checks: tuple[Check, ...]
    sampled: int = 0
    sample_differences: int = 0
    seconds: float = 0.0
    residents_per_second: int = 0


class WorkItem(msgspec.Struct, frozen=True, kw_only=True):
    """作業一覧の一行: enough to find the row in the extract, nothing of its content."""

    entry_no: int
    run_no: int
    outcome: Outcome
    file: str
    line: int
    item: str
    value_class: str
    reason: str
    decision: str = ""  # "" open, "resolved" or "dismissed"
    decided_by: str = ""
    decided_at: dt.datetime | None = None
    atena_no: str = ""  # whose row it is, in an opened row only; empty where it does not tell
    setai_no: str = ""
    arrived: bool = False  # that person is in the register by now


class OpenRow(Personal, frozen=True, kw_only=True):
    """作業一覧の行の中身: the row as it came, cut into items, for the clerk who puts it right."""

    item: WorkItem
    waits_for: tuple[WorkItem, ...]  # of a held row: the rejected rows of the same person, else of the same household
    cells: tuple[tuple[str, str], ...]  # item name, text as far as it could be read
