"""テナントセッション: one transaction in one municipality's schema under that municipality's role.

The role is set transaction-locally and travels in the same round trip as the first statement. In a pipeline the server
skips everything after a failed command, so if the role cannot be taken, or the home has moved on, the statement behind
it is never run.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any, Final, LiteralString, TypeAlias

import psycopg
from psycopg import errors

from juki.problem import Conflict, Invalid, JukiError, Misconfigured, Unavailable
from juki.tenancy.directory import Tenant

Row: TypeAlias = tuple[Any, ...]
Params: TypeAlias = Mapping[str, Any] | None

STALE_HOME: Final = "JK001"
OUTCOME_UNKNOWN: Final = "db.outcome_unknown"
_OTHER_REVISION: Final = (
    errors.UndefinedTable,
    errors.UndefinedColumn,
    errors.UndefinedFunction,
    errors.InvalidSchemaName,
)


_ENTER_READ: Final = (
    "SELECT set_config('role', coalesce(%s, 'none'), true), set_config('transaction_read_only', 'on', true)"
)


class TenantSession:
    """One transaction of one tenant; `{t}` in a statement stands for the tenant's schema."""

    def __init__(
        self, connection: psycopg.AsyncConnection[Row], tenant: Tenant, *, role: str | None, write: bool
    ) -> None:
        self.tenant = tenant
        self.write = write
        self._connection = connection
        self._role = role
        self._begun = False

    async def fetch(self, sql: LiteralString, params: Params = None) -> list[Row]:
        """All rows of a statement."""
        cursor = await self._run(sql, params)
        return await cursor.fetchall()

    async def fetch_one(self, sql: LiteralString, params: Params = None) -> Row | None:
        """The only row of a statement, or None; more than one is a fault in the statement."""
        rows = await self.fetch(sql, params)
        if len(rows) > 1:
            raise RuntimeError("a statement that promises one row gave several")
        return rows[0] if rows else None

    async def execute(self, sql: LiteralString, params: Params = None) -> int:
        """Rows touched by a statement."""
        return (await self._run(sql, params)).rowcount

    async def execute_many(self, sql: LiteralString, params: Sequence[Mapping[str, Any]]) -> int:
        """One statement over many parameter sets, sent in one batch; rows touched."""
        if not params:
            return 0
        await self._begin()
        cursor = self._connection.cursor()
        with _translated():
            await cursor.executemany(qualified(sql, self.tenant.schema), params)
        return cursor.rowcount

    async def copy_in(self, sql: LiteralString, types: Sequence[str], rows: Iterable[Sequence[Any]]) -> int:
        """COPY ... FROM STDIN (FORMAT BINARY) of `rows` whose columns have the PostgreSQL `types`; rows written."""
        await self._begin()
        written = 0
        with _translated():
            async with self._connection.cursor().copy(qualified(sql, self.tenant.schema)) as copy:
                copy.set_types(types)
                for row in rows:
                    await copy.write_row(row)
                    written += 1
        return written

    async def commit(self) -> None:
        """End the transaction with its effects; called by whoever opened the session."""
        if self.write and self._connection.info.transaction_status is psycopg.pq.TransactionStatus.INERROR:
            raise RuntimeError("a failed statement was swallowed: nothing of this transaction can be kept")
        try:
            await self._connection.commit()
        except psycopg.Error as e:
            # without the server's answer nobody knows whether the effect is there; a server that says no has rolled back
            unanswered = isinstance(e, psycopg.OperationalError) and (e.sqlstate or "08").startswith(("08", "57P"))
            if unanswered and self.write and self._begun:
                raise Unavailable(
                    OUTCOME_UNKNOWN, "the answer to the commit was lost", remedy="see whether it was done"
                ) from None
            raise problem_of(e) from None
        self._begun = False

    async def rollback(self) -> None:
        """End the transaction without effects; the next statement begins a new one."""
        with _translated():
            await self._connection.rollback()
        self._begun = False

    async def _run(self, sql: LiteralString, params: Params) -> psycopg.AsyncCursor[Row]:
        cursor = self._connection.cursor()
        query = qualified(sql, self.tenant.schema)
        with _translated():
            if self._begun:
                return await cursor.execute(query, params)
            if not self.write:
                return await self._read(cursor, query, params)
            async with self._connection.pipeline():
                await self._enqueue_entry()
                await cursor.execute(query, params)
            self._begun = True
        return cursor

    async def _read(self, cursor: psycopg.AsyncCursor[Row], query: bytes, params: Params) -> psycopg.AsyncCursor[Row]:
        """A reading statement is a transaction of its own: role and statement up to one Sync, nothing to commit.

        Several statements of a reading session see what is committed between them, as they would under BEGIN.
        """
        async with self._connection.pipeline():
            await self._connection.execute(_ENTER_READ, (self._role,))
            await cursor.execute(query, params)
        return cursor

    async def _begin(self) -> None:
        if self._begun:
            return
        with _translated():
            async with self._connection.pipeline():
                await self._enqueue_entry()
        self._begun = True

    async def _enqueue_entry(self) -> None:
        """BEGIN with the tenant's role, and for writers the comparison of epochs.

        The connection is in autocommit and BEGIN is sent here: the driver's own would wait for its answer first.
        """
        await self._connection.execute("BEGIN" if self.write else "BEGIN READ ONLY")
        if self._role is not None:
            await self._connection.execute("SELECT set_config('role', %s, true)", (self._role,))
        if self.write:
            await self._connection.execute(
                qualified("SELECT {t}.enter_write(%s, %s)", self.tenant.schema),
                (self.tenant.epoch, int(self.tenant.code)),
            )


