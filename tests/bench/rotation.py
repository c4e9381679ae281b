"""T12, T14: how fast every process forgets a municipality, and what re-keying costs beside the bare work of its ciphers."""

from __future__ import annotations

import asyncio
import hashlib
import resource
import tempfile
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

import psycopg

from juki.config import LOGINS, Config, Login
from juki.tenancy import Fleet, add, bulk, connect, enter_write, prepare_control, read_file, rotate_root
from juki.tenancy.local import LocalServer
from juki.tenancy.logins import login_dsn, prepare
from juki.tenancy.presence import order
from juki.vault import TenantRing, open_kms

ROOT = Path(__file__).resolve().parents[2]
CODE = "072044"
GROUPS = ("basic", "address", "domicile", "notes")
SEALED = tuple(("resident_version", group, "atena_no", "version_no", f"{group}_sealed") for group in GROUPS)
CONTENT = bytes(range(256))
PROCESSES = 4


def run(quick: bool) -> dict[str, Any]:
    """The figures of T12 and T14."""
    with tempfile.TemporaryDirectory(prefix="juki-bench-rotation-") as folder:
        home = Path(folder)
        home.chmod(0o755)
        server = LocalServer(home / "server", durable=True)
        server.start()
        try:
            config = _prepared(server.admin_dsn, home)
            with psycopg.connect(server.admin_dsn) as admin:
                shown = str(admin.info.server_version // 10000)
            versions = {"PostgreSQL": shown, "cryptography": version("cryptography"), "psycopg": version("psycopg")}
            return asyncio.run(_measure(config, 20_000 if quick else 1_000_000, versions))
        finally:
            server.stop()


def _prepared(admin_dsn: str, home: Path) -> Config:
    passwords: dict[Login, str] = {login: hashlib.sha256(login.encode()).hexdigest() for login in LOGINS}
    prepare(admin_dsn, "juki_bench_rotation", passwords)
    dsns = {f"dsn_{login}": login_dsn(admin_dsn, "juki_bench_rotation", login, passwords[login]) for login in LOGINS}
    config = Config(home=str(home), kms=f"local:{home / 'kms'}", **dsns)
    with connect(config, "deploy") as deploy:
        prepare_control(deploy)
        add(deploy, open_kms(config.kms_spec), read_file(ROOT / "tenants" / "072044-iwaki.toml"), actor="bench")
    return config


async def _measure(config: Config, rows: int, versions: dict[str, str]) -> dict[str, Any]:
    fleets = [await Fleet.open(config) for _ in range(PROCESSES)]
    try:
        rings = [await fleet.keyring.get(CODE) for fleet in fleets]
        tenant = await fleets[0].tenant(CODE)
        await asyncio.to_thread(_fill, fleets[0], tenant, rings[0], rows)
        bare = _bare(rings[0], rows)
        del rings
        rekeyed, cpu = await asyncio.to_thread(_rekey, config)
        forgotten = await _forget(config, fleets)
    finally:
        for fleet in fleets:
            await fleet.close()
    return {"T12": _t12(forgotten, config, versions), "T14": _t14(rows, bare, rekeyed, cpu, versions)}


def _fill(fleet: Fleet, tenant: Any, ring: TenantRing, rows: int) -> None:
    with bulk(fleet, CODE) as connection:
        enter_write(connection, tenant)
        with connection.cursor().copy(
            f"COPY {tenant.schema}.resident_version (atena_no, version_no, event_no, setai_no, member_order, is_head, status,"  # pyright: ignore[reportArgumentType, reportCallIssue]
            " kind, valid_from, known_from, basic_sealed, address_sealed, domicile_sealed, notes_sealed) FROM STDIN"
        ) as copy:
            for number in range(rows):
                key = f"{number:010d}"
                sealed = [ring.seal("resident_version", group, key, 1, CONTENT) for group in GROUPS]
                copy.write_row((key, 1, 1, key, 1, True, "resident", "japanese", "2026-01-01", "2026-01-01", *sealed))
        connection.commit()


def _bare(ring: TenantRing, rows: int) -> float:
    """Seconds of opening and sealing the same values with no database: the floor of any re-keying in Python."""
    sealed = [ring.seal("resident_version", group, "k", 1, CONTENT) for group in GROUPS]
    began = time.process_time()
    for _ in range(rows):
        for group, value in zip(GROUPS, sealed, strict=True):
            ring.seal("resident_version", group, "k", 1, ring.open("resident_version", group, "k", 1, value, bytes))
    return time.process_time() - began


def _rekey(config: Config) -> tuple[float, float]:
    """Seconds on the wall, and core-seconds of this process, for a whole rotation."""
    before = resource.getrusage(resource.RUSAGE_SELF)
    began = time.monotonic()
    rotate_root(config, open_kms(config.kms_spec), CODE, actor="bench", sealed=SEALED, tell=lambda _: None)
    after = resource.getrusage(resource.RUSAGE_SELF)
    return time.monotonic() - began, (after.ru_utime + after.ru_stime) - (before.ru_utime + before.ru_stime)


async def _forget(config: Config, fleets: list[Fleet]) -> float:
    """Seconds until the last holder of keys has answered that it wiped them."""
    for fleet in fleets:
        await fleet.keyring.get(CODE)

    def give() -> float:
        with connect(config, "deploy", autocommit=True) as connection:
            return order(connection, CODE, "erase").seconds

    return await asyncio.to_thread(give)


def _t12(seconds: float, config: Config, versions: dict[str, str]) -> dict[str, Any]:
    return {
        "juki": round(seconds * 1000, 1), "unit": f"ms until {PROCESSES} holders of keys have wiped them and said so",
        "peers": {"waiting one time-to-live": config.key_ttl_seconds * 1000},
        "ratio": seconds / config.key_ttl_seconds, "versions": versions, "target": "<= 1000 ms",
        "holds": seconds <= 1.0, "note": "a restored backup that stays shut is shown by tests/offboarding and by the demo",
    }  # fmt: skip


def _t14(rows: int, bare: float, wall: float, cpu: float, versions: dict[str, str]) -> dict[str, Any]:
    per_million = cpu * 1_000_000 / rows
    return {
        "juki": round(per_million, 1), "unit": f"core-seconds of the client for 1M residents ({len(GROUPS)} groups each)",
        "peers": {"ciphers alone, no database": round(bare * 1_000_000 / rows, 1)},
        "ratio": cpu / bare, "versions": versions, "target": "<= 30 core-seconds",
        "holds": per_million <= 30, "note": f"{rows:,} residents in {wall:.1f} s on the wall; the server's share is not in it",
    }  # fmt: skip
