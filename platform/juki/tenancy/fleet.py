"""The assembled runtime of one process: settings, directory cache, connection pool, key ring and clock."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncGenerator, Callable, Collection, Generator
from contextlib import asynccontextmanager, contextmanager, suppress
from datetime import UTC, datetime
from typing import Any, Final

import psycopg
from psycopg import errors, sql
from psycopg_pool import AsyncConnectionPool, PoolClosed, PoolTimeout, TooManyRequests

from juki.config import Config, Login, setting_of
from juki.problem import Misconfigured, NotFound, Refused, Unavailable
from juki.tenancy.directory import OPEN_STATES, TENANT_COLUMNS, Tenant, tenant_of
from juki.tenancy.keys import kms_of, tenant_keys
from juki.tenancy.presence import Presence
from juki.tenancy.reaching import SOCKET, Connection, is_alive, pinned, reach
from juki.tenancy.session import Row, TenantSession, problem_of, read_only
from juki.vault import KeyRing, Kms, TenantKeys

_ROLE_SUFFIX: Final[dict[Login, str | None]] = {
    "registry": "registry",
    "rekey": "rekey",
    "deploy": None,
    "control": None,
}


_KEY_HOLDERS: Final[frozenset[Login]] = frozenset({"registry", "rekey"})
_FIRST_WAIT_SECONDS: Final = 0.5
_RECONNECT_SECONDS: Final = 3.0  # the pool gives up on a lost connection after this and makes a new one when asked


def system_clock() -> datetime:
    """Now, with its zone."""
    return datetime.now(UTC)


class Fleet:
    """Everything a process needs to work for any tenant; opened once, closed once."""

    def __init__(self, config: Config, login: Login, kms: Kms, clock: Callable[[], datetime]) -> None:
        self.config = config
        self.login: Login = login
        self.kms = kms
        self.clock = clock
        self.keyring: KeyRing = KeyRing(kms, self._tenant_keys, ttl_s=config.key_ttl_seconds)
        self._pool = _pool(config, login)
        self._known: dict[str, tuple[float, Tenant]] = {}
        self._forgotten = 0  # times something was; the thread of `presence` forgets, the event loop remembers
        self._remembering = threading.Lock()
        self._presence = Presence(config.dsn(login), self)
        self._out = 0

    @classmethod
    async def open(
        cls,
        config: Config,
        login: Login = "registry",
        *,
        kms: Kms | None = None,
        clock: Callable[[], datetime] = system_clock,
    ) -> Fleet:
        """Connect; Unavailable `db.gone` when the database does not answer, Misconfigured what `check_prepared` says."""
        await asyncio.to_thread(check_prepared, config, login)
        fleet = cls(config, login, kms or kms_of(config), clock)
        try:
            await fleet._pool.open(wait=True, timeout=config.pool_wait_seconds)
            if login in _KEY_HOLDERS:
                await asyncio.to_thread(fleet._presence.start)
        except BaseException as e:
            await fleet.close()
            if isinstance(e, PoolTimeout):
                raise _gone() from None
            raise
        return fleet

    async def close(self) -> None:
        """Give back connections and forget keys."""
        await asyncio.to_thread(self._presence.stop)
        self.keyring.close()
        await self._pool.close()

    def reload(self, code: str) -> Callable[[], bool]:
        """Have directory row and keys of a tenant read anew; the answer says whether nobody has the old keys in hand."""
        self.forget(code)
        return self.keyring.reload(code)

    def purge(self, code: str) -> None:
        """Forget a tenant at once: row and keys; operations under way are cut."""
        self.forget(code)
        self.keyring.purge(code)

    def purge_all(self) -> None:
        """Forget every tenant."""
        with self._remembering:
            self._forgotten += 1
            self._known.clear()
        self.keyring.purge_all()

    async def tenants(self) -> list[Tenant]:
        """The whole directory, ordered by code, whatever the state."""
        async with self._connection() as connection:
            cursor = await connection.execute(f"SELECT {TENANT_COLUMNS} FROM control.tenant ORDER BY code")
            return [tenant_of(row) for row in await cursor.fetchall()]

    async def tenant(self, code: str, *, states: Collection[str] = OPEN_STATES) -> Tenant:
        """One tenant in one of `states`; NotFound `tenant.unknown`, Refused `tenant.suspended` or `tenant.leaving`."""
        found = await self._lookup(code)
        if found.state in states:
            return found
        if found.state == "suspended":
            raise Refused("tenant.suspended", "work for this municipality is suspended")
        if found.state == "leaving":
            raise Refused("tenant.leaving", "this municipality is leaving")
        raise NotFound("tenant.unknown", "no such municipality here", remedy="see `juki tenant list`")

    def forget(self, code: str) -> None:
        """Drop what this process remembers of a tenant's directory row; keys are purged on the key ring."""
        with self._remembering:
            self._forgotten += 1
            self._known.pop(code, None)

    @asynccontextmanager
    async def session(
        self, code: str, *, write: bool, states: Collection[str] = OPEN_STATES
    ) -> AsyncGenerator[TenantSession, None]:
        """One transaction in a tenant's schema: commits when the block ends, rolls back when it raises.

        Only audit.operation, provisioning and off-boarding open one (an import contract holds that).
        """
        tenant = await self.tenant(code, states=states)
        async with self._connection() as connection:
            opened = TenantSession(connection, tenant, role=role_of(tenant.schema, self.login), write=write)
            try:
                yield opened
                await opened.commit()
            except Unavailable as e:
                if e.code == "tenant.moved":
                    self.forget(code)
                raise
            except errors.ReadOnlySqlTransaction:
                if write:
                    raise read_only() from None
                raise  # ours asked for no more than reading: a defect

    async def _lookup(self, code: str) -> Tenant:
        remembered = self._known.get(code)
        if remembered and time.monotonic() < remembered[0]:
            return remembered[1]
        forgotten = self._forgotten
        async with self._connection() as connection:
            cursor = await connection.execute(f"SELECT {TENANT_COLUMNS} FROM control.tenant WHERE code = %s", (code,))
            row = await cursor.fetchone()
        if row is None:
            raise NotFound("tenant.unknown", "no such municipality here", remedy="see `juki tenant list`")
        found = tenant_of(row)
        with self._remembering:
            if forgotten == self._forgotten:  # else this row may be older than the order to forget it
                self._known[code] = (time.monotonic() + self.config.directory_ttl_seconds, found)
        return found

    @asynccontextmanager
    async def _connection(self) -> AsyncGenerator[psycopg.AsyncConnection[Row], None]:
        """A connection that goes back clean or not at all: never in the middle of somebody's transaction."""
        connection = await self._take()
        clean = False
        try:
            yield connection
            await connection.rollback()
            clean = True
        except psycopg.Error as e:
            raise problem_of(e) from None
        except Exception:
            with suppress(psycopg.Error):
                await connection.rollback()
                clean = True
            raise
        finally:
            # a cancelled task leaves the protocol at an unknown point; such a connection is closed, not returned
            await asyncio.shield(self._give_back(connection, clean=clean))

    async def _take(self) -> psycopg.AsyncConnection[Row]:
        """A connection with a server at its other end: one that died while it lay idle is nobody's error."""
        try:
            for _ in range(self.config.pool_max + 1):
                connection = await self._next()
                if is_alive(connection):
                    self._out += 1
                    return connection
                await connection.close()
                await self._pool.putconn(connection)
        except PoolClosed:
            raise Unavailable("db.gone", "this process is stopping", remedy="try again in a moment") from None
        except TooManyRequests:
            raise _busy() from None
        except PoolTimeout:
            # with connections left to give, what was waited for is the server and not another request
            raise (_busy() if self._out >= self.config.pool_max else _gone()) from None
        raise _gone()

    async def _next(self) -> psycopg.AsyncConnection[Row]:
        """Whatever the pool has next; `db.gone` at once where this process has just lost the database."""
        self._presence.check_database()
        wait = self.config.pool_wait_seconds
        try:
            return await self._pool.getconn(timeout=min(wait, _FIRST_WAIT_SECONDS))
        except PoolTimeout:
            self._presence.check_database()
            if wait <= _FIRST_WAIT_SECONDS:
                raise
            return await self._pool.getconn(timeout=wait - _FIRST_WAIT_SECONDS)

    async def _give_back(self, connection: psycopg.AsyncConnection[Row], *, clean: bool) -> None:
        self._out -= 1
        if not clean:
            await connection.close()
        await self._pool.putconn(connection)

    def _tenant_keys(self, code: str) -> TenantKeys:
        self._presence.check()  # a process that nobody can tell to forget must not learn
        try:
            with connect(self.config, self.login) as connection:
                return tenant_keys(connection, code)
        except psycopg.Error as e:
            raise problem_of(e) from None


