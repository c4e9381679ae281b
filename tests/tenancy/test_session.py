"""TenantSession: the role, the epoch, and what is left of a connection after a bad day."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import msgspec
import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict

from juki.config import LOGINS, Config
from juki.problem import Conflict, Invalid, JukiError, NotFound, Refused, Unavailable
from juki.tenancy import Fleet, TenantSession, bulk, change_state, connect, enter_write, halt, list_tenants
from juki.tenancy.presence import Presence
from juki.tenancy.provisioning import LOCK_CLASS


async def test_a_session_reads_its_own_home_under_its_own_role(fleet: Fleet) -> None:
    """R-A-3.3-ACC: the role of the tenant and no other is in force."""
    async with fleet.session("072044", write=False) as session:
        row = await session.fetch_one("SELECT current_user, s.state, s.epoch FROM {t}.tenant_state s")
    assert row == ("t072044_registry", "active", 2)


async def test_role_epoch_and_first_statement_share_one_round_trip(fleet: Fleet, tmp_path: Path) -> None:
    """The wall costs no waiting: one Sync for BEGIN, role, epoch and the statement itself."""
    log = tmp_path / "trace"
    async with fleet.session("072044", write=True) as session:
        with log.open("w") as out:
            session._connection.pgconn.trace(out.fileno())
            await session.fetch("SELECT epoch FROM {t}.tenant_state WHERE epoch > %(n)s", {"n": 0})
            session._connection.pgconn.untrace()
    told = log.read_text()
    sent = re.findall(r"\bF\t\d+\t(\w+)", told)
    assert sent.count("Sync") == 1
    assert sent.count("Execute") == 4
    assert told.index("set_config") < told.index("enter_write") < told.index("tenant_state WHERE")


async def test_a_reading_statement_is_one_round_trip_in_all(fleet: Fleet, tmp_path: Path) -> None:
    """Role and statement up to one Sync: no BEGIN, no COMMIT, and read-only none the less."""
    log = tmp_path / "trace"
    async with fleet.session("072044", write=False) as session:
        with log.open("w") as out:
            session._connection.pgconn.trace(out.fileno())
            row = await session.fetch_one("SELECT current_user, current_setting('transaction_read_only')")
            session._connection.pgconn.untrace()
    sent = re.findall(r"\bF\t\d+\t(\w+)", log.read_text())
    assert row == ("t072044_registry", "on")
    assert (sent.count("Sync"), sent.count("Execute")) == (1, 2)


async def test_a_statement_never_runs_when_the_role_cannot_be_taken(fleet: Fleet) -> None:
    """The server skips what follows a refused role: nothing is ever read as somebody else."""
    tenant = await fleet.tenant("072044")
    async with fleet._connection() as connection:
        session = TenantSession(connection, tenant, role="juki_deploy", write=False)
        with pytest.raises(Exception, match="permission denied to set role"):
            await session.fetch("SELECT nextval('{t}.atena_seq')")
    async with fleet.session("072044", write=True) as session:
        first = await session.fetch_one("SELECT nextval('{t}.atena_seq')")
    assert first == (1,)


async def test_a_reading_session_cannot_write(fleet: Fleet) -> None:
    """Read-only is told to the server, not only promised."""
    async with fleet.session("072044", write=False) as session:
        with pytest.raises(Exception, match="read-only transaction"):
            await session.fetch("SELECT nextval('{t}.setai_seq')")


async def test_work_is_kept_when_the_block_ends_and_gone_when_it_raises(fresh_fleet: Fleet) -> None:
    """All or nothing, seen from a second session."""
    async with fresh_fleet.session("072044", write=True) as session:
        assert await _tile(session, 1) == 1
    with pytest.raises(ZeroDivisionError):
        async with fresh_fleet.session("072044", write=True) as session:
            await _tile(session, 2)
            raise ZeroDivisionError
    async with fresh_fleet.session("072044", write=False) as session:
        assert await session.fetch("SELECT tile_no FROM {t}.audit_tile") == [(1,)]


async def test_many_rows_travel_in_one_batch_and_by_copy(fresh_fleet: Fleet) -> None:
    """execute_many and copy_in stay inside the wall and inside the transaction."""
    async with fresh_fleet.session("072044", write=True) as session:
        rows = [{"n": n, "root": bytes(32)} for n in range(3)]
        insert = "INSERT INTO {t}.audit_tile (height, tile_no, root) VALUES (1, %(n)s, %(root)s)"
        assert await session.execute_many(insert, rows) == 3
        assert await session.execute_many(insert, []) == 0
    async with fresh_fleet.session("072044", write=True) as session:
        copied = await session.copy_in(
            "COPY {t}.audit_tile (height, tile_no, root) FROM STDIN (FORMAT BINARY)",
            ("int2", "int8", "bytea"),
            ((2, n, bytes(32)) for n in range(1000)),
        )
        assert copied == 1000
        assert await session.fetch_one("SELECT current_user, count(*) FROM {t}.audit_tile") == (
            "t072044_registry",
            1003,
        )


async def test_a_swallowed_failure_cannot_be_committed_in_silence(fresh_fleet: Fleet) -> None:
    """The server would answer COMMIT with a rollback and nobody would know."""
    with pytest.raises(RuntimeError, match="failed statement"):
        async with fresh_fleet.session("072044", write=True) as session:
            await _tile(session, 1)
            with pytest.raises(Conflict):
                await _tile(session, 1)


async def test_a_writer_with_an_old_epoch_is_turned_away_and_learns(fresh_fleet: Fleet) -> None:
    """A stale router cannot write to an old home; the second try knows better."""
    await fresh_fleet.tenant("072044")
    with closing(connect(fresh_fleet.config, "deploy")) as deploy:
        change_state(deploy, "072044", "migrating", actor="test")
        change_state(deploy, "072044", "active", actor="test")
    with pytest.raises(Unavailable) as caught:
        async with fresh_fleet.session("072044", write=True) as session:
            await session.fetch("SELECT nextval('{t}.atena_seq')")
    assert caught.value.code == "tenant.moved"
    async with fresh_fleet.session("072044", write=True) as session:
        assert await session.fetch_one("SELECT nextval('{t}.atena_seq')") == (1,)


async def test_a_change_of_state_waits_for_writers_under_way(fresh_fleet: Fleet) -> None:
    """Suspension never cuts a transaction in half: it comes before or after."""

    def suspend() -> str:
        with closing(connect(fresh_fleet.config, "deploy")) as deploy:
            return change_state(deploy, "072044", "suspended", actor="test").state

    async with fresh_fleet.session("072044", write=True) as session:
        await session.fetch("SELECT nextval('{t}.atena_seq')")
        waiting = asyncio.create_task(asyncio.to_thread(suspend))
        await asyncio.sleep(0.3)
        assert not waiting.done()
    assert await asyncio.wait_for(waiting, 60) == "suspended"


async def test_a_suspended_municipality_is_refused_and_comes_back(fresh_fleet: Fleet) -> None:
    """Refused with a reason while suspended; the other municipality does not notice."""
    with closing(connect(fresh_fleet.config, "deploy")) as deploy:
        change_state(deploy, "072044", "suspended", actor="test", reason="drill")
        fresh_fleet.forget("072044")
        with pytest.raises(Refused) as caught:
            await fresh_fleet.tenant("072044")
        assert (await fresh_fleet.tenant("075418")).state == "active"
        change_state(deploy, "072044", "active", actor="test")
    fresh_fleet.forget("072044")
    assert caught.value.code == "tenant.suspended"
    assert (await fresh_fleet.tenant("072044")).state == "active"


async def test_a_suspension_reaches_a_process_that_remembers(fresh_fleet: Fleet) -> None:
    """Readers too: the command returns when every process has forgotten the old row."""
    await fresh_fleet.tenant("072044")
    await asyncio.to_thread(halt, fresh_fleet.config, "072044", "suspended", actor="test", reason="drill")
    with pytest.raises(Refused) as caught:
        async with fresh_fleet.session("072044", write=False) as session:
            await session.fetch("SELECT 1")
    assert caught.value.code == "tenant.suspended"
    await asyncio.to_thread(halt, fresh_fleet.config, "072044", "active", actor="test", reason="drill over")
    async with fresh_fleet.session("072044", write=True) as session:
        assert await session.fetch_one("SELECT 1") == (1,)


async def test_an_unknown_municipality_is_not_found(fleet: Fleet) -> None:
    """Nothing about who lives here is told."""
    with pytest.raises(NotFound):
        await fleet.tenant("131016")


async def test_a_cancelled_request_leaves_no_connection_in_the_middle(config: Config) -> None:
    """Cancelled in a statement, in the first round trip and between two: the next session starts clean."""
    small = await Fleet.open(msgspec.structs.replace(config, pool_max=1))

    async def work(delay: str) -> None:
        async with small.session("072044", write=True) as session:
            await session.fetch("SELECT pg_sleep(%(s)s)", {"s": delay})
            await session.fetch("SELECT pg_sleep(%(s)s)", {"s": delay})
            await asyncio.sleep(60)

    for pause, delay in ((0.0, "1"), (0.01, "1"), (0.1, "1"), (0.2, "0.05"), (0.3, "0.01")):
        task = asyncio.create_task(work(delay))
        await asyncio.sleep(pause)
        while not task.done():  # one that meets the server's answer may be swallowed by this Python's wait_for
            task.cancel()
            await asyncio.sleep(0.05)
        with pytest.raises(asyncio.CancelledError):
            await task
        async with small.session("075418", write=False) as session:
            assert await session.fetch_one("SELECT current_user") == ("t075418_registry",)
    await small.close()


async def test_when_every_connection_is_in_use_the_caller_hears_it_in_time(config: Config) -> None:
    """Back-pressure: db.busy after the set wait, not a hang."""
    small = await Fleet.open(msgspec.structs.replace(config, pool_max=1, pool_wait_seconds=0.2))
    async with small.session("072044", write=False) as session:
        await session.fetch("SELECT 1")
        await small.tenant("072044")
        with pytest.raises(Unavailable) as caught:
            async with small.session("072044", write=False) as second:
                await second.fetch("SELECT 1")
    await small.close()
    assert caught.value.code == "db.busy"


async def test_a_statement_that_takes_too_long_is_ended(config: Config) -> None:
    """R-A-3.3-AVL: a runaway query costs one request, and the message names no data."""
    hasty = await Fleet.open(msgspec.structs.replace(config, statement_timeout_seconds=0.2))
    with pytest.raises(Unavailable) as caught:
        async with hasty.session("072044", write=False) as session:
            await session.fetch("SELECT pg_sleep(5)")
    async with hasty.session("072044", write=False) as session:
        assert await session.fetch_one("SELECT 1") == (1,)
    await hasty.close()
    assert caught.value.code == "db.timeout"


async def test_a_cut_connection_is_a_clear_answer_and_not_the_end(fresh_fleet: Fleet, server: str) -> None:
    """db.gone for the one request that met it; the pool heals itself."""
    with pytest.raises(Unavailable) as caught:
        async with fresh_fleet.session("072044", write=False) as session:
            row = await session.fetch_one("SELECT pg_backend_pid()")
            assert row
            with psycopg.connect(server, autocommit=True) as admin:
                admin.execute("SELECT pg_terminate_backend(%s)", row)
            await session.fetch("SELECT 1")
    assert caught.value.code == "db.gone"
    async with fresh_fleet.session("072044", write=False) as session:
        assert await session.fetch_one("SELECT 1") == (1,)


async def test_a_server_that_is_not_there_is_named_without_its_password(config: Config) -> None:
    """db.gone; neither DSN nor password in the message."""
    away = msgspec.structs.replace(config, dsn_registry="host=/nowhere user=x password=secret", pool_wait_seconds=0.3)
    with pytest.raises(Unavailable) as caught:
        await Fleet.open(away)
    assert caught.value.code == "db.gone"
    assert "secret" not in str(caught.value)
    assert "secret" not in repr(away)


async def test_a_double_key_is_a_conflict_that_quotes_no_value(fresh_fleet: Fleet) -> None:
    """The server's own message would quote the row."""
    with pytest.raises(Conflict) as caught:
        async with fresh_fleet.session("072044", write=True) as session:
            await _tile(session, 77)
            await _tile(session, 77)
    assert caught.value.code == "db.twice"
    assert caught.value.facts == {"constraint": "audit_tile_pkey"}
    assert "77" not in str(caught.value)


