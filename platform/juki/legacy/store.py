"""移行の保管: sealing and COPY of a chunk, the ledger of runs, the work list. One chunk is one transaction."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final, LiteralString, NamedTuple

import msgspec
import psycopg
from psycopg import sql

from juki.audit import Operation
from juki.legacy.assemble import measure_of
from juki.legacy.judge import Taken
from juki.legacy.model import Counts, Entry, Outcome, Report, Totals, WorkItem
from juki.legacy.original import restore, shorten
from juki.legacy.plan import ChunkResult, Packed
from juki.legacy.survey import Place
from juki.personal import Personal
from juki.problem import Conflict, Unavailable
from juki.registry import COPY_COLUMNS, COPY_TYPES, copy_rows, event_row, subject_rows, to_index
from juki.registry.model import MIGRATION, Event, Measure, MeasureState, Record, SupportMeasure
from juki.tenancy import Tenant, enter_write
from juki.vault import TenantRing

Rows = list[tuple[object, ...]]

_ORIGINAL: Final = ("original_no", "run_no", "file", "line", "atena_no", "version_no", "raw_sealed")
_REJECT: Final = ("entry_no", "run_no", "outcome", "file", "line", "item", "value_class", "reason", "raw_sealed")
_MEASURE: Final = ("measure_no", "version_no", "state", "ends_on", "known_from", "entered_by", "measure_sealed")
_STOCK: Final = ("stock_no", "added_at", "added_by", "code_sealed")
_SUBJECT: Final = ("subject_fp", "measure_no")
COLUMNS: Final[dict[str, tuple[str, ...]]] = {
    **COPY_COLUMNS,
    "support_measure": _MEASURE,
    "support_subject_a": _SUBJECT,
    "support_subject_b": _SUBJECT,
    "resident_code_stock": _STOCK,
    "import_original": _ORIGINAL,
    "import_reject": _REJECT,
}
_TYPES: Final[dict[str, tuple[str, ...]]] = {
    **COPY_TYPES,
    "support_measure": ("int8", "int4", "text", "date", "timestamptz", "text", "bytea"),
    "support_subject_a": ("bytea", "int8"),
    "support_subject_b": ("bytea", "int8"),
    "resident_code_stock": ("int8", "timestamptz", "text", "bytea"),
    "import_original": ("int8", "int8", "text", "int4", "text", "int4", "bytea"),
    "import_reject": ("int8", "int8", "text", "text", "int4", "text", "text", "text", "bytea"),
}
_LINE_BITS: Final = 32
_FILE_BITS: Final = 8
_ENTRY_BITS: Final = 20
_CHUNK_BITS: Final = 20


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
        "first_event, first_measure, first_code, rows_total, chunks_total) VALUES (%(run_no)s, %(layout)s, "
        "%(layout_digest)s, %(source_digest)s, %(medium)s, %(started_at)s, %(started_by)s, %(op_no)s, %(first_event)s, "
        "%(first_measure)s, %(first_code)s, %(rows_total)s, %(chunks_total)s)",
        {
            **{name: getattr(run, name) for name in run.__struct_fields__ if name != "ended"},
            "layout_digest": new.layout_digest,
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


# --- one chunk ----------------------------------------------------------------------------------------------------


def done_chunks(connection: psycopg.Connection[Any], tenant: Tenant, run: Run) -> set[int]:
    """Chunks that are written, by number."""
    rows = connection.execute(
        _sql("SELECT chunk_no FROM {t}.import_chunk WHERE run_no = %(run)s", tenant), {"run": run.run_no}
    ).fetchall()
    connection.rollback()
    return {row[0] for row in rows}


def hold_run(connection: psycopg.Connection[Any], tenant: Tenant) -> None:
    """One import of a tenant at a time, as long as the connection lives. Conflict `legacy.running`."""
    row = connection.execute("SELECT pg_try_advisory_lock(19278, %s)", (int(tenant.code),)).fetchone()
    connection.rollback()
    if row is None or not row[0]:
        raise Conflict(
            "legacy.running", "another import of this municipality is under way", remedy="wait for it to end"
        )


class ReadyChunk(NamedTuple):
    """A chunk sealed and indexed: what one transaction writes, the ledger row that says so included."""

    number: int
    tables: dict[str, Rows]
    key: int
    counts: str
    totals: bytes


def ready_chunk(
    ring: TenantRing,
    run: Run,
    number: int,
    result: ChunkResult,
    place: Mapping[str, int],
    first_row: Mapping[str, int],
) -> ReadyChunk:
    """Seal and index a chunk. `place` numbers the files, `first_row` is the first row number of each kind."""
    tables = chunk_rows(ring, run, number, result, place, first_row)
    key = (run.run_no << _CHUNK_BITS) | number
    totals = ring.seal("import_chunk", "totals", str(key), 1, result.totals)
    return ReadyChunk(number, tables, key, msgspec.json.encode(result.counts).decode(), totals)


def write_chunk(connection: psycopg.Connection[Any], tenant: Tenant, run: Run, chunk: ReadyChunk) -> None:
    """Everything one chunk comes to, and the ledger row that says so, in one transaction.

    Conflict `legacy.already_there` where a person of the extract is in the register already.
    """
    try:
        with connection.transaction():
            enter_write(connection, tenant)
            for table, rows in chunk.tables.items():
                copy_table(connection, tenant, table, rows)
            connection.execute(
                _sql(
                    "INSERT INTO {t}.import_chunk (chunk_key, run_no, chunk_no, counts, totals_sealed) "
                    "VALUES (%(key)s, %(run)s, %(chunk)s, %(counts)s, %(totals)s)",
                    tenant,
                ),
                {
                    "key": chunk.key,
                    "run": run.run_no,
                    "chunk": chunk.number,
                    "counts": chunk.counts,
                    "totals": chunk.totals,
                },
            )
    except psycopg.errors.UniqueViolation:
        raise Conflict(
            "legacy.already_there",
            "a row of this extract is in the register already; this chunk was not written",
            remedy="an extract is imported once, into a register that does not hold its people",
            chunk=chunk.number,
        ) from None
    except psycopg.errors.DiskFull:
        raise Unavailable(
            "legacy.disk_full", "the database has no room; chunks written so far stay", remedy="make room, run it again"
        ) from None
    except (psycopg.OperationalError, psycopg.InterfaceError):
        raise Unavailable(
            "db.gone", "the database does not answer; chunks written so far stay", remedy="run the same command again"
        ) from None


def copy_table(
    connection: psycopg.Connection[Any], tenant: Tenant, table: str, rows: Iterable[Sequence[object]]
) -> None:
    """COPY rows into one of the tables this slice may fill; an empty batch is no round trip."""
    batch = rows if isinstance(rows, list) else list(rows)
    if not batch:
        return
    columns = ", ".join(COLUMNS[table])
    query = sql.SQL("COPY {}.{} ({}) FROM STDIN (FORMAT BINARY)").format(
        sql.Identifier(tenant.schema),
        sql.Identifier(table),
        sql.SQL(", ").join(sql.Identifier(c.strip()) for c in columns.split(",")),
    )
    with connection.cursor().copy(query) as copy:
        copy.set_types(_TYPES[table])
        for row in batch:
            copy.write_row(row)


def chunk_rows(
    ring: TenantRing,
    run: Run,
    number: int,
    result: ChunkResult,
    place: Mapping[str, int],
    first_row: Mapping[str, int],
) -> dict[str, Rows]:
    """Table -> rows of a chunk, sealed and indexed, ready for COPY."""
    tables: dict[str, Rows] = {name: [] for name in COLUMNS}
    for person in _by_person(result.taken):
        _person_rows(ring, run, person, result.packed, tables, first_row["resident"])
    for taken in result.taken:
        if taken.measure is not None:
            measure_no = run.first_measure + taken.row - first_row["support"]
            measure_rows(ring, measure_of(taken.measure, measure_no, run.started_at), tables)
        tables["import_original"].append(_original(ring, run, place, taken.place, taken.atena_no, taken.version_no))
    for at, ordinal, code in result.codes:
        stock_no = run.first_code + ordinal
        sealed = ring.seal("resident_code_stock", "resident_code", str(stock_no), 1, code.encode())
        tables["resident_code_stock"].append((stock_no, run.started_at, MIGRATION.code, sealed))
        tables["import_original"].append(_original(ring, run, place, at, "", 0))
    tables["import_reject"] = [
        _reject(ring, run, (((run.run_no << _CHUNK_BITS) | number) << _ENTRY_BITS) | position, entry)
        for position, entry in enumerate(result.entries)
    ]
    return tables


def _by_person(taken: Sequence[Taken]) -> Iterator[list[Taken]]:
    """Versions of each person, oldest first; a person's rows stand together."""
    person: list[Taken] = []
    for row in taken:
        if row.incoming is None:
            continue
        if person and person[0].atena_no != row.atena_no:
            yield person
            person = []
        person.append(row)
    if person:
        yield person