@lru_cache(maxsize=8192)
def qualified(sql: str, schema: str) -> bytes:
    """The statement with the directory's schema name in place of `{t}`."""
    if re.fullmatch(r"t[0-9]{6}|control", schema) is None:
        raise RuntimeError("a schema name comes from the directory and nowhere else")
    return sql.replace("{t}", schema).encode()


class _translated:
    """Turns what the driver raises into the few kinds a caller knows; the driver's text may quote data and is dropped."""

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        if isinstance(error, psycopg.Error):
            raise problem_of(error) from None


def known_problem(error: Exception) -> JukiError | None:
    """`problem_of` for those who may not know the driver; None where it is not the driver's, or is a defect of ours."""
    if isinstance(error, errors.InsufficientPrivilege):
        return Misconfigured(
            "db.privilege",
            "this login may not do that: each JUKI_DSN_* has to name its own login",
            remedy="let every setting name the login it is called after (`juki db prepare` writes them)",
        )
    if isinstance(error, errors.ReadOnlySqlTransaction):
        return read_only()
    problem = problem_of(error) if isinstance(error, psycopg.Error) else None
    return problem if isinstance(problem, JukiError) else None


def read_only() -> Unavailable:
    """The answer of a standby to whoever wants to write."""
    return Unavailable(
        "db.read_only",
        "the database takes no changes: it is a standby",
        remedy="have JUKI_DSN_* name the server that writes, then try again",
    )


def problem_of(error: psycopg.Error) -> JukiError | psycopg.Error:
    """The caller's kind of a driver error; the error itself where it is a defect of ours."""
    if error.sqlstate == STALE_HOME:
        return Unavailable("tenant.moved", "the directory of this process was stale", remedy="send it again")
    if isinstance(error, errors.QueryCanceled):
        return Unavailable("db.timeout", "a statement took too long", remedy="narrow the question or try again")
    if isinstance(error, errors.LockNotAvailable | errors.DeadlockDetected | errors.SerializationFailure):
        return Unavailable("db.busy", "another change holds the same record", remedy="send it again")
    if isinstance(error, errors.DiskFull | errors.OutOfMemory | errors.TooManyConnections):
        return Unavailable(
            "db.full",
            f"the database has no room: disk, memory or connections ({error.sqlstate})",
            remedy="make room on the database's disk, then do the same again; nothing was changed",
        )
    if isinstance(error, _OTHER_REVISION):
        return Unavailable(
            "db.revision",
            f"database and program are not of the same revision ({error.sqlstate})",
            remedy="run `juki migrate` (`juki migrate --plan` shows what is missing), or start the newer program",
        )
    if isinstance(error, errors.UniqueViolation):
        return Conflict("db.twice", "the same key was written twice", constraint=error.diag.constraint_name or "")
    if isinstance(error, psycopg.IntegrityError):
        # a defect of ours, but the driver's own words quote the row
        return JukiError("db.rule", "a rule of the table was broken", constraint=error.diag.constraint_name or "")
    if isinstance(error, psycopg.DataError):
        return Invalid("db.value", "a value does not fit its column", remedy="correct the input")
    if isinstance(error, psycopg.OperationalError):
        return Unavailable("db.gone", "the database does not answer", remedy="try again in a moment")
    return error
