"""T4-http: one resident looked up through the whole road: HTTP over loopback, session and terminal proved, the tenant's
role, seals opened, intent and outcome in the log. Beside it, from the same server process, its smallest JSON answer.

The client is one process of raw sockets with keep-alive; it shares the two cores with server and database, so absolutes
are low and the ratio is what counts. `wall.py` measures the same lookup without network and log-in.
"""

from __future__ import annotations

import asyncio
import os
import random
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pyotp
from tests.legacy.media import imported

from juki import audit
from juki.access.bootstrap import OutsideHours, People, Person, bootstrap
from juki.access.model import Caller, system
from juki.audit import Login, operation
from juki.config import LOGINS, Config
from juki.dates import today_in_japan
from juki.peers import generate
from juki.tenancy import Fleet, add, connect, prepare_control, read_file
from juki.tenancy.local import LocalServer
from juki.tenancy.logins import prepare
from juki.vault import open_kms

REPOSITORY = Path(__file__).resolve().parents[2]
TENANTS = {
    "072044": ("072044-iwaki.toml", "市民課", "情報政策課"),
    "075418": ("075418-hirono.toml", "町民税務課", "総務課"),
}
AT_ONCE = 32  # commits of the log and questions at the gate are shared among those who come at once


def run(quick: bool) -> dict[str, Any]:
    """The figures of T4-http."""
    with tempfile.TemporaryDirectory(prefix="juki-bench-lookup-") as folder:
        home = Path(folder)
        home.chmod(0o755)
        database = LocalServer(home / "server", durable=True)
        database.start()
        try:
            dsns = {f"dsn_{login}": dsn for login, dsn in prepare(database.admin_dsn, "juki").items()}
            config = Config(home=str(home), kms=f"local:{home / 'kms'}", pool_max=AT_ONCE, cookie_secure=False, **dsns)
            targets = asyncio.run(_prepared(config, 200 if quick else 10_000))
            return {"T4-http": _measure(config, targets, 4.0 if quick else 20.0)}
        finally:
            database.stop()


async def _prepared(config: Config, residents: int) -> list[tuple[str, str]]:
    """(path, cookies) of every resident of both municipalities."""
    with connect(config, "deploy") as deploy:
        prepare_control(deploy)
        for file, _, _ in TENANTS.values():
            add(deploy, open_kms(config.kms_spec), read_file(REPOSITORY / "tenants" / file), actor="bench")
    fleet = await Fleet.open(config)
    try:
        found: list[tuple[str, str]] = []
        for code in TENANTS:
            found += await _town(fleet, code, residents)
    finally:
        await fleet.close()
    random.Random(7).shuffle(found)
    return found


async def _town(fleet: Fleet, code: str, residents: int) -> list[tuple[str, str]]:
    folder = Path(fleet.config.home) / "extract" / code
    generate(code, folder, residents=residents, seed=5, as_of=today_in_japan(fleet.clock()))
    rights = frozenset({"import.run", "import.review", "resident.read"})
    who = Caller(tenant=code, actor_id="bench", actor_kind="system", rights=rights)
    await imported(fleet, who, folder)
    async with operation(fleet, who, "bench.list", purpose="計測", write=False) as op:
        rows = await op.session.fetch("SELECT DISTINCT atena_no FROM {t}.resident_version WHERE status = 'resident'")
    cookies = await _signed_in(fleet, code)
    return [(f"/{code}/api/v1/records/{atena_no}?groups=basic,address", cookies) for (atena_no,) in rows]


async def _signed_in(fleet: Fleet, code: str) -> str:
    _, office, policy = TENANTS[code]
    people = People(
        approved_by="kacho",
        operator=(
            Person(login="clerk", name="計測　一郎", staff_no="100001", office=office, duties=("窓口",)),
            Person(login="kacho", name="計測　二郎", staff_no="100002", office=policy, duties=("管理者",)),
        ),
        outside_hours=OutsideHours(hours=24, reason="計測"),
        change_password_at_first_login=False,
    )
    caller = system(code, "bootstrap", {"account.manage"})
    async with operation(fleet, caller, "access.bootstrap", purpose="計測", right="account.manage") as op:
        made = await bootstrap(op.work, people)
    secret = next(s for s in made.operators if s.login == "clerk")
    terminal = next(t.token for t in made.terminals if "counter" in t.functions)
    otp = pyotp.TOTP(secret.otp_secret).at(fleet.clock())
    opened = await audit.sign_in(fleet, code, Login(login_name="clerk", password=secret.password, otp=otp), terminal)
    return f"juki={opened.token}; juki-terminal={terminal}"


