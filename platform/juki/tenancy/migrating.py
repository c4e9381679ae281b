"""Replay of rendered revisions: one transaction per schema, the version rows inside it."""

from __future__ import annotations

from typing import Any, Final

import psycopg
from psycopg import sql

from juki.problem import Misconfigured
from juki.tenancy.revisions import Revision
from juki.tenancy.session import Row

CONTROL: Final = "control"


def apply_all(connection: psycopg.Connection[Row], schema: str, revisions: tuple[Revision, ...]) -> tuple[str, ...]:
    """Apply what a schema lacks, in the caller's transaction; ids applied.

    Misconfigured `migrate.rewritten` where a revision applied earlier has another text today.
    """
    known = applied(connection, schema)
    for revision in revisions:
        if known.get(revision.id, revision.fingerprint) != revision.fingerprint:
            raise Misconfigured("migrate.rewritten", f"revision {revision.id} was changed after it was applied")
    missing = tuple(revision for revision in revisions if revision.id not in known)
    for revision in missing:
        connection.execute(revision.for_schema(schema))
        connection.execute(
            sql.SQL("INSERT INTO {}.schema_version (revision, fingerprint) VALUES (%s, %s)").format(
                sql.Identifier(schema)
            ),
            (revision.id, revision.fingerprint),
        )
    return tuple(revision.id for revision in missing)


def applied(connection: psycopg.Connection[Row], schema: str) -> dict[str, str]:
    """Revision -> fingerprint of one schema; empty where nothing was applied yet."""
    table = f"{schema}.schema_version"
    found: Any = connection.execute("SELECT to_regclass(%s)", (table,)).fetchone()
    if found is None or found[0] is None:
        return {}
    rows = connection.execute(
        sql.SQL("SELECT revision, fingerprint FROM {}.schema_version").format(sql.Identifier(schema))
    ).fetchall()
    return dict(rows)


def apply_control(connection: psycopg.Connection[Row], revisions: tuple[Revision, ...]) -> tuple[str, ...]:
    """Bring the control schema up; commits."""
    connection.execute("SELECT pg_advisory_xact_lock(19276, 0)")
    connection.execute(
        "CREATE TABLE IF NOT EXISTS control.schema_version (revision text PRIMARY KEY, fingerprint text NOT NULL,"
        " applied_at timestamptz NOT NULL DEFAULT now())"
    )
    done = apply_all(connection, CONTROL, revisions)
    connection.commit()
    return done
