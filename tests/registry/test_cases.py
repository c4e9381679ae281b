"""仮登録 and 照合: hand back, withdraw, stale, twice, at once; and what the database itself refuses."""

from __future__ import annotations

import asyncio
import datetime as dt

import psycopg
import pytest
from tests.registry.conftest import Desk, authority, family, newcomer, reception, three

from juki import registry
from juki.audit import Operation, operation
from juki.config import Config
from juki.dates import JST, RegistryDate
from juki.problem import Conflict, Invalid, JukiError, NotFound, Refused
from juki.registry import changes, store
from juki.registry.model import Correct, Document, Place, Relocate
from juki.tenancy import bulk

HOME = Place(text="福島県いわき市内郷綴町榎下46番地の2")


async def test_a_case_handed_back_is_entered_anew_and_the_old_one_withdrawn(desk: Desk) -> None:
    """R-12-3.2-QUA-01: 差戻し with a reason."""
    change = family(newcomer("差戻　太郎", "世帯主"))
    first = await desk.enter(change)
    with pytest.raises(Invalid) as caught:
        await desk.do(desk.checker, lambda op: registry.hand_back(op, first, " "))
    assert caught.value.code == "registry.reason_missing"
    await desk.do(desk.checker, lambda op: registry.hand_back(op, first, "生年月日が届出書と違います"))
    with pytest.raises(Conflict):
        await desk.confirm(first, change)
    second = await desk.enter(change, replaces=first)
    view = await desk.do(desk.checker, lambda op: registry.case(op, first))
    assert [(s.state, s.done_by, s.comment) for s in view.steps] == [
        ("entered", "op-entry", ""),
        ("handed_back", "op-check", "生年月日が届出書と違います"),
        ("withdrawn", "op-entry", ""),
    ]
    waiting = {c.case_no: c for c in await desk.do(desk.checker, registry.queue)}
    assert first not in waiting
    assert waiting[second].may_confirm
    own = {c.case_no: c for c in await desk.do(desk.clerk, registry.queue)}
    assert not own[second].may_confirm


async def test_only_whoever_entered_a_case_withdraws_it(desk: Desk) -> None:
    """R-12-3.2-QUA-01."""
    case_no = await desk.enter(three("取下"))
    stranger = desk.clerk.__class__(tenant="072044", actor_id="op-other", rights=desk.clerk.rights)
    with pytest.raises(Refused) as caught:
        await desk.do(stranger, lambda op: registry.withdraw(op, case_no, "理由"))
    assert caught.value.code == "registry.not_own_case"
    await desk.do(desk.clerk, lambda op: registry.withdraw(op, case_no, "届出の取下げ"))
    assert case_no not in {c.case_no for c in await desk.do(desk.clerk, registry.queue)}


async def test_a_case_whose_residents_changed_meanwhile_is_not_confirmed(desk: Desk) -> None:
    """Stale: nothing is written, the clerk is told to hand back."""
    result = await desk.make(three("古版"))
    people = result.new_atena_nos
    slow = Relocate(occurred_on=RegistryDate(2026, 11, 15), atena_nos=people, address=HOME)
    case_no = await desk.enter(slow)
    fix = Correct(
        occurred_on=RegistryDate(2026, 11, 20), atena_no=people[2], version_no=1, items={"basic.name": "古版　四郎"}
    )
    await desk.make(fix, authority())
    with pytest.raises(Conflict) as caught:
        await desk.confirm(case_no, slow)
    assert caught.value.code == "registry.stale"
    assert (await desk.read(people[0])).version_no == 1
    waiting = {c.case_no: c.state for c in await desk.do(desk.checker, registry.queue)}
    assert waiting[case_no] == "entered"


async def test_a_confirmation_sent_twice_by_the_same_person_answers_the_same(desk: Desk) -> None:
    """Double submit: one change, one answer."""
    change = three("二度")
    case_no = await desk.enter(change)
    first = await desk.confirm(case_no, change)
    second = await desk.do(desk.checker, lambda op: registry.confirm(op, case_no, {}))
    assert (second.event_no, set(second.new_atena_nos)) == (first.event_no, set(first.new_atena_nos))
    third = desk.checker.__class__(tenant="072044", actor_id="op-third", rights=desk.checker.rights)
    with pytest.raises(Conflict) as caught:
        await desk.do(third, lambda op: registry.confirm(op, case_no, {}))
    assert caught.value.code == "registry.case_closed"


