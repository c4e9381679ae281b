"""The log on a real server: who gets a place when, what a crash leaves, and what a head vouches for."""

from __future__ import annotations

import asyncio
import base64
import datetime as dt
import importlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import sql

from juki import audit
from juki.access.model import Caller, NotSignedIn
from juki.audit import log_store, merkle, verifier, witness
from juki.audit.log_store import LeafRow
from juki.problem import Conflict, JukiError, Refused, Unavailable
from juki.tenancy import Fleet, check, connect
from juki.vault import DoesNotOpen

IWAKI, HIRONO = "072044", "075418"


async def work(fleet: Fleet, who: Caller, action: str = "resident.read", person: str = "1234567890") -> int:
    """One reading operation on one invented person; its number."""
    async with audit.operation(fleet, who, action, purpose="窓口での照会", right="resident.read", write=False) as op:
        op.touch(person)
        return op.op_no


async def rows_of(fleet: Fleet, code: str, op_no: int) -> list[tuple[int, str, str, str]]:
    """Part, kind, action and result of every row of an operation."""
    async with fleet.session(code, write=False) as session:
        rows = await session.fetch(
            "SELECT part, kind, action, result FROM {t}.audit_row WHERE op_no = %(no)s ORDER BY part", {"no": op_no}
        )
    return [(r[0], r[1], r[2], r[3]) for r in rows]


async def entry_of(fleet: Fleet, caller: Callable[..., Caller], op_no: int, code: str = IWAKI) -> audit.Entry:
    """An operation as an auditor reads it."""
    auditor = caller("audit.read", actor="op-auditor", tenant=code)
    async with audit.operation(fleet, auditor, "audit.entry", purpose="点検", right="audit.read", write=False) as op:
        return await audit.entry(op, op_no)


async def test_an_entry_holds_operator_time_person_content_terminal_and_purpose(
    fleet: Fleet, caller: Callable[..., Caller]
) -> None:
    """R-A-3.3-LOG-01: operator, time, subject and content stand in every entry; 個人番号 is marked; a contractor's contract too."""
    who = caller("resident.read", actor="op-0007", terminal="IWK-HON-02", contract="K-2026-11", office="shimin")
    before = fleet.clock()
    async with audit.operation(
        fleet, who, "resident.read", purpose="転入の届出", right="resident.read", basis="住基法22条", write=False
    ) as op:
        op.touch("0000000017")
        op.touch("0000000017", my_number=True)
        op.fact(hits=1)
    entry = await entry_of(fleet, caller, op.op_no)
    assert (entry.intent.actor_id, entry.intent.terminal_id, entry.intent.contract) == (
        "op-0007",
        "IWK-HON-02",
        "K-2026-11",
    )
    assert (entry.intent.purpose, entry.intent.basis, entry.intent.office) == ("転入の届出", "住基法22条", "shimin")
    assert before <= entry.at <= (entry.ended_at or entry.at) <= fleet.clock()
    assert [(s.atena_no, s.my_number) for s in entry.subjects] == [("0000000017", True)]
    assert (entry.action, entry.result, entry.facts) == ("resident.read", "done", {"hits": 1})


async def test_a_missing_right_is_refused_and_is_a_row(fleet: Fleet, caller: Callable[..., Caller]) -> None:
    """R-A-3.3-LOG-01, R-23-3.3-PRV-06: the attempt stands in the log as refused and the block never ran."""
    ran = False
    with pytest.raises(Refused) as refusal:
        async with audit.operation(
            fleet, caller("resident.search"), "resident.read", purpose="照会", right="resident.read"
        ):
            ran = True
    assert refusal.value.code == "access.right_missing"
    assert not ran
    newest = await last_operation(fleet)
    assert await rows_of(fleet, IWAKI, newest) == [
        (0, "intent", "resident.read", ""),
        (1, "outcome", "resident.read", "refused"),
    ]


async def last_operation(fleet: Fleet, code: str = IWAKI) -> int:
    async with fleet.session(code, write=False) as session:
        row = await session.fetch_one("SELECT op_no FROM {t}.audit_row ORDER BY at DESC, op_no DESC LIMIT 1")
    assert row is not None
    return int(row[0])


