"""ID管理と権限付与, each rule of the assessment by its control id."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import msgspec
import pytest

from juki import audit
from juki.access import NewOperator, accounts, grant_store, grants, store, terminals
from juki.access.bootstrap import LIST_ITSELF, bootstrap, read_people
from juki.access.model import FUNCTIONS, RIGHTS, Caller, check_department, duties, is_open, rights_of, system
from juki.problem import Conflict, Invalid, JukiError, NotFound, Refused
from juki.tenancy import connect

from .conftest import IWAKI, TUESDAY_NOON, Town

NEW = NewOperator(login="ito.n", name="伊藤　直", staff_no="20201", office="shimin")


def acting(town: Town, login: str, *rights: str) -> Caller:
    return Caller(tenant=IWAKI, actor_id=town.id_of(login), rights=frozenset(rights))


async def refusal(town: Town, who: Caller, deed: object, **arguments: object) -> str:
    """Code of the refusal of one deed of access, run as an operation of its own."""
    try:
        async with audit.operation(town.fleet, who, "account.test", purpose="試験") as op:
            await deed(op.work, **arguments)  # pyright: ignore
    except JukiError as e:
        return e.code
    return ""


async def register(town: Town, new: NewOperator = NEW) -> str:
    boss = system(IWAKI, "test", {"account.manage"})
    async with audit.operation(town.fleet, boss, "account.register", purpose="登録") as op:
        return (await accounts.register(op.work, new)).operator_id


@pytest.mark.parametrize("name", ["窓口共用", "guest", "", "市民課担当"])
async def test_an_account_without_one_named_person_is_refused(town: Town, name: str) -> None:
    """R-1-3.3-AUT-02: no shared accounts."""
    with pytest.raises(Invalid) as refused:
        await register(town, msgspec.structs.replace(NEW, name=name))
    assert refused.value.fields == {"name": "one_named_person"}


@pytest.mark.parametrize("login", ["ito n", "Ito.n", ".ito", "it", "i" * 33, "op-0a1b2c3d4e", "伊藤"])
async def test_a_login_name_that_is_none_or_reads_like_somebodys_id_is_refused(town: Town, login: str) -> None:
    """R-1-3.3-AUT-02: named before anything is written; an account is found by its id or its log-in name, never by both."""
    with pytest.raises(Invalid) as refused:
        await register(town, msgspec.structs.replace(NEW, login=login))
    assert list(refused.value.fields) == ["login"]


async def test_a_terminal_id_that_is_none_is_named(town: Town) -> None:
    """R-1-3.3-PRV-05: wrong input, not a broken rule of a table."""
    async with audit.operation(town.fleet, system(town.code, "test"), "terminal.add", purpose="端末登録") as op:
        for terminal_id in ("iwk-hon-09", "IWK HON", "I", ""):
            with pytest.raises(Invalid) as refused:
                await terminals.register(op.work, terminal_id, "窓口9", "IWK-SHI", ["counter"])
            assert list(refused.value.fields) == ["terminal_id"]


async def test_one_person_has_one_account(town: Town) -> None:
    """R-A-3.3-AUT-01: no ID is bound to two persons and no person to two IDs."""
    await register(town)
    with pytest.raises(Conflict) as twice:
        await register(town, msgspec.structs.replace(NEW, login="ito.n2"))
    assert twice.value.code == "access.person_has_account"
    for written in (f" {NEW.staff_no} ", NEW.staff_no.translate({n: n + 0xFEE0 for n in range(0x21, 0x7F)})):
        with pytest.raises(Conflict) as disguised:
            await register(town, msgspec.structs.replace(NEW, login="ito.n2", staff_no=written))
        assert disguised.value.code == "access.person_has_account"
    with pytest.raises(Conflict) as taken:
        await register(town, msgspec.structs.replace(NEW, staff_no="20299"))
    assert taken.value.code == "access.login_taken"


async def test_a_contractor_s_account_opens_after_the_pledge(town: Town) -> None:
    """R-23-3.3-USE-03: no pledge, no account; the database says so too."""
    contractor = msgspec.structs.replace(NEW, employment="contractor", contract_no="K-2026-11")
    with pytest.raises(Refused) as refused:
        await register(town, contractor)
    assert refused.value.code == "access.pledge_missing"
    await register(town, msgspec.structs.replace(contractor, pledged_on=dt.date(2026, 11, 2)))


async def test_a_grant_needs_a_request_a_named_approver_and_the_right_department(town: Town) -> None:
    """R-1-3.3-PRV-01: only a duty of the table, approved by the head, who is neither the asker nor the holder."""
    operator_id = await register(town)
    boss, head = acting(town, "endo.y", "account.manage"), acting(town, "kimura.j", "account.approve")
    day, until = town.now.date(), town.now.date() + dt.timedelta(days=180)
    ask = {"operator_id": operator_id, "valid_from": day, "valid_until": until}
    assert await refusal(town, boss, grants.request, name="何でも", **ask) == "access.duty_unknown"
    assert await refusal(town, boss, grants.request, name="管理者", **ask) == "access.department"
    assert await refusal(town, boss, grants.request, name="窓口", **ask) == ""
    assert await refusal(town, boss, grants.request, name="窓口", **ask) == "db.twice"
    async with audit.operation(town.fleet, boss, "account.list", purpose="試験", write=False) as op:
        number = (await grants.requests(op.work))[0].grant_no
        assert grants.in_force(await grants.held_by(op.work, operator_id), op.work.today) == ()
    assert await refusal(town, boss, grants.decide, grant_no=number, approve=True) == "access.right_missing"
    both = acting(town, "endo.y", "account.manage", "account.approve")
    assert await refusal(town, both, grants.decide, grant_no=number, approve=True) == "access.own_request"
    self_approving = Caller(tenant=IWAKI, actor_id=operator_id, rights=frozenset({"account.approve"}))
    assert await refusal(town, self_approving, grants.decide, grant_no=number, approve=True) == "access.own_request"
    assert await refusal(town, head, grants.decide, grant_no=number, approve=True) == ""
    assert await refusal(town, head, grants.decide, grant_no=number, approve=False) == "access.grant_decided"
    async with audit.operation(town.fleet, boss, "account.list", purpose="試験", write=False) as op:
        assert grants.in_force(await grants.held_by(op.work, operator_id), op.work.today) == ("窓口",)


async def test_a_grant_holds_from_its_first_day_to_its_last(town: Town) -> None:
    """R-1-3.3-PRV-05: a right that nobody renews ends by itself; the list of accounts says what a log-in gives."""
    boss, head = acting(town, "endo.y", "account.manage"), acting(town, "kimura.j", "account.approve")
    held, day = town.id_of("sato.m"), town.now.date()
    both = {"valid_from": day + dt.timedelta(days=1), "valid_until": day + dt.timedelta(days=2)}
    assert await refusal(town, boss, grants.request, operator_id=held, name="照合", **both) == ""
    async with audit.operation(town.fleet, boss, "account.list", purpose="試験", write=False) as op:
        number = (await grants.requests(op.work))[0].grant_no
    assert await refusal(town, head, grants.decide, grant_no=number, approve=True) == ""
    for days, duties_then in (
        (0, ("窓口",)),
        (1, ("窓口", "照合")),
        (2, ("窓口", "照合")),
        (3, ("窓口",)),
        (365, ("窓口",)),
        (366, ()),
    ):
        town.now = TUESDAY_NOON + dt.timedelta(days=days)
        came_in = await town.resume(await town.sign_in("sato.m", rules=True))
        assert set(filter(None, came_in.duty.split("・"))) == set(duties_then)
        async with audit.operation(town.fleet, boss, "account.list", purpose="試験", write=False) as op:
            assert grants.in_force(await grants.held_by(op.work, held), op.work.today) == duties_then


async def test_every_revoked_right_has_a_ledger_row_that_nobody_can_edit(town: Town) -> None:
    """R-23-3.3-PRV-04: person, right, date and executor; one row a right; SELECT and INSERT only."""
    boss = acting(town, "endo.y", "account.manage")
    held = town.id_of("sato.m")
    day = town.now.date()
    assert (
        await refusal(town, boss, accounts.personnel_event, operator_id=held, kind="transferred", effective_on=day)
        == ""
    )
    async with audit.operation(town.fleet, boss, "account.list", purpose="試験", write=False) as op:
        ledger = await grant_store.revocations(op.session, held)
        assert grants.in_force(await grants.held_by(op.work, held), op.work.today) == ()
    assert {row[1] for row in ledger} == duties()["窓口"].rights
    assert {(row[0], row[2], row[3], row[4]) for row in ledger} == {("窓口", day, "transferred", town.id_of("endo.y"))}
    with connect(town.fleet.config, "deploy") as owner:
        for role in ("t072044_registry", "t072044_rekey"):
            row = owner.execute(
                "SELECT has_any_column_privilege(%(r)s, 't072044.revocation_ledger', 'UPDATE')"
                " OR has_table_privilege(%(r)s, 't072044.revocation_ledger', 'DELETE')",
                {"r": role},
            ).fetchone()
            assert row == (False,)


async def test_a_retirement_to_come_ends_rights_on_its_day(town: Town) -> None:
    """R-23-3.3-PRV-03: entered in advance, it takes effect by itself: the day before all works, on the day nothing does."""
    boss = acting(town, "endo.y", "account.manage")
    held = town.id_of("sato.m")
    on = town.now.date() + dt.timedelta(days=2)
    await refusal(town, boss, accounts.personnel_event, operator_id=held, kind="retired", effective_on=on)
    town.later(days=1)
    opened = await town.sign_in("sato.m")
    assert (await town.resume(opened)).may("resident.read")
    town.later(hours=23, minutes=45)
    with pytest.raises(JukiError) as closed:
        await town.sign_in("sato.m")
    assert closed.value.code == "access.account_closed"


async def test_nobody_decides_on_the_own_account(town: Town) -> None:
    """R-1-3.3-PRV-05: resetting, reopening and reviewing are for somebody else."""
    me = acting(town, "endo.y", "account.manage")
    mine = town.id_of("endo.y")
    assert await refusal(town, me, accounts.reset, operator_id=mine) == "access.own_account"
    assert await refusal(town, me, accounts.reopen, operator_id=mine) == "access.own_account"
    assert await refusal(town, me, accounts.decide_review, operator_id=mine, decision="keep") == "access.own_account"


async def test_the_review_lists_every_account_with_its_rights_and_shows_what_is_overdue(town: Town) -> None:
    """R-1-3.3-PRV-05: twice a year every entry wants a decision; `end` closes the account and its rights."""
    boss = acting(town, "endo.y", "account.manage")
    town.later(days=183)
    async with audit.operation(town.fleet, boss, "account.review", purpose="定期点検") as op:
        lines = await accounts.review(op.work)
        assert {line.login_name for line in lines if line.overdue} == {"sato.m", "suzuki.k", "kimura.j", "endo.y"}
        await accounts.decide_review(op.work, town.id_of("sato.m"), "keep")
        await accounts.decide_review(op.work, town.id_of("suzuki.k"), "end")
        after = {line.login_name: line for line in await accounts.review(op.work)}
        events = [what for what, *_ in await store.account_events(op.session, town.id_of("suzuki.k"))]
    assert not after["sato.m"].overdue
    assert after["sato.m"].rights == tuple(sorted(duties()["窓口"].rights))
    assert "suzuki.k" not in after
    assert events == ["registered", "duty_requested", "duty_granted", "duty_revoked", "reviewed"]


async def test_a_reset_hands_out_new_secrets_that_must_be_changed(town: Town) -> None:
    """R-1-3.3-AUT-04: after a reset nothing works but the change of the password."""
    boss = acting(town, "endo.y", "account.manage")
    async with audit.operation(town.fleet, boss, "account.reset", purpose="再設定") as op:
        handed = await accounts.reset(op.work, "sato.m")
    assert handed.password not in repr(handed)
    with pytest.raises(JukiError):
        await town.sign_in("sato.m")
    town.made = msgspec.structs.replace(town.made, operators=(handed,))
    town.later(minutes=16)
    opened = await town.sign_in("sato.m")
    assert opened.caller.password_due
    assert opened.caller.rights == frozenset()


async def test_the_first_list_works_once_and_changes_nothing_again(town: Town, people_file: Path) -> None:
    """R-1-3.3-PRV-01: afterwards accounts are opened by one person and approved by another."""
    people = read_people(people_file)
    boss = system(IWAKI, "bootstrap", {"account.manage"})
    async with audit.operation(town.fleet, boss, "access.bootstrap", purpose="初期登録") as op:
        again = await bootstrap(op.work, people)
        approvers = {g.operator_id: g.approved_by for g in await grant_store.grants(op.session)}
    assert (again.operators, again.terminals) == ((), ())
    head = town.id_of("kimura.j")
    assert approvers[town.id_of("sato.m")] == head
    assert approvers[head] == LIST_ITSELF
    newcomer = msgspec.structs.replace(people.operator[0], login="new.one", staff_no="29999")
    more = msgspec.structs.replace(people, operator=(*people.operator, newcomer))
    assert await refusal(town, boss, bootstrap, people=more) == "access.bootstrapped"


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ('approved_by = "sato.m"', "approved_by"),
        ('approved_by = "kimura.j"\nsurprise = 1', "surprise"),
        ("approved_by = ", "TOML|Invalid|value"),
    ],
)
def test_a_wrong_list_is_refused_with_the_key_that_is_wrong(
    tmp_path: Path, people_file: Path, line: str, said: str
) -> None:
    """R-1-3.3-PRV-01: whoever approves must hold the duty that approves."""
    text = people_file.read_text(encoding="utf-8").replace('approved_by = "kimura.j"', line)
    (tmp_path / "people.toml").write_text(text, encoding="utf-8")
    with pytest.raises(Invalid, match=said):
        read_people(tmp_path / "people.toml")


@pytest.mark.parametrize("duty", duties())
@pytest.mark.parametrize("function", FUNCTIONS)
def test_rights_are_those_of_the_duty_as_far_as_the_terminal_reaches(duty: str, function: str) -> None:
    """R-23-3.3-PRV-06: for every duty and function the result is exactly the matrix, for all rights there are."""
    held = rights_of([duty], [function])
    for right in RIGHTS:
        assert (right in held) == (right in duties()[duty].rights and right in FUNCTIONS[function])


def test_no_duty_both_asks_for_rights_and_grants_them() -> None:
    """R-1-3.3-PRV-01: the table itself keeps the two apart, as it does entering and approving an off-boarding."""
    for duty in duties().values():
        assert not {"account.manage", "account.approve"} <= duty.rights
        assert not {"offboard.request", "offboard.approve"} <= duty.rights
    assert not {"change.enter", "change.confirm"} <= duties()["窓口"].rights | set()


@pytest.mark.parametrize(
    ("duty", "department", "allowed"),
    [
        ("窓口", "小名浜支所市民課", True),
        ("窓口", "町民税務課", True),
        ("窓口", "情報政策課", False),
        ("管理者", "市民課", False),
    ],
)
def test_a_duty_is_for_the_departments_the_table_names(duty: str, department: str, allowed: bool) -> None:
    """R-A-2.3-USE-01: a role on the file is not given to a department that is not listed."""
    if allowed:
        check_department(duty, department)
    else:
        with pytest.raises(Refused):
            check_department(duty, department)


@pytest.mark.parametrize(
    ("moment", "open_"),
    [
        ("2026-11-24T08:29+09:00", False),
        ("2026-11-24T08:30+09:00", True),
        ("2026-11-24T17:14+09:00", True),
        ("2026-11-24T17:15+09:00", False),
        ("2026-11-22T12:00+09:00", False),
        ("2026-12-29T12:00+09:00", False),
        ("2026-11-23T12:00+09:00", False),
    ],
)
def test_working_hours_are_judged_in_japanese_time(moment: str, open_: bool) -> None:
    """R-1-3.3-USE-01: hours, weekdays, yearly holidays and single days."""
    at = dt.datetime.fromisoformat(moment).astimezone(dt.UTC)
    assert is_open(at, "08:30", "17:15", [1, 2, 3, 4, 5], ["12-29", "2026-11-23"]) is open_


async def test_an_unknown_account_is_not_found(town: Town) -> None:
    """R-A-3.3-AUT-01: nothing is done to an account that does not exist."""
    boss = acting(town, "endo.y", "account.manage")
    with pytest.raises(NotFound):
        async with audit.operation(town.fleet, boss, "account.suspend", purpose="停止") as op:
            await accounts.suspend(op.work, "op-nobody", "test")


async def test_names_and_secrets_are_nowhere_in_the_clear(town: Town) -> None:
    """R-A-3.3-CPY-02: a dump of the tables shows no name, no password, no digest, no one-time secret, no token."""
    opened = await town.sign_in("sato.m")
    secret = town.made.operators[0]
    with connect(town.fleet.config, "deploy") as owner:
        dump = "".join(
            str(owner.execute(f"SELECT array_agg(r::text) FROM t072044.{table} r").fetchone())  # pyright: ignore
            for table in ("operator", "credential", "staff_session", "terminal", "account_event")
        )
    for word in ("佐藤", secret.password, secret.otp_secret, "$argon2id$", opened.token.partition(".")[2]):
        assert word not in dump
        assert word.encode().hex() not in dump
