"""証跡の行: what is sealed inside each row of the log, and what stands outside."""

from __future__ import annotations

import datetime as dt
from typing import Literal, TypeAlias

import msgspec

from juki.personal import Personal, SealedGroup

Kind: TypeAlias = Literal["intent", "outcome", "disclosure", "subjects"]
Result: TypeAlias = Literal["done", "refused", "failed", "unknown"]
Fact: TypeAlias = int | str

INTENT_PART = 0
OUTCOME_PART = 1


class Subject(SealedGroup, frozen=True, kw_only=True):
    """操作対象者: 宛名番号, and whether 個人番号 was touched."""

    atena_no: str
    my_number: bool = False


class Intent(SealedGroup, frozen=True, kw_only=True):
    """What somebody set out to do: operator, terminal, purpose (R-A-3.3-LOG-01)."""

    actor_id: str
    actor_kind: str
    terminal_id: str
    office: str
    duty: str
    session_id: str
    contract: str
    right: str
    purpose: str
    basis: str
    patience_seconds: int = 3600


class Outcome(SealedGroup, frozen=True, kw_only=True):
    """How it ended: code of a refusal or fault, the persons, and counts."""

    code: str
    subjects: tuple[Subject, ...] = ()
    facts: dict[str, Fact] = msgspec.field(default_factory=dict[str, Fact])
    subject_count: int = 0


class Subjects(SealedGroup, frozen=True, kw_only=True):
    """More persons than one row should carry."""

    subjects: tuple[Subject, ...]


class Disclosure(SealedGroup, frozen=True, kw_only=True):
    """提供の記録: one person's data that left the building: which items, to whom, on what basis, on what medium."""

    atena_no: str
    items: tuple[str, ...]
    to: str
    basis: str
    medium: str
    my_number: bool = False


Body: TypeAlias = Intent | Outcome | Subjects | Disclosure


class SealedRow(msgspec.Struct, frozen=True, kw_only=True):
    """One row as the table holds it; `xid` is 0 until the database gave it one."""

    op_no: int
    part: int
    kind: Kind
    action: str
    result: Result | Literal[""]
    at: dt.datetime
    body_sealed: bytes
    xid: int = 0


class Entry(Personal, frozen=True, kw_only=True):
    """One operation as an authorised reader sees it: intent, outcome and disclosures together."""

    op_no: int
    action: str
    at: dt.datetime
    result: str
    ended_at: dt.datetime | None
    intent: Intent
    code: str = ""
    subjects: tuple[Subject, ...] = ()
    facts: dict[str, Fact] = msgspec.field(default_factory=dict[str, Fact])
    disclosures: tuple[Disclosure, ...] = ()


class Filter(msgspec.Struct, frozen=True, kw_only=True):
    """Which part of the log to list; `since` and `until` with zone, `limit` at most 500."""

    since: dt.datetime | None = None
    until: dt.datetime | None = None
    action: str = ""
    result: str = ""
    actor_id: str = ""
    before_op: int = 0
    limit: int = 100