async def test_a_failure_rolls_the_effect_back_and_keeps_whom_it_touched(
    fleet: Fleet, caller: Callable[..., Caller]
) -> None:
    """R-A-3.3-LOG-01: intent and outcome stay, the effect and its disclosures do not."""
    who = caller("change.enter")
    with pytest.raises(Conflict):
        async with audit.operation(fleet, who, "change.enter", purpose="転居", right="change.enter") as op:
            await op.session.execute(
                "INSERT INTO {t}.login_failure (at, terminal_id, reason) VALUES (now(), 'X', 'fault-test')"
            )
            op.disclose("0000000025", ["氏名"], to="本人", basis="住基法12条", medium="紙")
            raise Conflict("registry.stale", "somebody was quicker")
    assert await rows_of(fleet, IWAKI, op.op_no) == [
        (0, "intent", "change.enter", ""),
        (1, "outcome", "change.enter", "refused"),
    ]
    entry = await entry_of(fleet, caller, op.op_no)
    assert (entry.code, [s.atena_no for s in entry.subjects]) == ("registry.stale", ["0000000025"])
    async with fleet.session(IWAKI, write=False) as session:
        assert await session.fetch("SELECT 1 FROM {t}.login_failure WHERE reason = 'fault-test'") == []


async def test_a_defect_is_logged_as_failed(fleet: Fleet, caller: Callable[..., Caller]) -> None:
    """R-A-3.3-LOG-01: an exception nobody foresaw ends in the log too, without its text."""
    with pytest.raises(ZeroDivisionError):
        async with audit.operation(fleet, caller("change.enter"), "change.enter", purpose="転居") as op:
            raise ZeroDivisionError("山田太郎")
    entry = await entry_of(fleet, caller, op.op_no)
    assert (entry.result, entry.code) == ("failed", "juki.fault")


async def test_a_cancelled_operation_is_closed_as_failed(fleet: Fleet, caller: Callable[..., Caller]) -> None:
    """R-A-3.3-LOG-01: a client that goes away in the middle does not leave an open entry."""
    numbers: list[int] = []

    async def hang() -> None:
        async with audit.operation(fleet, caller("change.enter"), "change.enter", purpose="転居") as op:
            numbers.append(op.op_no)
            await asyncio.sleep(30)

    task = asyncio.create_task(hang())
    while not numbers:
        await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await rows_of(fleet, IWAKI, numbers[0]) == [
        (0, "intent", "change.enter", ""),
        (1, "outcome", "change.enter", "failed"),
    ]


async def test_every_person_whose_data_left_has_a_disclosure_row(fleet: Fleet, caller: Callable[..., Caller]) -> None:
    """R-A-3.5-LOG-01: as many disclosure rows as persons, each with items, recipient, basis and medium."""
    async with audit.operation(fleet, caller("certificate.issue"), "certificate.issue", purpose="交付") as op:
        for person in ("0000000017", "0000000025", "0000000033"):
            op.disclose(
                person, ["氏名", "住所"], to="本人", basis="住基法12条1項", medium="紙", my_number=person.endswith("3")
            )
    kinds = [kind for _, kind, _, _ in await rows_of(fleet, IWAKI, op.op_no)]
    assert kinds == ["intent", "outcome", "disclosure", "disclosure", "disclosure"]
    entry = await entry_of(fleet, caller, op.op_no)
    assert {d.atena_no: (d.items, d.to, d.basis, d.medium, d.my_number) for d in entry.disclosures}["0000000033"] == (
        ("氏名", "住所"), "本人", "住基法12条1項", "紙", True,
    )  # fmt: skip


async def test_more_persons_than_a_row_carries_are_all_kept(fleet: Fleet, caller: Callable[..., Caller]) -> None:
    """R-A-3.3-LOG-01: a job over many residents names every one of them."""
    persons = [f"{n:010d}" for n in range(1201)]
    async with audit.operation(fleet, caller("import.run"), "import.run", purpose="移行") as op:
        for person in persons:
            op.touch(person)
    entry = await entry_of(fleet, caller, op.op_no)
    assert [s.atena_no for s in entry.subjects] == persons


async def test_a_reading_operation_that_writes_does_not_commit(fleet: Fleet, caller: Callable[..., Caller]) -> None:
    """R-A-3.3-LOG-01: what is declared as reading cannot change the register by mistake."""
    with pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
        async with audit.operation(fleet, caller(), "resident.read", purpose="照会", write=False) as op:
            await op.session.execute(
                "INSERT INTO {t}.login_failure (at, terminal_id, reason) VALUES (now(), 'X', 'sly')"
            )
    async with fleet.session(IWAKI, write=False) as session:
        assert await session.fetch("SELECT 1 FROM {t}.login_failure WHERE reason = 'sly'") == []