def _person_rows(
    ring: TenantRing,
    run: Run,
    person: list[Taken],
    packed: Mapping[int, Packed],
    tables: dict[str, Rows],
    first_row: int,
) -> None:
    records: list[Record] = []
    groups: list[tuple[bytes | None, ...]] = []
    for taken in person:
        if taken.incoming is None:
            continue
        ready = packed[taken.row]
        event_no = run.first_event + taken.row - first_row
        records.append(msgspec.structs.replace(taken.incoming.record, event_no=event_no))
        groups.append(ready.groups)
        event: Event = msgspec.structs.replace(taken.incoming.event, event_no=event_no)
        tables["event"].append(event_row(ring, event, ready.detail))
    resident_rows(ring, records, tables, groups)


def resident_rows(
    ring: TenantRing,
    versions: Sequence[Record],
    tables: dict[str, Rows],
    packed: Sequence[tuple[bytes | None, ...] | None] = (),
) -> None:
    """Add the rows of one resident, every version: sealed, indexed where something to search by is new, numbers once.

    `packed` are the versions as `pack_record` encoded them, where they were encoded before.
    """
    indexed = {record.version_no for record in to_index(versions)} if len(versions) > 1 else {versions[0].version_no}
    numbers: dict[str, dict[tuple[object, ...], None]] = {}
    for record, groups in zip(versions, packed or (None,) * len(versions), strict=True):
        for table, rows in copy_rows(ring, record, indexed=record.version_no in indexed, packed=groups).items():
            if table.startswith("resident_number"):
                numbers.setdefault(table, {}).update(dict.fromkeys(rows))
            elif rows:
                tables.setdefault(table, []).extend(rows)
    for table, unique in numbers.items():
        tables.setdefault(table, []).extend(unique)


