"""Step 8: the walls between two municipalities, tried one by one: requests, database privilege, keys, history."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx
import psycopg
from psycopg import sql

from juki.config import load
from juki.problem import JukiError
from juki.registry.model import Address, Basic
from story.changes import clerks
from story.clerk import Clerk
from story.keys import open_ring
from story.provision import admin_dsn
from story.world import HIRONO, IWAKI, World, proved

LEDGERS = ("event", "resident_version", "case_step", "certificate_issue", "certificate_person", "audit_row", "audit_leaf",
           "audit_checkpoint", "support_measure", "loosening", "loosening_step")  # fmt: skip


def run(world: World) -> dict[str, object]:
    """Every wall alone, then the trace that each try left."""
    requests = hostile_requests(world)
    privilege = database(world)
    moved = moved_ciphertext(world)
    ledgers = append_only(world)
    return {
        "proved": "経路・見出し・番号・盗んだセッション・偽造トークン・直接SQL・移した暗号文をすべて拒み、跡が残ります",
        "requests": requests, "database": privilege, "moved": moved, "ledgers": ledgers,
    }  # fmt: skip


def hostile_requests(world: World) -> dict[str, int]:
    """Requests across the border; each is refused and leaves a row in the log of the municipality it was aimed at."""
    clerk, _ = clerks(world)
    stranger: Clerk = world.shared["stranger"]
    target = world.shared["family"][1]
    session = stranger.http.cookies.get("juki") or ""
    tries: dict[str, Callable[[], httpx.Response]] = {
        "path": lambda: _ask(world, IWAKI, target, cookies=_cookies(stranger)),
        "header": lambda: _ask(
            world, IWAKI, target, cookies=_cookies(stranger),
            headers={"X-Tenant": IWAKI, "X-Forwarded-User": "op-head", "X-Juki-Terminal": "IWK-HON-01"},
        ),
        "stolen session, no terminal": lambda: _ask(world, IWAKI, target, cookies={"juki": clerk.http.cookies["juki"]}),
        "stolen session, other terminal": lambda: _ask(
            world, IWAKI, target,
            cookies={"juki": clerk.http.cookies["juki"], "juki-terminal": stranger.http.cookies["juki-terminal"]},
        ),
        "forged session": lambda: _ask(
            world, IWAKI, target, cookies={"juki": session.replace(HIRONO, IWAKI), "juki-terminal": clerk.http.cookies["juki-terminal"]}
        ),
        "forged bearer": lambda: _ask(world, IWAKI, target, headers={"Authorization": f"Bearer {IWAKI}.{'A' * 43}"}),
    }  # fmt: skip
    answers: dict[str, int] = {}
    for name, act in tries.items():
        before = audit_rows(world, IWAKI)
        answer = act()
        answers[name] = answer.status_code
        proved(answer.status_code in (401, 403, 404), f"{name} is refused ({answer.status_code})")
        proved(target not in answer.text or answer.status_code == 404, f"{name} learns nothing")
        proved(audit_rows(world, IWAKI) > before, f"{name} leaves a row in the log")
    before = audit_rows(world, HIRONO)
    foreign = stranger.get(f"/records/{target}")
    answers["id of another municipality"] = foreign.status_code
    proved(foreign.status_code == 404, "an id of the other municipality is unknown here")
    proved(audit_rows(world, HIRONO) > before, "and the look-up is on record")
    return answers


def _ask(world: World, code: str, atena_no: str, **more: Any) -> httpx.Response:
    headers = {"juki-purpose": "counter", "Origin": world.url} | more.pop("headers", {})
    with httpx.Client(base_url=world.url, timeout=30, cookies=more.pop("cookies", None)) as http:
        return http.get(f"/{code}/api/v1/records/{atena_no}", headers=headers)


def _cookies(clerk: Clerk) -> dict[str, str]:
    return dict(clerk.http.cookies.items())


def audit_rows(world: World, code: str) -> int:
    """Rows of a municipality's log."""
    with psycopg.connect(admin_dsn(world)) as connection:
        row = connection.execute(
            sql.SQL("SELECT count(*) FROM {}.audit_row").format(sql.Identifier(f"t{code}"))
        ).fetchone()
    return int(row[0]) if row else 0


