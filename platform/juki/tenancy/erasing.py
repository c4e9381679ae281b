"""団体の消去: what tenancy made of a municipality (roots, schema, roles, directory row) taken away again, step by step.

Only `juki.offboarding` calls this, for a case that two persons of the municipality have started. Each function may be
run again after a kill: it takes away what is still there and says what it found.
"""

from __future__ import annotations

import hashlib
import secrets
from contextlib import suppress
from typing import Any, Final

import msgspec
from psycopg import errors, sql

from juki.config import Config
from juki.problem import Conflict, Refused, Unavailable
from juki.tenancy import presence
from juki.tenancy.backup import restored_name
from juki.tenancy.directory import Tenant
from juki.tenancy.fleet import connect
from juki.tenancy.locks import take_lock
from juki.tenancy.provisioning import find
from juki.tenancy.rotation import TURN_LOCK

_ROLES: Final = ("registry", "rekey")
_LOCK_SECONDS: Final = 10


class Inventory(msgspec.Struct, frozen=True, kw_only=True):
    """What there is of a municipality in the database before anything is taken away."""

    relations: int
    rows: int
    bytes: int
    sealed_columns: int
    plain_columns: int
    roots: tuple[str, ...]  # "seal 2", "index 1", ...
    roles: tuple[str, ...]


class Leftovers(msgspec.Struct, frozen=True, kw_only=True):
    """What of a municipality can still be found; all nought after a complete erasure."""

    relations: int
    roles: int
    roots: int
    control_rows: int
    databases: int  # backups of it that were restored for a look