def measure_rows(ring: TenantRing, measure: Measure, tables: dict[str, Rows]) -> None:
    """Add the rows of one version of a 支援措置."""
    content = measure.content
    ends_on = content.provisional_until if measure.state is MeasureState.PROVISIONAL else content.ends_on
    sealed = ring.seal("support_measure", "support", str(measure.measure_no), measure.version_no, content)
    tables.setdefault("support_measure", []).append(
        (
            measure.measure_no,
            measure.version_no,
            measure.state.value,
            ends_on,
            measure.known_from,
            measure.entered_by,
            sealed,
        )
    )
    for slot, indexer in ring.write_indexes().items():
        tables.setdefault(f"support_subject_{slot}", []).extend(subject_rows(indexer, measure.measure_no, content))


def _original(
    ring: TenantRing, run: Run, place: Mapping[str, int], at: Place, atena_no: str, version_no: int
) -> tuple[object, ...]:
    number = (((run.run_no << _FILE_BITS) | place[at.file.name]) << _LINE_BITS) | at.line
    sealed = ring.seal("import_original", "raw", str(number), 1, shorten(at.raw()))
    return number, run.run_no, at.file.name, at.line, atena_no, version_no, sealed


def _reject(ring: TenantRing, run: Run, entry_no: int, entry: Entry) -> tuple[object, ...]:
    sealed = ring.seal("import_reject", "raw", str(entry_no), 1, shorten(entry.raw))
    fault = entry.fault
    return (
        entry_no,
        run.run_no,
        entry.outcome.value,
        entry.file,
        entry.line,
        fault.item,
        fault.value_class,
        fault.reason,
        sealed,
    )


