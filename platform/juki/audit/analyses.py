"""標準分析: what a reviewer looks for in the log (R-A-3.3-LOG-02). Findings name operators and operations, not residents."""

from __future__ import annotations

import datetime as dt
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Iterable, Iterator
from typing import Final

import msgspec

from juki.access.model import is_open
from juki.audit import store
from juki.audit.model import Entry
from juki.audit.operation import Operation
from juki.audit.reading import entry_of
from juki.problem import Refused
from juki.tenancy import Settings

LOGIN: Final = "session.login"
LOOKUPS: Final = ("resident.search", "resident.read", "resident.record", "resident.household", "resident.history")
_NUMBERS_SHOWN: Final = 20
_PAGE: Final = 500


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """From where on a reviewer is told; counts within the period, or within one hour for searches."""

    failed_logins: int = 5
    searches_an_hour: int = 60
    persons_an_hour: int = 100
    operators_on_one_person: int = 5


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """One line of a review: what, who (operator or terminal), how often, from when to when, and where to look."""

    analysis: str
    who: str
    count: int
    first_at: dt.datetime
    last_at: dt.datetime
    op_nos: tuple[int, ...]


async def analyse(op: Operation, since: dt.datetime, until: dt.datetime, limits: Limits | None = None) -> list[Finding]:
    """Every standard analysis over [since, until). Refused `access.right_missing` without audit.read."""
    if not op.caller.may("audit.read"):
        raise Refused("access.right_missing", "reading the log needs audit.read")
    entries = [entry async for entry in _period(op, since, until)]
    bounds = limits or Limits()
    found = [
        *out_of_hours(entries, op.tenant.settings),
        *failed_logins(entries, bounds),
        *logins_per_operator(entries),
        *mass_searches(entries, bounds),
        *one_person_by_many(entries, bounds),
    ]
    op.fact(entries=len(entries), findings=len(found))
    return found


def out_of_hours(entries: Iterable[Entry], settings: Settings) -> Iterator[Finding]:
    """時間外: work of operators outside the municipality's hours, by operator."""
    hours = settings.hours
    by: defaultdict[str, list[Entry]] = defaultdict(list)
    for entry in entries:
        outside = not is_open(entry.at, hours.opens, hours.closes, hours.days, hours.holidays)
        person = entry.intent.actor_kind == "operator" and not entry.action.startswith("machine.")  # not signed in yet
        if outside and person and (who := _operator(entry)):
            by[who].append(entry)
    yield from (_finding("out_of_hours", who, these) for who, these in sorted(by.items()))


def failed_logins(entries: Iterable[Entry], limits: Limits) -> Iterator[Finding]:
    """ログイン失敗: by operator, or by terminal where the name was unknown."""
    by: defaultdict[str, list[Entry]] = defaultdict(list)
    for entry in entries:
        if entry.action == LOGIN and entry.result == "refused":
            who = _operator(entry) or f"terminal {entry.facts.get('terminal', '?')}"
            by[who].append(entry)
    yield from (
        _finding("failed_logins", who, these) for who, these in sorted(by.items()) if len(these) >= limits.failed_logins
    )


def logins_per_operator(entries: Iterable[Entry]) -> Iterator[Finding]:
    """ID別ログイン回数: every operator, so that an account nobody should use stands out."""
    by: defaultdict[str, list[Entry]] = defaultdict(list)
    for entry in entries:
        if entry.action == LOGIN and entry.result == "done":
            by[_operator(entry)].append(entry)
    yield from (_finding("logins_per_operator", who, these) for who, these in sorted(by.items()))


def mass_searches(entries: Iterable[Entry], limits: Limits) -> Iterator[Finding]:
    """大量照会: too many searches, or too many persons by whatever page or form, by one operator within a clock hour.

    A record is seen as well in the form of a change, the preparation of a certificate or a list of measures.
    """
    by: defaultdict[tuple[str, str], list[Entry]] = defaultdict(list)
    for entry in entries:
        if entry.subjects or entry.action.startswith(LOOKUPS):
            by[entry.intent.actor_id, entry.at.astimezone(dt.UTC).strftime("%Y-%m-%dT%H")].append(entry)
    for (who, _), these in sorted(by.items()):
        persons = {subject.atena_no for entry in these for subject in entry.subjects}
        searches = sum(entry.action.startswith(LOOKUPS) for entry in these)
        if searches >= limits.searches_an_hour or len(persons) >= limits.persons_an_hour:
            yield _finding("mass_searches", who, these, count=max(searches, len(persons)))


def one_person_by_many(entries: Iterable[Entry], limits: Limits) -> Iterator[Finding]:
    """特定個人への集中: one person's record opened by many operators; the person is found through the operations."""
    by: defaultdict[str, list[Entry]] = defaultdict(list)
    for entry in entries:
        for subject in entry.subjects:
            by[subject.atena_no].append(entry)
    for these in by.values():
        operators = Counter(entry.intent.actor_id for entry in these if entry.intent.actor_kind == "operator")
        if len(operators) >= limits.operators_on_one_person:
            names = ", ".join(sorted(operators)[:_NUMBERS_SHOWN])
            yield _finding("one_person_by_many", names, these, count=len(operators))


async def _period(op: Operation, since: dt.datetime, until: dt.datetime) -> AsyncIterator[Entry]:
    before = 0
    while True:
        page = await store.intents(op.session, since=since, until=until, action="", before_op=before, limit=_PAGE)
        if not page:
            return
        before = page[-1][0]
        numbers = [row[0] for row in page]
        rows = await store.rows_of(op.session, numbers)
        start = 0
        for end in range(1, len(rows) + 1):
            if end == len(rows) or rows[end].op_no != rows[start].op_no:
                yield entry_of(op.log, rows[start:end])
                start = end


def _operator(entry: Entry) -> str:
    """Who acted; a log-in names its operator in the outcome, because nobody is known before."""
    if entry.action == LOGIN:
        known = str(entry.facts.get("operator", ""))
        return "" if known == "unknown" else known
    return entry.intent.actor_id


def _finding(analysis: str, who: str, entries: list[Entry], count: int = 0) -> Finding:
    times = [entry.at for entry in entries]
    numbers = tuple(sorted(entry.op_no for entry in entries)[:_NUMBERS_SHOWN])
    return Finding(
        analysis=analysis,
        who=who,
        count=count or len(entries),
        first_at=min(times),
        last_at=max(times),
        op_nos=numbers,
    )
