"""移行の台帳: runs of an import and their chunks: what was begun, what is written, how it ended."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import Any, Final, LiteralString

import msgspec
import psycopg

from juki.audit import Operation
from juki.legacy.model import Counts, Report, Totals
from juki.legacy.store.statement import of_tenant
from juki.personal import Personal
from juki.problem import Conflict, Unavailable
from juki.tenancy import Tenant, take_lock
from juki.vault import TenantRing

CHUNK_BITS: Final = 20
RUN_LOCK: Final = 19293
"""First half of the advisory lock of an import under way; the second half is the municipality."""
_WORKER_LOCK: Final = 19292
_WORKERS_END_SECONDS: Final = 10.0


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """移行の実行: one extract through one layout into one tenant, however often it was interrupted."""

    run_no: int
    layout: str
    medium: str
    first_event: int
    first_measure: int
    first_code: int
    started_at: dt.datetime
    rows_total: int
    chunks_total: int
    ended: bool = False


class RunRow(Personal, frozen=True, kw_only=True):
    """What a new run is registered with."""

    layout: str
    layout_digest: str
    layout_found: str
    source_digest: str
    medium: str
    events: int
    measures: int
    codes: int
    rows_total: int
    chunks_total: int


async def find_run(op: Operation, source_digest: str, layout_digest: str) -> Run | None:
    """The run of this extract through this layout, if there was one."""
    row = await op.session.fetch_one(
        "SELECT r.run_no, r.layout, r.medium, r.first_event, r.first_measure, r.first_code, r.started_at, r.rows_total, "
        "r.chunks_total, EXISTS (SELECT 1 FROM {t}.import_end e WHERE e.run_no = r.run_no) FROM {t}.import_run r "
        "WHERE r.source_digest = %(source)s AND r.layout_digest = %(layout)s",
        {"source": source_digest, "layout": layout_digest},
    )
    return _run(row) if row else None


async def last_run(op: Operation) -> Run | None:
    """The newest run of this tenant."""
    row = await op.session.fetch_one(
        "SELECT r.run_no, r.layout, r.medium, r.first_event, r.first_measure, r.first_code, r.started_at, r.rows_total, "
        "r.chunks_total, EXISTS (SELECT 1 FROM {t}.import_end e WHERE e.run_no = r.run_no) FROM {t}.import_run r "
        "ORDER BY r.run_no DESC LIMIT 1"
    )
    return _run(row) if row else None


def _run(row: Sequence[Any]) -> Run:
    names = ("run_no", "layout", "medium", "first_event", "first_measure", "first_code", "started_at", "rows_total")
    return Run(**dict(zip((*names, "chunks_total", "ended"), row, strict=True)))


async def add_run(op: Operation, new: RunRow) -> Run:
    """Register a run and set its numbers aside, so that a run that is interrupted numbers the same rows the same."""
    run_no = (await _draw(op, "import_seq", 1))[0]
    run = Run(
        run_no=run_no,
        layout=new.layout,
        medium=new.medium,
        first_event=await _draw_block(op, "event_seq", new.events),
        first_measure=await _draw_block(op, "measure_seq", new.measures),
        first_code=await _draw_block(op, "code_stock_seq", new.codes),
        started_at=op.now,
        rows_total=new.rows_total,
        chunks_total=new.chunks_total,
    )
    await op.session.execute(
        "INSERT INTO {t}.import_run (run_no, layout, layout_digest, source_digest, medium, started_at, started_by, op_no, "
        "first_event, first_measure, first_code, rows_total, chunks_total, layout_found) VALUES (%(run_no)s, %(layout)s, "
        "%(layout_digest)s, %(source_digest)s, %(medium)s, %(started_at)s, %(started_by)s, %(op_no)s, %(first_event)s, "
        "%(first_measure)s, %(first_code)s, %(rows_total)s, %(chunks_total)s, %(layout_found)s)",
        {
            **{name: getattr(run, name) for name in run.__struct_fields__ if name != "ended"},
            "layout_digest": new.layout_digest,
            "layout_found": new.layout_found,
            "source_digest": new.source_digest,
            "started_by": op.caller.actor_id,
            "op_no": op.op_no,
        },
    )
    return run


async def _draw(op: Operation, sequence: LiteralString, count: int) -> list[int]:
    rows = await op.session.fetch(
        "SELECT nextval('{t}." + sequence + "') FROM generate_series(1, %(count)s)", {"count": count}
    )
    return [row[0] for row in rows]


async def _draw_block(op: Operation, sequence: LiteralString, count: int) -> int:
    """First of `count` numbers in a row; staff may draw at the same time, so a block with a gap is thrown away."""
    for _ in range(8):
        row = await op.session.fetch_one(
            "SELECT min(n), max(n) FROM (SELECT nextval('{t}." + sequence + "') AS n "
            "FROM generate_series(1, %(count)s)) AS drawn",
            {"count": max(1, count)},
        )
        if row and row[1] - row[0] == max(1, count) - 1:
            return row[0]
    raise Unavailable("legacy.numbers_busy", "numbers are being drawn too fast", remedy="try again in a moment")


async def end_run(op: Operation, run: Run, report: Report) -> None:
    """Write the report of a run; a second end of the same run is the same end."""
    await op.session.execute(
        "INSERT INTO {t}.import_end (run_no, balanced, report, ended_at, ended_by, op_no) VALUES (%(run_no)s, "
        "%(balanced)s, %(report)s, %(ended_at)s, %(ended_by)s, %(op_no)s) ON CONFLICT DO NOTHING",
        {
            "run_no": run.run_no,
            "balanced": report.balanced,
            "report": msgspec.json.encode(report).decode(),
            "ended_at": op.now,
            "ended_by": op.caller.actor_id,
            "op_no": op.op_no,
        },
    )


async def read_report(op: Operation, run_no: int) -> Report | None:
    """The report of an ended run."""
    row = await op.session.fetch_one("SELECT report FROM {t}.import_end WHERE run_no = %(run_no)s", {"run_no": run_no})
    return msgspec.convert(row[0], Report) if row else None


def done_chunks(
    connection: psycopg.Connection[Any], tenant: Tenant, ring: TenantRing, run: Run, digest_format: int
) -> set[int]:
    """Chunks that are written, by number.

    Conflict `legacy.other_release` where one of them carries control totals of another format: added to those of this
    release they would say nothing, and the run would end as out of balance for no fault of its data.
    """
    rows = connection.execute(
        of_tenant("SELECT chunk_no, chunk_key, totals_sealed FROM {t}.import_chunk WHERE run_no = %(run)s", tenant),
        {"run": run.run_no},
    ).fetchall()
    connection.rollback()
    for _, key, sealed in rows:
        if ring.open("import_chunk", "totals", str(key), 1, sealed, Totals).format != digest_format:
            raise Conflict(
                "legacy.other_release",
                "this import was begun by a release that totals otherwise; nothing was written",
                remedy="end it with the release that began it, or begin anew in a register restored to before it",
                run_no=run.run_no,
            )
    return {row[0] for row in rows}


def hold_run(connection: psycopg.Connection[Any], tenant: Tenant) -> None:
    """One import of a tenant at a time, as long as the connection lives. Conflict `legacy.running`.

    Workers of an import that was killed end with it, but not in the same instant; they are waited for.
    """
    if not take_lock(connection, RUN_LOCK, int(tenant.code)) or not take_lock(
        connection, _WORKER_LOCK, int(tenant.code), patience=_WORKERS_END_SECONDS
    ):
        connection.rollback()
        raise _running()
    connection.execute("SELECT pg_advisory_unlock(%s, %s)", (_WORKER_LOCK, int(tenant.code)))
    connection.rollback()


def hold_worker(connection: psycopg.Connection[Any], tenant: Tenant) -> None:
    """Say that a worker is at it, as long as the connection lives."""
    connection.execute("SELECT pg_advisory_lock_shared(%s, %s)", (_WORKER_LOCK, int(tenant.code)))
    connection.rollback()


def _running() -> Conflict:
    return Conflict("legacy.running", "another import of this municipality is under way", remedy="wait for it to end")


def chunk_totals(
    connection: psycopg.Connection[Any], tenant: Tenant, ring: TenantRing, run: Run
) -> tuple[Counts, Totals]:
    """Counts and control totals over all chunks written so far."""
    rows = connection.execute(
        of_tenant("SELECT chunk_key, counts, totals_sealed FROM {t}.import_chunk WHERE run_no = %(run)s", tenant),
        {"run": run.run_no},
    ).fetchall()
    connection.rollback()
    counts, totals = Counts(), Totals()
    for key, one, sealed in rows:
        counts.add(msgspec.convert(one, Counts))
        totals = totals.plus(ring.open("import_chunk", "totals", str(key), 1, sealed, Totals))
    return counts, totals
