"""The first of the three walls: what the database itself refuses, tried under the logins that services hold."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from typing import Any

import psycopg
import pytest
from psycopg import errors, sql

from juki.config import Config, Login
from juki.tenancy import Fleet, bulk, connect

LEDGERS = (
    "account_event", "audit_checkpoint", "audit_leaf", "audit_row", "audit_subject", "case_step", "certificate_issue",
    "certificate_person", "event", "import_end", "import_run", "login_failure", "loosening", "loosening_step",
    "resident_code_use", "resident_version", "revocation_ledger", "support_measure", "suppression", "suppression_release",
)  # fmt: skip
"""History, issue, audit and other ledgers: a row once written stays."""


@pytest.fixture
def tables(config: Config) -> list[str]:
    with closing(connect(config, "deploy")) as deploy:
        rows = deploy.execute(
            "SELECT tablename::text FROM pg_tables WHERE schemaname = 't072044' ORDER BY 1"
        ).fetchall()
    return [row[0] for row in rows]


@pytest.fixture(params=["registry", "rekey", "control"])
def bare(request: pytest.FixtureRequest, config: Config) -> Iterator[psycopg.Connection[Any]]:
    """A connection as a service has it before it takes any tenant's role."""
    login: Login = request.param
    with closing(connect(config, login, autocommit=True)) as connection:
        yield connection


def _refused(connection: psycopg.Connection[Any], text: str, table: str, *more: str) -> bool:
    try:
        connection.execute(sql.SQL(text).format(sql.Identifier(*table.split(".")), *map(sql.Identifier, more)))
    except errors.InsufficientPrivilege:
        connection.rollback()
        return True
    connection.rollback()
    return False


def test_a_login_without_a_tenant_role_reads_no_table_of_any_tenant(
    bare: psycopg.Connection[Any], tables: list[str]
) -> None:
    """R-A-3.3-ACC: the service's own login is worth nothing by itself."""
    open_tables = [t for t in tables if not _refused(bare, "SELECT 1 FROM {} LIMIT 1", f"t072044.{t}")]
    assert tables
    assert open_tables == []


def test_the_service_logins_have_no_power_over_the_server(config: Config) -> None:
    """No superuser, no bypass, no creation of roles or databases, and rights asleep until they are taken."""
    with closing(connect(config, "control")) as control:
        rows = control.execute(
            "SELECT rolname::text, rolsuper, rolbypassrls, rolcreatedb, rolreplication, rolcreaterole, rolinherit"
            " FROM pg_roles WHERE rolname LIKE 'juki\\_%' ORDER BY 1"
        ).fetchall()
    assert rows == [
        ("juki_control", False, False, False, False, False, False),
        ("juki_deploy", False, False, False, False, True, True),
        ("juki_registry", False, False, False, False, False, False),
        ("juki_rekey", False, False, False, False, False, False),
    ]


@pytest.mark.parametrize(
    ("login", "role"),
    [
        ("registry", "juki_deploy"),
        ("registry", "juki_control"),
        ("registry", "t072044_rekey"),
        ("registry", "postgres"),
        ("rekey", "t072044_registry"),
        ("control", "t072044_registry"),
        ("control", "juki_deploy"),
    ],
)
def test_a_service_becomes_only_the_roles_meant_for_it(config: Config, login: Login, role: str) -> None:
    """R-A-3.3-ACC: membership is the grant; everything else is refused by the server."""
    with closing(connect(config, login)) as connection, pytest.raises(psycopg.Error) as caught:
        connection.execute("SELECT set_config('role', %s, true)", (role,))
    assert caught.value.sqlstate in ("42501", "22023")


def test_one_tenants_role_finds_nothing_of_the_other(config: Config, tables: list[str]) -> None:
    """R-A-3.3-ACC: under 広野町 every table of いわき市 is refused."""
    with bulk(config, "075418") as connection:
        connection.autocommit = True
        open_tables = [t for t in tables if not _refused(connection, "SELECT 1 FROM {} LIMIT 1", f"t072044.{t}")]
    assert open_tables == []