async def _tile(session: TenantSession, number: int) -> int:
    """A row in the simplest table of a tenant."""
    return await session.execute(
        "INSERT INTO {t}.audit_tile (height, tile_no, root) VALUES (0, %(n)s, %(root)s)",
        {"n": number, "root": bytes(32)},
    )


async def test_a_broken_rule_of_a_table_quotes_no_row(fresh_fleet: Fleet) -> None:
    """R-A-3.3-CPY-02: the server's words hold the failing row; ours name the rule."""
    with pytest.raises(JukiError) as caught:
        async with fresh_fleet.session("072044", write=True) as session:
            await session.execute(
                "INSERT INTO {t}.audit_tile (height, tile_no, root) VALUES (-77, 1, %(root)s)", {"root": bytes(32)}
            )
    assert caught.value.code == "db.rule"
    assert caught.value.facts == {"constraint": "audit_tile_height_check"}
    assert "77" not in str(caught.value)


def test_a_bulk_connection_keeps_its_role_over_many_transactions(config: Config) -> None:
    """Imports and exports commit in batches; the wall stays where it is."""
    with bulk(config, "075418") as connection:
        for _ in range(2):
            assert connection.execute("SELECT current_user").fetchone() == ("t075418_registry",)
            connection.commit()


async def test_a_bulk_writer_is_turned_away_from_a_home_that_moved(fresh_fleet: Fleet) -> None:
    """Each batch compares epochs anew."""
    tenant = await fresh_fleet.tenant("075418")
    with bulk(fresh_fleet, "075418") as connection:
        enter_write(connection, tenant)
        connection.commit()
        with closing(connect(fresh_fleet.config, "deploy")) as deploy:
            change_state(deploy, "075418", "suspended", actor="test")
        with pytest.raises(Unavailable) as caught:
            enter_write(connection, tenant)
    assert caught.value.code == "tenant.moved"


