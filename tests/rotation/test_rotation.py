"""鍵の交換 while the municipality works."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import psycopg
import pytest

from juki.config import Config
from juki.problem import Conflict, Refused
from juki.tenancy import Fleet, connect, rotate_kms, rotate_root
from juki.tenancy.keys import tenant_keys
from juki.vault import KeyDisabled, KeyState, VersionRetired, WrappedRoot, unwrap

from .conftest import CODE, MACHINES, kms_of, opened, put_machines

Quiet = Callable[[object], None]


async def turn_root(config: Config, quiet: Quiet) -> object:
    """The root of いわき市, turned beside the service."""
    return await asyncio.to_thread(rotate_root, config, kms_of(config), CODE, actor="test", sealed=MACHINES, tell=quiet)


async def test_after_a_root_is_turned_every_row_opens_and_none_is_left_under_the_old_root(
    fresh_fleet: Fleet, fresh_config: Config, quiet: Quiet
) -> None:
    """R-1-3.6-TEN-01: key rotation changes how data is sealed, never what it says."""
    await put_machines(fresh_fleet, 1, 700)
    before = await opened(fresh_fleet)
    done = await turn_root(fresh_config, quiet)
    assert (done.old_version, done.new_version, done.rows) == (1, 2, 700)
    assert await opened(fresh_fleet) == before
    async with fresh_fleet.session(CODE, write=False) as session:
        rows = await session.fetch("SELECT DISTINCT substring(secret_sealed from 3 for 2) FROM {t}.machine_client")
    assert [bytes(row[0]) for row in rows] == [b"\x00\x02"]


async def test_the_old_root_opens_nothing_once_it_is_retired(
    fresh_fleet: Fleet, fresh_config: Config, quiet: Quiet
) -> None:
    """Key life cycle: a retired root is gone from the store and from every process."""
    await put_machines(fresh_fleet, 1, 3)
    async with fresh_fleet.session(CODE, write=False) as session:
        stolen = bytes((await session.fetch("SELECT secret_sealed FROM {t}.machine_client LIMIT 1"))[0][0])
    await turn_root(fresh_config, quiet)
    ring = await fresh_fleet.keyring.get(CODE)
    with pytest.raises(VersionRetired):
        ring.open("machine_client", "secret", "mc-000001", 1, stolen, bytes)
    with connect(fresh_config, "rekey") as connection:
        row = connection.execute(
            "SELECT blob, state FROM control.wrapped_root WHERE tenant_code = %s AND purpose = 'seal' AND version = 1",
            (CODE,),
        ).fetchone()
    assert row is not None
    assert (bytes(row[0]), row[1]) == (b"", "retired")


async def test_requests_run_on_while_a_root_turns_and_none_of_them_fails(
    fresh_fleet: Fleet, fresh_config: Config, quiet: Quiet
) -> None:
    """Rotation is online: readers and writers of the whole time see every row and are never turned away."""
    await put_machines(fresh_fleet, 1, 400)
    stop = asyncio.Event()
    counts: list[int] = []

    async def work(lane: int) -> None:
        number = 1000 * lane
        while not stop.is_set():
            await put_machines(fresh_fleet, number, 1)
            number += 1
            counts.append(len(await opened(fresh_fleet)))

    lanes = [asyncio.create_task(work(lane)) for lane in (1, 2)]
    for _ in range(2):
        await turn_root(fresh_config, quiet)
    stop.set()
    await asyncio.gather(*lanes)
    assert len(counts) > 10
    everything = await opened(fresh_fleet)
    assert len(everything) == 400 + len(counts)
    assert all(text == f"secret {int(key[3:])}" for key, text in everything.items())


async def test_the_kms_key_is_turned_without_touching_a_row_and_the_old_one_is_disabled(
    fresh_fleet: Fleet, fresh_config: Config, quiet: Quiet
) -> None:
    """The roots are wrapped again; what they sealed stays as it is."""
    await put_machines(fresh_fleet, 1, 5)
    before = await opened(fresh_fleet)
    kms = kms_of(fresh_config)
    with connect(fresh_config, "rekey") as connection:
        old = tenant_keys(connection, CODE).roots
    done = await asyncio.to_thread(rotate_kms, fresh_config, kms, CODE, actor="test", tell=quiet)
    assert kms.state(done.old_key) is KeyState.DISABLED
    assert kms.state(done.new_key) is KeyState.ENABLED
    with pytest.raises(KeyDisabled):
        unwrap(kms, _any(old))
    assert await opened(fresh_fleet) == before
    assert (await fresh_fleet.tenant(CODE)).key_id == done.new_key


async def test_another_rotation_is_refused_while_one_is_unfinished(
    fresh_fleet: Fleet, fresh_config: Config, quiet: Quiet
) -> None:
    """One story at a time: a second kind waits for the first to be finished."""

    class Cut(Exception):
        pass

    def cut(progress: object) -> None:
        if getattr(progress, "step", "") == "root in force" and getattr(progress, "phase", "") == "end":
            raise Cut

    with pytest.raises(Cut):
        await turn_root(fresh_config, cut)
    with pytest.raises(Conflict) as refused:
        await asyncio.to_thread(rotate_kms, fresh_config, kms_of(fresh_config), CODE, actor="test", tell=quiet)
    assert refused.value.code == "rotation.other_kind"
    done = await turn_root(fresh_config, quiet)
    assert (done.resumed, done.new_version) == (True, 2)


async def test_a_rotation_does_not_begin_under_a_disabled_key(
    fresh_fleet: Fleet, fresh_config: Config, quiet: Quiet
) -> None:
    """KMS gone before the first step: nothing is written, the message says why."""
    kms = kms_of(fresh_config)
    kms.disable((await fresh_fleet.tenant(CODE)).key_id)
    with pytest.raises(Refused) as refused:
        await turn_root(fresh_config, quiet)
    assert refused.value.code == "rotation.key_state"
    with connect(fresh_config, "rekey") as connection:
        assert connection.execute("SELECT count(*) FROM control.rotation").fetchone() == (0,)


async def test_no_service_can_become_the_role_that_re_keys(fresh_config: Config) -> None:
    """R-1-3.6-TEN-01: only the login of `juki rotate` is a member of the re-keying role."""
    with connect(fresh_config, "registry") as connection, pytest.raises(psycopg.errors.InsufficientPrivilege):
        connection.execute("SET ROLE t072044_rekey")


async def test_the_re_keying_role_changes_sealed_columns_only(fresh_config: Config) -> None:
    """Whoever turns keys can neither write a record nor remove one."""
    with connect(fresh_config, "rekey") as connection:
        rows = connection.execute(
            "SELECT table_name, column_name FROM information_schema.column_privileges"
            " WHERE grantee = 't072044_rekey' AND privilege_type = 'UPDATE'"
        ).fetchall()
    others = {(table, column) for table, column in rows if not column.endswith("_sealed") and table != "tenant_state"}
    assert others == set()


def _any(roots: tuple[WrappedRoot, ...]) -> WrappedRoot:
    return roots[0]