def role_of(schema: str, login: Login) -> str | None:
    """The tenant role a login works under; None for the owner of the schema."""
    suffix = _ROLE_SUFFIX[login]
    return f"{schema}_{suffix}" if suffix else None


def connect(config: Config, login: Login, *, autocommit: bool = False) -> Connection:
    """A connection of its own, outside the pool; Unavailable `db.gone`, Misconfigured `db.login_refused`."""
    return reach(config.dsn(login), setting_of(login), autocommit=autocommit, application_name=f"juki {login}")


def check_prepared(config: Config, login: Login) -> None:
    """Unavailable `db.gone`, or `db.read_only` for who has to write; Misconfigured where the login is refused or the database
    is not one of ours.
    """
    with connect(config, login) as connection:
        found = connection.execute(
            "SELECT FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace"
            " WHERE n.nspname = 'control' AND c.relname = 'process'"
        ).fetchone()
        frozen = connection.execute("SELECT current_setting('transaction_read_only')").fetchone() == ("on",)
    if frozen and login in _KEY_HOLDERS:
        raise read_only()
    if found is None:
        raise Misconfigured(
            "db.not_prepared",
            f"the database of {setting_of(login)} holds no directory of municipalities, or an older one",
            remedy="run `juki db start` (embedded server), or `juki db prepare` and `juki migrate`",
        )