async def test_a_row_read_before_it_was_forgotten_is_not_remembered(
    fresh_fleet: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process that has answered "read anew" does not go on with what a question already under way brings back."""
    fresh_fleet.forget("072044")
    fetched = psycopg.AsyncCursor.fetchone
    told: list[bool] = []

    async def late(cursor: psycopg.AsyncCursor[tuple[object, ...]]) -> object:
        row = await fetched(cursor)
        if not told:
            told.append(True)
            with closing(connect(fresh_fleet.config, "deploy")) as deploy:
                change_state(deploy, "072044", "suspended", actor="test")
            fresh_fleet.forget("072044")
        return row

    monkeypatch.setattr(psycopg.AsyncCursor, "fetchone", late)
    await fresh_fleet.tenant("072044")
    with pytest.raises(Refused):
        await fresh_fleet.tenant("072044")


@pytest.mark.parametrize("hostile", ["a\0b", 10**40], ids=["a character that text cannot hold", "a number too large"])
async def test_a_value_that_fits_no_column_is_bad_input_and_no_defect(fleet: Fleet, hostile: str | int) -> None:
    """db.value, without the value: whoever types it hears that the input is wrong, and no alarm is raised."""
    for write in (False, True):
        with pytest.raises(Invalid) as caught:
            async with fleet.session("072044", write=write) as session:
                await session.fetch("SELECT %(x)s::text, %(y)s::bigint", {"x": str(hostile), "y": hostile})
        assert caught.value.code == "db.value"
        assert str(hostile) not in str(caught.value)
    async with fleet.session("072044", write=True) as session:
        assert await session.fetch_one("SELECT 1") == (1,)


async def test_a_runtime_that_cannot_register_leaves_no_connections_behind(
    config: Config, server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An opening that fails half way gives everything back: the next try does not find the server full."""

    def refuse(_: Presence) -> None:
        raise Unavailable("db.gone", "the database does not answer")

    made: list[Fleet] = []
    make = Fleet.__init__

    def noted(fleet: Fleet, *arguments: Any) -> None:
        make(fleet, *arguments)
        made.append(fleet)

    monkeypatch.setattr(Fleet, "__init__", noted)
    monkeypatch.setattr(Presence, "start", refuse)
    with pytest.raises(Unavailable):
        await Fleet.open(config)
    assert made[0]._pool.closed


async def test_keys_that_cannot_be_read_for_the_database_are_no_defect(
    fresh_fleet: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    """db.gone also where the connection breaks after it was made; the keys at hand serve on meanwhile."""

    def broken(*_: object) -> None:
        raise psycopg.OperationalError("server closed the connection unexpectedly: host=secret")

    monkeypatch.setattr("juki.tenancy.fleet.tenant_keys", broken)
    with pytest.raises(Unavailable) as caught:
        await fresh_fleet.keyring.get("072044")
    assert caught.value.code == "db.gone"
    assert "secret" not in str(caught.value)


HOSTILE: dict[str, tuple[str, str]] = {
    "TimeZone": ("Asia/Tokyo", "UTC"),
    "DateStyle": ("German, DMY", "ISO, MDY"),
    "IntervalStyle": ("iso_8601", "postgres"),
    "bytea_output": ("escape", "hex"),
    "client_encoding": ("EUC_JP", "UTF8"),
    "standard_conforming_strings": ("off", "on"),
    "search_path": ("public", "pg_catalog"),
    "default_transaction_isolation": ("repeatable read", "read committed"),
    "idle_session_timeout": ("1s", "0"),
    "lock_timeout": ("1ms", "0"),
    "statement_timeout": ("1ms", "0"),
}
"""What somebody may have told the database for other programs, and what holds for ours all the same."""


@contextmanager
def _told(server: str, config: Config, settings: dict[str, str]) -> Iterator[None]:
    name = sql.Identifier(str(conninfo_to_dict(config.dsn_deploy)["dbname"]))
    with psycopg.connect(server, autocommit=True) as admin:
        for setting, value in settings.items():
            # a list is a list of words, not one word
            told = sql.SQL(", ").join(sql.Literal(word) for word in value.split(", "))
            admin.execute(sql.SQL("ALTER DATABASE {} SET {} TO {}").format(name, sql.Identifier(setting), told))
        try:
            yield
        finally:
            admin.execute(sql.SQL("ALTER DATABASE {} RESET ALL").format(name))


async def test_what_a_database_was_told_for_other_programs_changes_nothing_here(
    fresh_config: Config, server: str
) -> None:
    """Every connection says itself what this program relies on: dates, letters, isolation, time limits."""
    ours = {name: value for name, (_, value) in HOSTILE.items()}
    limits = {"lock_timeout": "5s", "statement_timeout": "30s"}
    with _told(server, fresh_config, {name: value for name, (value, _) in HOSTILE.items()}):
        for login in LOGINS:
            with connect(fresh_config, login) as connection:
                for name, value in ours.items():
                    row = connection.execute("SELECT current_setting(%s)", (name,)).fetchone()
                    assert row == (value,), (login, name)
        fleet = await Fleet.open(fresh_config)
        try:
            async with fleet.session("072044", write=True) as session:
                for name, value in (ours | limits).items():
                    assert await session.fetch_one("SELECT current_setting(%(n)s)", {"n": name}) == (value,), name
        finally:
            await fleet.close()


async def test_a_writer_that_waited_for_a_change_of_state_sees_it_whatever_isolation_the_database_prefers(
    fresh_config: Config, server: str
) -> None:
    """R-A-3.3-ACC: under REPEATABLE READ the epoch was compared with that of before the wait, and the write went through."""
    with _told(server, fresh_config, {"default_transaction_isolation": "repeatable read"}):
        fleet = await Fleet.open(fresh_config)
        try:
            await fleet.tenant("075418")
            with closing(psycopg.connect(fresh_config.dsn_deploy)) as deploy:
                deploy.execute("SELECT pg_advisory_xact_lock(%s, %s)", (LOCK_CLASS, 75418))
                writing = asyncio.create_task(_write(fleet, "075418"))
                await asyncio.sleep(0.5)
                assert not writing.done()
                change_state(deploy, "075418", "suspended", actor="test")
            with pytest.raises(Unavailable) as moved:
                await writing
            assert moved.value.code == "tenant.moved"
        finally:
            await fleet.close()


async def _write(fleet: Fleet, code: str) -> None:
    async with fleet.session(code, write=True) as session:
        await _tile(session, 7)


async def test_a_database_that_takes_no_changes_is_named_before_anything_is_served(
    fresh_config: Config, server: str
) -> None:
    """Whoever freezes a database means it; `juki serve` says so once, and is no loop of workers that fall over."""
    with _told(server, fresh_config, {"default_transaction_read_only": "on"}):
        with pytest.raises(Unavailable) as told:
            await Fleet.open(fresh_config)
        assert told.value.code == "db.read_only"
        with connect(fresh_config, "control") as control:  # looking is no change
            assert len(list_tenants(control)) == 2
