"""採番: after an import, a restore or a re-import nothing is drawn that is somebody's number already (R-1-2.6-MIG-01)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import psycopg
import pytest
from psycopg import sql
from tests.legacy.media import imported
from tests.registry.conftest import Desk, family, newcomer

from juki.access.model import Caller
from juki.config import Config
from juki.registry.model import Record
from juki.tenancy import Fleet, Running, beyond_use, bulk, check, connect, find, running_numbers
from juki.vault import open_kms

IWAKI, HIRONO = "072044", "075418"
ALL = {
    "atena_seq", "setai_seq", "event_seq", "case_seq", "measure_seq", "suppression_seq", "loosening_seq", "code_stock_seq",
    "issue_seq", "import_seq", "audit_op_seq",
}  # fmt: skip


def stand(config: Config, code: str) -> dict[str, Running]:
    """Every running number of a municipality."""
    with closing(connect(config, "deploy")) as deploy:
        return {number.name: number for number in running_numbers(deploy, find(deploy, code))}


def throw_back(config: Config, code: str) -> None:
    """What a restore of tables without their sequences leaves: every sequence at its beginning."""
    with closing(connect(config, "deploy")) as deploy:
        for name in ALL:
            deploy.execute(sql.SQL("ALTER SEQUENCE {} RESTART").format(sql.Identifier(f"t{code}", name)))
        deploy.commit()


def test_every_sequence_of_a_municipality_is_looked_after_or_an_identity(config: Config) -> None:
    """A new sequence must be put into the function, or be an identity column that comes back with its table."""
    with closing(connect(config, "deploy")) as deploy:
        rows = deploy.execute(
            "SELECT c.relname FROM pg_class c WHERE c.relkind = 'S' AND c.relnamespace = 't072044'::regnamespace "
            "AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.objid = c.oid AND d.deptype = 'i')"
        ).fetchall()
    assert {row[0] for row in rows} == ALL == set(stand(config, IWAKI))


async def test_an_import_leaves_every_number_beyond_those_it_brought(
    fresh_fleet: Fleet, extracts: dict[str, Path], caller: Callable[..., Caller]
) -> None:
    """An incumbent's 宛名番号 and 世帯番号 stay theirs; the first household taken up here has new ones."""
    who = caller("import.run", "import.review", tenant=IWAKI)
    await imported(fresh_fleet, who, extracts[IWAKI])
    numbers = stand(fresh_fleet.config, IWAKI)
    assert [n for n in numbers.values() if n.behind] == []
    assert numbers["atena_seq"].used > 700
    assert numbers["setai_seq"].used > 200
    assert all(n.used == 0 for name, n in stand(fresh_fleet.config, HIRONO).items() if name != "audit_op_seq")
    desk = Desk(fresh_fleet, caller, IWAKI)
    before = _numbers(fresh_fleet, IWAKI)
    result = await desk.make(family(newcomer("番外　太郎", "世帯主"), day=fresh_fleet.clock().date()))
    made: Record = await desk.read(result.new_atena_nos[0])
    assert made.atena_no not in before[0]
    assert made.setai_no not in before[1]


def _numbers(fleet: Fleet, code: str) -> tuple[set[str], set[str]]:
    """宛名番号 and 世帯番号 in use."""
    with bulk(fleet, code) as connection:
        table = sql.Identifier(f"t{code}", "resident_version")
        rows = connection.execute(sql.SQL("SELECT atena_no, setai_no FROM {}").format(table)).fetchall()
    return {row[0] for row in rows}, {row[1] for row in rows}


@pytest.fixture
async def restored(fresh_fleet: Fleet, caller: Callable[..., Caller]) -> tuple[Desk, tuple[str, ...]]:
    """Two households, and then every sequence back at its beginning."""
    desk = Desk(fresh_fleet, caller, IWAKI)
    day = fresh_fleet.clock().date()
    people: list[str] = []
    for name in ("古参　太郎", "古参　次郎"):
        people += (await desk.make(family(newcomer(name, "世帯主"), day=day))).new_atena_nos
    throw_back(fresh_fleet.config, IWAKI)
    return desk, tuple(people)