def _measure(config: Config, targets: list[tuple[str, str]], seconds: float) -> dict[str, Any]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = int(free.getsockname()[1])
    env = {k: v for k, v in os.environ.items() if not k.startswith("JUKI_")}
    env |= {f"JUKI_DSN_{login.upper()}": config.dsn(login) for login in LOGINS}
    env |= {"JUKI_HOME": config.home, "JUKI_KMS": config.kms_spec, "JUKI_COOKIE_SECURE": "false"}
    env |= {"JUKI_POOL_MAX": str(AT_ONCE)}
    command = [sys.executable, "-m", "juki", "serve", "--port", str(port)]
    process = subprocess.Popen(command, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        _wait(port)
        figures = {}
        for name, aims in (("static", [("/healthz", "")]), ("lookup", targets)):
            asyncio.run(_drive(port, aims, 0.5))
            before = _cpu(process.pid)
            rate, done = asyncio.run(_drive(port, aims, seconds))
            figures[name] = (rate, (_cpu(process.pid) - before) / done * 1e6)
    finally:
        process.terminate()
        process.wait(20)
    (static, static_cpu), (lookup, lookup_cpu) = figures["static"], figures["lookup"]
    return {
        "what": f"lookup over HTTP, {len(TENANTS)} tenants, {len(targets)} residents, {AT_ONCE} connections",
        "juki": round(lookup, 1),
        "unit": "requests/s",
        "peers": {"static JSON of the same server": round(static, 1)},
        "ratio": round(lookup / static, 3),
        "parts": {"server CPU us a lookup": round(lookup_cpu), "server CPU us a static answer": round(static_cpu)},
        "target": ">= 0.6 x static JSON",
        "holds": lookup >= 0.6 * static,
        "note": "four exchanges with the database a request (session, intent, reading, outcome), two of them durable; all "
        "but the reading are shared with whoever comes at the same moment; client, server and database share the cores; "
        "the bottleneck is Python's CPU in the driver (one send and one poll per command) and around the handler",
        "versions": {name: version(name) for name in ("litestar", "granian", "psycopg")},
    }


def _wait(port: int) -> None:
    for _ in range(300):
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz", timeout=1):
                return
        except OSError:
            time.sleep(0.1)
    raise RuntimeError("the server did not start")


def _cpu(pid: int) -> float:
    """CPU seconds of the server and its workers, as the kernel counts them."""
    ticks, family = 0, {pid}
    for stat in sorted(Path("/proc").glob("[0-9]*/stat"), key=lambda path: int(path.parent.name)):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue  # the process ended while we looked
        if int(stat.parent.name) == pid or int(fields[1]) in family:
            family.add(int(stat.parent.name))
            ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


async def _drive(port: int, targets: list[tuple[str, str]], seconds: float) -> tuple[float, int]:
    """Requests per second, and how many were answered."""
    ends = time.perf_counter() + seconds
    began = time.perf_counter()
    counts = await asyncio.gather(*(_connection(port, targets, n, ends) for n in range(AT_ONCE)))
    return sum(counts) / (time.perf_counter() - began), sum(counts)


async def _connection(port: int, targets: list[tuple[str, str]], start: int, ends: float) -> int:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    done, place = 0, start
    while time.perf_counter() < ends:
        path, cookies = targets[place % len(targets)]
        place += AT_ONCE
        lines = [f"GET {path} HTTP/1.1", f"host: 127.0.0.1:{port}", "juki-purpose: inquiry"]
        lines += [f"cookie: {cookies}"] if cookies else []
        writer.write(("\r\n".join(lines) + "\r\n\r\n").encode())
        head = await reader.readuntil(b"\r\n\r\n")
        if not head.startswith(b"HTTP/1.1 200"):
            raise RuntimeError(head.split(b"\r\n")[0].decode())
        length = next(int(line[15:]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
        await reader.readexactly(length)
        done += 1
    writer.close()
    return done
