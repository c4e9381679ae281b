"""T13: the log. Durable leaves a second through the real operation path and in bulk, lag of the head, time of a proof.

Everything runs on a server of its own with fsync on, in this process plus the server, so both share the cores. Peers:
the same number of commits as plain INSERTs without sealing, hashing or roles (what an unprotected log table costs), and
the fsync floor of the same server: commits of one byte, one after the other and sixteen at a time.
"""

from __future__ import annotations

import asyncio
import hashlib
import statistics
import tempfile
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

import psycopg

from juki import audit
from juki.access.model import Caller
from juki.audit import log_store, merkle
from juki.config import LOGINS, Config, Login
from juki.tenancy import Fleet, add, connect, prepare_control, read_file
from juki.tenancy.local import LocalServer
from juki.tenancy.logins import login_dsn, prepare
from juki.vault import open_kms

ROOT = Path(__file__).resolve().parents[2]
IWAKI = "072044"
TARGET_LEAVES_PER_S = 20_000
AT_ONCE = 16


def run(quick: bool) -> dict[str, Any]:
    """The figures of T13."""
    with tempfile.TemporaryDirectory(prefix="juki-bench-audit-") as folder:
        home = Path(folder)
        home.chmod(0o755)
        server = LocalServer(home / "server", durable=True)
        server.start()
        try:
            config = _prepared(server.admin_dsn, home)
            measured = asyncio.run(_measure(config, server.admin_dsn, quick=quick))
        finally:
            server.stop()
    return {"T13": _entry(measured)}


def _prepared(admin_dsn: str, home: Path) -> Config:
    passwords: dict[Login, str] = {login: hashlib.sha256(login.encode()).hexdigest() for login in LOGINS}
    prepare(admin_dsn, "juki_bench_audit", passwords)
    dsns = {f"dsn_{login}": login_dsn(admin_dsn, "juki_bench_audit", login, passwords[login]) for login in LOGINS}
    config = Config(home=str(home), kms=f"local:{home / 'kms'}", pool_max=AT_ONCE, **dsns)
    with connect(config, "deploy") as deploy:
        prepare_control(deploy)
        add(deploy, open_kms(config.kms_spec), read_file(ROOT / "tenants" / "072044-iwaki.toml"), actor="bench")
    return config


async def _measure(config: Config, admin_dsn: str, *, quick: bool) -> dict[str, Any]:
    seconds, bulk = (2.0, 60_000) if quick else (20.0, 1_000_000)
    fleet = await Fleet.open(config)
    try:
        await _operations(fleet, 0.5, 4)  # connections, prepared statements, key of the month
        alone = await _operations(fleet, seconds, 1)
        reading, lag, cpu_us = await _with_keeper(fleet, seconds)
        writing = await _operations(fleet, seconds, AT_ONCE * 2, write=True)
        rows_per_s = await _bulk(fleet, bulk)
        placed_per_s, placed = await _place(fleet)
        proof_read_ms, proof_check_us = await _proofs(fleet)
    finally:
        await fleet.close()
    return {
        "alone": alone, "reading": reading, "writing": writing, "lag_s": lag, "cpu_us": cpu_us, "bulk": rows_per_s,
        "placing": placed_per_s, "placed": placed, "proof_read_ms": proof_read_ms, "proof_check_us": proof_check_us,
        "plain": await _plain(admin_dsn, seconds, AT_ONCE), "floor_1": await _floor(admin_dsn, seconds, 1),
        "floor_16": await _floor(admin_dsn, seconds, AT_ONCE), "pg": _server_version(admin_dsn),
    }  # fmt: skip