async def test_no_role_of_a_service_changes_or_deletes_a_row(fleet: Fleet) -> None:
    """R-A-3.3-LOG-01, R-A-3.3-LOG-03: entries are append-only for every role a service can become."""
    tables = ("audit_row", "audit_leaf", "audit_tile", "audit_checkpoint", "audit_subject")
    async with fleet.session(IWAKI, write=False) as session:
        for role in ("t072044_registry", "t072044_rekey"):
            for table in tables:
                row = await session.fetch_one(
                    "SELECT has_any_column_privilege(%(role)s, %(table)s, 'UPDATE')"
                    " OR has_table_privilege(%(role)s, %(table)s, 'DELETE')"
                    " OR has_table_privilege(%(role)s, %(table)s, 'TRUNCATE')",
                    {"role": role, "table": f"t072044.{table}"},
                )
                assert row == (False,), f"{role} may change {table}"


async def test_no_row_can_choose_the_transaction_that_gives_it_its_place(fleet: Fleet) -> None:
    """R-A-3.3-LOG-03: a row under a made-up transaction would never be placed and so never be missed."""
    with pytest.raises((psycopg.errors.InsufficientPrivilege, JukiError)):
        async with fleet.session(IWAKI, write=True) as session:
            await session.execute(
                "INSERT INTO {t}.audit_row (op_no, part, kind, action, result, at, xid, body_sealed)"
                " VALUES (9300000, 0, 'intent', 'x.y', '', now(), '1', '')"
            )
    async with fleet.session(IWAKI, write=False) as session:
        assert await session.fetch("SELECT 1 FROM {t}.audit_row WHERE op_no = 9300000") == []


async def test_the_stored_hash_is_the_one_the_verifier_computes(fleet: Fleet, caller: Callable[..., Caller]) -> None:
    """R-A-3.3-LOG-01: server and verifier agree on the canonical bytes, whatever stands in the columns."""
    await work(fleet, caller("resident.read"))
    head = await audit.checkpoint(fleet, IWAKI)
    async with fleet.session(IWAKI, write=False) as session:
        leaves = await log_store.leaves(session, 0, head.size)
    for leaf in leaves:
        assert verifier.leaf_of(IWAKI, exported(leaf)) == leaf.leaf_hash
    assert verifier.roots_at([leaf.leaf_hash for leaf in leaves], [head.size])[head.size] == head.root


def exported(leaf: LeafRow) -> dict[str, object]:
    at = leaf.at.astimezone(dt.UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    return {
        "op": leaf.op_no, "part": leaf.part, "kind": leaf.kind, "action": leaf.action, "result": leaf.result,
        "at": at, "xid": leaf.xid, "body": base64.b64encode(leaf.body).decode(),
    }  # fmt: skip


async def test_concurrent_writers_and_killed_ones_lose_and_reorder_nothing(
    fleet: Fleet, caller: Callable[..., Caller], server: str
) -> None:
    """R-A-3.3-LOG-01: every committed row gets exactly one place, causes before effects, while writers race and die."""
    who = caller("resident.read")
    stop = asyncio.Event()
    done: list[int] = []

    async def write() -> None:
        while not stop.is_set():
            try:
                done.append(await work(fleet, who))
            except JukiError:
                await asyncio.sleep(0.01)  # its connection was killed under it

    async def place() -> None:
        while not stop.is_set():
            try:
                await asyncio.gather(audit.checkpoint(fleet, IWAKI), audit.checkpoint(fleet, IWAKI))
            except JukiError:
                await asyncio.sleep(0.01)

    async def kill() -> None:
        database = psycopg.conninfo.conninfo_to_dict(fleet.config.dsn_registry)["dbname"]
        with psycopg.connect(server, autocommit=True) as admin:
            killings = 0
            while killings < 12 or len(done) <= 50:
                killings += 1
                await asyncio.sleep(0.15)
                admin.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s"
                    " AND application_name = 'juki registry' AND state <> 'idle' LIMIT 1",
                    (database,),
                )
        stop.set()

    await asyncio.gather(*(write() for _ in range(6)), place(), kill())
    for last in (False, False, False, False, True):  # the last connections killed may lie in the pool
        try:
            await audit.checkpoint(fleet, IWAKI)
            break
        except JukiError:
            if last:
                raise
    async with fleet.session(IWAKI, write=False) as session:
        rows = await session.fetch("SELECT op_no, part FROM {t}.audit_row ORDER BY op_no, part")
        leaves = await session.fetch("SELECT leaf_no, op_no, part FROM {t}.audit_leaf ORDER BY leaf_no")
    assert len(done) > 50
    assert sorted((op_no, part) for _, op_no, part in leaves) == rows
    assert [leaf_no for leaf_no, _, _ in leaves] == list(range(len(leaves)))
    at = {(op_no, part): leaf_no for leaf_no, op_no, part in leaves}
    assert all(at[op_no, 0] < at[op_no, part] for op_no, part in rows if part)