class Eraser:
    """The one run that erases a municipality: own connection of the deploy login, nobody else at its keys meanwhile."""

    def __init__(self, config: Config, code: str) -> None:
        self._connection = connect(config, "deploy", autocommit=True)
        self.code = code
        if not take_lock(self._connection, TURN_LOCK, int(code)):
            self._connection.close()
            raise Conflict("rotation.in_progress", "another run turns or destroys the keys of this municipality")

    def close(self) -> None:
        """End the run; the lock goes with the session."""
        self._connection.close()

    @property
    def tenant(self) -> Tenant:
        """The directory row as it stands."""
        return find(self._connection, self.code)

    def inventory(self) -> Inventory:
        """Count before taking away; the counts go into the certificate."""
        schema = self.tenant.schema
        tables = self._connection.execute(
            "SELECT c.relname, pg_total_relation_size(c.oid) FROM pg_class c JOIN pg_namespace n"
            " ON n.oid = c.relnamespace WHERE n.nspname = %s AND c.relkind = 'r' ORDER BY 1",
            (schema,),
        ).fetchall()
        columns = self._connection.execute(
            "SELECT count(*) FILTER (WHERE column_name LIKE '%%\\_sealed' OR column_name LIKE '%%\\_fp'),"
            " count(*) FILTER (WHERE column_name NOT LIKE '%%\\_sealed' AND column_name NOT LIKE '%%\\_fp')"
            " FROM information_schema.columns WHERE table_schema = %s",
            (schema,),
        ).fetchone()
        roots = self._connection.execute(
            "SELECT purpose || ' ' || version FROM control.wrapped_root WHERE tenant_code = %s ORDER BY purpose, version",
            (self.code,),
        ).fetchall()
        rows = sum(self._count(schema, table) for table, _ in tables)
        sealed, plain = columns or (0, 0)
        return Inventory(
            relations=len(tables), rows=rows, bytes=sum(size for _, size in tables), sealed_columns=sealed, plain_columns=plain,
            roots=tuple(row[0] for row in roots), roles=tuple(self._roles()),
        )  # fmt: skip

    def destroy_roots(self) -> int:
        """Overwrite every wrapped root, then delete it; rows destroyed now.

        The database keeps the overwritten versions until its own clean-up, hence the VACUUM, and its log files until
        they are recycled: a wrapped root that survives there is worth nothing without the KMS key.
        """
        with self._connection.transaction():
            self._connection.execute(
                "UPDATE control.wrapped_root SET blob = %s, commitment = %s WHERE tenant_code = %s",
                (secrets.token_bytes(128), secrets.token_bytes(32), self.code),
            )
        gone = self._connection.execute(
            "DELETE FROM control.wrapped_root WHERE tenant_code = %s", (self.code,)
        ).rowcount
        self._connection.execute("VACUUM control.wrapped_root")
        return gone

    def purge_everywhere(self) -> presence.Answers:
        """Every process forgets the municipality and says so; Unavailable where a living one stays silent."""
        return presence.order(self._connection, self.code, "erase")

    def drop_schema(self) -> int:
        """The schema with all it holds; relations dropped. Unavailable `erase.in_use` where somebody still holds a table."""
        tenant = self.tenant
        before = self._relations(tenant.schema)
        try:
            with self._connection.transaction():
                self._connection.execute("SELECT set_config('lock_timeout', %s, true)", (f"{_LOCK_SECONDS}s",))
                self._connection.execute(
                    sql.SQL("DROP SCHEMA IF EXISTS {} CASCADE").format(sql.Identifier(tenant.schema))
                )
        except (errors.LockNotAvailable, errors.DeadlockDetected):
            raise Unavailable(
                "erase.in_use", "a session still holds a table of this municipality", remedy="run it again"
            ) from None
        return before

    def drop_roles(self) -> tuple[str, ...]:
        """The municipality's roles; Refused `erase.role_in_use` where another database of the cell still knows one."""
        dropped: list[str] = []
        for role in self._roles():
            name = sql.Identifier(role)
            try:
                with self._connection.transaction():
                    self._own(role)
                    self._connection.execute(sql.SQL("DROP OWNED BY {}").format(name))
                    self._connection.execute(sql.SQL("DROP ROLE {}").format(name))
            except errors.DependentObjectsStillExist:
                raise Refused(
                    "erase.role_in_use", f"{role} has rights in another database of this cell", remedy="clear it there"
                ) from None
            dropped.append(role)
        return tuple(dropped)

    def clear_control(self) -> int:
        """Rows about the municipality in the control schema that are no evidence: queues and progress; rows deleted."""
        gone = 0
        with self._connection.transaction():
            for statement in (
                "DELETE FROM control.rotation_progress p USING control.rotation r"
                " WHERE r.rotation_no = p.rotation_no AND r.tenant_code = %s",
                "DELETE FROM control.rotation WHERE tenant_code = %s",
                "DELETE FROM control.migration_ledger WHERE tenant_code = %s",
            ):
                gone += self._connection.execute(statement, (self.code,)).rowcount
        return gone

    def entomb(self, *, actor: str) -> None:
        """消去済み: the directory row stays as a mark, with nothing in it that names a person or a key's use."""
        with self._connection.transaction():
            tenant = self.tenant
            if tenant.state == "erased":
                return
            left = self.left()
            if left.relations or left.roles or left.roots:
                raise Conflict("erase.not_finished", "something of this municipality is still there")
            self._connection.execute(
                "UPDATE control.tenant SET state = 'erased', epoch = epoch + 1, settings = %s, changed_at = now()"
                " WHERE code = %s",
                (_EMPTY_SETTINGS, self.code),
            )
            self._connection.execute(
                "INSERT INTO control.tenant_event (tenant_code, what, from_state, to_state, epoch, actor)"
                " VALUES (%s, 'state', %s, 'erased', %s, %s)",
                (self.code, tenant.state, tenant.epoch + 1, actor),
            )

    def strike_out(self) -> None:
        """Remove the directory row itself, for what was never a municipality. Conflict `erase.not_finished`."""
        left = self.left()
        if left.relations or left.roles or left.roots:
            raise Conflict("erase.not_finished", "something of this tenant is still there")
        self._connection.execute("DELETE FROM control.tenant WHERE code = %s", (self.code,))

    def left(self) -> Leftovers:
        """What can still be found, by looking again."""
        counted = self._connection.execute(
            "SELECT (SELECT count(*) FROM control.wrapped_root WHERE tenant_code = %(code)s),"
            " (SELECT count(*) FROM control.rotation WHERE tenant_code = %(code)s)"
            " + (SELECT count(*) FROM control.migration_ledger WHERE tenant_code = %(code)s),"
            " (SELECT count(*) FROM pg_database WHERE starts_with(datname, %(restored)s))",
            {"code": self.code, "restored": restored_name(self.code)},
        ).fetchone()
        roots, rows, databases = counted or (0, 0, 0)
        return Leftovers(
            relations=self._relations(f"t{self.code}"),
            roles=len(self._roles()),
            roots=roots,
            control_rows=rows,
            databases=databases,
        )

    def _count(self, schema: str, table: str) -> int:
        row = self._connection.execute(
            sql.SQL("SELECT count(*) FROM {}").format(sql.Identifier(schema, table))
        ).fetchone()
        return int(row[0]) if row else 0

    def _relations(self, schema: str) -> int:
        row = self._connection.execute(
            "SELECT count(*) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = %s",
            (schema,),
        ).fetchone()
        return int(row[0]) if row else 0

    def _roles(self) -> list[str]:
        rows: list[tuple[Any, ...]] = self._connection.execute(
            "SELECT rolname FROM pg_roles WHERE rolname = ANY(%s) ORDER BY rolname",
            ([f"t{self.code}_{suffix}" for suffix in _ROLES],),
        ).fetchall()
        return [row[0] for row in rows]

    def _own(self, role: str) -> None:
        """DROP OWNED asks for membership with inheritance, which a creator has on 15 and grants itself from 16 on."""
        with suppress(errors.InsufficientPrivilege), self._connection.transaction():
            self._connection.execute(sql.SQL("GRANT {} TO CURRENT_USER").format(sql.Identifier(role)))


def digest(config: Config, code: str) -> str:
    """Digest over every row of every table of a municipality, for showing that it is as it was; reads sealed bytes only."""
    whole = hashlib.sha256()
    with connect(config, "deploy", autocommit=True) as connection:
        schema = find(connection, code).schema
        tables = connection.execute(
            "SELECT c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace"
            " WHERE n.nspname = %s AND c.relkind = 'r' ORDER BY 1",
            (schema,),
        ).fetchall()
        for (table,) in tables:
            row = connection.execute(_DIGEST.format(sql.Identifier(schema, table))).fetchone()
            whole.update(f"{table} {row[0] if row else ''}\n".encode())
    return whole.hexdigest()


# a sum of row digests needs no order and no memory
_DIGEST: Final = sql.SQL(
    "SELECT count(*) || ' ' || coalesce(sum(('x' || left(md5(r::text), 15))::bit(60)::bigint::numeric), 0)"
    " || ' ' || coalesce(sum(('x' || right(md5(r::text), 15))::bit(60)::bigint::numeric), 0) FROM {} AS r"
)

_EMPTY_SETTINGS: Final = (
    '{"name_kana": "", "head": {"title": "", "name": ""}, "seal": {"text": ""},'
    ' "hours": {"opens": "00:00", "closes": "00:00", "days": []}, "keys": {"alias": ""},'
    ' "fees": {"resident_record": 0, "record_of_matters": 0, "removed_record": 0},'
    ' "offices": [], "departments": [], "terminals": []}'
)