async def test_after_a_restore_the_check_names_what_lies_behind_and_the_command_mends_it(
    restored: tuple[Desk, tuple[str, ...]],
) -> None:
    """`juki tenant check` and `juki tenant numbers`; a second run moves nothing."""
    desk, _ = restored
    config = desk.fleet.config
    with closing(connect(config, "deploy")) as deploy:
        found = {f.what: f.fault for f in check(deploy, open_kms(config.kms_spec), IWAKI)}
        assert "atena_seq" in found["running numbers"]
        assert "event_seq" in found["running numbers"]
        first = beyond_use(deploy, find(deploy, IWAKI))
        second = beyond_use(deploy, find(deploy, IWAKI))
        deploy.commit()
        found = {f.what: f.fault for f in check(deploy, open_kms(config.kms_spec), IWAKI)}
    assert found["running numbers"] == ""
    assert first == second
    assert all(n.stands >= n.used for n in first)
    assert {n.used for n in first if n.name in ("atena_seq", "event_seq", "case_seq")} != {0}
    await desk.make(family(newcomer("新参　太郎", "世帯主"), day=desk.fleet.clock().date()))


async def test_a_number_that_somebody_has_is_never_given_out_again(restored: tuple[Desk, tuple[str, ...]]) -> None:
    """Even before anybody runs the command: two strangers must not meet in one household or one record."""
    desk, people = restored
    config = desk.fleet.config
    with closing(
        connect(config, "deploy")
    ) as deploy:  # all but 宛名番号 and 世帯番号, which a clerk's entry meets first
        beyond_use(deploy, find(deploy, IWAKI))
        for name in ("atena_seq", "setai_seq"):
            deploy.execute(sql.SQL("ALTER SEQUENCE {} RESTART").format(sql.Identifier("t072044", name)))
        deploy.commit()
    homes = {(await desk.read(atena_no)).setai_no for atena_no in people}
    result = await desk.make(family(newcomer("別人　太郎", "世帯主"), day=desk.fleet.clock().date()))
    (atena_no,) = result.new_atena_nos
    made = await desk.read(atena_no)
    assert atena_no not in people
    assert made.setai_no not in homes
    assert made.version_no == 1


async def test_a_large_gap_is_crossed_at_once_and_nothing_moves_back(fresh_fleet: Fleet) -> None:
    """Numbers of nine digits: nobody draws a thousand million times, and a service sets no number but the in-house ones."""
    with closing(connect(fresh_fleet.config, "deploy")) as deploy:
        deploy.execute(
            "INSERT INTO t072044.resident_version (atena_no, version_no, event_no, setai_no, member_order, is_head, status, "
            "kind, valid_from, known_from) VALUES ('9876543210', 1, 300, '8765432109', 1, true, 'resident', 'japanese', "
            "'2026-04-01', now())"
        )
        deploy.execute("SELECT setval('t072044.case_seq', 5000)")
        deploy.commit()
    await asyncio.to_thread(_beyond, fresh_fleet)
    numbers = {name: number.stands for name, number in stand(fresh_fleet.config, IWAKI).items()}
    assert (numbers["atena_seq"], numbers["setai_seq"]) == (987654321, 876543210)
    assert (numbers["event_seq"], numbers["case_seq"]) == (300, 5000)
    with bulk(fresh_fleet, IWAKI) as connection, pytest.raises(psycopg.errors.InsufficientPrivilege):
        connection.execute("SELECT setval('t072044.event_seq', 1)")


def _beyond(fleet: Fleet) -> None:
    """By the service's own role, which may not set a sequence itself."""
    with closing(connect(fleet.config, "deploy")) as deploy:
        tenant = find(deploy, IWAKI)
    with bulk(fleet, IWAKI) as connection, connection.transaction():
        beyond_use(connection, tenant)