async def test_a_long_open_transaction_holds_nobody_back_and_is_not_forgotten(
    fleet: Fleet, caller: Callable[..., Caller]
) -> None:
    """R-A-3.3-LOG-01: rows committed around a slow writer are placed at once, the slow writer's when it commits."""
    who = caller("import.run", "resident.read")
    async with audit.operation(fleet, who, "import.run", purpose="移行") as slow:
        await slow.session.fetch("SELECT pg_current_xact_id()")
        quick = await work(fleet, who)
        await audit.checkpoint(fleet, IWAKI)
        async with fleet.session(IWAKI, write=False) as session:
            assert await log_store.leaf_of(session, quick, 1) is not None
            assert await log_store.leaf_of(session, slow.op_no, 1) is None
    await audit.checkpoint(fleet, IWAKI)
    async with fleet.session(IWAKI, write=False) as session:
        assert await log_store.leaf_of(session, slow.op_no, 1) is not None


async def test_proofs_from_the_store_hold_against_the_signed_head(fleet: Fleet, caller: Callable[..., Caller]) -> None:
    """R-A-3.3-LOG-01: any row can be shown to be under the head, over tile borders too, and heads are of one log."""
    old = await audit.checkpoint(fleet, IWAKI)
    async with audit.operation(fleet, caller("certificate.issue"), "certificate.issue", purpose="交付") as op:
        for number in range(700):
            op.disclose(f"{number:010d}", ["氏名"], to="本人", basis="住基法12条", medium="紙")
    new = await audit.checkpoint(fleet, IWAKI)
    async with fleet.session(IWAKI, write=False) as session:
        for part in (0, 1, 2, 255, 256, 511, 701):
            proof = await audit.prove_inclusion(session, op.op_no, part)
            assert proof.root == new.root
            assert merkle.verify_inclusion(proof.leaf_hash, proof.leaf_no, proof.size, proof.hashes, proof.root)
        for size in (1, 2, old.size, new.size - 1, new.size):
            proof = await audit.prove_consistency(session, size)
            hashes = await log_store.leaf_hashes(session, 0, size)
            old_root = verifier.roots_at(hashes, [size])[size]
            assert merkle.verify_consistency(size, new.size, old_root, new.root, proof.hashes)


async def test_a_head_without_news_is_not_signed_again_and_copies_are_write_once(
    fleet: Fleet, caller: Callable[..., Caller], tmp_path: Path
) -> None:
    """R-A-3.3-LOG-03: one copy a head, read-only, never replaced by another text; a copy missed by a crash is made up for."""
    await work(fleet, caller("resident.read"))
    await audit.checkpoint(fleet, IWAKI)  # as if the process had died before copying
    witness = audit.DirectoryWitness(tmp_path)
    made = await audit.witnessed_checkpoint(fleet, IWAKI, witness)
    assert made.added == 0
    newest = witness.folder(IWAKI) / f"{made.size:015d}.checkpoint"
    assert newest.stat().st_mode & 0o777 == 0o400
    with pytest.raises(Conflict) as refused:
        witness.put(IWAKI, made.size, "another head")
    assert refused.value.code == "audit.witness_differs"


async def test_a_log_cut_back_is_noticed_at_the_next_copy(fresh_fleet: Fleet, caller: Callable[..., Caller]) -> None:
    """R-A-3.3-LOG-01: the serving process itself says so when its database has fewer heads than the witness."""
    for _ in range(2):
        await work(fresh_fleet, caller("resident.read"))
        await audit.witnessed_checkpoint(fresh_fleet, IWAKI)
    with psycopg.connect(fresh_fleet.config.dsn_deploy) as owner:
        owner.execute(
            "DELETE FROM t072044.audit_checkpoint WHERE size = (SELECT max(size) FROM t072044.audit_checkpoint)"
        )
    with pytest.raises(Conflict) as noticed:
        await audit.copy_newest(fresh_fleet, IWAKI)
    assert noticed.value.code == "audit.witness_differs"


