"""異動の仮登録の保管: drafts, their steps, the stock of 住民票コード and the requests for 個人番号."""

from __future__ import annotations

import datetime as dt
import unicodedata
from collections.abc import Sequence
from typing import Any, Final

import msgspec

from juki.audit import Operation
from juki.personal import Personal
from juki.problem import Conflict, NotFound
from juki.registry.change import Change, Reception

_CHANGE = msgspec.json.Encoder()
_DASHES: Final = dict.fromkeys(map(ord, "‐‑‒–—―−ー"), "-")


class Numbers(Personal, frozen=True, kw_only=True, array_like=True):
    """個人番号 taken out of a draft, path and number, sealed under the key of 個人番号."""

    my_numbers: tuple[tuple[str, str], ...]


class Draft(Personal, frozen=True, kw_only=True):
    """仮登録 as kept: 個人番号 apart from the rest."""

    case_no: int
    state: str
    reason: str
    form_no: str
    entered_by: str
    entered_at: dt.datetime
    terminal: str
    replaces_case: int | None
    base: dict[str, int]  # 宛名番号 -> newest version when it was entered
    acknowledged: dict[str, str]  # alert -> reason for going on
    change_sealed: bytes
    numbers_sealed: bytes | None
    reception: Reception


class Kept(Personal, frozen=True, kw_only=True):
    """What lies in change_sealed: the form as JSON with 個人番号 blanked, and the reasons for passing alerts."""

    change: msgspec.Raw
    acknowledged: dict[str, str]


class Step(Personal, frozen=True, kw_only=True):
    """経過: one step of a case."""

    step_no: int
    state: str
    done_by: str
    done_at: dt.datetime
    event_no: int | None
    comment: str


class FormUse(msgspec.Struct, frozen=True, kw_only=True):
    """届出書の受付番号の使用: the case that holds the number of a paper form."""

    case_no: int
    state: str  # entered, handed_back or confirmed; a withdrawn case holds no form


def form_number(typed: str) -> str:
    """受付番号 in one way of writing: half width, one kind of dash, no doubled blanks."""
    return " ".join(unicodedata.normalize("NFKC", typed).translate(_DASHES).split())


async def form_use(op: Operation, form_no: str) -> FormUse | None:
    """The case that a form was entered under, upper and lower case alike; None where the number is free."""
    row = await op.session.fetch_one(
        "SELECT case_no, state FROM {t}.change_case WHERE upper(form_no) = upper(%(form_no)s) AND state <> 'withdrawn'",
        {"form_no": form_number(form_no)},
    )
    return None if row is None else FormUse(case_no=row[0], state=row[1])


async def insist_on_form(op: Operation, form_no: str, replaces: int | None) -> None:
    """A paper form is entered once. Conflict `registry.form_used` or, where it may be entered anew in place of the case
    that was handed back, `registry.form_handed_back`; both name the case.
    """
    use = await form_use(op, form_no)
    if use is None or use.case_no == replaces:
        return
    if use.state == "handed_back":
        raise Conflict(
            "registry.form_handed_back",
            f"this form was entered as case {use.case_no}, which was handed back",
            remedy=f"enter it in place of case {use.case_no}",
            case_no=use.case_no,
        )
    raise Conflict(
        "registry.form_used",
        f"this form was entered before as case {use.case_no}",
        remedy=f"open case {use.case_no}, or read the number on the paper again",
        case_no=use.case_no,
    )


async def add(op: Operation, draft: Draft) -> None:
    """Write a draft and its first step."""
    reception = draft.reception
    await op.session.execute(
        "INSERT INTO {t}.change_case (case_no, state, reason, form_no, source, channel, identity_checked, entered_by, "
        "entered_at, terminal, replaces_case, base, change_sealed, numbers_sealed, reception_sealed) VALUES "
        "(%(case_no)s, %(state)s, %(reason)s, %(form_no)s, %(source)s, %(channel)s, %(identity_checked)s, "
        "%(entered_by)s, %(entered_at)s, %(terminal)s, %(replaces_case)s, %(base)s::jsonb, %(change_sealed)s, "
        "%(numbers_sealed)s, %(reception_sealed)s)",
        {
            "case_no": draft.case_no,
            "state": draft.state,
            "reason": draft.reason,
            "form_no": draft.form_no,
            "source": reception.source.value,
            "channel": reception.channel.value,
            "identity_checked": reception.document.value != "none",
            "entered_by": draft.entered_by,
            "entered_at": draft.entered_at,
            "terminal": draft.terminal,
            "replaces_case": draft.replaces_case,
            "base": msgspec.json.encode(draft.base).decode(),
            "change_sealed": draft.change_sealed,
            "numbers_sealed": draft.numbers_sealed,
            "reception_sealed": op.ring.seal("change_case", "reception", str(draft.case_no), 1, reception),
        },
    )
    await add_step(op, draft.case_no, draft.state)


