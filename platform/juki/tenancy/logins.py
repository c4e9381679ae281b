"""Service logins and the database they meet in: made once by an administrator, who is then needed no more."""

from __future__ import annotations

import secrets
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from typing import Any, Final

import psycopg
from psycopg import errors, sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from juki.config import LOGINS, Login
from juki.problem import Misconfigured, Unavailable

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
            with _owning(admin):
                ensure_database(admin, database)
                with psycopg.connect(make_conninfo(admin_dsn, dbname=database), autocommit=True) as inside:
                    inside.execute("CREATE SCHEMA IF NOT EXISTS control AUTHORIZATION juki_deploy")
                    inside.execute("REVOKE ALL ON SCHEMA public FROM PUBLIC")
    except psycopg.OperationalError as e:
        raise Unavailable("db.gone", "the administrator's connection failed", remedy="check the address") from e
    except errors.InsufficientPrivilege:
        raise Misconfigured(
            "db.admin",
            "the administrator given may not make logins or databases, or did not make the juki_* logins that are here",
            remedy="name a superuser, or a login with CREATEROLE and CREATEDB: on a managed server its master user",
        ) from None
    return {login: login_dsn(admin_dsn, database, login, secret[login]) for login in LOGINS}


def login_dsn(admin_dsn: str, database: str, login: Login, password: str) -> str:
    """The administrator's address with another user, password and database."""
    where: dict[str, Any] = {k: v for k, v in conninfo_to_dict(admin_dsn).items() if k not in ("user", "password")}
    return make_conninfo("", **{**where, "user": f"juki_{login}", "password": password, "dbname": database})


def is_of(dsn: str, admin_dsn: str, database: str) -> bool:
    """Whether a login's DSN leads to this database on the administrator's server."""
    one, other = conninfo_to_dict(dsn), {**conninfo_to_dict(admin_dsn), "dbname": database}
    return all(one.get(part) == other.get(part) for part in ("host", "hostaddr", "port", "dbname"))


def _is_superuser(admin: psycopg.Connection[Any]) -> bool:
    row = admin.execute("SELECT rolsuper FROM pg_roles WHERE rolname = current_user").fetchone()
    return row is not None and bool(row[0])


@contextmanager
def _owning(admin: psycopg.Connection[Any]) -> Generator[None]:
    """The master user of a managed server is no superuser: to make what the deploy login owns it is a member meanwhile."""
    if _is_superuser(admin):
        yield
        return
    admin.execute("GRANT juki_deploy TO CURRENT_USER")
    try:
        yield
    finally:
        admin.execute("REVOKE juki_deploy FROM CURRENT_USER")


def _ensure_login(admin: psycopg.Connection[Any], login: Login, password: str) -> None:
    role = f"juki_{login}"
    known = admin.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", (role,)).fetchone()
    verb = "ALTER" if known else "CREATE"
    # none but a superuser may say of a login that is there that it is none
    attributes: Any = "LOGIN" if known and not _is_superuser(admin) else _ATTRIBUTES[login]
    # digested here: the server's log and its list of running statements may hold the words of every statement
    digested = admin.pgconn.encrypt_password(password.encode(), role.encode(), b"scram-sha-256").decode()
    admin.execute(
        sql.SQL("{} ROLE {} {} PASSWORD {}").format(
            sql.SQL(verb), sql.Identifier(role), sql.SQL(attributes), sql.Literal(digested)
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