async def _operations(fleet: Fleet, seconds: float, workers: int, *, write: bool = False) -> float:
    """Durable leaves a second: whole operations on one person each, intent and outcome committed."""
    who = Caller(tenant=IWAKI, actor_id="op-bench", terminal_id="IWK-HON-01", rights=frozenset({"resident.read"}))
    done = 0
    end = time.perf_counter() + seconds

    async def work(number: int) -> None:
        nonlocal done
        while time.perf_counter() < end:
            async with audit.operation(
                fleet, who, "resident.read", purpose="窓口での照会", right="resident.read", write=write
            ) as op:
                op.touch(f"{number:010d}")
            done += 2

    began = time.perf_counter()
    await asyncio.gather(*(work(n) for n in range(workers)))
    return done / (time.perf_counter() - began)


async def _with_keeper(fleet: Fleet, seconds: float) -> tuple[float, float, float]:
    """Operations while heads are signed and copied as in service: leaves a second, worst age of an unplaced row, CPU."""
    keeper = asyncio.create_task(audit.keep(fleet))
    ages: list[float] = []

    async def watch() -> None:
        while True:
            await asyncio.sleep(0.2)
            async with fleet.session(IWAKI, write=False) as session:
                row = await session.fetch_one(
                    "SELECT extract(epoch FROM clock_timestamp() - min(r.at)) FROM {t}.audit_row r"
                    " WHERE r.at > now() - interval '20 seconds' AND NOT EXISTS"
                    " (SELECT FROM {t}.audit_leaf l WHERE l.op_no = r.op_no AND l.part = r.part)"
                )
            if row and row[0] is not None:
                ages.append(float(row[0]))

    await asyncio.sleep(1.2)  # what lay there before is placed first
    watcher = asyncio.create_task(watch())
    began, spent = time.perf_counter(), time.process_time()
    rate = await _operations(fleet, seconds, AT_ONCE * 2)
    operations = rate * (time.perf_counter() - began) / 2
    cpu_us = (time.process_time() - spent) / operations * 1e6
    for task in (watcher, keeper):
        task.cancel()
    await asyncio.gather(watcher, keeper, return_exceptions=True)
    return rate, max(ages, default=0.0), cpu_us


async def _bulk(fleet: Fleet, count: int) -> float:
    """Sealed disclosure rows a second of one export over many persons, committed."""
    who = Caller(tenant=IWAKI, actor_id="op-bench", terminal_id="IWK-HON-01")
    began = time.perf_counter()
    async with audit.operation(fleet, who, "export.run", purpose="書出し") as op:
        for number in range(count):
            op.disclose(f"{number:010d}", ["氏名", "住所"], to="市", basis="条例", medium="ファイル")
    return count / (time.perf_counter() - began)


async def _place(fleet: Fleet) -> tuple[float, int]:
    """Leaves a second of the sequencer: hash, place, grow the tree, sign, commit."""
    began = time.perf_counter()
    made = await audit.checkpoint(fleet, IWAKI)
    return made.added / (time.perf_counter() - began), made.size


async def _proofs(fleet: Fleet) -> tuple[float, float]:
    """Median milliseconds to read an inclusion proof, median microseconds to check it."""
    reads: list[float] = []
    checks: list[float] = []
    async with fleet.session(IWAKI, write=False) as session:
        rows = await session.fetch(
            "SELECT op_no, part FROM {t}.audit_leaf WHERE leaf_no % 997 = 3 ORDER BY leaf_no LIMIT 60"
        )
        for op_no, part in rows:
            began = time.perf_counter()
            proof = await audit.prove_inclusion(session, op_no, part)
            read = time.perf_counter()
            held = merkle.verify_inclusion(proof.leaf_hash, proof.leaf_no, proof.size, proof.hashes, proof.root)
            checks.append(time.perf_counter() - read)
            reads.append(read - began)
            if not held:
                raise RuntimeError("a proof did not hold")
        assert (await log_store.head(session)).size > 0
    return statistics.median(reads) * 1e3, statistics.median(checks) * 1e6