async def test_of_two_confirmations_at_once_exactly_one_writes(desk: Desk) -> None:
    """Concurrency: the second finds the case closed and writes nothing."""
    change = three("同時")
    case_no = await desk.enter(change)
    others = [
        desk.checker.__class__(tenant="072044", actor_id=f"op-check-{i}", rights=desk.checker.rights) for i in (1, 2)
    ]
    typed = changes.twice_typed(change)

    async def try_it(who: object) -> registry.ConfirmResult | str:
        try:
            return await desk.do(who, lambda op: registry.confirm(op, case_no, typed))
        except JukiError as error:
            return error.code

    answers = await asyncio.gather(*(try_it(who) for who in others))
    done = [a for a in answers if isinstance(a, registry.ConfirmResult)]
    assert len(done) == 1
    assert [a for a in answers if isinstance(a, str)] == ["registry.case_closed"]
    hits = await desk.do(desk.clerk, lambda op: registry.search(op, registry.Query(name="同時　一郎")))
    assert len(hits.hits) == 1


async def test_of_two_changes_of_one_household_confirmed_at_once_the_second_is_stale(desk: Desk) -> None:
    """Advisory locks and the key (宛名番号, 履歴番号): no version is lost or doubled."""
    result = await desk.make(three("並行"))
    people = result.new_atena_nos
    first = Relocate(occurred_on=RegistryDate(2026, 11, 15), atena_nos=people, address=HOME)
    second = Relocate(
        occurred_on=RegistryDate(2026, 11, 16),
        atena_nos=people,
        address=Place(text="福島県いわき市常磐湯本町吹谷1番地"),
    )
    cases = [(await desk.enter(change), change) for change in (first, second)]

    async def try_it(case_no: int, change: Relocate) -> str:
        try:
            await desk.confirm(case_no, change)
        except JukiError as error:
            return error.code
        return "done"

    answers = await asyncio.gather(*(try_it(*case) for case in cases))
    assert sorted(answers) == ["done", "registry.stale"]
    history = await desk.do(desk.clerk, lambda op: registry.history(op, people[0]))
    assert [v.record.version_no for v in history] == [1, 2]


async def test_of_two_newcomers_with_one_number_confirmed_at_once_the_second_is_refused(desk: Desk) -> None:
    """個人番号 belongs to one person, also in a race."""
    one = family(newcomer("競合　一郎", "世帯主"))
    two = family(newcomer("競合　二郎", "世帯主", my_number=one.persons[0].my_number))
    cases = [(await desk.enter(change), change) for change in (one, two)]

    async def try_it(case_no: int, change: object) -> str:
        try:
            await desk.confirm(case_no, change)
        except JukiError as error:
            return error.code
        return "done"

    answers = await asyncio.gather(*(try_it(*case) for case in cases))
    assert "done" in answers
    assert set(answers) <= {"done", "registry.change_invalid", "registry.stale"}
    assert answers.count("done") == 1