def database(world: World) -> dict[str, str]:
    """The service's own login reads nothing by itself, and only sealed bytes under the other municipality's role."""
    config = load(world.env())
    facts: dict[str, str] = {}
    with psycopg.connect(config.dsn("registry"), autocommit=True) as service:
        for table in ("resident_version", "audit_row", "operator"):
            facts[f"login alone, {table}"] = _refused(service, f"SELECT * FROM t{IWAKI}.{table} LIMIT 1")
        service.execute(f"SET ROLE t{HIRONO}_registry")
        facts["other role, our table"] = _refused(service, f"SELECT * FROM t{IWAKI}.resident_version LIMIT 1")
        columns = service.execute(
            "SELECT column_name FROM information_schema.columns WHERE table_schema = %s AND table_name = 'resident_version'"
            " AND column_name LIKE '%%_sealed'", (f"t{HIRONO}",),
        ).fetchall()  # fmt: skip
        row = service.execute(
            f"SELECT atena_no, version_no, basic_sealed FROM t{HIRONO}.resident_version LIMIT 1"
        ).fetchone()
        proved(row is not None and isinstance(row[2], bytes), "under the other role there are sealed bytes only")
        assert row is not None
        ring = open_ring(world, IWAKI)
        proved(_does_not_open(ring, row[0], row[1], row[2]), "which no key of ours opens")
        facts["other role, its own table"] = f"sealed bytes in {len(columns)} columns, none opens"
    return facts


def _refused(connection: psycopg.Connection[Any], statement: str) -> str:
    try:
        connection.execute(statement.encode())
    except psycopg.errors.InsufficientPrivilege as error:
        return str(error.sqlstate)
    proved(False, f"refused by the database: {statement[:60]}")
    return ""


def _does_not_open(ring: Any, atena_no: str, version_no: int, sealed: bytes, group: str = "basic") -> bool:
    try:
        ring.open("resident_version", group, atena_no, version_no, sealed, Basic if group == "basic" else Address)
    except JukiError:
        return True
    return False


def moved_ciphertext(world: World) -> list[str]:
    """A sealed value copied to another row, group, version or municipality does not open."""
    ring = open_ring(world, IWAKI)
    first, second = world.shared["family"][1:3]
    with psycopg.connect(admin_dsn(world)) as connection:
        found = connection.execute(
            f"SELECT version_no, basic_sealed FROM t{IWAKI}.resident_version WHERE atena_no = %s AND version_no = 1",
            (first,),
        ).fetchone()
    assert found is not None
    version_no, sealed = found
    proved(not _does_not_open(ring, first, version_no, sealed), "it opens where it belongs")
    proved(_does_not_open(ring, second, version_no, sealed), "not in another row")
    proved(_does_not_open(ring, first, version_no + 1, sealed), "not in another version")
    proved(_does_not_open(ring, first, version_no, sealed, "address"), "not in another group")
    proved(_does_not_open(open_ring(world, HIRONO), first, version_no, sealed), "not in another municipality")
    return ["row", "version", "group", "tenant"]


def append_only(world: World) -> dict[str, str]:
    """UPDATE and DELETE of history, issue and audit rows, under every role that the service's login can become."""
    config = load(world.env())
    tried: dict[str, str] = {}
    with psycopg.connect(config.dsn("registry"), autocommit=True) as service:
        roles = [str(r[0]) for r in service.execute(
            "SELECT rolname FROM pg_roles WHERE pg_has_role(session_user, oid, 'MEMBER') ORDER BY 1").fetchall()]  # fmt: skip
        for role in roles:
            service.execute(sql.SQL("SET ROLE {}").format(sql.Identifier(role)))
            for code in (IWAKI, HIRONO):
                for table in LEDGERS:
                    column = service.execute(
                        "SELECT attname FROM pg_attribute WHERE attrelid = to_regclass(%s) AND attnum = 1",
                        (f"t{code}.{table}",),
                    ).fetchone() if role.startswith(f"t{code}") else None  # fmt: skip
                    name = str(column[0]) if column else "ctid"
                    _refused(service, f"UPDATE t{code}.{table} SET {name} = {name}")
                    _refused(service, f"DELETE FROM t{code}.{table}")
            service.execute("RESET ROLE")
            tried[role] = f"{len(LEDGERS) * 4} statements refused"
    return tried
