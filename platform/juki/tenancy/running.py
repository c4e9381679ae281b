"""採番: running numbers of a municipality held against the numbers in use, and put beyond them.

Numbers come in that were not drawn here: 宛名番号 and 世帯番号 of an incumbent, everything of a restored export. A backup
may be younger in its tables than in its sequences. What is drawn afterwards must never be somebody's number already.
"""

from __future__ import annotations

from typing import Any

import msgspec
import psycopg
from psycopg import sql

from juki.tenancy.directory import Tenant


class Running(msgspec.Struct, frozen=True, kw_only=True):
    """One running number: the last one drawn, and the largest in use."""

    name: str
    stands: int
    used: int

    @property
    def behind(self) -> bool:
        """Whether a number in use would be drawn again."""
        return self.stands < self.used


def running_numbers(connection: psycopg.Connection[Any], tenant: Tenant) -> tuple[Running, ...]:
    """Every running number as it stands; nothing is moved."""
    return _ask(connection, tenant, move=False)


def beyond_use(connection: psycopg.Connection[Any], tenant: Tenant) -> tuple[Running, ...]:
    """Put every running number beyond the numbers in use; only forward, and safe while others draw."""
    return _ask(connection, tenant, move=True)


def _ask(connection: psycopg.Connection[Any], tenant: Tenant, *, move: bool) -> tuple[Running, ...]:
    rule = tenant.settings.numbering
    query = sql.SQL("SELECT name, stands, used FROM {}(%s, %s, %s)").format(
        sql.Identifier(tenant.schema, "numbers_beyond_use")
    )
    rows = connection.execute(query, (rule.atena_digits, rule.setai_digits, move)).fetchall()
    return tuple(Running(name=name, stands=stands, used=used) for name, stands, used in rows)