async def test_a_log_put_back_to_an_older_state_is_noticed_after_it_has_grown_past_the_witness(
    fresh_fleet: Fleet, caller: Callable[..., Caller]
) -> None:
    """R-A-3.3-LOG-01, -03: what was restored from a backup is another history; it is said however long it goes on, also by `juki tenant check`."""
    await work(fresh_fleet, caller("resident.read"))
    backup = await audit.witnessed_checkpoint(fresh_fleet, IWAKI)
    await work(fresh_fleet, caller("resident.read"))
    lost = await audit.witnessed_checkpoint(fresh_fleet, IWAKI)
    with psycopg.connect(fresh_fleet.config.dsn_deploy) as owner:
        owner.execute("DELETE FROM t072044.audit_checkpoint WHERE size > %s", (backup.size,))
        owner.execute("DELETE FROM t072044.audit_leaf WHERE leaf_no >= %s", (backup.size,))
        owner.execute("DELETE FROM t072044.audit_row r WHERE NOT EXISTS (SELECT FROM t072044.audit_leaf l"
                      " WHERE (l.op_no, l.part) = (r.op_no, r.part))")  # fmt: skip
    for _ in range(3):
        await work(fresh_fleet, caller("resident.read"))
    assert (await audit.checkpoint(fresh_fleet, IWAKI)).size > lost.size
    for _ in range(2):
        with pytest.raises(Conflict) as noticed:
            await audit.copy_newest(fresh_fleet, IWAKI)
        assert noticed.value.code == "audit.witness_differs"
    copy = audit.witness_of(fresh_fleet).newest_copy(IWAKI)
    assert copy is not None
    assert copy[0] == lost.size
    with connect(fresh_fleet.config, "deploy") as deploy:
        faults = {f.what: f.fault for f in check(deploy, fresh_fleet.kms, IWAKI, witnessed=copy) if f.fault}
        assert list(faults) == ["log and its witness"]
        assert all(not f.fault for f in check(deploy, fresh_fleet.kms, "075418"))


async def test_a_log_restored_on_a_server_that_counts_transactions_anew_goes_on_without_a_gap(
    fresh_fleet: Fleet, caller: Callable[..., Caller]
) -> None:
    """R-A-3.3-LOG-01: after a dump was restored elsewhere every row gets its one place, then and when the numbers catch up."""
    first = await work(fresh_fleet, caller("resident.read"))
    before = await audit.checkpoint(fresh_fleet, IWAKI)
    ahead = 40
    with psycopg.connect(fresh_fleet.config.dsn_deploy) as owner:
        # the server that the dump came from was so many transactions ahead of this one
        row = owner.execute("SELECT pg_current_xact_id()::text::bigint").fetchone()
        assert row is not None
        far = int(row[0]) + ahead
        owner.execute("UPDATE t072044.audit_row SET xid = %s::text::xid8", (far - 1,))
        owner.execute("UPDATE t072044.audit_checkpoint SET horizon = %s::pg_snapshot", (f"{far}:{far}:",))
    later = [await work(fresh_fleet, caller("resident.read")) for _ in range(2)]
    moved = await audit.checkpoint(fresh_fleet, IWAKI)
    assert moved.added == 4  # intent and outcome of each
    for _ in range(ahead):
        later.append(await work(fresh_fleet, caller("resident.read")))
        await audit.checkpoint(fresh_fleet, IWAKI)
    async with fresh_fleet.session(IWAKI, write=False) as session:
        proof = await audit.prove_consistency(session, before.size)
        assert proof.size == before.size + 2 * len(later)
        for number in (first, *later):
            assert await log_store.leaf_of(session, number, 1) is not None


async def test_heads_follow_the_writers_within_a_second(fresh_fleet: Fleet, caller: Callable[..., Caller]) -> None:
    """R-A-3.3-LOG-01: in service every row is under a signed head a second later, without anybody asking."""
    keeper = asyncio.create_task(audit.keep(fresh_fleet))
    try:
        number = await work(fresh_fleet, caller("resident.read"))
        for _ in range(1_000):
            await asyncio.sleep(0.05)
            async with fresh_fleet.session(IWAKI, write=False) as session:
                placed = await log_store.leaf_of(session, number, 1)
                head = await log_store.head(session)
            if placed is not None and placed[0] < head.size:
                break
        else:
            pytest.fail("no head took the row in")
    finally:
        keeper.cancel()
        await asyncio.gather(keeper, return_exceptions=True)