@contextmanager
def bulk(
    config: Config | Fleet, code: str, login: Login = "registry"
) -> Generator[psycopg.Connection[Row], None, None]:
    """A connection of its own with the tenant's role for imports, exports and re-keying; the caller commits.

    The role lasts as long as the connection, so a batch may use many transactions. Each writing transaction begins
    with `enter_write(connection, tenant)`.
    """
    settings = config.config if isinstance(config, Fleet) else config
    with connect(settings, login) as connection:
        row = connection.execute("SELECT schema_name FROM control.tenant WHERE code = %s", (code,)).fetchone()
        if row is None:
            raise NotFound("tenant.unknown", "no such municipality here", remedy="see `juki tenant list`")
        if role := role_of(row[0], login):
            connection.execute(sql.SQL("SET ROLE {}").format(sql.Identifier(role)))
        milliseconds = int(settings.bulk_timeout_seconds * 1000)
        connection.execute("SELECT set_config('statement_timeout', %s, false)", (str(milliseconds),))
        connection.commit()
        yield connection


def enter_write(connection: psycopg.Connection[Any], tenant: Tenant) -> None:
    """Begin a writing batch: Unavailable `tenant.moved` where the directory of this process is stale."""
    query = sql.SQL("SELECT {}.enter_write(%s, %s)").format(sql.Identifier(tenant.schema))
    try:
        connection.execute(query, (tenant.epoch, int(tenant.code)))
    except psycopg.Error as e:
        raise problem_of(e) from None


def _gone() -> Unavailable:
    return Unavailable("db.gone", "the database does not answer", remedy="try again in a moment")


def _busy() -> Unavailable:
    return Unavailable("db.busy", "every connection is in use", remedy="try again in a moment")


def _pool(config: Config, login: Login) -> AsyncConnectionPool[psycopg.AsyncConnection[Row]]:
    options = pinned(
        config.dsn(login),
        statement_timeout=str(int(config.statement_timeout_seconds * 1000)),
        lock_timeout=str(int(config.lock_timeout_seconds * 1000)),
        idle_in_transaction_session_timeout="60000",
    )
    return AsyncConnectionPool(
        config.dsn(login),
        kwargs={
            "autocommit": True,
            "options": options,
            "application_name": f"juki {login}",
            "prepare_threshold": 3,
            **SOCKET,
        },
        min_size=1,
        max_size=config.pool_max,
        timeout=config.pool_wait_seconds,
        max_waiting=config.pool_queue_max,
        reconnect_timeout=_RECONNECT_SECONDS,
        open=False,
        name=f"juki-{login}",
    )