async def test_a_failure_after_the_versions_are_written_leaves_nothing_behind(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Fault: one transaction holds versions, ledger, indexes and the course of the case."""
    change = family(newcomer("中断　太郎", "世帯主"))
    case_no = await desk.enter(change)

    async def cut(*_: object) -> None:
        raise RuntimeError("cut")

    with monkeypatch.context() as patch:
        patch.setattr("juki.registry.case_store.request_number", cut)
        with pytest.raises(RuntimeError):
            await desk.confirm(case_no, change)
    hits = await desk.do(desk.clerk, lambda op: registry.search(op, registry.Query(name="中断　太郎")))
    assert hits.hits == ()
    result = await desk.confirm(case_no, change)
    assert len(result.new_atena_nos) == 1


async def test_rights_decide_who_enters_and_who_confirms(desk: Desk) -> None:
    """R-1-3.3-PRV-01: each door names the right it needs."""
    with pytest.raises(Refused) as caught:
        await desk.do(desk.checker, lambda op: registry.enter(op, three("権限"), reception()))
    assert caught.value.code == "access.right_missing"
    case_no = await desk.enter(three("権限"))
    with pytest.raises(Refused) as caught:
        await desk.do(desk.clerk, lambda op: registry.confirm(op, case_no, {}))
    assert caught.value.code == "access.right_missing"


async def test_a_case_of_the_other_municipality_is_not_there(desk: Desk, other_desk: Desk) -> None:
    """R-1-3.6-TEN-01."""
    case_no = await desk.enter(three("隣町"))
    with pytest.raises(NotFound) as caught:
        await other_desk.do(other_desk.checker, lambda op: registry.case(op, case_no + 100_000))
    theirs = await _code(other_desk, case_no)
    assert theirs in ("registry.unknown_case", "")
    assert caught.value.code == "registry.unknown_case"
    assert case_no not in {c.case_no for c in await other_desk.do(other_desk.checker, registry.queue)} or theirs == ""


async def _code(desk: Desk, case_no: int) -> str:
    try:
        view = await desk.do(desk.checker, lambda op: registry.case(op, case_no))
    except JukiError as error:
        return error.code
    assert "隣町" not in str(view.change)
    return ""


async def test_the_individual_number_of_a_draft_is_hidden_from_whoever_lacks_its_right(desk: Desk) -> None:
    """R-1-3.3-PRV-01: 個人番号 lies under its own key, in drafts too."""
    change = family(newcomer("番号　秘", "世帯主"))
    case_no = await desk.enter(change)
    blind = desk.checker.__class__(
        tenant="072044", actor_id="op-blind", rights=frozenset({"change.confirm", "resident.read"})
    )
    view = await desk.do(blind, lambda op: registry.case(op, case_no))
    assert view.change.persons[0].my_number == ""
    assert view.change.persons[0].resident_code == ""
    assert "persons.0.my_number" in view.reentry
    assert "persons.0.resident_code" in view.reentry
    assert all(r.my_number is None for r in view.after)
    seen = await desk.do(desk.checker, lambda op: registry.case(op, case_no))
    assert seen.change.persons[0].my_number == change.persons[0].my_number
    own = await desk.do(desk.clerk, lambda op: registry.case(op, case_no))
    assert own.change.persons[0].resident_code == change.persons[0].resident_code


async def test_looking_at_a_closed_case_is_a_look_at_the_persons_it_was_about(desk: Desk) -> None:
    """R-A-3.3-LOG-01: the form of a finished case still shows names and numbers, so the look stands in the log."""
    change = family(newcomer("記録　済", "世帯主"))
    case_no = await desk.enter(change)
    result = await desk.confirm(case_no, change)
    async with operation(desk.fleet, desk.checker, "change.case", purpose="試験", write=False) as op:
        view = await registry.case(op, case_no)
        assert view.change.persons[0].my_number == change.persons[0].my_number
        assert op.subjects == dict.fromkeys(result.new_atena_nos, True)


@pytest.mark.parametrize(
    "table",
    [
        "resident_version",
        "event",
        "case_step",
        "resident_index_a",
        "resident_number_a",
        "resident_code_stock",
        "resident_code_use",
        "number_request",
        "support_measure",
        "support_subject_a",
        "suppression",
        "suppression_release",
        "loosening",
        "loosening_step",
    ],
)
async def test_the_database_itself_refuses_to_change_or_delete_history(desk: Desk, config: Config, table: str) -> None:
    """R-1-2.6-RET-01: UPDATE and DELETE are refused for the role the service works under."""
    await desk.make(family(newcomer("不変　太郎", "世帯主"), day=dt.date(2026, 11, 3)), namesake="試験")
    columns = {"resident_version": "setai_no = '1'", "event": "reason = 'x'", "case_step": "state = 'x'"}
    columns |= {"loosening": "asked_by = 'x'", "loosening_step": "done_by = 'x'"}
    change = columns.get(table, "atena_no = '1'" if table.startswith(("resident", "number")) else "")
    statements = [f"DELETE FROM t072044.{table}", f"TRUNCATE t072044.{table}"]
    if change and table not in ("resident_code_stock",):
        statements.append(f"UPDATE t072044.{table} SET {change}")
    for statement in statements:
        with bulk(config, "072044") as connection, pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute(statement)


async def test_a_draft_may_change_its_state_and_nothing_else(config: Config) -> None:
    """The only column of the register that a service may update."""
    with bulk(config, "072044") as connection:
        connection.execute("UPDATE t072044.change_case SET state = state WHERE false")
        connection.rollback()
        for column in ("change_sealed", "entered_by", "base", "numbers_sealed"):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute(f"UPDATE t072044.change_case SET {column} = {column} WHERE false")
            connection.rollback()


async def test_history_reads_the_same_for_ever_as_known_at_an_instant(desk: Desk) -> None:
    """F-S1-01: what was known then does not change when more becomes known."""
    desk.fleet.clock = lambda: dt.datetime(2026, 11, 20, 10, 0, tzinfo=JST)
    result = await desk.make(three("不動"))
    head = result.new_atena_nos[0]
    steps = [
        lambda: desk.make(
            Relocate(occurred_on=RegistryDate(2026, 11, 15), atena_nos=result.new_atena_nos, address=HOME)
        ),
        lambda: desk.make(
            Correct(
                occurred_on=RegistryDate(2026, 11, 20), atena_no=head, version_no=2, items={"basic.name": "浮動　一郎"}
            ),
            authority(),
        ),
    ]
    seen: list[tuple[dt.datetime, list[tuple[str, str]]]] = []

    async def snapshot(known_at: dt.datetime) -> list[tuple[str, str]]:
        found = []
        for day in (1, 14, 15, 20):
            record = await desk.read(head, as_of=dt.date(2026, 11, day), known_at=known_at)
            found.append((record.basic.name, record.address.address.text))
        return found

    for step in steps:
        known_at = (await desk.do(desk.clerk, lambda op: registry.history(op, head)))[-1].record.known_from
        seen.append((known_at, await snapshot(known_at)))
        await step()
    for known_at, before in seen:
        assert await snapshot(known_at) == before


async def test_every_step_leaves_its_row_in_the_log_with_the_persons_it_touched(desk: Desk) -> None:
    """R-A-3.3-LOG-01: subjects of entry, confirmation and reading; 個人番号 marked where it was touched."""
    change = family(newcomer("記録　太郎", "世帯主"))
    case_no = await desk.enter(change)
    async with operation(desk.fleet, desk.checker, "change.confirm", purpose="試験") as op:
        result = await registry.confirm(op, case_no, changes.twice_typed(change))
        assert op.subjects == {result.new_atena_nos[0]: True}
        assert op.facts["case_no"] == case_no
    async with operation(desk.fleet, desk.clerk, "resident.read", purpose="試験", write=False) as op:
        await registry.record(op, result.new_atena_nos[0], groups=("basic",))
        assert op.subjects == {result.new_atena_nos[0]: False}


async def test_a_notifier_who_could_not_be_identified_is_an_alert_and_stands_in_the_list_for_notices(
    desk: Desk,
) -> None:
    """R-1-3.2-IDV-01: a confirmation notice goes to the registered address."""
    paper = reception(document=Document.NONE, checked_by="")
    change = family(newcomer("本人　未確認", "世帯主"))
    with pytest.raises(Invalid) as caught:
        await desk.enter(change, paper)
    assert caught.value.fields == {"alert.registry.identity_not_confirmed": "registry.identity_not_confirmed"}
    case_no = await desk.enter(change, paper, acknowledged={"registry.identity_not_confirmed": "後日確認"})
    sure = await desk.enter(family(newcomer("本人　確認済", "世帯主")))
    listed = {c.case_no for c in await desk.do(desk.clerk, registry.identity_notices)}
    assert case_no in listed
    assert sure not in listed
    now = desk.fleet.clock()
    desk.fleet.clock = lambda: now + dt.timedelta(days=31)
    assert case_no not in {c.case_no for c in await desk.do(desk.clerk, registry.identity_notices)}


async def test_whoever_lived_together_is_found_by_their_households_and_not_by_reading_the_register(desk: Desk) -> None:
    """T15: a change at the counter of a city of 300,000 costs what it costs in a village; with a few rows only the plan tells."""
    made = await desk.make(three("近隣"))

    async def plan(op: Operation) -> str:
        await op.session.execute("SET LOCAL enable_seqscan = off")
        rows = await op.session.fetch(
            "EXPLAIN " + store.AROUND, {"atena_nos": list(made.new_atena_nos[:1]), "setai_nos": ["0000000012"]}
        )
        return "\n".join(row[0] for row in rows)

    shown = await desk.do(desk.clerk, plan)
    assert "Cond: (setai_no = " in shown, shown
    assert "Cond: (atena_no = m.atena_no)" in shown, shown
    found = await desk.do(desk.clerk, lambda op: store.rows_around(op.session, made.new_atena_nos[:1], ()))
    assert {row[0] for row in found} == set(made.new_atena_nos)
    also = await desk.do(desk.clerk, lambda op: store.rows_around(op.session, (), (found[0][3],)))
    assert also == found
