"""A database that is gone, refuses, or comes back: the right one of three answers, at once, and no restart needed."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path

import msgspec
import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from tests.conftest import ROOT

from juki import audit
from juki.app import ready
from juki.config import Config
from juki.problem import Misconfigured, NotFound, Unavailable
from juki.tenancy import Fleet, add, connect, prepare_control, read_file
from juki.tenancy.local import LocalServer
from juki.tenancy.logins import prepare
from juki.vault import LocalKms, open_kms

FOR_EVER = 600.0  # a request that waited for a connection would run into the test's own limit
LIMIT = 120.0


@pytest.fixture(scope="module")
def own_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[LocalServer, Config]]:
    """A server that this module may stop, with one municipality in it."""
    home = tmp_path_factory.mktemp("own")
    server = LocalServer(home, durable=False)
    server.start()
    dsns = prepare(server.admin_dsn, "juki")
    config = Config(
        home=str(home),
        kms=f"local:{home / 'kms'}",
        pool_max=4,
        pool_wait_seconds=FOR_EVER,
        cookie_secure=False,
        **{f"dsn_{login}": dsn for login, dsn in dsns.items()},
    )
    with connect(config, "deploy") as deploy:
        prepare_control(deploy)
        add(deploy, open_kms(config.kms_spec), read_file(ROOT / "tenants" / "075418-hirono.toml"), actor="test")
    yield server, config
    server.stop()


async def _one(fleet: Fleet) -> str:
    try:
        async with fleet.session("075418", write=False) as session:
            await session.fetch("SELECT pg_sleep(0.05)")
    except Unavailable as e:
        return e.code
    return "ok"


async def _until(fleet: Fleet, *, gone: bool) -> None:
    """Until the process itself has noticed."""
    while True:
        try:
            fleet._presence.check_database()
        except Unavailable:
            if gone:
                return
        else:
            if not gone:
                return
        await asyncio.sleep(0.01)


async def test_a_database_that_goes_is_called_gone_at_once_and_is_used_again_when_it_is_back(
    own_server: tuple[LocalServer, Config],
) -> None:
    """R-A-3.3-AVL: nobody waits for a server that is not there, it is not called busy, and the process lives on."""
    server, config = own_server
    fleet = await Fleet.open(config)
    try:
        async with asyncio.timeout(LIMIT):
            assert await asyncio.gather(*(_one(fleet) for _ in range(8))) == ["ok"] * 8  # every connection was made
            server.stop()
            await _until(fleet, gone=True)
            assert set(await asyncio.gather(*(_one(fleet) for _ in range(40)))) == {"db.gone"}
            said = await ready.fn(fleet)
            assert (said.status_code, said.content) == (
                503,
                {"status": "unavailable", "database": "unavailable", "kms": "unknown"},
            )
            server.start()
            await _until(fleet, gone=False)
            assert set(await asyncio.gather(*(_one(fleet) for _ in range(40)))) == {"ok"}
            said = await ready.fn(fleet)
            assert (said.status_code, said.content) == (200, {"status": "ok", "database": "ok", "kms": "ok"})
    finally:
        server.start()
        await fleet.close()


async def test_a_connection_that_died_while_it_lay_idle_is_nobodys_error(fresh_fleet: Fleet, server: str) -> None:
    """A server's or a firewall's cut is noticed before a request is put on the connection."""
    for _ in range(3):
        async with fresh_fleet.session("072044", write=False) as session:
            row = await session.fetch_one("SELECT pg_backend_pid()")
        with psycopg.connect(server, autocommit=True) as admin:
            admin.execute("SELECT pg_terminate_backend(%s, 5000)", row)
        async with fresh_fleet.session("072044", write=False) as session:
            again = await session.fetch_one("SELECT pg_backend_pid()")
        assert again != row


async def test_one_municipalitys_disabled_key_leaves_the_service_ready(fresh_fleet: Fleet) -> None:
    """R-1-2.6-RET-04: its owner may stop a key; the others' counters stay open. A silent KMS is another matter."""
    keys = {tenant.code: tenant.key_id for tenant in await fresh_fleet.tenants()}
    fresh_fleet.kms.disable(keys["072044"])
    assert (await ready.fn(fresh_fleet)).content == {"status": "ok", "database": "ok", "kms": "ok"}
    fresh_fleet.keyring.purge_all()
    place = Path(fresh_fleet.config.kms_spec.removeprefix("local:"))
    place.rename(place.with_name("away"))
    said = await ready.fn(fresh_fleet)
    assert (said.status_code, said.content) == (503, {"status": "unavailable", "database": "ok", "kms": "unavailable"})