async def _plain(admin_dsn: str, seconds: float, workers: int) -> float:
    """Rows a second of the same shape as plain INSERTs, one commit each, two rows an operation."""
    with psycopg.connect(admin_dsn, autocommit=True) as admin:
        admin.execute("CREATE TABLE plain_log (id bigserial PRIMARY KEY, action text, at timestamptz, body bytea)")
    body = b"x" * 180

    async def insert(connection: psycopg.AsyncConnection[Any]) -> None:
        await connection.execute(
            "INSERT INTO plain_log (action, at, body) VALUES ('resident.read', now(), %s)", (body,)
        )

    return await _commits(admin_dsn, seconds, workers, insert)


async def _floor(admin_dsn: str, seconds: float, workers: int) -> float:
    """Commits a second of one byte: what the disk and the server's commit allow."""
    with psycopg.connect(admin_dsn, autocommit=True) as admin:
        admin.execute(f"CREATE TABLE floor_{workers} (b bool)")  # pyright: ignore

    async def insert(connection: psycopg.AsyncConnection[Any]) -> None:
        await connection.execute(f"INSERT INTO floor_{workers} VALUES (true)")  # pyright: ignore

    return await _commits(admin_dsn, seconds, workers, insert)


async def _commits(admin_dsn: str, seconds: float, workers: int, insert: Any) -> float:
    done = 0
    end = time.perf_counter() + seconds

    async def work() -> None:
        nonlocal done
        async with await psycopg.AsyncConnection.connect(admin_dsn, autocommit=True) as connection:
            while time.perf_counter() < end:
                await insert(connection)
                done += 1

    began = time.perf_counter()
    await asyncio.gather(*(work() for _ in range(workers)))
    return done / (time.perf_counter() - began)


def _server_version(admin_dsn: str) -> str:
    with psycopg.connect(admin_dsn) as admin:
        row = admin.execute("SHOW server_version").fetchone()
    return str(row[0]) if row else "?"


def _entry(m: dict[str, Any]) -> dict[str, Any]:
    note = (
        f"{m['reading']:.0f} leaves/s through whole reading operations, 32 at once, heads signed beside: "
        f"{m['reading'] / m['floor_16']:.1f} x the one-byte commits, since operations share commits; {m['cpu_us']:.0f} us"
        f" of CPU an operation is the bound of one process; {m['alone']:.0f} one at a time, two commits each:"
        f" {m['alone'] / m['floor_1']:.2f} x the floor; {m['writing']:.0f} with writing transactions; sealed rows in bulk"
        f" {m['bulk']:.0f}/s; sequencer {m['placing']:.0f} leaves/s over {m['placed']} leaves; head at most"
        f" {m['lag_s']:.2f} s behind; proof read {m['proof_read_ms']:.2f} ms, checked {m['proof_check_us']:.0f} us"
    )
    holds = m["bulk"] >= TARGET_LEAVES_PER_S and m["lag_s"] <= 1.0 and m["proof_check_us"] <= 1000
    return {
        "juki": round(m["bulk"]),
        "unit": "durable leaves/s (bulk)",
        "operation_leaves_per_s": round(m["reading"]),
        "operation_leaves_per_s_alone": round(m["alone"]),
        "operation_leaves_per_s_writing": round(m["writing"]),
        "sequenced_leaves_per_s": round(m["placing"]),
        "checkpoint_lag_s": round(m["lag_s"], 3),
        "operation_cpu_us": round(m["cpu_us"]),
        "proof_check_us": round(m["proof_check_us"], 1),
        "peers": {
            "plain INSERT, one commit a row, 16 at once": round(m["plain"]),
            "one-byte commits, 1 at once": round(m["floor_1"]),
            "one-byte commits, 16 at once": round(m["floor_16"]),
        },
        "ratio": round(m["reading"] / m["plain"], 2),
        "target": "20k durable leaves/s, head <= 1 s behind, proof check <= 1 ms",
        "holds": holds and m["reading"] >= TARGET_LEAVES_PER_S,
        "note": note,
        "versions": {"postgresql": m["pg"], "psycopg": version("psycopg"), "cryptography": version("cryptography")},
    }