def seal_change(
    op: Operation, case_no: int, change: Change, numbers: Numbers, acknowledged: dict[str, str]
) -> tuple[bytes, bytes | None]:
    """(change_sealed, numbers_sealed) of a draft whose 個人番号 were taken out."""
    kept = msgspec.json.encode({"change": msgspec.Raw(_CHANGE.encode(change)), "acknowledged": acknowledged})
    key = str(case_no)
    sealed_numbers = op.ring.seal("change_case", "my_number", key, 1, numbers) if numbers.my_numbers else None
    return op.ring.seal("change_case", "case", key, 1, kept), sealed_numbers


def open_change(op: Operation, case_no: int, sealed: bytes) -> tuple[Change, dict[str, str]]:
    """The form of a draft without its 個人番号, and the reasons for passing alerts."""
    kept = msgspec.json.decode(op.ring.open("change_case", "case", str(case_no), 1, sealed, bytes), type=Kept)
    return msgspec.json.decode(kept.change, type=Change), kept.acknowledged


def open_numbers(op: Operation, case_no: int, sealed: bytes | None) -> Numbers:
    """個人番号 of a draft."""
    if sealed is None:
        return Numbers(my_numbers=())
    return op.ring.open("change_case", "my_number", str(case_no), 1, sealed, Numbers)


async def read(op: Operation, case_no: int) -> Draft:
    """One draft. NotFound `registry.unknown_case`."""
    row = await op.session.fetch_one(
        "SELECT case_no, state, reason, form_no, entered_by, entered_at, terminal, replaces_case, base, change_sealed, "
        "numbers_sealed, reception_sealed FROM {t}.change_case WHERE case_no = %(case_no)s",
        {"case_no": case_no},
    )
    if row is None:
        raise NotFound("registry.unknown_case", "no such case here")
    return _draft(op, row)


def _draft(op: Operation, row: tuple[Any, ...]) -> Draft:
    return Draft(
        case_no=row[0],
        state=row[1],
        reason=row[2],
        form_no=row[3],
        entered_by=row[4],
        entered_at=row[5],
        terminal=row[6],
        replaces_case=row[7],
        base=row[8],
        acknowledged={},
        change_sealed=row[9],
        numbers_sealed=row[10],
        reception=op.ring.open("change_case", "reception", str(row[0]), 1, row[11], Reception),
    )


async def waiting(op: Operation, limit: int) -> list[Draft]:
    """Cases that wait for a second person or for whoever entered them, oldest first."""
    rows = await op.session.fetch(
        "SELECT case_no, state, reason, form_no, entered_by, entered_at, terminal, replaces_case, base, change_sealed, "
        "numbers_sealed, reception_sealed FROM {t}.change_case WHERE state IN ('entered', 'handed_back') "
        "ORDER BY entered_at, case_no LIMIT %(limit)s",
        {"limit": limit},
    )
    return [_draft(op, row) for row in rows]


async def under_change(op: Operation, atena_nos: Sequence[str]) -> frozenset[str]:
    """異動受付中: those residents about whom a 仮登録 waits. What it says stays in it; that it waits may be told to a clerk."""
    rows = await op.session.fetch(
        "SELECT DISTINCT key FROM {t}.change_case, jsonb_object_keys(base) AS key "
        "WHERE state IN ('entered', 'handed_back') AND base ?| %(atena_nos)s AND key = ANY(%(atena_nos)s)",
        {"atena_nos": list(atena_nos)},
    )
    return frozenset(row[0] for row in rows)