class _Slow(LocalKms):
    """A key store that does not answer for one key until it is let."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.slow = ""
        self.go_on = threading.Event()

    def decrypt(self, key_id: str, blob: bytes, context: Mapping[str, str]) -> bytes:
        """As usual, when it comes."""
        if key_id == self.slow:
            self.go_on.wait(LIMIT)
        return super().decrypt(key_id, blob, context)


async def test_whoever_waits_for_one_municipalitys_kms_holds_up_nobody_else(fresh_config: Config) -> None:
    """ADR 0002: a silent KMS is one municipality's trouble; machines and browsers that wait for it keep no connection."""
    kms = _Slow(Path(fresh_config.kms_spec.removeprefix("local:")))
    fleet = await Fleet.open(fresh_config, kms=kms)
    try:
        kms.slow = next(tenant.key_id for tenant in await fleet.tenants() if tenant.code == "072044")
        knocks = [audit.machine_caller(fleet, "072044", "072044.x") for _ in range(2 * fresh_config.pool_max)]
        knocks += [audit.terminal_id(fleet, "072044", "072044.x") for _ in range(2 * fresh_config.pool_max)]
        waiting = [asyncio.create_task(knock) for knock in knocks]
        await asyncio.sleep(0.5)
        async with asyncio.timeout(fresh_config.pool_wait_seconds / 2):
            assert await _one(fleet) == "ok"
        kms.go_on.set()
        said = await asyncio.gather(*waiting, return_exceptions=True)
        assert {getattr(one, "code", one) for one in said} == {"access.token_unknown", None}
    finally:
        kms.go_on.set()
        await fleet.close()


@pytest.mark.parametrize(
    ("change", "kind", "code"),
    [
        ({"password": "geheim"}, Misconfigured, "db.login_refused"),
        ({"user": "nobody_here", "password": "geheim"}, Misconfigured, "db.login_refused"),
        ({"dbname": "no_such_database"}, Misconfigured, "db.login_refused"),
        ({"dbname": "template1"}, Misconfigured, "db.login_refused|db.not_prepared"),
        ({"host": "/nowhere"}, Unavailable, "db.gone"),
        ({"host": "127.0.0.1", "port": "1"}, Unavailable, "db.gone"),
        ("not a connection string geheim", Misconfigured, "config.wrong"),
        ("postgresql://u:geheim@[", Misconfigured, "config.wrong"),
    ],
)
async def test_no_way_in_says_which_setting_and_whether_to_try_again(
    config: Config, change: dict[str, str] | str, kind: type[Exception], code: str
) -> None:
    """Gone is worth another try; a wrong password, name or address is not. No password in the message."""
    dsn = change if isinstance(change, str) else make_conninfo(config.dsn_registry, **change)
    with pytest.raises(kind) as caught:
        await Fleet.open(msgspec.structs.replace(config, dsn_registry=dsn))
    assert caught.value.code in code.split("|")
    assert "JUKI_DSN_REGISTRY" in str(caught.value)
    assert caught.value.remedy
    assert "geheim" not in str(caught.value) + caught.value.remedy


async def test_a_login_without_presence_tells_a_lost_server_from_a_busy_pool(config: Config) -> None:
    """With connections left to give, what was waited for is the server."""
    fleet = await Fleet.open(msgspec.structs.replace(config, pool_wait_seconds=0.2), "control")
    try:
        away = make_conninfo(config.dsn_control, host="/nowhere")
        fleet._pool.conninfo = away
        async with fleet._connection():
            with pytest.raises(Unavailable) as caught:
                await fleet.tenant("999999")
        assert caught.value.code == "db.gone"
        with pytest.raises(NotFound):
            await fleet.tenant("999999")
    finally:
        await fleet.close()


async def test_a_server_that_lets_nobody_in_is_worth_another_try(fresh_config: Config, server: str) -> None:
    """No room or no free connection is not a wrong password: the answer says so and quotes the server's reason."""
    name = str(conninfo_to_dict(fresh_config.dsn_registry)["dbname"])
    with psycopg.connect(server, autocommit=True) as admin:
        admin.execute(sql.SQL("ALTER DATABASE {} CONNECTION LIMIT 0").format(sql.Identifier(name)))
    with pytest.raises(Unavailable, match="too many connections") as caught:
        await Fleet.open(fresh_config)
    assert caught.value.code == "db.not_open"
    assert caught.value.remedy


@pytest.mark.parametrize(
    ("said", "kind", "code"),
    [
        ('connection failed: FATAL:  role "juki_registry" does not exist', Misconfigured, "db.login_refused"),
        ("connection failed: FATAL:  the database system is starting up", Unavailable, "db.not_open"),
        ("connection failed: Connection refused", Unavailable, "db.gone"),
    ],
)
def test_a_server_that_trusts_without_a_password_is_told_from_none(
    monkeypatch: pytest.MonkeyPatch, config: Config, said: str, kind: type[Exception], code: str
) -> None:
    """Where a certificate or a system user counts, no password is ever asked for; what the server says still does."""

    class Attempt:
        used_password = False

    class Failed(psycopg.OperationalError):
        pgconn = Attempt()  # pyright: ignore[reportAssignmentType]

    def refuse(*_: object, **__: object) -> None:
        raise Failed(said)

    monkeypatch.setattr(psycopg, "connect", refuse)
    with pytest.raises(kind) as caught:
        connect(config, "registry")
    assert caught.value.code == code
