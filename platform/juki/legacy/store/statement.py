"""文: a literal statement with the tenant's schema in it, for connections outside a session."""

from __future__ import annotations

from typing import LiteralString

from psycopg import sql

from juki.tenancy import Tenant


def of_tenant(query: LiteralString, tenant: Tenant) -> sql.Composed:
    """The statement with `{t}` set to the schema of the tenant."""
    head, *rest = query.split("{t}")
    parts: list[sql.Composable] = [sql.SQL(head)]
    for part in rest:
        parts += [sql.Identifier(tenant.schema), sql.SQL(part)]
    return sql.Composed(parts)