async def unconfirmed(op: Operation, since: dt.datetime, limit: int) -> list[Draft]:
    """Cases that stand, entered since then, whose notifier could not be identified; newest first."""
    rows = await op.session.fetch(
        "SELECT case_no, state, reason, form_no, entered_by, entered_at, terminal, replaces_case, base, change_sealed, "
        "numbers_sealed, reception_sealed FROM {t}.change_case WHERE NOT identity_checked AND state <> 'withdrawn' "
        "AND source NOT IN ('administration', 'local_government') AND entered_at >= %(since)s "
        "ORDER BY case_no DESC LIMIT %(limit)s",
        {"since": since, "limit": limit},
    )
    return [_draft(op, row) for row in rows]


async def move(op: Operation, case_no: int, expected: tuple[str, ...], state: str) -> None:
    """Take a case from one of the expected states to another; Conflict `registry.case_closed` where it is in none.

    The row stays locked until the transaction ends, so of two who come at once the second finds it closed.
    """
    moved = await op.session.execute(
        "UPDATE {t}.change_case SET state = %(state)s WHERE case_no = %(case_no)s AND state = ANY(%(expected)s)",
        {"state": state, "case_no": case_no, "expected": list(expected)},
    )
    if moved != 1:
        raise Conflict("registry.case_closed", "somebody finished this case first", remedy="open the queue again")


async def add_step(op: Operation, case_no: int, state: str, *, event_no: int | None = None, comment: str = "") -> None:
    """Append one step to a case's course."""
    row = await op.session.fetch_one(
        "SELECT coalesce(max(step_no), 0) + 1 FROM {t}.case_step WHERE case_no = %(case_no)s", {"case_no": case_no}
    )
    step_no = row[0] if row else 1
    sealed = op.ring.seal("case_step", "case", str(case_no), step_no, comment.encode()) if comment else None
    await op.session.execute(
        "INSERT INTO {t}.case_step (case_no, step_no, state, done_by, done_at, event_no, comment_sealed) VALUES "
        "(%(case_no)s, %(step_no)s, %(state)s, %(done_by)s, %(done_at)s, %(event_no)s, %(comment_sealed)s)",
        {
            "case_no": case_no,
            "step_no": step_no,
            "state": state,
            "done_by": op.caller.actor_id,
            "done_at": op.now,
            "event_no": event_no,
            "comment_sealed": sealed,
        },
    )


async def steps(op: Operation, case_no: int) -> tuple[Step, ...]:
    """The course of a case, oldest first."""
    rows = await op.session.fetch(
        "SELECT step_no, state, done_by, done_at, event_no, comment_sealed FROM {t}.case_step "
        "WHERE case_no = %(case_no)s ORDER BY step_no",
        {"case_no": case_no},
    )
    return tuple(
        Step(
            step_no=row[0],
            state=row[1],
            done_by=row[2],
            done_at=row[3],
            event_no=row[4],
            comment=""
            if row[5] is None
            else op.ring.open("case_step", "case", str(case_no), row[0], row[5], bytes).decode(),
        )
        for row in rows
    )


async def add_stock(op: Operation, stock: list[tuple[int, str]]) -> None:
    """Put 住民票コード received from the network into the stock."""
    await op.session.execute_many(
        "INSERT INTO {t}.resident_code_stock (stock_no, added_at, added_by, code_sealed) "
        "VALUES (%(stock_no)s, %(added_at)s, %(added_by)s, %(code_sealed)s)",
        [
            {
                "stock_no": number,
                "added_at": op.now,
                "added_by": op.caller.actor_id,
                "code_sealed": op.ring.seal("resident_code_stock", "resident_code", str(number), 1, code.encode()),
            }
            for number, code in stock
        ],
    )


async def stock_level(op: Operation) -> int:
    """住民票コード not yet given out."""
    row = await op.session.fetch_one(
        "SELECT count(*) FROM {t}.resident_code_stock s WHERE NOT EXISTS "
        "(SELECT 1 FROM {t}.resident_code_use u WHERE u.stock_no = s.stock_no)"
    )
    return row[0] if row else 0