async def test_the_keeper_stops_when_told_even_where_what_it_waits_for_swallows_that(
    fresh_fleet: Fleet, caller: Callable[..., Caller], monkeypatch: pytest.MonkeyPatch
) -> None:
    """R-A-3.3-LOG-01: a process that is asked to stop does stop: a cancelled database wait may end as another error."""
    waiting = asyncio.Event()

    async def busy(fleet: Fleet, code: str) -> None:
        waiting.set()
        try:
            await asyncio.sleep(30)
        except asyncio.CancelledError:
            raise Unavailable("db.gone", "the connection broke while its wait was cancelled") from None

    monkeypatch.setattr("juki.audit.keeping.checkpoint", busy)
    await work(fresh_fleet, caller("resident.read"))
    keeper = asyncio.create_task(audit.keep(fresh_fleet))
    async with asyncio.timeout(60):
        await waiting.wait()
        keeper.cancel()
        await asyncio.gather(keeper, return_exceptions=True)
    assert keeper.done()


async def test_the_sweeper_closes_what_a_crash_left_open_and_nothing_that_may_still_run(
    fleet: Fleet, caller: Callable[..., Caller], monkeypatch: pytest.MonkeyPatch
) -> None:
    """R-A-3.3-LOG-01: no entry stays open for ever; a late effect of a closed operation cannot commit."""
    who = caller("change.enter")
    with pytest.raises(Conflict) as late:
        async with (
            audit.operation(fleet, who, "change.enter", purpose="転居", patience_seconds=120) as lost,
            audit.operation(fleet, who, "import.run", purpose="移行", patience_seconds=86_400) as patient,
        ):
            later = fleet.clock() + dt.timedelta(minutes=10)
            monkeypatch.setattr(fleet, "clock", lambda: later)
            assert await audit.sweep(fleet, IWAKI) == 1
            monkeypatch.undo()
            assert [r[3] for r in await rows_of(fleet, IWAKI, lost.op_no)] == ["", "unknown"]
    assert late.value.code == "db.twice"
    assert [r[3] for r in await rows_of(fleet, IWAKI, patient.op_no)] == ["", "done"]
    assert [r[3] for r in await rows_of(fleet, IWAKI, lost.op_no)] == ["", "unknown"]


async def test_a_stranger_s_attempt_is_in_the_log_of_the_municipality_it_was_aimed_at(
    fleet: Fleet, caller: Callable[..., Caller]
) -> None:
    """R-A-3.3-LOG-01: hostile requests leave a row where they knocked, naming where they came from."""
    who = caller("resident.read", tenant=IWAKI, actor="op-iwaki")
    number = await audit.refused(fleet, HIRONO, who, "resident.read", "access.other_tenant")
    entry = await entry_of(fleet, caller, number, HIRONO)
    assert (entry.intent.actor_id, entry.intent.purpose) == ("op-iwaki", f"from {IWAKI}")
    assert (entry.result, entry.code) == ("refused", "access.other_tenant")


async def test_who_looked_at_one_person_is_found_without_a_plain_index(
    fleet: Fleet, caller: Callable[..., Caller]
) -> None:
    """R-A-3.3-LOG-02: all looks at a person are listed for the reviewer; the database holds the person's number nowhere."""
    person = "7777777771"
    number = await work(fleet, caller("resident.read", actor="op-0042"), person=person)
    await work(fleet, caller("resident.read", tenant=HIRONO), person=person)
    auditor = caller("audit.read", actor="op-auditor")
    async with audit.operation(fleet, auditor, "audit.about", purpose="点検", right="audit.read", write=False) as op:
        found = await audit.about(op, person)
    assert [(e.op_no, e.intent.actor_id) for e in found] == [(number, "op-0042")]
    database = psycopg.conninfo.conninfo_to_dict(fleet.config.dsn_registry)["dbname"]
    with psycopg.connect(fleet.config.dsn_deploy, dbname=str(database)) as owner:
        for table in ("audit_row", "audit_subject", "audit_leaf"):
            query = sql.SQL("SELECT count(*) FROM t072044.{} r WHERE r::text LIKE %s OR r::text LIKE %s")
            hexed = person.encode().hex()
            row = owner.execute(query.format(sql.Identifier(table)), (f"%{person}%", f"%{hexed}%")).fetchone()
            assert row == (0,)


