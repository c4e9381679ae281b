"""Service logins and the database they meet in: made once by an administrator, who is then needed no more."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from typing import Any, Final

import psycopg
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from juki.config import LOGINS, Login
from juki.problem import Unavailable

_ATTRIBUTES: Final[Mapping[Login, str]] = {
    # CREATEROLE makes the tenant roles; it is no superuser on 15 and sees only its own creatures on 16 and later
    "deploy": "LOGIN CREATEROLE NOSUPERUSER NOCREATEDB NOREPLICATION NOBYPASSRLS INHERIT",
    "registry": "LOGIN NOINHERIT NOSUPERUSER NOCREATEROLE NOCREATEDB NOREPLICATION NOBYPASSRLS",
    "rekey": "LOGIN NOINHERIT NOSUPERUSER NOCREATEROLE NOCREATEDB NOREPLICATION NOBYPASSRLS",
    "control": "LOGIN NOINHERIT NOSUPERUSER NOCREATEROLE NOCREATEDB NOREPLICATION NOBYPASSRLS",
}


def prepare(admin_dsn: str, database: str, passwords: Mapping[Login, str] | None = None) -> dict[Login, str]:
    """Create or refresh the four logins and the database; returns one DSN per login. Running again changes passwords only.

    The administrator's connection is used here and nowhere else: nothing that runs holds it.
    """
    secret = passwords or {login: secrets.token_urlsafe(24) for login in LOGINS}
    try:
        with psycopg.connect(admin_dsn, autocommit=True) as admin:
            for login in LOGINS:
                _ensure_login(admin, login, secret[login])
            ensure_database(admin, database)
    except psycopg.OperationalError as e:
        raise Unavailable("db.gone", "the administrator's connection failed", remedy="check the address") from e
    with psycopg.connect(make_conninfo(admin_dsn, dbname=database), autocommit=True) as inside:
        inside.execute("CREATE SCHEMA IF NOT EXISTS control AUTHORIZATION juki_deploy")
        inside.execute("REVOKE ALL ON SCHEMA public FROM PUBLIC")
    return {login: login_dsn(admin_dsn, database, login, secret[login]) for login in LOGINS}


def login_dsn(admin_dsn: str, database: str, login: Login, password: str) -> str:
    """The administrator's address with another user, password and database."""
    where: dict[str, Any] = {k: v for k, v in conninfo_to_dict(admin_dsn).items() if k not in ("user", "password")}
    return make_conninfo("", **{**where, "user": f"juki_{login}", "password": password, "dbname": database})


def is_of(dsn: str, admin_dsn: str, database: str) -> bool:
    """Whether a login's DSN leads to this database on the administrator's server."""
    one, other = conninfo_to_dict(dsn), {**conninfo_to_dict(admin_dsn), "dbname": database}
    return all(one.get(part) == other.get(part) for part in ("host", "hostaddr", "port", "dbname"))


def _ensure_login(admin: psycopg.Connection[Any], login: Login, password: str) -> None:
    role = f"juki_{login}"
    known = admin.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", (role,)).fetchone()
    verb = "ALTER" if known else "CREATE"
    attributes: Any = _ATTRIBUTES[login]
    admin.execute(
        sql.SQL("{} ROLE {} {} PASSWORD {}").format(
            sql.SQL(verb), sql.Identifier(role), sql.SQL(attributes), sql.Literal(password)
        )
    )


def ensure_database(admin: psycopg.Connection[Any], database: str) -> None:
    """A database owned by the deploy login in which nobody else may create or even connect unasked."""
    name = sql.Identifier(database)
    if not admin.execute("SELECT 1 FROM pg_database WHERE datname = %s", (database,)).fetchone():
        admin.execute(
            sql.SQL(
                "CREATE DATABASE {} OWNER juki_deploy ENCODING 'UTF8' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0"
            ).format(name)
        )
    admin.execute(sql.SQL("REVOKE ALL ON DATABASE {} FROM PUBLIC").format(name))
    admin.execute(sql.SQL("GRANT CONNECT ON DATABASE {} TO juki_registry, juki_rekey, juki_control").format(name))
