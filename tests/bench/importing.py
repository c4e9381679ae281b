"""T9: an incumbent's extract into the register by one process, every check on, against what the server could take at best.

juki: residents a second from opening the files to the balanced report (survey, decoding, character identification,
rules, household checks, sealing, blind indexes, original bytes, binary COPY, everything read back and compared).
Peers: binary COPY of the very same rows prepared beforehand into the same tables with their indexes (the floor), and
the same rows by executemany. Both take the rows as they are: no reading, no sealing, no checking; those of the floor are
packed into the COPY format before the clock starts.
"""

from __future__ import annotations

import asyncio
import hashlib
import tempfile
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

import psycopg
from psycopg import sql
from tests.legacy.media import imported

from juki.access.model import system
from juki.config import LOGINS, Config, Login
from juki.dates import today_in_japan
from juki.legacy import layout
from juki.legacy.model import Report
from juki.legacy.plan import Plan
from juki.legacy.store.binary import Columns
from juki.legacy.store.chunk import COLUMNS, chunk_columns, copy_table, packed
from juki.legacy.store.ledger import Run
from juki.peers import generate
from juki.registry.index import by_row
from juki.tenancy import Fleet, Tenant, add, bulk, connect, prepare_control, read_file, system_clock
from juki.tenancy.local import LocalServer
from juki.tenancy.logins import login_dsn, prepare
from juki.vault import open_kms

ROOT: Final = Path(__file__).resolve().parents[2]
IWAKI: Final = "072044"
TARGET: Final = 15_000
DATABASES: Final = ("juki_bench_import", "juki_bench_copy", "juki_bench_insert")


def run(quick: bool) -> dict[str, Any]:
    """The figures of T9."""
    residents = 15_000 if quick else 300_000
    with tempfile.TemporaryDirectory(prefix="juki-bench-import-", ignore_cleanup_errors=True) as folder:
        home = Path(folder)
        home.chmod(0o755)
        generate(IWAKI, home / "extract", residents=residents, seed=5, as_of=today_in_japan(system_clock()))
        server = LocalServer(home / "server", durable=True)
        server.start()
        try:
            return {"T9": asyncio.run(_measure(server, home, min(residents, 6_000)))}
        finally:
            server.stop()


def _config(server: LocalServer, database: str, home: Path) -> Config:
    passwords: dict[Login, str] = {login: hashlib.sha256(login.encode()).hexdigest() for login in LOGINS}
    prepare(server.admin_dsn, database, passwords)
    dsns = {f"dsn_{login}": login_dsn(server.admin_dsn, database, login, passwords[login]) for login in LOGINS}
    config = Config(home=str(home), kms=f"local:{home / 'kms' / database}", **dsns)
    with connect(config, "deploy") as deploy:
        prepare_control(deploy)
        add(deploy, open_kms(config.kms_spec), read_file(ROOT / "tenants" / "072044-iwaki.toml"), actor="bench")
    return config


async def _measure(server: LocalServer, home: Path, inserted: int) -> dict[str, Any]:
    configs = [_config(server, name, home) for name in DATABASES]
    report, whole, writing, processor = await _import(configs[0], home / "extract")
    copied = await _copy(configs[1], home / "extract")
    inserting = await _insert(configs[2], home / "extract", inserted)
    residents = report.counts.residents
    return {
        "juki": round(residents / whole),
        "unit": "residents/s",
        "peers": {"COPY floor": round(copied), "executemany": round(inserting)},
        "ratio": round(residents / whole / copied, 3),
        "target": f">= {TARGET:,} residents/s per process",
        "holds": residents / whole >= TARGET,
        "note": (
            f"{residents:,} residents in {report.counts.versions:,} versions; {residents / writing:,.0f}/s without reading "
            f"everything back; balanced {report.balanced}; {processor / residents * 1e6:,.0f} us of this process's own time a "
            "resident: the bottleneck is one Python process judging, sealing and indexing rows of 106 items"
        ),
        "versions": {
            "psycopg": version("psycopg"), "cryptography": version("cryptography"), "PostgreSQL": _server(configs[0]),
        },
    }  # fmt: skip


async def _import(config: Config, folder: Path) -> tuple[Report, float, float, float]:
    """The report, seconds in all, seconds until the last chunk was written, and seconds of this process on a processor."""
    fleet = await Fleet.open(config)
    written = [0.0]

    def progress(done: int, total: int, seconds: float) -> None:
        written[0] = time.perf_counter() - began

    try:
        began, spent = time.perf_counter(), time.process_time()
        report = await imported(fleet, system(IWAKI, "bench", ("import.run",)), folder, progress=progress)
        return report, time.perf_counter() - began, written[0], time.process_time() - spent
    finally:
        await fleet.close()


async def _prepared(fleet: Fleet, folder: Path, limit: int = 0) -> tuple[Tenant, list[dict[str, Columns]], int]:
    """Rows of every chunk, sealed and indexed beforehand."""
    tenant = await fleet.tenant(IWAKI)
    ring = await fleet.keyring.get(IWAKI)
    now = fleet.clock()
    chunks: list[dict[str, Columns]] = []
    residents = 0
    run = Run(
        run_no=1, layout="", medium="x", first_event=1, first_measure=1, first_code=1, started_at=now, rows_total=0,
        chunks_total=0,
    )  # fmt: skip
    today = today_in_japan(now)
    with Plan(folder, layout.load("cp932-fixed"), tenant=IWAKI, resident_code_rule="mod11-w2to7", today=today) as plan:
        place = {file.name: number for number, file in enumerate(plan.source.files)}
        for number in range(plan.chunks):
            result = plan.chunk(number)
            residents += result.counts.residents
            chunks.append(chunk_columns(ring, run, number, result, place, plan.survey.first_of_kind))
            if limit and residents >= limit:
                break
    return tenant, chunks, residents


async def _copy(config: Config, folder: Path) -> float:
    """Residents a second when nothing is left to do but COPY."""
    fleet = await Fleet.open(config)
    try:
        tenant, chunks, residents = await _prepared(fleet, folder)
        with bulk(fleet, IWAKI) as connection:
            ready = [{table: packed(table, columns) for table, columns in tables.items()} for tables in chunks]
            began = time.perf_counter()
            for tables in ready:
                with connection.transaction():
                    for table, rows in tables.items():
                        copy_table(connection, tenant, table, rows)
            return residents / (time.perf_counter() - began)
    finally:
        await fleet.close()


async def _insert(config: Config, folder: Path, limit: int) -> float:
    """Residents a second by executemany in pipeline mode, the usual way."""
    fleet = await Fleet.open(config)
    try:
        tenant, chunks, residents = await _prepared(fleet, folder, limit)
        with bulk(fleet, IWAKI) as connection:
            began = time.perf_counter()
            for tables in chunks:
                with connection.transaction(), connection.cursor() as cursor:
                    for table, columns in tables.items():
                        if columns:
                            cursor.executemany(_statement(tenant, table), by_row(columns))
            return residents / (time.perf_counter() - began)
    finally:
        await fleet.close()


def _statement(tenant: Tenant, table: str) -> sql.Composed:
    columns = COLUMNS[table]
    return sql.SQL("INSERT INTO {} ({}) VALUES ({})").format(
        sql.Identifier(tenant.schema, table),
        sql.SQL(", ").join(sql.Identifier(name) for name in columns),
        sql.SQL(", ").join(sql.Placeholder() for _ in columns),
    )


def _server(config: Config) -> str:
    with psycopg.connect(config.dsn("registry")) as connection:
        row = connection.execute("SHOW server_version").fetchone()
    return str(row[0]) if row else ""