async def test_the_log_is_read_only_with_the_right_and_filters_hold(
    fleet: Fleet, caller: Callable[..., Caller]
) -> None:
    """R-A-3.3-LOG-03: access to the log needs its own right; a list shows what was asked for."""
    await work(fleet, caller("resident.read", actor="op-0050"))
    with pytest.raises(Refused):
        async with audit.operation(fleet, caller("resident.read"), "audit.list", purpose="点検", write=False) as op:
            await audit.listing(op, audit.Filter())
    auditor = caller("audit.read")
    async with audit.operation(fleet, auditor, "audit.list", purpose="点検", right="audit.read", write=False) as op:
        mine = await audit.listing(op, audit.Filter(actor_id="op-0050", limit=5))
        refused = await audit.listing(op, audit.Filter(result="refused", limit=5))
        by_action = await audit.listing(op, audit.Filter(action="resident.", limit=3))
    assert {e.intent.actor_id for e in mine} == {"op-0050"}
    assert {e.result for e in refused} == {"refused"}
    assert len(by_action) == 3
    assert all(e.action.startswith("resident.") for e in by_action)


async def test_a_row_moved_to_another_operation_does_not_open(fleet: Fleet, caller: Callable[..., Caller]) -> None:
    """R-A-3.3-LOG-01: a sealed body belongs to its place; moved, it opens nowhere."""
    first = await work(fleet, caller("resident.read"))
    second = await work(fleet, caller("resident.read"))
    with psycopg.connect(fleet.config.dsn_deploy) as owner:
        owner.execute(
            "UPDATE t072044.audit_row SET body_sealed = (SELECT body_sealed FROM t072044.audit_row"
            " WHERE op_no = %s AND part = 0) WHERE op_no = %s AND part = 0",
            (first, second),
        )
        owner.commit()
    with pytest.raises(DoesNotOpen):
        await entry_of(fleet, caller, second)


async def test_the_standard_analyses_find_what_they_are_for(fresh_fleet: Fleet, caller: Callable[..., Caller]) -> None:
    """R-A-3.3-LOG-02: out of hours, mass searches, one person opened by many; quiet work is not reported."""
    fleet = fresh_fleet
    noon = dt.datetime(2026, 11, 24, 3, 0, tzinfo=dt.UTC)
    fleet.clock = lambda: noon
    for number in range(7):
        await work(fleet, caller("resident.read", actor=f"op-10{number}"), person="0000000017")
    for number in range(30):
        await work(fleet, caller("resident.read", actor="op-busy"), person=f"{number:010d}")
    for number, action in enumerate(30 * ["change.form", "certificate.prepare"]):  # a record is seen there as well
        await work(fleet, caller("resident.read", actor="op-sly"), action, person=f"2{number:09d}")
    for _ in range(90):  # one person's paper, again and again, is no search
        await work(fleet, caller("resident.read", actor="op-paper"), "certificate.preview", person="0000000018")
    fleet.clock = lambda: noon + dt.timedelta(hours=9)
    await work(fleet, caller("resident.read", actor="op-late"))
    with pytest.raises(NotSignedIn):  # a system that fetches its token at night is no person at work
        await audit.machine_token(fleet, IWAKI, "", "", "", [])
    auditor = caller("audit.read")
    limits = audit.Limits(persons_an_hour=25)
    async with audit.operation(fleet, auditor, "audit.analyse", purpose="点検", right="audit.read", write=False) as op:
        found = await audit.analyse(op, noon - dt.timedelta(days=1), noon + dt.timedelta(hours=9, minutes=30), limits)
    shown = {(f.analysis, f.who): f.count for f in found if f.analysis != "one_person_by_many"}
    assert shown == {
        ("out_of_hours", "op-0001"): 1,  # the auditor's own reading, after hours as well
        ("out_of_hours", "op-late"): 1,
        ("mass_searches", "op-busy"): 30,
        ("mass_searches", "op-sly"): 60,
    }
    many = [f for f in found if f.analysis == "one_person_by_many"]
    assert [f.count for f in many] == [8]  # the busy one opened that record too


def lose_the_answer(monkeypatch: pytest.MonkeyPatch, *, landed: bool) -> None:
    """The connection breaks once, under the next COMMIT: after the server has made it good, or before."""
    commit = psycopg.AsyncConnection.commit
    broken: list[bool] = []

    async def lost(connection: psycopg.AsyncConnection[object]) -> None:
        if broken:
            await commit(connection)
            return
        broken.append(True)
        if landed:
            await commit(connection)
        await connection.close()
        raise psycopg.OperationalError("server closed the connection unexpectedly")

    monkeypatch.setattr(psycopg.AsyncConnection, "commit", lost)