async def codes_waiting(op: Operation) -> frozenset[str]:
    """住民票コード in the stock that nobody was given yet."""
    rows = await op.session.fetch(
        "SELECT s.stock_no, s.code_sealed FROM {t}.resident_code_stock s WHERE NOT EXISTS "
        "(SELECT 1 FROM {t}.resident_code_use u WHERE u.stock_no = s.stock_no)"
    )
    return frozenset(
        op.ring.open("resident_code_stock", "resident_code", str(number), 1, sealed, bytes).decode()
        for number, sealed in rows
    )


async def take_codes(op: Operation, count: int) -> list[tuple[int, str]]:
    """(stock number, 住民票コード) of codes picked at random; Conflict `registry.code_stock_empty` where too few are left."""
    rows = await op.session.fetch(
        "SELECT s.stock_no, s.code_sealed FROM {t}.resident_code_stock s WHERE NOT EXISTS "
        "(SELECT 1 FROM {t}.resident_code_use u WHERE u.stock_no = s.stock_no) ORDER BY random() LIMIT %(count)s",
        {"count": count},
    )
    if len(rows) < count:
        raise Conflict("registry.code_stock_empty", "no code left in the stock", remedy="take in new codes first")
    return [
        (number, op.ring.open("resident_code_stock", "resident_code", str(number), 1, sealed, bytes).decode())
        for number, sealed in rows
    ]


async def use_codes(op: Operation, used: list[tuple[int, str]], event_no: int) -> None:
    """(stock number, 宛名番号): these codes are given out; the primary key makes it once only."""
    await op.session.execute_many(
        "INSERT INTO {t}.resident_code_use (stock_no, atena_no, event_no) "
        "VALUES (%(stock_no)s, %(atena_no)s, %(event_no)s)",
        [{"stock_no": number, "atena_no": atena_no, "event_no": event_no} for number, atena_no in used],
    )


async def request_number(op: Operation, atena_nos: list[str], event_no: int) -> None:
    """個人番号 is wanted for these residents: one request each, until it is received."""
    await op.session.execute_many(
        "INSERT INTO {t}.number_request (atena_no, request_no, step, event_no, made_at) "
        "SELECT %(atena_no)s, 1 + count(*), 'wanted', %(event_no)s, %(made_at)s "
        "FROM {t}.number_request WHERE atena_no = %(atena_no)s AND step = 'wanted'",
        [{"atena_no": atena_no, "event_no": event_no, "made_at": op.now} for atena_no in atena_nos],
    )


async def close_requests(op: Operation, atena_nos: list[str], event_no: int) -> None:
    """個人番号 came: open requests of these residents are received."""
    await op.session.execute(
        "INSERT INTO {t}.number_request (atena_no, request_no, step, event_no, made_at) "
        "SELECT w.atena_no, w.request_no, 'received', %(event_no)s, %(made_at)s FROM {t}.number_request w "
        "WHERE w.atena_no = ANY(%(atena_nos)s) AND w.step = 'wanted' AND NOT EXISTS (SELECT 1 FROM {t}.number_request r "
        "WHERE r.atena_no = w.atena_no AND r.request_no = w.request_no AND r.step = 'received')",
        {"atena_nos": atena_nos, "event_no": event_no, "made_at": op.now},
    )


async def awaited_numbers(op: Operation) -> list[tuple[str, dt.datetime]]:
    """(宛名番号, since when) of residents whose 個人番号 has not come yet, longest first; none whose entry was taken back."""
    rows = await op.session.fetch(
        "SELECT w.atena_no, w.made_at FROM {t}.number_request w WHERE w.step = 'wanted' AND NOT EXISTS ("
        "SELECT 1 FROM {t}.number_request r WHERE r.atena_no = w.atena_no AND r.request_no = w.request_no "
        "AND r.step = 'received') AND NOT EXISTS (SELECT 1 FROM {t}.resident_version v WHERE v.atena_no = w.atena_no "
        "AND v.status = 'void' AND NOT EXISTS (SELECT 1 FROM {t}.resident_version l WHERE l.atena_no = v.atena_no "
        "AND l.version_no > v.version_no)) ORDER BY w.made_at, w.atena_no LIMIT 1000"
    )
    return [(row[0], row[1]) for row in rows]