def _sql(query: LiteralString, tenant: Tenant) -> sql.Composed:
    head, *rest = query.split("{t}")
    parts: list[sql.Composable] = [sql.SQL(head)]
    for part in rest:
        parts += [sql.Identifier(tenant.schema), sql.SQL(part)]
    return sql.Composed(parts)


# --- ledger and reading back --------------------------------------------------------------------------------------


def chunk_totals(
    connection: psycopg.Connection[Any], tenant: Tenant, ring: TenantRing, run: Run
) -> tuple[Counts, Totals]:
    """Counts and control totals over all chunks written so far."""
    rows = connection.execute(
        _sql("SELECT chunk_key, counts, totals_sealed FROM {t}.import_chunk WHERE run_no = %(run)s", tenant),
        {"run": run.run_no},
    ).fetchall()
    connection.rollback()
    counts, totals = Counts(), Totals()
    for key, one, sealed in rows:
        counts.add(msgspec.convert(one, Counts))
        totals = totals.plus(ring.open("import_chunk", "totals", str(key), 1, sealed, Totals))
    return counts, totals


def originals_kept(connection: psycopg.Connection[Any], tenant: Tenant, run: Run) -> dict[str, int]:
    """File -> rows whose original bytes are kept with a taken row."""
    rows = connection.execute(
        _sql("SELECT file, count(*) FROM {t}.import_original WHERE run_no = %(run)s GROUP BY file", tenant),
        {"run": run.run_no},
    ).fetchall()
    connection.rollback()
    return {row[0]: row[1] for row in rows}


def listed(connection: psycopg.Connection[Any], tenant: Tenant, run: Run) -> dict[str, int]:
    """Outcome -> rows on the work list of a run."""
    rows = connection.execute(
        _sql("SELECT outcome, count(*) FROM {t}.import_reject WHERE run_no = %(run)s GROUP BY outcome", tenant),
        {"run": run.run_no},
    ).fetchall()
    connection.rollback()
    return {row[0]: row[1] for row in rows}


def original_raw(
    connection: psycopg.Connection[Any], tenant: Tenant, ring: TenantRing, run: Run, file_no: int, line: int
) -> bytes | None:
    """The bytes of one row as they were kept."""
    number = (((run.run_no << _FILE_BITS) | file_no) << _LINE_BITS) | line
    row = connection.execute(
        _sql("SELECT raw_sealed FROM {t}.import_original WHERE original_no = %(number)s", tenant), {"number": number}
    ).fetchone()
    connection.rollback()
    return restore(ring.open("import_original", "raw", str(number), 1, row[0], bytes)) if row else None


def measures_stored(
    connection: psycopg.Connection[Any], tenant: Tenant, ring: TenantRing, run: Run, count: int
) -> Iterator[SupportMeasure]:
    """支援措置 that a run brought, in order."""
    rows = connection.execute(
        _sql(
            "SELECT measure_no, measure_sealed FROM {t}.support_measure WHERE version_no = 1 AND measure_no >= %(first)s "
            "AND measure_no < %(last)s ORDER BY measure_no",
            tenant,
        ),
        {"first": run.first_measure, "last": run.first_measure + max(1, count)},
    ).fetchall()
    connection.rollback()
    for number, sealed in rows:
        yield ring.open("support_measure", "support", str(number), 1, sealed, SupportMeasure)