@pytest.mark.parametrize(("landed", "code"), [(True, "audit.done_already"), (False, "db.gone")])
async def test_an_answer_lost_under_the_commit_is_told_as_what_became_of_the_work(
    fleet: Fleet, caller: Callable[..., Caller], monkeypatch: pytest.MonkeyPatch, landed: bool, code: str
) -> None:
    """R-A-3.3-LOG-01: "nothing was changed" is said only where nothing was: a clerk must not issue a paper twice."""
    with pytest.raises(JukiError) as told:
        async with audit.operation(fleet, caller(), "resident.read", purpose="照会") as op:
            op.touch("0000000099")
            lose_the_answer(monkeypatch, landed=landed)
    assert told.value.code == code
    results = [result for _, kind, _, result in await rows_of(fleet, IWAKI, op.op_no) if kind == "outcome"]
    assert results == ["done" if landed else "failed"]


async def test_while_nobody_can_say_what_became_of_the_work_nobody_says_that_it_was_not_done(
    fleet: Fleet, caller: Callable[..., Caller], monkeypatch: pytest.MonkeyPatch
) -> None:
    """R-A-3.3-LOG-01: the database is gone for good under the commit: look before you send it again."""

    async def away(*_: object) -> None:
        raise Unavailable("db.gone", "the database does not answer")

    with pytest.raises(Unavailable) as told:
        async with audit.operation(fleet, caller(), "resident.read", purpose="照会") as op:
            op.touch("0000000098")
            lose_the_answer(monkeypatch, landed=False)
            monkeypatch.setattr("juki.audit.scribe.Scribe.write", away)
    assert told.value.code == "db.outcome_unknown"


async def test_an_export_made_while_others_work_ends_with_its_own_head(
    fleet: Fleet, caller: Callable[..., Caller], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """R-A-3.3-LOG-03: heads signed while the rows were being written out belong to the next export."""
    export = importlib.import_module("juki.audit.export")
    write_rows = export._write_rows

    async def slowly(*arguments: Any) -> None:
        await write_rows(*arguments)
        await work(fleet, caller("resident.read"))
        await audit.checkpoint(fleet, IWAKI)

    monkeypatch.setattr(export, "_write_rows", slowly)
    await work(fleet, caller("resident.read"))
    await audit.checkpoint(fleet, IWAKI)
    await audit.export(fleet, IWAKI, tmp_path / "export")
    key = verifier.read_key(tmp_path / "export" / "key.pem")
    assert verifier.verify(tmp_path / "export", key).findings == ()


async def test_a_defect_met_in_one_municipality_does_not_end_the_keeping_of_the_others(
    fresh_fleet: Fleet, caller: Callable[..., Caller], monkeypatch: pytest.MonkeyPatch
) -> None:
    """R-A-3.3-LOG-01: a row of the log that was tampered with in the database may break one head, never everybody's."""
    kept = asyncio.Event()

    async def head(fleet: Fleet, code: str) -> None:
        if code == IWAKI:
            raise ValueError("the edge does not belong to this size")
        kept.set()

    monkeypatch.setattr("juki.audit.keeping.checkpoint", head)
    keeper = asyncio.create_task(audit.keep(fresh_fleet))
    try:
        async with asyncio.timeout(60):
            while not kept.is_set():
                await work(fresh_fleet, caller("resident.read"))
                await asyncio.sleep(0.2)
                await work(fresh_fleet, caller("resident.read", tenant=HIRONO))
                assert not keeper.done()
    finally:
        keeper.cancel()
        await asyncio.gather(keeper, return_exceptions=True)


def test_two_that_keep_the_same_copy_at_once_do_not_hinder_each_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """R-A-3.3-LOG-03: processes in containers all have the same number; one's draft is never the other's."""
    keeper = audit.DirectoryWitness(tmp_path)
    write_whole = witness._write_whole
    met: list[Path] = []

    def interrupted(path: Path, text: str) -> None:
        write_whole(path, text)
        met.append(path)
        if len(met) == 1:
            keeper.put(IWAKI, 7, text)

    monkeypatch.setattr(witness, "_write_whole", interrupted)
    keeper.put(IWAKI, 7, "a head\n")
    assert keeper.sizes(IWAKI) == {7}
    assert [path.name for path in (tmp_path / IWAKI).iterdir()] == ["000000000000007.checkpoint"]
