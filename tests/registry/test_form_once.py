"""受付番号: the same paper is one case; handed back it is corrected under its own number, withdrawn it is free again."""

from __future__ import annotations

import asyncio

import psycopg
import pytest
from tests.registry.conftest import Desk, family, newcomer, reception

from juki import registry
from juki.config import Config
from juki.problem import Conflict, JukiError
from juki.registry.model import MoveIn
from juki.tenancy import bulk


def one(name: str) -> MoveIn:
    """A 転入届 of one person."""
    return family(newcomer(name, "世帯主"))


@pytest.mark.parametrize("again", ["R8-77001", "ｒ８－７７００１", " r8−77001 "])
async def test_a_form_entered_before_is_refused_and_its_case_named(desk: Desk, again: str) -> None:
    """R-12-3.2-QUA-01: one paper, one change, also where the number is typed in another width or another dash."""
    paper = reception(form_no="R8-77001")
    use = await desk.do(desk.clerk, lambda op: registry.form_use(op, "R8-77001"))
    first = use.case_no if use else await desk.enter(one("一枚　太郎"), paper)
    for step in (desk.enter(one("二枚　太郎"), reception(form_no=again)), _examine(desk, again)):
        with pytest.raises(Conflict) as caught:
            await step
        assert (caught.value.code, caught.value.facts["case_no"]) == ("registry.form_used", first)


async def _examine(desk: Desk, form_no: str) -> None:
    await desk.do(desk.clerk, lambda op: registry.examine(op, one("三枚　太郎"), reception(form_no=form_no)))


async def test_a_form_whose_change_is_confirmed_stays_used(desk: Desk) -> None:
    """R-12-3.2-QUA-01: after 本登録 the paper is done with."""
    change = one("済　太郎")
    case_no = await desk.enter(change, reception(form_no="R8-77002"))
    await desk.confirm(case_no, change)
    with pytest.raises(Conflict) as caught:
        await desk.enter(one("済　次郎"), reception(form_no="R8-77002"))
    assert (caught.value.code, caught.value.facts["case_no"]) == ("registry.form_used", case_no)


async def test_a_form_handed_back_is_entered_again_only_in_place_of_its_case(desk: Desk) -> None:
    """差戻し: the same paper under the same number, linked to the case it takes the place of."""
    change = one("戻　太郎")
    first = await desk.enter(change, reception(form_no="R8-77003"))
    await desk.do(desk.checker, lambda op: registry.hand_back(op, first, "氏名を確かめてください"))
    with pytest.raises(Conflict) as caught:
        await desk.enter(change, reception(form_no="R8-77003"))
    assert (caught.value.code, caught.value.facts["case_no"]) == ("registry.form_handed_back", first)
    second = await desk.enter(change, reception(form_no="R8-77003"), replaces=first)
    view = await desk.do(desk.checker, lambda op: registry.case(op, second))
    assert view.replaces_case == first
    await desk.confirm(second, change)
    other = one("戻　次郎")
    third = await desk.enter(other, reception(form_no="R8-77004"))
    await desk.do(desk.checker, lambda op: registry.hand_back(op, third, "番号を確かめてください"))
    with pytest.raises(Conflict) as caught:
        await desk.enter(other, reception(form_no="R8-77003"), replaces=third)
    assert (caught.value.code, caught.value.facts["case_no"]) == ("registry.form_used", second)


async def test_a_withdrawn_form_is_free(desk: Desk) -> None:
    """取下げ: what was withdrawn changed nothing, so its paper may come again."""
    change = one("取　太郎")
    first = await desk.enter(change, reception(form_no="R8-77005"))
    await desk.do(desk.clerk, lambda op: registry.withdraw(op, first, "入力の誤り"))
    second = await desk.enter(change, reception(form_no="R8-77005"))
    assert second != first
    await desk.confirm(second, change)


async def test_of_two_clerks_with_one_form_exactly_one_enters_it(desk: Desk) -> None:
    """Concurrency: the other is told the case of the first."""

    async def try_it(name: str) -> int | JukiError:
        try:
            return await desk.enter(one(name), reception(form_no="R8-77006"))
        except JukiError as error:
            return error

    answers = await asyncio.gather(*(try_it(f"同時　{n}") for n in "一二三"))
    entered = [a for a in answers if isinstance(a, int)]
    refused = [a for a in answers if isinstance(a, JukiError)]
    assert len(entered) == 1
    assert [(e.code, e.facts["case_no"]) for e in refused] == [("registry.form_used", entered[0])] * 2


async def test_another_municipality_counts_its_own_forms(desk: Desk, other_desk: Desk, config: Config) -> None:
    """R-A-3.3-ACC: forms of one municipality say nothing of another's."""
    await desk.enter(one("隣　太郎"), reception(form_no="R8-77007"))
    case_no = await other_desk.enter(one("隣　次郎"), reception(form_no="R8-77007"))
    with bulk(config, "075418") as connection:
        row = connection.execute("SELECT case_no FROM t075418.change_case WHERE form_no = %s", ("R8-77007",)).fetchall()
        assert row == [(case_no,)]


async def test_the_database_itself_refuses_a_second_case_of_a_form(desk: Desk, config: Config) -> None:
    """Defence in depth: the index holds even where the rule above were gone."""
    first = await desk.enter(one("索　太郎"), reception(form_no="R8-77008"))
    with bulk(config, "072044") as connection, pytest.raises(psycopg.errors.UniqueViolation) as caught:
        connection.execute(
            "INSERT INTO t072044.change_case (case_no, state, reason, form_no, source, channel, identity_checked, "
            "entered_by, entered_at, terminal, base, change_sealed, reception_sealed) SELECT 900000000, 'entered', reason, "
            "'r8-77008', source, channel, identity_checked, entered_by, entered_at, terminal, base, change_sealed, "
            "reception_sealed FROM t072044.change_case WHERE case_no = %s",
            (first,),
        )
    assert caught.value.diag.constraint_name == "change_case_form_once"