@pytest.mark.parametrize("login", ["registry", "rekey"])
@pytest.mark.parametrize("table", LEDGERS)
def test_no_role_that_a_service_can_become_deletes_or_empties_a_ledger(
    config: Config, login: Login, table: str
) -> None:
    """R-A-3.3-LOG: history, issue and audit rows stay, whoever asks."""
    with bulk(config, "072044", login) as connection:
        connection.autocommit = True
        assert _refused(connection, "DELETE FROM {}", f"t072044.{table}")
        assert _refused(connection, "TRUNCATE {}", f"t072044.{table}")
        assert _refused(connection, "DROP TABLE {}", f"t072044.{table}")
        assert _refused(connection, "ALTER TABLE {} ADD COLUMN x text", f"t072044.{table}")


@pytest.mark.parametrize("table", LEDGERS)
def test_no_column_of_a_ledger_can_be_changed_by_the_registry(config: Config, table: str) -> None:
    """R-A-3.3-LOG: not one column, tried one by one."""
    with bulk(config, "072044") as connection:
        connection.autocommit = True
        columns = connection.execute(
            "SELECT attname::text FROM pg_attribute WHERE attrelid = %s::regclass AND attnum > 0 AND NOT attisdropped",
            (f"t072044.{table}",),
        ).fetchall()
        changeable = [
            c for (c,) in columns if not _refused(connection, "UPDATE {} SET {} = DEFAULT", f"t072044.{table}", c)
        ]
    assert columns
    assert changeable == []


@pytest.mark.parametrize("table", LEDGERS)
def test_rekeying_changes_sealed_columns_and_nothing_else(config: Config, table: str) -> None:
    """A rotation re-seals; it cannot move a row, a date or a number."""
    with bulk(config, "072044", "rekey") as connection:
        rows = connection.execute(
            "SELECT attname::text FROM pg_attribute WHERE attrelid = %s::regclass AND attnum > 0 AND NOT attisdropped"
            " AND has_column_privilege(current_user, attrelid, attnum, 'UPDATE')",
            (f"t072044.{table}",),
        ).fetchall()
        inserts = connection.execute(
            "SELECT has_any_column_privilege(current_user, %s, 'INSERT')", (f"t072044.{table}",)
        ).fetchone()
    assert [c for (c,) in rows if not c.endswith("_sealed")] == []
    assert inserts == (False,)


def test_nobody_but_the_owner_creates_anything(bare: psycopg.Connection[Any]) -> None:
    """No table, no schema, no temporary table: nothing to hide data in."""
    for text in ("CREATE SCHEMA mine", "CREATE TABLE public.mine (x int)", "CREATE TEMP TABLE mine (x int)"):
        with pytest.raises(errors.InsufficientPrivilege):
            bare.execute(sql.SQL(text))


def test_the_registry_reads_the_directory_and_changes_nothing_in_it(config: Config) -> None:
    """R-A-3.3-ACC: a service cannot move a municipality, nor see who asked for what."""
    with closing(connect(config, "registry", autocommit=True)) as connection:
        assert connection.execute("SELECT count(*) FROM control.tenant").fetchone() == (2,)
        for text in (
            "UPDATE control.tenant SET state = 'suspended'",
            "DELETE FROM control.wrapped_root",
            "INSERT INTO control.tenant_event (tenant_code, what, to_state, epoch, actor) VALUES ('072044','x','x',1,'x')",
            "SELECT 1 FROM control.tenant_event",
        ):
            with pytest.raises(errors.InsufficientPrivilege):
                connection.execute(sql.SQL(text))


async def test_a_role_taken_for_one_transaction_is_gone_in_the_next(fleet: Fleet) -> None:
    """The role is transaction-local: a connection that goes back to the pool is nobody again."""
    async with fleet.session("072044", write=False) as session:
        await session.fetch("SELECT 1 FROM {t}.tenant_state")
    async with fleet._connection() as connection:
        row = await (await connection.execute("SELECT current_user, session_user")).fetchone()
    assert row == ("juki_registry", "juki_registry")
