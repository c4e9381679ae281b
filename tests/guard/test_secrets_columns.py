"""Every column of a municipality's schema is sealed, a keyed index, or says in the catalogue why it stands in plain sight."""

from __future__ import annotations

import re
from itertools import groupby

import psycopg
import pytest

from juki.commands.rotate import SEALED
from juki.config import Config
from juki.tenancy import connect

LEDGERS = re.compile(
    r"^(event|resident_version|case_step|certificate_(application|issue|person|disposal)|audit_\w+|account_event"
    r"|login_failure|revocation_ledger|account_review|suppression|suppression_release|support_measure|loosening|loosening_step"
    r"|offboard_request|offboard_decision|resident_code_use|number_request)$"
)
"""Tables that are history, issue or log: rows are added and never touched again."""

NOT_RESEALED = {("audit_row", "body_sealed")}
"""Witnessed by their bytes (docs/adr/0009): their keys are re-sealed in `audit_key` instead."""

Columns = list[tuple[str, str, str, str | None]]


@pytest.fixture(scope="module")
def columns(config: Config) -> Columns:
    """Table, column, type and comment of everything in いわき市's schema."""
    with connect(config, "deploy") as connection:
        rows = connection.execute(
            "SELECT c.relname, a.attname, format_type(a.atttypid, a.atttypmod), col_description(c.oid, a.attnum)"
            " FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace"
            " JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped"
            " WHERE n.nspname = 't072044' AND c.relkind IN ('r', 'p') ORDER BY 1, a.attnum"
        ).fetchall()
    return [(table, column, kind, comment) for table, column, kind, comment in rows]


def test_every_column_is_sealed_or_says_why_it_is_plain(columns: Columns) -> None:
    """R-1-3.6-TEN-01: nothing lies in plain sight without a reason that somebody wrote down."""
    silent = [
        f"{table}.{column}"
        for table, column, _, comment in columns
        if not column.endswith(("_sealed", "_fp")) and not (comment or "").startswith("plain: ")
    ]
    assert len(columns) > 150
    assert silent == []


def test_a_sealed_column_is_bytes_and_an_index_column_is_numbers_or_a_digest(columns: Columns) -> None:
    """A column that is called sealed cannot hold text."""
    wrong = [
        f"{table}.{column} {kind}"
        for table, column, kind, _ in columns
        if (column.endswith("_sealed") and kind != "bytea")
        or (column.endswith("_fp") and kind not in ("bytea", "bigint", "bigint[]", "integer[]"))
    ]
    assert wrong == []


def test_a_rotation_knows_every_sealed_column_and_no_other(columns: Columns) -> None:
    """What a rotation does not know would stop opening when the old root is destroyed."""
    there = {(table, column) for table, column, _, _ in columns if column.endswith("_sealed")}
    known = {(table, column) for table, _, _, _, column in SEALED}
    assert there - NOT_RESEALED == known


def test_a_rotation_finds_the_row_key_and_version_of_every_sealed_column(columns: Columns) -> None:
    """The names of key and version columns are right, or a constant."""
    there = {table: {column for _, column, _, _ in group} for table, group in groupby(columns, key=lambda c: c[0])}
    for table, _, key, version, column in SEALED:
        assert key in there[table], f"{table}.{column}: {key}"
        assert version in there[table] or version == "1", f"{table}.{column}: {version}"


def test_no_role_that_a_service_can_become_may_change_or_remove_history(columns: Columns, config: Config) -> None:
    """R-1-2.6-RET-01: ledger, history, issue and log rows are refused UPDATE and DELETE by the database itself."""
    ledgers = sorted({table for table, _, _, _ in columns if LEDGERS.match(table)})
    assert len(ledgers) >= 15
    with connect(config, "deploy") as connection:
        roles = connection.execute(
            "SELECT r.rolname FROM pg_auth_members m JOIN pg_roles r ON r.oid = m.roleid"
            " JOIN pg_roles s ON s.oid = m.member WHERE s.rolname IN ('juki_registry', 'juki_control')"
            " AND r.rolname LIKE 't072044%'"
        ).fetchall()
    assert [role for (role,) in roles] == ["t072044_registry"]
    for table in ledgers:
        column = [name for owner, name, _, _ in columns if owner == table][-1]
        for statement in (f"UPDATE t072044.{table} SET {column} = {column}", f"DELETE FROM t072044.{table}"):
            with connect(config, "registry") as connection:
                connection.execute("SET ROLE t072044_registry")
                with pytest.raises(psycopg.errors.InsufficientPrivilege):
                    connection.execute(statement)
                connection.rollback()


def test_history_is_not_truncated_either(columns: Columns, config: Config) -> None:
    """TRUNCATE is a right of its own, and nobody has it."""
    with connect(config, "registry") as connection:
        connection.execute("SET ROLE t072044_registry")
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute("TRUNCATE t072044.resident_version")
        connection.rollback()