def codes_stored(
    connection: psycopg.Connection[Any], tenant: Tenant, ring: TenantRing, run: Run, count: int
) -> Iterator[str]:
    """Free 住民票コード that a run brought, in order."""
    rows = connection.execute(
        _sql(
            "SELECT stock_no, code_sealed FROM {t}.resident_code_stock WHERE stock_no >= %(first)s "
            "AND stock_no < %(last)s ORDER BY stock_no",
            tenant,
        ),
        {"first": run.first_code, "last": run.first_code + max(1, count)},
    ).fetchall()
    connection.rollback()
    for number, sealed in rows:
        yield ring.open("resident_code_stock", "resident_code", str(number), 1, sealed, bytes).decode()


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


# --- work list ----------------------------------------------------------------------------------------------------


async def work_items(
    op: Operation, *, outcome: str, open_only: bool, after: int, limit: int, entry_no: int = 0
) -> list[WorkItem]:
    """Rows of the work list in order; `outcome` empty for all, `entry_no` for one."""
    rows = await op.session.fetch(
        "SELECT r.entry_no, r.run_no, r.outcome, r.file, r.line, r.item, r.value_class, r.reason, d.decision, d.decided_by, "
        "d.decided_at FROM {t}.import_reject r LEFT JOIN {t}.import_decision d ON d.entry_no = r.entry_no "
        "WHERE r.entry_no > %(after)s AND (%(entry_no)s = 0 OR r.entry_no = %(entry_no)s) "
        "AND (%(outcome)s = '' OR r.outcome = %(outcome)s) AND (NOT %(open_only)s OR d.entry_no IS NULL) "
        "ORDER BY r.entry_no LIMIT %(limit)s",
        {"after": after, "entry_no": entry_no, "outcome": outcome, "open_only": open_only, "limit": limit},
    )
    return [
        WorkItem(
            entry_no=row[0],
            run_no=row[1],
            outcome=Outcome(row[2]),
            file=row[3],
            line=row[4],
            item=row[5],
            value_class=row[6],
            reason=row[7],
            decision=row[8] or "",
            decided_by=row[9] or "",
            decided_at=row[10],
        )
        for row in rows
    ]


async def work_counts(op: Operation) -> dict[str, int]:
    """Open rows by outcome."""
    rows = await op.session.fetch(
        "SELECT r.outcome, count(*) FROM {t}.import_reject r WHERE NOT EXISTS (SELECT 1 FROM {t}.import_decision d "
        "WHERE d.entry_no = r.entry_no) GROUP BY r.outcome"
    )
    return {row[0]: row[1] for row in rows}


async def raw_of(op: Operation, entry_no: int) -> tuple[bytes, str] | None:
    """The bytes of one row of the work list and the name of the layout it came through."""
    row = await op.session.fetch_one(
        "SELECT r.raw_sealed, i.layout FROM {t}.import_reject r JOIN {t}.import_run i ON i.run_no = r.run_no "
        "WHERE r.entry_no = %(entry_no)s",
        {"entry_no": entry_no},
    )
    return (restore(op.ring.open("import_reject", "raw", str(entry_no), 1, row[0], bytes)), row[1]) if row else None


async def add_decision(op: Operation, entry_no: int, decision: str, reason: str) -> None:
    """Close one row of the work list. Conflict `legacy.decided` where somebody was first."""
    written = await op.session.execute(
        "INSERT INTO {t}.import_decision (entry_no, decision, decided_by, decided_at, reason_sealed) VALUES "
        "(%(entry_no)s, %(decision)s, %(by)s, %(at)s, %(reason_sealed)s) ON CONFLICT DO NOTHING",
        {
            "entry_no": entry_no,
            "decision": decision,
            "by": op.caller.actor_id,
            "at": op.now,
            "reason_sealed": op.ring.seal("import_decision", "reason", str(entry_no), 1, reason.encode()),
        },
    )
    if written == 0:
        raise Conflict("legacy.decided", "somebody decided on this row first", remedy="open the list again")
